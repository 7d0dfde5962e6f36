//! The way out for notices: https, no redirects, no proxy, and no address that only this host or its network can reach.
//!
//! Law: a name is resolved once, its addresses are judged, and one of those is connected to: what was judged is what is
//! asked. Plain http and private addresses are for hosts that the configuration names. No error holds a path or a query:
//! the addresses of webhooks are secrets.

mod address;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result};
use url::{Host, Url};

pub use address::{Reach, reach};

use crate::secret::Secret;

/// The most that is read of an answer's body, in bytes.
const LONGEST_BODY: usize = 64 * 1024;

/// Where requests may go.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Hosts that may have loopback or private addresses, and may be asked without TLS.
    pub allowed: Vec<String>,
    /// Certificates that are believed beside the system's.
    pub ca_certificate: Option<PathBuf>,
}

/// Why something was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// The rules, or what was configured, stand against it: another try changes nothing.
    #[error("{0}")]
    Refused(String),
    /// Nobody answered, or what answered may answer otherwise soon.
    #[error("{0}")]
    Away(String),
}

impl Rules {
    /// Whether a host is named in the configuration.
    pub fn is_allowed(&self, host: &str) -> bool {
        let plain = |name: &str| name.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        self.allowed.iter().any(|name| plain(name) == plain(host))
    }

    /// Judges the addresses of a host, all of them: a name with a good and a bad one is not to be trusted.
    ///
    /// # Errors
    /// [`Undelivered::Refused`] names the first address that it may not go to, and why.
    pub fn judge(&self, host: &str, addresses: &[IpAddr]) -> Result<(), Undelivered> {
        for address in addresses {
            let found = reach(*address);
            let is_meant = match found {
                Reach::Public => true,
                // A name that is allowed can still be pointed there; only who writes the address itself means it.
                Reach::LinkLocal => self.is_allowed(&address.to_string()) && host.contains(&address.to_string()),
                Reach::Loopback | Reach::Private => self.is_allowed(host),
                Reach::Nowhere => false,
            };
            if !is_meant {
                let advice = match found {
                    Reach::Nowhere => "correct the name or the address".to_owned(),
                    Reach::LinkLocal => "such addresses hold the credentials of cloud machines".to_owned(),
                    _ => format!("if that is meant, add {host:?} to notify.allow_hosts"),
                };
                let word = found.word();
                return Err(Undelivered::Refused(format!("{host} is {address}, {word}; nothing was sent; {advice}")));
            }
        }
        Ok(())
    }

    /// Resolves a host once and judges what was found.
    ///
    /// # Errors
    /// When the name has no address, or one that is not allowed.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Undelivered> {
        let plain = host.trim_matches(['[', ']']);
        let found = tokio::net::lookup_host((plain, port)).await;
        let found: Vec<SocketAddr> = match found {
            Ok(found) => found.collect(),
            Err(error) => return Err(Undelivered::Away(format!("{host} has no address: {}", words(&error)))),
        };
        let addresses: Vec<IpAddr> = found.iter().map(SocketAddr::ip).collect();
        self.judge(plain, &addresses)?;
        Ok(found)
    }

    /// Judges an address before anything is resolved: its scheme, and its host where that is a number.
    fn admit(&self, url: &Url) -> Result<(), Undelivered> {
        let host = url.host().ok_or_else(|| Undelivered::Refused("the address names no host".into()))?;
        let name = host.to_string();
        match url.scheme() {
            "https" => {}
            "http" if self.is_allowed(&name) => {}
            "http" => {
                let why = format!(
                    "{name} would be asked without TLS; use https, or add {name:?} to notify.allow_hosts if it is in \
                     your own network"
                );
                return Err(Undelivered::Refused(why));
            }
            other => return Err(Undelivered::Refused(format!("{other:?} is no way to {name}; use https"))),
        }
        match host {
            Host::Ipv4(address) => self.judge(&address.to_string(), &[IpAddr::V4(address)]),
            Host::Ipv6(address) => self.judge(&address.to_string(), &[IpAddr::V6(address)]),
            Host::Domain(_) => Ok(()),
        }
    }
}

/// How it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Reads.
    Get,
    /// Adds.
    Post,
    /// Replaces.
    Put,
}

/// A request. Its address, headers and body are never printed.
pub struct Sending<'a> {
    /// How.
    pub verb: Verb,
    /// Where to.
    pub url: &'a Url,
    /// Headers beside those that every request has.
    pub headers: &'a [(&'static str, Secret)],
    /// The kind of body, and the body.
    pub body: Option<(&'static str, Vec<u8>)>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Status code.
    pub status: u16,
    /// The beginning of its body.
    pub body: String,
}

/// Sends; cheap to clone. The client is made when it is needed first.
#[derive(Clone)]
pub struct Outbound {
    rules: Arc<Rules>,
    client: Arc<OnceLock<reqwest::Client>>,
    deadline: Duration,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Outbound").field("rules", &self.rules).field("deadline", &self.deadline).finish()
    }
}

/// Resolves for the client; it connects to what was judged.
struct Guard(Arc<Rules>);

impl reqwest::dns::Resolve for Guard {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let rules = self.0.clone();
        Box::pin(async move {
            let found = rules.resolve(name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

impl Outbound {
    /// Prepares; `deadline` is for one exchange.
    pub fn new(rules: Rules, deadline: Duration) -> Self {
        Self { rules: Arc::new(rules), client: Arc::default(), deadline }
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The longest exchange.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    fn client(&self) -> Result<&reqwest::Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let made = make(&self.rules)?;
        Ok(self.client.get_or_init(|| made))
    }

    /// Sends once and reads the answer.
    ///
    /// # Errors
    /// When the rules refuse it, or there is no whole answer in time. A status is no error.
    pub async fn send(&self, sending: Sending<'_>) -> Result<Answered, Undelivered> {
        self.rules.admit(sending.url)?;
        let client = self.client().map_err(|error| Undelivered::Refused(format!("{error:#}")))?;
        let host = sending.url.host_str().unwrap_or_default().to_owned();
        let verb = match sending.verb {
            Verb::Get => reqwest::Method::GET,
            Verb::Post => reqwest::Method::POST,
            Verb::Put => reqwest::Method::PUT,
        };
        let mut request = client.request(verb, sending.url.clone());
        for (name, value) in sending.headers {
            let mut header = reqwest::header::HeaderValue::from_str(value.expose())
                .map_err(|_| Undelivered::Refused(format!("the value of {name} has signs that no header may have")))?;
            header.set_sensitive(true);
            request = request.header(*name, header);
        }
        if let Some((kind, body)) = sending.body {
            request = request.header(reqwest::header::CONTENT_TYPE, kind).body(body);
        }
        match tokio::time::timeout(self.deadline, exchange(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(trouble(&host, &error)),
            Err(_) => {
                let late = super::clock::spoken(self.deadline);
                Err(Undelivered::Away(format!("{host} gave no answer within {late}")))
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "its own client: names are resolved and judged here")]
fn make(rules: &Arc<Rules>) -> Result<reqwest::Client> {
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .pool_max_idle_per_host(0)
        .dns_resolver(Arc::new(Guard(rules.clone())))
        .user_agent(concat!("cutover/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = &rules.ca_certificate {
        let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        for certificate in reqwest::Certificate::from_pem_bundle(&pem).with_context(|| path.display().to_string())? {
            client = client.add_root_certificate(certificate);
        }
    }
    client.build().context("cannot make the HTTP client for notices")
}

async fn exchange(request: reqwest::RequestBuilder) -> Result<Answered, reqwest::Error> {
    let mut response = request.send().await?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        body.extend_from_slice(&piece);
        if body.len() > LONGEST_BODY {
            body.truncate(LONGEST_BODY);
            break;
        }
    }
    Ok(Answered { status, body: String::from_utf8_lossy(&body).into_owned() })
}

/// The innermost reason: the one that a person can act on, and the one that holds no address.
fn trouble(host: &str, error: &reqwest::Error) -> Undelivered {
    let mut reason: &(dyn std::error::Error + 'static) = error;
    loop {
        if let Some(ours) = reason.downcast_ref::<Undelivered>() {
            return ours.clone();
        }
        let Some(inner) = reason.source() else { break };
        reason = inner;
    }
    Undelivered::Away(format!("{host}: {}", words(reason)))
}

/// Without the number of the system, which helps nobody at night.
pub(super) fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let words = error.to_string();
    words.split(" (os error").next().unwrap_or(&words).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allowed: &[&str]) -> Rules {
        Rules { allowed: allowed.iter().map(|&name| name.to_owned()).collect(), ca_certificate: None }
    }

    fn admitted(allowed: &[&str], url: &str) -> Result<(), Undelivered> {
        rules(allowed).admit(&Url::parse(url).unwrap())
    }

    #[test]
    fn https_goes_out_and_http_only_to_a_host_that_is_named() {
        assert!(admitted(&[], "https://hooks.example.com/services/a").is_ok());
        assert!(admitted(&[], "http://hooks.example.com/services/a").is_err());
        assert!(admitted(&["kuma"], "http://kuma:3001/api/push/a").is_ok());
        assert!(admitted(&["kuma"], "ftp://kuma/a").is_err());
        let said = admitted(&[], "http://hooks.example.com/services/SECRET").unwrap_err().to_string();
        assert!(!said.contains("SECRET") && said.contains("notify.allow_hosts"), "{said}");
    }

    #[test]
    fn a_number_for_this_host_is_seen_through_however_it_is_written() {
        for url in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://169.254.169.254/latest/meta-data/",
            "https://0.0.0.0/",
        ] {
            assert!(matches!(admitted(&[], url), Err(Undelivered::Refused(_))), "{url}");
        }
        assert!(admitted(&["127.0.0.1"], "http://127.0.0.1:9091/").is_ok());
    }

    #[test]
    fn an_allowed_name_may_be_private_but_not_the_metadata_of_a_cloud() {
        let rules = rules(&["ntfy.internal"]);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(rules.judge("NTFY.internal.", &[address("10.1.2.3")]).is_ok());
        assert!(rules.judge("ntfy.internal", &[address("169.254.169.254")]).is_err());
        assert!(rules.judge("other.internal", &[address("10.1.2.3")]).is_err());
        let mixed = [address("93.184.216.34"), address("10.1.2.3")];
        assert!(rules.judge("example.com", &mixed).is_err(), "one bad address spoils the name");
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_host_is_refused_before_anything_is_sent() {
        let outbound = Outbound::new(rules(&[]), Duration::from_secs(5));
        let url = Url::parse("https://localhost:1/secret-path").unwrap();
        let refused =
            outbound.send(Sending { verb: Verb::Get, url: &url, headers: &[], body: None }).await.unwrap_err();
        assert!(matches!(&refused, Undelivered::Refused(why) if why.contains("this host itself")), "{refused}");
        assert!(!refused.to_string().contains("secret-path"), "{refused}");
    }
}
