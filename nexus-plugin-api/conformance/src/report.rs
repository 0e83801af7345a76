//! What came of it: receives each check as it ends, hands on a [`Report`] that reads as text and as data.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

/// After so many findings a check ends, so many cases of each are shown, and for so long it goes on once something
/// has failed: whoever mends the first few sees the rest the next time.
const MOST_FINDINGS: usize = 20;
const MOST_SHOWN: usize = 5;
const LONG_ENOUGH: Duration = Duration::from_secs(60);

/// How a plugin behaved.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The file.
    pub file: PathBuf,
    /// SHA-256 of its bytes, where they could be read and are a plugin's.
    pub sha256: Option<String>,
    /// `ID VERSION`, likewise.
    pub plugin: Option<String>,
    /// Every check, in order.
    pub checks: Vec<Check>,
    /// How long it took.
    #[serde(rename = "took_ms", serialize_with = "millis")]
    pub took: Duration,
}

/// One check.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What was looked at: `file`, `plugin`, or a component such as `processor triage`.
    pub part: String,
    /// What was asked of it.
    pub check: &'static str,
    /// How it ended.
    pub verdict: Verdict,
    /// How many cases were tried.
    pub cases: u64,
    /// Why nothing was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// What was found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    #[serde(skip)]
    began: Instant,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// There was nothing to try it on.
    Skipped,
    /// As it should be.
    Passed,
    /// Nothing is broken, but somebody may wonder.
    Remark,
    /// It is broken.
    Failed,
}

/// Something that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// [`Verdict::Failed`] or [`Verdict::Remark`].
    pub verdict: Verdict,
    /// What happened.
    pub told: String,
    /// What it happened with, shortened, the first 5; empty where that is plain.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<String>,
    /// How often the same has happened.
    pub times: u64,
}

impl Report {
    /// Whether nothing failed.
    pub fn passes(&self) -> bool {
        self.count(Verdict::Failed) == 0
    }

    /// How many checks ended so.
    pub fn count(&self, verdict: Verdict) -> usize {
        let ended_so = |check: &&Check| check.verdict == verdict;
        self.checks.iter().filter(ended_so).count()
    }

    /// The checks and their counts in one line.
    pub fn summary(&self) -> String {
        let count = |verdict| self.count(verdict);
        format!(
            "{} checks: {} passed, {} failed, {} with remarks, {} skipped; {:.1} s",
            self.checks.len(),
            count(Verdict::Passed),
            count(Verdict::Failed),
            count(Verdict::Remark),
            count(Verdict::Skipped),
            self.took.as_secs_f64()
        )
    }
}

/// Every check, and the summary.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            writeln!(f, "{check}")?;
        }
        f.write_str(&self.summary())
    }
}

/// A line, and below it what was found.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, check, .. } = self;
        write!(f, "{:<8} {part}: {check}", self.verdict.to_string())?;
        match (&self.skipped, self.cases) {
            (Some(reason), _) => write!(f, " ({reason})")?,
            (None, 0 | 1) => {}
            (None, cases) => write!(f, " ({cases} cases)")?,
        }
        for finding in &self.findings {
            let as_remark = finding.verdict < self.verdict;
            let remark = if as_remark { "remark: " } else { "" };
            write!(f, "\n         - {remark}{}", finding.told)?;
            if finding.times > 1 {
                write!(f, " ({} times)", finding.times)?;
            }
            for with in &finding.with {
                write!(f, "\n           with {with}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Skipped => "skipped",
            Self::Passed => "passed",
            Self::Remark => "remark",
            Self::Failed => "FAILED",
        })
    }
}

impl Check {
    /// Nothing tried yet.
    pub(crate) fn new(part: &str, check: &'static str) -> Self {
        Self {
            part: part.to_owned(),
            check,
            verdict: Verdict::Passed,
            cases: 0,
            skipped: None,
            findings: Vec::new(),
            began: Instant::now(),
        }
    }

    /// Nothing to try.
    pub(crate) fn skipped(part: &str, check: &'static str, reason: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Skipped,
            skipped: Some(reason.into()),
            ..Self::new(part, check)
        }
    }

    /// Something is broken.
    pub(crate) fn fail(&mut self, told: impl Into<String>, with: impl Into<String>) {
        self.find(Verdict::Failed, told.into(), with.into());
    }

    /// Somebody may wonder.
    pub(crate) fn remark(&mut self, told: impl Into<String>, with: impl Into<String>) {
        self.find(Verdict::Remark, told.into(), with.into());
    }

    /// Whether more would only fill the screen, or take for ever.
    pub(crate) fn is_full(&self) -> bool {
        let has_failed = self.verdict == Verdict::Failed;
        let is_long = has_failed && self.began.elapsed() > LONG_ENOUGH;
        is_long || self.findings.len() >= MOST_FINDINGS
    }

    fn find(&mut self, verdict: Verdict, told: String, with: String) {
        self.verdict = self.verdict.max(verdict);
        let same = |one: &Finding| one.verdict == verdict && one.told == told;
        let at = self.findings.iter().position(same);
        let at = at.unwrap_or_else(|| {
            self.findings.push(Finding {
                verdict,
                told,
                with: Vec::new(),
                times: 0,
            });
            self.findings.len() - 1
        });
        let found = &mut self.findings[at];
        found.times += 1;
        if !with.is_empty() && found.with.len() < MOST_SHOWN {
            found.with.push(with);
        }
    }
}

/// A report in the making, and who hears of each check.
pub(crate) struct Ledger<'t> {
    pub(crate) report: Report,
    began: Instant,
    tell: &'t mut (dyn FnMut(&Check) + Send),
}

impl<'t> Ledger<'t> {
    pub(crate) fn new(file: &Path, tell: &'t mut (dyn FnMut(&Check) + Send)) -> Self {
        let report = Report {
            file: file.to_owned(),
            sha256: None,
            plugin: None,
            checks: Vec::new(),
            took: Duration::ZERO,
        };
        Self {
            report,
            began: Instant::now(),
            tell,
        }
    }

    /// A check has ended.
    pub(crate) fn add(&mut self, check: Check) {
        (self.tell)(&check);
        self.report.checks.push(check);
    }

    /// All have.
    pub(crate) fn close(self) -> Report {
        Report {
            took: self.began.elapsed(),
            ..self.report
        }
    }
}

fn millis<S: Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
}
