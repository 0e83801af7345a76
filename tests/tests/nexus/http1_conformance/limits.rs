//! How many fields there may be and what a head may weigh, on both sides of each limit.

use super::Way::{Closed, Cut, Refused, Taken};
use super::{Allowed, Case, post, whole, with};

/// So many fields, with those that every case has: host, key and length.
fn fields(name: &str, count: usize, allowed: Allowed) -> Case {
    let lines: String = (3..count).map(|n| format!("X-{n}: 1\r\n")).collect();
    with(name, lines, allowed)
}

pub(super) fn cases() -> Vec<Case> {
    let heavy = |bytes: usize| format!("X-Heavy: {}\r\n", "x".repeat(bytes));
    vec![
        fields("a hundred fields", 100, &[Taken]),
        fields("a hundred and one fields", 101, &[Refused]),
        fields("a thousand fields", 1000, &[Refused]),
        fields("ten thousand fields", 10_000, &[Refused]),
        with("a head of 48 KiB", heavy(48 * 1024), &[Taken]),
        with("a head of 80 KiB", heavy(80 * 1024), &[Refused]),
        with("a head of 1 MiB", heavy(1024 * 1024), &[Refused]),
        with(
            "a name of 80 KiB",
            format!("{}: 1\r\n", "x".repeat(80 * 1024)),
            &[Refused],
        ),
        whole(
            "a head of 1 MiB that never ends",
            format!(
                "GET / HTTP/1.1\r\nHost: hub\r\n{}",
                heavy(1024 * 1024).trim_end()
            ),
            &[Refused],
        ),
        whole(
            "a request line of 1 MiB that never ends",
            format!("GET /{}", "x".repeat(1024 * 1024)),
            &[Refused],
        ),
        whole(
            "a head that never ends",
            "POST /v1/events HTTP/1.1\r\nHost: hub\r\n{auth}",
            &[Cut],
        ),
        post(
            "a length over the limit, with nothing behind",
            "Content-Length: 2000000\r\n",
            "",
            &[Closed(413)],
        ),
        post(
            "a chunk over the limit",
            "Transfer-Encoding: chunked\r\n",
            format!("200000\r\n{}", " ".repeat(0x20_0000)),
            &[Closed(413)],
        ),
        post(
            "chunks over the limit together",
            "Transfer-Encoding: chunked\r\n",
            format!("8000\r\n{}\r\n", " ".repeat(0x8000)).repeat(64),
            &[Closed(413)],
        ),
    ]
}
