//! JSON without loss or doubt: receives text, hands on a tree that borrows from it, or the place
//! and reason of the refusal. It never copies a string without escapes, and never keeps going
//! after a limit.
//!
//! Refused although it is JSON by RFC 8259:
//! - an object that names a key twice, however the key is spelt (`"a"` and `"\u0061"`);
//! - an integer that fits neither `i64` nor `u64`, since most readers would round it;
//! - a control character (U+0000 to U+001F) in a key, and U+0000 in any string; other control
//!   characters are let through escaped, as JSON requires, and are the displays' business;
//! - nesting, strings, arrays and keys beyond the [`Limits`](super::Limits).
//!
//! Not JSON at all, and refused by the parser: lone surrogates, raw control characters, numbers
//! beyond the range of a double, text after the value.

mod fault;
mod tree;

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_json::value::RawValue;

use super::config::Limits;
use super::rejection::quoted;

pub(super) use fault::{Fault, Reason};
pub(crate) use tree::Tree;
pub(super) use tree::{Borrowed, Members};

/// The most that `limits.max_depth` may say.
const DEEPEST: usize = 128;

/// What one event may weigh.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    depth: usize,
    string: usize,
    array: usize,
    keys: usize,
}

impl Bounds {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            depth: limits.max_depth,
            string: limits.max_string.as_len(),
            array: limits.max_array,
            keys: limits.max_keys,
        }
    }
}

/// Reads the payload of an event that was admitted once more, whatever the limits were then and are now; `None`
/// when no admission can have let it in.
pub(crate) fn reread(payload: &[u8]) -> Option<Tree<'_>> {
    let widest = Bounds {
        depth: DEEPEST,
        string: usize::MAX,
        array: usize::MAX,
        keys: usize::MAX,
    };
    parse(str::from_utf8(payload).ok()?, widest, 1).ok()
}

/// One walk through an event: the limits, and what was found.
pub(super) struct Walk<'t> {
    text: &'t str,
    bounds: Bounds,
    keys: usize,
    /// A number at or beyond 2^63 came as a float; its digits decide whether that was a loss.
    wide: bool,
    refusal: Option<Reason>,
    fault: Option<Fault>,
}

impl<'t> Walk<'t> {
    pub(super) fn new(text: &'t str, bounds: Bounds) -> Self {
        Self {
            text,
            bounds,
            keys: 0,
            wide: false,
            refusal: None,
            fault: None,
        }
    }

    /// Ends the walk: the value, or what was wrong and where.
    pub(super) fn end<T>(self, parsed: Result<T, serde_json::Error>) -> Result<T, Fault> {
        match parsed {
            Ok(_) if self.wide && wide_integer(self.text).is_some() => Err(Fault {
                reason: Reason::WideInteger,
                offset: wide_integer(self.text).unwrap_or_default(),
            }),
            Ok(value) => Ok(value),
            Err(error) => Err(self.fault.unwrap_or_else(|| Fault {
                offset: offset(self.text, &error),
                reason: self.refusal.unwrap_or_else(|| syntax(&error)),
            })),
        }
    }

    /// Parses a value that the outer parser took as a whole.
    pub(super) fn parse_part<E: serde::de::Error>(
        &mut self,
        part: &'t str,
        depth: usize,
    ) -> Result<Tree<'t>, E> {
        let seed = TreeSeed { walk: self, depth };
        match seed.deserialize(&mut deserializer(part)) {
            Ok(tree) => Ok(tree),
            Err(error) => {
                let start = part.as_ptr().addr() - self.text.as_ptr().addr();
                self.fault = Some(Fault {
                    offset: start + offset(part, &error),
                    reason: self.refusal.take().unwrap_or_else(|| syntax(&error)),
                });
                Err(E::custom("told already"))
            }
        }
    }

    pub(super) fn refuse<E: serde::de::Error>(&mut self, reason: Reason) -> E {
        self.refusal = Some(reason);
        E::custom("told already")
    }

    /// Counts a key of an object.
    pub(super) fn key<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.keys += 1;
        if self.keys > self.bounds.keys {
            return Err(self.refuse(Reason::ManyKeys(self.bounds.keys)));
        }
        Ok(())
    }

    fn string<E: serde::de::Error>(&mut self, text: &str) -> Result<(), E> {
        if text.len() > self.bounds.string {
            return Err(self.refuse(Reason::LongString(self.bounds.string)));
        }
        Ok(())
    }

    /// Goes one level down from `depth`.
    pub(super) fn deeper<E: serde::de::Error>(&mut self, depth: usize) -> Result<usize, E> {
        if depth >= self.bounds.depth {
            return Err(self.refuse(Reason::TooDeep(self.bounds.depth)));
        }
        Ok(depth + 1)
    }
}

/// Parses a whole text that stands `depth` levels down.
pub(super) fn parse(text: &str, bounds: Bounds, depth: usize) -> Result<Tree<'_>, Fault> {
    let mut walk = Walk::new(text, bounds);
    let mut json = deserializer(text);
    let seed = TreeSeed {
        walk: &mut walk,
        depth,
    };
    let parsed = seed.deserialize(&mut json);
    let parsed = parsed.and_then(|tree| json.end().map(|()| tree));
    walk.end(parsed)
}

/// Cuts an array into its elements, each to be parsed on its own.
pub(super) fn split(text: &str, most: usize) -> Result<Vec<&str>, Fault> {
    let mut over = false;
    let mut json = deserializer(text);
    let elements = Elements {
        most,
        over: &mut over,
    };
    let parsed = json.deserialize_seq(elements);
    let parsed = parsed.and_then(|elements| json.end().map(|()| elements));
    parsed.map_err(|error| Fault {
        offset: offset(text, &error),
        reason: if over {
            Reason::LongBatch(most)
        } else {
            syntax(&error)
        },
    })
}

struct Elements<'o> {
    most: usize,
    over: &'o mut bool,
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = Vec<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element::<&RawValue>()? {
            if elements.len() == self.most {
                *self.over = true;
                return Err(A::Error::custom("told already"));
            }
            elements.push(element.get());
        }
        Ok(elements)
    }
}

/// A deserializer that leaves the depth to [`Walk::deeper`]; the parser's own limit is no setting.
pub(super) fn deserializer(text: &str) -> serde_json::Deserializer<serde_json::de::StrRead<'_>> {
    let mut json = serde_json::Deserializer::from_str(text);
    json.disable_recursion_limit();
    json
}

/// The parser's message without the place, which is told in the caller's terms.
fn syntax(error: &serde_json::Error) -> Reason {
    let text = error.to_string();
    let message = text.rfind(" at line ").map_or(&*text, |end| &text[..end]);
    Reason::Syntax(message.to_owned())
}

fn offset(text: &str, error: &serde_json::Error) -> usize {
    let line = text
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1));
    line.map(str::len).sum::<usize>() + error.column().saturating_sub(1)
}

/// Where an integer is written that fits neither `i64` nor `u64`. `text` is valid JSON.
fn wide_integer(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let start = at;
                let of_number =
                    |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
                at += bytes[at..]
                    .iter()
                    .take_while(|byte| of_number(byte))
                    .count();
                let digits = &text[start..at];
                let whole = !digits.contains(['.', 'e', 'E']);
                if whole && digits.parse::<i64>().is_err() && digits.parse::<u64>().is_err() {
                    return Some(start);
                }
            }
            _ => at += 1,
        }
    }
    None
}

/// Parses any value into a [`Tree`].
pub(super) struct TreeSeed<'w, 't> {
    pub(super) walk: &'w mut Walk<'t>,
    /// How many objects and arrays are around the value.
    pub(super) depth: usize,
}

impl<'de> DeserializeSeed<'de> for TreeSeed<'_, '_> {
    type Value = Tree<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TreeSeed<'_, '_> {
    type Value = Tree<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Tree<'de>, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree<'de>, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree<'de>, E> {
        Ok(Tree::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree<'de>, E> {
        Ok(Tree::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Tree<'de>, E> {
        self.walk.wide |= value.abs() >= 9_223_372_036_854_775_808.0;
        Number::from_f64(value)
            .map(Tree::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Tree<'de>, E> {
        self.walk.string(text)?;
        Ok(Tree::String(Cow::Borrowed(text)))
    }

    /// A string with escapes: the only way in which JSON can hold U+0000.
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Tree<'de>, E> {
        self.walk.string(text)?;
        if text.contains('\0') {
            return Err(self.walk.refuse(Reason::Nul));
        }
        Ok(Tree::String(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree<'de>, A::Error> {
        let depth = self.walk.deeper(self.depth)?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(TreeSeed {
            walk: self.walk,
            depth,
        })? {
            if items.len() == self.walk.bounds.array {
                return Err(self.walk.refuse(Reason::LongArray(items.len())));
            }
            items.push(item);
        }
        Ok(Tree::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree<'de>, A::Error> {
        let depth = self.walk.deeper(self.depth)?;
        let mut members = Members::default();
        while let Some(key) = map.next_key_seed(KeySeed { walk: self.walk })? {
            if members.names_already(&key) {
                return Err(self.walk.refuse(Reason::DuplicateKey(quoted(&key))));
            }
            let walk = &mut *self.walk;
            let value = map.next_value_seed(TreeSeed { walk, depth })?;
            members.push(key, value);
        }
        match members.close() {
            Ok(members) => Ok(Tree::Object(members)),
            Err(twice) => Err(self.walk.refuse(Reason::DuplicateKey(quoted(&twice)))),
        }
    }
}

/// Parses a key.
pub(super) struct KeySeed<'w, 't> {
    pub(super) walk: &'w mut Walk<'t>,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_, '_> {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeySeed<'_, '_> {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, key: &'de str) -> Result<Self::Value, E> {
        self.walk.key()?;
        self.walk.string(key)?;
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Self::Value, E> {
        self.walk.key()?;
        self.walk.string(key)?;
        if key.contains(|c: char| c < ' ') {
            return Err(self.walk.refuse(Reason::ControlInKey(quoted(key))));
        }
        Ok(Cow::Owned(key.to_owned()))
    }
}

#[cfg(test)]
mod tests;
