//! Contract files at start: receives the configured folder, registers what it holds, and tells of each file
//! that is refused. It stops for none of them.

use super::StartError;
use crate::admission::{Contracts, FileReport, register_files};
use crate::config::Config;

pub(super) fn register(
    config: &Config,
    contracts: &Contracts,
) -> Result<Vec<FileReport>, StartError> {
    let Some(folder) = &config.plugins.contracts_dir else {
        return Ok(Vec::new());
    };
    let reports = register_files(folder, contracts).map_err(|source| StartError::Contracts {
        path: folder.clone(),
        source,
    })?;
    for report in &reports {
        match &report.refusal {
            None => tracing::info!(file = report.file, "contract file registered"),
            Some(reason) => tracing::warn!(file = report.file, "contract file refused: {reason}"),
        }
        for warning in &report.warnings {
            tracing::warn!(file = report.file, "contract file: {warning}");
        }
    }
    Ok(reports)
}
