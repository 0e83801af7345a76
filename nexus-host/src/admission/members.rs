//! JSON objects of other formats than the hub's own: receives the text of one object, hands on its
//! members, read as strictly as an event's. It knows no format.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Admission;
use super::rejection::{Code, Rejection, Violation, quoted};
use super::strict_json::{self, KeySeed, Reason, Tree, TreeSeed, Walk};

/// The value of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Member<'t> {
    Null,
    Bool(bool),
    Integer(i64),
    Text(Cow<'t, str>),
    /// Taken as it stands and not looked into; JSON only as far as its end had to be found.
    Whole(&'t str),
    /// Anything else, by what it is.
    Other(&'static str),
}

/// The members of an object, in their order.
pub(crate) type MemberList<'t> = Vec<(Cow<'t, str>, Member<'t>)>;

impl Admission {
    /// Reads one JSON object. The members named in `whole` are left for somebody else to parse.
    ///
    /// # Errors
    /// When it is not JSON, names a key twice or goes beyond a limit; `malformed_event` when it is
    /// no object.
    pub(crate) fn members<'t>(
        &self,
        text: &'t str,
        whole: &[&str],
    ) -> Result<MemberList<'t>, Rejection> {
        if !text.trim_start().starts_with('{') {
            let tree = strict_json::parse(text, self.bounds, 0);
            let tree = tree.map_err(|fault| fault.into_rejection(text))?;
            let message = format!("an event must be a JSON object, found {}", tree.kind());
            let place = Violation::new("", "must be an object");
            return Err(Rejection::new(Code::MalformedEvent, message).with_errors(vec![place]));
        }
        let mut walk = Walk::new(text, self.bounds);
        let mut json = strict_json::deserializer(text);
        let seed = MembersSeed {
            walk: &mut walk,
            whole,
        };
        let parsed = seed.deserialize(&mut json);
        let parsed = parsed.and_then(|members| json.end().map(|()| members));
        walk.end(parsed).map_err(|fault| fault.into_rejection(text))
    }
}

struct MembersSeed<'w, 't> {
    walk: &'w mut Walk<'t>,
    whole: &'w [&'w str],
}

impl<'t> DeserializeSeed<'t> for MembersSeed<'_, 't> {
    type Value = MemberList<'t>;

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'t> Visitor<'t> for MembersSeed<'_, 't> {
    type Value = MemberList<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let walk = self.walk;
        let depth = walk.deeper(0)?;
        // Bounded as all keys are.
        let mut members: MemberList<'t> = Vec::new();
        while let Some(key) = map.next_key_seed(KeySeed { walk })? {
            let value = if self.whole.contains(&&*key) {
                Member::Whole(map.next_value::<&'t RawValue>()?.get())
            } else {
                match map.next_value_seed(TreeSeed { walk, depth })? {
                    Tree::Null => Member::Null,
                    Tree::Bool(value) => Member::Bool(value),
                    Tree::String(text) => Member::Text(text),
                    Tree::Number(number) => number
                        .as_i64()
                        .map_or(Member::Other("a number"), Member::Integer),
                    other => Member::Other(other.kind()),
                }
            };
            members.push((key, value));
        }
        let mut keys: Vec<&str> = members.iter().map(|(key, _)| &**key).collect();
        keys.sort_unstable();
        match keys.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(walk.refuse(Reason::DuplicateKey(quoted(pair[0])))),
            None => Ok(members),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::admission::{Contracts, Limits};

    fn read(text: &str) -> Result<MemberList<'_>, Rejection> {
        let admission =
            Admission::new(&Limits::default(), &[], &[], Arc::new(Contracts::default()));
        // Nothing in the members outlives the text.
        admission.members(text, &["data"])
    }

    #[test]
    fn members_are_read_but_for_what_is_taken_whole() {
        let text =
            r#"{"a":"\u0062","n":-1,"t":true,"z":null,"f":1.5,"l":[1],"data": {"x":1,"x":2} }"#;
        let values: Vec<_> = read(text).unwrap().into_iter().map(|(_, v)| v).collect();
        assert_eq!(
            values,
            [
                Member::Text("b".into()),
                Member::Integer(-1),
                Member::Bool(true),
                Member::Null,
                Member::Other("a number"),
                Member::Other("an array"),
                Member::Whole(r#"{"x":1,"x":2}"#),
            ]
        );
    }

    #[test]
    fn what_is_in_doubt_is_refused() {
        for (text, code) in [
            ("", Code::MalformedJson),
            ("{", Code::MalformedJson),
            ("{} {}", Code::MalformedJson),
            (r#"{"data":{}"#, Code::MalformedJson),
            (r#"{"data":1,"data":1}"#, Code::MalformedJson),
            (r#"{"a":1,"\u0061":1}"#, Code::MalformedJson),
            (r#"{"a":{"b":1,"b":1}}"#, Code::MalformedJson),
            (r#"{"a":18446744073709551616}"#, Code::MalformedJson),
            (r#"{"a":"\u0000"}"#, Code::MalformedJson),
            ("[1]", Code::MalformedEvent),
            ("null", Code::MalformedEvent),
        ] {
            assert_eq!(read(text).unwrap_err().code(), code, "{text}");
        }
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(256 * 1024 + 1));
        assert_eq!(read(&long).unwrap_err().code(), Code::PayloadTooLarge);
    }
}
