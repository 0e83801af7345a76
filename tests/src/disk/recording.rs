//! The record that the preloaded library writes; its format is described there, in `log.rs`.

use std::path::Path;
use std::{fs, io};

use super::Promises;

/// What a program did to a folder, in order.
#[derive(Debug, Clone, Default)]
pub struct Recording(pub Vec<Record>);

/// One operation. Descriptors are used again once they are closed: the last to open one has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A file was opened; the folder itself has an empty name.
    Opened {
        /// The new descriptor.
        fd: i32,
        /// The file's name.
        name: String,
        /// Whether it was not there before.
        is_new: bool,
        /// Whether its content was thrown away.
        is_emptied: bool,
    },
    /// Bytes were written.
    Written {
        /// Of which file.
        fd: i32,
        /// From where on.
        offset: usize,
        /// What was written.
        bytes: Vec<u8>,
    },
    /// A file was made shorter or longer.
    Resized {
        /// Which.
        fd: i32,
        /// Its size then.
        size: usize,
    },
    /// A file or the folder was synced.
    Synced {
        /// Which.
        fd: i32,
    },
    /// An operation was made to fail.
    Failed {
        /// On which file; -1 if it was not even opened.
        fd: i32,
        /// The [kind](super::Kind::name) of operation.
        kind: String,
    },
    /// A name was removed.
    Unlinked(String),
    /// A name was replaced by another.
    Renamed {
        /// The old one.
        from: String,
        /// The new one.
        to: String,
    },
    /// The program said this.
    Mark(String),
}

impl Recording {
    /// Reads a record; the program that wrote it has ended.
    ///
    /// # Errors
    /// It cannot be read.
    ///
    /// # Panics
    /// When it is no such record.
    pub fn read(path: &Path) -> io::Result<Self> {
        let bytes = fs::read(path)?;
        let mut rest = bytes.as_slice();
        let mut records = Vec::new();
        while !rest.is_empty() {
            records.push(Record::take(&mut rest).expect("a whole entry of a known kind"));
        }
        Ok(Self(records))
    }

    /// What was promised in all.
    pub fn promises(&self) -> Promises {
        let mut promises = Promises::default();
        for record in &self.0 {
            if let Record::Mark(mark) = record {
                promises.note(mark);
            }
        }
        promises
    }

    /// How many operations were made to fail.
    pub fn failures(&self) -> usize {
        let failed = |record: &&Record| matches!(record, Record::Failed { .. });
        self.0.iter().filter(failed).count()
    }
}

impl Record {
    fn take(rest: &mut &[u8]) -> Option<Self> {
        let [tag] = take(rest)?;
        let fd = i32::from_le_bytes(take(rest)?);
        let number = usize::try_from(u64::from_le_bytes(take(rest)?)).ok()?;
        let len = usize::try_from(u32::from_le_bytes(take(rest)?)).ok()?;
        let (bytes, others) = rest.split_at_checked(len)?;
        *rest = others;
        let text = || String::from_utf8(bytes.to_vec()).ok();
        Some(match tag {
            b'o' => Self::Opened {
                fd,
                name: text()?,
                is_new: number & 1 != 0,
                is_emptied: number & 2 != 0,
            },
            b'w' => Self::Written {
                fd,
                offset: number,
                bytes: bytes.to_vec(),
            },
            b't' => Self::Resized { fd, size: number },
            b's' => Self::Synced { fd },
            b'x' => Self::Failed { fd, kind: text()? },
            b'u' => Self::Unlinked(text()?),
            b'r' => {
                let names = text()?;
                let (from, to) = names.split_once('\0')?;
                Self::Renamed {
                    from: from.to_owned(),
                    to: to.to_owned(),
                }
            }
            b'm' => Self::Mark(text()?),
            _ => return None,
        })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, others) = rest.split_first_chunk()?;
    *rest = others;
    Some(*first)
}
