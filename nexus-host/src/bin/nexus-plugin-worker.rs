//! The worker of plugins with `isolation = "process"`, and nothing else. A hub finds it beside its own program;
//! whoever embeds the hub ships it along, or has the own program serve as the worker.

use std::process::ExitCode;

fn main() -> ExitCode {
    nexus_host::worker::serve_if_asked();
    eprintln!(
        "nexus-plugin-worker {} is started by a hub, for a plugin with `isolation = \"process\"`; put it beside \
         the hub's program, or name it in [plugins] worker",
        env!("CARGO_PKG_VERSION")
    );
    ExitCode::from(2)
}
