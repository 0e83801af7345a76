//! Clients that hold a connection and give nothing for it, or ask for more than they take: receives where
//! the hub listens, tells how long it let each of them be. They know how to attack, and expect nothing.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::sleep;

use crate::websocket::WebSocket;

/// Between two bytes of what drips, and between two bursts of what floods.
const DRIP: Duration = Duration::from_millis(50);

/// Frames of one burst.
const BURST: u32 = 200;

/// HTTP/2's preface.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Settings of HTTP/2 with nothing in them.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// What a client does to the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attack {
    /// It connects and says nothing.
    Silence,
    /// It sends a header that never ends, byte by byte.
    SlowHeader,
    /// It sends the body of a request that it may make, byte by byte.
    SlowBody,
    /// It sends pings of HTTP/2 and asks for nothing.
    PingFlood,
    /// It opens streams of HTTP/2 and takes each back at once.
    RapidReset,
    /// It asks over HTTP/2 and gives the answers no room.
    NoWindow,
    /// It asks again and again and reads no answer.
    Deaf,
    /// It follows all events on a WebSocket and reads none.
    DeafWebSocket,
}

impl Attack {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Silence,
        Self::SlowHeader,
        Self::SlowBody,
        Self::PingFlood,
        Self::RapidReset,
        Self::NoWindow,
        Self::Deaf,
        Self::DeafWebSocket,
    ];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Silence => "silent",
            Self::SlowHeader => "slow header",
            Self::SlowBody => "slow body",
            Self::PingFlood => "HTTP/2 pings",
            Self::RapidReset => "HTTP/2 resets",
            Self::NoWindow => "HTTP/2 without room",
            Self::Deaf => "reads no answer",
            Self::DeafWebSocket => "WebSocket that reads nothing",
        }
    }

    /// Attacks from an address of this machine until the hub ends the connection: how long that took.
    /// `key` is of a client that may publish and follow.
    ///
    /// # Errors
    /// When the hub cannot be reached, or does not let it begin.
    pub async fn run(self, to: SocketAddr, from: Ipv4Addr, key: &str) -> io::Result<Duration> {
        let begun = Instant::now();
        if self == Self::DeafWebSocket {
            follow_deaf(to, from, key).await?;
            return Ok(begun.elapsed());
        }
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        let stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        let (read, write) = stream.into_split();
        let reading = async {
            match self {
                Self::Deaf => std::future::pending().await,
                _ => drained(read).await,
            }
        };
        tokio::select! {
            () = reading => {}
            () = self.send(write, key) => {}
        }
        Ok(begun.elapsed())
    }

    /// Sends what it has to send, for as long as it is let.
    async fn send(self, mut to: OwnedWriteHalf, key: &str) {
        let ended = match self {
            Self::SlowHeader => drip(&mut to, b"GET / HTTP/1.1\r\nx: ").await,
            Self::SlowBody => {
                let head = format!(
                    "POST /v1/events HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {key}\r\n\
                     content-type: application/json\r\ncontent-length: 100000\r\n\r\n"
                );
                drip(&mut to, head.as_bytes()).await
            }
            Self::PingFlood => {
                let pings = frame(6, 0, 0, &[0; 8]).repeat(BURST as usize);
                flood(&mut to, |_| pings.clone()).await
            }
            Self::RapidReset => {
                let opened_and_reset = |stream: u32| {
                    let reset = frame(3, 0, stream, &[0, 0, 0, 8]);
                    [asking(stream), reset].concat()
                };
                let burst = |number: u32| {
                    let streams = number * BURST..(number + 1) * BURST;
                    let streams = streams.map(|stream| 2 * stream + 1);
                    streams.flat_map(opened_and_reset).collect()
                };
                flood(&mut to, burst).await
            }
            Self::NoWindow => {
                // An initial window of nothing.
                let narrow = frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]);
                let asked = (1..20).step_by(2).flat_map(asking).collect();
                let all = [PREFACE.to_vec(), narrow, asked].concat();
                and_no_more(&mut to, &all).await
            }
            Self::Deaf => ask(&mut to).await,
            Self::Silence | Self::DeafWebSocket => std::future::pending().await,
        };
        // Only in that the connection is no more.
        let Err(_) = ended;
    }
}

/// Reads until the end, whatever it is.
async fn drained(mut from: OwnedReadHalf) {
    let mut scrap = vec![0; 16 * 1024];
    while from.read(&mut scrap).await.is_ok_and(|read| read > 0) {}
}

async fn drip(to: &mut OwnedWriteHalf, begin: &[u8]) -> io::Result<Infallible> {
    to.write_all(begin).await?;
    loop {
        to.write_all(b"x").await?;
        sleep(DRIP).await;
    }
}

async fn flood(to: &mut OwnedWriteHalf, burst: impl Fn(u32) -> Vec<u8>) -> io::Result<Infallible> {
    to.write_all(&[PREFACE, SETTINGS].concat()).await?;
    for number in 0.. {
        to.write_all(&burst(number)).await?;
        sleep(DRIP).await;
    }
    std::future::pending().await
}

async fn and_no_more(to: &mut OwnedWriteHalf, begin: &[u8]) -> io::Result<Infallible> {
    to.write_all(begin).await?;
    std::future::pending().await
}

/// Asks until no more is taken, which then is taken for ever: that the connection breaks ends it.
async fn ask(to: &mut OwnedWriteHalf) -> io::Result<Infallible> {
    loop {
        to.write_all(b"GET /openapi.json HTTP/1.1\r\nhost: hub\r\n\r\n")
            .await?;
    }
}

/// Follows all events and reads none; a ping now and then shows whether it is still let.
async fn follow_deaf(to: SocketAddr, from: Ipv4Addr, key: &str) -> io::Result<()> {
    let mut socket = WebSocket::open(to, from, key).await?;
    socket.subscribe().await?;
    while socket.ping().await.is_ok() {
        sleep(DRIP).await;
    }
    Ok(())
}

/// A whole request of HTTP/2 for `/openapi.json`, by the static table of header fields.
fn asking(stream: u32) -> Vec<u8> {
    let path = b"/openapi.json";
    let mut fields = vec![0x82, 0x04, 13];
    fields.extend(path);
    fields.extend([0x86, 0x41, 1, b'x']);
    frame(1, 5, stream, &fields)
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short one");
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}
