//! The command line: receives arguments, hands on [`Arguments`], decides nothing else.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{ArgGroup, Args, Parser, Subcommand};
use clap_complete::Shell;
use nexus_host::config::{HumanDuration, Selector};
use serde_json::Value;
use uuid::Uuid;

use crate::plugin::template::Kind;
use crate::plugin::test;
use crate::{id, moment};

/// Reads this process's arguments; prints help or a usage error and exits (2) where they do not fit.
pub(crate) fn parse() -> Arguments {
    Arguments::parse()
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

    /// Print data as JSON
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

#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalsCommand {
    /// List approvals: what waits for an answer; with --all what has ended, too
    List(ListApprovals),
    /// Show one approval with everything that is known of it
    Show(ShowApproval),
    /// Answer an approval with one of its choices; the first answer counts
    Answer(AnswerApproval),
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

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) reach: Reach,
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

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The dead letter's id, or its event's
    #[arg(value_name = "ID", value_parser = id::parse)]
    pub(crate) id: Uuid,

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
