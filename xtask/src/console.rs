//! What people read: receives lines, writes them to standard output or error at once.
//!
//! A reader that has gone away (`| head`) is no failure of a chore, so write errors are dropped.

use std::fmt::{Arguments, Display};
use std::io::Write as _;

/// Prints a line.
pub(crate) fn print(line: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

/// Prints a line to standard error.
pub(crate) fn warn(line: Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Prints a heading.
pub(crate) fn heading(text: impl Display) {
    print(format_args!("\n==> {text}"));
}

/// Prints a line; takes what `format!` takes.
macro_rules! say {
    ($($arg:tt)*) => { $crate::console::print(format_args!($($arg)*)) };
}
pub(crate) use say;
