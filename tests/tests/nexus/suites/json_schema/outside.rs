//! What of the suite a hub decides otherwise, and why. One that agrees all the same does not belong here:
//! the test fails then.

use std::collections::BTreeMap;
use std::fmt;

use super::suite::{Draft, Group, Test};

/// Tests that are decided otherwise.
struct Exception {
    reason: &'static str,
    /// The draft, or every one where it is empty.
    draft: &'static str,
    file: &'static str,
    /// The beginning of the group's description.
    group: &'static str,
    /// The beginning of the test's description.
    test: &'static str,
}

/// docs/admission.md: neither is let into a payload, whatever its contract.
const NUL: &str = "no string has U+0000";
const CONTROL: &str = "no key has a control character";

/// docs/contracts.md: formats are asserted.
const FORMATS: &str = "formats are asserted, by default as well";

const fn all(
    reason: &'static str,
    file: &'static str,
    group: &'static str,
    test: &'static str,
) -> Exception {
    Exception {
        reason,
        draft: "",
        file,
        group,
        test,
    }
}

const ESCAPED: &str = "dependencies with escaped characters";
const COMPATIBLE: &str = "optional/dependencies-compatibility";

const EXCEPTIONS: [Exception; 13] = [
    all(
        NUL,
        "const",
        "nul characters in strings",
        "match string with nul",
    ),
    all(
        NUL,
        "enum",
        "nul characters in strings",
        "match string with nul",
    ),
    all(
        CONTROL,
        "properties",
        "properties with escaped characters",
        "",
    ),
    all(CONTROL, "required", "required with escaped characters", ""),
    all(CONTROL, "dependentRequired", ESCAPED, "CRLF"),
    all(CONTROL, "dependentSchemas", ESCAPED, "quoted tab"),
    all(CONTROL, COMPATIBLE, ESCAPED, "CRLF"),
    all(
        CONTROL,
        COMPATIBLE,
        "schema dependencies with escaped characters",
        "quoted tab",
    ),
    all(CONTROL, "dependencies", ESCAPED, "valid object 1"),
    all(CONTROL, "dependencies", ESCAPED, "valid object 2"),
    all(CONTROL, "dependencies", ESCAPED, "invalid object 1"),
    all(CONTROL, "dependencies", ESCAPED, "invalid object 2"),
    Exception {
        reason: FORMATS,
        draft: "draft2020-12",
        file: "format",
        group: "",
        test: "invalid ",
    },
];

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
