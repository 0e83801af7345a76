//! A folder under watch: programs are started on it, faults are set, what was done is read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Fault, Image, Recording, Scratch};
use crate::{artifacts, skip};

/// See the module.
#[derive(Debug)]
pub struct Watched {
    root: Scratch,
    folder: PathBuf,
}

impl Watched {
    /// An empty folder, or `None` where nothing can be preloaded; the test is then skipped.
    ///
    /// # Panics
    /// As [`skip::skipped`], and when the folder cannot be made.
    pub fn for_test(test: &str) -> Option<Self> {
        if !cfg!(all(
            target_os = "linux",
            target_env = "gnu",
            target_pointer_width = "64"
        )) {
            skip::skipped(test, "a library can be preloaded on 64-bit GNU/Linux only");
            return None;
        }
        let root = Scratch::empty();
        let folder = root
            .path()
            .canonicalize()
            .expect("it is there")
            .join("disk");
        fs::create_dir(&folder).expect("an empty folder");
        let watched = Self { root, folder };
        watched.fail(&[]);
        Some(watched)
    }

    /// Puts an image into the folder, which is empty.
    ///
    /// # Panics
    /// When there is no room.
    pub fn put(&self, image: &Image) {
        image.put_into(&self.folder).expect("room for an image");
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes these operations fail, and no others; those that are watched already hear of it.
    ///
    /// # Panics
    /// When it cannot be told.
    pub fn fail(&self, faults: &[Fault]) {
        let rules: String = faults.iter().map(|fault| format!("{fault}\n")).collect();
        fs::write(self.faults(), rules).expect("room for a few rules");
    }

    /// A program that will be watched. Its record goes on where the last one ended.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.envs(self.env());
        command
    }

    /// What a program that is to be watched finds in its environment.
    pub fn env(&self) -> [(&'static str, String); 4] {
        let shown = |path: &Path| path.display().to_string();
        [
            ("LD_PRELOAD", shown(&artifacts::library("disk"))),
            ("DISK_FOLDER", shown(&self.folder)),
            ("DISK_FAULTS", shown(&self.faults())),
            ("DISK_LOG", shown(&self.log())),
        ]
    }

    /// What was done so far; nobody is doing anything now.
    ///
    /// # Panics
    /// When nothing was.
    pub fn recording(&self) -> Recording {
        Recording::read(&self.log()).expect("a program ran")
    }

    /// What is in the folder now, marks aside.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn image(&self) -> Image {
        let mut image = Image::of(&self.folder).expect("it can be read");
        image.0.remove(".marks");
        image
    }

    fn faults(&self) -> PathBuf {
        self.root.path().join("faults")
    }

    fn log(&self) -> PathBuf {
        self.root.path().join("record")
    }
}
