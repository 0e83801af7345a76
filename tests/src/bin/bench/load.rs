//! A load generator that costs little itself: raw requests over kept connections.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::serve::{KEY, noop::now_us};

/// One connection, one request at a time.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(4_096),
        })
    }

    /// Sends a request and reads its whole answer. Says whether it was 202.
    async fn exchange(&mut self, request: &[u8]) -> io::Result<bool> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(whole) = answer_len(&self.buffer)
                && self.buffer.len() >= whole
            {
                return Ok(self.buffer.starts_with(b"HTTP/1.1 202"));
            }
        }
    }
}

/// Length of the answer at the front, once its head is complete.
fn answer_len(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..head])
        .ok()?
        .to_ascii_lowercase();
    let length = text.split("content-length:").nth(1)?.split("\r\n").next()?;
    Some(head + length.trim().parse::<usize>().ok()?)
}

/// A POST of one event.
pub(crate) fn request(body: &str) -> Vec<u8> {
    request_as(KEY, body)
}

/// The same of any client.
pub(crate) fn request_as(key: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /v1/events HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// What was answered as it should be, and how long that took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    pub(crate) events: u64,
    pub(crate) took: Duration,
}

impl Answered {
    /// Events per second.
    pub(crate) fn rate(self) -> f64 {
        self.events as f64 / self.took.as_secs_f64()
    }

    /// Microseconds of what was taken for all, for each event.
    pub(crate) fn micros_each(self, taken: Duration) -> f64 {
        taken.as_secs_f64() * 1e6 / self.events as f64
    }
}

/// As fast as the answers come.
pub(crate) async fn closed_loop(
    to: SocketAddr,
    connections: usize,
    length: Duration,
    request: Vec<u8>,
) -> io::Result<Answered> {
    closed_loop_of(to, connections, length, vec![request]).await
}

/// The same with requests that take turns, on each connection from another one on.
pub(crate) async fn closed_loop_of(
    to: SocketAddr,
    connections: usize,
    length: Duration,
    requests: Vec<Vec<u8>>,
) -> io::Result<Answered> {
    let started = Instant::now();
    let requests: Arc<[Vec<u8>]> = requests.into();
    let mut tasks = JoinSet::new();
    for number in 0..connections {
        let requests = requests.clone();
        tasks.spawn(async move {
            let mut connection = Connection::open(to).await?;
            let first = number * requests.len() / connections;
            let mut done = 0_u64;
            for request in requests.iter().cycle().skip(first) {
                if started.elapsed() >= length {
                    break;
                }
                done += u64::from(connection.exchange(request).await?);
            }
            Ok::<u64, io::Error>(done)
        });
    }
    let mut events = 0;
    while let Some(done) = tasks.join_next().await {
        events += done.map_err(io::Error::other)??;
    }
    Ok(Answered {
        events,
        took: started.elapsed(),
    })
}

/// Sends so many events, one after the other on one connection, for a profiler to look at who takes them.
pub(crate) async fn drive(to: &str, events: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut connection = Connection::open(to.parse()?).await?;
    let request = request(&crate::ingest::noted());
    for _ in 0..events.parse::<u64>()? {
        if !connection.exchange(&request).await? {
            return Err(String::from_utf8_lossy(&connection.buffer).into());
        }
    }
    Ok(())
}

/// The same request again and again, on one connection, with a pause after each, for as long as `goes_on` says after so
/// many: microseconds until each answer was there, sorted.
pub(crate) async fn timed(
    to: SocketAddr,
    request: &[u8],
    pause: Duration,
    goes_on: impl Fn(usize) -> bool,
) -> io::Result<Vec<u64>> {
    let mut connection = Connection::open(to).await?;
    let mut taken = Vec::new();
    while goes_on(taken.len()) {
        let begun = Instant::now();
        connection.exchange(request).await?;
        if !connection.buffer.starts_with(b"HTTP/1.1 200") {
            let told = String::from_utf8_lossy(&connection.buffer).into_owned();
            return Err(io::Error::other(told));
        }
        taken.push(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
        tokio::time::sleep(pause).await;
    }
    taken.sort_unstable();
    Ok(taken)
}

/// At a fixed rate, whatever the answers do: microseconds from when each request was due to its
/// answer, sorted. `body` is given the due time in microseconds since the epoch.
///
/// Each connection is a thread that sleeps until its next request is due: the asynchronous timer
/// is only as fine as a millisecond, which is more than what is measured.
pub(crate) async fn open_loop(
    to: SocketAddr,
    connections: u32,
    rate: u32,
    length: Duration,
    body: fn(u64) -> String,
) -> io::Result<Vec<u64>> {
    let begin = Instant::now() + Duration::from_millis(50);
    let begin_us = now_us() + 50_000;
    let gap = Duration::from_secs(1) / rate;
    let mut threads = JoinSet::new();
    for number in 0..connections {
        threads.spawn_blocking(move || {
            let mut connection = std::net::TcpStream::connect(to)?;
            connection.set_nodelay(true)?;
            let mut answer = vec![0; 4_096];
            let mut latencies = Vec::new();
            for turn in (number..).step_by(connections as usize) {
                let offset = gap * turn;
                if offset >= length {
                    break;
                }
                std::thread::sleep((begin + offset).saturating_duration_since(Instant::now()));
                let due_us = begin_us + u64::try_from(offset.as_micros()).unwrap_or(u64::MAX);
                connection.write_all(&request(&body(due_us)))?;
                // An answer of these servers is small and comes in one piece.
                if connection.read(&mut answer)? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                latencies.push(now_us().saturating_sub(due_us));
            }
            Ok::<Vec<u64>, io::Error>(latencies)
        });
    }
    let mut all = Vec::new();
    while let Some(latencies) = threads.join_next().await {
        all.extend(latencies.map_err(io::Error::other)??);
    }
    all.sort_unstable();
    Ok(all)
}
