//! What a request's head must be beyond what the HTTP library asks for: receives a head that was read,
//! hands on the answer to one that two readers could read differently. It looks at where a request is
//! for and where its body ends, and at nothing else.

use std::net::Ipv6Addr;

use axum::body::Body;
use axum::response::Response;
use hyper::header::{CONNECTION, HOST, HeaderValue, TRANSFER_ENCODING};
use hyper::{HeaderMap, Request, StatusCode, Version};

/// The answer to a request that is refused, with which its connection ends.
pub(super) fn refused<B>(request: &Request<B>) -> Option<Response> {
    let headers = request.headers();
    let status = if !is_for_one_host(request) {
        StatusCode::BAD_REQUEST
    } else if !is_coded_plainly(headers) {
        StatusCode::NOT_IMPLEMENTED
    } else {
        return None;
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    // HTTP/2 has no such field; there a request that is refused ends its stream and no more.
    if request.version() != Version::HTTP_2 {
        close(&mut response);
    }
    Some(response)
}

/// Ends a connection of HTTP/1 with this answer.
pub(super) fn close(answer: &mut Response) {
    let close = HeaderValue::from_static("close");
    answer.headers_mut().insert(CONNECTION, close);
}

/// Whether everybody on the way could tell which host is meant: one is named, once.
fn is_for_one_host<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, further) = (hosts.next(), hosts.next());
    if further.is_some() || !host.is_none_or(|host| is_host(host.as_bytes())) {
        return false;
    }
    let authority = request
        .uri()
        .authority()
        .map(|authority| authority.as_str());
    match request.version() {
        Version::HTTP_11 => host.is_some(),
        // RFC 9113, 8.3.1: both may be there, and say the same then.
        Version::HTTP_2 => authority.is_none_or(|authority| {
            let is_same =
                |host: &HeaderValue| host.as_bytes().eq_ignore_ascii_case(authority.as_bytes());
            is_host(authority.as_bytes()) && host.is_none_or(is_same)
        }),
        _ => true,
    }
}

/// Whether this is a host, with a port or without, and nothing else.
fn is_host(text: &[u8]) -> bool {
    let (is_name, port) = match text.strip_prefix(b"[") {
        Some(rest) => {
            let Some(end) = rest.iter().position(|octet| *octet == b']') else {
                return false;
            };
            let (address, port) = rest.split_at(end);
            let address = std::str::from_utf8(address).ok();
            let address = address.and_then(|address| address.parse::<Ipv6Addr>().ok());
            (address.is_some(), &port[1..])
        }
        None => {
            let end = text.iter().position(|octet| *octet == b':');
            let (name, port) = text.split_at(end.unwrap_or(text.len()));
            (
                !name.is_empty() && name.iter().all(|octet| is_of_name(*octet)),
                port,
            )
        }
    };
    is_name && is_port(port)
}

/// RFC 3986: what a registered name may hold.
fn is_of_name(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&octet)
}

/// Whether this is nothing, or a colon and a port.
fn is_port(text: &[u8]) -> bool {
    match text {
        [] | [b':'] => true,
        [b':', digits @ ..] => {
            let number = std::str::from_utf8(digits).ok();
            digits.iter().all(u8::is_ascii_digit)
                && number.is_some_and(|number| number.parse::<u16>().is_ok())
        }
        _ => false,
    }
}

/// Whether a body is chunked, if it has a transfer coding, and coded by nothing else: who knows other
/// codings, or reads a list of them otherwise, would see its end elsewhere.
fn is_coded_plainly(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding
            .as_bytes()
            .trim_ascii()
            .eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_a_port() {
        for good in [
            "hub",
            "hub.example.org.",
            "my_hub",
            "hub:7070",
            "hub:",
            "127.0.0.1:1",
            "[::1]",
            "[::1]:65535",
            "%41",
        ] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            ":80",
            "me@hub",
            "hub/x",
            "hub?x",
            "hub#x",
            "http://hub",
            "hub elsewhere",
            "hub:x",
            "hub:65536",
            "hub:-1",
            "hub:+1",
            "hub:1:2",
            "[::1",
            "[hub]",
            "[::1]x",
            "::1",
            "h\u{fc}b",
            "\"hub\"",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }
}
