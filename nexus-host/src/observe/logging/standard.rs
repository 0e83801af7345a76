//! Standard error, as the way of lines out of this process has it: receives bytes, and says whether it takes some at once.

use std::io::{self, IsTerminal, Stderr, Write, stderr};

use super::outlet::Side;

/// See the module.
pub(super) struct StandardError {
    stderr: Stderr,
    /// A person may stop it in the middle of a line.
    is_terminal: bool,
}

impl StandardError {
    pub(super) fn of_this_process() -> Self {
        let stderr = stderr();
        Self {
            is_terminal: stderr.is_terminal(),
            stderr,
        }
    }
}

impl Write for StandardError {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stderr.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stderr.flush()
    }
}

impl Side for StandardError {
    fn has_room(&self) -> bool {
        !self.is_terminal && has_room(&self.stderr)
    }
}

/// Whether a file, a pipe or a socket takes some bytes without waiting.
#[cfg(unix)]
pub(super) fn has_room(to: impl std::os::fd::AsFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut asked = [PollFd::new(&to, PollFlags::OUT)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // One that is broken takes them as well, and says so.
    poll(&mut asked, Some(&at_once)).is_ok_and(|ready| ready > 0)
}

/// Nobody says so here: whoever writes may wait.
#[cfg(not(unix))]
fn has_room(_: &Stderr) -> bool {
    false
}
