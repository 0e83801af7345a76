//! A client's certificate that is good for seconds: nobody goes on behind its end, on a connection that is
//! open, by a session that is taken up again, or on a stream.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{TimeDelta, Utc};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, HandshakeKind};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Files, hub, roots};
use crate::ingress::harness::{Hub, event};

const PATIENCE: Duration = Duration::from_secs(10);

/// One element of DER with these parts in it.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head = match (high, low) {
        (0, short @ 0..=0x7f) => vec![tag, short],
        (0, low) => vec![tag, 0x81, low],
        (high, low) => vec![tag, 0x82, high, low],
    };
    [head, content].concat()
}

/// A certificate of `mail-producer` that is signed by itself, good from a while ago and for some seconds
/// more; and its key.
pub(super) fn certificate(seconds: i64) -> (Vec<u8>, Vec<u8>) {
    const ECDSA_WITH_SHA256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    const EC_PUBLIC_KEY: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    const P256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
    let (kind, random) = (&ECDSA_P256_SHA256_ASN1_SIGNING, SystemRandom::new());
    let key = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(kind, key.as_ref(), &random).unwrap();
    let sequence = |parts: &[&[u8]]| der(0x30, parts);
    let object = |id: &[u8]| der(0x06, &[id]);
    let bits = |bytes: &[u8]| der(0x03, &[&[0], bytes]);
    let time = |from_now: i64| {
        let time = Utc::now() + TimeDelta::seconds(from_now);
        der(0x17, &[time.format("%y%m%d%H%M%SZ").to_string().as_bytes()])
    };
    let algorithm = sequence(&[&object(&ECDSA_WITH_SHA256)]);
    let name = sequence(&[&object(&COMMON_NAME), &der(0x0c, &[b"mail-producer"])]);
    let name = sequence(&[&der(0x31, &[&name])]);
    let curve = sequence(&[&object(&EC_PUBLIC_KEY), &object(&P256)]);
    let signed = sequence(&[
        &der(0xa0, &[&der(0x02, &[&[2]])]),
        &der(0x02, &[&[1]]),
        &algorithm,
        &name,
        &sequence(&[&time(-60), &time(seconds)]),
        &name,
        &sequence(&[&curve, &bits(pair.public_key().as_ref())]),
    ]);
    let signature = pair.sign(&random, &signed).unwrap();
    let certificate = sequence(&[&signed, &algorithm, &bits(signature.as_ref())]);
    (certificate, key.as_ref().to_vec())
}

/// A hub that trusts a certificate, and whoever shows it.
async fn hub_and_client(files: &Files, seconds: i64, protocol: &str) -> (Hub, Arc<ClientConfig>) {
    let (certificate, key) = certificate(seconds);
    let path = files.0.path().join("client-ca.pem");
    let text = STANDARD.encode(&certificate);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    std::fs::write(&path, pem).unwrap();
    let hub = hub(files, |tls| tls.client_ca = Some(path)).await;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = match protocol {
        "1.2" => &[&rustls::version::TLS12],
        _ => &[&rustls::version::TLS13],
    };
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots())
        .with_client_auth_cert(
            vec![CertificateDer::from(certificate)],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)),
        );
    (hub, Arc::new(client.unwrap()))
}

async fn connect(hub: &Hub, client: &Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(hub.address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(client.clone())
        .connect(name, socket)
        .await
}

/// Publishes over HTTP/1.1 and hands on what is answered; nothing when the line is broken.
async fn publish(stream: &mut TlsStream<TcpStream>) -> String {
    let body = event(json!({})).to_string();
    let length = body.len();
    let request =
        format!("POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}");
    if stream.write_all(request.as_bytes()).await.is_err() {
        return String::new();
    }
    read_until(stream, "}").await
}

/// Reads until a text has come, or the end.
async fn read_until(stream: &mut TlsStream<TcpStream>, text: &str) -> String {
    let mut read = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&read).contains(text) {
            match stream.read_buf(&mut read).await {
                Ok(some) if some > 0 => {}
                _ => break,
            }
        }
    };
    timeout(PATIENCE, reading).await.expect("nothing came");
    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn nobody_goes_on_behind_the_end_of_his_certificate() {
    let files = Files::new();
    let (hub, client) = hub_and_client(&files, 2, "1.3").await;
    let mut kept = connect(&hub, &client).await.unwrap();
    assert!(publish(&mut kept).await.contains(" 202 "));
    let mut following = connect(&hub, &client).await.unwrap();
    let request = "GET /v1/events/stream HTTP/1.1\r\nhost: x\r\n\r\n";
    following.write_all(request.as_bytes()).await.unwrap();
    read_until(&mut following, ": following").await;
    sleep(Duration::from_millis(3_200)).await;
    // The connection was closed, so that its client begins a new one.
    assert_eq!(publish(&mut kept).await, "");
    let other = super::connect(&hub, None, &["h2"]).await.unwrap();
    assert_eq!(super::publish(other, Some("any")).await, Some(202));
    let rest = read_until(&mut following, "0\r\n\r\n").await;
    assert!(!rest.contains("data:"), "{rest}");
    let refused = match connect(&hub, &client).await {
        Ok(mut stream) => publish(&mut stream).await,
        Err(_) => String::new(),
    };
    assert_eq!(refused, "");
}

#[tokio::test]
async fn no_session_is_taken_up_again_where_certificates_are_shown() {
    for version in ["1.2", "1.3"] {
        let files = Files::new();
        let (hub, client) = hub_and_client(&files, 600, version).await;
        for _ in 0..3 {
            let mut stream = connect(&hub, &client).await.unwrap();
            // What a session is taken up by comes with the answer.
            assert!(publish(&mut stream).await.contains(" 202 "));
            let (_, session) = stream.get_ref();
            let kind = session.handshake_kind();
            assert_eq!(kind, Some(HandshakeKind::Full), "{version}");
        }
    }
}
