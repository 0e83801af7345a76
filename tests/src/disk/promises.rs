//! What a program has promised: it marks each promise in the watched folder as soon as it has made
//! it, and the recording puts the marks in order with everything else.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Where a program marks what it has promised.
#[derive(Debug)]
pub struct Marks(File);

impl Marks {
    /// Marks for whoever watches this folder.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let path = std::path::absolute(folder)?.join(".marks");
        Ok(Self(File::options().append(true).create(true).open(path)?))
    }

    /// It is taken in, and will not be lost.
    ///
    /// # Panics
    /// When it cannot be marked.
    pub fn accepted(&self, id: impl Display) {
        self.say(&format!("accepted {id}\n"));
    }

    /// It is done with, and will not come again.
    ///
    /// # Panics
    /// When it cannot be marked.
    pub fn finished(&self, id: impl Display) {
        self.say(&format!("finished {id}\n"));
    }

    /// In one write, so that it is one mark.
    fn say(&self, line: &str) {
        (&self.0).write_all(line.as_bytes()).expect("a mark");
    }
}

/// What was promised up to some moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Promises {
    /// What must be there.
    pub accepted: BTreeSet<String>,
    /// What must not come again.
    pub finished: BTreeSet<String>,
}

impl Promises {
    /// Adds what a mark says.
    ///
    /// # Panics
    /// When it is no mark.
    pub fn note(&mut self, mark: &str) {
        let (what, id) = mark.trim_end().split_once(' ').expect("two words");
        let promised = match what {
            "accepted" => &mut self.accepted,
            "finished" => &mut self.finished,
            _ => panic!("not a mark: {mark}"),
        };
        promised.insert(id.to_owned());
    }
}
