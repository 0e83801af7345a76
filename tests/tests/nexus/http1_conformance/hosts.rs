//! The host: one, and only one, and of the form of a host.

use super::Way::{Refused, Taken};
use super::{Allowed, Case, whole};

/// A request that publishes, with these lines in the place of the host's.
fn host(name: &str, lines: impl AsRef<[u8]>, allowed: Allowed) -> Case {
    let start = b"POST /v1/events HTTP/1.1\r\n";
    let rest = b"{auth}Content-Length: {len}\r\n\r\n{event}";
    whole(name, [start, lines.as_ref(), rest].concat(), allowed)
}

/// One with this value.
fn named(name: &str, value: &str, allowed: Allowed) -> Case {
    host(name, format!("Host: {value}\r\n"), allowed)
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        named("a name", "hub", &[Taken]),
        named("a name with dots", "hub.example.org", &[Taken]),
        named("a name with a dot behind", "hub.example.org.", &[Taken]),
        named("a name and a port", "hub:7070", &[Taken]),
        named("an address", "127.0.0.1", &[Taken]),
        named("an address and a port", "127.0.0.1:7070", &[Taken]),
        named("an address of IPv6", "[::1]", &[Taken]),
        named("an address of IPv6 and a port", "[::1]:7070", &[Taken]),
        named("a name with an underscore", "my_hub", &[Taken]),
        named("a name in capitals", "HUB", &[Taken]),
        named("blanks around", " \t hub \t ", &[Taken]),
        // RFC 9112 3.2: empty where the target has no authority.
        named("nothing", "", &[Refused, Taken]),
        host("none", "", &[Refused]),
        host("two", "Host: hub\r\nHost: elsewhere\r\n", &[Refused]),
        host(
            "the same one twice",
            "Host: hub\r\nHost: hub\r\n",
            &[Refused],
        ),
        host(
            "two, one of them empty",
            "Host: hub\r\nHost:\r\n",
            &[Refused],
        ),
        host(
            "two, in different cases",
            "Host: hub\r\nhOST: hub\r\n",
            &[Refused],
        ),
        host("three", "Host: a\r\nHost: b\r\nHost: c\r\n", &[Refused]),
        host(
            "a name that is one letter longer",
            "Hosts: hub\r\n",
            &[Refused],
        ),
        host(
            "one behind others",
            "X-One: 1\r\nX-Two: 2\r\nHost: hub\r\n",
            &[Taken],
        ),
        named("somebody in it", "me@hub", &[Refused]),
        named("somebody and a secret in it", "me:secret@hub", &[Refused]),
        named("a path in it", "hub/path", &[Refused]),
        named("a query in it", "hub?x", &[Refused]),
        named("a fragment in it", "hub#x", &[Refused]),
        named("a scheme in it", "http://hub", &[Refused]),
        named("two in a line", "hub, elsewhere", &[Refused]),
        named("a blank in it", "hub elsewhere", &[Refused]),
        named("a tab in it", "hub\telsewhere", &[Refused]),
        named("a port that is no number", "hub:http", &[Refused]),
        named("a port that is too large", "hub:99999", &[Refused]),
        named("a negative port", "hub:-1", &[Refused]),
        named("an empty port", "hub:", &[Refused, Taken]),
        named("two ports", "hub:1:2", &[Refused]),
        named("half an address of IPv6", "[::1", &[Refused]),
        named("a backslash in it", "hub\\elsewhere", &[Refused]),
        named("angle brackets in it", "<hub>", &[Refused]),
        named("quotes in it", "\"hub\"", &[Refused]),
        named("an octet beyond ASCII", "h\u{fc}b", &[Refused]),
        host("a NUL in it", "Host: h\0b\r\n", &[Refused]),
        host("a bare CR in it", "Host: h\rb\r\n", &[Refused]),
        whole(
            "none in HTTP/1.1, and no fields at all",
            "GET /healthz HTTP/1.1\r\n\r\n",
            &[Refused],
        ),
        whole(
            "another one than an absolute target's, which holds",
            "POST http://hub/v1/events HTTP/1.1\r\nHost: elsewhere\r\n{auth}Content-Length: {len}\r\n\r\n{event}",
            &[Refused, Taken],
        ),
        whole(
            "none beside an absolute target",
            "POST http://hub/v1/events HTTP/1.1\r\n{auth}Content-Length: {len}\r\n\r\n{event}",
            &[Refused],
        ),
        whole(
            "two in HTTP/1.0",
            "POST /v1/events HTTP/1.0\r\nHost: a\r\nHost: b\r\n{auth}Content-Length: {len}\r\n\r\n{event}",
            &[Refused],
        ),
    ]
}
