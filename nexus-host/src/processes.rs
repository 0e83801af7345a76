//! What the system says of a process: receives its id, hands on what it uses. Where a system does not say so, nothing
//! is known.

use std::time::Duration;

/// Whether this system says what a process has used.
pub(crate) const ARE_COUNTED: bool = cfg!(target_os = "linux");

/// What a process uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Use {
    /// What it has used of the processors so far, all of its threads together.
    pub(crate) cpu: Duration,
    /// Octets of memory that it holds.
    pub(crate) resident: u64,
    /// Octets of addresses that it has taken.
    pub(crate) taken: u64,
    /// When it was started, since 1970.
    pub(crate) started_at: Duration,
}

/// Files and sockets of this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Descriptors {
    /// How many are open.
    pub(crate) open: u64,
    /// How many may be.
    pub(crate) most: Option<u64>,
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs;
    use std::sync::OnceLock;
    use std::time::Duration;

    use super::{Descriptors, Use};

    pub(super) fn of(process: u32) -> Option<Use> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name before the last bracket may hold anything. After it, the state is the third field.
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let a_second = rustix::param::clock_ticks_per_second().max(1);
        let time = |ticks: u64| Duration::from_millis(ticks * 1_000 / a_second);
        let page = u64::try_from(rustix::param::page_size()).unwrap_or(4_096);
        Some(Use {
            cpu: time(field(14)? + field(15)?),
            started_at: boot()? + time(field(22)?),
            taken: field(23)?,
            resident: field(24)? * page,
        })
    }

    pub(super) fn descriptors() -> Option<Descriptors> {
        use rustix::process::{Resource, getrlimit};
        let folder = "/proc/self/fd";
        // Newer systems tell how many there are as the folder's size, without a look at each.
        let size = fs::metadata(folder).ok()?.len();
        let open = match size {
            0 => u64::try_from(fs::read_dir(folder).ok()?.count()).ok()?,
            size => size,
        };
        let most = getrlimit(Resource::Nofile).current;
        Some(Descriptors { open, most })
    }

    /// When the system was started, since 1970. It is looked up once: a clock that is put right has started nothing anew.
    fn boot() -> Option<Duration> {
        static BOOT: OnceLock<Option<Duration>> = OnceLock::new();
        *BOOT.get_or_init(|| {
            let stat = fs::read_to_string("/proc/stat").ok()?;
            let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
            line.trim().parse().ok().map(Duration::from_secs)
        })
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::{Descriptors, Use};

    pub(super) fn of(_: u32) -> Option<Use> {
        None
    }

    pub(super) fn descriptors() -> Option<Descriptors> {
        None
    }
}

/// What a process uses now; `None` when there is none of that id.
pub(crate) fn of(process: u32) -> Option<Use> {
    system::of(process)
}

/// The files and sockets of this process.
pub(crate) fn descriptors() -> Option<Descriptors> {
    system::descriptors()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::{Instant, SystemTime};

    use super::*;

    #[test]
    fn what_this_process_uses_is_told() {
        let before = of(std::process::id()).expect("it is told");
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(200) {
            std::hint::black_box(started);
        }
        let now = of(std::process::id()).expect("it is told");
        let used = now.cpu - before.cpu;
        assert!(used >= Duration::from_millis(50), "{used:?}");
        assert!(
            now.resident > 1_000_000 && now.taken > now.resident,
            "{now:?}"
        );
        let age = SystemTime::now() - now.started_at;
        let age = age.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert!(age < Duration::from_secs(24 * 60 * 60), "{age:?}");
        assert!(of(u32::MAX).is_none(), "no such process");
        let file = std::fs::File::open("/dev/null");
        let open = descriptors().expect("it is told").open;
        drop(file);
        assert!(open > 3 && descriptors().is_some_and(|now| now.open <= open));
    }
}
