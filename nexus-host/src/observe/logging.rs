//! The hub's own log.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use super::config::{Config, LogFormat};

/// Sends log lines of this process to standard error, as configured. `NEXUS_LOG` overrides the
/// level.
///
/// # Errors
/// [`LoggingError`], when the level does not parse or something else takes the log already.
pub fn init_logging(config: &Config) -> Result<(), LoggingError> {
    let wanted = std::env::var("NEXUS_LOG").unwrap_or_else(|_| config.log_level.clone());
    let filter = EnvFilter::try_new(&wanted).map_err(|source| LoggingError::Level {
        wanted,
        source: source.into(),
    })?;
    let lines = fmt::Subscriber::builder()
        .with_env_filter(filter)
        .with_writer(stderr)
        // Where nobody reads them any more, lines are lost, and nothing is said of it there either.
        .log_internal_errors(false)
        .with_ansi(stderr().is_terminal());
    let subscriber: Box<dyn tracing::Subscriber + Send + Sync> = match config.log_format {
        LogFormat::Pretty => Box::new(lines.finish()),
        LogFormat::Json => Box::new(lines.json().flatten_event(true).finish()),
    };
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LoggingError::Taken)
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
