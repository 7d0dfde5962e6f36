//! A whole switch of a name that Cloudflare proxies: its addresses stay the provider's own throughout, so that it has moved is
//! known by who answers under the name.

use std::fs;
use std::sync::Arc;

use serde_json::json;

use crate::certificates::{issue, serve_as};
use crate::lab::{at, free_port};
use crate::providers::{Shared, TOKEN, cloudflare, serve};
use crate::verbs::site;

/// The provider's edge, the new system and the old one, by the last number of their addresses.
const EDGE: u8 = 80;
const NEW: u8 = 30;
const OLD: &str = "198.51.100.7";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxied_name_is_switched_proven_by_who_answers_and_brought_back() {
    // What the world sees of the name: the edge, now and for ever.
    let site = site(&format!("www 300 A 127.53.0.{EDGE}\n"));
    let root = site.directory.path().to_owned();
    let https = free_port(&[at(EDGE, 0), at(NEW, 0)]);
    issue(&root, &["www.move.test"]);
    let books = Shared::default();
    let record = json!({ "id": "1", "type": "A", "name": "www.move.test", "content": OLD, "ttl": 1, "proxied": true });
    books.lock().unwrap().records.push(record.clone());
    let api = serve(cloudflare::router(books.clone())).await;
    serve_as(&root, at(NEW, https), Arc::new(|| "move-r2".into())).await;
    // The edge hands on to where the provider's books say.
    let held = books.clone();
    let behind_the_edge = move || {
        let content = held.lock().unwrap().records[0]["content"].clone();
        let is_new = content == format!("127.53.0.{NEW}").as_str();
        if is_new { "move-r2".to_owned() } else { "move-old".to_owned() }
    };
    serve_as(&root, at(EDGE, https), Arc::new(behind_the_edge)).await;
    site.write_secret("token.txt", TOKEN);
    let port = site.port;
    let text = format!(
        "schema = \"cutover/v1\"\n[project]\nname = \"move\"\n[state]\ndirectory = \"state\"\n[caddy]\nurl = \"https://www.move.test/\"\n\
         [dns]\nprovider = \"cloudflare\"\napi_url = \"http://{api}/client/v4\"\ntoken_file = \"token.txt\"\n\
         roots = [\"127.53.0.1:{port}\"]\nresolvers = [\"127.53.0.21:{port}\"]\nquorum = 1\nport = {port}\ntimeout = \"10s\"\n\
         interval = \"200ms\"\ndeadline = \"60s\"\norigin = [\"127.53.0.{NEW}\"]\nhttps_port = {https}\n\
         ca_certificate = \"ca.pem\"\n[[dns.record]]\nname = \"www.move.test\"\nA = [\"127.53.0.{NEW}\"]\nproxied = true\n"
    );
    fs::write(root.join("cutover.toml"), text).unwrap();
    let told = |arguments: &[&str]| {
        let (code, text) = tokio::task::block_in_place(|| site.told(arguments));
        (code, text.split_whitespace().collect::<Vec<_>>().join(" "))
    };

    let (code, text) = told(&["dns", "check"]);
    assert_eq!(code, 4, "{text}");
    assert!(text.contains(&format!("127.53.0.{EDGE} is move-old")), "{text}");
    let (code, text) = told(&["dns", "switch", "--dry-run"]);
    assert!(
        code == 0 && text.contains(&format!("www.move.test A: {OLD} (TTL 1 s) → 127.53.0.{NEW} (TTL 1 s)")),
        "{text}"
    );
    assert_eq!(books.lock().unwrap().records, std::slice::from_ref(&record), "a dry run changes nothing");

    let (code, text) = told(&["dns", "switch", "--yes"]);
    assert_eq!(code, 0, "{text}");
    for words in ["COMPLETE", "each name is served with a good certificate"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let now = books.lock().unwrap().records.clone();
    let moved = json!({ "content": format!("127.53.0.{NEW}"), "ttl": 1, "proxied": true });
    assert!(["content", "ttl", "proxied"].iter().all(|key| now[0][*key] == moved[*key]), "{now:?}");
    assert_eq!(site.dig(11, "www.move.test", "A"), format!("300 127.53.0.{EDGE}"), "outside nothing shows it");
    let (code, text) = told(&["dns", "check"]);
    assert!(code == 0 && text.contains("who answers there is the new system (move-r2)"), "{code}: {text}");
    assert_eq!(told(&["dns", "wait"]).0, 0);

    let (code, text) = told(&["rollback", "--yes"]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(books.lock().unwrap().records, [record], "address, TTL and proxy are back");
    assert_eq!(told(&["dns", "check"]).0, 4, "the old system answers under the name again");
}
