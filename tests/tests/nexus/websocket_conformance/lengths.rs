//! Frames: how their length is written, their bits, types and masks.

use nexus_tests::ws::{self, FIN, Length, MASK, framed, op};

use super::End::{Close, Open};
use super::{Case, Said, case, echo, echoed, echoing, publishing};

const BROKEN: &[u16] = &[1002];

/// A text of that many octets, and what the hub says to it.
fn sized(octets: usize) -> (String, Vec<Said>) {
    let shortest = echoing("").len();
    match octets.checked_sub(shortest) {
        None => ("x".repeat(octets), vec![Said::Rejected]),
        Some(rest) => {
            let text = "x".repeat(rest);
            (echoing(&text), vec![Said::Echo(text)])
        }
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = texts();
    cases.extend(forms());
    cases.extend(bits());
    cases.extend(types());
    cases.extend(masks());
    cases
}

fn texts() -> Vec<Case> {
    let mut cases = Vec::new();
    for octets in [
        0, 1, 124, 125, 126, 127, 128, 65_534, 65_535, 65_536, 65_537, 200_000,
    ] {
        let (text, said) = sized(octets);
        let frame = ws::frame(FIN | op::TEXT, text);
        cases.push(case(
            &format!("a text of {octets} octets"),
            frame.clone(),
            &said,
            Open,
        ));
        if octets <= 128 {
            let name = format!("a text of {octets} octets, octet by octet");
            cases.push(case(&name, frame, &said, Open).by_octets());
        }
    }
    for size in [997, 1024, 4096, 65_535] {
        let (text, said) = sized(65_536);
        let name = format!("a text of 65,536 octets, {size} at a time");
        cases.push(case(&name, ws::frame(FIN | op::TEXT, text), &said, Open).by(size));
    }
    for octets in [0, 1, 125, 126, 127, 128, 65_535, 65_536] {
        let frame = ws::frame(FIN | op::BINARY, vec![0xfe; octets]);
        cases.push(case(
            &format!("octets that are no text: {octets}"),
            frame,
            &[],
            Close(&[1003]),
        ));
    }
    cases.push(case("an event", publishing(), &[Said::Accepted], Open));
    let two = [publishing(), publishing()].concat();
    cases.push(case(
        "two events at once",
        two,
        &[Said::Accepted, Said::Accepted],
        Open,
    ));
    cases.push(case(
        "a text that is no JSON",
        ws::frame(FIN | op::TEXT, "hello"),
        &[Said::Rejected],
        Open,
    ));
    cases.push(case(
        "a text behind one that is no JSON",
        [ws::frame(FIN | op::TEXT, "{"), echo("x")].concat(),
        &[Said::Rejected, echoed("x")],
        Open,
    ));
    cases
}

fn forms() -> Vec<Case> {
    let longer = "tungstenite reads a length that is written longer than it need be; what it says is not in doubt";
    let odd = |name: &str, octets: usize, form| {
        let (text, said) = sized(octets);
        let frame = framed(FIN | op::TEXT, form, Some(MASK), text);
        Case {
            said,
            ..case(name, frame, &[], Close(BROKEN)).gap(Open, longer)
        }
    };
    let first = FIN | op::TEXT;
    let announced = |name: &str, length| {
        let head = ws::head(first, Length::Eight, length, Some(MASK));
        case(name, head, &[], Close(&[1002, 1009]))
    };
    vec![
        odd("100 octets, written in two", 100, Length::Two),
        odd("125 octets, written in two", 125, Length::Two),
        odd("100 octets, written in eight", 100, Length::Eight),
        odd("126 octets, written in eight", 126, Length::Eight),
        odd("65,535 octets, written in eight", 65_535, Length::Eight),
        case(
            "nothing, written in two",
            framed(first, Length::Two, Some(MASK), ""),
            &[Said::Rejected],
            Close(BROKEN),
        )
        .gap(Open, longer),
        case(
            "nothing, written in eight",
            framed(first, Length::Eight, Some(MASK), ""),
            &[Said::Rejected],
            Close(BROKEN),
        )
        .gap(Open, longer),
        announced("a length with the highest bit", 1 << 63),
        announced("a length of all bits", u64::MAX),
        announced("a length of 63 bits", u64::MAX >> 1),
        announced("a length of 2^32 and a few", (1 << 32) + 5),
    ]
}

fn bits() -> Vec<Case> {
    let mut cases = Vec::new();
    for bits in 1..8_u8 {
        let of = |kind: u8| FIN | bits << 4 | kind;
        for (name, kind) in [
            ("a text", op::TEXT),
            ("a ping", op::PING),
            ("a close", op::CLOSE),
        ] {
            let frame = ws::frame(
                of(kind),
                if kind == op::CLOSE {
                    &[3, 0xe8][..]
                } else {
                    b"x"
                },
            );
            let name = format!("{name} with the reserved bits {bits:03b}");
            cases.push(case(&name, frame, &[], Close(BROKEN)));
        }
    }
    let behind = [echo("good"), ws::frame(FIN | 0x40 | op::TEXT, "x")].concat();
    cases.push(case(
        "a reserved bit behind a good frame",
        behind,
        &[echoed("good")],
        Close(BROKEN),
    ));
    let octets = case(
        "a reserved bit, octet by octet",
        ws::frame(FIN | 0x10 | op::TEXT, "x"),
        &[],
        Close(BROKEN),
    );
    cases.push(octets.by_octets());
    cases
}

fn types() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in (3..=7).chain(11..=15) {
        for (name, payload) in [("of nothing", ""), ("of something", "hello")] {
            let frame = ws::frame(FIN | kind, payload);
            let name = format!("a frame {name} of the type {kind}, which has no meaning");
            cases.push(case(&name, frame, &[], Close(BROKEN)));
        }
    }
    for kind in [3, 11] {
        let frames = [echo("good"), ws::frame(FIN | kind, "x"), echo("bad")].concat();
        let name = format!("a frame of the type {kind} between good ones");
        cases.push(case(&name, frames, &[echoed("good")], Close(BROKEN)));
    }
    cases
}

fn masks() -> Vec<Case> {
    let with = |name: &str, mask| {
        let frame = framed(FIN | op::TEXT, Length::Short, Some(mask), echoing("x"));
        case(name, frame, &[echoed("x")], Open)
    };
    let bare = |name: &str, kind: u8, payload: &[u8]| {
        let frame = framed(FIN | kind, Length::of(payload.len()), None, payload);
        case(name, frame, &[], Close(BROKEN))
    };
    vec![
        with("a mask of zeros", [0; 4]),
        with("a mask of ones", [0xff; 4]),
        with("a mask that changes one octet of four", [0, 0, 0, 1]),
        bare("a text without a mask", op::TEXT, echoing("x").as_bytes()),
        bare("a long text without a mask", op::TEXT, &[b'x'; 70_000]),
        bare("octets without a mask", op::BINARY, b"x"),
        bare("a ping without a mask", op::PING, b"x"),
        bare("a pong without a mask", op::PONG, b""),
        bare("a close without a mask", op::CLOSE, &[3, 0xe8]),
        bare("a continuation without a mask", op::CONTINUATION, b"x"),
    ]
}
