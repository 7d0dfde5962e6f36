//! A certificate as it is served: for this name, trusted, and with how much of its life left. Pure; the time is handed in.

use std::net::SocketAddr;

use serde::Serialize;

use super::dns::{Verdict, address, spoken};

/// What is served at an address under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The name that was asked for (SNI).
    pub name: String,
    /// Where.
    pub at: SocketAddr,
    /// Whether the name leads there already; nobody can issue a certificate before that.
    pub is_led_here: bool,
    /// The certificate, or why there is none.
    pub certificate: Result<Certificate, Lack>,
}

/// Why there is no certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// TLS is answered there, but the handshake under this name is refused with this alert.
    NoneForName(String),
    /// Nobody answered TLS, and why.
    Silent(String),
}

/// A certificate.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Certificate {
    /// The names it is for.
    pub names: Vec<String>,
    /// Who issued it.
    pub issuer: String,
    /// From when, in seconds since 1970.
    pub not_before: u64,
    /// Until when, in seconds since 1970.
    pub not_after: u64,
    /// Certificates in the chain that was served.
    pub chain: usize,
    /// Why it is not believed, if it is not.
    pub distrust: Option<String>,
}

/// The judgement.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Picture {
    /// The name.
    pub name: String,
    /// Where.
    pub at: SocketAddr,
    /// How good.
    pub verdict: Verdict,
    /// What was seen.
    pub words: String,
    /// What to do; empty where there is nothing to do.
    pub advice: String,
    /// The certificate, where there is one.
    pub certificate: Option<Certificate>,
}

/// Judges.
pub fn judge(served: &Served, now: u64) -> Picture {
    let (verdict, words, advice) = match &served.certificate {
        Err(Lack::NoneForName(alert)) => none_for_name(alert, served.is_led_here),
        Err(Lack::Silent(why)) => (
            Verdict::Unknown,
            format!("no certificate was served: {why}"),
            "look whether Caddy runs there and the port is open; then ask again".to_owned(),
        ),
        Ok(certificate) => of(&served.name, certificate, now),
    };
    Picture {
        name: served.name.clone(),
        at: served.at,
        verdict,
        words: format!("{} at {}: {words}", served.name, place(served.at)),
        advice,
        certificate: served.certificate.as_ref().ok().cloned(),
    }
}

fn none_for_name(alert: &str, is_led_here: bool) -> (Verdict, String, String) {
    let words = format!("TLS is answered, but there is no certificate for this name (alert {alert})");
    if !is_led_here {
        let advice = "that is how it should be before the switch: nobody issues a certificate for a name that leads elsewhere; \
                      `cutover dns switch` lets Caddy ask for one as soon as it leads here";
        return (Verdict::Warn, words, advice.to_owned());
    }
    let advice = "look in Caddy's log for the answer of the ACME server, and whether the Caddyfile has the name; once the cause is \
                  gone, `caddy reload --force` asks anew at once";
    (Verdict::Fail, words, advice.to_owned())
}

fn place(at: SocketAddr) -> String {
    if at.port() == 443 { at.ip().to_string() } else { address(at) }
}

fn of(name: &str, certificate: &Certificate, now: u64) -> (Verdict, String, String) {
    let issuer = &certificate.issuer;
    if !certificate.names.iter().any(|known| covers(known, name)) {
        let names = certificate.names.join(", ");
        let words = format!("the certificate is for {names}, not for this name");
        let advice = "add the name to the Caddyfile; browsers refuse the page as it is".to_owned();
        return (Verdict::Fail, words, advice);
    }
    if now >= certificate.not_after {
        let words = format!("the certificate of {issuer} ended {} ago", spoken(now - certificate.not_after));
        let advice = "look in Caddy's log why it was not renewed; browsers refuse the page as it is".to_owned();
        return (Verdict::Fail, words, advice);
    }
    if now < certificate.not_before {
        let words = format!("the certificate of {issuer} begins in {}", spoken(certificate.not_before - now));
        return (Verdict::Fail, words, "set the clocks of this host and of the issuer".to_owned());
    }
    if let Some(why) = &certificate.distrust {
        let words = format!("the certificate of {issuer} is not trusted: {why}");
        let advice = match issuer.contains("Caddy Local Authority") {
            true => {
                "Caddy has issued it itself: it has no public one yet. Look in its log for the answer of the ACME server"
            }
            false => "serve the whole chain, from an issuer that browsers know",
        };
        return (Verdict::Fail, words, advice.to_owned());
    }
    let (left, life) = (certificate.not_after - now, certificate.not_after - certificate.not_before);
    let words = format!("certificate of {issuer}, {} left of {}", spoken(left), spoken(life));
    // Caddy renews when a third of the life is left.
    if left < life / 6 {
        let advice =
            "it should have been renewed by now: look in Caddy's log for the answer of the ACME server".to_owned();
        return (Verdict::Warn, words, advice);
    }
    (Verdict::Ok, words, String::new())
}

/// Whether a certificate's name covers another; a wildcard covers one label.
fn covers(known: &str, name: &str) -> bool {
    let (known, name) = (known.to_ascii_lowercase(), name.to_ascii_lowercase());
    let under =
        |known: &str| known.strip_prefix("*.").zip(name.split_once('.')).is_some_and(|(zone, (_, rest))| zone == rest);
    known == name || under(&known)
}

/// What answers where an ACME server would look for its challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The name.
    pub name: String,
    /// Where it was asked, over HTTP.
    pub at: SocketAddr,
    /// Status and the header `Server`; an error says why there is no answer.
    pub answer: Result<(u16, Option<String>), String>,
}

/// Judges whether an ACME challenge over HTTP would reach Caddy.
pub fn judge_challenge(challenge: &Challenge) -> Picture {
    let path = "/.well-known/acme-challenge/";
    let (verdict, words, advice) = match &challenge.answer {
        Err(why) => (
            Verdict::Fail,
            format!("port {} does not answer: {why}", challenge.at.port()),
            "open the port to everybody: without it there is no certificate over HTTP, and no way from http:// to https://",
        ),
        Ok((status, Some(server))) if server.contains("Caddy") => {
            (Verdict::Ok, format!("{path} is answered by Caddy ({status})"), "")
        }
        Ok((status, server)) => {
            let who = server.as_deref().unwrap_or("somebody who does not say who");
            (
                Verdict::Warn,
                format!("{path} is answered by {who} ({status}), not by Caddy"),
                "let Caddy have the port, or hand this path on to it: else the challenge is answered by the wrong one",
            )
        }
    };
    Picture {
        name: challenge.name.clone(),
        at: challenge.at,
        verdict,
        words: format!("{} at {}: {words}", challenge.name, challenge.at),
        advice: advice.to_owned(),
        certificate: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn told(change: impl FnOnce(&mut Certificate)) -> (Verdict, String, String) {
        let mut certificate = Certificate {
            names: vec!["www.example.com".into(), "*.example.org".into()],
            issuer: "E7".into(),
            not_before: 100 * DAY,
            not_after: 190 * DAY,
            chain: 2,
            distrust: None,
        };
        change(&mut certificate);
        of("www.example.com", &certificate, 110 * DAY)
    }

    #[test]
    fn a_certificate_is_judged_by_name_time_and_trust() {
        assert_eq!(told(|_| ()), (Verdict::Ok, "certificate of E7, 80 days left of 90 days".into(), String::new()));
        let (verdict, words, _) = told(|one| one.names = vec!["example.net".into()]);
        assert_eq!((verdict, words.as_str()), (Verdict::Fail, "the certificate is for example.net, not for this name"));
        let (verdict, words, _) = told(|one| one.not_after = 109 * DAY);
        assert_eq!((verdict, words.as_str()), (Verdict::Fail, "the certificate of E7 ended 24 h ago"));
        let (verdict, words, _) = told(|one| one.not_before = 111 * DAY);
        assert_eq!((verdict, words.as_str()), (Verdict::Fail, "the certificate of E7 begins in 24 h"));
        let (verdict, words, advice) = told(|one| {
            one.issuer = "Caddy Local Authority - ECC Intermediate".into();
            one.distrust = Some("unknown issuer".into());
        });
        assert_eq!(verdict, Verdict::Fail);
        assert_eq!(words, "the certificate of Caddy Local Authority - ECC Intermediate is not trusted: unknown issuer");
        assert!(advice.starts_with("Caddy has issued it itself"), "{advice}");
        let (verdict, _, advice) = told(|one| one.not_after = 111 * DAY);
        assert_eq!(verdict, Verdict::Warn);
        assert!(advice.starts_with("it should have been renewed by now"), "{advice}");
    }

    #[test]
    fn no_certificate_is_expected_before_the_switch_and_a_failure_after_it() {
        let told = |is_led_here, certificate| {
            let at = "192.0.2.1:443".parse().unwrap();
            judge(&Served { name: "a.b".into(), at, is_led_here, certificate }, 0).verdict
        };
        assert_eq!(told(false, Err(Lack::NoneForName("InternalError".into()))), Verdict::Warn);
        assert_eq!(told(true, Err(Lack::NoneForName("InternalError".into()))), Verdict::Fail);
        assert_eq!(told(true, Err(Lack::Silent("connection refused".into()))), Verdict::Unknown);
    }

    #[test]
    fn a_wildcard_covers_one_label() {
        assert!(covers("*.example.org", "WWW.example.org") && covers("a.b", "A.b"));
        assert!(!covers("*.example.org", "a.b.example.org") && !covers("*.example.org", "example.org"));
    }

    #[test]
    fn a_challenge_must_be_answered_by_caddy() {
        let at = "192.0.2.1:80".parse().unwrap();
        let told = |answer| judge_challenge(&Challenge { name: "a.b".into(), at, answer });
        assert_eq!(told(Ok((308, Some("Caddy".into())))).verdict, Verdict::Ok);
        assert_eq!(
            told(Ok((404, Some("nginx".into())))).words,
            "a.b at 192.0.2.1:80: /.well-known/acme-challenge/ is answered by nginx (404), not by Caddy"
        );
        assert_eq!(told(Err("connection refused".into())).verdict, Verdict::Fail);
    }
}
