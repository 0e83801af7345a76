//! Microsoft Graph: receives what to ask, hands on the answer, signed in. A token is kept until shortly before its
//! end, and had anew once when Graph does not take it.

use std::time::Duration;

use nexus_plugin_api::outgoing::{Access, Answer, Client, Method, RequestBuilder, Url};
use nexus_plugin_api::{PluginError, Services};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::config::Config;

/// How long before its end a token is not used any more; a fifth of its life where that is shorter.
const MARGIN: Duration = Duration::from_secs(5 * 60);

/// The version of the API, as addresses have it.
const VERSION: &str = "/v1.0";

/// What a token is taken to live when nothing is said of it.
const PLAIN_LIFE: u64 = 60 * 60;

/// See the module.
#[derive(Debug)]
pub(crate) struct Graph {
    client: Client,
    services: Services,
    base: String,
    token_url: String,
    client_id: String,
    scope: String,
    token: Mutex<Option<Token>>,
    /// Until when Microsoft wants to be left alone: requests that it refuses meanwhile count as well.
    quiet_until: parking_lot::Mutex<Option<Instant>>,
}

#[derive(Clone)]
struct Token {
    text: String,
    until: Instant,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// In seconds; some write the number as text, or leave it out.
    #[serde(default)]
    expires_in: Value,
}

impl Granted {
    fn life(&self) -> Duration {
        let told = match &self.expires_in {
            Value::String(text) => text.parse().ok(),
            number => number.as_u64(),
        };
        Duration::from_secs(told.unwrap_or(PLAIN_LIFE))
    }
}

/// Why no token was given, in the words of OAuth 2.0 (RFC 6749, section 5.2).
#[derive(Deserialize)]
struct NotGranted {
    error: String,
    error_description: Option<String>,
}

impl Graph {
    pub(crate) fn new(config: &Config, services: &Services) -> Self {
        let client = Client::new(Access {
            authorities: config.authorities.clone(),
            ..Access::default()
        });
        let base = config.graph_url.trim_end_matches('/');
        Self {
            client,
            services: services.clone(),
            base: format!("{}{VERSION}", base.strip_suffix(VERSION).unwrap_or(base)),
            token_url: config.of_tenant(&config.token_url),
            client_id: config.client_id.clone(),
            scope: config.scope.clone(),
            token: Mutex::new(None),
            quiet_until: parking_lot::Mutex::default(),
        }
    }

    /// The address of something below the API's version.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    /// Where a link leads that an answer has named, or that was kept: to the configured server, whichever one it names,
    /// or the token would go there. A server may know itself by another name, as behind a gateway. `None` for what
    /// is no link.
    pub(crate) fn own(&self, link: &str) -> Option<String> {
        let mut own = Url::parse(&format!("{}/", self.base)).ok()?;
        let link = own.join(link).ok().filter(Url::has_host)?;
        let before_version = self.base.strip_suffix(VERSION).unwrap_or(&self.base);
        let before = Url::parse(before_version).ok()?;
        let before = before.path().trim_end_matches('/');
        let is_below = link.path().strip_prefix(before);
        match is_below.is_some_and(|rest| rest.starts_with('/')) {
            true => own.set_path(link.path()),
            false => own.set_path(&format!("{before}{}", link.path())),
        }
        own.set_query(link.query());
        Some(own.into())
    }

    /// Asks for JSON.
    pub(crate) async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T, PluginError> {
        self.ask(Method::GET, url, None)
            .await?
            .expect_success()?
            .json()
    }

    /// Asks, signed in: the answer, whatever its status is. While Microsoft wants to be left alone nothing is asked.
    pub(crate) async fn ask(
        &self,
        method: Method,
        url: &str,
        body: Option<&Value>,
    ) -> Result<Answer, PluginError> {
        self.is_welcome()?;
        let token = self.token(None).await?;
        let answer = self.ask_with(&method, url, body, &token).await?;
        if answer.status() != 401 {
            return Ok(answer);
        }
        let token = self.token(Some(&token)).await?;
        self.ask_with(&method, url, body, &token).await
    }

    /// Asks somebody who wants no token, such as Microsoft's sign-in for its keys.
    pub(crate) async fn ask_openly(&self, url: &str) -> Result<Answer, PluginError> {
        let request = self.client.get(url).await?;
        self.client.ask(request).await?.expect_success()
    }

    async fn ask_with(
        &self,
        method: &Method,
        url: &str,
        body: Option<&Value>,
        token: &str,
    ) -> Result<Answer, PluginError> {
        let mut request: RequestBuilder = self.client.request(method.clone(), url).await?;
        request = request.bearer_auth(token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = self.client.ask(request).await?;
        self.heed(&answer);
        Ok(answer)
    }

    /// Notes for how long it wants to be left alone, if it does.
    fn heed(&self, answer: &Answer) {
        if let (429 | 503, Some(wait)) = (answer.status(), answer.retry_after()) {
            *self.quiet_until.lock() = Some(Instant::now() + wait);
        }
    }

    fn is_welcome(&self) -> Result<(), PluginError> {
        let until = *self.quiet_until.lock();
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        match left.filter(|left| !left.is_zero()) {
            None => Ok(()),
            Some(left) => {
                let told = "Microsoft wants to be left alone for a while";
                Err(PluginError::retryable("rate_limited", told).after(left))
            }
        }
    }

    /// The token, had anew when it is about to end or is the `stale` one. Those who want one meanwhile wait for it.
    async fn token(&self, stale: Option<&str>) -> Result<String, PluginError> {
        let mut kept = self.token.lock().await;
        let usable = kept.as_ref().filter(|token| {
            token.until > Instant::now() && stale.is_none_or(|stale| token.text != stale)
        });
        if let Some(token) = usable {
            return Ok(token.text.clone());
        }
        *kept = None;
        // Whoever waited for this may have been told to wait longer.
        self.is_welcome()?;
        let token = self.sign_in().await?;
        let text = token.text.clone();
        *kept = Some(token);
        Ok(text)
    }

    async fn sign_in(&self) -> Result<Token, PluginError> {
        let secret = self
            .services
            .secret("client_secret")
            .await
            .map_err(|error| {
                let told = format!("no `client_secret` under [plugins.outlook.secrets]: {error}");
                PluginError::retryable("no_secret", told)
            })?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.client_id)
            .append_pair("client_secret", secret.trim())
            .append_pair("scope", &self.scope)
            .finish();
        let request = self.client.post(&self.token_url).await?;
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        let asked = Instant::now();
        let answer = self.client.ask(request).await?;
        self.heed(&answer);
        if matches!(answer.status(), 400 | 401 | 403) {
            return Err(not_granted(&answer));
        }
        let granted: Granted = answer.expect_success()?.json()?;
        let life = granted.life();
        Ok(Token {
            text: granted.access_token,
            until: asked + life.saturating_sub(MARGIN.min(life / 5)),
        })
    }
}

/// Credentials that are wrong today may be mended tomorrow; what waits for them is not lost meanwhile.
fn not_granted(answer: &Answer) -> PluginError {
    let told = match answer.json::<NotGranted>() {
        Ok(NotGranted {
            error,
            error_description,
        }) => format!("{error}: {}", error_description.unwrap_or_default()),
        Err(_) => format!("status {}", answer.status()),
    };
    let told: String = told.chars().take(300).collect();
    PluginError::retryable(
        "not_signed_in",
        format!("Microsoft gives the app no token: {told}"),
    )
}

#[cfg(test)]
mod tests {
    use nexus_plugin_api::testing::Bench;

    use super::*;

    #[test]
    fn a_token_lives_as_long_as_is_told_in_whichever_way() {
        for (told, life) in [
            (r#"{"access_token": "t", "expires_in": 60}"#, 60),
            (r#"{"access_token": "t", "expires_in": "60"}"#, 60),
            (r#"{"access_token": "t", "expires_in": null}"#, PLAIN_LIFE),
            (r#"{"access_token": "t"}"#, PLAIN_LIFE),
        ] {
            let granted: Granted = serde_json::from_str(told).unwrap();
            assert_eq!(granted.life().as_secs(), life, "{told}");
        }
    }

    #[test]
    fn links_lead_to_the_configured_server_alone() {
        let own = |graph_url: &str, link: &str| {
            let config = Config {
                graph_url: graph_url.to_owned(),
                ..Config::default()
            };
            Graph::new(&config, Bench::new().setup().services()).own(link)
        };
        let real = "https://graph.microsoft.com";
        for (graph_url, link, leads_to) in [
            (
                real,
                "https://graph.microsoft.com/v1.0/me?$skip=1",
                "https://graph.microsoft.com/v1.0/me?$skip=1",
            ),
            (
                real,
                "https://Graph.Microsoft.com:443/v1.0/me",
                "https://graph.microsoft.com/v1.0/me",
            ),
            (
                real,
                "http://evil.example:7/v1.0/me?t=%2B",
                "https://graph.microsoft.com/v1.0/me?t=%2B",
            ),
            (
                real,
                "https://user:pw@evil.example/beta/me#x",
                "https://graph.microsoft.com/beta/me",
            ),
            (
                real,
                "//evil.example/v1.0/me",
                "https://graph.microsoft.com/v1.0/me",
            ),
            (real, "/v1.0/me", "https://graph.microsoft.com/v1.0/me"),
            (real, "me?a=b", "https://graph.microsoft.com/v1.0/me?a=b"),
            (
                "http://127.0.0.1:71/v1.0/",
                "http://localhost:71/v1.0/me",
                "http://127.0.0.1:71/v1.0/me",
            ),
            (
                "https://gate/graph",
                "https://graph.microsoft.com/v1.0/me",
                "https://gate/graph/v1.0/me",
            ),
            (
                "https://gate/graph",
                "https://gate/graph/v1.0/me",
                "https://gate/graph/v1.0/me",
            ),
            (
                "https://gate/graph",
                "https://gate/graphics/v1.0/me",
                "https://gate/graph/graphics/v1.0/me",
            ),
        ] {
            assert_eq!(own(graph_url, link).as_deref(), Some(leads_to), "{link}");
        }
        for link in ["mailto:ada@example.org", "https://", "data:,x"] {
            assert_eq!(own(real, link), None, "{link}");
        }
    }
}
