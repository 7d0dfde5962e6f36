//! The keys of a migration: source, target, rows, users, DNS, dashboard. Declarations only.

use super::Fallback::{Is, Required, Unset};
use super::Kind::{Bool, Choice, Duration, Integer, List, NameLists, OptionalTable, Size, Table, Tables, Text, Url};
use super::{Key, Shape, key, table};
use crate::config::choices::{DnsProvider, TsigAlgorithm, UserProvider};

const NOT_SET: super::Fallback = Unset("");

// One row is one key: it reads as a table, whatever its width.
#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    // ---- source and target
    table("source", OptionalTable, "The database that is being left."),
    key("source.url_env", Text(Shape::Variable), NOT_SET, "The environment variable that holds the connection string; this or source.url_file."),
    key("source.url_file", Text(Shape::Path), NOT_SET, "The file that holds the connection string; mode 0600."),
    key("source.ca_certificate", Text(Shape::Path), Unset("the system's certificates"), "A file of certificates that the server's certificate is checked against."),
    table("target", OptionalTable, "The database that is being moved to."),
    key("target.url_env", Text(Shape::Variable), NOT_SET, "The environment variable that holds the connection string; this or target.url_file."),
    key("target.url_file", Text(Shape::Path), NOT_SET, "The file that holds the connection string; mode 0600."),
    key("target.ca_certificate", Text(Shape::Path), Unset("the system's certificates"), "A file of certificates that the server's certificate is checked against."),
    // ---- data
    table("data", Table, "The rows that move."),
    key("data.directory", Text(Shape::Path), Is("\"migration-data\""), "Where exported tables and reports are written; created with mode 0700."),
    key("data.user_columns", NameLists, Is("{}"), "For each table, the columns that hold user ids and are mapped on the way: { profiles = [\"user_id\"] }. Foreign keys to the users' table are found without it."),
    key("data.include", List(Shape::Line), Is("[\"public.*\"]"), "Patterns of the tables that move, as SCHEMA.TABLE; `*` stands for any text, a name without a point means the schema public."),
    key("data.exclude", List(Shape::Line), Is("[]"), "Patterns of tables that stay behind although data.include names them."),
    key("data.users_table", Text(Shape::Line), Is("\"auth.users\""), "The source's table of users: foreign keys to it are user columns, and its rows become accounts."),
    key("data.unmapped", NameLists, Is("{}"), "For each table, the user columns in which an id without an account may stay as it is; elsewhere it is an error."),
    key("data.workers", Integer(1, 64), Is("4"), "How many connections to each side work side by side."),
    key("data.compress", Bool, Is("false"), "Whether exported tables are compressed (TABLE.json.zst)."),
    key("data.large", Size("1MiB", "1024TiB"), Is("\"1GiB\""), "The size from which a table is left out by `data export --skip-large`."),
    key("data.keep_mapping", Duration("1d", "3650d"), Is("\"90d\""), "How long the mapping of user ids is kept (retainUntil)."),
    key("data.log_file", Text(Shape::Path), Unset("nothing but stderr"), "A file that the lines of every data command are appended to; the variable LOG_FILE_PATH names it too."),
    table("data.assert[]", Tables, "A statement about the target that must be true after the import."),
    key("data.assert[].name", Text(Shape::Line), Required, "What it says, in words; none twice."),
    key("data.assert[].sql", Text(Shape::Free), Required, "A query that gives rows only where something is wrong; the first ones are shown."),
    // ---- users
    table("users", OptionalTable, "Where the users' accounts move to."),
    key("users.provider", Choice(UserProvider::WORDS), Required, "The service that holds the accounts."),
    key("users.base_url", Url, Is("\"https://api.stack-auth.com\""), "The address of the service's API."),
    key("users.project_id_env", Text(Shape::Variable), NOT_SET, "The environment variable that holds the project's id; this or users.project_id_file."),
    key("users.project_id_file", Text(Shape::Path), NOT_SET, "The file that holds the project's id; mode 0600."),
    key("users.secret_key_env", Text(Shape::Variable), NOT_SET, "The environment variable that holds the secret server key; this or users.secret_key_file."),
    key("users.secret_key_file", Text(Shape::Path), NOT_SET, "The file that holds the secret server key; mode 0600."),
    key("users.concurrency", Integer(1, 64), Is("4"), "How many accounts are made side by side."),
    key("users.rate", Integer(1, 1000), Is("20"), "The most requests per second."),
    key("users.attempts", Integer(1, 50), Is("8"), "How often one request is tried before it counts as failed."),
    key("users.timeout", Duration("100ms", "10m"), Is("\"30s\""), "The longest wait for one answer."),
    key("users.settle", Duration("0s", "10m"), Is("\"10s\""), "How long a request whose answer was lost may still be at work in the service: a user without an e-mail address is looked for again after it, before he is made once more."),
    key("users.passwords", Bool, Is("true"), "Whether password hashes that the service takes are carried over, so that nobody need reset."),
    key("users.oauth", List(Shape::Word), Is("[]"), "The OAuth providers that are set up in the service; links to others are not carried over."),
    // ---- dns
    table("dns", OptionalTable, "The records that move the public to the new system."),
    key("dns.provider", Choice(DnsProvider::WORDS), Is("\"manual\""), "Who changes the records: `manual` tells a person what to change and watches; the others change them by API."),
    key("dns.zone", Text(Shape::Host), Unset("found from the records' names"), "The zone that holds the records."),
    key("dns.server", Text(Shape::Server), NOT_SET, "rfc2136: the server that takes dynamic updates, as an address with a port or without (53)."),
    key("dns.tsig_name", Text(Shape::Host), NOT_SET, "rfc2136: the name of the key that signs updates."),
    key("dns.tsig_algorithm", Choice(TsigAlgorithm::WORDS), Is("\"hmac-sha256\""), "rfc2136: the algorithm of that key."),
    key("dns.tsig_secret_env", Text(Shape::Variable), NOT_SET, "rfc2136: the environment variable that holds the key, in base64; this or dns.tsig_secret_file."),
    key("dns.tsig_secret_file", Text(Shape::Path), NOT_SET, "rfc2136: the file that holds the key, in base64; mode 0600."),
    key("dns.token_env", Text(Shape::Variable), NOT_SET, "digitalocean, cloudflare: the environment variable that holds the API token; this or dns.token_file."),
    key("dns.token_file", Text(Shape::Path), NOT_SET, "digitalocean, cloudflare: the file that holds the API token; mode 0600."),
    key("dns.ttl", Duration("1s", "7d"), Is("\"60s\""), "The TTL that the records get; also the largest TTL that preflight accepts before a switch."),
    key("dns.api_url", Url, Unset("the provider's own"), "digitalocean, cloudflare: the address of the API."),
    key("dns.resolvers", List(Shape::Server), Is("[\"1.1.1.1\", \"8.8.8.8\", \"9.9.9.9\", \"208.67.222.222\"]"), "The public resolvers that are asked what they hold, as addresses with a port or without (53)."),
    key("dns.quorum", Integer(0, 64), Is("3"), "How many of the resolvers must hold the new records before the move has arrived; all of them where there are fewer."),
    key("dns.roots", List(Shape::Server), Is("[]"), "Where the way down to a zone begins; with none, at the root servers of the internet."),
    key("dns.port", Integer(1, 65535), Is("53"), "The port that name servers are asked at; another one than 53 is for a lab."),
    key("dns.timeout", Duration("100ms", "1m"), Is("\"2s\""), "The longest wait for one answer of a name server; each is asked twice."),
    key("dns.interval", Duration("100ms", "10m"), Is("\"10s\""), "The time between two looks of `dns wait`."),
    key("dns.deadline", Duration("1s", "7d"), Is("\"1h\""), "The longest that `dns wait`, and a switch by hand, waits."),
    key("dns.issuers", List(Shape::Host), Is("[\"letsencrypt.org\", \"sectigo.com\"]"), "Who issues certificates, as CAA records name them: the first one, then those it falls back on."),
    key("dns.origin", List(Shape::Ip), Unset("the A and AAAA records"), "The addresses of the new system itself, where its identity and its certificate are asked without DNS."),
    key("dns.http_port", Integer(1, 65535), Is("80"), "The port of HTTP at these addresses; another one than 80 is for a lab."),
    key("dns.https_port", Integer(1, 65535), Is("443"), "The port of HTTPS at these addresses; another one than 443 is for a lab."),
    key("dns.ca_certificate", Text(Shape::Path), Unset("the system's certificates"), "A file of certificates that are believed beside the system's, for a lab or an internal authority."),
    table("dns.record[]", Tables, "A name and the complete set of records that it must have after the switch."),
    key("dns.record[].name", Text(Shape::Owner), Required, "The name, or a wildcard such as *.example.com; none twice."),
    key("dns.record[].A", List(Shape::Ipv4), Is("[]"), "Its IPv4 addresses; with none, no A record may be left behind."),
    key("dns.record[].AAAA", List(Shape::Ipv6), Is("[]"), "Its IPv6 addresses; with none, no AAAA record may be left behind."),
    key("dns.record[].CNAME", Text(Shape::Host), Unset("the name is no alias"), "The name that it is an alias of; excludes A and AAAA."),
    key("dns.record[].proxied", Bool, Is("false"), "Whether the provider answers addresses of its own in the place of A and AAAA, as Cloudflare's proxy does; then it counts who answers at caddy.identity_path, not at which address."),
    key("dns.record[].TXT", List(Shape::Line), Unset("TXT records are not looked at"), "Its TXT records."),
    key("dns.record[].CAA", List(Shape::Line), Unset("CAA records are not looked at"), "Its CAA records, such as \"0 issue \\\"letsencrypt.org\\\"\"."),
    key("dns.record[].HTTPS", List(Shape::ServiceBinding), Unset("an HTTPS record is looked at for its address hints only"), "Its HTTPS records, such as \"1 . alpn=h2,h3 ipv4hint=203.0.113.10\"; with [], none may be left behind. DigitalOcean keeps none."),
    // ---- serve
    table("serve", OptionalTable, "The read-only dashboard and /metrics."),
    key("serve.listen", Text(Shape::Listen), Is("\"127.0.0.1:9180\""), "Where it listens: a loopback address with its port, or unix:/run/cutover/serve.sock."),
    key("serve.hosts", List(Shape::Host), Is("[\"localhost\"]"), "The Host headers that are answered, beside the address itself."),
];
