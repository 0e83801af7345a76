//! A length of time, written as people do: `"5s"`, `"250ms"`, `"1h 30m"`.

use std::time::Duration;

use nexus_plugin_api::{ConfigSchema, Schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time in a configuration or a request, as text with units.
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

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map(Self).map_err(|error| {
            serde::de::Error::custom(format!(
                "`{text}` is not a duration such as \"5s\": {error}"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_units() {
        let period: Period = serde_json::from_str("\"1m 30s\"").unwrap();
        assert_eq!(period, Period::seconds(90));
        assert_eq!(serde_json::to_string(&period).unwrap(), "\"1m 30s\"");
        let error = serde_json::from_str::<Period>("\"soon\"").unwrap_err();
        assert!(
            error.to_string().contains("`soon` is not a duration"),
            "{error}"
        );
        assert!(serde_json::from_str::<Period>("5").is_err());
    }
}
