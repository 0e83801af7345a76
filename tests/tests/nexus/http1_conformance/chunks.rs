//! Chunks: their sizes, extensions, ends and trailers.

use super::Way::{Answered, Both, Cut, Refused, Taken, TakenAndClosed, Then};
use super::{Allowed, Case, post};

/// A body of chunks, with a second request behind it.
fn chunks(name: &str, body: impl AsRef<[u8]>, allowed: Allowed) -> Case {
    post(name, "Transfer-Encoding: chunked\r\n", body, allowed)
}

/// One chunk with the event, whose size is written in such a way, and a request behind the body.
fn sized(name: &str, size: &str, allowed: Allowed) -> Case {
    let behind = match allowed {
        [Refused] => "{second}",
        _ => "",
    };
    chunks(
        name,
        format!("{size}\r\n{{event}}\r\n0\r\n\r\n{behind}"),
        allowed,
    )
}

/// The event in one chunk, and what comes instead of the last chunk.
fn last(name: &str, last: impl AsRef<[u8]>, allowed: Allowed) -> Case {
    let body = [b"{hex}\r\n{event}\r\n", last.as_ref()].concat();
    chunks(name, body, allowed)
}

/// A trailer field.
fn trailer(name: &str, field: impl AsRef<[u8]>, allowed: Allowed) -> Case {
    let body = [b"0\r\n", field.as_ref(), b"\r\n\r\n"].concat();
    last(name, body, allowed)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = sizes();
    cases.extend(extensions());
    cases.extend(ends());
    cases.extend(trailers());
    cases
}

fn sizes() -> Vec<Case> {
    vec![
        sized("a size", "{hex}", &[Taken]),
        sized("a size with a zero before", "0{hex}", &[Taken]),
        sized(
            "a size with many zeros before",
            "0000000000{hex}",
            &[Refused, Taken],
        ),
        sized(
            "a size with seventeen digits, sixteen of them zeros",
            "0000000000000000{hex}",
            &[Refused, Taken],
        ),
        sized("a negative size", "-{hex}", &[Refused]),
        sized("a size with a plus", "+{hex}", &[Refused]),
        sized("a size with 0x", "0x{hex}", &[Refused]),
        sized("a size with an h", "{hex}h", &[Refused]),
        sized("an empty size", "", &[Refused]),
        sized("a blank size", " ", &[Refused]),
        sized("a size after a blank", " {hex}", &[Refused]),
        sized("a size after a tab", "\t{hex}", &[Refused]),
        sized("a size before a blank", "{hex} ", &[Refused, Taken]),
        sized("a size before a tab", "{hex}\t", &[Refused, Taken]),
        sized("a size with a blank in it", "1 {hex}", &[Refused]),
        sized("a size in quotes", "\"{hex}\"", &[Refused]),
        sized("a size with an underscore", "0_{hex}", &[Refused]),
        sized("a size with a dot", "{hex}.0", &[Refused]),
        sized("a size with a comma", "{hex},0", &[Refused]),
        sized("a size with a NUL", "{hex}\0", &[Refused]),
        sized("a size with letters beyond f", "fg", &[Refused]),
        sized("a size of 64 bits", "ffffffffffffffff", &[Refused]),
        sized("a size beyond 64 bits", "10000000000000000", &[Refused]),
        sized(
            "a size that wraps round to the right one",
            "100000000000000{hex}",
            &[Refused],
        ),
        sized(
            "a size that wraps round in 32 bits",
            "1000000{hex}",
            &[Refused],
        ),
        sized("a size of 63 bits", "7fffffffffffffff", &[Refused]),
        sized("a size that is too small", "5", &[Refused]),
        sized("a size that is too large by one", "7f", &[Cut]),
        chunks(
            "a size in capitals",
            "A\r\n          \r\n{hex}\r\n{event}\r\n0\r\n\r\n",
            &[Taken],
        ),
        chunks(
            "many chunks",
            "1\r\n \r\n2\r\n  \r\n3\r\n   \r\n{hex}\r\n{event}\r\n0\r\n\r\n",
            &[Taken],
        ),
        chunks(
            "a last chunk of several zeros",
            "{hex}\r\n{event}\r\n0000\r\n\r\n",
            &[Taken],
        ),
        chunks("only the last chunk", "0\r\n\r\n", &[Answered(400)]),
        chunks(
            "a request behind",
            "{hex}\r\n{event}\r\n0\r\n\r\n{second}",
            &[Both],
        ),
        chunks(
            "an event and a hidden request in one chunk",
            "{shex}\r\n{second}\r\n0\r\n\r\n",
            &[Answered(400)],
        ),
        chunks(
            "a last chunk before the event",
            "0\r\n\r\n{hex}\r\n{event}\r\n0\r\n\r\n",
            &[Then(400, 400)],
        ),
    ]
}

fn extensions() -> Vec<Case> {
    let octets =
        "hyper passes over every octet of an extension but CR and LF; none of them can end it";
    let long = |bytes| format!("{{hex}};a={}", "x".repeat(bytes));
    vec![
        sized("an extension", "{hex};a", &[Refused, Taken]),
        sized("an extension with a value", "{hex};a=b", &[Refused, Taken]),
        sized(
            "an extension with a value in quotes",
            "{hex};a=\"b;c\"",
            &[Refused, Taken],
        ),
        sized("two extensions", "{hex};a=b;c=d", &[Refused, Taken]),
        sized(
            "an extension after blanks",
            "{hex} ; a = b",
            &[Refused, Taken],
        ),
        sized("an extension without a name", "{hex};", &[Refused, Taken]),
        sized("an extension of 1 KiB", &long(1024), &[Refused, Taken]),
        sized("an extension of 100 KiB", &long(100 * 1024), &[Refused]),
        sized("an extension with a bare LF", "{hex};a\nb", &[Refused]),
        sized("an extension with a bare CR", "{hex};a\rb", &[Refused]),
        sized(
            "an extension with a bare LF and a size",
            "{hex};\n0",
            &[Refused],
        ),
        sized("an extension with a NUL", "{hex};a=\0", &[Refused]).gap(Both, octets),
        sized(
            "an extension with a control octet",
            "{hex};a=\u{1}",
            &[Refused],
        )
        .gap(Both, octets),
        sized("an extension with DEL", "{hex};a=\u{7f}", &[Refused]).gap(Both, octets),
        chunks(
            "extensions on many chunks",
            format!(
                "{}{{hex}}\r\n{{event}}\r\n0\r\n\r\n",
                format!("1;{}\r\n \r\n", "x".repeat(1000)).repeat(40)
            ),
            &[Refused],
        ),
        chunks(
            "an extension of the last chunk",
            "{hex}\r\n{event}\r\n0;a=b\r\n\r\n",
            &[Refused, Taken],
        ),
        chunks(
            "a bare LF in the extension of the last chunk",
            "{hex}\r\n{event}\r\n0;\n\r\n{second}",
            &[Refused],
        ),
    ]
}

fn ends() -> Vec<Case> {
    vec![
        chunks(
            "a bare LF behind the size",
            "{hex}\n{event}\r\n0\r\n\r\n{second}",
            &[Refused],
        ),
        chunks(
            "a bare CR behind the size",
            "{hex}\r{event}\r\n0\r\n\r\n{second}",
            &[Refused],
        ),
        chunks(
            "two CR behind the size",
            "{hex}\r\r\n{event}\r\n0\r\n\r\n{second}",
            &[Refused],
        ),
        chunks(
            "LF CR behind the size",
            "{hex}\n\r{event}\r\n0\r\n\r\n{second}",
            &[Refused],
        ),
        chunks(
            "a bare LF behind the data",
            "{hex}\r\n{event}\n0\r\n\r\n{second}",
            &[Refused],
        ),
        chunks(
            "a bare CR behind the data",
            "{hex}\r\n{event}\r0\r\n\r\n{second}",
            &[Refused],
        ),
        chunks(
            "nothing behind the data",
            "{hex}\r\n{event}0\r\n\r\n{second}",
            &[Refused],
        ),
        chunks(
            "any two octets behind the data",
            "{hex}\r\n{event}xx0\r\n\r\n{second}",
            &[Refused],
        ),
        chunks(
            "an empty line too many behind the data",
            "{hex}\r\n{event}\r\n\r\n0\r\n\r\n{second}",
            &[Refused],
        ),
        last(
            "a bare LF behind the last size",
            "0\n\r\n{second}",
            &[Refused],
        ),
        last(
            "a bare LF at the end",
            "0\r\n\n{second}",
            &[Cut, TakenAndClosed],
        ),
        last("two bare LF at the end", "0\n\n{second}", &[Refused]),
        last("a bare CR at the end", "0\r\n\r{second}", &[Refused]),
        last("a negative last chunk", "-0\r\n\r\n{second}", &[Refused]),
        last("no last chunk", "", &[Cut]),
        last("half a last chunk", "0\r\n", &[Cut]),
        last("no end of the last chunk", "0\r\n\r", &[Cut]),
        chunks("half a size", "{hex}", &[Cut]),
        chunks("half a chunk", "fff\r\n{event}", &[Cut]),
        chunks("nothing at all", "", &[Cut]),
    ]
}

fn trailers() -> Vec<Case> {
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    let heavy = format!("x-heavy: {}", "y".repeat(100 * 1024));
    vec![
        trailer("a trailer", "x-sum: 1", &[TakenAndClosed]),
        trailer("two trailers", "x-sum: 1\r\nx-more: 2", &[TakenAndClosed]),
        trailer(
            "a trailer that says a length",
            "Content-Length: 0",
            &[Refused, TakenAndClosed],
        ),
        trailer(
            "a trailer that says a coding",
            "Transfer-Encoding: chunked",
            &[Refused, TakenAndClosed],
        ),
        trailer(
            "a trailer that says a host",
            "Host: elsewhere",
            &[Refused, TakenAndClosed],
        ),
        trailer(
            "a trailer that says who asks",
            "Authorization: Bearer wrong",
            &[Refused, TakenAndClosed],
        ),
        trailer(
            "a trailer that says an encoding",
            "Content-Encoding: gzip",
            &[Refused, TakenAndClosed],
        ),
        trailer(
            "a trailer that says a type",
            "Content-Type: text/plain",
            &[Refused, TakenAndClosed],
        ),
        trailer(
            "a trailer that says to close",
            "Connection: close",
            &[Refused, TakenAndClosed],
        ),
        trailer(
            "a trailer that says what it is",
            "ce-specversion: 1.0\r\nce-type: a.b",
            &[Refused, TakenAndClosed],
        ),
        trailer("a trailer without a colon", "x-sum", &[Refused]),
        trailer(
            "a trailer with a blank before the colon",
            "x-sum : 1",
            &[Refused],
        ),
        trailer("a trailer without a name", ": 1", &[Refused]),
        trailer("a trailer with a NUL", "x-sum: \0", &[Refused]),
        trailer("a trailer with a bare CR", "x-sum: 1\r2", &[Refused]),
        trailer("a folded trailer", "x-sum: 1\r\n 2", &[Refused]),
        trailer(
            "a trailer that begins with a blank",
            " x-sum: 1",
            &[Refused],
        ),
        trailer("two hundred trailers", many.trim_end(), &[Refused]),
        trailer("a trailer of 100 KiB", heavy, &[Refused]),
        last(
            "a trailer that looks like a request",
            "0\r\nGET / HTTP/1.1\r\n\r\n{second}",
            &[Refused],
        ),
        last(
            "a trailer that ends with a bare LF",
            "0\r\nx-sum: 1\n\r\n",
            &[Refused, TakenAndClosed],
        ),
    ]
}
