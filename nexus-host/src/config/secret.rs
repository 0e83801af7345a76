//! Secrets that are kept out of the configuration's text: receives `{ env = "NAME" }` and
//! `{ file = "PATH" }` under a plugin's `config` and `secrets` and where else secrets stand, hands on
//! what they name. It never shows a secret, in an error or in `Debug`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer};
use serde_json::Value;

use super::document::{Content, Node, Secrets};
use super::folder::Folder;
use super::key::KeyPath;
use super::problem::Problem;
use crate::ordinary;

/// Secrets are keys and tokens; a larger file is a wrong path.
const LONGEST_BYTES: u64 = 64 * 1024;

/// Lists of tables, with the key in each that holds a secret or several.
const IN_LISTS: [(&str, &str); 3] = [
    ("clients", "hmac"),
    ("issuers", "secret"),
    ("webhooks", "secrets"),
];

/// A text that is never shown: `Debug` redacts it, and there is no `Display`.
///
/// ```
/// let secret = nexus_host::config::Secret::new("hunter2");
/// assert_eq!(format!("{secret:?}"), "Secret(..)");
/// assert_eq!(secret.expose(), "hunter2");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one who needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Reads a secret that its reference was already resolved to; a config file cannot hold one.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Exactly one of `env` (an environment variable) and `file` (a path).",
            "type": "object",
            "properties": {
                "env": { "type": "string", "minLength": 1 },
                "file": { "type": "string", "minLength": 1 },
            },
            "additionalProperties": false,
            "minProperties": 1,
            "maxProperties": 1,
        })
    }
}

/// A secret as the configuration names it, and what it turned out to be.
#[derive(Clone)]
pub(crate) struct Reference {
    source: Origin,
    secret: Option<Secret>,
}

#[derive(Clone)]
enum Origin {
    Env(String),
    File(String),
}

impl Reference {
    /// A table with the one key `env` or `file`, holding a text, is a reference.
    fn of(entries: &BTreeMap<String, Node>) -> Option<Self> {
        let (key, node) = entries.first_key_value().filter(|_| entries.len() == 1)?;
        let Content::Scalar {
            value: Value::String(name),
            ..
        } = &node.content
        else {
            return None;
        };
        let source = match key.as_str() {
            "env" => Origin::Env(name.clone()),
            "file" => Origin::File(name.clone()),
            _ => return None,
        };
        Some(Self {
            source,
            secret: None,
        })
    }

    pub(crate) fn secret(&self) -> Option<&Secret> {
        self.secret.as_ref()
    }

    pub(crate) fn to_json(&self, secrets: Secrets) -> Value {
        match (secrets, &self.secret, &self.source) {
            (Secrets::Resolved, Some(secret), _) => Value::String(secret.0.clone()),
            // Its problem is told already; an empty text spares a second one about its type.
            (Secrets::Resolved, None, _) => Value::String(String::new()),
            (Secrets::AsWritten, _, Origin::Env(name)) => serde_json::json!({ "env": name }),
            (Secrets::AsWritten, _, Origin::File(path)) => serde_json::json!({ "file": path }),
        }
    }

    fn resolve(
        &self,
        variables: &BTreeMap<String, OsString>,
        folder: &Folder,
    ) -> Result<Secret, (String, String)> {
        match &self.source {
            Origin::Env(name) => from_variable(name, variables),
            Origin::File(path) => from_file(&folder.resolve(Path::new(path))),
        }
    }
}

fn from_variable(
    name: &str,
    variables: &BTreeMap<String, OsString>,
) -> Result<Secret, (String, String)> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(plain) || name.starts_with(|c: char| c.is_ascii_digit())
    {
        // Whoever put the secret itself here must not find it in a log.
        return Err((
            "`env` does not hold the name of an environment variable".to_owned(),
            "write { env = \"NAME\" }, and the secret in that variable".to_owned(),
        ));
    }
    match variables.get(name).map(|value| value.to_str()) {
        Some(Some(text)) => Ok(Secret::new(text)),
        Some(None) => Err((
            format!("the environment variable `{name}` is not UTF-8"),
            "give the secret in a file instead".to_owned(),
        )),
        None => Err((
            format!("the environment variable `{name}` is not set"),
            "set it where the hub is started".to_owned(),
        )),
    }
}

/// The file's text without the line end that editors add.
fn from_file(path: &Path) -> Result<Secret, (String, String)> {
    let wrong = |what: String, help: &str| {
        let message = format!("the secret's file {} {what}", path.display());
        Err((message, help.to_owned()))
    };
    match ordinary::read_text(path, LONGEST_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            wrong("is over 64 KiB".to_owned(), "check the path")
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            wrong("is not UTF-8".to_owned(), "check the path")
        }
        Err(error) => wrong(
            format!("cannot be read: {error}"),
            "a relative path starts at the config file's folder",
        ),
        Ok(text) => {
            let line = text.strip_suffix('\n').unwrap_or(&text);
            Ok(Secret::new(line.strip_suffix('\r').unwrap_or(line)))
        }
    }
}

/// Turns every reference where secrets stand into one value, so that a layer
/// that names another source replaces it rather than merging with it.
pub(crate) fn mark(root: &mut Node) {
    for_each_secret_table(root, |_, table| {
        if let Content::Table(entries) = &mut table.content {
            entries.values_mut().for_each(mark_below);
        }
    });
    for_each_in_lists(root, |_, node| mark_below(node));
}

fn mark_below(node: &mut Node) {
    match &mut node.content {
        Content::Table(entries) => match Reference::of(entries) {
            Some(reference) => node.content = Content::Reference(reference),
            None => entries.values_mut().for_each(mark_below),
        },
        Content::List(items) => items.iter_mut().for_each(mark_below),
        Content::Scalar { .. } | Content::Reference(_) => {}
    }
}

/// Looks every reference up, and tells those that name nothing.
pub(crate) fn resolve(
    root: &mut Node,
    variables: &BTreeMap<String, OsString>,
    folder: &Folder,
) -> Vec<(KeyPath, Problem)> {
    let mut problems = Vec::new();
    let mut look_up = |path: &KeyPath, node: &mut Node| {
        resolve_below(
            node,
            path,
            &mut |reference: &mut Reference, place, path| match reference.resolve(variables, folder)
            {
                Ok(secret) => reference.secret = Some(secret),
                Err((message, help)) => {
                    let problem = Problem::new(place, path.to_string(), message).with_help(help);
                    problems.push((path.clone(), problem));
                }
            },
        );
    };
    for_each_secret_table(root, &mut look_up);
    for_each_in_lists(root, &mut look_up);
    problems
}

/// Where the references stand that were not looked up.
pub(crate) fn unread(root: &mut Node) -> Vec<KeyPath> {
    let mut paths = Vec::new();
    let mut look = |path: &KeyPath, node: &mut Node| {
        resolve_below(node, path, &mut |_, _, path| paths.push(path.clone()));
    };
    for_each_secret_table(root, &mut look);
    for_each_in_lists(root, &mut look);
    paths
}

fn resolve_below(
    node: &mut Node,
    path: &KeyPath,
    found: &mut impl FnMut(&mut Reference, super::Place, &KeyPath),
) {
    match &mut node.content {
        Content::Table(entries) => {
            for (key, node) in entries {
                resolve_below(node, &path.key(key), found);
            }
        }
        Content::List(items) => {
            for (index, node) in items.iter_mut().enumerate() {
                resolve_below(node, &path.index(index), found);
            }
        }
        Content::Reference(reference) => found(reference, node.place.clone(), path),
        Content::Scalar { .. } => {}
    }
}

fn for_each_secret_table(root: &mut Node, mut visit: impl FnMut(&KeyPath, &mut Node)) {
    let headers = KeyPath::root().key("observe").key("traces").key("headers");
    if let Some(table) = root.find_mut(&headers) {
        visit(&headers, table);
    }
    let path = KeyPath::root().key("plugins");
    let Some(Node {
        content: Content::Table(plugins),
        ..
    }) = root.find_mut(&path)
    else {
        return;
    };
    for (name, plugin) in plugins {
        let Content::Table(entries) = &mut plugin.content else {
            continue;
        };
        for key in ["config", "secrets"] {
            if let Some(table) = entries.get_mut(key) {
                visit(&path.key(name).key(key), table);
            }
        }
    }
}

fn for_each_in_lists(root: &mut Node, mut visit: impl FnMut(&KeyPath, &mut Node)) {
    for (list, key) in IN_LISTS {
        let path = KeyPath::root().key(list);
        let Some(Node {
            content: Content::List(items),
            ..
        }) = root.find_mut(&path)
        else {
            continue;
        };
        for (index, item) in items.iter_mut().enumerate() {
            if let Content::Table(entries) = &mut item.content
                && let Some(node) = entries.get_mut(key)
            {
                visit(&path.index(index).key(key), node);
            }
        }
    }
}
