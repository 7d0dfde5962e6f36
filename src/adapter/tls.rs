//! A handshake that believes nobody: it records the chain that is served under a name, and asks afterwards whether it would
//! have been believed.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;

use super::x509::{self, Leaf};

/// What was served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The server's own certificate.
    pub leaf: Leaf,
    /// Certificates that were served.
    pub length: usize,
    /// Why it would not have been believed, if so. The name and the time are judged by whoever asks.
    pub distrust: Option<String>,
}

/// Why nothing was served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nothing {
    /// TLS is spoken there, and the handshake under this name was refused with this alert.
    Refused(String),
    /// Nobody spoke TLS.
    Silent(String),
}

/// Shakes hands under a name at an address. The outer error is ours, the inner one the world's.
///
/// # Errors
/// When the file of certificates cannot be read, or the name is none.
pub async fn served(
    name: &str,
    at: SocketAddr,
    ca_certificate: Option<&Path>,
    deadline: Duration,
) -> Result<Result<Chain, Nothing>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let recorder = Arc::new(Recorder { provider: provider.clone(), seen: Mutex::default() });
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(recorder.clone())
        .with_no_client_auth();
    let server =
        ServerName::try_from(name.to_owned()).map_err(|_| anyhow!("{name:?} cannot be asked for a certificate"))?;
    let exchange = async {
        let stream = TcpStream::connect(at).await.map_err(|error| plainly(&error))?;
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        connector.connect(server.clone(), stream).await.map_err(|error| plainly(&error)).map(|_| ())
    };
    let shaken = match tokio::time::timeout(deadline, exchange).await {
        Ok(shaken) => shaken,
        Err(_) => Err(Nothing::Silent(format!("no answer within {}", super::clock::spoken(deadline)))),
    };
    let chain = recorder.seen.lock().map(|seen| seen.clone()).unwrap_or_default();
    let Some((leaf, rest)) = chain.split_first() else {
        let without = || Nothing::Silent("the handshake ended without a certificate".into());
        return Ok(Err(shaken.err().unwrap_or_else(without)));
    };
    let Some(read) = x509::read(leaf) else {
        return Ok(Err(Nothing::Silent("the certificate cannot be read".into())));
    };
    let distrust = distrust(&provider, &read, leaf, rest, ca_certificate)?;
    Ok(Ok(Chain { leaf: read, length: chain.len(), distrust }))
}

/// Whether the chain leads to somebody who is believed; asked for a name and a time that the certificate itself gives.
fn distrust(
    provider: &Arc<CryptoProvider>,
    read: &Leaf,
    leaf: &CertificateDer<'_>,
    rest: &[CertificateDer<'_>],
    ca_certificate: Option<&Path>,
) -> Result<Option<String>> {
    let roots = roots(ca_certificate)?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    let verifier = match verifier {
        Ok(verifier) => verifier,
        Err(error) => return Ok(Some(format!("this host believes nobody: {error}"))),
    };
    let own = read
        .names
        .iter()
        .map(|name| name.replacen("*.", "cutover.", 1))
        .find_map(|name| ServerName::try_from(name).ok());
    let Some(own) = own else { return Ok(Some("it names no host".into())) };
    let middle = UnixTime::since_unix_epoch(Duration::from_secs(read.not_before.midpoint(read.not_after)));
    let verified = verifier.verify_server_cert(leaf, rest, &own, &[], middle);
    Ok(verified.err().map(|error| match error {
        Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer) => {
            "nobody that this host believes has issued it".into()
        }
        Error::InvalidCertificate(other) => format!("{other}"),
        other => other.to_string(),
    }))
}

fn roots(ca_certificate: Option<&Path>) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_certificate {
        let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            roots.add(certificate.with_context(|| format!("{} holds no certificate", path.display()))?)?;
        }
    }
    Ok(roots)
}

/// Keeps what was served and lets it pass; nothing is sent over such a connection.
#[derive(Debug)]
struct Recorder {
    provider: Arc<CryptoProvider>,
    seen: Mutex<Vec<CertificateDer<'static>>>,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Ok(mut seen) = self.seen.lock() {
            *seen = std::iter::once(leaf).chain(rest).map(|one| one.clone().into_owned()).collect();
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Without the number of the system.
fn plainly(error: &std::io::Error) -> Nothing {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::AlertReceived(alert)) => Nothing::Refused(format!("{alert:?}")),
        _ if error.kind() == std::io::ErrorKind::ConnectionRefused => Nothing::Silent("connection refused".into()),
        _ => Nothing::Silent(error.to_string()),
    }
}
