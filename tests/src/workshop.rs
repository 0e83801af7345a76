//! Plugin files that were tampered with: other versions of a library without building it once more, and files
//! that no hub should load.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::artifacts;

/// A folder of such files.
#[derive(Debug)]
pub struct Workshop(TempDir);

impl Default for Workshop {
    fn default() -> Self {
        Self::new()
    }
}

impl Workshop {
    /// An empty one.
    ///
    /// # Panics
    /// When there is no room for it.
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// A file with this content.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).expect("the file is written");
        path
    }

    /// A plugin of the workspace with one text in its manifest replaced by another of the same length.
    ///
    /// # Panics
    /// When its manifest has no such text.
    pub fn with(&self, plugin: &str, name: &str, from: &str, to: &str) -> PathBuf {
        assert_eq!(from.len(), to.len(), "nothing else may move");
        let mut bytes = library(plugin);
        let manifest = find(&bytes, b"NEXUSMF1").expect("the library has a manifest");
        let at = manifest + find(&bytes[manifest..], from.as_bytes()).expect("the text is there");
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        self.file(name, &bytes)
    }

    /// A plugin of the workspace whose manifest says something else under one of its keys, however long it is.
    ///
    /// # Panics
    /// When it has no manifest, or one without room for that.
    pub fn saying(&self, plugin: &str, name: &str, key: &str, value: &str) -> PathBuf {
        let mut bytes = library(plugin);
        let begin = find(&bytes, b"NEXUSMF1{").expect("the library has a manifest") + 8;
        let length = find(&bytes[begin..], b"\0").expect("it has an end");
        let section = &mut bytes[begin..begin + length];
        let mut manifest: Value = serde_json::from_slice(section).expect("it is JSON");
        // What makes room.
        manifest["description"] = "".into();
        manifest[key] = value.into();
        let text = format!("{:<length$}", manifest.to_string());
        section.copy_from_slice(text.as_bytes());
        self.file(name, &bytes)
    }

    /// Another version of the probe, such as `0.2.0`.
    ///
    /// # Panics
    /// When the probe's own is no `0.1.0`.
    pub fn probe(&self, version: &str) -> PathBuf {
        let text = |version: &str| format!(r#""version":"{version}""#);
        self.with("probe", version, &text("0.1.0"), &text(version))
    }
}

/// A plugin of the workspace, as it was built.
///
/// # Panics
/// When it cannot be read.
pub fn library(plugin: &str) -> Vec<u8> {
    std::fs::read(artifacts::library(plugin)).expect("the library was built")
}

/// Where one text is in another.
pub fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Puts a file in another's place, in one step.
///
/// # Panics
/// When it cannot be copied.
pub fn put(from: &Path, to: &Path) {
    let beside = to.with_extension("part");
    std::fs::copy(from, &beside).expect("there is room for a copy");
    std::fs::rename(&beside, to).expect("the copy takes its place");
}
