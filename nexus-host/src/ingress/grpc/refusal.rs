//! Refusals over gRPC: receives a rejection, hands on a status with the same stable code, or the
//! message for one event of a stream. What the library refuses it turns into a rejection.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use nexus_proto::nexus::v1 as wire;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code as GrpcCode, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::admission::{Code, Rejection, Violation, cut_to};
use crate::config::ByteSize;
use crate::ingress::http::whole_seconds;

/// Where a refusal has its stable code.
const NEXUS_CODE: &str = "nexus-code";

/// Who gives the reasons in a status's details their meaning.
const DOMAIN: &str = "nexus";

/// Bytes of a status's message, and of the violations in its details. Clients take 8 KiB of trailers; what is
/// not ASCII takes three times its length in a message, and details a third more.
const MESSAGE_BYTES: usize = 768;
const VIOLATION_BYTES: usize = 1_536;

/// The status of a call that was refused, with the details of [google.rpc]: the code as the reason of an
/// `ErrorInfo`, what is wrong where as a `BadRequest`, and when to come again as `RetryInfo`.
///
/// [google.rpc]: https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto
pub(super) fn status(refused: &Rejection) -> Status {
    let reason = refused.code().as_str();
    let mut metadata = with_code(reason);
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    if let Some(delay) = refused.retry_after() {
        let seconds = whole_seconds(delay);
        metadata.insert("retry-after", MetadataValue::from(seconds));
        details.set_retry_info(Some(Duration::from_secs(seconds)));
    }
    for violation in within_bounds(refused.errors()) {
        details.add_bad_request_violation(&violation.pointer, &violation.message);
    }
    let message = cut_to(MESSAGE_BYTES, refused.to_string());
    Status::with_error_details_and_metadata(code_of(refused.code()), message, details, metadata)
}

/// The first violations, as many as fit.
fn within_bounds(errors: &[Violation]) -> impl Iterator<Item = &Violation> {
    let mut left = VIOLATION_BYTES;
    errors.iter().take_while(move |error| {
        let rest = left.checked_sub(error.pointer.len() + error.message.len() + 16);
        left = rest.unwrap_or(0);
        rest.is_some()
    })
}

/// The status of a call whose message does not come in time.
pub(super) fn too_slow() -> Status {
    let message = "the message did not come within server.body_timeout";
    let metadata = with_code("request_timeout");
    Status::with_metadata(GrpcCode::DeadlineExceeded, message, metadata)
}

/// The status of a call whose message has not come before the hub stops.
pub(super) fn stopping() -> Status {
    let message = "the hub stops, and waits for no more of the message";
    status(&Rejection::new(Code::ShuttingDown, message))
}

/// The status of a call that wants what came after a position that is not remembered.
pub(super) fn forgotten(after: u64) -> Status {
    let message = format!(
        "what came after {after} is not remembered; follow from now on, and look for what is missing \
         elsewhere"
    );
    let metadata = with_code(Code::NotFound.as_str());
    Status::with_metadata(GrpcCode::OutOfRange, message, metadata)
}

/// What is wrong with a message when the library could not read it. The hub's own refusals have their
/// codes already, and nothing is wrong with one that did not arrive because the caller has gone.
pub(super) fn unread(status: &Status, most: ByteSize) -> Option<Rejection> {
    if status.metadata().contains_key(NEXUS_CODE) || status.source().is_some() {
        return None;
    }
    match status.code() {
        GrpcCode::OutOfRange => {
            let message =
                format!("the message is over limits.max_body ({most}); send less at once");
            Some(Rejection::new(Code::PayloadTooLarge, message))
        }
        GrpcCode::Internal => {
            let message = format!("the message cannot be read: {}", status.message());
            Some(Rejection::new(Code::MalformedEvent, message))
        }
        _ => None,
    }
}

fn with_code(code: &'static str) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    metadata.insert(NEXUS_CODE, MetadataValue::from_static(code));
    metadata
}

/// Why one event of a stream was refused.
pub(super) fn problem(refused: &Rejection) -> wire::Problem {
    let errors = refused.errors().iter().map(|error| wire::Violation {
        pointer: error.pointer.clone(),
        message: error.message.clone(),
    });
    let seconds = refused.retry_after().map_or(0, whole_seconds);
    wire::Problem {
        code: refused.code().as_str().to_owned(),
        detail: refused.message().to_owned(),
        errors: errors.collect(),
        retry_after: u32::try_from(seconds).unwrap_or(u32::MAX),
    }
}

fn code_of(code: Code) -> GrpcCode {
    match code {
        Code::Unauthenticated => GrpcCode::Unauthenticated,
        Code::Forbidden => GrpcCode::PermissionDenied,
        Code::NotFound => GrpcCode::NotFound,
        Code::Conflict => GrpcCode::AlreadyExists,
        Code::RateLimited => GrpcCode::ResourceExhausted,
        Code::QueueFull
        | Code::ShuttingDown
        | Code::StorageUnavailable
        | Code::IssuerUnavailable => GrpcCode::Unavailable,
        Code::MalformedJson
        | Code::MalformedEvent
        | Code::PayloadTooLarge
        | Code::UnsupportedMediaType
        | Code::ContractViolation
        | Code::UnknownType => GrpcCode::InvalidArgument,
    }
}
