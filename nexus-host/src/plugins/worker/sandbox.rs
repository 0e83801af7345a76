//! What a worker may use of the system: receives limits, holds this process to them before anything of the
//! plugin runs, and hands on the names of what this system cannot do.

use std::path::Path;

use super::frame::Limits;

/// Holds this process to its limits. `library` is the copy that it must be able to read.
#[cfg(unix)]
pub(super) fn enter(limits: &Limits<'_>, library: &Path) -> Vec<&'static str> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let mut missing = Vec::new();
    let mut hold = |what, resource, most: u64| {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        if setrlimit(resource, limit).is_err() {
            missing.push(what);
        }
    };
    hold("core", Resource::Core, 0);
    hold("descriptors", Resource::Nofile, limits.descriptors);
    // What a process writes to, of its own: address space that is only set aside is not memory.
    hold("memory", Resource::Data, limits.memory);
    missing.extend(system::enter(limits.paths.as_ref(), library));
    missing
}

/// Nothing of it is there on this system.
#[cfg(not(unix))]
pub(super) fn enter(_: &Limits<'_>, _: &Path) -> Vec<&'static str> {
    vec!["core", "descriptors", "memory", "paths", "privileges"]
}

#[cfg(target_os = "linux")]
mod system {
    use std::path::Path;

    use landlock::{
        ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, PathFd, RestrictionStatus,
        Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    };
    use rustix::process::{Signal, set_parent_process_death_signal};
    use rustix::thread::set_no_new_privs;

    use super::super::frame::Paths;

    /// What a library needs to run at all: other libraries, time zones, certificates, names of hosts.
    const READABLE: [&str; 12] = [
        "/bin", "/dev", "/etc", "/lib", "/lib64", "/nix", "/opt", "/proc", "/run", "/sbin", "/sys",
        "/usr",
    ];

    /// What may be written to.
    const WRITABLE: [&str; 2] = ["/dev/null", "/dev/shm"];

    pub(super) fn enter(paths: Option<&Paths<'_>>, library: &Path) -> Vec<&'static str> {
        let mut missing = Vec::new();
        // The end of the wire tells as well, but only whoever reads from it.
        if set_parent_process_death_signal(Some(Signal::KILL)).is_err() {
            missing.push("end with the hub");
        }
        if set_no_new_privs(true).is_err() {
            missing.push("privileges");
        }
        let is_held = |status: RestrictionStatus| status.ruleset != RulesetStatus::NotEnforced;
        if paths.is_some_and(|paths| !restrict(paths, library).is_ok_and(is_held)) {
            missing.push("paths");
        }
        missing
    }

    /// Nothing is read or written that is not named here or in the configuration.
    fn restrict(paths: &Paths<'_>, library: &Path) -> Result<RestrictionStatus, RulesetError> {
        let abi = ABI::V5;
        let mut rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(abi))?
            .create()?;
        let readable = READABLE.iter().chain(&paths.read).map(Path::new);
        let readable = readable.chain(library.parent());
        let writable = WRITABLE.iter().chain(&paths.write).map(Path::new);
        let readable = readable.map(|path| (path, AccessFs::from_read(abi)));
        let writable = writable.map(|path| (path, AccessFs::from_all(abi)));
        for (path, access) in readable.chain(writable) {
            // What is not there need not be allowed.
            if let Ok(opened) = PathFd::new(path) {
                rules = rules.add_rule(PathBeneath::new(opened, access))?;
            }
        }
        rules.restrict_self()
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
mod system {
    use std::path::Path;

    use super::super::frame::Paths;

    pub(super) fn enter(_: Option<&Paths<'_>>, _: &Path) -> Vec<&'static str> {
        vec!["end with the hub", "privileges", "paths"]
    }
}
