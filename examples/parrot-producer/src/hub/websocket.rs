//! Publishing over a WebSocket: `GET /v1/ws`, an array of events in each frame. It is opened when something is to be
//! sent, and closed as soon as anything about it is strange: what was not answered is sent again over the next one.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::header::{
    CONNECTION, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use reqwest::{Response, StatusCode, Upgraded};
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::{Door, Trouble};
use crate::answer::{Answer, Refusal};

/// How long opening one may take, and an answer: the hub may wait for room in its queue.
const PATIENCE: Duration = Duration::from_secs(30);

/// The largest answer that is read, in bytes.
const LARGEST_ANSWER: usize = 1024 * 1024;

/// See the module.
pub(crate) struct WebSocket {
    door: Door,
    open: Option<WebSocketStream<Upgraded>>,
}

impl WebSocket {
    pub(super) fn new(door: Door) -> Self {
        Self { door, open: None }
    }

    pub(super) async fn publish(
        &mut self,
        array: String,
        events: usize,
    ) -> Result<Vec<Answer>, Trouble> {
        // Put back once it has answered.
        let mut socket = match self.open.take() {
            Some(socket) => socket,
            None => within(open(&self.door)).await?,
        };
        let answer = within(exchange(&mut socket, array)).await?;
        self.open = Some(socket);
        match answer["status"].as_str() {
            Some("rejected") => Err(Trouble::Refused(Refusal::of(&answer["error"]))),
            _ => Answer::all(answer.get("results"), events).map_err(Trouble::Unanswered),
        }
    }

    /// Answers the hub's pings, for as long as there is a connection.
    pub(super) async fn idle(&mut self) {
        if let Some(socket) = &mut self.open {
            while let Some(Ok(_)) = socket.next().await {}
            self.open = None;
        }
    }
}

async fn within<T>(work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    let late = || unanswered(format!("there was no answer within {PATIENCE:?}"));
    timeout(PATIENCE, work)
        .await
        .unwrap_or_else(|_| Err(late()))
}

async fn exchange(socket: &mut WebSocketStream<Upgraded>, array: String) -> Result<Value, Trouble> {
    socket.send(Message::text(array)).await.map_err(broken)?;
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).map_err(broken),
            Some(Ok(Message::Close(_))) | None => {
                return Err(unanswered("the hub closed the WebSocket"));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(broken(error)),
        }
    }
}

/// Opens one, over the client that speaks HTTP and TLS for this transport too.
async fn open(door: &Door) -> Result<WebSocketStream<Upgraded>, Trouble> {
    let key = generate_key();
    let request = door
        .client
        .get(&door.address)
        .await
        .map_err(|error| unanswered(error.message))?;
    let request = request
        .bearer_auth(door.key.reveal())
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, &key);
    let response = request.send().await.map_err(broken)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refused(response).await);
    }
    let accepted = response.headers().get(SEC_WEBSOCKET_ACCEPT);
    if accepted.is_none_or(|accepted| accepted != derive_accept_key(key.as_bytes()).as_str()) {
        return Err(unanswered("what answers speaks no WebSocket"));
    }
    let line = response.upgrade().await.map_err(broken)?;
    let config = WebSocketConfig::default().max_message_size(Some(LARGEST_ANSWER));
    Ok(WebSocketStream::from_raw_socket(line, Role::Client, Some(config)).await)
}

async fn refused(mut response: Response) -> Trouble {
    let status = response.status().as_u16();
    let seconds = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|after| after.to_str().ok()?.parse().ok());
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await
        && body.len() + chunk.len() <= LARGEST_ANSWER
    {
        body.extend_from_slice(&chunk);
    }
    Trouble::Refused(Refusal::of_response(
        status,
        seconds.map(Duration::from_secs),
        &body,
    ))
}

fn unanswered(why: impl Into<String>) -> Trouble {
    Trouble::Unanswered(why.into())
}

/// An error by its innermost cause, which is the system's own words.
fn broken(error: impl std::error::Error) -> Trouble {
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    unanswered(cause.to_string())
}
