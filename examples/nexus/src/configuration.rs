//! Which configuration a command works with: receives `--config`, hands on a checked [`Config`].
//!
//! Secrets are for those who run the hub or check what it needs. Everybody else reads the rest.
//!
//! A file that was named must be there. `nexus.toml` in the current folder need not; then the
//! defaults hold, and that is said.

use std::path::{Path, PathBuf};

use nexus_host::config::{Config, ConfigErrors, Loader};

use crate::cli::Common;
use crate::output;

/// The file that is read when none is named.
const DEFAULT_FILE: &str = "nexus.toml";

/// Where the configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A file that is there, or was named and so must be.
    File(PathBuf),
    /// No file was named, and there is no `nexus.toml`.
    Defaults,
}

impl Origin {
    /// Finds it.
    pub(crate) fn of(common: &Common) -> Self {
        // An empty NEXUS_CONFIG names nothing, as an unset one.
        let named = common.config.as_ref();
        match named.filter(|path| !path.as_os_str().is_empty()) {
            Some(named) => Self::File(named.clone()),
            // Also one that cannot be read: then its error is told, not hidden.
            None if Path::new(DEFAULT_FILE).symlink_metadata().is_ok() => {
                Self::File(PathBuf::from(DEFAULT_FILE))
            }
            None => Self::Defaults,
        }
    }

    /// The file, or the one that would be read if it were there.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Defaults => Path::new(DEFAULT_FILE),
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// Every mistake in it, each with its place.
    pub(crate) fn load(&self) -> Result<Config, ConfigErrors> {
        self.loader().load()
    }

    /// Reads it without the secrets it names.
    ///
    /// # Errors
    /// Every other mistake in it, each with its place.
    pub(crate) fn load_without_secrets(&self) -> Result<Config, ConfigErrors> {
        self.loader().without_secrets().load()
    }

    /// How it is read.
    pub(crate) fn loader(&self) -> Loader {
        let loader = Loader::new(self.path()).variables(std::env::vars_os());
        match self {
            Self::File(_) => loader,
            Self::Defaults => loader.allow_missing_file(),
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Defaults => {
                write!(
                    f,
                    "no {DEFAULT_FILE} in this folder: every setting has its default"
                )
            }
        }
    }
}

/// The configuration without its secrets, with a note when it is all defaults.
///
/// # Errors
/// Every mistake in it, each with its place.
pub(crate) fn load(common: &Common) -> Result<Config, ConfigErrors> {
    let origin = Origin::of(common);
    let config = origin.load_without_secrets()?;
    if origin == Origin::Defaults {
        output::note(&origin.to_string());
    }
    Ok(config)
}
