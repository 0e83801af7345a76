//! The signals that ask a process to stop, or to read its configuration again.

use std::io;

use crate::observe;

/// Waits for the request to stop: SIGTERM or SIGINT, on Windows Ctrl-C, Ctrl-Break or the end of
/// the session. From then on a second request ends the process within a second.
///
/// # Errors
/// When the system refuses to hand signals to this process.
pub async fn stop_requested() -> io::Result<()> {
    let mut requests = Requests::new()?;
    let name = requests.next().await;
    tracing::info!(signal = name, "asked to stop");
    tokio::spawn(async move {
        requests.next().await;
        tracing::warn!("asked to stop again: giving up what is under way");
        observe::drain_log();
        std::process::exit(1);
    });
    Ok(())
}

#[cfg(unix)]
struct Requests {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Requests {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(windows)]
struct Requests {
    interrupt: tokio::signal::windows::CtrlC,
    break_key: tokio::signal::windows::CtrlBreak,
    close: tokio::signal::windows::CtrlClose,
    shutdown: tokio::signal::windows::CtrlShutdown,
}

#[cfg(windows)]
impl Requests {
    fn new() -> io::Result<Self> {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};
        Ok(Self {
            interrupt: ctrl_c()?,
            break_key: ctrl_break()?,
            close: ctrl_close()?,
            shutdown: ctrl_shutdown()?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.break_key.recv() => "Ctrl-Break",
            _ = self.close.recv() => "close",
            _ = self.shutdown.recv() => "shutdown",
        }
    }
}

/// Requests to read the configuration again: SIGHUP. On other systems than Unix there are none.
#[derive(Debug)]
pub struct Reloads {
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

impl Reloads {
    /// Listens from now on. Without it, SIGHUP ends the process.
    ///
    /// # Errors
    /// When the system refuses to hand signals to this process.
    #[cfg(unix)]
    pub fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Listens from now on.
    ///
    /// # Errors
    /// None.
    #[cfg(not(unix))]
    pub fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for the next.
    pub async fn requested(&mut self) {
        #[cfg(unix)]
        if self.hangup.recv().await.is_some() {
            tracing::info!("asked by SIGHUP to read the configuration again");
            return;
        }
        std::future::pending().await
    }
}
