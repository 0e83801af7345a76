//! Another Rust compiler than the one that built all this, where there is one. None is ever fetched.

use std::path::{Path, PathBuf};
use std::process::Command;

use semver::Version;

/// Names the other compiler's program, `rustc`.
pub const OTHER: &str = "NEXUS_OTHER_RUSTC";

/// The other one, or why there is none.
///
/// # Errors
/// When no other compiler of this system is installed that knows the language of this workspace.
///
/// # Panics
/// When the one that the environment names is no such compiler.
pub fn other() -> Result<PathBuf, String> {
    let own = Identity::of(&Path::new(env!("CARGO")).with_file_name("rustc"))
        .or_else(|| Identity::of(Path::new("rustc")))
        .ok_or("the compiler of this workspace does not say what it is")?;
    if let Some(named) = std::env::var_os(OTHER) {
        let named = PathBuf::from(named);
        let found = Identity::of(&named);
        assert!(
            found.as_ref().is_some_and(|found| found.is_another(&own)),
            "{OTHER} names {}, which is {found:?}; this is {own:?}",
            named.display()
        );
        return Ok(named);
    }
    toolchains()
        .into_iter()
        .find(|rustc| Identity::of(rustc).is_some_and(|found| found.is_another(&own)))
        .ok_or_else(|| {
            let oldest = env!("CARGO_PKG_RUST_VERSION");
            format!("no other rustc from {oldest} on is installed, and {OTHER} names none")
        })
}

/// The compilers that rustup has.
fn toolchains() -> Vec<PathBuf> {
    let mut rustup = Command::new("rustup");
    let listed = rustup.args(["toolchain", "list", "--quiet"]).output();
    let listed = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let which = |toolchain: &str| {
        let mut rustup = Command::new("rustup");
        let output = rustup
            .args(["which", "--toolchain", toolchain, "rustc"])
            .output();
        let path = String::from_utf8(output.ok()?.stdout).ok()?;
        Some(PathBuf::from(path.trim_end()))
    };
    listed
        .unwrap_or_default()
        .lines()
        .filter_map(which)
        .collect()
}

/// What a compiler says of itself.
#[derive(Debug)]
struct Identity {
    host: String,
    release: Version,
    commit: String,
}

impl Identity {
    fn of(rustc: &Path) -> Option<Self> {
        let said = Command::new(rustc).arg("-vV").output().ok()?.stdout;
        let said = String::from_utf8(said).ok()?;
        let value = |key: &str| said.lines().find_map(|line| line.strip_prefix(key));
        Some(Self {
            host: value("host: ")?.to_owned(),
            release: value("release: ")?.parse().ok()?,
            commit: value("commit-hash: ")?.to_owned(),
        })
    }

    /// Whether it builds for the same system, is not the same, and new enough.
    fn is_another(&self, own: &Self) -> bool {
        let oldest = format!("{}.0", env!("CARGO_PKG_RUST_VERSION"));
        let is_new = oldest.parse().is_ok_and(|oldest| self.release >= oldest);
        self.host == own.host
            && is_new
            && (&self.release, &self.commit) != (&own.release, &own.commit)
    }
}
