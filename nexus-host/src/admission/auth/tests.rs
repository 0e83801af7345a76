use futures_util::FutureExt;
use sha2::{Digest, Sha256};

use super::certificate::tests::CLIENT as CERTIFICATE;
use super::signed::tests::sign;
use super::*;
use crate::admission::config::Key;
use crate::admission::{Admission, Contracts, Limits};
use crate::config::{KeyHash, Secret};

pub(in crate::admission) fn hash_of(key: &str) -> KeyHash {
    KeyHash::from_bytes(Sha256::digest(key.as_bytes()).into())
}

pub(in crate::admission) fn client(
    id: &str,
    key: &str,
    sources: &[&str],
    types: &[&str],
) -> Client {
    let parse = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
    Client {
        id: id.to_owned(),
        key_sha256: Some(hash_of(key)),
        sources: parse(sources),
        types: parse(types),
        ..Client::default()
    }
}

/// Lets somebody in by a key.
pub(in crate::admission) fn bearer(
    admission: &Admission,
    key: &str,
) -> Result<Arc<ClientScope>, Rejection> {
    let credentials = credentials(Presented::Bearer(key));
    let asked = admission.authenticate(&credentials).now_or_never();
    asked.expect("nothing to wait for")
}

fn credentials(presented: Presented<'_>) -> Credentials<'_> {
    Credentials {
        presented,
        certificate: None,
        peer: None,
        transport: Transport::Http,
    }
}

fn admission(clients: &[Client]) -> Admission {
    let contracts = Arc::new(Contracts::default());
    Admission::new(&Limits::default(), clients, &[], contracts)
}

fn outcome(admission: &Admission, credentials: &Credentials<'_>) -> Result<String, Code> {
    let asked = admission.authenticate(credentials).now_or_never();
    let asked = asked.expect("nothing to wait for");
    asked
        .map(|scope| scope.id().to_string())
        .map_err(|refused| refused.code())
}

fn certified(id: &str) -> Client {
    Client {
        certificate_subject: Some("parrot.example".to_owned()),
        ..client(id, id, &[], &[])
    }
}

/// What the log is told meanwhile.
pub(in crate::admission) fn log_of(run: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Written(Arc<parking_lot::Mutex<Vec<u8>>>);

    impl std::io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, run);
    let written = written.0.lock();
    String::from_utf8_lossy(&written).into_owned()
}

const NOBODY: Result<String, Code> = Err(Code::Unauthenticated);

#[test]
fn nobody_is_let_in_by_default() {
    let admission = admission(&[]);
    for presented in [
        Presented::Nothing,
        Presented::Unreadable,
        Presented::Bearer(""),
        Presented::Bearer("anything"),
    ] {
        let mut credentials = credentials(presented);
        assert_eq!(outcome(&admission, &credentials), NOBODY);
        credentials.certificate = Some(CERTIFICATE);
        assert_eq!(outcome(&admission, &credentials), NOBODY);
    }
}

#[test]
fn a_certificate_lets_in_and_what_is_presented_counts_before_it() {
    let admission = admission(&[certified("a"), client("b", "b", &[], &[])]);
    let with = |presented| Credentials {
        certificate: Some(CERTIFICATE),
        ..credentials(presented)
    };
    assert_eq!(
        outcome(&admission, &with(Presented::Nothing)),
        Ok("a".to_owned())
    );
    assert_eq!(
        outcome(&admission, &with(Presented::Bearer("a"))),
        Ok("a".to_owned())
    );
    // Two identities; and a wrong key is not made good by a certificate.
    assert_eq!(outcome(&admission, &with(Presented::Bearer("b"))), NOBODY);
    assert_eq!(outcome(&admission, &with(Presented::Bearer("c"))), NOBODY);
    assert_eq!(outcome(&admission, &with(Presented::Unreadable)), NOBODY);
}

#[test]
fn a_certificate_that_is_nobody_s_stands_in_no_key_s_way() {
    let admission = admission(&[client("b", "b", &[], &[])]);
    let with = |presented| Credentials {
        certificate: Some(CERTIFICATE),
        ..credentials(presented)
    };
    assert_eq!(outcome(&admission, &with(Presented::Nothing)), NOBODY);
    assert_eq!(
        outcome(&admission, &with(Presented::Bearer("b"))),
        Ok("b".to_owned())
    );
}

#[test]
fn on_a_connection_whose_certificate_has_expired_nobody_goes_on() {
    let last = b"361122102053Z";
    let at = CERTIFICATE
        .windows(last.len())
        .position(|part| part == last);
    let mut expired = CERTIFICATE.to_vec();
    expired[at.unwrap()..][..2].copy_from_slice(b"20");
    let admission = admission(&[certified("a"), client("b", "b", &[], &[])]);
    for presented in [
        || Presented::Nothing,
        || Presented::Bearer("a"),
        || Presented::Bearer("b"),
    ] {
        let with = |certificate| Credentials {
            certificate: Some(certificate),
            ..credentials(presented())
        };
        let refused = admission.authenticate(&with(&expired)).now_or_never();
        let refused = refused.unwrap().unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
        assert!(refused.message().contains("has expired"), "{refused}");
    }
    let good = Credentials {
        certificate: Some(CERTIFICATE),
        ..credentials(Presented::Bearer("a"))
    };
    let scope = admission.authenticate(&good).now_or_never().unwrap();
    assert!(!scope.unwrap().has_expired());
}

#[test]
fn clients_come_the_ways_they_may() {
    let only_grpc = Client {
        transports: vec![Transport::Grpc],
        ..client("g", "g", &["*"], &["*"])
    };
    let admission = admission(&[only_grpc, client("all", "all", &[], &[])]);
    for transport in Transport::ALL {
        let by = |key| Credentials {
            transport,
            ..credentials(Presented::Bearer(key))
        };
        assert_eq!(outcome(&admission, &by("all")), Ok("all".to_owned()));
        let expected = match transport {
            Transport::Grpc => Ok("g".to_owned()),
            _ => Err(Code::Forbidden),
        };
        assert_eq!(outcome(&admission, &by("g")), expected, "{transport:?}");
    }
}

#[test]
fn after_too_many_failures_an_honest_key_is_still_let_in() {
    let admission = admission(&[client("a", "right", &[], &[])]);
    let by = |key| Credentials {
        peer: Some([192, 0, 2, 1].into()),
        ..credentials(Presented::Bearer(key))
    };
    for _ in 0..20 {
        assert_eq!(outcome(&admission, &by("wrong")), NOBODY);
    }
    for _ in 0..3 {
        assert_eq!(outcome(&admission, &by("wrong")), Err(Code::RateLimited));
        assert_eq!(outcome(&admission, &by("right")), Ok("a".to_owned()));
    }
}

#[test]
fn a_claim_is_nothing_until_it_is_confirmed_with_the_body() {
    let secret = "a secret of enough bytes";
    let signs = Client {
        hmac: vec![Secret::new(secret)],
        ..client("s", "s", &["*"], &["*"])
    };
    let admission = admission(&[signs]);
    let now = Utc::now().timestamp().to_string();
    let nonce = "0123456789abcdef";
    let signature = sign(secret, &now, nonce, ("POST", "/x", "body"));
    let parameters = format!("Client=s, Timestamp={now}, Nonce={nonce}, Signature={signature}");
    let headers = HeaderMap::new();
    let credentials = credentials(Presented::Signed {
        parameters: &parameters,
        head: Head {
            method: "POST",
            target: "/x",
            headers: &headers,
        },
    });
    let identify = || {
        let sender = admission.identify(&credentials).now_or_never();
        sender.expect("nothing to wait for")
    };
    assert_eq!(
        outcome(&admission, &credentials),
        NOBODY,
        "without the body"
    );
    let refused = admission.confirm(identify().unwrap(), b"Body").unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(admission.confirm(identify().unwrap(), b"body").is_ok());
    let replayed = admission.confirm(identify().unwrap(), b"body");
    assert_eq!(replayed.unwrap_err().code(), Code::Unauthenticated);
}

#[test]
fn a_client_that_stays_keeps_its_rate_and_one_that_goes_is_taken_back() {
    let limited = |id: &str, rate: f64| Client {
        rate: Some(rate),
        burst: Some(1),
        ..client(id, id, &["*"], &["*"])
    };
    let (stays, changes, goes) = (
        limited("stays", 0.001),
        limited("changes", 0.001),
        limited("goes", 0.001),
    );
    let before = admission(&[stays.clone(), changes, goes]);
    let scope = |admission: &Admission, key: &str| {
        let presented = credentials(Presented::Bearer(key));
        let found = admission.authenticate(&presented);
        found.now_or_never().expect("nothing to wait for")
    };
    let scopes = ["stays", "changes", "goes"].map(|key| scope(&before, key).unwrap());
    for one in &scopes {
        assert!(before.take(one).is_ok() && before.take(one).is_err());
    }
    let after = before.succeeded_by(&Limits::default(), &[stays, limited("changes", 0.002)], &[]);
    before.give_way_to(&after);
    assert_eq!(scopes.map(|one| one.has_expired()), [false, true, true]);
    assert!(after.take(&scope(&after, "stays").unwrap()).is_err());
    assert!(after.take(&scope(&after, "changes").unwrap()).is_ok());
    assert!(scope(&after, "goes").is_err());
    let refused: u64 = after.rate_limited().map(|(_, count)| count).sum();
    assert_eq!(refused, 4, "what was refused before stays counted");
}

#[test]
fn a_flood_of_failures_does_not_fill_the_log_and_every_one_is_counted() {
    let admission = admission(&[client("a", "right", &[], &[])]);
    let guess = |peer: [u8; 4]| {
        let credentials = Credentials {
            peer: Some(peer.into()),
            ..credentials(Presented::Bearer("wrong"))
        };
        let _ = outcome(&admission, &credentials);
    };
    let log = log_of(|| {
        (0..1_500).for_each(|_| guess([192, 0, 2, 1]));
        guess([192, 0, 2, 2]);
    });
    let lines: Vec<_> = log.lines().collect();
    assert!((21..25).contains(&lines.len()), "{}", lines.len());
    let last = lines[lines.len() - 1];
    assert!(
        last.contains("192.0.2.2") && last.contains("left_out=14"),
        "{last}"
    );
    let mut counts = admission.failed_attempts();
    let counted = counts.find(|(reason, _)| *reason == "unknown_key");
    assert_eq!(counted, Some(("unknown_key", 1_501)));
}

/// Everything that is told of failures, with something secret in every place.
#[test]
fn no_credential_is_shown() {
    const CANARY: &str = "canary-5f2c8f0a9d4e4b7c";
    let mut known = client("a", &format!("{CANARY}-key"), &["*"], &["*"]);
    known.hmac = vec![Secret::new(format!("{CANARY}-secret"))];
    known.keys = vec![Key {
        sha256: hash_of(&format!("{CANARY}-expired")),
        expires_at: Some("2020-01-01T00:00:00Z".parse().unwrap()),
    }];
    let digest = hex::encode(Sha256::digest(format!("{CANARY}-key")));
    let admission = admission(std::slice::from_ref(&known));
    let now = Utc::now().timestamp();
    let signed = |signature: &str, nonce: &str| {
        format!("Client=a, Timestamp={now}, Nonce={nonce}, Signature={signature}")
    };
    let parameters = [
        signed(&"ab".repeat(32), CANARY),
        signed(CANARY, CANARY),
        format!("{CANARY}={CANARY}").replace("canary", "c"),
    ];
    let mut shown = vec![format!("{known:?}"), format!("{admission:?}")];
    let headers = HeaderMap::new();
    let log = log_of(|| {
        let keys = ["-wrong", "-expired"].map(|end| format!("{CANARY}{end}"));
        let mut all: Vec<Presented<'_>> = keys.iter().map(|key| Presented::Bearer(key)).collect();
        all.extend(parameters.iter().map(|parameters| Presented::Signed {
            parameters,
            head: Head {
                method: "GET",
                target: "/",
                headers: &headers,
            },
        }));
        for presented in all {
            let credentials = credentials(presented);
            shown.push(format!("{credentials:?}"));
            let refused = admission.authenticate(&credentials).now_or_never().unwrap();
            let refused = refused.unwrap_err();
            shown.push(format!("{refused:?} {refused}"));
        }
        let right = format!("{CANARY}-key");
        shown.push(format!("{:?}", bearer(&admission, &right).unwrap()));
    });
    assert_eq!(
        log.matches("refused to let a client in").count(),
        5,
        "{log}"
    );
    assert!(
        log.contains("expired_key") && log.contains("bad_signature"),
        "{log}"
    );
    shown.push(log);
    for text in shown {
        assert!(!text.contains(CANARY) && !text.contains(&digest), "{text}");
    }
}
