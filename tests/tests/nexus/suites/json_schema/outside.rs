//! What of the suite a hub decides otherwise, and why. One that agrees all the same does not belong here:
//! the test fails then.

use std::collections::BTreeMap;
use std::fmt;

use super::suite::{Draft, Group, Test};

/// Some tests, and why they are decided otherwise.
struct Exception {
    /// The draft, or every one where it is empty.
    draft: &'static str,
    file: &'static str,
    /// The beginning of the group's description.
    group: &'static str,
    /// The beginning of the test's description.
    test: &'static str,
    reason: &'static str,
}

const EXCEPTIONS: [Exception; 0] = [];

/// The tests of a draft that are decided otherwise, counted as they come.
pub struct Outside {
    draft: &'static str,
    counts: BTreeMap<&'static str, Vec<String>>,
}

impl Outside {
    pub fn of(draft: &Draft) -> Self {
        Self {
            draft: draft.name,
            counts: BTreeMap::new(),
        }
    }

    fn find(&self, group: &Group, test: &Test) -> Option<&'static Exception> {
        EXCEPTIONS.iter().find(|one| {
            (one.draft.is_empty() || one.draft == self.draft)
                && one.file == group.file
                && group.description.starts_with(one.group)
                && test.description.starts_with(one.test)
        })
    }

    /// Why a test is decided otherwise.
    pub fn reason(&self, group: &Group, test: &Test) -> Option<&'static str> {
        self.find(group, test).map(|one| one.reason)
    }

    pub fn count(&mut self, group: &Group, test: &Test) {
        if let Some(reason) = self.reason(group, test) {
            let name = format!("{}: {}", group.file, group.description);
            self.counts.entry(reason).or_default().push(name);
        }
    }
}

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: usize = self.counts.values().map(Vec::len).sum();
        write!(f, "{all} outside")?;
        for (reason, names) in &self.counts {
            let mut groups = names.clone();
            groups.dedup();
            write!(f, "\n  {} since {reason}:", names.len())?;
            groups
                .iter()
                .try_for_each(|name| write!(f, "\n    {name}"))?;
        }
        Ok(())
    }
}
