//! Staging: receives the workspace, hands on a folder from which the hub runs.
//!
//! A file takes its place in one step, so a hub that runs from this folder keeps the old one until
//! it is started again. What others have put into the folder is left alone.

use std::fs;
use std::path::{Path, PathBuf};

use crate::artifacts::{Artifact, Build, build};
use crate::console::{heading, say};
use crate::failure::{Failure, Result, Tried as _};
use crate::workspace::{Package, Workspace};

/// Programs that are staged.
const PROGRAMS: [&str; 3] = ["nexus", "toasty-server", "nexus-plugin-worker"];

/// What the demonstration has in the place of services that need an account.
const DOUBLES: [&str; 1] = ["graph-double"];

/// The example configuration, for whoever starts the staged hub by hand.
const EXAMPLE_CONFIG: &str = include_str!("stage/nexus.toml");

/// A folder with everything a hub needs.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) folder: PathBuf,
    /// The staged plugins, by their ids.
    pub(crate) plugins: Vec<String>,
}

impl Stage {
    /// The path of a staged program.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder
            .join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    }
}

/// Builds release and fills `stage` below cargo's target folder.
pub(crate) fn stage(workspace: &Workspace) -> Result<Stage> {
    heading("stage");
    let mut packages: Vec<&Package> = workspace.plugins().collect();
    for program in PROGRAMS.into_iter().chain(DOUBLES) {
        let package = workspace.program(program).ok_or_else(|| {
            Failure::new(format!(
                "no package of the workspace has the program `{program}`"
            ))
        })?;
        packages.push(package);
    }
    let stage = fill(workspace, &Build::Release(&packages), "stage")?;
    let config = stage.folder.join("nexus.toml");
    let done = if config.exists() {
        "kept"
    } else {
        place(EXAMPLE_CONFIG.as_bytes(), None, &config)?
    };
    say!("  {done:<9} {}", workspace.short(&config));
    Ok(stage)
}

/// Fills `stage-of-tests` there with what the tests run on.
pub(crate) fn stage_of_tests(workspace: &Workspace) -> Result<Stage> {
    heading("stage of tests");
    fill(workspace, &Build::Tests, "stage-of-tests")
}

fn fill(workspace: &Workspace, what: &Build<'_>, folder: &str) -> Result<Stage> {
    let artifacts = build(workspace, what)?;
    let plugins: Vec<String> = workspace.plugins().map(|p| p.name.clone()).collect();
    let folder = workspace.target.join(folder);
    let plugins_folder = folder.join("plugins");
    fs::create_dir_all(&plugins_folder)
        .tried(format_args!("create {}", plugins_folder.display()))?;
    for artifact in wanted(&artifacts, &plugins) {
        let name = artifact.path.file_name().unwrap_or_default();
        let to = if artifact.library {
            plugins_folder.join(name)
        } else {
            folder.join(name)
        };
        let bytes =
            fs::read(&artifact.path).tried(format_args!("read {}", artifact.path.display()))?;
        let done = place(&bytes, Some(&artifact.path), &to)?;
        say!("  {done:<9} {}", workspace.short(&to));
    }
    let plugins = plugins.iter().map(|package| id(package).to_owned());
    Ok(Stage {
        folder,
        plugins: plugins.collect(),
    })
}

/// A plugin's id. Its package is called so too, or with `-plugin` behind where a dependency has the name.
fn id(package: &str) -> &str {
    package.strip_suffix("-plugin").unwrap_or(package)
}

fn wanted<'a>(
    artifacts: &'a [Artifact],
    plugins: &'a [String],
) -> impl Iterator<Item = &'a Artifact> {
    artifacts.iter().filter(move |artifact| {
        if artifact.library {
            // A library's file is named with `_` where its package has `-`.
            let named = artifact.target.replace('-', "_");
            plugins
                .iter()
                .any(|plugin| plugin.replace('-', "_") == named)
        } else {
            let target = artifact.target.as_str();
            PROGRAMS.contains(&target) || DOUBLES.contains(&target)
        }
    })
}

/// Puts a file in its place in one step, with the permissions of `like`; says what was done.
fn place(bytes: &[u8], like: Option<&Path>, to: &Path) -> Result<&'static str> {
    let before = fs::read(to).ok();
    if before.as_deref() == Some(bytes) {
        return Ok("unchanged");
    }
    // Beside it, so that the last step is a rename; named so that no plugin folder takes it.
    let mut fresh = to.as_os_str().to_owned();
    fresh.push(format!(".{}.new", std::process::id()));
    let fresh = PathBuf::from(fresh);
    let placed = fs::write(&fresh, bytes)
        .and_then(|()| match like {
            Some(like) => fs::set_permissions(&fresh, fs::metadata(like)?.permissions()),
            None => Ok(()),
        })
        .and_then(|()| replace(&fresh, to));
    if let Err(error) = placed {
        let _ = fs::remove_file(&fresh);
        return Err(error).tried(format_args!("write {}", to.display()));
    }
    Ok(if before.is_some() { "replaced" } else { "new" })
}

#[cfg(not(windows))]
fn replace(fresh: &Path, to: &Path) -> std::io::Result<()> {
    fs::rename(fresh, to)
}

/// A program or library in use cannot be replaced on Windows, but it can be moved out of the way.
#[cfg(windows)]
fn replace(fresh: &Path, to: &Path) -> std::io::Result<()> {
    if fs::rename(fresh, to).is_ok() {
        return Ok(());
    }
    let aside = to.with_extension("old");
    let _ = fs::remove_file(&aside);
    fs::rename(to, &aside)?;
    fs::rename(fresh, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_placed_replaced_or_left_and_nothing_stays_behind() {
        let folder = std::env::temp_dir().join(format!("xtask-stage-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let to = folder.join("nexus");
        assert_eq!(place(b"one", None, &to), Ok("new"));
        assert_eq!(place(b"one", None, &to), Ok("unchanged"));
        let running = fs::File::open(&to).unwrap();
        assert_eq!(place(b"two", None, &to), Ok("replaced"));
        assert_eq!(fs::read(&to).unwrap(), b"two");
        let old = std::io::read_to_string(running).unwrap();
        assert_eq!(old, "one", "whoever has the old file open keeps it");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn only_what_was_asked_for_is_staged() {
        let artifact = |target: &str, library| Artifact {
            target: target.to_owned(),
            path: PathBuf::from(target),
            library,
        };
        let built = [
            artifact("nexus", false),
            artifact("some_tool", false),
            artifact("two_words", true),
            artifact("probe", true),
        ];
        let plugins = ["two-words".to_owned()];
        let staged: Vec<&str> = wanted(&built, &plugins)
            .map(|artifact| artifact.target.as_str())
            .collect();
        assert_eq!(staged, ["nexus", "two_words"]);
        assert_eq!((id("two-words"), id("http-plugin")), ("two-words", "http"));
    }
}
