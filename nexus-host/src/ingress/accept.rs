//! The sockets: receives connections, hands each to the HTTP router with a deadline on everything
//! it may wait for, and ends them in good order. It never reads a request itself.

mod connection;
mod peer;
mod pulse;
mod stream;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::config::Config;
use super::http;
use super::ports::Ports;
pub(super) use peer::{PeerAddress, PeerCertificate};

/// How long to wait after a failed accept, such as for want of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The HTTP server, bound to its address. Connections wait in the kernel until it serves.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    config: Config,
}

/// Why the server could not listen. Reads after "failed to".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another program listens there.
    #[error(
        "listen on {address}: another program uses the address; stop it, or choose another \
         address with server.http (port 0 takes any free one)"
    )]
    InUse {
        /// Where.
        address: SocketAddr,
        /// As the system said it.
        source: io::Error,
    },
    /// The system refuses.
    #[error("listen on {address}, which server.http asks for: {source}")]
    Refused {
        /// Where.
        address: SocketAddr,
        /// As the system said it.
        source: io::Error,
    },
}

/// How serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// Connections that were still open when the time was over, and were cut.
    pub cut: usize,
}

impl Server {
    /// Binds to the configured address.
    ///
    /// # Errors
    /// When the address is in use or the system refuses it.
    pub async fn bind(config: &Config) -> Result<Self, BindError> {
        let wanted = config.http;
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse {
                address: wanted,
                source,
            },
            _ => BindError::Refused {
                address: wanted,
                source,
            },
        };
        let listener = TcpListener::bind(wanted).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            address,
            config: config.clone(),
        })
    }

    /// Where it listens; with the real port where any free one was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is ready. Its value is the time that the requests under way may still
    /// take; nothing new is accepted from then on, and idle connections are closed at once.
    pub async fn serve(self, ports: Ports, stop: impl Future<Output = Duration>) -> Served {
        let (tell, stopping) = watch::channel(false);
        let router = http::router(ports, &self.config, stopping.clone());
        let limits = connection::Limits::new(&self.config);
        let slots = Arc::new(Semaphore::new(self.config.max_connections));
        let mut connections = JoinSet::new();
        let mut stop = pin!(stop);
        let grace = loop {
            while let Some(ended) = connections.try_join_next() {
                told(ended);
            }
            let accepted = tokio::select! {
                biased;
                grace = &mut stop => break grace,
                accepted = self.accept(&slots) => accepted,
            };
            match accepted {
                Ok((stream, slot)) => {
                    let served =
                        connection::serve(stream, router.clone(), limits, stopping.clone());
                    connections.spawn(async move {
                        served.await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection");
                    sleep(ACCEPT_RETRY).await;
                }
            }
        };
        drop(self.listener);
        // The receivers live in the connections; without any there is nobody to tell.
        let _ = tell.send(true);
        let ended = async {
            while let Some(ended) = connections.join_next().await {
                told(ended);
            }
        };
        let _ = timeout(grace, ended).await;
        let cut = connections.len();
        connections.shutdown().await;
        Served { cut }
    }

    /// Waits for a free place, then for a connection. Whoever comes while there is none waits in
    /// the kernel's queue.
    async fn accept(
        &self,
        slots: &Arc<Semaphore>,
    ) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
        loop {
            let slot = slots.clone().acquire_owned().await;
            let slot = slot.map_err(io::Error::other)?;
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    // Answers are written whole; waiting for more would only delay them.
                    let _ = stream.set_nodelay(true);
                    return Ok((stream, slot));
                }
                // Gone before it was taken: its own affair.
                Err(error) if is_the_client_s(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// A panic ends its connection and no other; it must not pass unseen.
fn told(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task failed");
    }
}

fn is_the_client_s(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

#[cfg(test)]
mod tests;
