//! Which plugins there are: receives linked plugins, files and the configuration, has each checked and started,
//! and puts all of them in the place of those before, at once. What does not start never takes the place of
//! what runs; what is replaced finishes what it is at, and then rests.
//!
//! One change is made at a time. Events go on meanwhile.

mod gathering;
mod leaving;
mod recovery;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use nexus_plugin_api::Plugin;
use nexus_plugin_api::abi::{Manifest, RootV1_Ref};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard, watch as channel};
use tokio::task::{JoinSet, spawn_blocking};

use super::catalog::Catalog;
use super::config::PluginConfig;
use super::discover::scan;
use super::generations::Generations;
use super::lineup::Lineup;
use super::member::{Member, Running};
use super::port::{ContractStore, Upstream};
use super::refusal::{Refusal, RefusalCode};
use super::service::Connection;
use super::standing::PluginState;
use super::start::Starter;
use super::watch::{self, Stamps};
use super::worker::Keeper;
use crate::admission::Draft;
use crate::config::Config;
use gathering::{Failures, Gathering};

/// Why the plugins could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The plugins folder is there and cannot be read.
    #[error("the plugins folder {} cannot be read: {source}; check [plugins] dir", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No private folder for copies could be made.
    #[error("no private folder for plugin copies could be made: {0}; check the temporary folder")]
    Copies(std::io::Error),
    /// A plugin that the configuration calls required is not there or was refused.
    #[error("the required plugin `{id}` is not available: {reason}")]
    Required {
        /// Its id.
        id: String,
        /// Why.
        reason: String,
    },
    /// A plugin that ran, or whose section has changed, would not run.
    #[error("the plugin `{id}` would not run: {refusal}")]
    Refused {
        /// Its id.
        id: String,
        /// Why.
        refusal: Refusal,
    },
}

/// See the module.
pub struct Supervisor {
    catalog: Arc<Catalog>,
    contracts: Arc<dyn ContractStore>,
    connection: Connection,
    generations: Arc<Generations>,
    linked: Vec<(Manifest, RootV1_Ref)>,
    work: Arc<Mutex<Work>>,
    /// What plugins that leave are still at.
    leaving: parking_lot::Mutex<JoinSet<()>>,
    /// Rung when one has left.
    left: Notify,
    /// Whether what has failed is to be tried again at once, however often it has.
    again: AtomicBool,
    /// The folder is to be looked at.
    pub(super) rung: Arc<Notify>,
    is_closed: parking_lot::Mutex<bool>,
    /// Whether every plugin was asked how it is since the start.
    were_examined: channel::Sender<bool>,
    /// Why the folder could not be read when it was last tried.
    trouble: parking_lot::Mutex<Option<String>>,
}

/// What whoever makes a change works with.
struct Work {
    config: Arc<Config>,
    keeper: Option<Arc<Keeper>>,
    /// The folder's files when it was last read.
    seen: Stamps,
    failures: Failures,
    /// Plugins that were replaced or removed and are not done yet.
    leaving: Vec<Arc<Running>>,
}

/// Plugins that were started beside those that run, and have not taken their place yet. As long as this is
/// there, nothing else changes.
#[must_use = "nothing has changed before it is committed"]
pub struct Change {
    config: Arc<Config>,
    members: Vec<Arc<Member>>,
    draft: Draft,
    /// The folder's files as they were when it was read.
    seen: Stamps,
    work: OwnedMutexGuard<Work>,
}

impl Supervisor {
    /// Starts everything that can be: linked plugins first, then files by name.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(
        config: Arc<Config>,
        contracts: Arc<dyn ContractStore>,
        linked: Vec<Plugin>,
    ) -> Result<Arc<Self>, StartError> {
        let generations = Arc::new(Generations::default());
        let work = Work {
            config: config.clone(),
            keeper: None,
            seen: Stamps::new(),
            failures: Failures::default(),
            leaving: Vec::new(),
        };
        let supervisor = Arc::new(Self {
            catalog: Arc::new(Catalog::new(generations.clone())),
            contracts,
            connection: Arc::new(OnceLock::new()),
            generations,
            linked: linked.into_iter().map(Plugin::into_parts).collect(),
            work: Arc::new(Mutex::new(work)),
            leaving: parking_lot::Mutex::default(),
            left: Notify::new(),
            again: AtomicBool::new(false),
            rung: Arc::default(),
            is_closed: parking_lot::Mutex::default(),
            were_examined: channel::Sender::new(false),
            trouble: parking_lot::Mutex::default(),
        });
        let change = supervisor
            .prepare(config, supervisor.contracts.draft())
            .await?;
        change.expect_required()?;
        change.tell_unknown_sections();
        supervisor.commit(change);
        Ok(supervisor)
    }

    /// The plugins, to be called.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// Lets plugins reach the hub, and starts the background tasks of sources.
    pub async fn connect(&self, upstream: Arc<dyn Upstream>) {
        if self.connection.set(upstream).is_err() {
            tracing::error!("the plugins are connected already");
        }
        for (_, running) in self.catalog.lineup().running() {
            running.start_sources().await;
        }
    }

    /// Keeps the plugins as they should be until it is dropped: asks how they are, starts those again that do
    /// not work, and takes up what changes in the folder.
    pub async fn attend(self: Arc<Self>) {
        tokio::join!(watch::watch(self.clone()), recovery::supervise(self));
    }

    /// Waits until every plugin was asked once how it is, as [`Supervisor::attend`] does first of all.
    pub async fn examined(&self) {
        // It lives as long as this does.
        let _ = self.were_examined.subscribe().wait_for(|were| *were).await;
    }

    /// Ends the background tasks of sources.
    pub async fn stop_sources(&self) {
        let lineup = self.catalog.lineup();
        let all = lineup.running().map(|(_, running)| running.stop_sources());
        futures_util::future::join_all(all).await;
    }

    /// Has nothing that lasts hold on to a plugin: those that carry events over to newer versions of contracts
    /// are held by the contracts, which the hub that they may ask is held by.
    pub fn let_go(&self) {
        let mut is_closed = self.is_closed.lock();
        *is_closed = true;
        self.leaving.lock().abort_all();
        self.contracts.put(self.contracts.draft());
    }

    /// Puts contracts in place, unless it is too late for that.
    fn put(&self, draft: Draft) {
        let is_closed = self.is_closed.lock();
        if !*is_closed {
            self.contracts.put(draft);
        }
    }

    /// Starts what this configuration and the folder ask for and does not run yet, beside what does, whatever has
    /// failed before. `draft` is where contracts are registered.
    ///
    /// # Errors
    /// When the folder cannot be read, or copies not be made. A plugin that does not start is no error here.
    pub async fn prepare(
        self: &Arc<Self>,
        config: Arc<Config>,
        draft: Draft,
    ) -> Result<Change, StartError> {
        let mut work = self.work.clone().lock_owned().await;
        work.failures.forget();
        self.again.store(true, Ordering::Relaxed);
        self.prepare_with(work, config, draft).await
    }

    async fn prepare_with(
        self: &Arc<Self>,
        mut work: OwnedMutexGuard<Work>,
        config: Arc<Config>,
        draft: Draft,
    ) -> Result<Change, StartError> {
        let (of, folder) = (config.clone(), config.plugins.dir.clone());
        let look = move || (watch::look(&of.plugins.dir), scan(&of.plugins));
        let looked = spawn_blocking(look).await;
        let looked = looked.map_err(std::io::Error::other);
        // A folder that is gone for the moment has not lost its plugins.
        let lineup = self.catalog.lineup();
        if lineup
            .running()
            .any(|(member, _)| member.origin.path().is_some())
            && !folder.is_dir()
        {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(StartError::Folder {
                path: folder,
                source,
            });
        }
        let (seen, found) = match looked {
            Ok((seen, Ok(found))) => (seen, found),
            Ok((_, Err(source))) | Err(source) => {
                return Err(StartError::Folder {
                    path: folder,
                    source,
                });
            }
        };
        if found.is_empty() && work.seen.is_empty() {
            tracing::info!(folder = %folder.display(), "no plugin files in the plugins folder");
        }
        let Work {
            keeper,
            failures,
            leaving,
            ..
        } = &mut *work;
        let mut gathering = Gathering {
            starter: Starter {
                config: &config,
                connection: &self.connection,
                keeper,
            },
            catalog: &self.catalog,
            generations: &self.generations,
            before: self.catalog.lineup(),
            failures,
            draft,
            copies: None,
            members: Vec::new(),
            is_live: self.connection.get().is_some(),
        };
        gathering.begin_with_what_runs(leaving);
        for (manifest, root) in &self.linked {
            gathering.linked(manifest, *root).await;
        }
        gathering.files(found).await?;
        let Gathering { members, draft, .. } = gathering;
        Ok(Change {
            config,
            members,
            draft,
            seen,
            work,
        })
    }

    /// Puts what was prepared in the place of what is there.
    pub fn commit(self: &Arc<Self>, change: Change) {
        let Change {
            config,
            members,
            draft,
            seen,
            mut work,
        } = change;
        let before = self.catalog.lineup();
        self.put(draft);
        self.catalog.put(Lineup::of(members));
        self.catalog.arriving([]);
        work.config = config;
        // It may be another folder now.
        self.rung.notify_one();
        work.seen = seen;
        self.hand_over(&before, &mut work);
    }

    /// Waits until what was replaced or removed has finished what it was at, and its contracts are gone.
    pub async fn have_left(&self) {
        loop {
            let left = self.left.notified();
            if self.work.lock().await.leaving.is_empty() {
                return;
            }
            left.await;
        }
    }

    /// Gives up what was prepared. What runs goes on as it is.
    pub fn abandon(&self, change: Change) {
        let before = self.catalog.lineup();
        let runs = |one: &Arc<Running>| before.running().any(|(_, other)| Arc::ptr_eq(one, other));
        for member in change.members {
            let new = Member::running(&member).filter(|running| !runs(running));
            let new = new.cloned();
            // The last to hold it lets it go where it may block.
            drop(member);
            if let Some(running) = new {
                leaving::rest(running);
            }
        }
        self.catalog.arriving([]);
    }

    /// Reads the folder once more, and takes up what has changed.
    pub(super) async fn refresh(self: &Arc<Self>) {
        let work = self.work.clone().lock_owned().await;
        self.refresh_with(work).await;
    }

    async fn refresh_with(self: &Arc<Self>, work: OwnedMutexGuard<Work>) {
        let config = work.config.clone();
        match self
            .prepare_with(work, config, self.contracts.draft())
            .await
        {
            Ok(change) => {
                *self.trouble.lock() = None;
                self.commit(change);
            }
            Err(error) => {
                let error = error.to_string();
                // The folder is looked at again soon.
                if self.trouble.lock().replace(error.clone()).as_ref() != Some(&error) {
                    tracing::error!(error, "the plugins stay as they are");
                }
            }
        }
    }

    /// The folder, if it is to be watched.
    pub(super) async fn watched(&self) -> Option<PathBuf> {
        let work = self.work.lock().await;
        let settings = &work.config.plugins;
        settings.watch.then(|| settings.dir.clone())
    }

    /// The files that are others than when the folder was last read, which become known as arriving.
    pub(super) async fn changed(&self, now: &Stamps) -> Vec<PathBuf> {
        let work = self.work.lock().await;
        let is_other = |path: &PathBuf| now.get(path) != work.seen.get(path);
        let all: BTreeMap<&PathBuf, ()> = now
            .keys()
            .chain(work.seen.keys())
            .map(|p| (p, ()))
            .collect();
        let changed = all.into_keys().filter(|path| is_other(path));
        let changed: Vec<PathBuf> = changed.cloned().collect();
        let here = changed.iter().filter(|path| now.contains_key(*path));
        self.catalog.arriving(here.cloned());
        changed
    }
}

impl Change {
    /// Refuses a change after which a required plugin would not run.
    ///
    /// # Errors
    /// Which, and why.
    pub fn expect_required(&self) -> Result<(), StartError> {
        for (section, settings) in &self.config.plugins.named {
            if !settings.required
                || self
                    .of_section(section)
                    .any(|member| member.running.is_some())
            {
                continue;
            }
            let refusal = self
                .of_section(section)
                .find_map(|member| member.standing().state.refusal().cloned());
            return Err(StartError::Required {
                id: section.clone(),
                reason: match refusal {
                    Some(refusal) => refusal.to_string(),
                    None => format!("no such plugin in {}", self.config.plugins.dir.display()),
                },
            });
        }
        Ok(())
    }

    /// Refuses a change after which a plugin would not run as its section says that ran before, or whose
    /// section is another now.
    ///
    /// # Errors
    /// Which, and why.
    pub fn expect_as_configured(&self, supervisor: &Supervisor) -> Result<(), StartError> {
        let before = supervisor.catalog.lineup();
        for member in &self.members {
            let state = member.standing().state;
            let (Some(id), Some(refusal)) = (member.id(), state.refusal()) else {
                continue;
            };
            let settings = |config: &Config| config.plugins.get(id).cloned();
            let is_told_otherwise = settings(&self.config) != settings(&self.work.config);
            let was_refused = before.members().iter().any(|other| {
                other.origin.path() == member.origin.path() && other.standing().state == state
            });
            let concerns = is_told_otherwise || (before.of_id(id).is_some() && !was_refused);
            // The very file that runs, which is not to any more.
            let runs_itself = !was_refused
                && self.members.iter().any(|other| {
                    other.running.is_some() && other.origin.is_file_of(&member.origin)
                });
            let is_content = !runs_itself && self.runs_as(id, settings(&self.config));
            if concerns && !refusal.is_wanted() && !is_content {
                return Err(StartError::Refused {
                    id: id.to_owned(),
                    refusal: refusal.clone(),
                });
            }
        }
        self.expect_new_settings()
    }

    /// Refuses a change after which a plugin goes on with the settings that it had, since its file cannot be
    /// used any more.
    fn expect_new_settings(&self) -> Result<(), StartError> {
        for member in &self.members {
            let Some(running) = member.running() else {
                continue;
            };
            let id = &running.instance.manifest.id;
            let wanted = self.config.plugins.get(id).cloned().unwrap_or_default();
            if running.settings == wanted {
                continue;
            }
            let mut of_file = self.members.iter().filter_map(|other| {
                let is_of_it = other.origin.path() == member.origin.path();
                let state = other.standing().state;
                is_of_it.then(|| state.refusal().cloned()).flatten()
            });
            return Err(StartError::Refused {
                id: id.clone(),
                refusal: of_file.next().unwrap_or_else(|| {
                    let reason = "it goes on with the settings that it had";
                    Refusal::new(RefusalCode::Unreadable, reason, "put its file back")
                }),
            });
        }
        Ok(())
    }

    /// The names of the webhook sources that there would be.
    pub fn has_source(&self, name: &str) -> bool {
        Lineup::of(self.members.clone()).source(name).is_some()
    }

    fn runs_as(&self, id: &str, settings: Option<PluginConfig>) -> bool {
        let settings = settings.unwrap_or_default();
        let mut running = self.members.iter().filter_map(Member::running);
        running.any(|one| one.instance.manifest.id == id && one.settings == settings)
    }

    fn of_section<'c>(&'c self, section: &'c str) -> impl Iterator<Item = &'c Arc<Member>> {
        let plugins = &self.config.plugins;
        let is_its = |member: &&Arc<Member>| {
            member.id().and_then(|id| plugins.section_name(id)) == Some(section)
        };
        self.members.iter().filter(is_its)
    }

    fn tell_unknown_sections(&self) {
        for section in self.config.plugins.named.keys() {
            if self.of_section(section).next().is_none() {
                tracing::warn!(
                    "[plugins.{section}] is configured, but no plugin of that name runs"
                );
            }
        }
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor")
            .field("catalog", &self.catalog)
            .finish_non_exhaustive()
    }
}

/// How each plugin stands that the configuration calls required, by the name of its section.
pub fn required(config: &Config, catalog: &Catalog) -> Vec<(String, PluginState)> {
    catalog.is_asked();
    let lineup = catalog.lineup();
    let plugins = &config.plugins;
    let required = plugins.named.iter().filter(|(_, one)| one.required);
    let states = required.map(|(section, _)| {
        let is_its = |id: &str| plugins.section_name(id) == Some(section);
        let own = lineup.members().iter();
        let own = own.filter(|member| member.id().is_some_and(is_its));
        // A file that is to take its place, and cannot, does not speak for it.
        let own = own.max_by_key(|member| member.running.is_some());
        let gone = || PluginState::Stopped("there is no such plugin".to_owned());
        (
            section.clone(),
            own.map_or_else(gone, |member| member.standing().state),
        )
    });
    states.collect()
}
