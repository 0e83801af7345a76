//! A plugin's life: it starts, says how it is, goes when it is stopped, and starts again.

use std::sync::Arc;
use std::time::Duration;

use nexus_host::admission::{Contracts, register_files};
use nexus_host::config::Config;
use nexus_host::plugins::Candidate;
use nexus_plugin_api::Health;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::file;
use crate::report::{Check, Ledger};
use crate::subject::{Answer, Subject, part};

/// How long a component has to say how it is, as in a hub.
const HEALTH: Duration = Duration::from_secs(2);

/// How long a plugin has to be gone.
const GOING: Duration = Duration::from_secs(3);

/// Starts it; `None` when it does not.
pub(crate) async fn start(
    candidate: &Arc<Candidate>,
    config: &Config,
    limit: Duration,
    name: &'static str,
    ledger: &mut Ledger<'_>,
) -> Option<Subject> {
    let mut check = Check::new("plugin", name);
    let contracts = match Contracts::with_rules(&config.rules) {
        Ok(contracts) => Arc::new(contracts),
        Err(error) => {
            check.fail(format!("[[rules]]: {error}"), "");
            ledger.add(check);
            return None;
        }
    };
    let subject = Subject::start(candidate, config, contracts.clone(), limit).await;
    let subject = match subject {
        Ok(subject) => Some(subject),
        Err(refusal) => {
            check.fail(file::told(&refusal), "");
            None
        }
    };
    // After the plugin's own, as in a hub.
    if let Some(folder) = &config.plugins.contracts_dir
        && let Err(error) = register_files(folder, &contracts)
    {
        check.remark(
            format!("its contract files cannot be read: {error}"),
            folder.display().to_string(),
        );
    }
    ledger.add(check);
    subject
}

/// Asks every component how it is.
pub(crate) async fn health(subject: &Subject, ledger: &mut Ledger<'_>) {
    let mut check = Check::new("plugin", "every component says how it is");
    for (number, component) in (0..).zip(&subject.manifest().components) {
        check.cases += 1;
        match subject.health(number, HEALTH).await {
            Answer::Said(Health::Ready) => {}
            Answer::Said(Health::Degraded { reason }) => {
                check.remark(format!("it is degraded: {reason}"), part(component));
            }
            Answer::Said(Health::Failed { reason }) => {
                check.fail(format!("it has failed: {reason}"), part(component));
            }
            Answer::Refused(error) => check.fail(error.to_string(), part(component)),
            Answer::Broken(told) => check.fail(told, part(component)),
        }
    }
    ledger.add(check);
}

/// Stops it, and waits until it is gone.
pub(crate) async fn stop(subject: Subject, ledger: &mut Ledger<'_>) {
    let mut check = Check::new("plugin", "it is gone when it is stopped");
    let lives = subject.lives();
    // Dropping it runs the author's code where it is in this process.
    let gone = timeout(GOING, async {
        let dropped = spawn_blocking(move || drop(subject)).await;
        if let Some(lives) = &lives {
            lives.ended().await;
        }
        dropped
    });
    match gone.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => check.fail(format!("it panicked: {error}"), ""),
        Err(_) => check.fail(format!("it is still there after {GOING:?}"), ""),
    }
    ledger.add(check);
}
