//! How each plugin stands, in a few numbers: receives the members, hands on one glance for each id.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::config::Isolation;
use super::member::{Member, Origin};

/// How a plugin stands.
#[derive(Debug, Clone)]
pub struct Glance {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// How it runs.
    pub isolation: Isolation,
    /// The state that it is in, as text.
    pub state: &'static str,
    /// How often it was started again since it did not work.
    pub restarts: u64,
    /// Panics that were caught.
    pub panics: u64,
    /// The processes that it runs in, if it does.
    pub workers: Option<WorkersGlance>,
}

/// How a plugin's processes stand.
#[derive(Debug, Clone)]
pub struct WorkersGlance {
    /// Those that are there: which of them, and its id.
    pub processes: Vec<(usize, u32)>,
    /// How many have died since the plugin was started.
    pub deaths: u64,
}

/// One for each id.
pub(super) fn of(members: &[Arc<Member>]) -> Vec<Glance> {
    by_id(members).into_values().filter_map(one).collect()
}

/// Who speaks for each id: what runs, where other files of the same plugin do not.
pub(super) fn by_id(members: &[Arc<Member>]) -> BTreeMap<&str, &Arc<Member>> {
    let mut by_id: BTreeMap<&str, &Arc<Member>> = BTreeMap::new();
    for member in members {
        let Some(id) = member.id() else {
            continue;
        };
        let known = by_id.entry(id).or_insert(member);
        if known.running.is_none() {
            *known = member;
        }
    }
    by_id
}

fn one(member: &Arc<Member>) -> Option<Glance> {
    let manifest = member.manifest.as_ref()?;
    let instance = member.running().map(|running| &running.instance);
    let workers = instance.and_then(|instance| {
        Some(WorkersGlance {
            processes: instance.workers()?.processes(),
            deaths: instance.lives()?.deaths(),
        })
    });
    Some(Glance {
        id: manifest.id.clone(),
        version: manifest.version.clone(),
        isolation: member.isolation,
        state: member.standing().state.as_str(),
        restarts: member.restarted(),
        panics: member.panics().0,
        workers,
    })
}

/// How many files are not used.
pub(super) fn refused(members: &[Arc<Member>]) -> usize {
    let is_refused = |member: &&Arc<Member>| {
        member.origin != Origin::Linked && member.standing().state.refusal().is_some()
    };
    members.iter().filter(is_refused).count()
}
