//! What a start would make of the plugin files, as far as can be told without running any.
//!
//! Receives a configuration, hands on one [`Surveyed`] per file, in the order of a start. The host
//! may still refuse one of them when it is loaded.

use std::io;
use std::path::{Path, PathBuf};

use nexus_host::config::{Config, Problem};
use nexus_host::plugins::{Found, Isolation, Owned, RefusalCode, Refused, examine, scan};
use nexus_plugin_api::abi::Manifest;
use serde::Serialize;

/// A plugin file, looked at.
#[derive(Debug)]
pub(crate) struct Surveyed {
    /// The file.
    pub(crate) path: PathBuf,
    /// What it says of itself, if that could be read.
    pub(crate) manifest: Option<Manifest>,
    /// The contracts that it says it owns.
    pub(crate) owned: Owned,
    /// SHA-256 of its bytes, when those could be read.
    pub(crate) sha256: Option<String>,
    /// Whether the file itself is in order, whatever its settings are.
    pub(crate) is_loadable: bool,
    /// Which of the trusted keys has signed it.
    pub(crate) signed_by: Option<String>,
    /// Where its code would run.
    pub(crate) isolation: Isolation,
    /// Why it would be refused.
    pub(crate) refusal: Option<Refusal>,
    /// What is wrong with its section of the configuration, each with its place.
    pub(crate) problems: Vec<Problem>,
}

/// Why a file would be refused.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Refusal {
    /// Stable code.
    pub(crate) code: &'static str,
    /// What was found, and what was expected instead.
    pub(crate) reason: String,
    /// What to do about it.
    pub(crate) help: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}; {}", self.code, self.reason, self.help)
    }
}

impl Refusal {
    /// Whether the configuration wants it so.
    pub(crate) fn is_wanted(&self) -> bool {
        self.code == RefusalCode::Disabled.as_str()
    }
}

/// Looks at every file in the plugins folder.
///
/// # Errors
/// When the folder is there and cannot be read.
pub(crate) fn folder(config: &Config) -> io::Result<Vec<Surveyed>> {
    let mut all: Vec<Surveyed> = Vec::new();
    for found in scan(&config.plugins)? {
        let mut one = judge(found, config);
        if let Some(first) = all.iter().find(|first| first.takes_id_of(&one)) {
            one.problems.clear();
            one.refusal = Some(Refusal {
                code: RefusalCode::DuplicateId.as_str(),
                reason: format!("the id {} is taken by {}", one.name(), first.path.display()),
                help: "remove one of the two".to_owned(),
            });
        }
        all.push(one);
    }
    Ok(all)
}

/// Looks at one file.
pub(crate) fn file(path: &Path, config: &Config) -> Surveyed {
    let found = Found {
        path: path.to_owned(),
        result: examine(path, &config.plugins),
    };
    judge(found, config)
}

fn judge(Found { path, result }: Found, config: &Config) -> Surveyed {
    let mut owned = Owned::default();
    let mut signed_by = None;
    let is_loadable = result.is_ok();
    let (manifest, sha256, refusal) = match result {
        Ok(candidate) => {
            owned = candidate.owned;
            signed_by = candidate.signed_by;
            (Some(candidate.manifest), Some(candidate.sha256), None)
        }
        Err(Refused {
            manifest,
            sha256,
            refusal,
        }) => {
            let refusal = Refusal {
                code: refusal.code.as_str(),
                reason: refusal.reason,
                help: refusal.help.into_owned(),
            };
            (manifest.map(|manifest| *manifest), sha256, Some(refusal))
        }
    };
    let settings = manifest
        .as_ref()
        .and_then(|manifest| config.plugins.get(&manifest.id));
    let problems = match (&manifest, &refusal) {
        (Some(manifest), None) => config.check_plugin_config(&manifest.id, &manifest.config_schema),
        _ => Vec::new(),
    };
    let refusal = refusal.or_else(|| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        (!lines.is_empty()).then(|| Refusal {
            code: RefusalCode::BadConfig.as_str(),
            reason: lines.join(" | "),
            help: "correct the plugin's section".to_owned(),
        })
    });
    Surveyed {
        path,
        isolation: settings.map_or(Isolation::default(), |settings| settings.isolation),
        manifest,
        owned,
        sha256,
        is_loadable,
        signed_by,
        refusal,
        problems,
    }
}

impl Surveyed {
    /// The plugin's id, or the file's name when it has none.
    pub(crate) fn name(&self) -> String {
        match &self.manifest {
            Some(manifest) => manifest.id.clone(),
            None => self
                .path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
        }
    }

    fn takes_id_of(&self, other: &Self) -> bool {
        let id = |one: &Self| one.manifest.as_ref().map(|manifest| manifest.id.clone());
        self.is_loadable && other.is_loadable && id(self).is_some() && id(self) == id(other)
    }
}
