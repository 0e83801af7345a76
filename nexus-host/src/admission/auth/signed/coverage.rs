//! Which headers a signature covers: receives the names that it lists and a request's headers, hands on the
//! lines that are signed of them. It refuses a request with a header that decides what is asked for and is
//! not among them: whoever stands on the way could have put it there.
//!
//! What is in the body needs none of that. A native event, a CloudEvent as JSON and a batch are told apart by
//! what they hold, so a media type that was exchanged on the way makes none of them another one.

use hyper::HeaderMap;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::super::super::rejection::quoted;

/// Begins the attributes of a CloudEvent.
const ATTRIBUTE: &str = "ce-";

/// Decides which request it is that comes again.
const KEY: &str = "idempotency-key";

/// The lines of the headers in a list, each with a line feed before it.
///
/// # Errors
/// When one of them is not there, or not once, or one is missing in the list.
pub(super) fn lines(list: Option<&str>, headers: &HeaderMap) -> Result<Vec<u8>, String> {
    let names: Vec<&str> = list
        .into_iter()
        .flat_map(|list| list.split(';').map(str::trim))
        .collect();
    let mut lines = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let mut values = headers.get_all(*name).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            let name = quoted(name);
            return Err(format!(
                "Headers names {name}, which the request does not have, or not once"
            ));
        };
        if names[..at].contains(name) || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err("Headers must name each header once, in small letters".to_owned());
        }
        lines.extend_from_slice(b"\n");
        lines.extend_from_slice(name.as_bytes());
        lines.extend_from_slice(b":");
        lines.extend_from_slice(value.as_bytes().trim_ascii());
    }
    let is_binary = headers.keys().any(|name| is_attribute(name.as_str()));
    let decides = |name: &str| {
        let of_data = name == CONTENT_TYPE.as_str() || name == CONTENT_ENCODING.as_str();
        is_attribute(name) || name == KEY || (of_data && is_binary)
    };
    let mut left_out = headers.keys().map(|name| name.as_str());
    match left_out.find(|name| decides(name) && !names.contains(name)) {
        None => Ok(lines),
        Some(name) => Err(format!(
            "the header {} decides what is asked for and is not signed; name it in Headers, and sign its \
             line as well",
            quoted(name)
        )),
    }
}

fn is_attribute(name: &str) -> bool {
    name.starts_with(ATTRIBUTE)
}
