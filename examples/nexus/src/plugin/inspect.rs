//! `nexus plugin inspect`: receives a file, prints the manifest in it. Nothing of the file is run.

use nexus_plugin_api::abi::Manifest;
use serde::Serialize;
use serde_json::Value;

use super::isolation_name;
use crate::cli::{Common, Inspect};
use crate::configuration::Origin;
use crate::failure::Failure;
use crate::output;
use crate::survey::{self, Refusal, Surveyed};

#[derive(Serialize)]
struct Inspected<'a> {
    file: String,
    sha256: Option<&'a str>,
    signed_by: Option<&'a str>,
    manifest: Option<&'a Manifest>,
    refusal: Option<&'a Refusal>,
}

/// Shows what a file says of itself, and whether a start would take it.
///
/// # Errors
/// When a start would not.
pub(crate) fn inspect(common: &Common, options: &Inspect) -> Result<(), Failure> {
    // Only for what it may say of this plugin: that it is all defaults is of no interest here.
    let config = Origin::of(common).load_without_secrets()?;
    let path = &options.file;
    let surveyed = survey::file(path, &config);
    if common.json {
        output::json(&Inspected {
            file: path.display().to_string(),
            sha256: surveyed.sha256.as_deref(),
            signed_by: surveyed.signed_by.as_deref(),
            manifest: surveyed.manifest.as_ref(),
            refusal: surveyed.refusal.as_ref(),
        });
    } else {
        let is_asked = !config.plugins.trusted_keys.is_empty();
        tell(&surveyed, is_asked);
    }
    match &surveyed.refusal {
        None => Ok(()),
        Some(_) if common.json => Err(Failure::told()),
        Some(refusal) => Err(Failure::failed(format!(
            "{} would be refused: {refusal}",
            path.display()
        ))),
    }
}

/// `is_asked`: whether signatures are looked at.
fn tell(surveyed: &Surveyed, is_asked: bool) {
    let line = |label: &str, value: &str| output::line(&format!("{label:<13} {value}"));
    line("file", &surveyed.path.display().to_string());
    if let Some(sha256) = &surveyed.sha256 {
        line("sha256", sha256);
    }
    match &surveyed.signed_by {
        Some(key) => line("signed by", key),
        None if !is_asked => line("signed by", "not looked at: no [plugins] trusted_keys"),
        None if surveyed.is_loadable => line("signed by", "nobody"),
        // The refusal says more.
        None => {}
    }
    let Some(manifest) = &surveyed.manifest else {
        return;
    };
    line("plugin", &format!("{} {}", manifest.id, manifest.version));
    if !manifest.description.is_empty() {
        line("description", &manifest.description);
    }
    line("interface", &manifest.abi);
    line("target", &manifest.target);
    line("panic", &manifest.panic);
    line("isolation", &isolation_name(surveyed.isolation));
    line("services", &list(&manifest.services));
    line("capabilities", &list(&manifest.capabilities));
    output::line("components");
    for component in &manifest.components {
        let wants = match component.subscriptions.as_slice() {
            [] => String::new(),
            subscriptions => format!(" <- {}", subscriptions.join(", ")),
        };
        output::line(&format!("  {} {}{wants}", component.kind, component.name));
    }
    settings(manifest);
}

fn settings(manifest: &Manifest) {
    let properties = manifest.config_schema["properties"].as_object();
    let Some(properties) = properties.filter(|properties| !properties.is_empty()) else {
        output::line("settings: none");
        return;
    };
    output::line(&format!("settings in [plugins.{}.config]", manifest.id));
    let required = manifest.config_schema["required"].as_array();
    for (name, schema) in properties {
        let needed = required.is_some_and(|names| names.iter().any(|one| one == name));
        let needed = if needed { ", required" } else { "" };
        let description = schema["description"].as_str().unwrap_or_default().trim();
        let description = description.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = format!("  {name} ({}{needed})  {description}", kind(schema));
        output::line(text.trim_end());
    }
}

/// What a setting holds, in a word or two.
fn kind(schema: &Value) -> String {
    if let Some(choices) = schema["enum"].as_array() {
        let choices: Vec<&str> = choices.iter().filter_map(Value::as_str).collect();
        return choices.join(" | ");
    }
    match schema["type"].as_str() {
        Some("array") => format!("list of {}", kind(&schema["items"])),
        Some("object") => "table".to_owned(),
        Some(plain) => plain.to_owned(),
        None => "any".to_owned(),
    }
}

fn list(texts: &[String]) -> String {
    match texts {
        [] => "none".to_owned(),
        texts => texts.join(", "),
    }
}
