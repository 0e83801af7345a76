//! What the system is asked: processor time, in which other programs have no part, memory, and how many
//! descriptors there may be. Where it does not tell, nothing is measured by it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::time::Duration;

/// Processor time that this thread has taken so far.
#[cfg(unix)]
pub(crate) fn thread_time() -> Option<Duration> {
    Some(taken(rustix::time::ClockId::ThreadCPUTime))
}

/// Processor time that this process has taken so far.
#[cfg(unix)]
pub(crate) fn process_time() -> Option<Duration> {
    Some(taken(rustix::time::ClockId::ProcessCPUTime))
}

#[cfg(unix)]
fn taken(clock: rustix::time::ClockId) -> Duration {
    let time = rustix::time::clock_gettime(clock);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

#[cfg(not(unix))]
pub(crate) fn thread_time() -> Option<Duration> {
    None
}

#[cfg(not(unix))]
pub(crate) fn process_time() -> Option<Duration> {
    None
}

/// Processor time of another process, by its threads: what those took that ended is known up to the last look before.
/// Linux only.
#[derive(Debug, Default)]
pub(crate) struct Threads(HashMap<OsString, u64>);

impl Threads {
    /// What it has taken so far.
    pub(crate) fn of(&mut self, process: u32) -> Option<Duration> {
        for thread in fs::read_dir(format!("/proc/{process}/task")).ok()? {
            let thread = thread.ok()?;
            let Ok(told) = fs::read_to_string(thread.path().join("schedstat")) else {
                continue;
            };
            let nanos = told.split_whitespace().next()?.parse().ok()?;
            self.0.insert(thread.file_name(), nanos);
        }
        Some(Duration::from_nanos(self.0.values().sum()))
    }
}

/// KiB of memory that a process holds now. `process` is its id, or `self`. Linux only.
pub(crate) fn resident(process: &str) -> Option<u64> {
    memory(process, "VmRSS:")
}

/// The most KiB of memory that a process has held so far. Linux only.
pub(crate) fn resident_peak(process: &str) -> Option<u64> {
    memory(process, "VmHWM:")
}

fn memory(process: &str, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
