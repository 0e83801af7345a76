//! What stands before the hub and has the public address: it stays when the hub is started anew at another port.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinHandle};

/// A relay of bytes. It ends when dropped.
pub(crate) struct Front {
    address: SocketAddr,
    hub: Arc<Mutex<Option<SocketAddr>>>,
    passing: Arc<Mutex<Vec<AbortHandle>>>,
    relay: JoinHandle<()>,
}

impl Drop for Front {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

impl Front {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let hub: Arc<Mutex<Option<SocketAddr>>> = Arc::default();
        let passing: Arc<Mutex<Vec<AbortHandle>>> = Arc::default();
        let (to, kept) = (hub.clone(), passing.clone());
        let relay = tokio::spawn(async move {
            while let Ok((outside, _)) = listener.accept().await {
                let to = *to.lock();
                kept.lock()
                    .push(tokio::spawn(pass(outside, to)).abort_handle());
            }
        });
        Self {
            address,
            hub,
            passing,
            relay,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where the hub is now; nobody is there with `None`. Connections of before end.
    pub(crate) fn leads_to(&self, hub: Option<SocketAddr>) {
        *self.hub.lock() = hub;
        for passing in self.passing.lock().drain(..) {
            passing.abort();
        }
    }
}

async fn pass(mut outside: TcpStream, to: Option<SocketAddr>) {
    let Some(to) = to else { return };
    if let Ok(mut hub) = TcpStream::connect(to).await {
        let _ = tokio::io::copy_bidirectional(&mut outside, &mut hub).await;
    }
}
