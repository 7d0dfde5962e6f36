//! Certificates as they are served, who answers the ACME challenge, and flattened aliases, whose addresses say nothing.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use cutover::dns::certificate::{challenge, look};
use cutover::dns::{Memory, Name, Origin, Wish, survey};
use cutover::judge::certificate::{judge, judge_challenge};
use cutover::judge::dns::seen::Demand;
use cutover::judge::dns::{Verdict, judge as judge_names};
use cutover::step::Answer;
use cutover::step::expect_certificate::ExpectCertificate;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::lab::{ZoneFile, at, free_port, knot, output};
use crate::stage::name;

/// An authority of its own, and a certificate of it for these names.
pub fn issue(directory: &Path, names: &[&str]) {
    let file = |name: &str| directory.join(name).display().to_string();
    let openssl = |arguments: &[&str]| output("/usr/bin/openssl", arguments, "");
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let (ca_key, ca) = (file("ca.key"), file("ca.pem"));
    let mut authority =
        vec!["req", "-x509", "-keyout", &ca_key, "-out", &ca, "-subj", "/CN=Lab Authority", "-days", "30"];
    authority.extend(key);
    openssl(&authority);
    let (leaf_key, request, leaf, extensions) = (file("leaf.key"), file("leaf.csr"), file("leaf.pem"), file("names"));
    let all: Vec<String> = names.iter().map(|name| format!("DNS:{name}")).collect();
    fs::write(&extensions, format!("subjectAltName={}\nbasicConstraints=CA:FALSE\n", all.join(","))).unwrap();
    let mut asked = vec!["req", "-keyout", &leaf_key, "-out", &request, "-subj", "/CN=lab"];
    asked.extend(key);
    openssl(&asked);
    openssl(&[
        "x509",
        "-req",
        "-in",
        &request,
        "-CA",
        &ca,
        "-CAkey",
        &ca_key,
        "-CAcreateserial",
        "-days",
        "20",
        "-extfile",
        &extensions,
        "-out",
        &leaf,
    ]);
}

/// Answers every request over TLS with who it is.
async fn serve(directory: &Path, address: SocketAddr, identity: &'static str) -> SocketAddr {
    serve_as(directory, address, Arc::new(move || identity.to_owned())).await
}

/// The same, where who it is can change.
pub async fn serve_as(
    directory: &Path,
    address: SocketAddr,
    identity: Arc<dyn Fn() -> String + Send + Sync>,
) -> SocketAddr {
    let read = |name: &str| fs::read(directory.join(name)).unwrap();
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&read("leaf.pem")).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(&read("leaf.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, identity) = (acceptor.clone(), identity());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let _ = stream.read(&mut [0; 4096]).await;
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{identity}",
                    identity.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    address
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test]
async fn a_served_certificate_is_judged_by_name_trust_and_time() {
    let directory = tempfile::tempdir().unwrap();
    issue(directory.path(), &["www.move.test", "*.wild.test"]);
    let address = serve(directory.path(), "127.0.0.1:0".parse().unwrap(), "new").await;
    let ca = directory.path().join("ca.pem");
    let told = async |name: &str, ca: Option<&Path>, at: SocketAddr| {
        let picture = judge(&look(name, at, ca).await.unwrap(), now());
        let place = format!("{name} at {at}: ");
        (picture.verdict, picture.words.replace(&place, ""), picture.advice)
    };
    let good = told("www.move.test", Some(&ca), address).await;
    assert_eq!(good, (Verdict::Ok, "certificate of Lab Authority, 20 days left of 20 days".into(), String::new()));
    let (verdict, words, advice) = told("www.move.test", None, address).await;
    assert_eq!(verdict, Verdict::Fail);
    assert_eq!(words, "the certificate of Lab Authority is not trusted: nobody that this host believes has issued it");
    assert_eq!(advice, "serve the whole chain, from an issuer that browsers know");
    let (verdict, words, _) = told("api.move.test", Some(&ca), address).await;
    assert_eq!(
        (verdict, words.as_str()),
        (Verdict::Fail, "the certificate is for www.move.test, *.wild.test, not for this name")
    );
    let wild = judge(&look("*.wild.test", address, Some(&ca)).await.unwrap(), now());
    assert_eq!((wild.verdict, wild.name.as_str()), (Verdict::Ok, "cutover.wild.test"));
    let (verdict, words, _) = told("www.move.test", Some(&ca), "127.0.0.1:1".parse().unwrap()).await;
    assert_eq!((verdict, words.as_str()), (Verdict::Unknown, "no certificate was served: connection refused"));
}

#[tokio::test]
async fn the_gate_passes_only_what_is_good_and_calls_silence_unknown() {
    let directory = tempfile::tempdir().unwrap();
    issue(directory.path(), &["www.move.test"]);
    let address = serve(directory.path(), "127.0.0.1:0".parse().unwrap(), "new").await;
    let gate = |names: &[&str], port, ca: bool| ExpectCertificate {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        addresses: vec![address.ip()],
        port,
        ca_certificate: ca.then(|| directory.path().join("ca.pem")),
        interval_ms: 10,
        deadline_s: 0,
    };
    let ask = async |gate: ExpectCertificate| gate.ask(&|_| ()).await.unwrap().answer;
    assert_eq!(ask(gate(&["www.move.test"], address.port(), true)).await, Answer::Passed);
    assert_eq!(ask(gate(&["www.move.test"], address.port(), false)).await, Answer::Refused);
    assert_eq!(ask(gate(&["www.move.test", "api.move.test"], address.port(), true)).await, Answer::Refused);
    assert_eq!(ask(gate(&["www.move.test"], 1, true)).await, Answer::Unknown);
}

#[tokio::test]
async fn an_acme_challenge_must_reach_caddy() {
    let answer = |server: &'static str| {
        axum::Router::new().fallback(async move || ([("server", server)], http::StatusCode::PERMANENT_REDIRECT))
    };
    let serve = async |router: axum::Router| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        address
    };
    let told = async |at: SocketAddr| {
        let picture = judge_challenge(&challenge("www.move.test", at).await);
        (picture.verdict, picture.words.replace(&format!("www.move.test at {at}: "), ""))
    };
    let caddy = serve(answer("Caddy")).await;
    assert_eq!(told(caddy).await, (Verdict::Ok, "/.well-known/acme-challenge/ is answered by Caddy (308)".into()));
    let nginx = serve(answer("nginx")).await;
    assert_eq!(
        told(nginx).await,
        (Verdict::Warn, "/.well-known/acme-challenge/ is answered by nginx (308), not by Caddy".into())
    );
    assert_eq!(
        told("127.0.0.1:1".parse().unwrap()).await,
        (Verdict::Fail, "port 1 does not answer: connection refused".into())
    );
}

#[tokio::test]
async fn a_flattened_alias_is_known_by_who_answers_not_by_its_address() {
    let addresses: Vec<SocketAddr> = [1, 2, 11, 30, 31, 32].iter().map(|last| at(*last, 0)).collect();
    let (port, https) = (free_port(&addresses), free_port(&addresses));
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    issue(root, &["same.flat.test", "other.flat.test", "gone.flat.test", "cloud.flat.test", "stale.flat.test"]);
    let zone = |name: &str, lines: &str| format!("$ORIGIN {name}\n$TTL 300\n@ SOA ns1 admin 1 3600 1 86400 5\n{lines}");
    let _daemons = [
        knot(
            root,
            "root",
            at(1, port),
            &[ZoneFile::new("", zone(".", "@ NS ns.test.\ntest. NS ns.test.\nns.test. A 127.53.0.2\n"))],
            "",
        ),
        knot(
            root,
            "parent",
            at(2, port),
            &[ZoneFile::new(
                "test",
                zone("test.", "@ NS ns\nns A 127.53.0.2\nflat NS ns1.flat\nns1.flat A 127.53.0.11\n"),
            )],
            "",
        ),
        knot(
            root,
            "one",
            at(11, port),
            &[ZoneFile::new(
                "flat.test",
                zone(
                    "flat.test.",
                    "@ NS ns1\nns1 A 127.53.0.11\nsame A 127.53.0.30\nother A 127.53.0.31\ngone A 127.53.0.2\n\
                     cloud A 127.53.0.32\nstale A 127.53.0.31\n",
                ),
            )],
            "",
        ),
    ];
    serve(root, at(30, https), "freshtrack-r12").await;
    serve(root, at(31, https), "freshtrack-old").await;
    // A provider's proxy, which hands on to the new system.
    serve(root, at(32, https), "freshtrack-r12").await;
    let wish = |names: Vec<Name>| Wish {
        names,
        zone: None,
        resolvers: Vec::new(),
        roots: vec![at(1, port)],
        port,
        timeout: std::time::Duration::from_secs(10),
        origin: Origin {
            addresses: vec![at(30, 0).ip()],
            https_port: https,
            http_port: 80,
            identity_path: "/.well-known/cutover-id".into(),
            ca_certificate: Some(root.join("ca.pem")),
        },
    };
    let names = ["same", "other", "gone"].map(|short| name(&format!("{short}.flat.test"), &["CNAME app.example.net"]));
    let sight = survey(&wish(names.to_vec()), &mut Memory::default(), now()).await;
    let picture = judge_names(&sight, &Demand { quorum: 0, issuers: Vec::new(), ttl: 60 });
    let told: Vec<(Verdict, String, String)> = picture
        .subjects
        .iter()
        .flat_map(|subject| &subject.findings)
        .filter(|finding| finding.id == "flattening")
        .map(|finding| (finding.verdict, finding.words.clone(), finding.advice.clone()))
        .collect();
    let told: Vec<(Verdict, &str, &str)> =
        told.iter().map(|(verdict, words, advice)| (*verdict, words.as_str(), advice.as_str())).collect();
    assert_eq!(
        told,
        [
            (
                Verdict::Ok,
                "the provider answers addresses (127.53.0.30) in the place of the alias to app.example.net; who answers there is the \
                 new system (freshtrack-r12)",
                ""
            ),
            (
                Verdict::Fail,
                "the provider answers addresses (127.53.0.31) in the place of the alias to app.example.net; they do not lead to the \
                 new system (freshtrack-r12): 127.53.0.31 is freshtrack-old",
                "correct the origin at the provider, and its cache: the old system answers under the name"
            ),
            (
                Verdict::Unknown,
                "the provider answers addresses (127.53.0.2) in the place of the alias to app.example.net; they do not lead to the \
                 new system (freshtrack-r12): 127.53.0.2: connection refused",
                "before the switch that is to be expected; after it ask again, and if it stays so, look at the provider's own \
                 status and at the new system"
            ),
        ]
    );
    let right: Vec<bool> =
        picture.subjects.iter().filter_map(|subject| subject.authority).map(|count| count.is_full()).collect();
    assert_eq!(right, [true, false, false]);

    // Addresses that a provider proxies: who answers counts, at whichever address, and there may be any of them.
    let proxied =
        |short: &str| Name { is_proxied: true, ..name(&format!("{short}.flat.test"), &["A 127.53.0.30", "AAAA"]) };
    let demand = Demand { quorum: 0, issuers: Vec::new(), ttl: 60 };
    for (short, is_right, words) in [
        (
            "cloud",
            true,
            "the provider answers addresses (127.53.0.32) in the place of 127.53.0.30; who answers there is the new system \
             (freshtrack-r12)",
        ),
        (
            "stale",
            false,
            "the provider answers addresses (127.53.0.31) in the place of 127.53.0.30; they do not lead to the new system \
             (freshtrack-r12): 127.53.0.31 is freshtrack-old",
        ),
    ] {
        let sight = survey(&wish(vec![proxied(short)]), &mut Memory::default(), now()).await;
        let picture = judge_names(&sight, &demand);
        assert_eq!(picture.has_arrived(), is_right, "{picture:#?}");
        assert!(
            picture.subjects.iter().flat_map(|subject| &subject.findings).any(|one| one.words == words),
            "{picture:#?}"
        );
        // The same without being told that it is proxied: the addresses are wrong.
        let plain = Name { is_proxied: false, ..proxied(short) };
        assert!(!judge_names(&survey(&wish(vec![plain]), &mut Memory::default(), now()).await, &demand).has_arrived());
    }
}
