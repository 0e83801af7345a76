//! Fuzzing: receives how long, and the names of targets; builds the programs in `fuzz/`, lets each run
//! alone, and hands on whether nothing was found.
//!
//! It works with the toolchain that is there: coverage is counted by flags that every compiler takes, and
//! no sanitizer is used, which only nightly ones know. What is `unsafe` is looked for elsewhere.

mod run;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::console::{heading, say};
use crate::failure::{Failure, Result, Tried as _};
use crate::stop::Stop;
use crate::tool;
use crate::workspace::Workspace;
use run::Run;

/// What every program is told: the numbers at its end, and when an input takes too long, in seconds, or
/// too much memory.
const SETTINGS: [&str; 3] = ["-print_final_stats=1", "-timeout=25", "-rss_limit_mb=2048"];

/// Runs the targets one after the other; whether nothing was found.
pub(crate) fn fuzz(workspace: &Workspace, seconds: u32, wanted: &[String]) -> Result<bool> {
    let targets = chosen(&workspace.root.join("fuzz/fuzz_targets"), wanted)?;
    if !tool::is_there(workspace, "fuzz") && !tool::install(workspace, "fuzz") {
        return Err(Failure::new(
            "cargo-fuzz is missing and could not be installed: `cargo install --locked cargo-fuzz`",
        ));
    }
    let stop = Stop::listen()?;
    heading("build");
    let programs = build(workspace, wanted)?;
    heading(format_args!("{} targets, {seconds} s each", targets.len()));
    let mut found = 0;
    for target in &targets {
        let run = run(workspace, &programs.join(target), target, seconds)?;
        if stop.asked() > 0 {
            return Err(Failure::new("stopped"));
        }
        say!("  {target:<14} {run}");
        if let Some(input) = &run.input {
            found += 1;
            run.tail.iter().for_each(|line| say!("    | {line}"));
            say!("    {}", workspace.short(input));
            let program = programs.join(target);
            say!(
                "    run it: {} {}",
                workspace.short(&program),
                workspace.short(input)
            );
        }
    }
    say!("\n{found} of {} targets found something", targets.len());
    Ok(found == 0)
}

/// The targets with these names; every one without a name.
fn chosen(folder: &Path, wanted: &[String]) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).tried(format_args!("read {}", folder.display()))?;
    let mut known = Vec::new();
    for entry in entries {
        let path = entry.tried("read the folder of targets")?.path();
        let name = path.file_stem().and_then(|name| name.to_str());
        known.extend(name.map(str::to_owned));
    }
    known.sort();
    if let Some(stranger) = wanted.iter().find(|name| !known.contains(name)) {
        let known = known.join(", ");
        return Err(Failure::new(format!(
            "no target is called `{stranger}`; there are {known}"
        )));
    }
    Ok(match wanted {
        [] => known,
        wanted => wanted.to_vec(),
    })
}

/// Builds the programs, one or all; the folder in which they are.
fn build(workspace: &Workspace, wanted: &[String]) -> Result<PathBuf> {
    let target = workspace.target.join("fuzz");
    let mut cargo = workspace.cargo();
    // What is tested is the product: crates that behave in another way while they are fuzzed must not.
    cargo.args(["fuzz", "build", "--sanitizer", "none", "--no-cfg-fuzzing"]);
    cargo.arg("--target-dir").arg(&target);
    if let [one] = wanted {
        cargo.arg(one);
    }
    let built = cargo.status().tried("run cargo fuzz")?;
    if !built.success() {
        return Err(Failure::new("cargo fuzz build failed; see above"));
    }
    Ok(target.join(host()?).join("release"))
}

/// The system that the compiler builds for by itself.
fn host() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().tried("run rustc")?;
    let told = String::from_utf8_lossy(&output.stdout);
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.map(str::to_owned);
    host.ok_or_else(|| Failure::new("failed to understand what rustc says of itself"))
}

/// Lets one program run. What it comes upon is kept beside the build, and not in the repository.
fn run(workspace: &Workspace, program: &Path, target: &str, seconds: u32) -> Result<Run> {
    let of = |what: &str| workspace.target.join("fuzz").join(what).join(target);
    let (found, artifacts) = (of("corpus"), of("artifacts"));
    for folder in [&found, &artifacts] {
        fs::create_dir_all(folder).tried(format_args!("make {}", folder.display()))?;
    }
    let mut command = Command::new(program);
    command.current_dir(&workspace.root);
    command
        .arg(&found)
        .arg(workspace.root.join("fuzz/corpus").join(target));
    command
        .args(SETTINGS)
        .arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    let dictionary = workspace.root.join(format!("fuzz/dict/{target}.dict"));
    if dictionary.exists() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    let begun = Instant::now();
    let mut run = Run::watch(command)?;
    run.seconds = begun.elapsed().as_secs();
    Ok(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_found_by_their_files_and_strangers_are_refused() {
        let workspace = Workspace::read().unwrap();
        let folder = workspace.root.join("fuzz/fuzz_targets");
        let all = chosen(&folder, &[]).unwrap();
        assert!(all.len() >= 10 && all.is_sorted());
        assert_eq!(chosen(&folder, &all[1..2]).unwrap(), all[1..2]);
        assert!(chosen(&folder, &["nothing".to_owned()]).is_err());
    }
}
