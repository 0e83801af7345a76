//! A conformance kit for plugins: receives a plugin's file, shows it whatever a hub might, and hands on how it
//! behaved, as a [`Report`].
//!
//! ```no_run
//! # async fn example() {
//! use nexus_plugin_conformance::Kit;
//!
//! let report = Kit::of("target/debug/libgreeter.so").run().await;
//! assert!(report.passes(), "{report}");
//! # }
//! ```
//!
//! The plugin runs in a process of its own, under a hub that has no queue, opens no port and performs no effect:
//! what a processor decides is looked at and dropped. What the plugin itself does to other systems, it does here
//! as well, so give it settings that are meant for tests.
//!
//! One way of data: `file` judges the bytes, `life` starts them, `payloads` makes what is to be shown out of
//! the contracts (`samples`), and `events`, `requests` and `hooks` show it, each kind of component its own
//! and all of them the same `strain`. A check goes into the `report` as soon as it has ended.
//!
//! A case fails when the plugin panics, does not answer in time, does not let go of a call, loses its process, or
//! contradicts its own contracts. An error that it answers is an answer.

mod events;
mod file;
mod hooks;
mod hub;
mod life;
mod payloads;
mod report;
mod requests;
mod samples;
mod shown;
mod stimulus;
mod strain;
mod subject;

use std::path::PathBuf;
use std::time::Duration;

use nexus_host::config::{Config, ConfigErrors};
use nexus_host::plugins::Isolation;
use nexus_plugin_api::abi::Manifest;
use serde_json::Value;

pub use report::{Check, Finding, Report, Verdict};

use report::Ledger;
use requests::Requests;

/// How long a call may take, unless something else is said.
const LIMIT: Duration = Duration::from_secs(5);

/// What is to be tried, and how.
#[derive(Debug, Clone)]
#[must_use]
pub struct Kit {
    file: PathBuf,
    config: Config,
    isolation: Isolation,
    limit: Duration,
    requests: Vec<(String, Value)>,
}

impl Kit {
    /// Tries a plugin's library, with default settings, in a process of its own.
    pub fn of(file: impl Into<PathBuf>) -> Self {
        Self {
            file: file.into(),
            config: Config::default(),
            isolation: Isolation::Process,
            limit: LIMIT,
            requests: Vec::new(),
        }
    }

    /// Takes a hub's configuration: the plugin's section, the limits of events, the rules, the contract files.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// As [`Kit::config`], from the text of a `nexus.toml`.
    ///
    /// # Errors
    /// Every mistake in it, each with its place.
    pub fn config_toml(self, text: &str) -> Result<Self, ConfigErrors> {
        Ok(self.config(Config::from_toml_str(text)?))
    }

    /// How long a call may take; 5 seconds unless this is said.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Also hands this request to one of the plugin's integrations. Those that its processors make are handed on
    /// anyhow.
    pub fn request(mut self, integration: impl Into<String>, request: Value) -> Self {
        self.requests.push((integration.into(), request));
        self
    }

    /// Tries it in this process, on threads of its own, for programs that cannot be its worker, such as tests. A
    /// crash of the plugin is one of the program then, and a call that does not let go goes on.
    pub fn in_this_process(mut self) -> Self {
        self.isolation = Isolation::Thread;
        self
    }

    /// Tries everything.
    pub async fn run(self) -> Report {
        self.run_telling(&mut |_| {}).await
    }

    /// Tries everything, and tells of each check when it has ended.
    pub async fn run_telling(mut self, tell: &mut (dyn FnMut(&Check) + Send)) -> Report {
        let file = self.file.clone();
        let mut ledger = Ledger::new(&file, tell);
        self.try_all(&mut ledger).await;
        ledger.close()
    }

    async fn try_all(&mut self, ledger: &mut Ledger<'_>) {
        for section in self.config.plugins.named.values_mut() {
            // Any file may be tried, also one that a hub does not take yet.
            section.enabled = true;
            section.sha256.clear();
        }
        let Some(candidate) = file::check(&self.file, &self.config, ledger) else {
            return;
        };
        self.settle(&candidate.manifest);
        let name = "it starts, and its contracts, rules and migrations are in order";
        let config = &self.config;
        let Some(subject) = life::start(&candidate, config, self.limit, name, ledger).await else {
            return;
        };
        life::health(&subject, ledger).await;
        let payloads = payloads::of_all(&subject, config, ledger);
        let mut requests = Requests::default();
        for (integration, request) in &self.requests {
            requests.add(
                &candidate.manifest,
                integration,
                request.to_string().as_bytes(),
            );
        }
        events::check(&subject, &payloads, &mut requests, ledger).await;
        requests::check(&subject, &requests, ledger).await;
        hooks::check(&subject, ledger).await;
        life::stop(subject, ledger).await;
        let again = life::start(&candidate, config, self.limit, "it starts again", ledger).await;
        if let Some(subject) = again {
            life::health(&subject, ledger).await;
            life::stop(subject, ledger).await;
        }
    }

    /// Where the plugin runs is not the configuration's to say here.
    fn settle(&mut self, manifest: &Manifest) {
        let plugins = &mut self.config.plugins;
        let section = plugins.section_name(&manifest.id).unwrap_or(&manifest.id);
        let section = section.to_owned();
        let section = plugins.named.entry(section).or_default();
        section.isolation = self.isolation;
        section.workers = 1;
    }
}
