//! The worker's side: a process that holds one plugin. Receives frames, performs what they ask, hands on
//! frames. It ends when the hub does: nobody is there then to work for.
//!
//! One thread speaks with the hub and runs nothing of the plugin's, so that a ping is answered whatever the
//! plugin does. Calls run on threads of their own.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use nexus_plugin_api::abi::{
    AnswerV1, ErrorV1, FutureV1, HostV1, PluginV1, RecordV1, RootV1_Ref, level,
};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::runtime::{Builder, Runtime};
#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::AbortHandle;

use super::super::load;
use super::super::refusal::{Refusal, RefusalCode as Code};
use super::frame::{self, Library, Record, ToHub, ToWorker, VERSION};
use super::sandbox;
use super::service::Service;
use super::wire::{self, Reader};

/// Frames that wait to go out to the hub, and how many of them may be lines for the log.
const FRAMES: usize = 4_096;
const LINES: usize = FRAMES / 2;

/// Threads that calls run on.
const THREADS: usize = 2;

/// Serves until the hub is gone, and ends this process.
pub(super) fn serve() -> ! {
    end(&begin())
}

/// Ends this process; what still runs is not waited for.
fn end(how: &io::Result<()>) -> ! {
    if let Err(error) = how {
        say(error);
    }
    std::process::exit(i32::from(how.is_err()));
}

/// Says why it ends. The hub reads what a worker writes to standard error.
fn say(error: &io::Error) {
    use std::io::Write;
    // Unless it is gone.
    let _ = writeln!(io::stderr(), "nexus-plugin-worker: {error}");
}

fn begin() -> io::Result<()> {
    let talk = Builder::new_current_thread().enable_all().build()?;
    talk.block_on(async {
        // Whoever stops a service may tell all of its processes: the hub decides when this one ends.
        #[cfg(unix)]
        let _heard = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
        let (mut from_hub, to_hub) = wire::of_this_process()?;
        let (out, written) = channel(FRAMES);
        let writing = tokio::spawn(wire::send(to_hub, written));
        let hub = Hub(out);
        let Some(loaded) = load(&mut from_hub, &hub).await? else {
            drop(hub);
            return writing.await?;
        };
        let calls = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("plugin-calls")
            .enable_all()
            .build()?;
        let worker = Worker {
            service: Arc::new(Service::new(hub.clone())),
            hub,
            calls,
            running: Arc::default(),
            plugin: Arc::default(),
        };
        let ended = worker.work(&loaded, &mut from_hub).await;
        // Before the worker is dropped, whose threads may never end.
        end(&ended)
    })
}

/// The way to the hub.
#[derive(Clone)]
pub(super) struct Hub(Sender<Vec<u8>>);

impl Hub {
    /// Sends a frame. One that cannot be written is the fault of what is in it.
    pub(super) fn say(&self, frame: &ToHub<'_>) -> Result<(), ErrorV1> {
        let bytes = frame::written(frame)?;
        if let Err(TrySendError::Full(_)) = self.0.try_send(bytes) {
            // A hub that hears nothing any more is none; when it is gone this process is about to end anyway.
            std::process::exit(1);
        }
        Ok(())
    }

    /// Sends a line for the log; where too many wait already, it is lost.
    pub(super) fn log(&self, record: Record<'_>) {
        if self.0.capacity() > FRAMES - LINES {
            // One that is too long to be sent is lost as well.
            let _ = self.say(&ToHub::Log(record));
        }
    }
}

/// A library that is loaded, and what the hub wants to know of that.
struct Loaded {
    root: RootV1_Ref,
    nonce: [u8; 16],
    sha256: [u8; 32],
    description: AnswerV1,
    missing: Vec<&'static str>,
}

/// Reads the first frame, holds this process to its limits, loads the library and has it describe itself. `None`
/// when the hub was told why that cannot be.
async fn load(from: &mut Reader, hub: &Hub) -> io::Result<Option<Loaded>> {
    let mut bytes = Vec::new();
    if !frame::next(from, &mut bytes).await? {
        return Ok(None);
    }
    let ToWorker::Load {
        version,
        nonce,
        library,
        limits,
    } = frame::read(&bytes)?
    else {
        return Err(io::Error::other("the hub does not begin with `Load`"));
    };
    if version != VERSION {
        let told = format!("the hub speaks version {version}, this worker {VERSION}");
        return Err(io::Error::other(told));
    }
    let missing = sandbox::enter(&limits, Path::new(library.path));
    match checked(&library, hub).and_then(|root| Ok((root, described(root)?))) {
        Ok((root, description)) => Ok(Some(Loaded {
            root,
            nonce,
            sha256: library.sha256,
            description,
            missing,
        })),
        Err(refusal) => {
            let _ = hub.say(&ToHub::Refused(refusal));
            Ok(None)
        }
    }
}

/// Loads the very file that was checked: its name may mean another one by now.
fn checked(library: &Library<'_>, hub: &Hub) -> Result<RootV1_Ref, Refusal> {
    let path = Path::new(library.path);
    let unreadable = |error: io::Error| {
        let reason = format!("the worker cannot read its copy: {error}");
        Refusal::new(Code::LoadFailed, reason, "check the temporary folder")
    };
    let mut copy = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    copy.read_to_end(&mut bytes).map_err(unreadable)?;
    let found: [u8; 32] = Sha256::digest(&bytes).into();
    if found != library.sha256 {
        let reason = "the copy is not what was checked any more";
        return Err(Refusal::new(
            Code::WrongHash,
            reason,
            "check who writes to the temporary folder",
        ));
    }
    load::open_file(copy, path, library.entry, &|report| {
        let fields = serde_json::json!({ "report": report }).to_string();
        hub.log(Record::of(&RecordV1 {
            level: level::DEBUG,
            target: module_path!().into(),
            message: load::OTHER_LAYOUT.into(),
            fields: fields.as_bytes().into(),
            event_id: [0; 16],
        }));
    })
}

/// The author's code: a panic in it is caught where it is, anything worse ends this process.
fn described(root: RootV1_Ref) -> Result<AnswerV1, Refusal> {
    let described = root.describe()().into_result();
    described.map_err(|error| Refusal::init_failed(format!("its description: {}", error.message)))
}

/// What runs in this process.
struct Worker {
    hub: Hub,
    service: Arc<Service>,
    calls: Runtime,
    running: Running,
    plugin: Arc<OnceLock<PluginV1>>,
}

/// The calls that run, by their numbers.
type Running = Arc<Mutex<HashMap<u64, AbortHandle>>>;

impl Worker {
    async fn work(&self, loaded: &Loaded, from: &mut Reader) -> io::Result<()> {
        let told = self.hub.say(&ToHub::Loaded {
            version: VERSION,
            nonce: loaded.nonce,
            sha256: loaded.sha256,
            description: loaded.description.head.as_slice(),
            missing: loaded.missing.clone(),
        });
        told.map_err(|error| io::Error::other(error.message.into_string()))?;
        let mut bytes = Vec::new();
        while frame::next(from, &mut bytes).await? {
            self.heard(loaded.root, std::mem::take(&mut bytes))?;
        }
        Ok(())
    }

    /// Does what one frame asks.
    fn heard(&self, root: RootV1_Ref, bytes: Vec<u8>) -> io::Result<()> {
        match frame::read(&bytes)? {
            ToWorker::Ping { number, level } => {
                self.service.keep(level);
                let _ = self.hub.say(&ToHub::Pong { number });
            }
            ToWorker::Start { init } => {
                let (host, init) = (HostV1::new(self.service.clone()), init.to_vec());
                let (hub, plugin) = (self.hub.clone(), self.plugin.clone());
                // Not waited for: it may ask the hub for something.
                self.calls.spawn_blocking(move || {
                    let built = root.start()(host, init.as_slice().into()).into_result();
                    let built = built.map(|built| drop(plugin.set(built)));
                    let built = built.as_ref().map_err(frame::Failure::of);
                    let _ = hub.say(&ToHub::Started(built.copied()));
                });
            }
            ToWorker::Process { id, .. } | ToWorker::Operate { id, .. } => self.run(id, bytes),
            ToWorker::Cancel { id } => {
                // Its end is told by itself, when nothing of it is left.
                if let Some(call) = self.running.lock().get(&id) {
                    call.abort();
                }
            }
            ToWorker::Answer { id, reply } => self.service.answered(id, frame::own(reply)),
            ToWorker::Load { .. } => return Err(io::Error::other("a second `Load`")),
        }
        Ok(())
    }

    /// Runs a call, and sends its answer.
    fn run(&self, id: u64, bytes: Vec<u8>) {
        let plugin = self.plugin.clone();
        let mut ending = Ending {
            id,
            hub: self.hub.clone(),
            running: self.running.clone(),
            is_told: false,
        };
        let mut running = self.running.lock();
        let task = self.calls.spawn(async move {
            let asked = plugin
                .get()
                .ok_or_else(|| io::Error::other("a call before the start"))
                .and_then(|plugin| asked(plugin, &bytes));
            let reply = match asked {
                Ok(future) => future.await,
                Err(error) => Err(ErrorV1::permanent("malformed", error.to_string())),
            };
            ending.tell(&reply);
        });
        running.insert(id, task.abort_handle());
    }
}

/// Asks the plugin; what a frame lends is valid until it has answered with a future.
fn asked(plugin: &PluginV1, bytes: &[u8]) -> io::Result<FutureV1> {
    Ok(match frame::read(bytes)? {
        ToWorker::Process { call, event, .. } => plugin.process(&call.v1(), &event.v1()),
        ToWorker::Operate {
            call,
            op,
            head,
            body,
            ..
        } => plugin.call(&call.v1(), op, head, body),
        _ => return Err(io::Error::other("no call")),
    })
}

/// Tells the hub of a call's end, whichever way it comes.
struct Ending {
    id: u64,
    hub: Hub,
    running: Running,
    is_told: bool,
}

impl Ending {
    fn tell(&mut self, reply: &Result<AnswerV1, ErrorV1>) {
        self.is_told = true;
        let id = self.id;
        let reply = frame::lend(reply);
        if let Err(error) = self.hub.say(&ToHub::Reply { id, reply }) {
            let reply = Err(frame::Failure::of(&error));
            let _ = self.hub.say(&ToHub::Reply { id, reply });
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.running.lock().remove(&self.id);
        if !self.is_told {
            self.tell(&Err(ErrorV1::permanent(
                "cancelled",
                "the call was given up",
            )));
        }
    }
}
