//! A program that runs in the background: receives a command, keeps it running, ends it by its own
//! id, also when this process panics or is told to stop.
//!
//! What it says goes to a log file. It gets a process group of its own, so that Ctrl-C in the
//! terminal reaches this process alone, which then ends its services in order.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::console::say;
use crate::failure::{Failure, Result, Tried as _};
use crate::stop::{Seen, Stop};

/// How long a service may take to end when nobody is left to be patient with it.
const HURRIED: Duration = Duration::from_secs(3);
/// Between two looks at whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How much of its log is shown when it died.
const TAIL_LINES: usize = 15;

#[derive(Debug)]
pub(crate) struct Service {
    name: &'static str,
    child: Child,
    log: PathBuf,
    lines: Option<mpsc::Receiver<String>>,
}

/// What becomes of a service's standard output besides going to its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// Nothing.
    Logged,
    /// It is read line by line, [`Service::line`].
    Read,
    /// It is read, and shown in this terminal; what is typed here goes to the service.
    Shown,
}

impl Service {
    /// Starts it. The log file is created anew.
    pub(crate) fn start(
        name: &'static str,
        mut command: Command,
        log: &Path,
        output: Output,
    ) -> Result<Self> {
        let file = File::create(log).tried(format_args!("create {}", log.display()))?;
        let errors = file.try_clone().tried("share the log")?;
        command.stderr(errors);
        let (stdin, stdout) = match output {
            Output::Logged => (
                Stdio::null(),
                file.try_clone().tried("share the log")?.into(),
            ),
            Output::Read => (Stdio::null(), Stdio::piped()),
            Output::Shown => (Stdio::piped(), Stdio::piped()),
        };
        command.stdin(stdin).stdout(stdout);
        own_group(&mut command);
        let mut child = command.spawn().tried(format_args!("start {name}"))?;
        let lines = child
            .stdout
            .take()
            .map(|stdout| read_lines(stdout, file, (output == Output::Shown).then_some(name)));
        if let Some(stdin) = child.stdin.take() {
            pass_typed_lines(stdin);
        }
        Ok(Self {
            name,
            child,
            log: log.to_owned(),
            lines,
        })
    }

    /// Fails when it has ended, with the end of its log.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        match self.child.try_wait().tried("ask for a child process")? {
            None => Ok(()),
            Some(status) => Err(Failure::new(format!(
                "{} has ended ({status}); its log ({}) closes with:\n{}",
                self.name,
                self.log.display(),
                tail(&self.log)
            ))),
        }
    }

    /// Waits for a line of its standard output that `pick` takes something from.
    pub(crate) fn line<T>(
        &mut self,
        stop: &Stop,
        what: &str,
        within: Duration,
        pick: impl Fn(&str) -> Option<T>,
    ) -> Result<T> {
        stop.until(what, within, || {
            let lines = self.lines.iter().flat_map(mpsc::Receiver::try_iter);
            for line in lines {
                if let Some(found) = pick(&line) {
                    return Ok(Seen::There(found));
                }
            }
            self.check_alive()?;
            Ok(Seen::NotYet(format!("{} has not said it", self.name)))
        })
    }

    /// Asks it to end, and waits until it has; asks again whenever somebody asks `stop` again.
    ///
    /// # Errors
    ///
    /// It was still there after `within`, and has been killed.
    pub(crate) fn end(mut self, stop: &Stop, within: Duration) -> Result<Ended> {
        let begun = Instant::now();
        self.ask_to_end();
        let mut asked = stop.asked();
        loop {
            if let Some(status) = self.child.try_wait().tried("wait for a child process")? {
                return Ok(Ended {
                    status,
                    took: begun.elapsed(),
                });
            }
            if begun.elapsed() >= within {
                // Dropping it kills it.
                return Err(Failure::new(format!(
                    "{} was still there {} s after it was told to end",
                    self.name,
                    within.as_secs()
                )));
            }
            if stop.asked() > asked {
                asked = stop.asked();
                self.ask_to_end();
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// SIGTERM; elsewhere there is no such question, and it is ended at once.
    fn ask_to_end(&mut self) {
        #[cfg(unix)]
        if let Ok(id) = i32::try_from(self.child.id()) {
            use nix::sys::signal::{Signal, kill};
            // It may have ended meanwhile, which is what is wanted. Its id is its own until it has
            // been waited for.
            let _ = kill(nix::unistd::Pid::from_raw(id), Signal::SIGTERM);
        }
        #[cfg(not(unix))]
        let _ = self.child.kill();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        self.ask_to_end();
        let deadline = Instant::now() + HURRIED;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(LOOK_EVERY);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a service ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) took: Duration,
}

/// Copies lines to the log, to whoever reads them, and to the terminal under `shown_as`.
fn read_lines(
    stdout: impl std::io::Read + Send + 'static,
    mut log: File,
    shown_as: Option<&'static str>,
) -> mpsc::Receiver<String> {
    let (send, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout)
            .lines()
            .map_while(std::io::Result::ok)
        {
            let _ = writeln!(log, "{line}");
            if let Some(name) = shown_as {
                say!("  {name} | {line}");
            }
            // Nobody may be listening any more; the pipe must be emptied all the same.
            let _ = send.send(line);
        }
    });
    lines
}

/// Hands what is typed here to the service. The thread lives as long as the process: reading
/// cannot be called off.
fn pass_typed_lines(mut stdin: std::process::ChildStdin) {
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(std::io::Result::ok) {
            if writeln!(stdin, "{line}")
                .and_then(|()| stdin.flush())
                .is_err()
            {
                return;
            }
        }
    });
}

#[cfg(unix)]
fn own_group(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;
    command.process_group(0);
}

#[cfg(not(unix))]
fn own_group(_: &mut Command) {}

fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    lines[from..]
        .iter()
        .map(|line| format!("  {line}\n"))
        .collect()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use nix::errno::Errno;
    use nix::sys::signal::kill;
    use nix::unistd::Pid;

    fn shell(script: &str) -> (Service, PathBuf) {
        let unique = std::thread::current()
            .name()
            .unwrap_or("x")
            .replace("::", "-");
        let log = std::env::temp_dir().join(format!("xtask-{}-{unique}", std::process::id()));
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let service = Service::start("sh", command, &log, Output::Read).unwrap();
        (service, log)
    }

    fn is_gone(id: u32) -> bool {
        kill(Pid::from_raw(i32::try_from(id).unwrap()), None) == Err(Errno::ESRCH)
    }

    #[test]
    fn it_is_read_and_ended_by_its_own_id() {
        let (mut service, log) = shell("echo up; exec sleep 60");
        let id = service.child.id();
        let up = service.line(&Stop::default(), "up", Duration::from_secs(10), |line| {
            (line == "up").then_some(())
        });
        assert_eq!(up, Ok(()));
        let ended = service
            .end(&Stop::default(), Duration::from_secs(10))
            .unwrap();
        assert!(
            !ended.status.success(),
            "sleep does not end well on SIGTERM"
        );
        assert!(is_gone(id));
        std::fs::remove_file(log).unwrap();
    }

    #[test]
    fn one_that_does_not_listen_is_killed() {
        let (mut service, log) = shell("trap '' TERM; echo up; exec sleep 60");
        let id = service.child.id();
        let up = |line: &str| (line == "up").then_some(());
        let stop = Stop::default();
        service
            .line(&stop, "up", Duration::from_secs(10), up)
            .unwrap();
        assert!(service.end(&stop, Duration::from_millis(50)).is_err());
        assert!(is_gone(id));
        std::fs::remove_file(log).unwrap();
    }

    #[test]
    fn a_panic_ends_it_and_a_death_is_told_with_its_last_words() {
        let (service, log) = shell("exec sleep 60");
        let id = service.child.id();
        let panicked = std::thread::spawn(move || {
            let _service = service;
            panic!("on purpose");
        });
        assert!(panicked.join().is_err());
        assert!(is_gone(id));
        std::fs::remove_file(log).unwrap();

        let (mut service, log) = shell("echo no such port >&2; exit 3");
        let never = service.line(
            &Stop::default(),
            "up",
            Duration::from_secs(10),
            |_| None::<()>,
        );
        let told = never.unwrap_err().to_string();
        assert!(
            told.contains("no such port") && told.contains('3'),
            "{told}"
        );
        std::fs::remove_file(log).unwrap();
    }
}
