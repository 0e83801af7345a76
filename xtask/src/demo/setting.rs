//! Where a demonstration takes place: a folder of its own, keys, ports and a configuration.
//!
//! Receives the stage, writes the configuration the hub runs with. The keys are made by the real
//! command, held in memory and shown to the person at the terminal alone.

use std::fs::{self, File, TryLockError};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::console::say;
use crate::failure::{Failure, Result, Tried as _};
use crate::stage::Stage;

pub(crate) const HUB_PORT: u16 = 7070;
pub(crate) const TOASTY_PORT: u16 = 7072;

/// How many demonstrations of one stage may run side by side.
const FOLDERS: u32 = 9;

/// A folder that no other demonstration uses while this value lives.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    /// Released by the system with the process, however it ends.
    _lock: File,
}

/// A client of the hub.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) key: String,
    /// Its lines for the configuration.
    toml: String,
}

impl Folder {
    /// `demo` in the stage, or `demo-2` and so on where another demonstration runs in that.
    pub(crate) fn take(stage: &Stage) -> Result<Self> {
        for number in 1..=FOLDERS {
            let name = match number {
                1 => "demo".to_owned(),
                more => format!("demo-{more}"),
            };
            let path = stage.folder.join(name);
            fs::create_dir_all(&path).tried(format_args!("create {}", path.display()))?;
            let lock = path.join("lock");
            let lock = File::create(&lock).tried(format_args!("create {}", lock.display()))?;
            match lock.try_lock() {
                Ok(()) => return Ok(Self { path, _lock: lock }),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error).tried("lock a folder"),
            }
        }
        Err(Failure::new(format!(
            "{FOLDERS} demonstrations run already in {}; stop one",
            stage.folder.display()
        )))
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Makes a client with the hub's own command.
pub(crate) fn identity(nexus: &Path, options: &[&str]) -> Result<Identity> {
    let mut command = Command::new(nexus);
    command.args(["key", "new", "--json"]).args(options);
    let output = without_hub_variables(&mut command)
        .output()
        .tried("run nexus key new")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(Failure::new(format!("nexus key new failed: {said}")));
    }
    let made: Value = serde_json::from_slice(&output.stdout).tried("read the new key")?;
    let text = |name: &str| {
        let value = made[name].as_str().map(str::to_owned);
        value.ok_or_else(|| Failure::new(format!("nexus key new told no `{name}`")))
    };
    Ok(Identity {
        key: text("key")?,
        toml: text("toml")?,
    })
}

/// The wished port, or a free one with a line that says so.
pub(crate) fn free_port(wished: u16, whose: &str) -> Result<SocketAddr> {
    let wish = SocketAddr::from((Ipv4Addr::LOCALHOST, wished));
    if TcpListener::bind(wish).is_ok() {
        return Ok(wish);
    }
    let any = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .tried("find a free port")?;
    say!(
        "  note    port {wished} is taken; {whose} listens on {} instead",
        any.port()
    );
    Ok(any)
}

/// Writes the hub's configuration into `folder`.
pub(crate) fn write_config(
    folder: &Folder,
    hub: SocketAddr,
    toasty: SocketAddr,
    clients: &[&Identity],
    more: &str,
) -> Result<PathBuf> {
    let clients: Vec<&str> = clients.iter().map(|client| client.toml.as_str()).collect();
    let text = format!(
        "# Written anew by each `cargo xtask demo`: copy it before you change it.

[server]
http = \"{hub}\"

[plugins]
dir = \"../plugins\"

[plugins.toasty.config]
endpoint = \"http://{toasty}\"

{more}
# The keys themselves are written nowhere; `nexus key new` made them and their hashes.

{}
",
        clients.join("\n\n")
    );
    let path = folder.file("nexus.toml");
    fs::write(&path, text).tried(format_args!("write {}", path.display()))?;
    Ok(path)
}

/// Takes away what this shell may have set for another hub.
pub(crate) fn without_hub_variables(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let concerns_a_hub = name
            .to_str()
            .is_some_and(|name| name.starts_with("NEXUS_") && name != "NEXUS_LOG");
        if concerns_a_hub {
            command.env_remove(name);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_taken_port_is_replaced_and_a_folder_in_use_is_passed_over() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let other = free_port(port, "nobody").unwrap();
        assert_ne!(other.port(), port);

        let path = std::env::temp_dir().join(format!("xtask-setting-{}", std::process::id()));
        let stage = Stage {
            folder: path.clone(),
            plugins: Vec::new(),
        };
        let first = Folder::take(&stage).unwrap();
        let second = Folder::take(&stage).unwrap();
        assert!(first.path.ends_with("demo") && second.path.ends_with("demo-2"));
        drop(first);
        // A process that another test is just starting has the lock too, until it runs its own program.
        let until = Instant::now() + Duration::from_secs(10);
        while !Folder::take(&stage).unwrap().path.ends_with("demo") {
            assert!(Instant::now() < until, "it is free again");
            std::thread::yield_now();
        }
        fs::remove_dir_all(path).unwrap();
    }
}
