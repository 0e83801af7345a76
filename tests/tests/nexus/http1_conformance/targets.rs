//! The request line: methods, targets and versions.

use super::Way::{Answered, Both, Declined, Refused, Said, Taken, TakenAndClosed, TakenAs};
use super::{Allowed, Case, whole};

/// A request that publishes, with this request line.
fn line(name: &str, line: impl AsRef<[u8]>, allowed: Allowed) -> Case {
    let rest = b"\r\nHost: hub\r\n{auth}Content-Length: {len}\r\n\r\n{event}";
    whole(name, [line.as_ref(), rest].concat(), allowed)
}

/// A request without a body.
fn ask(name: &str, line: impl AsRef<[u8]>, allowed: Allowed) -> Case {
    let rest = b"\r\nHost: hub\r\n{auth}\r\n";
    whole(name, [line.as_ref(), rest].concat(), allowed)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = methods();
    cases.extend(forms());
    cases.extend(octets());
    cases.extend(versions());
    cases
}

fn methods() -> Vec<Case> {
    let long = format!("{} /v1/events HTTP/1.1", "M".repeat(10_000));
    vec![
        line("POST", "POST /v1/events HTTP/1.1", &[Taken]),
        line(
            "a method in lower case is another one",
            "post /v1/events HTTP/1.1",
            &[Said(405)],
        ),
        line(
            "a method nobody knows",
            "BREW /v1/events HTTP/1.1",
            &[Said(405)],
        ),
        line(
            "a method with a mark",
            "M-SEARCH /v1/events HTTP/1.1",
            &[Said(405)],
        ),
        ask("TRACE", "TRACE /v1/events HTTP/1.1", &[Said(405)]),
        ask(
            "CONNECT to an authority",
            "CONNECT elsewhere:443 HTTP/1.1",
            &[Declined],
        ),
        ask(
            "CONNECT to a path",
            "CONNECT /v1/events HTTP/1.1",
            &[Declined],
        ),
        ask("OPTIONS of everything", "OPTIONS * HTTP/1.1", &[Declined]),
        ask(
            "OPTIONS of a path",
            "OPTIONS /v1/events HTTP/1.1",
            &[Said(204)],
        ),
        ask("HEAD", "HEAD /healthz HTTP/1.1", &[Answered(200)]),
        line("no method", " /v1/events HTTP/1.1", &[Refused]),
        line(
            "a method in parentheses",
            "(POST) /v1/events HTTP/1.1",
            &[Refused],
        ),
        line(
            "a method with a colon",
            "POST: /v1/events HTTP/1.1",
            &[Refused],
        ),
        line(
            "a method with a NUL",
            "POST\0 /v1/events HTTP/1.1",
            &[Refused],
        ),
        line(
            "a method beyond ASCII",
            "PÖST /v1/events HTTP/1.1",
            &[Refused],
        ),
        line(
            "a method in quotes",
            "\"POST\" /v1/events HTTP/1.1",
            &[Refused],
        ),
        line("a method of 10,000 letters", long, &[Refused, Said(405)]),
        line("the start of HTTP/2", "PRI * HTTP/2.0", &[Refused]),
    ]
}

fn forms() -> Vec<Case> {
    vec![
        line(
            "a path with a query",
            "POST /v1/events?ack=processed HTTP/1.1",
            &[TakenAs(200)],
        ),
        line("an empty query", "POST /v1/events? HTTP/1.1", &[Taken]),
        line(
            "an absolute target",
            "POST http://hub/v1/events HTTP/1.1",
            &[Taken],
        ),
        line(
            "an absolute target in capitals",
            "POST HTTP://HUB/v1/events HTTP/1.1",
            &[Taken],
        ),
        line(
            "an absolute target with a port",
            "POST http://hub:7070/v1/events HTTP/1.1",
            &[Taken],
        ),
        line(
            "an absolute target elsewhere",
            "POST http://elsewhere/v1/events HTTP/1.1",
            &[Refused, Taken],
        ),
        line(
            "an absolute target of another scheme",
            "POST ftp://hub/v1/events HTTP/1.1",
            &[Refused, Taken],
        ),
        line(
            "an absolute target without a path",
            "POST http://hub HTTP/1.1",
            &[Declined],
        ),
        line(
            "an absolute target without a host",
            "POST http:///v1/events HTTP/1.1",
            &[Refused],
        ),
        line(
            "an absolute target with somebody in it",
            "POST http://me:secret@hub/v1/events HTTP/1.1",
            &[Refused, Taken],
        ),
        line(
            "an authority as a target",
            "POST hub:80 HTTP/1.1",
            &[Declined],
        ),
        line("an asterisk as a target", "POST * HTTP/1.1", &[Declined]),
        line(
            "a target without a slash",
            "POST v1/events HTTP/1.1",
            &[Declined],
        ),
        line(
            "two slashes before",
            "POST //v1/events HTTP/1.1",
            &[Declined],
        ),
        line(
            "two slashes within",
            "POST /v1//events HTTP/1.1",
            &[Said(404)],
        ),
        line("a slash behind", "POST /v1/events/ HTTP/1.1", &[Said(404)]),
        line("dots within", "POST /v1/x/../events HTTP/1.1", &[Declined]),
        line("dots before", "POST /../v1/events HTTP/1.1", &[Said(404)]),
        line("a dot within", "POST /v1/./events HTTP/1.1", &[Declined]),
        line(
            "dots in percent form",
            "POST /v1/x/%2e%2e/events HTTP/1.1",
            &[Declined],
        ),
        line(
            "a slash in percent form",
            "POST /v1%2fevents HTTP/1.1",
            &[Said(404)],
        ),
        line(
            "a letter in percent form",
            "POST /v1/%65vents HTTP/1.1",
            &[Declined],
        ),
        line(
            "a NUL in percent form",
            "POST /v1/events%00 HTTP/1.1",
            &[Declined],
        ),
        line(
            "an end of a line in percent form",
            "POST /v1/events%0d%0aX:%20y HTTP/1.1",
            &[Declined],
        ),
        line(
            "a blank in percent form",
            "POST /v1/events%20HTTP/1.1 HTTP/1.1",
            &[Declined],
        ),
        line(
            "half a percent form",
            "POST /v1/events% HTTP/1.1",
            &[Declined],
        ),
        line(
            "a percent form that is none",
            "POST /v1/events%zz HTTP/1.1",
            &[Declined],
        ),
        ask(
            "a percent form of no UTF-8",
            "GET /v1/events/%ff%fe HTTP/1.1",
            &[Declined],
        ),
        line("a backslash", "POST \\v1\\events HTTP/1.1", &[Declined]),
        line("a semicolon", "POST /v1/events;a=b HTTP/1.1", &[Said(404)]),
        line(
            "a fragment",
            "POST /v1/events#part HTTP/1.1",
            &[Refused, Taken, Declined],
        ),
        line(
            "a fragment in an absolute target",
            "POST http://hub/v1/events#part HTTP/1.1",
            &[Refused, Taken, Declined],
        ),
        line("no target", "POST HTTP/1.1", &[Refused]),
        line("an empty target", "POST  HTTP/1.1", &[Refused]),
    ]
}

fn octets() -> Vec<Case> {
    let long = format!("POST /v1/events?x={} HTTP/1.1", "x".repeat(70_000));
    let longish = format!("POST /{} HTTP/1.1", "x".repeat(10_000));
    vec![
        line(
            "two blanks before the target",
            "POST  /v1/events HTTP/1.1",
            &[Refused, Taken],
        ),
        line(
            "two blanks behind the target",
            "POST /v1/events  HTTP/1.1",
            &[Refused, Taken],
        ),
        line(
            "a blank behind the version",
            "POST /v1/events HTTP/1.1 ",
            &[Refused, Taken],
        ),
        line(
            "a tab before the target",
            "POST\t/v1/events HTTP/1.1",
            &[Refused, Taken],
        ),
        line(
            "a tab behind the target",
            "POST /v1/events\tHTTP/1.1",
            &[Refused, Taken],
        ),
        line(
            "a vertical tab before the target",
            "POST\x0b/v1/events HTTP/1.1",
            &[Refused, Taken],
        ),
        line(
            "a blank in the target",
            "POST /v1/events x HTTP/1.1",
            &[Refused],
        ),
        line(
            "a NUL in the target",
            "POST /v1/events\0 HTTP/1.1",
            &[Refused],
        ),
        line(
            "a control octet in the target",
            "POST /v1/events\x01 HTTP/1.1",
            &[Refused],
        ),
        line(
            "a DEL in the target",
            "POST /v1/events\x7f HTTP/1.1",
            &[Refused],
        ),
        line(
            "a bare CR in the target",
            "POST /v1/events\r HTTP/1.1",
            &[Refused],
        ),
        line(
            "a bare LF in the target",
            "POST /v1/events\n HTTP/1.1",
            &[Refused],
        ),
        line(
            "an octet beyond ASCII in the target",
            b"POST /v1/events\xff HTTP/1.1",
            &[Refused, Said(404)],
        ),
        line(
            "UTF-8 in the target",
            "POST /v1/évents HTTP/1.1",
            &[Refused, Said(404)],
        ),
        line(
            "quotes in the target",
            "POST /v1/\"events\" HTTP/1.1",
            &[Refused, Said(404)],
        ),
        line(
            "angle brackets in the target",
            "POST /v1/<events> HTTP/1.1",
            &[Refused, Said(404)],
        ),
        line(
            "braces in the target",
            "POST /v1/{id} HTTP/1.1",
            &[Declined],
        ),
        line("a target of 10,000 octets", longish, &[Refused, Said(404)]),
        line("a target of 70,000 octets", long, &[Refused]),
    ]
}

fn versions() -> Vec<Case> {
    let rest = "Host: hub\r\n{auth}Content-Length: {len}\r\n\r\n{event}";
    let of = |name: &str, version: &str, allowed| {
        whole(
            name,
            format!("POST /v1/events{version}\r\n{rest}{{second}}"),
            allowed,
        )
    };
    vec![
        whole(
            "HTTP/1.0",
            format!("POST /v1/events HTTP/1.0\r\n{rest}{{second}}"),
            &[TakenAndClosed],
        ),
        whole(
            "HTTP/1.0 without a host",
            "POST /v1/events HTTP/1.0\r\n{auth}Content-Length: {len}\r\n\r\n{event}{second}",
            &[TakenAndClosed],
        ),
        whole(
            "HTTP/1.0 that keeps alive",
            format!("POST /v1/events HTTP/1.0\r\nConnection: keep-alive\r\n{rest}"),
            &[Taken, TakenAndClosed],
        ),
        of("HTTP/0.9", "", &[Refused]),
        whole("HTTP/0.9 and nothing else", "GET /healthz\r\n", &[Refused]),
        of("HTTP/1", " HTTP/1", &[Refused]),
        of("HTTP/1.2", " HTTP/1.2", &[Refused, Both]),
        of("HTTP/1.9", " HTTP/1.9", &[Refused, Both]),
        of("HTTP/1.10", " HTTP/1.10", &[Refused]),
        of("HTTP/1.01", " HTTP/1.01", &[Refused]),
        of("HTTP/01.1", " HTTP/01.1", &[Refused]),
        of("HTTP/0.1", " HTTP/0.1", &[Refused]),
        of("HTTP/2.0", " HTTP/2.0", &[Refused]),
        of("HTTP/2", " HTTP/2", &[Refused]),
        of("HTTP/3.0", " HTTP/3.0", &[Refused]),
        of("HTTP/9.9", " HTTP/9.9", &[Refused]),
        of("http/1.1 in lower case", " http/1.1", &[Refused]),
        of("a version without a name", " 1.1", &[Refused]),
        of("a version with another name", " HTTQ/1.1", &[Refused]),
        of("a version with a blank", " HTTP/ 1.1", &[Refused]),
        of("a version with a plus", " HTTP/+1.1", &[Refused]),
        of("a negative version", " HTTP/1.-1", &[Refused]),
        of("a version with a comma", " HTTP/1,1", &[Refused]),
        of("a version in hexadecimal", " HTTP/0x1.1", &[Refused]),
        of("a version with garbage behind", " HTTP/1.1x", &[Refused]),
        of("a version twice", " HTTP/1.1 HTTP/1.1", &[Refused]),
        of("a secure version", " HTTPS/1.1", &[Refused]),
        whole("garbage", b"\x80\x81\x82\x83\r\n\r\n", &[Refused]),
        whole(
            "the start of TLS",
            b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
            &[Refused],
        ),
        whole(
            "an answer",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            &[Refused],
        ),
        whole("the start of SSH", "SSH-2.0-client\r\n", &[Refused]),
    ]
}
