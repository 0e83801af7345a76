//! Flow control: what the hub may send, and changes of the windows.

use nexus_tests::h2::{self, Frame, PREFACE, code, flag, frame, kind};

use super::Way::{Alive, Closed, Goaway, Reset, Status};
use super::{Allowed, Case, Step, all, case, data, data_of, event, get, head, headers, open, raw};

const FLOW: Allowed = &[Goaway(code::FLOW_CONTROL), Closed];

fn update(stream: u32, by: u32) -> Vec<u8> {
    frame(kind::WINDOW_UPDATE, 0, stream, by.to_be_bytes())
}

/// A connection whose streams begin with this window.
fn begin(window: u32) -> Vec<u8> {
    [PREFACE, &h2::settings(&[(1, 0), (4, window)])].concat()
}

/// A request that is answered with more than a window holds.
fn ask(stream: u32) -> Vec<u8> {
    headers(stream, flag::END_STREAM, head("GET", "/openapi.json"))
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = updates();
    cases.extend(small());
    cases
}

fn updates() -> Vec<Case> {
    let most = 0x7fff_ffff;
    let of_stream: Allowed = &[Reset(code::PROTOCOL), Goaway(code::PROTOCOL), Closed];
    let over: Allowed = &[
        Reset(code::FLOW_CONTROL),
        Goaway(code::FLOW_CONTROL),
        Closed,
    ];
    vec![
        case(
            "the connection's window grows",
            1,
            all(&[update(0, 1), get(1)]),
            &[Status(200)],
        ),
        case(
            "a stream's window grows",
            1,
            all(&[open(1), update(1, 1), data(1, flag::END_STREAM, event())]),
            &[Status(202)],
        ),
        case(
            "the connection's window grows by nothing",
            0,
            update(0, 0),
            &[Goaway(code::PROTOCOL), Closed],
        ),
        case(
            "a stream's window grows by nothing",
            1,
            all(&[open(1), update(1, 0)]),
            of_stream,
        ),
        case(
            "the connection's window grows to the most",
            1,
            all(&[update(0, most - 65_535), get(1)]),
            &[Status(200)],
        ),
        case(
            "the connection's window grows over the most",
            0,
            all(&[update(0, most - 65_535), update(0, 1)]),
            FLOW,
        ),
        case(
            "the connection's window grows by the most",
            0,
            update(0, most),
            FLOW,
        ),
        case(
            "a stream's window grows over the most",
            1,
            all(&[open(1), update(1, most - 65_535), update(1, 1)]),
            over,
        ),
        case(
            "a stream's window grows by the most",
            1,
            all(&[open(1), update(1, most)]),
            over,
        ),
        case(
            "a reserved bit in a window's growth",
            1,
            all(&[update(0, 0x8000_0001), get(1)]),
            &[Status(200)],
        ),
        case(
            "all windows grow over the most",
            0,
            all(&[
                open(1),
                update(1, most - 65_535),
                h2::settings(&[(4, 65_536)]),
            ]),
            FLOW,
        ),
        case(
            "a hundred updates",
            1,
            all(&[update(0, 1).repeat(100), get(1)]),
            &[Status(200)],
        ),
    ]
}

fn small() -> Vec<Case> {
    fn nothing(frames: &[Frame]) -> bool {
        data_of(frames, 1) == 0
    }
    fn one(frames: &[Frame]) -> bool {
        data_of(frames, 1) == 1
    }
    fn ten(frames: &[Frame]) -> bool {
        data_of(frames, 1) == 10
    }
    fn of_connection(frames: &[Frame]) -> bool {
        data_of(frames, 1) + data_of(frames, 3) == 65_535
    }
    fn framed(frames: &[Frame]) -> bool {
        frames.iter().all(|frame| frame.payload.len() <= 16_384)
    }
    let window =
        |name: &str, size, rest: Vec<u8>| raw(name, 0, [begin(size), rest].concat(), &[Alive]);
    let large = |name: &str, stream| raw(name, stream, [begin(1 << 20), ask(1)].concat(), &[Alive]);
    let (acknowledged, settings) = (Step::Acknowledged(2), |size| h2::settings(&[(4, size)]));
    vec![
        window("a window of nothing", 0, get(1)).check(nothing),
        window("a window of one octet", 1, get(1))
            .then(Step::Data(1, 1))
            .check(one),
        window(
            "a window that grows by ten",
            0,
            all(&[get(1), update(1, 10)]),
        )
        .then(Step::Data(1, 10))
        .check(ten),
        window("a window that grows twice", 1, get(1))
            .then(Step::Data(1, 1))
            .send(update(1, 9))
            .then(Step::Data(1, 10))
            .check(ten),
        window("a window that SETTINGS make larger", 0, get(1))
            .then(Step::Acknowledged(1))
            .send(settings(10))
            .then(Step::Data(1, 10))
            .check(ten),
        window("a window that SETTINGS make negative", 1, get(1))
            .then(Step::Data(1, 1))
            .send(all(&[settings(0), update(1, 1)]))
            .then(acknowledged)
            .check(one),
        window("a window that comes back from below", 5, ask(1))
            .then(Step::Data(1, 5))
            .send(all(&[settings(0), update(1, 10)]))
            .then(Step::Data(1, 10))
            .check(ten),
        raw(
            "a window that opens at last",
            1,
            [begin(0), get(1)].concat(),
            &[Status(200)],
        )
        .then(Step::Acknowledged(1))
        .send(update(1, 1000))
        .then(Step::Ended(1)),
        large("the window of the connection is for all streams", 0)
            .send(ask(3))
            .then(Step::Acknowledged(1))
            .then(Step::Connection(65_535))
            .check(of_connection),
        raw(
            "no frame is longer than the client takes",
            1,
            [begin(1 << 20), update(0, 1 << 24), ask(1)].concat(),
            &[Status(200)],
        )
        .check(framed),
        raw(
            "a stream waits, another one does not",
            3,
            [begin(0), get(1), update(3, 1 << 16)].concat(),
            &[Goaway(code::PROTOCOL), Closed],
        ),
        raw(
            "a stream waits, and another one is answered",
            3,
            [begin(0), get(1), get(3), update(3, 1 << 16)].concat(),
            &[Status(200)],
        ),
        raw(
            "a stream that waits is taken back",
            3,
            [
                begin(0),
                get(1),
                frame(kind::RST_STREAM, 0, 1, [0, 0, 0, 8]),
                get(3),
                update(3, 1 << 16),
            ]
            .concat(),
            &[Status(200)],
        ),
    ]
}
