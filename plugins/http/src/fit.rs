//! Bodies of answers as an event can hold them: receives JSON of somebody else, hands on JSON that the hub admits. What
//! was asked for is done by then; an answer that could not be told would leave whoever waits for it waiting.

use serde_json::Value;

/// How deep and how large a body may be to be told as JSON: well within the hub's own limits.
const DEEPEST: usize = 24;
const MOST_VALUES: usize = 5_000;

/// What stands for a character that cannot be told.
const UNFIT: char = char::REPLACEMENT_CHARACTER;

/// The body, or `None` where it is deeper or has more in it than is told as JSON.
pub(crate) fn fit(body: &Value) -> Option<Value> {
    let mut left = MOST_VALUES;
    is_small(body, DEEPEST, &mut left).then(|| plain(body))
}

/// A text without U+0000.
pub(crate) fn plain_text(text: &str) -> String {
    text.replace('\0', UNFIT.encode_utf8(&mut [0; 4]))
}

fn is_small(value: &Value, deepest: usize, left: &mut usize) -> bool {
    let Some(rest) = left.checked_sub(1) else {
        return false;
    };
    *left = rest;
    match value {
        Value::Array(list) => {
            deepest > 0 && list.iter().all(|value| is_small(value, deepest - 1, left))
        }
        Value::Object(object) => {
            deepest > 0
                && object
                    .values()
                    .all(|value| is_small(value, deepest - 1, left))
        }
        _ => true,
    }
}

fn plain(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(plain_text(text)),
        Value::Array(list) => Value::Array(list.iter().map(plain).collect()),
        Value::Object(object) => {
            let pairs = object.iter();
            Value::Object(
                pairs
                    .map(|(key, value)| (plain_key(key), plain(value)))
                    .collect(),
            )
        }
        other => other.clone(),
    }
}

/// In a key no control character at all.
fn plain_key(key: &str) -> String {
    let plain = |c: char| if c.is_control() { UNFIT } else { c };
    key.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn nested(depth: usize) -> Value {
        (0..depth).fold(Value::Null, |inner, _| json!([inner]))
    }

    #[test]
    fn what_an_event_can_hold_stays_as_it_is() {
        for body in [
            json!({"a": ["é\n", 1, null, {"b": true}]}),
            nested(DEEPEST),
            json!(vec![0; 4_999]),
        ] {
            assert_eq!(fit(&body), Some(body));
        }
    }

    #[test]
    fn what_it_cannot_hold_does_not_stand_in_it() {
        let odd = json!({"a\u{0}\n": "b\u{0}c", "d": ["\u{0}"]});
        let fit_in = json!({"a\u{fffd}\u{fffd}": "b\u{fffd}c", "d": ["\u{fffd}"]});
        assert_eq!(fit(&odd), Some(fit_in));
        assert_eq!(fit(&nested(DEEPEST + 1)), None);
        assert_eq!(fit(&json!(vec![0; 5_000])), None);
    }
}
