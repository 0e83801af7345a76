//! TLS as the tests' clients speak it. The certificates are for tests only; nobody holds their root's key.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The folder with the certificates of servers and clients, and their root's.
pub fn certificates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../nexus-host/src/ingress/tls/fixtures")
}

/// Connects without a certificate of one's own, and agrees on a protocol (its name in ALPN).
///
/// # Errors
/// When nobody listens there, it is not who it should be, or it does not speak the protocol.
///
/// # Panics
/// When the test's certificates cannot be read.
pub async fn connect(to: SocketAddr, protocol: &str) -> io::Result<TlsStream<TcpStream>> {
    connect_as(None, to, protocol).await
}

/// As [`connect`], and shows a certificate of that name, if one is given.
///
/// # Errors
/// As [`connect`].
///
/// # Panics
/// When the test's certificates cannot be read.
pub async fn connect_as(
    own: Option<&str>,
    to: SocketAddr,
    protocol: &str,
) -> io::Result<TlsStream<TcpStream>> {
    let file = |ending: &str| {
        let name = own.unwrap_or_default();
        certificates().join(format!("{name}{ending}"))
    };
    let root = CertificateDer::from_pem_file(certificates().join("ca.pem")).expect("the root");
    let mut roots = RootCertStore::empty();
    roots.add(root).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(_) => {
            let certificate = CertificateDer::from_pem_file(file(".pem")).expect("a certificate");
            let key = PrivateKeyDer::from_pem_file(file("-key.pem")).expect("its key");
            let config = builder.with_client_auth_cert(vec![certificate], key);
            config.map_err(io::Error::other)?
        }
    };
    config.alpn_protocols = vec![protocol.into()];
    let socket = TcpStream::connect(to).await?;
    socket.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let line = TlsConnector::from(Arc::new(config))
        .connect(name, socket)
        .await?;
    match line.get_ref().1.alpn_protocol() {
        Some(agreed) if agreed == protocol.as_bytes() => Ok(line),
        other => Err(io::Error::other(format!("agreed on {other:?}"))),
    }
}
