//! Dropbox's API: receives what is to be asked, hands on pages, or why there is none. A token that has run out is
//! renewed once.

use std::time::Duration;

use nexus_plugin_api::outgoing::{Access, Answer, Client};
use nexus_plugin_api::{PluginError, Services};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::config::Config;
use crate::tokens::Tokens;
use crate::wire::{Conflict, Owner, Page, Polled};

/// How many entries one page is to have, about.
const PAGE: u32 = 500;

/// What the account is called whose token is not allowed to say whose it is.
const UNNAMED: &str = "default";

/// Dropbox answers a long poll up to 90 s late, so that not all come back at once.
const JITTER: Duration = Duration::from_secs(90);

/// Why there is no page.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The cursor is void: list again from the start.
    Reset,
    /// The folder is not there.
    NotThere,
    /// Something else.
    Failed(PluginError),
}

impl From<PluginError> for Refusal {
    fn from(error: PluginError) -> Self {
        Self::Failed(error)
    }
}

/// See the module.
pub(crate) struct Api {
    client: Client,
    /// Waits longer.
    poller: Client,
    tokens: Tokens,
    config: Config,
    /// Whose the app's only token is, or [`UNNAMED`].
    owner: OnceCell<String>,
}

impl Api {
    pub(crate) fn new(config: &Config, services: &Services) -> Self {
        let access = |timeout| Access {
            authorities: config.authorities.clone(),
            timeout,
            ..Access::default()
        };
        let patience = config.longpoll_timeout.0 + JITTER + config.timeout.0;
        Self {
            client: Client::new(access(config.timeout.0)),
            poller: Client::new(access(patience)),
            tokens: Tokens::new(config, services),
            config: config.clone(),
            owner: OnceCell::new(),
        }
    }

    /// What is to be written so that anything can work, if something is.
    pub(crate) async fn missing(&self) -> Option<PluginError> {
        self.tokens.missing().await
    }

    /// The accounts that can be listed.
    pub(crate) async fn accounts(&self) -> Result<Vec<String>, PluginError> {
        if !self.config.accounts.is_empty() {
            return Ok(self.config.accounts.keys().cloned().collect());
        }
        let owner = self.owner.get_or_try_init(|| async {
            // Without one nothing is known, which is no refusal.
            self.tokens.get(&self.client, "").await?;
            let path = "/2/users/get_current_account";
            match self.ask("", path, &Value::Null).await {
                Ok(answer) => Ok(answer.json::<Owner>()?.account_id),
                Err(Refusal::Failed(error)) if error.retryable || is_unknown(&error) => Err(error),
                Err(refusal) => {
                    let told = failure(refusal);
                    tracing::warn!("the token's account goes by the name `{UNNAMED}`: {told}");
                    Ok(UNNAMED.to_owned())
                }
            }
        });
        Ok(vec![owner.await?.clone()])
    }

    /// Under which name an account is listed that somebody has named; `None` where there is no token for it.
    pub(crate) async fn listed_as(&self, named: &str) -> Result<Option<String>, PluginError> {
        let accounts = self.accounts().await?;
        let is_unnamed = self.config.accounts.is_empty() && accounts == [UNNAMED];
        let is_same = |one: &String| is_unnamed || one == named;
        Ok(accounts.into_iter().find(is_same))
    }

    /// The first page of a folder and all below it.
    pub(crate) async fn list(&self, account: &str, folder: &str) -> Result<Page, Refusal> {
        let body =
            json!({"path": folder, "recursive": true, "include_deleted": false, "limit": PAGE});
        let answer = self.ask(account, "/2/files/list_folder", &body).await?;
        Ok(answer.json()?)
    }

    /// The page after a cursor.
    pub(crate) async fn go_on(&self, account: &str, cursor: &str) -> Result<Page, Refusal> {
        let body = json!({"cursor": cursor});
        let path = "/2/files/list_folder/continue";
        Ok(self.ask(account, path, &body).await?.json()?)
    }

    /// Waits for a change after a cursor. The cursor is all that is shown: this call takes no token.
    pub(crate) async fn poll(&self, cursor: &str) -> Result<Polled, Refusal> {
        let url = format!("{}/2/files/list_folder/longpoll", self.config.notify_url);
        let timeout = self.config.longpoll_timeout.0.as_secs();
        let request = self.poller.post(&url).await?;
        let request = request.json(&json!({"cursor": cursor, "timeout": timeout}));
        let answer = self.poller.ask(request).await?;
        Ok(judged(answer)?.json()?)
    }

    async fn ask(&self, account: &str, path: &str, body: &Value) -> Result<Answer, Refusal> {
        let token = self.tokens.get(&self.client, account).await?;
        let answer = self.send(&token, path, body).await?;
        if answer.status() != 401 {
            return judged(answer);
        }
        match self.tokens.renew(&self.client, account, &token).await? {
            Some(token) => judged(self.send(&token, path, body).await?),
            None => judged(answer),
        }
    }

    async fn send(&self, token: &str, path: &str, body: &Value) -> Result<Answer, PluginError> {
        let url = format!("{}{path}", self.config.api_url);
        let request = self.client.post(&url).await?;
        self.client.ask(request.bearer_auth(token).json(body)).await
    }
}

/// Whether a token is not valid at all, rather than for one call.
fn is_unknown(error: &PluginError) -> bool {
    error.code == "not_signed_in" && !error.message.contains("missing_scope")
}

fn judged(answer: Answer) -> Result<Answer, Refusal> {
    if answer.status() == 409
        && let Ok(conflict) = answer.json::<Conflict>()
    {
        let error = conflict.error;
        let of_path = error.path.map(|path| path.tag);
        match (error.tag.as_str(), of_path.as_deref()) {
            ("reset", _) => return Err(Refusal::Reset),
            ("path", Some("not_found")) => return Err(Refusal::NotThere),
            _ => {}
        }
    }
    answer.expect_success().map_err(|error| {
        Refusal::Failed(PluginError {
            message: format!("Dropbox {}", error.message),
            ..error
        })
    })
}

/// A refusal where no listing is that could begin anew.
pub(crate) fn failure(refusal: Refusal) -> PluginError {
    match refusal {
        Refusal::Failed(error) => error,
        Refusal::Reset => PluginError::retryable("reset", "Dropbox asks to list from the start"),
        Refusal::NotThere => {
            PluginError::retryable("not_found", "the folder `path` is not there in Dropbox")
        }
    }
}
