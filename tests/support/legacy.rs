//! The users of the system that is being left, as a Supabase project keeps them. Law: number n has an id that ends in n.

/// The schema `auth` with these users, each with a confirmed address.
pub fn auth(users: std::ops::RangeInclusive<u32>) -> String {
    format!(
        "CREATE SCHEMA auth; CREATE TABLE auth.users (id uuid PRIMARY KEY, email text, encrypted_password text, \
           email_confirmed_at timestamptz, raw_user_meta_data jsonb, created_at timestamptz DEFAULT now(), \
           last_sign_in_at timestamptz, deleted_at timestamptz, is_sso_user boolean DEFAULT false, is_anonymous boolean DEFAULT false); \
         CREATE TABLE auth.identities (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid REFERENCES auth.users, \
           provider text, provider_id text, identity_data jsonb); \
         INSERT INTO auth.users (id, email, email_confirmed_at) \
           SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'user' || n || '@example.com', now() \
           FROM generate_series({}, {}) n;",
        users.start(),
        users.end()
    )
}
