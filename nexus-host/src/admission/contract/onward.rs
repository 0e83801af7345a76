//! The versions of one type, and the way from each to the newest that is taken: by the migrations of the plugin
//! that owns it, and without one where a later version accepts what an earlier one does. Nothing ends in a
//! version that is past its sunset.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use nexus_plugin_api::wire::MigrationInfo;
use nexus_plugin_api::{Event, PluginError, one_line};
use semver::Version;
use serde::Serialize;

use super::super::rejection::{Code, Rejection, Violation, cut};
use super::super::strict_json::Tree;
use super::compiled::Contract;
use super::rule::Rule;
use crate::expression::Case;

/// Carries payloads over from one version to a later one: the plugin that owns the type.
pub trait Migrator: Send + Sync {
    /// Applies a migration that it has. Called where events are let in, so it answers without waiting.
    ///
    /// # Errors
    /// Why it cannot be carried over, or that the plugin panicked.
    fn migrate(&self, step: &MigrationInfo, payload: &[u8]) -> Result<Vec<u8>, PluginError>;
}

/// A migration and who performs it.
#[derive(Clone)]
pub(super) struct Migration {
    pub(super) step: MigrationInfo,
    pub(super) migrator: Arc<dyn Migrator>,
}

/// What whoever sends an outdated version is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Notice {
    /// The type.
    #[serde(skip)]
    pub event_type: String,
    /// The version that was sent.
    pub contract_version: Version,
    /// From when on it should not be sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<DateTime<Utc>>,
    /// From when on it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sunset: Option<DateTime<Utc>>,
    /// What to send instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successor: Option<Version>,
}

/// Every version of one type.
#[derive(Clone, Default)]
pub(super) struct Entry {
    /// In ascending order.
    pub(super) versions: Arc<[Arc<Contract>]>,
    pub(super) migrations: Vec<Migration>,
    /// What the configuration asks of every version, held against what is queued.
    pub(super) rules: Vec<Arc<Rule>>,
    /// What an event without a version is of.
    newest: Option<usize>,
    ways: Vec<Way>,
    /// When the next of the versions is past its sunset: then the ways are others.
    until: Option<DateTime<Utc>>,
}

/// Where one version leads.
#[derive(Clone, Default)]
struct Way {
    /// Migrations to perform, in order.
    steps: Vec<Migration>,
    /// The version that is reached.
    end: usize,
    notice: Option<Arc<Notice>>,
}

/// The contract that an event is to be judged by.
pub(in crate::admission) struct Found {
    pub(super) entry: Arc<Entry>,
    pub(super) at: usize,
}

impl Entry {
    /// No version yet.
    pub(super) fn asking(rules: Vec<Arc<Rule>>) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    /// Finds the ways anew, once the versions or the migrations have changed, or a sunset has come.
    pub(super) fn settle(&mut self, now: DateTime<Utc>) {
        let living = |c: &Arc<Contract>| c.info().sunset.is_none_or(|sunset| sunset > now);
        let living: Vec<bool> = self.versions.iter().map(living).collect();
        let sunsets = self.versions.iter().filter_map(|c| c.info().sunset);
        self.until = sunsets.filter(|sunset| *sunset > now).min();
        self.newest = self.highest(|at| living[at]).or(self.highest(|_| true));
        let newest = self.newest.unwrap_or_default();
        let ways = (0..self.versions.len()).map(|at| self.way(at, newest, &living));
        self.ways = ways.collect();
    }

    /// The highest release among some versions, or the highest of them where none is a release.
    fn highest(&self, among: impl Fn(usize) -> bool) -> Option<usize> {
        let some = || (0..self.versions.len()).rev().filter(|at| among(*at));
        let release = some().find(|at| self.version(*at).pre.is_empty());
        release.or_else(|| some().next())
    }

    /// Whether a sunset has come since the ways were found.
    pub(super) fn is_stale(&self, now: impl FnOnce() -> DateTime<Utc>) -> bool {
        self.until.is_some_and(|until| until <= now())
    }

    fn way(&self, from: usize, newest: usize, living: &[bool]) -> Way {
        let (mut at, mut steps) = (from, Vec::new());
        // Where the way may end, and after how many steps.
        let mut end = (from, 0);
        while at < newest {
            if let Some((to, migration)) = self.migration(at, newest) {
                steps.push(migration.clone());
                at = to;
                if living[at] {
                    end = (at, steps.len());
                }
                continue;
            }
            let later = (at + 1..=newest).rev();
            let mut compatible = later.filter(|to| {
                let (one, other) = (self.version(at), self.version(*to));
                // What a pre-release accepts, nobody has promised to accept for ever.
                one.pre.is_empty() && other.pre.is_empty() && same_line(one, other)
            });
            let highest = compatible.clone().find(|to| living[*to]);
            if let Some(to) = highest {
                end = (to, steps.len());
            }
            let leads_on = compatible.find(|to| self.migration(*to, newest).is_some());
            match leads_on.or(highest) {
                Some(to) => at = to,
                None => break,
            }
        }
        let (end, count) = end;
        steps.truncate(count);
        let info = self.versions[from].info();
        let is_outdated = info.deprecated.is_some() || info.sunset.is_some();
        let notice = is_outdated.then(|| {
            Arc::new(Notice {
                event_type: info.event_type.clone(),
                contract_version: info.version.clone(),
                deprecated: info.deprecated,
                sunset: info.sunset,
                successor: (from != newest).then(|| self.version(newest).clone()),
            })
        });
        Way { steps, end, notice }
    }

    /// The migration from a version that leads furthest.
    fn migration(&self, from: usize, newest: usize) -> Option<(usize, &Migration)> {
        let own = self.migrations.iter();
        let own = own.filter(|migration| migration.step.from == *self.version(from));
        let placed = own.filter_map(|migration| {
            let found = self.place(&migration.step.to)?;
            (found > from && found <= newest).then_some((found, migration))
        });
        placed.max_by_key(|(to, _)| *to)
    }

    fn version(&self, at: usize) -> &Version {
        &self.versions[at].info().version
    }

    pub(super) fn place(&self, version: &Version) -> Option<usize> {
        let versions = &self.versions;
        versions
            .binary_search_by(|c| c.info().version.cmp(version))
            .ok()
    }

    /// What an event without a version is of: the highest release that is taken, or the highest of all that
    /// are taken where none is a release. Where all are past their sunset, one of those.
    pub(super) fn newest(&self) -> Option<usize> {
        self.newest
    }

    /// What is not wrong, but wants to be known by whoever runs the hub.
    pub(super) fn remarks(&self, now: DateTime<Utc>) -> Vec<String> {
        let Some(newest) = self.newest() else {
            return Vec::new();
        };
        let mut remarks = Vec::new();
        for (at, (contract, way)) in self.versions.iter().zip(&self.ways).enumerate() {
            let info = contract.info();
            let named = format!("contract {} {}", info.event_type, info.version);
            let file = contract.owner().strip_prefix("file:");
            let file = file.map(|name| format!(" (file {})", one_line(name)));
            let file = file.unwrap_or_default();
            let past = |date: Option<DateTime<Utc>>| date.filter(|date| *date <= now);
            let (deprecated, sunset) = (past(info.deprecated), past(info.sunset));
            if let Some(sunset) = sunset {
                let day = sunset.format("%Y-%m-%d");
                remarks.push(format!(
                    "{named} is past its sunset on {day}: its events are refused{file}"
                ));
            } else if at < newest && way.end != newest && info.version.pre.is_empty() {
                let newest = self.version(newest);
                remarks.push(format!(
                    "{named} has no migration to {newest}: its events stay as they are{file}"
                ));
            }
            if let (Some(deprecated), None) = (deprecated, sunset) {
                let day = deprecated.format("%Y-%m-%d");
                remarks.push(format!("{named} is deprecated since {day}{file}"));
            }
        }
        remarks
    }
}

/// Whether a later version has to accept what the earlier one does. Before 1.0.0 a minor version may
/// break, as semver has it.
pub(super) fn same_line(one: &Version, other: &Version) -> bool {
    one.major == other.major && (one.major > 0 || one.minor == other.minor)
}

impl Found {
    pub(in crate::admission) fn contract(&self) -> &Contract {
        &self.entry.versions[self.at]
    }

    pub(in crate::admission) fn notice(&self) -> Option<Arc<Notice>> {
        self.way().notice.clone()
    }

    /// Refuses a version whose time is over.
    pub(in crate::admission) fn refuse_sunset(
        &self,
        now: impl FnOnce() -> DateTime<Utc>,
    ) -> Result<(), Rejection> {
        let info = self.contract().info();
        let Some(sunset) = info.sunset else {
            return Ok(());
        };
        let now = now();
        if sunset > now {
            return Ok(());
        }
        let newest = &self.entry.versions[self.entry.newest().unwrap_or(self.at)];
        let newest = newest.info();
        let instead = match newest.sunset.is_none_or(|sunset| sunset > now) {
            true => format!("send {} instead", newest.version),
            false => "nor is any other version".to_owned(),
        };
        let message = format!(
            "{} of {} is not taken any more since {}; {instead}",
            info.version,
            info.event_type,
            sunset.format("%Y-%m-%d")
        );
        let place = Violation::new("/contract_version", message);
        let message = "the event has a contract version that is past its sunset; see `errors`";
        Err(Rejection::new(Code::ContractViolation, message).with_errors(vec![place]))
    }

    /// Holds an event of this version against its contract's rules.
    pub(in crate::admission) fn hold(
        &self,
        event: &Event,
        payload: &Tree<'_>,
    ) -> Result<(), Rejection> {
        // What the configuration asks is asked of what is queued.
        let of_type = match self.way().end == self.at {
            true => &self.entry.rules[..],
            false => &[],
        };
        let of_contract = self.contract().rules();
        if of_contract.is_empty() && of_type.is_empty() {
            return Ok(());
        }
        let case = Case::new(event, payload);
        let broken = |rule: &Rule| rule.check(&case).err();
        let mut errors: Vec<Violation> = of_contract.iter().filter_map(broken).collect();
        let is_of_contract = !errors.is_empty();
        errors.extend(of_type.iter().filter_map(|rule| broken(rule)));
        match (errors.is_empty(), is_of_contract) {
            (true, _) => Ok(()),
            (false, true) => Err(self.contract().violated(errors)),
            (false, false) => {
                let message = format!(
                    "the event breaks what this hub's configuration asks of {}; see `errors`",
                    self.contract().info().event_type
                );
                Err(Rejection::new(Code::ContractViolation, message).with_errors(errors))
            }
        }
    }

    /// The version that its events are carried over to; `None` when they stay as they are.
    pub(in crate::admission) fn onward(&self) -> Option<Self> {
        let end = self.way().end;
        (end != self.at).then(|| Self {
            entry: self.entry.clone(),
            at: end,
        })
    }

    /// Applies the migrations on the way; `None` when there is none to apply.
    pub(in crate::admission) fn migrate(
        &self,
        payload: &[u8],
    ) -> Result<Option<Vec<u8>>, Rejection> {
        let mut carried: Option<Vec<u8>> = None;
        for Migration { step, migrator } in &self.way().steps {
            let payload = carried.as_deref().unwrap_or(payload);
            let next = migrator.migrate(step, payload).map_err(|error| {
                let reason = one_line(&error.message);
                self.not_migrated(&step.to, &format!("fails: {reason} ({})", error.code))
            })?;
            carried = Some(next);
        }
        Ok(carried)
    }

    /// The rejection of an event whose payload could not be carried over.
    pub(in crate::admission) fn not_migrated(&self, to: &Version, reason: &str) -> Rejection {
        let info = self.contract().info();
        let message = format!(
            "is of version {}, whose migration to {to} {reason}",
            info.version
        );
        self.contract()
            .violated(vec![Violation::new("/payload", cut(message))])
    }

    pub(in crate::admission) fn count_use(&self) {
        self.contract().count_use();
    }

    fn way(&self) -> &Way {
        &self.entry.ways[self.at]
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Found({:?})", self.contract())
    }
}
