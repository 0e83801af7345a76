//! `nexus queue fsck`: receives a configuration, tells what is damaged in the queue's file, and has it
//! mended if asked to.
//!
//! Exit code 0 when all is sound or was mended, 1 when something is damaged, 2 when there is no file
//! to look at.

use nexus_host::queue::config::Backend;
use nexus_host::queue::{self, OpenError, Report};

use crate::cli::{Common, Fsck};
use crate::configuration;
use crate::failure::Failure;
use crate::output;

/// Checks the file.
///
/// # Errors
/// When it cannot be checked, or is damaged.
pub(crate) fn fsck(common: &Common, options: &Fsck) -> Result<(), Failure> {
    let config = configuration::load(common)?;
    if config.queue.backend != Backend::Sqlite {
        return Err(Failure::usage(
            "there is no file to check: queue.backend is \"memory\"",
        ));
    }
    let report = queue::fsck(&config.queue.sqlite.path, options.repair).map_err(refused)?;
    if common.json {
        output::json(&report);
    } else {
        tell(&report);
    }
    match report.findings.iter().all(|finding| finding.is_mended) {
        true => Ok(()),
        false => Err(Failure::told()),
    }
}

fn refused(error: OpenError) -> Failure {
    match error {
        OpenError::InUse { path } => Failure::usage(format!(
            "the queue {} is in use: stop the hub that works with it, then ask again",
            path.display()
        )),
        OpenError::Damaged { .. } | OpenError::Sqlite { .. } => Failure::failed(error.to_string()),
        _ => Failure::usage(error.to_string()),
    }
}

fn tell(report: &Report) {
    for finding in &report.findings {
        let row = finding.row.map(|row| format!(" {row}")).unwrap_or_default();
        let mended = if finding.is_mended { " (mended)" } else { "" };
        output::line(&format!(
            "{}{row}: {}{mended}",
            finding.table, finding.reason
        ));
    }
    if let Some(rebuilt) = &report.rebuilt {
        for (table, rows) in rebuilt.saved.iter().filter(|(_, rows)| *rows > 0) {
            output::line(&format!("saved {rows} of {table}"));
        }
        output::line(&format!(
            "the damaged file is {}",
            rebuilt.damaged.display()
        ));
    }
    for row in &report.quarantine {
        output::line(&format!(
            "in quarantine since {}: {} {}: {}",
            row.at.to_rfc3339(),
            row.table,
            row.row,
            row.reason
        ));
    }
    if report.is_sound() {
        output::line("the queue is sound");
    } else if !report.findings.iter().all(|finding| finding.is_mended) {
        output::note("nothing was changed; see --repair");
    }
}
