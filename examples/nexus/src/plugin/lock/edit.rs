//! Hashes as TOML: receives a configuration's text, hands it on with other hashes in it and everything else as it was.

use std::collections::BTreeMap;

use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::Locked;

/// The sections alone, for whoever puts them into the configuration by hand.
pub(super) fn lines(locked: &BTreeMap<String, Locked>) -> String {
    let sections = locked.iter().map(|(section, locked)| {
        let section = toml_edit::Key::new(section);
        let hashes = hashes(locked);
        format!("[plugins.{section}]\nsha256 = {hashes}")
    });
    sections.collect::<Vec<_>>().join("\n\n")
}

/// The whole text with these hashes.
///
/// # Errors
/// When it cannot be changed without changing what else it says.
pub(super) fn with_hashes(text: &str, locked: &BTreeMap<String, Locked>) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error| format!("{error}"))?;
    let by_hand = || "its `plugins` cannot be edited; put the lines there by hand".to_owned();
    let plugins = document.entry("plugins").or_insert_with(|| {
        let mut plugins = Table::new();
        plugins.set_implicit(true);
        Item::Table(plugins)
    });
    let is_inline = plugins.is_inline_table();
    let plugins = plugins.as_table_like_mut().ok_or_else(by_hand)?;
    for (section, locked) in locked.iter().filter(|(_, locked)| locked.is_new()) {
        let fresh = match is_inline {
            true => Item::Value(Value::InlineTable(InlineTable::new())),
            false => Item::Table(Table::new()),
        };
        let section = plugins.entry(section).or_insert(fresh);
        put(
            section.as_table_like_mut().ok_or_else(by_hand)?,
            hashes(locked),
        );
    }
    let edited = document.to_string();
    if says(&edited, locked) {
        Ok(edited)
    } else {
        Err(by_hand())
    }
}

/// A comment behind the old hashes stays behind the new ones.
fn put(section: &mut dyn TableLike, mut hashes: Value) {
    let before = section.get("sha256").and_then(Item::as_value);
    if let Some(before) = before {
        *hashes.decor_mut() = before.decor().clone();
    }
    section.insert("sha256", Item::Value(hashes));
}

fn hashes(locked: &Locked) -> Value {
    match locked.sha256.as_slice() {
        [one] => Value::from(one.as_str()),
        several => Value::Array(several.iter().map(String::as_str).collect::<Array>()),
    }
}

/// Whether a text is a configuration with these hashes.
fn says(text: &str, locked: &BTreeMap<String, Locked>) -> bool {
    let Ok(document) = text.parse::<toml::Table>() else {
        return false;
    };
    locked.iter().all(|(section, locked)| {
        let plugins = document.get("plugins");
        let written = plugins.and_then(|plugins| plugins.get(section)?.get("sha256"));
        let written: Vec<&str> = match written {
            Some(toml::Value::String(one)) => vec![one],
            Some(toml::Value::Array(many)) => many.iter().filter_map(toml::Value::as_str).collect(),
            _ => Vec::new(),
        };
        let same = |(one, other): (&&str, &String)| one.eq_ignore_ascii_case(other);
        written.len() == locked.sha256.len() && written.iter().zip(&locked.sha256).all(same)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(section: &str, sha256: &[&str]) -> BTreeMap<String, Locked> {
        let sha256 = sha256.iter().map(|&hash| hash.to_owned()).collect();
        let before = Vec::new();
        BTreeMap::from([(section.to_owned(), Locked { sha256, before })])
    }

    #[test]
    fn hashes_are_put_where_they_belong_and_the_rest_stays() {
        for (text, expected) in [
            ("", "[plugins.a]\nsha256 = \"1\"\n"),
            (
                "# mine\n[queue]\ncapacity = 5 # five\n",
                "# mine\n[queue]\ncapacity = 5 # five\n\n[plugins.a]\nsha256 = \"1\"\n",
            ),
            (
                "[plugins]\ndir = \"x\"\n\n[plugins.a] # why\nrequired = true\n\n[plugins.b]\n",
                "[plugins]\ndir = \"x\"\n\n[plugins.a] # why\nrequired = true\nsha256 = \"1\"\n\n[plugins.b]\n",
            ),
            (
                "[plugins.a]\nsha256 = [\"8\",\n\"9\"] # old\nrequired = true\n",
                "[plugins.a]\nsha256 = \"1\" # old\nrequired = true\n",
            ),
            (
                "plugins.dir = \"x\"\nplugins.a.required = true\n",
                "plugins.dir = \"x\"\nplugins.a.required = true\nplugins.a.sha256 = \"1\"\n",
            ),
            (
                "plugins = { dir = \"x\" }\n",
                "plugins = { dir = \"x\" , a = { sha256 = \"1\" } }\n",
            ),
            (
                "[plugins]\na = { required = true } # why\n",
                "[plugins]\na = { required = true , sha256 = \"1\" } # why\n",
            ),
        ] {
            let edited = with_hashes(text, &locked("a", &["1"])).unwrap();
            assert_eq!(edited, expected);
        }
    }

    #[test]
    fn several_are_a_list() {
        let several = locked("a", &["1", "2"]);
        assert_eq!(lines(&several), "[plugins.a]\nsha256 = [\"1\", \"2\"]");
        let edited = with_hashes("", &several).unwrap();
        assert_eq!(edited, "[plugins.a]\nsha256 = [\"1\", \"2\"]\n");
    }

    #[test]
    fn what_cannot_be_edited_is_left_alone() {
        for text in ["plugins = 5", "[[plugins]]\na = 1", "plugins.a = 5", "plu"] {
            assert!(with_hashes(text, &locked("a", &["1"])).is_err(), "{text}");
        }
    }
}
