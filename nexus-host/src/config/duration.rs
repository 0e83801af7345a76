//! Durations as a person writes them: receives "1h30m", hands on a [`std::time::Duration`]. It
//! never guesses a unit, and never lets through a span so long that adding it to a clock fails.

use std::fmt::{self, Write as _};
use std::ops::Deref;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

/// The longest duration a setting may have.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Longest units first; what [`HumanDuration`] reads and writes.
const UNITS: [(&str, u128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// A span of time, written with its units: `"30s"`, `"500ms"`, `"1h30m"`; at most 366 days.
///
/// ```
/// use nexus_host::config::HumanDuration;
/// use std::time::Duration;
///
/// let wait: HumanDuration = "1m30s".parse()?;
/// assert_eq!(Duration::from(wait), Duration::from_secs(90));
/// assert!("90".parse::<HumanDuration>().is_err(), "a unit is needed");
/// # Ok::<(), nexus_host::config::InvalidValue>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanDuration(Duration);

impl HumanDuration {
    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The duration itself.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for HumanDuration {
    type Err = super::InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: super::InvalidValue = super::InvalidValue(
            "is not a duration; write a number with its unit, such as \"30s\", \"500ms\" or \"1h30m\" (d, h, m, s, ms, us, ns)",
        );
        // humantime knows months, years and many spellings: in a config, "1M" is more likely a
        // slip than a month, so the units are checked first.
        let mut units = text
            .split(|c: char| c.is_ascii_digit())
            .map(str::trim)
            .filter(|unit| !unit.is_empty());
        if !units.all(|unit| UNITS.iter().any(|(known, _)| *known == unit)) {
            return Err(FORM);
        }
        match humantime::parse_duration(text) {
            Ok(duration) if duration <= LONGEST => Ok(Self(duration)),
            Ok(_) | Err(humantime::DurationError::NumberOverflow) => {
                Err(super::InvalidValue("is too long a duration; at most 366d"))
            }
            Err(_) if text.trim() == "0" => Ok(Self(Duration::ZERO)),
            Err(_) => Err(FORM),
        }
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_nanos();
        let mut text = String::new();
        for (unit, nanos) in UNITS {
            if rest >= nanos {
                write!(text, "{}{unit}", rest / nanos)?;
                rest %= nanos;
            }
        }
        f.pad(if text.is_empty() { "0s" } else { &text })
    }
}

impl Deref for HumanDuration {
    type Target = Duration;

    fn deref(&self) -> &Duration {
        &self.0
    }
}

impl From<Duration> for HumanDuration {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl From<HumanDuration> for Duration {
    fn from(duration: HumanDuration) -> Self {
        duration.0
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for HumanDuration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "nexus-duration",
            "pattern": r"^\s*([0-9]+\s*(d|h|m|s|ms|us|ns)\s*)+$|^\s*0\s*$",
            "examples": ["30s", "500ms", "1h30m"],
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_people_write() {
        let millis = |text: &str| text.parse::<HumanDuration>().map(|d| d.as_millis());
        assert_eq!(millis("30s"), Ok(30_000));
        assert_eq!(millis("500ms"), Ok(500));
        assert_eq!(millis("1h30m"), Ok(5_400_000));
        assert_eq!(millis("1h 30m"), Ok(5_400_000));
        assert_eq!(millis("24h"), millis("1d"));
        assert_eq!(millis("0s"), Ok(0));
        assert_eq!(millis("0"), Ok(0));
        assert_eq!(millis("366d"), Ok(31_622_400_000));
    }

    #[test]
    fn refuses_what_could_be_meant_otherwise() {
        for bad in [
            "",
            " ",
            "30",
            "s",
            "1M",
            "1month",
            "2 weeks",
            "1y",
            "-1s",
            "1.5s",
            "1e3s",
            "1s,2s",
            "5 sekunden",
            "367d",
            "99999999999999999999s",
            "1s 5",
            "\u{0663}s",
        ] {
            assert!(bad.parse::<HumanDuration>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(nanos in 0..=LONGEST.as_nanos() as u64) {
            let duration = HumanDuration(Duration::from_nanos(nanos));
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }

        #[test]
        fn any_text_is_read_or_refused_and_never_echoed(text in "[0-9a-z .-]{0,20}") {
            if let Err(error) = text.parse::<HumanDuration>() {
                prop_assert!(text.len() < 4 || !error.to_string().contains(&text));
            }
        }

        #[test]
        fn the_published_pattern_accepts_what_is_written(nanos in any::<u32>()) {
            let schema = HumanDuration::json_schema(&mut SchemaGenerator::default());
            let text = HumanDuration(Duration::from_nanos(nanos.into())).to_string();
            prop_assert!(jsonschema::is_valid(schema.as_value(), &text.into()));
        }
    }
}
