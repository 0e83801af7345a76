//! Libraries that were taken into use: what is loaded into this process stays in its memory for ever, so that it
//! is counted, bounded, and used again when the same file comes back.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nexus_plugin_api::abi::RootV1_Ref;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::config::{Config, Isolation};
use super::discover::Candidate;
use super::load::Copies;
use super::refusal::{Refusal, RefusalCode as Code};

/// A library that was checked.
#[derive(Clone)]
pub(super) enum Library {
    /// It is loaded here.
    Loaded(RootV1_Ref),
    /// There is a copy of it that workers load.
    Copied {
        path: PathBuf,
        sha256: [u8; 32],
        /// The folder that the copy is in.
        copies: Arc<Copies>,
    },
}

/// What was loaded into this process, by plugin.
#[derive(Default)]
pub(super) struct Generations(Mutex<HashMap<String, Vec<Generation>>>);

struct Generation {
    sha256: [u8; 32],
    /// Nothing is tried twice that runs a library's initialisers.
    root: Result<RootV1_Ref, Refusal>,
    bytes: u64,
}

/// What a plugin's libraries cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LibraryCost {
    /// Libraries of this plugin that are loaded into the hub: the one in use, and those before it.
    pub loaded: usize,
    /// Octets of the files that those before it were.
    pub resting_bytes: u64,
}

impl Generations {
    /// Takes a library into use: as it was loaded before, or loads it, or leaves that to workers.
    pub(super) async fn take(
        &self,
        candidate: &Arc<Candidate>,
        isolation: Isolation,
        config: &Config,
        copies: &Arc<Copies>,
    ) -> Result<Library, Refusal> {
        if isolation == Isolation::Process {
            let (of, to) = (candidate.clone(), copies.clone());
            let written = spawn_blocking(move || to.write(&of)).await;
            return Ok(Library::Copied {
                path: written
                    .map_err(|error| failed(error.to_string()))
                    .flatten()?,
                sha256: candidate.digest,
                copies: copies.clone(),
            });
        }
        if let Some(root) = self.find(candidate, config.max_generations)? {
            return Ok(Library::Loaded(root));
        }
        let limit = config.init_timeout.get();
        let root = match load(candidate.clone(), copies.clone(), limit).await {
            // Nothing of it stays, and what was missing may be there the next time.
            Some(Err(refusal)) if refusal.code == Code::LoadFailed => return Err(refusal),
            Some(loaded) => loaded,
            None => Err(failed(format!(
                "its initialisers do not end within {limit:?}"
            ))),
        };
        let mut all = self.0.lock();
        let of_plugin = all.entry(candidate.manifest.id.clone()).or_default();
        of_plugin.push(Generation {
            sha256: candidate.digest,
            root: root.clone(),
            bytes: candidate.bytes.len() as u64,
        });
        root.map(Library::Loaded)
    }

    /// The library as it was loaded before.
    ///
    /// # Errors
    /// When it could not be loaded then, or no other may be.
    fn find(&self, candidate: &Candidate, most: usize) -> Result<Option<RootV1_Ref>, Refusal> {
        let all = self.0.lock();
        let of_plugin = all
            .get(&candidate.manifest.id)
            .map_or(&[][..], Vec::as_slice);
        if let Some(known) = of_plugin.iter().find(|one| one.sha256 == candidate.digest) {
            return known.root.clone().map(Some);
        }
        if of_plugin.len() < most {
            return Ok(None);
        }
        let reason = format!(
            "{} libraries of this plugin are loaded already, and none is ever unloaded",
            of_plugin.len()
        );
        let help =
            "start the hub again, raise plugins.max_generations, or use isolation = \"process\"";
        Err(Refusal::new(Code::TooManyGenerations, reason, help))
    }

    /// What a plugin's libraries cost, of which `in_use` is no burden.
    pub(super) fn cost(&self, plugin: &str, in_use: Option<&str>) -> LibraryCost {
        let all = self.0.lock();
        let loaded = all.get(plugin).map_or(&[][..], Vec::as_slice);
        let rests = |one: &&Generation| in_use != Some(&*hex::encode(one.sha256));
        LibraryCost {
            loaded: loaded.len(),
            resting_bytes: loaded.iter().filter(rests).map(|one| one.bytes).sum(),
        }
    }
}

/// Loads a library, on a thread that it may keep: its initialisers run, and may block. `None` when they do.
async fn load(
    candidate: Arc<Candidate>,
    copies: Arc<Copies>,
    limit: Duration,
) -> Option<Result<RootV1_Ref, Refusal>> {
    let loading = spawn_blocking(move || copies.load(&candidate));
    let loaded = timeout(limit, loading).await.ok()?;
    Some(loaded.map_err(|error| failed(error.to_string())).flatten())
}

fn failed(reason: String) -> Refusal {
    let help =
        "see the plugin's own documentation; isolation = \"process\" keeps the hub out of it";
    Refusal::new(Code::LoadFailed, reason, help)
}
