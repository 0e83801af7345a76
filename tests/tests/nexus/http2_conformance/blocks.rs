//! Header blocks as HPACK writes them: tables, numbers, texts, and the code of Huffman.

use nexus_tests::h2::{self, code, flag, integer, remembered, text};

use super::Way::{Closed, Goaway, Reset, Status};
use super::{Allowed, Case, all, case, head, headers};

/// A header block that cannot be read: neither can any other behind it.
const UNREADABLE: Allowed = &[Goaway(code::COMPRESSION), Closed];

/// A request with this at the end of its header block.
fn ending(name: &str, rest: impl AsRef<[u8]>, allowed: Allowed) -> Case {
    let block = [head("GET", "/healthz"), rest.as_ref().to_vec()].concat();
    case(name, 1, headers(1, flag::END_STREAM, block), allowed)
}

/// A request with this at the start of its header block.
fn beginning(name: &str, start: impl AsRef<[u8]>, allowed: Allowed) -> Case {
    let block = [start.as_ref().to_vec(), head("GET", "/healthz")].concat();
    case(name, 1, headers(1, flag::END_STREAM, block), allowed)
}

/// Two requests, with this at the end of the first one's header block and that at the second one's.
fn twice(name: &str, one: &[u8], two: &[u8], allowed: Allowed) -> Case {
    resized(name, one, &[], two, allowed)
}

/// The same, with changes of the table's size at the start of the second one's.
fn resized(name: &str, one: &[u8], sizes: &[u8], two: &[u8], allowed: Allowed) -> Case {
    let request = |stream, start: &[u8], rest: &[u8]| {
        let block = [start, &head("GET", "/healthz"), rest].concat();
        headers(stream, flag::END_STREAM, block)
    };
    let frames = all(&[request(1, &[], one), request(3, sizes, two)]);
    case(name, 3, frames, allowed)
}

fn size(most: usize) -> Vec<u8> {
    integer(5, 0x20, most)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = tables();
    cases.extend(sizes());
    cases.extend(numbers());
    cases.extend(huffman());
    cases
}

fn tables() -> Vec<Case> {
    let good: Allowed = &[Status(200)];
    let one = remembered("x-one", "1");
    vec![
        case(
            "all from the static table",
            1,
            headers(
                1,
                flag::END_STREAM,
                [
                    &[0x82, 0x86, 0x44][..],
                    &text("/healthz"),
                    &[0x41],
                    &text("hub"),
                ]
                .concat(),
            ),
            good,
        ),
        case(
            "GET / from the static table",
            1,
            headers(
                1,
                flag::END_STREAM,
                [&[0x82, 0x86, 0x84, 0x41][..], &text("hub")].concat(),
            ),
            &[Status(200)],
        ),
        ending(
            "a name from the static table",
            [&[0x0f, 0x2b][..], &text("somebody")].concat(),
            good,
        ),
        ending(
            "a field never to be remembered",
            [&[0x10][..], &text("x-one"), &text("1")].concat(),
            good,
        ),
        ending("a field to be remembered", &one, good),
        ending(
            "a field that is remembered in the same block",
            [&one[..], &[0xbe]].concat(),
            good,
        ),
        twice(
            "a field that is remembered in the next block",
            &one,
            &[0xbe],
            good,
        ),
        twice(
            "a name that is remembered in the next block",
            &one,
            &[&[0x7e][..], &text("2")].concat(),
            good,
        ),
        twice(
            "a field that has never been remembered",
            &one,
            &[0xbf],
            UNREADABLE,
        ),
        twice(
            "a field that was pushed out",
            &one,
            &[remembered("x-two", "y".repeat(4050)), vec![0xbf]].concat(),
            UNREADABLE,
        ),
        twice(
            "a field that is larger than the table empties it",
            &[one.clone(), remembered("x-two", "y".repeat(5000))].concat(),
            &[0xbe],
            UNREADABLE,
        ),
        ending(
            "a field that is larger than the table",
            remembered("x-two", "y".repeat(5000)),
            good,
        ),
        ending("place 0", [0x80], UNREADABLE),
        ending("place 62 of an empty table", [0xbe], UNREADABLE),
        ending("place 70", [0xc6], UNREADABLE),
        ending("place 1,000", integer(7, 0x80, 1000), UNREADABLE),
        ending(
            "a name from place 62 of an empty table",
            [&[0x7e][..], &text("1")].concat(),
            UNREADABLE,
        ),
        ending(
            "a name never to be remembered from place 70",
            [&integer(4, 0x10, 70)[..], &text("1")].concat(),
            UNREADABLE,
        ),
        ending(
            "a name without a table from place 1,000",
            [&integer(4, 0, 1000)[..], &text("1")].concat(),
            UNREADABLE,
        ),
        case(
            "a broken block on one stream ends all",
            1,
            all(&[super::open(1), headers(3, flag::END_STREAM, [0x80])]),
            UNREADABLE,
        ),
        case(
            "the table goes on behind a request that is malformed",
            3,
            all(&[
                headers(
                    1,
                    flag::END_STREAM,
                    [
                        remembered("x-one", "1"),
                        h2::block(&[("connection", "close")]),
                        head("GET", "/healthz"),
                    ]
                    .concat(),
                ),
                headers(
                    3,
                    flag::END_STREAM,
                    [head("GET", "/healthz"), vec![0xbe]].concat(),
                ),
            ]),
            good,
        ),
    ]
}

fn sizes() -> Vec<Case> {
    let good: Allowed = &[Status(200)];
    let one = remembered("x-one", "1");
    vec![
        beginning("a size of nothing", size(0), good),
        beginning("the largest size", size(4096), good),
        beginning("two sizes", [size(0), size(4096)].concat(), good),
        beginning("a size over the largest", size(4097), UNREADABLE),
        beginning("a size far over the largest", size(1 << 20), UNREADABLE),
        beginning(
            "a size at first small, then too large",
            [size(0), size(5000)].concat(),
            UNREADABLE,
        ),
        ending("a size at the end", size(100), UNREADABLE),
        ending(
            "a size between fields",
            [h2::field("x-one", "1"), size(100), h2::field("x-two", "2")].concat(),
            UNREADABLE,
        ),
        resized(
            "a size of nothing forgets",
            &one,
            &size(0),
            &[0xbe],
            UNREADABLE,
        ),
        resized(
            "a size of nothing and back forgets",
            &one,
            &[size(0), size(4096)].concat(),
            &[0xbe],
            UNREADABLE,
        ),
        resized(
            "a size that is enough remembers",
            &one,
            &size(100),
            &[0xbe],
            good,
        ),
    ]
}

fn numbers() -> Vec<Case> {
    let whole: Allowed = &[Goaway(code::COMPRESSION), Goaway(code::PROTOCOL), Closed];
    vec![
        ending(
            "a number beyond 64 bits",
            [&[0xff][..], &[0xff; 12], &[0x7f]].concat(),
            UNREADABLE,
        ),
        ending(
            "a number that never ends",
            [&[0xff][..], &[0x80; 200]].concat(),
            UNREADABLE,
        ),
        ending(
            "a length beyond 32 bits",
            [&[0, 0x7f][..], &[0xff, 0xff, 0xff, 0xff, 0x7f]].concat(),
            UNREADABLE,
        ),
        ending("a name longer than the block", [0, 0x7f, 0x00, b'x'], whole),
        ending(
            "a value longer than the block",
            [&[0][..], &text("x-one"), &[9, b'1']].concat(),
            whole,
        ),
        ending("no value", [&[0][..], &text("x-one")].concat(), whole),
        ending("no name", [0], whole),
        ending("half a number", [0xff], whole),
        ending("half a number, longer", [0xff, 0x80], whole),
        ending(
            "half a size",
            [&head("GET", "/")[..0], &[0x3f]].concat(),
            whole,
        ),
        ending(
            "a number with zeros behind",
            [&[0][..], &text("x-one"), &[0x01, b'1']].concat(),
            &[Status(200)],
        ),
    ]
}

fn huffman() -> Vec<Case> {
    let coded = |name: &str, value: &[u8], allowed| {
        let length = u8::try_from(value.len()).unwrap();
        let block = [&[0][..], &text("x-one"), &[0x80 | length], value].concat();
        ending(name, block, allowed)
    };
    let named = |name: &str, octets: &[u8], allowed| {
        let length = u8::try_from(octets.len()).unwrap();
        let block = [&[0][..], &[0x80 | length], octets, &text("1")].concat();
        ending(name, block, allowed)
    };
    vec![
        // "1" is 00001, and padding is ones.
        coded("a text in Huffman's code", &[0x0f], &[Status(200)]),
        coded("a text of nothing in Huffman's code", &[], &[Status(200)]),
        // "www.example.com", RFC 7541, C.4.1.
        coded(
            "the standard's own example",
            &[
                0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
            ],
            &[Status(200)],
        ),
        coded("padding of zeros", &[0x08], UNREADABLE),
        coded("padding of ones and zeros", &[0x0e], UNREADABLE),
        coded("padding of eight bits", &[0x0f, 0xff], UNREADABLE),
        coded("padding of sixteen bits", &[0x0f, 0xff, 0xff], UNREADABLE),
        coded("nothing but padding", &[0xff], UNREADABLE),
        coded("the end of the code", &[0xff, 0xff, 0xff, 0xff], UNREADABLE),
        coded(
            "a text and the end of the code",
            &[0x0f, 0xff, 0xff, 0xff, 0xff],
            UNREADABLE,
        ),
        coded("half a letter", &[0x1c, 0xff, 0xff], UNREADABLE),
        // "A" is 100001.
        named(
            "a name with a capital in Huffman's code",
            &[0x87],
            &[
                Reset(code::PROTOCOL),
                Goaway(code::PROTOCOL),
                Goaway(code::COMPRESSION),
                Status(400),
                Closed,
            ],
        ),
        // NUL is 1111111111000.
        coded(
            "a NUL in Huffman's code",
            &[0xff, 0xc7],
            &[
                Reset(code::PROTOCOL),
                Goaway(code::PROTOCOL),
                Goaway(code::COMPRESSION),
                Status(400),
                Closed,
            ],
        ),
    ]
}
