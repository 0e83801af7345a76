//! Counts tests: receives the lines the test runners print, hands on what they add up to.

use std::fmt;

/// The line by which a test says that it did nothing, and why.
const SKIPPED: &str = "SKIPPED ";

/// What was counted.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// The lines of those that were skipped.
    pub(crate) skipped: Vec<String>,
    /// Marked `#[ignore]`: not run, and not meant to be.
    pub(crate) ignored: usize,
    /// Within what passing tests have printed.
    in_successes: bool,
    /// Tests of the running program that said they were skipped; the runner counts them as passed.
    skipped_of_runner: usize,
}

impl Tally {
    /// Takes a line; says whether it is worth showing: what passing tests print is not.
    pub(crate) fn line(&mut self, line: &str) -> bool {
        let line = line.trim();
        if line.starts_with(SKIPPED) {
            self.skipped.push(line.to_owned());
            self.skipped_of_runner += usize::from(self.in_successes);
            return true;
        }
        if line == "successes:" {
            self.in_successes = true;
            return false;
        }
        if let Some(result) = line.strip_prefix("test result: ") {
            self.in_successes = false;
            self.passed += count(result, "passed").saturating_sub(self.skipped_of_runner);
            self.skipped_of_runner = 0;
            self.failed += count(result, "failed");
            self.ignored += count(result, "ignored");
            return true;
        }
        if line == "failures:" {
            self.in_successes = false;
        }
        !self.in_successes
    }
}

/// The number before a word in `ok. 3 passed; 0 failed; 1 ignored; …`.
fn count(result: &str, word: &str) -> usize {
    result
        .split([';', '.'])
        .filter_map(|part| part.trim().strip_suffix(word))
        .find_map(|number| number.trim().parse().ok())
        .unwrap_or_default()
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, .. } = self;
        write!(
            f,
            "{passed} passed, {failed} failed, {} skipped",
            self.skipped.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(output: &str) -> (Tally, String) {
        let mut tally = Tally::default();
        let shown: Vec<&str> = output.lines().filter(|line| tally.line(line)).collect();
        (tally, shown.join("\n"))
    }

    #[test]
    fn results_of_several_programs_add_up_and_skips_are_not_passes() {
        let (tally, shown) = tally(
            "running 3 tests
test a ... ok
test b ... ok
test c ... ignored

successes:

---- b stdout ----
noise
SKIPPED b: no desktop for tests: Xvfb

successes:
    a
    b

test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s

running 2 tests
test d ... FAILED
test e ... ok

successes:

successes:
    e

failures:

---- d stdout ----
it broke

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        );
        assert_eq!(tally.to_string(), "2 passed, 1 failed, 1 skipped");
        assert_eq!(tally.ignored, 1);
        assert!(!shown.contains("noise"), "{shown}");
        for part in ["test b ... ok", "SKIPPED b: ", "it broke"] {
            assert!(shown.contains(part), "{part:?} in {shown}");
        }
    }
}
