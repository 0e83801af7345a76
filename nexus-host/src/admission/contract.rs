//! The contracts: receives them from the plugins and files that own them, compiles each once, and answers
//! whether a payload fits. It never forgets one, and never fetches a schema from elsewhere.
//!
//! A version of a contract that refuses what an earlier one of the same major version accepts is not
//! registered. What an event of an earlier version becomes is found out here as well, so that finding an
//! event's contract costs one look into a table, however many there are.

mod compiled;
mod conflict;
mod diff;
pub(super) mod file;
#[cfg(any(test, feature = "fuzz"))]
pub(super) mod fuzz;
mod lint;
mod onward;
mod rule;
mod unusable;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use chrono::{DateTime, Utc};
use nexus_plugin_api::ContractInfo;
use nexus_plugin_api::wire::MigrationInfo;
use semver::Version;

pub use compiled::Contract;
pub use conflict::ContractConflict;
pub use diff::{Change, ContractDiff};
pub(super) use onward::Found;
pub use onward::{Migrator, Notice};
pub use rule::Rule;

use super::config::TypeRule;
use super::rejection::{Code, Rejection, Violation, cut, quoted};
use super::rules;
use onward::{Entry, Migration, same_line};

/// The owner under which the hub registers contracts of its own, below `nexus.`.
pub const HUB: &str = "nexus";

/// Every contract that is known.
///
/// Reading takes a snapshot, so an event is judged by one state of the registry, and nobody waits
/// while a plugin is being loaded.
#[derive(Default)]
pub struct Contracts {
    known: RwLock<Arc<Known>>,
    /// Held by whoever changes the registry, so that compiling schemas keeps no reader waiting.
    changing: Mutex<()>,
    /// What the configuration asks of types.
    rules: Vec<(TypeRule, Arc<Rule>)>,
}

/// By type.
type Known = HashMap<Arc<str>, Arc<Entry>>;

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
        let compile = |rule: &TypeRule| Ok((rule.clone(), Arc::new(rule.compile()?)));
        Ok(Self {
            rules: rules.iter().map(compile).collect::<Result<_, String>>()?,
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
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.snapshot();
        let mut changed = Known::clone(&before);
        for info in offer.contracts {
            self.put(&mut changed, offer.owner, info)?;
        }
        for step in offer.migrations {
            connect(&mut changed, &offer, step)?;
        }
        let types: BTreeSet<&str> = offer.contracts.iter().map(|c| &*c.event_type).collect();
        for event_type in types {
            if let Some(entry) = changed.get_mut(event_type) {
                let entry = Arc::make_mut(entry);
                let before = before.get(event_type);
                check_lines(before.map_or(&[], |entry| &entry.versions), &entry.versions)?;
                entry.settle(Utc::now());
            }
        }
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(changed);
        Ok(())
    }

    /// Adds one contract to a registry in the making.
    fn put(
        &self,
        known: &mut Known,
        owner: &str,
        info: &ContractInfo,
    ) -> Result<(), ContractConflict> {
        check_type(owner, &info.event_type)?;
        let entry = known.entry(info.event_type.as_str().into());
        let entry = entry.or_insert_with(|| Arc::new(self.entry(&info.event_type)));
        let place = entry
            .versions
            .binary_search_by(|c| c.info().version.cmp(&info.version));
        if let Ok(place) = place {
            let present = &entry.versions[place];
            if present.info() == info {
                return Ok(());
            }
            if present.owner() != owner {
                return Err(ContractConflict::Taken {
                    event_type: info.event_type.clone(),
                    version: info.version.clone(),
                    owner: owner.to_owned(),
                    other: present.owner().to_owned(),
                });
            }
        }
        let contract = Arc::new(Contract::compile(owner, info)?);
        let mut versions = entry.versions.to_vec();
        match place {
            Ok(place) => versions[place] = contract,
            Err(place) => versions.insert(place, contract),
        }
        Arc::make_mut(entry).versions = versions.into();
        Ok(())
    }

    /// A type without versions yet, and what the configuration asks of it.
    fn entry(&self, event_type: &str) -> Entry {
        let own = self.rules.iter();
        let own = own.filter(|(of, _)| of.r#type.matches(event_type));
        Entry::asking(own.map(|(_, rule)| rule.clone()).collect())
    }

    /// What is good to know of every type: versions without a migration, deprecated ones, and those
    /// past their sunset.
    pub fn remarks(&self, now: DateTime<Utc>) -> Vec<String> {
        let known = self.snapshot();
        let mut types: Vec<_> = known.iter().collect();
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
        let known = self.snapshot();
        let entry = known.get(event_type)?;
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
        let known = self.snapshot();
        known.get(event_type).map(|entry| entry.versions.clone())
    }

    /// Every contract, by type and version.
    pub fn list(&self) -> Vec<Arc<Contract>> {
        let known = self.snapshot();
        let mut types: Vec<_> = known.iter().collect();
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
        let entry = self.snapshot().get(event_type)?.clone();
        if !entry.is_stale(&now) {
            return Some(entry);
        }
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = Known::clone(&self.snapshot());
        let entry = changed.get_mut(event_type)?;
        Arc::make_mut(entry).settle(now());
        let entry = entry.clone();
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(changed);
        Some(entry)
    }

    fn snapshot(&self) -> Arc<Known> {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
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

fn check_type(owner: &str, event_type: &str) -> Result<(), ContractConflict> {
    if !rules::is_event_type(event_type) {
        return Err(ContractConflict::InvalidType {
            event_type: quoted(event_type),
            owner: owner.to_owned(),
        });
    }
    if rules::is_reserved(event_type) && owner != HUB {
        return Err(ContractConflict::Reserved {
            event_type: event_type.to_owned(),
            owner: owner.to_owned(),
        });
    }
    Ok(())
}

/// Adds one migration to a registry in the making.
fn connect(
    known: &mut Known,
    offer: &Offer<'_>,
    step: &MigrationInfo,
) -> Result<(), ContractConflict> {
    let invalid = |message| ContractConflict::InvalidMigration {
        step: step.clone().into(),
        owner: offer.owner.to_owned(),
        message,
    };
    let own = |version: &Version| {
        let is_it = |c: &&ContractInfo| c.event_type == step.event_type && c.version == *version;
        offer.contracts.iter().any(|c| is_it(&c))
    };
    let migrator = offer
        .migrator
        .ok_or_else(|| invalid("has nobody to perform it"))?;
    if step.from >= step.to {
        return Err(invalid("does not lead to a later version"));
    }
    if !own(&step.from) || !own(&step.to) {
        return Err(invalid(
            "is between versions that are not both among the owner's contracts",
        ));
    }
    if let Some(entry) = known.get_mut(&*step.event_type) {
        let migrations = &mut Arc::make_mut(entry).migrations;
        migrations.retain(|known| known.step != *step);
        migrations.push(Migration {
            step: step.clone(),
            migrator: migrator.clone(),
        });
    }
    Ok(())
}

/// Every release must accept what those before it in the same major version do. Pairs that stood beside
/// each other before were compared then.
fn check_lines(
    before: &[Arc<Contract>],
    versions: &[Arc<Contract>],
) -> Result<(), ContractConflict> {
    let stood = |one: &Arc<Contract>| before.iter().any(|known| Arc::ptr_eq(known, one));
    let releases = versions.iter().filter(|c| c.info().version.pre.is_empty());
    let releases: Vec<_> = releases.map(|one| (one, stood(one))).collect();
    for (at, (new, new_stood)) in releases.iter().enumerate() {
        for (old, old_stood) in &releases[..at] {
            let in_line = same_line(&old.info().version, &new.info().version);
            if in_line && !(*old_stood && *new_stood) {
                check_pair(old, new)?;
            }
        }
    }
    Ok(())
}

fn check_pair(older: &Contract, newer: &Contract) -> Result<(), ContractConflict> {
    let (old, new) = (older.info(), newer.info());
    let diff = ContractDiff::of_contracts(old, new);
    if let Some(change) = diff.first_break() {
        return Err(ContractConflict::Breaking {
            event_type: new.event_type.clone(),
            version: new.version.clone(),
            owner: newer.owner().to_owned(),
            previous: old.version.clone().into(),
            change: change.clone().into(),
        });
    }
    if !diff.accepts_newer() {
        tracing::info!(
            r#type = new.event_type,
            older = %old.version,
            newer = %new.version,
            "strict consumers of the older version would refuse some payloads of the newer one"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;
