//! The hub, by either transport: receives events, hands on the hub's answers to them, or that there are none.

mod http;
mod websocket;

use std::convert::Infallible;

use nexus_plugin_api::outgoing::{Access, Client};

use crate::answer::{Answer, Refusal};
use crate::cli::{Key, Options, Transport};
use http::Http;
use websocket::WebSocket;

/// See the module.
pub(crate) enum Hub {
    Http(Http),
    WebSocket(Box<WebSocket>),
}

/// Why there are no answers.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The hub does not take what was asked for as a whole.
    Refused(Refusal),
    /// Nothing came that could be read. Nobody knows what became of the events.
    Unanswered(String),
}

/// Where to go, and the right to.
struct Door {
    client: Client,
    /// `http` or `https`.
    address: String,
    key: Key,
}

impl Hub {
    pub(crate) fn new(options: &Options) -> Self {
        let door = |path: &str| Door {
            client: Client::new(Access {
                authorities: options.ca.clone(),
                ..Access::default()
            }),
            address: format!("{}{path}", options.url.as_str().trim_end_matches('/')),
            key: options.key.clone(),
        };
        match options.transport {
            Transport::Http => Self::Http(Http::new(door("/v1/events"))),
            Transport::Websocket => Self::WebSocket(Box::new(WebSocket::new(door("/v1/ws")))),
        }
    }

    /// Sends events together; hands on one answer for each, in order.
    ///
    /// # Errors
    /// When there are none.
    pub(crate) async fn publish(&mut self, events: &[&str]) -> Result<Vec<Answer>, Trouble> {
        let array = format!("[{}]", events.join(","));
        match self {
            Self::Http(http) => http.publish(array, events.len()).await,
            Self::WebSocket(socket) => socket.publish(array, events.len()).await,
        }
    }

    /// Keeps the connection while there is nothing to send. Never ends; may be given up at any time.
    pub(crate) async fn idle(&mut self) -> Infallible {
        if let Self::WebSocket(socket) = self {
            socket.idle().await;
        }
        std::future::pending().await
    }
}
