//! The servers while a host runs: where they listen, and how they are told to stop.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::ingress::{Ports, Served, Server};

/// The servers while they run.
pub(super) struct Serving {
    pub(super) http: SocketAddr,
    pub(super) grpc: Option<SocketAddr>,
    pub(super) has_tls: bool,
    /// Says how long requests under way may still take, and so ends it.
    stop: oneshot::Sender<Duration>,
    served: JoinHandle<Served>,
}

impl Serving {
    pub(super) fn start(server: Server, ports: Ports) -> Self {
        let (http, grpc, has_tls) = (server.http_addr(), server.grpc_addr(), server.has_tls());
        let (stop, stopped) = oneshot::channel();
        // A host that is dropped instead of stopped gives requests no time.
        let stopped = async { stopped.await.unwrap_or_default() };
        Self {
            http,
            grpc,
            has_tls,
            stop,
            served: tokio::spawn(server.serve(ports, stopped)),
        }
    }

    pub(super) fn stop(self, grace: Duration) -> JoinHandle<Served> {
        // It fails when the server has ended already.
        let _ = self.stop.send(grace);
        self.served
    }
}
