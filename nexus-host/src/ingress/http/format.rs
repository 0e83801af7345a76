//! What a published body holds: receives a request's headers, hands on how its body is to be read.
//! It reads no body.

use hyper::HeaderMap;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use percent_encoding::percent_decode;

use super::body;
use super::problem::Problem;
use crate::admission::{Code, quoted};
use crate::ingress::cloudevents::{Attributes, BATCH_TYPE, STRUCTURED_TYPE, is_utf8};

/// What the attributes of a CloudEvent begin with, as headers.
pub(super) const PREFIX: &str = "ce-";

/// Headers by which a CloudEvent is known; the first is missing only by mistake.
const SIGNS: [&str; 4] = ["ce-specversion", "ce-id", "ce-source", "ce-type"];

/// How a body is to be read.
#[derive(Debug)]
pub(super) enum Format {
    /// The hub's own: an event, or an array of them.
    Native,
    /// One CloudEvent as JSON.
    Structured,
    /// An array of CloudEvents as JSON.
    Batch,
    /// The data of one CloudEvent, whose attributes are the headers.
    Binary(Attributes),
}

impl Format {
    /// What the headers say.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        // Nobody can tell which of several was meant.
        if headers.get_all(CONTENT_TYPE).iter().nth(1).is_some() {
            let detail = "the content type came more than once; send it once";
            return Err(Problem::new(Code::UnsupportedMediaType, detail));
        }
        let media_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let media_type = String::from_utf8_lossy(media_type.unwrap_or_default());
        let mut parts = media_type.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default();
        let begins = |with: &str| {
            let start = essence.get(..with.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(with))
        };
        let is = |media_type: &str| essence.eq_ignore_ascii_case(media_type);
        // In this order: one is the beginning of the other.
        let format = if begins("application/cloudevents-batch") {
            is(BATCH_TYPE).then_some(Self::Batch)
        } else if begins("application/cloudevents") {
            is(STRUCTURED_TYPE).then_some(Self::Structured)
        } else if headers.keys().any(|name| SIGNS.contains(&name.as_str())) {
            return Ok(Self::Binary(attributes(headers, &media_type)));
        } else {
            return body::expect_json(headers).map(|()| Self::Native);
        };
        format.filter(|_| is_utf8(parts)).ok_or_else(|| {
            let found = quoted(&media_type);
            let detail = format!(
                "content type {found} is not read; send {STRUCTURED_TYPE} or {BATCH_TYPE} in UTF-8"
            );
            Problem::new(Code::UnsupportedMediaType, detail)
        })
    }
}

fn attributes(headers: &HeaderMap, media_type: &str) -> Attributes {
    let mut attributes = Attributes::default();
    let names = headers.iter();
    for (name, value) in names.filter_map(|(n, v)| Some((n.as_str().strip_prefix(PREFIX)?, v))) {
        if name == "datacontenttype" {
            attributes.object(
                name,
                "must not be a header of its own; Content-Type says it",
            );
            continue;
        }
        match decoded(value) {
            Some(value) => attributes.put(name, value),
            None => attributes.object(name, "must be UTF-8 in percent-encoding"),
        }
    }
    if headers.contains_key(CONTENT_TYPE) {
        attributes.put("datacontenttype", media_type);
    }
    attributes
}

/// The value of an attribute's header: out of its quotes, if it has some, and then decoded once.
fn decoded(value: &HeaderValue) -> Option<String> {
    let value = value.as_bytes();
    let inside = value
        .strip_prefix(b"\"")
        .and_then(|v| v.strip_suffix(b"\""));
    let plain: Vec<u8> = match inside {
        None => value.to_vec(),
        Some(inside) => {
            let mut escaped = false;
            let keep = |byte: &&u8| {
                escaped = **byte == b'\\' && !escaped;
                !escaped
            };
            inside.iter().filter(keep).copied().collect()
        }
    };
    let text = percent_decode(&plain).decode_utf8().ok()?;
    Some(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[(&'static str, &str)]) -> Result<Format, Problem> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Format::of(&headers)
    }

    #[test]
    fn the_content_type_says_it_and_then_the_headers() {
        let typed = |media_type: &str| of(&[("content-type", media_type), ("ce-id", "1")]);
        for (media_type, expected) in [
            ("application/cloudevents+json", "Structured"),
            ("Application/CloudEvents+JSON; charset=utf-8", "Structured"),
            ("application/cloudevents-batch+json", "Batch"),
            ("application/json", "Binary"),
            ("text/plain", "Binary"),
        ] {
            let format = format!("{:?}", typed(media_type).unwrap());
            assert!(format.starts_with(expected), "{media_type}: {format}");
        }
        for bad in [
            "application/cloudevents",
            "application/cloudevents+xml",
            "application/cloudevents+avro",
            "application/cloudevents-batch+xml",
            "application/cloudevents+json; charset=latin1",
        ] {
            assert!(typed(bad).is_err(), "{bad}");
        }
        assert!(matches!(of(&[]), Ok(Format::Native)));
        assert!(of(&[("content-type", "text/plain")]).is_err());
    }

    #[test]
    fn header_values_are_decoded_once() {
        for (value, text) in [
            ("a", Some("a")),
            (
                "Euro%20%E2%82%AC%20%F0%9F%98%80",
                Some("Euro \u{20ac} \u{1f600}"),
            ),
            ("%2541", Some("%41")),
            ("\"a b\\\"c\\\\d\"", Some("a b\"c\\d")),
            ("\"%20\"", Some(" ")),
            ("100%", Some("100%")),
            ("%C3%28", None),
            ("%FF", None),
        ] {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            assert_eq!(decoded(&value).as_deref(), text, "{value:?}");
        }
    }
}
