//! Keeping secrets out of text that somebody else wrote: a plugin's errors and log lines, a collector's refusals.
//!
//! Receives text, hands it on without the secrets that its author was given: as they are, as they look in JSON or in a
//! debug print, and line by line. One that the author has encoded otherwise passes.

use std::borrow::Cow;

use crate::config::Secret;

/// Shorter secrets are left alone: they would turn ordinary words into holes.
const SHORTEST: usize = 4;

/// The same for lines of a secret that has several.
const SHORTEST_LINE: usize = 16;

/// Stands in a secret's place.
const HOLE: &str = "[redacted]";

/// The secrets that somebody was given.
#[derive(Debug, Default)]
pub(crate) struct Redaction(Vec<Secret>);

impl Redaction {
    pub(crate) fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let long_enough = secrets
            .into_iter()
            .filter(|secret| secret.expose().len() >= SHORTEST);
        let mut looks: Vec<String> = long_enough
            .flat_map(|secret| looks(secret.expose()))
            .collect();
        // Where one is a part of another, the whole goes first: no rest of it stays.
        looks.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        looks.dedup();
        Self(looks.into_iter().map(Secret::new).collect())
    }

    /// The text without secrets.
    pub(crate) fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut clean = Cow::Borrowed(text);
        for secret in &self.0 {
            if clean.contains(secret.expose()) {
                clean = Cow::Owned(clean.replace(secret.expose(), HOLE));
            }
        }
        clean
    }

    /// Takes the secrets out of a text.
    pub(crate) fn clean(&self, text: &mut String) {
        if let Cow::Owned(clean) = self.text(text) {
            *text = clean;
        }
    }
}

/// What a secret may look like where nobody has encoded it on purpose.
fn looks(secret: &str) -> Vec<String> {
    let lines = secret.lines().filter(|line| line.len() >= SHORTEST_LINE);
    let printed = within_quotes(format!("{secret:?}"));
    let mut looks = vec![in_json(secret), in_json(&printed), printed];
    looks.extend(lines.map(str::to_owned));
    looks.push(secret.to_owned());
    looks
}

fn in_json(text: &str) -> String {
    within_quotes(serde_json::Value::from(text).to_string())
}

fn within_quotes(text: String) -> String {
    let inner = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    inner.map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_become_holes_and_short_ones_stay() {
        let redaction = Redaction::new(["tok-4711", "ab"].map(Secret::new));
        assert_eq!(
            redaction.text("401 for tok-4711, twice tok-4711, about"),
            "401 for [redacted], twice [redacted], about"
        );
    }

    #[test]
    fn no_rest_of_a_longer_one_stays() {
        for secrets in [["tok-47", "tok-4711-rest"], ["tok-4711-rest", "tok-47"]] {
            let redaction = Redaction::new(secrets.map(Secret::new));
            assert_eq!(redaction.text("tok-4711-rest"), HOLE);
        }
    }

    #[test]
    fn escapes_and_lines_hide_none() {
        let secret = "a\"quote, a \\ and \u{1}\nthe second line of the key\n";
        let redaction = Redaction::new([Secret::new(secret)]);
        let json = serde_json::json!({ "plain": secret, "printed": format!("{secret:?}") });
        let printed = format!("{secret:?}");
        for text in [
            secret,
            &printed,
            &json.to_string(),
            "the second line of the key",
        ] {
            let clean = redaction.text(text);
            let is_clean = ["quote", "second"].iter().all(|part| !clean.contains(part));
            assert!(is_clean, "{clean}");
        }
    }
}
