//! The options of `nexus alerts`.

use clap::{Args, Subcommand};
use nexus_host::config::HumanDuration;
use uuid::Uuid;

use super::Reach;
use crate::id;

#[derive(Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// List alerts: what is wrong; with --all what was, too
    List(ListAlerts),
    /// List the rules by which they are raised
    Rules(Reach),
    /// Take notice of an alert, so that it does not escalate any more
    Ack(AckAlert),
    /// Have alerts told to nobody for a while
    Silence(NewSilence),
    /// List the silences
    Silences(Reach),
    /// End a silence before its time
    Unsilence(EndSilence),
}

#[derive(Debug, Args)]
pub(crate) struct ListAlerts {
    /// Those that are over, too
    #[arg(long)]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Debug, Args)]
pub(crate) struct AckAlert {
    /// The alert's id
    #[arg(value_name = "ID", value_parser = id::parse)]
    pub(crate) id: Uuid,

    /// Every other active alert of the same rule, too
    #[arg(long)]
    pub(crate) group: bool,

    /// What to say beside, at most 1,000 characters
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Debug, Args)]
pub(crate) struct NewSilence {
    /// For how long, such as 2h
    #[arg(value_name = "DURATION")]
    pub(crate) lasting: HumanDuration,

    /// Alerts of which rule, or with `*` at its end of which rules
    #[arg(long, value_name = "RULE", default_value = "*")]
    pub(crate) rule: String,

    /// Alerts about what: a breaker or plugin, or with `*` at its end several
    #[arg(long, value_name = "SUBJECT", default_value = "*")]
    pub(crate) subject: String,

    /// Why, at most 1,000 characters
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Debug, Args)]
pub(crate) struct EndSilence {
    /// The silence's id
    #[arg(value_name = "ID", value_parser = id::parse)]
    pub(crate) id: Uuid,

    #[command(flatten)]
    pub(crate) reach: Reach,
}
