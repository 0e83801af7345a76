//! The fuzz targets of this room, one beside each parser.

pub use super::cloudevents::fuzz::cloudevents;
pub use super::grpc::fuzz::grpc;
pub use super::http::fuzz::{compressed, http_head, websocket};
pub use super::webhooks::fuzz::webhook;
