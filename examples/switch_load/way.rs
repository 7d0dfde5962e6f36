//! The way to the public route: plain, or over TLS with the one certificate that is trusted.

use std::io::{Error, Result};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A connection of either kind.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}
/// The same in a box.
pub type Connection = Box<dyn Stream>;

/// Where to, and how.
pub struct Way {
    plain: String,
    tls: String,
    http1: TlsConnector,
    http2: TlsConnector,
}

impl Way {
    /// Addresses of the two ports, and the certificate's file.
    pub fn new(plain: &str, tls: &str, certificate: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certificate).map_err(Error::other)?).map_err(Error::other)?;
        let connector = |protocol: &[u8]| -> Result<TlsConnector> {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let builder = ClientConfig::builder_with_provider(provider);
            let builder = builder.with_safe_default_protocol_versions().map_err(Error::other)?;
            let mut config = builder.with_root_certificates(roots.clone()).with_no_client_auth();
            config.alpn_protocols = vec![protocol.to_vec()];
            Ok(TlsConnector::from(Arc::new(config)))
        };
        Ok(Self { plain: plain.into(), tls: tls.into(), http1: connector(b"http/1.1")?, http2: connector(b"h2")? })
    }

    /// A plain connection.
    pub async fn plain(&self) -> Result<Connection> {
        Ok(Box::new(tcp(&self.plain).await?))
    }

    /// A connection over TLS for HTTP/1.1.
    pub async fn tls(&self) -> Result<Connection> {
        self.over(&self.http1).await
    }

    /// A connection over TLS for HTTP/2.
    pub async fn tls_for_http2(&self) -> Result<Connection> {
        self.over(&self.http2).await
    }

    async fn over(&self, connector: &TlsConnector) -> Result<Connection> {
        let name = ServerName::try_from("localhost").map_err(Error::other)?;
        Ok(Box::new(connector.connect(name, tcp(&self.tls).await?).await?))
    }
}

/// A connection that sends at once what it is given.
pub async fn tcp(address: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
