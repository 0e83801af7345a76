//! What a disk may hold when the power goes: takes a recording, makes images of it.
//!
//! The rules are stricter than any one file system's:
//!
//! - What was written to a file before its last sync is there.
//! - Of what was written or resized since, any part is there; of one write, any of its 512-byte
//!   sectors.
//! - Names that were made, removed or changed since the folder's last sync are so, or not, each by
//!   itself; to sync a file does not keep its name.
//! - What was written before a sync that failed may be lost for ever: the system takes it for
//!   written, and no later sync tries again.

use std::collections::{BTreeMap, HashMap};
use std::{env, fmt};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::{Image, Kind, Promises, Record, Recording};

/// What a disk writes as one.
const SECTOR: usize = 512;

/// How many crashes to try.
#[derive(Debug, Clone, Copy)]
pub struct Cases {
    /// How many.
    pub count: usize,
    /// What decides about everything left to chance; the recording itself is another each time.
    pub seed: u64,
}

impl Cases {
    /// `NEXUS_POWER_CASES`, else `count`; `NEXUS_POWER_SEED`, else any.
    ///
    /// # Panics
    /// When one of them is no number.
    pub fn from_env(count: usize) -> Self {
        let number = |name| {
            let text = env::var(name).ok()?;
            Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
        };
        let seed = number("NEXUS_POWER_SEED").unwrap_or_else(rand::random);
        let count = number("NEXUS_POWER_CASES")
            .map_or(count, |count| usize::try_from(count).expect("a usize"));
        Self { count, seed }
    }
}

impl fmt::Display for Cases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "NEXUS_POWER_SEED={} NEXUS_POWER_CASES={}",
            self.seed, self.count
        )
    }
}

/// Whether syncs do what they should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syncs {
    /// They keep what was written.
    Kept,
    /// They keep nothing: whoever still loses nothing has not been put to the test.
    Ignored,
}

/// The power is lost.
#[derive(Debug, Clone)]
pub struct Crash {
    /// After so many operations.
    pub after: usize,
    /// What was promised by then.
    pub promises: Promises,
    /// What is found afterwards.
    pub image: Image,
}

/// Crashes all along a recording that began with `before` on the disk.
pub fn crashes<'a>(
    before: &'a Image,
    recording: &'a Recording,
    syncs: Syncs,
    cases: Cases,
) -> impl Iterator<Item = Crash> + 'a {
    let mut rng = SmallRng::seed_from_u64(cases.seed);
    let mut moments: Vec<_> = (0..cases.count)
        .map(|_| rng.random_range(0..=recording.0.len()))
        .collect();
    moments.sort_unstable();
    let mut disk = Disk::new(before, syncs);
    let mut promises = Promises::default();
    let mut done = 0;
    moments.into_iter().map(move |after| {
        for record in &recording.0[done..after] {
            disk.apply(record);
            if let Record::Mark(mark) = record {
                promises.note(mark);
            }
        }
        done = after;
        Crash {
            after,
            promises: promises.clone(),
            image: disk.lose_power(&mut rng),
        }
    })
}

/// A disk with its cache.
#[derive(Debug)]
pub struct Disk<'a> {
    syncs: Syncs,
    files: Vec<File<'a>>,
    /// What each open descriptor stands for; `None` is the folder.
    open: HashMap<i32, Option<usize>>,
    /// Which file each name leads to, as the program sees it.
    names: BTreeMap<&'a str, usize>,
    /// The same, as the disk has it.
    kept_names: BTreeMap<&'a str, usize>,
    /// What lies between the two, in order.
    moves: Vec<Move<'a>>,
}

#[derive(Debug, Default)]
struct File<'a> {
    /// What is on the disk for certain.
    kept: Vec<u8>,
    /// What came after, in order.
    changes: Vec<(Change<'a>, Fate)>,
}

#[derive(Debug, Clone, Copy)]
enum Change<'a> {
    Write(usize, &'a [u8]),
    Resize(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Waits for a sync.
    Open,
    /// A sync failed: it may be there or not, and that is all.
    Doubtful,
    /// Synced; only behind something doubtful.
    Kept,
}

#[derive(Debug, Clone, Copy)]
enum Move<'a> {
    Link(&'a str, usize),
    Unlink(&'a str),
    Rename(&'a str, &'a str),
}

impl<'a> Disk<'a> {
    /// A disk that holds these files.
    pub fn new(before: &'a Image, syncs: Syncs) -> Self {
        let file = |kept: &Vec<u8>| File {
            kept: kept.clone(),
            changes: Vec::new(),
        };
        let names: BTreeMap<_, _> = before.0.keys().map(String::as_str).zip(0..).collect();
        Self {
            syncs,
            files: before.0.values().map(file).collect(),
            open: HashMap::new(),
            kept_names: names.clone(),
            names,
            moves: Vec::new(),
        }
    }

    /// Does what was recorded.
    ///
    /// # Panics
    /// When it cannot have happened, such as a write to a file that was not opened.
    pub fn apply(&mut self, record: &'a Record) {
        match record {
            Record::Opened { fd, name, .. } if name.is_empty() => {
                self.open.insert(*fd, None);
            }
            Record::Opened {
                fd,
                name,
                is_new,
                is_emptied,
            } => {
                if *is_new {
                    self.files.push(File::default());
                    self.rename(Move::Link(name, self.files.len() - 1));
                }
                self.open.insert(*fd, Some(self.names[name.as_str()]));
                if *is_emptied && !is_new {
                    self.change(*fd, Change::Resize(0));
                }
            }
            Record::Written { fd, offset, bytes } => {
                self.change(*fd, Change::Write(*offset, bytes));
            }
            Record::Resized { fd, size } => self.change(*fd, Change::Resize(*size)),
            Record::Synced { fd } => self.sync(*fd),
            Record::Failed { fd, kind } if kind == Kind::Sync.name() => {
                if let Some(file) = self.open[fd] {
                    self.files[file].doubt();
                }
            }
            Record::Unlinked(name) => self.rename(Move::Unlink(name)),
            Record::Renamed { from, to } => self.rename(Move::Rename(from, to)),
            Record::Failed { .. } | Record::Mark(_) => {}
        }
    }

    fn rename(&mut self, step: Move<'a>) {
        step.apply(&mut self.names);
        self.moves.push(step);
    }

    fn change(&mut self, fd: i32, change: Change<'a>) {
        let file = self.open[&fd].expect("a file");
        self.files[file].changes.push((change, Fate::Open));
    }

    fn sync(&mut self, fd: i32) {
        match (self.syncs, self.open[&fd]) {
            (Syncs::Ignored, _) => {}
            (Syncs::Kept, Some(file)) => self.files[file].sync(),
            (Syncs::Kept, None) => {
                for step in self.moves.drain(..) {
                    step.apply(&mut self.kept_names);
                }
            }
        }
    }

    /// What the folder may hold if the power is lost now.
    pub fn lose_power(&self, rng: &mut impl Rng) -> Image {
        // All, most, half or nothing of what is open survives: the ends are where bugs are.
        let luck = [0.0, 0.5, 0.9, 1.0][rng.random_range(0..4)];
        let mut names = self.kept_names.clone();
        for step in &self.moves {
            if rng.random_bool(luck) {
                step.apply(&mut names);
            }
        }
        let content =
            |(name, file): (&str, usize)| (name.to_owned(), self.files[file].lose_power(luck, rng));
        Image(names.into_iter().map(content).collect())
    }
}

impl File<'_> {
    fn sync(&mut self) {
        for (_, fate) in &mut self.changes {
            if *fate == Fate::Open {
                *fate = Fate::Kept;
            }
        }
        let is_certain = |(_, fate): &&(Change<'_>, Fate)| *fate == Fate::Kept;
        let certain = self.changes.iter().take_while(is_certain).count();
        for (change, _) in self.changes.drain(..certain) {
            change.apply(&mut self.kept);
        }
    }

    fn doubt(&mut self) {
        for (_, fate) in &mut self.changes {
            if *fate == Fate::Open {
                *fate = Fate::Doubtful;
            }
        }
    }

    fn lose_power(&self, luck: f64, rng: &mut impl Rng) -> Vec<u8> {
        let mut bytes = self.kept.clone();
        let torn = rng.random_range(0..=self.changes.len());
        for (index, (change, fate)) in self.changes.iter().enumerate() {
            match change {
                _ if *fate == Fate::Kept => change.apply(&mut bytes),
                Change::Write(offset, written) if index == torn => {
                    tear(*offset, written, &mut bytes, rng);
                }
                _ if rng.random_bool(luck) => change.apply(&mut bytes),
                _ => {}
            }
        }
        bytes
    }
}

/// Writes some of the sectors.
fn tear(offset: usize, written: &[u8], bytes: &mut Vec<u8>, rng: &mut impl Rng) {
    let (mut offset, mut rest) = (offset, written);
    while !rest.is_empty() {
        let len = rest.len().min(SECTOR - offset % SECTOR);
        let (sector, others) = rest.split_at(len);
        if rng.random_bool(0.5) {
            Change::Write(offset, sector).apply(bytes);
        }
        (offset, rest) = (offset + len, others);
    }
}

impl Change<'_> {
    fn apply(self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, written) => {
                let end = offset + written.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[offset..end].copy_from_slice(written);
            }
            Self::Resize(size) => bytes.resize(size, 0),
        }
    }
}

impl<'a> Move<'a> {
    fn apply(self, names: &mut BTreeMap<&'a str, usize>) {
        match self {
            Self::Link(name, file) => {
                names.insert(name, file);
            }
            Self::Unlink(name) => {
                names.remove(name);
            }
            // What it renames may not be there: it was made since, and that was lost.
            Self::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to, file);
                }
            }
        }
    }
}
