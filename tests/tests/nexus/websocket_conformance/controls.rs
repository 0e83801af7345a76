//! Pings and pongs.

use nexus_tests::ws::{self, FIN, op};

use super::End::{Close, Open};
use super::{Case, Said, case, echo, echoed};

fn ping(payload: impl AsRef<[u8]>) -> Vec<u8> {
    ws::frame(FIN | op::PING, payload)
}

fn pong(payload: impl AsRef<[u8]>) -> Vec<u8> {
    ws::frame(FIN | op::PONG, payload)
}

fn ponged(payload: impl AsRef<[u8]>) -> Said {
    Said::Pong(payload.as_ref().to_vec())
}

pub(super) fn cases() -> Vec<Case> {
    let broken = Close(&[1002]);
    let mut cases = vec![
        case(
            "a ping of octets that are no text",
            ping(b"\0\xff\xfe\x80"),
            &[ponged(b"\0\xff\xfe\x80")],
            Open,
        ),
        case("a ping of 126 octets", ping([0xfe; 126]), &[], broken),
        case(
            "a ping of 70,000 octets",
            ping(vec![0xfe; 70_000]),
            &[],
            broken,
        ),
        case(
            "a ping of 125 octets, octet by octet",
            ping([0xfe; 125]),
            &[ponged([0xfe; 125])],
            Open,
        )
        .by_octets(),
        case(
            "a ping that does not end",
            ws::frame(op::PING, "x"),
            &[],
            broken,
        ),
        case("a pong that nobody asked for", pong(""), &[], Open),
        case(
            "a pong with something that nobody asked for",
            pong("hello"),
            &[],
            Open,
        ),
        case(
            "a pong that nobody asked for, then a ping",
            [pong("no"), ping("yes")].concat(),
            &[ponged("yes")],
            Open,
        ),
        case("a pong of 125 octets", pong([0; 125]), &[], Open),
        case("a pong of 126 octets", pong([0; 126]), &[], broken),
        case(
            "a pong that does not end",
            ws::frame(op::PONG, "x"),
            &[],
            broken,
        ),
        case(
            "a ping between two texts",
            [echo("a"), ping("p"), echo("b")].concat(),
            &[echoed("a"), ponged("p"), echoed("b")],
            Open,
        ),
        case("ten pongs", pong("x").repeat(10), &[], Open),
    ];
    for octets in [0, 1, 2, 3, 4, 7, 8, 63, 64, 100, 123, 124, 125] {
        let payload = vec![b'p'; octets];
        let name = format!("a ping of {octets} octets");
        cases.push(case(&name, ping(&payload), &[ponged(payload)], Open));
    }
    cases
}
