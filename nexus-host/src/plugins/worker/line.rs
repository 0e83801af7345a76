//! One running worker, from the hub's side: receives calls, hands on answers, and at its end says how it has
//! died. It never starts another.
//!
//! A worker is killed when it does not answer a ping, does not let go of a call that was given up, takes more of
//! the processors than it may, or says what no worker says. Whatever it was at is then answered with its death.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::pending;
use std::io;
use std::pin::pin;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nexus_plugin_api::abi::{AnswerV1, ErrorV1, HostService, level};
use nexus_plugin_api::one_line;
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::super::service::PluginService;
use super::frame::{self, ToHub, ToWorker};
use super::lives::Life;
use super::usage::Usage;
use super::wire::{self, Reader, Writer};
use crate::processes;
use crate::redaction::Redaction;

/// Between two pings.
const PING: Duration = Duration::from_millis(250);

/// How long a ping may stay unanswered.
const SILENCE: Duration = Duration::from_millis(1_250);

/// How long a call that was given up may go on: what waits for something ends at once, and what does not
/// cannot be ended otherwise.
const LETTING_GO: Duration = Duration::from_millis(500);

/// How long a worker that has closed its end may take to be gone.
const GOING: Duration = Duration::from_millis(500);

/// Between two looks at the processor time that it has used.
const COUNTING: Duration = Duration::from_secs(1);

/// Frames that wait to go out to a worker: one that leaves so many lying is not listening.
const FRAMES: usize = 4_096;

/// Questions of a plugin that are worked on at once.
const QUESTIONS: usize = 1_024;

/// The longest line of a worker's own output that is kept, in octets.
const LONGEST_LINE: u64 = 4_096;

/// How a worker has died.
#[derive(Debug)]
pub(super) struct Death(String);

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What becomes of a call.
pub(super) type Came = Result<Result<AnswerV1, ErrorV1>, Arc<Death>>;

/// Is told what becomes of a call.
pub(super) type Waiting = Box<dyn FnOnce(Came) + Send>;

/// See the module.
pub(super) struct Line {
    /// The worker's process.
    pub(super) process: Option<u32>,
    out: Sender<Vec<u8>>,
    calls: Mutex<Calls>,
    /// Is told once the plugin's components are built.
    starting: Mutex<Option<oneshot::Sender<Result<(), ErrorV1>>>>,
    closing: Notify,
    choked: Notify,
}

#[derive(Default)]
struct Calls {
    waiting: HashMap<u64, Waiting>,
    /// Those that nobody waits for any more, in the order in which they were given up.
    given_up: VecDeque<GivenUp>,
    has_answered: bool,
    death: Option<Arc<Death>>,
}

/// A call that was given up, and goes on until the worker says that it does not.
struct GivenUp {
    id: u64,
    since: Instant,
    left: Waiting,
}

impl Line {
    /// The hub's end of a wire to a worker that is ready, and the frames that are to go out on it.
    fn new(process: Option<u32>) -> (Arc<Self>, Receiver<Vec<u8>>) {
        let (out, frames) = channel(FRAMES);
        let line = Self {
            process,
            out,
            calls: Mutex::default(),
            starting: Mutex::default(),
            closing: Notify::new(),
            choked: Notify::new(),
        };
        (Arc::new(line), frames)
    }

    /// Has the plugin's components built. `None` when the worker has died over it.
    pub(super) async fn start(&self, init: &[u8]) -> Option<Result<(), ErrorV1>> {
        let (told, started) = oneshot::channel();
        *self.starting.lock() = Some(told);
        self.say(&ToWorker::Start { init });
        started.await.ok()
    }

    /// Whether the worker has died.
    pub(super) fn is_dead(&self) -> bool {
        self.calls.lock().death.is_some()
    }

    /// Sends a call. `told` is given what becomes of it.
    ///
    /// # Errors
    /// The frame, which was not sent: the worker has died.
    pub(super) fn call(&self, id: u64, frame: Vec<u8>, told: Waiting) -> Result<(), Vec<u8>> {
        let mut calls = self.calls.lock();
        if calls.death.is_some() {
            return Err(frame);
        }
        calls.waiting.insert(id, told);
        self.put(frame);
        Ok(())
    }

    /// Nobody waits for a call any more; `left` is told what becomes of it.
    pub(super) fn give_up(&self, id: u64, left: Waiting) {
        let mut calls = self.calls.lock();
        if calls.waiting.remove(&id).is_some() {
            let since = Instant::now();
            calls.given_up.push_back(GivenUp { id, since, left });
            self.say(&ToWorker::Cancel { id });
        }
    }

    /// Whether it has ever answered a call.
    pub(super) fn has_answered(&self) -> bool {
        self.calls.lock().has_answered
    }

    /// Has a frame go out.
    fn put(&self, frame: Vec<u8>) {
        // Nobody takes it from a worker that is just dying: its death is told soon.
        if let Err(TrySendError::Full(_)) = self.out.try_send(frame) {
            self.choked.notify_one();
        }
    }

    fn say(&self, frame: &ToWorker<'_>) {
        match frame::written(frame) {
            Ok(bytes) => self.put(bytes),
            Err(error) => tracing::error!(error = %error.message, "a frame was not sent"),
        }
    }

    fn answered(&self, id: u64, reply: Result<AnswerV1, ErrorV1>) -> io::Result<()> {
        let mut calls = self.calls.lock();
        if let Some(told) = calls.waiting.remove(&id) {
            calls.has_answered = true;
            drop(calls);
            told(Ok(reply));
            return Ok(());
        }
        let at = calls.given_up.iter().position(|one| one.id == id);
        let given_up = at.and_then(|at| calls.given_up.remove(at));
        drop(calls);
        let GivenUp { left, .. } =
            given_up.ok_or_else(|| odd(format!("an answer to call {id}, which there is not")))?;
        left(Ok(reply));
        Ok(())
    }

    /// Since when the oldest call that was given up goes on.
    fn held_since(&self) -> Option<Instant> {
        self.calls.lock().given_up.front().map(|one| one.since)
    }

    /// Answers everything that is under way with the worker's death.
    fn die(&self, death: &Arc<Death>) {
        let mut calls = self.calls.lock();
        calls.death = Some(death.clone());
        *self.starting.lock() = None;
        let waiting = std::mem::take(&mut calls.waiting);
        let given_up = std::mem::take(&mut calls.given_up);
        drop(calls);
        let given_up = given_up.into_iter().map(|one| one.left);
        for told in waiting.into_values().chain(given_up) {
            told(Err(death.clone()));
        }
    }
}

/// A worker that runs. It is ended when this is dropped.
pub(super) struct Running {
    pub(super) line: Arc<Line>,
    /// Ready when it has died.
    attending: JoinHandle<Arc<Death>>,
}

impl Running {
    /// Waits for its death: how that was.
    pub(super) async fn death(&mut self) -> String {
        let death = (&mut self.attending).await;
        death.map_or_else(|error| error.to_string(), |death| death.to_string())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.line.closing.notify_one();
    }
}

/// A worker's process, and what belongs to it.
pub(super) struct Worker {
    pub(super) child: Child,
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    pub(super) service: Arc<PluginService>,
    /// What it may take of the processors, if that has a limit.
    pub(super) usage: Option<Usage>,
    /// Dropped last, when the process is gone or as good as gone.
    pub(super) _life: Life,
}

impl Worker {
    /// Speaks with it from now on.
    pub(super) fn run(self) -> Running {
        let (line, out) = Line::new(self.child.id());
        Running {
            attending: tokio::spawn(self.attend(line.clone(), out)),
            line,
        }
    }

    /// Speaks with it until it dies, or is killed. How that was.
    async fn attend(mut self, line: Arc<Line>, out: Receiver<Vec<u8>>) -> Arc<Death> {
        let pings = Pings::default();
        let usage = self.usage.take();
        let reason = {
            let reading = pin!(hear(&mut self.reader, &line, &self.service, &pings));
            let writing = pin!(wire::send(self.writer, out));
            let watching = pin!(async {
                tokio::select! {
                    reason = watch(&line, &self.service, &pings) => reason,
                    reason = hold(usage, line.process) => reason,
                }
            });
            tokio::select! {
                ended = reading => ended,
                ended = writing => ended,
                reason = watching => Err(reason),
                () = line.closing.notified() => Ok(()),
                () = line.choked.notified() => {
                    Err(late("it took nothing of what it was sent".to_owned()))
                }
            }
        };
        // One that has closed its end is perhaps just dying, and tells more by how.
        let going = match &reason {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => None,
            Ok(()) | Err(_) => Some(GOING),
        };
        let death = Arc::new(Death(match end(&mut self.child, going).await {
            Some(status) => ended_by_itself(status),
            None => match reason {
                Ok(()) => "it has closed the connection to the hub, and was killed".to_owned(),
                Err(error) => format!("{error}; it was killed"),
            },
        }));
        line.die(&death);
        death
    }
}

/// Waits for a process's end: its own when it has time for that and takes no more, otherwise it is brought about.
async fn end(child: &mut Child, going: Option<Duration>) -> Option<ExitStatus> {
    if let Some(going) = going
        && let Ok(Ok(status)) = timeout(going, child.wait()).await
    {
        return Some(status);
    }
    let _ = child.start_kill();
    let _ = child.wait().await;
    None
}

fn ended_by_itself(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(number) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let name = match number {
            4 => "SIGILL",
            6 => "SIGABRT",
            7 => "SIGBUS",
            8 => "SIGFPE",
            9 => "SIGKILL",
            11 => "SIGSEGV",
            15 => "SIGTERM",
            _ => return format!("it was ended by signal {number}"),
        };
        return format!("it was ended by {name}");
    }
    match status.code() {
        Some(code) => format!("it has ended by itself, with exit code {code}"),
        None => "it has ended".to_owned(),
    }
}

/// Hears what the worker says until it closes its end.
async fn hear(
    reader: &mut Reader,
    line: &Arc<Line>,
    service: &Arc<PluginService>,
    pings: &Pings,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    let mut questions = JoinSet::new();
    while frame::next(reader, &mut bytes).await? {
        match frame::read(&bytes)? {
            ToHub::Reply { id, reply } => line.answered(id, frame::own(reply))?,
            ToHub::Log(record) => service.log(&record.v1()),
            ToHub::Pong { number } => pings.answered(number)?,
            ToHub::Ask { id, op, head, body } => {
                while questions.len() >= QUESTIONS && questions.join_next().await.is_some() {}
                while questions.try_join_next().is_some() {}
                let (line, answer) = (line.clone(), service.call(op, head, body));
                questions.spawn(async move {
                    let reply = answer.await;
                    let reply = frame::lend(&reply);
                    line.say(&ToWorker::Answer { id, reply });
                });
            }
            ToHub::Started(built) => {
                let told = line.starting.lock().take();
                let told = told.ok_or_else(|| odd("a start that nobody asked for".to_owned()))?;
                // Who has asked may have given up.
                let _ = told.send(built.map_err(|failure| failure.v1()));
            }
            ToHub::Loaded { .. } | ToHub::Refused(_) => {
                return Err(odd("a frame that belongs to its beginning".to_owned()));
            }
        }
    }
    Ok(())
}

/// The numbers of the last ping that was sent, and of the last that was answered.
#[derive(Default)]
struct Pings {
    sent: AtomicU64,
    answered: AtomicU64,
}

impl Pings {
    /// The number of the next.
    fn next(&self) -> u64 {
        self.sent.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn answered(&self, number: u64) -> io::Result<()> {
        // One that answered before it was asked would not be missed when it falls silent.
        if number > self.sent.load(Ordering::Relaxed) {
            return Err(odd(format!("an answer to ping {number}, before that")));
        }
        self.answered.store(number, Ordering::Relaxed);
        Ok(())
    }

    fn unanswered(&self) -> u64 {
        let sent = self.sent.load(Ordering::Relaxed);
        sent - self.answered.load(Ordering::Relaxed)
    }
}

/// Asks for a sign of life again and again. Ends with why the worker has to be killed.
async fn watch(line: &Line, service: &PluginService, pings: &Pings) -> io::Error {
    let mut ticks = interval(PING);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // A hub that gets no processor time cannot blame a worker: silence is counted in ticks of its own.
    let patience = SILENCE.as_millis().div_ceil(PING.as_millis()) as u64;
    loop {
        ticks.tick().await;
        if let Some(since) = line.held_since()
            && since.elapsed() >= LETTING_GO
        {
            return late(format!(
                "it went on with a call {LETTING_GO:?} after that was given up"
            ));
        }
        if pings.unanswered() >= patience {
            return late(format!("it was silent for {SILENCE:?}"));
        }
        let (number, level) = (pings.next(), talkative(service));
        line.say(&ToWorker::Ping { number, level });
    }
}

/// Looks again and again at what of the processors it takes. Ends with why the worker has to be killed.
async fn hold(usage: Option<Usage>, process: Option<u32>) -> io::Error {
    let (Some(mut usage), Some(process)) = (usage, process) else {
        return pending().await;
    };
    let mut ticks = interval(COUNTING);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let used = processes::of(process);
        if let Some(average) = used.and_then(|used| usage.is_now(used.cpu)) {
            return late(format!("it has used {average:.2} processors all the time"));
        }
    }
}

/// The most talkative level of the log that is kept.
fn talkative(service: &PluginService) -> u8 {
    let levels = [level::TRACE, level::DEBUG, level::INFO, level::WARN];
    let kept = |level: &u8| service.enabled(*level, "");
    levels.into_iter().find(kept).unwrap_or(level::ERROR)
}

/// Puts what a worker writes by itself into the log, line by line.
pub(super) async fn overhear(plugin: String, output: ChildStderr, redaction: Arc<Redaction>) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut part = (&mut output).take(LONGEST_LINE);
        match part.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let said = redaction.text(&String::from_utf8_lossy(&line)).into_owned();
                let said = said.trim_end();
                tracing::warn!(target: "nexus::plugin", plugin, "{}", one_line(said));
                // One that writes without an end must not fill the log.
                sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

fn odd(told: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it has sent {told}"))
}

fn late(told: String) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, told)
}
