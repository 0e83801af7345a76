//! What a suite counted: printed so that it is seen in a run that passes.

use std::fmt::Display;
use std::io::Write;

/// Prints a line past the test runner's capture, with the name of the test that it is of.
pub fn tell(test: &str, figures: impl Display) {
    // Not by `println!`, which the test runner keeps to itself when the test passes.
    let _ = writeln!(std::io::stdout(), "\nFIGURES {test}: {figures}");
}
