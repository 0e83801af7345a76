//! What a folder holds, and folders to put that into.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use tempfile::TempDir;

/// The files of a folder, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image(pub BTreeMap<String, Vec<u8>>);

impl Image {
    /// What a folder holds now; it has no folders in it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            files.insert(name, fs::read(entry.path())?);
        }
        Ok(Self(files))
    }

    /// Puts the files into an empty folder.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn put_into(&self, folder: &Path) -> io::Result<()> {
        for (name, bytes) in &self.0 {
            fs::write(folder.join(name), bytes)?;
        }
        Ok(())
    }
}

/// A folder in memory where the system has one, else a temporary one: what is looked at once need
/// not reach a disk. It is gone when this is dropped.
#[derive(Debug)]
pub struct Scratch(TempDir);

impl Scratch {
    /// An empty folder.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn empty() -> Self {
        let memory = Path::new("/dev/shm");
        let folder = match memory.is_dir() {
            true => TempDir::new_in(memory),
            false => TempDir::new(),
        };
        Self(folder.expect("a temporary folder"))
    }

    /// A folder that holds an image.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn holding(image: &Image) -> Self {
        let scratch = Self::empty();
        image.put_into(scratch.path()).expect("room for an image");
        scratch
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves the folder where it is, for somebody to look at.
    pub fn keep(self) -> PathBuf {
        self.0.keep()
    }
}
