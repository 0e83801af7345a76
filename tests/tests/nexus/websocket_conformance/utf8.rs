//! Texts: each sequence of octets that is or is not UTF-8, whole, and in frames of one octet each; what is
//! wrong is told as soon as it has come.

use nexus_tests::ws::{self, FIN, op};

use super::End::{Close, Open};
use super::{Case, Said, case};

/// Octets that are text.
const GOOD: &[(&str, &[u8])] = &[
    ("nothing but ASCII", b"hello"),
    (
        "a greeting",
        "Hello-\u{b5}@\u{df}\u{f6}\u{e4}\u{fc}\u{e0}\u{e1}-UTF-8!!".as_bytes(),
    ),
    (
        "a word in Greek",
        "\u{3ba}\u{1f79}\u{3c3}\u{3bc}\u{3b5}".as_bytes(),
    ),
    ("the first of two octets", b"\xc2\x80"),
    ("the first of three octets", b"\xe0\xa0\x80"),
    ("the first of four octets", b"\xf0\x90\x80\x80"),
    ("the last of one octet", b"\x7f"),
    ("the last of two octets", b"\xdf\xbf"),
    ("the last of three octets", b"\xef\xbf\xbf"),
    ("the last before the surrogates", b"\xed\x9f\xbf"),
    ("the first behind the surrogates", b"\xee\x80\x80"),
    ("what stands for what cannot be read", b"\xef\xbf\xbd"),
    ("a mark of byte order", b"\xef\xbb\xbf"),
    ("the last of all", b"\xf4\x8f\xbf\xbf"),
    ("U+FFFE, which is no letter", b"\xef\xbf\xbe"),
    ("U+1FFFE, which is no letter", b"\xf0\x9f\xbf\xbe"),
    ("U+1FFFF, which is no letter", b"\xf0\x9f\xbf\xbf"),
    ("U+FFFFE, which is no letter", b"\xf3\xbf\xbf\xbe"),
    ("U+10FFFE, which is no letter", b"\xf4\x8f\xbf\xbe"),
    ("U+FDD0, which is no letter", b"\xef\xb7\x90"),
    (
        "letters of one to four octets",
        "a\u{e9}\u{4e2d}\u{1f600}".as_bytes(),
    ),
    (
        "letters that combine",
        "e\u{301}\u{200d}\u{1f468}\u{1f3fd}".as_bytes(),
    ),
];

/// Octets that are none.
const BAD: &[(&str, &[u8])] = &[
    ("the first of five octets", b"\xf8\x88\x80\x80\x80"),
    ("the first of six octets", b"\xfc\x84\x80\x80\x80\x80"),
    ("the last of four octets", b"\xf7\xbf\xbf\xbf"),
    ("the last of five octets", b"\xfb\xbf\xbf\xbf\xbf"),
    ("the last of six octets", b"\xfd\xbf\xbf\xbf\xbf\xbf"),
    ("the first behind all", b"\xf4\x90\x80\x80"),
    ("far behind all", b"\xf5\x80\x80\x80"),
    ("the first continuation", b"\x80"),
    ("the last continuation", b"\xbf"),
    ("two continuations", b"\x80\xbf"),
    ("three continuations", b"\x80\xbf\x80"),
    ("four continuations", b"\x80\xbf\x80\xbf"),
    ("five continuations", b"\x80\xbf\x80\xbf\x80"),
    ("six continuations", b"\x80\xbf\x80\xbf\x80\xbf"),
    ("seven continuations", b"\x80\xbf\x80\xbf\x80\xbf\x80"),
    ("a continuation too many", b"\xc2\x80\x80"),
    ("starts of two octets, alone", b"\xc2 \xd0 \xdf "),
    ("starts of three octets, alone", b"\xe0 \xe8 \xef "),
    ("starts of four octets, alone", b"\xf0 \xf4 \xf7 "),
    ("starts of five octets, alone", b"\xf8 \xfb "),
    ("starts of six octets, alone", b"\xfc \xfd "),
    ("a start of two octets, and a letter", b"\xdfx"),
    ("a start of three octets, and a letter", b"\xef\xbfx"),
    ("a start of four octets, and a letter", b"\xf4\x8f\xbfx"),
    ("two starts", b"\xc2\xc2\x80"),
    ("a start within a letter", b"\xe4\xb8\xc2\x80"),
    ("FE", b"\xfe"),
    ("FF", b"\xff"),
    ("FE FE FF FF", b"\xfe\xfe\xff\xff"),
    ("a slash in two octets", b"\xc0\xaf"),
    ("a slash in three octets", b"\xe0\x80\xaf"),
    ("a slash in four octets", b"\xf0\x80\x80\xaf"),
    ("a slash in five octets", b"\xf8\x80\x80\x80\xaf"),
    ("a slash in six octets", b"\xfc\x80\x80\x80\x80\xaf"),
    ("the last of one octet in two", b"\xc1\xbf"),
    ("the last of two octets in three", b"\xe0\x9f\xbf"),
    ("the last of three octets in four", b"\xf0\x8f\xbf\xbf"),
    ("the last of four octets in five", b"\xf8\x87\xbf\xbf\xbf"),
    (
        "the last of five octets in six",
        b"\xfc\x83\xbf\xbf\xbf\xbf",
    ),
    ("a NUL in two octets", b"\xc0\x80"),
    ("a NUL in three octets", b"\xe0\x80\x80"),
    ("a NUL in four octets", b"\xf0\x80\x80\x80"),
    ("a NUL in five octets", b"\xf8\x80\x80\x80\x80"),
    ("a NUL in six octets", b"\xfc\x80\x80\x80\x80\x80"),
    ("the surrogate D800", b"\xed\xa0\x80"),
    ("the surrogate DB7F", b"\xed\xad\xbf"),
    ("the surrogate DB80", b"\xed\xae\x80"),
    ("the surrogate DBFF", b"\xed\xaf\xbf"),
    ("the surrogate DC00", b"\xed\xb0\x80"),
    ("the surrogate DF80", b"\xed\xbe\x80"),
    ("the surrogate DFFF", b"\xed\xbf\xbf"),
    ("the surrogates D800 DC00", b"\xed\xa0\x80\xed\xb0\x80"),
    ("the surrogates D800 DFFF", b"\xed\xa0\x80\xed\xbf\xbf"),
    ("the surrogates DB7F DC00", b"\xed\xad\xbf\xed\xb0\x80"),
    ("the surrogates DB7F DFFF", b"\xed\xad\xbf\xed\xbf\xbf"),
    ("the surrogates DB80 DC00", b"\xed\xae\x80\xed\xb0\x80"),
    ("the surrogates DB80 DFFF", b"\xed\xae\x80\xed\xbf\xbf"),
    ("the surrogates DBFF DC00", b"\xed\xaf\xbf\xed\xb0\x80"),
    ("the surrogates DBFF DFFF", b"\xed\xaf\xbf\xed\xbf\xbf"),
    (
        "a word with a surrogate in it",
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    ),
    (
        "a word with what lies behind all in it",
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xf4\x90\x80\x80edited",
    ),
    ("a text of another table", b"caf\xe9 "),
    ("a text in UTF-16", b"\xff\xfeh\0i\0"),
];

/// Octets that begin a letter and do not end it.
const HALF: &[(&str, &[u8])] = &[
    ("one of two octets", b"\xc2"),
    ("one of three octets", b"\xe0"),
    ("two of three octets", b"\xe0\xa0"),
    ("one of four octets", b"\xf0"),
    ("two of four octets", b"\xf0\x90"),
    ("three of four octets", b"\xf0\x90\x80"),
    ("two of the last three", b"\xef\xbf"),
    ("three of the last four", b"\xf4\x8f\xbf"),
];

/// A text that the hub sends back, with these octets in it.
fn holding(octets: &[u8]) -> Vec<u8> {
    [br#"{"op":"unsubscribe","id":""#, octets, br#""}"#].concat()
}

/// A text in frames of one octet each; the last one ends it.
fn octets(text: &[u8]) -> Vec<u8> {
    let mut frames = open(text);
    frames.extend(ws::frame(FIN | op::CONTINUATION, ""));
    frames
}

/// The same without an end.
fn open(text: &[u8]) -> Vec<u8> {
    let frame = |(n, octet): (usize, &u8)| {
        let kind = if n == 0 { op::TEXT } else { op::CONTINUATION };
        ws::frame(kind, [*octet])
    };
    text.iter().enumerate().flat_map(frame).collect()
}

pub(super) fn cases() -> Vec<Case> {
    let invalid = Close(&[1007]);
    let mut cases = Vec::new();
    for (name, sequence) in GOOD {
        let text = holding(sequence);
        let said = [Said::Echo(
            std::str::from_utf8(sequence).unwrap().to_owned(),
        )];
        let whole = ws::frame(FIN | op::TEXT, &text);
        cases.push(case(&format!("{name}: whole"), whole.clone(), &said, Open));
        cases.push(case(&format!("{name}: octet by octet"), whole, &said, Open).by_octets());
        cases.push(case(
            &format!("{name}: a frame for each octet"),
            octets(&text),
            &said,
            Open,
        ));
    }
    for (name, sequence) in BAD {
        let whole = ws::frame(FIN | op::TEXT, holding(sequence));
        cases.push(case(&format!("{name}: whole"), whole, &[], invalid));
        // The message has no end: it is told at once, or never.
        let soon = open(&[b"{\"", *sequence].concat());
        cases.push(case(
            &format!("{name}: a frame for each octet"),
            soon,
            &[],
            invalid,
        ));
    }
    for (name, sequence) in HALF {
        let whole = ws::frame(FIN | op::TEXT, sequence);
        cases.push(case(&format!("{name}: whole"), whole, &[], invalid));
        cases.push(case(
            &format!("{name}: a frame for each octet"),
            octets(sequence),
            &[],
            invalid,
        ));
    }
    cases
}
