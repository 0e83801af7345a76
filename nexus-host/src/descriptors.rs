//! How many files and sockets a process may have open at once.

/// Lets this process, and those that it starts, have as many as the system allows it: how many that is.
/// `None` where there is no such limit, or where it cannot be told.
///
/// Systems often give a process 1,024 at first, fewer than `server.max_connections`, and let it ask for
/// more. A host calls this once, before it starts.
#[cfg(unix)]
pub fn raise() -> Option<u64> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let mut raised = limit;
    raised.current = limit.maximum;
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        // Some systems name a maximum that they do not give.
        Err(_) => limit.current,
    }
}

/// Lets this process have as many as the system allows it: there is no such limit here.
#[cfg(not(unix))]
pub fn raise() -> Option<u64> {
    None
}
