//! The configuration: receives `[plugins.parrot.config]`, hands on which notifications are shown.
//!
//! Every key has a default, so that the plugin works with none of them.

use nexus_plugin_api::{ConfigSchema, PluginError, Priority};
use serde::Deserialize;

/// Which notifications become toasts, and where they are sent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ConfigSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The integration that shows toasts.
    pub toasty: String,
    /// The lowest priority that is shown; `off` shows only the apps in `always`.
    pub min_priority: MinPriority,
    /// Apps that are shown whatever the priority. Case does not matter.
    pub always: Vec<String>,
    /// Apps that are never shown. Case does not matter.
    pub never: Vec<String>,
    /// Who the desktop says shows the toasts; left out, the integration's own setting.
    pub app_id: Option<String>,
    /// The kinds of link that get an Open button: a captured notification is not trusted to name
    /// any program it likes.
    pub link_schemes: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            toasty: "toasty".to_owned(),
            min_priority: MinPriority::High,
            always: Vec::new(),
            never: Vec::new(),
            app_id: None,
            link_schemes: vec!["https".to_owned(), "http".to_owned()],
        }
    }
}

/// The lowest priority that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ConfigSchema)]
#[serde(rename_all = "lowercase")]
pub enum MinPriority {
    /// Everything.
    Low,
    /// All but `low`.
    Normal,
    /// `high` and `critical`.
    High,
    /// `critical` alone.
    Critical,
    /// Nothing because of its priority.
    Off,
}

impl Config {
    /// Refuses what contradicts itself.
    pub(crate) fn check(&self) -> Result<(), PluginError> {
        if self.toasty.is_empty() {
            return Err(invalid(
                "`toasty` is empty; name the integration that shows toasts",
            ));
        }
        match self.always.iter().find(|app| lists(&self.never, app)) {
            Some(app) => Err(invalid(format!(
                "`{app}` is both in `always` and in `never`"
            ))),
            None => Ok(()),
        }
    }

    /// Why a notification is not shown; `None` when it is.
    pub(crate) fn hides(&self, app: &str, priority: Priority) -> Option<String> {
        if lists(&self.never, app) {
            return Some(format!("`{app}` is in `never`"));
        }
        if lists(&self.always, app) {
            return None;
        }
        match self.min_priority.priority() {
            Some(least) if priority >= least => None,
            Some(least) => Some(format!("priority {priority} is below {least}")),
            None => Some(format!("`{app}` is not in `always`")),
        }
    }
}

impl MinPriority {
    fn priority(self) -> Option<Priority> {
        match self {
            Self::Low => Some(Priority::Low),
            Self::Normal => Some(Priority::Normal),
            Self::High => Some(Priority::High),
            Self::Critical => Some(Priority::Critical),
            Self::Off => None,
        }
    }
}

fn lists(apps: &[String], app: &str) -> bool {
    let app = app.to_lowercase();
    apps.iter().any(|listed| listed.to_lowercase() == app)
}

fn invalid(message: impl std::fmt::Display) -> PluginError {
    PluginError::permanent("invalid_config", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_configuration_urgent_notifications_are_shown() {
        let config: Config = serde_json::from_str("{}").unwrap();
        config.check().unwrap();
        for (priority, shown) in Priority::ALL.into_iter().zip([false, false, true, true]) {
            assert_eq!(
                config.hides("Teams", priority).is_none(),
                shown,
                "{priority}"
            );
        }
    }

    #[test]
    fn apps_overrule_priorities() {
        let config = Config {
            always: vec!["teams".to_owned()],
            never: vec!["Éclair".to_owned()],
            ..Config::default()
        };
        assert_eq!(config.hides("Teams", Priority::Low), None);
        assert_eq!(
            config.hides("éclair", Priority::Critical).as_deref(),
            Some("`éclair` is in `never`")
        );
        let off = Config {
            min_priority: MinPriority::Off,
            ..config
        };
        assert!(off.hides("Mail", Priority::Critical).is_some());
        assert_eq!(off.hides("TEAMS", Priority::Low), None);
    }

    #[test]
    fn a_contradiction_is_refused() {
        let config = Config {
            always: vec!["Teams".to_owned()],
            never: vec!["teams".to_owned()],
            ..Config::default()
        };
        let error = config.check().unwrap_err();
        assert_eq!(error.code, "invalid_config");
        assert!(error.message.contains("`Teams`"), "{error}");
    }
}
