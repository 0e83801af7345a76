//! A length of time, written as people do: `"60s"`, `"1h 30m"`.

use std::time::Duration;

use nexus_plugin_api::{ConfigSchema, Schema};
use serde::{Deserialize, Deserializer};

/// A length of time in the configuration, as text with units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

impl Period {
    /// That many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl std::fmt::Display for Period {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl ConfigSchema for Period {
    const SCHEMA: &'static Schema = &Schema::Text;
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map(Self).map_err(|error| {
            serde::de::Error::custom(format!(
                "`{text}` is not a duration such as \"60s\": {error}"
            ))
        })
    }
}
