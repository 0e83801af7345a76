//! What the tests need of the machine: finds what is missing, installs it where that is possible.
//!
//! It never fails: a test that still misses something says so itself.

use std::path::Path;
use std::process::Command;

use crate::console::{heading, say};
use crate::tool::runs;
use crate::workspace::Workspace;

/// The Debian packages of the desktop on which real toasts are shown, and of the browser for the dashboard.
const DEBIAN_PACKAGES: [&str; 10] = [
    "xvfb",
    "dbus",
    "dbus-x11",
    "openbox",
    "notification-daemon",
    "libnotify-bin",
    "scrot",
    "xdotool",
    "chromium",
    "chromium-driver",
];

/// Parts of the Rust toolchain, and by which command each is there.
const COMPONENTS: [(&str, &str); 2] = [("rustfmt", "fmt"), ("clippy", "clippy")];

pub(crate) fn install_missing(workspace: &Workspace) {
    heading("setup");
    for (component, command) in COMPONENTS {
        if !runs(workspace.cargo().args([command, "--version"])) {
            say!("  installing {component}");
            if !runs(Command::new("rustup").args(["component", "add", component])) {
                say!("  {component} could not be installed: `rustup component add {component}`");
            }
        }
    }
    if Path::new("/etc/debian_version").exists() {
        install_packages();
    }
    say!("  done");
}

fn install_packages() {
    let mut missing: Vec<&str> = DEBIAN_PACKAGES
        .into_iter()
        .filter(|package| !is_installed(package))
        .collect();
    // Whatever they come from: packages are installed with them later.
    if !runs(Command::new("python3").args(["-m", "venv", "--help"])) {
        missing.push("python3-venv");
    }
    if !runs(Command::new("npm").arg("--version")) {
        missing.push("npm");
    }
    if missing.is_empty() {
        return;
    }
    let missing = missing.join(" ");
    if !is_root() {
        say!("  not installed, and only root can: apt-get install {missing}");
        return;
    }
    say!("  installing {missing}");
    let mut install = apt(&["install", "-y", "-qq", "--no-install-recommends"]);
    install.args(missing.split(' '));
    if runs(&mut install) {
        return;
    }
    // The list of packages is missing or old.
    runs(&mut apt(&["update", "-qq"]));
    if !runs(&mut install) {
        say!("  could not be installed: {missing}");
    }
}

fn is_installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${db:Status-Abbrev}", package]);
    query
        .output()
        .is_ok_and(|output| output.stdout.starts_with(b"ii"))
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn apt(args: &[&str]) -> Command {
    let mut apt = Command::new("apt-get");
    apt.args(args).env("DEBIAN_FRONTEND", "noninteractive");
    apt
}
