//! The only place that prints: receives text, hands it to standard output or standard error.
//!
//! Control characters in what others wrote (a manifest, a hub's answer) are escaped, so that they
//! cannot play with the terminal. Colours are for terminals, and for nobody who set `NO_COLOR`. A closed output is
//! nobody listening any more, not an error; one that takes no more, such as a full disk, is one.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::AutoStream;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Notify;
#[cfg(unix)]
use tokio::{io::Interest, net::unix::pipe::Sender};

use crate::tone;

/// Whether a program reads what is printed.
static IS_FOR_PROGRAMS: AtomicBool = AtomicBool::new(false);

/// Why standard output has not taken all that it was to.
static UNWRITTEN: OnceLock<io::Error> = OnceLock::new();

/// Tells when that comes to be.
static HAS_FAILED: Notify = Notify::const_new();

/// From now on what is said on standard error is JSON as well: an object a line.
pub(crate) fn for_programs() {
    IS_FOR_PROGRAMS.store(true, Ordering::Relaxed);
}

fn is_for_programs() -> bool {
    IS_FOR_PROGRAMS.load(Ordering::Relaxed)
}

/// A line, or several, for whoever asked: standard output.
pub(crate) fn line(text: &str) {
    kept(write_painted(AutoStream::auto(io::stdout()), text));
}

/// A remark beside the data: standard error.
pub(crate) fn note(text: &str) {
    // There is nobody left to tell when this fails.
    let _ = match is_for_programs() {
        true => write_json(&mut io::stderr().lock(), &json!({ "note": text }), false),
        false => write_painted(AutoStream::auto(io::stderr()), text),
    };
}

/// What went wrong, with the exit code and what the hub says of it: standard error.
pub(crate) fn failure(code: u8, text: &str, problem: Option<&Value>) {
    let mut errors = io::stderr().lock();
    // There is nobody left to tell when this fails.
    let _ = if is_for_programs() {
        let mut told = json!({ "exit_code": code, "message": text });
        if let Some(problem) = problem {
            told["problem"] = problem.clone();
        }
        write_json(&mut errors, &json!({ "error": told }), false)
    } else {
        write(&mut errors, &harmless(&format!("nexus: {text}")))
    };
}

/// Data for programs, readable for people: standard output.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) {
    kept(write_json(&mut io::stdout().lock(), value, true));
}

/// Data for programs, one line each, for commands that go on: standard output.
pub(crate) fn json_line<T: Serialize + ?Sized>(value: &T) {
    kept(write_json(&mut io::stdout().lock(), value, false));
}

/// Why what was printed is not all there.
pub(crate) fn unwritten() -> Option<&'static io::Error> {
    UNWRITTEN.get()
}

/// Waits until nobody reads standard output any more, as far as that can be told, or it takes no more.
pub(crate) async fn unheard() {
    tokio::select! {
        () = hung_up() => {}
        () = HAS_FAILED.notified() => {}
    }
}

/// Waits until a pipe is closed; for ever on anything else.
async fn hung_up() {
    #[cfg(unix)]
    if let Some(pipe) = outgoing_pipe() {
        while (pipe.ready(Interest::ERROR).await).is_ok_and(|ready| !ready.is_error()) {}
        return;
    }
    std::future::pending().await
}

#[cfg(unix)]
fn outgoing_pipe() -> Option<Sender> {
    use std::os::fd::AsFd as _;
    let own = io::stdout().as_fd().try_clone_to_owned().ok()?;
    // Unchecked, it is left as it is: blocking, for those who print.
    Sender::from_owned_fd_unchecked(own).ok()
}

/// A whole document that this program has made: standard output, as it is.
pub(crate) fn document(bytes: &[u8]) {
    let mut output = io::stdout().lock();
    kept(output.write_all(bytes).and_then(|()| output.flush()));
}

/// Remembers that standard output did not take something, unless that is since nobody listens.
fn kept(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
        && UNWRITTEN.set(error).is_ok()
    {
        HAS_FAILED.notify_one();
    }
}

fn write_painted(mut to: impl Write, text: &str) -> io::Result<()> {
    let text = harmless(text);
    let lines: Vec<_> = text.split('\n').map(tone::painted).collect();
    write(&mut to, &lines.join("\n"))
}

fn write_json<T: Serialize + ?Sized>(
    to: &mut dyn Write,
    value: &T,
    is_wide: bool,
) -> io::Result<()> {
    let text = match is_wide {
        true => serde_json::to_string_pretty(value),
        false => serde_json::to_string(value),
    };
    write(to, &harmless_json(&text?))
}

fn write(to: &mut dyn Write, text: &str) -> io::Result<()> {
    writeln!(to, "{text}").and_then(|()| to.flush())
}

/// A text whose control characters are written out, but for the ends of its lines.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    escaped(
        text,
        |c| is_strange(c) && c != '\n',
        |c| c.escape_default().to_string(),
    )
}

/// The same, on one line: what others wrote does not pass for lines of this program.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_strange, |c| c.escape_default().to_string())
}

/// The same as JSON writes it; what it stands for stays as it is.
fn harmless_json(text: &str) -> Cow<'_, str> {
    let as_json = |c| format!("\\u{:04x}", u32::from(c));
    escaped(text, |c| is_strange(c) && c != '\n', as_json)
}

/// What a terminal obeys, or shows in another order than it was written.
fn is_strange(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escaped(
    text: &str,
    is_escaped: impl Fn(char) -> bool,
    write: impl Fn(char) -> String,
) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match is_escaped(c) {
            true => shown.push_str(&write(c)),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_played_with() {
        assert_eq!(harmless("a\nb é"), "a\nb é");
        assert_eq!(harmless("\u{1b}[2Jx\r"), "\\u{1b}[2Jx\\r");
        assert_eq!(harmless("cod.\u{202e}gpj"), "cod.\\u{202e}gpj");
        assert_eq!(one_line("a\nb"), "a\\nb");
    }

    #[test]
    fn what_is_written_out_in_json_is_json_and_says_the_same() {
        let hostile: String = (0..0x100)
            .chain([0x202e, 0x2066])
            .filter_map(char::from_u32)
            .collect();
        let text = serde_json::to_string(&hostile).unwrap();
        let harmless = harmless_json(&text);
        assert!(!harmless.contains(is_strange), "{harmless}");
        assert_eq!(serde_json::from_str::<String>(&harmless).unwrap(), hostile);
    }
}
