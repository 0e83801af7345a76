//! Fields: octets of names and values, and fields that come twice.

use super::Way::{Refused, Said, Taken};
use super::{Allowed, Case, post, with};

fn named(name: &str, field: &str, allowed: Allowed) -> Case {
    with(name, format!("{field}: 1\r\n"), allowed)
}

fn valued(name: &str, value: impl AsRef<[u8]>, allowed: Allowed) -> Case {
    with(
        name,
        [b"X-One: ", value.as_ref(), b"\r\n"].concat(),
        allowed,
    )
}

/// A request whose body says that it is encoded like this.
fn encoded(name: &str, field: &str, allowed: Allowed) -> Case {
    with(name, format!("{field}\r\n"), allowed)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = names();
    cases.extend(values());
    cases.extend(encodings());
    cases.extend(twice());
    cases
}

fn names() -> Vec<Case> {
    vec![
        named("a name of all marks", "!#$%&'*+-.^_`|~09azAZ", &[Taken]),
        named("a name of digits", "12345", &[Taken]),
        named("an empty name", "", &[Refused]),
        named("a name with a NUL", "X\0One", &[Refused]),
        named("a name with a control octet", "X\u{1}One", &[Refused]),
        named("a name with DEL", "X\u{7f}One", &[Refused]),
        named("a name beyond ASCII", "X-\u{d6}ne", &[Refused]),
        named("a name with a slash", "X/One", &[Refused]),
        named("a name with an at", "X@One", &[Refused]),
        named("a name with a bracket", "X[One]", &[Refused]),
        named("a name with a parenthesis", "X(One)", &[Refused]),
        named("a name with a comma", "X,One", &[Refused]),
        named("a name with a semicolon", "X;One", &[Refused]),
        named("a name with quotes", "\"X\"", &[Refused]),
        named("a name with a backslash", "X\\One", &[Refused]),
        named("a name with an equals sign", "X=One", &[Refused]),
        named("a name with braces", "X{One}", &[Refused]),
        with("a line without a colon", "X-One\r\n", &[Refused]),
        with("a line of a colon", ":\r\n", &[Refused]),
        with(
            "a pseudo field of HTTP/2",
            ":path: /v1/other\r\n",
            &[Refused],
        ),
        named("a name of 1,000 letters", &"x".repeat(1000), &[Taken]),
    ]
}

fn values() -> Vec<Case> {
    let mut cases = vec![
        valued("a value of all that is visible", visible(), &[Taken]),
        valued("a value with a tab", "1\t2", &[Taken]),
        valued("a value of UTF-8", "\u{f6}\u{4e2d}\u{1f600}", &[Taken]),
        valued("a value of octets beyond ASCII", b"\x80\xff\xfe", &[Taken]),
        valued(
            "a value that looks like a request",
            "GET / HTTP/1.1",
            &[Taken],
        ),
        valued("a value of 30,000 octets", "x".repeat(30_000), &[Taken]),
    ];
    for octet in (0..32)
        .chain([127])
        .filter(|octet| !b"\t\n\r".contains(octet))
    {
        let value = [b"a", &[octet][..], b"b"].concat();
        cases.push(valued(
            &format!("a value with {octet:#04x}"),
            value,
            &[Refused],
        ));
    }
    cases
}

fn visible() -> Vec<u8> {
    (b' '..=b'~').collect()
}

fn encodings() -> Vec<Case> {
    vec![
        encoded("identity", "Content-Encoding: identity", &[Taken]),
        encoded("no encoding", "Content-Encoding:", &[Taken]),
        encoded("gzip that is none", "Content-Encoding: gzip", &[Said(400)]),
        encoded(
            "deflate that is none",
            "Content-Encoding: deflate",
            &[Said(400)],
        ),
        encoded(
            "one that nobody knows",
            "Content-Encoding: cow",
            &[Said(415)],
        ),
        encoded("br", "Content-Encoding: br", &[Said(415)]),
        encoded("two at once", "Content-Encoding: gzip, gzip", &[Said(415)]),
        encoded(
            "two in two lines",
            "Content-Encoding: gzip\r\nContent-Encoding: deflate",
            &[Said(415)],
        ),
        encoded(
            "gzip with a parameter",
            "Content-Encoding: gzip;q=1",
            &[Said(415)],
        ),
        encoded(
            "an octet beyond ASCII",
            "Content-Encoding: \u{e9}",
            &[Said(415)],
        ),
        encoded("another type", "Content-Type: text/plain", &[Said(415)]),
        encoded("an empty type", "Content-Type:", &[Said(415)]),
        encoded(
            "a form",
            "Content-Type: application/x-www-form-urlencoded",
            &[Said(415)],
        ),
    ]
}

fn twice() -> Vec<Case> {
    vec![
        with("two keys", "{auth}", &[Said(401)]),
        with(
            "a key in another case",
            "aUTHORIZATION: Bearer wrong\r\n",
            &[Said(401)],
        ),
        with(
            "two types, one of them wrong",
            "Content-Type: application/json\r\nContent-Type: text/plain\r\n",
            &[Said(415)],
        ),
        with(
            "a field three times",
            "X-One: 1\r\nX-One: 2\r\nx-one: 3\r\n",
            &[Taken],
        ),
        with(
            "fields of somebody on the way",
            "X-Forwarded-For: 1.2.3.4\r\nX-Original-URL: /v1/admin/queue\r\nX-HTTP-Method-Override: GET\r\n",
            &[Taken],
        ),
        with("a cookie", "Cookie: a=b\r\n", &[Taken]),
        with("a range", "Range: bytes=0-1\r\n", &[Taken]),
        post(
            "a length in trailers' announcement",
            "Content-Length: {len}\r\nTrailer: Content-Length\r\n",
            "{event}",
            &[Taken],
        ),
        with("an early request", "Early-Data: 1\r\n", &[Refused, Taken]),
    ]
}
