//! Credentials and rates, over a real socket.

use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::net::TcpSocket;
use tokio::time::{sleep, timeout};

use super::super::super::harness::{Answer, Connection, Hub, client, event, post};
use super::{AUTHORIZATION, matrix, presented};
use crate::admission::config::Key;
use crate::admission::{Client, Head, Presented};
use crate::config::{Config, KeyHash, Secret};
use crate::ingress::webhooks::Webhook;
use crate::ingress::webhooks::config::Scheme;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A request to sign.
pub(in crate::ingress) struct Signed<'s> {
    pub(in crate::ingress) secret: &'s str,
    pub(in crate::ingress) client: &'s str,
    /// Seconds that its time is behind.
    pub(in crate::ingress) late: i64,
    pub(in crate::ingress) nonce: &'s str,
    pub(in crate::ingress) method: &'s str,
    pub(in crate::ingress) target: &'s str,
    pub(in crate::ingress) body: &'s str,
}

/// Signs as the documentation says.
pub(in crate::ingress) fn signed_header(request: &Signed<'_>) -> String {
    let Signed {
        client,
        nonce,
        method,
        target,
        ..
    } = request;
    let timestamp = chrono::Utc::now().timestamp() - request.late;
    let digest = hex::encode(Sha256::digest(request.body));
    let text = format!("{timestamp}\n{nonce}\n{method}\n{target}\n{digest}");
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, request.secret.as_bytes());
    let signature = hex::encode(ring::hmac::sign(&key, text.as_bytes()));
    format!(
        "Nexus-HMAC-SHA256 Client={client}, Timestamp={timestamp}, Nonce={nonce}, \
         Signature={signature}"
    )
}

fn with_header(authorization: &str, method: &str, path: &str, body: &str) -> String {
    let request = post("KEY", path, body).replacen("POST", method, 1);
    request.replace("Bearer KEY", authorization)
}

async fn signing_hub() -> Hub {
    Hub::start(|settings| {
        settings.clients = vec![Client {
            admin: true,
            hmac: vec![Secret::new(SECRET)],
            ..client("app", &["*"], &["*"])
        }];
        settings.webhooks = vec![Webhook {
            name: "shop".to_owned(),
            scheme: Scheme::Github,
            secrets: vec![Secret::new(SECRET)],
            ..Webhook::default()
        }];
    })
    .await
}

fn signed<'s>(nonce: &'s str, body: &'s str) -> Signed<'s> {
    Signed {
        secret: SECRET,
        client: "app",
        late: 0,
        nonce,
        method: "POST",
        target: "/v1/events?ack=processed",
        body,
    }
}

#[tokio::test]
async fn a_signed_event_is_taken_once() {
    let hub = signing_hub().await;
    let body = event(json!({})).to_string();
    let mut request = signed("0123456789abcdef", &body);
    request.target = "/v1/events";
    let header = signed_header(&request);
    let send = |body: String| with_header(&header, "POST", "/v1/events", &body);
    let other = body.replace("\"n\":1", "\"n\":2");
    assert_eq!(hub.send(&send(other)).await.problem(401), "unauthenticated");
    assert_eq!(hub.send(&send(body.clone())).await.status, 202);
    let replayed = hub.send(&send(body.clone())).await;
    assert_eq!(replayed.problem(401), "unauthenticated");
    assert!(replayed.body.contains("was there before"), "{replayed:?}");
    let elsewhere = with_header(&header, "POST", "/v1/events?ack=processed", &body);
    assert_eq!(hub.send(&elsewhere).await.problem(401), "unauthenticated");
}

/// Who stands on the way, and what he can make of a request that somebody else has signed.
#[tokio::test]
async fn no_header_makes_another_event_of_a_signed_one() {
    let hub = signing_hub().await;
    let (native, cloud) = (
        event(json!({})).to_string(),
        json!({
            "specversion": "1.0", "id": "1", "source": "s", "type": "test.happened",
            "data": { "n": 1 },
        })
        .to_string(),
    );
    let structured = "application/cloudevents+json";
    let bodies = [
        ("application/json", native.clone()),
        ("application/json", format!("[{native}]")),
        (structured, cloud.clone()),
        ("application/cloudevents-batch+json", format!("[{cloud}]")),
    ];
    let mut nonce = 0_u64;
    let mut send = async |media_type: &str, more: &str, body: &str| {
        nonce += 1;
        let nonce = format!("nonce-of-this-request-{nonce}");
        let mut request = signed(&nonce, body);
        request.target = "/v1/events";
        let request = with_header(&signed_header(&request), "POST", "/v1/events", body);
        let typed = format!("content-type: {media_type}\r\n{more}");
        let request = request.replace("content-type: application/json\r\n", &typed);
        let answer = hub.send(&request).await;
        let taken = answer.body.contains("accepted") || answer.body.contains("duplicate");
        (answer.status, taken, answer.body)
    };
    for (own, body) in &bodies {
        for (other, _) in &bodies {
            let (_, taken, told) = send(other, "", body).await;
            assert_eq!(taken, own == other, "{own} as {other}: {told}");
        }
        let attributes =
            "ce-specversion: 1.0\r\nce-id: 9\r\nce-source: s\r\nce-type: test.happened\r\n";
        for more in [attributes, "ce-priority: 9\r\n", "idempotency-key: k\r\n"] {
            let (status, _, told) = send(own, more, body).await;
            assert_eq!(status, 401, "{own} with {more}");
            assert!(told.contains("name it in Headers"), "{told}");
        }
    }
}

#[tokio::test]
async fn requests_without_a_body_and_administration_can_be_signed_too() {
    let hub = signing_hub().await;
    let mut request = signed("0123456789abcdef", "");
    (request.method, request.target) = ("GET", "/v1/admin/queue");
    let header = signed_header(&request);
    let answer = hub
        .send(&with_header(&header, "GET", "/v1/admin/queue", ""))
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = r#"{"ids":[],"dry_run":true}"#;
    let mut request = signed("fedcba9876543210", body);
    request.target = "/v1/admin/dead-letters/purge";
    let header = signed_header(&request);
    let send = |body: &str| with_header(&header, "POST", "/v1/admin/dead-letters/purge", body);
    assert_eq!(
        hub.send(&send(r#"{"ids":[]}"#)).await.problem(401),
        "unauthenticated"
    );
    let answer = hub.send(&send(body)).await;
    assert!(answer.status != 401 && answer.status != 403, "{answer:?}");
}

/// A hub whose clients and issuer are those of the table.
async fn hub_with_tokens() -> Hub {
    Hub::start(|settings| {
        settings.clients = matrix::clients();
        settings.issuers = matrix::issuers();
    })
    .await
}

#[tokio::test]
async fn whoever_may_only_publish_is_told_what_became_of_its_own_event_and_of_no_other() {
    let hub = hub_with_tokens().await;
    let (own, other) = ("11111111", "22222222");
    let id = |start: &str| format!("{start}-3c1e-7d2a-9c1b-2f3e4d5c6b7a");
    let body = |start: &str| event(json!({ "event_id": id(start) })).to_string();
    let publishes = matrix::token("all", "publish");
    let both = matrix::token("all", "publish subscribe");
    let watched = |key: &str, start: &str| post(key, "/v1/events?ack=processed", &body(start));
    let first = post(&both, "/v1/events", &body(other));
    assert_eq!(hub.send(&first).await.status, 202);
    hub.process_one().await;
    let path = format!("/v1/events/{}", id(other));
    assert_eq!(hub.get(&publishes, &path).await.status, 403);
    let answer = hub.send(&watched(&publishes, other)).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.json()["status"], "duplicate");
    assert_eq!(hub.send(&watched(&both, other)).await.status, 200);
    let elements = format!("[{}]", body(other));
    let request = post(&publishes, "/v1/events?ack=processed", &elements);
    let answer = hub.send(&request).await;
    assert_eq!(answer.json()[0]["status"], "duplicate", "{answer:?}");
    let request = watched(&publishes, own);
    let (answer, ()) = tokio::join!(hub.send(&request), hub.process_one());
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn a_token_that_takes_something_away_is_named_and_a_client_that_may_not_as_well() {
    let hub = hub_with_tokens().await;
    let body = |source: &str| json!({ "type": "t.x", "source": source, "payload": {} }).to_string();
    let (token, client) = ("the token's scope does not let", "in [[clients]] say");
    for (key, source, told) in [
        (matrix::token("all", "subscribe"), "a.b", token),
        (matrix::token("all", "publish:a.c"), "a.b", token),
        (matrix::token("exact", "publish"), "a.c", client),
        ("exact".to_owned(), "a.c", client),
    ] {
        let answer = hub.send(&post(&key, "/v1/events", &body(source))).await;
        assert_eq!(answer.problem(403), "forbidden");
        assert!(answer.body.contains(told), "{key}: {answer:?}");
    }
}

#[tokio::test]
async fn whoever_may_do_nothing_reads_no_contracts() {
    let hub = hub_with_tokens().await;
    let nothing = matrix::token("all", "openid");
    let something = matrix::token("all", "openid subscribe");
    for path in ["", "/test.happened", "/test.happened/1.0.0", "/unknown"] {
        let path = format!("/v1/contracts{path}");
        for key in [nothing.as_str(), "none"] {
            assert_eq!(hub.get(key, &path).await.problem(403), "forbidden");
        }
        for key in [something.as_str(), "exact", "root"] {
            assert_ne!(hub.get(key, &path).await.status, 403, "{path}");
        }
    }
}

#[tokio::test]
async fn only_the_holder_of_an_expired_key_is_told_so() {
    let hub = Hub::start(|settings| {
        settings.clients[0].keys = vec![Key {
            sha256: KeyHash::from_bytes(Sha256::digest("old").into()),
            expires_at: Some("2020-01-01T00:00:00Z".parse().unwrap()),
        }];
    })
    .await;
    let said = |answer: Answer| {
        assert_eq!(answer.problem(401), "unauthenticated");
        answer.json()["detail"]
            .as_str()
            .unwrap()
            .contains("expired")
    };
    let path = "/v1/contracts";
    assert!(said(hub.get("old", path).await));
    assert!(!said(hub.get("older", path).await));
    assert_eq!(hub.get("any", path).await.status, 200);
}

#[tokio::test]
async fn a_stream_ends_when_the_key_expires() {
    let hub = Hub::start(|settings| {
        settings.clients[0].keys = vec![Key {
            sha256: KeyHash::from_bytes(Sha256::digest("brief").into()),
            expires_at: Some(chrono::Utc::now() + chrono::TimeDelta::seconds(2)),
        }];
    })
    .await;
    let mut stream = hub.connect().await;
    let head = "GET /v1/events/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer brief\r\n\r\n";
    stream.write(head).await;
    stream.read_until(": following").await;
    tokio::time::sleep(std::time::Duration::from_millis(2_100)).await;
    let body = event(json!({})).to_string();
    assert_eq!(hub.post("/v1/events", &body).await.status, 202);
    let rest = stream.read_until("0\r\n\r\n").await;
    assert!(!rest.contains("data:"), "{rest}");
}

#[tokio::test]
async fn whoever_guesses_is_held_back_and_nobody_else() {
    let hub = Hub::start(|_| {}).await;
    for _ in 0..20 {
        assert_eq!(hub.get("guess", "/v1/contracts").await.status, 401);
    }
    let answer = hub.get("guess", "/v1/contracts").await;
    assert_eq!(answer.problem(429), "rate_limited");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3).contains(&wait), "{wait}");
    assert_eq!(hub.get("any", "/v1/contracts").await.status, 200);
    assert_eq!(
        hub.send("GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn asking_for_health_is_no_failed_attempt() {
    let hub = Hub::start(|_| {}).await;
    for _ in 0..50 {
        assert_eq!(
            hub.send("GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n")
                .await
                .status,
            200
        );
    }
    assert_eq!(hub.get("guess", "/v1/contracts").await.status, 401);
}

#[tokio::test]
async fn a_limited_client_is_told_how_its_rate_stands() {
    let hub = Hub::start(|settings| {
        settings.clients.push(Client {
            rate: Some(0.1),
            burst: Some(3),
            ..client("slow", &["*"], &["*"])
        });
    })
    .await;
    let body = event(json!({})).to_string();
    let send = || post("slow", "/v1/events", &body);
    for (left, reset) in [(2, 10), (1, 20), (0, 30)] {
        let answer = hub.send(&send()).await;
        assert_eq!(answer.status, 202);
        assert_eq!(
            answer.header("ratelimit-policy"),
            Some(r#""client";q=3;w=30"#)
        );
        let standing = format!(r#""client";r={left};t={reset}"#);
        assert_eq!(answer.header("ratelimit"), Some(&*standing));
    }
    let answer = hub.send(&send()).await;
    assert_eq!(answer.problem(429), "rate_limited");
    assert_eq!(answer.header("retry-after"), Some("10"));
    assert_eq!(answer.header("ratelimit"), Some(r#""client";r=0;t=30"#));
    let unlimited = hub.post("/v1/events", &body).await;
    assert_eq!(unlimited.header("ratelimit-policy"), None);
    assert_eq!(unlimited.header("ratelimit"), None);
    let wrong = hub.send(&post("wrong", "/v1/events", &body)).await;
    assert_eq!(wrong.header("ratelimit"), None);
}

#[tokio::test]
async fn sources_types_and_the_whole_hub_have_rates() {
    let text = "[limits]\nrate = 0.1\nburst = 3\n\
                [[limits.rates]]\nsource = \"s\"\nrate = 0.1\nburst = 1\n";
    let limits = Config::from_toml_str(text).unwrap().limits;
    let hub = Hub::start(|settings| settings.limits = limits).await;
    let post = async |source: &str| {
        let body = event(json!({ "source": source })).to_string();
        hub.post("/v1/events", &body).await
    };
    assert_eq!(post("s").await.status, 202);
    let answer = post("s").await;
    assert_eq!(answer.problem(429), "rate_limited");
    assert_eq!(answer.header("retry-after"), Some("10"));
    assert!(answer.body.contains("the source `s`"), "{answer:?}");
    assert_eq!(post("r").await.status, 202);
    assert_eq!(post("r").await.status, 202);
    let answer = post("r").await;
    assert_eq!(answer.problem(429), "rate_limited");
    assert!(answer.body.contains("limits.rate;"), "{answer:?}");
}

#[test]
fn one_header_in_a_scheme_that_is_known_and_nothing_else() {
    let head = |values: &[&str]| {
        let mut request = hyper::Request::new(());
        for value in values {
            request
                .headers_mut()
                .append(AUTHORIZATION, value.parse().unwrap());
        }
        request.into_parts().0
    };
    for good in ["Bearer key", "bearer key", "BEARER   key "] {
        let head = head(&[good]);
        assert!(
            matches!(presented(&head), Presented::Bearer("key")),
            "{good}"
        );
    }
    assert!(matches!(presented(&head(&[])), Presented::Nothing));
    let signed = head(&["nexus-hmac-sha256 Client=a"]);
    let Presented::Signed {
        parameters: "Client=a",
        head: Head {
            method: "GET",
            target: "/",
            ..
        },
    } = presented(&signed)
    else {
        panic!("not read as a signature");
    };
    for bad in [
        &["key"][..],
        &["Basic key"],
        &["Bearer"],
        &["Bearer a", "Bearer a"],
    ] {
        assert!(
            matches!(presented(&head(bad)), Presented::Unreadable),
            "{bad:?}"
        );
    }
}

/// The head of a request with a body of 1 MiB, in the name of a client.
fn claim_of(client: &str) -> String {
    let request = Signed {
        client,
        ..signed("0123456789abcdef", "")
    };
    let header = signed_header(&request);
    format!(
        "POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: {header}\r\n\
         content-type: application/json\r\ncontent-length: 1048576\r\n\r\n"
    )
}

#[tokio::test]
async fn where_nobody_signs_no_body_of_a_signed_request_is_read() {
    let hub = Hub::start(|_| {}).await;
    for name in ["any", "nobody"] {
        let answer = hub.send(&claim_of(name)).await;
        assert_eq!(answer.problem(401), "unauthenticated", "{name}");
        assert!(answer.body.contains("the signature is not right"));
    }
}

#[tokio::test]
async fn what_is_held_of_those_who_prove_nothing_is_bounded_and_others_are_taken() {
    let hub = signing_hub().await;
    let most = vec![b' '; 1_000_000];
    let to_hook = |name: &str| {
        let path = format!("POST /v1/hooks/{name} ");
        claim_of("nobody").replace("POST /v1/events ", &path)
    };
    let heads = [
        claim_of("app"),
        claim_of("nobody"),
        to_hook("shop"),
        to_hook("echo"),
    ];
    let mut attackers = Vec::new();
    for head in heads.iter().cycle().take(40) {
        let mut attacker = hub.connect().await;
        attacker.write(head).await;
        tokio::io::AsyncWriteExt::write_all(&mut attacker.0, &most)
            .await
            .ok();
        attackers.push(attacker);
    }
    sleep(Duration::from_millis(300)).await;
    // From another address as from this one, an honest sender gets in meanwhile.
    let body = event(json!({})).to_string();
    for (nonce, address) in [("fedcba9876543210", 1), ("fedcba9876543211", 2)] {
        let mut request = signed(nonce, &body);
        request.target = "/v1/events";
        let honest = with_header(&signed_header(&request), "POST", "/v1/events", &body);
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, address], 0).into()).unwrap();
        let mut connection = Connection(socket.connect(hub.address).await.unwrap());
        connection.write(&honest).await;
        assert_eq!(connection.answer().await.status, 202, "{address}");
    }
    // The hub holds what it may, and has told the others to come again.
    let mut refused = 0;
    for attacker in &mut attackers {
        let there = timeout(Duration::from_millis(10), attacker.0.peek(&mut [0])).await;
        if there.is_ok() {
            refused += 1;
            let answer = attacker.answer().await;
            assert_eq!(answer.problem(429), "rate_limited");
            assert_eq!(answer.header("retry-after"), Some("1"));
        }
    }
    assert!((25..=29).contains(&refused), "{refused}");
}
