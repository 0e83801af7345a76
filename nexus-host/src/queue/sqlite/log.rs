//! The log (`-wal`) as a file: whether it is whole, and room in it.
//!
//! Receives the path of a queue, hands on what SQLite does not tell: it takes the log up to the first
//! frame that is not as it was written, and says nothing of what comes behind. The format is that of
//! <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use super::schema;

/// Bytes of the log's head, and of a frame's before its page.
const HEAD: usize = 32;
const FRAME: usize = 24;

/// Room is added as the log has grown, within these bounds, in bytes.
const ROOM: (u64, u64) = (64 * 1024, 8 * 1024 * 1024);

/// Something in the log is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the log is damaged {place}; what was committed behind that is lost")]
pub(super) struct Broken {
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Head,
    Frame(u64),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Head => f.write_str("at its beginning"),
            Self::Frame(number) => write!(f, "in frame {number}"),
        }
    }
}

/// The running sum over a log: each frame's continues that of the frame before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Chain {
    sum: (u32, u32),
    /// Which byte of a word comes first, as the head says.
    is_big_endian: bool,
}

impl Chain {
    fn add(&mut self, bytes: &[u8]) {
        for pair in bytes.chunks_exact(8) {
            let (first, second) = pair.split_at(4);
            self.sum.0 = (self.sum.0)
                .wrapping_add(self.word(first))
                .wrapping_add(self.sum.1);
            self.sum.1 = (self.sum.1)
                .wrapping_add(self.word(second))
                .wrapping_add(self.sum.0);
        }
    }

    fn word(&self, bytes: &[u8]) -> u32 {
        let bytes = bytes.first_chunk().copied().unwrap_or_default();
        match self.is_big_endian {
            true => u32::from_be_bytes(bytes),
            false => u32::from_le_bytes(bytes),
        }
    }
}

/// What the log's head says.
#[derive(Debug)]
struct Head {
    page: usize,
    salts: [u8; 8],
    chain: Chain,
}

impl Head {
    fn read(bytes: &[u8; HEAD]) -> Option<Self> {
        const MAGIC: u32 = 0x377f_0682;
        let magic = number(&bytes[..4]);
        let mut chain = Chain {
            sum: (0, 0),
            is_big_endian: magic & 1 == 1,
        };
        chain.add(&bytes[..24]);
        let page = usize::try_from(number(&bytes[8..12])).ok()?;
        let is_whole = magic & !1 == MAGIC
            && page.is_power_of_two()
            && (512..=65_536).contains(&page)
            && chain.sum == (number(&bytes[24..28]), number(&bytes[28..32]));
        let salts = bytes[16..24].first_chunk().copied()?;
        is_whole.then_some(Self { page, salts, chain })
    }
}

/// Numbers in the log have their highest byte first.
fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.first_chunk().copied().unwrap_or_default())
}

/// Looks whether a queue's log is whole, as far as one can tell: its last transaction may have been
/// cut off when the power went, and before it was promised to anybody. What is broken before that was
/// written whole, and synced, or nothing would stand behind it.
///
/// # Errors
/// It cannot be read.
pub(super) fn check(queue: &Path) -> std::io::Result<Result<(), Broken>> {
    match File::open(schema::beside(queue, "wal")) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Ok(())),
        log => judge(std::io::BufReader::with_capacity(256 * 1024, log?)),
    }
}

/// The same, of the bytes of a log.
pub(super) fn judge(mut log: impl Read) -> std::io::Result<Result<(), Broken>> {
    let mut head = [0; HEAD];
    if !fill(&mut log, &mut head)? || head == [0; HEAD] {
        // Nothing was written yet, or what was written has not reached the disk.
        return Ok(Ok(()));
    }
    let Some(head) = Head::read(&head) else {
        // It is shorter than what a disk writes as one: it cannot be half there.
        return Ok(Err(Broken { place: Place::Head }));
    };
    let mut chain = head.chain;
    let mut broken = None;
    // Whether a transaction has ended behind what is broken.
    let mut has_ended = false;
    let mut frame = vec![0; FRAME + head.page];
    for place in 1.. {
        if !fill(&mut log, &mut frame)? {
            break;
        }
        let is_of_this_log = frame[8..16] == head.salts;
        if has_ended && is_of_this_log {
            return Ok(Err(Broken {
                place: Place::Frame(broken.unwrap_or(place)),
            }));
        }
        chain.add(&frame[..8]);
        chain.add(&frame[FRAME..]);
        let sum = (number(&frame[16..20]), number(&frame[20..24]));
        if broken.is_none() && !(is_of_this_log && chain.sum == sum) {
            broken = Some(place);
        }
        if broken.is_some() {
            has_ended |= is_of_this_log && number(&frame[4..8]) != 0;
        }
    }
    Ok(Ok(()))
}

/// Keeps a log as it is, in a copy beside it that is on the disk.
///
/// # Errors
/// It cannot be read, or there is no room for a copy.
pub(super) fn save(queue: &Path) -> std::io::Result<PathBuf> {
    let copy = schema::beside(queue, &format!("damaged-{}-wal", schema::now()));
    std::fs::copy(schema::beside(queue, "wal"), &copy)?;
    // Before anybody empties the log itself.
    File::options().write(true).open(&copy)?.sync_all()?;
    schema::sync_folder(queue)?;
    Ok(copy)
}

/// Reads so much; says whether there was so much.
fn fill(log: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<bool> {
    match log.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Keeps room in the log: a commit that overwrites what is there is synced sooner than one that makes
/// the file longer, for which the file system has to write down more than the bytes. SQLite takes zeros
/// for the end of the log.
#[derive(Debug)]
pub(super) struct Room {
    path: PathBuf,
    log: Option<File>,
    /// How long the log is with its room.
    end: u64,
}

impl Room {
    pub(super) fn in_log_of(queue: &Path) -> Self {
        Self {
            path: schema::beside(queue, "wal"),
            log: None,
            end: 0,
        }
    }

    /// Adds room when it has been used up. Only the writer may call it, and not within a transaction:
    /// it writes where the next transaction would.
    pub(super) fn keep(&mut self) {
        if let Err(error) = self.try_to_keep() {
            // Then it gets longer bit by bit.
            tracing::debug!(%error, "failed to make room in the queue's log");
        }
    }

    fn try_to_keep(&mut self) -> std::io::Result<()> {
        let log = match &mut self.log {
            Some(log) => log,
            log => log.insert(File::options().append(true).open(&self.path)?),
        };
        let len = log.metadata()?.len();
        if len <= self.end {
            return Ok(());
        }
        let (least, most) = ROOM;
        let room = len.clamp(least, most);
        self.end = len + room;
        let zeros = vec![0; 1 << 16];
        let mut left = usize::try_from(room).unwrap_or(0);
        while left > 0 {
            let part = left.min(zeros.len());
            log.write_all(&zeros[..part])?;
            left -= part;
        }
        Ok(())
    }
}
