//! The configuration: receives `[plugins.langgraph.config]`, hands on where the server is and how long
//! and how closely runs are followed.

use std::path::PathBuf;
use std::time::Duration;

use nexus_plugin_api::outgoing::{Access, Url};
use nexus_plugin_api::{ConfigSchema, PluginError};
use serde::Deserialize;

use crate::request::Multitask;
use nexus_plugin_api::Period;

/// Where the LangGraph server is, and how its runs are followed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ConfigSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the server listens.
    pub url: String,
    /// Where the server reaches this hub, `…/v1/hooks/langgraph`; left out, endings are waited for.
    pub webhook_url: Option<String>,
    /// A PEM file of authorities for a server with TLS; left out, those of the system.
    pub authorities: Option<PathBuf>,
    /// How long one call may take.
    pub timeout: Period,
    /// How often runs are looked at that nothing is heard of.
    pub poll_interval: Period,
    /// How old a run may become before it is cancelled.
    pub run_timeout: Period,
    /// What a run does that finds its thread busy, where the request does not say.
    pub multitask: Multitask,
    /// How many runs may be under way.
    pub max_runs: usize,
    /// The largest output that an event carries, in bytes.
    pub max_output: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:2024".to_owned(),
            webhook_url: None,
            authorities: None,
            timeout: Period::seconds(10),
            poll_interval: Period::seconds(5),
            run_timeout: Period::seconds(60 * 60),
            multitask: Multitask::Enqueue,
            max_runs: 1000,
            max_output: 256 * 1024,
        }
    }
}

impl Config {
    /// Refuses what cannot work.
    pub(crate) fn check(&self) -> Result<(), PluginError> {
        check_url("url", &self.url)?;
        if let Some(url) = &self.webhook_url {
            check_url("webhook_url", url)?;
        }
        for (key, period) in [
            ("timeout", self.timeout),
            ("poll_interval", self.poll_interval),
            ("run_timeout", self.run_timeout),
        ] {
            if period.0 < Duration::from_millis(10) {
                return Err(invalid(format!(
                    "`{key}` is {period}; at least 10ms is needed"
                )));
            }
        }
        if self.max_runs == 0 {
            return Err(invalid("`max_runs` is 0; at least 1 is needed"));
        }
        Ok(())
    }

    /// How the server is reached. Where it is the operator has said, so every address may be its.
    pub(crate) fn access(&self) -> Access {
        Access {
            authorities: self.authorities.clone(),
            timeout: self.timeout.0,
            ..Access::default()
        }
    }
}

fn check_url(key: &str, text: &str) -> Result<(), PluginError> {
    let wrong = |why: &str| {
        // Not the address itself: it may hold a password.
        Err(invalid(format!(
            "`{key}` {why}; it must be http://HOST:PORT or https://…"
        )))
    };
    let Ok(url) = Url::parse(text) else {
        return wrong("is no URL");
    };
    if !matches!(url.scheme(), "http" | "https") {
        return wrong("is neither http nor https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("has a user name; secrets belong into [plugins.langgraph.secrets]");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return wrong("has a query or a fragment");
    }
    Ok(())
}

fn invalid(message: impl std::fmt::Display) -> PluginError {
    PluginError::permanent("invalid_config", message)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn refused(config: Value) -> String {
        let config: Config = serde_json::from_value(config).unwrap();
        config.check().unwrap_err().message
    }

    #[test]
    fn everything_has_a_default() {
        let config: Config = serde_json::from_str("{}").unwrap();
        assert_eq!(config.url, "http://127.0.0.1:2024");
        assert_eq!(config.multitask, Multitask::Enqueue);
        config.check().unwrap();
    }

    #[test]
    fn what_cannot_work_is_refused_and_no_password_repeated() {
        for (config, said) in [
            (json!({"url": "127.0.0.1:2024"}), "`url` is"),
            (json!({"url": "ftp://there"}), "`url` is neither"),
            (
                json!({"url": "http://me:canary@there"}),
                "`url` has a user name",
            ),
            (
                json!({"webhook_url": "http://there/?token=canary"}),
                "`webhook_url` has a query",
            ),
            (json!({"run_timeout": "0s"}), "`run_timeout` is 0s"),
            (json!({"max_runs": 0}), "`max_runs` is 0"),
        ] {
            let told = refused(config.clone());
            assert!(told.starts_with(said), "{config}: {told}");
            assert!(!told.contains("canary"), "{told}");
        }
    }
}
