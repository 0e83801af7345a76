//! Ends of lines, folded lines, blanks around colons, and empty lines before a request.

use super::Way::{Both, Cut, Declined, Refused, Said, Taken};
use super::{Allowed, Case, post, whole, with};

/// A request whose lines end like this, and a second one behind it.
fn ended(name: &str, end: &str, allowed: Allowed) -> Case {
    let lines = [
        "POST /v1/events HTTP/1.1",
        "Host: hub",
        "{auth}Content-Length: {len}",
        "",
        "{event}",
    ];
    whole(name, lines.join(end), allowed)
}

/// A request behind these octets.
fn behind(name: &str, octets: &str, allowed: Allowed) -> Case {
    let request =
        "POST /v1/events HTTP/1.1\r\nHost: hub\r\n{auth}Content-Length: {len}\r\n\r\n{event}";
    whole(name, format!("{octets}{request}"), allowed)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = ends();
    cases.extend(folds());
    cases.extend(blanks());
    cases
}

fn ends() -> Vec<Case> {
    vec![
        ended("CR LF", "\r\n", &[Taken]),
        // A single LF may be taken for the end of a line.
        ended("LF alone", "\n", &[Refused, Taken]),
        ended("CR alone", "\r", &[Cut]),
        ended("CR CR LF", "\r\r\n", &[Cut]),
        ended("LF CR", "\n\r", &[Refused]),
        ended("vertical tabs", "\u{b}", &[Cut]),
        ended("form feeds", "\u{c}", &[Cut]),
        ended("a next line of Unicode", "\u{85}", &[Cut]),
        ended("a line separator of Unicode", "\u{2028}", &[Cut]),
        with(
            "a bare LF behind a field",
            "X-One: 1\nX-Two: 2\r\n",
            &[Refused, Taken],
        ),
        with("a bare CR in a value", "X-One: 1\rX-Two: 2\r\n", &[Refused]),
        with(
            "a bare CR at the end of a value",
            "X-One: 1\r\r\n",
            &[Refused],
        ),
        with("a bare CR before a value", "X-One: \r1\r\n", &[Refused]),
        with("a bare CR in a name", "X-O\rne: 1\r\n", &[Refused]),
        with("a bare LF in a name", "X-O\nne: 1\r\n", &[Refused]),
        with(
            "a field behind a bare CR",
            "X-One: 1\rTransfer-Encoding: chunked\r\n",
            &[Refused],
        ),
        post(
            "an end of the head of two LF",
            "Content-Length: {len}\r\nX-One: 1\n\n{event}",
            "",
            &[Refused, Taken, Declined, Cut],
        ),
        whole(
            "a bare CR behind the version",
            "POST /v1/events HTTP/1.1\rHost: hub\r\n{auth}Content-Length: {len}\r\n\r\n{event}",
            &[Refused],
        ),
        whole(
            "a bare LF behind the version",
            "POST /v1/events HTTP/1.1\nHost: hub\r\n{auth}Content-Length: {len}\r\n\r\n{event}",
            &[Refused, Taken],
        ),
        behind("an empty line before", "\r\n", &[Taken]),
        behind("two empty lines before", "\r\n\r\n", &[Refused, Taken]),
        behind("an empty line of LF before", "\n", &[Refused, Taken]),
        behind("a CR before", "\r", &[Refused]),
        behind("a blank before", " ", &[Refused]),
        behind("a tab before", "\t", &[Refused]),
        behind("a blank line before", " \r\n", &[Refused]),
        behind("a NUL before", "\0", &[Refused]),
        behind("a mark of byte order before", "\u{feff}", &[Refused]),
        whole("empty lines and nothing else", "\r\n".repeat(50), &[Cut]),
        whole(
            "a thousand empty lines before",
            format!(
                "{}GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n",
                "\r\n".repeat(1000)
            ),
            &[Said(200)],
        ),
        whole(
            "an empty line between two requests",
            "POST /v1/events HTTP/1.1\r\nHost: hub\r\n{auth}Content-Length: {len}\r\n\r\n{event}\r\n{second}",
            &[Both],
        ),
    ]
}

fn folds() -> Vec<Case> {
    vec![
        with("a folded value", "X-One: 1\r\n 2\r\n", &[Refused]),
        with("a value folded by a tab", "X-One: 1\r\n\t2\r\n", &[Refused]),
        with(
            "a value folded at its start",
            "X-One:\r\n 1\r\n",
            &[Refused],
        ),
        with("a value folded to nothing", "X-One: 1\r\n \r\n", &[Refused]),
        with("a folded bare LF", "X-One: 1\n 2\r\n", &[Refused]),
        with(
            "a folded coding",
            "X-One: 1\r\n Transfer-Encoding: chunked\r\n",
            &[Refused],
        ),
        whole(
            "a folded line before the first field",
            "POST /v1/events HTTP/1.1\r\n Host: hub\r\n{auth}Content-Length: {len}\r\n\r\n{event}",
            &[Refused],
        ),
        whole(
            "a blank line before the first field",
            "POST /v1/events HTTP/1.1\r\n \r\nHost: hub\r\n{auth}Content-Length: {len}\r\n\r\n{event}",
            &[Refused],
        ),
        whole(
            "a folded request line",
            "POST\r\n /v1/events HTTP/1.1\r\nHost: hub\r\n{auth}Content-Length: {len}\r\n\r\n{event}",
            &[Refused],
        ),
        post(
            "a folded length",
            "Content-Length:\r\n {len}\r\n",
            "{event}",
            &[Refused],
        ),
        post(
            "a length folded in two",
            "Content-Length: 1\r\n 00\r\n",
            "{event}",
            &[Refused],
        ),
    ]
}

fn blanks() -> Vec<Case> {
    vec![
        with("no blank behind the colon", "X-One:1\r\n", &[Taken]),
        with("blanks around a value", "X-One: \t 1 \t \r\n", &[Taken]),
        with("an empty value", "X-One:\r\n", &[Taken]),
        with("a blank value", "X-One: \t \r\n", &[Taken]),
        with("a blank before the colon", "X-One : 1\r\n", &[Refused]),
        with("a tab before the colon", "X-One\t: 1\r\n", &[Refused]),
        with("a blank in a name", "X One: 1\r\n", &[Refused]),
        post(
            "a blank before the colon of the length",
            "Content-Length : {len}\r\n",
            "{event}",
            &[Refused],
        ),
        post(
            "a tab before the colon of the coding",
            "Transfer-Encoding\t: chunked\r\n",
            "0\r\n\r\n",
            &[Refused],
        ),
        whole(
            "a blank before the colon of the host",
            "POST /v1/events HTTP/1.1\r\nHost : hub\r\n{auth}Content-Length: {len}\r\n\r\n{event}",
            &[Refused],
        ),
    ]
}
