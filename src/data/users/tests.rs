//! What becomes of each kind of user.

use proptest::prelude::*;

use super::*;

const HASH: &str = "$2a$10$VIhIOofSMqGdGlL4wzE//e.77dAQGqNtF/1dT7bqCrVtQuInWy2qi";

fn rules() -> Rules {
    Rules { has_passwords: true, oauth: vec!["google".into()], now: "2026-01-23T00:00:00.000Z".into() }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn planned(rows: &[Value]) -> Plan {
    let rows: Vec<_> = rows.iter().cloned().map(object).collect();
    plan(&rows, &Beside::default(), &rules())
}

fn body_of(row: Value) -> Value {
    planned(&[row]).people[0].body.to_send()
}

#[test]
fn a_usual_user_is_carried_over_whole() {
    let row = json!({
        "id": "AB-1", "email": " Ann@Example.com", "encrypted_password": HASH,
        "email_confirmed_at": "2025-01-01 00:00:00+00", "created_at": "2024-01-01 00:00:00.123456+00",
        "last_sign_in_at": null, "is_sso_user": "f", "is_anonymous": "f", "deleted_at": null, "banned_until": null,
        "raw_app_meta_data": "{\"provider\": \"email\", \"providers\": [\"email\"], \"plan\": 12345678901234567890}",
        "raw_user_meta_data": "{\"full_name\": \" Ann Lee \", \"avatar_url\": \"https://example.com/a.png\"}",
    });
    let expected = json!({
        "primary_email": "ann@example.com", "primary_email_verified": true, "primary_email_auth_enabled": true,
        "display_name": "Ann Lee", "profile_image_url": "https://example.com/a.png",
        "server_metadata": { "supabase": {
            "user_id": "ab-1", "email": " Ann@Example.com", "created_at": "2024-01-01 00:00:00.123456+00",
            "email_confirmed_at": "2025-01-01 00:00:00+00", "providers": ["email"],
            "app_metadata": { "provider": "email", "providers": ["email"], "plan": 12345678901234567890_u64 },
            "user_metadata": { "full_name": " Ann Lee ", "avatar_url": "https://example.com/a.png" },
        } },
        "password_hash": HASH,
    });
    assert_eq!(body_of(row), expected);
}

#[test]
fn native_values_of_other_tools_are_read_as_well() {
    let row = json!({
        "id": "a", "email": "a@x.org", "confirmed_at": "2025-01-01T00:00:00Z", "is_anonymous": true, "is_sso_user": false,
        "raw_user_meta_data": { "name": "Bo" }, "identities": [{ "provider": "google", "provider_id": "77",
        "identity_data": { "email": "a@gmail.com" } }],
    });
    let body = body_of(row);
    assert_eq!(body["display_name"], "Bo");
    assert_eq!(body["is_anonymous"], true);
    assert_eq!(body["primary_email_verified"], true);
    assert_eq!(body["oauth_providers"], json!([{ "id": "google", "account_id": "77", "email": "a@gmail.com" }]));
    assert_eq!(body.get("otp_auth_enabled"), None, "who came only by a provider gets no other way in");
}

#[test]
fn a_hash_that_the_service_refuses_becomes_a_code_and_is_reported_without_itself() {
    let envelope = "{\"key_id\":\"hunter2\"}";
    for odd in
        ["$argon2id$v=19$m=65536$hunter2", envelope, &HASH[..59], &HASH.replace("$10$", "$17$"), "$2x$10$hunter2"]
    {
        let plan = planned(&[json!({ "id": "a", "email": "a@x.org", "encrypted_password": odd })]);
        let body = plan.people[0].body.to_send();
        assert_eq!((body.get("password_hash"), &body["otp_auth_enabled"]), (None, &json!(true)), "{odd}");
        assert_eq!(plan.report.count(Kind::OddHash), 1, "{odd}");
        let said = format!("{plan:?} {:?}", plan.report.lines());
        assert!(!said.contains("hunter2") && !said.contains("VIhIOof"), "{said}");
    }
    for good in ["$2a$", "$2b$", "$2y$"] {
        let row = json!({ "id": "a", "email": "a@x.org", "encrypted_password": HASH.replace("$2a$", good) });
        let plan = planned(&[row]);
        assert!(plan.people[0].body.has_password());
        assert!(!format!("{plan:?}").contains("VIhIOof"), "a hash is never printed");
    }
}

#[test]
fn hashes_beside_the_table_are_found_by_their_user() {
    let mut beside = Beside::default();
    beside.add_secrets([object(json!({ "id": "A", "encrypted_password": HASH }))]);
    beside.add_identities([object(
        json!({ "user_id": "A", "provider": "google", "id": "9", "identity_data": "{\"sub\":\"8\"}" }),
    )]);
    let rows = [object(json!({ "id": "a", "email": "a@x.org" }))];
    let body = plan(&rows, &beside, &rules()).people[0].body.to_send();
    assert_eq!(body["password_hash"], HASH);
    assert_eq!(body["oauth_providers"][0]["account_id"], "8");
    let off = Rules { has_passwords: false, ..rules() };
    let plan = plan(&rows, &beside, &off);
    assert!(!plan.people[0].body.has_password());
    assert_eq!((plan.report.count(Kind::PasswordsOff), plan.report.count(Kind::NoPassword)), (1, 0));
}

#[test]
fn users_who_share_an_address_are_found_and_the_confirmed_one_keeps_it() {
    let plan = planned(&[
        json!({ "id": "1", "email": "Ann@x.org", "created_at": "2020-01-01" }),
        json!({ "id": "2", "email": "ann@x.org ", "created_at": "2021-01-01", "email_confirmed_at": "2021-01-02" }),
        json!({ "id": "3", "email": "ann@X.org", "is_sso_user": "t", "email_confirmed_at": "2019-01-02" }),
        json!({ "id": "4", "email": "bob@x.org" }),
    ]);
    let expected = Collision { email: "ann@x.org".into(), first: "2".into(), others: vec!["3".into(), "1".into()] };
    assert_eq!(plan.collisions, [expected]);
    assert_eq!(plan.report.get(Kind::SameEmail).unwrap().examples, ["ann@x.org: 2 and 3, 1"]);
    assert!(Kind::SameEmail.is_problem());
}

#[test]
fn who_gets_no_account_is_named_with_the_reason() {
    let plan = planned(&[
        json!({ "id": "1", "deleted_at": "2025-01-01 00:00:00+00" }),
        json!({ "email": "a@x.org" }),
        json!({ "id": "2", "email": "a@x.org" }),
        json!({ "id": "2", "email": "b@x.org" }),
    ]);
    assert_eq!(plan.people.len(), 1);
    let reasons: Vec<_> = plan.skipped.iter().map(|skipped| skipped.reason.as_str()).collect();
    assert_eq!(
        reasons,
        ["deleted in the source at 2025-01-01 00:00:00+00", "row 2 has no id", "its id stands in row 3 already"]
    );
}

#[test]
fn users_without_an_address_get_an_account_and_are_told_apart() {
    let plan = planned(&[
        json!({ "id": "1", "phone": "491701234567", "email": null, "encrypted_password": HASH }),
        json!({ "id": "2", "email": "", "is_anonymous": "t" }),
        json!({ "id": "3", "email": "ünder@x.org" }),
        json!({ "id": "4", "email": null, "identities": [{ "provider": "google", "provider_id": "7" }] }),
    ]);
    for person in &plan.people {
        let body = person.body.to_send();
        for key in [
            "primary_email",
            "primary_email_auth_enabled",
            "primary_email_verified",
            "password_hash",
            "otp_auth_enabled",
        ] {
            assert_eq!(body.get(key), None, "{key} of {}", person.legacy_id);
        }
    }
    let count = |kind| plan.report.count(kind);
    assert_eq!([count(Kind::PhoneOnly), count(Kind::Anonymous), count(Kind::OddEmail)], [1, 1, 1]);
    assert_eq!((count(Kind::NoWayIn), count(Kind::UnusablePassword), count(Kind::NoEmail)), (2, 1, 2));
    assert_eq!(plan.people[0].body.to_send()["server_metadata"]["supabase"]["phone"], "491701234567");
}

#[test]
fn a_ban_counts_while_it_lasts() {
    let banned = |until: &str| body_of(json!({ "id": "1", "email": "a@x.org", "banned_until": until }));
    assert_eq!(banned("2027-01-01 00:00:00+00")["restricted_by_admin"], true);
    assert_eq!(banned("infinity")["restricted_by_admin_reason"], "banned in the old system until infinity");
    assert_eq!(banned("2025-01-01 00:00:00.5+00").get("restricted_by_admin"), None);
}

#[test]
fn links_that_cannot_be_kept_are_named() {
    let plan = planned(&[json!({ "id": "1", "email": "a@x.org", "identities": [
        { "provider": "email", "provider_id": "1" }, { "provider": "google", "provider_id": "7" },
        { "provider": "google", "provider_id": "8" }, { "provider": "github", "provider_id": "9" },
    ] })]);
    let body = plan.people[0].body.to_send();
    assert_eq!(body["oauth_providers"].as_array().unwrap().len(), 1);
    assert_eq!(body["otp_auth_enabled"], true, "she came by e-mail too");
    assert_eq!(plan.report.get(Kind::NoProvider).unwrap().examples, ["1 (github)"]);
    assert_eq!(plan.report.count(Kind::SecondLink), 1);
}

#[test]
fn names_are_cut_and_odd_pictures_stay() {
    let meta = |name: &str, picture: &str| {
        json!({ "id": "1", "email": "a@x.org",
        "raw_user_meta_data": { "full_name": name, "picture": picture } })
    };
    let body = body_of(meta(&"é".repeat(300), "http://example.com/a.png"));
    assert_eq!(body["display_name"].as_str().unwrap().chars().count(), 256);
    assert_eq!(body.get("profile_image_url"), None);
    assert_eq!(body_of(meta(&"😀".repeat(300), ""))["display_name"].as_str().unwrap().chars().count(), 128);
    for odd in ["https://", "javascript:alert(1)", "https://a@b/", "https://a b", "data:image/png;base64,AA"] {
        assert_eq!(body_of(meta("x", odd)).get("profile_image_url"), None, "{odd}");
    }
}

#[test]
fn the_report_reads_as_lines_with_counts_and_a_few_examples() {
    let rows: Vec<Value> = (0..7).map(|at| json!({ "id": at.to_string(), "deleted_at": "x" })).collect();
    let lines = planned(&rows).report.lines();
    assert_eq!(lines, ["7 deleted users; they get no account (0; 1; 2; 3; 4, and 2 more)"]);
}

/// The keys of a create request that the service documents.
const KNOWN: [&str; 13] = [
    "primary_email",
    "primary_email_verified",
    "primary_email_auth_enabled",
    "password_hash",
    "otp_auth_enabled",
    "display_name",
    "profile_image_url",
    "server_metadata",
    "oauth_providers",
    "restricted_by_admin",
    "restricted_by_admin_reason",
    "is_anonymous",
    "client_metadata",
];

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[a-cA-C]{1,2}@x\\.org ?".prop_map(Value::from),
        Just(json!("t")),
        Just(json!(HASH)),
        Just(json!("infinity")),
        Just(json!({ "full_name": "x", "providers": ["email", 1], "avatar_url": 7 })),
        Just(json!([{ "provider": "google", "provider_id": 7 }, 3])),
        Just(json!("{\"full_name\": null, \"provider\": \"google\"}")),
    ]
}

proptest! {
    /// Whatever stands in the rows: everybody is planned or skipped, nothing unknown is sent, and an address that two
    /// share is found.
    #[test]
    fn every_row_ends_in_exactly_one_place(rows in prop::collection::vec(prop::collection::btree_map(
        prop::sample::select(vec!["id", "email", "phone", "encrypted_password", "banned_until", "deleted_at", "is_anonymous",
            "is_sso_user", "raw_user_meta_data", "raw_app_meta_data", "identities", "email_confirmed_at", "created_at"]),
        value(), 0..12), 0..12)) {
        let rows: Vec<Map<String, Value>> = rows.into_iter()
            .map(|row| row.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()).collect();
        let plan = plan(&rows, &Beside::default(), &rules());
        prop_assert_eq!(plan.people.len() + plan.skipped.len(), rows.len());
        let mut seen: HashMap<String, usize> = HashMap::new();
        for person in &plan.people {
            let body = person.body.to_send();
            for (key, value) in body.as_object().unwrap() {
                prop_assert!(KNOWN.contains(&key.as_str()) && !value.is_null(), "{} {}", key, value);
            }
            prop_assert_eq!(legacy_id(&body["server_metadata"]), Some(person.legacy_id.clone()));
            prop_assert_eq!(body.get("primary_email").is_some(), body.get("primary_email_auth_enabled") == Some(&json!(true)));
            prop_assert!(body.get("password_hash").is_none() || body.get("otp_auth_enabled").is_none());
            let shown = format!("{person:?}");
            prop_assert!(!shown.contains("VIhIOof"), "{}", shown);
            if let Some(email) = &person.email {
                prop_assert_eq!(email, &normal_email(email));
                *seen.entry(email.clone()).or_default() += 1;
            }
        }
        let shared: usize = seen.values().filter(|count| **count > 1).count();
        prop_assert_eq!(shared, plan.collisions.len());
    }
}
