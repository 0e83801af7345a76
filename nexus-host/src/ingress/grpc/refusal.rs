//! Refusals over gRPC: receives a rejection, hands on a status with the same stable code, or the
//! message for one event of a stream. What the library refuses it turns into a rejection.

use std::error::Error;

use nexus_proto::nexus::v1 as wire;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code as GrpcCode, Status};

use crate::admission::{Code, Rejection};
use crate::config::ByteSize;
use crate::ingress::http::whole_seconds;

/// Where a refusal has its stable code.
const NEXUS_CODE: &str = "nexus-code";

/// The status of a call that was refused.
pub(super) fn status(refused: &Rejection) -> Status {
    let mut metadata = with_code(refused.code().as_str());
    if let Some(delay) = refused.retry_after() {
        metadata.insert("retry-after", MetadataValue::from(whole_seconds(delay)));
    }
    Status::with_metadata(code_of(refused.code()), refused.to_string(), metadata)
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
        Code::QueueFull | Code::ShuttingDown | Code::StorageUnavailable => GrpcCode::Unavailable,
        Code::MalformedJson
        | Code::MalformedEvent
        | Code::PayloadTooLarge
        | Code::UnsupportedMediaType
        | Code::ContractViolation
        | Code::UnknownType => GrpcCode::InvalidArgument,
    }
}
