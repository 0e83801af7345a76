//! `[observe]`: what the hub tells about itself. It holds the settings only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use super::{LogField, traces, trail};
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

/// Whether a text is a log filter.
pub(crate) fn check_filter(text: &str) -> Result<(), InvalidValue> {
    filter(text).map(drop)
}

/// Reads a log filter. A lone word that is no level would name a module and silence all others, so
/// it must look like one (`nexus_host`, `a::b`); any other ("warning") is taken for the slip it is.
///
/// Values of fields are texts, not patterns: what a pattern is turned into may take all memory there is.
pub(super) fn filter(text: &str) -> Result<EnvFilter, InvalidValue> {
    const WRONG: InvalidValue = InvalidValue(
        "is not a log filter; write a level (off, error, warn, info, debug, trace) or a filter such as \"info,nexus_host=debug\"",
    );
    let slip = |directive: &str| {
        let directive = directive.trim().to_lowercase();
        let is_module = directive.contains(['_', ':', '=', '[']);
        let is_near = nearest(&directive, LEVELS).is_some();
        !LEVELS.contains(&directive.as_str()) && (is_near || !is_module)
    };
    if text.trim().is_empty() || text.split(',').any(slip) {
        return Err(WRONG);
    }
    // Whatever else is kept: a line that is kept says which event it is about.
    let text = format!("{text},{}=error", trail::TARGET);
    let parsed = EnvFilter::builder().with_regex(false).parse(text);
    parsed.map_err(|_| WRONG)
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
            "info,[event{event_id=0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b7a}]=trace",
            "[event{correlation_id=((}]=trace",
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
