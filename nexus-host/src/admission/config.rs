//! `[limits]` and `[[clients]]`: what an event may weigh and who may publish. It holds the settings
//! only.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{rules, suspicion};
use crate::config::{ByteSize, KeyHash, Section, Selector};

/// The largest body that may be configured: one event is held in memory whole.
const LARGEST_BODY: ByteSize = ByteSize::from_mib(256);

/// How many patterns may be configured.
const MOST_PATTERNS: usize = 100;

/// What a request and an event in it may weigh; whatever is more is refused before it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The size of a request's body, after decompression; 1 byte to "256MiB". Default "1MiB".
    pub max_body: ByteSize,
    /// How deep objects and arrays may nest, 1 to 128. Default 32.
    #[schemars(range(min = 1, max = 128))]
    pub max_depth: usize,
    /// How many events one request may hold, 1 to 100,000. Default 1000.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_batch: usize,
    /// The length of one string or key, in bytes of UTF-8; at least 1. Default "256KiB".
    pub max_string: ByteSize,
    /// How many elements one array may have, 1 to 10,000,000. Default 10000.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_array: usize,
    /// How many keys all objects of one event may have together, 1 to 10,000,000. Default 10000.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_keys: usize,
    /// What is done with a payload in which a string looks like an attack on whoever reads it: script and
    /// template injection, SQL, path traversal, shell commands, attempts to give an agent orders.
    /// docs/admission.md names the patterns. Default "flag".
    pub suspicious: OnSuspicion,
    /// Patterns beside the hub's own, `[[limits.patterns]]`, at most 100, each with a `name`, a `regex` and
    /// an `action` ("flag", "refuse" or "off"; default "flag"). With the name of one of the hub's own
    /// patterns and without `regex`, it says what is done about that one. Default none.
    pub patterns: Vec<Pattern>,
}

/// What is done with a payload that fits a pattern.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnSuspicion {
    /// The event goes on unchanged; its journal and the log say which pattern, and where.
    #[default]
    Flag,
    /// The event is refused as a contract violation.
    Refuse,
    /// It is not looked for.
    Off,
}

/// A pattern to look for in every string of a payload, or what is done about one of the hub's own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name"]))]
pub struct Pattern {
    /// Its name in journals and refusals, unique: letters, digits, `.`, `_` and `-`, at most 128.
    pub name: String,
    /// The regular expression, in the syntax of the crate `regex`, which takes linear time; at most 1000
    /// characters. It fits when it is found anywhere in a string.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1_000))]
    pub regex: Option<String>,
    /// What is done. Default "flag".
    pub action: OnSuspicion,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body: ByteSize::from_mib(1),
            max_depth: 32,
            max_batch: 1_000,
            max_string: ByteSize::from_kib(256),
            max_array: 10_000,
            max_keys: 10_000,
            suspicious: OnSuspicion::Flag,
            patterns: Vec::new(),
        }
    }
}

impl Limits {
    pub(crate) fn check(&self, section: &mut Section<'_, '_>) {
        if self.max_body.bytes() == 0 || self.max_body > LARGEST_BODY {
            let message = format!("must be from 1B to {LARGEST_BODY}, found {}", self.max_body);
            section.refuse("max_body", message, "write a size such as \"1MiB\"");
        }
        if self.max_string.bytes() == 0 {
            section.refuse(
                "max_string",
                "must be at least 1B",
                "write a size such as \"256KiB\"",
            );
        }
        check_patterns(&self.patterns, &mut section.key("patterns"));
    }
}

fn check_patterns(patterns: &[Pattern], section: &mut Section<'_, '_>) {
    let mut names = HashMap::new();
    let mut usable = true;
    for (index, pattern) in patterns.iter().enumerate() {
        if let Some(first) = names.insert(&pattern.name, index) {
            let place = section.index(first).place_of("name");
            let message = format!("is the name of another pattern, at {place}");
            section
                .index(index)
                .refuse("name", message, "give each pattern its own");
        }
        let mut section = section.index(index);
        if !rules::is_source(&pattern.name) {
            section.refuse(
                "name",
                rules::SOURCE,
                "write a name such as \"invoice-fraud\"",
            );
        }
        match (&pattern.regex, suspicion::is_known(&pattern.name)) {
            (Some(_), true) => section.refuse(
                "name",
                "is the name of one of the hub's own patterns",
                "choose another name, or leave `regex` out to say what is done about that one",
            ),
            (None, false) => {
                let help = format!("add it, or name one of: {}", suspicion::known_names());
                section.refuse_together(&["regex", "name"], "has no `regex`", &help);
            }
            (None, true) => {}
            (Some(regex), false) => {
                if let Err(suspicion::Unusable(reason)) = suspicion::check_regex(regex) {
                    usable = false;
                    let message = format!("of the pattern `{}` {reason}", pattern.name);
                    section.refuse("regex", message, "mend it, or take it out");
                }
            }
        }
    }
    if patterns.len() > MOST_PATTERNS || (usable && suspicion::check_all(patterns).is_err()) {
        let message = format!("are more than {MOST_PATTERNS}, or too large together");
        section.refuse_here(message, "take some out, or join them with `|`");
    }
}

/// Somebody who may publish: whoever holds the key whose hash is here. Nothing is granted that is
/// not written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["id", "key_sha256"]))]
pub struct Client {
    /// The client's name in logs and metrics, unique and not empty.
    #[schemars(length(min = 1, max = 200))]
    pub id: String,
    /// The SHA-256 of the client's key, as 64 hexadecimal digits; unique. `nexus key new` makes both.
    pub key_sha256: KeyHash,
    /// The sources it may publish as: exact names, `prefix.*` or `*`. Default none.
    pub sources: Vec<Selector>,
    /// The event types it may publish: exact names, `prefix.*` or `*`. Default none.
    pub types: Vec<Selector>,
    /// Whether it may use `/v1/admin`. Default false.
    pub admin: bool,
    /// How many events it may publish per second, more than 0. Default no limit of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1_000_000_000))]
    pub rate: Option<f64>,
    /// How many events it may publish at once before `rate` holds it back, at least 1; only with
    /// `rate`. Default one second's worth.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub burst: Option<u32>,
}

/// Objects to clients that cannot be told apart, and to what says nothing.
pub(crate) fn check_clients(clients: &[Client], section: &mut Section<'_, '_>) {
    let mut ids = HashMap::new();
    let mut keys = HashMap::new();
    for (index, client) in clients.iter().enumerate() {
        if let Some(first) = ids.insert(&client.id, index) {
            let place = section.index(first).place_of("id");
            let message = format!("is the id of another client, at {place}");
            section
                .index(index)
                .refuse("id", message, "give each client its own");
        }
        if let Some(first) = keys.insert(&client.key_sha256, index) {
            let place = section.index(first).place_of("key_sha256");
            let message = format!("is the key of another client, at {place}");
            section
                .index(index)
                .refuse("key_sha256", message, "make a key for each client");
        }
        if client.key_sha256 == KeyHash::default() {
            section.index(index).refuse(
                "key_sha256",
                "is the hash of no key",
                "write what `nexus key new` prints",
            );
        }
        if client.burst.is_some() && client.rate.is_none() {
            section.index(index).refuse_together(
                &["burst", "rate"],
                "burst needs rate",
                "give the events per second as `rate`, or leave `burst` out",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn refusal(patterns: &str) -> String {
        let text = format!("[limits]\nsuspicious = \"off\"\n{patterns}");
        Config::from_toml_str(&text).unwrap_err().to_string()
    }

    #[test]
    fn patterns_are_read() {
        let text = "[[limits.patterns]]\nname = \"iban\"\nregex = '[A-Z]{2}\\d{2}'\naction = \"refuse\"\n\
                    [[limits.patterns]]\nname = \"template\"\naction = \"off\"";
        assert_eq!(
            Config::from_toml_str(text).unwrap().limits.patterns.len(),
            2
        );
    }

    #[test]
    fn patterns_that_mean_nothing_are_refused_by_name_and_place() {
        let one = |lines: &str| format!("[[limits.patterns]]\n{lines}\n");
        for (patterns, expected) in [
            (one("name = \"a\""), "has no `regex`"),
            (
                one("name = \"a\"\nregex = '('"),
                "of the pattern `a` is not a regular expression: unclosed group",
            ),
            (one("name = \"a\"\nregex = 'a*'"), "every string"),
            (one("name = \"a\"\nregex = 'a{500}{500}{10}'"), "too large"),
            (
                one("name = \"a b\"\nregex = 'a'"),
                "limits.patterns[0].name",
            ),
            (
                one("name = \"script_tag\"\nregex = 'a'"),
                "one of the hub's own patterns",
            ),
            (
                one("name = \"a\"\nregex = 'a'\naction = \"warn\""),
                "must be one of",
            ),
            (one("name = \"a\"\nregexp = 'a'"), "did you mean `regex`?"),
            (one("regex = 'a'"), "name"),
            (
                one("name = \"a\"\nregex = 'a'").repeat(2),
                "is the name of another pattern, at config:4",
            ),
            (
                (0..101)
                    .map(|n| one(&format!("name = \"a{n}\"\nregex = 'a'")))
                    .collect(),
                "limits.patterns: are more than 100",
            ),
        ] {
            let told = refusal(&patterns);
            assert!(told.contains(expected), "{expected}:\n{told}");
            assert!(told.lines().count() <= 2, "{told}");
        }
    }
}
