//! The options of `nexus plugin`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use nexus_host::config::HumanDuration;
use serde_json::Value;

use super::Reach;
use crate::plugin::template::Kind;
use crate::plugin::test;

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// List the running hub's plugins; without a hub, the files in the plugins folder
    List(List),
    /// Show what a plugin file says of itself, without running it
    Inspect(Inspect),
    /// Show a plugin file whatever a hub might, and tell how it behaves. It runs in a process of its own, under a
    /// hub that acts on nothing
    Test(Test),
    /// Write a new plugin's crate
    New(New),
    /// List the hashes of plugin files for the configuration, so that no other file is taken
    Lock(Lock),
    /// Make a key to sign plugin files with
    Keygen(Keygen),
    /// Sign plugin files: the signature of FILE is FILE.sig
    Sign(Sign),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The library
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Only what --config names is read: a nexus.toml that lies in this folder is that of a hub in service. What the \
plugin itself does to other systems it does here as well, so name a configuration that is meant for tests.")]
pub(crate) struct Test {
    /// The library
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// How long a call may take [default: 5s]
    #[arg(long, value_name = "TIME")]
    pub(crate) limit: Option<HumanDuration>,

    /// A request that one of its integrations understands; may be given several times
    #[arg(long = "request", value_name = "INTEGRATION=JSON", value_parser = test::request)]
    pub(crate) requests: Vec<(String, Value)>,
}

#[derive(Debug, Args)]
pub(crate) struct New {
    /// The plugin's id and its crate's name: a-z, 0-9, `-` and `_`, a letter first
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// What it is
    #[arg(long, value_enum, default_value_t = Kind::Processor)]
    pub(crate) kind: Kind,

    /// The folder to make; it must not exist [default: NAME in the current folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    /// The Nexus sources to build against [default: looked for beside this program and around the
    /// current folder]
    #[arg(long, value_name = "PATH")]
    pub(crate) sdk: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Lock {
    /// The files that are right [default: those in the plugins folder]
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Write the hashes into the configuration file, which keeps its comments
    #[arg(long)]
    pub(crate) write: bool,

    /// Keep the hashes that are listed already: old and new files are both right
    #[arg(long)]
    pub(crate) add: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// Where to write the private key; the public one is FILE.pub beside it. Neither may be there yet
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// What the key is called, for people [default: the file's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// The libraries
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// The private key, an Ed25519 key as OpenSSH writes it
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
}
