//! `nexus plugin lock`: receives plugin files that are right, hands on their hashes for the configuration, as lines or
//! into the file itself. Nothing of a plugin is run, and a file that a start would refuse is not listed.

mod edit;

use std::collections::BTreeMap;
use std::path::Path;

use nexus_host::config::{Config, Place, Sha256};
use nexus_host::plugins::RefusalCode;
use serde::Serialize;

use crate::cli::{Common, Lock};
use crate::configuration::Origin;
use crate::failure::Failure;
use crate::survey::{self, Surveyed};
use crate::{output, write};

/// The hashes of one section, `[plugins.NAME]`.
#[derive(Debug, Serialize)]
struct Locked {
    /// Those that are right from now on.
    sha256: Vec<String>,
    /// Those that the configuration lists so far.
    before: Vec<String>,
}

/// Lists hashes.
///
/// # Errors
/// When a file would be refused for another reason than its hash, or the configuration cannot be changed.
pub(crate) fn lock(common: &Common, options: &Lock) -> Result<(), Failure> {
    let origin = Origin::of(common);
    let config = origin.load_without_secrets()?;
    let files = right_files(&config, options)?;
    let locked = hashes(&config, &files, options.add);
    let lines = edit::lines(&locked);
    if options.write {
        write_to(&origin, &config, &locked)?;
    }
    if common.json {
        output::json(&locked);
        return Ok(());
    }
    if options.write {
        for (section, locked) in &locked {
            output::line(&locked.change(section));
        }
    } else {
        output::note("Below: for nexus.toml; --write writes it there.\n");
        output::line(&lines);
    }
    Ok(())
}

/// The files that are to be listed, all of them in order.
fn right_files(config: &Config, options: &Lock) -> Result<Vec<Surveyed>, Failure> {
    let mut unlocked = config.clone();
    unlocked.plugins.locked = false;
    for settings in unlocked.plugins.named.values_mut() {
        settings.sha256.clear();
    }
    let files = if options.files.is_empty() {
        let folder = config.plugins.dir.display();
        survey::folder(&unlocked)
            .map_err(|error| Failure::failed(format!("the plugins folder {folder}: {error}")))?
    } else {
        let files = options.files.iter();
        files.map(|file| survey::file(file, &unlocked)).collect()
    };
    let mut right = Vec::new();
    let mut refused = Vec::new();
    for file in files {
        match &file.refusal {
            Some(refusal) if refusal.is_wanted() => {
                output::note(&format!("{}: {refusal}", file.path.display()));
            }
            // Settings are no matter of the file.
            Some(refusal) if refusal.code != RefusalCode::BadConfig.as_str() => {
                refused.push(format!("{}: {refusal}", file.path.display()));
            }
            _ => right.push(file),
        }
    }
    if !refused.is_empty() {
        return Err(Failure::failed(format!(
            "nothing is locked while a file would be refused:\n{}",
            refused.join("\n")
        )));
    }
    if right.is_empty() {
        return Err(Failure::failed("there is no plugin file to lock"));
    }
    Ok(right)
}

/// By section, under the name that the configuration has for it.
fn hashes(config: &Config, files: &[Surveyed], keep: bool) -> BTreeMap<String, Locked> {
    let mut all: BTreeMap<String, Locked> = BTreeMap::new();
    for file in files {
        let id = file.name();
        let section = config.plugins.section_name(&id).unwrap_or(&id);
        let listed = config.plugins.get(&id).map(|settings| &settings.sha256);
        let before = || listed.into_iter().flatten().map(Sha256::to_string);
        let locked = all.entry(section.to_owned()).or_insert_with(|| Locked {
            sha256: before().filter(|_| keep).collect(),
            before: before().collect(),
        });
        let hash = file
            .sha256
            .iter()
            .filter(|new| !locked.sha256.contains(new));
        locked.sha256.extend(hash.cloned().collect::<Vec<_>>());
    }
    all
}

impl Locked {
    fn is_new(&self) -> bool {
        self.sha256 != self.before
    }

    fn change(&self, section: &str) -> String {
        let now = self.sha256.join(" or ");
        match self.before.as_slice() {
            _ if !self.is_new() => format!("{section}: {now}, as before"),
            [] => format!("{section}: {now}, where any was right before"),
            before => format!(
                "{section}: {now}, where {} was right before",
                before.join(" or ")
            ),
        }
    }
}

/// Changes the configuration file.
fn write_to(
    origin: &Origin,
    config: &Config,
    locked: &BTreeMap<String, Locked>,
) -> Result<(), Failure> {
    let path = origin.path();
    let failed = |why: String| Failure::failed(format!("{}: {why}", path.display()));
    for section in locked.keys() {
        check_place(config, section, path).map_err(failed)?;
    }
    if locked.values().all(|locked| !locked.is_new()) {
        return Ok(());
    }
    let text = match origin {
        Origin::File(path) => {
            std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?
        }
        Origin::Defaults => String::new(),
    };
    let mut edited = edit::with_hashes(&text, locked).map_err(failed)?;
    // The editor writes line feeds alone.
    if text.contains("\r\n") {
        edited = edited.replace('\n', "\r\n");
    }
    write::replace(path, &edited).map_err(|error| failed(error.to_string()))
}

/// What another layer lists would still hold after the file was changed.
fn check_place(config: &Config, section: &str, path: &Path) -> Result<(), String> {
    let at = ["plugins", section, "sha256"];
    if !config.document().is_written(&at) {
        return Ok(());
    }
    match config.document().place(&at) {
        Place::File { path: written, .. } if *written == *path => Ok(()),
        place => Err(format!(
            "the hashes of {section} are listed in {place}, which counts more; change them there"
        )),
    }
}
