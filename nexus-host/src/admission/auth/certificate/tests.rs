use super::super::tests::client;
use super::*;

/// Signed by itself: `O=Example, OU=x, CN=Parrot-1`, with the DNS names `parrot.example` and
/// `*.wild.example`.
pub(in crate::admission::auth) const CLIENT: &[u8] = include_bytes!("client.der");

/// `CN=only-cn`, nothing else.
const PLAIN: &[u8] = include_bytes!("plain.der");

fn named(id: &str, name: &str) -> Client {
    Client {
        certificate_subject: Some(name.to_owned()),
        ..client(id, id, &[], &[])
    }
}

fn digest_of(id: &str, der: &[u8]) -> Client {
    let digest = Sha256::digest(der).into();
    Client {
        certificate_sha256: Some(crate::config::Sha256::from_bytes(digest)),
        ..client(id, id, &[], &[])
    }
}

fn find(clients: &[Client], der: &[u8]) -> Result<String, Reason> {
    let scopes = clients.iter().map(|c| (c, Arc::new(ClientScope::new(c))));
    let certificates = Certificates::new(&scopes.collect::<Vec<_>>());
    let found = certificates.find(der);
    found
        .map(|scope| scope.id().to_string())
        .map_err(|failure| failure.reason)
}

#[test]
fn a_certificate_is_known_by_its_digest_and_by_its_names() {
    assert_eq!(find(&[digest_of("a", CLIENT)], CLIENT), Ok("a".to_owned()));
    for name in ["Parrot-1", "parrot-1", "parrot.example", "PARROT.example"] {
        assert_eq!(
            find(&[named("a", name)], CLIENT),
            Ok("a".to_owned()),
            "{name}"
        );
    }
    assert_eq!(find(&[named("b", "only-cn")], PLAIN), Ok("b".to_owned()));
}

#[test]
fn no_other_certificate_is_let_in() {
    let clients = [digest_of("a", CLIENT), named("b", "parrot.example")];
    assert_eq!(find(&clients, PLAIN), Err(Reason::UnknownCertificate));
    for name in [
        "x",
        "Example",
        "parrot",
        "a.wild.example",
        "CN=Parrot-1",
        "",
    ] {
        assert_eq!(
            find(&[named("a", name)], CLIENT),
            Err(Reason::UnknownCertificate),
            "{name}"
        );
    }
    assert_eq!(find(&[], CLIENT), Err(Reason::UnknownCertificate));
}

#[test]
fn a_certificate_of_two_clients_is_nobody_s() {
    let two = [digest_of("a", CLIENT), named("b", "parrot.example")];
    assert_eq!(find(&two, CLIENT), Err(Reason::TwoIdentities));
    let two = [named("a", "Parrot-1"), named("b", "parrot.example")];
    assert_eq!(find(&two, CLIENT), Err(Reason::TwoIdentities));
}

#[test]
fn a_certificate_is_good_until_its_last_second_is_over() {
    // As OpenSSL tells of both.
    for (der, last) in [
        (CLIENT, "2036-11-22T10:20:53Z"),
        (PLAIN, "2036-11-22T10:20:54Z"),
    ] {
        let last: DateTime<Utc> = last.parse().unwrap();
        let end = end_of(der).unwrap();
        assert_eq!(end, last + TimeDelta::seconds(1));
        let certificates = Certificates::new(&[]);
        let just_before = end - TimeDelta::milliseconds(1);
        assert_eq!(certificates.judge(der, just_before).unwrap().end, end);
        let refused = certificates.judge(der, end).map(drop).unwrap_err();
        assert_eq!(refused.reason, Reason::ExpiredCertificate);
    }
}

#[test]
fn a_damaged_certificate_has_no_name_and_breaks_nothing() {
    let clients = [named("a", "Parrot-1"), named("b", "parrot.example")];
    for end in 0..CLIENT.len() {
        assert_eq!(
            find(&clients[..1], &CLIENT[..end]),
            Err(Reason::UnknownCertificate)
        );
    }
    for at in 0..CLIENT.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = CLIENT.to_vec();
            damaged[at] ^= flip;
            let _ = find(&clients, &damaged);
            let _ = end_of(&damaged);
        }
    }
}
