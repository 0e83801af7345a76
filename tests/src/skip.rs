//! Skipping a test that cannot run here: visibly, with its name and the reason.

use std::fmt::Display;
use std::io::Write;

use crate::desktop::Desktop;

/// Says that a test is skipped, past the test runner's capture, so that it is seen and counted.
///
/// # Panics
/// On CI, where everything that a test needs can be had.
pub fn skipped(test: &str, reason: impl Display) {
    let is_ci = std::env::var("CI").is_ok_and(|ci| !matches!(ci.as_str(), "" | "0" | "false"));
    assert!(!is_ci, "{test} cannot be skipped on CI: {reason}");
    say(test, reason);
}

/// As [`skipped`], also on CI: for what not every machine can be given.
pub fn skipped_anywhere(test: &str, reason: impl Display) {
    say(test, format_args!("{reason} (may be skipped on CI)"));
}

fn say(test: &str, reason: impl Display) {
    // Not by `println!`, which the test runner keeps to itself when the test passes.
    let _ = writeln!(std::io::stdout(), "\nSKIPPED {test}: {reason}");
}

/// What a test needs, or `None` when it cannot be had; the test is then skipped.
///
/// # Panics
/// As [`skipped`].
pub fn or_skip<T>(test: &str, found: Result<T, impl Display>) -> Option<T> {
    found.map_err(|missing| skipped(test, missing)).ok()
}

/// A desktop, or `None` when this machine cannot have one; the test is then skipped.
///
/// # Panics
/// As [`skipped`].
pub fn desktop_for(test: &str) -> Option<Desktop> {
    or_skip(test, Desktop::start())
}
