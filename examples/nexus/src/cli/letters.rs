//! The options of `nexus dlq`.

use std::num::NonZeroUsize;

use chrono::{DateTime, Utc};
use clap::{ArgGroup, Args, Subcommand};
use nexus_host::config::Selector;
use uuid::Uuid;

use super::Reach;
use crate::{id, moment};

#[derive(Debug, Subcommand)]
pub(crate) enum DlqCommand {
    /// List the dead letters, oldest first
    List(ListLetters),
    /// Show one dead letter with its event and every failure
    Show(Show),
    /// Do the work of dead letters once more, with the idempotency keys that it had
    Replay(ChangeLetters),
    /// Delete dead letters
    Purge(ChangeLetters),
}

/// Which dead letters are meant; all conditions must hold.
#[derive(Debug, Args)]
#[group(id = "conditions", multiple = true)]
pub(crate) struct Conditions {
    /// Those whose event has this type; `prefix.*` is allowed
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) event_type: Option<Selector>,

    /// Those whose event came from this source; `prefix.*` is allowed
    #[arg(long, value_name = "SOURCE")]
    pub(crate) source: Option<Selector>,

    /// Those that this integration failed to do: PLUGIN/NAME, or either part of it
    #[arg(long, value_name = "INTEGRATION")]
    pub(crate) integration: Option<String>,

    /// Those given up for this reason, such as retries_exhausted
    #[arg(long, value_name = "CODE")]
    pub(crate) reason: Option<String>,

    /// Those that died then or later: a time (RFC 3339) or an age such as 2h
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    pub(crate) since: Option<DateTime<Utc>>,

    /// Those that died before: a time (RFC 3339) or an age such as 2h
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    pub(crate) until: Option<DateTime<Utc>>,
}

#[derive(Debug, Args)]
pub(crate) struct ListLetters {
    #[command(flatten)]
    pub(crate) conditions: Conditions,

    /// How many at most
    #[arg(long, value_name = "COUNT", default_value = "100")]
    pub(crate) limit: NonZeroUsize,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The dead letter's id, or its event's
    #[arg(value_name = "ID", value_parser = id::parse)]
    pub(crate) id: Uuid,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// What names dead letters to be changed; without any of these nothing is.
const MEANING: [&str; 8] = [
    "ids",
    "event_type",
    "source",
    "integration",
    "reason",
    "since",
    "until",
    "all",
];

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("meant").args(MEANING).required(true).multiple(true))]
pub(crate) struct ChangeLetters {
    /// Dead letters' ids, or their events'
    #[arg(value_name = "ID", value_parser = id::parse)]
    pub(crate) ids: Vec<Uuid>,

    #[command(flatten)]
    pub(crate) conditions: Conditions,

    /// Every dead letter there is
    #[arg(long, conflicts_with_all = ["ids", "conditions"])]
    pub(crate) all: bool,

    /// How many at most, oldest first [default: as many as the hub does at once, 10000]
    #[arg(long, value_name = "COUNT")]
    pub(crate) limit: Option<NonZeroUsize>,

    /// Change nothing; tell which dead letters are meant
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) reach: Reach,
}
