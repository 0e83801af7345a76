//! `nexus plugin new`: receives a name, writes a complete plugin crate into a folder of its own.
//!
//! A folder that is there already is left as it is.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::sdk::Sdk;
use super::template;
use crate::cli::{Common, New};
use crate::failure::Failure;
use crate::output;

/// The longest name of a plugin.
const LONGEST_NAME: usize = 64;

/// Names that Rust, or one of the crates that a plugin uses, has already.
const TAKEN: [&str; 18] = [
    "alloc",
    "core",
    "hex",
    "nexus",
    "nexus-host",
    "nexus-plugin-api",
    "nexus-plugin-conformance",
    "nexus-plugin-testkit",
    "proc-macro",
    "proc_macro",
    "ring",
    "schemars",
    "serde",
    "serde_json",
    "std",
    "tempfile",
    "test",
    "tokio",
];

/// Words that no crate can be called.
const KEYWORDS: [&str; 50] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while",
];

/// Writes a new plugin.
///
/// # Errors
/// When the name is none, the folder is there already or cannot be written.
pub(crate) fn new(common: &Common, options: &New) -> Result<(), Failure> {
    let name = &options.name;
    check_name(name).map_err(|why| Failure::usage(format!("`{}` {why}", name.escape_debug())))?;
    let folder = options.dir.clone().unwrap_or_else(|| PathBuf::from(name));
    let sdk = Sdk::find(options.sdk.as_deref())?;
    let files = template::files(options.kind, name, &sdk);
    write(&folder, &files)?;
    if common.json {
        let paths: Vec<PathBuf> = files.iter().map(|(path, _)| folder.join(path)).collect();
        output::json(&json!({
            "name": name,
            "folder": folder,
            "sdk": sdk.to_string(),
            "files": paths,
            "library": template::library(name),
        }));
        return Ok(());
    }
    output::line(&format!(
        "plugin {name} written to {}, built against {sdk}",
        folder.display()
    ));
    for (path, _) in &files {
        output::line(&format!("  {path}"));
    }
    let library = template::library(name);
    output::line(&format!(
        "next:\n  cd {}\n  cargo test               # builds the hub too, the first time: some minutes\n  cargo build --release\n  \
         nexus plugin test target/release/{library}\n\
         then copy target/release/{library} into the hub's plugins folder; a hub that runs takes it up",
        folder.display()
    ));
    Ok(())
}

fn check_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(plain) {
        return Err(format!(
            "is no name for a plugin: write 1 to {LONGEST_NAME} characters of a-z, 0-9, `-` and `_`"
        ));
    }
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err("is no name for a plugin: it must start with a letter".to_owned());
    }
    if KEYWORDS.contains(&name) {
        return Err("is a word of the Rust language: choose another name".to_owned());
    }
    if TAKEN.contains(&name) || TAKEN.contains(&name.replace('_', "-").as_str()) {
        return Err("is the name of a crate that the plugin uses: choose another name".to_owned());
    }
    Ok(())
}

fn write(folder: &Path, files: &[(&str, String)]) -> Result<(), Failure> {
    let failed = |path: &Path, error: io::Error| {
        Failure::failed(format!("{} cannot be written: {error}", path.display()))
    };
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
    }
    // Fails when it is there, also when it has come about just now.
    std::fs::create_dir(folder).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::failed(format!(
            "{} is there already and was left as it is; choose another name, or another folder \
             with --dir",
            folder.display()
        )),
        _ => failed(folder, error),
    })?;
    for (path, text) in files {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
        }
        std::fs::write(&path, text).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_crate_or_plugin_can_have_are_refused() {
        for good in ["greeter", "a", "mail-2", "my_plugin", "x-"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        let long = "a".repeat(65);
        for bad in [
            "",
            "-a",
            "_a",
            "2a",
            "Greeter",
            "a b",
            "a/b",
            "..",
            "é",
            "async",
            "self",
            "serde",
            "nexus_plugin_api",
            "nexus",
            &long,
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
