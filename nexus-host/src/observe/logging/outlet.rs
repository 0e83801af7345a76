//! The way of lines out of this process: receives whole lines, hands them on in their order. Whoever tells one is never
//! held up by somebody who does not read: lines are lost then, and counted, and that is told when they flow again.
//!
//! A line is written at once, by whoever tells it, as long as the other side has room: it is not lost with the process
//! then. What finds no room waits in memory for a thread that writes it. Where too much waits, whoever tells more is
//! held up as long as the other side reads at all, as anybody is who writes.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tracing_subscriber::fmt::MakeWriter;

/// Bytes that are written together. A pipe that has room has room for so many (`PIPE_BUF`).
const TOGETHER: usize = 4096;

/// Bytes of lines that may wait.
const MOST: usize = 1024 * 1024;

/// Who takes nothing for so long does not read.
const PATIENCE: Duration = Duration::from_millis(500);

/// When a side that would block is tried again.
const AGAIN: Duration = Duration::from_millis(10);

/// Where lines go.
pub(super) trait Side: Write + Send + 'static {
    /// Whether so many bytes as are written together can be, without waiting.
    fn has_room(&self) -> bool;
}

/// See the module. Cheap to clone; clones are the same way.
#[derive(Clone)]
pub(super) struct Outlet(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// There is something to write.
    waiting: Condvar,
    /// Some of it is written.
    moved: Condvar,
    lost: AtomicU64,
}

struct State {
    /// Where lines go; the thread has it while it writes.
    side: Option<Box<dyn Side>>,
    lines: VecDeque<u8>,
    /// When the thread was given what it writes, or is about to write.
    begun: Instant,
    /// Lost since nobody reads, and not told yet. As long as there are some, all others are lost as well, until nothing
    /// waits any more: how many there were stands where they are missing.
    untold: u64,
}

impl Outlet {
    /// Lines go to that side. `tell` is to tell, by this outlet, how many were lost.
    ///
    /// # Errors
    /// When there can be no thread for it.
    pub(super) fn to(side: impl Side, tell: impl Fn(u64) + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                side: Some(Box::new(side)),
                lines: VecDeque::new(),
                begun: Instant::now(),
                untold: 0,
            }),
            waiting: Condvar::new(),
            moved: Condvar::new(),
            lost: AtomicU64::new(0),
        });
        let outlet = Self(shared.clone());
        let thread = thread::Builder::new().name("log".to_owned());
        thread.spawn(move || shared.write_on(tell))?;
        Ok(outlet)
    }

    /// Writes a line, or has it wait.
    fn tell(&self, line: &[u8]) {
        let mut state = self.0.state.lock();
        if let Some(side) = state.free_side(line.len()) {
            if side.write_all(line).is_err() {
                self.0.lose(1);
            }
            return;
        }
        let is_lost = state.untold > 0 || !self.0.wait_for_room(&mut state, line.len());
        if is_lost {
            state.untold += 1;
            self.0.lose(1);
            return;
        }
        if !state.is_busy() {
            // The thread has it from here on, and begins when the system lets it.
            state.begun = Instant::now();
        }
        state.lines.extend(line);
        self.0.waiting.notify_one();
    }

    /// Waits until nothing waits any more; no longer than that, and not for somebody who does not read.
    pub(super) fn drain(&self, limit: Duration) {
        let end = Instant::now() + limit;
        let mut state = self.0.state.lock();
        while state.is_busy() && state.untold == 0 {
            let until = end.min(state.begun + PATIENCE);
            if self.0.moved.wait_until(&mut state, until).timed_out() {
                return;
            }
        }
    }

    /// How many lines were lost so far.
    pub(super) fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }
}

/// What is written to it together is a line.
impl Write for Outlet {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.tell(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Outlet {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost = self.lost();
        f.debug_struct("Outlet")
            .field("lost", &lost)
            .finish_non_exhaustive()
    }
}

impl State {
    fn is_busy(&self) -> bool {
        self.side.is_none() || !self.lines.is_empty()
    }

    /// The side, if so much can be written there at once.
    fn free_side(&mut self, bytes: usize) -> Option<&mut Box<dyn Side>> {
        let is_free = self.lines.is_empty() && self.untold == 0 && bytes <= TOGETHER;
        let side = self.side.as_mut().filter(|_| is_free)?;
        side.has_room().then_some(side)
    }

    /// What is to be written next: whole lines, as far as they fit.
    fn next_piece(&mut self) -> Vec<u8> {
        let most = self.lines.len().min(TOGETHER);
        let last = self.lines.range(..most).rposition(|byte| *byte == b'\n');
        self.lines
            .drain(..last.map_or(most, |last| last + 1))
            .collect()
    }
}

impl Shared {
    /// Writes what waits, for ever.
    fn write_on(&self, tell: impl Fn(u64)) {
        let mut state = self.state.lock();
        loop {
            self.waiting
                .wait_while(&mut state, |state| state.lines.is_empty());
            let Some(mut side) = state.side.take() else {
                return;
            };
            let piece = state.next_piece();
            state.begun = Instant::now();
            let written = MutexGuard::unlocked(&mut state, || write_all(&mut *side, &piece));
            state.side = Some(side);
            if written.is_err() {
                self.lose(piece.iter().filter(|byte| **byte == b'\n').count());
            }
            self.moved.notify_all();
            if state.lines.is_empty() && state.untold > 0 {
                let untold = std::mem::take(&mut state.untold);
                MutexGuard::unlocked(&mut state, || tell(untold));
            }
        }
    }

    /// Whether there is room for so many bytes more, if need be once some of what waits is written.
    fn wait_for_room(&self, state: &mut MutexGuard<'_, State>, bytes: usize) -> bool {
        while state.is_busy() && state.lines.len() + bytes > MOST {
            let until = state.begun + PATIENCE;
            let is_late = self.moved.wait_until(state, until).timed_out();
            if is_late && Instant::now() >= state.begun + PATIENCE {
                return false;
            }
        }
        true
    }

    fn lose(&self, lines: usize) {
        let lines = u64::try_from(lines).unwrap_or(u64::MAX);
        self.lost.fetch_add(lines, Ordering::Relaxed);
    }
}

/// As [`Write::write_all`], also where whoever shares the other side has set it never to block.
fn write_all(side: &mut dyn Side, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match side.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(AGAIN),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read, pipe};
    use std::sync::mpsc::{Receiver, channel};

    use super::super::standard;
    use super::*;

    /// Longer than anything here takes.
    const LONG: Duration = Duration::from_secs(30);

    impl Side for PipeWriter {
        fn has_room(&self) -> bool {
            standard::has_room(self)
        }
    }

    fn outlet() -> (Outlet, PipeReader, Receiver<u64>) {
        let (reader, writer) = pipe().expect("a pipe");
        let (tell, told) = channel();
        let tell = move |lost| tell.send(lost).expect("the test listens");
        let outlet = Outlet::to(writer, tell).expect("a thread");
        (outlet, reader, told)
    }

    fn line(number: usize) -> String {
        format!("{number} {}\n", "x".repeat(number % 200))
    }

    #[test]
    fn a_line_is_out_when_it_is_told() {
        let (outlet, mut reader, _told) = outlet();
        outlet.tell(b"last words\n");
        let mut read = [0; 11];
        // Whatever becomes of the thread: nothing waits for it.
        assert!(!outlet.0.state.lock().is_busy());
        reader.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"last words\n");
    }

    #[test]
    fn whoever_reads_slowly_misses_nothing_and_gets_it_in_order() {
        const LINES: usize = 30_000;
        let (outlet, reader, _told) = outlet();
        let telling = thread::spawn(move || {
            (0..LINES).for_each(|number| outlet.tell(line(number).as_bytes()));
            outlet.drain(LONG);
            outlet.lost()
        });
        let mut read = BufReader::with_capacity(512, reader).lines();
        for number in 0..LINES {
            assert_eq!(read.next().unwrap().unwrap() + "\n", line(number));
        }
        assert_eq!(telling.join().unwrap(), 0);
    }

    #[test]
    fn nobody_who_reads_holds_nobody_up_and_what_is_lost_is_told() {
        const LINES: usize = 30_000;
        let (outlet, reader, told) = outlet();
        let begun = Instant::now();
        (0..LINES).for_each(|number| outlet.tell(line(number).as_bytes()));
        outlet.drain(LONG);
        assert!(begun.elapsed() < 4 * PATIENCE, "{:?}", begun.elapsed());
        let lost = outlet.lost();
        assert!(lost > 0);

        let mut read = BufReader::new(reader).lines();
        let kept = LINES - usize::try_from(lost).unwrap();
        for number in 0..kept {
            assert_eq!(read.next().unwrap().unwrap() + "\n", line(number));
        }
        assert_eq!(told.recv_timeout(LONG), Ok(lost));
        outlet.tell(b"and again\n");
        assert_eq!(read.next().unwrap().unwrap(), "and again");
        assert_eq!(outlet.lost(), lost);
    }

    #[test]
    fn lines_are_lost_where_nobody_can_read_any_more() {
        let (outlet, reader, _told) = outlet();
        drop(reader);
        (0..3).for_each(|number| outlet.tell(line(number).as_bytes()));
        outlet.drain(LONG);
        assert_eq!(outlet.lost(), 3);
    }
}
