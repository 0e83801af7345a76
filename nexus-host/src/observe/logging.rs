//! The log of this process: receives what rooms and plugins tell, hands on lines for standard error, and says which
//! lines those are. An embedding program that takes its log itself has none of this.

mod line;
mod outlet;
mod standard;

use std::io::{IsTerminal, stderr};
use std::panic::{PanicHookInfo, set_hook};
use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use super::config::{self, Config, LogFormat};
use outlet::Outlet;
use standard::StandardError;

/// What goes before the configuration.
const VARIABLE: &str = "NEXUS_LOG";

/// How long the last lines are waited for.
const LAST_LINES: Duration = Duration::from_secs(2);

static LOG: OnceLock<Log> = OnceLock::new();

/// Sends log lines of this process to standard error, as configured, and panics with them. `NEXUS_LOG` overrides the
/// level. What is handed back is to be kept as long as the process has something to tell.
///
/// Lines of other crates are kept down to `info`, whatever the level: what libraries tell beyond that may be a header or
/// a body.
///
/// # Errors
/// [`LoggingError`], when the level does not parse or something else takes the log already.
pub fn init_logging(config: &Config) -> Result<Lines, LoggingError> {
    let (wanted, set_by) = match std::env::var(VARIABLE) {
        Ok(wanted) => (wanted, SetBy::Environment),
        Err(_) => (config.log_level.clone(), SetBy::Configuration),
    };
    let (filter, handle) = reload::Layer::new(parsed(&wanted)?);
    let outlet =
        Outlet::to(StandardError::of_this_process(), tell_lost).map_err(LoggingError::NoThread)?;
    let kept = Registry::default().with(filter).with(filter_fn(|line| {
        is_ours(line) || *line.level() <= Level::INFO
    }));
    // Where nobody reads lines any more they are lost, and nothing is said of it there either.
    let lines = fmt::layer()
        .with_writer(outlet.clone())
        .log_internal_errors(false);
    let subscriber: Box<dyn Subscriber + Send + Sync> = match config.log_format {
        LogFormat::Pretty => {
            let lines = lines.with_ansi(stderr().is_terminal());
            Box::new(kept.with(lines.fmt_fields(line::fields())))
        }
        LogFormat::Json => {
            let lines = lines.fmt_fields(line::Members);
            Box::new(kept.with(lines.event_format(line::Json)))
        }
    };
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LoggingError::Taken)?;
    let filter = Mutex::new(LogFilter {
        filter: wanted,
        set_by,
    });
    let log = Log {
        handle,
        filter,
        outlet: outlet.clone(),
    };
    LOG.set(log).map_err(|_| LoggingError::Taken)?;
    set_hook(Box::new(tell_panic));
    Ok(Lines(outlet))
}

/// Whether a line is the hub's or a plugin's.
fn is_ours(line: &Metadata<'_>) -> bool {
    line.target().starts_with("nexus")
}

fn parsed(wanted: &str) -> Result<EnvFilter, LoggingError> {
    config::filter(wanted).map_err(|wrong| LoggingError::Level {
        wanted: wanted.to_owned(),
        source: wrong.0.into(),
    })
}

/// Tells of a panic where everything else is told, and not as the language does: in lines of its own form, with whatever
/// the panic says. Of that only a text that stands in the code is told; one that was made may hold anything.
fn tell_panic(panic: &PanicHookInfo<'_>) {
    let at = panic.location().map(tracing::field::display);
    let said = panic.payload().downcast_ref::<&str>();
    tracing::error!(at, said, "a panic");
    // It may be the last that this process says.
    drain();
}

fn tell_lost(lines: u64) {
    tracing::warn!(
        lines,
        "lines of the log were lost, since nobody has read them"
    );
}

/// Waits for lines that nobody has read yet, for a while. For whoever is about to end the process.
pub(crate) fn drain() {
    if let Some(log) = LOG.get() {
        log.outlet.drain(LAST_LINES);
    }
}

/// The lines of this process, until they are dropped: then the last of them are waited for, for a while.
#[must_use = "the last lines are waited for when it is dropped"]
#[derive(Debug)]
pub struct Lines(Outlet);

impl Drop for Lines {
    fn drop(&mut self) {
        self.0.drain(LAST_LINES);
    }
}

/// The log that [`init_logging`] has set up in this process.
#[derive(Debug)]
pub struct Log {
    handle: reload::Handle<EnvFilter, Registry>,
    filter: Mutex<LogFilter>,
    outlet: Outlet,
}

/// Which lines are written, and who says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogFilter {
    /// A level, or a filter such as "info,nexus_host=debug".
    pub filter: String,
    /// Who has set it.
    pub set_by: SetBy,
}

/// Who has said which lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SetBy {
    /// `observe.log_level`.
    Configuration,
    /// `NEXUS_LOG`.
    Environment,
    /// Somebody who may administer, until the configuration says otherwise or the hub ends.
    Administrator,
}

impl Log {
    /// This process's; `None` where the program that the hub is in has its own.
    pub fn of_this_process() -> Option<&'static Self> {
        LOG.get()
    }

    /// Which lines are written now.
    pub fn filter(&self) -> LogFilter {
        self.filter.lock().clone()
    }

    /// How many lines were lost so far, since nobody has read them.
    pub fn lost(&self) -> u64 {
        self.outlet.lost()
    }

    /// Has other lines written from now on, on behalf of an administrator.
    ///
    /// # Errors
    /// When `wanted` is not a filter; nothing has changed then.
    pub fn set(&self, wanted: &str) -> Result<LogFilter, LoggingError> {
        self.become_that(wanted, SetBy::Administrator)
    }

    /// The configuration has another level now. `NEXUS_LOG` goes before it, as at the start.
    pub(crate) fn configure(&self, wanted: &str) {
        if std::env::var_os(VARIABLE).is_some() {
            tracing::warn!("observe.log_level has changed, and {VARIABLE} goes before it");
        } else if let Err(error) = self.become_that(wanted, SetBy::Configuration) {
            tracing::error!(%error, "the log stays as it was");
        }
    }

    fn become_that(&self, wanted: &str, set_by: SetBy) -> Result<LogFilter, LoggingError> {
        let parsed = parsed(wanted)?;
        let mut filter = self.filter.lock();
        // It fails when the log is gone, and with it whoever would be told.
        let _ = self.handle.reload(parsed);
        *filter = LogFilter {
            filter: wanted.to_owned(),
            set_by,
        };
        Ok(filter.clone())
    }
}

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoggingError {
    /// The level does not parse.
    #[error("the log level `{wanted}` {source}")]
    Level {
        /// What was asked for.
        wanted: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There can be no thread that writes lines.
    #[error("no thread can be started to write lines: {0}")]
    NoThread(#[source] std::io::Error),
    /// The program has a log already.
    #[error("this program's log is set up already")]
    Taken,
}
