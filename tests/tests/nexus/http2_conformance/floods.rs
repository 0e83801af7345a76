//! Much of what is allowed once: it is borne, or ended, but never costs the hub more than the client.

use nexus_tests::h2::{self, code, flag, frame, kind};

use super::Way::{Alive, Closed, Goaway, Reset, Status};
use super::{Allowed, Case, all, case, data, event, get, head, headers, open};

const BORNE: Allowed = &[Alive, Goaway(code::CALM), Goaway(code::PROTOCOL), Closed];

fn requests(count: u32, request: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    (0..count).flat_map(|n| request(2 * n + 1)).collect()
}

pub(super) fn cases() -> Vec<Case> {
    let reset = |stream| frame(kind::RST_STREAM, 0, stream, code::CANCEL.to_be_bytes());
    let fields = |count: usize, bytes: usize| -> Vec<u8> {
        let field = |n| h2::field(format!("x-{n}"), "y".repeat(bytes));
        (0..count).flat_map(field).collect()
    };
    let heavy = |rest: Vec<u8>| {
        let block = [head("GET", "/healthz"), rest].concat();
        let mut parts = block.chunks(16_000);
        let first = parts.next().unwrap_or_default();
        let mut frames = frame(kind::HEADERS, flag::END_STREAM, 1, first);
        for part in parts {
            frames.extend(frame(kind::CONTINUATION, 0, 1, part));
        }
        frames.extend(frame(kind::CONTINUATION, flag::END_HEADERS, 1, ""));
        frames
    };
    // Each field of a few octets refers to one of 4,000.
    let bomb = [
        h2::remembered("x-bomb", "y".repeat(4000)),
        vec![0xbe; 15_000],
    ]
    .concat();
    let too_heavy: Allowed = &[
        Status(431),
        Status(400),
        Goaway(code::CALM),
        Goaway(code::PROTOCOL),
        Goaway(code::COMPRESSION),
        Reset(code::PROTOCOL),
        Closed,
    ];
    vec![
        case(
            "a thousand PINGs",
            0,
            frame(kind::PING, 0, 0, [7; 8]).repeat(1000),
            BORNE,
        ),
        case(
            "a thousand SETTINGS",
            0,
            h2::settings(&[(3, 9)]).repeat(1000),
            BORNE,
        ),
        case(
            "a thousand PRIORITYs",
            0,
            requests(1000, |stream| {
                frame(kind::PRIORITY, 0, stream, [0, 0, 0, 0, 1])
            }),
            BORNE,
        ),
        case(
            "a thousand updates of the window",
            0,
            frame(kind::WINDOW_UPDATE, 0, 0, [0, 0, 0, 1]).repeat(1000),
            BORNE,
        ),
        case(
            "a thousand frames that nobody knows",
            0,
            frame(0x99, 0, 0, "x").repeat(1000),
            BORNE,
        ),
        case(
            "a thousand DATA of nothing",
            0,
            all(&[
                open(1),
                data(1, 0, "").repeat(1000),
                data(1, flag::END_STREAM, event()),
            ]),
            BORNE,
        )
        .taken(),
        case(
            "a thousand requests that are taken back",
            0,
            requests(1000, |stream| all(&[get(stream), reset(stream)])),
            &[Goaway(code::CALM), Closed],
        ),
        case(
            "a thousand requests that are malformed",
            0,
            requests(1000, |stream| {
                headers(stream, flag::END_STREAM, h2::block(&[("x", "y")]))
            }),
            &[Goaway(code::CALM), Closed],
        ),
        case(
            "a thousand windows that grow by nothing",
            0,
            requests(1000, |stream| {
                all(&[open(stream), frame(kind::WINDOW_UPDATE, 0, stream, [0; 4])])
            }),
            &[Goaway(code::CALM), Goaway(code::PROTOCOL), Closed],
        ),
        case(
            "a thousand CONTINUATIONs of nothing",
            1,
            all(&[
                frame(kind::HEADERS, flag::END_STREAM, 1, head("GET", "/healthz")),
                frame(kind::CONTINUATION, 0, 1, "").repeat(1000),
            ]),
            &[Goaway(code::CALM), Goaway(code::PROTOCOL), Closed],
        ),
        case(
            "CONTINUATIONs of 1 MiB",
            1,
            heavy(fields(64, 16_000)),
            too_heavy,
        ),
        case("fields of 40 KiB", 1, heavy(fields(40, 1000)), too_heavy),
        case(
            "fields of 20 KiB",
            1,
            heavy(fields(20, 1000)),
            &[Status(200)],
        ),
        case(
            "ten thousand fields",
            1,
            heavy(fields(10_000, 1)),
            too_heavy,
        ),
        case("fields of 60 MB in 20 KiB", 1, heavy(bomb), too_heavy),
        case(
            "a hundred requests that wait",
            0,
            requests(100, open),
            BORNE,
        ),
    ]
}
