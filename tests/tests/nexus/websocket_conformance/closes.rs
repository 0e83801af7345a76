//! Closes: their codes and reasons, and what comes behind them.

use nexus_tests::ws::{self, FIN, op};

use super::End::{Close, CloseOf, CloseOfNothing};
use super::{Case, case, echo, echoed, publishing};

pub(super) fn cases() -> Vec<Case> {
    let close = |payload: &[u8]| ws::frame(FIN | op::CLOSE, payload);
    let broken = Close(&[1002]);
    let reason = "r".repeat(123);
    let normal = Close(&[1000]);
    let bye = ws::close(1000, "bye");
    let mut cases = vec![
        case("a close of nothing", close(b""), &[], CloseOfNothing),
        case("a close of one octet", close(&[3]), &[], broken),
        case("a close with a code", close(&[3, 0xe8]), &[], normal),
        case(
            "a close with a reason",
            ws::close(1000, "so long"),
            &[],
            normal,
        ),
        case(
            "a close with the longest reason",
            ws::close(1000, &reason),
            &[],
            normal,
        ),
        case(
            "a close with a reason that is too long",
            ws::close(1000, "r".repeat(124)),
            &[],
            broken,
        ),
        case(
            "a close with a reason beyond ASCII",
            ws::close(1000, "\u{3ba}\u{1f44b}"),
            &[],
            normal,
        ),
        case(
            "a close with a reason that is no UTF-8",
            ws::close(1000, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xed\xa0\x80"),
            &[],
            Close(&[1007]),
        ),
        case(
            "a close with a reason of half a letter",
            ws::close(1000, b"\xce"),
            &[],
            Close(&[1007]),
        ),
        case(
            "a close that does not end",
            ws::frame(op::CLOSE, [3, 0xe8]),
            &[],
            broken,
        ),
        case(
            "a close octet by octet",
            ws::close(1000, "so long"),
            &[],
            normal,
        )
        .by_octets(),
        case(
            "two closes",
            [bye.clone(), bye.clone()].concat(),
            &[],
            normal,
        ),
        case(
            "a ping behind a close",
            [bye.clone(), ws::frame(FIN | op::PING, "x")].concat(),
            &[],
            normal,
        ),
        case(
            "a text behind a close",
            [bye.clone(), echo("x")].concat(),
            &[],
            normal,
        ),
        case(
            "an event behind a close",
            [bye.clone(), publishing()].concat(),
            &[],
            normal,
        ),
        case(
            "garbage behind a close",
            [bye.clone(), vec![0xff; 50]].concat(),
            &[],
            normal,
        ),
        case(
            "much behind a close",
            [bye.clone(), ws::frame(FIN | op::TEXT, vec![b'x'; 200_000])].concat(),
            &[],
            normal,
        ),
        case(
            "a text before a close",
            [echo("x"), bye].concat(),
            &[echoed("x")],
            normal,
        )
        .or_silent(),
    ];
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000,
        4999,
    ] {
        // A close is answered with its own code.
        let case = case(
            &format!("a close with {code}"),
            ws::close(code, ""),
            &[],
            CloseOf(code),
        );
        cases.push(match code {
            1014 => case.gap(
                broken,
                "tungstenite does not know 1014, which was registered later, and answers 1002",
            ),
            _ => case,
        });
    }
    for code in [
        0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
    ] {
        cases.push(case(
            &format!("a close with {code}, which none may have"),
            ws::close(code, ""),
            &[],
            broken,
        ));
    }
    cases
}
