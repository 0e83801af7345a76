//! What the hub takes when nothing happens, with every plugin that is shipped, each of which has what it talks to.

use std::error::Error;
use std::time::Instant;

use axum::Router;
use axum::http::StatusCode;
use dropbox_double::Options;
use nexus_tests::hub::eventually;
use nexus_tests::toasty::ToastyServer;

use crate::polling::{self, Sources};
use crate::report::{Effort, Goal, Report};
use crate::system::{self, Threads};

pub(crate) async fn measure(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let sources = Sources::start(Options::default()).await?;
    let folder = tempfile::tempdir()?;
    let toasty = ToastyServer::start(&folder.path().join("journal"));
    // All that is asked of an agent's server by who asks nothing of agents is whether it is there.
    let agents = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", agents.local_addr()?);
    let there = Router::new().fallback(|| async { StatusCode::OK });
    tokio::spawn(async move { axum::serve(agents, there).await });

    let hub = polling::described(&sources)
        .config(&format!(
            "[plugins.toasty.config]\nendpoint = \"{}\"\n\
             [plugins.langgraph.config]\nurl = \"{url}\"\n\
             [plugins.triage.config]\nassistant = \"triage\"\n",
            toasty.endpoint()
        ))
        .plugin("parrot")
        .plugin("toasty")
        .plugin("langgraph")
        .plugin("triage")
        .plugin("http_plugin")
        .start();
    eventually("mail is subscribed to", || async {
        (sources.graph.subscriptions().len() == 1).then_some(())
    })
    .await;

    let mut threads = Threads::default();
    let unknown = "the system does not tell what the hub takes";
    let mut taken = Vec::new();
    for _ in 0..effort.rounds {
        let before = threads.of(hub.pid()).ok_or(unknown)?;
        let begun = Instant::now();
        tokio::time::sleep(effort.round).await;
        let spent = threads.of(hub.pid()).ok_or(unknown)? - before;
        taken.push(100.0 * spent.as_secs_f64() / begun.elapsed().as_secs_f64());
    }
    let kib = system::resident(&hub.pid().to_string()).ok_or(unknown)?;
    let mib = vec![kib as f64 / 1_024.0];
    let name = "idle, all seven plugins: of a core";
    report.add(name, "%", taken, Some(Goal::AtMost(0.2)));
    let name = "idle, all seven plugins: resident memory";
    report.add(name, "MiB", mib, Some(Goal::AtMost(25.0)));
    Ok(())
}
