//! Colours: receives a line, hands it on with the words that say how something is in colour. Which words these are stands
//! here and nowhere else; who prints does not think of it.

use std::borrow::Cow;

use anstyle::{AnsiColor, Style};

const GOOD: [&str; 9] = [
    "ready",
    "accepted",
    "processed",
    "passed",
    "closed",
    "approved",
    "answered",
    "loadable",
    "ok",
];
const DOUBTFUL: [&str; 14] = [
    "starting",
    "degraded",
    "duplicate",
    "queued",
    "processing",
    "waiting",
    "pending",
    "half_open",
    "skipped",
    "disabled",
    "stopped",
    "warning",
    "warned",
    "acknowledged",
];
const BAD: [&str; 10] = [
    "failed",
    "refused",
    "rejected",
    "quarantined",
    "dead",
    "open",
    "expired",
    "firing",
    "breaks",
    "breaking",
];

/// A line of cells, two spaces or more between them, of which some say how something is; as is the first word, with or
/// without a colon.
pub(crate) fn painted(line: &str) -> Cow<'_, str> {
    let mut painted = String::new();
    let mut unpainted = line;
    let mut is_first = true;
    for cell in line
        .split("  ")
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
    {
        let word = match std::mem::take(&mut is_first) {
            true => cell.split([' ', ':']).next().unwrap_or(cell),
            false => cell,
        };
        let Some((style, at)) = style(word).zip(unpainted.find(cell)) else {
            continue;
        };
        let (before, rest) = unpainted.split_at(at);
        painted.push_str(&format!("{before}{style}{word}{style:#}"));
        unpainted = &rest[word.len()..];
    }
    if painted.is_empty() {
        return Cow::Borrowed(line);
    }
    painted.push_str(unpainted);
    Cow::Owned(painted)
}

fn style(word: &str) -> Option<Style> {
    let colour = match word {
        _ if GOOD.contains(&word) => AnsiColor::Green,
        _ if DOUBTFUL.contains(&word) => AnsiColor::Yellow,
        _ if BAD.contains(&word) => AnsiColor::Red,
        _ => return None,
    };
    Some(colour.on_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_say_how_something_is_are_in_colour_and_nothing_else_changes() {
        for (line, shown) in [
            (
                "parrot  0.1.0  ready  x",
                "parrot  0.1.0  \u{1b}[32mready\u{1b}[0m  x",
            ),
            (
                "  refused  a: failed",
                "  \u{1b}[31mrefused\u{1b}[0m  a: failed",
            ),
            (
                "warning: it is open",
                "\u{1b}[33mwarning\u{1b}[0m: it is open",
            ),
            ("all ready", "all ready"),
            ("", ""),
        ] {
            assert_eq!(painted(line), shown);
        }
    }
}
