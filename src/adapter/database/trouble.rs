//! Why a database cannot be reached: each reason with its own words and the next act. Never a password among them.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use rustls::CertificateError;
use tokio_postgres::error::SqlState;

use super::settings::{Mode, Server, shown_server};

/// What kind of reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The password is wrong, or the role is not there; a server does not tell these apart.
    WrongPassword,
    /// The server wants a password and the string holds none.
    NoPassword,
    /// The server's rules do not let this role in from here.
    NotAllowed,
    /// Nothing listens there.
    Refused,
    /// The name has no address.
    UnknownHost,
    /// There is no way to the address.
    Unreachable,
    /// Nobody answered in time.
    TimedOut,
    /// The server takes encrypted connections only.
    WantsTls,
    /// The server has no TLS.
    NoTls,
    /// Who signed the certificate is not known.
    NotTrusted,
    /// The certificate is for another name.
    WrongName,
    /// The certificate's time is over, or has not begun.
    Expired,
    /// The certificates to check against cannot be read.
    NoCertificates,
    /// Encryption failed in another way.
    Handshake,
    /// There is no such database.
    NoDatabase,
    /// There is no connection left.
    TooMany,
    /// The server is starting or stopping.
    NotReady,
    /// It is a transaction pooler, which keeps no session.
    TransactionPooler,
    /// It is read-only where writing is wanted, or the other way round.
    Unsuitable,
    /// Anything else; the server's or the system's own words say it.
    Other,
}

/// A database could not be reached.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to {shown}: {what}")]
pub struct ConnectError {
    /// What kind of reason.
    pub trouble: Trouble,
    /// Which database, as it may be shown.
    pub shown: String,
    /// What is the matter and what to do.
    pub what: String,
}

/// A reason, before it is known of which place.
pub(super) type Reason = (Trouble, String);

/// Whether an address is that of a pooler which gives each transaction another session: nothing of ours would hold there.
pub(super) fn of_pooler(server: &Server) -> Option<Reason> {
    if server.is_socket() || server.is_loopback() || server.port != 6543 {
        return None;
    }
    let what = if is_supabase(&server.host) {
        "port 6543 is Supabase's transaction pooler, which keeps no session, so no snapshot, no lock and no setting would \
         hold; use the session pooler (the same host with port 5432) or the direct address (db.REF.supabase.co:5432)"
    } else {
        "port 6543 is that of a transaction pooler, which keeps no session, so no snapshot, no lock and no setting would \
         hold; use the database's own address (most often port 5432)"
    };
    Some((Trouble::TransactionPooler, what.to_owned()))
}

pub(super) fn of_silence(server: &Server, patience: Duration) -> Reason {
    let what = format!(
        "{} did not answer within {}; is a firewall between, or an address that is not allowed there?{}",
        shown_server(server),
        super::super::clock::spoken(patience),
        hint(server)
    );
    (Trouble::TimedOut, what)
}

/// Reads what the client library says. `mode` is how it was tried.
pub(super) fn of_error(error: &tokio_postgres::Error, server: &Server, mode: Mode) -> Reason {
    if let Some(said) = error.as_db_error() {
        return of_server(said.code(), said.message(), mode);
    }
    let text = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(found) = cause {
        if let Some(found) = found.downcast_ref::<io::Error>() {
            return match found.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(error) => of_tls(error, server),
                None => of_system(found, server),
            };
        }
        cause = found.source();
    }
    match text.as_str() {
        "password missing" => {
            (Trouble::NoPassword, "the server asks for a password and the connection string holds none".into())
        }
        text if text.contains("does not support TLS") => {
            let what = format!(
                "{} has no TLS, and sslmode={} wants it; switch it on there (ssl = on), or write sslmode=disable where the \
                 network between is trusted",
                shown_server(server),
                mode.word()
            );
            (Trouble::NoTls, what)
        }
        _ if error.is_closed() => {
            let what = format!("{} closed the connection; is it a PostgreSQL server that is up?", shown_server(server));
            (Trouble::Other, what)
        }
        text => (Trouble::Other, format!("{error}: {text}")),
    }
}

fn of_server(code: &SqlState, message: &str, mode: Mode) -> Reason {
    let (trouble, act) = match *code {
        SqlState::INVALID_PASSWORD => (Trouble::WrongPassword, "check user and password in the connection string"),
        SqlState::INVALID_CATALOG_NAME => {
            (Trouble::NoDatabase, "check the name after the last / of the connection string")
        }
        SqlState::TOO_MANY_CONNECTIONS => {
            (Trouble::TooMany, "end sessions that are idle, lower data.workers, or raise max_connections")
        }
        SqlState::CANNOT_CONNECT_NOW | SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN => {
            (Trouble::NotReady, "wait until it is up and call again")
        }
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION if message.contains("channel binding check failed") => (
            Trouble::NotTrusted,
            "the certificate that was shown here is not the server's: somebody stands between; ask who, before anything else",
        ),
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION if mode == Mode::Disable && message.contains("pg_hba.conf") => {
            (Trouble::WantsTls, "it may want an encrypted connection: write sslmode=verify-full instead of disable")
        }
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            (Trouble::NotAllowed, "let this role in from this host (pg_hba.conf, or the provider's network settings)")
        }
        _ if message.contains("Tenant or user not found") => (
            Trouble::WrongPassword,
            "at Supabase's pooler the user is postgres.REF, and the host is that of the project's region",
        ),
        _ => (Trouble::Other, "see the server's log"),
    };
    (trouble, format!("the server says: {message} ({}); {act}", code.code()))
}

fn of_system(error: &io::Error, server: &Server) -> Reason {
    let shown = shown_server(server);
    let words = error.to_string();
    let (trouble, what) = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            (Trouble::Refused, format!("nothing listens at {shown}; is the server up, and are host and port right?"))
        }
        io::ErrorKind::NotFound if server.is_socket() => {
            let what = format!("there is no socket in {} for port {}; is the server up?", server.host, server.port);
            (Trouble::Refused, what)
        }
        io::ErrorKind::TimedOut => {
            return (Trouble::TimedOut, format!("{shown} did not answer in time{}", hint(server)));
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => {
            (Trouble::Unreachable, format!("there is no way from this host to {shown} ({words})"))
        }
        io::ErrorKind::PermissionDenied if words.starts_with("database ") => {
            (Trouble::Unsuitable, format!("{words}, and target_session_attrs wants it otherwise"))
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => (
            Trouble::Other,
            format!("{shown} closed the connection; is it a PostgreSQL server that is up, and may this host reach it?"),
        ),
        _ if words.contains("failed to lookup address") || words.contains("resolve any addresses") => {
            (Trouble::UnknownHost, format!("the name {} has no address; is it spelt right?", server.host))
        }
        _ => (Trouble::Other, words),
    };
    (trouble, format!("{what}{}", if trouble == Trouble::Refused { "" } else { hint(server) }))
}

fn of_tls(error: &rustls::Error, server: &Server) -> Reason {
    let host = &server.host;
    let (trouble, what) = match error {
        rustls::Error::InvalidCertificate(fault) => match fault {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                (Trouble::Expired, format!("the certificate of {host} has expired; renew it there"))
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                (Trouble::Expired, format!("the certificate of {host} is not valid yet; is this host's clock right?"))
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
                Trouble::WrongName,
                format!(
                    "the certificate is not for {host} ({fault}); use a name that it is for (subjectAltName counts, the \
                     common name does not), or sslmode=verify-ca to check only who signed it"
                ),
            ),
            _ => (
                Trouble::NotTrusted,
                format!(
                    "the certificate of {host} is not signed by anyone who is believed here ({fault}); name the file of \
                     its authority (ca_certificate in the configuration, or sslrootcert), or write sslmode=require to \
                     encrypt without knowing with whom"
                ),
            ),
        },
        other => (Trouble::Handshake, format!("TLS with {host} failed: {other}")),
    };
    (trouble, what)
}

fn is_supabase(host: &str) -> bool {
    host.ends_with(".supabase.com") || host.ends_with(".supabase.co")
}

/// Supabase's direct address has IPv6 only; most often that is why nothing answers.
fn hint(server: &Server) -> &'static str {
    if server.host.starts_with("db.") && is_supabase(&server.host) {
        "; Supabase's direct address is reached by IPv6 only (unless the IPv4 add-on is there): from a host without IPv6 \
         use the session pooler (REGION.pooler.supabase.com:5432, user postgres.REF)"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(host: &str, port: u16) -> Server {
        Server { host: host.to_owned(), address: None, port }
    }

    #[test]
    fn who_cannot_reach_supabases_direct_address_is_told_of_ipv6() {
        let unknown = io::Error::other("failed to lookup address information: No address associated with hostname");
        let unreachable = io::Error::from(io::ErrorKind::NetworkUnreachable);
        for error in [unknown, unreachable] {
            let (_, words) = of_system(&error, &server("db.abcdefgh.supabase.co", 5432));
            assert!(words.contains("IPv6 only") && words.contains("session pooler"), "{words}");
            let (_, words) = of_system(&error, &server("db.example.com", 5432));
            assert!(!words.contains("IPv6"), "{words}");
        }
    }

    #[test]
    fn a_servers_words_lead_to_the_next_act() {
        let of = |code: &SqlState, message: &str, mode| of_server(code, message, mode).0;
        let rule = SqlState::INVALID_AUTHORIZATION_SPECIFICATION;
        let entry = "no pg_hba.conf entry for host \"10.0.0.1\", user \"u\", database \"d\", no encryption";
        assert_eq!(of(&rule, entry, Mode::Disable), Trouble::WantsTls);
        assert_eq!(of(&rule, entry, Mode::VerifyFull), Trouble::NotAllowed);
        assert_eq!(of(&rule, "SCRAM channel binding check failed", Mode::Require), Trouble::NotTrusted);
        assert_eq!(
            of(&SqlState::CANNOT_CONNECT_NOW, "the database system is starting up", Mode::Disable),
            Trouble::NotReady
        );
        assert_eq!(of(&SqlState::INTERNAL_ERROR, "Tenant or user not found", Mode::Require), Trouble::WrongPassword);
    }
}
