//! Each type of frame by itself: where it may not be, and values that it may not have.

use nexus_tests::h2::{self, Frame, code, flag, frame, kind};

use super::Way::{Alive, Closed, Goaway, Reset, Status};
use super::{Allowed, Case, Step, all, case, data, event, get, head, headers, open, publishing};

const PROTOCOL: Allowed = &[Goaway(code::PROTOCOL), Closed];
const FLOW: Allowed = &[Goaway(code::FLOW_CONTROL), Closed];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = data_frames();
    cases.extend(header_frames());
    cases.extend(resets());
    cases.extend(settings());
    cases.extend(pings());
    cases.extend(goaways());
    cases.extend(continuations());
    cases
}

/// A payload with padding of that length, whatever is left of it.
fn padded(length: u8, payload: &[u8], padding: &[u8]) -> Vec<u8> {
    [&[length], payload, padding].concat()
}

fn data_frames() -> Vec<Case> {
    let last = flag::PADDED | flag::END_STREAM;
    vec![
        case("DATA of the connection", 0, data(0, 0, "x"), PROTOCOL),
        case(
            "DATA of the connection, within a request",
            0,
            all(&[open(1), data(0, 0, "x")]),
            PROTOCOL,
        ),
        case(
            "DATA with padding",
            1,
            all(&[open(1), data(1, last, padded(5, &event(), &[0; 5]))]),
            &[Status(202)],
        ),
        case(
            "DATA with no octet of padding",
            1,
            all(&[open(1), data(1, last, padded(0, &event(), b""))]),
            &[Status(202)],
        ),
        case(
            "DATA with 255 octets of padding",
            1,
            all(&[open(1), data(1, last, padded(255, &event(), &[0; 255]))]),
            &[Status(202)],
        ),
        case(
            "DATA with padding and nothing else",
            1,
            all(&[
                open(1),
                data(1, flag::PADDED, padded(5, b"", &[0; 5])),
                data(1, flag::END_STREAM, event()),
            ]),
            &[Status(202)],
        ),
        case(
            "DATA with padding that is not zero",
            1,
            all(&[open(1), data(1, last, padded(5, &event(), b"xxxxx"))]),
            &[Status(202), Goaway(code::PROTOCOL)],
        ),
        case(
            "DATA with as much padding as there is",
            0,
            all(&[open(1), data(1, last, padded(6, b"", &[0; 5]))]),
            PROTOCOL,
        ),
        case(
            "DATA with more padding than there is",
            0,
            all(&[open(1), data(1, last, padded(200, &event(), b""))]),
            PROTOCOL,
        ),
        case(
            "DATA in many frames",
            1,
            {
                let octets: Vec<u8> = event()
                    .iter()
                    .flat_map(|octet| data(1, 0, [*octet]))
                    .collect();
                all(&[open(1), octets, data(1, flag::END_STREAM, "")])
            },
            &[Status(202)],
        )
        .taken(),
    ]
}

fn header_frames() -> Vec<Case> {
    let block = head("GET", "/healthz");
    let flags = flag::END_STREAM | flag::PADDED;
    let priority = [&[5, 0, 0, 0, 0, 16][..], &block, &[0; 5]].concat();
    let push = |stream| {
        frame(
            kind::PUSH_PROMISE,
            flag::END_HEADERS,
            stream,
            [&[0, 0, 0, 2][..], &block].concat(),
        )
    };
    vec![
        case(
            "HEADERS with padding",
            1,
            headers(1, flags, padded(5, &block, &[0; 5])),
            &[Status(200)],
        ),
        case(
            "HEADERS with padding and a priority",
            1,
            headers(1, flags | flag::PRIORITY, priority),
            &[Status(200)],
        ),
        case(
            "HEADERS with as much padding as there is",
            0,
            headers(1, flags, padded(6, b"", &[0; 5])),
            PROTOCOL,
        ),
        case(
            "HEADERS with more padding than there is",
            0,
            headers(1, flags, padded(250, &block, b"")),
            PROTOCOL,
        ),
        case("PUSH_PROMISE from a client", 0, push(1), PROTOCOL),
        case(
            "PUSH_PROMISE from a client, within a request",
            0,
            all(&[open(1), push(1)]),
            PROTOCOL,
        ),
        case("PUSH_PROMISE of the connection", 0, push(0), PROTOCOL),
    ]
}

fn resets() -> Vec<Case> {
    let reset = |stream, code: u32| frame(kind::RST_STREAM, 0, stream, code.to_be_bytes());
    vec![
        case(
            "RST_STREAM of the connection",
            0,
            reset(0, code::CANCEL),
            PROTOCOL,
        ),
        case(
            "RST_STREAM within a request",
            0,
            all(&[open(1), data(1, 0, event()), reset(1, code::CANCEL)]),
            &[Alive],
        ),
        case(
            "RST_STREAM with a code nobody knows",
            3,
            all(&[open(1), reset(1, 0xdead_beef), get(3)]),
            &[Status(200)],
        ),
        case(
            "RST_STREAM with flags",
            3,
            all(&[
                open(1),
                frame(kind::RST_STREAM, 0xff, 1, [0, 0, 0, 8]),
                get(3),
            ]),
            &[Status(200)],
        ),
    ]
}

fn settings() -> Vec<Case> {
    let set =
        |name: &str, values: &[(u16, u32)], allowed| case(name, 0, h2::settings(values), allowed);
    let well = |name: &str, values: &[(u16, u32)]| {
        let more = all(&[h2::settings(values), get(1)]);
        case(name, 1, more, &[Status(200)]).then(Step::Acknowledged(2))
    };
    vec![
        well("SETTINGS of nothing", &[]),
        well("SETTINGS: a table of headers of 4 GiB", &[(1, u32::MAX)]),
        well("SETTINGS: no push", &[(2, 0)]),
        well("SETTINGS: no streams", &[(3, 0)]),
        well("SETTINGS: the largest window", &[(4, 0x7fff_ffff)]),
        well("SETTINGS: the smallest frames", &[(5, 16_384)]),
        well("SETTINGS: the largest frames", &[(5, 16_777_215)]),
        well("SETTINGS: no header list", &[(6, u32::MAX)]),
        well("SETTINGS: one that nobody knows", &[(0xfade, 7)]),
        well("SETTINGS: one without a number", &[(0, 7)]),
        well("SETTINGS: the same one twice", &[(4, 1), (4, 65_535)]),
        set("SETTINGS: push of 2", &[(2, 2)], PROTOCOL),
        set("SETTINGS: a window of 2^31", &[(4, 0x8000_0000)], FLOW),
        set("SETTINGS: a window of 2^32 - 1", &[(4, u32::MAX)], FLOW),
        set(
            "SETTINGS: frames of 16,383 octets",
            &[(5, 16_383)],
            PROTOCOL,
        ),
        set("SETTINGS: frames of no octet", &[(5, 0)], PROTOCOL),
        set(
            "SETTINGS: frames of 2^24 octets",
            &[(5, 16_777_216)],
            PROTOCOL,
        ),
        set("SETTINGS: CONNECT of 2", &[(8, 2)], PROTOCOL),
        set(
            "SETTINGS: a good one, then a bad one",
            &[(3, 5), (5, 0)],
            PROTOCOL,
        ),
        case(
            "SETTINGS of a stream",
            0,
            frame(kind::SETTINGS, 0, 1, ""),
            PROTOCOL,
        ),
        case(
            "SETTINGS of a stream that is open",
            0,
            all(&[open(1), frame(kind::SETTINGS, 0, 1, "")]),
            PROTOCOL,
        ),
        case(
            "an acknowledgement with something in it",
            0,
            frame(kind::SETTINGS, flag::ACK, 0, [0, 3, 0, 0, 0, 1]),
            &[Goaway(code::FRAME_SIZE), Closed],
        ),
        case(
            "an acknowledgement of a stream",
            0,
            frame(kind::SETTINGS, flag::ACK, 1, ""),
            PROTOCOL,
        ),
        case(
            "acknowledgements of nothing",
            0,
            frame(kind::SETTINGS, flag::ACK, 0, "").repeat(3),
            &[Alive, Goaway(code::PROTOCOL), Closed],
        ),
        case(
            "SETTINGS three times, each acknowledged",
            0,
            h2::settings(&[(3, 9)]).repeat(3),
            &[Alive],
        )
        .then(Step::Acknowledged(4)),
    ]
}

fn pings() -> Vec<Case> {
    let ping = |flags, stream| {
        frame(
            kind::PING,
            flags,
            stream,
            b"\x01\x02\x03\x04\x05\x06\x07\x08",
        )
    };
    fn is_answered(frames: &[Frame]) -> bool {
        let ours =
            |frame: &&Frame| frame.kind == kind::PING && frame.payload == [1, 2, 3, 4, 5, 6, 7, 8];
        frames.iter().filter(ours).all(|frame| frame.has(flag::ACK))
            && frames.iter().filter(ours).count() == 1
    }
    fn is_not_answered(frames: &[Frame]) -> bool {
        !frames
            .iter()
            .any(|frame| frame.payload == [1, 2, 3, 4, 5, 6, 7, 8])
    }
    vec![
        case("PING is answered as it came", 0, ping(0, 0), &[Alive]).check(is_answered),
        case(
            "an answer to no PING is not answered",
            0,
            ping(flag::ACK, 0),
            &[Alive],
        )
        .check(is_not_answered),
        case("PING of a stream", 0, ping(0, 1), PROTOCOL),
        case(
            "PING of a stream that is open",
            0,
            all(&[open(1), ping(0, 1)]),
            PROTOCOL,
        ),
        case(
            "PING within a request",
            1,
            all(&[open(1), ping(0, 0), data(1, flag::END_STREAM, event())]),
            &[Status(202)],
        )
        .check(is_answered),
    ]
}

fn goaways() -> Vec<Case> {
    let goaway = |stream, code: u32, rest: &[u8]| {
        frame(
            kind::GOAWAY,
            0,
            stream,
            [&[0; 4], &code.to_be_bytes()[..], rest].concat(),
        )
    };
    let end: Allowed = &[Alive, Closed];
    vec![
        case("GOAWAY", 0, goaway(0, 0, b""), end),
        case(
            "GOAWAY with a code nobody knows",
            0,
            goaway(0, 0xbeef, b""),
            end,
        ),
        case(
            "GOAWAY with something to read",
            0,
            goaway(0, 0, b"so long"),
            end,
        ),
        case("GOAWAY of a stream", 0, goaway(1, 0, b""), PROTOCOL),
        case(
            "GOAWAY behind a request, which is answered",
            1,
            all(&[get(1), goaway(0, 0, b"")]),
            &[Status(200)],
        ),
    ]
}

fn continuations() -> Vec<Case> {
    let block = head("GET", "/healthz");
    let (first, second) = block.split_at(block.len() / 2);
    let begin = |flags| frame(kind::HEADERS, flags, 1, first);
    let open_begin = begin(flag::END_STREAM);
    let go_on = |flags, stream, part: &[u8]| frame(kind::CONTINUATION, flags, stream, part);
    let end = |stream| go_on(flag::END_HEADERS, stream, second);
    let between = |name: &str, other: Vec<u8>| {
        let frames = all(&[open_begin.clone(), other, end(1)]);
        case(
            &format!("a header block with {name} in it"),
            0,
            frames,
            PROTOCOL,
        )
    };
    let few: Vec<u8> = second.chunks(8).flat_map(|few| go_on(0, 1, few)).collect();
    vec![
        case(
            "a header block in two frames",
            1,
            all(&[open_begin.clone(), end(1)]),
            &[Status(200)],
        ),
        case(
            "a header block in several frames",
            1,
            all(&[open_begin.clone(), few, go_on(flag::END_HEADERS, 1, b"")]),
            &[Status(200)],
        ),
        case(
            "a header block that begins with nothing",
            1,
            all(&[
                frame(kind::HEADERS, flag::END_STREAM, 1, ""),
                go_on(flag::END_HEADERS, 1, &block),
            ]),
            &[Status(200)],
        ),
        case(
            "a header block of an event in two frames",
            1,
            {
                let block = publishing("");
                let (first, second) = block.split_at(20);
                all(&[
                    frame(kind::HEADERS, 0, 1, first),
                    go_on(flag::END_HEADERS, 1, second),
                    data(1, flag::END_STREAM, event()),
                ])
            },
            &[Status(202)],
        ),
        between("DATA", data(1, 0, "x")),
        between("HEADERS", get(3)),
        between("PRIORITY", frame(kind::PRIORITY, 0, 1, [0; 5])),
        between("RST_STREAM", frame(kind::RST_STREAM, 0, 1, [0; 4])),
        between("SETTINGS", h2::settings(&[])),
        between("PING", frame(kind::PING, 0, 0, [0; 8])),
        between(
            "WINDOW_UPDATE",
            frame(kind::WINDOW_UPDATE, 0, 0, [0, 0, 0, 1]),
        ),
        between("GOAWAY", frame(kind::GOAWAY, 0, 0, [0; 8])),
        between("a type nobody knows", frame(0x16, 0, 1, "x")),
        between("CONTINUATION of another stream", go_on(0, 3, b"")),
        between("CONTINUATION of the connection", go_on(0, 0, b"")),
        case("CONTINUATION behind nothing", 0, end(1), PROTOCOL),
        case(
            "CONTINUATION behind a whole header block",
            0,
            all(&[open(1), end(1)]),
            PROTOCOL,
        ),
        case(
            "CONTINUATION behind DATA",
            0,
            all(&[open(1), data(1, 0, "x"), end(1)]),
            PROTOCOL,
        ),
        case(
            "CONTINUATION behind a CONTINUATION that ended",
            0,
            all(&[open_begin, end(1), end(1)]),
            PROTOCOL,
        ),
        case(
            "a header block that never ends",
            1,
            begin(flag::END_STREAM),
            &[Goaway(code::PROTOCOL), Reset(code::PROTOCOL), Closed],
        ),
    ]
}
