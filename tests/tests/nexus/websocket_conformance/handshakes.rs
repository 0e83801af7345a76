//! How a WebSocket is opened, and how it is not.

use std::net::SocketAddr;

use nexus_tests::octets::{More, Octets};
use nexus_tests::suite::{Report, Verdict};
use tokio::time::Instant;

use super::{PATIENCE, PROPER, opening};

/// An opening, the statuses that may answer it, and a line that the answer's head must hold, or, behind an
/// exclamation mark, must not.
pub(super) struct Opening {
    name: String,
    request: String,
    statuses: &'static [u16],
    line: &'static str,
}

const ACCEPT: &str = "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn of(name: &str, request: String, statuses: &'static [u16], line: &'static str) -> Opening {
    Opening {
        name: name.to_owned(),
        request,
        statuses,
        line,
    }
}

/// A proper opening, with more lines.
fn with(name: &str, lines: &str, statuses: &'static [u16], line: &'static str) -> Opening {
    of(name, opening(&format!("{PROPER}{lines}")), statuses, line)
}

/// A proper opening, in which one thing is another.
fn but(
    name: &str,
    is: &str,
    becomes: &str,
    statuses: &'static [u16],
    line: &'static str,
) -> Opening {
    let request = opening(PROPER);
    assert!(request.contains(is), "{name}");
    of(name, request.replace(is, becomes), statuses, line)
}

pub(super) fn cases() -> Vec<Opening> {
    let mut cases = tokens();
    cases.extend(keys());
    cases.extend(offers());
    cases.extend(requests());
    cases
}

const VERSION: &str = "sec-websocket-version: 13";
const OPEN: &[u16] = &[101];
const REFUSED: &[u16] = &[400];

fn tokens() -> Vec<Opening> {
    let connection = |name: &str, value: &str, statuses| {
        but(
            name,
            "Connection: Upgrade\r\n",
            &format!("{value}\r\n"),
            statuses,
            "",
        )
    };
    let upgrade = |name: &str, value: &str, statuses| {
        but(
            name,
            "Upgrade: websocket\r\n",
            &format!("{value}\r\n"),
            statuses,
            "",
        )
    };
    let version = |name: &str, value: &str| {
        but(
            name,
            "Sec-WebSocket-Version: 13\r\n",
            value,
            &[426],
            VERSION,
        )
    };
    vec![
        with("a proper opening", "", OPEN, ACCEPT),
        connection("Connection: in lower case", "connection: upgrade", OPEN),
        connection(
            "Connection: with another option",
            "Connection: keep-alive, Upgrade",
            OPEN,
        ),
        connection(
            "Connection: in two lines",
            "Connection: keep-alive\r\nConnection: Upgrade",
            OPEN,
        ),
        connection(
            "Connection: among blanks",
            "Connection: \t Upgrade ,keep-alive",
            OPEN,
        ),
        connection("Connection: another one", "Connection: keep-alive", REFUSED),
        connection(
            "Connection: a longer word",
            "Connection: NotUpgrade",
            REFUSED,
        ),
        connection(
            "Connection: a longer word with a mark",
            "Connection: no-upgrade",
            REFUSED,
        ),
        connection("Connection: two words", "Connection: do upgrade", REFUSED),
        connection("Connection: nothing", "Connection:", REFUSED),
        connection("Connection: none", "X: y", REFUSED),
        upgrade("Upgrade: in capitals", "UPGRADE: WebSocket", OPEN),
        upgrade(
            "Upgrade: with another protocol",
            "Upgrade: h2c, websocket",
            OPEN,
        ),
        upgrade(
            "Upgrade: in two lines",
            "Upgrade: h2c\r\nUpgrade: websocket",
            OPEN,
        ),
        upgrade("Upgrade: another protocol", "Upgrade: h2c", REFUSED),
        upgrade("Upgrade: a longer word", "Upgrade: websockets", REFUSED),
        upgrade("Upgrade: with a version", "Upgrade: websocket/13", REFUSED),
        upgrade("Upgrade: nothing", "Upgrade:", REFUSED),
        upgrade("Upgrade: none", "X: y", REFUSED),
        version("Version: 8", "Sec-WebSocket-Version: 8\r\n"),
        version("Version: 0", "Sec-WebSocket-Version: 0\r\n"),
        version("Version: 14", "Sec-WebSocket-Version: 14\r\n"),
        version("Version: 130", "Sec-WebSocket-Version: 130\r\n"),
        version("Version: 013", "Sec-WebSocket-Version: 013\r\n"),
        version("Version: a word", "Sec-WebSocket-Version: new\r\n"),
        version("Version: nothing", "Sec-WebSocket-Version:\r\n"),
        version(
            "Version: two",
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 8\r\n",
        ),
        but(
            "Version: none",
            "Sec-WebSocket-Version: 13\r\n",
            "",
            &[400, 426],
            "",
        ),
    ]
}

fn keys() -> Vec<Opening> {
    let line = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let key = |name: &str, value: &str, statuses| {
        but(
            name,
            line,
            &format!("Sec-WebSocket-Key: {value}\r\n"),
            statuses,
            "",
        )
    };
    vec![
        key("Key: sixteen zeros", "AAAAAAAAAAAAAAAAAAAAAA==", OPEN),
        key("Key: among blanks", " \t dGhlIHNhbXBsZSBub25jZQ== ", OPEN),
        key("Key: nothing", "", REFUSED),
        key("Key: no base64", "not base64 at all!!!", REFUSED),
        key("Key: fifteen octets", "AAAAAAAAAAAAAAAAAAAA", REFUSED),
        key("Key: seventeen octets", "AAAAAAAAAAAAAAAAAAAAAAA=", REFUSED),
        key("Key: without its end", "AAAAAAAAAAAAAAAAAAAAAA", REFUSED),
        key(
            "Key: one letter too many",
            "AAAAAAAAAAAAAAAAAAAAAA==A",
            REFUSED,
        ),
        key(
            "Key: of another alphabet",
            "-_-_-_-_-_-_-_-_-_-_-A==",
            REFUSED,
        ),
        key("Key: very long", &"A".repeat(10_000), REFUSED),
        but("Key: none", line, "", REFUSED, ""),
        but("Key: two", line, &line.repeat(2), REFUSED, ""),
    ]
}

fn offers() -> Vec<Opening> {
    let protocol = |name: &str, value: &str, line| {
        with(
            name,
            &format!("Sec-WebSocket-Protocol: {value}\r\n"),
            OPEN,
            line,
        )
    };
    let extension = |name: &str, value: &str| {
        with(
            name,
            &format!("Sec-WebSocket-Extensions: {value}\r\n"),
            OPEN,
            "!sec-websocket-extensions",
        )
    };
    let origin = |name: &str, value: &str, statuses| {
        with(name, &format!("Origin: {value}\r\n"), statuses, "")
    };
    vec![
        protocol(
            "Protocol: CloudEvents",
            "cloudevents.json",
            "sec-websocket-protocol: cloudevents.json",
        ),
        protocol(
            "Protocol: the hub's",
            "nexus.v1",
            "sec-websocket-protocol: nexus.v1",
        ),
        protocol(
            "Protocol: one of several",
            "mqtt, cloudevents.json",
            "sec-websocket-protocol: cloudevents.json",
        ),
        protocol(
            "Protocol: in two lines",
            "mqtt\r\nSec-WebSocket-Protocol: nexus.v1",
            "sec-websocket-protocol: nexus.v1",
        ),
        protocol(
            "Protocol: one that nobody knows",
            "mqtt",
            "!sec-websocket-protocol",
        ),
        protocol(
            "Protocol: in another case",
            "NEXUS.V1",
            "!sec-websocket-protocol",
        ),
        protocol("Protocol: nothing", "", "!sec-websocket-protocol"),
        with("Protocol: none", "", OPEN, "!sec-websocket-protocol"),
        extension("Extensions: compression", "permessage-deflate"),
        extension(
            "Extensions: compression with parameters",
            "permessage-deflate; client_max_window_bits; server_max_window_bits=10",
        ),
        extension("Extensions: one that nobody knows", "x-cow"),
        extension("Extensions: garbage", ";;,,=\""),
        origin("Origin: one that may", "https://good.example", OPEN),
        origin("Origin: the hub's own", "http://hub", OPEN),
        origin("Origin: another one", "https://bad.example", &[403]),
        origin(
            "Origin: one that begins so",
            "https://good.example.bad.example",
            &[403],
        ),
        origin(
            "Origin: one that ends so",
            "https://bad.example/https://good.example",
            &[403],
        ),
        origin("Origin: another scheme", "http://good.example", &[403]),
        origin("Origin: another port", "https://good.example:444", &[403]),
        origin("Origin: a page without one", "null", &[403]),
        origin("Origin: nothing", "", &[403]),
        origin(
            "Origin: one that may, and another",
            "https://good.example\r\nOrigin: https://bad.example",
            &[400, 403],
        ),
    ]
}

fn requests() -> Vec<Opening> {
    let key = "Authorization: Bearer nxk_test_admin\r\n";
    let method = |method: &str| {
        but(
            &format!("Method: {method}"),
            "GET ",
            &format!("{method} "),
            &[405],
            "",
        )
    };
    vec![
        method("POST"),
        method("PUT"),
        method("DELETE"),
        but("Method: HEAD", "GET ", "HEAD ", &[400, 405], ""),
        but("HTTP/1.0", "HTTP/1.1", "HTTP/1.0", &[400, 426], ""),
        but("another path", "/v1/ws", "/v1/wss", &[404], ""),
        but("no host", "Host: hub\r\n", "", REFUSED, ""),
        but(
            "two hosts",
            "Host: hub\r\n",
            "Host: hub\r\nHost: hub\r\n",
            REFUSED,
            "",
        ),
        but("no key", key, "", &[401], ""),
        but(
            "a wrong key",
            key,
            "Authorization: Bearer wrong\r\n",
            &[401],
            "",
        ),
        but("a key in the query", key, "", OPEN, ACCEPT).at("/v1/ws?access_token=nxk_test_admin"),
        but("a key in the query and in the header", "X", "X", &[400], "")
            .at("/v1/ws?access_token=nxk_test_admin"),
        but("a query that nobody knows", "X", "X", &[400], "").at("/v1/ws?cow=moo"),
        but("what is to be followed", "X", "X", OPEN, ACCEPT).at("/v1/ws?type=wire.*&source=*"),
        with("a body of nothing", "Content-Length: 0\r\n", OPEN, ACCEPT),
        with("a body", "Content-Length: 5\r\n", REFUSED, ""),
        with(
            "a body of chunks",
            "Transfer-Encoding: chunked\r\n",
            REFUSED,
            "",
        ),
        of("no WebSocket at all", opening(""), REFUSED, ""),
    ]
}

impl Opening {
    fn at(mut self, path: &str) -> Self {
        self.request = self.request.replacen("/v1/ws", path, 1);
        self
    }
}

/// Opens a WebSocket so, and reads the head of the answer.
pub(super) async fn run(address: SocketAddr, case: Opening) -> Report {
    let mut line = Octets::open(address, Instant::now() + PATIENCE)
        .await
        .unwrap();
    line.send(case.request.as_bytes()).await;
    let head = loop {
        let heard = line.heard();
        if let Some(end) = heard.windows(4).position(|four| four == b"\r\n\r\n") {
            break String::from_utf8_lossy(&heard[..end]).to_string();
        }
        if line.more().await != More::Bytes {
            break String::new();
        }
    };
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    let is_expected = case.statuses.contains(&status);
    let holds = match case.line.strip_prefix('!') {
        Some(absent) => !head.to_ascii_lowercase().contains(absent),
        None => {
            case.line.is_empty()
                || head.lines().any(|line| {
                    let (name, value) = line.split_once(':').unwrap_or_default();
                    format!("{}:{value}", name.to_ascii_lowercase()) == case.line
                })
        }
    };
    let verdict = match is_expected && holds {
        true => Verdict::Good,
        false => Verdict::Bad(format!(
            "{:?} and {:?} is allowed; came {head:?}",
            case.statuses, case.line
        )),
    };
    Report {
        section: "RFC 6455 4, openings",
        case: case.name,
        verdict,
        talk: line.into_talk(),
    }
}
