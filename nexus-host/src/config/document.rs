//! The merged configuration before it becomes types: receives one tree per layer, hands on one tree
//! in which every value still knows where it was written. It never knows what a key means.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde_json::Value;

use super::key::{KeyPath, Step};
use super::problem::{Place, Problem};
use super::schema;
use super::secret::{Reference, Secret};

/// One value and where it was written.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) content: Content,
}

/// What a [`Node`] holds.
#[derive(Clone)]
pub(crate) enum Content {
    Table(BTreeMap<String, Node>),
    List(Vec<Node>),
    /// A scalar; `text` is how a variable spelled it, whose type is only a guess until a schema is
    /// known.
    Scalar {
        value: Value,
        text: Option<String>,
    },
    Reference(Reference),
}

/// Which form of a secret's reference goes into the JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secrets {
    /// `{ env = "NAME" }`, as written.
    AsWritten,
    /// The secret itself.
    Resolved,
}

impl Node {
    pub(crate) fn empty_table(place: Place) -> Self {
        Self {
            place,
            content: Content::Table(BTreeMap::new()),
        }
    }

    /// Lays another layer over this one: tables merge, everything else is replaced.
    pub(crate) fn merge(&mut self, over: Self) {
        match (&mut self.content, over.content) {
            (Content::Table(under), Content::Table(entries)) => {
                for (key, node) in entries {
                    match under.get_mut(&key) {
                        Some(existing) => existing.merge(node),
                        None => drop(under.insert(key, node)),
                    }
                }
            }
            (_, content) => {
                *self = Self {
                    place: over.place,
                    content,
                };
            }
        }
    }

    pub(crate) fn entries(&self) -> Option<&BTreeMap<String, Self>> {
        match &self.content {
            Content::Table(entries) => Some(entries),
            _ => None,
        }
    }

    fn child(&self, step: &Step) -> Option<&Self> {
        match (&self.content, step) {
            (Content::Table(entries), Step::Key(key)) => entries.get(key),
            (Content::List(items), Step::Index(index)) => items.get(*index),
            _ => None,
        }
    }

    /// The path that names lead along; a number is an index where there is a list.
    pub(crate) fn path(&self, names: &[&str]) -> KeyPath {
        let mut node = Some(self);
        names.iter().fold(KeyPath::root(), |path, name| {
            let index = match node.map(|node| &node.content) {
                Some(Content::List(_)) => name.parse().ok(),
                _ => None,
            };
            let step = index.map_or_else(|| Step::Key((*name).to_owned()), Step::Index);
            node = node.and_then(|node| node.child(&step));
            path.step(step)
        })
    }

    pub(crate) fn find(&self, path: &KeyPath) -> Option<&Self> {
        path.steps()
            .iter()
            .try_fold(self, |node, step| node.child(step))
    }

    pub(crate) fn find_mut(&mut self, path: &KeyPath) -> Option<&mut Self> {
        path.steps()
            .iter()
            .try_fold(self, |node, step| match (&mut node.content, step) {
                (Content::Table(entries), Step::Key(key)) => entries.get_mut(key),
                (Content::List(items), Step::Index(index)) => items.get_mut(*index),
                _ => None,
            })
    }

    /// Where the value is written, or the nearest value round it.
    pub(crate) fn nearest_place(&self, path: &KeyPath) -> Place {
        let mut node = self;
        for step in path.steps() {
            match node.child(step) {
                Some(child) => node = child,
                None => break,
            }
        }
        node.place.clone()
    }

    /// Takes a value out of the table that holds it.
    pub(crate) fn remove(&mut self, path: &KeyPath) -> bool {
        let Some((Step::Key(key), above)) = path.steps().split_last() else {
            return false;
        };
        let mut node = self;
        for step in above {
            node = match (&mut node.content, step) {
                (Content::Table(entries), Step::Key(key)) => match entries.get_mut(key) {
                    Some(child) => child,
                    None => return false,
                },
                (Content::List(items), Step::Index(index)) => match items.get_mut(*index) {
                    Some(child) => child,
                    None => return false,
                },
                _ => return false,
            };
        }
        match &mut node.content {
            Content::Table(entries) => entries.remove(key).is_some(),
            _ => false,
        }
    }

    /// Every secret that is referred to below.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        match &self.content {
            Content::Table(entries) => entries.values().flat_map(Self::secrets).collect(),
            Content::List(items) => items.iter().flat_map(Self::secrets).collect(),
            Content::Scalar { .. } => Vec::new(),
            Content::Reference(reference) => reference.secret().cloned().into_iter().collect(),
        }
    }

    /// Whether it holds a reference to a secret that was not looked up.
    pub(crate) fn holds_unread(&self) -> bool {
        match &self.content {
            Content::Table(entries) => entries.values().any(Self::holds_unread),
            Content::List(items) => items.iter().any(Self::holds_unread),
            Content::Scalar { .. } => false,
            Content::Reference(reference) => reference.secret().is_none(),
        }
    }

    pub(crate) fn to_json(&self, secrets: Secrets) -> Value {
        match &self.content {
            Content::Table(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, node)| (key.clone(), node.to_json(secrets)))
                    .collect(),
            ),
            Content::List(items) => {
                Value::Array(items.iter().map(|node| node.to_json(secrets)).collect())
            }
            Content::Scalar { value, .. } => value.clone(),
            Content::Reference(reference) => reference.to_json(secrets),
        }
    }
}

/// The merged configuration with the origin of every value.
///
/// It keeps what a typed [`Config`](super::Config) cannot: where a plugin's own settings, whose
/// schema only the plugin knows, were written.
#[derive(Clone)]
pub struct Document {
    pub(super) root: Node,
}

impl Document {
    /// Where a value was written, or the nearest table round it. `at` is its path: keys, and
    /// numbers for places in a list.
    pub fn place(&self, at: &[&str]) -> Place {
        self.root.nearest_place(&self.root.path(at))
    }

    /// Whether a value is written there, rather than defaulted.
    pub fn is_written(&self, at: &[&str]) -> bool {
        self.root.find(&self.root.path(at)).is_some()
    }

    /// Checks the value at `at` against a JSON Schema and tells every mistake at its place; a value
    /// that is not written counts as an empty table. String values under `[[clients]]` and
    /// `[plugins.NAME]` are never shown.
    pub fn check_against(&self, schema: &Value, at: &[&str]) -> Vec<Problem> {
        let base = self.root.path(at);
        let value = match self.root.find(&base) {
            Some(node) => node.to_json(Secrets::Resolved),
            None => Value::Object(serde_json::Map::new()),
        };
        self.problems(schema::check_with(schema, &value, &base))
    }

    pub(crate) fn problems(&self, findings: Vec<schema::Finding>) -> Vec<Problem> {
        let mut problems: Vec<Problem> = findings
            .into_iter()
            .map(|finding| Problem {
                place: self.root.nearest_place(&finding.path),
                key: finding.path.to_string(),
                message: finding.message,
                help: finding.help,
            })
            .collect();
        problems.sort();
        problems
    }

    pub(crate) fn from_file(path: &Path) -> Self {
        Self {
            root: Node::empty_table(Place::File {
                path: path.into(),
                position: None,
            }),
        }
    }
}

impl Default for Document {
    fn default() -> Self {
        Self {
            root: Node::empty_table(Place::Unwritten),
        }
    }
}

/// Shows no value: any of them may be a secret.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sections = self.root.entries().map(|entries| entries.keys());
        f.debug_struct("Document")
            .field(
                "sections",
                &sections.into_iter().flatten().collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}
