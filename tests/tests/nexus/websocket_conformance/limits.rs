//! What a frame and a message may weigh: `limits.max_body`, 256 KiB here, and 4 KiB.

use nexus_tests::ws::{self, FIN, Length, MASK, op};

use super::End::{Close, Open};
use super::{Case, Said, case};

const MOST: usize = 260 * 1024;

pub(super) fn cases() -> Vec<Case> {
    let text = |octets: usize| ws::frame(FIN | op::TEXT, vec![b' '; octets]);
    let rejected = [Said::Rejected];
    let large = Close(&[1009]);
    let parts = |count: usize, octets: usize| -> Vec<u8> {
        let part = |n| {
            let kind = if n == 0 { op::TEXT } else { op::CONTINUATION };
            let last = if n + 1 == count { FIN } else { 0 };
            ws::frame(last | kind, vec![b' '; octets])
        };
        (0..count).flat_map(part).collect()
    };
    vec![
        case("a frame as large as it may be", text(MOST), &rejected, Open),
        case(
            "a frame that is larger by an octet",
            text(MOST + 1),
            &[],
            large,
        ),
        case("a frame of 1 MiB", text(1 << 20), &[], large),
        case(
            "a frame that says it is larger, and no more",
            ws::head(FIN | op::TEXT, Length::Eight, MOST as u64 + 1, Some(MASK)),
            &[],
            large,
        ),
        case(
            "a frame that says it has 1 GiB",
            ws::head(FIN | op::TEXT, Length::Eight, 1 << 30, Some(MASK)),
            &[],
            large,
        ),
        case(
            "a binary frame that is too large",
            ws::frame(FIN | op::BINARY, vec![0; MOST + 1]),
            &[],
            large,
        ),
        case(
            "a message in frames as large as it may be",
            parts(26, 10 * 1024),
            &rejected,
            Open,
        ),
        case(
            "a message in frames that is larger",
            parts(27, 10 * 1024),
            &[],
            large,
        ),
        case(
            "a message in frames that never ends",
            parts(28, 10 * 1024)
                .into_iter()
                .take(27 * 10_248)
                .collect::<Vec<_>>(),
            &[],
            large,
        ),
        case(
            "a message in 26,000 frames",
            parts(26_000, 10),
            &rejected,
            Open,
        ),
        case("a message in 27,000 frames", parts(27_000, 10), &[], large),
        case(
            "a message in 50,000 frames of nothing",
            parts(50_000, 0),
            &rejected,
            Open,
        ),
    ]
}
