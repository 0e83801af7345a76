//! The templates of a plugin: receives a kind, a name and an SDK, hands on the files of a crate.
//!
//! Each template is a real plugin in `examples/plugin-template`: it builds and its tests pass as it lies there.
//! Here its name and its dependencies on the SDK are replaced.

use clap::ValueEnum;

use super::sdk::Sdk;

/// What a new plugin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Decides what follows from an event
    Processor,
    /// Acts on another system
    Integration,
    /// Turns a producer's own wire into events
    Source,
}

/// One template.
struct Template {
    /// Its own name, which stands for the new plugin's.
    name: &'static str,
    /// Its files, by their path in the new crate.
    files: [(&'static str, &'static str); 6],
}

/// The files of the template in a folder. (`.gitignore` has another name there, where it must not ignore
/// anything.)
macro_rules! files_in {
    ($folder:literal) => {
        [
            ("Cargo.toml", text_in!($folder, "Cargo.toml")),
            ("src/lib.rs", text_in!($folder, "src/lib.rs")),
            ("tests/in_hub.rs", text_in!($folder, "tests/in_hub.rs")),
            ("nexus.toml", text_in!($folder, "nexus.toml")),
            ("README.md", text_in!($folder, "README.md")),
            (".gitignore", text_in!($folder, "gitignore")),
        ]
    };
}

macro_rules! text_in {
    ($folder:literal, $file:literal) => {
        include_str!(concat!("../../../plugin-template/", $folder, "/", $file))
    };
}

const PROCESSOR: Template = Template {
    name: "greeter",
    files: files_in!("processor"),
};

const INTEGRATION: Template = Template {
    name: "logbook",
    files: files_in!("integration"),
};

const SOURCE: Template = Template {
    name: "doorbell",
    files: files_in!("source"),
};

/// The dependencies on the SDK, as the templates' own manifests write them.
const SDK_LINE: &str = "nexus-plugin-api = { path = \"../../../nexus-plugin-api\" }";
const TESTKIT_LINE: &str =
    "nexus-plugin-testkit = { path = \"../../../nexus-plugin-api/testkit\" }";

/// The files of a new plugin, by their path in its folder.
pub(crate) fn files(kind: Kind, name: &str, sdk: &Sdk) -> Vec<(&'static str, String)> {
    let template = match kind {
        Kind::Processor => PROCESSOR,
        Kind::Integration => INTEGRATION,
        Kind::Source => SOURCE,
    };
    let fill = |(path, text): (&'static str, &str)| {
        let named = rename(text, template.name, name);
        let text = named
            .replace(SDK_LINE, &sdk.dependency())
            .replace(TESTKIT_LINE, &sdk.testkit());
        (path, text)
    };
    template.files.into_iter().map(fill).collect()
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

fn rename(text: &str, from: &str, to: &str) -> String {
    let crate_name = crate_name(to);
    text.replace(&format!("lib{from}.so"), &library(to))
        .replace(&format!("{from}::"), &format!("{crate_name}::"))
        .replace(&from.to_uppercase(), &crate_name.to_uppercase())
        .replace(from, to)
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
        for (kind, own) in [
            (Kind::Processor, "greeter"),
            (Kind::Integration, "logbook"),
            (Kind::Source, "doorbell"),
        ] {
            let files = files(kind, "our-own", &sdk);
            for (path, text) in &files {
                assert!(!text.to_lowercase().contains(own), "{path}:\n{text}");
                assert!(!text.contains("../nexus-plugin-api"), "{path}:\n{text}");
            }
            let manifest: toml::Table = file(&files, "Cargo.toml").parse().unwrap();
            assert_eq!(manifest["package"]["name"].as_str(), Some("our-own"));
            assert_eq!(
                manifest["dependencies"]["nexus-plugin-api"]["path"].as_str(),
                Some("/src/nexus-plugin-api")
            );
            let path = &manifest["dev-dependencies"]["nexus-plugin-testkit"]["path"];
            assert!(path.as_str().unwrap().ends_with("testkit"));
            assert!(manifest.contains_key("workspace"));
            assert!(file(&files, "src/lib.rs").contains("id: \"our-own\""));
            assert!(file(&files, "tests/in_hub.rs").contains("our_own::plugin()"));
            assert!(file(&files, "README.md").contains(&library("our-own")));
        }
        let settings = file(&files(Kind::Source, "our-own", &sdk), "nexus.toml");
        assert!(settings.contains("OUR_OWN_SIGNATURE"), "{settings}");
    }

    #[test]
    fn the_page_on_plugins_shows_the_templates_as_they_are() {
        let page = include_str!("../../../../docs/plugins.md");
        for template in [PROCESSOR, INTEGRATION, SOURCE] {
            let (_, library) = template.files[1];
            let (library, _) = library.split_once("#[cfg(test)]").unwrap();
            assert!(page.contains(library.trim_end()), "{}", template.name);
        }
    }

    #[test]
    fn the_written_configuration_is_one() {
        for kind in [Kind::Processor, Kind::Integration, Kind::Source] {
            let files = files(kind, "our-own", &Sdk::Published);
            let text = file(&files, "nexus.toml");
            let loader = nexus_host::config::Loader::text(&text).without_secrets();
            let config = loader.load().unwrap();
            assert!(config.plugin_names().any(|name| name == "our-own"));
            let manifest = file(&files, "Cargo.toml");
            let manifest: toml::Table = manifest.parse().unwrap();
            assert!(manifest["dependencies"]["nexus-plugin-api"].is_str());
        }
    }
}
