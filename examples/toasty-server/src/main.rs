//! The binary `toasty-server`: reads the command line, serves until told to stop.
//!
//! Receives arguments and signals; hands everything on to the library. Standard output carries the
//! address line and, with `--display terminal`, the toasts; logs go to standard error.

use std::io::Write as _;
use std::process::ExitCode;

use toasty_server::Server;
use toasty_server::cli;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let options = cli::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")),
        )
        .init();

    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("failed to start the runtime: {error}")),
    };
    let code = match runtime.block_on(run(options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error.to_string()),
    };
    // A desktop that does not answer must not hold up the end.
    runtime.shutdown_background();
    code
}

async fn run(options: toasty_server::Options) -> Result<(), Box<dyn std::error::Error>> {
    // Before the first line is printed: whoever reads it may send a signal at once.
    let stop = stop_signal()?;
    let server = Server::bind(options).await?;
    let mut out = std::io::stdout();
    if let Some(reason) = server.fallback() {
        writeln!(
            out,
            "no desktop can be reached ({reason}): toasts are printed in this terminal instead"
        )?;
    }
    writeln!(
        out,
        "toasty-server listening on {} (display: {})",
        server.local_addr(),
        server.display()
    )?;
    out.flush()?;
    server.serve(stop).await?;
    Ok(())
}

fn failed(message: &str) -> ExitCode {
    // Standard error may be closed; there is nobody left to tell then.
    let _ = writeln!(std::io::stderr(), "toasty-server: {message}");
    ExitCode::FAILURE
}

/// Ends on Ctrl-C or, on Unix, SIGTERM.
#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("told to stop (SIGTERM)"),
            _ = interrupt.recv() => tracing::info!("told to stop (Ctrl-C)"),
        }
    })
}

/// Ends on Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        match tokio::signal::ctrl_c().await {
            Ok(()) => tracing::info!("told to stop (Ctrl-C)"),
            Err(error) => {
                tracing::error!(%error, "Ctrl-C cannot be heard: end this process to stop it");
                std::future::pending::<()>().await;
            }
        }
    })
}
