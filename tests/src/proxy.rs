//! A relay between a client and a hub: its port stays while hubs come and go behind it, and it breaks connections on
//! request, with answers on their way or without.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::hub::eventually;

/// A running relay. It ends when dropped, with its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    way: Arc<Way>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Way {
    to: Mutex<Option<SocketAddr>>,
    holds_answers: AtomicBool,
    /// What clients were answered.
    answered: Mutex<Vec<u8>>,
    /// How often all connections were cut.
    cuts: watch::Sender<u64>,
}

impl Proxy {
    /// A relay that leads nowhere yet: it ends every connection at once.
    ///
    /// # Panics
    /// When there is no port for it.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let way = Arc::new(Way {
            to: Mutex::new(None),
            holds_answers: AtomicBool::new(false),
            answered: Mutex::default(),
            cuts: watch::Sender::new(0),
        });
        let accepting = tokio::spawn(accept(listener, way.clone()));
        Self {
            address,
            way,
            accepting,
        }
    }

    /// Where it listens, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Leads new connections there.
    pub fn lead_to(&self, address: SocketAddr) {
        *self.way.to.lock() = Some(address);
    }

    /// Waits until a client was answered something with this text in it.
    ///
    /// # Panics
    /// When none is in time.
    pub async fn wait_for_answer(&self, text: &str) {
        let text = text.as_bytes();
        eventually("a client is answered", || async {
            let answered = self.way.answered.lock();
            let mut parts = answered.windows(text.len());
            parts.any(|part| part == text).then_some(())
        })
        .await;
    }

    /// Lets requests through and no answers, until the next cut.
    pub fn hold_answers(&self) {
        self.way.holds_answers.store(true, Ordering::SeqCst);
    }

    /// Cuts every connection; what is on its way in either direction is lost.
    pub fn cut(&self) {
        self.way.cuts.send_modify(|cuts| *cuts += 1);
        self.way.holds_answers.store(false, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, way: Arc<Way>) {
    while let Ok((client, _)) = listener.accept().await {
        let mut cuts = way.cuts.subscribe();
        let way = way.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = relay(client, &way) => {}
                _ = cuts.changed() => {}
            }
        });
    }
}

async fn relay(client: TcpStream, way: &Way) -> io::Result<()> {
    let to = *way.to.lock();
    let hub = TcpStream::connect(to.ok_or(io::ErrorKind::NotConnected)?).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_hub, mut to_hub) = hub.into_split();
    let answers = async {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let bytes = from_hub.read(&mut buffer).await?;
            if bytes == 0 {
                return io::Result::Ok(());
            }
            if !way.holds_answers.load(Ordering::SeqCst) {
                to_client.write_all(&buffer[..bytes]).await?;
                way.answered.lock().extend_from_slice(&buffer[..bytes]);
            }
        }
    };
    // Whichever side ends it, the other one is told.
    tokio::select! {
        ended = answers => ended,
        ended = tokio::io::copy(&mut from_client, &mut to_hub) => ended.map(drop),
    }
}
