//! The binary `nexus`: the hub, and the command line around it.
//!
//! Receives arguments, hands each command to its own module, and turns what comes back into an
//! exit code: 0, 1 (failed) or 2 (usage or configuration). It decides nothing about events.

mod alerts;
mod approvals;
mod check;
mod cli;
mod configuration;
mod contract;
mod dlq;
mod explain;
mod failure;
mod fsck;
mod hub;
mod id;
mod key;
mod listing;
mod log;
mod manual;
mod moment;
mod output;
mod plugin;
mod reload;
mod run;
mod send;
mod survey;
mod table;
mod tail;
mod tone;
mod top;
mod write;

use std::process::ExitCode;

use cli::{
    AlertsCommand, ApprovalsCommand, Arguments, Command, ContractCommand, DlqCommand, KeyCommand,
    PluginCommand, QueueCommand,
};
use failure::Failure;

fn main() -> ExitCode {
    nexus_host::worker::serve_if_asked();
    let arguments = match cli::parse() {
        Ok(arguments) => arguments,
        Err(failure) => return failure.tell(),
    };
    if arguments.common.json {
        output::for_programs();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return Failure::failed(format!("the runtime does not start: {error}")).tell();
        }
    };
    let result = runtime.block_on(command(&arguments));
    // A plugin that blocks must not hold up the end.
    runtime.shutdown_background();
    match (result, output::unwritten()) {
        (Ok(()), None) => ExitCode::SUCCESS,
        (Ok(()), Some(error)) => {
            let told = format!("standard output has not taken all that was to be printed: {error}");
            Failure::failed(told).tell()
        }
        (Err(failure), _) => failure.tell(),
    }
}

async fn command(arguments: &Arguments) -> Result<(), Failure> {
    let common = &arguments.common;
    match &arguments.command {
        Command::Run => run::run(common).await,
        Command::Check(options) => check::check(common, options).await,
        Command::Reload(options) => reload::reload(common, options).await,
        Command::Log(options) => log::log(common, options).await,
        Command::Send(options) => send::send(common, options).await,
        Command::Tail(options) => tail::tail(common, options).await,
        Command::Top(options) => top::top(common, options).await,
        Command::Explain(options) => explain::explain(common, options).await,
        Command::Plugin(PluginCommand::List(options)) => plugin::list::list(common, options).await,
        Command::Plugin(PluginCommand::Inspect(options)) => {
            plugin::inspect::inspect(common, options)
        }
        Command::Plugin(PluginCommand::Test(options)) => plugin::test::test(common, options).await,
        Command::Plugin(PluginCommand::New(options)) => plugin::new::new(common, options),
        Command::Plugin(PluginCommand::Lock(options)) => plugin::lock::lock(common, options),
        Command::Plugin(PluginCommand::Keygen(options)) => plugin::sign::keygen(common, options),
        Command::Plugin(PluginCommand::Sign(options)) => plugin::sign::sign(common, options),
        Command::Contract(ContractCommand::List(options)) => contract::list(common, options).await,
        Command::Contract(ContractCommand::Show(options)) => contract::show(common, options).await,
        Command::Contract(ContractCommand::Diff(options)) => contract::diff(common, options).await,
        Command::Dlq(DlqCommand::List(options)) => dlq::list(common, options).await,
        Command::Dlq(DlqCommand::Show(options)) => dlq::show(common, options).await,
        Command::Dlq(DlqCommand::Replay(options)) => dlq::replay(common, options).await,
        Command::Dlq(DlqCommand::Purge(options)) => dlq::purge(common, options).await,
        Command::Alerts(AlertsCommand::List(options)) => alerts::list(common, options).await,
        Command::Alerts(AlertsCommand::Rules(options)) => alerts::rules(common, options).await,
        Command::Alerts(AlertsCommand::Ack(options)) => alerts::acknowledge(common, options).await,
        Command::Alerts(AlertsCommand::Silence(options)) => alerts::silence(common, options).await,
        Command::Alerts(AlertsCommand::Silences(options)) => {
            alerts::silences(common, options).await
        }
        Command::Alerts(AlertsCommand::Unsilence(options)) => {
            alerts::unsilence(common, options).await
        }
        Command::Approvals(ApprovalsCommand::List(options)) => {
            approvals::list(common, options).await
        }
        Command::Approvals(ApprovalsCommand::Show(options)) => {
            approvals::show(common, options).await
        }
        Command::Approvals(ApprovalsCommand::Answer(options)) => {
            approvals::answer(common, options).await
        }
        Command::Queue(QueueCommand::Fsck(options)) => fsck::fsck(common, options),
        Command::Key(KeyCommand::New(options)) => key::new(common, options),
        Command::Completions { shell } => {
            manual::completions(*shell);
            Ok(())
        }
        Command::Man { folder } => manual::man(folder.as_deref()),
    }
}
