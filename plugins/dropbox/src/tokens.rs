//! Access tokens: receives an account, hands on a token that is believed to be valid. One that was got for a refresh
//! token is kept until shortly before its end. It never writes one down.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nexus_plugin_api::outgoing::{Client, Method};
use nexus_plugin_api::{PluginError, Services};
use parking_lot::Mutex;

use crate::config::Config;
use crate::wire::Granted;

/// How long before its end a token is not used any more.
const MARGIN: Duration = Duration::from_secs(60);

/// What a token is taken to live when nothing is said of it, in seconds.
const PLAIN_LIFE: u64 = 60 * 60;

/// Where a token comes from.
#[derive(Debug, PartialEq, Eq)]
enum Origin {
    /// The secret is the token.
    Access(String),
    /// The secret is what tokens are given for.
    Refresh(String),
}

/// See the module.
pub(crate) struct Tokens {
    config: Config,
    services: Services,
    /// By account; the empty one for the app's only one.
    kept: Mutex<BTreeMap<String, (String, Instant)>>,
}

impl Tokens {
    pub(crate) fn new(config: &Config, services: &Services) -> Self {
        Self {
            config: config.clone(),
            services: services.clone(),
            kept: Mutex::default(),
        }
    }

    /// A token, or an error that says which secret is missing.
    pub(crate) async fn get(&self, client: &Client, account: &str) -> Result<String, PluginError> {
        let now = Instant::now();
        let kept = self.kept.lock().get(self.slot(account)).cloned();
        match (kept, self.origin(account).await?) {
            (_, Origin::Access(token)) => Ok(token),
            (Some((token, until)), _) if until > now => Ok(token),
            (_, Origin::Refresh(token)) => self.refresh(client, account, &token).await,
        }
    }

    /// Another token in the place of one that was not taken; `None` where there can be no other.
    pub(crate) async fn renew(
        &self,
        client: &Client,
        account: &str,
        refused: &str,
    ) -> Result<Option<String>, PluginError> {
        let kept = self.kept.lock().get(self.slot(account)).cloned();
        if let Some((token, _)) = kept
            && token != refused
        {
            return Ok(Some(token));
        }
        match self.origin(account).await? {
            Origin::Access(_) => Ok(None),
            Origin::Refresh(token) => self.refresh(client, account, &token).await.map(Some),
        }
    }

    /// What is to be written so that anything can work, if something is.
    pub(crate) async fn missing(&self) -> Option<PluginError> {
        match self.config.accounts.keys().next() {
            Some(account) => self.origin(account).await.err(),
            None => self.origin("").await.err(),
        }
    }

    async fn origin(&self, account: &str) -> Result<Origin, PluginError> {
        if let Some(own) = self.config.accounts.get(account) {
            return match (&own.refresh_token, &own.access_token) {
                (Some(name), _) => Ok(Origin::Refresh(self.services.secret(name).await?)),
                (None, name) => {
                    let name = name.as_deref().unwrap_or_default();
                    Ok(Origin::Access(self.services.secret(name).await?))
                }
            };
        }
        if let Ok(token) = self.services.secret("access_token").await {
            return Ok(Origin::Access(token));
        }
        let token = self.services.secret("refresh_token").await?;
        Ok(Origin::Refresh(token))
    }

    async fn refresh(
        &self,
        client: &Client,
        account: &str,
        refresh_token: &str,
    ) -> Result<String, PluginError> {
        let (app_key, app_secret) = (
            self.services.secret("app_key").await?,
            self.services.secret("app_secret").await?,
        );
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "refresh_token")
            .append_pair("refresh_token", refresh_token)
            .append_pair("client_id", &app_key)
            .append_pair("client_secret", &app_secret)
            .finish();
        let url = format!("{}/oauth2/token", self.config.api_url);
        let request = client.request(Method::POST, &url).await?;
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        let granted = async {
            let answer = client.ask(request).await?.expect_success()?;
            answer.json::<Granted>()
        };
        let granted = granted.await.map_err(|error| {
            let code = match error.retryable {
                true => error.code.clone(),
                false => "not_signed_in".into(),
            };
            PluginError {
                code,
                message: format!("Dropbox gives no access token: {}", error.message),
                ..error
            }
        })?;
        let lasts = Duration::from_secs(granted.expires_in.unwrap_or(PLAIN_LIFE).min(24 * 60 * 60));
        let until = Instant::now() + lasts.saturating_sub(MARGIN);
        let token = granted.access_token;
        let kept = (token.clone(), until);
        self.kept.lock().insert(self.slot(account).to_owned(), kept);
        Ok(token)
    }

    /// Under which name an account's token is kept.
    fn slot<'a>(&self, account: &'a str) -> &'a str {
        match self.config.accounts.contains_key(account) {
            true => account,
            false => "",
        }
    }
}
