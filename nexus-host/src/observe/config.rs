//! `[observe]`: what the hub tells about itself. It holds the settings only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use super::{LogField, traces};
use crate::config::{InvalidValue, Section, nearest};

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What the hub tells about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How log lines look. Default "pretty".
    pub log_format: LogFormat,
    /// Which log lines are written: a level, or a filter such as "info,nexus_host=debug".
    /// `NEXUS_LOG` goes before it. Lines of other crates than the hub's own are kept down to "info". Default "info".
    #[schemars(extend("format" = "nexus-log-filter"))]
    pub log_level: String,
    /// What lines may tell of an event beside its ids: `type`, `source`, `priority`, `causation_id`,
    /// `partition_key`, and pointers into its payload such as "/mail/folder". Default none.
    #[schemars(length(max = 16))]
    pub log_fields: Vec<LogField>,
    /// Where traces go; nowhere by default.
    pub traces: traces::Config,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object a line, for programs.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            log_format: LogFormat::Pretty,
            log_level: "info".to_owned(),
            log_fields: Vec::new(),
            traces: traces::Config::default(),
        }
    }
}

impl Config {
    pub(crate) fn check(&self, section: &mut Section<'_, '_>) {
        self.traces.check(&mut section.key("traces"));
    }
}

/// Whether a text is a log filter. A lone word that is no level would name a module and silence all others, so
/// it must look like one (`nexus_host`, `a::b`); any other ("warning") is taken for the slip it is.
pub(crate) fn check_filter(text: &str) -> Result<(), InvalidValue> {
    const WRONG: InvalidValue = InvalidValue(
        "is not a log filter; write a level (off, error, warn, info, debug, trace) or a filter such as \"info,nexus_host=debug\"",
    );
    let slip = |directive: &str| {
        let directive = directive.trim().to_lowercase();
        let is_module = directive.contains(['_', ':', '=', '[']);
        let is_near = nearest(&directive, LEVELS).is_some();
        !LEVELS.contains(&directive.as_str()) && (is_near || !is_module)
    };
    let parsed = EnvFilter::builder().parse(text);
    if parsed.is_err() || text.trim().is_empty() || text.split(',').any(slip) {
        return Err(WRONG);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_pass_and_slips_do_not() {
        for good in [
            "info",
            "OFF",
            "info,nexus_host=debug",
            "nexus_host",
            "warn,h2=error",
        ] {
            assert_eq!(check_filter(good), Ok(()), "{good:?}");
        }
        for bad in [
            "",
            "inof",
            "warning",
            "verbose",
            "nexus_host=loud",
            "info,wran",
            "a=b=c",
        ] {
            assert!(check_filter(bad).is_err(), "{bad:?}");
        }
    }
}
