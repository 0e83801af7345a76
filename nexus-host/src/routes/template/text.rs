//! Texts with placeholders: `{{`, an expression in CEL, `}}`. Everything else stands as it is; a `{{` of its own is
//! written `{{ "{{" }}`.

use std::io::Write;

use super::super::misfit::Misfit;
use super::LONGEST;
use super::page::{Page, told};
use crate::admission::quoted;
use crate::expression::{Case, Expression};

const OPEN: &str = "{{";
const CLOSE: &str = "}}";

/// A text to be filled.
#[derive(Debug)]
pub(in crate::routes) struct Text(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Plain(String),
    Placeholder(Expression),
}

impl Text {
    /// Compiles one.
    ///
    /// # Errors
    /// The first placeholder that is wrong, and why.
    pub(in crate::routes) fn compile(written: &str) -> Result<Self, Vec<Misfit>> {
        Self::read(written).map_err(|fault| vec![Misfit::new(fault)])
    }

    fn read(written: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = written;
        while let Some((before, after)) = rest.split_once(OPEN) {
            if !before.is_empty() {
                pieces.push(Piece::Plain(before.to_owned()));
            }
            let end = end(after)
                .ok_or("has a `{{` without its `}}`; for a `{{` of its own write `{{ \"{{\" }}`")?;
            let within = after[..end].trim();
            let expression = Expression::value(within)
                .map_err(|fault| format!("the placeholder {} {fault}", quoted(within)))?;
            pieces.push(Piece::Placeholder(expression));
            rest = &after[end + CLOSE.len()..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Plain(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// The placeholder, if it is one alone.
    pub(super) fn only(mut self) -> Result<Expression, Self> {
        match self.0.pop() {
            Some(Piece::Placeholder(only)) if self.0.is_empty() => Ok(only),
            last => {
                self.0.extend(last);
                Err(self)
            }
        }
    }

    /// How many placeholders it has.
    pub(in crate::routes) fn placeholders(&self) -> usize {
        let is_placeholder = |piece: &&Piece| matches!(piece, Piece::Placeholder(_));
        self.0.iter().filter(is_placeholder).count()
    }

    /// The text for an event, to stand under a key.
    ///
    /// # Errors
    /// That a placeholder cannot be filled, or that it would be too long.
    pub(in crate::routes) fn fill_at(&self, key: &str, case: &Case) -> Result<String, Misfit> {
        let filled = self.write(case, Page::new(LONGEST));
        filled.map_err(|reason| Misfit::new(reason).within(key))
    }

    /// The text for an event, as this page takes it.
    ///
    /// # Errors
    /// Why a placeholder cannot be filled.
    pub(super) fn write(&self, case: &Case, mut page: Page) -> Result<String, String> {
        for piece in &self.0 {
            let written = match piece {
                Piece::Plain(text) => {
                    let written = page.write_all(text.as_bytes());
                    written.map_err(serde_json::Error::io)
                }
                Piece::Placeholder(expression) => expression.give(case)?.write_text(&mut page),
            };
            written.map_err(|error| told(&error, &page))?;
        }
        String::from_utf8(page.into_bytes()).map_err(|error| error.to_string())
    }
}

/// Where the `}}` stands that ends a placeholder: not within a text of CEL, and not where a `{` is open.
fn end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut open) = (0, 0_usize);
    while at < bytes.len() {
        match bytes[at] {
            b'"' | b'\'' => {
                at = after_text(bytes, at)?;
                continue;
            }
            b'{' => open += 1,
            b'}' if open > 0 => open -= 1,
            b'}' if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// What follows a text of CEL that begins at `start`: `"…"`, `'…'`, or with three quotes on each side; after an `r`
/// a backslash is one.
fn after_text(bytes: &[u8], start: usize) -> Option<usize> {
    let quote = bytes[start];
    let is_raw = start > 0 && matches!(bytes[start - 1], b'r' | b'R');
    let is_three = |at: usize| bytes.get(at..at + 3) == Some(&[quote; 3]);
    let (mut at, length) = match is_three(start) {
        true => (start + 3, 3),
        false => (start + 1, 1),
    };
    loop {
        match *bytes.get(at)? {
            b'\\' if !is_raw => at += 2,
            byte if byte == quote && (length == 1 || is_three(at)) => return Some(at + length),
            _ => at += 1,
        }
    }
}
