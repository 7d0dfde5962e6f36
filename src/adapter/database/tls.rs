//! TLS to a PostgreSQL server: rustls, the checks that libpq's sslmode words mean, and channel binding.
//!
//! Law: what is called verified was verified; without a check the connection is encrypted and said to be unverified.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256, Sha384, Sha512};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};

/// What is checked of a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// Nothing.
    None,
    /// Who signed it.
    Chain,
    /// Who signed it, and that it is for this name.
    Name,
}

/// Makes the configuration of a connection; `ca` is a file of certificates, else the system's count.
pub(super) fn configuration(check: Check, ca: Option<&Path>, is_direct: bool) -> Result<Arc<ClientConfig>, String> {
    let (roots, pinned) = match (check, ca) {
        (Check::None, _) => (RootCertStore::empty(), Vec::new()),
        (_, Some(file)) => from_file(file)?,
        (_, None) => (of_system()?, Vec::new()),
    };
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier { check, roots, pinned, algorithms: provider.signature_verification_algorithms };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    let mut configuration =
        builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    if is_direct {
        // A server that is asked for TLS at once wants to see this.
        configuration.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(Arc::new(configuration))
}

fn from_file(file: &Path) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), String> {
    let name = file.display();
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| format!("the file of certificates {name} cannot be read: {error}"))?;
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates.iter().cloned());
    if added == 0 {
        return Err(format!("the file {name} holds no certificate (PEM, -----BEGIN CERTIFICATE-----)"));
    }
    Ok((roots, certificates))
}

fn of_system() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why = found.errors.first().map_or_else(String::new, |error| format!(" ({error})"));
        return Err(format!(
            "this host has no certificates to check a server's against{why}; install ca-certificates, or name a file \
             (ca_certificate, sslrootcert)"
        ));
    }
    Ok(roots)
}

#[derive(Debug)]
struct Verifier {
    check: Check,
    roots: RootCertStore,
    /// The certificates of the file: a server may show one of these itself, signed by nobody else.
    pinned: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.check == Check::None {
            return Ok(ServerCertVerified::assertion());
        }
        let parsed = ParsedCertificate::try_from(certificate)?;
        let chain = verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, others, now, self.algorithms.all);
        match chain {
            // `openssl req -x509` makes a certificate that may sign others; naming that very one is enough. Its time was
            // checked before.
            Err(error) if self.pinned.contains(certificate) && is_authority_itself(&error) => {}
            other => other?,
        }
        if self.check == Check::Name {
            verify_server_name(&parsed, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn is_authority_itself(error: &Error) -> bool {
    error.to_string().contains("CaUsedAsEndEntity")
}

/// Connects by TLS.
#[derive(Clone)]
pub(super) struct Connector {
    pub configuration: Arc<ClientConfig>,
}

/// One connection to be made.
pub(super) struct Handshake {
    configuration: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl<S> MakeTlsConnect<S> for Connector
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type TlsConnect = Handshake;
    type Error = io::Error;

    fn make_tls_connect(&mut self, domain: &str) -> io::Result<Handshake> {
        // A socket has no name and asks for no TLS.
        let name = if domain.is_empty() { "localhost" } else { domain };
        let name = ServerName::try_from(name.to_owned()).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, "the host is no name that a certificate can be for")
        })?;
        Ok(Handshake { configuration: self.configuration.clone(), name })
    }
}

impl<S> TlsConnect<S> for Handshake
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let connector = tokio_rustls::TlsConnector::from(self.configuration);
        Box::pin(async move { connector.connect(self.name, stream).await.map(|stream| Stream(Box::new(stream))) })
    }
}

/// An encrypted connection.
pub(super) struct Stream<S>(Box<tokio_rustls::client::TlsStream<S>>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Stream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        let certificate = self.0.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        match certificate.and_then(|certificate| end_point(certificate)) {
            Some(hash) => ChannelBinding::tls_server_end_point(hash),
            None => ChannelBinding::none(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(context)
    }
}

/// RFC 5929 tls-server-end-point: the certificate's digest by the hash that it is signed with, where MD5 and SHA-1 stand for
/// SHA-256. None where the server would choose by other rules (Ed25519, RSA-PSS): no binding is then offered.
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
    let name = signed_by(certificate)?;
    let rsa = name.strip_prefix(RSA);
    let ecdsa = name.strip_prefix(ECDSA);
    match (rsa, ecdsa) {
        (Some([4 | 5 | 11]), _) | (_, Some([1] | [3, 2])) => Some(Sha256::digest(certificate).to_vec()),
        (Some([12]), _) | (_, Some([3, 3])) => Some(Sha384::digest(certificate).to_vec()),
        (Some([13]), _) | (_, Some([3, 4])) => Some(Sha512::digest(certificate).to_vec()),
        _ => None,
    }
}

/// The object identifier of the signature's algorithm: the second part of a certificate, after what is signed.
fn signed_by(certificate: &[u8]) -> Option<&[u8]> {
    let (whole, _) = element(certificate, 0x30)?;
    let (_, after) = element(whole, 0x30)?;
    let (algorithm, _) = element(after, 0x30)?;
    Some(element(algorithm, 0x06)?.0)
}

/// One DER element of this tag: its content, and what comes after it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[first, length], rest) = bytes.split_first_chunk::<2>()?;
    if first != tag {
        return None;
    }
    let (length, rest) = if length < 0x80 {
        (usize::from(length), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
        if digits.len() > 4 {
            return None;
        }
        (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_certificates_hash_is_chosen_by_its_signature() {
        let certificate = |name: &[u8]| {
            let mut algorithm = vec![0x30, name.len() as u8 + 2, 0x06, name.len() as u8];
            algorithm.extend(name);
            // What is signed is longer than a single byte can say.
            let mut whole = vec![0x30, 0x82, 0, (204 + algorithm.len()) as u8, 0x30, 0x82, 0, 200];
            whole.extend([0; 200]);
            whole.extend(algorithm);
            whole
        };
        let length = |name: &[u8]| end_point(&certificate(name)).map(|hash| hash.len());
        assert_eq!(length(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b]), Some(32));
        assert_eq!(length(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05]), Some(32));
        assert_eq!(length(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d]), Some(64));
        assert_eq!(length(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03]), Some(48));
        assert_eq!(length(&[0x2b, 0x65, 0x70]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_bring_the_reader_of_certificates_down(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = end_point(&bytes);
            let mut begun = vec![0x30, 0x84];
            begun.extend(bytes);
            let _ = end_point(&begun);
        }
    }
}
