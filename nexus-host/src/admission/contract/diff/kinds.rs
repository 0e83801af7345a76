//! Types of values: receives what `type` says, or values that are counted up, and answers which cover which.

use std::fmt;

use serde_json::Value;

use super::draft::Draft;

static NULL: Value = Value::Null;
static TRUE: Value = Value::Bool(true);
static FALSE: Value = Value::Bool(false);

/// The types that are allowed; whole numbers are numbers too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Kinds(u8);

const NAMES: [&str; 7] = [
    "null", "boolean", "integer", "number", "string", "array", "object",
];
const OF_NULL: u8 = 1;
const OF_BOOLEAN: u8 = 1 << 1;
const INTEGER: u8 = 1 << 2;
const NUMBER: u8 = 1 << 3;
const EVERY: u8 = (1 << NAMES.len()) - 1;

impl Kinds {
    pub(super) fn of(keyword: Option<&Value>) -> Self {
        let bit = |name: &Value| {
            let at = NAMES.iter().position(|known| name == known);
            at.map_or(0, |at| 1 << at)
        };
        let bits = match keyword {
            None => EVERY,
            Some(Value::Array(names)) => names.iter().fold(0, |bits, name| bits | bit(name)),
            Some(name) => bit(name),
        };
        Self(if bits & NUMBER == 0 {
            bits
        } else {
            bits | INTEGER
        })
    }

    /// Of which types values are.
    pub(super) fn of_values(values: &[&Value], draft: Draft) -> Self {
        let bits = values.iter().map(|value| match value {
            Value::Null => OF_NULL,
            Value::Bool(_) => OF_BOOLEAN,
            Value::Number(_) if may_be_integer(value, draft) => NUMBER | INTEGER,
            Value::Number(number) if number.is_f64() => NUMBER,
            Value::Number(_) => INTEGER,
            Value::String(_) => 1 << 4,
            Value::Array(_) => 1 << 5,
            Value::Object(_) => 1 << 6,
        });
        Self(bits.fold(0, |all, bit| all | bit))
    }

    /// Every value of these types, where they are few.
    pub(super) fn values(self) -> Option<Vec<&'static Value>> {
        match self.0 {
            OF_NULL => Some(vec![&NULL]),
            OF_BOOLEAN => Some(vec![&TRUE, &FALSE]),
            both if both == OF_NULL | OF_BOOLEAN => Some(vec![&NULL, &TRUE, &FALSE]),
            _ => None,
        }
    }

    /// Whether a value is surely of one of them.
    pub(super) fn hold(self, value: &Value, draft: Draft) -> bool {
        self.cover(Self::of_values(&[value], draft))
    }

    /// Whether a value may be of one of them.
    pub(super) fn may_hold(self, value: &Value, draft: Draft) -> bool {
        self.0 & Self::of_values(&[value], draft).0 != 0
    }

    pub(super) fn cover(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == EVERY {
            return f.write_str("any type");
        }
        let told = if self.0 & NUMBER == 0 {
            self.0
        } else {
            self.0 & !INTEGER
        };
        let names = NAMES.iter().enumerate();
        let names = names
            .filter(|(at, _)| told & (1 << at) != 0)
            .map(|(_, name)| *name);
        f.write_str(&names.collect::<Vec<_>>().join(" or "))
    }
}

/// Whether it is a number that is an integer to some and to others not. Of 1.0 that depends on the draft; to
/// draft 4 it is none, but among the values of an `enum` it is the same as 1.
pub(super) fn may_be_integer(value: &Value, draft: Draft) -> bool {
    let Value::Number(number) = value else {
        return false;
    };
    match number.is_f64() {
        true => number.as_f64().is_some_and(|real| real.fract() == 0.0),
        false => draft == Draft::Four,
    }
}
