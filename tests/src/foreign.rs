//! Clients and suites of other makes: installs packages of Python, JavaScript, Rust and Debian into folders of the
//! build's, once for each version, and runs what uses them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

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

/// A folder in which Node finds packages, such as `cloudevents@10.0.0`, with spaces between them.
///
/// # Errors
/// Why it cannot be had.
pub fn node_with(packages: &str) -> Result<PathBuf, String> {
    installed(packages, |folder| {
        let mut npm = Command::new("npm");
        npm.args([
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
        ]);
        npm.arg("--prefix").arg(folder).args(packages.split(' '));
        run(&mut npm).map(drop)
    })
}

/// The sources of a Python package as its makers publish them, such as `jsonschema==4.26.0`.
///
/// # Errors
/// Why they cannot be had.
pub fn python_sources(package: &str) -> Result<PathBuf, String> {
    let (name, unpacked) = (
        package.split('=').next().unwrap_or(package),
        package.replace("==", "-"),
    );
    let folder = installed(&format!("{package}-sources"), |folder| {
        let venv = folder.join("venv");
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        let mut pip = Command::new(venv.join("bin/pip"));
        pip.args(["download", "--quiet", "--disable-pip-version-check"]);
        pip.args(["--no-deps", "--no-binary", name, "--dest"]);
        run(pip.arg(folder).arg(package))?;
        let mut tar = Command::new("tar");
        tar.arg("xzf")
            .arg(folder.join(format!("{unpacked}.tar.gz")));
        run(tar.arg("-C").arg(folder)).map(drop)
    })?;
    Ok(folder.join(unpacked))
}

/// The folder of a crate as its makers publish it, with what is in it beside its code.
///
/// # Errors
/// Why it cannot be had.
pub fn crate_sources(name: &str, version: &str) -> Result<PathBuf, String> {
    let folder = installed(&format!("{name}-{version}-crate"), |folder| {
        // A workspace of its own, although it lies within ours.
        let manifest = format!(
            "[package]\nname = \"of-{name}\"\nedition = \"2024\"\n[lib]\npath = \"lib.rs\"\n\
             [dependencies]\n{name} = \"={version}\"\n[workspace]\n"
        );
        std::fs::write(folder.join("Cargo.toml"), manifest).map_err(|e| e.to_string())?;
        std::fs::write(folder.join("lib.rs"), "").map_err(|e| e.to_string())
    })?;
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--quiet", "--format-version", "1"]);
    let told = run(cargo.current_dir(&folder))?;
    let told: Value = serde_json::from_str(&told).map_err(|e| e.to_string())?;
    let packages = told["packages"].as_array().map_or(&[][..], Vec::as_slice);
    let manifest = packages
        .iter()
        .find(|package| package["name"] == name)
        .and_then(|package| Path::new(package["manifest_path"].as_str()?).parent());
    let missing = || format!("{name} {version} is not among the packages");
    manifest.map(Path::to_owned).ok_or_else(missing)
}

/// The folder of a Debian package's files, such as those of `prometheus`. Nothing of the package is installed on the
/// machine, and nothing of it runs.
///
/// # Errors
/// Why it cannot be had.
pub fn debian_files(package: &str) -> Result<PathBuf, String> {
    let folder = installed(&format!("{package}-debian"), |folder| {
        let mut download = Command::new("apt-get");
        run(download
            .args(["download", "-q", package])
            .current_dir(folder))?;
        let files = std::fs::read_dir(folder).map_err(|e| e.to_string())?;
        let mut files = files.filter_map(|file| Some(file.ok()?.path()));
        let file = files.find(|file| file.extension().is_some_and(|of| of == "deb"));
        let file = file.ok_or_else(|| format!("{package} was not downloaded"))?;
        let mut unpack = Command::new("dpkg-deb");
        run(unpack.arg("--extract").arg(file).arg(folder.join("files"))).map(drop)
    })?;
    Ok(folder.join("files"))
}

/// A folder below the build's, filled once for each version of what is in it.
fn installed(
    what: &str,
    install: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    // Two tests may want the same.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = build_dir().join(what.replace(['=', '@', '/', ' '], "-"));
    let done = folder.join("installed");
    if !done.exists() {
        std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
        install(&folder)?;
        std::fs::write(&done, what).map_err(|e| e.to_string())?;
    }
    Ok(folder)
}
