//! Which names a rule covers: receives `*`, `prefix.*` or an exact name, answers whether a name is
//! covered. It never compares ignoring case, and knows no other wildcard.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

use super::InvalidValue;

/// A set of sources or event types.
///
/// ```
/// use nexus_host::config::Selector;
///
/// let mail: Selector = "outlook.*".parse()?;
/// assert!(mail.matches("outlook.mail.received"));
/// assert!(!mail.matches("outlook") && !mail.matches("outlooks.mail"));
/// # Ok::<(), nexus_host::config::InvalidValue>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Selector {
    /// `*`: every name.
    Any,
    /// `prefix.*`: every name below the prefix, at any depth; holds the prefix with its dot.
    Below(String),
    /// Exactly this name.
    Exact(String),
}

impl Selector {
    /// Whether the name is one of the set.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Below(prefix) => name.len() > prefix.len() && name.starts_with(prefix.as_str()),
            Self::Exact(exact) => name == exact,
        }
    }

    /// Whether there is a name that both match.
    pub fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::Exact(name), set) | (set, Self::Exact(name)) => set.matches(name),
            (Self::Below(one), Self::Below(other)) => {
                one.starts_with(other.as_str()) || other.starts_with(one.as_str())
            }
        }
    }
}

impl FromStr for Selector {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let name = text.strip_suffix(".*").unwrap_or(text);
        let strange = |c: char| c == '*' || c.is_whitespace() || c.is_control();
        if name.is_empty() || name.ends_with('.') || name.contains(strange) {
            return Err(InvalidValue(
                "is not a name, `*` or `prefix.*` (the only wildcards there are)",
            ));
        }
        Ok(if name.len() == text.len() {
            Self::Exact(name.to_owned())
        } else {
            Self::Below(format!("{name}."))
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Below(prefix) => write!(f, "{prefix}*"),
            Self::Exact(name) => f.write_str(name),
        }
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Selector {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Selector".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "nexus-selector",
            "examples": ["*", "outlook.*", "parrot"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_forms_and_no_fourth() {
        let parse = |text: &str| text.parse::<Selector>();
        assert!(parse("*").unwrap().matches("anything"));
        assert!(parse("a.b.*").unwrap().matches("a.b.c.d"));
        assert!(!parse("a.b.*").unwrap().matches("a.b."));
        assert!(!parse("a.b").unwrap().matches("a.b.c"));
        for bad in ["", ".*", "a*", "*.a", "a.*.b", "a..*", "a b", "a.**", "a."] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        for good in ["*", "a.*", "a.b"] {
            assert_eq!(parse(good).unwrap().to_string(), good);
        }
    }
}
