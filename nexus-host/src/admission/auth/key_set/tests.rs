mod vectors;

use super::*;

/// RFC 7515, appendix A.2 and A.3; RFC 8037, appendix A.4.
const RS256: (&str, &str) = (
    r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#,
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
);
const ES256: (&str, &str) = (
    r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
);
const EDDSA: (&str, &str) = (
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
);

fn set(keys: &[&str]) -> Result<KeySet, &'static str> {
    KeySet::read(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes())
}

fn parts(token: &str) -> (&str, Vec<u8>) {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    (signed, URL_SAFE_NO_PAD.decode(signature).unwrap())
}

#[test]
fn published_vectors() {
    for ((key, token), algorithm) in [
        (RS256, Algorithm::RS256),
        (ES256, Algorithm::ES256),
        (EDDSA, Algorithm::EdDSA),
    ] {
        let set = set(&[key]).unwrap();
        let key = set.find(None, algorithm).unwrap();
        let (signed, signature) = parts(token);
        assert!(key.verifies(algorithm, signed.as_bytes(), &signature));
        let mut other = signed.as_bytes().to_vec();
        other[30] ^= 1;
        assert!(!key.verifies(algorithm, &other, &signature));
        for at in 0..signature.len() {
            let mut wrong = signature.clone();
            wrong[at] ^= 1;
            assert!(!key.verifies(algorithm, signed.as_bytes(), &wrong), "{at}");
        }
        assert!(!key.verifies(algorithm, signed.as_bytes(), &[]));
    }
}

#[test]
fn no_key_is_used_for_an_algorithm_of_another_kind() {
    let all = [
        Algorithm::RS256,
        Algorithm::PS256,
        Algorithm::ES256,
        Algorithm::ES384,
    ]
    .into_iter()
    .chain([Algorithm::EdDSA, Algorithm::HS256]);
    for algorithm in all {
        let suits = |key: &str| set(&[key]).unwrap().find(None, algorithm).is_some();
        let is_rsa = matches!(algorithm, Algorithm::RS256 | Algorithm::PS256);
        assert_eq!(suits(RS256.0), is_rsa, "{algorithm:?}");
        assert_eq!(suits(ES256.0), algorithm == Algorithm::ES256);
        assert_eq!(suits(EDDSA.0), algorithm == Algorithm::EdDSA);
    }
    let fixed = RS256.0.replace(r#""kty""#, r#""alg":"RS256","kty""#);
    let set = set(&[&fixed]).unwrap();
    assert!(set.find(None, Algorithm::RS256).is_some());
    assert!(set.find(None, Algorithm::PS256).is_none());
}

#[test]
fn keys_are_found_by_their_id() {
    let named = |key: &str, kid: &str| key.replace(r#""kty""#, &format!(r#""kid":"{kid}","kty""#));
    let (one, two) = (named(ES256.0, "one"), named(ES256.0, "two"));
    let set = set(&[&one, &two, EDDSA.0]).unwrap();
    let found = |kid: &str| set.find(Some(kid), Algorithm::ES256).is_some();
    assert!(found("one") && found("two") && !found("three") && !found(""));
    assert!(
        set.find(None, Algorithm::ES256).is_none(),
        "which of the two?"
    );
    assert!(set.find(None, Algorithm::EdDSA).is_some());
}

#[test]
fn what_is_of_no_use_is_passed_over() {
    let with = |more: &str| ES256.0.replace(r#""kty""#, &format!(r#"{more},"kty""#));
    for bad in [
        r#"{"kty":"oct","k":"c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0"}"#.to_owned(),
        r#"{"kty":"EC","crv":"P-521","x":"AA","y":"AA"}"#.to_owned(),
        r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#.to_owned(),
        r#"{"kty":"RSA","n":"!!","e":"AQAB"}"#.to_owned(),
        r#"{"kty":5}"#.to_owned(),
        with(r#""use":"enc""#),
        with(r#""key_ops":["sign"]"#),
    ] {
        assert!(set(&[&bad]).unwrap().is_empty(), "{bad}");
        assert_eq!(set(&[&bad, EDDSA.0]).unwrap().0.len(), 1, "{bad}");
    }
    assert!(set(&[]).unwrap().is_empty());
    for text in ["", "[]", "{}", r#"{"keys":{}}"#] {
        assert!(KeySet::read(text.as_bytes()).is_err(), "{text}");
    }
}
