//! The contracts of plugins and of files together: receives a registry that plugins have brought theirs to, adds
//! those of the files, and puts it in place. A file never takes the place of a plugin's contract.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::StartError;
use crate::admission::{
    ContractFile, Contracts, Draft, FileReport, HUB, Offer, offer_files, scan_files,
};
use crate::config::Config;
use crate::current::Current;
use crate::plugins::port::ContractStore;
use crate::{alerts, approvals};

pub(super) struct Registry {
    contracts: Arc<Contracts>,
    files: Mutex<Vec<ContractFile>>,
    reports: Current<Vec<FileReport>>,
}

impl Registry {
    /// # Errors
    /// When a rule cannot be used, or the folder not be read.
    pub(super) fn new(config: &Config) -> Result<Self, StartError> {
        let contracts = Contracts::with_rules(&config.rules).map_err(StartError::Rule)?;
        contracts.put(with_own(contracts.draft()));
        Ok(Self {
            contracts: Arc::new(contracts),
            files: Mutex::new(read(config)?),
            reports: Current::default(),
        })
    }

    pub(super) fn contracts(&self) -> &Arc<Contracts> {
        &self.contracts
    }

    /// What became of each file.
    pub(super) fn reports(&self) -> Arc<Vec<FileReport>> {
        self.reports.get()
    }

    /// Begins a registry for another configuration, and reads the files that it names, for
    /// [`Registry::take_files`].
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(super) fn renewal(
        &self,
        config: &Config,
    ) -> Result<(Draft, Vec<ContractFile>), StartError> {
        let draft = self.contracts.draft().asking(&config.rules);
        let draft = draft.map_err(StartError::Rule)?;
        Ok((with_own(draft), read(config)?))
    }

    /// Takes up other files, to be registered with whatever is put in place next.
    pub(super) fn take_files(&self, files: Vec<ContractFile>) {
        *self.files.lock() = files;
    }
}

impl ContractStore for Registry {
    fn draft(&self) -> Draft {
        with_own(self.contracts.draft())
    }

    fn put(&self, mut draft: Draft) {
        let reports = offer_files(&self.files.lock(), &mut draft);
        self.contracts.put(draft);
        let before = self.reports.set(reports);
        let now = self.reports.get();
        for report in now.iter().filter(|report| !before.contains(report)) {
            match &report.refusal {
                None => tracing::info!(file = report.file, "contract file registered"),
                Some(reason) => {
                    tracing::warn!(file = report.file, "contract file refused: {reason}");
                }
            }
            for warning in &report.warnings {
                tracing::warn!(file = report.file, "contract file: {warning}");
            }
        }
    }
}

/// A registry in the making that has the hub's own contracts.
fn with_own(mut draft: Draft) -> Draft {
    let mut own = approvals::contracts();
    own.extend(alerts::contracts());
    let taken = draft.take(Offer {
        owner: HUB,
        contracts: &own,
        migrations: &[],
        migrator: None,
    });
    taken.expect("the hub's own contracts are in order, and nobody else has any of their types");
    draft
}

fn read(config: &Config) -> Result<Vec<ContractFile>, StartError> {
    let folder: Option<&Path> = config.plugins.contracts_dir.as_deref();
    let read = folder.map(|folder| {
        scan_files(folder).map_err(|source| StartError::Contracts {
            path: folder.to_owned(),
            source,
        })
    });
    read.unwrap_or_else(|| Ok(Vec::new()))
}
