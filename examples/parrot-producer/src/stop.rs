//! The request to stop: receives signals, hands on their coming.

use std::io;

/// Ends on Ctrl-C or, on Unix, SIGTERM. From now on neither ends the process by itself.
#[cfg(unix)]
pub(crate) fn told() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Ends on Ctrl-C.
#[cfg(windows)]
pub(crate) fn told() -> io::Result<impl Future<Output = ()>> {
    let mut pressed = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        pressed.recv().await;
    })
}
