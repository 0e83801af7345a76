mod corpus;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn bounds() -> Bounds {
    Bounds {
        depth: 8,
        string: 64,
        array: 40,
        keys: 40,
    }
}

fn reason(text: &str) -> Reason {
    match parse(text, bounds(), 0) {
        Ok(tree) => panic!("{text} was taken as {tree:?}"),
        Err(fault) => fault.reason,
    }
}

fn is_taken(text: &str) -> bool {
    parse(text, bounds(), 0).is_ok()
}

#[test]
fn duplicate_keys_are_refused_at_any_depth_and_however_spelt() {
    for text in [
        r#"{"a":1,"a":2}"#,
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"{"\u0061":1,"b":0,"a":2}"#,
        r#"{"x":[{"y":{"a":1,"a":2}}]}"#,
        r#"{"":1,"":2}"#,
        r#"{"é":1,"\u00e9":2}"#,
    ] {
        assert!(matches!(reason(text), Reason::DuplicateKey(_)), "{text}");
    }
    assert!(is_taken(
        r#"{"a":{"a":{"a":1}},"A":2,"b":[{"a":1},{"a":1}]}"#
    ));
}

#[test]
fn duplicate_keys_are_found_among_many() {
    for first in [0, 3, 16, 17, 29] {
        for second in [first, 16, 17, 29] {
            let mut keys: Vec<String> = (0..30).map(|n| format!("\"k{n}\":{n}")).collect();
            keys.push(format!("\"k{second}\":0"));
            let text = format!("{{{}}}", keys.join(","));
            assert!(matches!(reason(&text), Reason::DuplicateKey(_)), "{text}");
        }
    }
}

#[test]
fn depth_is_bounded_exactly() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(is_taken(&nested(8)));
    assert_eq!(reason(&nested(9)), Reason::TooDeep(8));
    assert_eq!(reason(&nested(100_000)), Reason::TooDeep(8));
    let objects = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    assert!(is_taken(&objects(8)));
    assert_eq!(reason(&objects(9)), Reason::TooDeep(8));
    let deepest = Bounds {
        depth: 128,
        ..bounds()
    };
    assert!(parse(&nested(128), deepest, 0).is_ok());
    assert!(parse(&nested(129), deepest, 0).is_err());
}

#[test]
fn integers_that_would_be_rounded_are_refused() {
    for text in [
        "18446744073709551615",
        "-9223372036854775808",
        "[1e20,1.0,-0,-0.0,1E5,123.456e-7]",
        "18446744073709551616.0",
        r#"{"18446744073709551616":"18446744073709551616","\"99999999999999999999":1e19}"#,
    ] {
        assert!(is_taken(text), "{text}");
    }
    for text in [
        "18446744073709551616",
        "-9223372036854775809",
        r#"{"a":[1,2,{"b":99999999999999999999}]}"#,
        r#"["99999999999999999999 \" ",1e19,100000000000000000000000000000000000000]"#,
    ] {
        assert_eq!(reason(text), Reason::WideInteger, "{text}");
    }
    assert!(matches!(reason("1e400"), Reason::Syntax(_)));
}

#[test]
fn strings_that_are_no_unicode_are_refused() {
    for text in [
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800\u0041""#,
        r#"{"\ud800":1}"#,
        "\"\n\"",
        "\"\u{0}\"",
        r#""\x41""#,
    ] {
        assert!(matches!(reason(text), Reason::Syntax(_)), "{text}");
    }
    assert!(is_taken(r#""\ud83d\ude00 \u001b \n \u007f""#));
    assert_eq!(reason(r#""a\u0000""#), Reason::Nul);
    assert!(matches!(
        reason(r#"{"a\u0000":1}"#),
        Reason::ControlInKey(_)
    ));
    assert!(matches!(reason(r#"{"a\n":1}"#), Reason::ControlInKey(_)));
}

#[test]
fn sizes_are_bounded_exactly() {
    let string = |len: usize| format!("\"{}\"", "x".repeat(len));
    assert!(is_taken(&string(64)));
    assert_eq!(reason(&string(65)), Reason::LongString(64));
    assert_eq!(
        reason(&format!("\"\\n{}\"", "x".repeat(64))),
        Reason::LongString(64)
    );
    assert_eq!(
        reason(&format!("{{{}:1}}", string(65))),
        Reason::LongString(64)
    );
    let array = |len: usize| serde_json::to_string(&vec![0; len]).unwrap();
    assert!(is_taken(&array(40)));
    assert_eq!(reason(&array(41)), Reason::LongArray(40));
    let object = |len: usize| {
        let value: Value = (0..len).map(|n| (n.to_string(), json!(n))).collect();
        value.to_string()
    };
    assert!(is_taken(&object(40)));
    assert_eq!(reason(&object(41)), Reason::ManyKeys(40));
    let spread = format!("[{},{}]", object(20), object(21));
    assert_eq!(reason(&spread), Reason::ManyKeys(40));
}

#[test]
fn the_place_is_told() {
    let text = "{\"a\": 1,\n  \"b\": 1x}";
    let told = parse(text, bounds(), 0).unwrap_err().into_rejection(text);
    assert!(told.message().ends_with("(line 2, column 9)"), "{told}");
    let text = "[1,\n99999999999999999999]";
    let told = parse(text, bounds(), 0).unwrap_err().into_rejection(text);
    assert!(told.message().ends_with("(line 2, column 1)"), "{told}");
}

#[test]
fn an_array_is_cut_into_its_elements() {
    assert_eq!(split(" [ ] ", 2).unwrap(), Vec::<&str>::new());
    assert_eq!(
        split(r#"[ {"a":1} , [2] ]"#, 2).unwrap(),
        [r#"{"a":1}"#, "[2]"]
    );
    let reason = |text| split(text, 2).unwrap_err().reason;
    assert_eq!(reason("[1,2,3]"), Reason::LongBatch(2));
    for text in ["[1,", "[1] 2", "[1,]", "{}", "[tru]"] {
        assert!(matches!(reason(text), Reason::Syntax(_)), "{text}");
    }
}

/// Something near JSON: values as they come, with bytes changed now and then.
fn near_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,3})?",
        "\"([a-c]|\\\\u00[0-9a-f]{2}|\\\\ud83d\\\\ude00|\\\\ud800|\\\\n|é){0,5}\"",
    ];
    let value = leaf.prop_recursive(10, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|v| format!("[{}]", v.join(", "))),
            prop::collection::vec(("(a|b|c|\\\\u0061|\\\\n|\\\\u0000)", inner), 0..4).prop_map(
                |v| {
                    let members: Vec<String> = v
                        .iter()
                        .map(|(key, value)| format!("\"{key}\":{value}"))
                        .collect();
                    format!("{{{}}}", members.join(","))
                }
            ),
        ]
    });
    (
        value,
        any::<prop::sample::Index>(),
        prop::option::weighted(0.2, "[\\[\\]{}\",:0-9 a\\\\]"),
    )
        .prop_map(|(mut text, place, change)| {
            if let Some(change) = change {
                let at = place.index(text.len() + 1);
                if text.is_char_boundary(at) {
                    text.insert_str(at, &change);
                }
            }
            text
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// What is not refused for a documented reason is taken exactly when serde_json takes it, and
    /// as the same value.
    #[test]
    fn takes_what_serde_json_takes_but_for_the_documented_refusals(text in near_json()) {
        let theirs = serde_json::from_str::<Value>(&text);
        match parse(&text, bounds(), 0) {
            Ok(tree) => {
                let theirs = theirs.expect("taken here only");
                prop_assert_eq!(jsonschema::json::Node::<Borrowed>::to_value(&&tree).into_owned(), theirs);
            }
            Err(Fault { reason: Reason::Syntax(_), .. }) => prop_assert!(theirs.is_err()),
            Err(fault) => {
                // The documented refusals: each must be true of the text.
                let witnessed = match fault.reason {
                    Reason::DuplicateKey(_) => text.contains(':'),
                    Reason::WideInteger => text.contains(|c: char| c.is_ascii_digit()),
                    Reason::TooDeep(_) => text.matches(['[', '{']).count() > 8,
                    Reason::Nul => text.contains("\\u0000"),
                    Reason::ControlInKey(_) => text.contains('\\'),
                    Reason::LongArray(_) | Reason::ManyKeys(_) => text.len() > 80,
                    Reason::LongString(_) => text.len() > 64,
                    Reason::NoText | Reason::Syntax(_) | Reason::LongBatch(_) => false,
                };
                prop_assert!(witnessed, "{:?}", fault);
            }
        }
    }

    /// Whatever comes, the answer is a value or a refusal.
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*", json_like in "[\\[\\]{}\",:0-9eE.+ \\\\ua-]*") {
        for text in [text, json_like] {
            let faults = [parse(&text, bounds(), 0).err(), split(&text, 3).err()];
            for fault in faults.into_iter().flatten() {
                let _ = fault.into_rejection(&text);
            }
        }
    }
}
