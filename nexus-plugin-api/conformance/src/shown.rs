//! Payloads, as a person wants to see them: receives JSON of any size, hands on a line that still tells what it
//! was.

use serde_json::Value;

/// The longest line, in characters.
const LONGEST_LINE: usize = 400;

/// Longer texts are shown by their beginning.
const LONGEST_TEXT: usize = 60;

/// Longer lists are shown by their beginning.
const LONGEST_LIST: usize = 4;

/// A value in one line.
pub(crate) fn value(value: &Value) -> String {
    cut(&shortened(value).to_string(), LONGEST_LINE)
}

/// JSON text in one line; what is none as it is.
pub(crate) fn json(text: &[u8]) -> String {
    match serde_json::from_slice(text) {
        Ok(parsed) => value(&parsed),
        Err(_) => cut(&String::from_utf8_lossy(text), LONGEST_LINE),
    }
}

/// The beginning of a text, and how long it is.
pub(crate) fn text(text: &str) -> String {
    cut(text, LONGEST_TEXT)
}

fn shortened(value: &Value) -> Value {
    match value {
        Value::String(long) => Value::String(text(long)),
        Value::Array(items) => {
            let mut shown: Vec<Value> = items.iter().take(LONGEST_LIST).map(shortened).collect();
            if items.len() > LONGEST_LIST {
                shown.push(format!("… ({} in all)", items.len()).into());
            }
            shown.into()
        }
        Value::Object(members) => {
            let short = |(name, member): (&String, &Value)| (text(name), shortened(member));
            Value::Object(members.iter().map(short).collect())
        }
        plain => plain.clone(),
    }
}

fn cut(text: &str, longest: usize) -> String {
    let length = text.chars().count();
    if length <= longest {
        return text.to_owned();
    }
    let start: String = text.chars().take(longest / 2).collect();
    format!("{start}… ({length} characters)")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_long_is_told_by_its_beginning_and_its_length() {
        let long = json!({ "a": "x".repeat(500), "b": [1, 2, 3, 4, 5, 6], "c": 7 });
        let told = value(&long);
        assert!(told.contains("xxx… (500 characters)"), "{told}");
        assert!(told.contains("[1,2,3,4,\"… (6 in all)\"]"), "{told}");
        assert!(told.contains("\"c\":7"), "{told}");
    }
}
