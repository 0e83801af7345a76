//! The configuration: receives `[plugins.outlook.config]`, hands on what is watched, how Graph is reached, and what is
//! missing yet.
//!
//! Every key has a default, so that the plugin loads with none of them; it then does nothing and says what to write.

use std::path::PathBuf;

use nexus_plugin_api::outgoing::Url;
use nexus_plugin_api::{ConfigSchema, Period, PluginError};
use serde::Deserialize;
use uuid::Uuid;

use crate::notification::Change;
use crate::rules::Rule;

/// What stands for the tenant in addresses.
const TENANT: &str = "{tenant}";

/// Whose mail becomes events, and how Microsoft Graph is reached.
#[derive(Debug, Clone, Deserialize, ConfigSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The tenant: its id, or one of its domains.
    pub tenant: String,
    /// The app's (client) id. Its secret is `client_secret` in `[plugins.outlook.secrets]`.
    pub client_id: String,
    /// Whose mail: user ids or addresses; `me` where Graph is asked on behalf of one person.
    pub mailboxes: Vec<String>,
    /// Which folder, by its id or well-known name.
    pub folder: String,
    /// Which changes are looked at: `created`, and `updated` for messages that change afterwards.
    pub changes: Vec<Watched>,
    /// Where Microsoft reaches this hub, such as `https://hub.example.org`; left out, mail is polled.
    pub public_url: Option<String>,
    /// How often mail is asked for where there is no `public_url`.
    pub poll_interval: Period,
    /// How often it is looked whether a notification was lost.
    pub reconcile_interval: Period,
    /// A certificate (PEM file) for which Graph encrypts the mail that it then sends along with notifications; left
    /// out, each mail is fetched. Its key is `encryption_key` in `[plugins.outlook.secrets]`.
    pub encryption_certificate: Option<PathBuf>,
    /// Which mail is urgent. The first rule that fits decides; without one, the sender's importance does.
    pub rules: Vec<Rule>,
    /// Graph's base URL.
    pub graph_url: String,
    /// Where tokens are had; `{tenant}` stands for the tenant.
    pub token_url: String,
    /// What tokens are for.
    pub scope: String,
    /// Where Microsoft's sign-in describes itself and its keys; `{tenant}` stands for the tenant.
    pub metadata_url: String,
    /// Who issues the tokens that come with encrypted mail; left out, Microsoft for the tenant's id.
    pub issuers: Vec<String>,
    /// Who says that a server is the one that it says: a PEM file of authorities; left out, the system's.
    pub authorities: Option<PathBuf>,
}

/// A kind of change that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ConfigSchema)]
#[serde(rename_all = "lowercase")]
pub enum Watched {
    /// New messages.
    Created,
    /// Messages that change.
    Updated,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            tenant: String::new(),
            client_id: String::new(),
            mailboxes: Vec::new(),
            folder: "inbox".to_owned(),
            changes: vec![Watched::Created],
            public_url: None,
            poll_interval: Period::seconds(60),
            reconcile_interval: Period::seconds(60 * 60),
            encryption_certificate: None,
            rules: Vec::new(),
            graph_url: "https://graph.microsoft.com".to_owned(),
            token_url: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token".to_owned(),
            scope: "https://graph.microsoft.com/.default".to_owned(),
            metadata_url:
                "https://login.microsoftonline.com/{tenant}/v2.0/.well-known/openid-configuration"
                    .to_owned(),
            issuers: Vec::new(),
            authorities: None,
        }
    }
}

impl Watched {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
        }
    }

    pub(crate) fn is(self, change: Change) -> bool {
        matches!(
            (self, change),
            (Self::Created, Change::Created) | (Self::Updated, Change::Updated)
        )
    }
}

impl Config {
    /// What has to be written before anything can be done; `None` when everything is there.
    pub(crate) fn missing(&self) -> Option<String> {
        let missing: Vec<&str> = [
            ("tenant", self.tenant.is_empty()),
            ("client_id", self.client_id.is_empty()),
            ("mailboxes", self.mailboxes.is_empty()),
        ]
        .into_iter()
        .filter_map(|(key, is_missing)| is_missing.then_some(key))
        .collect();
        (!missing.is_empty()).then(|| {
            format!(
                "write {} under [plugins.outlook.config], and `client_secret` under \
                 [plugins.outlook.secrets]",
                missing.join(", ")
            )
        })
    }

    /// Whether nothing has been written of what has to be.
    pub(crate) fn is_blank(&self) -> bool {
        self.tenant.is_empty() && self.client_id.is_empty() && self.mailboxes.is_empty()
    }

    /// Refuses what cannot work.
    pub(crate) fn check(&self) -> Result<(), PluginError> {
        for (key, url) in [
            ("graph_url", Some(&self.graph_url)),
            ("token_url", Some(&self.token_url)),
            ("metadata_url", Some(&self.metadata_url)),
            ("public_url", self.public_url.as_ref()),
        ] {
            let Some(url) = url else { continue };
            let parsed = Url::parse(&self.of_tenant(url));
            let is_web = parsed.is_ok_and(|url| {
                matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.has_host()
            });
            if !is_web {
                return Err(invalid(format!(
                    "`{key}` is `{url}`; it must be http(s)://HOST…"
                )));
            }
        }
        for (key, period) in [
            ("poll_interval", self.poll_interval),
            ("reconcile_interval", self.reconcile_interval),
        ] {
            if period < Period::seconds(1) {
                return Err(invalid(format!(
                    "`{key}` is {period}; at least 1s is needed"
                )));
            }
        }
        if self.changes.is_empty() {
            return Err(invalid(
                "`changes` is empty; leave it out, or name `created`",
            ));
        }
        for name in self.mailboxes.iter().chain([&self.folder]) {
            if name.is_empty() || name.chars().count() > 320 || name.chars().any(char::is_control) {
                return Err(invalid(format!("`{name}` names no mailbox and no folder")));
            }
        }
        if self.rules.iter().any(Rule::is_empty) {
            return Err(invalid(
                "a rule of `rules` names no condition, and would fit all mail",
            ));
        }
        if self.encryption_certificate.is_some()
            && self.issuers().is_empty()
            && !self.tenant.is_empty()
        {
            return Err(invalid(
                "`encryption_certificate` needs the tenant's id in `tenant`, or `issuers`",
            ));
        }
        Ok(())
    }

    /// An address with the tenant in it.
    pub(crate) fn of_tenant(&self, url: &str) -> String {
        url.replace(TENANT, &self.tenant)
    }

    /// Who issues the tokens that come with encrypted mail.
    pub(crate) fn issuers(&self) -> Vec<String> {
        if !self.issuers.is_empty() {
            return self.issuers.clone();
        }
        let Ok(tenant) = self.tenant.parse::<Uuid>() else {
            return Vec::new();
        };
        vec![
            format!("https://sts.windows.net/{tenant}/"),
            format!("https://login.microsoftonline.com/{tenant}/v2.0"),
        ]
    }
}

/// The error of a configuration that cannot work.
fn invalid(message: impl std::fmt::Display) -> PluginError {
    PluginError::permanent("invalid_config", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(toml: &str) -> Config {
        serde_json::from_str(toml).unwrap()
    }

    #[test]
    fn nothing_is_in_order_and_says_what_to_write() {
        let config = of("{}");
        config.check().unwrap();
        let told = config.missing().unwrap();
        assert!(
            told.contains("write tenant, client_id, mailboxes under [plugins.outlook.config]"),
            "{told}"
        );
        let config = of(r#"{"tenant": "t.example", "client_id": "c"}"#);
        assert!(config.missing().unwrap().contains("write mailboxes under"));
        let config = of(r#"{"tenant": "t.example", "client_id": "c", "mailboxes": ["me"]}"#);
        assert_eq!(config.missing(), None);
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_key() {
        for (config, told) in [
            (r#"{"graph_url": "graph"}"#, "`graph_url` is `graph`"),
            (r#"{"public_url": "ftp://h"}"#, "`public_url` is"),
            (r#"{"public_url": "https://h/?a"}"#, "`public_url` is"),
            (r#"{"poll_interval": "10ms"}"#, "`poll_interval` is 10ms"),
            (r#"{"changes": []}"#, "`changes` is empty"),
            (r#"{"mailboxes": [""]}"#, "names no mailbox"),
            (r#"{"rules": [{"priority": "high"}]}"#, "names no condition"),
            (
                r#"{"tenant": "t.example", "encryption_certificate": "c.pem"}"#,
                "needs the tenant's id",
            ),
        ] {
            let error = of(config).check().unwrap_err();
            assert!(error.message.contains(told), "{config}: {error}");
        }
        let tenant = "84bd8158-6d4d-4958-8b9f-9d6445542f95";
        let config = of(&format!(
            r#"{{"tenant": "{tenant}", "encryption_certificate": "c.pem"}}"#
        ));
        config.check().unwrap();
        assert_eq!(
            config.issuers()[0],
            format!("https://sts.windows.net/{tenant}/")
        );
    }
}
