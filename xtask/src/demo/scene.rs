//! The running pair: starts the Toasty server and the hub, asks the hub what became of things, ends
//! both in the right order.
//!
//! Everything goes through the front doors: HTTP with a key, the command line, the journal.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::journal::{Entry, Journal};
use super::office::{self, Office};
use super::setting::{
    Folder, HUB_PORT, Identity, TOASTY_PORT, free_port, identity, without_hub_variables,
    write_config,
};
use crate::failure::{Failure, Result, Tried as _};
use crate::http::Client;
use crate::service::{Ended, Output, Service};
use crate::stage::Stage;
use crate::stop::{Seen, Stop};

/// How long a part may take to come up, or an event to be done, on a busy machine.
const WITHIN: Duration = Duration::from_secs(30);
/// How long the hub may take to end: what the design promises.
pub(crate) const END_WITHIN: Duration = Duration::from_secs(30);
/// How long the Toasty server may take to end.
const TOASTY_END_WITHIN: Duration = Duration::from_secs(10);

/// The reference Toasty server.
#[derive(Debug)]
pub(crate) struct Toasty {
    service: Service,
    pub(crate) address: SocketAddr,
    pub(crate) display: String,
    pub(crate) journal: PathBuf,
    log: Journal,
    /// How every toast was answered, in the order they were asked for.
    asked_for: Vec<Entry>,
}

/// The hub.
#[derive(Debug)]
pub(crate) struct Hub {
    service: Service,
    nexus: PathBuf,
    /// The plugins that are to run, by their names.
    pub(crate) plugins: Vec<String>,
    pub(crate) address: SocketAddr,
    pub(crate) config: PathBuf,
    pub(crate) log: PathBuf,
    /// What captures notifications.
    pub(crate) parrot: Identity,
    /// Who looks after the hub.
    pub(crate) operator: Identity,
}

impl Toasty {
    pub(crate) fn start(stage: &Stage, folder: &Folder, stop: &Stop, shown: bool) -> Result<Self> {
        let wished = free_port(TOASTY_PORT, "the Toasty server")?;
        let journal = folder.file("toasty.jsonl");
        // The story counts what is in it.
        match std::fs::remove_file(&journal) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).tried(format_args!("remove {}", journal.display()));
            }
            _ => {}
        }
        let mut command = Command::new(stage.program("toasty-server"));
        command.args(["--listen", &wished.to_string()]);
        command.args([
            "--display",
            if has_desktop() { "desktop" } else { "terminal" },
        ]);
        command.arg("--journal").arg(&journal);
        let output = if shown { Output::Shown } else { Output::Read };
        let log = folder.file("toasty.log");
        let mut service = Service::start("toasty-server", command, &log, output)?;
        let (address, display) = service.line(stop, "the Toasty server", WITHIN, listening_line)?;
        Ok(Self {
            service,
            address,
            display,
            log: Journal::new(&journal),
            journal,
            asked_for: Vec::new(),
        })
    }

    /// What the journal says since the last look.
    pub(crate) fn news(&mut self) -> Result<Vec<Entry>> {
        let news = self.log.news()?;
        let shows = news
            .iter()
            .filter(|entry| matches!(entry, Entry::Show { .. }));
        self.asked_for.extend(shows.cloned());
        Ok(news)
    }

    /// The titles and outcomes of every toast that was asked for because of an event.
    pub(crate) fn toasts_of(&mut self, event: &str) -> Result<Vec<(String, String)>> {
        self.news()?;
        let toasts = self.asked_for.iter().filter_map(|entry| match entry {
            Entry::Show {
                event_id,
                title,
                outcome,
            } if event_id == event => Some((title.clone(), outcome.clone())),
            _ => None,
        });
        Ok(toasts.collect())
    }

    /// Waits until a toast with that title was asked for.
    pub(crate) fn wait_for(&mut self, wanted: &str, stop: &Stop) -> Result<()> {
        stop.until(&format!("a toast \"{wanted}\""), WITHIN, || {
            self.check_alive()?;
            self.news()?;
            let is_wanted =
                |entry: &&Entry| matches!(entry, Entry::Show { title, .. } if title == wanted);
            Ok(match self.asked_for.iter().find(is_wanted) {
                Some(_) => Seen::There(()),
                None => Seen::NotYet(format!("{} other toasts", self.asked_for.len())),
            })
        })
    }

    /// How many toasts were asked for in all.
    pub(crate) fn count(&mut self) -> Result<usize> {
        self.news()?;
        Ok(self.asked_for.len())
    }

    pub(crate) fn check_alive(&mut self) -> Result<()> {
        self.service.check_alive()
    }

    pub(crate) fn end(self, stop: &Stop) -> Result<Ended> {
        self.service.end(stop, TOASTY_END_WITHIN)
    }
}

impl Hub {
    pub(crate) fn start(
        stage: &Stage,
        folder: &Folder,
        toasty: SocketAddr,
        office: Option<&Office>,
    ) -> Result<Self> {
        let nexus = stage.program("nexus");
        let parrot = identity(&nexus, &["--id", "parrot"])?;
        let operator = identity(&nexus, &["--id", "operator", "--admin"])?;
        let address = free_port(HUB_PORT, "the hub")?;
        let mut plugins: String = idle(stage, office)
            .map(|plugin| format!("[plugins.{plugin}]\nenabled = false\n\n"))
            .collect();
        plugins.extend(office.map(|office| office.config(address)));
        let config = write_config(folder, address, toasty, &[&parrot, &operator], &plugins)?;
        let secrets = || office.into_iter().flat_map(Office::secrets);
        let mut check = Command::new(&nexus);
        check.arg("check").arg("--config").arg(&config);
        run_to_end(without_hub_variables(&mut check).envs(secrets()))?;

        let mut command = Command::new(&nexus);
        command.arg("run").arg("--config").arg(&config);
        without_hub_variables(&mut command).envs(secrets());
        let log = folder.file("hub.log");
        let service = Service::start("nexus", command, &log, Output::Logged)?;
        let idle: Vec<&str> = idle(stage, office).collect();
        let runs = |plugin: &&String| !idle.contains(&plugin.as_str());
        let plugins = stage.plugins.iter().filter(runs).cloned().collect();
        Ok(Self {
            service,
            nexus,
            plugins,
            address,
            config,
            log,
            parrot,
            operator,
        })
    }

    /// Parrot's line to the hub.
    pub(crate) fn as_parrot(&self) -> Client {
        Client::new(self.address, Some(self.parrot.key.clone()))
    }

    /// The line of whoever looks after the hub.
    pub(crate) fn as_operator(&self) -> Client {
        Client::new(self.address, Some(self.operator.key.clone()))
    }

    /// Waits until the hub says that it is ready.
    pub(crate) fn wait_until_ready(&mut self, stop: &Stop) -> Result<()> {
        let anybody = Client::new(self.address, None);
        stop.until("the hub's readiness", WITHIN, || {
            self.service.check_alive()?;
            Ok(match anybody.get("/readyz") {
                Ok(answer) if answer.status == 200 => Seen::There(()),
                Ok(answer) => Seen::NotYet(format!("{} {}", answer.status, answer.body)),
                Err(failure) => Seen::NotYet(failure.to_string()),
            })
        })
    }

    /// The state of each plugin by its id, as `nexus plugin list` tells it.
    pub(crate) fn states(&self) -> Result<BTreeMap<String, String>> {
        let mut command = Command::new(&self.nexus);
        command
            .args(["plugin", "list", "--json", "--config"])
            .arg(&self.config);
        without_hub_variables(&mut command).env("NEXUS_KEY", &self.operator.key);
        let listing = run_to_end(&mut command)?;
        let listing: Value = serde_json::from_str(&listing).tried("read the list of plugins")?;
        if listing["from"] != "hub" {
            return Err(Failure::new(format!(
                "the list of plugins is not the hub's: {listing}"
            )));
        }
        let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        let plugins = listing["plugins"].as_array().into_iter().flatten();
        Ok(plugins
            .map(|plugin| (text(&plugin["id"]), text(&plugin["state"])))
            .collect())
    }

    /// The journey of an event once nothing more is done for it.
    pub(crate) fn journey(&mut self, event_id: &str, stop: &Stop) -> Result<Value> {
        let operator = self.as_operator();
        stop.until(&format!("the end of event {event_id}"), WITHIN, || {
            self.service.check_alive()?;
            let answer = operator.get(&format!("/v1/events/{event_id}"))?;
            let status = answer.body["status"].as_str().unwrap_or_default();
            Ok(match (answer.status, status) {
                (200, "processed" | "dead") => Seen::There(answer.body),
                _ => Seen::NotYet(format!("{} {}", answer.status, answer.body)),
            })
        })
    }

    /// The question that waits for a person, as soon as there is one.
    pub(crate) fn question(&mut self, stop: &Stop) -> Result<Value> {
        let operator = self.as_operator();
        stop.until("a question to a person", WITHIN, || {
            self.service.check_alive()?;
            let answer = operator.get("/v1/admin/approvals?status=pending")?;
            Ok(match answer.body["approvals"].get(0) {
                Some(question) => Seen::There(question.clone()),
                None => Seen::NotYet(format!("{} {}", answer.status, answer.body)),
            })
        })
    }

    /// Answers a question as an operator at a terminal does.
    pub(crate) fn answer(&self, approval_id: &str, choice: &str) -> Result<()> {
        let mut command = Command::new(&self.nexus);
        command
            .args(["approvals", "answer", approval_id, choice, "--config"])
            .arg(&self.config);
        without_hub_variables(&mut command).env("NEXUS_KEY", &self.operator.key);
        run_to_end(&mut command).map(drop)
    }

    pub(crate) fn check_alive(&mut self) -> Result<()> {
        self.service.check_alive()
    }

    pub(crate) fn end(self, stop: &Stop) -> Result<Ended> {
        self.service.end(stop, END_WITHIN)
    }
}

/// The staged plugins that have nothing to do here: those that need an account with somebody, and without the second
/// act those of it.
fn idle<'a>(stage: &'a Stage, office: Option<&Office>) -> impl Iterator<Item = &'a str> {
    let has_office = office.is_some();
    let plugins = stage.plugins.iter().map(String::as_str);
    plugins.filter(move |plugin| match *plugin {
        "parrot" | "toasty" => false,
        other => !(has_office && office::PLUGINS.contains(&other)),
    })
}

/// Runs a command line of the hub to its end; hands on what it prints.
fn run_to_end(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let output = command.output().tried(format_args!("run {shown}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Failure::new(format!(
        "{} says: {}{}",
        command.get_program().display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )))
}

/// Where a person sees toasts: a Unix desktop says so in the environment, the others are always
/// there.
fn has_desktop() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !cfg!(all(unix, not(target_os = "macos"))) || set("DISPLAY") || set("WAYLAND_DISPLAY")
}

/// Takes apart `toasty-server listening on ADDRESS (display: NAME)`.
fn listening_line(line: &str) -> Option<(SocketAddr, String)> {
    let rest = line.strip_prefix("toasty-server listening on ")?;
    let (address, display) = rest.split_once(" (display: ")?;
    Some((address.parse().ok()?, display.strip_suffix(')')?.to_owned()))
}

/// How a person reads a journey: its last telling step.
pub(crate) fn ending(journey: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut told = Vec::new();
    for step in journey["steps"].as_array().into_iter().flatten() {
        match step["step"].as_str().unwrap_or_default() {
            "processed" if step["reason"].is_string() => {
                told.push(format!(
                    "{}: {}",
                    text(&step["decision"]),
                    text(&step["reason"])
                ));
            }
            "delivered" => {
                let summary = text(&step["summary"]);
                told.push(format!("{}: {summary}", text(&step["integration"])));
            }
            "processor_failed" | "delivery_failed" => told.push(text(&step["message"])),
            "unrouted" => told.push("no processor subscribes to it".to_owned()),
            "dead" => told.push(format!("dead letter: {}", text(&step["reason"]))),
            _ => {}
        }
    }
    told.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_servers_line_tells_address_and_display() {
        let line = "toasty-server listening on 127.0.0.1:7072 (display: terminal)";
        let (address, display) = listening_line(line).unwrap();
        assert_eq!((address.port(), display.as_str()), (7072, "terminal"));
        assert_eq!(listening_line("no desktop can be reached"), None);
    }

    #[test]
    fn a_journey_is_told_in_one_line() {
        let journey = json!({"steps": [
            {"step": "accepted"},
            {"step": "processed", "decision": "skip", "reason": "priority low is below high"},
        ]});
        assert_eq!(ending(&journey), "skip: priority low is below high");
        let journey = json!({"steps": [
            {"step": "delivery_failed", "message": "unreachable"},
            {"step": "delivered", "integration": "toasty/toasty", "summary": "toast 7 shown"},
        ]});
        assert_eq!(
            ending(&journey),
            "unreachable; toasty/toasty: toast 7 shown"
        );
    }
}
