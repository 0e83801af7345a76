//! Clients of other makes: installs packages of Python and JavaScript into folders of the build's, once
//! for each version, and runs what uses them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::artifacts::build_dir;

/// Runs a command to its end: what it printed.
///
/// # Errors
/// What is wrong, in its own words.
pub fn run(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|e| format!("{program}: {e}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{program}: {}\n{errors}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A Python that has packages, such as `cloudevents==2.2.0`, with spaces between them.
///
/// # Errors
/// Why it cannot be had.
pub fn python_with(packages: &str) -> Result<PathBuf, String> {
    let folder = installed(packages, |folder| {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let mut pip = Command::new(folder.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check"]);
        run(pip.args(packages.split_whitespace())).map(drop)
    })?;
    Ok(folder.join("bin/python"))
}

/// A folder in which Node finds a package, such as `cloudevents@10.0.0`.
///
/// # Errors
/// Why it cannot be had.
pub fn node_with(package: &str) -> Result<PathBuf, String> {
    installed(package, |folder| {
        let mut npm = Command::new("npm");
        npm.args([
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
        ]);
        run(npm.arg("--prefix").arg(folder).arg(package)).map(drop)
    })
}

/// A folder below the build's, filled once for each version of what is in it.
fn installed(
    what: &str,
    install: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let folder = build_dir().join(what.replace(['=', '@', ' '], "-"));
    let done = folder.join("installed");
    if !done.exists() {
        std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
        install(&folder)?;
        std::fs::write(&done, what).map_err(|e| e.to_string())?;
    }
    Ok(folder)
}
