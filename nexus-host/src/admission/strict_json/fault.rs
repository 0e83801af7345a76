//! Why and where a text was refused: receives the parser's findings, hands on a rejection with the
//! line and column. It never shows a value.

use std::fmt;
use std::str::Utf8Error;

use crate::admission::rejection::{Code, Rejection};

/// Why a text was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::admission) enum Reason {
    NoText,
    Syntax(String),
    DuplicateKey(String),
    WideInteger,
    ControlInKey(String),
    Nul,
    TooDeep(usize),
    LongString(usize),
    LongArray(usize),
    ManyKeys(usize),
    LongBatch(usize),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoText => f.write_str("not valid JSON: not UTF-8"),
            Self::Syntax(what) => write!(f, "not valid JSON: {what}"),
            Self::DuplicateKey(key) => write!(f, "the key {key} occurs twice in one object"),
            Self::WideInteger => f.write_str(
                "an integer does not fit 64 bits and would be rounded; send it as a string",
            ),
            Self::ControlInKey(key) => write!(f, "the key {key} has a control character"),
            Self::Nul => f.write_str("a string has the character U+0000"),
            Self::TooDeep(most) => {
                write!(f, "nested deeper than limits.max_depth ({most}) allows")
            }
            Self::LongString(most) => {
                write!(
                    f,
                    "a string or key is over limits.max_string ({most} bytes)"
                )
            }
            Self::LongArray(most) => write!(f, "an array is over limits.max_array ({most})"),
            Self::ManyKeys(most) => write!(f, "more keys than limits.max_keys ({most}) allows"),
            Self::LongBatch(most) => write!(
                f,
                "more events in one request than limits.max_batch ({most}) allows; send them in parts"
            ),
        }
    }
}

/// A refusal and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::admission) struct Fault {
    pub(super) reason: Reason,
    /// Byte offset in the text that was parsed.
    pub(super) offset: usize,
}

impl Fault {
    /// Of bytes that are no text, from the first that is none.
    pub(in crate::admission) fn no_text(error: Utf8Error) -> Self {
        Self {
            reason: Reason::NoText,
            offset: error.valid_up_to(),
        }
    }

    /// As it is answered; `text` is what was parsed.
    pub(in crate::admission) fn into_rejection(self, text: impl AsRef<[u8]>) -> Rejection {
        let code = match self.reason {
            Reason::LongString(_)
            | Reason::LongArray(_)
            | Reason::ManyKeys(_)
            | Reason::LongBatch(_) => Code::PayloadTooLarge,
            _ => Code::MalformedJson,
        };
        let text = text.as_ref();
        let before = &text[..self.offset.min(text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let line_start = before.iter().rposition(|byte| *byte == b'\n');
        let column = before.len() - line_start.map_or(0, |at| at + 1) + 1;
        let message = format!("{} (line {line}, column {column})", self.reason);
        Rejection::new(code, message)
    }
}
