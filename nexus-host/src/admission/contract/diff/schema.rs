//! One side of a comparison: a schema with its reference followed, and what its keywords say.

use std::fmt;

use serde_json::{Map, Value};

/// How many references in a row are followed.
const MAX_REFERENCES: usize = 16;

/// Keywords that no payload is held against.
const REMARKS: [&str; 14] = [
    "$schema",
    "$id",
    "$anchor",
    "$comment",
    "$defs",
    "$vocabulary",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
];

/// Keywords that a payload is held against, and that are only compared as they are written. What is none
/// of these, nor known to [`super::Walk`], says nothing of payloads.
const UNTOLD: [&str; 19] = [
    "not",
    "if",
    "then",
    "else",
    "multipleOf",
    "prefixItems",
    "additionalItems",
    "unevaluatedItems",
    "contains",
    "minContains",
    "maxContains",
    "patternProperties",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "$dynamicRef",
    "$dynamicAnchor",
    "$recursiveRef",
];

/// Keywords by which one schema is made of others.
const PARTS: [&str; 10] = [
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "dependentSchemas",
    "dependencies",
];

static ANY: Value = Value::Bool(true);
static NEVER: Value = Value::Bool(false);

/// A schema, its reference followed.
pub(super) struct Side<'s> {
    pub(super) value: &'s Value,
    members: Option<&'s Map<String, Value>>,
}

impl<'s> Side<'s> {
    /// `None` when the schema says more beside a reference, or the reference leads elsewhere.
    pub(super) fn of(mut value: &'s Value, root: &'s Value) -> Option<Self> {
        for _ in 0..MAX_REFERENCES {
            let members = value.as_object();
            // Below it, references begin elsewhere.
            let is_resource = members.is_some_and(|members| members.contains_key("$id"));
            if is_resource && !std::ptr::eq(value, root) {
                return None;
            }
            let Some(reference) = members.and_then(|members| members.get("$ref")) else {
                return Some(Self { value, members });
            };
            let says_more =
                |(key, _): (&String, &Value)| key != "$ref" && !REMARKS.contains(&key.as_str());
            if members.into_iter().flatten().any(says_more) {
                return None;
            }
            let pointer = reference.as_str()?.strip_prefix('#')?;
            value = root.pointer(pointer)?;
        }
        None
    }

    pub(super) fn get(&self, key: &str) -> Option<&'s Value> {
        self.members?.get(key)
    }

    /// The schema under a keyword; any value fits one that is not there.
    pub(super) fn sub(&self, key: &str) -> &'s Value {
        self.get(key).unwrap_or(&ANY)
    }

    pub(super) fn is_never(&self) -> bool {
        *self.value == NEVER
    }

    pub(super) fn required(&self) -> Vec<&'s str> {
        let names = self.get("required").and_then(Value::as_array);
        names
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    pub(super) fn properties(&self) -> impl Iterator<Item = (&'s String, &'s Value)> + use<'s> {
        let properties = self.get("properties").and_then(Value::as_object);
        properties.into_iter().flatten()
    }

    pub(super) fn property(&self, name: &str) -> Option<&'s Value> {
        self.get("properties")?.get(name)
    }

    /// What fields must be that are not named; `None` when nothing is said of them.
    pub(super) fn others(&self) -> Option<&'s Value> {
        let others = self.get("additionalProperties");
        let others = others.or_else(|| self.get("unevaluatedProperties"));
        others.filter(|others| **others != ANY)
    }

    pub(super) fn others_or_any(&self) -> &'s Value {
        self.others().unwrap_or(&ANY)
    }

    /// The values that are allowed, where they are counted up: those on which every keyword that counts
    /// them agrees.
    pub(super) fn values(&self) -> Option<Vec<&'s Value>> {
        let only = self.get("const").map(|only| vec![only]);
        let listed = self.get("enum").and_then(Value::as_array);
        let listed = listed.map(|values| values.iter().collect());
        let choice = |key| self.choice(key).filter(|values| !values.is_empty());
        let lists = [only, listed, choice("oneOf"), choice("anyOf")];
        let mut lists = lists.into_iter().flatten();
        let mut values: Vec<_> = lists.next()?;
        for others in lists {
            values.retain(|value| others.iter().any(|other| is_same(value, other)));
        }
        Some(values)
    }

    pub(super) fn is_choice_of_values(&self, key: &str) -> bool {
        self.choice(key).is_some_and(|values| !values.is_empty())
    }

    /// The values of a choice in which each branch is a value, as Rust enums with comments are. A value
    /// that more than one branch has is none of those choices: whether it is allowed depends on the keyword.
    fn choice(&self, key: &str) -> Option<Vec<&'s Value>> {
        let branches = self.get(key)?.as_array()?;
        let mut values: Vec<&Value> = Vec::new();
        for branch in branches {
            let branch = branch.as_object()?;
            let is_plain = |key: &String| {
                matches!(key.as_str(), "const" | "enum" | "type") || REMARKS.contains(&key.as_str())
            };
            if !branch.keys().all(is_plain) {
                return None;
            }
            let own: Vec<&Value> = match (branch.get("const"), branch.get("enum")) {
                (Some(only), None) => vec![only],
                (None, Some(Value::Array(several))) => several.iter().collect(),
                _ => return None,
            };
            let kinds = Kinds::of(branch.get("type"));
            let is_told = |value: &&Value| {
                kinds.hold(value) && !values.iter().any(|known| is_same(known, value))
            };
            if !own.iter().all(is_told) {
                return None;
            }
            values.extend(own);
        }
        Some(values)
    }

    /// Whether what is allowed here depends on what other parts of the schema have looked at.
    pub(super) fn leans_on_parts(&self) -> bool {
        let has = |keys: &[&str]| keys.iter().any(|key| self.get(key).is_some());
        has(&["unevaluatedProperties", "unevaluatedItems"]) && has(&PARTS)
    }

    /// Keywords of either side that are only compared as they are written.
    pub(super) fn untold(&self, other: &Self) -> impl Iterator<Item = &'static str> {
        let has = |side: &Self, key| side.get(key).is_some();
        let either = UNTOLD.map(|key| (has(self, key) || has(other, key)).then_some(key));
        either.into_iter().flatten()
    }
}

/// Whether two values are one to a schema, for which 1 and 1.0 are the same.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64() == other.as_f64()
        }
        (one, other) => one == other,
    }
}

/// Whether a keyword's value holds a reference, so that being the same text says nothing.
pub(super) fn refers(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Object(members)) => {
            members.contains_key("$ref") || members.values().any(|value| refers(Some(value)))
        }
        Some(Value::Array(items)) => items.iter().any(|item| refers(Some(item))),
        _ => false,
    }
}

/// The types that are allowed; whole numbers are numbers too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Kinds(u8);

const NAMES: [&str; 7] = [
    "null", "boolean", "integer", "number", "string", "array", "object",
];
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

    /// Whether a value is of one of them, as far as that can be told.
    fn hold(self, value: &Value) -> bool {
        let kind = match value {
            Value::Null => 0,
            Value::Bool(_) => 1,
            Value::Number(number) if number.is_f64() => 3,
            Value::Number(_) => 2,
            Value::String(_) => 4,
            Value::Array(_) => 5,
            Value::Object(_) => 6,
        };
        self.0 & (1 << kind) != 0
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

/// A name within a JSON Pointer.
pub(super) fn escaped(name: &str) -> String {
    crate::admission::envelope::escaped(name)
}
