//! Refusals over gRPC: receives a rejection, hands on a status with the same stable code, or the
//! message for one event of a stream.

use nexus_proto::nexus::v1 as wire;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code as GrpcCode, Status};

use crate::admission::{Code, Rejection};
use crate::ingress::http::whole_seconds;

/// The status of a call that was refused.
pub(super) fn status(refused: &Rejection) -> Status {
    let mut metadata = MetadataMap::new();
    let code = MetadataValue::from_static(refused.code().as_str());
    metadata.insert("nexus-code", code);
    if let Some(delay) = refused.retry_after() {
        metadata.insert("retry-after", MetadataValue::from(whole_seconds(delay)));
    }
    Status::with_metadata(code_of(refused.code()), refused.to_string(), metadata)
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
