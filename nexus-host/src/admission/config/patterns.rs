//! `[limits]` `suspicious` and `patterns`: what is looked for in payloads, and what is done about it. It
//! holds the settings only.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admission::{rules, suspicion};
use crate::config::Section;

/// How many patterns may be configured.
const MOST_PATTERNS: usize = 100;

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

/// Objects to patterns that cannot be told apart or used, and to what says nothing.
pub(super) fn check_patterns(patterns: &[Pattern], section: &mut Section<'_, '_>) {
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
