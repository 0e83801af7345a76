//! A running server with a client, and a terminal whose person is the test.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nexus_proto::toasty::v1::toasty_client::ToastyClient;
use nexus_proto::toasty::v1::watch_event::Event;
use nexus_proto::toasty::v1::{Action, ShowReply, ShowRequest, WatchEvent, WatchRequest};
use serde_json::Value;
use toasty_server::display::Terminal;
use toasty_server::{DisplayKind, Options, Running, Server};
use tokio::sync::mpsc;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

/// Long enough for a slow machine; only a failing test waits for it.
pub(crate) const WITHIN: Duration = Duration::from_secs(10);

pub(crate) type Client = ToastyClient<Channel>;

/// A server whose terminal the test reads and types into.
pub(crate) struct Harness {
    pub(crate) running: Running,
    pub(crate) client: Client,
    typed: mpsc::Sender<String>,
    printed: Printed,
    journal: tempfile::TempDir,
}

impl Harness {
    pub(crate) async fn start() -> Self {
        let journal = tempfile::tempdir().unwrap();
        let options = Options {
            display: DisplayKind::Terminal,
            journal: Some(journal.path().join("journal.jsonl")),
            ..Options::default()
        };
        let (typed, lines) = mpsc::channel(4);
        let printed = Printed::default();
        let out = Box::new(printed.clone());
        let server = Server::bind_with(options, |feedback| {
            Box::new(Terminal::new(out, lines, feedback))
        });
        let running = server.await.unwrap().spawn();
        let client = connect(&running.endpoint()).await;
        Self {
            running,
            client,
            typed,
            printed,
            journal,
        }
    }

    pub(crate) async fn show(&mut self, request: ShowRequest) -> ShowReply {
        self.client.show(request).await.unwrap().into_inner()
    }

    pub(crate) async fn refused(&mut self, request: ShowRequest) -> Status {
        self.client.show(request).await.unwrap_err()
    }

    pub(crate) async fn watch(&mut self, after_seq: Option<u64>) -> Streaming<WatchEvent> {
        let request = WatchRequest {
            after_seq,
            ..WatchRequest::default()
        };
        self.client.watch(request).await.unwrap().into_inner()
    }

    pub(crate) async fn type_line(&self, line: &str) {
        self.typed.send(line.to_owned()).await.unwrap();
    }

    /// What was printed so far.
    pub(crate) fn printed(&self) -> String {
        String::from_utf8(self.printed.0.lock().unwrap().clone()).unwrap()
    }

    pub(crate) async fn wait_for_print(&self, text: &str) {
        let seen = async {
            while !self.printed().contains(text) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let seen = tokio::time::timeout(WITHIN, seen).await;
        seen.unwrap_or_else(|_| panic!("`{text}` not printed: {}", self.printed()));
    }

    pub(crate) fn journal(&self) -> Vec<Value> {
        lines(&self.journal.path().join("journal.jsonl"))
    }
}

pub(crate) async fn connect(endpoint: &str) -> Client {
    let channel = Channel::from_shared(endpoint.to_owned()).unwrap();
    ToastyClient::new(channel.connect().await.unwrap())
}

pub(crate) fn lines(journal: &Path) -> Vec<Value> {
    std::fs::read_to_string(journal)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A toast with nothing but a title.
pub(crate) fn titled(title: &str) -> ShowRequest {
    ShowRequest {
        title: title.to_owned(),
        ..ShowRequest::default()
    }
}

/// A toast with two buttons.
pub(crate) fn asking(title: &str) -> ShowRequest {
    ShowRequest {
        actions: vec![action("approve", "Approve it"), action("reject", "Reject")],
        ..titled(title)
    }
}

pub(crate) fn tagged(title: &str, tag: &str, group: &str) -> ShowRequest {
    ShowRequest {
        tag: tag.to_owned(),
        group: group.to_owned(),
        replace: true,
        ..titled(title)
    }
}

pub(crate) fn action(id: &str, label: &str) -> Action {
    Action {
        id: id.to_owned(),
        label: label.to_owned(),
        ..Action::default()
    }
}

pub(crate) async fn next(events: &mut Streaming<WatchEvent>) -> WatchEvent {
    let event = tokio::time::timeout(WITHIN, events.message()).await;
    event.expect("no event in time").unwrap().unwrap()
}

/// The next event, in short: `SHOWN`, `ACTIVATED approve`, `DISMISSED TimedOut`.
pub(crate) async fn next_in_short(events: &mut Streaming<WatchEvent>) -> String {
    match next(events).await.event.unwrap() {
        Event::Shown(_) => "SHOWN".to_owned(),
        Event::Activated(activated) => format!("ACTIVATED {}", activated.action_id),
        Event::Dismissed(dismissed) => format!("DISMISSED {:?}", dismissed.reason()),
        Event::Failed(failed) => format!("FAILED {}", failed.message),
    }
}

#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
