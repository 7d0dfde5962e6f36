//! What can go wrong: hidden rows, locks, a cut connection, a full disk. Whatever it is, nothing claims to be an export.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cutover::adapter::database::Place;
use cutover::secret::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::site::Site;
use crate::support::cluster::PASSWORD;

const LARGE: &str = "CREATE TABLE a (x int); INSERT INTO a VALUES (1);
    CREATE TABLE large (id int, filler text); INSERT INTO large SELECT i, repeat(md5(i::text), 30) FROM generate_series(1, 20000) i;";

fn role(site: &Site, statements: &str) -> Place {
    let name = format!("reader_{}", site.database);
    site.cluster.sql(
        &site.database,
        &format!("CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'; {}", statements.replace("ROLE", &name)),
    );
    Place::parse(&Secret::new(site.cluster.url_of(&name, PASSWORD, &site.database)), None).unwrap()
}

#[tokio::test]
async fn rows_that_row_security_hides_are_an_error_and_no_empty_file() {
    let site = Site::new(
        "CREATE TABLE guarded (id int); INSERT INTO guarded VALUES (1); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY; CREATE TABLE open (id int)",
    );
    let place = role(&site, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO ROLE");
    let error = format!("{:#}", site.export_from(&place, &site.options()).await.unwrap_err());
    assert!(error.contains("table guarded: row security hides rows"), "{error}");
    assert_eq!(site.files(), [""; 0]);
    site.export(&site.options()).await.unwrap();
    assert_eq!(site.rows("guarded"), [b"1".to_vec()]);
}

#[tokio::test]
async fn a_table_that_may_not_be_read_is_named_with_the_statement_that_helps() {
    let site = Site::new("CREATE TABLE secret (id int); CREATE TABLE open (id int)");
    let place = role(&site, "GRANT SELECT ON public.open TO ROLE");
    let error = format!("{:#}", site.export_from(&place, &site.options()).await.unwrap_err());
    assert!(error.contains("table secret: ") && error.contains("GRANT SELECT ON \"public\".\"secret\" TO"), "{error}");
    assert_eq!(site.files(), [""; 0]);
}

#[tokio::test]
async fn a_table_that_is_being_changed_is_waited_for_only_so_long() {
    let site = Site::new(LARGE);
    let other = site.place().connect("other").await.unwrap();
    other.batch_execute("BEGIN; LOCK TABLE public.large IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let error = format!("{:#}", site.export(&site.options()).await.unwrap_err());
    assert!(error.contains("cannot lock the tables"), "{error}");
    assert_eq!(site.files(), [""; 0]);
}

/// Passes bytes on to the server until so many came back; then every connection through it is cut.
async fn cutting_proxy(port: u16, limit: u64) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    let passed = Arc::new(AtomicU64::new(0));
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let passed = Arc::clone(&passed);
            tokio::spawn(async move {
                let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let up = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
                let mut buffer = vec![0; 16 << 10];
                while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
                    if passed.fetch_add(read as u64, Ordering::Relaxed) > limit {
                        break;
                    }
                    if to_client.write_all(&buffer[..read]).await.is_err() {
                        break;
                    }
                }
                up.abort();
            });
        }
    });
    own
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_in_the_middle_leaves_nothing_and_the_next_call_is_whole() {
    let site = Site::new(LARGE);
    site.export(&site.options()).await.unwrap();
    let port = cutting_proxy(site.cluster.port, 5_000_000).await;
    let url = format!("postgresql://postgres:{PASSWORD}@127.0.0.1:{port}/{}", site.database);
    let place = Place::parse(&Secret::new(url), None).unwrap();
    let error = format!("{:#}", site.export_from(&place, &site.options()).await.unwrap_err());
    assert!(error.contains("cannot read the table") && error.contains("connection to the source was lost"), "{error}");
    assert_eq!(site.files(), [""; 0], "the export of before is gone too: it could not be told from a mixture");
    site.export(&site.options()).await.unwrap();
    site.is_whole();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_before_the_directory_is_touched() {
    let site = Site::new(LARGE);
    site.export(&site.options()).await.unwrap();
    let place = Place::parse(&Secret::new("postgresql://a:b@127.0.0.1:1/x".into()), None).unwrap();
    assert!(site.export_from(&place, &site.options()).await.is_err());
    site.is_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_becomes_full_leaves_nothing_and_names_the_file() {
    if !rustix::process::geteuid().is_root() {
        println!("only root can mount a small disk; this test needs one");
        return;
    }
    // The server keeps this in a few kilobytes, so the room looks large enough before.
    let site = Site::new(
        "CREATE TABLE puffed (t text); INSERT INTO puffed SELECT repeat('x', 1000000) FROM generate_series(1, 20)",
    );
    std::fs::create_dir(site.data()).unwrap();
    let mount =
        |words: &[&str]| std::process::Command::new(words[0]).args(&words[1..]).arg(site.data()).status().unwrap();
    if !mount(&["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs"]).success() {
        println!("this host lets nobody mount; this test needs it");
        return;
    }
    let result = site.export(&site.options()).await;
    let files = site.files();
    assert!(mount(&["umount"]).success());
    let error = format!("{:#}", result.unwrap_err());
    assert!(error.contains("puffed.json") && error.contains("No space left on device"), "{error}");
    assert_eq!(files, [""; 0]);
}

#[tokio::test]
async fn a_disk_without_room_is_refused_before_anything_is_read() {
    let site = Site::new(LARGE);
    let small = std::path::Path::new("/sys/kernel");
    let mut options = site.options();
    options.directory = small.join("migration-data");
    let error = format!("{:#}", site.export(&options).await.unwrap_err());
    assert!(error.contains("/sys/kernel has 0 B free, and the tables need about"), "{error}");
}
