//! The commands that ask a running hub which serves TLS.

use std::path::{Path, PathBuf};

use crate::harness::{Place, Ran, Running};

/// The certificates of the host's own tests; nobody holds their roots' keys.
fn fixture(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    let folder = match name.starts_with("expired") {
        true => "examples/nexus/tests/cli/fixtures",
        false => "nexus-host/src/ingress/tls/fixtures",
    };
    root.unwrap().join(folder).join(name)
}

fn text(name: &str) -> String {
    fixture(name).display().to_string()
}

fn place(certificate: &str, more: &str) -> Place {
    let tls = format!(
        "tls.certificate = '{}'\ntls.key = '{}'\n{more}",
        text(&format!("{certificate}.pem")),
        text(&format!("{certificate}-key.pem"))
    );
    Place::new().probe().hub(&tls)
}

/// The hub's address, by the name that its certificate has.
fn named(hub: &Running) -> String {
    hub.url.replace("127.0.0.1", "localhost")
}

fn list(place: &Place, more: &[&str]) -> Ran {
    place.run_with_key(&[&["plugin", "list"], more].concat())
}

#[test]
fn a_hub_beside_its_configuration_is_known_by_its_own_certificate() {
    let place = place("server", "");
    let hub = place.start();
    assert!(hub.url.starts_with("https://"), "{}", hub.url);
    // With the port that it has got, the configuration is that of a hub which is asked without --url.
    let port = hub.url.rsplit_once(':').unwrap().1;
    let config = std::fs::read_to_string(place.path().join("nexus.toml")).unwrap();
    let place = place.file(
        "nexus.toml",
        &config.replace("127.0.0.1:0", &format!("127.0.0.1:{port}")),
    );
    let ping = [
        "send",
        "probe.ping",
        "--source",
        "cli",
        "--payload",
        r#"{"n": 7}"#,
    ];
    let sent = place.run_with_key(&ping).exits(0).says("accepted ");
    let id = sent
        .stdout
        .trim()
        .strip_prefix("accepted ")
        .unwrap()
        .to_owned();
    place
        .run_with_key(&["explain", &id])
        .exits(0)
        .says("probe.ping from cli");
    place.run_with_key(&["dlq", "list"]).exits(0);
    place
        .run_with_key(&["contract", "list"])
        .exits(0)
        .says("probe.ping");
    list(&place, &[]).exits(0).says("probe");
    // Somebody else's configuration knows another certificate.
    let server = text("server.pem");
    let config = config.replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    let other = config.replace(&server, &text("second.pem"));
    let elsewhere = Place::new().file("nexus.toml", &other);
    let told = elsewhere.run_with_key(&["dlq", "list"]);
    told.exits(1)
        .complains("another one than that in server.tls.certificate");
}

#[test]
fn an_address_is_held_against_the_authorities_that_are_named() {
    let place = place("server", "");
    let hub = place.start();
    let (ca, own, at) = (text("ca.pem"), named(&hub), "--url");
    list(&place, &[at, &own, "--ca", &ca])
        .exits(0)
        .says("probe");
    let refused = |url: &str, more: &[&str]| list(&place, &[&[at, url], more].concat()).exits(1);
    refused(&hub.url, &["--ca", &ca]).complains("is not made out to `127.0.0.1`");
    refused(&own, &["--ca", &text("expired-ca.pem")]).complains("name its authority with --ca");
    let plain = own.replace("https://", "http://");
    refused(&plain, &[]).complains("write https://");
    list(&place, &[at, &plain, "--ca", &ca])
        .exits(2)
        .complains("are for TLS");
    list(&place, &[at, &own, "--ca", "nowhere.pem"])
        .exits(2)
        .complains("nowhere.pem cannot be used");
    list(&place, &[at, &own, "--cert", &ca])
        .exits(2)
        .complains("--cert-key");
}

#[test]
fn what_has_expired_and_what_speaks_no_tls_is_told() {
    let place = place("expired", "");
    let hub = place.start();
    let ca = text("expired-ca.pem");
    let told = list(&place, &["--url", &named(&hub), "--ca", &ca]);
    told.exits(1).complains("its certificate has expired");
    let plain = Place::new().hub("");
    let hub = plain.start();
    let own = named(&hub).replace("http://", "https://");
    let told = list(&plain, &["--url", &own, "--ca", &ca]);
    told.exits(1).complains("http://");
}

#[test]
fn a_client_s_certificate_lets_it_in_and_is_asked_for() {
    let clients = format!(
        "tls.client_ca = '{}'\ntls.client_certificate = \"required\"\n[[clients]]\nid = \"mail\"\n\
         certificate_subject = \"mail-producer\"\nsources = [\"mail\"]\ntypes = [\"*\"]\nadmin = true",
        text("ca.pem")
    );
    let place = place("server", &clients);
    let hub = place.start();
    let (ca, own) = (text("ca.pem"), named(&hub));
    let ask = |more: &[&str]| {
        let start = ["dlq", "list", "--url", &own, "--ca", &ca];
        place.run(&[&start, more].concat())
    };
    let (cert, key) = (text("client.pem"), text("client-key.pem"));
    let shows = ["--cert", cert.as_str(), "--cert-key", &key];
    ask(&shows).exits(0);
    // The key is another client's than the certificate.
    let told = list(
        &place,
        &[&["--url", own.as_str(), "--ca", &ca], &shows[..]].concat(),
    );
    told.exits(1).complains("Unset NEXUS_KEY");
    let told = list(&place, &["--url", &own, "--ca", &ca]);
    told.exits(1).complains("it wants a client's certificate");
    let (cert, other) = (text("stranger.pem"), text("stranger-key.pem"));
    ask(&["--cert", &cert, "--cert-key", &other])
        .exits(1)
        .complains("it does not take the certificate");
    ask(&["--cert", &cert, "--cert-key", &key])
        .exits(2)
        .complains("do not go together");
}

#[test]
fn a_hub_says_that_both_its_doors_speak_tls() {
    let place = place("server", "grpc = \"127.0.0.1:0\"");
    let hub = place.start();
    assert!(hub.url.starts_with("https://"), "{}", hub.url);
    let (_, rest) = hub.end("TERM");
    let grpc = rest.lines().find(|line| line.starts_with("grpc     "));
    assert!(grpc.is_some_and(|line| line.ends_with(" (TLS)")), "{rest}");
}
