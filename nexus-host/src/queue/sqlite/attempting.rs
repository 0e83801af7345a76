//! Which work is under way, in a small file beside the queue: written before a plugin sees the work,
//! so that what kills the process is known at the next start.
//!
//! It is not synced: a process that dies leaves what it wrote to the system, and when the power goes
//! nobody is to blame.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::Path;

use super::rows::{Key, TaskId};

/// Bytes of one entry: the event's key and the task's id, each little-endian.
const ENTRY: usize = 16;

/// A place in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot(u64);

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

    fn encode(self) -> [u8; ENTRY] {
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
        (event > 0).then_some(Self {
            event: Key(event),
            task: (task > 0).then_some(TaskId(task)),
        })
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Attempting {
    file: File,
    free: Vec<Slot>,
    slots: u64,
}

impl Attempting {
    /// Opens the file, empty from now on. Answers what was under way when the last process died.
    pub(super) fn open(path: &Path) -> std::io::Result<(Self, Vec<Mark>)> {
        let mut options = OpenOptions::new();
        let options = options.create(true).read(true).write(true).truncate(false);
        let mut file = options.open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let marks = bytes.chunks(ENTRY).filter_map(Mark::decode).collect();
        let attempting = Self {
            file,
            free: Vec::new(),
            slots: 0,
        };
        Ok((attempting, marks))
    }

    /// Forgets what was under way: it has been judged.
    pub(super) fn clear(&mut self) {
        tell(self.file.set_len(0));
    }

    /// Work begins.
    pub(super) fn begin(&mut self, mark: Mark) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots += 1;
            Slot(self.slots - 1)
        });
        self.write(slot, &mark.encode());
        slot
    }

    /// Work has ended.
    pub(super) fn end(&mut self, slot: Slot) {
        self.write(slot, &[0; ENTRY]);
        self.free.push(slot);
    }

    fn write(&self, Slot(slot): Slot, entry: &[u8; ENTRY]) {
        tell(write_at(&self.file, entry, slot * 16));
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
    // Sixteen bytes within a page are written whole or not at all.
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
        file.begin(mark(3, Some(8)));
        let (mut file, before) = Attempting::open(&path).expect("it opens");
        assert_eq!(before, [mark(3, Some(8)), mark(2, Some(7))]);
        file.clear();
        let (_, before) = Attempting::open(&path).expect("it opens");
        assert!(before.is_empty());
    }

    #[test]
    fn a_torn_file_is_read_as_far_as_it_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("attempting");
        std::fs::write(&path, [255; 21]).expect("it is written");
        let (_, before) = Attempting::open(&path).expect("it opens");
        assert!(before.is_empty(), "negative keys are none: {before:?}");
    }
}
