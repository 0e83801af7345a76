//! The running hub, as the command line talks to it: receives requests, hands on answers, or says
//! what to do when there is none.
//!
//! Finds the hub by `--url` or the configuration, and signs in with `NEXUS_KEY`, or with the certificate of
//! `--cert`.

mod connection;
mod trust;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Request, StatusCode, Uri};
use nexus_host::config::Config;
use rustls::ClientConfig;
use serde_json::Value;
use sse_stream::{Sse, SseStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::cli::{Common, Reach};
use crate::configuration;
use crate::failure::Failure;
use connection::Broken;
use trust::{Identity, Trust};

/// Where the client's key is read from.
pub(crate) const KEY_VARIABLE: &str = "NEXUS_KEY";

/// Pauses between attempts to reach a hub that has gone.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A hub and the right to talk to it.
#[derive(Debug)]
pub(crate) struct Hub {
    base: Uri,
    /// For an address with https.
    tls: Option<Arc<ClientConfig>>,
    key: Option<Key>,
    has_certificate: bool,
}

/// A client's key. Never shown.
struct Key(String);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

/// What one signs in with.
#[derive(Debug, Clone, Copy)]
enum Means {
    Key,
    Certificate,
    /// The key counts, and the certificate must be the same client's.
    Both,
}

/// Why there is no answer to work with.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Nobody answers there.
    NoHub(String),
    /// The hub answers, but not what was asked for.
    Refused {
        /// The answer's status.
        status: StatusCode,
        /// What to tell.
        message: String,
        /// What the hub says, as it says it; null from what is no hub.
        problem: Value,
        /// When to ask again, where that may help.
        retry_after: Option<Duration>,
    },
}

/// What a hub tells as it happens.
pub(crate) struct Following {
    messages: SseStream<Incoming>,
    _connection: JoinSet<Result<(), hyper::Error>>,
}

impl Following {
    /// What it tells next; `None` once it tells no more, for whatever reason.
    pub(crate) async fn next(&mut self) -> Option<Sse> {
        self.messages.next().await?.ok()
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::NoHub(message) => Self::failed(message),
            Trouble::Refused {
                message, problem, ..
            } => match problem {
                Value::Null => Self::failed(message),
                problem => Self::refused(message, problem),
            },
        }
    }
}

impl Hub {
    /// The hub that `--url` or the configuration names.
    ///
    /// # Errors
    /// When no address or no key is known.
    pub(crate) fn find(common: &Common, reach: &Reach) -> Result<Self, Failure> {
        let config = match &reach.url {
            Some(_) => None,
            None => Some(configuration::load(common)?),
        };
        let key = key()?;
        if key.is_none() && reach.tls.cert.is_none() {
            return Err(Failure::usage(format!(
                "{KEY_VARIABLE} is not set: put the key of one of the hub's clients there \
                 (`nexus key new` makes one)"
            )));
        }
        Self::at(reach, config.as_ref(), key)
    }

    /// The hub of a loaded configuration, if there is a key to sign in with.
    ///
    /// # Errors
    /// When the address or the key cannot be used.
    pub(crate) fn find_if_key(reach: &Reach, config: &Config) -> Result<Option<Self>, Failure> {
        let key = key()?;
        if key.is_none() && reach.tls.cert.is_none() {
            return Ok(None);
        }
        if reach.url.is_none() && config.server.http.port() == 0 {
            return Ok(None);
        }
        Self::at(reach, Some(config), key).map(Some)
    }

    fn at(reach: &Reach, config: Option<&Config>, key: Option<String>) -> Result<Self, Failure> {
        let base = match (&reach.url, config) {
            (Some(url), _) => given(url)?,
            (None, Some(config)) => configured(config)?,
            (None, None) => return Err(Failure::usage("no address is known; give one with --url")),
        };
        let own = config.and_then(|config| config.server.tls.as_ref());
        let trust = match (&reach.tls.ca, own) {
            (Some(authorities), _) => Trust::Authorities(authorities),
            (None, Some(own)) if reach.url.is_none() => Trust::Own(&own.certificate),
            (None, _) => Trust::System,
        };
        let identity = match (&reach.tls.cert, &reach.tls.cert_key) {
            (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
            _ => None,
        };
        let has_tls = base.scheme_str() == Some("https");
        let has_certificate = identity.is_some();
        if !has_tls && (reach.tls.ca.is_some() || has_certificate) {
            return Err(Failure::usage(
                "--ca, --cert and --cert-key are for TLS, and the hub's address is http://",
            ));
        }
        let tls = has_tls
            .then(|| trust::config(trust, identity))
            .transpose()?;
        let key = key.map(Key);
        Ok(Self {
            base,
            tls,
            key,
            has_certificate,
        })
    }

    /// Its address.
    pub(crate) fn address(&self) -> String {
        self.base.to_string().trim_end_matches('/').to_owned()
    }

    /// Reads something.
    ///
    /// # Errors
    /// No answer, or not this one.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Trouble> {
        self.ask("GET", path, None).await
    }

    /// As [`Hub::get`], with a query.
    ///
    /// # Errors
    /// No answer, or not this one.
    pub(crate) async fn get_with(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Value, Trouble> {
        self.ask("GET", &with_query(path, query), None).await
    }

    /// Sends JSON.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub(crate) async fn post(&self, path: &str, body: String) -> Result<Value, Trouble> {
        self.ask("POST", path, Some(body)).await
    }

    /// Puts JSON in the place of what is there.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub(crate) async fn put(&self, path: &str, body: String) -> Result<Value, Trouble> {
        self.ask("PUT", path, Some(body)).await
    }

    /// Follows what the hub tells as it happens.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub(crate) async fn follow(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Following, Trouble> {
        let request = self.request("GET", &with_query(path, query), None)?;
        let begun = connection::open(&self.base, self.tls.as_ref(), request).await;
        let coming = begun.map_err(|broken| self.no_hub(broken))?;
        let status = coming.response.status();
        let kind = coming.response.headers().get(CONTENT_TYPE);
        let goes_on = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let body = coming.response.into_body();
        if !status.is_success() {
            let told = body.collect().await.map(|body| body.to_bytes());
            return Err(self.refused(status, &told.unwrap_or_default()));
        }
        if !goes_on {
            return Err(self.no_hub_at_all(status));
        }
        Ok(Following {
            messages: SseStream::new(body),
            _connection: coming.driver,
        })
    }

    /// Takes something away.
    ///
    /// # Errors
    /// As [`Hub::get`].
    pub(crate) async fn delete(&self, path: &str) -> Result<Value, Trouble> {
        self.ask("DELETE", path, None).await
    }

    /// As [`Hub::follow`], once a hub that has gone is back.
    ///
    /// # Errors
    /// It refuses.
    pub(crate) async fn again(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Following, Trouble> {
        let mut pause = FIRST_PAUSE;
        loop {
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            match self.follow(path, query).await {
                Err(Trouble::NoHub(_)) => {}
                Err(Trouble::Refused { status, .. }) if status.is_server_error() => {}
                other => return other,
            }
        }
    }

    async fn ask(&self, method: &str, path: &str, body: Option<String>) -> Result<Value, Trouble> {
        let request = self.request(method, path, body)?;
        let answer = connection::exchange(&self.base, self.tls.as_ref(), request).await;
        let (status, body) = answer.map_err(|broken| self.no_hub(broken))?;
        if !status.is_success() {
            return Err(self.refused(status, &body));
        }
        serde_json::from_slice(&body).map_err(|_| self.no_hub_at_all(status))
    }

    /// Somebody answers, in words that no hub speaks.
    fn no_hub_at_all(&self, status: StatusCode) -> Trouble {
        let address = self.address();
        Trouble::Refused {
            status,
            message: format!(
                "what answers at {address} is not a Nexus hub; name the address of its `[server] http` with --url"
            ),
            problem: Value::Null,
            retry_after: None,
        }
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
    ) -> Result<Request<Full<Bytes>>, Trouble> {
        let target = format!("{}{path}", self.base.path().trim_end_matches('/'));
        let mut request = Request::builder().method(method).uri(target);
        if let Some(Key(key)) = &self.key {
            request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = Full::new(Bytes::from(body.unwrap_or_default()));
        request
            .body(body)
            .map_err(|error| Trouble::NoHub(format!("nothing can be asked there: {error}")))
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> Trouble {
        let problem: Value = serde_json::from_slice(body).unwrap_or_default();
        Trouble::Refused {
            status,
            message: refusal(status, &problem, self.signs_in_with()),
            retry_after: retry_after(&problem),
            problem,
        }
    }

    fn signs_in_with(&self) -> Means {
        match (&self.key, self.has_certificate) {
            (Some(_), true) => Means::Both,
            (None, true) => Means::Certificate,
            (_, false) => Means::Key,
        }
    }

    fn no_hub(&self, broken: Broken) -> Trouble {
        let address = self.address();
        Trouble::NoHub(match broken {
            Broken::Unreachable(why) => format!(
                "no hub answers at {address} ({why}); start one with `nexus run`, or name another \
                 with --url"
            ),
            Broken::Strange(why) => format!("the hub at {address} did not answer: {why}"),
        })
    }
}

fn with_query(path: &str, query: &[(&str, String)]) -> String {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    let pairs = pairs.extend_pairs(query).finish();
    format!("{path}?{pairs}")
}

fn key() -> Result<Option<String>, Failure> {
    let unusable = || {
        Failure::usage(format!(
            "{KEY_VARIABLE} does not hold a key: there is a space in it, or what no key holds; put there what \
             `nexus key new` printed first, and nothing else"
        ))
    };
    let text = match std::env::var(KEY_VARIABLE) {
        Ok(text) => text,
        Err(std::env::VarError::NotPresent) => return Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => return Err(unusable()),
    };
    let key = text.trim();
    if key.is_empty() {
        return Ok(None);
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(unusable());
    }
    Ok(Some(key.to_owned()))
}

fn given(url: &str) -> Result<Uri, Failure> {
    let example = "such as http://127.0.0.1:7070 or https://hub.example.org";
    let refused = |why: &str| Failure::usage(format!("--url: {why}; write an address {example}"));
    let base: Uri = url.parse().map_err(|_| refused("this is no address"))?;
    let is_bare = base.query().is_none() && !url.contains(['#', '@']);
    match base.scheme_str() {
        Some("http" | "https") if is_bare => Ok(base),
        Some("http" | "https") => Err(refused("there is more to it than an address")),
        Some(other) => Err(refused(&format!("{other} is not spoken here"))),
        None => Err(refused("it begins with neither http:// nor https://")),
    }
}

fn configured(config: &Config) -> Result<Uri, Failure> {
    let listening = config.server.http;
    if listening.port() == 0 {
        return Err(Failure::usage(
            "[server] http has port 0, so the hub's port is known to nobody but itself; give its \
             address with --url",
        ));
    }
    let scheme = match config.server.tls {
        Some(_) => "https",
        None => "http",
    };
    let address = reachable(listening);
    format!("{scheme}://{address}")
        .parse()
        .map_err(|error| Failure::usage(format!("[server] http: {error}")))
}

/// A hub that listens on every address is reached on this machine's own.
fn reachable(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}

/// What a refusal says, and what to do about it.
fn refusal(status: StatusCode, problem: &Value, means: Means) -> String {
    let mut message = match problem["code"].as_str() {
        Some(_) => format!("the hub refuses: {}", told(problem)),
        None => format!("the hub refuses ({status})"),
    };
    match status {
        StatusCode::UNAUTHORIZED => message.push_str(&unknown(means)),
        StatusCode::FORBIDDEN => {
            let what = match means {
                Means::Key | Means::Both => format!("key in {KEY_VARIABLE}"),
                Means::Certificate => "certificate of --cert".to_owned(),
            };
            message.push_str(&format!(
                "\nthe client of the {what} may not do this; see `sources`, `types` and `admin` of its \
                 [[clients]] entry"
            ));
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            message.push_str("\ntry again in a moment");
        }
        _ => {}
    }
    message
}

/// What a problem document says, and where.
pub(crate) fn told(problem: &Value) -> String {
    let text = |key: &str| problem[key].as_str();
    let code = text("code").unwrap_or("?");
    let detail = text("detail")
        .or_else(|| text("title"))
        .unwrap_or("refused");
    let mut told = format!("{detail} ({code})");
    for error in problem["errors"].as_array().into_iter().flatten() {
        let pointer = match error["pointer"].as_str() {
            Some("") | None => "the event",
            Some(pointer) => pointer,
        };
        let what = error["message"].as_str().unwrap_or("is wrong");
        told.push_str(&format!("\n  {pointer} {what}"));
    }
    told
}

/// When a problem document says that one may ask again.
pub(crate) fn retry_after(problem: &Value) -> Option<Duration> {
    problem["retry_after"].as_u64().map(Duration::from_secs)
}

/// The entries of an answer: a plain list, or a list under a name.
///
/// # Errors
/// When there are none: the hub speaks otherwise.
pub(crate) fn entries(answer: Value, name: &str) -> Result<Vec<Value>, Failure> {
    let found = match answer {
        Value::Object(mut object) => object.remove(name).unwrap_or_default(),
        other => other,
    };
    match found {
        Value::Array(entries) => Ok(entries),
        _ => Err(strange(name)),
    }
}

/// The hub's answer does not hold what it should.
pub(crate) fn strange(what: &str) -> Failure {
    let what = what.replace('_', " ");
    Failure::failed(format!(
        "the hub's answer does not tell of {what}; is it of this version?"
    ))
}

/// What to do when the hub does not know who asks.
fn unknown(means: Means) -> String {
    let place = "[[clients]] of the configuration that the hub runs with (`nexus reload` has it read again)";
    match means {
        Means::Key => format!(
            "\nno client of the hub has the key in {KEY_VARIABLE}; its hash must stand in {place}"
        ),
        Means::Certificate => format!(
            "\nno client of the hub has the certificate of --cert; its name (certificate_subject) or digest \
             (certificate_sha256) must stand in {place}"
        ),
        Means::Both => format!(
            "\nthe key in {KEY_VARIABLE} was sent beside the certificate of --cert, and counts; both must be \
             one client's. Unset {KEY_VARIABLE} to sign in with the certificate alone"
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_hub_on_every_address_is_reached_on_this_machine() {
        for (listening, reached) in [
            ("0.0.0.0:7070", "127.0.0.1:7070"),
            ("[::]:7070", "[::1]:7070"),
            ("192.0.2.1:80", "192.0.2.1:80"),
        ] {
            let listening: SocketAddr = listening.parse().unwrap();
            assert_eq!(reachable(listening).to_string(), reached);
        }
    }

    #[test]
    fn a_refusal_tells_code_places_and_what_to_do() {
        let problem = json!({"code": "contract_violation", "detail": "the event does not fit",
            "errors": [{"pointer": "/payload/title", "message": "is required"}]});
        assert_eq!(
            refusal(StatusCode::UNPROCESSABLE_ENTITY, &problem, Means::Key),
            "the hub refuses: the event does not fit (contract_violation)\n  /payload/title is required"
        );
        let text = refusal(StatusCode::FORBIDDEN, &Value::Null, Means::Key);
        assert!(
            text.starts_with("the hub refuses (403 Forbidden)"),
            "{text}"
        );
        assert!(text.contains("`admin`"), "{text}");
    }

    #[test]
    fn who_signs_in_with_a_certificate_is_told_of_no_key() {
        for status in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
            let told = |means| refusal(status, &json!({}), means);
            let text = told(Means::Certificate);
            assert!(text.contains("the certificate of --cert"), "{text}");
            assert!(!text.contains(KEY_VARIABLE), "{text}");
            assert!(told(Means::Key).contains(KEY_VARIABLE));
        }
    }

    #[test]
    fn an_address_is_checked_before_anything_is_sent() {
        for good in [
            "http://127.0.0.1:1",
            "https://hub",
            "https://[::1]:7070/below",
        ] {
            assert!(given(good).is_ok(), "{good}");
        }
        for bad in [
            "127.0.0.1:7070",
            "hub",
            "ftp://hub",
            "http://hub/?a=b",
            "http://hub/#a",
            "http://me@hub",
            "",
        ] {
            assert!(given(bad).is_err(), "{bad}");
        }
    }
}
