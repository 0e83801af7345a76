//! The options of `nexus contract`.

use clap::{Args, Subcommand};

use super::{List, Reach};

#[derive(Debug, Subcommand)]
pub(crate) enum ContractCommand {
    /// List the running hub's contracts
    List(List),
    /// Show one contract of the running hub
    Show(ShowContract),
    /// Tell what changes from one version of a contract to another, and whom it breaks. Exit code 0 when
    /// the newer one accepts all that the older one does, 1 when it does not, 2 when they cannot be compared
    Diff(DiffContracts),
}

#[derive(Debug, Args)]
pub(crate) struct ShowContract {
    /// The type, or TYPE@VERSION [default: its newest version]
    #[arg(value_name = "TYPE")]
    pub(crate) contract: String,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Debug, Args)]
pub(crate) struct DiffContracts {
    /// The older one: a file with a contract or a JSON Schema, or TYPE@VERSION of the running hub
    #[arg(value_name = "OLD")]
    pub(crate) old: String,

    /// The newer one, written the same way
    #[arg(value_name = "NEW")]
    pub(crate) new: String,

    #[command(flatten)]
    pub(crate) reach: Reach,
}
