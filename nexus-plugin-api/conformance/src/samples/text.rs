//! Texts: receives a schema of a string, hands on texts of its format, out of its pattern, and at its lengths.

use regex_syntax::hir::{Class, Hir, HirKind};
use serde_json::Value;

/// What is long where nothing says how long.
const LONG: usize = 10_000;

/// No text is made longer, whatever the schema allows.
const LONGEST: usize = 100_000;

/// Characters that programs stumble over: of several bytes, joined, from right to left, and none to see.
const STRANGE: &str = "é漢字🦀e\u{301}\u{202e}\u{200b}";

/// The texts of a schema, the plainest first.
pub(super) fn of(schema: &Value) -> Vec<String> {
    let length = |key: &str| {
        let found = schema.get(key).and_then(Value::as_u64);
        found.map(|found| usize::try_from(found).unwrap_or(LONGEST).min(LONGEST))
    };
    let (least, most) = (length("minLength").unwrap_or(0), length("maxLength"));
    let format = schema.get("format").and_then(Value::as_str);
    if let Some(of_format) = format.and_then(of_format) {
        return of_format.iter().map(|&text| text.to_owned()).collect();
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        let some = [least.max(1), most.unwrap_or(LONG / 10)].into_iter();
        return some
            .filter_map(|length| matching(pattern, length))
            .collect();
    }
    let filled =
        |with: &str, length: usize| -> String { with.chars().cycle().take(length).collect() };
    let plain = filled("Ada ", least.max(3).min(most.unwrap_or(LONG)));
    let most = most.unwrap_or(LONG);
    vec![
        plain,
        filled("x", least),
        filled("x", most),
        filled(STRANGE, most.min(STRANGE.chars().count()).max(least)),
        filled("漢", most),
        filled(" ", least.max(1)),
        filled("a\"\\\n\t\u{0}", least.max(1).max(most.min(6))),
        String::new(),
        filled("x", most + 1),
    ]
}

/// Texts of a format; the odd ones of it last.
fn of_format(format: &str) -> Option<&'static [&'static str]> {
    Some(match format {
        "date-time" => &[
            "2026-01-05T09:30:00Z",
            "2026-01-05T09:30:00.123456789+14:00",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
            "2016-12-31T23:59:60Z",
        ],
        "date" => &["2026-01-05", "2024-02-29", "0001-01-01", "9999-12-31"],
        "time" => &["09:30:00Z", "23:59:59.999999999-12:00"],
        "duration" => &["PT10M", "P1Y2M3DT4H5M6S"],
        "email" | "idn-email" => &["ada@example.org", "a+b.c@sub.example.org"],
        "hostname" | "idn-hostname" => &["example.org", "a"],
        "ipv4" => &["192.0.2.1", "0.0.0.0", "255.255.255.255"],
        "ipv6" => &["2001:db8::1", "::"],
        "uri" | "iri" => &[
            "https://example.org/a?b=c#d",
            "urn:a:b",
            "mailto:ada@example.org",
        ],
        "uri-reference" | "iri-reference" => &["/a", "https://example.org", ""],
        "uri-template" => &["https://example.org/{id}"],
        "uuid" => &[
            "0190a6e0-0000-7000-8000-000000000001",
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
        ],
        "json-pointer" => &["/a/0", ""],
        "relative-json-pointer" => &["0/a"],
        "regex" => &["^a+$", ""],
        _ => return None,
    })
}

/// A text that a pattern matches, about as long as it is wanted.
fn matching(pattern: &str, length: usize) -> Option<String> {
    let parsed = regex_syntax::parse(pattern).ok()?;
    let mut text = String::new();
    write(&parsed, length, &mut text);
    Some(text)
}

fn write(part: &Hir, length: usize, text: &mut String) {
    match part.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.push_str(&String::from_utf8_lossy(&literal.0)),
        HirKind::Class(class) => text.extend(any_of(class)),
        HirKind::Capture(group) => write(&group.sub, length, text),
        HirKind::Concat(parts) => parts.iter().for_each(|part| write(part, length, text)),
        HirKind::Alternation(parts) => {
            if let Some(first) = parts.first() {
                write(first, length, text);
            }
        }
        HirKind::Repetition(repeated) => {
            let most = repeated.max.unwrap_or(u32::MAX);
            let mut times = 0;
            while times < repeated.min || (times < most && text.chars().count() < length) {
                let before = text.len();
                write(&repeated.sub, length, text);
                times += 1;
                if text.len() == before || text.len() > LONGEST {
                    break;
                }
            }
        }
    }
}

/// A character of a class: a letter or a digit where there is one.
fn any_of(class: &Class) -> Option<char> {
    let plain = ['a', 'A', '1', '-'];
    match class {
        Class::Unicode(class) => {
            let is_in = |c: &char| {
                class
                    .iter()
                    .any(|some| (some.start()..=some.end()).contains(c))
            };
            let first = class.iter().next().map(|some| some.start());
            plain.into_iter().find(is_in).or(first)
        }
        Class::Bytes(class) => class.iter().next().map(|some| char::from(some.start())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pattern_is_matched_at_both_lengths() {
        let pattern = r"^[A-Za-z][A-Za-z0-9+.\-]*:[^\s]+$";
        let found = regex_syntax::parse(pattern);
        assert!(found.is_ok());
        let texts = of(&json!({ "type": "string", "pattern": pattern, "maxLength": 20 }));
        assert_eq!(texts, ["a:a", "aaaaaaaaaaaaaaaaaaaa:a"]);
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        let texts = of(&json!({ "type": "string", "minLength": 2, "maxLength": 4 }));
        for length in [2, 4, 5] {
            assert!(
                texts.iter().any(|text| text.chars().count() == length),
                "{texts:?}"
            );
        }
        assert_eq!(texts[0], "Ada");
    }
}
