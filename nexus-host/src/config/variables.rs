//! Overrides from the environment: receives the variables and what the files say, lays each
//! `NEXUS_SECTION__KEY` over it. It never reads the process environment itself, and never shows a
//! variable's value.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use serde_json::Value;

use super::document::{Content, Node};
use super::key::KeyPath;
use super::problem::{Place, Problem};
use super::schema::{self, has_type, known_keys, types};
use super::secret;
use super::source::read_literal;
use super::suggest::hint;

const PREFIX: &str = "NEXUS_";

/// How deep a variable may reach; deeper is a slip, and would be walked recursively.
const DEEPEST: usize = 32;

/// A table of free names and values, as `[plugins.NAME.config]` is.
const FREE: &Value = &Value::Bool(true);

/// Lays every override over the files' tree, and tells those that name no key.
pub(crate) fn apply(root: &mut Node, variables: &BTreeMap<String, OsString>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut setters: BTreeMap<KeyPath, &str> = BTreeMap::new();
    for (name, value) in variables {
        let Some(rest) = name.strip_prefix(PREFIX) else {
            continue;
        };
        match find(rest, root) {
            Ok(None) => {}
            Ok(Some((path, schema))) => {
                if let Some(first) = setters.insert(path.clone(), name) {
                    let message = format!("is set by {first} as well");
                    problems.push(at(name, &path, message).with_help("unset one of them"));
                } else if let Some(text) = value.to_str() {
                    let mut layer = layer(name, text, &path, schema, root);
                    secret::mark(&mut layer);
                    root.merge(layer);
                } else {
                    problems.push(at(name, &path, "is not UTF-8"));
                }
            }
            Err(mut problem) => {
                problem.place = Place::Variable(name.as_str().into());
                problems.push(problem);
            }
        }
    }
    problems
}

fn at(name: &str, path: &KeyPath, message: impl Into<String>) -> Problem {
    Problem::new(Place::Variable(name.into()), path.to_string(), message)
}

/// The key a variable names and its schema; none when the variable is somebody else's: one word
/// that is no section, as `NEXUS_ENV`, `NEXUS_KEY`, `NEXUS_LOG` and `NEXUS_CONFIG` are.
fn find(name: &str, root: &Node) -> Result<Option<(KeyPath, &'static Value)>, Problem> {
    let segments: Vec<&str> = name.split("__").collect();
    if let [only] = segments.as_slice()
        && !known_keys(&schema::ROOT).contains(&only.to_lowercase().as_str())
    {
        return single_underscore(only).map_or(Ok(None), Err);
    }
    if segments.len() > DEEPEST {
        let message = format!("is nested deeper than {DEEPEST} keys");
        return Err(Problem::new(Place::Unwritten, "", message));
    }
    let mut path = KeyPath::root();
    let mut schema: &'static Value = &schema::ROOT;
    for segment in segments {
        let written = root.find(&path).and_then(Node::entries);
        let written = written.into_iter().flat_map(|entries| entries.keys());
        (path, schema) = descend(&path, schema, segment, written)?;
    }
    Ok(Some((path, schema)))
}

/// One segment down: a known key, else a name already written, else a new name where names are free.
fn descend<'n>(
    path: &KeyPath,
    schema: &'static Value,
    segment: &str,
    written: impl Iterator<Item = &'n String>,
) -> Result<(KeyPath, &'static Value), Problem> {
    let lower = segment.to_lowercase();
    let refuse =
        |message: &str| Problem::new(Place::Unwritten, path.key(&lower).to_string(), message);
    let allowed = types(schema);
    if !allowed.is_empty() && !allowed.contains(&"object") {
        let help = if allowed.contains(&"array") {
            "a list is set as a whole, as in '[\"a\", \"b\"]'"
        } else {
            "it holds one value"
        };
        let message = format!("`{path}` has no keys");
        return Err(refuse(&message).with_help(help));
    }
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let wanted = plain(segment);
    let known = known_keys(schema);
    if let Some(key) = known.iter().find(|key| plain(key) == wanted) {
        let below = schema::of_key(schema, key).unwrap_or(FREE);
        return Ok((path.key(key), below));
    }
    let free = match schema {
        Value::Bool(_) => Some(FREE),
        schema => match schema.get("additionalProperties") {
            Some(Value::Bool(false)) => None,
            Some(below) => Some(below),
            None => Some(FREE),
        },
    };
    let Some(below) = free.filter(|_| !segment.is_empty()) else {
        let what = if path.steps().is_empty() {
            "unknown section"
        } else {
            "unknown key"
        };
        let mut problem = refuse(what);
        problem.help = hint(&lower, &known);
        return Err(problem);
    };
    let mut written = written.filter(|key| plain(key) == wanted);
    let key = written.next().map_or(lower.as_str(), String::as_str);
    Ok((path.key(key), below))
}

/// `NEXUS_QUEUE_CAPACITY` would be passed over in silence. Names of other programs that happen to
/// start like ours (`NEXUS_SERVICE_HOST` in Kubernetes) are no known key and pass.
fn single_underscore(name: &str) -> Option<Problem> {
    let lower = name.to_lowercase();
    known_keys(&schema::ROOT).into_iter().find_map(|section| {
        let key = lower.strip_prefix(section)?.strip_prefix('_')?;
        let known = known_keys(schema::of_key(&schema::ROOT, section)?);
        known.contains(&key).then(|| {
            let right = format!("{PREFIX}{section}__{key}").to_uppercase();
            Problem::new(
                Place::Unwritten,
                format!("{section}.{key}"),
                "is not set by this",
            )
            .with_help(format!("write two underscores after the section: {right}"))
        })
    })
}

/// The tree with just this one value in it.
fn layer(name: &str, text: &str, path: &KeyPath, schema: &Value, root: &Node) -> Node {
    let place = Place::Variable(name.into());
    let mut node = typed(text, schema, root.find(path), &place);
    for key in path.leading_keys().into_iter().rev() {
        node = Node {
            place: place.clone(),
            content: Content::Table(BTreeMap::from([(key.to_owned(), node)])),
        };
    }
    node
}

/// The text as the TOML literal it is, when that suits the key; else as a string. Where no type is
/// known the value it replaces says, and the text is kept for when the plugin's schema comes.
fn typed(text: &str, schema: &Value, replaced: Option<&Node>, place: &Place) -> Node {
    let allowed = types(schema);
    let was_string = matches!(
        replaced.map(|node| &node.content),
        Some(
            Content::Reference(_)
                | Content::Scalar {
                    value: Value::String(_),
                    ..
                }
        )
    );
    let literal = read_literal(text, place).filter(|node| {
        let value = node.to_json(super::document::Secrets::AsWritten);
        if allowed.is_empty() {
            !was_string || value.is_string() || value.is_object()
        } else {
            has_type(&value, &allowed)
        }
    });
    let mut node = literal.unwrap_or_else(|| Node {
        place: place.clone(),
        content: Content::Scalar {
            value: Value::String(text.to_owned()),
            text: None,
        },
    });
    if let Content::Scalar { text: kept, .. } = &mut node.content {
        *kept = Some(text.to_owned());
    }
    node
}

/// The environment's name, when one is set.
pub(crate) fn env_name(variables: &BTreeMap<String, OsString>) -> Option<&OsStr> {
    variables
        .get("NEXUS_ENV")
        .map(OsString::as_os_str)
        .filter(|name| !name.is_empty())
}
