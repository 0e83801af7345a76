//! The server: receives options, puts the parts together, listens, and stops in order.
//!
//! The only place that knows every part. Stopping goes from the inside out: toasts are taken away
//! and watchers told, then open calls end, then connections close; what does not end is cut off.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nexus_proto::toasty::v1::toasty_server::ToastyServer;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio_stream::wrappers::TcpListenerStream;

use crate::desk::Desk;
use crate::display::{Desktop, Display, DisplayKind, FeedbackSender, NoDisplay, Terminal};
use crate::journal::{Journal, JournalError};
use crate::service::Service;

/// Largest request, encoded. The contract's limits keep any sensible toast far below.
const MAX_REQUEST_BYTES: usize = 32 * 1024;
/// Largest reply: a list of as many of the largest toasts as there may be.
const MAX_REPLY_BYTES: usize = 4 * 1024 * 1024;
/// Calls at once on one connection, watchers included.
const MAX_STREAMS: u32 = 100;
/// What the display reported and the desk has not yet taken in.
const FEEDBACK: usize = 256;
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long open calls and connections may take to end.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// How to run the server.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where toasts are shown. [`DisplayKind::Terminal`] reads this process's standard input.
    pub display: DisplayKind,
    /// File to append calls and events to.
    pub journal: Option<PathBuf>,
    /// Whether `listen` may be an address that other machines reach. There is no sign-in.
    pub allow_remote: bool,
}

impl Default for Options {
    /// A free port of this machine, no display, no journal.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            display: DisplayKind::None,
            journal: None,
            allow_remote: false,
        }
    }
}

/// The server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address is reachable from other machines, and that was not asked for.
    #[error(
        "refused to listen on {0}: the server has no sign-in, so anyone on the network could show \
         toasts; listen on 127.0.0.1, or pass --allow-remote"
    )]
    Remote(SocketAddr),
    /// The address cannot be listened on.
    #[error("failed to listen on {listen}: {source}; choose another with --listen (port 0: any)")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The journal cannot be written.
    #[error("failed to {0}")]
    Journal(#[from] JournalError),
    /// Standard input cannot be read.
    #[error("failed to read answers from standard input: {0}")]
    Terminal(#[source] std::io::Error),
}

/// The server broke off.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The transport failed.
    #[error("serving failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The server's own task panicked.
    #[error("the server broke off: {0}")]
    Broken(#[from] tokio::task::JoinError),
}

/// A server that listens and does not answer yet.
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    kind: DisplayKind,
    fallback: Option<String>,
    desk: Arc<Desk>,
    service: Service,
    /// Feeds the display's reports and the clock to the desk; ends with the server.
    background: JoinSet<()>,
}

impl Server {
    /// Listens, and makes the display ready. Where no desktop can be reached, toasts are printed in
    /// the terminal instead; [`Server::fallback`] tells so.
    ///
    /// # Errors
    ///
    /// The address is not to be had or not allowed, or the journal cannot be written.
    pub async fn bind(options: Options) -> Result<Self, StartError> {
        let (feedback, reports) = mpsc::channel(FEEDBACK);
        let mut kind = options.display;
        let mut fallback = None;
        let display: Box<dyn Display> = match options.display {
            DisplayKind::None => Box::new(NoDisplay),
            DisplayKind::Terminal => terminal(feedback)?,
            DisplayKind::Desktop => match Desktop::connect(feedback.clone()).await {
                Ok(desktop) => Box::new(desktop),
                Err(error) => {
                    fallback = Some(error.to_string());
                    kind = DisplayKind::Terminal;
                    terminal(feedback)?
                }
            },
        };
        Self::put_together(options, kind, fallback, display, reports).await
    }

    /// As [`Server::bind`], with a display of the caller's making; `options.display` is only its
    /// name. The display reports through the sender it is made with.
    ///
    /// # Errors
    ///
    /// As [`Server::bind`].
    pub async fn bind_with(
        options: Options,
        display: impl FnOnce(FeedbackSender) -> Box<dyn Display>,
    ) -> Result<Self, StartError> {
        let (feedback, reports) = mpsc::channel(FEEDBACK);
        let kind = options.display;
        Self::put_together(options, kind, None, display(feedback), reports).await
    }

    async fn put_together(
        options: Options,
        kind: DisplayKind,
        fallback: Option<String>,
        display: Box<dyn Display>,
        mut reports: mpsc::Receiver<crate::display::Feedback>,
    ) -> Result<Self, StartError> {
        let listen = options.listen;
        if !listen.ip().is_loopback() && !options.allow_remote {
            return Err(StartError::Remote(listen));
        }
        let journal = Arc::new(match &options.journal {
            Some(path) => Journal::open(path)?,
            None => Journal::default(),
        });
        let refused = |source| StartError::Listen { listen, source };
        let listener = TcpListener::bind(listen).await.map_err(refused)?;
        let local_addr = listener.local_addr().map_err(refused)?;

        let desk = Arc::new(Desk::new(display, Arc::clone(&journal)));
        let mut background = JoinSet::new();
        let clock = Arc::clone(&desk);
        background.spawn(async move { clock.watch_clock().await });
        let receiver = Arc::clone(&desk);
        background.spawn(async move {
            while let Some(report) = reports.recv().await {
                receiver.report(report).await;
            }
        });
        Ok(Self {
            listener,
            local_addr,
            kind,
            fallback,
            service: Service::new(Arc::clone(&desk), journal, kind),
            desk,
            background,
        })
    }

    /// The address listened on, with its real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where toasts are really shown.
    pub fn display(&self) -> DisplayKind {
        self.kind
    }

    /// Why toasts are not shown where the options say; `None` when they are.
    pub fn fallback(&self) -> Option<&str> {
        self.fallback.as_deref()
    }

    /// Serves until `stop` ends, then stops: toasts are taken away, watchers and calls end, at the
    /// latest within 5 seconds.
    ///
    /// # Errors
    ///
    /// The transport failed.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
        let Self {
            listener,
            desk,
            service,
            mut background,
            ..
        } = self;
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<ToastyServer<Service>>().await;
        let toasty = ToastyServer::new(service)
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_REPLY_BYTES);

        let (stopping, stopped) = oneshot::channel();
        let serve = tonic::transport::Server::builder()
            .max_concurrent_streams(MAX_STREAMS)
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .add_service(health_service)
            .add_service(toasty)
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), async move {
                stop.await;
                health.set_not_serving::<ToastyServer<Service>>().await;
                desk.close().await;
                // Nobody listens when serving has ended by itself.
                let _ = stopping.send(());
            });
        let overdue = async move {
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(STOP_WITHIN).await;
        };
        let served = tokio::select! {
            served = serve => served.map_err(ServeError::from),
            () = overdue => {
                tracing::warn!("calls were still open {} s after the end", STOP_WITHIN.as_secs());
                Ok(())
            }
        };
        background.shutdown().await;
        served
    }

    /// Serves on a task of the current runtime.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn spawn(self) -> Running {
        let local_addr = self.local_addr;
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(self.serve(async {
            // Sent or dropped: either way it is time to stop.
            let _ = stopped.await;
        }));
        Running {
            local_addr,
            stop,
            task,
        }
    }
}

/// A server on a task of its own; it stops when this is dropped.
#[derive(Debug)]
pub struct Running {
    local_addr: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The address as a client takes it: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.local_addr)
    }

    /// Stops it and waits for its end.
    ///
    /// # Errors
    ///
    /// The transport failed, or the server's task panicked.
    pub async fn stop(self) -> Result<(), ServeError> {
        // A server that has ended by itself does not listen; its result tells why.
        let _ = self.stop.send(());
        self.task.await?
    }
}

fn terminal(feedback: FeedbackSender) -> Result<Box<dyn Display>, StartError> {
    let terminal = Terminal::of_this_process(feedback).map_err(StartError::Terminal)?;
    Ok(Box::new(terminal))
}
