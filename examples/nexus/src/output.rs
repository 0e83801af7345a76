//! The only place that prints: receives text, hands it to standard output or standard error.
//!
//! Control characters in what others wrote (a manifest, a hub's answer) are escaped, so that they
//! cannot play with the terminal. Colours are for terminals, and for nobody who set `NO_COLOR`. A closed output is
//! nobody listening any more, not an error.

use std::borrow::Cow;
use std::io::{self, Write};

use anstream::AutoStream;
use serde::Serialize;

use crate::tone;

/// A line, or several, for whoever asked: standard output.
pub(crate) fn line(text: &str) {
    write_painted(AutoStream::auto(io::stdout()), text);
}

/// A remark beside the data: standard error.
pub(crate) fn note(text: &str) {
    write_painted(AutoStream::auto(io::stderr()), text);
}

/// What went wrong: standard error.
pub(crate) fn error(text: &str) {
    write_line(&mut io::stderr().lock(), &format!("nexus: {text}"));
}

/// Data for programs, readable for people: standard output.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => write_line(&mut io::stdout().lock(), &text),
        Err(problem) => error(&format!("the data cannot be shown as JSON: {problem}")),
    }
}

/// Data for programs, one line each, for commands that go on: standard output.
pub(crate) fn json_line<T: Serialize + ?Sized>(value: &T) {
    match serde_json::to_string(value) {
        Ok(text) => write_line(&mut io::stdout().lock(), &text),
        Err(problem) => error(&format!("the data cannot be shown as JSON: {problem}")),
    }
}

/// A whole document that this program has made: standard output, as it is.
pub(crate) fn document(bytes: &[u8]) {
    // There is nobody left to tell when this fails.
    let mut output = io::stdout().lock();
    let _ = output.write_all(bytes).and_then(|()| output.flush());
}

fn write_painted(mut to: impl Write, text: &str) {
    let text = harmless(text);
    let lines: Vec<_> = text.split('\n').map(tone::painted).collect();
    // There is nobody left to tell when this fails.
    let _ = writeln!(to, "{}", lines.join("\n")).and_then(|()| to.flush());
}

fn write_line(to: &mut dyn Write, text: &str) {
    // There is nobody left to tell when this fails.
    let _ = writeln!(to, "{}", harmless(text)).and_then(|()| to.flush());
}

/// A text whose control characters are written out.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    let strange = |c: char| c.is_control() && c != '\n';
    if !text.contains(strange) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if strange(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_played_with() {
        assert_eq!(harmless("a\nb é"), "a\nb é");
        assert_eq!(harmless("\u{1b}[2Jx\r"), "\\u{1b}[2Jx\\r");
    }
}
