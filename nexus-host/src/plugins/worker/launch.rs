//! Starting a worker: receives what it is to load, hands on one that has loaded it, or why there is none.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nexus_plugin_api::abi::HostService;
use nexus_plugin_api::wire::Description;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::super::load::Copies;
use super::super::refusal::{Refusal, RefusalCode as Code};
use super::super::service::PluginService;
use super::frame::{self, Library, Limits, Paths, ToHub, ToWorker, VERSION};
use super::line::{Running, Worker, overhear};
use super::lives::Lives;
use super::usage::Usage;
use super::{MARK, wire};
use crate::processes;

/// What a process needs of its environment, whatever it is.
const VARIABLES: [&str; 10] = [
    "LANG",
    "LC_ALL",
    "PATH",
    "RUST_BACKTRACE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "SystemRoot",
    "TEMP",
    "TMPDIR",
    "TZ",
];

/// What shows something on a desktop needs of it.
const OF_DESKTOPS: [&str; 6] = [
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "HOME",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
];

/// What a worker is started with, again and again.
pub(in crate::plugins) struct Recipe {
    pub(in crate::plugins) executable: PathBuf,
    /// The plugin's id.
    pub(in crate::plugins) plugin: String,
    /// The copy of its library.
    pub(in crate::plugins) library: PathBuf,
    /// The folder that the copy is in lasts as long as this.
    pub(in crate::plugins) _copies: Arc<Copies>,
    pub(in crate::plugins) sha256: [u8; 32],
    pub(in crate::plugins) entry: String,
    /// What the plugin may use of the system.
    pub(in crate::plugins) memory: u64,
    pub(in crate::plugins) descriptors: u64,
    /// Processors, on average; `None` for all there are.
    pub(in crate::plugins) cpu: Option<f64>,
    /// Files that it may read and write beside those of the system; `None` for all that the hub may.
    pub(in crate::plugins) files: Option<(Vec<PathBuf>, Vec<PathBuf>)>,
    /// Further variables of the environment.
    pub(in crate::plugins) variables: Vec<String>,
    /// Whether it shows something on a desktop.
    pub(in crate::plugins) desktop: bool,
    pub(in crate::plugins) service: Arc<PluginService>,
    /// What becomes of the workers.
    pub(in crate::plugins) lives: Arc<Lives>,
    /// How long it may take to be ready.
    pub(in crate::plugins) limit: Duration,
}

/// A worker that has loaded its library.
pub(super) struct Loaded {
    pub(super) running: Running,
    pub(super) description: Description,
}

impl Recipe {
    /// Starts a worker. To be called where its keeper runs.
    pub(super) async fn load(&self) -> Result<Loaded, Refusal> {
        let late = || {
            Refusal::new(
                Code::InitTimeout,
                format!("its worker has not loaded it within {:?}", self.limit),
                "raise plugins.init_timeout",
            )
        };
        timeout(self.limit, self.begin())
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    async fn begin(&self) -> Result<Loaded, Refusal> {
        let (mut child, mut reader, mut writer) = wire::start(self.command()).map_err(|error| {
            Refusal::new(
                Code::NoWorker,
                format!("{} does not start: {error}", self.executable.display()),
                "check the file that [plugins] worker names",
            )
        })?;
        if let Some(output) = child.stderr.take() {
            let redaction = self.service.redaction.clone();
            tokio::spawn(overhear(self.plugin.clone(), output, redaction));
        }
        let nonce: [u8; 16] = rand::random();
        let died = |error: &dyn std::fmt::Display| {
            Refusal::new(
                Code::WorkerDied,
                format!("its worker has ended while it loaded the library: {error}"),
                "see what it has written to the log",
            )
        };
        let load = self.first(nonce)?;
        writer
            .write_all(&load)
            .await
            .map_err(|error| died(&error))?;
        let mut bytes = Vec::new();
        let told = loop {
            match frame::next(&mut reader, &mut bytes).await {
                Ok(true) => {}
                Ok(false) => return Err(died(&"it said nothing")),
                Err(error) => return Err(died(&error)),
            }
            match frame::read(&bytes).map_err(|error| died(&error))? {
                ToHub::Log(record) => self.service.log(&record.v1()),
                told => break told,
            }
        };
        let description = match told {
            ToHub::Refused(refusal) => return Err(refusal),
            ToHub::Loaded {
                version: VERSION,
                nonce: answered,
                sha256,
                description,
                mut missing,
            } if answered == nonce && sha256 == self.sha256 => {
                if self.cpu.is_some() && !processes::ARE_COUNTED {
                    missing.push("cpu");
                }
                if !missing.is_empty() {
                    let plugin = &self.plugin;
                    tracing::debug!(plugin, ?missing, "this system cannot hold a worker to that");
                }
                serde_json::from_slice(description).map_err(|error| died(&error))?
            }
            ToHub::Loaded { version, .. } => {
                return Err(Refusal::new(
                    Code::NoWorker,
                    format!(
                        "the worker is not of this hub: it speaks version {version}, and is expected to speak {VERSION}"
                    ),
                    "use the worker that was built with the hub",
                ));
            }
            _ => return Err(died(&"it began with what does not belong there")),
        };
        let worker = Worker {
            child,
            reader,
            writer,
            service: self.service.clone(),
            _life: self.lives.begin(),
            usage: self.cpu.map(Usage::of_at_most),
        };
        Ok(Loaded {
            running: worker.run(),
            description,
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command.arg("--plugin").arg(&self.plugin);
        command.env_clear().envs(self.environment()).env(MARK, "1");
        command.stderr(Stdio::piped()).kill_on_drop(true);
        // Who interrupts the hub at its terminal means the hub, which may still need its workers.
        #[cfg(unix)]
        command.process_group(0);
        if let Some(folder) = self.library.parent() {
            command.current_dir(folder);
        }
        command
    }

    fn environment(&self) -> impl Iterator<Item = (String, OsString)> {
        let of_desktops = OF_DESKTOPS.iter().filter(|_| self.desktop);
        let names = VARIABLES
            .iter()
            .chain(of_desktops)
            .map(|name| (*name).to_owned());
        let names = names.chain(self.variables.iter().cloned());
        names.filter_map(|name| std::env::var_os(&name).map(|value| (name, value)))
    }

    /// The first frame.
    fn first(&self, nonce: [u8; 16]) -> Result<Vec<u8>, Refusal> {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let paths = |paths: &[PathBuf]| paths.iter().map(|one| path(one)).collect::<Vec<_>>();
        let files = self
            .files
            .as_ref()
            .map(|(read, write)| (paths(read), paths(write)));
        let library = path(&self.library);
        let load = ToWorker::Load {
            version: VERSION,
            nonce,
            library: Library {
                path: &library,
                sha256: self.sha256,
                entry: &self.entry,
            },
            limits: Limits {
                memory: self.memory,
                descriptors: self.descriptors,
                paths: files.as_ref().map(|(read, write)| Paths {
                    read: read.iter().map(String::as_str).collect(),
                    write: write.iter().map(String::as_str).collect(),
                }),
            },
        };
        frame::written(&load).map_err(|error| {
            let help = "give the plugin fewer and shorter paths";
            Refusal::new(Code::NoWorker, error.message, help)
        })
    }
}
