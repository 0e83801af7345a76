//! What is said on a WebSocket, over a real socket, by a client of another make.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use nexus_plugin_api::ContractInfo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::config::{ByteSize, HumanDuration};
use crate::ingress::harness::{Hub, client, event};
use crate::queue::Queue;

const PATIENCE: Duration = Duration::from_secs(10);

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    /// Opens a WebSocket as a client, with further headers.
    async fn open(hub: &Hub, query: &str, headers: &[(&'static str, &str)]) -> Result<Self, Error> {
        let url = format!("ws://{}/v1/ws{query}", hub.address);
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        connect_async(request).await.map(|(socket, _)| Self(socket))
    }

    async fn any(hub: &Hub) -> Self {
        Self::open(hub, "", &[("authorization", "Bearer any")])
            .await
            .unwrap()
    }

    async fn say(&mut self, text: impl ToString) {
        self.0.send(Message::text(text.to_string())).await.unwrap();
    }

    async fn message(&mut self) -> Message {
        let next = timeout(PATIENCE, self.0.next())
            .await
            .expect("nothing came");
        next.expect("it ended").unwrap()
    }

    /// The next text, as JSON.
    async fn hear(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.message().await {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    async fn ask(&mut self, text: impl ToString) -> Value {
        self.say(text).await;
        self.hear().await
    }

    /// With which code the hub closes.
    async fn closed(&mut self) -> CloseCode {
        loop {
            if let Message::Close(frame) = self.message().await {
                return frame.unwrap().code;
            }
        }
    }
}

fn status(refused: Error) -> u16 {
    match refused {
        Error::Http(response) => response.status().as_u16(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn every_frame_is_answered_in_order() {
    let hub = Hub::start(|_| {}).await;
    let mut client = Client::any(&hub).await;
    for n in 0..100 {
        let change = json!({ "payload": { "n": n } });
        let text = json!({ "op": "publish", "id": n, "event": event(change) });
        client.say(text).await;
    }
    for n in 0..100 {
        let answer = client.hear().await;
        assert_eq!(
            (&answer["id"], &answer["status"]),
            (&json!(n), &json!("accepted"))
        );
    }
    assert_eq!(hub.queue.stats().depth, 100);
}

#[tokio::test]
async fn an_event_an_array_and_a_duplicate() {
    let hub = Hub::start(|_| {}).await;
    let mut client = Client::any(&hub).await;
    let id = "0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b7a";
    let once = event(json!({ "event_id": id }));
    assert_eq!(
        client.ask(&once).await,
        json!({ "event_id": id, "status": "accepted" })
    );
    let again = client.ask(&once).await;
    assert_eq!(again["status"], "duplicate");
    assert_eq!(again["href"], format!("/v1/events/{id}"));
    let bad = event(json!({ "payload": { "n": "one" } }));
    let answer = client.ask(json!([event(json!({})), bad])).await;
    assert_eq!(answer["results"][0]["status"], "accepted");
    assert_eq!(answer["results"][1]["error"]["code"], "contract_violation");
    assert_eq!(
        answer["results"][1]["error"]["errors"][0]["pointer"],
        "/payload/n"
    );
    // One alone is an array as well, and one of words is none that says what to do.
    let answer = client.ask(json!([event(json!({}))])).await;
    assert_eq!(answer["results"][0]["status"], "accepted", "{answer}");
    let answer = client.ask(json!(["subscribe"])).await;
    assert_ne!(answer["status"], "subscribed", "{answer}");
}

#[tokio::test]
async fn what_cannot_be_read_is_told_and_the_rest_goes_on() {
    let hub = Hub::start(|_| {}).await;
    let mut client = Client::any(&hub).await;
    let body = event(json!({}));
    let types = vec!["a.b"; 101];
    let many = json!({ "op": "subscribe", "types": types }).to_string();
    for (text, code) in [
        (many.as_str(), "malformed_event"),
        ("{", "malformed_json"),
        ("", "malformed_json"),
        ("{\"type\":\"a\",\"type\":\"b\"}", "malformed_json"),
        ("7", "contract_violation"),
        ("{\"op\":\"dance\"}", "malformed_event"),
        ("{\"op\":\"publish\"}", "malformed_event"),
        ("{\"op\":7}", "malformed_event"),
        (
            "{\"op\":\"subscribe\",\"types\":[\"a*\"]}",
            "malformed_event",
        ),
        ("{\"op\":\"subscribe\",\"until\":1}", "malformed_event"),
        ("{\"op\":\"subscribe\",\"after\":1}", "not_found"),
    ] {
        let answer = client.ask(text).await;
        assert_eq!(answer["error"]["code"], code, "{text}: {answer}");
        assert_eq!(answer["status"], "rejected");
    }
    let unread = client
        .ask(json!({ "op": "publish", "id": "x", "events": body }))
        .await;
    assert_eq!(unread["error"]["code"], "malformed_event");
    assert_eq!(unread["id"], "x", "{unread}");
    assert_eq!(client.ask(&body).await["status"], "accepted");
}

#[tokio::test]
async fn who_follows_gets_what_passes_and_can_come_back() {
    let hub = Hub::start(|_| {}).await;
    let mut client = Client::any(&hub).await;
    let subscribe = json!({ "op": "subscribe", "id": 1, "types": ["test.*"], "sources": ["s"] });
    assert_eq!(
        client.ask(&subscribe).await,
        json!({ "id": 1, "status": "subscribed" })
    );
    let mut other = Client::any(&hub).await;
    other.ask(event(json!({ "source": "t" }))).await;
    other.ask(event(json!({ "payload": { "n": 7 } }))).await;
    let passed = client.hear().await;
    assert_eq!(passed["op"], "event");
    assert_eq!(passed["event"]["payload"]["n"], 7);
    assert_eq!(
        client.ask(json!({ "op": "unsubscribe" })).await["status"],
        "unsubscribed"
    );

    other.ask(event(json!({ "payload": { "n": 8 } }))).await;
    let resume = json!({ "op": "subscribe", "after": passed["position"] });
    assert_eq!(client.ask(&resume).await["status"], "subscribed");
    let missed = client.hear().await;
    assert_eq!(missed["event"]["payload"]["n"], 8);
    assert_eq!(
        missed["position"].as_u64().unwrap(),
        passed["position"].as_u64().unwrap() + 1
    );
}

#[tokio::test]
async fn cloudevents_by_their_subprotocol_both_ways() {
    let hub = Hub::start(|_| {}).await;
    let headers = [
        ("authorization", "Bearer any"),
        ("sec-websocket-protocol", "mqtt, cloudevents.json"),
    ];
    let mut client = Client::open(&hub, "?type=test.happened", &headers)
        .await
        .unwrap();
    let cloud = json!({ "specversion": "1.0", "id": "1", "source": "/s", "type": "test.happened",
        "data": { "n": 1 } });
    client.say(&cloud).await;
    let (mut answers, mut events) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let heard = client.hear().await;
        match heard.get("specversion") {
            Some(_) => events.push(heard),
            None => answers.push(heard),
        }
    }
    assert_eq!(answers[0]["status"], "accepted");
    assert_eq!(
        (&events[0]["data"]["n"], &events[0]["source"]),
        (&json!(1), &json!("s"))
    );
    assert_eq!(
        client.ask(json!({ "id": "1" })).await["error"]["code"],
        "malformed_event"
    );
}

#[tokio::test]
async fn nobody_is_let_in_without_a_key_or_from_elsewhere() {
    let hub = Hub::start(|settings| {
        settings.server.websocket.origins = vec!["https://good.example".to_owned()];
    })
    .await;
    let key = ("authorization", "Bearer any");
    for (headers, expected) in [
        (&[][..], 401),
        (&[("authorization", "Bearer wrong")], 401),
        (&[key, ("origin", "https://bad.example")], 403),
        (&[key, ("origin", "null")], 403),
    ] {
        let refused = Client::open(&hub, "", headers).await.err().unwrap();
        assert_eq!(status(refused), expected, "{headers:?}");
    }
    let own = format!("http://{}", hub.address);
    for origin in ["https://good.example", &own] {
        assert!(
            Client::open(&hub, "", &[key, ("origin", origin)])
                .await
                .is_ok(),
            "{origin}"
        );
    }
    assert!(Client::open(&hub, "?access_token=any", &[]).await.is_ok());
    let refused = Client::open(&hub, "?since=1", &[key]).await.err().unwrap();
    assert_eq!(status(refused), 400);
    assert_eq!(
        hub.get("any", "/v1/ws").await.problem(400),
        "malformed_event"
    );
}

#[tokio::test]
async fn too_much_and_the_wrong_kind_ends_it() {
    let hub = Hub::start(|settings| settings.limits.max_body = ByteSize::from_kib(16)).await;
    let mut client = Client::any(&hub).await;
    client.say("x".repeat(64 * 1024)).await;
    assert_eq!(client.closed().await, CloseCode::Size);
    let mut client = Client::any(&hub).await;
    client.0.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(client.closed().await, CloseCode::Unsupported);
}

#[tokio::test]
async fn a_silent_client_is_asked_and_then_closed() {
    let hub = Hub::start(|settings| {
        settings.server.websocket.idle_timeout = HumanDuration::from(Duration::from_millis(400));
    })
    .await;
    // Whoever reads answers the pings, and stays.
    let mut lively = Client::any(&hub).await;
    let until = tokio::time::Instant::now() + Duration::from_millis(1_500);
    while let Ok(message) = tokio::time::timeout_at(until, lively.message()).await {
        assert!(matches!(message, Message::Ping(_)), "{message:?}");
    }
    // Whoever does not, is closed.
    let mut silent = Client::any(&hub).await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(silent.closed().await, CloseCode::Policy);
}

#[tokio::test]
async fn who_follows_is_asked_for_a_sign_of_life_however_much_passes() {
    let idle = Duration::from_millis(400);
    let hub = Hub::start(|settings| {
        settings.server.websocket.idle_timeout = HumanDuration::from(idle);
        settings.queue.capacity = 10_000;
    })
    .await;
    let follow = "?type=test.happened&access_token=any";
    let mut lively = Client::open(&hub, follow, &[]).await.unwrap();
    let mut deaf = Client::open(&hub, follow, &[]).await.unwrap();
    let mut publisher = Client::any(&hub).await;
    let until = tokio::time::Instant::now() + idle * 4;
    let mut pings = 0;
    // Something passes at each moment, also at the one when the ping is due.
    let publish = async {
        while tokio::time::Instant::now() < until {
            publisher.ask(event(json!({}))).await;
        }
    };
    let read = async {
        while let Ok(message) = tokio::time::timeout_at(until, lively.message()).await {
            match message {
                Message::Ping(_) => pings += 1,
                Message::Text(_) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::join!(publish, read);
    assert!(pings >= 3, "asked {pings} times");
    // Whoever answers none is closed, whatever passes.
    assert_eq!(deaf.closed().await, CloseCode::Policy);
}

#[tokio::test]
async fn a_flood_of_pings_is_closed_and_a_few_are_answered() {
    let hub = Hub::start(|_| {}).await;
    let mut client = Client::any(&hub).await;
    for n in 0..200_u8 {
        client.0.send(Message::Ping(vec![n].into())).await.unwrap();
        assert_eq!(client.message().await, Message::Pong(vec![n].into()));
    }
    let (mut write, mut read) = client.0.split();
    let flood = async {
        while write.send(Message::Ping(vec![0; 100].into())).await.is_ok() {}
        std::future::pending().await
    };
    let closed = async {
        loop {
            match read.next().await.unwrap() {
                Ok(Message::Close(frame)) => break frame.unwrap().code,
                Ok(_) => {}
                // The rest of the flood was sent to a closed socket.
                Err(_) => break CloseCode::Policy,
            }
        }
    };
    let closed = timeout(PATIENCE, async {
        tokio::select! { code = closed => code, () = flood => unreachable!() }
    });
    assert_eq!(closed.await.expect("it goes on"), CloseCode::Policy);
}

/// A client for which the system holds as little as it can: what it does not read stays with the hub.
#[cfg(target_os = "linux")]
async fn narrow(hub: &Hub) -> TcpStream {
    use tokio::io::AsyncWriteExt;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(1).unwrap();
    socket2::SockRef::from(&socket).set_tcp_mss(536).unwrap();
    let mut stream = socket.connect(hub.address).await.unwrap();
    let opening = "GET /v1/ws HTTP/1.1\r\nhost: x\r\nauthorization: Bearer any\r\nupgrade: websocket\r\n\
        connection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: bmV4dXMgdGVzdCBjbGllbg==\r\n\r\n";
    stream.write_all(opening.as_bytes()).await.unwrap();
    stream
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn who_takes_no_pongs_is_not_listened_to_and_cut_off() {
    use tokio::io::AsyncWriteExt;
    let hub =
        Hub::start(|settings| settings.server.body_timeout = Duration::from_millis(300).into())
            .await;
    let mut client = narrow(&hub).await;
    // Fewer than it may send, and more than the system holds.
    let ping = [&[0x89, 0x80 | 125, 0, 0, 0, 0], &[b'x'; 125][..]].concat();
    client.write_all(&ping.repeat(900)).await.unwrap();
    let cut = async {
        while client.write_all(&[0x8a, 0x80, 0, 0, 0, 0]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(3), cut)
        .await
        .expect("it goes on");
}

#[tokio::test]
async fn a_client_that_closes_is_answered() {
    let hub = Hub::start(|_| {}).await;
    let mut client = Client::any(&hub).await;
    client.ask(event(json!({}))).await;
    client.0.close(None).await.unwrap();
    assert!(matches!(client.message().await, Message::Close(_)));
    let end = timeout(PATIENCE, client.0.next()).await.unwrap();
    assert!(!matches!(end, Some(Ok(_))), "{end:?}");
}

#[tokio::test]
async fn frames_take_effect_in_their_order() {
    let hub = Hub::start(|_| {}).await;
    let mut client = Client::any(&hub).await;
    for round in 0..20 {
        client
            .0
            .feed(Message::text(json!({ "op": "subscribe" }).to_string()))
            .await
            .unwrap();
        client
            .0
            .feed(Message::text(event(json!({})).to_string()))
            .await
            .unwrap();
        client.0.flush().await.unwrap();
        let mut heard = vec![
            client.hear().await,
            client.hear().await,
            client.hear().await,
        ];
        heard.retain(|one| one["op"] == "event");
        assert_eq!(heard.len(), 1, "{round}");
        client.ask(json!({ "op": "unsubscribe" })).await;
    }
}

#[tokio::test]
async fn a_stop_closes_those_that_are_open() {
    let mut hub = Hub::start(|_| {}).await;
    let mut client = Client::any(&hub).await;
    client.ask(event(json!({}))).await;
    hub.stop(Duration::from_secs(5));
    assert_eq!(client.closed().await, CloseCode::Away);
    drop(client);
    assert_eq!(hub.ended().await.cut, 0);
}

#[tokio::test]
async fn the_sender_of_an_outdated_version_is_told() {
    let hub = Hub::start(|_| {}).await;
    let mut info = ContractInfo::new("test.old", "1.0.0".parse().unwrap(), json!({}));
    info.sunset = Some("2999-12-31T00:00:00Z".parse().unwrap());
    hub.contracts.register("test", info).unwrap();
    let mut client = Client::any(&hub).await;
    let told = client.ask(event(json!({ "type": "test.old" }))).await;
    assert_eq!(told["status"], "accepted");
    assert_eq!(told["deprecation"]["sunset"], "2999-12-31T00:00:00Z");
    let fine = client.ask(event(json!({}))).await;
    assert!(fine.get("deprecation").is_none(), "{fine}");
}

#[tokio::test]
async fn a_frame_that_is_none_counts_as_an_event() {
    let slow = |id| crate::admission::Client {
        rate: Some(0.001),
        burst: Some(1),
        ..client(id, &["*"], &["*"])
    };
    let hub = Hub::start(|settings| settings.clients.extend([slow("one"), slow("two")])).await;
    for (key, frame, code) in [
        ("Bearer one", "[", "malformed_json"),
        ("Bearer two", r#"{"op": "x"}"#, "malformed_event"),
    ] {
        let headers = [("authorization", key)];
        let mut slow = Client::open(&hub, "", &headers).await.unwrap();
        assert_eq!(slow.ask(frame).await["error"]["code"], code);
        assert_eq!(slow.ask(frame).await["error"]["code"], "rate_limited");
    }
}
