//! Whether a part of another request has come with one of HTTP/1: receives what comes on the connection and
//! what of it was the request's body, and compares how the two end. The library keeps what it has read
//! beyond a request to itself, and reads no request twice; so this looks at the last octets alone.
//!
//! A request ends with its body where that has a length, and with an empty line where it has none or comes in
//! chunks. What could be mistaken for such an end is another request's head, whole; that is answered, not
//! waited for. A client that ends its body as it begins its next request gains nothing: it has as long for
//! that as it would have in silence.

use std::sync::atomic::{AtomicU64, Ordering};

/// The ends of what has come and of the body.
#[derive(Default)]
pub(super) struct Tails {
    heard: AtomicU64,
    body: AtomicU64,
    /// Octets of the body that were read, and that there are; 0 where its length does not tell its end.
    read: AtomicU64,
    length: AtomicU64,
}

impl Tails {
    /// Octets have come.
    pub(super) fn heard(&self, octets: &[u8]) {
        append(&self.heard, octets);
    }

    /// A request has come, whose body is so long.
    pub(super) fn asked(&self, length: Option<u64>) {
        self.read.store(0, Ordering::Relaxed);
        self.length.store(length.unwrap_or(0), Ordering::Relaxed);
    }

    /// A part of the body was read.
    pub(super) fn read(&self, part: &[u8]) {
        append(&self.body, part);
        self.read.fetch_add(part.len() as u64, Ordering::Relaxed);
    }

    /// Whether more has come than the request. Of a body that was not read to its end this knows nothing.
    pub(super) fn differ(&self) -> bool {
        let heard = self.heard.load(Ordering::Relaxed);
        let length = self.length.load(Ordering::Relaxed);
        if length == 0 {
            let ends = heard.to_be_bytes();
            return !ends.ends_with(b"\n\r\n") && !ends.ends_with(b"\n\n");
        }
        if self.read.load(Ordering::Relaxed) != length {
            return false;
        }
        let beyond = 64 - 8 * length.min(8);
        (heard ^ self.body.load(Ordering::Relaxed)) << beyond != 0
    }
}

/// Keeps the last eight octets, the very last one lowest.
fn append(tail: &AtomicU64, octets: &[u8]) {
    let mut last = match octets.len() {
        0..8 => tail.load(Ordering::Relaxed),
        _ => 0,
    };
    for octet in &octets[octets.len().saturating_sub(8)..] {
        last = last << 8 | u64::from(*octet);
    }
    tail.store(last, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether more has come, when this comes in parts of that size and the body is `body`, with its length.
    fn differ(comes: &str, body: &str, has_length: bool, size: usize) -> bool {
        let tails = Tails::default();
        for part in comes.as_bytes().chunks(size) {
            tails.heard(part);
        }
        tails.asked(has_length.then_some(body.len() as u64));
        for part in body.as_bytes().chunks(size) {
            tails.read(part);
        }
        tails.differ()
    }

    #[test]
    fn what_comes_beyond_a_request_is_found() {
        let (head, next) = ("POST / HTTP/1.1\r\n\r\n", "GET /x HT");
        for size in [1, 2, 3, 7, 8, 9, 1_000] {
            for body in ["{}", "1234567", "12345678", "123456789", "a long body"] {
                let whole = format!("{head}{body}");
                assert!(!differ(&whole, body, true, size), "{body}");
                for end in 1..next.len() {
                    let more = format!("{whole}{}", &next[..end]);
                    assert!(differ(&more, body, true, size), "{more}");
                }
                let chunked = format!("{head}5\r\n{body}\r\n0\r\n\r\n");
                assert!(!differ(&chunked, body, false, size));
                assert!(differ(&format!("{chunked}{next}"), body, false, size));
            }
            assert!(!differ(head, "", true, size));
            assert!(!differ("GET / HTTP/1.1\n\n", "", true, size));
            assert!(differ(&format!("{head}G"), "", true, size));
        }
    }
}
