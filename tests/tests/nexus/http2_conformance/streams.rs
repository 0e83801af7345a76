//! Streams: what may come in which of their states, their numbers, how many there may be, and priorities.

use nexus_tests::h2::{code, flag, frame, kind};

use super::Way::{Alive, Closed, Goaway, Reset, Status};
use super::{Allowed, Case, Step, all, case, data, event, get, head, headers, open, post};

const PROTOCOL: Allowed = &[Goaway(code::PROTOCOL), Closed];

/// What comes on a stream that was closed, or half of it.
const CLOSED: Allowed = &[
    Goaway(code::STREAM_CLOSED),
    Reset(code::STREAM_CLOSED),
    Goaway(code::PROTOCOL),
    Closed,
];

fn update(stream: u32) -> Vec<u8> {
    frame(kind::WINDOW_UPDATE, 0, stream, 100_u32.to_be_bytes())
}

fn reset(stream: u32) -> Vec<u8> {
    frame(kind::RST_STREAM, 0, stream, code::CANCEL.to_be_bytes())
}

fn priority(stream: u32, on: u32) -> Vec<u8> {
    frame(
        kind::PRIORITY,
        0,
        stream,
        [&on.to_be_bytes()[..], &[16]].concat(),
    )
}

fn continuation(stream: u32) -> Vec<u8> {
    frame(kind::CONTINUATION, flag::END_HEADERS, stream, "")
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = idle();
    cases.extend(half_closed());
    cases.extend(reset_by_the_client());
    cases.extend(ended());
    cases.extend(numbers());
    cases.extend(priorities());
    cases
}

fn idle() -> Vec<Case> {
    vec![
        case(
            "idle: DATA",
            1,
            data(1, flag::END_STREAM, event()),
            PROTOCOL,
        ),
        case("idle: RST_STREAM", 1, reset(1), PROTOCOL),
        case("idle: WINDOW_UPDATE", 1, update(1), PROTOCOL),
        case("idle: CONTINUATION", 1, continuation(1), PROTOCOL),
        case("idle: PRIORITY", 0, priority(1, 0), &[Alive]),
        case(
            "idle: a stream of the server's: DATA",
            2,
            data(2, 0, "x"),
            PROTOCOL,
        ),
        case(
            "idle: a stream of the server's: RST_STREAM",
            2,
            reset(2),
            PROTOCOL,
        ),
        case(
            "idle: a stream of the server's: WINDOW_UPDATE",
            2,
            update(2),
            PROTOCOL,
        ),
    ]
}

/// The client has ended its side; the hub is about to answer.
fn half_closed() -> Vec<Case> {
    let after = |name: &str, rest: Vec<u8>, allowed| {
        case(
            &format!("half closed: {name}"),
            1,
            all(&[get(1), rest]),
            allowed,
        )
    };
    // The answer may be on its way before the frame is read.
    let closed: Allowed = &[
        Goaway(code::STREAM_CLOSED),
        Reset(code::STREAM_CLOSED),
        Goaway(code::PROTOCOL),
        Closed,
    ];
    vec![
        after("DATA", data(1, flag::END_STREAM, "x"), closed),
        after("HEADERS", get(1), closed),
        after("CONTINUATION", continuation(1), PROTOCOL),
        after("WINDOW_UPDATE", update(1), &[Status(200)]),
        after("PRIORITY", priority(1, 0), &[Status(200)]),
        after("RST_STREAM", reset(1), &[Alive, Status(200)]).about(0),
        after("trailers", headers(1, flag::END_STREAM, ""), closed),
    ]
}

fn reset_by_the_client() -> Vec<Case> {
    let after = |name: &str, rest: Vec<u8>, allowed| {
        let frames = all(&[open(1), reset(1), rest]);
        case(&format!("reset: {name}"), 0, frames, allowed)
    };
    // RFC 9113 5.1: they may be passed over too, for a time.
    vec![
        after("DATA", data(1, flag::END_STREAM, event()), CLOSED),
        after(
            "HEADERS",
            headers(1, flag::END_STREAM, head("GET", "/healthz")),
            CLOSED,
        ),
        after("CONTINUATION", continuation(1), PROTOCOL),
        after("WINDOW_UPDATE", update(1), &[Alive]),
        after("PRIORITY", priority(1, 0), &[Alive]),
        after(
            "RST_STREAM",
            reset(1),
            &[Alive, Goaway(code::STREAM_CLOSED)],
        ),
        after("another stream", get(3), &[Status(200)]).about(3),
    ]
}

fn ended() -> Vec<Case> {
    let after = |name: &str, rest: Vec<u8>, allowed| {
        let case = case(&format!("ended: {name}"), 0, get(1), allowed);
        case.then(Step::Ended(1)).send(rest)
    };
    vec![
        after("DATA", data(1, flag::END_STREAM, "x"), CLOSED),
        after("HEADERS", get(1), CLOSED),
        after("CONTINUATION", continuation(1), PROTOCOL),
        after("WINDOW_UPDATE", update(1), &[Alive]),
        after("PRIORITY", priority(1, 0), &[Alive]),
        after("RST_STREAM", reset(1), &[Alive]),
        after("another stream", get(3), &[Status(200)]).about(3),
    ]
}

fn numbers() -> Vec<Case> {
    let many: Vec<u8> = (0..101).flat_map(|n| open(2 * n + 1)).collect();
    let within: Vec<u8> = (0..100).flat_map(|n| get(2 * n + 1)).collect();
    vec![
        case("HEADERS of the connection", 0, get(0), PROTOCOL),
        case("an even number", 2, get(2), PROTOCOL),
        case(
            "a lower number than the last",
            0,
            all(&[get(5), get(3)]),
            &[Goaway(code::PROTOCOL), Goaway(code::STREAM_CLOSED), Closed],
        ),
        case(
            "the same number again",
            0,
            all(&[get(5), get(7), get(5)]),
            CLOSED,
        ),
        case(
            "numbers with gaps",
            1001,
            all(&[get(1), get(101), get(1001)]),
            &[Status(200)],
        ),
        case(
            "the highest number",
            0x7fff_ffff,
            get(0x7fff_ffff),
            &[Status(200)],
        ),
        case("a hundred streams at once", 199, within, &[Status(200)]),
        case(
            "one stream more than there may be",
            201,
            many,
            &[
                Reset(code::REFUSED_STREAM),
                Reset(code::PROTOCOL),
                Goaway(code::PROTOCOL),
            ],
        ),
        case(
            "two requests, interleaved",
            1,
            all(&[open(1), get(3), data(1, flag::END_STREAM, event())]),
            &[Status(202)],
        ),
    ]
}

fn priorities() -> Vec<Case> {
    let with = |on: u32| {
        let block = [&on.to_be_bytes()[..], &[16], &head("GET", "/healthz")].concat();
        frame(
            kind::HEADERS,
            flag::PRIORITY | flag::END_HEADERS | flag::END_STREAM,
            1,
            block,
        )
    };
    // RFC 9113 5.3 has done away with them; RFC 7540 5.3.1 had them refused.
    let itself: Allowed = &[
        Goaway(code::PROTOCOL),
        Reset(code::PROTOCOL),
        Alive,
        Status(200),
        Closed,
    ];
    vec![
        case("HEADERS with a priority", 1, with(0), &[Status(200)]),
        case(
            "HEADERS that depend on a stream that is idle",
            1,
            with(99),
            &[Status(200)],
        ),
        case(
            "HEADERS that exclude others",
            1,
            with(0x8000_0000),
            &[Status(200)],
        ),
        case("HEADERS that depend on themselves", 1, with(1), itself),
        case("PRIORITY that depends on itself", 0, priority(1, 1), itself),
        case("PRIORITY of the connection", 0, priority(0, 1), PROTOCOL),
        case(
            "a new kind of priority",
            0,
            frame(0x10, 0, 0, b"\0\0\0\x01u=3"),
            &[Alive],
        ),
        case(
            "a request behind priorities",
            1,
            all(&[priority(1, 3), priority(3, 0), get(1)]),
            &[Status(200)],
        ),
        case(
            "an event behind a priority",
            1,
            all(&[priority(5, 0), post(1, "")]),
            &[Status(202)],
        ),
    ]
}
