//! The sockets: receives connections, hands the requests on each to whoever answers them, with a
//! deadline on everything it may wait for, and ends them in good order. It never reads a request itself.

mod chatter;
mod connection;
mod head;
mod peer;
mod place;
mod pulse;
mod socket;
mod stream;
mod tail;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use hyper::Request;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::config::Config;
use super::tls::Tls;
use crate::queue::BoxFuture;
use connection::Accepted;
use place::Places;

pub(super) use peer::{PeerAddress, PeerCertificate};
pub(super) use place::Open;

/// How long to wait after a failed accept, such as for want of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Answers a request.
pub(super) type Answer = Arc<dyn Fn(Request<Body>) -> BoxFuture<'static, Response> + Send + Sync>;

/// What stands behind a socket.
#[derive(Clone)]
pub(super) struct Behind {
    /// Answers requests.
    pub(super) answer: Answer,
    /// Encrypts connections, where they are to be.
    pub(super) tls: Option<Arc<Tls>>,
    /// Is told of whose certificate TLS refuses, and why.
    pub(super) refused: Arc<dyn Fn(IpAddr, &'static str) + Send + Sync>,
}

/// A socket bound to its address. Connections wait in the kernel until it serves.
#[derive(Debug)]
pub(super) struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    open: Open,
}

/// Why the server could not listen. Reads after "failed to".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another program listens there.
    #[error(
        "listen on {address}: another program uses the address; stop it, or choose another \
         address with {key} (port 0 takes any free one)"
    )]
    InUse {
        /// Which setting asks for it.
        key: &'static str,
        /// Where.
        address: SocketAddr,
        /// As the system said it.
        source: io::Error,
    },
    /// The system refuses.
    #[error("listen on {address}, which {key} asks for: {source}")]
    Refused {
        /// Which setting asks for it.
        key: &'static str,
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

impl Listener {
    /// Binds to an address that a setting asks for.
    pub(super) async fn bind(address: SocketAddr, key: &'static str) -> Result<Self, BindError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse {
                key,
                address,
                source,
            },
            _ => BindError::Refused {
                key,
                address,
                source,
            },
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            address,
            open: Open::default(),
        })
    }

    /// Where it listens; with the real port where any free one was asked for.
    pub(super) fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// How many of its connections are open.
    pub(super) fn open(&self) -> &Open {
        &self.open
    }

    /// Serves until `stop` is ready. Its value is the time that the requests under way may still
    /// take; nothing new is accepted from then on, and idle connections are closed at once.
    pub(super) async fn serve(
        self,
        config: &Config,
        behind: Behind,
        stop: impl Future<Output = Duration>,
        tell: &watch::Sender<bool>,
    ) -> Served {
        let limits = connection::Limits::new(config);
        let (most, for_peer) = (config.max_connections, config.max_connections_per_peer);
        let places = Places::new(most, for_peer, self.open.clone());
        let mut connections = JoinSet::new();
        let mut stop = pin!(stop);
        let grace = loop {
            while let Some(ended) = connections.try_join_next() {
                told(ended);
            }
            let accepted = tokio::select! {
                biased;
                grace = &mut stop => break grace,
                accepted = self.accept(&places) => accepted,
            };
            match accepted {
                Ok(accepted) => {
                    let (behind, stopping) = (behind.clone(), tell.subscribe());
                    connections.spawn(connection::serve(accepted, behind, limits, stopping));
                }
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection");
                    sleep(ACCEPT_RETRY).await;
                }
            }
        };
        drop(self.listener);
        // It fails when there is nobody to tell.
        let _ = tell.send(true);
        let ended = async {
            while let Some(ended) = connections.join_next().await {
                told(ended);
            }
            // Those that are no longer HTTP's, such as WebSockets.
            places.emptied().await;
        };
        let _ = timeout(grace, ended).await;
        let cut = places.taken();
        connections.shutdown().await;
        Served { cut }
    }

    /// Waits for a free place, then for a connection. Whoever comes while there is none waits in
    /// the kernel's queue.
    async fn accept(&self, places: &Places) -> io::Result<Accepted> {
        loop {
            let free = places.next().await;
            let free = free.ok_or_else(|| io::Error::other("there are no places"))?;
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    // Answers are written whole; waiting for more would only delay them.
                    let _ = stream.set_nodelay(true);
                    let Some(place) = places.give(free, peer.ip()) else {
                        tracing::debug!(%peer, "an address has as many connections as it may");
                        continue;
                    };
                    return Ok(Accepted {
                        stream,
                        peer: PeerAddress(peer),
                        place,
                    });
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
