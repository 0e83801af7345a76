//! Rules by which operations fail, as the preloaded library reads them.

use std::fmt;

/// From the operation number `from` on, `times` of them fail.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Which operations are counted.
    pub kind: Kind,
    /// How the names of the files end; empty for every file.
    pub ending: &'static str,
    /// The first that fails, from 1.
    pub from: u64,
    /// How many fail from there on.
    pub times: u64,
    /// How they fail.
    pub outcome: Outcome,
}

/// A kind of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Bytes are written, or room is reserved.
    Write,
    /// A file or the folder is made durable.
    Sync,
    /// A file is made shorter or longer.
    Truncate,
    /// A file is opened.
    Open,
}

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The device reports an error.
    Eio,
    /// There is no room.
    Enospc,
    /// The file system has become read-only.
    Erofs,
    /// Half of the bytes are written; for writes only.
    Short,
}

impl Kind {
    /// As rules and recordings spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Truncate => "truncate",
            Self::Open => "open",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match self.outcome {
            Outcome::Eio => "eio",
            Outcome::Enospc => "enospc",
            Outcome::Erofs => "erofs",
            Outcome::Short => "short",
        };
        let (kind, ending) = (self.kind.name(), self.ending);
        write!(f, "{kind} *{ending} {} {} {outcome}", self.from, self.times)
    }
}
