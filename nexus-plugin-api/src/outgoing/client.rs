//! Requests to other systems over HTTP: receives what to ask, hands on the whole answer, or an error that says
//! whether to ask again.
//!
//! ```no_run
//! use nexus_plugin_api::outgoing::{Access, Client};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), nexus_plugin_api::PluginError> {
//! let client = Client::new(Access::default());
//! let request = client.get("https://api.example.org/orders/17").await?.bearer_auth("…");
//! let order: serde_json::Value = client.ask(request).await?.expect_success()?.json()?;
//! # Ok(()) }
//! ```
//!
//! A request belongs to the trace of the call that it is made in. It follows no redirect, reads answers up to a bound, and puts neither an address's query nor a header into an
//! error. Connections are kept and used again.

mod answer;
mod names;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
pub use reqwest::{Method, RequestBuilder, Response, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::OnceCell;

pub use answer::Answer;
use names::Names;

use super::Guard;
use crate::PluginError;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// How other systems are reached.
#[derive(Debug, Clone)]
pub struct Access {
    /// Who says that a server is the one that it says: a PEM file of authorities; `None` for the system's.
    pub authorities: Option<PathBuf>,
    /// Which addresses may be connected to; `None` for all, where the operator has chosen them.
    pub guard: Option<Guard>,
    /// How long a request may take, its answer read; 30 s.
    pub timeout: Duration,
    /// The longest answer that is read, in bytes; 8 MiB.
    pub max_answer: usize,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            authorities: None,
            guard: None,
            timeout: Duration::from_secs(30),
            max_answer: 8 * 1024 * 1024,
        }
    }
}

/// See the module. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    access: Access,
    /// Made when it is first needed: reading the system's authorities takes a while.
    inner: OnceCell<reqwest::Client>,
}

impl Client {
    /// One that connects to nothing yet.
    pub fn new(access: Access) -> Self {
        let inner = OnceCell::new();
        Self {
            shared: Arc::new(Shared { access, inner }),
        }
    }

    /// Begins a request.
    ///
    /// # Errors
    /// `invalid_url`, `not_allowed` where the guard does not let it through, and `tls_failed` when the authorities
    /// cannot be read.
    pub async fn request(&self, method: Method, url: &str) -> Result<RequestBuilder, PluginError> {
        let url = Url::parse(url)
            .map_err(|error| PluginError::permanent("invalid_url", format!("no URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            let told = format!("{}: is neither http nor https", url.scheme());
            return Err(PluginError::permanent("invalid_url", told));
        }
        if let Some(guard) = &self.shared.access.guard {
            // Names are looked up, and judged, when they are connected to.
            let address = match url.host() {
                Some(url::Host::Ipv4(address)) => Some(address.into()),
                Some(url::Host::Ipv6(address)) => Some(address.into()),
                _ => None,
            };
            if let Some(address) = address {
                guard
                    .check(address)
                    .map_err(super::Refused::into_plugin_error)?;
            }
        }
        let request = self.inner().await?.request(method, url);
        Ok(match crate::traceparent() {
            Some(traceparent) => request.header("traceparent", &*traceparent),
            None => request,
        })
    }

    /// Begins a `GET`.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn get(&self, url: &str) -> Result<RequestBuilder, PluginError> {
        self.request(Method::GET, url).await
    }

    /// Begins a `POST`.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn post(&self, url: &str) -> Result<RequestBuilder, PluginError> {
        self.request(Method::POST, url).await
    }

    /// Asks, and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// `unreachable`, `timeout`, `broken_answer`, all retryable; `answer_too_large`; `not_allowed`.
    pub async fn ask(&self, request: RequestBuilder) -> Result<Answer, PluginError> {
        let Access {
            timeout,
            max_answer,
            ..
        } = self.shared.access;
        let asked = async {
            let response = request.send().await.map_err(|error| told(&error))?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = whole(response, max_answer).await?;
            Ok(Answer::new(status, headers, body))
        };
        tokio::time::timeout(timeout, asked)
            .await
            .unwrap_or_else(|_| {
                let told = format!("no whole answer within {timeout:?}");
                Err(PluginError::retryable("timeout", told))
            })
    }

    /// Asks, and hands on an answer that is still being sent; whoever reads it bounds its time and its size.
    ///
    /// # Errors
    /// `unreachable`, `timeout`, `not_allowed`; and as [`Answer::expect_success`], for a status that is no success.
    pub async fn begin(&self, request: RequestBuilder) -> Result<Response, PluginError> {
        let Access {
            timeout,
            max_answer,
            ..
        } = self.shared.access;
        let sent = tokio::time::timeout(timeout, request.send()).await;
        let response = match sent {
            Ok(sent) => sent.map_err(|error| told(&error))?,
            Err(_) => {
                let told = format!("no answer within {timeout:?}");
                return Err(PluginError::retryable("timeout", told));
            }
        };
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = tokio::time::timeout(timeout, whole(response, max_answer)).await;
        let body = body.unwrap_or_else(|_| Ok(Bytes::new()))?;
        Err(Answer::new(status, headers, body).refusal())
    }

    async fn inner(&self) -> Result<&reqwest::Client, PluginError> {
        let Shared { access, inner } = &*self.shared;
        let built = inner.get_or_try_init(|| async {
            let access = access.clone();
            let built = tokio::task::spawn_blocking(move || build(&access)).await;
            built.unwrap_or_else(|_| Err("setting it up was given up".to_owned()))
        });
        built
            .await
            .map_err(|error| PluginError::retryable("tls_failed", error))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.shared.access).finish()
    }
}

fn build(access: &Access) -> Result<reqwest::Client, String> {
    // Not the process's own, which belongs to whoever links this.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .with_root_certificates(authorities(access)?)
        .with_no_client_auth();
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .user_agent(concat!("nexus/", env!("CARGO_PKG_VERSION")));
    if let Some(guard) = &access.guard {
        builder = builder
            .no_proxy()
            .dns_resolver(Arc::new(Names::of(guard.clone())));
    }
    builder
        .build()
        .map_err(|error| format!("the HTTP client cannot be set up: {error}"))
}

fn authorities(access: &Access) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(file) = &access.authorities else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    let told = |why: &dyn fmt::Display| format!("the authorities in {}: {why}", file.display());
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| told(&error))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| told(&error))?;
        roots.add(certificate).map_err(|error| told(&error))?;
    }
    match roots.is_empty() {
        true => Err(told(&"there is no certificate in it")),
        false => Ok(roots),
    }
}

async fn whole(mut response: Response, most: usize) -> Result<Bytes, PluginError> {
    let mut body = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > most => {
                let told = format!("the answer has more than {most} bytes");
                return Err(PluginError::permanent("answer_too_large", told));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body.freeze()),
            Err(error) => return Err(told(&error)),
        }
    }
}

/// An error without the address, whose query may hold a secret.
fn told(error: &reqwest::Error) -> PluginError {
    if let Some(refused) = names::refusal(error) {
        return refused.clone().into_plugin_error();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let host = error.url().and_then(Url::host_str).unwrap_or("the server");
    let (code, what) = match error {
        _ if error.is_timeout() => ("timeout", "did not answer in time"),
        _ if error.is_connect() => ("unreachable", "cannot be reached"),
        _ if error.is_builder() => {
            let told = "the request cannot be sent as it is: a header or its body does not fit";
            return PluginError::permanent("invalid_request", told);
        }
        _ => ("broken_answer", "broke off"),
    };
    // The innermost cause is the system's own words.
    PluginError::retryable(code, format!("{host} {what}: {cause}"))
}

#[cfg(test)]
mod tests;
