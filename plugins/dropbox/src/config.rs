//! The configuration: receives `[plugins.dropbox.config]`, hands on which accounts are followed, and how.
//!
//! Secrets do not stand here: `[plugins.dropbox.secrets]` holds them, and an account names its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use nexus_plugin_api::{ConfigSchema, Period, PluginError};
use serde::Deserialize;

/// Which accounts are followed, and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ConfigSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How one hears of changes: `webhook`, or `longpoll` where no webhook can arrive.
    pub mode: Mode,
    /// The accounts, by their ids (`dbid:...`); none for the one whose token is the secret `refresh_token` or
    /// `access_token`.
    pub accounts: BTreeMap<String, Account>,
    /// The folder that is followed, such as `/Invoices`; empty for everything.
    pub path: String,
    /// Whether what is there when an account is first listed is told as added.
    pub announce_existing: bool,
    /// How many files of one account are remembered, to tell moves, deletions and changes.
    pub max_files: u64,
    /// How often an account is listed without having heard of a change.
    pub catch_up: Period,
    /// Where the API is.
    pub api_url: String,
    /// Where the long poll is.
    pub notify_url: String,
    /// How long a call may take.
    pub timeout: Period,
    /// How long one long poll waits for a change, 30 s to 8 min.
    pub longpoll_timeout: Period,
    /// A PEM file of the authorities that servers' certificates are checked against; left out, the system's.
    pub authorities: Option<PathBuf>,
}

/// How one hears of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ConfigSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Dropbox tells the hub.
    Webhook,
    /// The hub waits at Dropbox.
    Longpoll,
}

/// An account with its token: the name of a secret, one of the two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ConfigSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Account {
    /// The secret that holds its refresh token; needs the secrets `app_key` and `app_secret`.
    pub refresh_token: Option<String>,
    /// The secret that holds an access token.
    pub access_token: Option<String>,
    /// The folder that is followed, where it differs.
    pub path: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mode: Mode::Webhook,
            accounts: BTreeMap::new(),
            path: String::new(),
            announce_existing: false,
            max_files: 100_000,
            catch_up: Period::seconds(15 * 60),
            api_url: "https://api.dropboxapi.com".to_owned(),
            notify_url: "https://notify.dropboxapi.com".to_owned(),
            timeout: Period::seconds(20),
            longpoll_timeout: Period::seconds(300),
            authorities: None,
        }
    }
}

impl Config {
    /// Refuses what cannot work.
    pub(crate) fn check(&self) -> Result<(), PluginError> {
        let paths = self.accounts.values().filter_map(|one| one.path.as_ref());
        for path in paths.chain([&self.path]) {
            if !(path.is_empty() || path.starts_with('/')) || path.ends_with('/') {
                return Err(invalid(format!(
                    "`path` is `{path}`; it begins with `/` and does not end with it, and is empty for everything"
                )));
            }
        }
        for (id, account) in &self.accounts {
            if account.refresh_token.is_some() == account.access_token.is_some() {
                return Err(invalid(format!(
                    "the account `{id}` needs either `refresh_token` or `access_token`: the name of a secret"
                )));
            }
            if id.is_empty() || id.contains(|c: char| c == '/' || c.is_control()) {
                return Err(invalid(format!("`{id}` is no id of an account")));
            }
        }
        for (key, url) in [("api_url", &self.api_url), ("notify_url", &self.notify_url)] {
            let is_url = url.starts_with("https://") || url.starts_with("http://");
            if !is_url || url.ends_with('/') {
                return Err(invalid(format!(
                    "`{key}` is `{url}`; it is https://HOST, without a slash at its end"
                )));
            }
        }
        let second = Duration::from_secs(1);
        for (key, period) in [("catch_up", self.catch_up), ("timeout", self.timeout)] {
            if period.0 < second {
                return Err(invalid(format!(
                    "`{key}` is {period}; at least 1s is needed"
                )));
            }
        }
        if !(30..=480).contains(&self.longpoll_timeout.0.as_secs()) {
            return Err(invalid(format!(
                "`longpoll_timeout` is {}; Dropbox takes 30s to 8m",
                self.longpoll_timeout
            )));
        }
        Ok(())
    }

    /// The folder that is followed in an account.
    pub(crate) fn folder_of(&self, account: &str) -> &str {
        let own = self.accounts.get(account).and_then(|one| one.path.as_ref());
        own.unwrap_or(&self.path)
    }
}

fn invalid(message: impl std::fmt::Display) -> PluginError {
    PluginError::permanent("invalid_config", message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_has_a_default() {
        let config: Config = serde_json::from_str("{}").unwrap();
        config.check().unwrap();
        assert_eq!(config.mode, Mode::Webhook);
        assert_eq!(config.folder_of("dbid:ada"), "");
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for (config, said) in [
            (json!({"path": "Invoices"}), "`path` is `Invoices`"),
            (json!({"path": "/"}), "`path` is `/`"),
            (json!({"accounts": {"dbid:a": {}}}), "needs either"),
            (
                json!({"accounts": {"dbid:a": {"refresh_token": "r", "access_token": "a"}}}),
                "needs either",
            ),
            (
                json!({"accounts": {"a/b": {"access_token": "a"}}}),
                "is no id of an account",
            ),
            (
                json!({"accounts": {"a": {"access_token": "a", "path": "x/"}}}),
                "`path` is `x/`",
            ),
            (json!({"api_url": "api.dropboxapi.com"}), "`api_url` is"),
            (json!({"notify_url": "https://n/"}), "`notify_url` is"),
            (json!({"catch_up": "10ms"}), "`catch_up` is 10ms"),
            (json!({"longpoll_timeout": "10s"}), "30s to 8m"),
        ] {
            let read: Config = serde_json::from_value(config.clone()).unwrap();
            let error = read.check().unwrap_err();
            assert_eq!(error.code, "invalid_config");
            assert!(error.message.contains(said), "{config}: {error}");
        }
    }
}
