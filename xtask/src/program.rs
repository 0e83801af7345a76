//! Programs that measure and try things out for long: receives a program's name and its arguments,
//! runs it in release.

use crate::failure::{Failure, Result, Tried as _};
use crate::workspace::Workspace;

/// Runs it; `false` when it says that it failed.
pub(crate) fn run(workspace: &Workspace, program: &str, args: &[String]) -> Result<bool> {
    let package = workspace.program(program).ok_or_else(|| {
        Failure::new(format!(
            "no package of the workspace has the program `{program}`"
        ))
    })?;
    let mut cargo = workspace.cargo();
    cargo.args(["run", "--release", "--package", &package.name]);
    cargo.args(["--bin", program, "--"]).args(args);
    let status = cargo
        .status()
        .tried(format_args!("run the program `{program}`"))?;
    Ok(status.success())
}
