//! A JSON value that borrows from its text, and how the schema validator reads it. It is built by
//! the strict parser only, so no object in it names a key twice.

use std::borrow::Cow;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, Node, NodeIdentity, Object};
use serde_json::{Number, Value};

/// Up to so many keys, looking at each is quicker than a search in order.
const FEW: usize = 16;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tree<'t> {
    Null,
    Bool(bool),
    Number(Number),
    String(Cow<'t, str>),
    Array(Vec<Tree<'t>>),
    Object(Members<'t>),
}

impl Tree<'_> {
    /// What it is, for messages.
    pub(in crate::admission) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number) => Value::Number(number.clone()),
            Self::String(text) => Value::String(text.clone().into_owned()),
            Self::Array(items) => items.iter().map(Tree::to_json).collect(),
            Self::Object(members) => members
                .0
                .iter()
                .map(|(key, value)| (key.clone().into_owned(), value.to_json()))
                .collect(),
        }
    }
}

/// The members of an object: in their order when they are few, else sorted by key.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Members<'t>(Vec<(Cow<'t, str>, Tree<'t>)>);

impl<'t> Members<'t> {
    /// Whether `key` is there already; while they are many, [`close`](Self::close) tells.
    pub(super) fn names_already(&self, key: &str) -> bool {
        self.0.len() <= FEW && self.0.iter().any(|(name, _)| name == key)
    }

    pub(super) fn push(&mut self, key: Cow<'t, str>, value: Tree<'t>) {
        self.0.push((key, value));
    }

    /// Ends the object, or names a key that occurs twice.
    pub(super) fn close(mut self) -> Result<Self, Cow<'t, str>> {
        if self.0.len() > FEW {
            self.0.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            let twice = self.0.windows(2).find(|pair| pair[0].0 == pair[1].0);
            if let Some([(key, _), _]) = twice {
                return Err(key.clone());
            }
        }
        Ok(self)
    }

    /// Every member. A key is a copy when it was written with escapes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Cow<'t, str>, &Tree<'t>)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    fn find(&self, key: &str) -> Option<&Tree<'t>> {
        if self.0.len() <= FEW {
            return self.0.iter().find(|(name, _)| name == key).map(|(_, v)| v);
        }
        let place = self
            .0
            .binary_search_by(|(name, _)| (**name).cmp(key))
            .ok()?;
        self.0.get(place).map(|(_, value)| value)
    }
}

/// The validator's name for this representation.
pub(in crate::admission) struct Borrowed;

impl Json for Borrowed {
    type Node<'a> = &'a Tree<'a>;
    type PreparedKey = Box<str>;
    type StringBuffer = ();

    const KEYS_PER_LOOKUP: usize = 2;
    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> Box<str> {
        key.into()
    }

    fn with_string_node<T>((): &mut (), string: &str, f: impl FnOnce(Self::Node<'_>) -> T) -> T {
        f(&Tree::String(Cow::Borrowed(string)))
    }
}

impl<'a> Node<'a, Borrowed> for &'a Tree<'a> {
    type Object = &'a Members<'a>;
    type Array = &'a [Tree<'a>];
    type Number = &'a Number;

    fn as_object(&self) -> Option<&'a Members<'a>> {
        match self {
            Tree::Object(members) => Some(members),
            _ => None,
        }
    }

    fn as_array(&self) -> Option<&'a [Tree<'a>]> {
        match self {
            Tree::Array(items) => Some(items),
            _ => None,
        }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        match self {
            Tree::String(text) => Some(Cow::Borrowed(text)),
            _ => None,
        }
    }

    fn as_number(&self) -> Option<&'a Number> {
        match self {
            Tree::Number(number) => Some(number),
            _ => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        match self {
            Tree::Bool(value) => Some(*value),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        matches!(self, Tree::Null)
    }

    fn json_type(&self) -> JsonType {
        match self {
            Tree::Null => JsonType::Null,
            Tree::Bool(_) => JsonType::Boolean,
            Tree::Number(_) => JsonType::Number,
            Tree::String(_) => JsonType::String,
            Tree::Array(_) => JsonType::Array,
            Tree::Object(_) => JsonType::Object,
        }
    }

    /// A character takes one to four bytes, so most lengths are settled without counting.
    fn string_length_within(&self, min: u64, max: u64) -> Option<bool> {
        let Tree::String(text) = self else {
            return None;
        };
        let bytes = text.len() as u64;
        let fewest = bytes.div_ceil(4);
        if bytes < min || fewest > max {
            return Some(false);
        }
        if min <= fewest && bytes <= max {
            return Some(true);
        }
        Some((min..=max).contains(&(text.chars().count() as u64)))
    }

    fn to_value(&self) -> Cow<'a, Value> {
        Cow::Owned(self.to_json())
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::new(
            std::ptr::from_ref::<Tree<'_>>(self).addr(),
        ))
    }
}

impl<'a> Object<'a, Borrowed> for &'a Members<'a> {
    type Node = &'a Tree<'a>;
    type MemberName = &'a str;
    type MembersIter = MembersIter<'a>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, key: &Box<str>) -> Option<&'a Tree<'a>> {
        self.find(key)
    }

    fn members(&self) -> MembersIter<'a> {
        MembersIter(self.0.iter())
    }
}

/// Goes through the members of an object.
pub(crate) struct MembersIter<'a>(std::slice::Iter<'a, (Cow<'a, str>, Tree<'a>)>);

impl<'a> Iterator for MembersIter<'a> {
    type Item = (&'a str, &'a Tree<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(key, value)| (&**key, value))
    }
}

impl<'a> Array<'a, Borrowed> for &'a [Tree<'a>] {
    type Node = &'a Tree<'a>;
    type ElementsIter = std::slice::Iter<'a, Tree<'a>>;

    fn len(&self) -> usize {
        <[Tree<'_>]>::len(self)
    }

    fn elements(&self) -> std::slice::Iter<'a, Tree<'a>> {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use jsonschema::json::conformance;
    use serde_json::json;

    use super::super::{Bounds, parse};
    use super::*;
    use crate::admission::Limits;

    #[test]
    fn the_validator_s_own_conformance_check_passes() {
        let text = conformance::document().to_string();
        let tree = parse(&text, Bounds::new(&Limits::default()), 0).unwrap();
        conformance::assert_conformance::<Borrowed>(&&tree);
    }

    #[test]
    fn many_members_are_found_as_few_are() {
        for size in [0, 1, FEW, FEW + 1, 500] {
            let value: Value = (0..size).map(|n| (format!("k{n}"), json!(n))).collect();
            let text = value.to_string();
            let tree = parse(&text, Bounds::new(&Limits::default()), 0).unwrap();
            let Tree::Object(members) = &tree else {
                panic!("not an object");
            };
            for n in 0..size {
                let expected = Tree::Number(n.into());
                assert_eq!(members.find(&format!("k{n}")), Some(&expected));
            }
            assert_eq!(members.find("k"), None);
            assert_eq!(tree.to_json(), value);
        }
    }
}
