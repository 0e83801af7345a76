//! A WebSocket of another make, at a hub's.

use futures_util::{SinkExt, StreamExt};
use nexus_tests::hub::{ADMIN_KEY, Hub, PATIENCE};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Opens one as the admin client.
    pub async fn open(hub: &Hub, query: &str) -> Self {
        let url = format!("ws://{}/v1/ws{query}", hub.address());
        let mut request = url.into_client_request().unwrap();
        let key = format!("Bearer {ADMIN_KEY}").parse().unwrap();
        request.headers_mut().insert("authorization", key);
        let (socket, _) = connect_async(request).await.unwrap();
        Self(socket)
    }

    pub async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// The next text.
    pub async fn hear(&mut self) -> String {
        loop {
            let next = timeout(PATIENCE, self.0.next());
            let message = next.await.expect("nothing came").expect("it ended");
            if let Message::Text(text) = message.unwrap() {
                return text.to_string();
            }
        }
    }
}
