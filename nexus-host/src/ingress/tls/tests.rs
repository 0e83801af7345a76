//! TLS over real sockets: who is let in, what is spoken, and what happens when files change.
//!
//! The certificates in `fixtures` are for these tests only; nobody holds their roots' keys.

mod brief;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::admission::Client;
use crate::ingress::Server;
use crate::ingress::config::{ClientCertificate, TlsConfig};
use crate::ingress::harness::{Hub, client, event};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/ingress/tls/fixtures")
        .join(name)
}

/// The server's files in a folder where they can change.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.put("server");
        files
    }

    fn put(&self, name: &str) {
        for (ending, to) in [("-key.pem", "key.pem"), (".pem", "certificate.pem")] {
            let from = fixture(&format!("{name}{ending}"));
            let to = self.0.path().join(to);
            fs::copy(from, &to).unwrap();
            // As some who unpack files leave it.
            let file = fs::File::options().write(true).open(to).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        }
    }

    fn config(&self) -> TlsConfig {
        TlsConfig {
            certificate: self.0.path().join("certificate.pem"),
            key: self.0.path().join("key.pem"),
            ..TlsConfig::default()
        }
    }
}

/// A hub behind TLS, with a client who needs no key beside his certificate.
async fn hub(files: &Files, change: impl FnOnce(&mut TlsConfig)) -> Hub {
    let mut tls = files.config();
    change(&mut tls);
    Hub::start(|settings| {
        settings.server.tls = Some(tls);
        settings.clients.push(Client {
            key_sha256: None,
            certificate_subject: Some("mail-producer".to_owned()),
            ..client("mail", &["*"], &["*"])
        });
    })
    .await
}

/// Who vouches for the hub.
fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_file(fixture("ca.pem")).unwrap();
    roots.add(root).unwrap();
    roots
}

/// Connects, with a certificate of one's own or without, and speaks what is agreed on.
async fn connect(
    hub: &Hub,
    own: Option<&str>,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots());
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let chain = CertificateDer::from_pem_file(fixture(&format!("{name}.pem"))).unwrap();
            let key = PrivateKeyDer::from_pem_file(fixture(&format!("{name}-key.pem"))).unwrap();
            builder.with_client_auth_cert(vec![chain], key).unwrap()
        }
    };
    config.alpn_protocols = protocols
        .iter()
        .map(|one| one.as_bytes().to_vec())
        .collect();
    let socket = TcpStream::connect(hub.address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, socket)
        .await
}

/// Publishes over HTTP/2. Answers with the status, or `None` when the line broke.
async fn publish(stream: TlsStream<TcpStream>, key: Option<&str>) -> Option<u16> {
    let io = TokioIo::new(stream);
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
    let (mut sender, connection) = handshake.await.ok()?;
    tokio::spawn(connection);
    let mut request =
        Request::post("https://localhost/v1/events").header("content-type", "application/json");
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let body = event(json!({})).to_string();
    let request = request.body(Full::<Bytes>::from(body)).unwrap();
    let answer = sender.send_request(request).await.ok()?;
    let status = answer.status().as_u16();
    answer.into_body().collect().await.ok()?;
    Some(status)
}

#[tokio::test]
async fn http2_is_spoken_where_it_is_agreed_on_and_http1_elsewhere() {
    let files = Files::new();
    let hub = hub(&files, |_| {}).await;
    let stream = connect(&hub, None, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(publish(stream, Some("any")).await, Some(202));
    let stream = connect(&hub, None, &["http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let stream = connect(&hub, None, &["h2"]).await.unwrap();
    assert_eq!(publish(stream, None).await, Some(401));
}

#[tokio::test]
async fn a_certificate_is_who_somebody_is() {
    let files = Files::new();
    let hub = hub(&files, |tls| tls.client_ca = Some(fixture("ca.pem"))).await;
    let stream = connect(&hub, Some("client"), &["h2"]).await.unwrap();
    assert_eq!(publish(stream, None).await, Some(202));
    // Without one the key decides.
    let stream = connect(&hub, None, &["h2"]).await.unwrap();
    assert_eq!(publish(stream, None).await, Some(401));
    let stream = connect(&hub, None, &["h2"]).await.unwrap();
    assert_eq!(publish(stream, Some("any")).await, Some(202));
    // One of another authority ends the connection, though its name is right.
    let answer = match connect(&hub, Some("stranger"), &["h2"]).await {
        Ok(stream) => publish(stream, None).await,
        Err(_) => None,
    };
    assert_eq!(answer, None);
    refused(&hub, 1).await;
}

/// Waits until so many certificates were refused, which is counted after the client is told.
async fn refused(hub: &Hub, times: u64) {
    let count = || {
        let admission = hub.intake.admission();
        let mut counts = admission.failed_attempts();
        counts.find(|(reason, _)| *reason == "refused_certificate")
    };
    for _ in 0..100 {
        if count() == Some(("refused_certificate", times)) {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("{:?}", count());
}

#[tokio::test]
async fn a_certificate_that_is_required_must_be_shown() {
    let files = Files::new();
    let hub = hub(&files, |tls| {
        tls.client_ca = Some(fixture("ca.pem"));
        tls.client_certificate = ClientCertificate::Required;
    })
    .await;
    let answer = match connect(&hub, None, &["h2"]).await {
        Ok(stream) => publish(stream, Some("any")).await,
        Err(_) => None,
    };
    assert_eq!(answer, None);
    refused(&hub, 1).await;
    let stream = connect(&hub, Some("client"), &["h2"]).await.unwrap();
    assert_eq!(publish(stream, None).await, Some(202));
}

#[tokio::test]
async fn silence_gets_nowhere_and_plain_text_is_told_what_to_speak() {
    let files = Files::new();
    let mut tls = files.config();
    tls.client_ca = None;
    let hub = Hub::start(|settings| {
        settings.server.tls = Some(tls);
        settings.server.header_timeout = Duration::from_millis(300).into();
    })
    .await;
    let mut silent = hub.connect().await;
    let started = std::time::Instant::now();
    silent.closed().await;
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    let mut plain = hub.connect().await;
    plain
        .write("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    let mut answer = String::new();
    let read = tokio::io::AsyncReadExt::read_to_string(&mut plain.0, &mut answer);
    read.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains(&format!("content-length: {}", body.len())),
        "{head}"
    );
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["code"], "malformed_event");
    assert!(body.contains("https://"), "{body}");
}

/// The certificate that the hub shows.
async fn shown(hub: &Hub) -> Vec<u8> {
    let stream = connect(hub, None, &["h2"]).await.unwrap();
    let (_, session) = stream.get_ref();
    session.peer_certificates().unwrap()[0].as_ref().to_vec()
}

#[tokio::test]
async fn a_certificate_that_changes_is_taken_up_and_a_broken_one_is_not() {
    let files = Files::new();
    let hub = hub(&files, |_| {}).await;
    let first = shown(&hub).await;
    fs::write(files.0.path().join("certificate.pem"), "none").unwrap();
    sleep(super::LOOK + Duration::from_millis(500)).await;
    assert_eq!(shown(&hub).await, first);
    files.put("second");
    let mut now = first.clone();
    for _ in 0..100 {
        now = shown(&hub).await;
        if now != first {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    assert_ne!(now, first);
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let files = Files::new();
    let refused = async |change: &dyn Fn(&mut TlsConfig)| {
        let mut config = crate::ingress::Config {
            http: ([127, 0, 0, 1], 0).into(),
            tls: Some(files.config()),
            ..crate::ingress::Config::default()
        };
        change(config.tls.as_mut().unwrap());
        Server::bind(&config).await.unwrap_err().to_string()
    };
    let missing = refused(&|tls| tls.certificate = "nowhere.pem".into()).await;
    assert!(missing.contains("nowhere.pem") && missing.contains("server.tls.certificate"));
    let no_key = refused(&|tls| tls.key = fixture("ca.pem")).await;
    assert!(no_key.contains("server.tls.key"), "{no_key}");
    let another = refused(&|tls| tls.key = fixture("client-key.pem")).await;
    assert!(another.contains("certificate and the key"), "{another}");
}
