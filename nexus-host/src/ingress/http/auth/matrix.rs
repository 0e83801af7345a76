//! Default deny, as one table: every kind of credential x source x type x way in, against an oracle
//! that knows the rules as plain text and shares no code with the hub.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::super::super::harness::{Connection, Hub, client, post};
use super::tests::{Signed, signed_header};
use crate::admission::config::{Algorithm, Key};
use crate::admission::{
    Admission, Client, Code, Contracts, Credentials, Head, Issuer, Limits, Presented, Transport,
};
use crate::config::{KeyHash, Secret};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

const SOURCES: [&str; 12] = [
    "a", "a.b", "a.b.c", "a.c", "ab", "A.b", "b", "b.a", "c", "c.d", "x-1", "nexus",
];
const TYPES: [&str; 13] = [
    "t.x",
    "t.x.y",
    "t.y",
    "tx.x",
    "u.x",
    "u.y",
    "u.y.z",
    "x.t",
    "nexus.x",
    "nexus.t.x",
    "t.t",
    "v-1.x",
    "w.x",
];

/// A credential, and what it is worth in plain text: whether it holds, which ways it may come, and
/// which sources and types it may publish, each list on top of the one before.
struct Token {
    name: &'static str,
    shown: Shown,
    holds: bool,
    ways: &'static [&'static str],
    grants: Vec<(&'static [&'static str], &'static [&'static str])>,
}

enum Shown {
    Nothing,
    Bearer(String),
    Signed { secret: &'static str, late: i64 },
}

const ALL_WAYS: &[&str] = &["http", "websocket", "grpc"];
const ANY: &[&str] = &["*"];

pub(in crate::ingress) fn clients() -> Vec<Client> {
    let by = |id: &str, transport| Client {
        transports: vec![transport],
        ..client(id, ANY, ANY)
    };
    let subject = |client: Client| Client {
        jwt_subject: Some(client.id.clone()),
        ..client
    };
    let key = |key: &str, expires_at: &str| Key {
        sha256: hash_of(key),
        expires_at: Some(expires_at.parse().unwrap()),
    };
    vec![
        subject(Client {
            keys: vec![key("all-expired", "2020-01-01T00:00:00Z")],
            ..client("all", ANY, ANY)
        }),
        subject(Client {
            hmac: vec![Secret::new(SECRET)],
            ..client("a", &["a.*"], &["t.*"])
        }),
        subject(Client {
            keys: vec![key("exact-next", "2126-01-01T00:00:00Z")],
            ..client("exact", &["a.b"], &["t.x"])
        }),
        client("two", &["a.b", "c"], &["t.*", "u.y"]),
        client("root", &[], &[]),
        client("none", &[], &[]),
        by("by-http", Transport::Http),
        by("by-ws", Transport::WebSocket),
        by("by-grpc", Transport::Grpc),
    ]
}

pub(in crate::ingress) fn issuers() -> Vec<Issuer> {
    vec![Issuer {
        issuer: "https://issuer.example".to_owned(),
        audience: "nexus".to_owned(),
        secret: Some(Secret::new(SECRET)),
        algorithms: vec![Algorithm::HS256],
        ..Issuer::default()
    }]
}

fn hash_of(key: &str) -> KeyHash {
    use sha2::{Digest, Sha256};
    KeyHash::from_bytes(Sha256::digest(key.as_bytes()).into())
}

/// A token for one of these clients, with this scope.
pub(in crate::ingress) fn token(subject: &str, scope: &str) -> String {
    signed(subject, Some(scope), SECRET, 600)
}

fn jwt(subject: &str, scope: Option<&str>, secret: &str, lasts: i64) -> Shown {
    Shown::Bearer(signed(subject, scope, secret, lasts))
}

fn signed(subject: &str, scope: Option<&str>, secret: &str, lasts: i64) -> String {
    let mut claims = json!({
        "iss": "https://issuer.example",
        "aud": "nexus",
        "sub": subject,
        "exp": chrono::Utc::now().timestamp() + lasts,
    });
    if let Some(scope) = scope {
        claims["scope"] = json!(scope);
    }
    let part = |text: String| URL_SAFE_NO_PAD.encode(text);
    let header = json!({ "alg": "HS256" });
    let signed = format!("{}.{}", part(header.to_string()), part(claims.to_string()));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    let signature = ring::hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn tokens() -> Vec<Token> {
    let good = |name, shown, ways, grants| Token {
        name,
        shown,
        holds: true,
        ways,
        grants,
    };
    let bad = |name, shown| Token {
        name,
        shown,
        holds: false,
        ways: ALL_WAYS,
        grants: vec![(ANY, ANY)],
    };
    let key = |key: &str| Shown::Bearer(key.to_owned());
    const A: (&[&str], &[&str]) = (&["a.*"], &["t.*"]);
    const EXACT: (&[&str], &[&str]) = (&["a.b"], &["t.x"]);
    let every = || vec![(ANY, ANY)];
    vec![
        bad("nothing", Shown::Nothing),
        bad("wrong key", key("wrong")),
        bad("expired key", key("all-expired")),
        good("all", key("all"), ALL_WAYS, every()),
        good("a", key("a"), ALL_WAYS, vec![A]),
        good("exact", key("exact"), ALL_WAYS, vec![EXACT]),
        good("exact, next key", key("exact-next"), ALL_WAYS, vec![EXACT]),
        good(
            "two",
            key("two"),
            ALL_WAYS,
            vec![(&["a.b", "c"], &["t.*", "u.y"])],
        ),
        good("administrator", key("root"), ALL_WAYS, vec![(&[], &[])]),
        good("no scope", key("none"), ALL_WAYS, vec![(&[], &[])]),
        good("by http", key("by-http"), &["http"], every()),
        good("by websocket", key("by-ws"), &["websocket"], every()),
        good("by grpc", key("by-grpc"), &["grpc"], every()),
        good("token", jwt("all", None, SECRET, 600), ALL_WAYS, every()),
        good(
            "token for one type",
            jwt("all", Some("openid publish:a.b:t.x"), SECRET, 600),
            ALL_WAYS,
            vec![(ANY, ANY), EXACT],
        ),
        good(
            "token for some sources",
            jwt("a", Some("publish:a.b:*"), SECRET, 600),
            ALL_WAYS,
            vec![A, (&["a.b"], ANY)],
        ),
        good(
            "token for more than its client",
            jwt("exact", Some("publish:*:* publish admin"), SECRET, 600),
            ALL_WAYS,
            vec![EXACT],
        ),
        good(
            "token for no publishing",
            jwt("all", Some("subscribe admin"), SECRET, 600),
            ALL_WAYS,
            vec![(&[], &[])],
        ),
        bad(
            "forged token",
            jwt("all", None, "another secret of 32 characters.", 600),
        ),
        bad("expired token", jwt("all", None, SECRET, -600)),
        good(
            "signed",
            Shown::Signed {
                secret: SECRET,
                late: 0,
            },
            ALL_WAYS,
            vec![A],
        ),
        bad(
            "forged signature",
            Shown::Signed {
                secret: "another secret",
                late: 0,
            },
        ),
        bad(
            "signed long ago",
            Shown::Signed {
                secret: SECRET,
                late: 600,
            },
        ),
    ]
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Answer {
    Nobody,
    Forbidden,
    Through,
}

/// The rules, in plain text.
fn oracle(token: &Token, way: &str, source: &str, event_type: &str) -> Answer {
    let fits = |patterns: &[&str], name: &str| {
        patterns
            .iter()
            .any(|pattern| match pattern.strip_suffix('*') {
                Some(start) => name.starts_with(start) && name.len() > start.len(),
                None => *pattern == name,
            })
    };
    if !token.holds {
        return Answer::Nobody;
    }
    let granted = token.grants.iter();
    let granted = granted.fold(true, |granted, (sources, types)| {
        granted && fits(sources, source) && fits(types, event_type)
    });
    if token.ways.contains(&way) && granted && !event_type.starts_with("nexus.") {
        Answer::Through
    } else {
        Answer::Forbidden
    }
}

fn event(source: &str, event_type: &str) -> String {
    json!({ "type": event_type, "source": source, "payload": {} }).to_string()
}

fn authorization(token: &Token, nonce: usize, body: &str) -> Option<String> {
    match &token.shown {
        Shown::Nothing => None,
        Shown::Bearer(key) => Some(format!("Bearer {key}")),
        Shown::Signed { secret, late } => Some(signed_header(&Signed {
            secret,
            client: "a",
            late: *late,
            nonce: &format!("nonce-of-the-cell-{nonce}"),
            method: "POST",
            target: "/v1/events",
            body,
        })),
    }
}

async fn over_http(connection: &mut Connection, authorization: Option<&str>, body: &str) -> Answer {
    let request = post("KEY", "/v1/events", body);
    let line = "authorization: Bearer KEY\r\n";
    let replaced = authorization.map_or(String::new(), |one| format!("authorization: {one}\r\n"));
    connection.write(&request.replace(line, &replaced)).await;
    match connection.answer().await.status {
        401 | 429 => Answer::Nobody,
        403 => Answer::Forbidden,
        // No contract is known for any of these: they are through.
        422 => Answer::Through,
        other => panic!("{other}"),
    }
}

async fn by_admission(
    admission: &Admission,
    transport: Transport,
    authorization: Option<&str>,
    body: &str,
) -> Answer {
    let headers = hyper::HeaderMap::new();
    let head = Head {
        method: "POST",
        target: "/v1/events",
        headers: &headers,
    };
    let presented = authorization.map_or(Presented::Nothing, |value| Presented::read(value, head));
    let credentials = Credentials {
        presented,
        certificate: None,
        peer: Some([192, 0, 2, 1].into()),
        transport,
    };
    let judged = match admission.identify(&credentials).await {
        Ok(sender) => admission.confirm(sender, body.as_bytes()),
        Err(refused) => Err(refused),
    };
    match judged.and_then(|client| admission.admit(&client, body)) {
        Err(refused) => match refused.code() {
            Code::Unauthenticated | Code::RateLimited => Answer::Nobody,
            Code::Forbidden => Answer::Forbidden,
            Code::UnknownType => Answer::Through,
            other => panic!("{other}"),
        },
        Ok(_) => Answer::Through,
    }
}

#[tokio::test]
async fn every_cell_is_as_the_rules_say() {
    let hub = Hub::start(|settings| {
        settings.clients = clients();
        settings.issuers = issuers();
    })
    .await;
    let contracts = Arc::new(Contracts::default());
    let admission = Admission::new(&Limits::default(), &clients(), &issuers(), contracts);
    let mut connection = hub.connect().await;
    let (mut cells, mut through, mut wrong) = (0, 0, Vec::new());
    for token in tokens() {
        for source in SOURCES {
            for event_type in TYPES {
                let body = event(source, event_type);
                for transport in Transport::ALL {
                    cells += 1;
                    let authorization = authorization(&token, cells, &body);
                    let authorization = authorization.as_deref();
                    let found = match transport {
                        Transport::Http => over_http(&mut connection, authorization, &body).await,
                        other => by_admission(&admission, other, authorization, &body).await,
                    };
                    let expected = oracle(&token, transport.as_str(), source, event_type);
                    through += usize::from(found == Answer::Through);
                    if found != expected {
                        let cell = (token.name, transport, source, event_type);
                        wrong.push(format!("{cell:?}: {found:?}, not {expected:?}"));
                    }
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(10)]
    );
    assert!(cells >= 10_000, "{cells}");
    assert!(
        through > 1_000 && through < cells / 2,
        "{through} of {cells} through"
    );
}
