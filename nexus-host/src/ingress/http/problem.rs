//! Problem documents (RFC 9457): receives a rejection or a plain refusal, hands on its status,
//! headers and JSON. It adds nothing that the refusal did not say.

use std::borrow::Cow;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use hyper::header::{
    CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE,
    WWW_AUTHENTICATE,
};
use serde::Serialize;

use crate::admission::{Code, Rejection, Violation};
use crate::intake::STORAGE_RETRY;
use crate::queue::Unavailable;

/// The codes of what HTTP itself knows and admission does not, with their statuses.
pub(super) const OF_HTTP: [(u16, &str); 6] = [
    (405, "method_not_allowed"),
    (408, "request_timeout"),
    (422, "invalid_config"),
    (426, "upgrade_required"),
    (500, "internal"),
    (503, "unavailable"),
];

/// A refusal as it is answered. Its document is written by [`super::answer`], which knows where
/// it occurred.
#[derive(Debug, Clone)]
pub(in crate::ingress) struct Problem {
    status: u16,
    code: &'static str,
    title: &'static str,
    detail: Cow<'static, str>,
    errors: Vec<Violation>,
    retry_after: Option<Duration>,
}

/// The document's members, in this order.
#[derive(Serialize)]
pub(super) struct Document<'p> {
    r#type: String,
    title: &'p str,
    status: u16,
    detail: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'p str>,
    code: &'p str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'p [Violation],
    /// Whole seconds, as in the header: an element of an array has no header of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

impl Problem {
    pub(super) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Rejection::new(code, detail).into()
    }

    pub(super) fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::NotFound, detail)
    }

    /// What HTTP itself knows and admission does not.
    fn of_http(
        status: u16,
        code: &'static str,
        title: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code,
            title,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
        }
    }

    pub(super) fn method_not_allowed() -> Self {
        let detail = "this path knows other methods; the header Allow names them";
        Self::of_http(405, "method_not_allowed", "Method not allowed", detail)
    }

    pub(super) fn too_slow() -> Self {
        let detail = "the body did not come within server.body_timeout";
        Self::of_http(408, "request_timeout", "Request timeout", detail)
    }

    pub(super) fn other_websocket_version() -> Self {
        let detail = "WebSockets are of version 13 here, which Sec-WebSocket-Version must name";
        Self::of_http(426, "upgrade_required", "Upgrade required", detail)
    }

    pub(super) fn invalid_config(detail: String, errors: Vec<Violation>) -> Self {
        Self {
            errors,
            ..Self::of_http(422, "invalid_config", "Invalid configuration", detail)
        }
    }

    /// What was asked for reads well, but one field of it does not fit. `what` was asked, such as "the request".
    pub(super) fn unfit(what: &str, field: &str, told: impl Into<String>) -> Self {
        let place = Violation::new(field, told.into());
        let detail = format!("{what} does not fit; see `errors`");
        let unfit = Rejection::new(Code::ContractViolation, detail);
        unfit.with_errors(vec![place]).into()
    }

    pub(super) fn internal(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::of_http(500, "internal", "Internal error", detail)
    }

    pub(super) fn unavailable(detail: impl Into<Cow<'static, str>>, retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::of_http(503, "unavailable", "Unavailable", detail)
        }
    }

    /// The code that admission has for it, if it has one.
    pub(super) fn admission_code(&self) -> Option<Code> {
        Code::ALL
            .into_iter()
            .find(|code| code.as_str() == self.code)
    }

    pub(super) fn as_document<'p>(&'p self, instance: Option<&'p str>) -> Document<'p> {
        Document {
            r#type: format!("urn:nexus:problem:{}", self.code),
            title: self.title,
            status: self.status,
            detail: &self.detail,
            instance,
            code: self.code,
            errors: &self.errors,
            retry_after: self.retry_after.map(whole_seconds),
        }
    }

    /// The document as text.
    pub(super) fn document(&self, instance: Option<&str>) -> Vec<u8> {
        // Texts and numbers only: writing them cannot fail.
        serde_json::to_vec(&self.as_document(instance)).unwrap_or_default()
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let code = rejection.code();
        Self {
            status: code.status(),
            code: code.as_str(),
            title: code.title(),
            detail: Cow::Owned(rejection.message().to_owned()),
            errors: rejection.errors().to_vec(),
            retry_after: rejection.retry_after(),
        }
    }
}

impl From<Unavailable> for Problem {
    fn from(unavailable: Unavailable) -> Self {
        let rejection = Rejection::new(Code::StorageUnavailable, unavailable.to_string());
        rejection.with_retry_after(STORAGE_RETRY).into()
    }
}

/// Whole seconds, as the header wants them: rounded up, for coming too early is refused again.
pub(in crate::ingress) fn whole_seconds(delay: Duration) -> u64 {
    let up = u64::from(delay.subsec_nanos() > 0);
    delay.as_secs().saturating_add(up).max(1)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        *response.status_mut() =
            hyper::StatusCode::from_u16(self.status).unwrap_or(hyper::StatusCode::BAD_REQUEST);
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(CONTENT_TYPE, json);
        if let Some(delay) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(delay)));
        }
        if self.status == 426 {
            let version = HeaderValue::from_static("13");
            headers.insert(SEC_WEBSOCKET_VERSION, version);
            // RFC 9110, 15.5.22: what to change to.
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        }
        if self.status == 401 {
            let scheme = HeaderValue::from_static("Bearer realm=\"nexus\"");
            headers.insert(WWW_AUTHENTICATE, scheme);
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_is_never_too_early() {
        for (millis, seconds) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (59_999, 60)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds);
        }
    }

    #[test]
    fn the_codes_of_http_are_listed() {
        let all = [
            Problem::method_not_allowed(),
            Problem::too_slow(),
            Problem::invalid_config(String::new(), Vec::new()),
            Problem::other_websocket_version(),
            Problem::internal("because"),
            Problem::unavailable("because", Duration::ZERO),
        ];
        assert_eq!(all.map(|problem| (problem.status, problem.code)), OF_HTTP);
    }

    #[test]
    fn every_code_becomes_a_document_with_its_status() {
        for code in Code::ALL {
            let problem = Problem::new(code, "because");
            let document: serde_json::Value =
                serde_json::from_slice(&problem.document(Some("/v1/events"))).unwrap();
            assert_eq!(document["code"], code.as_str());
            assert_eq!(document["status"], code.status());
            assert_eq!(document["detail"], "because");
            assert_eq!(document["instance"], "/v1/events");
            let response = problem.into_response();
            assert_eq!(response.status().as_u16(), code.status());
            assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        }
    }
}
