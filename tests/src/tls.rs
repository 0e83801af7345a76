//! TLS as the tests' clients and servers speak it. The certificates are for tests only; nobody holds their root's key.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

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

/// TLS in front of a server of this machine that speaks none. It ends when dropped.
#[derive(Debug)]
pub struct Front {
    /// Its port, at which it is `localhost`.
    pub port: u16,
    relaying: JoinHandle<()>,
}

impl Front {
    /// Puts it in front of a port, where a protocol (its name in ALPN) is spoken.
    ///
    /// # Panics
    /// When the test's certificates cannot be read, or there is no port for it.
    pub async fn of(plain: u16, protocol: &str) -> Self {
        let file = |name: &str| certificates().join(name);
        let certificate = CertificateDer::from_pem_file(file("server.pem")).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(file("server-key.pem")).expect("its key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a certificate with its key");
        config.alpn_protocols = vec![protocol.into()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a bound address").port();
        let relaying = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut line = acceptor.accept(socket).await?;
                    let mut to = TcpStream::connect(("127.0.0.1", plain)).await?;
                    tokio::io::copy_bidirectional(&mut line, &mut to).await
                });
            }
        });
        Self { port, relaying }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.relaying.abort();
    }
}
