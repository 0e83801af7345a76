//! Why something was not let in: receives the reason from wherever it was found, hands on a stable
//! code, a message that says what to do, and the places. It never holds a secret or a whole
//! payload, and everything quoted in it is bounded.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use nexus_plugin_api::{PluginError, one_line};
use serde::Serialize;

use crate::observe::stages::Named;

/// How many violations one rejection lists; whoever sends more has enough to mend.
pub const MAX_VIOLATIONS: usize = 20;

/// How many characters of foreign text a message quotes.
const MAX_QUOTED: usize = 64;

/// How long one violation's message may be, in bytes.
pub(super) const LONGEST_MESSAGE: usize = 300;

/// The stable codes of refusals, each with its HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// Not JSON, or JSON that cannot be taken without loss or doubt. 400.
    MalformedJson,
    /// Not a valid request for an event. 400.
    MalformedEvent,
    /// Nobody known. 401.
    Unauthenticated,
    /// Known, but not allowed. 403.
    Forbidden,
    /// There is no such thing. 404.
    NotFound,
    /// Contradicts what is there. 409.
    Conflict,
    /// More than a limit allows. 413.
    PayloadTooLarge,
    /// In a format that is not read here. 415.
    UnsupportedMediaType,
    /// Does not fit the envelope or the type's contract. 422.
    ContractViolation,
    /// No contract is known for the type. 422.
    UnknownType,
    /// Too many, for the moment. 429.
    RateLimited,
    /// No room in the queue, for the moment. 503.
    QueueFull,
    /// The hub is stopping. 503.
    ShuttingDown,
    /// The storage behind the queue does not work, for the moment. 503.
    StorageUnavailable,
    /// The keys by which a token would be judged cannot be had, for the moment. 503.
    IssuerUnavailable,
}

impl Code {
    /// Every code, in the order in which they are declared.
    pub const ALL: [Self; 15] = [
        Self::MalformedJson,
        Self::MalformedEvent,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::ContractViolation,
        Self::UnknownType,
        Self::RateLimited,
        Self::QueueFull,
        Self::ShuttingDown,
        Self::StorageUnavailable,
        Self::IssuerUnavailable,
    ];

    /// The code as answers carry it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MalformedJson => "malformed_json",
            Self::MalformedEvent => "malformed_event",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::PayloadTooLarge => "payload_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::ContractViolation => "contract_violation",
            Self::UnknownType => "unknown_type",
            Self::RateLimited => "rate_limited",
            Self::QueueFull => "queue_full",
            Self::ShuttingDown => "shutting_down",
            Self::StorageUnavailable => "storage_unavailable",
            Self::IssuerUnavailable => "issuer_unavailable",
        }
    }

    /// The HTTP status that goes with it.
    pub const fn status(self) -> u16 {
        match self {
            Self::MalformedJson | Self::MalformedEvent => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::PayloadTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::ContractViolation | Self::UnknownType => 422,
            Self::RateLimited => 429,
            Self::QueueFull
            | Self::ShuttingDown
            | Self::StorageUnavailable
            | Self::IssuerUnavailable => 503,
        }
    }

    /// A few words for people, the same for every occurrence.
    pub const fn title(self) -> &'static str {
        match self {
            Self::MalformedJson => "Malformed JSON",
            Self::MalformedEvent => "Malformed request",
            Self::Unauthenticated => "Not authenticated",
            Self::Forbidden => "Not allowed",
            Self::NotFound => "Not found",
            Self::Conflict => "Conflict",
            Self::PayloadTooLarge => "Too large",
            Self::UnsupportedMediaType => "Unsupported media type",
            Self::ContractViolation => "Contract violation",
            Self::UnknownType => "Unknown event type",
            Self::RateLimited => "Rate limited",
            Self::QueueFull => "Queue full",
            Self::ShuttingDown => "Shutting down",
            Self::StorageUnavailable => "Storage unavailable",
            Self::IssuerUnavailable => "Issuer unavailable",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One place in an event that is not in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// JSON Pointer from the event's root, such as `/payload/subject`.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

impl Violation {
    pub(crate) fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            message: message.into(),
        }
    }
}

/// Why something was not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    code: Code,
    message: Cow<'static, str>,
    errors: Box<[Violation]>,
    retry_after: Option<Duration>,
    about: Option<Box<Named>>,
}

impl Rejection {
    /// A rejection with a message that tells what, where and what to do.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            errors: Box::default(),
            retry_after: None,
            about: None,
        }
    }

    /// Adds the places; all but the first [`MAX_VIOLATIONS`] are left out.
    #[must_use]
    pub fn with_errors(mut self, mut errors: Vec<Violation>) -> Self {
        errors.truncate(MAX_VIOLATIONS);
        self.errors = errors.into();
        self
    }

    /// Says when trying again makes sense.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Says which event it is about.
    #[must_use]
    pub(crate) fn of(mut self, event: impl Into<Named>) -> Self {
        self.about = Some(Box::new(event.into()));
        self
    }

    /// Which event it is about, as far as that is known.
    pub fn about(&self) -> Option<&Named> {
        self.about.as_deref()
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// For people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The places, for a contract violation.
    pub fn errors(&self) -> &[Violation] {
        &self.errors
    }

    /// When trying again makes sense, from now.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// As a plugin sees it: nothing that trying the same again would mend, unless a delay is given.
    pub fn into_plugin_error(self) -> PluginError {
        let error = PluginError::permanent(self.code.as_str(), &self);
        match self.retry_after {
            Some(delay) => error.after(delay),
            None => error,
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for (index, error) in self.errors.iter().enumerate() {
            let lead = if index == 0 { ": " } else { "; " };
            let pointer = if error.pointer.is_empty() {
                "the event"
            } else {
                &error.pointer
            };
            write!(f, "{lead}{pointer} {}", error.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Rejection {}

/// A message of which nobody knows how long it gets, cut.
pub(super) fn cut(message: String) -> String {
    cut_to(LONGEST_MESSAGE, message)
}

/// The same, to so many bytes.
pub(crate) fn cut_to(most: usize, mut message: String) -> String {
    if message.len() > most {
        message.truncate(message.floor_char_boundary(most));
        message.push('…');
    }
    message
}

/// What another library says of foreign text, which it may repeat: on one line, and cut.
pub(crate) fn shortened(told: &str) -> String {
    cut(one_line(told).into_owned())
}

/// Foreign text for a message: in backquotes, escaped, and cut when it is long.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(MAX_QUOTED)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(MAX_QUOTED).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_escaped_and_cut() {
        assert_eq!(quoted("a\u{1b}[31m\n"), "`a\\u{1b}[31m\\n`");
        let long = quoted(&"x".repeat(100_000));
        assert_eq!(long.chars().count(), MAX_QUOTED + 3);
    }

    #[test]
    fn every_code_stands_at_its_own_place() {
        for (place, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, place, "{code}");
        }
    }

    #[test]
    fn what_others_say_is_put_on_one_line_and_cut() {
        assert_eq!(
            shortened("unknown field `\u{9b}2J`\n"),
            "unknown field ` 2J` "
        );
        assert_eq!(shortened(&"é".repeat(1_000)).chars().count(), 151);
    }

    #[test]
    fn the_list_of_violations_is_bounded() {
        let many = vec![Violation::new("/a", "is wrong"); 100];
        let rejection = Rejection::new(Code::ContractViolation, "no").with_errors(many);
        assert_eq!(rejection.errors().len(), MAX_VIOLATIONS);
    }

    #[test]
    fn a_plugin_is_told_the_code_and_the_places() {
        let error = Rejection::new(Code::ContractViolation, "the event does not fit")
            .with_errors(vec![Violation::new("/payload/a", "is required")])
            .into_plugin_error();
        assert_eq!(error.code, "contract_violation");
        assert_eq!(
            error.message,
            "the event does not fit: /payload/a is required"
        );
        assert!(!error.retryable);
    }
}
