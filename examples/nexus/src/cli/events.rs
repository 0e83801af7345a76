//! The options of commands that send events, and tell what becomes of them.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use nexus_host::config::Selector;
use nexus_host::observe::stages::STAGES;
use uuid::Uuid;

use super::Reach;
use crate::id;
use crate::tail::ALL;

#[derive(Debug, Args)]
pub(crate) struct Send {
    /// The event's type, such as parrot.notification.captured
    #[arg(
        value_name = "TYPE",
        required_unless_present = "lines",
        requires = "source"
    )]
    pub(crate) event_type: Option<String>,

    /// Read the payload from standard input
    #[arg(value_name = "-", value_parser = ["-"], conflicts_with_all = ["payload", "file"])]
    pub(crate) stdin: Option<String>,

    /// Who the event comes from
    #[arg(long, required_unless_present = "lines", requires = "event_type")]
    pub(crate) source: Option<String>,

    /// The payload, a JSON object [default: {}]
    #[arg(long, value_name = "JSON", conflicts_with = "file")]
    pub(crate) payload: Option<String>,

    /// File to read the payload from; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// File of many events, a line each: payloads of TYPE from --source, or without TYPE whole events as
    /// `POST /v1/events` takes them; `-` for standard input. What the hub refuses is told by line, and the rest
    /// is sent
    #[arg(long, value_name = "FILE", conflicts_with_all = ["stdin", "payload", "file", "event_id", "wait"])]
    pub(crate) lines: Option<PathBuf>,

    /// How many lines of the file were sent before
    #[arg(long, value_name = "COUNT", requires = "lines", default_value_t = 0)]
    pub(crate) skip: u64,

    /// How urgent it is [default: normal]
    #[arg(long, value_parser = ["low", "normal", "high", "critical"], requires = "event_type")]
    pub(crate) priority: Option<String>,

    /// The lane: events with the same one are processed in order [default: the source]
    #[arg(
        long = "partition-key",
        visible_alias = "key",
        value_name = "KEY",
        requires = "event_type"
    )]
    pub(crate) partition_key: Option<String>,

    /// What the event belongs to
    #[arg(long = "correlation-id", value_name = "ID", requires = "event_type")]
    pub(crate) correlation_id: Option<String>,

    /// The event's own id; sent again with the same one, it counts once [default: a new one]
    #[arg(long = "event-id", value_name = "UUID", value_parser = id::parse)]
    pub(crate) event_id: Option<Uuid>,

    /// Wait until the event is processed, and print what became of it
    #[arg(long)]
    pub(crate) wait: bool,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// Those of this type; `prefix.*` is allowed
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) event_type: Option<Selector>,

    /// Those from this source; `prefix.*` is allowed
    #[arg(long, value_name = "SOURCE")]
    pub(crate) source: Option<Selector>,

    /// Show payloads, too
    #[arg(long)]
    pub(crate) payload: bool,

    /// Show steps of their way instead, as `nexus explain` calls them: such as `dead,refused`, or `all`
    #[arg(
        long,
        value_name = "STAGES",
        value_delimiter = ',',
        value_parser = PossibleValuesParser::new(STAGES.into_iter().chain([ALL])),
        hide_possible_values = true,
        conflicts_with = "payload"
    )]
    pub(crate) stage: Vec<String>,

    /// End after so many
    #[arg(long, value_name = "COUNT")]
    pub(crate) count: Option<NonZeroU64>,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Debug, Args)]
pub(crate) struct Top {
    /// Print so many, a second apart, and end [default where there is no terminal: 1, with --json all]
    #[arg(long, value_name = "COUNT")]
    pub(crate) count: Option<NonZeroU64>,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The event's id
    #[arg(value_name = "EVENT_ID", value_parser = id::parse)]
    pub(crate) event_id: Uuid,

    /// The event's source, when several sources use this id; otherwise the event accepted last is meant
    #[arg(long, value_name = "SOURCE")]
    pub(crate) source: Option<String>,

    #[command(flatten)]
    pub(crate) reach: Reach,
}
