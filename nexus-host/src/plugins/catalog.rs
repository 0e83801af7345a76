//! The plugins as everybody else calls them: receives calls by name, hands them to whoever answers to it now.
//! Which those are is the [supervisor's](super::supervisor) business; here they are only swapped.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use nexus_plugin_api::abi::Manifest;
use nexus_plugin_api::{
    Effect, Event, HookReply, HookRequest, Outcome, PluginError, RawJson, Reply,
};
use parking_lot::Mutex;
use tokio::time::timeout;

use super::config::Isolation;
use super::generations::{Generations, LibraryCost};
use super::glance::{self, Glance};
use super::lineup::{Lineup, Place};
use super::member::{Member, Origin};
use super::standing::{PluginState, Standing};
use crate::current::Current;
use crate::dispatch::port::{Call, Components};
use crate::queue::{BoxFuture, Work};

/// One plugin or file, and what became of it.
#[derive(Debug, Clone)]
pub struct PluginReport {
    /// Where it comes from.
    pub origin: Origin,
    /// What it says of itself, if it could be read.
    pub manifest: Option<Manifest>,
    /// How it runs.
    pub isolation: Isolation,
    /// The contracts it owns, `type version`.
    pub contracts: Vec<String>,
    /// How it stands.
    pub state: PluginState,
    /// Since when.
    pub since: DateTime<Utc>,
    /// How often it was started again since it did not work.
    pub restarts: u64,
    /// Panics that were caught, since the hub started.
    pub panics: u64,
    /// The message of the last.
    pub last_panic: Option<String>,
    /// What its libraries cost the hub.
    pub libraries: LibraryCost,
}

/// See the module.
pub struct Catalog {
    lineup: Current<Lineup>,
    /// Files that have come or changed and are looked at soon.
    arriving: Mutex<BTreeMap<PathBuf, Standing>>,
    was_asked: AtomicBool,
    generations: Arc<Generations>,
}

impl Catalog {
    pub(super) fn new(generations: Arc<Generations>) -> Self {
        Self {
            lineup: Current::default(),
            arriving: Mutex::default(),
            was_asked: AtomicBool::new(false),
            generations,
        }
    }

    /// One without any plugin.
    #[cfg(test)]
    pub(crate) fn empty() -> Self {
        Self::new(Arc::default())
    }

    /// Whether somebody has asked how plugins stand since this was last called.
    pub(super) fn was_asked(&self) -> bool {
        self.was_asked.swap(false, Ordering::Relaxed)
    }

    /// Somebody asks how plugins stand: he is told what is known, and is told more the next time.
    pub(super) fn is_asked(&self) {
        self.was_asked.store(true, Ordering::Relaxed);
    }

    pub(super) fn lineup(&self) -> Arc<Lineup> {
        self.lineup.get()
    }

    /// Has others answer from now on. What is under way goes on where it is.
    pub(super) fn put(&self, lineup: Lineup) {
        self.lineup.set(lineup);
    }

    /// These files are about to be looked at, and no others.
    pub(super) fn arriving(&self, paths: impl IntoIterator<Item = PathBuf>) {
        let mut arriving = self.arriving.lock();
        let mut before = std::mem::take(&mut *arriving);
        for path in paths {
            let known = before.remove(&path);
            let standing = known.unwrap_or_else(|| Standing::now(PluginState::Discovered));
            arriving.insert(path, standing);
        }
    }

    /// One of them is being started.
    pub(super) fn starting(&self, path: &Path) {
        if let Some(standing) = self.arriving.lock().get_mut(path) {
            *standing = Standing::now(PluginState::Starting(None));
        }
    }

    /// Every plugin and file, in order, and what becomes of each.
    pub fn reports(&self) -> Vec<PluginReport> {
        self.is_asked();
        let lineup = self.lineup();
        let members = lineup.members().iter().map(|member| self.report(member));
        let arriving = self.arriving.lock().clone();
        let arriving = arriving.into_iter().map(|(path, standing)| PluginReport {
            origin: Origin::Unread { path },
            manifest: None,
            isolation: Isolation::default(),
            contracts: Vec::new(),
            state: standing.state,
            since: standing.since,
            restarts: 0,
            panics: 0,
            last_panic: None,
            libraries: LibraryCost::default(),
        });
        members.chain(arriving).collect()
    }

    /// How each plugin stands, in a few numbers, and how many files are not used.
    pub fn glance(&self) -> (Vec<Glance>, usize) {
        self.is_asked();
        let lineup = self.lineup();
        let members = lineup.members();
        (glance::of(members), glance::refused(members))
    }

    /// How each plugin stands, and how often it was started again. Asks for it to be known as it is: what has failed
    /// is to be raised within seconds, and not when it is doubted.
    pub(crate) fn standings(&self) -> Vec<(String, PluginState, u64)> {
        self.is_asked();
        let lineup = self.lineup();
        let by_id = glance::by_id(lineup.members()).into_iter();
        let stands = by_id.map(|(id, one)| (id.to_owned(), one.standing().state, one.restarted()));
        stands.collect()
    }

    /// What is not used although nobody has asked for that, and no other file of the plugin is: the names of files,
    /// and ids of linked plugins.
    pub(crate) fn refused(&self) -> Vec<String> {
        let lineup = self.lineup();
        let refused = lineup.members().iter().filter_map(|member| {
            let state = member.standing().state;
            state.refusal().filter(|refusal| refusal.is_trouble())?;
            match member.origin.path() {
                Some(path) => Some(path.file_name()?.to_string_lossy().into_owned()),
                None => member.id().map(str::to_owned),
            }
        });
        refused.collect()
    }

    fn report(&self, member: &Arc<Member>) -> PluginReport {
        let standing = member.standing();
        let (panics, last_panic) = member.panics();
        let contracts = member.running().into_iter().flat_map(|one| &one.contracts);
        let in_use = member.running().and_then(|_| member.origin.sha256());
        let cost = |id| self.generations.cost(id, in_use);
        PluginReport {
            origin: member.origin.clone(),
            manifest: member.manifest.clone(),
            isolation: member.isolation,
            contracts: contracts
                .map(|contract| format!("{} {}", contract.event_type, contract.version))
                .collect(),
            state: standing.state,
            since: standing.since,
            restarts: member.restarted(),
            panics,
            last_panic,
            libraries: member.id().map(cost).unwrap_or_default(),
        }
    }

    /// Who would do a piece of work now: components, each with the hash of its plugin's file.
    pub(crate) fn whose(&self, event: &Event, work: &Work) -> Option<String> {
        let lineup = self.lineup();
        let names = match work {
            Work::Route => lineup.subscribers(event),
            Work::Process { processor, .. } => vec![processor.as_str().into()],
            Work::Perform { effect, .. } => match &**effect {
                Effect::Notify { integration, .. } => vec![lineup.integration(integration).ok()?],
                _ => return None,
            },
        };
        let told = names.iter().map(|name| {
            let id = name.split('/').next().unwrap_or_default();
            match lineup
                .of_id(id)
                .and_then(|(member, _)| member.origin.sha256())
            {
                Some(sha256) => format!("{name} (sha256 {sha256})"),
                None => name.to_string(),
            }
        });
        let told: Vec<String> = told.collect();
        (!told.is_empty()).then(|| told.join(", "))
    }

    /// Whether a plugin has a source of that name.
    pub fn has_source(&self, name: &str) -> bool {
        self.lineup().source(name).is_some()
    }

    /// Answers a webhook. `None` when no source has that name.
    pub async fn hook(
        &self,
        source: &str,
        request: HookRequest,
        limit: Duration,
    ) -> Option<Result<HookReply, PluginError>> {
        let place = self.lineup().source(source).cloned()?;
        let answer = place.instance.hook(place.component, request, limit);
        Some(timeout(limit, answer).await.unwrap_or_else(|_| {
            Err(PluginError::retryable(
                "timeout",
                format!("no answer within {limit:?}"),
            ))
        }))
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog")
            .field("reports", &self.reports())
            .finish_non_exhaustive()
    }
}

impl Components for Catalog {
    fn subscribers(&self, event: &Event) -> Vec<Arc<str>> {
        self.lineup().subscribers(event)
    }

    fn integration(&self, name: &str) -> Result<Arc<str>, PluginError> {
        self.lineup().integration(name)
    }

    fn process<'a>(
        &'a self,
        processor: &'a str,
        call: Call<'a>,
        event: &'a Event,
    ) -> BoxFuture<'a, Result<Outcome, PluginError>> {
        Box::pin(async move {
            let Place {
                instance,
                component,
            } = self.lineup().processor(processor)?;
            instance.process(component, call, event).await
        })
    }

    fn deliver<'a>(
        &'a self,
        integration: &'a str,
        target: Option<&'a str>,
        call: Call<'a>,
        request: &'a RawJson,
    ) -> BoxFuture<'a, Result<Reply, PluginError>> {
        Box::pin(async move {
            let Place {
                instance,
                component,
            } = self.lineup().deliverer(integration)?;
            let request = request.as_slice();
            instance.deliver(component, target, call, request).await
        })
    }
}
