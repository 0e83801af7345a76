//! Plugins in processes of their own. The hub's side starts workers, hands calls to them and starts others when
//! they die; the worker's side holds one plugin. Both speak in frames over a pair of sockets.
//!
//! Receives a library that was checked, hands on a plugin that is called like any other. Nothing of the library
//! runs in the hub.

mod frame;
mod keeper;
mod launch;
mod line;
mod lives;
mod pool;
mod sandbox;
mod serve;
mod service;
mod suspects;
mod usage;
mod wire;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(any(test, feature = "fuzz"))]
pub(super) use frame::expect_same_again;
pub(super) use keeper::Keeper;
pub(super) use launch::Recipe;
pub use lives::Lives;
pub(super) use pool::{First, Workers};

use super::refusal::{Refusal, RefusalCode as Code};

/// The variable of the environment by which a process is told that it is to be a worker.
const MARK: &str = "NEXUS_PLUGIN_WORKER";

/// The program that is a worker and nothing else, beside the host's own.
const PROGRAM: &str = "nexus-plugin-worker";

/// Whether this program can be its own worker.
static SERVES: AtomicBool = AtomicBool::new(false);

/// Lets this program serve as the worker of its own hub: plugins with `isolation = "process"` need one.
///
/// To be called first in `main`. It returns at once, except in a process that a hub has started as a worker:
/// there it serves the hub and never returns.
///
/// ```
/// nexus_host::worker::serve_if_asked();
/// // ... the program itself
/// ```
pub fn serve_if_asked() {
    if std::env::var_os(MARK).is_some() {
        serve::serve();
    }
    SERVES.store(true, Ordering::Relaxed);
}

/// The program that workers run: the one that the configuration names, the one beside the hub's own, or the
/// hub's own.
pub(super) fn program(configured: Option<&Path>) -> Result<PathBuf, Refusal> {
    if let Some(named) = configured {
        return match named.is_file() {
            true => Ok(named.to_owned()),
            false => Err(Refusal::new(
                Code::NoWorker,
                format!(
                    "there is no file {}, which [plugins] worker names",
                    named.display()
                ),
                "put it there, or take the line out: the one beside the hub's program is used then",
            )),
        };
    }
    let own = std::env::current_exe().ok();
    let beside = own.as_ref().map(|own| {
        let program = format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX);
        own.with_file_name(program)
    });
    if let Some(beside) = beside.filter(|beside| beside.is_file()) {
        return Ok(beside);
    }
    own.filter(|_| SERVES.load(Ordering::Relaxed))
        .ok_or_else(|| {
            Refusal::new(
                Code::NoWorker,
                format!("there is no {PROGRAM} beside the hub's program"),
                "put it there, name it in [plugins] worker, or have the program call \
             `nexus_host::worker::serve_if_asked` first",
            )
        })
}
