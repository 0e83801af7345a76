//! A WebSocket by hand, which holds no buffer and reads only when it is told to: as many as there are
//! descriptors can be open, and none takes what the test has not asked for.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::hub::PATIENCE;
use crate::ws::{self, FIN, op};

/// The longest head of an answer that is read.
const LONGEST_HEAD: usize = 4 * 1024;

/// An open WebSocket of the hub.
#[derive(Debug)]
pub struct WebSocket(TcpStream);

impl WebSocket {
    /// Opens one from an address of this machine, with the key of a client.
    ///
    /// # Errors
    /// When the hub cannot be reached or does not open it.
    pub async fn open(to: SocketAddr, from: Ipv4Addr, key: &str) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        let mut stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET /v1/ws HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {key}\r\n\
             upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: bmV4dXMgdGVzdCBjbGllbg==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let head = patient(head(&mut stream)).await?;
        if !head.starts_with(b"HTTP/1.1 101") {
            let head = String::from_utf8_lossy(&head).into_owned();
            return Err(io::Error::other(head));
        }
        Ok(Self(stream))
    }

    /// Asks for every event, and waits until the hub says that it will send them.
    ///
    /// # Errors
    /// When the connection breaks, or the hub says something else.
    pub async fn subscribe(&mut self) -> io::Result<()> {
        self.send(op::TEXT, br#"{"op":"subscribe"}"#).await?;
        let answer = self.text().await?;
        match answer.contains(r#""subscribed""#) {
            true => Ok(()),
            false => Err(io::Error::other(answer)),
        }
    }

    /// Publishes an event, and waits for what the hub says of it.
    ///
    /// # Errors
    /// When the connection breaks, or nothing is said.
    pub async fn publish(&mut self, event: &str) -> io::Result<String> {
        let message = format!(r#"{{"op":"publish","id":1,"event":{event}}}"#);
        self.send(op::TEXT, message.as_bytes()).await?;
        self.text().await
    }

    /// The text of the next frame.
    ///
    /// # Errors
    /// When the connection breaks, nothing comes within [`PATIENCE`], or something else does.
    pub async fn text(&mut self) -> io::Result<String> {
        let payload = self.receive(op::TEXT).await?;
        String::from_utf8(payload).map_err(io::Error::other)
    }

    /// Sends a ping, which the hub is to answer.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn ping(&mut self) -> io::Result<()> {
        self.send(op::PING, b"").await
    }

    /// Reads the answer to a ping.
    ///
    /// # Errors
    /// As [`WebSocket::text`].
    pub async fn pong(&mut self) -> io::Result<()> {
        self.receive(op::PONG).await.map(drop)
    }

    /// Sends a whole message in one frame.
    async fn send(&mut self, kind: u8, payload: &[u8]) -> io::Result<()> {
        self.0.write_all(&ws::frame(FIN | kind, payload)).await
    }

    async fn receive(&mut self, wanted: u8) -> io::Result<Vec<u8>> {
        let (kind, payload) = patient(frame(&mut self.0)).await?;
        if kind == wanted {
            return Ok(payload);
        }
        let payload = String::from_utf8_lossy(&payload);
        Err(io::Error::other(format!(
            "a frame of kind {kind}: {payload}"
        )))
    }
}

/// Reads the head of an answer, and nothing behind it.
async fn head(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < LONGEST_HEAD {
        head.push(stream.read_u8().await?);
    }
    Ok(head)
}

/// Reads one whole frame of the hub, which masks none and splits none: its kind and payload.
async fn frame(stream: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let kind = stream.read_u8().await? & 0x0F;
    let length = match stream.read_u8().await? {
        126 => u64::from(stream.read_u16().await?),
        127 => stream.read_u64().await?,
        short => u64::from(short),
    };
    let mut payload = Vec::new();
    stream.take(length).read_to_end(&mut payload).await?;
    Ok((kind, payload))
}

async fn patient<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(PATIENCE, work)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
