//! The contracts: receives them from the plugins and files that own them, compiles each once, and answers
//! whether a payload fits. It never fetches a schema from elsewhere.
//!
//! A version of a contract that refuses what an earlier one of the same major version accepts is not
//! registered. What an event of an earlier version becomes is found out here as well, so that finding an
//! event's contract costs one look into a table, however many there are.

mod compiled;
mod conflict;
mod diff;
mod draft;
pub(super) mod file;
#[cfg(any(test, feature = "fuzz"))]
pub(super) mod fuzz;
mod lint;
mod onward;
mod rule;
mod unusable;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use nexus_plugin_api::ContractInfo;
use nexus_plugin_api::wire::MigrationInfo;
use parking_lot::Mutex;
use semver::Version;

pub use compiled::Contract;
pub use conflict::ContractConflict;
pub use diff::{Change, ContractDiff};
pub use draft::Draft;
pub(super) use onward::Found;
pub use onward::{Migrator, Notice};
pub use rule::Rule;

use super::config::TypeRule;
use super::rejection::{Code, Rejection, Violation, cut, quoted};
use crate::current::Current;
use onward::Entry;

/// The owner under which the hub registers contracts of its own, below `nexus.`.
pub const HUB: &str = "nexus";

/// Every contract that is known.
///
/// Reading takes a snapshot, so an event is judged by one state of the registry, and nobody waits
/// while a plugin is being loaded.
#[derive(Default)]
pub struct Contracts {
    known: Current<Known>,
    /// Held by whoever changes the registry, so that compiling schemas keeps no reader waiting.
    changing: Mutex<()>,
}

/// One state of the registry.
#[derive(Clone, Default)]
struct Known {
    types: HashMap<Arc<str>, Arc<Entry>>,
    rules: TypeRules,
}

/// What the configuration asks of types.
type TypeRules = Arc<[(TypeRule, Arc<Rule>)]>;

fn compiled(rules: &[TypeRule]) -> Result<TypeRules, String> {
    let compile = |rule: &TypeRule| Ok((rule.clone(), Arc::new(rule.compile()?)));
    rules.iter().map(compile).collect()
}

/// What an owner brings along.
#[derive(Clone, Copy)]
pub struct Offer<'a> {
    /// A plugin's id, or `file:NAME`.
    pub owner: &'a str,
    /// The contracts.
    pub contracts: &'a [ContractInfo],
    /// The steps between versions of them.
    pub migrations: &'a [MigrationInfo],
    /// Who performs these.
    pub migrator: Option<&'a Arc<dyn Migrator>>,
}

impl Contracts {
    /// No contract yet, and what the configuration asks of types.
    ///
    /// # Errors
    /// When a rule cannot be used, naming it.
    pub fn with_rules(rules: &[TypeRule]) -> Result<Self, String> {
        let known = Known {
            rules: compiled(rules)?,
            ..Known::default()
        };
        Ok(Self {
            known: Current::new(known),
            ..Self::default()
        })
    }

    /// Registers one contract.
    ///
    /// # Errors
    /// As [`Contracts::take`].
    pub fn register(&self, owner: &str, info: ContractInfo) -> Result<(), ContractConflict> {
        let offer = Offer {
            owner,
            contracts: &[info],
            migrations: &[],
            migrator: None,
        };
        self.take(offer)
    }

    /// Registers contracts and the migrations between them, all of them or none. The same one again
    /// changes nothing; an owner may replace its own.
    ///
    /// # Errors
    /// When another owner has a version with another content, one is no usable contract, or one breaks
    /// an earlier one of the same major version.
    pub fn take(&self, offer: Offer<'_>) -> Result<(), ContractConflict> {
        self.change(|draft| draft.take(offer))
    }

    /// Adds to what there is.
    fn change<T>(&self, add: impl FnOnce(&mut Draft) -> T) -> T {
        let _alone = self.changing.lock();
        let mut draft = Draft::on(self.known.get());
        let added = add(&mut draft);
        self.known.set(draft.into_known());
        added
    }

    /// Begins another registry to take the place of this one, with no contract yet and the same rules.
    pub fn draft(&self) -> Draft {
        Draft::instead_of(self.known.get())
    }

    /// Puts a registry in the place of this one.
    pub fn put(&self, draft: Draft) {
        let _alone = self.changing.lock();
        self.known.set(draft.into_known());
    }

    /// What is good to know of every type: versions without a migration, deprecated ones, and those
    /// past their sunset.
    pub fn remarks(&self, now: DateTime<Utc>) -> Vec<String> {
        let known = self.known.get();
        let mut types: Vec<_> = known.types.iter().collect();
        types.sort_unstable_by_key(|(event_type, _)| *event_type);
        let remarks = types.into_iter().flat_map(|(_, entry)| {
            let mut entry = Entry::clone(entry);
            entry.settle(now);
            entry.remarks(now)
        });
        remarks.collect()
    }

    /// One version of a type.
    pub fn get(&self, event_type: &str, version: &Version) -> Option<Arc<Contract>> {
        let known = self.known.get();
        let entry = known.types.get(event_type)?;
        entry.place(version).map(|at| entry.versions[at].clone())
    }

    /// The newest version of a type: the highest release, or the highest of all where there is no
    /// release. Those past their sunset count only where all are.
    pub fn newest(&self, event_type: &str) -> Option<Arc<Contract>> {
        let entry = self.current(event_type, Utc::now)?;
        entry.newest().map(|at| entry.versions[at].clone())
    }

    /// Every version of a type, lowest first; `None` when the type is unknown.
    pub fn versions(&self, event_type: &str) -> Option<Arc<[Arc<Contract>]>> {
        let known = self.known.get();
        known
            .types
            .get(event_type)
            .map(|entry| entry.versions.clone())
    }

    /// Every contract, by type and version.
    pub fn list(&self) -> Vec<Arc<Contract>> {
        let known = self.known.get();
        let mut types: Vec<_> = known.types.iter().collect();
        types.sort_unstable_by_key(|(event_type, _)| *event_type);
        let versions = types.into_iter().flat_map(|(_, e)| e.versions.iter());
        versions.cloned().collect()
    }

    /// The contract that an event is to be judged by.
    pub(super) fn find(
        &self,
        event_type: &str,
        version: Option<&Version>,
    ) -> Result<Found, Rejection> {
        let Some(entry) = self.current(event_type, Utc::now) else {
            let message = format!(
                "no contract is known for the type {}; load the plugin that owns it, or correct the type",
                quoted(event_type)
            );
            return Err(Rejection::new(Code::UnknownType, message));
        };
        let at = match version {
            None => entry.newest(),
            Some(version) => entry.place(version),
        };
        let Some(at) = at else {
            return Err(unknown_version(event_type, &entry.versions));
        };
        Ok(Found { entry, at })
    }

    /// A type's versions and ways as they are now. A sunset that has come changes them once, when the type
    /// is asked for.
    fn current(&self, event_type: &str, now: impl Fn() -> DateTime<Utc>) -> Option<Arc<Entry>> {
        let entry = self.known.get().types.get(event_type)?.clone();
        if !entry.is_stale(&now) {
            return Some(entry);
        }
        let _alone = self.changing.lock();
        let mut changed = Known::clone(&self.known.get());
        let entry = changed.types.get_mut(event_type)?;
        Arc::make_mut(entry).settle(now());
        let entry = entry.clone();
        self.known.set(changed);
        Some(entry)
    }
}

impl fmt::Debug for Contracts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list()).finish()
    }
}

/// The type is known, so this is the event's fault and not the type's.
fn unknown_version(event_type: &str, versions: &[Arc<Contract>]) -> Rejection {
    let known = versions.iter().map(|c| c.info().version.to_string());
    let message = format!(
        "is no known version of {event_type}; known: {}; leave it out for the newest",
        known.collect::<Vec<_>>().join(", ")
    );
    let place = Violation::new("/contract_version", cut(message));
    let message = "the event names an unknown contract version; see `errors`";
    Rejection::new(Code::ContractViolation, message).with_errors(vec![place])
}

#[cfg(test)]
mod tests;
