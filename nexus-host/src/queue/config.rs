//! `[queue]`: how many events wait, and what happens when no more can. It holds the settings only.

use std::path::PathBuf;
use std::time::Duration;

use nexus_plugin_api::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::work::size;
use crate::admission::Admitted;
use crate::alerts;
use crate::config::{ByteSize, HumanDuration, Section};

/// For so many events that tell of alerts there is room when there is none for others: that the queue is full may be
/// what they tell.
const ALERTS_BEYOND: u64 = 64;

/// How many bytes those may hold.
const ALERT_BYTES_BEYOND: u64 = 4 << 20;

/// How events wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where events wait: "memory", where they do not survive the process, or "sqlite", where they
    /// are on disk before a publisher is told that they are accepted. Default "memory".
    pub backend: Backend,
    /// How many events may wait to be processed, 1 to 100,000,000; 64 more that tell of alerts. Default 1000.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub capacity: usize,
    /// How many more may be parked for later (retries, open breakers), 0 to 100,000,000.
    /// Default 10000.
    #[schemars(range(min = 0, max = 100_000_000))]
    pub max_parked: usize,
    /// How many bytes all of these may hold together; at least `[limits] max_body`. Default "64MiB".
    pub max_bytes: ByteSize,
    /// What to do with an event that finds the queue full. Default "reject".
    pub when_full: WhenFull,
    /// How long a publisher waits for room with `when_full = "wait"`, before it is rejected. More
    /// than 0; default "5s".
    pub wait_timeout: HumanDuration,
    /// For how long an event's id is remembered, to recognise it when it comes again. More than 0;
    /// default "24h".
    pub dedup_window: HumanDuration,
    /// How many ids are remembered, 1 to 100,000,000; the oldest make room. Default 100000.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub dedup_capacity: usize,
    /// How many events' journeys are kept for `nexus explain`, 1 to 100,000,000. Default 10000.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub journal_capacity: usize,
    /// How many dead letters are kept, 1 to 100,000,000. Default 10000.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub dead_letter_capacity: usize,
    /// Settings of the backend "sqlite".
    pub sqlite: Sqlite,
}

/// Where events wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Backend {
    /// In memory: fast, and gone with the process.
    #[default]
    Memory,
    /// In a file: slower, and there again after any end of the process or the machine.
    Sqlite,
}

/// Settings of the backend "sqlite".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sqlite {
    /// The file, made when it is missing; relative to the configuration file. Files with this name
    /// and an ending (`-wal`, `-shm`, `-lock`, `-attempting`) belong to it. On a local disk: SQLite's
    /// locks do not hold on network file systems. Default "nexus.db".
    pub path: PathBuf,
    /// How much is added to the log (`-wal`) before it is copied into the file, 64KiB to 1GiB. More
    /// copies less often, and takes more room and a little longer to start. Default "16MiB".
    pub log_size: ByteSize,
}

impl Default for Sqlite {
    fn default() -> Self {
        Self {
            path: PathBuf::from("nexus.db"),
            log_size: ByteSize::from_mib(16),
        }
    }
}

/// What to do with an event that finds the queue full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// Refuse it: the publisher is told to come back.
    #[default]
    Reject,
    /// Let the publisher wait for room, at most `wait_timeout`.
    Wait,
    /// Make the oldest event a dead letter.
    DropOldest,
    /// Make the oldest event of the lowest priority a dead letter.
    DropLowest,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            backend: Backend::Memory,
            capacity: 1_000,
            max_parked: 10_000,
            max_bytes: ByteSize::from_mib(64),
            when_full: WhenFull::Reject,
            wait_timeout: HumanDuration::from_secs(5),
            dedup_window: HumanDuration::from_secs(24 * 60 * 60),
            dedup_capacity: 100_000,
            journal_capacity: 10_000,
            dead_letter_capacity: 10_000,
            sqlite: Sqlite::default(),
        }
    }
}

impl Config {
    pub(crate) fn check(&self, section: &mut Section<'_, '_>) {
        section.positive("wait_timeout", self.wait_timeout.get());
        section.positive("dedup_window", self.dedup_window.get());
        if section.key("sqlite").is_written("path") && !section.is_written("backend") {
            section.refuse_together(
                &["sqlite.path", "backend"],
                "is set, and the queue is in memory, since nothing says otherwise",
                "write backend = \"sqlite\" in [queue]; or backend = \"memory\" to leave it for later",
            );
        }
        if !(64 << 10..=1 << 30).contains(&self.sqlite.log_size.bytes()) {
            section.refuse(
                "sqlite.log_size",
                format!("{} is not within 64KiB and 1GiB", self.sqlite.log_size),
                "write a size such as \"16MiB\"",
            );
        }
    }

    /// Whether there is room for an event beside so many, some of them parked, that hold so many bytes.
    pub(super) fn has_room(&self, event: &Event, events: u64, parked: u64, bytes: u64) -> bool {
        let (more, more_bytes) = match alerts::tells_of_alerts(&event.event_type) {
            true => (ALERTS_BEYOND, ALERT_BYTES_BEYOND),
            false => (0, 0),
        };
        let capacity = u64::try_from(self.capacity).unwrap_or(u64::MAX);
        let max_bytes = self.max_bytes.bytes().saturating_add(more_bytes);
        // Parked events have a bound of their own.
        events.saturating_sub(parked) < capacity.saturating_add(more)
            && (events == 0 || bytes + size(event) <= max_bytes)
    }

    /// How long whoever brings these events waits for room, and in line for it. What tells of alerts stands in no line.
    pub(super) fn patience(&self, events: &[Admitted]) -> Option<Duration> {
        let tells = |event: &Admitted| alerts::tells_of_alerts(&event.event().event_type);
        let may_wait = self.when_full == WhenFull::Wait && !events.iter().all(tells);
        may_wait.then(|| self.wait_timeout.get())
    }
}
