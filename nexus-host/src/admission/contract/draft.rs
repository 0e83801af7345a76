//! A registry in the making: receives what owners bring along, hands on one that can take the place of
//! another as a whole. Nobody sees it before.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::Utc;
use nexus_plugin_api::ContractInfo;
use nexus_plugin_api::wire::MigrationInfo;
use semver::Version;

use super::super::config::TypeRule;
use super::super::rejection::quoted;
use super::super::rules;
use super::compiled::Contract;
use super::conflict::ContractConflict;
use super::diff::ContractDiff;
use super::onward::{Entry, Migration, same_line};
use super::{HUB, Known, Offer, compiled};

/// See the module.
pub struct Draft {
    known: Known,
    /// What it takes the place of: what is the same there is not compiled or compared again.
    before: Arc<Known>,
}

impl Draft {
    /// One that begins with what there is.
    pub(super) fn on(before: Arc<Known>) -> Self {
        Self {
            known: Known::clone(&before),
            before,
        }
    }

    /// One that begins with no contract.
    pub(super) fn instead_of(before: Arc<Known>) -> Self {
        let known = Known {
            rules: before.rules.clone(),
            types: HashMap::new(),
        };
        Self { known, before }
    }

    /// Has it ask something else of types; to be called before it takes any.
    ///
    /// # Errors
    /// When a rule cannot be used, naming it.
    pub fn asking(mut self, rules: &[TypeRule]) -> Result<Self, String> {
        self.known.rules = compiled(rules)?;
        Ok(self)
    }

    pub(super) fn into_known(self) -> Known {
        self.known
    }

    /// As [`Contracts::take`](super::Contracts::take).
    ///
    /// # Errors
    /// As there; nothing is taken then.
    pub fn take(&mut self, offer: Offer<'_>) -> Result<(), ContractConflict> {
        // The types that it is about, and nothing else, are put together apart.
        let types: BTreeSet<&str> = offer.contracts.iter().map(|c| &*c.event_type).collect();
        let entry = |event_type: &&str| self.known.types.get_key_value(*event_type);
        let entries = types.iter().filter_map(entry);
        let mut changed = Known {
            types: entries.map(|(k, e)| (k.clone(), e.clone())).collect(),
            rules: self.known.rules.clone(),
        };
        for info in offer.contracts {
            self.put(&mut changed, offer.owner, info)?;
        }
        for step in offer.migrations {
            connect(&mut changed, &offer, step)?;
        }
        for (event_type, entry) in &mut changed.types {
            let entry = Arc::make_mut(entry);
            self.check_lines(event_type, &entry.versions)?;
            entry.settle(Utc::now());
        }
        self.known.types.extend(changed.types);
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
        let entry = known.types.entry(info.event_type.as_str().into());
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
        let contract = match self.stands(owner, info) {
            Some(contract) => contract,
            None => Arc::new(Contract::compile(owner, info)?),
        };
        let mut versions = entry.versions.to_vec();
        match place {
            Ok(place) => versions[place] = contract,
            Err(place) => versions.insert(place, contract),
        }
        Arc::make_mut(entry).versions = versions.into();
        Ok(())
    }

    /// The same contract, where there was one before.
    fn stands(&self, owner: &str, info: &ContractInfo) -> Option<Arc<Contract>> {
        let mut versions = self.before.types.get(&*info.event_type)?.versions.iter();
        let same = versions.find(|one| one.owner() == owner && one.info() == info);
        same.cloned()
    }

    /// A type without versions yet, and what the configuration asks of it.
    fn entry(&self, event_type: &str) -> Entry {
        let own = self.known.rules.iter();
        let own = own.filter(|(of, _)| of.r#type.matches(event_type));
        Entry::asking(own.map(|(_, rule)| rule.clone()).collect())
    }

    /// Every release must accept what those before it in the same major version do. Pairs that stood beside
    /// each other before were compared then.
    fn check_lines(
        &self,
        event_type: &str,
        versions: &[Arc<Contract>],
    ) -> Result<(), ContractConflict> {
        let of = |known: &Known| known.types.get(event_type).cloned();
        let stood = [of(&self.known), of(&self.before)];
        let were_compared = |pair: [&Arc<Contract>; 2]| {
            stood.iter().flatten().any(|entry| {
                let is_in =
                    |one: &&Arc<Contract>| entry.versions.iter().any(|v| Arc::ptr_eq(v, one));
                pair.iter().all(is_in)
            })
        };
        let releases = versions.iter().filter(|c| c.info().version.pre.is_empty());
        let releases: Vec<_> = releases.collect();
        for (at, new) in releases.iter().enumerate() {
            for old in &releases[..at] {
                let in_line = same_line(&old.info().version, &new.info().version);
                if in_line && !were_compared([old, new]) {
                    check_pair(old, new)?;
                }
            }
        }
        Ok(())
    }
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
    if let Some(entry) = known.types.get_mut(&*step.event_type) {
        let migrations = &mut Arc::make_mut(entry).migrations;
        migrations.retain(|known| known.step != *step);
        migrations.push(Migration {
            step: step.clone(),
            migrator: migrator.clone(),
        });
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
