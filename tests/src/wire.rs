//! HTTP/1.1 by hand: one connection, one request at a time, and nothing repeated, pooled or
//! followed behind the back of whoever counts what was sent.

use std::io;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::hub::PATIENCE;

/// A connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    /// The body; null when it is no JSON.
    pub body: Value,
}

impl Wire {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn open(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    /// Sends bytes, a request or a part of one.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads the next answer.
    ///
    /// # Errors
    /// When the connection ends before the answer does, or the answer takes longer than
    /// [`PATIENCE`].
    pub async fn answer(&mut self) -> io::Result<Answer> {
        timeout(PATIENCE, self.read())
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// As [`Wire::write`] and [`Wire::answer`].
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.write(request).await?;
        self.answer().await
    }

    async fn read(&mut self) -> io::Result<Answer> {
        loop {
            if let Some((answer, length)) = whole(&self.buffer) {
                self.buffer.drain(..length);
                return Ok(answer);
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// The answer at the front, and its length, once it is complete.
fn whole(buffer: &[u8]) -> Option<(Answer, usize)> {
    let head = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..head]).ok()?;
    let header = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = lines.find(|(found, _)| found.eq_ignore_ascii_case(name))?;
        value.trim().parse::<u64>().ok()
    };
    let length = head + usize::try_from(header("content-length")?).ok()?;
    let body = buffer.get(head..length)?;
    let answer = Answer {
        status: text.split(' ').nth(1)?.parse().ok()?,
        retry_after: header("retry-after"),
        body: serde_json::from_slice(body).unwrap_or(Value::Null),
    };
    Some((answer, length))
}

/// A request that reads a path.
pub fn get(path: &str, key: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {key}\r\n\r\n").into_bytes()
}

/// A request that sends JSON.
pub fn post(path: &str, key: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_when_it_is_whole_and_not_before() {
        let bytes = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n\
            content-length: 15\r\n\r\n{\"code\":\"full\"}HTTP/1.1";
        let bytes = &bytes[..];
        for end in 0..bytes.len() - 9 {
            assert_eq!(whole(&bytes[..end]), None, "{end}");
        }
        let (answer, length) = whole(bytes).unwrap();
        assert_eq!((answer.status, answer.retry_after), (503, Some(5)));
        assert_eq!(length, bytes.len() - 9);
        assert_eq!(answer.body["code"], "full");
    }
}
