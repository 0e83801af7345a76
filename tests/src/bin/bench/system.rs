//! What the system is asked: processor time, in which other programs have no part, memory, and who runs on which
//! core. Where it does not tell, nothing is measured by it.

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

/// How many cores there are.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(target_os = "linux")]
pub(crate) use affinity::{elsewhere, stay_on_the_last_core};

#[cfg(target_os = "linux")]
mod affinity {
    use rustix::process::getpid;
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    /// From now on this thread, and every thread that it starts, stays on the last core, on which nothing is that it
    /// starts [`elsewhere`]. Says whether that is so: with one core it is not. Not for the program's first thread, which
    /// knows which cores there are.
    pub(crate) fn stay_on_the_last_core() -> bool {
        let Ok(all) = sched_getaffinity(Some(getpid())) else {
            return false;
        };
        let last = (0..CpuSet::MAX_CPU).rfind(|core| all.is_set(*core));
        let mut own = CpuSet::new();
        last.into_iter().for_each(|core| own.set(core));
        all.count() > 1 && sched_setaffinity(None, &own).is_ok()
    }

    /// Starts a program on the cores that this thread keeps off, if it does.
    pub(crate) fn elsewhere<T>(start: impl FnOnce() -> T) -> T {
        let cores = (sched_getaffinity(Some(getpid())), sched_getaffinity(None));
        let (Ok(mut others), Ok(own)) = cores else {
            return start();
        };
        if others == own {
            return start();
        }
        for core in (0..CpuSet::MAX_CPU).filter(|core| own.is_set(*core)) {
            others.unset(core);
        }
        // What is started has the cores of the thread that starts it.
        let _ = sched_setaffinity(None, &others);
        let started = start();
        let _ = sched_setaffinity(None, &own);
        started
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn stay_on_the_last_core() -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn elsewhere<T>(start: impl FnOnce() -> T) -> T {
    start()
}
