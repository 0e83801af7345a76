//! What flags promise: they are those that each pattern, tried on each string, would set.

use serde_json::Value;

use super::*;

/// Holds flags against a slow search through the payload.
pub(in crate::admission) fn expect_flags(payload: &Value, flags: &[Flag]) {
    let mut slow = Vec::new();
    search(payload, "/payload".to_owned(), &mut slow);
    assert_eq!(
        flags.len(),
        slow.len().min(MAX_VIOLATIONS),
        "{flags:?} {slow:?}"
    );
    for flag in flags {
        let same = |(pattern, pointer): &(&str, String)| {
            let is_cut = pointer.len() >= LONGEST_POINTER && pointer.starts_with(&flag.pointer);
            *pattern == flag.pattern && (is_cut || *pointer == flag.pointer)
        };
        assert!(slow.iter().any(same), "{flag:?} {slow:?}");
    }
}

fn search(value: &Value, pointer: String, found: &mut Vec<(&'static str, String)>) {
    match value {
        Value::String(text) => look_at(text, &pointer, found),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                search(item, format!("{pointer}/{index}"), found);
            }
        }
        Value::Object(members) => {
            for (key, value) in members {
                let pointer = format!("{pointer}/{}", escaped(key));
                look_at(key, &pointer, found);
                search(value, pointer, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn look_at(text: &str, pointer: &str, found: &mut Vec<(&'static str, String)>) {
    let fitting = KNOWN.matches(text.as_bytes());
    let fitting = fitting.iter().map(|at| BUILT_IN[at].name);
    found.extend(fitting.map(|name| (name, pointer.to_owned())));
}
