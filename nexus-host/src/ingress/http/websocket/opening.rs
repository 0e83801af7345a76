//! The request that opens a WebSocket: receives its headers, refuses what RFC 6455, 4.2.1, does not let
//! through, and leaves them so that the library reads them as they were meant.

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::body::Body as _;
use hyper::header::{
    CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};

use super::super::problem::Problem;
use crate::admission::Code;

/// How many octets a key stands for.
const KEY: usize = 16;

/// Refuses an opening that is none.
pub(super) fn check(headers: &mut HeaderMap, body: &Body) -> Result<(), Problem> {
    if !has_token(headers, &CONNECTION, "upgrade") {
        return Err(refused("it takes the header `Connection: Upgrade`"));
    }
    if !has_token(headers, &UPGRADE, "websocket") {
        return Err(refused("it takes the header `Upgrade: websocket`"));
    }
    if only(headers, &SEC_WEBSOCKET_VERSION) != Some(b"13") {
        return Err(Problem::other_websocket_version());
    }
    let key = only(headers, &SEC_WEBSOCKET_KEY).and_then(|key| STANDARD.decode(key).ok());
    if key.is_none_or(|key| key.len() != KEY) {
        return Err(refused(
            "it takes one header `Sec-WebSocket-Key`, the Base64 of 16 octets",
        ));
    }
    // What follows the head is frames, and nobody may take it for anything else.
    if !body.is_end_stream() {
        return Err(refused("it has no body"));
    }
    // The library knows these alone and by themselves.
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    Ok(())
}

/// Whether a list, in however many lines, has a word in it, in whatever case.
fn has_token(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter();
    let mut words = values.flat_map(|value| value.as_bytes().split(|octet| *octet == b','));
    words.any(|one| one.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

/// The value of a header that comes once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h [u8]> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
}

fn refused(detail: &str) -> Problem {
    let detail = format!("this path is for WebSockets: {detail}");
    Problem::new(Code::MalformedEvent, detail)
}
