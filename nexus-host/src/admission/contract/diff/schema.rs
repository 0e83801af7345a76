//! One side of a comparison: a schema with its reference followed, and what its keywords say.

use serde_json::{Map, Value};

use super::bounds::order;
use super::draft::Draft;
use super::kinds::Kinds;

/// How many references in a row are followed.
const MAX_REFERENCES: usize = 16;

/// Keywords that no payload is held against.
pub(super) const REMARKS: [&str; 14] = [
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
const UNTOLD: [&str; 20] = [
    "not",
    "if",
    "then",
    "else",
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
    "contentEncoding",
    "contentMediaType",
];

/// Those of them that only ask for something: without one, more is taken, and never less.
const ASKING: [&str; 10] = [
    "not",
    "if",
    "then",
    "else",
    "unevaluatedItems",
    "contains",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
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

/// The schema that takes anything, and the one that takes nothing.
pub(super) static ANY: Value = Value::Bool(true);
pub(super) static NEVER: Value = Value::Bool(false);

/// References whose target depends on the way to them.
const DYNAMIC: [&str; 2] = ["$dynamicRef", "$recursiveRef"];

/// A schema, its reference followed.
pub(super) struct Side<'s> {
    pub(super) value: &'s Value,
    members: Option<&'s Map<String, Value>>,
    draft: Draft,
}

impl<'s> Side<'s> {
    /// `None` when the schema says more beside a reference, or the reference leads elsewhere.
    pub(super) fn of(mut value: &'s Value, root: &'s Value, draft: Draft) -> Option<Self> {
        for _ in 0..MAX_REFERENCES {
            let members = value.as_object();
            // Below it, references begin elsewhere.
            let is_id =
                |key: &str| members.is_some_and(|own| own.get(key).is_some_and(Value::is_string));
            let is_resource = is_id("$id") || (draft == Draft::Four && is_id("id"));
            if is_resource && !std::ptr::eq(value, root) {
                return None;
            }
            let has = |key: &&str| members.is_some_and(|members| members.contains_key(*key));
            if DYNAMIC.iter().any(has) {
                return None;
            }
            let Some(reference) = members.and_then(|members| members.get("$ref")) else {
                return Some(Self {
                    value,
                    members,
                    draft,
                });
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

    /// What a keyword says, where the schema's draft knows it.
    pub(super) fn get(&self, key: &str) -> Option<&'s Value> {
        self.members?.get(key).filter(|_| self.draft.knows(key))
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

    /// The values that are allowed, where they can be counted up: those of the types that are allowed.
    pub(super) fn values(&self) -> Option<Vec<&'s Value>> {
        let kinds = self.declared();
        match self.listed() {
            Some(mut values) => {
                values.retain(|value| kinds.may_hold(value, self.draft));
                Some(values)
            }
            None => kinds.values(),
        }
    }

    /// The types that are allowed; where values are counted up, those of them.
    pub(super) fn kinds(&self) -> Kinds {
        match self.values() {
            Some(values) => Kinds::of_values(&values, self.draft),
            None => self.declared(),
        }
    }

    /// What `type` says.
    pub(super) fn declared(&self) -> Kinds {
        Kinds::of(self.get("type"))
    }

    /// The values that are counted up: those on which every keyword that counts them agrees.
    fn listed(&self) -> Option<Vec<&'s Value>> {
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
            let only = branch.get("const").filter(|_| self.draft.knows("const"));
            let own: Vec<&Value> = match (only, branch.get("enum")) {
                (Some(only), None) => vec![only],
                (None, Some(Value::Array(several))) => several.iter().collect(),
                _ => return None,
            };
            let kinds = Kinds::of(branch.get("type"));
            let is_told = |value: &&Value| {
                kinds.hold(value, self.draft) && !values.iter().any(|known| is_same(known, value))
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
        self.leans() && PARTS.iter().any(|key| self.get(key).is_some())
    }

    /// Whether what it leaves over is looked at, and what it is made of has changed: a part that takes
    /// anything looks at it all the same.
    pub(super) fn leans_otherwise(&self, other: &Self) -> bool {
        let items = ["items", "prefixItems", "additionalItems"];
        let mut keys = PARTS.iter().chain(&items);
        (self.leans() || other.leans()) && keys.any(|key| self.get(key) != other.get(key))
    }

    fn leans(&self) -> bool {
        self.get("unevaluatedProperties").is_some() || self.get("unevaluatedItems").is_some()
    }

    /// What is said of fields beside `properties`, where a field may be mentioned too.
    pub(super) fn asides(&self) -> impl Iterator<Item = &'s Value> + use<'s, '_> {
        let keys = PARTS.iter().chain(&["dependentRequired", "propertyNames"]);
        keys.filter_map(|key| self.get(key))
    }

    /// Whether leaving a keyword out asks for nothing more.
    pub(super) fn only_asks(&self, key: &str, newer: &Self) -> bool {
        let is_of_contains = matches!(key, "minContains" | "maxContains");
        ASKING.contains(&key)
            || (is_of_contains && self.get("contains").is_some() && newer.get("contains").is_none())
    }

    /// Keywords of either side that are only compared as they are written.
    pub(super) fn untold(&self, other: &Self) -> impl Iterator<Item = &'static str> {
        let has = |side: &Self, key| side.get(key).is_some();
        let either = UNTOLD.map(|key| (has(self, key) || has(other, key)).then_some(key));
        either.into_iter().flatten()
    }
}

/// Whether two values are one to a schema, for which 1 and 1.0 are the same.
pub(super) fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => order(one, other).is_eq(),
        (one, other) => one == other,
    }
}

/// Whether what a reference in a schema leads to may stand outside of `$defs`, or depend on the way to it.
pub(super) fn is_tangled(root: &Value) -> bool {
    let parts = root.as_object().into_iter().flatten();
    parts
        .into_iter()
        .any(|(key, part)| match (key.as_str(), part) {
            ("$ref", target) => leads_out(target),
            ("$defs" | "definitions", part) => has_key(part, &|key, target| {
                DYNAMIC.contains(&key) || (key == "$ref" && leads_out(target))
            }),
            ("$id", _) => false,
            (key, part) => {
                DYNAMIC.contains(&key)
                    || has_key(part, &|key, target| {
                        let is_target = matches!(key, "$id" | "id" | "$anchor" | "$dynamicAnchor");
                        DYNAMIC.contains(&key)
                            || (is_target && target.is_string())
                            || (key == "$ref" && leads_out(target))
                    })
            }
        })
}

/// Whether a reference is to a place that is none of the definitions'.
fn leads_out(reference: &Value) -> bool {
    let target = reference.as_str().unwrap_or_default();
    let is_place = target == "#" || target.starts_with("#/");
    is_place && !target.starts_with("#/$defs/") && !target.starts_with("#/definitions/")
}

fn has_key(value: &Value, is_it: &dyn Fn(&str, &Value) -> bool) -> bool {
    match value {
        Value::Object(members) => {
            let mut members = members.iter();
            members.any(|(key, value)| is_it(key, value) || has_key(value, is_it))
        }
        Value::Array(items) => items.iter().any(|item| has_key(item, is_it)),
        _ => false,
    }
}

/// Whether a name is written anywhere in it.
pub(super) fn mentions(value: &Value, name: &str) -> bool {
    match value {
        Value::Object(members) => members
            .iter()
            .any(|(key, value)| key == name || mentions(value, name)),
        Value::Array(items) => items.iter().any(|item| mentions(item, name)),
        value => value == name,
    }
}

/// Whether a keyword's value holds a reference, so that being the same text says nothing.
pub(super) fn refers(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Object(members)) => {
            let leads = |key: &&str| members.contains_key(*key);
            ["$ref"].iter().chain(&DYNAMIC).any(leads)
                || members.values().any(|value| refers(Some(value)))
        }
        Some(Value::Array(items)) => items.iter().any(|item| refers(Some(item))),
        _ => false,
    }
}

/// A name within a JSON Pointer.
pub(super) fn escaped(name: &str) -> String {
    crate::admission::envelope::escaped(name)
}
