//! The running hub, as the command line talks to it: receives requests, hands on answers, or says
//! what to do when there is none.
//!
//! Finds the hub by `--url` or the configuration, and signs in with `NEXUS_KEY`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use nexus_host::config::Config;
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde_json::Value;

use crate::cli::{Common, Reach};
use crate::configuration;
use crate::failure::Failure;

/// Where the client's key is read from.
pub(crate) const KEY_VARIABLE: &str = "NEXUS_KEY";

/// How long a connection may take to come about.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long an answer may take; waiting for a processed event ends sooner, in the hub.
const ANSWER_LIMIT: Duration = Duration::from_secs(330);

/// A hub and the right to talk to it.
#[derive(Debug)]
pub(crate) struct Hub {
    client: Client,
    base: Url,
    key: Key,
}

/// A client's key. Never shown.
struct Key(String);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
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
    },
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::NoHub(message) | Trouble::Refused { message, .. } => Self::failed(message),
        }
    }
}

impl Hub {
    /// The hub that `--url` or the configuration names.
    ///
    /// # Errors
    /// When no address or no key is known.
    pub(crate) fn find(common: &Common, reach: &Reach) -> Result<Self, Failure> {
        let base = match &reach.url {
            Some(url) => given(url)?,
            None => configured(&configuration::load(common)?)?,
        };
        let key = key()?.ok_or_else(|| {
            Failure::usage(format!(
                "{KEY_VARIABLE} is not set: put the key of one of the hub's clients there \
                 (`nexus key new` makes one)"
            ))
        })?;
        Self::at(base, key)
    }

    /// The hub of a loaded configuration, if there is a key to sign in with.
    ///
    /// # Errors
    /// When the address or the key cannot be used.
    pub(crate) fn find_if_key(reach: &Reach, config: &Config) -> Result<Option<Self>, Failure> {
        let Some(key) = key()? else {
            return Ok(None);
        };
        let base = match &reach.url {
            Some(url) => given(url)?,
            None if config.server.http.port() == 0 => return Ok(None),
            None => configured(config)?,
        };
        Self::at(base, key).map(Some)
    }

    fn at(base: Url, key: String) -> Result<Self, Failure> {
        let client = Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .timeout(ANSWER_LIMIT)
            // The key goes to the hub and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| Failure::failed(format!("no HTTP client: {}", chain(&error))))?;
        Ok(Self {
            client,
            base,
            key: Key(key),
        })
    }

    /// Its address.
    pub(crate) fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Reads something.
    ///
    /// # Errors
    /// No answer, or not this one.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Trouble> {
        self.ask(self.client.get(self.url(path))).await
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
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url.query_pairs_mut().extend_pairs(query);
        self.ask(self.client.get(url)).await
    }

    /// Sends JSON.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub(crate) async fn post(&self, path: &str, body: String) -> Result<Value, Trouble> {
        let request = self.client.post(self.url(path));
        let request = request.header("content-type", "application/json");
        self.ask(request.body(body)).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address())
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Value, Trouble> {
        let answer = request.bearer_auth(&self.key.0).send().await;
        let answer = answer.map_err(|error| self.no_hub(&error))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| self.no_hub(&error))?;
        if !status.is_success() {
            return Err(Trouble::Refused {
                status,
                message: refusal(status, &body),
            });
        }
        serde_json::from_slice(&body).map_err(|_| Trouble::Refused {
            status,
            message: format!("what answers at {} is not a Nexus hub", self.address()),
        })
    }

    fn no_hub(&self, error: &reqwest::Error) -> Trouble {
        let address = self.address();
        Trouble::NoHub(if error.is_connect() {
            format!(
                "no hub answers at {address} ({}); start one with `nexus run`, or name another \
                 with --url",
                chain(error)
            )
        } else {
            format!("the hub at {address} did not answer: {}", chain(error))
        })
    }
}

fn key() -> Result<Option<String>, Failure> {
    let unusable = || Failure::usage(format!("{KEY_VARIABLE} does not hold a key"));
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

fn given(url: &str) -> Result<Url, Failure> {
    let example = "such as http://127.0.0.1:7070";
    let url = Url::parse(url)
        .map_err(|error| Failure::usage(format!("--url: {error}; write an address {example}")))?;
    match url.scheme() {
        "http" if url.query().is_none() && url.fragment().is_none() => Ok(url),
        "http" => Err(Failure::usage(format!(
            "--url: write the hub's address alone, {example}"
        ))),
        other => Err(Failure::usage(format!(
            "--url: {other} is not spoken here; write an address {example}"
        ))),
    }
}

fn configured(config: &Config) -> Result<Url, Failure> {
    let listening = config.server.http;
    if listening.port() == 0 {
        return Err(Failure::usage(
            "[server] http has port 0, so the hub's port is known to nobody but itself; give its \
             address with --url",
        ));
    }
    if config.server.tls.is_some() {
        return Err(Failure::usage(
            "the hub of this configuration serves TLS, which the command line does not speak yet; use \
             its HTTP interface with another client",
        ));
    }
    let address = reachable(listening);
    Url::parse(&format!("http://{address}"))
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
fn refusal(status: StatusCode, body: &[u8]) -> String {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |key: &str| problem[key].as_str();
    let code = text("code").map_or_else(|| status.to_string(), str::to_owned);
    let detail = text("detail").or_else(|| text("title"));
    let mut message = match detail {
        Some(detail) => format!("the hub refuses: {detail} ({code})"),
        None => format!("the hub refuses ({code})"),
    };
    for error in problem["errors"].as_array().into_iter().flatten() {
        let pointer = match error["pointer"].as_str() {
            Some("") | None => "the event",
            Some(pointer) => pointer,
        };
        let what = error["message"].as_str().unwrap_or("is wrong");
        message.push_str(&format!("\n  {pointer} {what}"));
    }
    match status {
        StatusCode::UNAUTHORIZED => message.push_str(&format!(
            "\nno client of the hub has the key in {KEY_VARIABLE}; its hash must stand in \
             [[clients]] of the configuration that the hub was started with"
        )),
        StatusCode::FORBIDDEN => message.push_str(&format!(
            "\nthe client of the key in {KEY_VARIABLE} may not do this; see `sources`, `types` and \
             `admin` of its [[clients]] entry"
        )),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            message.push_str("\ntry again in a moment");
        }
        _ => {}
    }
    message
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
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
        let body = br#"{"code":"contract_violation","detail":"the event does not fit",
            "errors":[{"pointer":"/payload/title","message":"is required"}]}"#;
        assert_eq!(
            refusal(StatusCode::UNPROCESSABLE_ENTITY, body),
            "the hub refuses: the event does not fit (contract_violation)\n  /payload/title is required"
        );
        let text = refusal(StatusCode::FORBIDDEN, b"<html>");
        assert!(
            text.starts_with("the hub refuses (403 Forbidden)"),
            "{text}"
        );
        assert!(text.contains("`admin`"), "{text}");
    }

    #[test]
    fn an_address_is_checked_before_anything_is_sent() {
        assert!(given("http://127.0.0.1:1").is_ok());
        for bad in ["127.0.0.1:7070", "https://hub", "http://hub/?a=b", ""] {
            assert!(given(bad).is_err(), "{bad}");
        }
    }
}
