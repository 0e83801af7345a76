//! The file alone: receives bytes that nobody has run, hands on what a hub would start, and says what is wrong.

use std::path::Path;
use std::sync::Arc;

use nexus_host::admission::Contracts;
use nexus_host::config::Config;
use nexus_host::plugins::{Candidate, Refusal, examine};
use nexus_plugin_api::ContractInfo;
use semver::Version;

use crate::report::{Check, Ledger};

/// Looks at a file. `None` when there is nothing to start.
pub(crate) fn check(
    file: &Path,
    config: &Config,
    ledger: &mut Ledger<'_>,
) -> Option<Arc<Candidate>> {
    let mut check = Check::new(
        "file",
        "library, target, interface, panic strategy and manifest",
    );
    let candidate = match examine(file, &config.plugins) {
        Ok(candidate) => Arc::new(candidate),
        Err(refused) => {
            check.fail(told(&refused.refusal), "");
            ledger.add(check);
            return None;
        }
    };
    ledger.add(check);
    let manifest = &candidate.manifest;
    ledger.report.sha256 = Some(candidate.sha256.clone());
    ledger.report.plugin = Some(format!("{} {}", manifest.id, manifest.version));
    ledger.add(settings_schema(&manifest.config_schema));
    let mut settings = Check::new("file", "its settings are accepted");
    for problem in config.check_plugin_config(&manifest.id, &manifest.config_schema) {
        settings.fail(problem.to_string(), "");
    }
    let is_accepted = settings.findings.is_empty();
    ledger.add(settings);
    is_accepted.then_some(candidate)
}

/// A refusal in one line.
pub(crate) fn told(refusal: &Refusal) -> String {
    format!("a hub refuses it: {refusal}")
}

/// Held to what the schemas of contracts are held to.
fn settings_schema(schema: &serde_json::Value) -> Check {
    let mut check = Check::new("file", "the schema of its settings is one");
    let contracts = Contracts::default();
    let version = Version::new(1, 0, 0);
    let info = ContractInfo::new("settings.schema", version.clone(), schema.clone());
    match contracts.register("settings", info) {
        Err(conflict) => check.fail(conflict.to_string(), ""),
        Ok(()) => {
            let contract = contracts.get("settings.schema", &version);
            for slip in contract.iter().flat_map(|contract| contract.slips()) {
                check.remark(slip, "");
            }
        }
    }
    check
}
