//! Everything that must pass: runs each part in order, goes on past failures, and closes with one
//! line of counts.
//!
//! The counts are the runners' own: each test, and each other part as one. A test that needs a
//! program that is not there prints `SKIPPED name: reason`; with `CI=true` that is a failure, since
//! a check that silently does nothing is none, unless its line says that it may be skipped there.

mod setup;
mod tally;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::console::{heading, say};
use crate::demo;
use crate::failure::{Failure, Result, Tried as _};
use crate::stage;
use crate::stop::Stop;
use crate::tool;
use crate::workspace::{Workspace, is_ci};
use tally::Tally;

/// How the line of a test ends that may be skipped on CI as well.
const MAY_BE_SKIPPED: &str = "(may be skipped on CI)";

/// The parts so far.
struct Run<'a> {
    workspace: &'a Workspace,
    stop: Stop,
    tally: Tally,
    /// How each part went, and how long it took, in order.
    parts: Vec<(&'static str, Outcome, Duration)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
}

/// Runs the chore; whether everything passed.
pub(crate) fn test(workspace: &Workspace) -> Result<bool> {
    let mut run = Run {
        workspace,
        stop: Stop::listen()?,
        tally: Tally::default(),
        parts: Vec::new(),
    };
    setup::install_missing(workspace);

    run.part("fmt", Run::fmt)?;
    run.part("clippy", |run| {
        let args = [
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ];
        run.cargo(&args, &[])
    })?;
    run.part("doc", |run| {
        let args = ["doc", "--workspace", "--no-deps"];
        run.cargo(&args, &[("RUSTDOCFLAGS", "-D warnings")])
    })?;
    run.part("deny", Run::deny)?;
    // What tests load and start must be there, and be of this source.
    run.part("build", |run| run.cargo(&["build", "--workspace"], &[]))?;
    run.timed("test", "test", Run::tests)?;
    run.timed("demo", "demo --once", Run::demo)?;

    Ok(run.close(is_ci()))
}

impl Run<'_> {
    /// Runs one part that counts as one.
    fn part(
        &mut self,
        name: &'static str,
        perform: impl FnOnce(&mut Self) -> Result<Outcome>,
    ) -> Result<()> {
        match self.timed(name, name, perform)? {
            Outcome::Passed => self.tally.passed += 1,
            Outcome::Failed => self.tally.failed += 1,
            // Counted when its line is printed.
            Outcome::Skipped => {}
        }
        Ok(())
    }

    /// Runs one part, which counts what it consists of.
    fn timed(
        &mut self,
        name: &'static str,
        title: &str,
        perform: impl FnOnce(&mut Self) -> Result<Outcome>,
    ) -> Result<Outcome> {
        self.check_stop()?;
        heading(title);
        let begun = Instant::now();
        let outcome = perform(self)?;
        self.parts.push((name, outcome, begun.elapsed()));
        Ok(outcome)
    }

    fn check_stop(&self) -> Result<()> {
        match self.stop.asked() {
            0 => Ok(()),
            _ => Err(Failure::new("stopped")),
        }
    }

    /// The workspace, and the programs of `fuzz/`, which are none of its members.
    fn fmt(&mut self) -> Result<Outcome> {
        let own = self.cargo(&["fmt", "--all", "--check"], &[])?;
        let manifest = ["fmt", "--check", "--manifest-path", "fuzz/Cargo.toml"];
        match own {
            Outcome::Passed => self.cargo(&manifest, &[]),
            failed => Ok(failed),
        }
    }

    fn cargo(&self, args: &[&str], env: &[(&str, &str)]) -> Result<Outcome> {
        let mut cargo = self.workspace.cargo();
        cargo.args(args).envs(env.iter().copied());
        succeeds(&mut cargo)
    }

    /// Licences, duplicates and sources of dependencies; and known faults in them, where the
    /// database of those can be fetched.
    fn deny(&mut self) -> Result<Outcome> {
        let is_there = tool::is_there(self.workspace, "deny")
            || (is_ci() && tool::install(self.workspace, "deny"));
        if !is_there {
            let line = "SKIPPED cargo-deny: not installed; `cargo install --locked cargo-deny`";
            say!("{line}");
            self.tally.line(line);
            return Ok(Outcome::Skipped);
        }
        let offline = self.cargo(&["deny", "check", "bans", "licenses", "sources"], &[])?;
        let mut fetch = self.workspace.cargo();
        let fetch = fetch.args(["deny", "fetch", "db"]).output();
        let fetched = fetch.tried("run cargo deny")?.status.success();
        if !fetched {
            say!("note: advisories are not checked: their database cannot be fetched from here");
            return Ok(offline);
        }
        let advisories = self.cargo(&["deny", "check", "advisories"], &[])?;
        Ok(if offline == Outcome::Passed {
            advisories
        } else {
            offline
        })
    }

    /// Unit, integration and documentation tests.
    fn tests(&mut self) -> Result<Outcome> {
        let mut cargo = self.workspace.cargo();
        cargo.args(["test", "--workspace", "--no-fail-fast", "--"]);
        // What a passing test prints is where it says that it was skipped.
        cargo.arg("--show-output").stdout(Stdio::piped());
        let mut child = cargo.spawn().tried("run cargo test")?;
        let before = self.tally.failed;
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).split(b'\n') {
                let line = line.tried("read what cargo test says")?;
                let line = String::from_utf8_lossy(&line);
                if self.tally.line(&line) {
                    say!("{}", line.trim_end_matches('\r'));
                }
            }
        }
        let passed = child.wait().tried("wait for cargo test")?.success();
        if !passed && self.tally.failed == before {
            // It did not come to running them, or one took its whole process down.
            self.tally.failed += 1;
        }
        Ok(outcome(passed))
    }

    /// The demonstration, which is the product's own acceptance test, on what the tests have built: a release build
    /// takes many minutes, and differs in nothing that its steps look at.
    fn demo(&mut self) -> Result<Outcome> {
        let verdict = stage::stage_of_tests(self.workspace)
            .and_then(|stage| demo::perform(self.workspace, &stage, &self.stop, true));
        let failed = match verdict {
            Ok(verdict) => {
                self.tally.passed += verdict.passed;
                verdict.failed.len()
            }
            Err(failure) => {
                say!("FAILED  {failure}");
                1
            }
        };
        self.tally.failed += failed;
        Ok(outcome(failed == 0))
    }

    /// Prints how it all went; whether it went well.
    fn close(&self, strict: bool) -> bool {
        heading("summary");
        for (name, outcome, took) in &self.parts {
            let outcome = format!("{outcome:?}").to_lowercase();
            say!("  {name:<7} {outcome:<8} {:>5} s", took.as_secs());
        }
        for skipped in &self.tally.skipped {
            say!("  {skipped}");
        }
        if self.tally.ignored > 0 {
            say!(
                "  {} tests are marked `ignore` and run only by hand",
                self.tally.ignored
            );
        }
        let mut skipped = self.tally.skipped.iter();
        let unwelcome = strict && skipped.any(|line| !line.ends_with(MAY_BE_SKIPPED));
        if unwelcome {
            say!("  CI=true: what was skipped counts as failed");
        }
        // Alone on its line, and last: programs read it.
        say!("\n{}", self.tally);
        self.tally.failed == 0 && !unwelcome
    }
}

fn succeeds(command: &mut Command) -> Result<Outcome> {
    let shown = command.get_program().display().to_string();
    let status = command.status().tried(format_args!("run {shown}"))?;
    Ok(outcome(status.success()))
}

fn outcome(has_passed: bool) -> Outcome {
    if has_passed {
        Outcome::Passed
    } else {
        Outcome::Failed
    }
}
