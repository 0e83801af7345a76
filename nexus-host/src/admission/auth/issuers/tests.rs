use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::tests::{client, log_of};
use super::*;
use crate::config::Secret;

const NOW: i64 = 1_800_000_000;

/// A key of an issuer.
pub(in crate::admission::auth) struct Signing {
    kid: &'static str,
    pair: EcdsaKeyPair,
}

impl Signing {
    pub(in crate::admission::auth) fn new(kid: &'static str) -> Self {
        let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).unwrap();
        Self { kid, pair }
    }

    pub(in crate::admission::auth) fn set(&self) -> String {
        let point = self.pair.public_key().as_ref();
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (x, y) = (part(&point[1..33]), part(&point[33..]));
        let key = json!({ "kty": "EC", "crv": "P-256", "kid": self.kid, "x": x, "y": y });
        json!({ "keys": [key] }).to_string()
    }

    fn token_with(&self, header: &Value, claims: &Value) -> String {
        let signed = signed_part(header, claims);
        let signature = self
            .pair
            .sign(&SystemRandom::new(), signed.as_bytes())
            .unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    pub(in crate::admission::auth) fn token(&self, claims: &Value) -> String {
        self.token_with(&json!({ "alg": "ES256", "kid": self.kid }), claims)
    }
}

fn signed_part(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

pub(in crate::admission::auth) fn claims(change: Value) -> Value {
    let mut claims = json!({
        "iss": "https://issuer.example",
        "aud": "nexus",
        "sub": "service",
        "exp": NOW + 100,
    });
    for (key, value) in change.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(key);
        } else {
            claims[key] = value.clone();
        }
    }
    claims
}

pub(in crate::admission::auth) fn settings() -> config::Issuer {
    config::Issuer {
        issuer: "https://issuer.example".to_owned(),
        audience: "nexus".to_owned(),
        ..config::Issuer::default()
    }
}

fn subject(id: &str, subject: &str) -> Client {
    Client {
        jwt_subject: Some(subject.to_owned()),
        ..client(id, id, &["a.*"], &["t.*"])
    }
}

fn issuers(settings: &[config::Issuer], clients: &[Client]) -> Issuers {
    let scopes = clients.iter().map(|c| (c, Arc::new(ClientScope::new(c))));
    Issuers::new(settings, &scopes.collect::<Vec<_>>())
}

/// An issuer whose keys are in a file, which lives as long as the folder.
fn in_file(key: &Signing) -> (tempfile::TempDir, Issuers) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    std::fs::write(&path, key.set()).unwrap();
    let settings = config::Issuer {
        jwks_file: Some(path),
        ..settings()
    };
    let clients = [subject("one", "service"), subject("two", "app")];
    let issuers = issuers(&[settings], &clients);
    (folder, issuers)
}

async fn outcome(issuers: &Issuers, token: &str) -> Result<String, Reason> {
    let found = issuers.find(token, NOW).await;
    found
        .map(|scope| scope.id().to_string())
        .map_err(|failure| failure.reason)
}

#[tokio::test]
async fn a_right_token_names_its_client() {
    let key = Signing::new("k");
    let (_folder, issuers) = in_file(&key);
    for (change, client) in [
        (json!({}), "one"),
        (json!({ "aud": ["other", "nexus"] }), "one"),
        (json!({ "client_id": "app" }), "one"),
        (json!({ "sub": null, "client_id": "app" }), "two"),
        (json!({ "exp": NOW - 59 }), "one"),
        (json!({ "exp": (NOW + 1) as f64 + 0.5 }), "one"),
        (json!({ "nbf": NOW + 60 }), "one"),
        (json!({ "more": { "deep": [1] } }), "one"),
    ] {
        let token = key.token(&claims(change.clone()));
        assert_eq!(
            outcome(&issuers, &token).await,
            Ok(client.to_owned()),
            "{change}"
        );
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_a_token_it_lets_nobody_in() {
    let key = Signing::new("k");
    let (_folder, issuers) = in_file(&key);
    for (change, reason) in [
        (
            json!({ "iss": "https://other.example" }),
            Reason::UnknownIssuer,
        ),
        (json!({ "iss": null }), Reason::UnknownIssuer),
        (json!({ "aud": "other" }), Reason::BadToken),
        (json!({ "aud": ["nexus2"] }), Reason::BadToken),
        (json!({ "aud": null }), Reason::BadToken),
        (json!({ "sub": "nobody" }), Reason::UnknownSubject),
        (json!({ "sub": null }), Reason::UnknownSubject),
        // It is somebody else's, whoever got it for him.
        (
            json!({ "sub": "eve", "client_id": "app" }),
            Reason::UnknownSubject,
        ),
        (json!({ "exp": null }), Reason::BadToken),
        (json!({ "exp": NOW - 60 }), Reason::ExpiredToken),
        (json!({ "nbf": NOW + 61 }), Reason::EarlyToken),
        (json!({ "exp": "tomorrow" }), Reason::BadToken),
        (json!({ "sub": 5 }), Reason::BadToken),
    ] {
        let token = key.token(&claims(change.clone()));
        assert_eq!(outcome(&issuers, &token).await, Err(reason), "{change}");
    }
    let claims = claims(json!({}));
    for header in [
        json!({ "alg": "none", "kid": "k" }),
        json!({ "alg": "HS256", "kid": "k" }),
        json!({ "alg": "RS256", "kid": "k" }),
        json!({ "alg": "ES384", "kid": "k" }),
        json!({ "alg": "es256", "kid": "k" }),
        json!({ "alg": "ES256", "kid": "other" }),
        json!({ "alg": "ES256", "kid": "k", "crit": ["b64"], "b64": false }),
        json!({ "kid": "k" }),
    ] {
        let token = key.token_with(&header, &claims);
        assert_eq!(
            outcome(&issuers, &token).await,
            Err(Reason::BadToken),
            "{header}"
        );
    }
    let token = key.token(&claims);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    for forged in [
        format!("{signed}."),
        signed.to_owned(),
        format!("{signed}.{signature}="),
        format!("{signed}.{signature}AA"),
        Signing::new("k").token(&claims),
        // The algorithms confused: the public key as a shared secret.
        forged_with_public_key(&key, &claims),
        format!("{}{token}", "x".repeat(20_000)),
    ] {
        assert_eq!(
            outcome(&issuers, &forged).await,
            Err(Reason::BadToken),
            "{forged:.80}"
        );
    }
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(outcome(&issuers, &changed).await.is_err(), "{at}");
    }
    assert!(outcome(&issuers, &token).await.is_ok());
}

fn forged_with_public_key(key: &Signing, claims: &Value) -> String {
    let signed = signed_part(&json!({ "alg": "HS256", "kid": key.kid }), claims);
    let secret = hmac::Key::new(hmac::HMAC_SHA256, key.pair.public_key().as_ref());
    let signature = hmac::sign(&secret, signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn a_shared_secret_is_for_hs256_and_nothing_else_is() {
    let secret = "0123456789abcdef0123456789abcdef";
    let settings = config::Issuer {
        secret: Some(Secret::new(secret)),
        algorithms: vec![Algorithm::HS256],
        ..settings()
    };
    let issuers = issuers(&[settings], &[subject("one", "service")]);
    let sign = |secret: &str, alg: &str| {
        let signed = signed_part(&json!({ "alg": alg }), &claims(json!({})));
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let signature = hmac::sign(&secret, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    };
    assert_eq!(
        outcome(&issuers, &sign(secret, "HS256")).await,
        Ok("one".to_owned())
    );
    for (secret, alg) in [("wrong", "HS256"), (secret, "none"), (secret, "ES256")] {
        assert_eq!(
            outcome(&issuers, &sign(secret, alg)).await,
            Err(Reason::BadToken)
        );
    }
}

#[tokio::test]
async fn a_token_s_scope_narrows() {
    let key = Signing::new("k");
    let (_folder, issuers) = in_file(&key);
    for scope in [
        json!({ "scope": "publish:a.b:t.x subscribe" }),
        json!({ "scope": ["publish:a.b:t.x", "subscribe"] }),
        json!({ "scope": "publish:a.b:t.x", "scopes": ["subscribe"] }),
    ] {
        let token = key.token(&claims(scope.clone()));
        let found = issuers.find(&token, NOW).await.unwrap();
        assert!(
            found.may_publish("a.b", "t.x") && found.may_subscribe(),
            "{scope}"
        );
        assert!(!found.may_publish("a.c", "t.x") && !found.may_publish("a.b", "t.y"));
    }
    let nothing = key.token(&claims(json!({ "scope": "" })));
    let found = issuers.find(&nothing, NOW).await.unwrap();
    assert!(!found.may_publish("a.b", "t.x") && !found.may_subscribe());
    for (claim, odd) in [
        ("scope", json!(null)),
        ("scopes", json!(null)),
        ("scope", json!(1)),
    ] {
        let mut claims = claims(json!({}));
        claims[claim] = odd.clone();
        let found = issuers.find(&key.token(&claims), NOW).await;
        assert!(found.is_err(), "{claim} {odd}");
    }
}

#[tokio::test]
async fn an_issuer_speaks_for_its_own_clients_only() {
    let secrets = [
        "0123456789abcdef0123456789abcdef",
        "fedcba9876543210fedcba9876543210",
    ];
    let names = ["https://issuer.example", "https://second.example"];
    let settings = [0, 1].map(|at| config::Issuer {
        issuer: names[at].to_owned(),
        secret: Some(Secret::new(secrets[at])),
        algorithms: vec![Algorithm::HS256],
        ..settings()
    });
    let clients = [0, 1].map(|at| Client {
        jwt_issuer: Some(names[at].to_owned()),
        ..subject(["one", "two"][at], ["service", "other"][at])
    });
    let issuers = issuers(&settings, &clients);
    let sign = |at: usize, subject: &str| {
        let claims = claims(json!({ "iss": names[at], "sub": subject }));
        let signed = signed_part(&json!({ "alg": "HS256" }), &claims);
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secrets[at].as_bytes());
        let signature = hmac::sign(&secret, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    };
    assert_eq!(
        outcome(&issuers, &sign(0, "service")).await,
        Ok("one".to_owned())
    );
    assert_eq!(
        outcome(&issuers, &sign(1, "other")).await,
        Ok("two".to_owned())
    );
    assert_eq!(
        outcome(&issuers, &sign(1, "service")).await,
        Err(Reason::UnknownSubject)
    );
}

/// An HTTP server that answers the same to everybody, and counts.
struct Keys {
    url: String,
    answer: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

impl Keys {
    async fn serve(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let (answer, asked) = (Arc::new(Mutex::new(answer)), Arc::new(AtomicUsize::new(0)));
        let (say, count) = (answer.clone(), asked.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let answer = say.lock().clone();
                tokio::spawn(async move {
                    let mut head = [0; 4096];
                    let _ = stream.read(&mut head).await;
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        Self { url, answer, asked }
    }

    fn issuers(&self, refresh: u64) -> Issuers {
        let settings = config::Issuer {
            jwks_url: Some(self.url.clone()),
            refresh: crate::config::HumanDuration::from_secs(refresh),
            ..settings()
        };
        issuers(&[settings], &[subject("one", "service")])
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn keys_are_fetched_once_however_many_ask() {
    let key = Signing::new("k");
    let keys = Keys::serve(ok(&key.set())).await;
    let issuers = keys.issuers(600);
    let token = key.token(&claims(json!({})));
    let all = (0..50).map(|_| outcome(&issuers, &token));
    for found in futures_util::future::join_all(all).await {
        assert_eq!(found, Ok("one".to_owned()));
    }
    assert_eq!(keys.asked(), 1);
    // Keys that do not exist have nobody ask again, not even once each.
    for kid in ["a", "b", "c"] {
        let token = Signing::new(kid).token(&claims(json!({})));
        assert_eq!(outcome(&issuers, &token).await, Err(Reason::BadToken));
    }
    assert_eq!(keys.asked(), 1);
}

#[tokio::test]
async fn a_new_key_is_found_and_an_old_set_is_kept_while_fetching_fails() {
    let (old, new) = (Signing::new("old"), Signing::new("new"));
    let keys = Keys::serve(ok(&old.set())).await;
    let issuers = keys.issuers(1);
    let token = |key: &Signing| key.token(&claims(json!({})));
    assert!(outcome(&issuers, &token(&old)).await.is_ok());
    *keys.answer.lock() = "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n".to_owned();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(outcome(&issuers, &token(&new)).await.is_err());
    assert_eq!(keys.asked(), 2);
    assert!(outcome(&issuers, &token(&old)).await.is_ok());
    *keys.answer.lock() = ok(&new.set());
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(outcome(&issuers, &token(&new)).await.is_ok());
    assert!(
        outcome(&issuers, &token(&old)).await.is_err(),
        "it was taken back"
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_taken_back_lets_nobody_in_behind_the_time_to_look_again() {
    let (old, new) = (Signing::new("old"), Signing::new("new"));
    let (folder, issuers) = in_file(&old);
    let path = folder.path().join("keys.json");
    let token = |key: &Signing| key.token(&claims(json!({})));
    assert!(outcome(&issuers, &token(&old)).await.is_ok());
    std::fs::write(&path, new.set()).unwrap();
    tokio::time::advance(Duration::from_secs(599)).await;
    assert!(outcome(&issuers, &token(&old)).await.is_ok(), "not yet");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(
        outcome(&issuers, &token(&old)).await,
        Err(Reason::BadToken),
        "nobody has looked since"
    );
    assert!(outcome(&issuers, &token(&new)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn keys_that_cannot_be_renewed_are_kept_for_an_hour_and_no_longer() {
    let key = Signing::new("k");
    let (folder, issuers) = in_file(&key);
    let path = folder.path().join("keys.json");
    let token = key.token(&claims(json!({})));
    std::fs::remove_file(&path).unwrap();
    for _ in 0..6 {
        tokio::time::advance(Duration::from_secs(600)).await;
        assert!(outcome(&issuers, &token).await.is_ok());
    }
    tokio::time::advance(Duration::from_secs(600)).await;
    let unavailable = Err(Reason::IssuerUnavailable);
    assert_eq!(outcome(&issuers, &token).await, unavailable);
    std::fs::write(&path, key.set()).unwrap();
    tokio::time::advance(Duration::from_secs(4)).await;
    assert_eq!(outcome(&issuers, &token).await, unavailable, "not yet");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(outcome(&issuers, &token).await.is_ok(), "they are back");
}

#[test]
fn an_empty_set_takes_every_key_back_and_the_log_tells_it_once() {
    let log = log_of(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build();
        runtime.unwrap().block_on(async {
            let key = Signing::new("k");
            let (folder, issuers) = in_file(&key);
            let path = folder.path().join("keys.json");
            let token = key.token(&claims(json!({})));
            assert!(outcome(&issuers, &token).await.is_ok());
            for set in [r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","k":"AA"}]}"#] {
                std::fs::write(&path, set).unwrap();
                tokio::time::advance(Duration::from_secs(600)).await;
                assert_eq!(outcome(&issuers, &token).await, Err(Reason::BadToken));
            }
        });
    });
    assert_eq!(log.matches("holds no key").count(), 1, "{log}");
}

#[tokio::test]
async fn what_is_no_key_set_lets_nobody_in() {
    let key = Signing::new("k");
    let elsewhere = Keys::serve(ok(&key.set())).await;
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
        elsewhere.url
    );
    let huge = ok(&format!(
        "{{\"pad\":\"{}\",{}",
        "x".repeat(1 << 20),
        &key.set()[1..]
    ));
    for answer in [
        redirect,
        huge,
        ok("{}"),
        ok("<html>"),
        "nonsense".to_owned(),
    ] {
        let keys = Keys::serve(answer).await;
        let issuers = keys.issuers(600);
        let token = key.token(&claims(json!({})));
        assert_eq!(
            outcome(&issuers, &token).await,
            Err(Reason::IssuerUnavailable)
        );
        assert_eq!(keys.asked(), 1);
    }
    assert_eq!(elsewhere.asked(), 0, "a redirect was followed");
}

/// The same over TLS, with a certificate for `localhost` that is signed by itself and used nowhere
/// else: where, and its file.
async fn serve_over_tls(answer: String, folder: &std::path::Path) -> (String, std::path::PathBuf) {
    let pem = include_bytes!("localhost.pem");
    let path = folder.join("ca.pem");
    std::fs::write(&path, pem).unwrap();
    let certificate = CertificateDer::from_pem_slice(pem).unwrap();
    let key = PrivatePkcs8KeyDer::from(&include_bytes!("localhost-key.der")[..]);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (format!("https://localhost:{port}/keys"), path)
}

#[tokio::test]
async fn keys_come_over_tls_from_whom_an_authority_vouches_for() {
    let folder = tempfile::tempdir().unwrap();
    let key = Signing::new("k");
    let (url, path) = serve_over_tls(ok(&key.set()), folder.path()).await;
    let token = key.token(&claims(json!({})));
    let by_name = url.clone();
    let by_address = url.replace("localhost", "127.0.0.1");
    for (url, authorities, lets_in) in [
        (by_name.clone(), Some(path.clone()), true),
        (by_name, None, false),
        (by_address, Some(path), false),
    ] {
        let settings = config::Issuer {
            jwks_url: Some(url.clone()),
            ca_file: authorities,
            ..settings()
        };
        let issuers = issuers(&[settings], &[subject("one", "service")]);
        assert_eq!(outcome(&issuers, &token).await.is_ok(), lets_in, "{url}");
    }
}
