//! Fetches an issuer's keys: receives a URL from the configuration, hands on the body of its answer.
//! It follows no redirect, reads no more than a bound, and waits no longer than one.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::key_source::LONGEST;
use crate::ordinary;

/// The largest file of authorities that is read, in bytes: a bundle is some hundred kilobytes.
const MOST_AUTHORITIES: u64 = 16 * 1024 * 1024;

/// For connecting, asking and reading together. Whoever signs in with a new key waits for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Fetches from one URL.
pub(super) struct Fetcher {
    url: Uri,
    /// For https.
    tls: Option<TlsConnector>,
}

impl Fetcher {
    /// `url` as the configuration has checked it. Authorities that cannot be read are told to the
    /// log, and are then not trusted.
    pub(super) fn new(url: &str, authorities: Option<&Path>) -> Self {
        let url: Uri = url.parse().unwrap_or_default();
        let is_https = url.scheme_str() == Some("https");
        Self {
            tls: is_https.then(|| connector(authorities)).flatten(),
            url,
        }
    }

    /// # Errors
    /// Why it did not work, for the log.
    pub(super) async fn fetch(&self) -> Result<Bytes, String> {
        let fetched = timeout(PATIENCE, self.connect_and_ask()).await;
        fetched.unwrap_or_else(|_| Err("no answer came in time".to_owned()))
    }

    async fn connect_and_ask(&self) -> Result<Bytes, String> {
        let host = self.url.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_https = self.url.scheme_str() == Some("https");
        let port = self
            .url
            .port_u16()
            .unwrap_or(if is_https { 443 } else { 80 });
        let stream = TcpStream::connect((host, port)).await;
        let stream = stream.map_err(|error| format!("failed to connect: {error}"))?;
        if !is_https {
            return self.ask(stream).await;
        }
        let tls = self.tls.as_ref().ok_or("TLS is not set up")?;
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let stream = tls.connect(name, stream).await;
        self.ask(stream.map_err(|error| format!("TLS failed: {error}"))?)
            .await
    }

    async fn ask<S>(&self, stream: S) -> Result<Bytes, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let told = |error: hyper::Error| error.to_string();
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(told)?;
        // Ends with this function, whatever the other side does.
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let target = self
            .url
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let host = self
            .url
            .authority()
            .map_or("", |authority| authority.as_str());
        let request = Request::get(target)
            .header(HOST, host)
            .header(ACCEPT, "application/json")
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        let response = sender.send_request(request).await.map_err(told)?;
        if response.status() != StatusCode::OK {
            return Err(format!("it answered {}", response.status().as_u16()));
        }
        let most = usize::try_from(LONGEST).unwrap_or(usize::MAX);
        let body = Limited::new(response.into_body(), most).collect().await;
        body.map(|body| body.to_bytes())
            .map_err(|error| format!("failed to read the answer: {error}"))
    }
}

/// The authorities in a file.
pub(super) fn authorities_in(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let failed =
        |error: &dyn fmt::Display| format!("the file {} cannot be read: {error}", path.display());
    let text = ordinary::read(path, MOST_AUTHORITIES).map_err(|error| failed(&error))?;
    let certificates = CertificateDer::pem_slice_iter(&text);
    certificates
        .collect::<Result<_, _>>()
        .map_err(|error| failed(&error))
}

/// Trusts these authorities, or the system's.
fn connector(authorities: Option<&Path>) -> Option<TlsConnector> {
    let certificates = match authorities {
        Some(path) => authorities_in(path),
        None => Ok(rustls_native_certs::load_native_certs().certs),
    };
    let mut roots = RootCertStore::empty();
    match certificates {
        Ok(certificates) => {
            roots.add_parsable_certificates(certificates);
        }
        Err(error) => tracing::warn!(error, "failed to read the authorities for jwks_url"),
    }
    // Not the process's own, which belongs to the program that embeds the hub.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .inspect_err(|error| tracing::error!(%error, "failed to set TLS up"))
        .ok()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Some(TlsConnector::from(Arc::new(config)))
}
