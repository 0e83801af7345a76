//! What changes between two contracts: receives the older and the newer, or their schemas alone, hands on
//! each change with its place and whom it breaks. It knows the keywords that contracts are made of; where it
//! cannot tell what a change means, it says so and takes it for a break.

mod bounds;
mod draft;
mod kinds;
mod rules;
mod schema;

use std::collections::HashSet;
use std::{mem, ptr};

use nexus_plugin_api::ContractInfo;
use serde::Serialize;
use serde_json::Value;

use draft::Draft;
use kinds::may_be_integer;
use schema::{ANY, NEVER, Side, escaped, is_same};

/// How many changes one comparison lists; whoever changes more has written another contract.
const MAX_CHANGES: usize = 200;

/// How deep schemas are followed; a payload nests less deep by default.
const MAX_DEPTH: usize = 64;

/// How many pairs of schemas are compared: references may lead to one in more ways than can be gone.
const MAX_STEPS: usize = 100_000;

/// Whom a new version of a contract breaks, and why.
///
/// ```
/// use nexus_host::admission::ContractDiff;
/// use serde_json::json;
///
/// let old = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
/// let new = json!({ "type": "object", "properties": { "a": { "type": "integer" } } });
/// let diff = ContractDiff::between(&old, &new);
/// assert!(!diff.accepts_older());
/// assert_eq!(diff.changes()[0].pointer, "/properties/a/type");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ContractDiff {
    changes: Vec<Change>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// JSON Pointer into the schema, or `/rules/N`; into the newer one, save for what it has no more.
    pub pointer: String,
    /// What has changed.
    pub message: String,
    /// Whether something that the older version accepts may be refused by the newer one.
    pub breaks_writers: bool,
    /// Whether something that the newer version accepts may be refused by the older one.
    pub breaks_readers: bool,
}

impl ContractDiff {
    /// Compares an older schema with a newer one.
    pub fn between(old: &Value, new: &Value) -> Self {
        Walk::through(old, new).into()
    }

    /// Compares an older contract with a newer one: their schemas and their rules.
    pub fn of_contracts(old: &ContractInfo, new: &ContractInfo) -> Self {
        let mut walk = Walk::through(&old.schema, &new.schema);
        rules::compare(&mut walk, &old.rules, &new.rules);
        walk.into()
    }

    /// Every change, in the order of the schema; those of rules come last.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether the newer version accepts everything that the older one accepts, new fields of open objects
    /// left aside: producers that still send the older one are safe.
    pub fn accepts_older(&self) -> bool {
        self.first_break().is_none()
    }

    /// Whether the older version accepts everything that the newer one accepts: consumers that still know
    /// the older one only are safe.
    pub fn accepts_newer(&self) -> bool {
        !self.changes.iter().any(|change| change.breaks_readers)
    }

    /// Whether a field is described now that the older version let pass unsaid. It breaks nobody who sent
    /// what the older version describes; whoever sent the field before with another meaning is refused.
    pub fn describes_more(&self) -> bool {
        let breaks = |change: &Change| change.breaks_writers || change.breaks_readers;
        !self.changes.iter().all(breaks)
    }

    /// The first change that breaks producers of the older version.
    pub fn first_break(&self) -> Option<&Change> {
        self.changes.iter().find(|change| change.breaks_writers)
    }
}

impl From<Walk<'_>> for ContractDiff {
    fn from(walk: Walk<'_>) -> Self {
        Self {
            changes: walk.changes,
        }
    }
}

/// Whether a schema takes no object at all, as far as its types and values tell.
pub(super) fn takes_no_object(schema: &Value) -> bool {
    let draft = Draft::of(schema);
    let object = Value::Object(serde_json::Map::new());
    Side::of(schema, schema, draft)
        .is_some_and(|side| side.is_never() || !side.kinds().may_hold(&object, draft))
}

/// Whom a change breaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Breaks {
    Nobody,
    Writers,
    Readers,
    Both,
}

/// Two schemas that are being compared.
struct Pair<'s> {
    old: &'s Value,
    new: &'s Value,
    /// In how many `oneOf` it is.
    choices: usize,
    /// Whether it holds itself within a `oneOf`: there, what is wider may be one too many.
    is_chosen: bool,
}

struct Walk<'s> {
    old_root: &'s Value,
    new_root: &'s Value,
    /// What is being compared: a schema that holds itself ends here.
    under_way: Vec<Pair<'s>>,
    /// Pairs between which nothing has changed, by their addresses: each may be referred to many times, and
    /// so may what it refers to.
    known: HashSet<(usize, usize)>,
    /// How often a comparison ended because it was under way.
    cuts: usize,
    /// How many pairs were compared.
    steps: usize,
    /// In how many `oneOf` this is.
    choices: usize,
    /// Whether the same value is held against other schemas too, round this one or beside it.
    in_part: bool,
    /// Whether what a reference leads to may stand outside of `$defs`.
    is_tangled: bool,
    /// Of which drafts the older one and the newer one are.
    drafts: [Draft; 2],
    changes: Vec<Change>,
}

impl<'s> Walk<'s> {
    /// Goes through two schemas from their roots.
    fn through(old: &'s Value, new: &'s Value) -> Self {
        let mut walk = Self {
            old_root: old,
            new_root: new,
            under_way: Vec::new(),
            known: HashSet::new(),
            cuts: 0,
            steps: 0,
            choices: 0,
            in_part: false,
            is_tangled: [old, new].into_iter().any(schema::is_tangled),
            drafts: [old, new].map(Draft::of),
            changes: Vec::new(),
        };
        // Where the whole is the same, what cannot be told of a part is the same too.
        if old != new {
            if draft::matters(old, new) {
                walk.untold("/$schema", "the draft of JSON Schema");
            }
            walk.schemas(old, new, "", 0);
        }
        walk
    }

    fn schemas(&mut self, old: &'s Value, new: &'s Value, at: &str, depth: usize) {
        if old == new && !schema::refers(Some(old)) {
            return;
        }
        let [before, after] = self.drafts;
        let from = Side::of(old, self.old_root, before);
        let to = Side::of(new, self.new_root, after);
        let (Some(from), Some(to)) = (from, to) else {
            // What is written the same may lead to something else.
            if old != new || self.is_tangled || self.definitions_differ() {
                self.untold(at, "a reference");
            }
            return;
        };
        let mut under_way = self.under_way.iter_mut();
        if let Some(pair) =
            under_way.find(|pair| ptr::eq(pair.old, from.value) && ptr::eq(pair.new, to.value))
        {
            pair.is_chosen |= self.choices > pair.choices;
            self.cuts += 1;
            return;
        }
        let name = (
            ptr::from_ref(from.value).addr(),
            ptr::from_ref(to.value).addr(),
        );
        if self.changes.len() >= MAX_CHANGES || self.known.contains(&name) {
            return;
        }
        if depth > MAX_DEPTH {
            self.untold(at, "what is nested deeper");
            return;
        }
        self.steps += 1;
        if self.steps > MAX_STEPS {
            self.untold(at, "what is referred to so often");
            return;
        }
        let (changes, cuts) = (self.changes.len(), self.cuts);
        match (from.is_never(), to.is_never()) {
            (true, true) => return,
            (false, true) => return self.put(at, Breaks::Writers, "is not allowed any more"),
            (true, false) => return self.put(at, Breaks::Readers, "is allowed now"),
            (false, false) => {}
        }
        self.under_way.push(Pair {
            old: from.value,
            new: to.value,
            choices: self.choices,
            is_chosen: false,
        });
        self.kinds(&from, &to, at);
        self.values(&from, &to, at);
        bounds::compare(self, &from, &to, at);
        self.properties(&from, &to, at, depth);
        self.rest(&from, &to, at, depth);
        let is_chosen = self.under_way.pop().is_some_and(|pair| pair.is_chosen);
        let is_break = |change: &Change| change.breaks_writers || change.breaks_readers;
        if is_chosen && self.changes[changes..].iter().any(is_break) {
            self.untold(at, "a choice that leads back here");
        }
        let leans_on_parts = from.leans_on_parts() || to.leans_on_parts();
        let has_changed = self.changes.len() > changes;
        if (leans_on_parts && has_changed) || from.leans_otherwise(&to) {
            self.untold(at, "what its parts leave over");
        }
        // What was cut short leans on what is still under way.
        if (self.changes.len(), self.cuts) == (changes, cuts) {
            self.known.insert(name);
        }
    }

    fn definitions_differ(&self) -> bool {
        let differ = |key| self.old_root.get(key) != self.new_root.get(key);
        differ("$defs") || differ("definitions")
    }

    /// The schema of a field or of an item: a value of its own.
    fn within(&mut self, old: &'s Value, new: &'s Value, at: &str, depth: usize) {
        let in_part = mem::take(&mut self.in_part);
        self.schemas(old, new, at, depth + 1);
        self.in_part = in_part;
    }

    /// `type`.
    fn kinds(&mut self, old: &Side<'s>, new: &Side<'s>, at: &str) {
        let [draft, _] = self.drafts;
        let (from, to) = match (old.values(), new.values()) {
            (Some(from), Some(to)) => {
                let mut values = from.iter().chain(&to);
                if !values.any(|value| may_be_integer(value, draft)) {
                    // The values say all of it.
                    return;
                }
                (old.declared(), new.declared())
            }
            _ => (old.kinds(), new.kinds()),
        };
        let breaks = Breaks::of(!to.cover(from), !from.cover(to));
        if breaks != Breaks::Nobody {
            self.put(
                &format!("{at}/type"),
                breaks,
                format!("was {from}, is {to}"),
            );
        }
    }

    /// `enum`, `const`, and a choice of those.
    fn values(&mut self, old: &Side<'s>, new: &Side<'s>, at: &str) {
        let (from, to) = (old.values(), new.values());
        match (from, to) {
            (None, None) => {}
            (None, Some(_)) => self.put(at, Breaks::Writers, "allows certain values only now"),
            (Some(_), None) => self.put(at, Breaks::Readers, "allows any value now"),
            (Some(from), Some(to)) => {
                let has = |all: &[&Value], value| all.iter().any(|one| is_same(one, value));
                for gone in from.iter().filter(|value| !has(&to, value)) {
                    let message = format!("does not allow {} any more", short(gone));
                    self.put(at, Breaks::Writers, message);
                }
                for fresh in to.iter().filter(|value| !has(&from, value)) {
                    self.put(at, Breaks::Readers, format!("allows {} now", short(fresh)));
                }
            }
        }
    }

    /// `required`, `properties` and `additionalProperties`.
    fn properties(&mut self, old: &Side<'s>, new: &Side<'s>, at: &str, depth: usize) {
        let (was, is) = (old.required(), new.required());
        for name in is.iter().filter(|name| !was.contains(name)) {
            let message = format!("the field {} is required now", short_text(name));
            self.put(&format!("{at}/required"), Breaks::Writers, message);
        }
        for name in was.iter().filter(|name| !is.contains(name)) {
            let message = format!("the field {} is not required any more", short_text(name));
            self.put(&format!("{at}/required"), Breaks::Readers, message);
        }
        let by_pattern = [old, new].map(|side| side.get("patternProperties"));
        let by_pattern = by_pattern.iter().any(Option::is_some);
        let place = |name: &str| format!("{at}/properties/{}", escaped(name));
        for (name, from) in old.properties() {
            match (new.property(name), new.others()) {
                (Some(to), _) => self.within(from, to, &place(name), depth),
                (None, None) => {
                    self.put(&place(name), Breaks::Readers, "is said nothing of any more");
                }
                (None, Some(_)) if by_pattern => self.untold(&place(name), "what a pattern leaves"),
                (None, Some(others)) => self.within(from, others, &place(name), depth),
            }
        }
        for (name, to) in new.properties() {
            if old.property(name).is_some() {
                continue;
            }
            match old.others() {
                _ if by_pattern && *to != ANY => self.untold(&place(name), "what a pattern leaves"),
                // Nobody could be meant to send what no contract mentioned.
                None if *to != NEVER && !self.is_mentioned(old, name) => {
                    self.put(
                        &place(name),
                        Breaks::Nobody,
                        "is a new field, of which the older version says nothing",
                    );
                }
                Some(Value::Bool(false)) => {
                    let message = "is a new field, which the older version refuses";
                    self.put(&place(name), Breaks::Readers, message);
                }
                others => self.within(others.unwrap_or(&ANY), to, &place(name), depth),
            }
        }
        let key = match old
            .get("unevaluatedProperties")
            .or(new.get("unevaluatedProperties"))
        {
            Some(_) => "unevaluatedProperties",
            None => "additionalProperties",
        };
        let place = format!("{at}/{key}");
        self.within(old.others_or_any(), new.others_or_any(), &place, depth);
    }

    /// Whether a field is meant by anything but `properties`: then it is none that nobody sends.
    fn is_mentioned(&self, old: &Side<'s>, name: &str) -> bool {
        let leads_on = self.in_part || old.asides().any(|aside| schema::refers(Some(aside)));
        old.required().contains(&name)
            || old.values().is_some()
            || old.asides().any(|aside| schema::mentions(aside, name))
            || (leads_on && schema::mentions(self.old_root, name))
    }

    /// `items`, parts and everything else.
    fn rest(&mut self, old: &Side<'s>, new: &Side<'s>, at: &str, depth: usize) {
        let (from, to) = (old.sub("items"), new.sub("items"));
        let place = format!("{at}/items");
        // Before 2020-12, a list has a schema for each of the first items.
        match from.is_array() || to.is_array() {
            true if from != to || schema::refers(Some(from)) => self.untold(&place, "`items`"),
            true => {}
            false => self.within(from, to, &place, depth),
        }
        for key in ["allOf", "anyOf", "oneOf"] {
            let is_choice = |side: &Side<'_>| key != "allOf" && side.is_choice_of_values(key);
            let is_told = |side: &Side<'_>| side.get(key).is_none() || is_choice(side);
            if is_told(old) && is_told(new) {
                continue;
            }
            self.parts(old.get(key), new.get(key), &format!("{at}/{key}"), depth);
        }
        for key in old.untold(new) {
            let place = format!("{at}/{key}");
            match (old.get(key), new.get(key)) {
                (Some(_), None) if old.only_asks(key, new) => {
                    self.put(&place, Breaks::Readers, "is not asked for any more");
                }
                (None, Some(_)) if new.only_asks(key, old) => {
                    self.put(&place, Breaks::Writers, "is asked for now");
                }
                (from, to) if from != to || schema::refers(from) => {
                    self.untold(&place, &format!("`{key}`"));
                }
                _ => {}
            }
        }
    }

    fn parts(&mut self, old: Option<&'s Value>, new: Option<&'s Value>, at: &str, depth: usize) {
        let list = |value: Option<&'s Value>| value.and_then(Value::as_array);
        match (list(old), list(new)) {
            (Some(_), None) if new.is_none() => {
                self.put(at, Breaks::Readers, "is not asked for any more");
            }
            (None, Some(_)) if old.is_none() => self.put(at, Breaks::Writers, "is asked for now"),
            (None, None) if old == new => {}
            (Some(from), Some(to)) if from.len() == to.len() => {
                let before = self.changes.len();
                let is_choice = at.ends_with("/oneOf");
                self.choices += usize::from(is_choice);
                let in_part = mem::replace(&mut self.in_part, true);
                for (index, (from, to)) in from.iter().zip(to).enumerate() {
                    self.schemas(from, to, &format!("{at}/{index}"), depth + 1);
                }
                self.in_part = in_part;
                self.choices -= usize::from(is_choice);
                // Where exactly one must fit, one that fits more often may be one too many.
                if is_choice {
                    for change in &mut self.changes[before..] {
                        let breaks = change.breaks_writers || change.breaks_readers;
                        (change.breaks_writers, change.breaks_readers) = (breaks, breaks);
                    }
                }
            }
            (Some(from), Some(to)) if !schema::refers(old) && !schema::refers(new) => {
                let has_all =
                    |some: &[Value], all: &[Value]| some.iter().all(|one| all.contains(one));
                let (is_fewer, is_more) = (has_all(to, from), has_all(from, to));
                // More to choose from is wider, more to fit at once is narrower.
                match at.rsplit('/').next() {
                    Some("allOf") if is_fewer => self.put(at, Breaks::Readers, "asks for less"),
                    Some("allOf") if is_more => self.put(at, Breaks::Writers, "asks for more"),
                    Some("anyOf") if is_more => self.put(at, Breaks::Readers, "allows more"),
                    Some("anyOf") if is_fewer => self.put(at, Breaks::Writers, "allows less"),
                    _ => self.untold(at, "a choice between schemas"),
                }
            }
            _ => self.untold(at, "a choice between schemas"),
        }
    }

    /// A change whose meaning is not known.
    fn untold(&mut self, at: &str, what: &str) {
        let message = format!("{what} has changed; what that means cannot be told");
        self.put(at, Breaks::Both, message);
    }

    fn put(&mut self, at: &str, breaks: Breaks, message: impl Into<String>) {
        if self.changes.len() >= MAX_CHANGES {
            return;
        }
        // What comes behind the last is not looked at.
        let (breaks, message) = match self.changes.len() + 1 == MAX_CHANGES {
            true => (
                Breaks::Both,
                "and what follows has changed too much to be compared".into(),
            ),
            false => (breaks, message.into()),
        };
        self.changes.push(Change {
            pointer: at.to_owned(),
            message,
            breaks_writers: matches!(breaks, Breaks::Writers | Breaks::Both),
            breaks_readers: matches!(breaks, Breaks::Readers | Breaks::Both),
        });
    }
}

impl Breaks {
    fn of(writers: bool, readers: bool) -> Self {
        match (writers, readers) {
            (false, false) => Self::Nobody,
            (true, false) => Self::Writers,
            (false, true) => Self::Readers,
            (true, true) => Self::Both,
        }
    }
}

fn short(value: &Value) -> String {
    match value {
        Value::String(text) => short_text(text),
        other => crate::admission::quoted(&other.to_string()),
    }
}

fn short_text(text: &str) -> String {
    crate::admission::quoted(text)
}

#[cfg(test)]
mod tests;
