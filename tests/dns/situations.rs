//! The situations: what stands in the zones, what is wanted, and (in expected.txt) every verdict and advice, word for word.
//!
//! `NEW` is 192.0.2.10 and 2001:db8::10, `OLD` is 198.51.100.7 and 2001:db8:dead::7.

use std::fmt::Write;

use cutover::dns::{Memory, Name, survey};
use cutover::judge::dns::seen::{Before, Demand};
use cutover::judge::dns::{Picture, Subject, before_switch, judge};
use futures_util::StreamExt;

use crate::lab::at;
use crate::stage::{CLOSED, MUTE, Stage, TWO, name, stage};

/// Which resolvers ask another server than the first authority.
#[derive(Clone, Copy)]
pub enum Cached {
    Right,
    Two(&'static [usize]),
}

/// Who stands on the panel.
#[derive(Clone, Copy)]
pub enum Panel {
    Caches,
    With(u8),
}

#[derive(Clone, Copy)]
pub struct Situation {
    pub zone: &'static str,
    pub parent: &'static str,
    pub one: &'static str,
    pub two: &'static str,
    pub is_copy_older: bool,
    pub cached: Cached,
    pub panel: Panel,
    pub is_signed: bool,
    pub is_forged: bool,
    /// Its zone is the one of signatures-ended.zone.
    pub has_ended: bool,
    /// The zone as the configuration names it, without `.test`; empty where it does not.
    pub says_zone: &'static str,
    pub wanted: &'static [(&'static str, &'static [&'static str])],
    pub before: Option<(&'static str, &'static [&'static str])>,
    pub asks_ttl: bool,
}

macro_rules! with_both {
    ($lines:expr) => {
        concat!("@ NS ns1\n@ NS ns2\nns1 A 127.53.0.11\nns2 A 127.53.0.12\n", $lines, "\n")
    };
}

const BOTH: &str = "@ NS ns1\n@ NS ns2\nns1 A 127.53.0.11\nns2 A 127.53.0.12\n";
const ONLY_ONE: &str = "@ NS ns1\nns1 A 127.53.0.11\n";
const NEW: &[(&str, &[&str])] = &[("www", &["A 192.0.2.10"])];
const HTTPS: &[(&str, &[&str])] = &[("www", &["A 192.0.2.10", "HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.10"])];
const NEW_WITHOUT_V6: &[(&str, &[&str])] = &[("www", &["A 192.0.2.10", "AAAA"])];

macro_rules! only_one {
    ($lines:expr) => {
        concat!("@ NS ns1\nns1 A 127.53.0.11\n", $lines, "\n")
    };
}

/// One of eight of these does not fit into a packet any more.
macro_rules! long {
    ($sign:literal) => {
        concat!(
            $sign,
            "-0123456789abcdefghijklmnopqrstuvwxyz",
            "-0123456789abcdefghijklmnopqrstuvwxyz",
            "-0123456789abcdefghijklmnopqrstuvwxyz",
            "-0123456789abcdefghijklmnopqrstuvwxyz",
            "-0123456789abcdefghijklmnopqrstuvwxyz"
        )
    };
}

const GOOD: Situation = Situation {
    zone: "",
    parent: BOTH,
    one: with_both!("www A 192.0.2.10"),
    two: "same",
    is_copy_older: false,
    cached: Cached::Right,
    panel: Panel::Caches,
    is_signed: false,
    is_forged: false,
    has_ended: false,
    says_zone: "",
    wanted: NEW,
    before: None,
    asks_ttl: false,
};

/// One authority only, so that the second server can stand for what a resolver still holds.
const ALONE: Situation = Situation { parent: ONLY_ONE, one: only_one!("www A 192.0.2.10"), two: "", ..GOOD };

pub const SITUATIONS: &[Situation] = &[
    // ---- authorities
    Situation { zone: "right", ..GOOD },
    Situation {
        zone: "right-six",
        parent: "@ NS ns1\n@ NS ns2\nns1 A 127.53.0.11\nns2 AAAA ::1\n",
        one: "@ NS ns1\n@ NS ns2\nns1 A 127.53.0.11\nns2 AAAA ::1\nwww A 192.0.2.10\nwww AAAA 2001:db8::10\n",
        two: "",
        wanted: &[("www", &["A 192.0.2.10", "AAAA 2001:db8::10"])],
        ..GOOD
    },
    Situation { zone: "not-switched", one: with_both!("www A 198.51.100.7"), ..GOOD },
    Situation { zone: "one-behind", two: with_both!("www A 198.51.100.7"), is_copy_older: true, ..GOOD },
    Situation { zone: "edited-by-hand", two: with_both!("www A 198.51.100.7"), ..GOOD },
    Situation { zone: "serial-only", two: with_both!("www A 192.0.2.10"), is_copy_older: true, ..GOOD },
    Situation {
        zone: "stale-aaaa",
        one: with_both!("www A 192.0.2.10\nwww AAAA 2001:db8:dead::7"),
        wanted: NEW_WITHOUT_V6,
        ..GOOD
    },
    Situation {
        zone: "stale-aaaa-at-one",
        two: with_both!("www A 192.0.2.10\nwww AAAA 2001:db8:dead::7"),
        is_copy_older: true,
        wanted: NEW_WITHOUT_V6,
        ..GOOD
    },
    Situation {
        zone: "stale-aaaa-cached",
        two: only_one!("www A 192.0.2.10\nwww AAAA 2001:db8:dead::7"),
        cached: Cached::Two(&[2]),
        wanted: NEW_WITHOUT_V6,
        ..ALONE
    },
    Situation {
        zone: "aaaa-missing",
        one: with_both!("www A 192.0.2.10"),
        wanted: &[("www", &["A 192.0.2.10", "AAAA 2001:db8::10"])],
        ..GOOD
    },
    Situation { zone: "old-beside-new", one: with_both!("www A 192.0.2.10\nwww A 198.51.100.7"), ..GOOD },
    Situation { zone: "name-missing", one: with_both!("other A 192.0.2.10"), ..GOOD },
    Situation { zone: "type-missing", one: with_both!("www TXT here"), ..GOOD },
    Situation { zone: "missing-at-one", two: with_both!("other A 192.0.2.10"), is_copy_older: true, ..GOOD },
    Situation { zone: "alias-in-the-way", one: with_both!("www CNAME old\nold A 198.51.100.7"), ..GOOD },
    Situation {
        zone: "apex",
        one: with_both!("@ A 192.0.2.10\n@ AAAA 2001:db8:dead::7"),
        wanted: &[("@", &["A 192.0.2.10", "AAAA"])],
        ..GOOD
    },
    Situation {
        zone: "wildcard",
        one: with_both!("* A 192.0.2.10"),
        wanted: &[("*", &["A 192.0.2.10"]), ("status", &["A 192.0.2.10"])],
        ..GOOD
    },
    Situation {
        zone: "wildcard-shadowed",
        one: with_both!("* A 192.0.2.10\nstatus TXT here"),
        wanted: &[("*", &["A 192.0.2.10"]), ("status", &["A 192.0.2.10"])],
        ..GOOD
    },
    Situation {
        zone: "text",
        one: with_both!("_acme-challenge TXT old-token"),
        wanted: &[("_acme-challenge", &["TXT new-token"])],
        ..GOOD
    },
    Situation {
        zone: "long-text",
        one: with_both!(concat!(
            "big TXT ",
            long!("0"),
            "\nbig TXT ",
            long!("1"),
            "\nbig TXT ",
            long!("2"),
            "\nbig TXT ",
            long!("3"),
            "\nbig TXT ",
            long!("4"),
            "\nbig TXT ",
            long!("5"),
            "\nbig TXT ",
            long!("6"),
            "\nbig TXT ",
            long!("7")
        )),
        wanted: &[(
            "big",
            &[
                concat!("TXT ", long!("0")),
                concat!("TXT ", long!("1")),
                concat!("TXT ", long!("2")),
                concat!("TXT ", long!("3")),
                concat!("TXT ", long!("4")),
                concat!("TXT ", long!("5")),
                concat!("TXT ", long!("6")),
                concat!("TXT ", long!("7")),
            ],
        )],
        ..GOOD
    },
    // ---- servers
    Situation { zone: "lame", two: "", ..GOOD },
    Situation { zone: "expired", two: "broken", ..GOOD },
    Situation {
        zone: "closed",
        parent: "@ NS ns1\n@ NS ns2\nns1 A 127.53.0.11\nns2 A 127.53.0.15\n",
        one: "@ NS ns1\n@ NS ns2\nns1 A 127.53.0.11\nns2 A 127.53.0.15\nwww A 192.0.2.10\n",
        two: "",
        ..GOOD
    },
    Situation {
        zone: "mute",
        parent: "@ NS ns1\n@ NS ns2\nns1 A 127.53.0.11\nns2 A 127.53.0.14\n",
        one: "@ NS ns1\n@ NS ns2\nns1 A 127.53.0.11\nns2 A 127.53.0.14\nwww A 192.0.2.10\n",
        two: "",
        ..GOOD
    },
    Situation {
        zone: "no-tcp",
        parent: "@ NS ns1\n@ NS ns2\nns1 A 127.53.0.11\nns2 A 127.53.0.16\n",
        one: "@ NS ns1\n@ NS ns2\nns1 A 127.53.0.11\nns2 A 127.53.0.16\nwww A 192.0.2.10\n",
        two: "",
        ..GOOD
    },
    Situation {
        zone: "no-address",
        parent: "@ NS ns1\n@ NS gone.test.\nns1 A 127.53.0.11\n",
        one: "@ NS ns1\n@ NS gone.test.\nns1 A 127.53.0.11\nwww A 192.0.2.10\n",
        two: "",
        ..GOOD
    },
    Situation {
        zone: "parent-has-more",
        one: only_one!("www A 192.0.2.10"),
        two: only_one!("www A 192.0.2.10"),
        ..GOOD
    },
    Situation { zone: "parent-has-less", parent: ONLY_ONE, ..GOOD },
    Situation { zone: "glue", parent: "@ NS ns1\n@ NS ns2\nns1 A 127.53.0.11\nns2 A 127.53.0.11\n", ..GOOD },
    Situation { zone: "all-lame", one: "", two: "", ..GOOD },
    // ---- resolvers
    Situation { zone: "cached", two: only_one!("www A 198.51.100.7"), cached: Cached::Two(&[2]), ..ALONE },
    Situation {
        zone: "cached-known",
        two: only_one!("www A 198.51.100.7"),
        cached: Cached::Two(&[2]),
        before: Some(("www A", &["198.51.100.7"])),
        ..ALONE
    },
    Situation { zone: "cached-many", two: only_one!("www A 198.51.100.7"), cached: Cached::Two(&[0, 1]), ..ALONE },
    Situation { zone: "negative", two: only_one!("other A 192.0.2.10"), cached: Cached::Two(&[1, 2]), ..ALONE },
    Situation {
        zone: "rewritten",
        two: only_one!("www A 203.0.113.66"),
        cached: Cached::Two(&[1]),
        before: Some(("www A", &["198.51.100.7"])),
        ..ALONE
    },
    Situation { zone: "unreachable-from-there", cached: Cached::Two(&[2]), ..ALONE },
    Situation { zone: "resolver-silent", panel: Panel::With(CLOSED), ..ALONE },
    Situation { zone: "resolver-late", panel: Panel::With(MUTE), ..ALONE },
    Situation { zone: "resolver-refuses", panel: Panel::With(TWO), ..ALONE },
    Situation { zone: "not-delegated", parent: "", wanted: NEW, ..GOOD },
    Situation {
        zone: "not-handed-on",
        one: with_both!("other A 192.0.2.10"),
        wanted: &[("www.shop", &["A 192.0.2.10"])],
        ..GOOD
    },
    Situation {
        zone: "named-and-not-handed-on",
        one: with_both!("other A 192.0.2.10"),
        wanted: &[("www.shop", &["A 192.0.2.10"])],
        says_zone: "shop.named-and-not-handed-on",
        ..GOOD
    },
    // ---- DNSSEC
    Situation {
        zone: "signed",
        two: "",
        parent: ONLY_ONE,
        one: only_one!("www A 192.0.2.10"),
        is_signed: true,
        ..GOOD
    },
    Situation {
        zone: "forged",
        two: "",
        parent: ONLY_ONE,
        one: only_one!("www A 192.0.2.10"),
        is_signed: true,
        is_forged: true,
        ..GOOD
    },
    Situation { zone: "signatures-ended", one: "signed", two: "", parent: ONLY_ONE, has_ended: true, ..GOOD },
    // ---- aliases
    Situation {
        zone: "alias",
        one: with_both!("www CNAME app\napp A 192.0.2.10"),
        wanted: &[("www", &["CNAME app.alias.test"])],
        ..GOOD
    },
    Situation {
        zone: "alias-elsewhere",
        one: with_both!("www CNAME old\nold A 198.51.100.7\napp A 192.0.2.10"),
        wanted: &[("www", &["CNAME app.alias-elsewhere.test"])],
        ..GOOD
    },
    Situation {
        zone: "alias-to-nothing",
        one: with_both!("www CNAME app"),
        wanted: &[("www", &["CNAME app.alias-to-nothing.test"])],
        ..GOOD
    },
    Situation {
        zone: "alias-chain",
        one: with_both!("www CNAME app\napp CNAME edge\nedge A 192.0.2.10"),
        wanted: &[("www", &["CNAME app.alias-chain.test"])],
        ..GOOD
    },
    Situation {
        zone: "alias-outside",
        one: with_both!("www CNAME app.all-lame.test."),
        wanted: &[("www", &["CNAME app.all-lame.test"])],
        ..GOOD
    },
    Situation {
        zone: "circle",
        one: with_both!("www CNAME app\napp CNAME www"),
        wanted: &[("www", &["CNAME app.circle.test"])],
        ..GOOD
    },
    Situation {
        zone: "long-chain",
        one: with_both!(
            "www CNAME a1\na1 CNAME a2\na2 CNAME a3\na3 CNAME a4\na4 CNAME a5\na5 CNAME a6\na6 CNAME a7\na7 CNAME a8\n\
             a8 CNAME a9\na9 A 192.0.2.10"
        ),
        wanted: &[("www", &["CNAME a1.long-chain.test"])],
        ..GOOD
    },
    Situation {
        zone: "flattened",
        one: with_both!("www A 203.0.113.80"),
        wanted: &[("www", &["CNAME app.example.net"])],
        ..GOOD
    },
    // ---- certificates' issuers, hints
    Situation { zone: "caa-forbids", one: with_both!("www A 192.0.2.10\n@ CAA 0 issue \"digicert.com\""), ..GOOD },
    Situation { zone: "caa-nobody", one: with_both!("www A 192.0.2.10\nwww CAA 0 issue \";\""), ..GOOD },
    Situation {
        zone: "caa-no-fallback",
        one: with_both!("www A 192.0.2.10\n@ CAA 0 issue \"letsencrypt.org\""),
        ..GOOD
    },
    Situation {
        zone: "caa-allows",
        one: with_both!("www A 192.0.2.10\n@ CAA 0 issue \"letsencrypt.org\"\n@ CAA 0 issue \"sectigo.com\""),
        ..GOOD
    },
    Situation {
        zone: "caa-wildcard",
        one: with_both!(
            "* A 192.0.2.10\n@ CAA 0 issue \"letsencrypt.org\"\n@ CAA 0 issue \"sectigo.com\"\n@ CAA 0 issuewild \"digicert.com\""
        ),
        wanted: &[("*", &["A 192.0.2.10"])],
        ..GOOD
    },
    Situation {
        zone: "https-hint",
        one: with_both!("www A 192.0.2.10\nwww TYPE65 \\# 18 0001 00 0001 0003 026832 0004 0004 C6336407"),
        ..GOOD
    },
    Situation {
        zone: "https-right",
        one: with_both!("www A 192.0.2.10\nwww HTTPS 1 . ipv4hint=192.0.2.10 alpn=\"h2,h3\""),
        wanted: HTTPS,
        ..GOOD
    },
    Situation {
        zone: "https-behind",
        one: with_both!("www A 192.0.2.10\nwww HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.10"),
        two: with_both!("www A 192.0.2.10\nwww HTTPS 1 . alpn=h2,h3 ipv4hint=198.51.100.7"),
        is_copy_older: true,
        wanted: HTTPS,
        ..GOOD
    },
    Situation {
        zone: "https-cached",
        one: only_one!("www A 192.0.2.10\nwww HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.10"),
        two: only_one!("www A 192.0.2.10\nwww HTTPS 1 . alpn=h2,h3 ipv4hint=198.51.100.7"),
        cached: Cached::Two(&[2]),
        wanted: HTTPS,
        ..ALONE
    },
    Situation { zone: "https-missing", one: with_both!("www A 192.0.2.10"), wanted: HTTPS, ..GOOD },
    Situation {
        zone: "https-must-go",
        one: with_both!("www A 192.0.2.10\nwww HTTPS 1 . ipv6hint=2001:db8:dead::7"),
        wanted: &[("www", &["A 192.0.2.10", "HTTPS"])],
        ..GOOD
    },
    // ---- before a switch
    Situation { zone: "ttl-long", one: with_both!("www A 198.51.100.7"), asks_ttl: true, ..GOOD },
    Situation { zone: "ttl-low", one: with_both!("www 600 A 198.51.100.7"), asks_ttl: true, ..GOOD },
    Situation {
        zone: "ttl-lowered-late",
        one: only_one!("www 600 A 198.51.100.7"),
        two: only_one!("www 3600 A 198.51.100.7"),
        cached: Cached::Two(&[1]),
        asks_ttl: true,
        ..ALONE
    },
    Situation { zone: "ttl-negative", one: with_both!("other A 192.0.2.10"), asks_ttl: true, ..GOOD },
];

fn demand() -> Demand {
    Demand { quorum: 2, issuers: vec!["letsencrypt.org".into(), "sectigo.com".into()], ttl: 600 }
}

fn names(situation: &Situation) -> Vec<Name> {
    let full = |short: &str| match short {
        "@" => format!("{}.test", situation.zone),
        short => format!("{short}.{}.test", situation.zone),
    };
    situation.wanted.iter().map(|(short, sets)| name(&full(short), sets)).collect()
}

async fn look(stage: &Stage, situation: &Situation, at_seconds: u64) -> (Picture, Vec<Subject>) {
    let mut wish = stage.wish(names(situation));
    if !situation.says_zone.is_empty() {
        wish.zone = Some(format!("{}.test", situation.says_zone));
    }
    if let Panel::With(last) = situation.panel {
        wish.resolvers[2] = at(last, stage.port);
    }
    let mut memory = Memory::default();
    if let Some((key, old)) = situation.before {
        let (short, kind) = key.split_once(' ').unwrap();
        let values = old.iter().map(|value| (*value).to_owned()).collect();
        let before = Before { values, ttl: 3_600, until: Some(at_seconds - 600) };
        let now = ["192.0.2.10".to_owned()].into();
        memory.note(&format!("{short}.{}.test", situation.zone), kind, before, now, 3_600);
    }
    let sight = survey(&wish, &mut memory, at_seconds).await;
    (judge(&sight, &demand()), if situation.asks_ttl { before_switch(&sight, &demand()) } else { Vec::new() })
}

fn told(stage: &Stage, situation: &Situation, picture: &Picture, before: &[Subject]) -> String {
    let mut text = format!("== {}\n", situation.zone);
    let arrived = if picture.has_arrived() { "arrived" } else { "not arrived" };
    let _ = writeln!(
        text,
        "{} · authority {} · caches {} of {} · {arrived}",
        picture.verdict.word(),
        picture.authority,
        picture.caches,
        picture.quorum
    );
    for subject in picture.subjects.iter().chain(before) {
        for finding in &subject.findings {
            let _ = writeln!(text, "{:7} {} [{}] {}", finding.verdict.word(), subject.about, finding.id, finding.words);
            if !finding.advice.is_empty() {
                let _ = writeln!(text, "        → {}", finding.advice);
            }
        }
    }
    text.replace(&format!(":{}", stage.port), "")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_situation_is_judged_and_advised_word_for_word() {
    let stage = stage();
    // A fixed moment: words with a time in them stay the same.
    let at_seconds = 1_795_262_400;
    let looks = SITUATIONS.iter().map(async |situation| {
        let (picture, before) = look(&stage, situation, at_seconds).await;
        keeps_within_its_screen(&picture, &before);
        told(&stage, situation, &picture, &before)
    });
    // Some side by side, and not all: servers on a busy machine answer late, and nobody is to be late but who is meant to be.
    let found = futures_util::stream::iter(looks).buffered(12).collect::<Vec<_>>().await.join("\n");
    let place = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dns/expected.txt");
    let expected = std::fs::read_to_string(place).unwrap();
    if found != expected {
        let actual = concat!(env!("CARGO_TARGET_TMPDIR"), "/dns-found.txt");
        std::fs::write(actual, &found).unwrap();
        let pairs = expected.lines().zip(found.lines()).find(|(one, other)| one != other);
        panic!("what was found stands in {actual}; the first difference is {pairs:#?}");
    }
    assert!(SITUATIONS.len() >= 40);
}

/// What a person reads keeps within a screen of 80 columns, and within one of 40.
fn keeps_within_its_screen(picture: &Picture, before: &[Subject]) {
    for width in [80, 40] {
        let style = cutover::report::Style::plain(width);
        let text = cutover::report::dns::text(picture, &style) + &cutover::report::dns::subjects(before, &style);
        for line in text.lines() {
            // A word that is longer than its place is not cut: it is there to be copied.
            let has_long_word = line.split_whitespace().any(|word| word.chars().count() > width - 13);
            assert!(line.chars().count() <= width || has_long_word, "{width}: {line:?}\n{text}");
        }
    }
}
