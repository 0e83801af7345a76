//! The fuzz targets of this room: a request's head, and its body while it is compressed.

use std::borrow::Cow;
use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Request};
use uuid::Uuid;

use super::encoding::Encoding;
use super::format::Format;
use super::idempotency::Key;
use super::query::known;
use super::{auth, body, dead_letters, webhooks};
use crate::admission::Transport;
use crate::admission::fuzz::{anybody, trace};
use crate::config::ByteSize;
use crate::fuzz::{finished, headers, parts};
use crate::ingress::cloudevents::Attributes;
use crate::ingress::follower::Wanted;

pub use super::websocket::fuzz::websocket;

/// How much a compressed body may hold here.
const MOST: ByteSize = ByteSize::from_kib(64);

/// `METHOD TARGET`, lines of headers, and a body.
pub fn http_head(bytes: &[u8]) {
    let [head, body] = parts(bytes);
    let Some(head) = parsed(head) else {
        return;
    };
    query(head.uri.query());
    let _ = dead_letters::fuzz::asked(head.uri.query(), body);
    idempotency(&head.headers);
    let _ = Format::of(&head.headers);
    let _ = Encoding::of(&head.headers);
    let _ = body::expect_json(&head.headers);
    let _ = webhooks::content(&head.headers, body);
    let _ = auth::credentials(&head, Transport::Http).presented;
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(traceparent) = text("traceparent") {
        trace(traceparent, text("tracestate"));
    }
}

/// The attributes of a CloudEvent in binary form, where headers hold one.
pub(in crate::ingress) fn attributes(headers: &HeaderMap) -> Option<Attributes> {
    match Format::of(headers) {
        Ok(Format::Binary(attributes)) => Some(attributes),
        _ => None,
    }
}

fn parsed(head: &[u8]) -> Option<Parts> {
    let (first, rest) = match head.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&head[..end], &head[end..]),
        None => (head, &[][..]),
    };
    let (method, target) = str::from_utf8(first).ok()?.split_once(' ')?;
    let request = Request::builder()
        .method(method)
        .uri(target)
        .body(())
        .ok()?;
    let (mut head, ()) = request.into_parts();
    head.headers = headers(rest);
    Some(head)
}

/// What a query is read as can be written, and is read as the same.
fn query(query: Option<&str>) {
    const NAMES: [&str; 4] = ["type", "source", "format", "after"];
    let Ok(values) = known(query, NAMES) else {
        return;
    };
    let mut written = form_urlencoded::Serializer::new(String::new());
    for (name, value) in NAMES.iter().zip(&values) {
        if let Some(value) = value {
            written.append_pair(name, value);
        }
    }
    let written = written.finish();
    let again = known(Some(&written), NAMES).ok();
    assert_eq!(again.as_ref(), Some(&values));
    let [types, sources, ..] = &values;
    let lists =
        [types, sources].map(|one| one.iter().map(|text| text.to_string()).collect::<Vec<_>>());
    let wanted = Wanted::of_query(types.as_deref(), sources.as_deref());
    assert_eq!(
        wanted.is_ok(),
        Wanted::of_lists(&lists[0], &lists[1]).is_ok()
    );
}

/// A key means the same with quotes and without.
fn idempotency(sent: &HeaderMap) {
    let client = anybody();
    let Ok(Some(key)) = Key::of(sent, &client, Uuid::nil()) else {
        return;
    };
    let plain = sent["idempotency-key"].to_str().expect("it was read");
    let plain = plain.trim_matches([' ', '\t']);
    if !plain.starts_with('"') {
        let quoted = format!("\"{}\"", plain.replace('\\', "\\\\").replace('"', "\\\""));
        let mut headers = HeaderMap::new();
        let quoted = HeaderValue::try_from(quoted).expect("visible ASCII");
        headers.insert("idempotency-key", quoted);
        assert_eq!(
            Key::of(&headers, &client, Uuid::nil()).ok(),
            Some(Some(key))
        );
    }
    assert_ne!(key.event_id(0), key.event_id(1));
}

/// The name of an encoding on the first line, and what was encoded; with `make-`, what is to be.
pub fn compressed(bytes: &[u8]) {
    let [name, content] = parts(bytes);
    match name {
        b"gzip" => undone(Encoding::Gzip, content),
        b"deflate" => undone(Encoding::Deflate, content),
        b"make-gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(content).expect("into memory");
            made(
                Encoding::Gzip,
                content,
                &encoder.finish().expect("into memory"),
            );
        }
        b"make-deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(content).expect("into memory");
            made(
                Encoding::Deflate,
                content,
                &encoder.finish().expect("into memory"),
            );
        }
        _ => {}
    }
}

fn undo(encoding: Encoding, body: &[u8]) -> Option<Bytes> {
    finished(encoding.undo(Bytes::copy_from_slice(body), MOST)).ok()
}

/// What comes out is within the limit, and what another reader makes of the same.
fn undone(encoding: Encoding, body: &[u8]) {
    let Some(out) = undo(encoding, body) else {
        return;
    };
    assert!(out.len() <= MOST.as_len());
    let mut same = Vec::new();
    let read = match encoding {
        Encoding::Gzip => MultiGzDecoder::new(body).read_to_end(&mut same),
        _ => ZlibDecoder::new(body).read_to_end(&mut same),
    };
    assert!(read.is_ok() && same == out);
}

/// What was compressed here comes out as it was, if it is within the limit, and whole or not at all.
fn made(encoding: Encoding, content: &[u8], body: &[u8]) {
    let fits = content.len() <= MOST.as_len();
    assert_eq!(
        undo(encoding, body),
        fits.then(|| Bytes::copy_from_slice(content))
    );
    let cut = content.len() % body.len();
    // Nothing at all is no stream of gzip, and no stream of zlib.
    assert!(undo(encoding, &body[..cut]).is_none_or(|out| cut == 0 && out.is_empty()));
    let longer: Cow<'_, [u8]> = [body, b"\0"].concat().into();
    if encoding == Encoding::Deflate {
        assert_eq!(undo(encoding, &longer), None);
    }
}
