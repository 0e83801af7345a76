//! Where the sources of the SDK are: receives `--sdk`, hands on the dependency lines for a new
//! plugin's manifest. It reads folders and changes nothing.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The SDK's folder within the sources.
const SDK_FOLDER: &str = "nexus-plugin-api";

/// The sources that this program was built from.
const BUILT_FROM: &str = env!("CARGO_MANIFEST_DIR");

/// What a new plugin is built against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sdk {
    /// Sources: the folder of `nexus-plugin-api`, absolute.
    Sources(PathBuf),
    /// The published crates of this program's version.
    Published,
}

impl Sdk {
    /// The one that was named, else the nearest: beside this program, around the current folder,
    /// where this program was built, and at last the published crates.
    ///
    /// # Errors
    /// When the named folder does not hold it.
    pub(crate) fn find(named: Option<&Path>) -> Result<Self, Failure> {
        if let Some(named) = named {
            return sources_in(named).map(Self::Sources).ok_or_else(|| {
                Failure::usage(format!(
                    "--sdk: {} does not hold the SDK; name the folder of the Nexus sources, or \
                     its {SDK_FOLDER}",
                    named.display()
                ))
            });
        }
        let executable = std::env::current_exe().ok();
        let current = std::env::current_dir().ok();
        let near = [executable, current, Some(PathBuf::from(BUILT_FROM))];
        let found = near.iter().flatten().find_map(|start| {
            start.ancestors().find_map(|folder| {
                // Only as a whole: a folder may hold something else of that name.
                sources_in(folder).filter(|sdk| sdk.ends_with(SDK_FOLDER))
            })
        });
        Ok(found.map_or(Self::Published, Self::Sources))
    }

    /// The dependency on the SDK, as a line of TOML.
    pub(crate) fn dependency(&self) -> String {
        self.line(SDK_FOLDER, "")
    }

    /// The dependency on the test kit, as a line of TOML.
    pub(crate) fn testkit(&self) -> String {
        self.line("nexus-plugin-testkit", "testkit")
    }

    fn line(&self, name: &str, below: &str) -> String {
        match self {
            Self::Sources(folder) => {
                let folder = if below.is_empty() {
                    folder.clone()
                } else {
                    folder.join(below)
                };
                let path = toml::Value::from(folder.to_string_lossy().into_owned());
                format!("{name} = {{ path = {path} }}")
            }
            Self::Published => format!("{name} = \"{}\"", env!("CARGO_PKG_VERSION")),
        }
    }
}

impl fmt::Display for Sdk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sources(folder) => write!(f, "{}", folder.display()),
            Self::Published => write!(f, "the published crates {}", env!("CARGO_PKG_VERSION")),
        }
    }
}

/// The SDK's folder, absolute, when `folder` is it or holds it.
fn sources_in(folder: &Path) -> Option<PathBuf> {
    let is_sdk = |folder: &Path| {
        folder.join("Cargo.toml").is_file() && folder.join("testkit/Cargo.toml").is_file()
    };
    [folder.join(SDK_FOLDER), folder.to_owned()]
        .into_iter()
        .find(|candidate| is_sdk(candidate))
        .and_then(|found| std::path::absolute(found).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_are_found_from_above_and_by_their_own_folder() {
        let root = Path::new(BUILT_FROM).ancestors().nth(2).unwrap();
        let sdk = root.join(SDK_FOLDER);
        assert_eq!(sources_in(root), Some(sdk.clone()));
        assert_eq!(sources_in(&sdk), Some(sdk.clone()));
        assert_eq!(sources_in(&root.join("examples")), None);
        assert_eq!(Sdk::find(None).unwrap(), Sdk::Sources(sdk));
        assert!(Sdk::find(Some(&root.join("examples"))).is_err());
    }

    #[test]
    fn a_path_is_toml_whatever_is_in_it() {
        let sdk = Sdk::Sources(PathBuf::from("/a \"b\"\\c/nexus-plugin-api"));
        for line in [sdk.dependency(), sdk.testkit()] {
            let table: toml::Table = line.parse().unwrap();
            let (_, dependency) = table.iter().next().unwrap();
            let path = dependency["path"].as_str().unwrap();
            assert!(path.starts_with("/a \"b\"\\c/nexus-plugin-api"), "{path}");
        }
    }
}
