//! Messages in several frames.

use nexus_tests::ws::{self, FIN, op};

use super::End::{self, Close, Open};
use super::{Case, Said, case, echo, echoed, echoing};

const BROKEN: End = Close(&[1002]);

fn begin(payload: impl AsRef<[u8]>) -> Vec<u8> {
    ws::frame(op::TEXT, payload)
}

fn go_on(payload: impl AsRef<[u8]>) -> Vec<u8> {
    ws::frame(op::CONTINUATION, payload)
}

fn end(payload: impl AsRef<[u8]>) -> Vec<u8> {
    ws::frame(FIN | op::CONTINUATION, payload)
}

/// The text `x` for the hub to send back, in three parts.
fn parts() -> [String; 3] {
    let text = echoing("x");
    let (one, rest) = text.split_at(5);
    let (two, three) = rest.split_at(5);
    [one, two, three].map(str::to_owned)
}

/// A text in frames of so many octets.
fn cut(text: &str, size: usize) -> Vec<u8> {
    let mut parts: Vec<_> = text.as_bytes().chunks(size).collect();
    let last = parts.pop().unwrap_or_default();
    let mut frames = Vec::new();
    for (n, part) in parts.iter().enumerate() {
        frames.extend(if n == 0 { begin(part) } else { go_on(part) });
    }
    frames.extend(if parts.is_empty() {
        ws::frame(FIN | op::TEXT, last)
    } else {
        end(last)
    });
    frames
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = proper();
    cases.extend(improper());
    cases
}

fn proper() -> Vec<Case> {
    let [one, two, three] = parts();
    let ping = ws::frame(FIN | op::PING, "p");
    let pong = ws::frame(FIN | op::PONG, "p");
    let ponged = Said::Pong(b"p".to_vec());
    let x = echoed("x");
    let only = [x.clone()];
    let with = |name: &str, other: &[u8], said: &[Said]| {
        let frames = [&begin(&one), other, &go_on(&two), other, &end(&three)].concat();
        case(name, frames, said, Open)
    };
    let long = "y".repeat(60_000);
    let whole = echoing("x");
    let mut cases = vec![
        case(
            "three frames",
            [begin(&one), go_on(&two), end(&three)].concat(),
            &only,
            Open,
        ),
        case(
            "three frames, octet by octet",
            [begin(&one), go_on(&two), end(&three)].concat(),
            &only,
            Open,
        )
        .by_octets(),
        case(
            "an end of nothing",
            [begin(&whole), end("")].concat(),
            &only,
            Open,
        ),
        case(
            "a start of nothing",
            [begin(""), end(&whole)].concat(),
            &only,
            Open,
        ),
        case(
            "nothing in the middle",
            [begin(&one), go_on(""), go_on(&two), go_on(""), end(&three)].concat(),
            &only,
            Open,
        ),
        case(
            "three frames of nothing",
            [begin(""), go_on(""), end("")].concat(),
            &[Said::Rejected],
            Open,
        ),
        with(
            "a ping between",
            &ping,
            &[ponged.clone(), ponged.clone(), x.clone()],
        ),
        with("a pong between", &pong, &only),
        case(
            "ten pings between",
            [
                begin(&one),
                ping.repeat(10),
                end([two.as_str(), three.as_str()].concat()),
            ]
            .concat(),
            &[vec![ponged.clone(); 10], vec![x.clone()]].concat(),
            Open,
        ),
        case(
            "a message behind a message in frames",
            [begin(&one), go_on(&two), end(&three), echo("y")].concat(),
            &[x.clone(), echoed("y")],
            Open,
        ),
        case(
            "two messages in frames",
            [begin(&one), go_on(&two), end(&three)].concat().repeat(2),
            &[x.clone(), x],
            Open,
        ),
        case(
            "a binary message in frames",
            [ws::frame(op::BINARY, "a"), end("b")].concat(),
            &[],
            Close(&[1003]),
        ),
    ];
    for size in [1, 2, 7, 64, 125, 126, 1000, 4096, 59_000] {
        let name = format!("60,000 octets in frames of {size}");
        cases.push(case(
            &name,
            cut(&echoing(&long), size),
            &[echoed(&long)],
            Open,
        ));
    }
    cases
}

fn improper() -> Vec<Case> {
    let [one, two, three] = parts();
    let whole = echoing("x");
    let x = [echoed("x")];
    vec![
        case("a continuation of nothing", end(&whole), &[], BROKEN),
        case(
            "a continuation of nothing that does not end",
            go_on(&whole),
            &[],
            BROKEN,
        ),
        case(
            "a continuation behind a whole message",
            [echo("x"), end("y")].concat(),
            &x,
            BROKEN,
        ),
        case(
            "a continuation behind a message in frames",
            [begin(&one), go_on(&two), end(&three), end("y")].concat(),
            &x,
            BROKEN,
        ),
        case(
            "a continuation that does not end, then a message",
            [go_on("a"), echo("y")].concat(),
            &[],
            BROKEN,
        ),
        case(
            "a text within a message",
            [begin(&one), echo("y")].concat(),
            &[],
            BROKEN,
        ),
        case(
            "a text that does not end within a message",
            [begin(&one), begin(&two), end(&three)].concat(),
            &[],
            BROKEN,
        ),
        case(
            "octets within a message",
            [begin(&one), ws::frame(FIN | op::BINARY, "y")].concat(),
            &[],
            BROKEN,
        ),
        case(
            "octets that begin within a message",
            [begin(&one), ws::frame(op::BINARY, "y"), end(&three)].concat(),
            &[],
            BROKEN,
        ),
        case(
            "a ping in two frames",
            [ws::frame(op::PING, "a"), end("b")].concat(),
            &[],
            BROKEN,
        ),
        case(
            "a close in two frames",
            [ws::frame(op::CLOSE, [3]), end([0xe8])].concat(),
            &[],
            BROKEN,
        ),
        case(
            "a type without a meaning within a message",
            [begin(&one), ws::frame(FIN | 3, "y")].concat(),
            &[],
            BROKEN,
        ),
        case(
            "a reserved bit in a continuation",
            [begin(&one), ws::frame(FIN | 0x40, "y")].concat(),
            &[],
            BROKEN,
        ),
        case(
            "a continuation within a ping's place",
            [
                begin(&one),
                ws::frame(FIN | op::PING, ""),
                go_on(&two),
                ws::frame(op::TEXT, &three),
            ]
            .concat(),
            &[Said::Pong(Vec::new())],
            BROKEN,
        ),
        case(
            "a close within a message",
            [begin(&one), ws::close(1000, "")].concat(),
            &[],
            Close(&[1000]),
        ),
    ]
}
