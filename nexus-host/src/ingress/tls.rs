//! TLS: receives the configured files, hands on encrypted connections and the certificate that a
//! client has shown. The files are read again when they change; what cannot be used then is told, and
//! the old ones go on serving. It decides nothing about who a certificate stands for.

mod plain;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{CertificateError, RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::config::{ClientCertificate, TlsConfig};
use crate::ordinary;

/// The largest of its files that is read, in bytes: a bundle of authorities is some hundred kilobytes.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// How often it is looked whether a file has changed.
const LOOK: Duration = Duration::from_secs(2);

/// What TLS needs, as it was read last.
pub(super) struct Tls {
    config: TlsConfig,
    current: RwLock<Arc<ServerConfig>>,
}

/// Why the configured files cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("read {}, which server.tls.{key} names: {reason}", .path.display())]
    File {
        /// Which setting names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The certificate and its key do not go together, or cannot be used.
    #[error("use the certificate and the key of server.tls: {0}")]
    Unusable(String),
}

impl Tls {
    /// Reads the files.
    pub(super) fn load(config: &TlsConfig) -> Result<Self, TlsError> {
        Ok(Self {
            config: config.clone(),
            current: RwLock::new(read(config)?),
        })
    }

    /// Agrees on TLS with a client. Answers with the certificate that it has shown, which was
    /// verified, if it has one.
    pub(super) async fn accept(
        &self,
        mut stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Option<Arc<[u8]>>)> {
        plain::refuse(&mut stream).await?;
        let current = self.current.read().clone();
        let stream = TlsAcceptor::from(current).accept(stream).await?;
        let shown = stream.get_ref().1.peer_certificates();
        let certificate = shown.and_then(|chain| chain.first());
        let certificate = certificate.map(|first| Arc::from(first.as_ref()));
        Ok((stream, certificate))
    }

    /// Reads the files again whenever one has changed. Never ends by itself.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut seen = self.config.files().map(content);
        loop {
            tokio::time::sleep(LOOK).await;
            let now = self.config.files().map(content);
            if now == seen {
                continue;
            }
            seen = now;
            match read(&self.config) {
                Ok(new) => {
                    *self.current.write() = new;
                    tracing::info!("the certificate has changed; new connections get the new one");
                }
                // A certificate and its key are seldom replaced in the same moment.
                Err(error) => {
                    tracing::error!("failed to {error}; the old certificate goes on serving");
                }
            }
        }
    }
}

/// Whether the files could be used now, without serving anything.
///
/// # Errors
/// Why they could not.
pub fn check_files(config: &TlsConfig) -> Result<(), TlsError> {
    read(config).map(|_| ())
}

/// Why a client's certificate was refused, if that is why no TLS was agreed on.
pub(super) fn refusal_of(error: &io::Error) -> Option<&'static str> {
    use CertificateError as Bad;
    let inner = error.get_ref()?.downcast_ref()?;
    Some(match inner {
        rustls::Error::NoCertificatesPresented => {
            "none is shown, and server.tls.client_certificate says that one is required"
        }
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::Expired | Bad::ExpiredContext { .. } => "it has expired",
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => "it is not good yet",
            Bad::InvalidPurpose | Bad::InvalidPurposeContext { .. } => "it is not for clients",
            Bad::UnknownIssuer | Bad::BadSignature => {
                "no authority in server.tls.client_ca vouches for it"
            }
            _ => "it cannot be used",
        },
        _ => return None,
    })
}

/// What a file holds, in short: times of changes are kept by those who copy and unpack files.
fn content(path: Option<&Path>) -> Option<[u8; 32]> {
    let content = ordinary::read(path?, MAX_BYTES).ok()?;
    Some(Sha256::digest(content).into())
}

fn read(config: &TlsConfig) -> Result<Arc<ServerConfig>, TlsError> {
    let failed = |key: &'static str, path: &Path| {
        let path = path.to_owned();
        move |reason: String| TlsError::File { key, path, reason }
    };
    let text = |key, path: &Path| {
        let text = ordinary::read(path, MAX_BYTES).map_err(|error| error.to_string());
        text.map_err(failed(key, path))
    };
    let certificates = |key, path: &Path| {
        let text = text(key, path)?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        match chain.map_err(|error| failed(key, path)(error.to_string()))? {
            none if none.is_empty() => Err(TlsError::File {
                key,
                path: path.to_owned(),
                reason: "there is no certificate in it".to_owned(),
            }),
            chain => Ok(chain),
        }
    };
    let unusable = |error: &dyn std::error::Error| TlsError::Unusable(error.to_string());
    let chain = certificates("certificate", &config.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&text("key", &config.key)?);
    let key = key.map_err(|error| failed("key", &config.key)(error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?;
    let builder = match &config.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for root in certificates("client_ca", path)? {
                roots.add(root).map_err(|error| unusable(&error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match config.client_certificate {
                ClientCertificate::Optional => verifier.allow_unauthenticated(),
                ClientCertificate::Required => verifier,
            };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| unusable(&error))?)
        }
    };
    let mut server = builder
        .with_single_cert(chain, key)
        .map_err(|error| unusable(&error))?;
    if config.client_ca.is_some() {
        // A session that is taken up again skips the verification: whoever shows a certificate shows it
        // each time.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
    }
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(server))
}

#[cfg(test)]
mod tests;
