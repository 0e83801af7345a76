//! The product's own binaries and libraries, built once for all tests of a run, in the profile of
//! whoever asks.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// Packages whose binaries and libraries tests use as a user would.
const PACKAGES: [&str; 17] = [
    "nexus-host",
    "nexus",
    "dropbox",
    "http-plugin",
    "toasty-server",
    "embed",
    "langgraph",
    "outlook",
    "parrot",
    "toasty",
    "triage",
    "probe",
    "second",
    "crasher",
    "witness",
    "careless",
    "disk",
];

/// The folder of the build, such as `target/debug`, with everything in it up to date.
///
/// # Panics
/// When the build fails.
pub fn build_dir() -> &'static PathBuf {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let program = std::env::current_exe().expect("a program has a path");
        let folder = program.parent().expect("a program lies in a folder");
        // Tests lie one folder below the other programs.
        let dir = match folder.parent() {
            Some(above) if folder.ends_with("deps") => above.to_owned(),
            _ => folder.to_owned(),
        };
        let mut cargo = cargo();
        cargo.arg("build").arg("--quiet");
        if dir.ends_with("release") {
            cargo.arg("--release");
            // What is measured has the features that a user's build has.
            cargo.args(PACKAGES.iter().flat_map(|package| ["--package", *package]));
        } else {
            // With the features of the tests: everything is there already.
            cargo.arg("--workspace");
        }
        cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
        cargo.env("CARGO_TARGET_DIR", dir.parent().expect("the target folder"));
        let built = cargo.status().expect("cargo runs");
        assert!(built.success(), "the product does not build");
        dir
    })
}

/// Cargo, as it was called for the tests: what it has told this process of its package would have packages built
/// anew that ask for such variables, and again when the tests are.
fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// An executable of the workspace.
///
/// # Panics
/// When the build fails.
pub fn executable(name: &str) -> PathBuf {
    build_dir().join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// A plugin library of the workspace.
///
/// # Panics
/// When the build fails.
pub fn library(name: &str) -> PathBuf {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    build_dir().join(format!("{DLL_PREFIX}{name}{DLL_SUFFIX}"))
}

/// A plugin library whose panics end the process it is in.
///
/// # Panics
/// When the build fails.
pub fn aborting_library() -> PathBuf {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    let dir = build_dir();
    let mut cargo = cargo();
    cargo.args(["rustc", "--quiet", "--package", "crasher"]);
    cargo.args(["--example", "aborting"]);
    if dir.ends_with("release") {
        cargo.arg("--release");
    }
    // Of what it is made of, this alone.
    cargo.args(["--", "-C", "panic=abort"]);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.env("CARGO_TARGET_DIR", dir.parent().expect("the target folder"));
    let built = cargo.status().expect("cargo runs");
    assert!(built.success(), "the library does not build");
    let examples = dir.join("examples");
    examples.join(format!("{DLL_PREFIX}aborting{DLL_SUFFIX}"))
}
