//! Just enough HTTP/1.1 to talk to a hub on this machine: receives a request, hands on the answer.
//!
//! One connection per request, every wait bounded. It follows no redirect and speaks no TLS.

use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::failure::{Failure, Result, Tried as _};

const CONNECT_LIMIT: Duration = Duration::from_secs(2);
const ANSWER_LIMIT: Duration = Duration::from_secs(35);
/// No answer of a hub in a demonstration is nearly as long.
const MAX_BODY: u64 = 16 << 20;

/// Somebody who talks to the hub.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    key: Option<String>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The body as JSON; as a text where it is something else.
    pub(crate) body: Value,
}

impl Client {
    /// Somebody with a key, or with none.
    pub(crate) fn new(address: SocketAddr, key: Option<String>) -> Self {
        Self { address, key }
    }

    pub(crate) fn get(&self, path: &str) -> Result<Answer> {
        self.ask("GET", path, None)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.ask("POST", path, Some(&body.to_string()))
    }

    /// Follows a stream of server-sent events; each one's data arrives as JSON until the stream ends.
    pub(crate) fn follow(&self, path: &str) -> Result<mpsc::Receiver<Value>> {
        let what = format!("GET http://{}{path}", self.address);
        let mut stream = self.send("GET", path, None, &what)?;
        let head = read_head(&mut stream).tried(&what)?;
        if head.status != 200 || !head.chunked {
            return Err(Failure::new(format!(
                "{what} is answered with {}",
                head.status
            )));
        }
        let (send, events) = mpsc::channel();
        std::thread::spawn(move || {
            let mut text = Vec::new();
            while let Ok(Some(chunk)) = read_chunk(&mut stream) {
                text.extend(chunk);
                while let Some(end) = text.windows(2).position(|pair| pair == b"\n\n") {
                    let message: Vec<u8> = text.drain(..end + 2).collect();
                    if let Some(data) = data_of(&String::from_utf8_lossy(&message))
                        && send.send(data).is_err()
                    {
                        return;
                    }
                }
            }
        });
        Ok(events)
    }

    fn ask(&self, method: &str, path: &str, body: Option<&str>) -> Result<Answer> {
        let what = format!("{method} http://{}{path}", self.address);
        let stream = self.send(method, path, body, &what)?;
        read_answer(stream).tried(&what)
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&str>,
        what: &str,
    ) -> Result<BufReader<TcpStream>> {
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAccept: application/json\r\n",
            self.address
        );
        if let Some(key) = &self.key {
            request.push_str(&format!("Authorization: Bearer {key}\r\n"));
        }
        if let Some(body) = body {
            request.push_str("Content-Type: application/json\r\n");
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        request.push_str(body.unwrap_or_default());

        let mut stream = TcpStream::connect_timeout(&self.address, CONNECT_LIMIT).tried(what)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT)).tried(what)?;
        stream.set_write_timeout(Some(ANSWER_LIMIT)).tried(what)?;
        stream.write_all(request.as_bytes()).tried(what)?;
        Ok(BufReader::new(stream))
    }
}

/// What stands before a body.
struct Head {
    status: u16,
    length: Option<u64>,
    chunked: bool,
}

fn read_head(stream: &mut impl BufRead) -> Result<Head> {
    let status = line(stream)?;
    let status = status
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1))
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| Failure::new(format!("not an HTTP answer: {status:?}")))?;
    let mut head = Head {
        status,
        length: None,
        chunked: false,
    };
    loop {
        let header = line(stream)?;
        if header.is_empty() {
            return Ok(head);
        }
        let (name, value) = header.split_once(':').unwrap_or((&header, ""));
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            head.length = Some(value.parse().tried("read content-length")?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            head.chunked = value.eq_ignore_ascii_case("chunked");
        }
    }
}

fn read_answer(mut stream: impl BufRead) -> Result<Answer> {
    let head = read_head(&mut stream)?;
    let mut body = Vec::new();
    if head.chunked {
        while let Some(chunk) = read_chunk(&mut stream)? {
            body.extend(chunk);
        }
    } else if let Some(length) = head.length {
        body = exactly(&mut stream, length)?;
    } else {
        let rest = stream.take(MAX_BODY).read_to_end(&mut body);
        rest.tried("read the body")?;
    }
    Ok(Answer {
        status: head.status,
        body: serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&body).into_owned())),
    })
}

/// The next chunk of a chunked body; `None` at its end.
fn read_chunk(stream: &mut impl BufRead) -> Result<Option<Vec<u8>>> {
    let size = line(stream)?;
    let digits = size.split(';').next().unwrap_or_default().trim();
    let size = u64::from_str_radix(digits, 16).tried("read the size of a chunk")?;
    let chunk = exactly(stream, size)?;
    line(stream)?;
    Ok((size > 0).then_some(chunk))
}

/// The data of one server-sent event, if it has any.
fn data_of(message: &str) -> Option<Value> {
    let lines = message
        .lines()
        .filter_map(|line| line.strip_prefix("data:"));
    let data: Vec<&str> = lines
        .map(|data| data.strip_prefix(' ').unwrap_or(data))
        .collect();
    serde_json::from_str(&data.join("\n")).ok()
}

fn line(stream: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).tried("read the answer")?;
    if read == 0 {
        return Err(Failure::new("the connection ended within the answer"));
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn exactly(stream: &mut impl BufRead, length: u64) -> Result<Vec<u8>> {
    if length > MAX_BODY {
        return Err(Failure::new(format!("a body of {length} bytes")));
    }
    let mut body = Vec::new();
    stream
        .take(length)
        .read_to_end(&mut body)
        .tried("read the body")?;
    if body.len() as u64 != length {
        return Err(Failure::new("the connection ended within the body"));
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Result<Answer> {
        read_answer(text.as_bytes())
    }

    #[test]
    fn bodies_come_with_a_length_in_chunks_or_to_the_end() {
        let accepted = Answer {
            status: 202,
            body: json!({"status": "accepted"}),
        };
        let body = r#"{"status":"accepted"}"#;
        let sized = format!("HTTP/1.1 202 Accepted\r\nContent-Length: 21\r\n\r\n{body}tail");
        assert_eq!(read(&sized), Ok(accepted.clone()));
        let chunked = "HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n\
                       c\r\n{\"status\":\"a\r\n9;x=1\r\nccepted\"}\r\n0\r\n\r\n";
        assert_eq!(read(chunked), Ok(accepted.clone()));
        assert_eq!(
            read(&format!("HTTP/1.0 202 OK\r\n\r\n{body}")),
            Ok(accepted)
        );
        let plain = read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
        assert_eq!(plain.body, json!("ok"));
    }

    #[test]
    fn events_of_a_stream_are_told_from_signs_of_life() {
        assert_eq!(data_of(": still here\n\n"), None);
        let message = "id: 1\ndata: {\"type\":\ndata: \"a.b\"}\n\n";
        assert_eq!(data_of(message), Some(json!({"type": "a.b"})));
    }

    #[test]
    fn what_is_cut_off_or_no_answer_is_an_error() {
        for bad in [
            "",
            "SSH-2.0-x\r\n\r\n",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
