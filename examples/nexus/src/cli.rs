//! The command line: receives arguments, hands on [`Arguments`], decides nothing else.

mod alerts;
mod approvals;
mod contracts;
mod events;
mod letters;
mod plugins;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use nexus_host::config::HumanDuration;

use crate::failure::Failure;
use crate::output;

pub(crate) use alerts::{AckAlert, AlertsCommand, EndSilence, ListAlerts, NewSilence};
pub(crate) use approvals::{AnswerApproval, ApprovalsCommand, ListApprovals, ShowApproval};
pub(crate) use contracts::{ContractCommand, DiffContracts, ShowContract};
pub(crate) use events::{Explain, Send, Tail, Top};
pub(crate) use letters::{ChangeLetters, Conditions, DlqCommand, ListLetters, Show};
pub(crate) use plugins::{Inspect, Keygen, List, Lock, New, PluginCommand, Sign, Test};

/// Reads this process's arguments. Prints help, and exits (2), where they do not fit.
///
/// # Errors
/// When they do not fit, and a program asks: with `--json` among them it is told as to programs.
pub(crate) fn parse() -> Result<Arguments, Failure> {
    Arguments::try_parse().map_err(|error| {
        if !error.use_stderr() || std::env::args_os().all(|argument| argument != "--json") {
            error.exit();
        }
        output::for_programs();
        let told = error.to_string();
        Failure::usage(told.trim_start_matches("error: ").trim_end())
    })
}

/// Nexus: events in, decisions by plugins, actions out
///
/// Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
#[derive(Debug, Parser)]
#[command(name = "nexus", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Configuration file [default: nexus.toml in the current folder, if there is one]
    #[arg(long, global = true, value_name = "FILE", env = "NEXUS_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// Print data as JSON, and what goes wrong as well
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the hub until SIGTERM or Ctrl-C
    Run,
    /// Tell everything that is wrong with the configuration and the plugins, running nothing
    Check(Check),
    /// Have the running hub read its configuration again, and apply all of it or nothing
    Reload(Reach),
    /// Tell which lines the running hub writes into its log, or have it write others
    Log(Log),
    /// Send an event to the running hub, or with --lines many
    Send(Send),
    /// Show events as they are accepted, or with --stage what happens to them, until Ctrl-C
    Tail(Tail),
    /// Show how the hub is, live: rates, times, the queue, what is called, what is not well
    Top(Top),
    /// Tell what became of an event, step by step
    Explain(Explain),
    /// See and make plugins
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// See the contracts of events, and what changes between two of them
    #[command(subcommand)]
    Contract(ContractCommand),
    /// Look at what could not be done, do it once more, or delete it
    #[command(subcommand)]
    Dlq(DlqCommand),
    /// See what is wrong with the hub, take notice of it, or silence it
    #[command(subcommand)]
    Alerts(AlertsCommand),
    /// See and answer the questions that wait for a person
    #[command(subcommand)]
    Approvals(ApprovalsCommand),
    /// Look after the file of the durable queue
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Make keys for clients
    #[command(subcommand)]
    Key(KeyCommand),
    /// Print the script by which a shell completes commands, such as
    /// `nexus completions bash > ~/.local/share/bash-completion/completions/nexus`
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the manual page
    Man {
        /// Write the pages of all commands into this folder instead
        #[arg(value_name = "FOLDER")]
        folder: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Log {
    /// A level, or a filter such as "info,nexus_host=debug"; without one the hub's own is told
    pub(crate) filter: Option<String>,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// Check the queue's file while no hub works with it, and list what is in the quarantine
    Fsck(Fsck),
}

#[derive(Debug, Args)]
pub(crate) struct Fsck {
    /// Mend what can be mended. Nothing is deleted: what cannot be read goes to the quarantine, and a
    /// damaged file is kept beside the new one
    #[arg(long)]
    pub(crate) repair: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key for a client, and the lines for the configuration
    New(NewKey),
}

/// How to reach the running hub.
#[derive(Debug, Args)]
pub(crate) struct Reach {
    /// The hub's address [default: from the configuration's `[server] http`]. The key is read from
    /// NEXUS_KEY
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,

    #[command(flatten)]
    pub(crate) tls: Tls,
}

/// Whom to believe, and what to show.
#[derive(Debug, Clone, Args)]
pub(crate) struct Tls {
    /// Who vouches for the hub's certificate, as PEM [default: the configuration's own certificate, or
    /// with --url the system's authorities]
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,

    /// A certificate to show to the hub, as PEM
    #[arg(long, value_name = "FILE", requires = "cert_key")]
    pub(crate) cert: Option<PathBuf>,

    /// The private key of --cert, as PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) cert_key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Tell what the running hub would change if it were given this configuration [default: the hub at the
    /// configuration's `[server] http`]. The key is read from NEXUS_KEY
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "")]
    pub(crate) against: Option<String>,

    #[command(flatten)]
    pub(crate) tls: Tls,
}

#[derive(Debug, Args)]
pub(crate) struct NewKey {
    /// The client's name
    #[arg(long, default_value = "client")]
    pub(crate) id: String,

    /// Sources the client may publish as, comma-separated; `prefix.*` and `*` allowed
    /// [default: its id]
    #[arg(long, value_delimiter = ',', value_name = "SOURCES")]
    pub(crate) sources: Vec<String>,

    /// Types the client may publish, comma-separated; `prefix.*` and `*` allowed [default: its id
    /// followed by `.*`]
    #[arg(long, value_delimiter = ',', value_name = "TYPES")]
    pub(crate) types: Vec<String>,

    /// Let the client use the administration
    #[arg(long)]
    pub(crate) admin: bool,

    /// Let the key expire after a time, such as 90d; at most 366d [default: never]
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<HumanDuration>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_does_not_contradict_itself() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn global_options_stand_anywhere() {
        for line in [
            ["nexus", "--config", "a.toml", "--json", "plugin", "list"],
            ["nexus", "plugin", "list", "--json", "--config", "a.toml"],
        ] {
            let arguments = Arguments::try_parse_from(line).unwrap();
            assert!(arguments.common.json);
            assert_eq!(arguments.common.config, Some(PathBuf::from("a.toml")));
        }
    }

    #[test]
    fn dead_letters_are_changed_only_when_named() {
        let id = "0190a6e0-0000-7000-8000-000000000001";
        for what in ["replay", "purge"] {
            let line = |rest: &[&str]| {
                let start = ["nexus", "dlq", what];
                Arguments::try_parse_from(start.iter().chain(rest)).is_ok()
            };
            for good in [
                &["--all"][..],
                &[id, id],
                &["--type", "a.*"],
                &["--since", "2h", "--until", "2026-01-02T03:04:05Z"],
                &[id, "--source", "a", "--dry-run", "--limit", "1"],
            ] {
                assert!(line(good), "{good:?}");
            }
            for bad in [
                &[][..],
                &["--dry-run"],
                &["--limit", "1"],
                &["--all", id],
                &["--all", "--reason", "x"],
                &["--all", "--limit", "0"],
                &["--type", "*.a"],
                &["--since", "yesterday"],
                &["x"],
            ] {
                assert!(!line(bad), "{bad:?}");
            }
        }
    }

    #[test]
    fn a_payload_comes_from_one_place() {
        let line = |rest: &[&str]| {
            let start = ["nexus", "send", "a.b", "--source", "s"];
            Arguments::try_parse_from(start.iter().chain(rest))
        };
        assert!(line(&["-"]).is_ok());
        assert!(line(&["--payload", "{}"]).is_ok());
        assert!(line(&["--payload", "{}", "--file", "f"]).is_err());
        assert!(line(&["-", "--file", "f"]).is_err());
        assert!(line(&["elsewhere"]).is_err());
        assert!(line(&["--lines", "f"]).is_ok());
        assert!(line(&["--lines", "f", "--payload", "{}"]).is_err());
    }

    #[test]
    fn whole_events_say_themselves_what_they_are() {
        let line = |rest: &[&str]| {
            let start = ["nexus", "send"];
            Arguments::try_parse_from(start.iter().chain(rest))
        };
        assert!(line(&["--lines", "f"]).is_ok());
        assert!(line(&["--lines", "f", "--source", "s"]).is_err());
        assert!(line(&["--lines", "f", "--priority", "high"]).is_err());
        assert!(line(&["a.b", "--lines", "f"]).is_err(), "from where?");
        assert!(line(&[]).is_err());
        assert!(line(&["a.b", "--source", "s", "--skip", "1"]).is_err());
    }
}
