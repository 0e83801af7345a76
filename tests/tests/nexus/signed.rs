//! Signed requests to a running hub: what whoever has no secret is told, and what is left of a request that
//! was recorded before a restart. And what the log says of those who want more than they may.

use std::time::Duration;

use nexus_tests::hub::{Hub, HubBuilder, eventually, key_hash};
use nexus_tests::wire::{self, Wire};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// A body that says that it is.
const TOO_LARGE: &str = "too large";

const LIMITED_KEY: &str = "nxk_test_limited";

fn builder() -> HubBuilder {
    HubBuilder::new()
        .config(
            "[[clients]]\nid = \"app\"\nhmac = [{ env = \"APP_SECRET\" }]\nsources = [\"app\"]\n\
             types = [\"probe.*\"]\n\
             [[clients]]\nid = \"caller\"\nhmac = [{ env = \"APP_SECRET\" }]\n\
             transports = [\"grpc\"]\n\
             [[clients]]\nid = \"slow\"\nhmac = [{ env = \"APP_SECRET\" }]\nhmac_window = \"1s\"",
        )
        .config(&format!(
            "[[clients]]\nid = \"limited\"\nkey_sha256 = \"{}\"\nsources = [\"limited\"]\n\
             types = [\"probe.*\"]",
            key_hash(LIMITED_KEY)
        ))
        .env("APP_SECRET", SECRET)
        .plugin("probe")
}

/// HMAC-SHA256 by its definition (RFC 2104), for a secret of at most 64 bytes.
fn hmac(secret: &str, text: &str) -> String {
    let pad = |with: u8| {
        let mut key = [with; 64];
        key.iter_mut()
            .zip(secret.bytes())
            .for_each(|(k, s)| *k ^= s);
        key
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text);
    let outer = Sha256::new().chain_update(pad(0x5c));
    hex::encode(outer.chain_update(inner.finalize()).finalize())
}

struct Signed {
    client: &'static str,
    secret: &'static str,
    method: &'static str,
    path: &'static str,
    /// Seconds that its time is ahead of now.
    ahead: i64,
}

const PUBLISH: Signed = Signed {
    client: "app",
    secret: SECRET,
    method: "POST",
    path: "/v1/events",
    ahead: 0,
};

/// A request with a new nonce.
fn request(signed: &Signed, body: &str) -> String {
    let Signed {
        client,
        secret,
        method,
        path,
        ahead,
    } = signed;
    let time = chrono::Utc::now().timestamp() + ahead;
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    let digest = hex::encode(Sha256::digest(body));
    let signature = hmac(
        secret,
        &format!("{time}\n{nonce}\n{method}\n{path}\n{digest}"),
    );
    format!(
        "{method} {path} HTTP/1.1\r\nhost: hub\r\nauthorization: Nexus-HMAC-SHA256 Client={client}, \
         Timestamp={time}, Nonce={nonce}, Signature={signature}\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    )
}

fn event() -> String {
    json!({ "type": "probe.ping", "source": "app", "payload": { "n": 1 } }).to_string()
}

/// Everything that is answered, byte by byte, but for the date.
async fn raw(hub: &Hub, request: &str) -> String {
    let asked = async {
        let mut stream = TcpStream::connect(hub.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = timeout(Duration::from_secs(20), asked).await.unwrap();
    let lines = answer.split_inclusive("\r\n");
    lines
        .filter(|line| !line.to_lowercase().starts_with("date:"))
        .collect()
}

/// Without the hub's time, which whoever has signed too long ago is told.
fn plain(answer: &str) -> String {
    match answer.split_once(" before now (") {
        None => answer.to_owned(),
        Some((before, rest)) => {
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{before} before now ({rest}")
        }
    }
}

async fn status(hub: &Hub, request: &str) -> u16 {
    let mut wire = Wire::open(hub.address()).await.unwrap();
    let answer = wire.exchange(request.as_bytes()).await.unwrap();
    answer.status
}

#[tokio::test]
async fn whoever_has_no_secret_is_told_the_same_of_every_client_and_of_none() {
    let hub = builder().start();
    let clients = ["app", "nobody", "caller", "slow", "limited", "test-admin"];
    let cases = [
        ("POST", "/v1/events", 0, event()),
        ("POST", "/v1/events", -100, event()),
        ("POST", "/v1/events", -400, event()),
        ("POST", "/v1/events", 400, event()),
        ("POST", "/v1/events", 0, TOO_LARGE.to_owned()),
        ("GET", "/v1/contracts", 0, String::new()),
        ("GET", "/v1/admin/queue", 0, String::new()),
        ("GET", "/metrics", 0, String::new()),
        (
            "POST",
            "/v1/admin/dead-letters/purge",
            0,
            r#"{"all":true}"#.to_owned(),
        ),
    ];
    // More than twenty would be answered alike for another reason.
    for group in cases.chunks(3) {
        let hub = builder().start();
        for (method, path, ahead, body) in group {
            let mut told = Vec::new();
            for client in clients {
                let signed = Signed {
                    client,
                    secret: "another secret of enough bytes",
                    method,
                    path,
                    ahead: *ahead,
                };
                let mut request = request(&signed, body);
                if body == TOO_LARGE {
                    request = request.replace("content-length: 9", "content-length: 99999999");
                }
                told.push(plain(&raw(&hub, &request).await));
            }
            let first = &told[0];
            let expected = if body == TOO_LARGE {
                "payload_too_large"
            } else {
                "unauthenticated"
            };
            assert!(first.contains(expected), "{first}");
            for (client, other) in clients.iter().zip(&told) {
                assert_eq!(other, first, "{client} {method} {path} {ahead}");
                assert!(!other.contains(&format!("`{client}`")), "{other}");
            }
        }
    }
    // And whoever has the secret is told.
    let by_http = Signed {
        client: "caller",
        ..PUBLISH
    };
    let refused = raw(&hub, &request(&by_http, &event())).await;
    assert!(refused.contains("may not come by http"), "{refused}");
}

#[tokio::test]
async fn a_recorded_request_is_of_no_use_after_a_restart() {
    let hub = builder().start();
    let recorded = request(&PUBLISH, &event());
    assert_eq!(status(&hub, &recorded).await, 202);
    assert_eq!(status(&hub, &recorded).await, 401, "it was there");
    let second = chrono::Utc::now().timestamp();
    let home = hub.kill();
    // A time has whole seconds, and so has what it is held against.
    eventually("the next second begins", || async {
        (chrono::Utc::now().timestamp() > second).then_some(())
    })
    .await;
    let hub = home.start();
    assert_eq!(status(&hub, &request(&PUBLISH, &event())).await, 202);
    let mut wire = Wire::open(hub.address()).await.unwrap();
    let answer = wire.exchange(recorded.as_bytes()).await.unwrap();
    assert_eq!(answer.status, 429, "{answer:?}");
    assert_eq!(answer.retry_after, Some(1), "{answer:?}");
    let told = answer.body["detail"].as_str().unwrap();
    assert!(told.contains("sign it again"), "{told}");
    hub.wait_for_log("before_start").await;
}

#[tokio::test]
async fn the_log_tells_who_wanted_more_than_it_may_and_a_flood_does_not_fill_it() {
    let hub = builder().start();
    let mut wire = Wire::open(hub.address()).await.unwrap();
    let strange =
        json!({ "type": "probe.ping", "source": "else", "payload": { "pin": "4711-secret" } });
    for _ in 0..500 {
        let answer = wire
            .exchange(&wire::post("/v1/events", LIMITED_KEY, &strange))
            .await;
        assert_eq!(answer.unwrap().status, 403);
    }
    let many: Vec<&Value> = vec![&strange; 100];
    let answer = wire
        .exchange(&wire::post("/v1/events", LIMITED_KEY, &json!(many)))
        .await;
    assert_eq!(answer.unwrap().status, 207);
    let told = "refused what a client may not do";
    let log = eventually("the log has told 20 times", || async {
        let log = hub.log();
        (log.matches(told).count() >= 20).then_some(log)
    })
    .await;
    let lines: Vec<_> = log.lines().filter(|line| line.contains(told)).collect();
    assert!(lines.len() < 30, "{} lines", lines.len());
    for line in lines {
        assert!(line.contains("WARN") && line.contains("limited"), "{line}");
        assert!(
            line.contains("probe.ping") && line.contains("else"),
            "{line}"
        );
    }
    assert!(
        !log.contains("4711-secret") && !log.contains(LIMITED_KEY),
        "{log}"
    );
    // Others have lines of their own.
    let admin = wire
        .exchange(&wire::get("/v1/admin/queue", LIMITED_KEY))
        .await;
    assert_eq!(admin.unwrap().status, 403);
}
