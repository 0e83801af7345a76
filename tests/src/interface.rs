//! Plugin interfaces that were published, and plugins built with them: as they were, and with what a later, a
//! broken or nobody's interface would have.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::artifacts::build_dir;

/// Every version that was published. Each is kept in `tests/abi`.
pub const PUBLISHED: [&str; 1] = ["1.0.0"];

/// One text of a file in another's place: the file, what stands there, what shall.
pub type Edit<'e> = (&'e str, &'e str, &'e str);

/// The sources of an interface, and of a plugin built with it.
#[derive(Debug)]
pub struct Interface {
    folder: PathBuf,
    /// The plugin's library, without what the system puts around such names.
    library: String,
}

impl Interface {
    /// One that was published.
    pub fn published(version: &str) -> Self {
        Self {
            folder: tests().join("abi").join(version),
            library: format!("frozen_{}", version.replace('.', "_")),
        }
    }

    /// Another one, which differs in these texts.
    ///
    /// # Panics
    /// When one of them is not there.
    pub fn with(&self, name: &str, edits: &[Edit<'_>]) -> Self {
        let other = Self {
            folder: target().join("abi").join(name),
            library: format!("frozen_{name}"),
        };
        let renamed = ("plugin/Cargo.toml", &*self.library, &*other.library);
        let edits: Vec<_> = edits.iter().chain([&renamed]).collect();
        for file in files(&self.folder) {
            let mut text = fs::read_to_string(self.folder.join(&file)).expect("a source file");
            for (_, from, to) in edits.iter().filter(|(of, ..)| file == Path::new(of)) {
                assert!(text.contains(from), "{} has no {from}", file.display());
                text = text.replace(from, to);
            }
            write(&other.folder.join(&file), &text);
        }
        other
    }

    /// The plugin's library, built as everything here is.
    ///
    /// # Panics
    /// When it does not build.
    pub fn plugin(&self) -> PathBuf {
        self.build(&target(), None)
    }

    /// The plugin's library, built by another compiler.
    ///
    /// # Panics
    /// When it does not build.
    pub fn plugin_by(&self, rustc: &Path) -> PathBuf {
        self.build(&target().join("abi/other-rustc"), Some(rustc))
    }

    fn build(&self, target: &Path, rustc: Option<&Path>) -> PathBuf {
        use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
        let profile = build_dir().file_name().expect("a folder for the profile");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--locked"]);
        // Its workspace does not hold the interface, so that cargo tells one interface from another by its path.
        cargo.current_dir(self.folder.join("plugin"));
        cargo.env("CARGO_TARGET_DIR", target);
        if profile == "release" {
            cargo.arg("--release");
        }
        if let Some(rustc) = rustc {
            cargo.env("RUSTC", rustc);
        }
        let built = cargo.status().expect("cargo runs");
        assert!(built.success(), "{} does not build", self.library);
        let file = format!("{DLL_PREFIX}{}{DLL_SUFFIX}", self.library);
        target.join(profile).join(file)
    }

    /// What crosses the border, word for word.
    pub fn border(&self) -> BTreeSet<String> {
        border(&self.folder.join("abi/src"))
    }
}

/// As [`Interface::border`], of the interface that this workspace has.
pub fn current_border() -> BTreeSet<String> {
    border(&tests().join("../nexus-plugin-api/abi/src"))
}

/// Types with a layout, other names of types, and constants, of all files in a folder; without what is said of them.
fn border(sources: &Path) -> BTreeSet<String> {
    let mut items = BTreeSet::new();
    for file in files(sources) {
        let text = fs::read_to_string(sources.join(file)).expect("a source file");
        let mut lines = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        while let Some(line) = lines.next() {
            if line == "#[repr(C)]" {
                let mut item = vec![line];
                while item.last().is_none_or(|line| *line != "}") {
                    item.push(lines.next().expect("an item has an end"));
                }
                items.insert(item.join("\n"));
            }
            let is_named = ["pub const ", "pub type "]
                .iter()
                .any(|begin| line.trim_start().starts_with(begin));
            if is_named && line.ends_with(';') {
                items.insert(line.trim().to_owned());
            }
        }
    }
    items
}

fn tests() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn target() -> PathBuf {
    let folder = build_dir().parent().expect("the target folder");
    folder.to_owned()
}

/// Every file in a folder and those below, as paths from it; without what was built there by hand.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        for entry in fs::read_dir(folder.join(&below)).expect("a folder") {
            let entry = entry.expect("an entry");
            let path = below.join(entry.file_name());
            match entry.file_type().expect("its type").is_dir() {
                true if path.file_name() == Some(OsStr::new("target")) => {}
                true => open.push(path),
                false => files.push(path),
            }
        }
    }
    files
}

/// Writes a file, unless it is like that already: what has not changed is not built again.
fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return;
    }
    let folder = path.parent().expect("a folder");
    fs::create_dir_all(folder).expect("the folder");
    fs::write(path, text).expect("the file is written");
}
