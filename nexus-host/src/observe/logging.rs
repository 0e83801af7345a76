//! The log of this process: receives what rooms and plugins tell, hands on lines for standard error, and says which
//! lines those are. An embedding program that takes its log itself has none of this.

mod line;

use std::io::{IsTerminal, stderr};
use std::sync::OnceLock;

use parking_lot::Mutex;
use serde::Serialize;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use super::config::{Config, LogFormat, check_filter};

/// What goes before the configuration.
const VARIABLE: &str = "NEXUS_LOG";

static LOG: OnceLock<Log> = OnceLock::new();

/// Sends log lines of this process to standard error, as configured. `NEXUS_LOG` overrides the
/// level.
///
/// Lines of other crates are kept down to `info`, whatever the level: what libraries tell beyond that may be a header or
/// a body.
///
/// # Errors
/// [`LoggingError`], when the level does not parse or something else takes the log already.
pub fn init_logging(config: &Config) -> Result<(), LoggingError> {
    let (wanted, set_by) = match std::env::var(VARIABLE) {
        Ok(wanted) => (wanted, SetBy::Environment),
        Err(_) => (config.log_level.clone(), SetBy::Configuration),
    };
    let (filter, handle) = reload::Layer::new(parsed(&wanted)?);
    let kept = Registry::default().with(filter).with(filter_fn(|line| {
        is_ours(line) || *line.level() <= Level::INFO
    }));
    // Where nobody reads lines any more they are lost, and nothing is said of it there either.
    let lines = fmt::layer().with_writer(stderr).log_internal_errors(false);
    let subscriber: Box<dyn Subscriber + Send + Sync> = match config.log_format {
        LogFormat::Pretty => {
            let lines = lines.with_ansi(stderr().is_terminal());
            Box::new(kept.with(lines.fmt_fields(line::fields())))
        }
        LogFormat::Json => {
            let lines = lines.fmt_fields(line::json_fields());
            Box::new(kept.with(lines.event_format(line::Json)))
        }
    };
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LoggingError::Taken)?;
    let filter = Mutex::new(LogFilter {
        filter: wanted,
        set_by,
    });
    LOG.set(Log { handle, filter })
        .map_err(|_| LoggingError::Taken)
}

/// Whether a line is the hub's or a plugin's.
fn is_ours(line: &Metadata<'_>) -> bool {
    line.target().starts_with("nexus")
}

fn parsed(wanted: &str) -> Result<EnvFilter, LoggingError> {
    EnvFilter::try_new(wanted).map_err(|source| LoggingError::Level {
        wanted: wanted.to_owned(),
        source: source.into(),
    })
}

/// The log that [`init_logging`] has set up in this process.
#[derive(Debug)]
pub struct Log {
    handle: reload::Handle<EnvFilter, Registry>,
    filter: Mutex<LogFilter>,
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
        check_filter(wanted).map_err(|wrong| LoggingError::Level {
            wanted: wanted.to_owned(),
            source: wrong.0.into(),
        })?;
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
    #[error(
        "the log level `{wanted}` does not parse: {source}; write one such as \"info\" or \"info,nexus_host=debug\""
    )]
    Level {
        /// What was asked for.
        wanted: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The program has a log already.
    #[error("this program's log is set up already")]
    Taken,
}
