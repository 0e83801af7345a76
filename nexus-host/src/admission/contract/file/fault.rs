//! What is wrong with a contract file: receives a parser's error, hands on one line with the place in the
//! text, the member that is meant, and what was wanted.

use serde_path_to_error::{Path, Segment};

use super::super::super::envelope::escaped;
use super::super::super::rejection::shortened;

/// A text that is not of its format.
pub(super) fn no_json(error: &serde_json::Error) -> String {
    told(
        Some((error.line(), error.column())),
        "not JSON",
        &own_words(error),
    )
}

/// JSON that is no contract.
pub(super) fn in_json(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let inner = error.inner();
    if !inner.is_data() {
        return no_json(inner);
    }
    let position = (inner.line() > 0).then(|| (inner.line(), inner.column()));
    told(position, &pointer(error.path()), &plain(&own_words(inner)))
}

/// A text that is not TOML.
pub(super) fn no_toml(error: &toml::de::Error, text: &str) -> String {
    told(position(error, text), "not TOML", error.message())
}

/// TOML that is no contract.
pub(super) fn in_toml(error: &serde_path_to_error::Error<toml::de::Error>, text: &str) -> String {
    let inner = error.inner();
    told(
        position(inner, text),
        &pointer(error.path()),
        &plain(inner.message()),
    )
}

fn told(position: Option<(usize, usize)>, what: &str, wrong: &str) -> String {
    let place = match position {
        Some((line, column)) => format!("line {line}, column {column}: "),
        None => String::new(),
    };
    shortened(&format!("{place}{what}: {wrong}"))
}

/// The message without the place that it ends with.
fn own_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

/// As the hub's configuration says it.
fn plain(message: &str) -> String {
    let parts = ["invalid type: ", "invalid length ", "invalid value: "]
        .iter()
        .find_map(|start| message.strip_prefix(start)?.split_once(", expected "));
    match parts {
        Some((found, expected)) => format!("expected {expected}, found {found}"),
        None => message.to_owned(),
    }
}

fn position(error: &toml::de::Error, text: &str) -> Option<(usize, usize)> {
    let before = text.get(..error.span()?.start)?;
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    Some((line, before[start..].chars().count() + 1))
}

fn pointer(place: &Path) -> String {
    let steps = place.iter().map(|segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", escaped(key)),
        Segment::Enum { variant } => format!("/{}", escaped(variant)),
        Segment::Unknown => String::new(),
    });
    match steps.collect::<String>() {
        at if at.is_empty() => "/".to_owned(),
        at => at,
    }
}
