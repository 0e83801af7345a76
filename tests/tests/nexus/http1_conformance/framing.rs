//! How long a body is: `Content-Length` and `Transfer-Encoding`, by themselves and against each other.

use super::Way::{Answered, Behind, Closed, Cut, Refused, Said, Taken, TakenAndClosed, Then};
use super::{Allowed, Case, post, whole};

/// A body that is one chunk.
const CHUNKED: &str = "{hex}\r\n{event}\r\n0\r\n\r\n";

/// A `Transfer-Encoding` before a body of chunks.
fn coded(name: &str, fields: &str, allowed: Allowed) -> Case {
    post(name, format!("{fields}\r\n"), CHUNKED, allowed)
}

/// A `Content-Length` before the event, and a second request right behind.
fn long(name: &str, fields: &str, allowed: Allowed) -> Case {
    post(name, format!("{fields}\r\n"), "{event}{second}", allowed)
}

/// Both at once: one reading ends before the second request, the other one holds it.
fn both(name: &str, fields: &str, allowed: Allowed) -> Case {
    post(
        name,
        format!("{fields}\r\n"),
        format!("{CHUNKED}{{second}}"),
        allowed,
    )
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = lengths();
    cases.extend(codings());
    cases.extend(conflicts());
    cases
}

fn lengths() -> Vec<Case> {
    vec![
        post("a length", "Content-Length: {len}\r\n", "{event}", &[Taken]),
        post(
            "a length in lower case",
            "content-length:{len}\r\n",
            "{event}",
            &[Taken],
        ),
        post(
            "a length among blanks",
            "Content-Length: \t {len} \t\r\n",
            "{event}",
            &[Taken],
        ),
        post(
            "a length with zeros before",
            "Content-Length: 000{len}\r\n",
            "{event}",
            &[Taken],
        ),
        post("no length and no body", "", "", &[Answered(400)]),
        post(
            "a length of zero",
            "Content-Length: 0\r\n",
            "",
            &[Answered(400)],
        ),
        post(
            "the same length in two lines",
            "Content-Length: {len}\r\nContent-Length: {len}\r\n",
            "{event}",
            &[Refused, Taken],
        ),
        post(
            "no length and a request behind",
            "",
            "{second}",
            &[Behind(400)],
        ),
        post(
            "a length of zero and a request behind",
            "Content-Length: 0\r\n",
            "{second}",
            &[Behind(400)],
        ),
        long(
            "two lengths, the second zero",
            "Content-Length: {len}\r\nContent-Length: 0",
            &[Refused],
        ),
        long(
            "two lengths, the first zero",
            "Content-Length: 0\r\nContent-Length: {len}",
            &[Refused],
        ),
        long(
            "two lengths, the second longer",
            "Content-Length: {len}\r\nContent-Length: 9{len}",
            &[Refused],
        ),
        long(
            "three lengths, the last differs",
            "Content-Length: {len}\r\nContent-Length: {len}\r\nContent-Length: 1",
            &[Refused],
        ),
        long(
            "the same length twice in a line",
            "Content-Length: {len}, {len}",
            &[Refused],
        ),
        long(
            "two lengths in a line",
            "Content-Length: {len}, 0",
            &[Refused],
        ),
        long("a length and a comma", "Content-Length: {len},", &[Refused]),
        long("a length with a plus", "Content-Length: +{len}", &[Refused]),
        long("a negative length", "Content-Length: -1", &[Refused]),
        long("a length of minus zero", "Content-Length: -0", &[Refused]),
        long("an empty length", "Content-Length: ", &[Refused]),
        long("a blank length", "Content-Length: \t ", &[Refused]),
        long(
            "a length with an empty one before",
            "Content-Length:\r\nContent-Length: {len}",
            &[Refused],
        ),
        long(
            "a hexadecimal length",
            "Content-Length: 0x{hex}",
            &[Refused],
        ),
        long(
            "a length in hexadecimal digits",
            "Content-Length: 5f",
            &[Refused],
        ),
        long(
            "a length with a fraction",
            "Content-Length: {len}.0",
            &[Refused],
        ),
        long(
            "a length with an exponent",
            "Content-Length: 1e2",
            &[Refused],
        ),
        long(
            "a length with a blank in it",
            "Content-Length: 1 00",
            &[Refused],
        ),
        long(
            "a length with an underscore",
            "Content-Length: 1_00",
            &[Refused],
        ),
        long(
            "a length in quotes",
            "Content-Length: \"{len}\"",
            &[Refused],
        ),
        long("a length in words", "Content-Length: chunked", &[Refused]),
        long(
            "a length in octets of UTF-8",
            "Content-Length: \u{661}\u{660}\u{660}",
            &[Refused],
        ),
        long(
            "a length beyond 64 bits",
            "Content-Length: 18446744073709551616",
            &[Refused],
        ),
        long(
            "a length that wraps round to a small one",
            "Content-Length: 18446744073709551626",
            &[Refused],
        ),
        long(
            "a length of 64 bits",
            "Content-Length: 18446744073709551615",
            &[Refused],
        ),
        long(
            "a length of 63 bits",
            "Content-Length: 9223372036854775807",
            &[Refused],
        ),
        long(
            "a length beyond a hundred digits",
            &format!("Content-Length: {}", "9".repeat(120)),
            &[Refused],
        ),
        long(
            "a length and a comment",
            "Content-Length: {len} (bytes)",
            &[Refused],
        ),
        long(
            "a length and a parameter",
            "Content-Length: {len};q=1",
            &[Refused],
        ),
        post(
            "a length that is more than comes",
            "Content-Length: 9{len}\r\n",
            "{event}",
            &[Cut],
        ),
        post(
            "a length that is less than comes",
            "Content-Length: 2\r\n",
            "{}{second}",
            &[Behind(422)],
        ),
        whole(
            "a body on a GET holds no request",
            "GET /healthz HTTP/1.1\r\nHost: hub\r\nContent-Length: {slen}\r\n\r\n{second}",
            &[Said(200)],
        ),
        whole(
            "a chunked body on a GET holds no request",
            "GET /healthz HTTP/1.1\r\nHost: hub\r\nTransfer-Encoding: chunked\r\n\r\n{shex}\r\n{second}\r\n0\r\n\r\n",
            &[Said(200)],
        ),
        whole(
            "a body where nothing is served holds no request",
            "POST /nothing HTTP/1.1\r\nHost: hub\r\nContent-Length: {slen}\r\n\r\n{second}",
            &[Said(404)],
        ),
        whole(
            "a body of another method holds no request",
            "PUT /v1/events HTTP/1.1\r\nHost: hub\r\nContent-Length: {slen}\r\n\r\n{second}",
            &[Said(405)],
        ),
        whole(
            "a body without a key holds no request",
            "POST /v1/events HTTP/1.1\r\nHost: hub\r\nContent-Length: {slen}\r\n\r\n{second}",
            &[Said(401)],
        ),
        whole(
            "a body on a HEAD holds no request",
            "HEAD /healthz HTTP/1.1\r\nHost: hub\r\nContent-Length: {slen}\r\n\r\n{second}",
            &[Said(200)],
        ),
    ]
}

fn codings() -> Vec<Case> {
    vec![
        coded("chunked", "Transfer-Encoding: chunked", &[Taken]),
        coded(
            "chunked in capitals",
            "TRANSFER-ENCODING: CHUNKED",
            &[Taken],
        ),
        coded("chunked in both", "Transfer-Encoding: ChUnKeD", &[Taken]),
        coded(
            "chunked among blanks",
            "Transfer-Encoding: \t chunked \t",
            &[Taken],
        ),
        coded(
            "chunked after a tab",
            "Transfer-Encoding:\tchunked",
            &[Taken],
        ),
        coded(
            "chunked twice in a line",
            "Transfer-Encoding: chunked, chunked",
            &[Refused],
        ),
        coded(
            "chunked twice",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            &[Refused],
        ),
        coded(
            "chunked and identity",
            "Transfer-Encoding: chunked, identity",
            &[Refused],
        ),
        coded(
            "identity and chunked",
            "Transfer-Encoding: identity, chunked",
            &[Refused],
        ),
        coded(
            "identity, then chunked",
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
            &[Refused],
        ),
        coded(
            "chunked, then identity",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            &[Refused],
        ),
        coded("identity alone", "Transfer-Encoding: identity", &[Refused]),
        coded(
            "gzip and chunked",
            "Transfer-Encoding: gzip, chunked",
            &[Refused],
        ),
        coded(
            "deflate and chunked",
            "Transfer-Encoding: deflate, chunked",
            &[Refused],
        ),
        coded("gzip alone", "Transfer-Encoding: gzip", &[Refused]),
        coded(
            "gzip, then chunked",
            "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
            &[Refused],
        ),
        coded(
            "a coding nobody knows",
            "Transfer-Encoding: cow",
            &[Refused],
        ),
        coded(
            "a coding nobody knows, and chunked",
            "Transfer-Encoding: cow, chunked",
            &[Refused],
        ),
        coded(
            "chunked, then one nobody knows",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow",
            &[Refused],
        ),
        coded("no coding", "Transfer-Encoding:", &[Refused]),
        coded(
            "no coding, then chunked",
            "Transfer-Encoding:\r\nTransfer-Encoding: chunked",
            &[Refused],
        ),
        coded("a comma before", "Transfer-Encoding: , chunked", &[Refused]),
        coded("a comma behind", "Transfer-Encoding: chunked,", &[Refused]),
        coded("only commas", "Transfer-Encoding: ,,", &[Refused]),
        coded(
            "a parameter",
            "Transfer-Encoding: chunked;q=0.5",
            &[Refused],
        ),
        coded(
            "a parameter after a blank",
            "Transfer-Encoding: chunked ; a=b",
            &[Refused],
        ),
        coded("in quotes", "Transfer-Encoding: \"chunked\"", &[Refused]),
        coded("one letter more", "Transfer-Encoding: xchunked", &[Refused]),
        coded("one letter less", "Transfer-Encoding: chunke", &[Refused]),
        coded(
            "two words",
            "Transfer-Encoding: chunked chunked",
            &[Refused],
        ),
        coded(
            "an octet beyond ASCII",
            "Transfer-Encoding: chunked\u{a0}",
            &[Refused],
        ),
        coded(
            "a dotless name",
            "Transfer-Encoding: chun\u{212a}ed",
            &[Refused],
        ),
        coded(
            "in the name of another field",
            "Content-Encoding: chunked\r\nContent-Length: 5",
            &[Then(415, 400)],
        ),
        whole(
            "chunked from HTTP/1.0",
            format!(
                "POST /v1/events HTTP/1.0\r\nHost: hub\r\n{{auth}}Transfer-Encoding: chunked\r\n\r\n{CHUNKED}{{second}}"
            ),
            &[Refused],
        ),
        whole(
            "chunked and a length from HTTP/1.0",
            format!(
                "POST /v1/events HTTP/1.0\r\nHost: hub\r\n{{auth}}Content-Length: {{len}}\r\nTransfer-Encoding: chunked\r\n\r\n{CHUNKED}{{second}}"
            ),
            &[Refused],
        ),
    ]
}

fn conflicts() -> Vec<Case> {
    vec![
        both(
            "a length, then chunked",
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            &[Refused, TakenAndClosed],
        ),
        both(
            "chunked, then a length",
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
            &[Refused, TakenAndClosed],
        ),
        both(
            "chunked between two lengths",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\nContent-Length: 6",
            &[Refused, TakenAndClosed],
        ),
        both(
            "chunked and the length of everything",
            "Content-Length: 9{len}\r\nTransfer-Encoding: chunked",
            &[Refused, TakenAndClosed],
        ),
        both(
            "chunked and a length of zero",
            "Content-Length: 0\r\nTransfer-Encoding: chunked",
            &[Refused, TakenAndClosed],
        ),
        both(
            "chunked and a bad length",
            "Transfer-Encoding: chunked\r\nContent-Length: x",
            &[Refused, TakenAndClosed],
        ),
        both(
            "a bad length and chunked",
            "Content-Length: x\r\nTransfer-Encoding: chunked",
            &[Refused],
        ),
        both(
            "a length and identity",
            "Content-Length: 5\r\nTransfer-Encoding: identity",
            &[Refused],
        ),
        both(
            "a length and chunked, which keeps alive",
            "Connection: keep-alive\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
            &[Refused, TakenAndClosed],
        ),
        both(
            "a length and a coding behind a vertical tab",
            "Content-Length: 5\r\nTransfer-Encoding: \u{b}chunked",
            &[Refused],
        ),
        both(
            "a length and a coding with a blank before the colon",
            "Content-Length: 5\r\nTransfer-Encoding : chunked",
            &[Refused],
        ),
        both(
            "a length and a folded coding",
            "Content-Length: 5\r\nTransfer-Encoding:\r\n chunked",
            &[Refused],
        ),
        both(
            "a length and a coding whose name has a NUL",
            "Content-Length: 5\r\nTransfer-Encoding\0: chunked",
            &[Refused],
        ),
        both(
            "a length and a coding behind a bare CR",
            "Content-Length: 5\r\nX: y\rTransfer-Encoding: chunked",
            &[Refused],
        ),
        post(
            "a length that hides a request from who reads chunks",
            "Content-Length: 9{len}\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\n{second}",
            &[Closed(400)],
        ),
        post(
            "chunks that hide a request from who reads a length",
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
            "{shex}\r\n{second}\r\n0\r\n\r\n",
            &[Closed(400)],
        ),
        post(
            "a coding with an underscore is another field",
            "Content-Length: {len}\r\nTransfer_Encoding: chunked\r\n",
            "{event}",
            &[Refused, Taken],
        ),
        post(
            "a length with an underscore is another field",
            "Content-Length: {len}\r\nContent_Length: 0\r\n",
            "{event}",
            &[Refused, Taken],
        ),
        post(
            "the coding of what comes back is another field",
            "Content-Length: {len}\r\nTE: chunked\r\n",
            "{event}",
            &[Taken],
        ),
    ]
}
