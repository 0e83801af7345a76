//! The configuration: receives `[plugins.triage.config]`, hands on what goes to which agent.

use nexus_plugin_api::{ConfigSchema, PluginError, Priority};
use serde::Deserialize;

/// What goes to which agent, and who is told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ConfigSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The integration that runs agents.
    pub langgraph: String,
    /// The assistant that looks at what comes, or its graph's name.
    pub assistant: String,
    /// The lowest priority of mail that it looks at; `off` for none.
    pub mail: Least,
    /// The lowest priority of files that it looks at; `off` for none.
    pub files: Least,
    /// Whether people are told by toasts how runs have ended.
    pub tell: bool,
    /// The integration that shows toasts.
    pub toasty: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            langgraph: "langgraph".to_owned(),
            assistant: "triage".to_owned(),
            mail: Least::Normal,
            files: Least::Normal,
            tell: true,
            toasty: "toasty".to_owned(),
        }
    }
}

/// The lowest priority that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ConfigSchema)]
#[serde(rename_all = "lowercase")]
pub enum Least {
    /// Everything.
    Low,
    /// All but `low`.
    Normal,
    /// `high` and `critical`.
    High,
    /// `critical` alone.
    Critical,
    /// Nothing.
    Off,
}

impl Least {
    /// Why something of this priority is not looked at; `None` when it is.
    pub(crate) fn leaves(self, priority: Priority) -> Option<String> {
        let least = match self {
            Self::Low => Priority::Low,
            Self::Normal => Priority::Normal,
            Self::High => Priority::High,
            Self::Critical => Priority::Critical,
            Self::Off => return Some("none of these is looked at".to_owned()),
        };
        (priority < least).then(|| format!("priority {priority} is below {least}"))
    }
}

impl Config {
    /// Refuses names that name nothing.
    pub(crate) fn check(&self) -> Result<(), PluginError> {
        let names = [
            ("langgraph", &self.langgraph),
            ("assistant", &self.assistant),
            ("toasty", &self.toasty),
        ];
        match names.iter().find(|(_, name)| name.trim().is_empty()) {
            Some((key, _)) => Err(PluginError::permanent(
                "invalid_config",
                format!("`{key}` is empty; write a name, or leave the key out"),
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_below_the_least_are_left() {
        assert_eq!(Least::Normal.leaves(Priority::Normal), None);
        assert_eq!(Least::Low.leaves(Priority::Low), None);
        assert!(Least::High.leaves(Priority::Normal).is_some());
        assert!(Least::Off.leaves(Priority::Critical).is_some());
    }

    #[test]
    fn an_empty_name_is_refused() {
        let config: Config = serde_json::from_str(r#"{"assistant": " "}"#).unwrap();
        let error = config.check().unwrap_err();
        assert!(error.message.starts_with("`assistant` is empty"), "{error}");
    }
}
