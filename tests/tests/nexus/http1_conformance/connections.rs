//! Connections: several requests on one, `Connection`, `Expect`, `Upgrade`, and clients that go away.

use super::Way::{
    Answered, Behind, Both, Closed, HungUp, HungUpLate, Refused, Said, Taken, TakenAndClosed,
    TakenThenRefused,
};
use super::{Allowed, Case, post, whole, with};

const HEAD: &str = "POST /v1/events HTTP/1.1\r\nHost: hub\r\n{auth}Content-Length: {len}\r\n\r\n";
const CHUNKS: &str =
    "POST /v1/events HTTP/1.1\r\nHost: hub\r\n{auth}Transfer-Encoding: chunked\r\n\r\n";

/// A case that comes in portions.
fn portions(name: &str, portions: &[&str], allowed: Allowed) -> Case {
    Case {
        name: name.to_owned(),
        bytes: portions
            .iter()
            .map(|portion| portion.as_bytes().to_vec())
            .collect(),
        allowed,
        gap: None,
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = several();
    cases.extend(options());
    cases.extend(upgrades());
    cases.extend(portioned());
    cases.extend(hung_up());
    cases
}

fn several() -> Vec<Case> {
    let ask = "GET /healthz HTTP/1.1\r\nHost: hub\r\n";
    vec![
        whole(
            "two requests at once",
            format!("{HEAD}{{event}}{{second}}"),
            &[Both],
        ),
        whole(
            "a chunked request and another",
            format!("{CHUNKED}{{second}}"),
            &[Both],
        ),
        whole(
            "a request behind one that is malformed",
            "GET /healthz HTTP/1.1\r\nHost : hub\r\n\r\n{second}",
            &[Refused],
        ),
        whole(
            "a request behind one that closes",
            format!("{ask}Connection: close\r\n\r\n{{second}}"),
            &[Closed(200)],
        ),
        whole(
            "a request behind one of HTTP/1.0",
            "GET /healthz HTTP/1.0\r\n\r\n{second}",
            &[Closed(200)],
        ),
        whole(
            "a request behind one that is not found",
            "GET /nothing HTTP/1.1\r\nHost: hub\r\n\r\n{second}",
            &[Behind(404)],
        ),
        whole(
            "a request behind one that is not read",
            "POST /v1/events HTTP/1.1\r\nHost: hub\r\n{auth}Content-Length: 10485760\r\n\r\n{second}",
            &[Closed(413)],
        ),
        whole(
            "garbage behind a request",
            format!("{HEAD}{{event}}garbage\r\n\r\n"),
            &[TakenThenRefused],
        ),
        whole(
            "an octet too many behind a request",
            format!("{HEAD}{{event}} {{second}}"),
            &[TakenThenRefused],
        ),
        whole(
            "a NUL behind a request",
            format!("{HEAD}{{event}}\0{{second}}"),
            &[TakenThenRefused],
        ),
    ]
}

const CHUNKED: &str = "POST /v1/events HTTP/1.1\r\nHost: hub\r\n{auth}Transfer-Encoding: chunked\r\n\r\n{hex}\r\n{event}\r\n0\r\n\r\n";

fn options() -> Vec<Case> {
    let close = |name, value| with(name, format!("Connection: {value}\r\n"), &[TakenAndClosed]);
    vec![
        with("keep-alive", "Connection: keep-alive\r\n", &[Taken]),
        close("close", "close"),
        close("close in capitals", "CLOSE"),
        close("close among others", "x, close, y"),
        close("close and keep-alive", "keep-alive, close"),
        close("close, then keep-alive", "close\r\nConnection: keep-alive"),
        close("keep-alive, then close", "keep-alive\r\nConnection: close"),
        with("an option nobody knows", "Connection: cow\r\n", &[Taken]),
        with("the host as an option", "Connection: Host\r\n", &[Taken]),
        with(
            "the length as an option",
            "Connection: Content-Length\r\n",
            &[Taken],
        ),
        with(
            "the key as an option",
            "Connection: Authorization\r\n",
            &[Taken],
        ),
        with("Expect", "Expect: 100-continue\r\n", &[Taken]),
        with("Expect in capitals", "Expect: 100-CONTINUE\r\n", &[Taken]),
        // RFC 9110 10.1.1: what is not known may be answered 417.
        with(
            "Expect something else",
            "Expect: cow\r\n",
            &[Refused, Taken],
        ),
        with("Expect nothing", "Expect:\r\n", &[Refused, Taken]),
        with(
            "Expect two things",
            "Expect: 100-continue, cow\r\n",
            &[Refused, Taken],
        ),
        post(
            "Expect, chunked",
            "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n",
            "{hex}\r\n{event}\r\n0\r\n\r\n",
            &[Taken],
        ),
        post(
            "Expect without a body",
            "Expect: 100-continue\r\n",
            "",
            &[Said(400)],
        ),
        whole(
            "Expect of who is not let in, with a request for a body",
            "POST /v1/events HTTP/1.1\r\nHost: hub\r\nExpect: 100-continue\r\nContent-Length: {slen}\r\n\r\n{second}",
            &[Said(401)],
        ),
        post(
            "Expect of too much, with a request for a body",
            "Expect: 100-continue\r\nContent-Length: 10485760\r\n",
            "{second}",
            &[Closed(413)],
        ),
    ]
}

fn upgrades() -> Vec<Case> {
    let socket = "GET /v1/ws HTTP/1.1\r\nHost: hub\r\n{auth}Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    vec![
        with(
            "an upgrade to HTTP/2 is passed over",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
            &[Taken],
        ),
        whole(
            "an upgrade to HTTP/2 without a body",
            "GET /healthz HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
            &[Answered(200)],
        ),
        with(
            "an upgrade to HTTP/2 with a request behind",
            "Connection: Upgrade\r\nUpgrade: h2c\r\n",
            &[Taken],
        ),
        with(
            "an upgrade to TLS is passed over",
            "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
            &[Taken],
        ),
        with(
            "an upgrade without its option",
            "Upgrade: websocket\r\n",
            &[Taken],
        ),
        with(
            "an upgrade to a WebSocket where there is none",
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            &[Taken],
        ),
        whole(
            "a WebSocket with a body that is a request",
            format!("{socket}Connection: Upgrade\r\nContent-Length: {{slen}}\r\n\r\n{{second}}"),
            &[Said(400)],
        ),
        whole(
            "a WebSocket with a chunked body that is a request",
            format!(
                "{socket}Connection: Upgrade\r\nTransfer-Encoding: chunked\r\n\r\n{{shex}}\r\n{{second}}\r\n0\r\n\r\n"
            ),
            &[Said(400)],
        ),
        whole(
            "a WebSocket without its option, and a request behind",
            format!("{socket}\r\n{{second}}"),
            &[Behind(400)],
        ),
        whole(
            "a WebSocket of the wrong version, and a request behind",
            format!(
                "{}Connection: Upgrade\r\n\r\n{{second}}",
                socket.replace(": 13", ": 12")
            ),
            &[Behind(426)],
        ),
        whole(
            "a WebSocket that was agreed on, and a request behind",
            format!("{socket}Connection: Upgrade\r\n\r\n{{second}}"),
            &[Closed(101)],
        ),
        whole(
            "the start of HTTP/2 behind a request",
            format!("{HEAD}{{event}}PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
            &[TakenAndClosed],
        ),
    ]
}

fn portioned() -> Vec<Case> {
    let octets: Vec<String> = HEAD.split_inclusive(' ').map(str::to_owned).collect();
    let octets: Vec<&str> = octets
        .iter()
        .map(String::as_str)
        .chain(["{event}"])
        .collect();
    vec![
        portions("head and body apart", &[HEAD, "{event}"], &[Taken]),
        portions("a head in many pieces", &octets, &[Taken]),
        portions(
            "an end of a line cut in two",
            &[
                "POST /v1/events HTTP/1.1\r",
                "\nHost: hub\r\n{auth}Content-Length: {len}\r\n\r",
                "\n{event}",
            ],
            &[Taken],
        ),
        portions(
            "an end of the head cut in two, and a fold",
            &[
                "POST /v1/events HTTP/1.1\r\nHost: hub\r\n{auth}Content-Length: {len}\r",
                "\n X: y\r\n\r\n{event}",
            ],
            &[Refused],
        ),
        portions(
            "a chunk in many pieces",
            &[
                CHUNKS, "{hex}", "\r", "\n", "{event}", "\r", "\n", "0", "\r", "\n", "\r", "\n",
            ],
            &[Taken],
        ),
        portions(
            "a size cut in two",
            &[CHUNKS, "0", "{hex}\r\n{event}\r\n0\r\n\r\n"],
            &[Refused, Taken],
        ),
        portions(
            "the last chunk and a request behind it, cut in two",
            &[CHUNKS, "{hex}\r\n{event}\r\n0\r\n\r", "\n{second}"],
            &[Both],
        ),
        portions(
            "a second request in the middle",
            &[HEAD, "{event}{second}"],
            &[Both],
        ),
        portions(
            "a body behind Expect, later",
            &[
                "POST /v1/events HTTP/1.1\r\nHost: hub\r\n{auth}Expect: 100-continue\r\nContent-Length: {len}\r\n\r\n",
                "{event}",
            ],
            &[Taken],
        ),
    ]
}

fn hung_up() -> Vec<Case> {
    vec![
        whole("gone at once", "", &[HungUp]),
        whole("gone in the method", "PO", &[HungUp]),
        whole("gone in the request line", "POST /v1/ev", &[HungUp]),
        whole(
            "gone behind the request line",
            "POST /v1/events HTTP/1.1\r\n",
            &[HungUp],
        ),
        whole(
            "gone in a field",
            "POST /v1/events HTTP/1.1\r\nHost: hub\r\n{auth}Content-Le",
            &[HungUp],
        ),
        whole(
            "gone before the end of the head",
            "POST /v1/events HTTP/1.1\r\nHost: hub\r\n{auth}Content-Length: {len}\r\n",
            &[HungUp],
        ),
        whole("gone behind the head", HEAD, &[HungUp]),
        post(
            "gone in the body",
            "Content-Length: 9{len}\r\n",
            "{event}",
            &[HungUp],
        ),
        whole(
            "gone behind the body",
            format!("{HEAD}{{event}}"),
            &[HungUpLate],
        ),
        post(
            "gone in a chunk",
            "Transfer-Encoding: chunked\r\n",
            "fff\r\n{event}",
            &[HungUp],
        ),
        post(
            "gone behind a chunk",
            "Transfer-Encoding: chunked\r\n",
            "{hex}\r\n{event}\r\n",
            &[HungUp],
        ),
        post(
            "gone in the last chunk",
            "Transfer-Encoding: chunked\r\n",
            "{hex}\r\n{event}\r\n0\r\n",
            &[HungUp],
        ),
        post(
            "gone in a trailer",
            "Transfer-Encoding: chunked\r\n",
            "{hex}\r\n{event}\r\n0\r\nX: y",
            &[HungUp],
        ),
        post(
            "gone behind the last chunk",
            "Transfer-Encoding: chunked\r\n",
            "{hex}\r\n{event}\r\n0\r\n\r\n",
            &[HungUpLate],
        ),
        post(
            "gone behind Expect",
            "Expect: 100-continue\r\nContent-Length: {len}\r\n",
            "",
            &[HungUp],
        ),
    ]
}
