//! A server that keeps what it was sent and answers as told, and a hub that asks it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use nexus_plugin_api::Event;
use nexus_plugin_testkit::{DeadLetter, Journey, TestHub};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::asker::{self, Ask};

/// A request as it came over the wire.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) line: String,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "`{name}` is there twice");
        value
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Status line, headers and body; `200 OK` when there are none left.
    answers: Arc<Mutex<VecDeque<String>>>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            answers: Arc::default(),
        };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move { serving.serve(stream).await });
            }
        });
        server
    }

    /// Answers a coming request with a status, further headers and a body.
    pub(crate) fn answer(&self, status: u16, headers: &str, body: &str) {
        let length = body.len();
        let answer =
            format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n{body}");
        self.answers.lock().push_back(answer);
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    /// The only request that came.
    pub(crate) fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen[0].clone()
    }

    /// One request on each connection, which is then closed.
    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut bytes = Vec::new();
        let (head, mut body) = loop {
            let mut chunk = [0; 4096];
            let read = stream
                .read(&mut chunk)
                .await
                .ok()
                .filter(|read| *read > 0)?;
            bytes.extend_from_slice(&chunk[..read]);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                break (head.to_owned(), body.as_bytes().to_vec());
            }
        };
        let mut lines = head.lines();
        let line = lines.next()?.to_owned();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length.map_or(0, |(_, value)| value.parse().unwrap());
        while body.len() < length {
            let mut chunk = [0; 4096];
            let read = stream
                .read(&mut chunk)
                .await
                .ok()
                .filter(|read| *read > 0)?;
            body.extend_from_slice(&chunk[..read]);
        }
        let body = String::from_utf8(body).unwrap();
        self.seen.lock().push(Seen {
            at: Instant::now(),
            line,
            headers,
            body,
        });
        let next = self.answers.lock().pop_front();
        let answer =
            next.unwrap_or_else(|| "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned());
        let answer = answer.replacen("content-length", "connection: close\r\ncontent-length", 1);
        stream.write_all(answer.as_bytes()).await.ok()?;
        stream.shutdown().await.ok()
    }
}

/// A hub whose plugin has this configuration (in TOML, `SERVER` for the server's address) and these secrets.
pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) hub: TestHub,
    _folder: TempDir,
}

impl Scene {
    pub(crate) async fn new(config: &str, secrets: &[(&str, &str)]) -> Self {
        let server = Server::start().await;
        let folder = tempfile::tempdir().unwrap();
        let mut text = "[retry]\ndelays = [\"10ms\"]\n[breaker]\nfailures = 1000\n".to_owned();
        text += "[plugins.http.secrets]\n";
        for (name, secret) in secrets {
            let file = folder.path().join(name);
            std::fs::write(&file, secret).unwrap();
            text += &format!("{name} = {{ file = {} }}\n", json!(file));
        }
        text += &config.replace("SERVER", &format!("http://{}", server.address));
        let hub = TestHub::builder()
            .config_toml(&text)
            .plugin(http_plugin::plugin())
            .plugin(asker::plugin())
            .start()
            .await
            .unwrap();
        Self {
            server,
            hub,
            _folder: folder,
        }
    }

    /// Has the integration asked, and waits for what becomes of it.
    pub(crate) async fn ask(&self, request: Value) -> Journey {
        self.ask_of(request, None).await
    }

    pub(crate) async fn ask_of(&self, request: Value, target: Option<&str>) -> Journey {
        let target = target.map(str::to_owned);
        let event = Event::of("test", Ask { request, target });
        self.hub.process(event).await.unwrap()
    }

    /// Has it asked for what it cannot do: the code, and the whole dead letter as text.
    pub(crate) async fn refused(&self, request: Value) -> (String, String) {
        let before = self.hub.dead_letters().await.len();
        let journey = self.ask(request.clone()).await;
        let letters = self.hub.dead_letters().await;
        assert_eq!(letters.len(), before + 1, "{request}: {journey:?}");
        let letter: &DeadLetter = letters.last().unwrap();
        let last = letter.errors.last().unwrap();
        (last.code.clone(), format!("{letter:?} {journey:?}"))
    }
}
