//! The benchmarks: receives their arguments, runs the program that measures, in release.

use crate::failure::{Failure, Result, Tried as _};
use crate::workspace::Workspace;

const PROGRAM: &str = "bench";

/// Runs them; `false` when they say that they failed.
pub(crate) fn bench(workspace: &Workspace, args: &[String]) -> Result<bool> {
    let package = workspace.program(PROGRAM).ok_or_else(|| {
        Failure::new("there are no benchmarks: no package of the workspace has the program `bench`")
    })?;
    let mut cargo = workspace.cargo();
    cargo.args(["run", "--release", "--package", &package.name]);
    cargo.args(["--bin", PROGRAM, "--"]).args(args);
    let status = cargo.status().tried("run the benchmarks")?;
    Ok(status.success())
}
