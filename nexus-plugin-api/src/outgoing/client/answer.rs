//! An answer that was read to its end: status, headers, body; and what its status says of asking again.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::de::DeserializeOwned;

use crate::PluginError;

/// How much of a refusal's text is told, in characters.
const TOLD: usize = 300;

/// The longest that a server may ask to be left alone.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// What another system answered.
#[derive(Debug, Clone)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    pub(super) fn new(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        Self {
            status,
            headers,
            body,
        }
    }

    /// Its status, such as 200.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// The first value of a header that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Its body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Its body, read as JSON.
    ///
    /// # Errors
    /// `malformed_answer`, retryable: what answers otherwise today may be mended tomorrow.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, PluginError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let told = format!("the answer does not read as expected: {error}");
            PluginError::retryable("malformed_answer", told)
        })
    }

    /// How long it asks to be left alone, in seconds or as a date (RFC 9110, section 10.2.3); at most a day.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        let wait = match text.parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => {
                let at = httpdate::parse_http_date(text).ok()?;
                at.duration_since(SystemTime::now()).unwrap_or_default()
            }
        };
        Some(wait.min(LONGEST_WAIT))
    }

    /// This, when its status is 200 to 299.
    ///
    /// # Errors
    /// As [`Answer::refusal`].
    pub fn expect_success(self) -> Result<Self, PluginError> {
        match self.status.is_success() {
            true => Ok(self),
            false => Err(self.refusal()),
        }
    }

    /// What a status that is no success means: `not_signed_in` (401), `forbidden` (403), `not_found` (404, 410),
    /// `conflict` (409) and other refusals are for good; `rate_limited` (429), `unavailable` (5xx) and 408 pass, and
    /// are tried again when the server says. It tells the beginning of the body.
    pub fn refusal(&self) -> PluginError {
        let text = String::from_utf8_lossy(&self.body);
        let text: String = text.trim().chars().take(TOLD).collect();
        let told = match text.is_empty() {
            true => format!("answered {}", self.status),
            false => format!("answered {}: {text}", self.status),
        };
        let code = match self.status.as_u16() {
            401 => "not_signed_in",
            403 => "forbidden",
            404 | 410 => "not_found",
            409 => "conflict",
            408 => "timeout",
            429 => "rate_limited",
            500..=599 => "unavailable",
            300..=399 => "redirected",
            _ => "refused",
        };
        let passes = matches!(self.status.as_u16(), 408 | 429 | 500..=599);
        match (passes, self.retry_after()) {
            (true, Some(wait)) => PluginError::retryable(code, told).after(wait),
            (true, None) => PluginError::retryable(code, told),
            (false, _) => PluginError::permanent(code, told),
        }
    }
}
