//! Inputs: receives the bytes that a target was given, hands on what it makes of them. Any bytes are an
//! input, and inputs that people write are texts.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use memchr::memmem;

/// What parts the pieces of an input.
const BORDER: &[u8] = b"\n---\n";

/// The pieces of an input, between lines of three hyphens; the last has what is left.
pub(crate) fn parts<const N: usize>(bytes: &[u8]) -> [&[u8]; N] {
    let mut rest = bytes;
    let mut parts = [&[][..]; N];
    for part in parts.iter_mut().take(N - 1) {
        let Some(border) = memmem::find(rest, BORDER) else {
            break;
        };
        *part = &rest[..border];
        rest = &rest[border + BORDER.len()..];
    }
    // Without a border there is one piece, the first.
    if let Some(open) = parts.iter_mut().find(|part| part.is_empty()) {
        *open = rest;
    }
    parts
}

/// The lines of a piece that are text.
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = &str> {
    bytes
        .split(|byte| *byte == b'\n')
        .filter_map(|line| str::from_utf8(line).ok())
}

/// Lines `Name: value` as headers. What cannot be a header is passed over, as the server would.
pub(crate) fn headers(bytes: &[u8]) -> HeaderMap {
    let lines = bytes.split(|byte| *byte == b'\n');
    let headers = lines.filter_map(|line| {
        let colon = memmem::find(line, b": ")?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        Some((name, HeaderValue::from_bytes(&line[colon + 2..]).ok()?))
    });
    // As a client may send them: a name more than once, and 100 at most.
    headers
        .take(100)
        .fold(HeaderMap::new(), |mut map, (name, value)| {
            map.append(name, value);
            map
        })
}

/// What a future comes to that waits for nothing outside.
pub(crate) fn finished<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

/// Takes decisions from the bytes of an input, and the first choice each time when they have run out.
pub(crate) struct Dice<'b>(pub(crate) &'b [u8]);

impl Dice<'_> {
    /// The next byte.
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *byte
    }

    /// A number below `count`, which is not 0.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    /// Once in so many times; the first choice is no.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }
}
