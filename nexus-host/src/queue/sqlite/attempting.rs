//! Which work is under way, in a small file beside the queue: written before a plugin sees the work,
//! so that what kills the process is known at the next start. At its head it says how many transactions
//! are on disk, so that it is also known when some were lost.
//!
//! It is not synced: a process that dies leaves what it wrote to the system, and when the power goes
//! nobody is to blame, and an older number says less, but nothing wrong.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::ops::Range;
use std::path::Path;

use super::rows::{Key, TaskId};

/// Bytes of one entry: the event's key and the task's id, each little-endian. In the place of the first
/// entry is the number of transactions.
pub(super) const ENTRY: usize = 16;

/// A place in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot(usize);

/// Work that was under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Mark {
    pub(super) event: Key,
    /// `None` for the first routing.
    pub(super) task: Option<TaskId>,
}

impl Mark {
    /// As the table of suspects names the task.
    pub(super) fn task_column(self) -> i64 {
        self.task.map_or(0, |task| task.0)
    }

    /// What the table of suspects names.
    pub(super) fn of_columns(event: i64, task: i64) -> Self {
        Self {
            event: Key(event),
            task: (task > 0).then_some(TaskId(task)),
        }
    }

    pub(super) fn encode(self) -> [u8; ENTRY] {
        let mut entry = [0; ENTRY];
        entry[..8].copy_from_slice(&self.event.0.to_le_bytes());
        entry[8..].copy_from_slice(&self.task_column().to_le_bytes());
        entry
    }

    /// Events have keys from 1 on; zeros are an empty place.
    fn decode(entry: &[u8]) -> Option<Self> {
        let (event, task) = entry.split_first_chunk::<8>()?;
        let (event, task) = (i64::from_le_bytes(*event), task.first_chunk::<8>()?);
        let task = i64::from_le_bytes(*task);
        (event > 0).then(|| Self::of_columns(event, task))
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Attempting {
    file: File,
    /// What the file holds, or will once it is flushed.
    entries: Vec<[u8; ENTRY]>,
    free: Vec<usize>,
    /// Entries that ended and are still in the file.
    ended: Option<Range<usize>>,
}

impl Attempting {
    /// Opens the file. Answers what was under way when the last process died.
    pub(super) fn open(path: &Path) -> std::io::Result<(Self, Vec<Mark>)> {
        let mut options = OpenOptions::new();
        let options = options.create(true).read(true).write(true).truncate(false);
        let mut file = options.open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let marks = marks(&bytes);
        let attempting = Self {
            file,
            entries: vec![[0; ENTRY]],
            free: Vec::new(),
            ended: None,
        };
        Ok((attempting, marks))
    }

    /// Forgets what was under way: it has been judged.
    pub(super) fn clear(&mut self) {
        self.entries
            .iter_mut()
            .skip(1)
            .for_each(|entry| *entry = [0; ENTRY]);
        tell(self.file.set_len(ENTRY as u64));
    }

    /// Work begins: its mark is in the file when this returns.
    pub(super) fn begin(&mut self, mark: Mark) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.entries.push([0; ENTRY]);
            self.entries.len() - 1
        });
        self.entries[slot] = mark.encode();
        self.write(slot..slot + 1);
        Slot(slot)
    }

    /// Work has ended. Its mark is gone with the next flush.
    pub(super) fn end(&mut self, Slot(slot): Slot) {
        self.entries[slot] = [0; ENTRY];
        self.free.push(slot);
        let ended = self.ended.get_or_insert(slot..slot + 1);
        *ended = ended.start.min(slot)..ended.end.max(slot + 1);
    }

    /// Takes the marks of what has ended out of the file. So many transactions are on disk.
    pub(super) fn flush(&mut self, transactions: u64) {
        self.entries[0][..8].copy_from_slice(&transactions.to_le_bytes());
        let ended = self.ended.take().unwrap_or(0..1);
        self.write(0..ended.end);
    }

    fn write(&self, slots: Range<usize>) {
        let at = (slots.start * ENTRY) as u64;
        tell(write_at(&self.file, self.entries[slots].as_flattened(), at));
    }
}

/// What was under way, by the bytes of such a file.
pub(super) fn marks(bytes: &[u8]) -> Vec<Mark> {
    let entries = bytes.chunks(ENTRY).skip(1);
    entries.filter_map(Mark::decode).collect()
}

/// How many transactions were on disk at least, by the file; 0 where it says nothing.
pub(super) fn written(path: &Path) -> std::io::Result<u64> {
    let mut number = [0; 8];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut number));
    match read {
        Ok(()) => Ok(u64::from_le_bytes(number)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof) => {
            Ok(0)
        }
        Err(error) => Err(error),
    }
}

/// Forgets how many transactions were on disk: fewer are.
pub(super) fn forget(path: &Path) -> std::io::Result<()> {
    match OpenOptions::new().write(true).open(path) {
        Ok(file) => write_at(&file, &[0; 8], 0),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Work goes on without its mark: a disk that is full is no reason to stop.
fn tell(written: std::io::Result<()>) {
    if let Err(error) = written {
        tracing::debug!(%error, "failed to note which work is under way");
    }
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], at: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

#[cfg(windows)]
fn write_at(file: &File, bytes: &[u8], at: u64) -> std::io::Result<()> {
    // What is within a page is written whole or not at all.
    std::os::windows::fs::FileExt::seek_write(file, bytes, at).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_under_way_is_found_and_what_ended_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("attempting");
        let mark = |event, task: Option<i64>| Mark {
            event: Key(event),
            task: task.map(TaskId),
        };
        let (mut file, before) = Attempting::open(&path).expect("it opens");
        assert!(before.is_empty());
        let first = file.begin(mark(1, None));
        file.begin(mark(2, Some(7)));
        file.end(first);
        file.flush(0);
        file.begin(mark(3, Some(8)));
        let (mut file, before) = Attempting::open(&path).expect("it opens");
        assert_eq!(before, [mark(3, Some(8)), mark(2, Some(7))]);
        file.clear();
        let (_, before) = Attempting::open(&path).expect("it opens");
        assert!(before.is_empty());
    }

    #[test]
    fn the_number_of_transactions_outlives_what_was_under_way() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("attempting");
        assert_eq!(written(&path).expect("it is not there"), 0);
        let (mut file, _) = Attempting::open(&path).expect("it opens");
        assert_eq!(written(&path).expect("it is empty"), 0);
        file.begin(Mark {
            event: Key(1),
            task: None,
        });
        file.flush(7);
        file.clear();
        assert_eq!(written(&path).expect("it is there"), 7);
    }

    #[test]
    fn a_torn_file_is_read_as_far_as_it_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("attempting");
        std::fs::write(&path, [255; 37]).expect("it is written");
        let (_, before) = Attempting::open(&path).expect("it opens");
        assert!(before.is_empty(), "negative keys are none: {before:?}");
    }
}
