//! The template of a plugin: receives a name and an SDK, hands on the files of a crate.
//!
//! The template is a real plugin, `greeter`, in `examples/plugin-template`: it builds and its tests
//! pass as it lies there. Here its name and its dependencies on the SDK are replaced.

use super::sdk::Sdk;

/// The template's files, by their path in the new crate. (`.gitignore` has another name in the
/// template, where it must not ignore anything.)
const FILES: [(&str, &str); 6] = [
    (
        "Cargo.toml",
        include_str!("../../../plugin-template/Cargo.toml"),
    ),
    (
        "src/lib.rs",
        include_str!("../../../plugin-template/src/lib.rs"),
    ),
    (
        "tests/in_hub.rs",
        include_str!("../../../plugin-template/tests/in_hub.rs"),
    ),
    (
        "nexus.toml",
        include_str!("../../../plugin-template/nexus.toml"),
    ),
    (
        "README.md",
        include_str!("../../../plugin-template/README.md"),
    ),
    (
        ".gitignore",
        include_str!("../../../plugin-template/gitignore"),
    ),
];

/// The dependencies on the SDK, as the template's own manifest writes them.
const SDK_LINE: &str = "nexus-plugin-api = { path = \"../../nexus-plugin-api\" }";
const TESTKIT_LINE: &str = "nexus-plugin-testkit = { path = \"../../nexus-plugin-api/testkit\" }";

/// The files of a new plugin, by their path in its folder.
pub(crate) fn files(name: &str, sdk: &Sdk) -> Vec<(&'static str, String)> {
    let fill = |(path, text): (&'static str, &str)| {
        let named = rename(text, name);
        let text = named
            .replace(SDK_LINE, &sdk.dependency())
            .replace(TESTKIT_LINE, &sdk.testkit());
        (path, text)
    };
    FILES.into_iter().map(fill).collect()
}

/// The file name of the built library.
pub(crate) fn library(name: &str) -> String {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    format!("{DLL_PREFIX}{}{DLL_SUFFIX}", crate_name(name))
}

/// The name that Rust code calls the crate by.
fn crate_name(name: &str) -> String {
    name.replace('-', "_")
}

fn rename(text: &str, name: &str) -> String {
    let crate_name = crate_name(name);
    text.replace("libgreeter.so", &library(name))
        .replace("greeter::", &format!("{crate_name}::"))
        .replace("greeter", name)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn file(files: &[(&str, String)], path: &str) -> String {
        let (_, text) = files.iter().find(|(found, _)| *found == path).unwrap();
        text.clone()
    }

    #[test]
    fn the_name_and_the_sdk_are_in_their_places_and_nothing_else_is_left() {
        let sdk = Sdk::Sources(PathBuf::from("/src/nexus-plugin-api"));
        let files = files("door-bell", &sdk);
        for (path, text) in &files {
            assert!(!text.to_lowercase().contains("greeter"), "{path}:\n{text}");
            assert!(!text.contains("../../nexus-plugin-api"), "{path}:\n{text}");
        }
        let manifest: toml::Table = file(&files, "Cargo.toml").parse().unwrap();
        assert_eq!(manifest["package"]["name"].as_str(), Some("door-bell"));
        assert_eq!(
            manifest["dependencies"]["nexus-plugin-api"]["path"].as_str(),
            Some("/src/nexus-plugin-api")
        );
        let path = &manifest["dev-dependencies"]["nexus-plugin-testkit"]["path"];
        assert!(path.as_str().unwrap().ends_with("testkit"));
        assert!(manifest.contains_key("workspace"));
        assert!(file(&files, "src/lib.rs").contains("id: \"door-bell\""));
        assert!(file(&files, "tests/in_hub.rs").contains("door_bell::plugin()"));
        assert!(file(&files, "README.md").contains(&library("door-bell")));
    }

    #[test]
    fn the_written_configuration_is_one() {
        let files = files("door-bell", &Sdk::Published);
        let text = file(&files, "nexus.toml");
        let config = nexus_host::config::Config::from_toml_str(&text).unwrap();
        assert!(config.plugin_names().any(|name| name == "door-bell"));
        let manifest = file(&files, "Cargo.toml");
        let manifest: toml::Table = manifest.parse().unwrap();
        assert!(manifest["dependencies"]["nexus-plugin-api"].is_str());
    }
}
