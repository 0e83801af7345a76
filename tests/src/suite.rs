//! A conformance suite: receives what became of each case, prints one line that counts them, and lists
//! those that failed with the bytes of both sides. It runs nothing itself.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

use futures_util::stream::{self, StreamExt as _};

/// So many cases are under way at once.
const TOGETHER: usize = 48;

/// So many bytes of a side are shown; the rest is counted.
const SHOWN: usize = 600;

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// What is asked for.
    Good,
    /// Not what is asked for, and known to be so.
    Gap(&'static str),
    /// Not what is asked for.
    Bad(String),
}

/// A case, when it is over.
#[derive(Debug)]
pub struct Report {
    /// The section of the standard.
    pub section: &'static str,
    /// Its name, unique in its section.
    pub case: String,
    /// What became of it.
    pub verdict: Verdict,
    /// What was sent, and what came back.
    pub talk: (Vec<u8>, Vec<u8>),
}

/// See the module.
#[derive(Debug)]
pub struct Suite {
    name: &'static str,
    started: Instant,
    reports: Vec<Report>,
}

/// Every case with the name of its section.
pub fn in_sections<C>(
    sections: impl IntoIterator<Item = (&'static str, Vec<C>)>,
) -> Vec<(&'static str, C)> {
    let each = |(section, cases): (_, Vec<C>)| cases.into_iter().map(move |case| (section, case));
    sections.into_iter().flat_map(each).collect()
}

/// Runs cases, some at once: what became of each.
pub async fn together<C, F: Future>(
    cases: impl IntoIterator<Item = C>,
    run: impl FnMut(C) -> F,
) -> Vec<F::Output> {
    stream::iter(cases)
        .map(run)
        .buffer_unordered(TOGETHER)
        .collect()
        .await
}

impl Suite {
    /// A suite that begins now.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            started: Instant::now(),
            reports: Vec::new(),
        }
    }

    /// Takes in what became of cases.
    pub fn add(&mut self, reports: impl IntoIterator<Item = Report>) {
        self.reports.extend(reports);
    }

    /// Tells how it went.
    ///
    /// # Panics
    /// When a case failed, when two are called the same, or when there are fewer cases than `least`: a suite
    /// that has lost its cases proves nothing.
    pub fn judge(self, least: usize) {
        let mut gaps: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let (mut names, mut sections, mut bad) = (HashSet::new(), HashSet::new(), Vec::new());
        for report in &self.reports {
            sections.insert(report.section);
            let name = (report.section, report.case.as_str());
            assert!(names.insert(name), "two cases are called {name:?}");
            match &report.verdict {
                Verdict::Good => {}
                Verdict::Gap(reason) => gaps.entry(reason).or_default().push(&report.case),
                Verdict::Bad(why) => bad.push((report, why)),
            }
        }
        let missed: usize = gaps.values().map(Vec::len).sum();
        // Past the test runner's capture: the counts are worth something when all is well too.
        let _ = writeln!(
            std::io::stdout(),
            "\n{}: {} cases in {} sections, {} good, {missed} known gaps, {} bad, {:.1} s",
            self.name,
            self.reports.len(),
            sections.len(),
            self.reports.len() - missed - bad.len(),
            bad.len(),
            self.started.elapsed().as_secs_f64(),
        );
        let mut list = String::new();
        for (report, why) in &bad {
            let (sent, heard) = &report.talk;
            let (section, case) = (report.section, &report.case);
            let _ = write!(
                list,
                "\n{section}: {case}: {why}\n  sent {}\n  came {}\n",
                hex(sent),
                hex(heard)
            );
        }
        assert!(bad.is_empty(), "{} of {}:\n{list}", bad.len(), self.name);
        let count = self.reports.len();
        assert!(count >= least, "{count} cases, and there were {least}");
    }
}

/// Bytes as hex, with what of them is text beside it.
fn hex(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(SHOWN)];
    let more = bytes.len() - shown.len();
    format!(
        "{} \"{}\" (+{more})",
        hex::encode(shown),
        shown.escape_ascii()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(case: &str, verdict: Verdict) -> Report {
        Report {
            section: "1",
            case: case.to_owned(),
            verdict,
            talk: (b"a\r".to_vec(), Vec::new()),
        }
    }

    fn failure(reports: Vec<Report>, least: usize) -> Option<String> {
        let judged = std::panic::catch_unwind(|| {
            let mut suite = Suite::new("suite");
            suite.add(reports);
            suite.judge(least);
        });
        judged.err().map(|why| *why.downcast::<String>().unwrap())
    }

    #[test]
    fn a_suite_fails_by_a_bad_case_a_lost_case_or_two_of_a_name() {
        let good = || report("good", Verdict::Good);
        let gap = || report("gap", Verdict::Gap("why"));
        assert_eq!(failure(vec![good(), gap()], 2), None);
        let lost = failure(vec![good()], 2).unwrap();
        assert_eq!(lost, "1 cases, and there were 2");
        assert!(failure(vec![good(), good()], 2).is_some());
        let bad = failure(vec![good(), report("bad", Verdict::Bad("open".into()))], 1).unwrap();
        assert!(
            bad.contains("1: bad: open\n  sent 610d \"a\\r\" (+0)"),
            "{bad}"
        );
    }
}
