//! The options of `nexus approvals`.

use clap::{Args, Subcommand};
use uuid::Uuid;

use super::Reach;
use crate::id;

#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalsCommand {
    /// List approvals: what waits for an answer; with --all what has ended, too
    List(ListApprovals),
    /// Show one approval with everything that is known of it
    Show(ShowApproval),
    /// Answer an approval with one of its choices; the first answer counts
    Answer(AnswerApproval),
}

#[derive(Debug, Args)]
pub(crate) struct ListApprovals {
    /// Those that have ended, too
    #[arg(long)]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Debug, Args)]
pub(crate) struct ShowApproval {
    /// The approval's id
    #[arg(value_name = "ID", value_parser = id::parse)]
    pub(crate) id: Uuid,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Debug, Args)]
pub(crate) struct AnswerApproval {
    /// The approval's id
    #[arg(value_name = "ID", value_parser = id::parse)]
    pub(crate) id: Uuid,

    /// The id of the choice, such as `approve`
    #[arg(value_name = "CHOICE")]
    pub(crate) choice: String,

    /// What to say beside, at most 1,000 characters
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,

    #[command(flatten)]
    pub(crate) reach: Reach,
}
