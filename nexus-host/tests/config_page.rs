//! The page docs/config.md: its reference is the configuration's own schema, and what a key's
//! description says of the default is what the code does.
//!
//! `UPDATE_DOCS=1 cargo test -p nexus-host --test config_page` writes the page anew.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "shared/page.rs"]
mod page;

use std::fmt::Write as _;

use nexus_host::config::{Config, HumanDuration};
use nexus_host::plugins::config::PluginConfig;
use serde_json::Value;

/// Sections in the order of the page; what is not named here follows in alphabetical order.
const ORDER: [&str; 15] = [
    "server", "clients", "issuers", "rules", "webhooks", "routes", "limits", "queue", "dispatch",
    "retry", "breaker", "shutdown", "observe", "outgoing", "plugins",
];

#[test]
fn the_page_is_the_schema() {
    page::expect_part("config.md", "config_page", &reference());
}

#[test]
fn descriptions_name_the_real_defaults() {
    let root = Config::json_schema();
    let defaults = serde_json::to_value(Config::default()).unwrap();
    let mut wrong = Vec::new();
    for (section, values) in defaults.as_object().unwrap() {
        let schema = resolve(root, &root["properties"][section]);
        wrong.extend(unnamed_defaults(section, schema, values));
    }
    let plugin = resolve(
        root,
        &resolve(root, &root["properties"]["plugins"])["additionalProperties"],
    );
    let values = serde_json::to_value(PluginConfig::default()).unwrap();
    wrong.extend(unnamed_defaults("plugins.NAME", plugin, &values));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The keys whose description does not name their default.
fn unnamed_defaults(section: &str, schema: &Value, values: &Value) -> Vec<String> {
    let named = |key: &String, value: &Value| {
        let said = schema["properties"][key]["description"]
            .as_str()
            .unwrap_or_default();
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let value = match value {
            Value::Array(items) if items.is_empty() => return said.contains("efault "),
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(Value::to_string).collect();
                format!("[{}]", items.join(", "))
            }
            // As spelt, or as it is normalised: "60s" is "1m".
            Value::String(text) => return said_default(&said).is_some_and(|told| same(told, text)),
            other => other.to_string(),
        };
        said.contains(&format!("efault {value}"))
    };
    let scalars = values.as_object().into_iter().flatten();
    scalars
        .filter(|(_, value)| !value.is_object() && !value.is_null())
        .filter(|(key, value)| !named(key, value))
        .map(|(key, value)| format!("[{section}] {key}: default {value} is not in its description"))
        .collect()
}

/// What stands in quotes after the word "default".
fn said_default(said: &str) -> Option<&str> {
    let (_, told) = said.split_once("efault \"")?;
    Some(told.split_once('"')?.0)
}

fn same(told: &str, real: &str) -> bool {
    let duration = |text: &str| text.parse::<HumanDuration>().ok();
    told == real || duration(told).is_some_and(|told| Some(told) == duration(real))
}

fn reference() -> String {
    let root = Config::json_schema();
    let sections = root["properties"].as_object().unwrap();
    let place = |name: &str| ORDER.iter().position(|known| *known == name);
    let mut names: Vec<&String> = sections.keys().collect();
    names.sort_by_key(|name| (place(name).unwrap_or(ORDER.len()), name.as_str()));
    let mut page = String::new();
    for name in names {
        let listed = &sections[name];
        let about = text(listed);
        let schema = resolve(root, listed);
        if schema["type"] == "array" {
            let each = resolve(root, &schema["items"]);
            table(&mut page, &format!("[[{name}]]"), &text(each), each);
            parts(&mut page, name, each);
            continue;
        }
        table(&mut page, &format!("[{name}]"), &about, schema);
        parts(&mut page, name, schema);
        let each = resolve(root, &schema["additionalProperties"]);
        if each["properties"].is_object() {
            table(&mut page, &format!("[{name}.NAME]"), &text(each), each);
        }
    }
    page
}

/// The tables within a table, and those within them.
fn parts(page: &mut String, name: &str, schema: &Value) {
    let root = Config::json_schema();
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        let name = format!("{name}.{key}");
        let part = there(root, property);
        let each = resolve(root, &part["items"]);
        if is_table(part) {
            table(page, &format!("[{name}]"), &text(part), part);
            parts(page, &name, part);
        } else if is_table(each) {
            table(page, &format!("[[{name}]]"), &text(each), each);
            parts(page, &name, each);
        }
    }
}

/// Whether its keys have something to be said of; those of a secret are told where it is.
fn is_table(schema: &Value) -> bool {
    let mut keys = schema["properties"].as_object().into_iter().flatten();
    keys.any(|(_, property)| !text(property).is_empty())
}

/// What a value is when it is there.
fn there<'s>(root: &'s Value, property: &'s Value) -> &'s Value {
    let choices = property["anyOf"].as_array().into_iter().flatten();
    let mut choices = choices.filter(|choice| choice["type"] != "null");
    resolve(root, choices.next().unwrap_or(property))
}

fn table(page: &mut String, heading: &str, about: &str, schema: &Value) {
    let _ = write!(
        page,
        "\n### `{heading}`\n\n{about}\n\n| key | |\n|---|---|\n"
    );
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        let must = if required.iter().any(|name| name == key) {
            " Required."
        } else {
            ""
        };
        let said = text(property).replace('|', "\\|");
        let values = values(Config::json_schema(), property);
        let _ = writeln!(page, "| `{key}` | {said}{must}{values} |");
    }
}

/// The words a key takes, where it takes no others, each with what it means.
fn values(root: &Value, property: &Value) -> String {
    let schema = resolve(root, property);
    let words = schema["oneOf"].as_array().into_iter().flatten();
    words
        .filter_map(|word| Some(format!("<br>`{}`: {}", word["const"].as_str()?, text(word))))
        .collect()
}

fn text(schema: &Value) -> String {
    let said = schema["description"].as_str().unwrap_or_default();
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(to) => root
            .pointer(to.trim_start_matches('#'))
            .unwrap_or(&Value::Null),
        None => schema,
    }
}
