//! `nexus check`: receives a configuration, tells everything that is wrong with it and with the
//! plugin files it names. It starts nothing and runs nothing of a plugin.
//!
//! Exit code 2 for mistakes in the configuration, 1 for plugin and contract files that a start would
//! refuse, and for what a running hub would not apply without a restart.

use std::path::{Path, PathBuf};

use chrono::Utc;
use nexus_host::admission::{Contracts, FileReport, check_issuer_files, register_files};
use nexus_host::config::{Config, Problem, Selector};
use nexus_host::ingress::{TlsError, check_tls_files};
use nexus_host::observe::traces::check_files;
use nexus_host::{alerts, approvals};
use nexus_plugin_api::abi::ComponentKind;
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::{Check, Common, Reach};
use crate::configuration::Origin;
use crate::failure::Failure;
use crate::hub::Hub;
use crate::survey::{self, Refusal, Surveyed};
use crate::{output, reload};

/// Everything that was found.
#[derive(Debug, Default, Serialize)]
struct Findings {
    ok: bool,
    /// Mistakes in the configuration.
    problems: Vec<Problem>,
    /// Files that a start would refuse.
    refused: Vec<RefusedFile>,
    /// Contract files that a start would refuse.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused_contracts: Vec<FileReport>,
    /// Not wrong, but not as it should stay.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    /// Not wrong, but good to know.
    notes: Vec<String>,
    /// What a running hub would change.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Value>,
}

#[derive(Debug, Serialize)]
struct RefusedFile {
    file: String,
    #[serde(flatten)]
    refusal: Refusal,
}

/// Checks everything.
///
/// # Errors
/// When something is wrong; it has been told by then.
pub(crate) async fn check(common: &Common, options: &Check) -> Result<(), Failure> {
    let origin = Origin::of(common);
    let mut findings = Findings::default();
    if origin == Origin::Defaults {
        findings.notes.push(origin.to_string());
    }
    match origin.load() {
        Ok(config) => findings.of_config(&config),
        Err(errors) => {
            findings.problems = errors.into_problems();
            findings.of_folder_alone(origin.path());
        }
    }
    if let Some(url) = options
        .against
        .clone()
        .filter(|_| findings.problems.is_empty())
    {
        let reach = Reach {
            url: Some(url).filter(|url| !url.is_empty()),
            tls: options.tls.clone(),
        };
        findings.plan = Some(plan(common, &reach, &origin).await?);
    }
    let refused = !findings.refused.is_empty() || !findings.refused_contracts.is_empty();
    findings.ok = findings.problems.is_empty() && !refused;
    if common.json {
        output::json(&findings);
    } else {
        findings.tell(&origin);
    }
    if !findings.problems.is_empty() {
        return Err(Failure::told_usage());
    }
    let is_told_off = findings.plan.as_ref().is_some_and(|plan| {
        let takes_restart = plan["needs_restart"].as_array();
        takes_restart.is_some_and(|keys| !keys.is_empty())
    });
    if refused || is_told_off {
        return Err(Failure::told());
    }
    Ok(())
}

/// What the running hub would change if this file were its own.
async fn plan(common: &Common, reach: &Reach, origin: &Origin) -> Result<Value, Failure> {
    let hub = Hub::find(common, reach)?;
    let body = match origin {
        Origin::Defaults => json!({ "config": "" }),
        Origin::File(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                Failure::failed(format!("{} cannot be read: {error}", path.display()))
            })?;
            json!({ "config": text })
        }
    };
    Ok(hub.post("/v1/admin/reload/plan", body.to_string()).await?)
}

impl Findings {
    fn of_config(&mut self, config: &Config) {
        let files = self.of_folder(config);
        self.of_sections(config, &files);
        let contracts = self.of_contract_files(config);
        self.of_webhooks(config, &files, &contracts);
        self.of_routes(config, &files, &contracts);
        self.of_receivers(config, &files);
        self.of_certificates(config);
        self.of_worker(config);
        if config.clients.is_empty() {
            let who = match config.webhooks.is_empty() {
                true => "every request will be refused",
                false => "only webhooks are taken",
            };
            self.notes.push(format!(
                "no [[clients]]: {who}; `nexus key new` makes a key"
            ));
        }
        let now = Utc::now();
        let warnings = config.clients.iter().flat_map(|one| one.warnings(now));
        self.warnings.extend(warnings);
        self.problems.sort();
        self.problems.dedup();
    }

    /// Looks at the plugin files, with what the configuration says of each.
    fn of_folder(&mut self, config: &Config) -> Vec<Surveyed> {
        let folder = config.plugins.dir.display();
        let files = match survey::folder(config) {
            Ok(files) => files,
            Err(error) => {
                let message = format!("the folder {folder} cannot be read: {error}");
                let place = config.document().place(&["plugins", "dir"]);
                self.problems
                    .push(Problem::new(place, "plugins.dir", message));
                return Vec::new();
            }
        };
        if files.is_empty() {
            self.notes.push(if config.plugins.dir.exists() {
                format!("no plugin files in {folder}")
            } else {
                format!("there is no plugins folder {folder}")
            });
        }
        let now = Utc::now();
        let are_signed = !config.plugins.trusted_keys.is_empty();
        for file in &files {
            let remarks = file.owned.remarks(now).into_iter();
            let of_plugin = |remark: String| format!("plugin {}: {remark}", file.name());
            self.warnings.extend(remarks.map(of_plugin));
            self.problems.extend(file.problems.iter().cloned());
            if are_signed && file.is_loadable && file.signed_by.is_none() {
                self.warnings.push(of_plugin(format!(
                    "nobody has signed {}; plugins.require_signature would refuse it",
                    file.path.display()
                )));
            }
            match &file.refusal {
                Some(refusal) if file.problems.is_empty() && !refusal.is_wanted() => {
                    self.refused.push(RefusedFile {
                        file: file.path.display().to_string(),
                        refusal: refusal.clone(),
                    });
                }
                _ => {}
            }
        }
        files
    }

    /// Reads the contract files. What plugins own is not known here: a file that gives one of their
    /// versions another content is refused at the start only.
    fn of_contract_files(&mut self, config: &Config) -> Contracts {
        let contracts = Contracts::default();
        let Some(folder) = &config.plugins.contracts_dir else {
            return contracts;
        };
        match register_files(folder, &contracts) {
            Ok(reports) => {
                let slips = reports.iter().flat_map(|report| {
                    let file = folder.join(&report.file);
                    let slips = report.warnings.iter();
                    slips.map(move |slip| format!("contract file {}: {slip}", file.display()))
                });
                self.warnings.extend(slips);
                self.warnings.extend(folders_within(folder));
                let refused = reports.into_iter();
                let refused = refused.filter(|report| report.refusal.is_some());
                self.refused_contracts
                    .extend(refused.map(|report| FileReport {
                        file: folder.join(&report.file).display().to_string(),
                        ..report
                    }));
                self.warnings.extend(contracts.remarks(Utc::now()));
            }
            Err(error) => {
                let message = format!("the folder {} cannot be read: {error}", folder.display());
                let place = config.document().place(&["plugins", "contracts_dir"]);
                self.problems
                    .push(Problem::new(place, "plugins.contracts_dir", message));
            }
        }
        contracts
    }

    /// What to think of in webhooks: of those whose type is fixed, whether a plugin or a file has a contract
    /// for it.
    fn of_webhooks(&mut self, config: &Config, files: &[Surveyed], contracts: &Contracts) {
        for webhook in &config.webhooks {
            self.notes.extend(webhook.warnings());
            let Some(event_type) = webhook.r#type.as_deref() else {
                continue;
            };
            if !has_contract(event_type, files, contracts) {
                self.warnings.push(format!(
                    "webhook `{}` makes events of the type `{event_type}`, for which there is no contract: \
                     each is refused until a plugin brings one, or a file in plugins.contracts_dir",
                    webhook.name
                ));
            }
        }
    }

    /// What to think of in routes: whether a plugin has the integration that each names, and whether there is a
    /// contract for each type that it takes or makes.
    fn of_routes(&mut self, config: &Config, files: &[Surveyed], contracts: &Contracts) {
        for route in &config.routes {
            let name = &route.name;
            for event_type in &route.types {
                if let Selector::Exact(event_type) = event_type
                    && !has_contract(event_type, files, contracts)
                {
                    self.warnings.push(format!(
                        "route `{name}` takes events of the type `{event_type}`, for which there is no contract: \
                         none comes until a plugin brings one, or a file in plugins.contracts_dir"
                    ));
                }
            }
            for action in &route.actions {
                let emitted = action.emit.as_ref().map(|emit| emit.r#type.as_str());
                if let Some(event_type) = emitted.filter(|one| !has_contract(one, files, contracts))
                {
                    self.warnings.push(format!(
                        "route `{name}` makes events of the type `{event_type}`, for which there is no contract: \
                         each is a dead letter until a plugin brings one, or a file in plugins.contracts_dir"
                    ));
                }
                let told = action
                    .notify
                    .as_deref()
                    .and_then(|one| nobody_has(one, files));
                self.warnings
                    .extend(told.map(|told| format!("route `{name}` notifies {told}")));
            }
        }
    }

    /// Who is told of alerts is told by an integration as well.
    fn of_receivers(&mut self, config: &Config, files: &[Surveyed]) {
        for receiver in &config.alerts.receivers {
            let told = nobody_has(&receiver.notify, files);
            self.warnings.extend(
                told.map(|told| format!("receiver `{}` of alerts notifies {told}", receiver.name)),
            );
        }
    }

    /// A program for workers that is named must be there.
    fn of_worker(&mut self, config: &Config) {
        let named = config.plugins.worker.as_deref();
        if let Some(named) = named.filter(|named| !named.is_file()) {
            let place = config.document().place(&["plugins", "worker"]);
            let message = format!("there is no file {}", named.display());
            let problem = Problem::new(place, "plugins.worker", message);
            let help =
                "put it there, or take the line out: the one beside the hub's program is used then";
            self.problems.push(problem.with_help(help));
        }
    }

    /// Reads certificates and public keys. A start needs those of the server; an issuer's keys may come
    /// later.
    fn of_certificates(&mut self, config: &Config) {
        let tls = config.server.tls.as_ref();
        if let Some(Err(error)) = tls.map(check_tls_files) {
            let key = match &error {
                TlsError::File { key, .. } => Some(*key),
                _ => None,
            };
            let at: Vec<&str> = ["server", "tls"].into_iter().chain(key).collect();
            let place = config.document().place(&at);
            let message = format!("the hub would not start: failed to {error}");
            self.problems
                .push(Problem::new(place, at.join("."), message));
        }
        let traces = &config.observe.traces;
        if let Err(error) = traces
            .endpoint
            .as_ref()
            .map_or(Ok(()), |_| check_files(traces))
        {
            let at = ["observe", "traces", "ca_file"];
            let message = format!("the hub would not start: {error}");
            self.problems.push(Problem::new(
                config.document().place(&at),
                at.join("."),
                message,
            ));
        }
        for (index, issuer) in config.issuers.iter().enumerate() {
            if let Err(error) = check_issuer_files(issuer) {
                let place = config.document().place(&["issuers", &index.to_string()]);
                let name = &issuer.issuer;
                self.warnings.push(format!(
                    "{place}: issuer {name}: {error}; until then none of its tokens is believed"
                ));
            }
        }
    }

    /// Every section must have its plugin, and a required plugin must be loadable.
    fn of_sections(&mut self, config: &Config, files: &[Surveyed]) {
        for (section, settings) in &config.plugins.named {
            let mine = |file: &&Surveyed| {
                let id = file.manifest.as_ref().map(|manifest| manifest.id.as_str());
                id.and_then(|id| config.plugins.section_name(id)) == Some(section)
            };
            let mut files = files.iter().filter(mine).peekable();
            if files.peek().is_none() {
                if settings.enabled {
                    let folder = config.plugins.dir.display();
                    let message = if settings.required {
                        format!("the required plugin is not in {folder}")
                    } else {
                        format!("there is no such plugin in {folder}")
                    };
                    let problem = config.plugin_problem(section, &[], message);
                    let help = "put its file there, or remove the section";
                    self.problems.push(problem.with_help(help));
                }
            } else if settings.required && files.all(|file| file.refusal.is_some()) {
                let message = "the plugin would be refused, and the hub would not start";
                let problem = config.plugin_problem(section, &["required"], message);
                self.problems
                    .push(problem.with_help("see the reason of the refusal"));
            }
        }
    }

    /// Looks at the plugin files of a configuration that is wrong: what it says of each plugin is
    /// not known, but a file that is no plugin is none in any case.
    fn of_folder_alone(&mut self, file: &Path) {
        let mut config = Config::default();
        config.plugins.dir =
            written_folder(file).unwrap_or_else(|| file.with_file_name(&config.plugins.dir));
        let files = self.of_folder(&config);
        if !files.is_empty() {
            self.notes.push(
                "the plugins' own settings are checked once the above is corrected".to_owned(),
            );
        }
    }

    fn tell(&self, origin: &Origin) {
        for problem in &self.problems {
            output::line(&problem.to_string());
        }
        for refused in &self.refused {
            output::line(&format!("{}: {}", refused.file, refused.refusal));
        }
        for report in &self.refused_contracts {
            let reason = report.refusal.as_deref().unwrap_or_default();
            output::line(&format!("contract file {}: {reason}", report.file));
        }
        for warning in &self.warnings {
            output::line(&format!("warning: {warning}"));
        }
        for note in &self.notes {
            output::line(&format!("note: {note}"));
        }
        if let Some(plan) = &self.plan {
            let told = reload::lines(plan);
            if told.is_empty() {
                output::line("the running hub has this configuration already");
            } else {
                output::line("the running hub would change:");
            }
            for line in told {
                output::line(&format!("  {line}"));
            }
        }
        if self.ok {
            output::line(&match origin {
                Origin::File(path) => format!("ok: {}", path.display()),
                Origin::Defaults => "ok: the defaults".to_owned(),
            });
        }
    }
}

/// Whether the hub, a plugin or a file has a contract for a type.
fn has_contract(event_type: &str, files: &[Surveyed], contracts: &Contracts) -> bool {
    let mut owned = files.iter().flat_map(|file| file.owned.types());
    let hubs = approvals::contracts().into_iter();
    let mut hubs = hubs.chain(alerts::contracts());
    contracts.newest(event_type).is_some()
        || owned.any(|owned| owned == event_type)
        || hubs.any(|contract| contract.event_type == event_type)
}

/// What is wrong with the name of an integration, `plugin/name` or a name that one plugin has.
fn nobody_has(integration: &str, files: &[Surveyed]) -> Option<String> {
    let manifests = files.iter().filter_map(|file| file.manifest.as_ref());
    let full = manifests.flat_map(|manifest| {
        let components = manifest.components.iter();
        let integrations = components.filter(|one| one.kind == ComponentKind::Integration);
        integrations.map(|one| format!("{}/{}", manifest.id, one.name))
    });
    let is_meant = |full: &String| {
        full == integration
            || full
                .rsplit('/')
                .next()
                .is_some_and(|name| name == integration)
    };
    let mut meant: Vec<String> = full.filter(is_meant).collect();
    meant.sort();
    meant.dedup();
    match &*meant {
        [] => Some(format!(
            "`{integration}`, an integration that no plugin in the folder has: each request is a dead letter until one does"
        )),
        [_] => None,
        several => Some(format!(
            "`{integration}`, which is any of {}: name one of them",
            several.join(", ")
        )),
    }
}

/// Folders within the folder of contract files, save for hidden ones: somebody may think they are read.
fn folders_within(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let shown = entries.filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_contract = [".json", ".toml"].iter().any(|end| name.ends_with(end));
        !name.starts_with('.') && !is_contract && entry.path().is_dir()
    });
    let mut told: Vec<String> = shown
        .map(|entry| {
            format!(
                "folder {}: contract files are read from {} itself, not from folders in it; move them up",
                entry.path().display(),
                folder.display()
            )
        })
        .collect();
    told.sort();
    told
}

/// `[plugins] dir` of a file whose other settings may be wrong.
fn written_folder(file: &Path) -> Option<PathBuf> {
    // Whoever opens a pipe may wait for ever.
    let text = file
        .is_file()
        .then(|| std::fs::read_to_string(file))?
        .ok()?;
    let table: toml::Table = text.parse().ok()?;
    let dir = table.get("plugins")?.get("dir")?.as_str()?;
    Some(file.with_file_name(dir))
}
