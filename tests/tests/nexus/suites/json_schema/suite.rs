//! The suite as it lies in its folder: receives a draft, hands on its groups and the schemas of their
//! contracts.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A version of JSON Schema.
pub struct Draft {
    /// The folder of its tests.
    pub name: &'static str,
    /// What `$schema` says of it.
    schema: &'static str,
    /// The keyword by which a schema is named.
    id: &'static str,
    /// The keyword under which schemas are kept for others to refer to.
    kept: &'static str,
    /// Whether keywords beside a `$ref` count.
    beside_ref: bool,
}

const fn old(name: &'static str, schema: &'static str, id: &'static str) -> Draft {
    Draft {
        name,
        schema,
        id,
        kept: "definitions",
        beside_ref: false,
    }
}

const fn new(name: &'static str, schema: &'static str) -> Draft {
    Draft {
        name,
        schema,
        id: "$id",
        kept: "$defs",
        beside_ref: true,
    }
}

/// Those that contracts may be written in.
pub const DRAFTS: [Draft; 5] = [
    new(
        "draft2020-12",
        "https://json-schema.org/draft/2020-12/schema",
    ),
    new(
        "draft2019-09",
        "https://json-schema.org/draft/2019-09/schema",
    ),
    old("draft7", "http://json-schema.org/draft-07/schema#", "$id"),
    old("draft6", "http://json-schema.org/draft-06/schema#", "$id"),
    old("draft4", "http://json-schema.org/draft-04/schema#", "id"),
];

/// Where the suite expects its documents to be served.
const SERVED: &str = "http://localhost:1234/";

#[derive(Deserialize)]
struct Written {
    description: String,
    schema: Value,
    tests: Vec<Test>,
}

#[derive(Deserialize)]
pub struct Test {
    pub description: String,
    pub data: Value,
    pub valid: bool,
}

/// A schema and the instances that are held against it.
pub struct Group {
    number: usize,
    /// The file, such as `optional/format/uuid`.
    pub file: String,
    pub description: String,
    schema: Value,
    pub tests: Vec<Test>,
}

impl Group {
    pub fn event_type(&self, kind: &str) -> String {
        format!("suite.{kind}.g{}", self.number)
    }
}

pub struct Suite(PathBuf);

impl Suite {
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Every group of a draft, the optional ones included.
    pub fn groups(&self, draft: &Draft) -> Vec<Group> {
        let folder = self.0.join("tests").join(draft.name);
        let mut groups = Vec::new();
        for path in files(&folder) {
            let file = name(&folder, &path).trim_end_matches(".json").to_owned();
            let written: Vec<Written> = read(&path);
            for one in written {
                groups.push(Group {
                    number: groups.len(),
                    file: file.clone(),
                    description: one.description,
                    schema: one.schema,
                    tests: one.tests,
                });
            }
        }
        groups
    }

    /// The schema of a group, for payloads that are its instances.
    pub fn whole(&self, draft: &Draft, group: &Group) -> Value {
        let Value::Object(mut schema) = group.schema.clone() else {
            return group.schema.clone();
        };
        schema.entry("$schema").or_insert(json!(draft.schema));
        if refers_elsewhere(&group.schema) {
            if !draft.beside_ref {
                stand_beside(&mut schema);
            }
            self.bring_along(draft, &mut schema);
        }
        Value::Object(schema)
    }

    /// The schema of a group, for payloads whose member `it` is its instance.
    pub fn member(&self, draft: &Draft, group: &Group) -> Value {
        let mut whole = json!({ "$schema": draft.schema, "type": "object", "required": ["it"] });
        let mut schema = group.schema.clone();
        if let Value::Object(schema) = &mut schema {
            if !draft.beside_ref {
                stand_beside(schema);
            }
            // A resource of its own, so that `#` is its root as before.
            let id = format!("https://suite.test/{}", group.number);
            schema.entry(draft.id).or_insert(json!(id));
        }
        whole["properties"] = json!({ "it": schema });
        if let (true, Value::Object(whole)) = (refers_elsewhere(&group.schema), &mut whole) {
            self.bring_along(draft, whole);
        }
        whole
    }

    /// Puts the documents that the suite serves into a schema, each under the address where it is served.
    fn bring_along(&self, draft: &Draft, schema: &mut Map<String, Value>) {
        let folder = self.0.join("remotes");
        let text = json!(schema).to_string();
        let kept = schema.entry(draft.kept).or_insert(json!({}));
        for path in files(&folder) {
            let at = name(&folder, &path);
            let address = format!("{SERVED}{at}");
            let mut document: Value = read(&path);
            let is_wanted = match at.split_once('/') {
                Some((of, _)) if of.starts_with("draft") => {
                    of == draft.name || text.contains(&address)
                }
                _ => draft.knows(&document),
            };
            if !is_wanted {
                continue;
            }
            if let Value::Object(document) = &mut document {
                let id = document.entry(draft.id).or_insert(json!(address));
                if *id != address {
                    // It has another name of its own, so that one stands where it is served.
                    kept[format!("{at} by its name")] =
                        json!({ (draft.id): address, "allOf": [{ "$ref": id }] });
                }
            }
            kept[at] = document;
        }
    }
}

impl Draft {
    /// Whether a document is written in keywords that there were by then.
    fn knows(&self, document: &Value) -> bool {
        let text = document.to_string();
        let is_newer = ["$defs", "$dynamic", "json-schema.org/draft/20"];
        self.beside_ref || !is_newer.iter().any(|keyword| text.contains(keyword))
    }
}

fn refers_elsewhere(schema: &Value) -> bool {
    schema.to_string().contains(SERVED)
}

/// Before 2019-09 nothing counts beside a `$ref`, not even the schema's name: puts it a step down.
fn stand_beside(schema: &mut Map<String, Value>) {
    if let Some(reference) = schema.remove("$ref") {
        schema.retain(|key, _| matches!(&**key, "$schema" | "definitions" | "$defs"));
        schema.insert("allOf".to_owned(), json!([{ "$ref": reference }]));
    }
}

/// The JSON files below a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let below = paths.into_iter().flat_map(|path| match path.is_dir() {
        true => files(&path),
        false => vec![path],
    });
    below
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect()
}

fn name(folder: &Path, path: &Path) -> String {
    let parts = path.strip_prefix(folder).unwrap().components();
    let parts: Vec<_> = parts
        .map(|part| part.as_os_str().to_str().unwrap())
        .collect();
    parts.join("/")
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> T {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
