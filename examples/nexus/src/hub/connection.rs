//! One request to a hub and its answer, over plain text or TLS: receives where and what, hands on the whole
//! answer, or one that goes on coming. Every request has a connection of its own; nothing is repeated or kept.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::trust;

/// How long a connection may take to come about.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long an answer may take; waiting for a processed event ends sooner, in the hub.
const ANSWER_LIMIT: Duration = Duration::from_secs(330);

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Broken {
    /// Nobody is there.
    Unreachable(String),
    /// Somebody is there, but not what was looked for, or it does not answer.
    Strange(String),
}

/// An answer of which the head has come.
#[derive(Debug)]
pub(super) struct Coming {
    pub(super) response: Response<Incoming>,
    /// The connection, which ends with this.
    pub(super) driver: JoinSet<Result<(), hyper::Error>>,
}

/// Sends a request to where `base` says, and reads the answer.
pub(super) async fn exchange(
    base: &Uri,
    tls: Option<&Arc<ClientConfig>>,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), Broken> {
    let whole = async |coming: Coming| {
        let status = coming.response.status();
        let body = coming.response.into_body().collect().await?.to_bytes();
        Ok((status, body))
    };
    ask(base, tls, request, whole).await
}

/// Sends a request to where `base` says, and waits until an answer begins.
pub(super) async fn open(
    base: &Uri,
    tls: Option<&Arc<ClientConfig>>,
    request: Request<Full<Bytes>>,
) -> Result<Coming, Broken> {
    ask(base, tls, request, async |coming| Ok(coming)).await
}

/// Sends a request, and does with its answer what is to be done in time.
async fn ask<T>(
    base: &Uri,
    tls: Option<&Arc<ClientConfig>>,
    mut request: Request<Full<Bytes>>,
    finish: impl AsyncFnOnce(Coming) -> Result<T, hyper::Error>,
) -> Result<T, Broken> {
    let authority = base.authority().map_or("", |authority| authority.as_str());
    if let Ok(host) = authority.parse() {
        request.headers_mut().insert(HOST, host);
    }
    let host = base.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = base
        .port_u16()
        .unwrap_or(if tls.is_some() { 443 } else { 80 });
    let connected = timeout(CONNECT_LIMIT, TcpStream::connect((host, port))).await;
    let stream = match connected {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(Broken::Unreachable(error.to_string())),
        Err(_) => {
            return Err(Broken::Unreachable(
                "no connection came about in time".to_owned(),
            ));
        }
    };
    let Some(tls) = tls else {
        return answered(begin(stream, request, finish), host, false).await;
    };
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| Broken::Unreachable(format!("`{host}` is no name for a certificate")))?;
    let agreed = TlsConnector::from(tls.clone()).connect(name, stream);
    match timeout(CONNECT_LIMIT, agreed).await {
        Ok(Ok(stream)) => answered(begin(stream, request, finish), host, true).await,
        Ok(Err(error)) => {
            let told = trust::explained(&error, host);
            Err(Broken::Strange(told.unwrap_or_else(|| {
                format!("TLS did not come about ({error}); perhaps it serves plain text: http://")
            })))
        }
        Err(_) => Err(Broken::Strange("TLS did not come about in time".to_owned())),
    }
}

async fn answered<T>(
    asked: impl Future<Output = Result<T, hyper::Error>>,
    host: &str,
    has_tls: bool,
) -> Result<T, Broken> {
    let error = match timeout(ANSWER_LIMIT, asked).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => error,
        Err(_) => return Err(Broken::Strange("no answer came in time".to_owned())),
    };
    let told = match trust::explained(&error, host) {
        Some(told) => told,
        None if !has_tls && (error.is_parse() || error.is_incomplete_message()) => {
            "what answers there speaks no plain text; write https:// if the hub serves TLS"
                .to_owned()
        }
        None => innermost(&error),
    };
    Err(Broken::Strange(told))
}

async fn begin<S, T>(
    stream: S,
    request: Request<Full<Bytes>>,
    finish: impl AsyncFnOnce(Coming) -> Result<T, hyper::Error>,
) -> Result<T, hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the answer, whatever the other side does.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let response = match sender.send_request(request).await {
        Ok(response) => response,
        // The connection has ended before the request was sent, and knows why.
        Err(error) if error.is_canceled() => match driver.join_next().await {
            Some(Ok(Err(cause))) => return Err(cause),
            _ => return Err(error),
        },
        Err(error) => return Err(error),
    };
    finish(Coming { response, driver }).await
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}
