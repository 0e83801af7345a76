//! gRPC status to plugin error: receives what a call answered, says whether to try again and when.
//!
//! Every request may be sent again safely (`request_id` makes Show idempotent), so a status is
//! permanent only where it says that the request itself is at fault.

use std::time::Duration;

use nexus_plugin_api::PluginError;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The error of a call to the server at `endpoint`.
pub(crate) fn error(endpoint: &str, status: &Status) -> PluginError {
    let code = name(status.code());
    let message = format!("Toasty at {endpoint} answered {}", said(status));
    if !may_pass(status.code()) {
        return PluginError::permanent(code, message);
    }
    let error = PluginError::retryable(code, message);
    match retry_after(status) {
        Some(delay) => error.after(delay),
        None => error,
    }
}

/// Code and message for people, with what the transport knows of the cause.
pub(crate) fn said(status: &Status) -> String {
    let mut text = format!("{}: {}", name(status.code()), status.message());
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

/// Whether the same call may succeed later.
pub(crate) fn may_pass(code: Code) -> bool {
    match code {
        Code::Unavailable
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        // The next three are how a connection that breaks under a call shows itself.
        | Code::Cancelled
        | Code::Unknown
        | Code::Internal => true,
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated => false,
    }
}

/// When the server wants to be asked again: in a `RetryInfo` detail, or in the trailers
/// `grpc-retry-pushback-ms` or `retry-after` (seconds).
fn retry_after(status: &Status) -> Option<Duration> {
    let number = |key: &str| -> Option<u64> {
        status
            .metadata()
            .get(key)?
            .to_str()
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    status
        .get_details_retry_info()
        .and_then(|info| info.retry_delay)
        .or_else(|| number("grpc-retry-pushback-ms").map(Duration::from_millis))
        .or_else(|| number("retry-after").map(Duration::from_secs))
}

fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "ok",
        Code::Cancelled => "cancelled",
        Code::Unknown => "unknown",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;

    #[test]
    fn a_request_at_fault_is_permanent_and_the_rest_may_pass() {
        for (code, retryable) in [
            (Code::Unavailable, true),
            (Code::DeadlineExceeded, true),
            (Code::ResourceExhausted, true),
            (Code::Aborted, true),
            (Code::InvalidArgument, false),
            (Code::FailedPrecondition, false),
            (Code::Unimplemented, false),
            (Code::NotFound, false),
        ] {
            let error = error("http://there", &Status::new(code, "because"));
            assert_eq!(error.retryable, retryable, "{code:?}");
            assert!(error.message.ends_with(": because"), "{error}");
        }
        let error = error(
            "http://there",
            &Status::invalid_argument("title: is required"),
        );
        assert_eq!(error.code, "invalid_argument");
        assert_eq!(
            error.message,
            "Toasty at http://there answered invalid_argument: title: is required"
        );
    }

    #[test]
    fn the_server_says_when_to_come_back() {
        let later = |status: &Status| error("http://there", status).retry_after;
        let details = ErrorDetails::with_retry_info(Some(Duration::from_millis(1500)));
        let told = Status::with_error_details(Code::ResourceExhausted, "busy", details);
        assert_eq!(later(&told), Some(Duration::from_millis(1500)));

        let mut pushed = Status::unavailable("busy");
        pushed
            .metadata_mut()
            .insert("grpc-retry-pushback-ms", "300".parse().unwrap());
        assert_eq!(later(&pushed), Some(Duration::from_millis(300)));

        let mut seconds = Status::unavailable("busy");
        seconds
            .metadata_mut()
            .insert("retry-after", "7".parse().unwrap());
        assert_eq!(later(&seconds), Some(Duration::from_secs(7)));
        seconds
            .metadata_mut()
            .insert("retry-after", "soon".parse().unwrap());
        assert_eq!(later(&seconds), None);
    }
}
