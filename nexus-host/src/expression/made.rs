//! What an expression has given, as JSON and as text. Members of an object are in the order of their names, so
//! that the same event always makes the same.

use std::io::Write;

use cel::Value;
use cel::objects::{Key, OptionalValue};
use chrono::SecondsFormat;
use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};

/// A value that an expression has given; none when that was an optional one that is absent.
pub(crate) struct Made(Option<Value>);

impl Made {
    pub(super) fn of(value: Value) -> Self {
        Self(present(&value).cloned())
    }

    /// Whether there is nothing.
    pub(crate) fn is_absent(&self) -> bool {
        self.0.is_none()
    }

    /// Writes it as JSON; what is absent as null.
    ///
    /// # Errors
    /// Those of the writer, and what JSON has no form for.
    pub(crate) fn write_json(&self, to: impl Write) -> serde_json::Result<()> {
        serde_json::to_writer(to, &self.0.as_ref().map(Json))
    }

    /// Writes it as it stands within a text: texts and times as they are, null and what is absent as nothing,
    /// everything else as JSON.
    ///
    /// # Errors
    /// As [`Self::write_json`].
    pub(crate) fn write_text(&self, mut to: impl Write) -> serde_json::Result<()> {
        let written = match &self.0 {
            None | Some(Value::Null) => Ok(()),
            Some(Value::String(text)) => to.write_all(text.as_bytes()),
            Some(Value::Timestamp(at)) => {
                let at = at.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true);
                to.write_all(at.as_bytes())
            }
            Some(_) => return self.write_json(to),
        };
        written.map_err(serde_json::Error::io)
    }
}

/// The value in an optional one, and any other as it is.
fn present(value: &Value) -> Option<&Value> {
    match <&OptionalValue>::try_from(value) {
        Ok(optional) => optional.value().and_then(present),
        Err(_) => Some(value),
    }
}

/// A value of CEL as JSON.
struct Json<'v>(&'v Value);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) => serializer.serialize_i64(*value),
            Value::UInt(value) => serializer.serialize_u64(*value),
            Value::Float(value) if value.is_finite() => serializer.serialize_f64(*value),
            Value::Float(_) => Err(S::Error::custom("it gives a number that JSON has not")),
            Value::String(text) => serializer.serialize_str(text),
            Value::Timestamp(at) => at.to_utc().serialize(serializer),
            Value::List(items) => serializer.collect_seq(items.iter().map(Json)),
            Value::Map(members) => {
                let mut members: Vec<(String, &Value)> = members
                    .map
                    .iter()
                    .map(|(key, value)| (name(key), value))
                    .collect();
                members.sort_by(|(one, _), (other, _)| one.cmp(other));
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (key, value) in members {
                    map.serialize_entry(&key, &Json(value))?;
                }
                map.end()
            }
            Value::Duration(_) => Err(S::Error::custom(
                "it gives a duration, which JSON has not; write `string(…)` round it",
            )),
            Value::Opaque(_) => match present(self.0) {
                Some(Value::Opaque(_)) | None => Err(S::Error::custom(
                    "what it gives holds something that is absent",
                )),
                Some(value) => Json(value).serialize(serializer),
            },
            other => {
                let found = other.type_of();
                Err(S::Error::custom(format!(
                    "it gives {found}, which JSON has not"
                )))
            }
        }
    }
}

fn name(key: &Key) -> String {
    match key {
        Key::String(name) => name.as_str().to_owned(),
        other => other.to_string(),
    }
}
