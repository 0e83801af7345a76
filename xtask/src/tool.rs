//! Commands of cargo that are no part of Rust: receives their names, looks whether they are there, and
//! builds them from source.

use std::process::Command;

use crate::console::say;
use crate::workspace::Workspace;

/// Whether `cargo NAME` is there.
pub(crate) fn is_there(workspace: &Workspace, name: &str) -> bool {
    runs(workspace.cargo().args([name, "--version"]))
}

/// Builds `cargo NAME`, which takes a few minutes, once per machine. Whether it is there then.
pub(crate) fn install(workspace: &Workspace, name: &str) -> bool {
    say!("  installing cargo-{name}; this takes a few minutes, once");
    let mut install = workspace.cargo();
    install.args(["install", "--locked", "--quiet", &format!("cargo-{name}")]);
    // Its own, or everything of ours would be built anew.
    install.env_remove("CARGO_TARGET_DIR");
    runs(&mut install) && is_there(workspace, name)
}

/// Whether a command succeeds; what it prints is of no interest.
pub(crate) fn runs(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
