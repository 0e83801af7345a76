//! A connection as bytes: sends what it is given, whatever it is, and keeps both sides of what was
//! said, so that a test can show it. It understands nothing of it.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// Anything that bytes go through.
pub trait Line: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Line for T {}

/// See the module.
pub struct Octets {
    line: Box<dyn Line>,
    sent: Vec<u8>,
    heard: Vec<u8>,
    has_ended: bool,
    deadline: Instant,
}

/// What waiting for bytes has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum More {
    /// Some.
    Bytes,
    /// The other side has closed, in good order or not.
    End,
    /// Nothing, until the deadline.
    Late,
}

impl Octets {
    /// Connects. Whatever is waited for on the connection comes before the deadline, or not at all.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn open(to: SocketAddr, deadline: Instant) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self::over(Box::new(stream), deadline))
    }

    /// Speaks over a line that is there already, such as one that is encrypted.
    pub fn over(line: Box<dyn Line>, deadline: Instant) -> Self {
        Self {
            line,
            sent: Vec::new(),
            heard: Vec::new(),
            has_ended: false,
            deadline,
        }
    }

    /// Sends bytes. When nobody takes them any more, that shows in [`Octets::more`].
    pub async fn send(&mut self, bytes: &[u8]) {
        self.sent.extend_from_slice(bytes);
        let sending = async {
            self.line.write_all(bytes).await?;
            self.line.flush().await
        };
        // The other side may stop listening before it has said its last word.
        let _ = timeout_at(self.deadline, sending).await;
    }

    /// Says that nothing more will be sent.
    pub async fn hang_up(&mut self) {
        let _ = timeout_at(self.deadline, self.line.shutdown()).await;
    }

    /// Waits for bytes.
    pub async fn more(&mut self) -> More {
        if self.has_ended {
            return More::End;
        }
        match timeout_at(self.deadline, self.line.read_buf(&mut self.heard)).await {
            Ok(Ok(0) | Err(_)) => {
                self.has_ended = true;
                More::End
            }
            Ok(Ok(_)) => More::Bytes,
            Err(_) => More::Late,
        }
    }

    /// Everything that has come so far.
    pub fn heard(&self) -> &[u8] {
        &self.heard
    }

    /// Ends it; hands back what was sent and what came.
    pub fn into_talk(self) -> (Vec<u8>, Vec<u8>) {
        (self.sent, self.heard)
    }
}
