//! Building the library of a plugin under test: receives the crate's folder, hands on the file that
//! cargo made. It changes nothing but cargo's own target folder.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::failure::Failure;

/// What cargo says of each thing it has built, as far as it matters here.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Builds the library of the crate in `manifest_dir` as `cargo build` does, and returns its file.
/// Costs little when it is up to date. Call it with `env!("CARGO_MANIFEST_DIR")`.
///
/// # Errors
/// When cargo fails, with what it says, or when the crate makes no library that can be loaded.
pub fn build_library(manifest_dir: impl AsRef<Path>) -> Result<PathBuf, Failure> {
    let manifest_dir = manifest_dir.as_ref();
    let failed = |reason: String| Failure::Library {
        manifest_dir: manifest_dir.to_owned(),
        reason,
    };
    let manifest = manifest_dir.join("Cargo.toml");
    // The cargo that runs the test is the one that its author uses.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--lib", "--quiet"])
        .arg("--message-format=json-render-diagnostics")
        .arg("--manifest-path")
        .arg(&manifest)
        .current_dir(manifest_dir)
        .stdin(Stdio::null());
    let output = command
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{}\n{}", output.status, said.trim_end())));
    }
    let manifest = manifest.canonicalize().map_err(|source| Failure::File {
        path: manifest,
        source,
    })?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| message.reason == "compiler-artifact")
        .filter(|message| message.manifest_path.canonicalize().ok().as_ref() == Some(&manifest))
        .flat_map(|message| message.filenames)
        .find(|file| is_library(file))
        .ok_or_else(|| {
            failed("it makes no library to load; add `cdylib` to [lib] crate-type".to_owned())
        })
}

fn is_library(file: &Path) -> bool {
    file.extension() == Some(OsStr::new(std::env::consts::DLL_EXTENSION))
}
