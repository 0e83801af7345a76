//! How a plugin says that something failed.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::time::Duration;

use nexus_plugin_abi::ErrorV1;

/// A failure in a plugin: a stable code, a message for people, and whether to try again.
///
/// Any error converts into it with `?`, as retryable with code `failed`. Use
/// [`PluginError::permanent`] for what trying again cannot mend. Messages end in logs and dead
/// letters: never put a secret into one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginError {
    /// Stable, `snake_case`.
    pub code: Cow<'static, str>,
    /// For people.
    pub message: String,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// The earliest time at which trying again makes sense, from now.
    pub retry_after: Option<Duration>,
}

impl PluginError {
    /// The code by which an integration says that its target is there and answers, but that this request has to wait
    /// for another one, as on a thread or a document that is in use: that says nothing against the target.
    pub const BUSY: &'static str = "busy";

    /// A failure that may pass.
    pub fn retryable(code: impl Into<Cow<'static, str>>, message: impl Display) -> Self {
        Self {
            code: code.into(),
            message: message.to_string(),
            retryable: true,
            retry_after: None,
        }
    }

    /// A failure that trying again cannot mend.
    pub fn permanent(code: impl Into<Cow<'static, str>>, message: impl Display) -> Self {
        Self {
            retryable: false,
            ..Self::retryable(code, message)
        }
    }

    /// Says when trying again makes sense, as a `Retry-After` header does. An attempt that ends so is put off and
    /// counts as none, up to a hundred times: it is for a target that is away, or busy, and will be back.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.retryable = true;
        self.retry_after = Some(delay);
        self
    }
}

impl Display for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl<E: std::error::Error> From<E> for PluginError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let text = inner.to_string();
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            cause = inner.source();
        }
        Self::retryable("failed", message)
    }
}

impl PluginError {
    /// As it crosses the border.
    pub fn into_abi(self) -> ErrorV1 {
        ErrorV1 {
            code: self.code.into_owned().into(),
            message: self.message.into(),
            retryable: self.retryable,
            retry_after_ms: self.retry_after.map_or(0, |delay| {
                u64::try_from(delay.as_millis()).unwrap_or(u64::MAX).max(1)
            }),
        }
    }

    /// As it came across the border.
    pub fn from_abi(error: ErrorV1) -> Self {
        Self {
            code: Cow::Owned(error.code.into_string()),
            message: one_line(error.message.as_str()).into_owned(),
            retryable: error.retryable,
            retry_after: (error.retry_after_ms > 0)
                .then(|| Duration::from_millis(error.retry_after_ms)),
        }
    }
}

/// The text without line breaks and other control characters: what a plugin says goes into logs,
/// where it must not be able to pass for a line of its own.
pub fn one_line(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        return Cow::Owned(text.replace(char::is_control, " "));
    }
    Cow::Borrowed(text)
}

/// The way out of this SDK: a program that calls plugins may use `?` with boxed errors.
impl From<PluginError> for Box<dyn std::error::Error> {
    fn from(error: PluginError) -> Self {
        Box::new(Boxed(error))
    }
}

impl From<PluginError> for Box<dyn std::error::Error + Send + Sync> {
    fn from(error: PluginError) -> Self {
        Box::new(Boxed(error))
    }
}

/// [`PluginError`] itself is no `Error`, or `?` could not convert every error into it.
#[derive(Debug)]
struct Boxed(PluginError);

impl Display for Boxed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Boxed {}
