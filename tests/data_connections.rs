//! Reaching a database: connection strings, TLS in every mode, each reason why not in its own words; `data connections`.

#![expect(clippy::disallowed_methods, reason = "tests start servers as a person would")]
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod support;

use cutover::adapter::database::{Assurance, ConnectError, Place, Session, Trouble};
use cutover::secret::Secret;
use support::certificates::{Authority, Keys, show};
use support::cluster::{Cluster, PASSWORD, shared};
use support::live::says;
use support::migration::Migration;
use support::ports::free_port;

fn place(url: &str) -> Place {
    Place::parse(&Secret::new(url.to_owned()), None).unwrap()
}

async fn reach(url: &str) -> Session {
    place(url).connect("cutover").await.unwrap_or_else(|error| panic!("{error:#}"))
}

/// Why a place cannot be reached; the password is never among the words.
async fn trouble(url: &str) -> (Trouble, String) {
    let error = match place(url).connect("cutover").await {
        Ok(_) => panic!("{url} was reached"),
        Err(error) => error,
    };
    assert!(!format!("{error:#} {error:?}").contains(PASSWORD), "{error:#}");
    let error = error.downcast::<ConnectError>().unwrap();
    (error.trouble, error.to_string())
}

#[track_caller]
fn is(found: (Trouble, String), trouble: Trouble, words: &[&str]) {
    assert_eq!(found.0, trouble, "{}", found.1);
    says(&found.1, words);
}

async fn text(session: &Session, question: &str) -> String {
    session.query_one(question, &[]).await.unwrap().get(0)
}

async fn is_encrypted(session: &Session) -> bool {
    text(session, "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()").await == "true"
}

/// A server's address by name and number, with these parameters.
fn address(cluster: &Cluster, host: &str, more: &str) -> String {
    format!("postgresql://postgres:{PASSWORD}@{host}:{}/postgres?hostaddr=127.0.0.1{more}", cluster.port)
}

#[tokio::test]
async fn each_reason_without_tls_has_its_own_words() {
    let cluster = shared();
    let url = cluster.url("postgres");
    let wrong = trouble(&url.replace(PASSWORD, "not-it")).await;
    is(wrong, Trouble::WrongPassword, &["28P01", "check user and password"]);
    is(trouble(&url.replace(&format!(":{PASSWORD}"), "")).await, Trouble::NoPassword, &["asks for a password"]);
    is(trouble(&cluster.url("nowhere")).await, Trouble::NoDatabase, &["\"nowhere\"", "3D000"]);
    let port = free_port();
    let refused = trouble(&format!("postgresql://u:{PASSWORD}@127.0.0.1:{port}/d")).await;
    is(refused, Trouble::Refused, &[&format!("nothing listens at 127.0.0.1:{port}")]);
    let unknown = trouble(&format!("postgresql://u:{PASSWORD}@no-such-host.invalid/d")).await;
    is(unknown, Trouble::UnknownHost, &["no-such-host.invalid has no address"]);
    let encrypted = trouble(&format!("{url}?sslmode=require")).await;
    is(encrypted, Trouble::NoTls, &["has no TLS", "sslmode=require"]);
    let only = format!("{url}?target_session_attrs=read-only");
    is(trouble(&only).await, Trouble::Unsuitable, &["not read only"]);
    cluster.sql("postgres", &format!("CREATE ROLE crowded LOGIN PASSWORD '{PASSWORD}' CONNECTION LIMIT 0"));
    is(trouble(&cluster.url_of("crowded", PASSWORD, "postgres")).await, Trouble::TooMany, &["53300"]);
    let socket = trouble("host=/nonexistent user=u").await;
    is(socket, Trouble::Refused, &["there is no socket in /nonexistent for port 5432"]);
}

#[tokio::test]
async fn a_silent_or_foreign_server_is_not_waited_for_for_ever() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = format!("postgresql://u:{PASSWORD}@127.0.0.1:{port}/d?connect_timeout=2");
    let found = tokio::time::timeout(std::time::Duration::from_secs(60), trouble(&url)).await.expect("it gives up");
    is(found, Trouble::TimedOut, &["did not answer within 2.0 s"]);

    let closing = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = closing.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        loop {
            drop(closing.accept().await.unwrap());
        }
    });
    let found = trouble(&format!("postgresql://u:{PASSWORD}@127.0.0.1:{port}/d")).await;
    is(found, Trouble::Other, &["closed the connection"]);
    server.abort();
}

#[tokio::test]
async fn what_is_no_postgresql_server_is_not_told_to_switch_tls_on() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut question = [0; 8];
            stream.read_exact(&mut question).await.unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        }
    });
    let found = trouble(&format!("postgresql://u:{PASSWORD}@127.0.0.1:{port}/d?sslmode=require")).await;
    is(found, Trouble::Other, &["is no PostgreSQL server", "begins with 'H'", "host and port right"]);
    server.abort();
}

#[tokio::test]
async fn a_transaction_pooler_is_recognised_before_anything_is_sent() {
    for (host, words) in [
        ("aws-0-eu-central-1.pooler.supabase.com", "Supabase's transaction pooler"),
        ("db.abcdefgh.supabase.co", "Supabase's transaction pooler"),
        ("pooler.example.com", "a transaction pooler"),
    ] {
        let found = trouble(&format!("postgresql://postgres.ref:{PASSWORD}@{host}:6543/postgres")).await;
        is(found, Trouble::TransactionPooler, &[words, "5432"]);
    }
    // The session pooler is no such thing: it is tried, and here there is nobody.
    let session =
        format!("postgresql://u:{PASSWORD}@x.pooler.supabase.com:5432/d?hostaddr=127.0.0.1&connect_timeout=2");
    assert_ne!(trouble(&session).await.0, Trouble::TransactionPooler);
}

#[tokio::test]
async fn sockets_several_hosts_and_odd_names_are_reached_as_libpq_would() {
    let cluster = shared();
    let (directory, port) = (cluster.directory.path().display().to_string(), cluster.port);
    let socket =
        reach(&format!("host='{directory}' port={port} user=postgres password={PASSWORD} dbname=postgres")).await;
    assert!(!is_encrypted(&socket).await);
    let encoded = directory.replace('/', "%2F");
    reach(&format!("postgresql://postgres:{PASSWORD}@{encoded}:{port}/postgres")).await;

    let dead = free_port();
    let several = format!("postgresql://postgres:{PASSWORD}@127.0.0.1:{dead},127.0.0.1:{port}/postgres");
    reach(&several).await;

    cluster.sql("postgres", "CREATE ROLE \"o'd:d @/%\" LOGIN PASSWORD 'p@ss:/?#%&=\\ ''x'");
    let odd = "o'd%3Ad%20%40%2F%25:p%40ss%3A%2F%3F%23%25%26%3D%5C%20'x";
    let session = reach(&format!("postgresql://{odd}@localhost:{port}/postgres?options=-c%20work_mem%3D7MB")).await;
    assert_eq!(text(&session, "SELECT current_user::text").await, "o'd:d @/%");
    assert_eq!(text(&session, "SELECT current_setting('work_mem')").await, "7MB");
    let shown = place(&format!("postgresql://{odd}@localhost:{port}/postgres")).with_database("other");
    assert_eq!(shown.shown(), format!("o'd:d @/%@localhost:{port}/other"));
}

#[tokio::test]
async fn libpqs_own_programs_reach_the_same_place_by_variables_and_a_password_file() {
    use std::os::unix::fs::PermissionsExt;
    let cluster = shared();
    cluster.sql("postgres", "CREATE ROLE \"with:colon\" LOGIN PASSWORD 'a:b\\c'");
    let url =
        format!("postgresql://with%3Acolon:a%3Ab%5Cc@127.0.0.1:{}/postgres?options=-c%20work_mem%3D9MB", cluster.port);
    let place = place(&url);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(file.path(), place.passfile().unwrap().expose()).unwrap();
    let output = std::process::Command::new(support::cluster::programs().join("psql"))
        .args(["--no-psqlrc", "-AtX", "-c", "SELECT current_user || ' ' || current_setting('work_mem')"])
        .env_clear()
        .envs(place.variables())
        .env("PGPASSFILE", file.path())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "with:colon 9MB", "{output:?}");
    assert!(place.variables().iter().all(|(_, value)| !value.contains("a:b")));
}

#[tokio::test]
async fn a_certificate_is_believed_for_its_authority_its_name_and_its_time() {
    let cluster = Cluster::new(&["fsync = off"]);
    let (authority, other) = (Authority::new(Keys::Curve("-sha256")), Authority::new(Keys::Curve("-sha256")));
    let ca = format!("&sslrootcert={}", authority.file().display());
    let at = |host: &str, more: &str| address(&cluster, host, more);

    show(&cluster, &authority.sign("DNS:db.example.com,IP:127.0.0.1", 2));
    let session = reach(&at("db.example.com", &format!("{ca}&sslmode=verify-full"))).await;
    assert!(is_encrypted(&session).await && session.assurance() == Assurance::Full);
    // With a file of certificates, verified is what an unwritten mode means, also for this very host.
    let by_file = Place::parse(&Secret::new(cluster.url("postgres")), Some(&authority.file())).unwrap();
    assert_eq!(by_file.sslmode(), "verify-full");
    assert_eq!(by_file.connect("cutover").await.unwrap().assurance(), Assurance::Full);

    let wrong = trouble(&at("db.example.org", &format!("{ca}&sslmode=verify-full"))).await;
    is(wrong, Trouble::WrongName, &["not for db.example.org", "db.example.com", "verify-ca"]);
    let session = reach(&at("db.example.org", &format!("{ca}&sslmode=verify-ca"))).await;
    assert_eq!(session.assurance(), Assurance::Chain);

    let file = format!("&sslmode=verify-ca&sslrootcert={}", other.file().display());
    is(trouble(&at("db.example.com", &file)).await, Trouble::NotTrusted, &["not signed by anyone", "sslrootcert"]);
    let system = trouble(&at("db.example.com", "&sslrootcert=system")).await;
    assert!(matches!(system.0, Trouble::NotTrusted | Trouble::NoCertificates), "{system:?}");
    let missing = trouble(&at("db.example.com", "&sslmode=verify-full&sslrootcert=/nonexistent.pem")).await;
    is(missing, Trouble::NoCertificates, &["/nonexistent.pem cannot be read"]);

    show(&cluster, &authority.sign("DNS:db.example.com", -1));
    for mode in ["verify-full", "verify-ca"] {
        let expired = trouble(&at("db.example.com", &format!("{ca}&sslmode={mode}"))).await;
        is(expired, Trouble::Expired, &["has expired"]);
    }

    // A server's own certificate, signed by nobody else, is believed where that very one is named, and nowhere else.
    let alone = other.self_signed("DNS:db.example.com");
    show(&cluster, &alone);
    let own = format!("&sslrootcert={}", alone.0.display());
    reach(&at("db.example.com", &format!("{own}&sslmode=verify-full"))).await;
    is(
        trouble(&at("x.example.com", &format!("{own}&sslmode=verify-full"))).await,
        Trouble::WrongName,
        &["x.example.com"],
    );
    let foreign = trouble(&at("db.example.com", &format!("{ca}&sslmode=verify-full"))).await;
    is(foreign, Trouble::NotTrusted, &["sslmode=require"]);
}

#[tokio::test]
async fn passwords_are_bound_to_the_certificate_whatever_it_is_signed_with() {
    let cluster = Cluster::new(&["fsync = off"]);
    for keys in [
        Keys::Rsa("-sha256"),
        Keys::Rsa("-sha384"),
        Keys::Rsa("-sha512"),
        Keys::Curve("-sha256"),
        Keys::Curve("-sha384"),
        Keys::Curve("-sha512"),
    ] {
        show(&cluster, &Authority::new(keys).sign("DNS:db.example.com", 2));
        for binding in ["require", "prefer", "disable"] {
            let url = address(&cluster, "db.example.com", &format!("&sslmode=require&channel_binding={binding}"));
            let reached = place(&url).connect("cutover").await;
            assert!(reached.is_ok(), "{keys:?} {binding}: {:#}", reached.err().unwrap());
        }
    }
    // Of Ed25519 the server itself does not know the hash: no binding, and no failure for it.
    show(&cluster, &Authority::new(Keys::Ed25519).sign("DNS:db.example.com", 2));
    reach(&address(&cluster, "db.example.com", "&sslmode=require")).await;
}

#[tokio::test]
async fn every_mode_does_what_its_word_says() {
    let cluster = Cluster::new(&["fsync = off"]);
    show(&cluster, &Authority::new(Keys::Curve("-sha256")).sign("DNS:db.example.com", 2));
    cluster.sql(
        "postgres",
        &format!("CREATE ROLE clear LOGIN PASSWORD '{PASSWORD}'; CREATE ROLE secret LOGIN PASSWORD '{PASSWORD}'"),
    );
    let rules = cluster.directory.path().join("data/pg_hba.conf");
    let text = "local all all scram-sha-256\nhostnossl all clear all scram-sha-256\nhostssl all secret all scram-sha-256\n\
                host all postgres all scram-sha-256\n";
    std::fs::write(&rules, text).unwrap();
    cluster.stop("fast");
    cluster.start();
    let url = |role: &str, mode: &str| format!("{}?sslmode={mode}", cluster.url_of(role, PASSWORD, "postgres"));
    for (role, mode, encrypted) in [
        ("postgres", "disable", false),
        ("postgres", "allow", false),
        ("postgres", "prefer", true),
        ("postgres", "require", true),
        ("clear", "prefer", false),
        ("clear", "allow", false),
        ("secret", "allow", true),
        ("secret", "prefer", true),
    ] {
        let session = reach(&url(role, mode)).await;
        assert_eq!(is_encrypted(&session).await, encrypted, "{role} {mode}");
        assert_eq!(session.assurance(), Assurance::Nothing, "{role} {mode}");
    }
    let wants = trouble(&url("secret", "disable")).await;
    is(wants, Trouble::WantsTls, &["pg_hba.conf", "write sslmode=verify-full"]);
    is(trouble(&url("clear", "require")).await, Trouble::NotAllowed, &["let this role in from this host"]);
    is(trouble(&url("secret", "verify-full")).await, Trouble::NotTrusted, &["sslrootcert"]);
}

#[test]
fn both_sides_are_looked_at_and_what_stands_between_is_told() {
    let cluster = shared();
    let mut migration = Migration::new(&cluster, "look");
    cluster.sql(
        &migration.source,
        "CREATE TABLE profiles (id int PRIMARY KEY, name text); CREATE EXTENSION citext;
         INSERT INTO profiles SELECT i, 'n' FROM generate_series(1, 1000) i; ANALYZE",
    );
    let text = migration.expect(4, &["data", "connections"]);
    says(&text, &["FAIL", "both", "table profiles", "is not in the target", "stand in the way"]);

    cluster.sql(&migration.target, "CREATE TABLE profiles (id int PRIMARY KEY, name text)");
    let text = migration.expect(0, &["data", "connections"]);
    says(
        &text,
        &["PostgreSQL 15", "UTF8", "takes writes", "superuser", "profiles", "~1000", "nothing stands in the way"],
    );
    assert!(!text.contains(PASSWORD), "{text}");

    let (json, code) = migration.json(&["data", "connections"]);
    assert_eq!((code, &json["verdict"], &json["schema"]), (0, &"ok".into(), &"cutover/v1".into()));
    assert_eq!(json["source"]["tables"][0]["rows_estimate"], 1000);
    assert_eq!(json["source"]["server"]["role"]["is_superuser"], true);
    assert_eq!(json["target"]["is_reached"], true);

    migration.set("TARGET_URL", &cluster.url(&migration.source));
    says(&migration.expect(4, &["data", "connections"]), &["one and the same database"]);
    migration.set("TARGET_URL", &cluster.url(&migration.target).replace(PASSWORD, "not-it"));
    let (json, code) = migration.json(&["data", "connections"]);
    assert_eq!((code, &json["verdict"], &json["target"]["is_reached"]), (4, &"fail".into(), &false.into()));
    assert_eq!(json["target"]["concerns"][0]["is_blocking"], true);
    let pooler = format!("postgresql://postgres.ref:{PASSWORD}@aws-0.pooler.supabase.com:6543/postgres");
    migration.set("TARGET_URL", &pooler);
    says(&migration.expect(4, &["data", "connections"]), &["transaction pooler", "5432"]);
    migration.set("TARGET_URL", &format!("postgresql://u:{PASSWORD}@h/d?pgbuncer=1"));
    let text = migration.expect(2, &["data", "connections"]);
    says(&text, &["[target]", "pgbuncer is not known"]);
    assert!(!text.contains(PASSWORD), "{text}");
}

#[test]
fn what_a_freeze_of_ours_puts_on_a_partition_is_no_trigger_of_the_applications() {
    let cluster = shared();
    let migration = Migration::new(&cluster, "guarded");
    let parts = "CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE parts_all PARTITION OF parts DEFAULT";
    cluster.sql(&migration.target, parts);
    cluster.sql(
        &migration.source,
        &format!(
            "{parts}; CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$; \
             CREATE TRIGGER audit AFTER INSERT ON parts_all FOR EACH STATEMENT EXECUTE FUNCTION nothing()"
        ),
    );
    migration.expect(0, &["data", "freeze", "--yes"]);
    let guards = "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'parts_all'::regclass AND NOT tgisinternal";
    assert_eq!(cluster.sql(&migration.source, guards), "2", "the freeze guards the partition itself, too");
    for verb in [&["data", "connections"][..], &["data", "export", "--dry-run"]] {
        let text = migration.expect(0, verb);
        says(&text, &["the trigger audit is of the partition", "parts_all"]);
        assert!(!text.contains("_cutover"), "{text}");
    }
}

#[test]
fn a_plain_owner_may_move_rows_and_is_told_what_it_may_not() {
    let cluster = shared();
    let mut migration = Migration::new(&cluster, "plain");
    cluster.sql("postgres", &format!("CREATE ROLE mover LOGIN PASSWORD '{PASSWORD}'"));
    for database in [&migration.source, &migration.target] {
        cluster.sql("postgres", &format!("ALTER DATABASE \"{database}\" OWNER TO mover"));
        cluster.sql(database, "CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t OWNER TO mover");
    }
    migration.set("SOURCE_URL", &cluster.url_of("mover", PASSWORD, &migration.source));
    migration.set("TARGET_URL", &cluster.url_of("mover", PASSWORD, &migration.target));
    let (json, code) = migration.json(&["data", "connections"]);
    assert_eq!(code, 0, "{json:#}");
    let role = &json["source"]["server"]["role"];
    for (right, expected) in [
        ("is_superuser", false),
        ("can_bypass_row_security", false),
        ("can_replicate", false),
        ("can_create_databases", false),
        ("can_signal_backends", false),
        ("can_create_schemas", true),
        ("is_database_owner", true),
    ] {
        assert_eq!(role[right], expected, "{right}: {role}");
    }
    let text = migration.expect(0, &["data", "connections"]);
    says(&text, &["GRANT pg_signal_backend", "may not pass by row security"]);

    cluster.sql("postgres", &format!("ALTER DATABASE \"{}\" SET default_transaction_read_only = on", migration.target));
    says(&migration.expect(4, &["data", "connections"]), &["sessions begin read-only"]);
    cluster
        .sql("postgres", &format!("ALTER DATABASE \"{}\" SET default_transaction_read_only = off", migration.target));
    cluster.sql(&migration.source, "ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY");
    says(&migration.expect(4, &["data", "connections"]), &["row security hides rows from the role mover"]);
}
