//! `nexus run`: receives a configuration, runs the hub until it is told to stop, and says on
//! standard output how it started and how it ended. The log goes to standard error.

use std::path::Path;

use nexus_host::admission::FileReport;
use nexus_host::config::Config;
use nexus_host::host::Candidate;
use nexus_host::plugins::{PluginReport, PluginState, RefusalCode};
use nexus_host::queue::config::Backend;
use nexus_host::{BuildError, Host, descriptors, observe, signals};
use serde_json::json;

use crate::cli::Common;
use crate::configuration::Origin;
use crate::failure::Failure;
use crate::output;

/// Runs the hub.
///
/// # Errors
/// When it does not start, or does not stop as it should.
pub(crate) async fn run(common: &Common) -> Result<(), Failure> {
    let origin = Origin::of(common);
    let prepared = Host::builder().config_source(origin.loader()).build();
    let prepared = prepared.map_err(|error| match error {
        BuildError::Config(errors) => errors.into(),
        other => Failure::usage(other.to_string()),
    })?;
    let _lines = observe::init_logging(&prepared.config().observe)
        .map_err(|error| Failure::usage(format!("the log cannot be set up: {error}")))?;
    let descriptors = descriptors::raise();

    // Polled first, so that a signal is heard from now on, also while plugins start.
    let mut stop = std::pin::pin!(signals::stop_requested());
    let mut reloads = signals::Reloads::new().map_err(no_signals)?;
    let host = tokio::select! {
        biased;
        stopped = &mut stop => {
            stopped.map_err(no_signals)?;
            output::line("stopped before it had started");
            return Ok(());
        }
        started = prepared.start() => {
            started.map_err(|error| Failure::failed(format!("the hub does not start: {error}")))?
        }
    };
    let serving = async {
        // So that what is told of them is how they are, and not that nobody has asked yet.
        host.plugins_examined().await;
        started(common, &origin, &host);
        tell_few(descriptors, &host);
        loop {
            reloads.requested().await;
            // The log tells what came of it.
            let _ = host.reload(Candidate::Own).await;
        }
    };
    tokio::select! {
        biased;
        stopped = &mut stop => stopped.map_err(no_signals)?,
        () = serving => {}
    }

    let report = host
        .shutdown()
        .await
        .map_err(|error| Failure::failed(format!("the hub did not stop as it should: {error}")))?;
    if common.json {
        output::json_line(&json!({ "stopped": report }));
    } else {
        output::line(&report.to_string());
    }
    Ok(())
}

/// Says so when the system gives fewer sockets than the configuration means to use.
fn tell_few(descriptors: Option<u64>, host: &Host) {
    let wanted = host.config().server.max_connections;
    if let Some(few) = descriptors.filter(|most| *most < wanted as u64) {
        output::note(&format!(
            "the system lets this process have {few} files and sockets open at once, fewer than \
             server.max_connections ({wanted}): raise its limit (`ulimit -Hn`, LimitNOFILE) or lower the key"
        ));
    }
}

fn no_signals(error: std::io::Error) -> Failure {
    Failure::failed(format!("signals cannot be heard: {error}"))
}

/// Says how it started, for people in a few lines, for programs in one.
fn started(common: &Common, origin: &Origin, host: &Host) {
    let address = host.http_addr();
    if common.json {
        let plugins: Vec<_> = host.plugins().iter().map(plugin_json).collect();
        output::json_line(&json!({ "started": {
            "version": env!("CARGO_PKG_VERSION"),
            "http": address,
            "grpc": host.grpc_addr(),
            "tls": host.has_tls(),
            "config": match origin {
                Origin::File(path) => Some(path),
                Origin::Defaults => None,
            },
            "plugins": plugins,
            "contract_files": *host.contract_files(),
            "clients": host.config().clients.len(),
            "webhooks": webhooks(&host.config()),
            "queue": queue_file(&host.config()),
        }}));
        return;
    }
    let version = env!("CARGO_PKG_VERSION");
    let scheme = if host.has_tls() { "https" } else { "http" };
    match address {
        Some(address) => {
            output::line(&format!(
                "nexus {version} listening on {scheme}://{address}"
            ));
        }
        None => output::line(&format!("nexus {version} running")),
    }
    if let Some(address) = host.grpc_addr() {
        let tls = if host.has_tls() { " (TLS)" } else { "" };
        output::line(&format!("grpc     {address}{tls}"));
    }
    output::line(&format!("config   {origin}"));
    plugins(host);
    contracts(host);
    senders(&host.config());
    queue(&host.config());
    output::line("stop it with Ctrl-C or SIGTERM");
}

fn plugins(host: &Host) {
    let reports = host.plugins();
    let config = host.config();
    let folder = config.plugins.dir.display();
    if reports.is_empty() {
        let unknown = if host.contract_files().is_empty() {
            ", so no event type is known yet"
        } else {
            ""
        };
        output::line(&format!(
            "plugins  none: no plugin files in {folder}{unknown}"
        ));
        return;
    }
    output::line(&format!("plugins  {}, from {folder}", counted(&reports)));
    for report in &reports {
        output::line(&format!("  {}", plugin_line(report)));
    }
}

/// How many there are in each state, such as `2 ready, 1 refused`.
fn counted(reports: &[PluginReport]) -> String {
    let mut counts = vec![("ready", 0)];
    for report in reports {
        let word = word(&report.state);
        match counts.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += 1,
            None => counts.push((word, 1)),
        }
    }
    let counts: Vec<_> = counts
        .into_iter()
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    counts.join(", ")
}

/// A state in a word; what the configuration does not want is not called wrong.
fn word(state: &PluginState) -> &'static str {
    match state.refusal() {
        Some(refusal) if refusal.code == RefusalCode::Disabled => "disabled",
        _ => state.as_str(),
    }
}

/// The contract files, where a folder of them is configured.
fn contracts(host: &Host) {
    let config = host.config();
    let Some(folder) = &config.plugins.contracts_dir else {
        return;
    };
    let files = host.contract_files();
    let refused: Vec<String> = files
        .iter()
        .filter_map(|FileReport { file, refusal, .. }| {
            let reason = refusal.as_ref()?;
            Some(format!("  refused  {file}: {reason}"))
        })
        .collect();
    output::line(&format!(
        "contract files  {} registered, {} refused, from {}",
        files.len() - refused.len(),
        refused.len(),
        folder.display()
    ));
    for line in refused {
        output::line(&line);
    }
}

fn plugin_line(report: &PluginReport) -> String {
    let who = match &report.manifest {
        Some(manifest) => format!("{} {} ({})", manifest.id, manifest.version, report.origin),
        None => report.origin.to_string(),
    };
    let state = word(&report.state);
    match (report.state.refusal(), report.state.reason()) {
        (Some(refusal), _) => format!("{state:<8} {who}: {refusal}"),
        (None, Some(reason)) => format!("{state:<8} {who}: {reason}"),
        (None, None) => format!("{state:<8} {who}"),
    }
}

fn plugin_json(report: &PluginReport) -> serde_json::Value {
    let manifest = report.manifest.as_ref();
    json!({
        "id": manifest.map(|manifest| &manifest.id),
        "version": manifest.map(|manifest| &manifest.version),
        "origin": report.origin.to_string(),
        "state": report.state,
        "reason": report.state.reason(),
        "refusal": report.state.refusal(),
    })
}

/// Who may send.
fn senders(config: &Config) {
    let clients: Vec<&str> = config.clients.iter().map(|client| &*client.id).collect();
    let webhooks = webhooks(config);
    match (clients.as_slice(), webhooks.is_empty()) {
        ([], nobody) => {
            let who = if nobody {
                "every request will be refused"
            } else {
                "only webhooks are taken"
            };
            output::line(&format!(
                "clients  none: {who}. Make a key with `nexus key new`, put the lines it prints into the \
                 configuration, and have it read again with SIGHUP"
            ));
        }
        (clients, _) => output::line(&format!("clients  {}", clients.join(", "))),
    }
    if !webhooks.is_empty() {
        output::line(&format!("webhooks {}", webhooks.join(", ")));
    }
}

fn webhooks(config: &Config) -> Vec<&str> {
    let webhooks = config.webhooks.iter();
    webhooks.map(|webhook| webhook.name.as_str()).collect()
}

/// The file in which events wait; none where they wait in memory.
fn queue_file(config: &Config) -> Option<&Path> {
    let queue = &config.queue;
    (queue.backend == Backend::Sqlite).then_some(queue.sqlite.path.as_path())
}

fn queue(config: &Config) {
    output::line(&match queue_file(config) {
        Some(file) => format!("queue    in {}", file.display()),
        None => "queue    in memory: what waits is gone with the hub".to_owned(),
    });
}
