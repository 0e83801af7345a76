//! The workspace: asks cargo what there is and where things go, hands on packages and folders.
//!
//! Nothing is listed by hand, so a new plugin joins by lying in `plugins/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::failure::{Failure, Result, Tried as _};

#[derive(Debug)]
pub(crate) struct Workspace {
    /// The repository.
    pub(crate) root: PathBuf,
    /// Where cargo builds, `CARGO_TARGET_DIR` and cargo's own configuration honoured.
    pub(crate) target: PathBuf,
    packages: Vec<Package>,
}

/// A package of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    folder: PathBuf,
    targets: Vec<Target>,
}

#[derive(Debug)]
struct Target {
    name: String,
    kinds: Vec<String>,
}

impl Workspace {
    pub(crate) fn read() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = root.parent().unwrap_or(root).to_owned();
        let mut metadata = cargo_in(&root);
        metadata.args(["metadata", "--no-deps", "--format-version", "1"]);
        let output = metadata.output().tried("run cargo metadata")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Failure::new(format!("cargo metadata failed:\n{said}")));
        }
        let metadata: Value =
            serde_json::from_slice(&output.stdout).tried("read cargo metadata")?;
        Self::from_metadata(root, &metadata)
            .ok_or_else(|| Failure::new("failed to understand what cargo metadata says"))
    }

    fn from_metadata(root: PathBuf, metadata: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let mut packages = Vec::new();
        for package in metadata["packages"].as_array()? {
            let mut targets = Vec::new();
            for target in package["targets"].as_array()? {
                let kinds = target["kind"].as_array()?.iter().filter_map(text).collect();
                targets.push(Target {
                    name: text(&target["name"])?,
                    kinds,
                });
            }
            let manifest = PathBuf::from(package["manifest_path"].as_str()?);
            packages.push(Package {
                name: text(&package["name"])?,
                folder: manifest.parent()?.to_owned(),
                targets,
            });
        }
        packages.sort_by(|one, other| one.name.cmp(&other.name));
        Some(Self {
            root,
            target: PathBuf::from(metadata["target_directory"].as_str()?),
            packages,
        })
    }

    /// A command for cargo, in the root.
    pub(crate) fn cargo(&self) -> Command {
        cargo_in(&self.root)
    }

    /// The plugins that are shipped: the libraries under `plugins/`.
    pub(crate) fn plugins(&self) -> impl Iterator<Item = &Package> {
        let folder = self.root.join("plugins");
        self.packages
            .iter()
            .filter(move |package| package.folder.starts_with(&folder) && package.is_library())
    }

    /// The package that has this program, if one has.
    pub(crate) fn program(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| {
            let mut targets = package.targets.iter();
            targets.any(|target| target.name == name && target.kinds.iter().any(|k| k == "bin"))
        })
    }

    /// A path as people read it: from the root where it is below.
    pub(crate) fn short<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}

impl Package {
    fn is_library(&self) -> bool {
        let mut targets = self.targets.iter();
        targets.any(|target| target.kinds.iter().any(|kind| kind == "cdylib"))
    }
}

/// Whether nobody is there to read a line about what was skipped.
pub(crate) fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// Cargo without what the cargo that runs this has set for this package alone.
fn cargo_in(root: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root);
    for (name, _) in std::env::vars_os() {
        let ours = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        });
        if ours {
            cargo.env_remove(name);
        }
    }
    if is_ci() && cfg!(unix) {
        // There a crate is built once and not changed, and what would make another build fast takes more room than all
        // the rest. On Windows the program that runs here would be built again, in its own place.
        cargo.env("CARGO_INCREMENTAL", "0");
    }
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_are_found_by_where_they_lie_and_programs_by_name() {
        let workspace = Workspace::read().unwrap();
        let plugins: Vec<&str> = workspace.plugins().map(|p| p.name.as_str()).collect();
        assert!(plugins.contains(&"parrot") && plugins.contains(&"toasty"));
        assert!(
            !plugins.iter().any(|name| name.contains("probe")),
            "a fixture is not shipped"
        );
        assert_eq!(workspace.program("xtask").unwrap().name, "xtask");
        assert!(workspace.program("parrot").is_none());
    }
}
