//! Something between hub and server that loses answers: the run was begun, and nobody is told.

use nexus_tests::hub::client;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::Response;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of the first answer to a request that begins a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    /// It breaks off.
    Lost,
    /// It never comes.
    Held,
}

/// A running proxy. It ends when dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    desk: Arc<Desk>,
    serving: JoinHandle<()>,
}

struct Desk {
    to: String,
    first: First,
    client: reqwest::Client,
    /// The thread of the first run that was begun through it.
    begun: watch::Sender<Option<String>>,
    open: watch::Sender<bool>,
    asked: AtomicUsize,
}

impl Proxy {
    pub(crate) async fn before(server: &str, first: First) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let desk = Arc::new(Desk {
            to: server.to_owned(),
            first,
            client: client(),
            begun: watch::Sender::new(None),
            open: watch::Sender::new(true),
            asked: AtomicUsize::new(0),
        });
        let router = Router::new().fallback(pass).with_state(desk.clone());
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self {
            address,
            desk,
            serving,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until a run has begun through it; hands on its thread.
    pub(crate) async fn begun(&self) -> String {
        let mut begun = self.desk.begun.subscribe();
        let begun = begun.wait_for(Option::is_some).await.unwrap();
        begun.clone().unwrap_or_default()
    }

    /// How many requests to begin a run have come by.
    pub(crate) fn creations(&self) -> usize {
        self.desk.asked.load(Ordering::Relaxed)
    }

    /// Lets nothing through until it is opened again.
    pub(crate) fn close(&self) {
        self.desk.open.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.desk.open.send_replace(true);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let _ = desk.open.subscribe().wait_for(|open| *open).await;
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let begins = head.method == Method::POST && head.uri.path().ends_with("/runs");
    let is_first = begins && desk.asked.fetch_add(1, Ordering::Relaxed) == 0;
    let mut asked = desk
        .client
        .request(head.method, format!("{}{}", desk.to, head.uri));
    for name in ["content-type", "last-event-id"] {
        if let Some(value) = head.headers.get(name) {
            asked = asked.header(name, value);
        }
    }
    let answer = asked.body(body).send().await.unwrap();
    let response = Response::builder().status(answer.status());
    let body = answer.bytes().await.unwrap();
    if !is_first {
        return response.body(Body::from(body)).unwrap();
    }
    let thread = head.uri.path().split('/').nth(2).unwrap_or_default();
    desk.begun.send_replace(Some(thread.to_owned()));
    match desk.first {
        First::Held => std::future::pending().await,
        First::Lost => {
            let broken = async { Err::<Bytes, _>(std::io::Error::other("lost on the way")) };
            let broken = futures_util::stream::once(broken);
            response.body(Body::from_stream(broken)).unwrap()
        }
    }
}
