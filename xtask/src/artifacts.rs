//! Builds: receives what to build, hands on the files cargo says it made of it.
//!
//! File names and folders are never guessed: they differ between platforms and settings.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;

use crate::failure::{Failure, Result, Tried as _};
use crate::workspace::{Package, Workspace};

/// A file that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Artifact {
    /// The name of the program or library in its manifest.
    pub(crate) target: String,
    /// The file.
    pub(crate) path: PathBuf,
    /// Whether it is a library to be loaded, not a program.
    pub(crate) library: bool,
}

/// What is built, and how.
pub(crate) enum Build<'a> {
    /// These packages, optimised: what users are given.
    Release(&'a [&'a Package]),
    /// The whole workspace, as its tests have it.
    Tests,
}

/// Builds programs and loadable libraries.
pub(crate) fn build(workspace: &Workspace, what: &Build<'_>) -> Result<Vec<Artifact>> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--message-format=json-render-diagnostics"]);
    match what {
        Build::Release(packages) => {
            cargo.arg("--release");
            for package in *packages {
                cargo.args(["--package", &package.name]);
            }
        }
        Build::Tests => {
            cargo.arg("--workspace");
        }
    }
    cargo.stdout(Stdio::piped());
    let mut child = cargo.spawn().tried("run cargo build")?;
    let mut artifacts = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line.tried("read what cargo build says")?;
            let message = serde_json::from_str(&line).unwrap_or(Value::Null);
            artifacts.extend(artifact(&message));
        }
    }
    let status = child.wait().tried("wait for cargo build")?;
    if !status.success() {
        return Err(Failure::new("cargo build failed; see above"));
    }
    Ok(artifacts)
}

/// What one of cargo's messages says was built, if it is of the kind that is staged.
fn artifact(message: &Value) -> Option<Artifact> {
    if message["reason"] != "compiler-artifact" {
        return None;
    }
    let target = &message["target"];
    let kinds = target["kind"].as_array()?;
    let library = kinds.iter().any(|kind| kind == "cdylib");
    let path = if library {
        let suffix = std::env::consts::DLL_SUFFIX;
        let mut files = message["filenames"]
            .as_array()?
            .iter()
            .filter_map(Value::as_str);
        files.find(|file| file.ends_with(suffix))?
    } else {
        message["executable"].as_str()?
    };
    Some(Artifact {
        target: target["name"].as_str()?.to_owned(),
        path: PathBuf::from(path),
        library,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn programs_and_loadable_libraries_are_picked_from_cargos_messages() {
        let program = json!({
            "reason": "compiler-artifact",
            "target": {"name": "nexus", "kind": ["bin"]},
            "filenames": ["/t/release/nexus"],
            "executable": "/t/release/nexus",
        });
        let program = artifact(&program).unwrap();
        assert_eq!((program.target.as_str(), program.library), ("nexus", false));

        let loadable = format!("/t/release/libparrot{}", std::env::consts::DLL_SUFFIX);
        let library = json!({
            "reason": "compiler-artifact",
            "target": {"name": "parrot", "kind": ["cdylib", "rlib"]},
            "filenames": ["/t/release/libparrot.rlib", loadable],
            "executable": null,
        });
        let library = artifact(&library).unwrap();
        assert_eq!(library.path, PathBuf::from(loadable));
        assert!(library.library);
    }

    #[test]
    fn everything_else_is_passed_over() {
        let plain = json!({
            "reason": "compiler-artifact",
            "target": {"name": "serde", "kind": ["lib"]},
            "filenames": ["/t/release/libserde.rlib"],
            "executable": null,
        });
        assert_eq!(artifact(&plain), None);
        assert_eq!(artifact(&json!({"reason": "build-finished"})), None);
        assert_eq!(artifact(&Value::Null), None);
    }
}
