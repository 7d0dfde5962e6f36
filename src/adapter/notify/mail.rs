//! E-mail by SMTP: TLS from the first byte (smtps) or by STARTTLS (smtp), one message per recipient.
//!
//! Law: a password never travels in the clear, and neither does a message, except to a host that the configuration names
//! and that offers no TLS (a mail server on this host, say). The name is resolved by the outbound rules.

use std::time::{Duration, UNIX_EPOCH};

use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use url::Url;

use super::{Notice, Severity};
use crate::adapter::outbound::{Outbound, Undelivered, words};
use crate::secret::Secret;

/// The server that takes mail.
#[derive(Clone)]
pub struct Server {
    host: String,
    port: u16,
    /// TLS from the first byte.
    is_wrapped: bool,
    user: Option<String>,
    password: Option<Secret>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Server({}:{})", self.host, self.port)
    }
}

impl Server {
    /// Reads `smtps://USER@HOST:465` or `smtp://USER@HOST:587`; the password is beside it, or in it.
    ///
    /// # Errors
    /// In words, without the address.
    pub fn parse(address: &Secret, password: Option<Secret>) -> Result<Self, String> {
        let url = Url::parse(address.expose().trim()).map_err(|error| format!("the address is not a URL: {error}"))?;
        let (is_wrapped, port) = match url.scheme() {
            "smtps" => (true, 465),
            "smtp" => (false, 587),
            other => {
                return Err(format!(
                    "{other:?} is no way to send mail; write smtps://USER@HOST:465 or smtp://USER@HOST:587"
                ));
            }
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("the address names no host")?;
        let user = decoded(url.username());
        let written = url.password().map(|text| Secret::new(decoded(text)));
        let password = password.or(written);
        if password.is_some() && user.is_empty() {
            return Err("there is a password and no user; write smtps://USER@HOST:465 (an @ in USER as %40)".into());
        }
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(port),
            is_wrapped,
            user: (!user.is_empty()).then_some(user),
            password,
        })
    }
}

/// `%40` is `@`.
fn decoded(text: &str) -> String {
    // A form's rules are a URL's, but for the plus sign.
    let pairs = format!("a={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(pairs.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// E-mail: by which server, from whom, to whom.
#[derive(Clone, Debug)]
pub struct Mail {
    server: Server,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Mail {
    /// Puts it together.
    ///
    /// # Errors
    /// Names the address that is none.
    pub fn new(server: Server, from: &str, to: &[String]) -> Result<Self, String> {
        let mailbox = |text: &str| {
            text.parse::<Mailbox>()
                .map_err(|error| format!("{text:?} is no mail address ({error}); write NAME <USER@HOST>"))
        };
        Ok(Self { server, from: mailbox(from)?, to: to.iter().map(|one| mailbox(one)).collect::<Result<_, _>>()? })
    }

    /// Server and recipients.
    pub fn shown(&self) -> String {
        let to = match &self.to[..] {
            [one] => one.email.to_string(),
            all => format!("{} recipients", all.len()),
        };
        format!("{to} by {}:{}", self.server.host, self.server.port)
    }

    /// Sends one message to each. Those who got theirs are not sent a second one within this call; whoever tries again
    /// sends to all, with the same message id, by which mail programs know that it is the same.
    pub(super) async fn send(&self, outbound: &Outbound, notice: &Notice) -> Result<String, Undelivered> {
        let mut session = self.connect(outbound).await?;
        let mut refused = Vec::new();
        for (number, to) in self.to.iter().enumerate() {
            let message = self.message(notice, number, to).map_err(Undelivered::Refused)?;
            let envelope = Envelope::new(Some(self.from.email.clone()), vec![to.email.clone()])
                .map_err(|error| Undelivered::Refused(error.to_string()))?;
            let sent = self.timed(outbound, session.send(&envelope, &message.formatted())).await;
            match sent {
                Ok(_) => {}
                Err(Undelivered::Refused(why)) => {
                    refused.push(format!("{}: {why}", to.email));
                    if session.has_broken() {
                        session = self.connect(outbound).await?;
                    }
                }
                Err(away) => return Err(away),
            }
        }
        // What was taken was taken, whether or not the good-bye is heard.
        drop(self.timed(outbound, session.quit()).await);
        let (all, missing) = (self.to.len(), refused.len());
        if missing == 0 {
            return Ok(format!(
                "{} took {}",
                self.server.host,
                if all == 1 { "it".into() } else { format!("all {all}") }
            ));
        }
        Err(Undelivered::Refused(format!("{missing} of {all} were refused: {}", refused.join("; "))))
    }

    /// Connects, logs in, and goes.
    pub(super) async fn look(&self, outbound: &Outbound) -> Result<String, Undelivered> {
        let mut session = self.connect(outbound).await?;
        drop(self.timed(outbound, session.quit()).await);
        let login = if self.server.password.is_some() { " and lets us in" } else { "" };
        Ok(format!("{}:{} answers{login}", self.server.host, self.server.port))
    }

    async fn connect(&self, outbound: &Outbound) -> Result<AsyncSmtpConnection, Undelivered> {
        let Server { host, port, is_wrapped, user, password } = &self.server;
        let addresses = outbound.rules().resolve(host, *port).await?;
        let tls = self.tls(outbound)?;
        let hello = ClientId::default();
        let wrapped = is_wrapped.then(|| tls.clone());
        let opened =
            AsyncSmtpConnection::connect_tokio1(&addresses[..], Some(outbound.deadline()), &hello, wrapped, None);
        let mut session = self.timed(outbound, opened).await?;
        if !is_wrapped {
            if session.can_starttls() {
                self.timed(outbound, session.starttls(tls, &hello)).await?;
            } else if password.is_some() || !outbound.rules().is_allowed(host) {
                session.abort().await;
                return Err(Undelivered::Refused(format!(
                    "{host}:{port} offers no TLS (STARTTLS): {}; use smtps, or another port",
                    if password.is_some() {
                        "the password would be read by everybody on the way"
                    } else {
                        "mail would be read on the way"
                    }
                )));
            }
        }
        if let (Some(user), Some(password)) = (user, password) {
            let credentials = Credentials::new(user.clone(), password.expose().to_owned());
            self.timed(outbound, session.auth(&[Mechanism::Plain, Mechanism::Login], &credentials)).await?;
        }
        Ok(session)
    }

    fn tls(&self, outbound: &Outbound) -> Result<TlsParameters, Undelivered> {
        let refuse = |why: String| Undelivered::Refused(why);
        let mut builder = TlsParameters::builder(self.server.host.clone());
        if let Some(path) = &outbound.rules().ca_certificate {
            let pem = std::fs::read(path).map_err(|error| refuse(format!("{}: {error}", path.display())))?;
            let certificate =
                Certificate::from_pem(&pem).map_err(|error| refuse(format!("{}: {error}", path.display())))?;
            builder = builder.add_root_certificate(certificate);
        }
        builder.build().map_err(|error| refuse(format!("TLS cannot be set up: {error}")))
    }

    async fn timed<T>(
        &self,
        outbound: &Outbound,
        work: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
    ) -> Result<T, Undelivered> {
        let (host, deadline) = (&self.server.host, outbound.deadline());
        match tokio::time::timeout(deadline, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(trouble(host, &error)),
            Err(_) => Err(Undelivered::Away(format!(
                "{host} gave no answer within {}",
                crate::adapter::clock::spoken(deadline)
            ))),
        }
    }

    fn message(&self, notice: &Notice, number: usize, to: &Mailbox) -> Result<Message, String> {
        let at = UNIX_EPOCH + Duration::from_millis(u64::try_from(notice.at_ms).unwrap_or(0));
        let domain = self.from.email.domain();
        let mut builder = Message::builder()
            .from(self.from.clone())
            .to(to.clone())
            .subject(notice.title.clone())
            .date(at)
            .message_id(Some(format!("<{}.{number}@{domain}>", notice.id)))
            // Nobody's holiday reply is wanted (RFC 3834).
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("X-Cutover-Event", &notice.event))
            .header(ContentType::TEXT_PLAIN);
        if notice.severity == Severity::Bad {
            builder = builder.raw_header(header("Importance", "high"));
        }
        builder.body(notice.text.clone()).map_err(|error| format!("the message cannot be put together: {error}"))
    }
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// What the server refused for good is not tried again; all else may be.
fn trouble(host: &str, error: &lettre::transport::smtp::Error) -> Undelivered {
    let mut reason: &(dyn std::error::Error + 'static) = error;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    let said = format!("{host}: {}", words(reason));
    if error.is_permanent() || error.is_client() { Undelivered::Refused(said) } else { Undelivered::Away(said) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(address: &str) -> Result<Server, String> {
        Server::parse(&Secret::new(address.into()), None)
    }

    #[test]
    fn an_address_says_how_tls_begins_and_who_logs_in() {
        let found = server("smtps://ann%40example.com:se%2Bcret@mail.example.com").unwrap();
        assert_eq!((found.host.as_str(), found.port, found.is_wrapped), ("mail.example.com", 465, true));
        assert_eq!(found.user.as_deref(), Some("ann@example.com"));
        assert_eq!(found.password.as_ref().map(Secret::expose), Some("se+cret"));
        assert_eq!(format!("{found:?}"), "Server(mail.example.com:465)");
        let found = server("smtp://mail.example.com").unwrap();
        assert_eq!((found.port, found.is_wrapped, found.user), (587, false, None));
        assert!(server("https://mail.example.com").unwrap_err().contains("smtps://"));
        let key = Some(Secret::new("x".into()));
        assert!(Server::parse(&Secret::new("smtps://mail.example.com".into()), key).unwrap_err().contains("no user"));
    }

    #[test]
    fn a_message_is_plain_text_with_an_id_that_stays_the_same() {
        let mail = Mail::new(
            server("smtp://localhost").unwrap(),
            "Cutover <cutover@example.com>",
            &["ann@example.com".into()],
        );
        let mail = mail.unwrap();
        let notice = Notice {
            id: "7-2".into(),
            event: "run_stuck".into(),
            severity: Severity::Bad,
            at_ms: 1_769_126_400_000,
            project: "shop".into(),
            environment: "production".into(),
            title: "shop — stuck".into(),
            text: "What: é\n.\nSee you".into(),
            facts: serde_json::Value::Null,
        };
        let text = String::from_utf8(mail.message(&notice, 0, &mail.to[0]).unwrap().formatted()).unwrap();
        for part in [
            "Message-ID: <7-2.0@example.com>",
            "Date: Fri, 23 Jan 2026 00:00:00",
            "Importance: high",
            "To: ann@example.com",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.is_ascii() && text.contains("=?utf-8?"), "{text}");
    }
}
