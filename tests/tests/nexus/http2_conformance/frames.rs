//! How a connection begins, and frames as such: their lengths, types and flags.

use nexus_tests::h2::{self, PREFACE, code, flag, frame, kind};

use super::Way::{Alive, Closed, Goaway, Reset, Status};
use super::{
    Allowed, Case, Step, all, case, data, event, get, headers, open, post, publishing, raw,
};

/// What a frame whose length is wrong may come to, when it is about the whole connection.
const SIZE: Allowed = &[Goaway(code::FRAME_SIZE), Closed];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = start();
    cases.extend(formats());
    cases.extend(sizes());
    cases
}

fn start() -> Vec<Case> {
    let settings = h2::settings(&[(1, 0)]);
    let begin = |rest: &[u8]| [PREFACE, rest].concat();
    let refused: Allowed = &[Goaway(code::PROTOCOL), Closed];
    vec![
        case("a proper start", 0, "", &[Alive]),
        case("a proper start and a request", 1, get(1), &[Status(200)]),
        case(
            "a proper start and an event",
            1,
            post(1, ""),
            &[Status(202)],
        ),
        raw(
            "empty SETTINGS at the start",
            0,
            begin(&h2::settings(&[])),
            &[Alive],
        ),
        raw("a start in two parts", 1, &PREFACE[..10], &[Status(200)])
            .send([&PREFACE[10..], &settings, &get(1)].concat()),
        raw("a start without SETTINGS", 0, PREFACE, refused),
        raw(
            "PING before SETTINGS",
            0,
            begin(&frame(kind::PING, 0, 0, [0; 8])),
            refused,
        ),
        raw("HEADERS before SETTINGS", 0, begin(&get(1)), refused),
        // Not closed without a word: that is how what has said GOAWAY is closed in good order.
        raw(
            "GOAWAY before SETTINGS",
            1,
            begin(&[frame(kind::GOAWAY, 0, 0, [0; 8]), get(1)].concat()),
            &[Goaway(code::PROTOCOL)],
        ),
        raw(
            "WINDOW_UPDATE before SETTINGS",
            0,
            begin(&frame(kind::WINDOW_UPDATE, 0, 0, [0, 0, 0, 1])),
            refused,
        ),
        raw(
            "an acknowledgement before SETTINGS",
            0,
            begin(&frame(kind::SETTINGS, flag::ACK, 0, "")),
            refused,
        ),
        raw(
            "an unknown frame before SETTINGS",
            0,
            begin(&frame(0xbe, 0, 0, "x")),
            refused,
        ),
        raw(
            "SETTINGS of a stream at the start",
            0,
            begin(&frame(kind::SETTINGS, 0, 1, "")),
            refused,
        ),
        raw(
            "a wrong last line",
            0,
            b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_vec(),
            &[Closed],
        ),
        raw(
            "a start in lower case",
            0,
            b"pri * http/2.0\r\n\r\nsm\r\n\r\n".to_vec(),
            &[Closed],
        ),
        raw("SETTINGS without a start", 0, settings.clone(), &[Closed]),
        case(
            "a second start",
            0,
            PREFACE,
            &[Goaway(code::FRAME_SIZE), Goaway(code::PROTOCOL), Closed],
        ),
    ]
}

fn formats() -> Vec<Case> {
    let mut reserved_ping = frame(kind::PING, 0, 0, [1; 8]);
    reserved_ping[5] |= 0x80;
    let mut reserved_headers = get(1);
    reserved_headers[5] |= 0x80;
    vec![
        case(
            "a type nobody knows",
            0,
            frame(0xff, 0xff, 0, "whatever"),
            &[Alive],
        ),
        case(
            "a type nobody knows, on a stream",
            1,
            all(&[frame(0x16, 0xff, 1, "whatever"), get(1)]),
            &[Status(200)],
        ),
        case(
            "a type nobody knows, within a request",
            1,
            all(&[
                open(1),
                frame(0x16, 0, 1, "x"),
                data(1, flag::END_STREAM, event()),
            ]),
            &[Status(202)],
        ),
        case(
            "a hundred types nobody knows",
            0,
            (100..200)
                .flat_map(|kind| frame(kind, 0, 0, ""))
                .collect::<Vec<_>>(),
            &[Alive],
        ),
        case(
            "ALTSVC and ORIGIN, which servers send",
            0,
            all(&[frame(0xa, 0, 0, [0, 0]), frame(0xc, 0, 0, "")]),
            &[Alive],
        ),
        case(
            "flags without a meaning on PING",
            0,
            frame(kind::PING, 0xfe, 0, [2; 8]),
            &[Alive],
        ),
        case(
            "flags without a meaning on HEADERS",
            1,
            frame(
                kind::HEADERS,
                0xc2 | flag::END_HEADERS | flag::END_STREAM,
                1,
                super::head("GET", "/healthz"),
            ),
            &[Status(200)],
        ),
        case(
            "flags without a meaning on DATA",
            1,
            all(&[open(1), data(1, 0xf6 | flag::END_STREAM, event())]),
            &[Status(202)],
        ),
        case(
            "flags without a meaning on SETTINGS",
            0,
            frame(kind::SETTINGS, 0xfe, 0, ""),
            &[Alive],
        )
        .then(Step::Acknowledged(2)),
        case(
            "flags without a meaning on WINDOW_UPDATE",
            0,
            frame(kind::WINDOW_UPDATE, 0xff, 0, [0, 0, 0, 1]),
            &[Alive],
        ),
        case("a reserved bit on PING", 0, reserved_ping, &[Alive]),
        case(
            "a reserved bit on HEADERS",
            1,
            reserved_headers,
            &[Status(200)],
        ),
    ]
}

fn sizes() -> Vec<Case> {
    let of_stream: Allowed = &[Goaway(code::FRAME_SIZE), Reset(code::FRAME_SIZE), Closed];
    let space = |count: usize| " ".repeat(count);
    let heavy = headers(
        1,
        flag::END_STREAM,
        publishing(h2::field("x", "y".repeat(16_384))),
    );
    let mut cases = vec![
        case(
            "DATA as long as it may be",
            1,
            all(&[
                open(1),
                data(1, 0, space(16_384)),
                data(1, flag::END_STREAM, event()),
            ]),
            &[Status(202)],
        ),
        case(
            "DATA longer than it may be",
            1,
            all(&[open(1), data(1, 0, space(16_385))]),
            of_stream,
        ),
        case("HEADERS longer than they may be", 1, heavy, SIZE),
        case(
            "a type nobody knows, longer than it may be",
            0,
            frame(0x16, 0, 0, space(16_385)),
            SIZE,
        ),
        case(
            "SETTINGS longer than they may be",
            0,
            frame(kind::SETTINGS, 0, 0, [0; 16_386]),
            SIZE,
        ),
        case(
            "DATA of nothing",
            1,
            all(&[open(1), data(1, 0, ""), data(1, flag::END_STREAM, event())]),
            &[Status(202)],
        ),
        case(
            "PRIORITY of 4 octets",
            1,
            frame(kind::PRIORITY, 0, 1, [0; 4]),
            of_stream,
        ),
        case(
            "PRIORITY of 6 octets",
            1,
            frame(kind::PRIORITY, 0, 1, [0; 6]),
            of_stream,
        ),
        case(
            "HEADERS with a priority of 4 octets",
            1,
            frame(
                kind::HEADERS,
                flag::PRIORITY | flag::END_HEADERS | flag::END_STREAM,
                1,
                [0; 4],
            ),
            &[Goaway(code::FRAME_SIZE), Goaway(code::PROTOCOL), Closed],
        ),
        case(
            "HEADERS of nothing",
            1,
            headers(1, flag::END_STREAM, ""),
            &[
                Reset(code::PROTOCOL),
                Goaway(code::PROTOCOL),
                Status(400),
                Closed,
            ],
        ),
        case(
            "padding on DATA of nothing",
            1,
            all(&[open(1), data(1, flag::PADDED | flag::END_STREAM, "")]),
            &[Goaway(code::FRAME_SIZE), Goaway(code::PROTOCOL), Closed],
        ),
        case(
            "padding on HEADERS of nothing",
            1,
            headers(1, flag::PADDED | flag::END_STREAM, ""),
            &[Goaway(code::FRAME_SIZE), Goaway(code::PROTOCOL), Closed],
        ),
        case(
            "a frame that is cut off",
            0,
            &get(1)[..20],
            &[
                Closed,
                Goaway(code::PROTOCOL),
                Goaway(code::COMPRESSION),
                Goaway(code::FRAME_SIZE),
            ],
        ),
    ];
    for length in [0, 3, 5] {
        let stream = all(&[open(1), frame(kind::RST_STREAM, 0, 1, vec![0; length])]);
        cases.push(case(
            &format!("RST_STREAM of {length} octets"),
            0,
            stream,
            SIZE,
        ));
        let update = frame(kind::WINDOW_UPDATE, 0, 0, vec![1; length]);
        cases.push(case(
            &format!("WINDOW_UPDATE of {length} octets"),
            0,
            update,
            SIZE,
        ));
    }
    for length in [0, 7, 9] {
        let ping = frame(kind::PING, 0, 0, vec![0; length]);
        cases.push(case(&format!("PING of {length} octets"), 0, ping, SIZE));
    }
    for length in [1, 5, 7] {
        let settings = frame(kind::SETTINGS, 0, 0, vec![0; length]);
        cases.push(case(
            &format!("SETTINGS of {length} octets"),
            0,
            settings,
            SIZE,
        ));
    }
    for length in [0, 4, 7] {
        let goaway = frame(kind::GOAWAY, 0, 0, vec![0; length]);
        let allowed: Allowed = &[Goaway(code::FRAME_SIZE), Goaway(code::PROTOCOL), Closed];
        cases.push(case(
            &format!("GOAWAY of {length} octets"),
            0,
            goaway,
            allowed,
        ));
    }
    cases
}
