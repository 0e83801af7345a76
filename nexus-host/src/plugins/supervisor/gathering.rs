//! Gathering what is to run: receives linked plugins and files, hands on a member for each, running where that
//! can be. Of several files of one plugin the highest version is tried first; one that runs already and is to
//! stay as it is goes on.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use nexus_plugin_api::abi::{ComponentKind, Manifest, RootV1_Ref};
use semver::Version;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::super::catalog::Catalog;
use super::super::config::Isolation;
use super::super::discover::{Candidate, Found};
use super::super::generations::{Generations, Library};
use super::super::lineup::Lineup;
use super::super::load::Copies;
use super::super::manifest::expect_free_id;
use super::super::member::{Member, Origin, Past, Running};
use super::super::refusal::{Refusal, RefusalCode as Code};
use super::super::standing::{PluginState, Trials};
use super::super::start::Starter;
use super::StartError;
use super::leaving::rest;
use crate::admission::Draft;

/// So many plugins are told of that are not there any more.
const MOST_STOPPED: usize = 64;

/// Files that did not start and may later, by the SHA-256 of their bytes.
#[derive(Default)]
pub(super) struct Failures {
    known: HashMap<String, Failure>,
    /// Those that were met since the last [`Failures::keep_those_met`].
    met: HashSet<String>,
}

struct Failure {
    refusal: Refusal,
    trials: Trials,
    /// Never by itself, where the attempt before may still be at it.
    due: Option<Instant>,
}

impl Failures {
    /// Whether one of them is to be tried again now.
    pub(super) fn are_due(&self) -> bool {
        let now = Instant::now();
        let mut due = self.known.values().filter_map(|failure| failure.due);
        due.any(|due| due <= now)
    }

    /// Has all of them tried at the next occasion.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// Why it need not be tried yet.
    fn holds_back(&mut self, what: &str) -> Option<Refusal> {
        let failure = self.known.get(what)?;
        if failure.due.is_some_and(|due| due <= Instant::now()) {
            return None;
        }
        self.met.insert(what.to_owned());
        Some(failure.refusal.clone())
    }

    fn note(&mut self, what: &str, refusal: &Refusal, isolation: Isolation) {
        self.met.insert(what.to_owned());
        let failure = self.known.entry(what.to_owned()).or_insert(Failure {
            refusal: refusal.clone(),
            trials: Trials::default(),
            due: None,
        });
        failure.refusal = refusal.clone();
        let delay = failure.trials.failed();
        // What has not come back in time keeps a thread of the hub's: each attempt would keep one more.
        let has_hung = refusal.code == Code::InitTimeout && isolation != Isolation::Process;
        failure.due = (!has_hung).then(|| Instant::now() + delay);
    }

    /// Forgets those that nobody has met meanwhile.
    fn keep_those_met(&mut self) {
        let met = std::mem::take(&mut self.met);
        self.known.retain(|what, _| met.contains(what));
    }
}

/// A file that may be loaded.
type Candidacy = (PathBuf, Arc<Candidate>);

/// See the module.
pub(super) struct Gathering<'a> {
    pub(super) starter: Starter<'a>,
    pub(super) catalog: &'a Catalog,
    pub(super) generations: &'a Generations,
    pub(super) before: Arc<Lineup>,
    pub(super) failures: &'a mut Failures,
    pub(super) draft: Draft,
    /// Where libraries are copied to, once one is.
    pub(super) copies: Option<Arc<Copies>>,
    pub(super) members: Vec<Arc<Member>>,
    /// Whether the hub is at work already.
    pub(super) is_live: bool,
}

impl Gathering<'_> {
    /// The contracts of what runs stay until it is done, whatever takes its place.
    pub(super) fn begin_with_what_runs(&mut self, leaving: &[Arc<Running>]) {
        let before = self.before.clone();
        let running = before.running().map(|(_, running)| running);
        register(leaving.iter().chain(running), &mut self.draft);
    }

    /// A plugin that is part of the program.
    pub(super) async fn linked(&mut self, manifest: &Manifest, root: RootV1_Ref) {
        let settings = self.starter.settings(manifest);
        let started = match self.before.of_id(&manifest.id) {
            _ if self.runs(&manifest.id).is_some() => {
                Err(duplicate(&manifest.id, "another that is linked"))
            }
            Some((member, running)) if running.settings == settings => {
                self.members.push(member.clone());
                return;
            }
            _ => match self.failures.holds_back(&manifest.id) {
                Some(refusal) => Err(refusal),
                None => self.start(manifest, Library::Loaded(root), true).await,
            },
        };
        self.judge(&manifest.id, &started, settings.isolation);
        self.conclude(Origin::Linked, manifest, started);
    }

    /// The files of the folder.
    ///
    /// # Errors
    /// When copies cannot be made.
    pub(super) async fn files(&mut self, found: Vec<Found>) -> Result<(), StartError> {
        let there: Vec<PathBuf> = found.iter().map(|one| one.path.clone()).collect();
        let linked = self.members.len();
        for (id, mut candidates) in self.by_plugin(found) {
            // The order of names stays among equals.
            let version = |candidate: &Candidate| Version::parse(&candidate.manifest.version).ok();
            candidates.sort_by_cached_key(|(_, one)| Reverse(version(one)));
            for (path, candidate) in candidates {
                self.consider(&id, path, &candidate).await?;
            }
        }
        self.keep_or_let_go(&there);
        self.failures.keep_those_met();
        self.members[linked..].sort_by(|one, other| one.origin.path().cmp(&other.origin.path()));
        Ok(())
    }

    /// What may be loaded, in the order of names; what may not is noted.
    fn by_plugin(&mut self, found: Vec<Found>) -> Vec<(String, Vec<Candidacy>)> {
        let mut plugins: Vec<(String, Vec<_>)> = Vec::new();
        for Found { path, result } in found {
            match result {
                Ok(candidate) => {
                    let candidate = Arc::new(candidate);
                    let id = &candidate.manifest.id;
                    match plugins.iter_mut().find(|(other, _)| other == id) {
                        Some((_, of_plugin)) => of_plugin.push((path, candidate)),
                        None => plugins.push((id.clone(), vec![(path, candidate)])),
                    }
                }
                Err(refused) => {
                    let origin = match refused.sha256 {
                        Some(sha256) => Origin::File {
                            path,
                            sha256,
                            signed_by: None,
                        },
                        None => Origin::Unread { path },
                    };
                    let manifest = refused.manifest.map(|manifest| *manifest);
                    self.refuse(origin, manifest, refused.refusal);
                }
            }
        }
        plugins
    }

    /// Takes a file into use, unless its plugin runs already.
    async fn consider(
        &mut self,
        id: &str,
        path: PathBuf,
        candidate: &Arc<Candidate>,
    ) -> Result<(), StartError> {
        let (manifest, sha256) = (&candidate.manifest, &candidate.sha256);
        let origin = Origin::File {
            path: path.clone(),
            sha256: sha256.clone(),
            signed_by: candidate.signed_by.clone(),
        };
        if let Some(owner) = self.runs(id).map(|member| member.origin.to_string()) {
            self.refuse(origin, Some(manifest.clone()), duplicate(id, &owner));
            return Ok(());
        }
        let settings = self.starter.settings(manifest);
        if let Some((member, running)) = self.before.of_id(id)
            && member.origin.sha256() == Some(sha256.as_str())
            && running.settings == settings
        {
            let member = match member.origin == origin {
                true => member.clone(),
                false => member.moved_to(origin),
            };
            self.members.push(member);
            return Ok(());
        }
        // The first of a version that can be loaded takes its place, whether it starts or not.
        let mut before = self.members.iter();
        let first = before.find(|member| {
            let of = member.manifest.as_ref();
            let is_of_version = of.is_some_and(|of| of.id == *id && of.version == manifest.version);
            let state = member.standing().state;
            let was_loaded = state
                .refusal()
                .is_some_and(|refusal| refusal.code.is_of_start());
            is_of_version && was_loaded
        });
        if let Some(owner) = first.map(|member| member.origin.to_string()) {
            self.refuse(origin, Some(manifest.clone()), duplicate(id, &owner));
            return Ok(());
        }
        if let Some(refusal) = self.failures.holds_back(sha256) {
            self.refuse(origin, Some(manifest.clone()), refusal);
            return Ok(());
        }
        self.catalog.starting(&path);
        let copies = match &self.copies {
            Some(copies) => copies.clone(),
            None => {
                let copies = spawn_blocking(Copies::new).await;
                let copies = copies.map_err(io::Error::other).flatten();
                let copies = Arc::new(copies.map_err(StartError::Copies)?);
                self.copies.insert(copies).clone()
            }
        };
        let plugins = &self.starter.config.plugins;
        let library = self
            .generations
            .take(candidate, settings.isolation, plugins, &copies);
        let started = match library.await {
            Ok(library) => self.start(manifest, library, false).await,
            Err(refusal) => Err(refusal),
        };
        self.judge(sha256, &started, settings.isolation);
        self.conclude(origin, manifest, started);
        Ok(())
    }

    /// Remembers what has failed and may not the next time.
    fn judge<T>(&mut self, what: &str, started: &Result<T, Refusal>, isolation: Isolation) {
        match started {
            Err(refusal) if refusal.code.may_pass() => {
                if self.failures.holds_back(what).is_none() {
                    self.failures.note(what, refusal, isolation);
                }
            }
            _ => drop(self.failures.known.remove(what)),
        }
    }

    /// Refuses a plugin with a source whose name a webhook of the configuration has. At the start of the hub that is
    /// for whoever starts it to decide.
    fn expect_free_sources(&self, manifest: &Manifest) -> Result<(), Refusal> {
        let webhooks = &self.starter.config.webhooks;
        let taken = manifest.components.iter().find(|component| {
            let is_source = component.kind == ComponentKind::Source;
            is_source
                && webhooks
                    .iter()
                    .any(|webhook| webhook.name == component.name)
        });
        match taken.filter(|_| self.is_live) {
            None => Ok(()),
            Some(component) => Err(Refusal::new(
                Code::SourceTaken,
                format!(
                    "[[webhooks]] has one that is named `{}` as its source is",
                    component.name
                ),
                "call the webhook otherwise",
            )),
        }
    }

    /// Starts a plugin and registers its contracts.
    async fn start(
        &mut self,
        manifest: &Manifest,
        library: Library,
        linked: bool,
    ) -> Result<Arc<Running>, Refusal> {
        expect_free_id(&manifest.id)?;
        self.expect_free_sources(manifest)?;
        let running = self.starter.start(manifest, library, linked).await?;
        // Only now: the events of a plugin that does not run must stay unknown.
        // What works is not replaced by what does not.
        if self.before.of_id(&manifest.id).is_some()
            && let Some(reason) = running.says_it_has_failed().await
        {
            rest(running);
            return Err(Refusal::init_failed(reason));
        }
        match running.bring_contracts(&mut self.draft) {
            Ok(()) => Ok(running),
            Err(refusal) => {
                rest(running);
                Err(refusal)
            }
        }
    }

    fn conclude(
        &mut self,
        origin: Origin,
        manifest: &Manifest,
        started: Result<Arc<Running>, Refusal>,
    ) {
        match started {
            Ok(running) => {
                let id = manifest.id.as_str();
                let before = self.before.of_id(id);
                let past = before.map_or_else(Past::default, |(member, _)| member.becomes_past());
                match before {
                    None => tracing::info!(plugin = id, %origin, "plugin started"),
                    Some(_) => tracing::info!(
                        plugin = id,
                        %origin,
                        version = %manifest.version,
                        "plugin ready, in the place of the one before"
                    ),
                }
                let member = Member::served_by(origin, running, past);
                self.members.push(Arc::new(member));
            }
            Err(refusal) => self.refuse(origin, Some(manifest.clone()), refusal),
        }
    }

    /// What has run and runs no more: it goes on where something is there that is to take its place and
    /// cannot, and leaves where nothing is.
    fn keep_or_let_go(&mut self, there: &[PathBuf]) {
        let before = self.before.clone();
        for member in before.members() {
            let (Some(id), Some(path)) = (member.id(), member.origin.path()) else {
                continue;
            };
            if self.runs(id).is_some() {
                continue;
            }
            let is_there = there.iter().any(|one| one == path);
            if member.running.is_none() {
                let is_stopped = matches!(member.standing().state, PluginState::Stopped(_));
                if is_stopped && !is_there && self.stopped() < MOST_STOPPED {
                    self.members.push(member.clone());
                }
                continue;
            }
            let refusals = self
                .members
                .iter()
                .filter(|other| other.id() == Some(id) || other.origin.path() == Some(path));
            let refusals = refusals.filter_map(|other| other.standing().state.refusal().cloned());
            let refusals: Vec<Refusal> = refusals.collect();
            let settings = self.starter.config.plugins.get(id);
            let is_disabled = settings.is_some_and(|settings| !settings.enabled);
            if is_disabled {
                tracing::info!(plugin = id, "the plugin is disabled, and stops");
            } else if !refusals.is_empty() {
                self.members.push(member.clone());
            } else {
                tracing::info!(plugin = id, "the plugin's file is gone, and it stops");
                let stopped = Member::new(
                    member.origin.clone(),
                    member.manifest.clone(),
                    member.isolation,
                    PluginState::Stopped("its file was removed".to_owned()),
                );
                self.members.push(Arc::new(stopped));
            }
        }
    }

    fn stopped(&self) -> usize {
        let is_stopped =
            |member: &&Arc<Member>| matches!(member.standing().state, PluginState::Stopped(_));
        self.members.iter().filter(is_stopped).count()
    }

    fn refuse(&mut self, origin: Origin, manifest: Option<Manifest>, refusal: Refusal) {
        let settings = manifest
            .as_ref()
            .and_then(|manifest| self.starter.config.plugins.get(&manifest.id));
        let isolation = settings.map_or(Isolation::default(), |settings| settings.isolation);
        let mut before = self.before.members().iter();
        let same = before.find(|other| {
            other.origin == origin
                && other.isolation == isolation
                && other.standing().state.refusal() == Some(&refusal)
        });
        if let Some(same) = same {
            self.members.push(same.clone());
            return;
        }
        match refusal.is_wanted() {
            true => tracing::info!(%origin, "plugin disabled by the configuration"),
            false => tracing::warn!(
                %origin,
                code = refusal.code.as_str(),
                "plugin refused: {refusal}"
            ),
        }
        let member = Member::new(origin, manifest, isolation, PluginState::Refused(refusal));
        self.members.push(Arc::new(member));
    }

    fn runs(&self, id: &str) -> Option<&Arc<Member>> {
        let runs = |member: &&Arc<Member>| member.running.is_some() && member.id() == Some(id);
        self.members.iter().find(runs)
    }
}

fn duplicate(id: &str, owner: &str) -> Refusal {
    Refusal::new(
        Code::DuplicateId,
        format!("the id {id} is taken by {owner}"),
        "remove one of the two",
    )
}

/// Registers the contracts of plugins that run; they were registered before.
pub(super) fn register<'r>(all: impl Iterator<Item = &'r Arc<Running>>, draft: &mut Draft) {
    for running in all {
        if let Err(conflict) = running.offer(|offer| draft.take(offer)) {
            let plugin = &running.instance.manifest.id;
            tracing::error!(plugin, %conflict, "contracts that were registered are not any more");
        }
    }
}
