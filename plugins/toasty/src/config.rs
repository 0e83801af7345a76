//! The configuration: receives `[plugins.toasty.config]`, hands on where and how Toasty is called.

use std::time::Duration;

use nexus_plugin_api::{ConfigSchema, PluginError};
use serde::Deserialize;

use nexus_plugin_api::Period;

/// Where Toasty is, and how it is called.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ConfigSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where Toasty listens.
    pub endpoint: String,
    /// How long one call may take.
    pub timeout: Period,
    /// How long connecting may take.
    pub connect_timeout: Period,
    /// How often an open connection is checked for life.
    pub keepalive: Period,
    /// Whether answers to toasts become events.
    pub watch: bool,
    /// Whether the hub's questions to people are shown as toasts, and answered by what is pressed; without `watch`
    /// they are not.
    pub approvals: bool,
    /// Who shows the toasts, where a request does not say; left out, the server's own name.
    pub app_id: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: "http://127.0.0.1:7072".to_owned(),
            timeout: Period::seconds(5),
            connect_timeout: Period::seconds(2),
            keepalive: Period::seconds(30),
            watch: true,
            approvals: true,
            app_id: None,
        }
    }
}

impl Config {
    /// Refuses lengths of time that would make every call fail.
    pub(crate) fn check(&self) -> Result<(), PluginError> {
        for (key, period) in [
            ("timeout", self.timeout),
            ("connect_timeout", self.connect_timeout),
            ("keepalive", self.keepalive),
        ] {
            if period.0 < Duration::from_millis(1) {
                return Err(invalid(format!(
                    "`{key}` is {period}; at least 1ms is needed"
                )));
            }
        }
        Ok(())
    }
}

/// The error of a configuration that cannot work.
pub(crate) fn invalid(message: impl std::fmt::Display) -> PluginError {
    PluginError::permanent("invalid_config", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_a_default() {
        let config: Config = serde_json::from_str("{}").unwrap();
        assert_eq!(config.endpoint, "http://127.0.0.1:7072");
        assert!(config.watch);
        config.check().unwrap();
    }

    #[test]
    fn no_time_at_all_is_refused() {
        let config: Config = serde_json::from_str(r#"{"timeout": "0s"}"#).unwrap();
        let error = config.check().unwrap_err();
        assert!(error.message.starts_with("`timeout` is 0s"), "{error}");
    }
}
