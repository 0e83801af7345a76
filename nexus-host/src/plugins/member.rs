//! One plugin or plugin file: where it comes from, what it says of itself, how it stands, and what runs for it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use nexus_plugin_api::abi::{ComponentKind, Manifest};
use nexus_plugin_api::wire::MigrationInfo;
use nexus_plugin_api::{ContractInfo, Health};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::config::{Isolation, PluginConfig};
use super::generations::Library;
use super::instance::Instance;
use super::refusal::{Refusal, RefusalCode as Code};
use super::sources;
use super::standing::{PluginState, Standing};
use crate::admission::{Draft, Migrator, Offer};

/// How long a component has to say how it is.
const HEALTH_LIMIT: Duration = Duration::from_secs(2);

/// How long what a plugin says of itself is believed at most, as long as its calls succeed and nobody asks.
const BELIEVED: Duration = Duration::from_secs(30);

/// How long the background tasks of sources have to end.
const ENDING: Duration = Duration::from_secs(1);

/// So many times in a row a component has to fail to say how it is before the plugin counts as failed.
const STRIKES: u32 = 3;

/// How long what is for a plugin waits for it, once its file is gone.
const AWAITED: Duration = Duration::from_secs(60);

/// Where a plugin comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Origin {
    /// Linked into the host.
    Linked,
    /// A file that was checked.
    File {
        /// The file.
        path: PathBuf,
        /// SHA-256 of its bytes, hex.
        sha256: String,
        /// Which of the trusted keys has signed it.
        #[serde(skip_serializing_if = "Option::is_none")]
        signed_by: Option<String>,
    },
    /// A file that could not even be read.
    Unread {
        /// The file.
        path: PathBuf,
    },
}

impl Origin {
    /// Whether both are the same file with the same content.
    pub(super) fn is_file_of(&self, other: &Self) -> bool {
        let is_same_file = self.path().is_some() && self.path() == other.path();
        is_same_file && self.sha256() == other.sha256()
    }

    /// The SHA-256 of the file's content, if that could be read.
    pub(super) fn sha256(&self) -> Option<&str> {
        match self {
            Self::File { sha256, .. } => Some(sha256),
            Self::Linked | Self::Unread { .. } => None,
        }
    }

    /// The file.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::Linked => None,
            Self::File { path, .. } | Self::Unread { path } => Some(path),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            None => f.write_str("linked"),
            Some(path) => write!(f, "{}", path.display()),
        }
    }
}

/// See the module.
pub(super) struct Member {
    pub(super) origin: Origin,
    pub(super) manifest: Option<Manifest>,
    pub(super) isolation: Isolation,
    pub(super) running: Option<Arc<Running>>,
    pub(super) past: Past,
    /// The same under whatever name its file has.
    condition: Arc<Condition>,
}

/// What changes of a member while it is one.
struct Condition {
    standing: Mutex<Standing>,
    /// Since when it is known as it is.
    since: Instant,
    /// What it has said of itself, while that is to be believed.
    said: Mutex<Option<Said>>,
    /// How often in a row it has failed to say how it is.
    strikes: AtomicU32,
    /// Whether it is being started again: whoever does that says how it stands.
    is_restarting: AtomicBool,
    /// Whether an attempt to start it again has not come back, and keeps a thread.
    has_hung: AtomicBool,
    /// Restarts that came to nothing since this one runs.
    in_vain: AtomicU64,
}

/// What a plugin says of itself again and again.
#[derive(Debug, Clone, Copy)]
struct Said {
    state: &'static str,
    first: Instant,
    last: Instant,
}

impl Said {
    /// Once more; or for the first time, after something else.
    fn again(before: Option<Self>, state: &'static str) -> Self {
        let now = Instant::now();
        let same = before.filter(|before| before.state == state);
        Self {
            state,
            first: same.map_or(now, |before| before.first),
            last: now,
        }
    }

    /// The longer it has been so, the longer it is believed to stay so.
    fn is_believed(&self) -> bool {
        self.last.elapsed() < BELIEVED.min(self.last - self.first)
    }
}

/// What runs for a plugin.
pub(super) struct Running {
    pub(super) instance: Arc<Instance>,
    pub(super) library: Library,
    /// What it was started with.
    pub(super) settings: PluginConfig,
    pub(super) contracts: Vec<ContractInfo>,
    pub(super) migrations: Vec<MigrationInfo>,
    sources: tokio::sync::Mutex<Sources>,
}

/// The background tasks of a plugin's sources.
#[derive(Default)]
enum Sources {
    #[default]
    NotYet,
    Running(JoinSet<()>),
    /// For good.
    Stopped,
}

/// What happened under a plugin's id before.
#[derive(Debug, Clone, Default)]
pub(super) struct Past {
    pub(super) restarts: u64,
    panics: u64,
    last_panic: Option<String>,
}

impl Member {
    pub(super) fn new(
        origin: Origin,
        manifest: Option<Manifest>,
        isolation: Isolation,
        state: PluginState,
    ) -> Self {
        Self {
            origin,
            manifest,
            isolation,
            running: None,
            past: Past::default(),
            condition: Arc::new(Condition {
                standing: Mutex::new(Standing::now(state)),
                since: Instant::now(),
                said: Mutex::default(),
                strikes: AtomicU32::new(0),
                is_restarting: AtomicBool::new(false),
                has_hung: AtomicBool::new(false),
                in_vain: AtomicU64::new(0),
            }),
        }
    }

    /// One that runs.
    pub(super) fn served_by(origin: Origin, running: Arc<Running>, past: Past) -> Self {
        let (manifest, isolation) = (&running.instance.manifest, running.settings.isolation);
        let manifest = Some(manifest.clone());
        let mut member = Self::new(origin, manifest, isolation, PluginState::Ready);
        member.past = past;
        member.running = Some(running);
        member
    }

    /// The same under another name.
    pub(super) fn moved_to(&self, origin: Origin) -> Arc<Self> {
        Arc::new(Self {
            origin,
            manifest: self.manifest.clone(),
            isolation: self.isolation,
            running: self.running.clone(),
            past: self.past.clone(),
            condition: self.condition.clone(),
        })
    }

    pub(super) fn running(self: &Arc<Self>) -> Option<&Arc<Running>> {
        self.running.as_ref()
    }

    pub(super) fn id(&self) -> Option<&str> {
        self.manifest.as_ref().map(|manifest| manifest.id.as_str())
    }

    pub(super) fn standing(&self) -> Standing {
        self.condition.standing.lock().clone()
    }

    /// It stands so from now on.
    pub(super) fn stands(&self, state: PluginState) {
        let mut standing = self.condition.standing.lock();
        if standing.state == state {
            return;
        }
        let is_other = standing.state.as_str() != state.as_str();
        if is_other {
            tell(self.id(), &state);
            *standing = Standing::now(state);
        } else {
            standing.state = state;
        }
    }

    /// It is being started again as long as what is handed back is there.
    pub(super) fn restarts(&self) -> impl Drop + '_ {
        struct Restarting<'m>(&'m Member);
        impl Drop for Restarting<'_> {
            fn drop(&mut self) {
                self.0
                    .condition
                    .is_restarting
                    .store(false, Ordering::Relaxed);
            }
        }
        self.condition.is_restarting.store(true, Ordering::Relaxed);
        Restarting(self)
    }

    /// It was started again in vain.
    pub(super) fn counts_restart(&self) {
        self.condition.in_vain.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it was started again.
    pub(super) fn restarted(&self) -> u64 {
        self.past.restarts + self.condition.in_vain.load(Ordering::Relaxed)
    }

    /// An attempt to start it again has not come back.
    pub(super) fn hangs(&self) {
        self.condition.has_hung.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_hung(&self) -> bool {
        self.condition.has_hung.load(Ordering::Relaxed)
    }

    /// Whether what is for it waits, and until when: while it may start by itself, or its file was there a moment ago.
    pub(super) fn is_awaited(&self) -> Option<Option<Instant>> {
        match &self.condition.standing.lock().state {
            PluginState::Refused(refusal) if refusal.code.may_pass() => Some(None),
            PluginState::Stopped(_) => Some(Some(self.condition.since + AWAITED)),
            _ => None,
        }
    }

    /// Panics of whatever ran under this id, and the last message.
    pub(super) fn panics(&self) -> (u64, Option<String>) {
        let now = self.running.as_ref().map(|running| &running.instance);
        let (count, last) = now.map_or((0, None), |one| (one.panics(), one.last_panic()));
        let last = last.or_else(|| self.past.last_panic.clone());
        (self.past.panics + count, last)
    }

    /// What is handed on to whatever runs under this id next.
    pub(super) fn becomes_past(&self) -> Past {
        let (panics, last_panic) = self.panics();
        Past {
            restarts: self.restarted(),
            panics,
            last_panic,
        }
    }

    /// Asks how it is, and notes that. One that has long said the same, and gives no reason to doubt it, is asked more
    /// seldom, unless that `is_wanted`. Whether it has failed, and ought to be started again.
    pub(super) async fn examine(&self, is_wanted: bool) -> bool {
        let Some(running) = &self.running else {
            return false;
        };
        let is_doubted = running.instance.was_doubted() || running.worker_state().is_some();
        let said = self.condition.said.lock().take();
        if !is_wanted && !is_doubted && said.is_some_and(|said| said.is_believed()) {
            *self.condition.said.lock() = said;
            return false;
        }
        let look = running.look().await;
        if self.condition.is_restarting.load(Ordering::Relaxed) {
            return false;
        }
        let state = match look {
            Look::Fine => PluginState::Ready,
            Look::Says(PluginState::Failed(reason)) => return self.fails(reason),
            Look::Says(state) => state,
            Look::IsSilent(reason) => {
                let strikes = self.condition.strikes.fetch_add(1, Ordering::Relaxed) + 1;
                if strikes >= STRIKES {
                    return self.fails(reason);
                }
                self.stands(PluginState::Degraded(reason));
                return false;
            }
        };
        self.condition.strikes.store(0, Ordering::Relaxed);
        if state.serves() {
            *self.condition.said.lock() = Some(Said::again(said, state.as_str()));
        }
        self.stands(state);
        false
    }

    fn fails(&self, reason: String) -> bool {
        // Only when it works again is it out of quarantine.
        if !matches!(self.standing().state, PluginState::Quarantined(_)) {
            self.stands(PluginState::Failed(reason));
        }
        true
    }
}

fn tell(plugin: Option<&str>, state: &PluginState) {
    let (name, reason) = (state.as_str(), state.reason());
    match state {
        PluginState::Failed(_) | PluginState::Quarantined(_) => {
            tracing::error!(plugin, state = name, reason, "a plugin is {name}");
        }
        PluginState::Degraded(_) => {
            tracing::warn!(plugin, state = name, reason, "a plugin is not well")
        }
        PluginState::Ready => tracing::info!(plugin, state = name, "a plugin is well again"),
        _ => tracing::info!(plugin, state = name, reason, "a plugin is {name}"),
    }
}

/// How a plugin was found.
enum Look {
    Fine,
    /// It says so itself, or its workers show it.
    Says(PluginState),
    /// It does not say how it is.
    IsSilent(String),
}

impl Running {
    pub(super) fn new(
        instance: Arc<Instance>,
        library: Library,
        settings: PluginConfig,
        contracts: Vec<ContractInfo>,
        migrations: Vec<MigrationInfo>,
    ) -> Self {
        Self {
            instance,
            library,
            settings,
            contracts,
            migrations,
            sources: tokio::sync::Mutex::default(),
        }
    }

    /// Brings its contracts along.
    pub(super) fn offer<R>(&self, to: impl FnOnce(Offer<'_>) -> R) -> R {
        let migrator: Arc<dyn Migrator> = self.instance.clone();
        to(Offer {
            owner: &self.instance.manifest.id,
            contracts: &self.contracts,
            migrations: &self.migrations,
            migrator: Some(&migrator),
        })
    }

    /// Brings its contracts along for the first time.
    ///
    /// # Errors
    /// Why it cannot run with them.
    pub(super) fn bring_contracts(&self, draft: &mut Draft) -> Result<(), Refusal> {
        self.offer(|offer| draft.take(offer)).map_err(|conflict| {
            Refusal::new(
                Code::ContractConflict,
                conflict,
                "correct the contract, give it another version, or remove one of the plugins",
            )
        })
    }

    /// Starts the background tasks of its sources, unless they have been stopped.
    pub(super) async fn start_sources(&self) {
        let manifest = &self.instance.manifest;
        let components = (0..).zip(&manifest.components);
        let sources = components.filter(|(_, component)| component.kind == ComponentKind::Source);
        let mut standing = self.sources.lock().await;
        if !matches!(*standing, Sources::NotYet) {
            return;
        }
        let mut tasks = JoinSet::new();
        for (number, component) in sources {
            let name = format!("{}/{}", manifest.id, component.name);
            tasks.spawn(sources::supervise(self.instance.clone(), number, name));
        }
        *standing = Sources::Running(tasks);
    }

    /// Ends them, also where they have not begun yet.
    pub(super) async fn stop_sources(&self) {
        let before = std::mem::replace(&mut *self.sources.lock().await, Sources::Stopped);
        let Sources::Running(mut tasks) = before else {
            return;
        };
        if timeout(ENDING, tasks.shutdown()).await.is_err() {
            let plugin = &self.instance.manifest.id;
            tracing::warn!(plugin, "a source's background task does not end");
        }
    }

    /// Whether it says by itself that it has failed, and why.
    pub(super) async fn says_it_has_failed(&self) -> Option<String> {
        match self.look().await {
            Look::Says(PluginState::Failed(reason)) => Some(reason),
            _ => None,
        }
    }

    /// How it stands for the sake of its workers, unless all are there.
    fn worker_state(&self) -> Option<PluginState> {
        self.instance.workers()?.state()
    }

    async fn look(&self) -> Look {
        if let Some(state) = self.worker_state() {
            return Look::Says(state);
        }
        for (number, component) in (0..).zip(&self.instance.manifest.components) {
            let of = |reason: String| format!("{} {}: {reason}", component.kind, component.name);
            match timeout(HEALTH_LIMIT, self.instance.health(number)).await {
                Ok(Ok(Health::Ready)) => {}
                Ok(Ok(Health::Degraded { reason })) => {
                    return Look::Says(PluginState::Degraded(of(reason)));
                }
                Ok(Ok(Health::Failed { reason })) => {
                    return Look::Says(PluginState::Failed(of(reason)));
                }
                Ok(Err(error)) => return Look::IsSilent(of(error.to_string())),
                Err(_) => return Look::IsSilent(of(format!("no answer within {HEALTH_LIMIT:?}"))),
            }
        }
        Look::Fine
    }
}
