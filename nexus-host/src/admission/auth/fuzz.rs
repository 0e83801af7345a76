//! The fuzz target of this room: what somebody presents to be let in.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::key_set::KeySet;
use super::token::Token;
use super::*;
use crate::admission::config::Algorithm;
use crate::config::{Secret, Selector};
use crate::fuzz::{expect_line, finished, parts};

const ID: &str = "shop";
const ISSUER: &str = "https://id.example.org";
const AUDIENCE: &str = "nexus";
const SUBJECT: &str = "shop-eu";
const SECRET: &str = "a secret of at least thirty-two bytes";
const NOW: i64 = 1_800_000_000;
const WINDOW: i64 = 300;
const LEEWAY: i64 = 60;

/// A client that may publish everything but the hub's own types.
pub(crate) fn anybody() -> Arc<ClientScope> {
    Arc::new(ClientScope::new(&client()))
}

fn client() -> Client {
    Client {
        id: ID.to_owned(),
        hmac: vec![Secret::new(SECRET)],
        jwt_subject: Some(SUBJECT.to_owned()),
        certificate_subject: Some("shop.example.org".to_owned()),
        sources: vec![Selector::Any],
        types: vec![Selector::Any],
        ..Client::default()
    }
}

fn issuer() -> Issuer {
    Issuer {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        secret: Some(Secret::new(SECRET)),
        algorithms: vec![Algorithm::HS256],
        ..Issuer::default()
    }
}

/// What is presented, by the word on the first line: `head` (as it is), `signed` (a request that is signed
/// here), `token` (one that is signed here), `jwks` or `certificate`.
pub fn authorization(bytes: &[u8]) {
    let [what, one, two, three] = parts(bytes);
    let text = |bytes| str::from_utf8(bytes).unwrap_or_default();
    match what {
        b"signed" => signed(text(one), text(two), three),
        b"token" => token(one, two),
        b"jwks" => key_set(one, two),
        b"certificate" => certificate(one),
        _ => head(text(what), text(one), two),
    }
}

/// The value of an `Authorization` header in which nobody has signed anything.
fn head(value: &str, target: &str, body: &[u8]) {
    static AUTH: LazyLock<Auth> = LazyLock::new(|| Auth::new(&[client()], &[issuer()], 0));
    let headers = HeaderMap::new();
    let head = Head {
        method: "POST",
        target,
        headers: &headers,
    };
    let credentials = Credentials {
        presented: Presented::read(value, head),
        certificate: None,
        peer: None,
        transport: Transport::Http,
    };
    let refused = match finished(AUTH.identify(&credentials)) {
        Ok(sender) => {
            assert!(sender.known().is_none(), "a signature alone proves nothing");
            AUTH.confirm(sender, body).err()
        }
        Err(refused) => Some(refused),
    };
    expect_line(refused.expect("nobody has signed it").message());
}

/// A request that its client has signed, and then one in which a byte is another.
fn signed(nonce: &str, target: &str, body: &[u8]) {
    let (off, target) = target.split_at(target.ceil_char_boundary(1).min(target.len()));
    let off = off.bytes().next().map_or(0, i64::from) * 3;
    let timestamp = NOW + off - WINDOW;
    let digest = hex::encode(Sha256::digest(body));
    let text = format!("{timestamp}\n{nonce}\nPOST\n{target}\n{digest}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hex::encode(hmac::sign(&key, text.as_bytes()));
    let parameters = match off % 2 {
        0 => format!("Client={ID}, Timestamp={timestamp}, Nonce={nonce}, Signature={tag}"),
        _ => {
            format!("signature=\"{tag}\",NONCE=\"{nonce}\" , client=\"{ID}\",timestamp={timestamp}")
        }
    };
    let client = client();
    let signers = || Signers::new(&[(&client, Arc::new(ClientScope::new(&client)))], 0);
    let own = signers();
    let headers = HeaderMap::new();
    let prove = |signers: &Signers, target: &str, body: &[u8]| {
        let head = Head {
            method: "POST",
            target,
            headers: &headers,
        };
        let claim = signers.claim(&parameters, head, NOW)?;
        claim.prove(body, NOW)
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    let is_fine = (16..=64).contains(&nonce.len())
        && nonce.bytes().all(plain)
        && timestamp.abs_diff(NOW) <= WINDOW.unsigned_abs();
    assert_eq!(prove(&own, target, body).is_ok(), is_fine, "{parameters}");
    assert!(prove(&own, target, body).is_err(), "it comes twice");
    assert!(prove(&signers(), &format!("{target}x"), body).is_err());
    assert!(prove(&signers(), target, &[body, b" "].concat()).is_err());
}

/// A token with this header and these claims, signed by its issuer.
fn token(header: &[u8], claims: &[u8]) {
    let [head, body] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    let signed = format!("{head}.{body}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = hmac::sign(&key, signed.as_bytes());
    let with = |signature: &[u8]| format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
    let client = client();
    let issuers = Issuers::new(
        &[issuer()],
        &[(&client, Arc::new(ClientScope::new(&client)))],
    );
    let found = |text: &str| finished(issuers.find(text, NOW)).ok();
    let text = with(signature.as_ref());
    if let Some(scope) = found(&text) {
        assert_eq!(&**scope.id(), ID);
        expect_believed(header, claims);
        assert!(Token::read(&text).is_some());
    }
    let mut other = signature.as_ref().to_vec();
    other[claims.len() % 32] ^= 1;
    assert!(found(&with(&other)).is_none());
    assert!(found(&format!("{signed}.")).is_none());
    // As it may come: whatever it is.
    let _ = Token::read(str::from_utf8(claims).unwrap_or_default());
}

/// What a token that is believed must say, read by another parser.
fn expect_believed(header: &[u8], claims: &[u8]) {
    let read = |part| serde_json::from_slice::<Value>(part);
    // In what nobody looks at there may be what others do not read.
    let (Ok(header), Ok(claims)) = (read(header), read(claims)) else {
        return;
    };
    let holds = |value: &Value, word: &str| match value {
        Value::Array(values) => values.iter().any(|one| one == word),
        one => one == word,
    };
    assert_eq!(header["alg"], "HS256");
    assert!(header["crit"].is_null());
    assert_eq!(claims["iss"], ISSUER);
    assert!(holds(&claims["aud"], AUDIENCE));
    assert!(
        claims["exp"]
            .as_f64()
            .is_some_and(|end| end > (NOW - LEEWAY) as f64)
    );
    assert!(
        claims["nbf"]
            .as_f64()
            .is_none_or(|begin| begin <= (NOW + LEEWAY) as f64)
    );
    let subject = [&claims["sub"], &claims["client_id"]];
    let subject = subject.into_iter().find(|claim| !claim.is_null());
    assert!(subject.is_some_and(|subject| subject == SUBJECT));
}

/// A set of public keys, each tried on a signature.
fn key_set(set: &[u8], signature: &[u8]) {
    use Algorithm::{ES256, ES384, EdDSA, HS256, PS256, PS384, PS512, RS256, RS384, RS512};
    let Ok(keys) = KeySet::read(set) else {
        return;
    };
    for algorithm in [
        ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512,
    ] {
        if let Some(key) = keys.find(None, algorithm) {
            key.verifies(algorithm, b"message", signature);
            assert!(!key.verifies(HS256, b"message", signature));
        }
    }
    assert!(
        keys.find(None, HS256).is_none(),
        "no public key is a secret"
    );
}

/// A certificate whose chain somebody has verified.
fn certificate(der: &[u8]) {
    let client = client();
    let certificates = Certificates::new(&[(&client, Arc::new(ClientScope::new(&client)))]);
    let _ = certificates.judge(der, Utc::now());
    if let Ok(scope) = certificates.find(der) {
        assert_eq!(&**scope.id(), ID);
        let name = b"shop.example.org";
        let has_name = der
            .windows(name.len())
            .any(|part| part.eq_ignore_ascii_case(name));
        assert!(has_name, "its name stands in it");
    }
}
