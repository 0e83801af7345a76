use super::*;

fn guard() -> Guard {
    Guard::default()
}

/// As [`Guard::resolve`], with a resolver that knows every name, and no network.
async fn resolve(guard: &Guard, host: &str, known: &[&str]) -> Result<Vec<SocketAddr>, Refused> {
    let found: Vec<SocketAddr> = known
        .iter()
        .map(|address| SocketAddr::new(address.parse().unwrap(), 80))
        .collect();
    guard.resolve_by(host, 80, |_, _| async { Ok(found) }).await
}

/// A public address, so that what is refused is refused for its spelling.
const PUBLIC: &str = "93.184.215.14";

#[tokio::test]
async fn addresses_that_are_not_public_are_refused_in_every_spelling() {
    for host in [
        // Loopback, unspecified, private, link-local, a carrier's.
        "127.0.0.1",
        "127.1.2.3",
        "127.255.255.255",
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "192.168.255.255",
        "169.254.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.127.255.255",
        // Protocols, documentation, benchmarks, multicast, reserved, broadcast.
        "192.0.0.8",
        "192.88.99.1",
        "192.0.2.1",
        "198.51.100.7",
        "203.0.113.9",
        "198.18.0.1",
        "198.19.255.255",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        // IPv6 of its own.
        "::",
        "::1",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[0000::0001]",
        "fc00::1",
        "fd12:3456::1",
        "[fdff:ffff::1]",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "[ff0e::1]",
        "2001:db8::1",
        "3fff::1",
        "2001::1",
        "2001:10::1",
        "100::1",
        "5f00::1",
        "64:ff9b:1::1",
        "4000::1",
        // IPv4 within IPv6: mapped, compatible, NAT64, 6to4, ISATAP.
        "::ffff:127.0.0.1",
        "[::ffff:7f00:1]",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "[::FFFF:C0A8:0101]",
        "::ffff:0.0.0.0",
        "::127.0.0.1",
        "::7f00:1",
        "::10.0.0.1",
        "::8.8.8.8",
        "64:ff9b::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::10.1.2.3",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2002:c0a8:101::1",
        "2002:a9fe:a9fe::",
        "2a00::5efe:127.0.0.1",
        "2a00::200:5efe:10.0.0.1",
    ] {
        let refused = guard().resolve(host, 80).await.unwrap_err();
        assert!(
            matches!(refused, Refused::Address { .. }),
            "{host}: {refused}"
        );
    }
}

#[tokio::test]
async fn what_may_be_read_as_an_address_is_refused_before_anybody_looks_it_up() {
    for host in [
        // Decimal, octal, hexadecimal, short and mixed forms of 127.0.0.1 and others.
        "2130706433",
        "017700000001",
        "0x7f000001",
        "0X7F000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "0177.0.0.01",
        "127.1",
        "127.0.1",
        "127.0.0.01",
        "0x7f.1",
        "127.0x0.1",
        "10.0x10",
        "3232235777",
        "0xc0a80101",
        "0300.0250.1.1",
        "0xA9FEA9FE",
        "2852039166",
        "169.254.0xa9fe",
        "0",
        "00",
        "0x",
        "1.2.3.4.5",
        "256.1.1.1",
        "999999999999",
        "127.0.0.1.",
        "127.0.0.0x1",
        "example.1",
        // What is no plain host at all.
        "",
        ".",
        "..",
        "a..b",
        ".a",
        "a b",
        "a/b",
        "a\\b",
        "a@b",
        "a:80",
        "a%2eb",
        "%31%32%37.0.0.1",
        "127。0。0。1",
        "１２７.0.0.1",
        "①②⑦.0.0.1",
        "exämple.org",
        "localhost\0",
        "a\n",
        "[127.0.0.1]",
        "[::1",
        "::1]",
        "[fe80::1%eth0]",
        "fe80::1%1",
        "[::1]x",
        "[]",
    ] {
        let resolved = resolve(&guard(), host, &[PUBLIC]).await;
        assert!(
            matches!(resolved, Err(Refused::Host(_))),
            "{host:?}: {resolved:?}"
        );
    }
}

#[tokio::test]
async fn public_addresses_and_names_are_let_through() {
    for host in [
        PUBLIC,
        "8.8.8.8",
        "1.1.1.1",
        "172.15.0.1",
        "172.32.0.1",
        "100.63.0.1",
        "100.128.0.1",
        "169.253.0.1",
        "192.0.1.1",
        "198.17.0.1",
        "198.20.0.1",
        "223.255.255.255",
        "11.0.0.1",
        "2606:4700::1111",
        "[2a00:1450::1]",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
    ] {
        let found = guard().resolve(host, 443).await;
        assert_eq!(found.map(|found| found[0].port()), Ok(443), "{host}");
    }
    for name in [
        "example.org",
        "EXAMPLE.org.",
        "a-b_c.example",
        "xn--exmple-cua.org",
        "1.example",
    ] {
        let found = resolve(&guard(), name, &[PUBLIC, "2606:4700::1111"]).await;
        assert_eq!(found.map(|found| found.len()), Ok(2), "{name}");
    }
}

#[tokio::test]
async fn a_name_is_refused_when_any_of_its_addresses_is() {
    for known in [
        &["127.0.0.1"][..],
        &[PUBLIC, "10.0.0.1"],
        &["::1", PUBLIC],
        &[PUBLIC, "::ffff:169.254.169.254"],
    ] {
        let refused = resolve(&guard(), "rebinding.example", known).await;
        assert!(matches!(refused, Err(Refused::Address { .. })), "{known:?}");
    }
    let nothing = resolve(&guard(), "nothing.example", &[]).await;
    assert!(matches!(nothing, Err(Refused::Lookup(_))));
    let local = guard().resolve("localhost", 80).await;
    assert!(local.is_err(), "{local:?}");
}

#[tokio::test]
async fn what_is_allowed_is_let_through_and_nothing_beside_it() {
    let allow: Vec<Network> = ["127.0.0.0/8", "192.168.7.20", "fd00::/8"]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
    let guard = Guard::new(&allow);
    for host in [
        "127.0.0.1",
        "127.9.9.9",
        "::ffff:127.0.0.1",
        "192.168.7.20",
        "fd12::1",
        PUBLIC,
    ] {
        assert!(guard.resolve(host, 80).await.is_ok(), "{host}");
    }
    for host in [
        "192.168.7.21",
        "10.0.0.1",
        "::1",
        "fc00::1",
        "0x7f.1",
        "64:ff9b::127.0.0.1",
    ] {
        assert!(guard.resolve(host, 80).await.is_err(), "{host}");
    }
}

#[test]
fn networks_are_written_plainly() {
    for good in [
        "0.0.0.0/0",
        "10.0.0.0/8",
        "1.2.3.4/32",
        "::/0",
        "fd00::/8",
        "::1/128",
    ] {
        assert_eq!(good.parse::<Network>().unwrap().to_string(), good);
    }
    assert_eq!(
        "1.2.3.4".parse::<Network>().unwrap().to_string(),
        "1.2.3.4/32"
    );
    for bad in [
        "",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.1/8",
        "10.0.0.0/+8",
        "10/8",
        "::1/129",
        "fd00::1/8",
        "0.0.0.1/0",
        "10.0.0.0/8/8",
        "example.org",
        "10.0.0.0/ 8",
    ] {
        assert!(bad.parse::<Network>().is_err(), "{bad:?}");
    }
    let all: Network = "0.0.0.0/0".parse().unwrap();
    assert!(all.contains("255.255.255.255".parse().unwrap()));
    assert!(!all.contains("::1".parse().unwrap()));
}

#[test]
fn urls_lead_to_one_place_or_are_refused() {
    for (url, host, port) in [
        ("http://example.org", "example.org", 80),
        ("HTTPS://Example.org/a?b#c", "example.org", 443),
        ("https://example.org:8443", "example.org", 8443),
        ("https://example.org:?x", "example.org", 443),
        ("http://[2606:4700::1111]:81/", "[2606:4700::1111]", 81),
    ] {
        let target: Target = url.parse().unwrap();
        assert_eq!((target.host(), target.port()), (host, port), "{url}");
    }
    for bad in [
        "",
        "example.org",
        "//example.org",
        "ftp://example.org",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_x",
        "javascript:alert(1)",
        "http:/example.org",
        "http://",
        "http://user@example.org",
        "http://a:b@127.0.0.1",
        "http://example.org@127.0.0.1/",
        "http://example.org:0",
        "http://example.org:65536",
        "http://example.org:8a",
        "http://example.org\\@127.0.0.1",
        "http://example.org /",
        "http://exa\tmple.org",
        "http://example.org#@127.0.0.1:x:y@",
        "http://[::1",
        "http://0x7f.1/",
        "http://2130706433/",
    ] {
        // After `#` nothing counts any more.
        let fine = bad.contains("#@");
        assert_eq!(bad.parse::<Target>().is_ok(), fine, "{bad:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_checked_as_the_first_request_was() {
    let from: Target = "https://93.184.215.14/a".parse().unwrap();
    for (location, host) in [
        ("/b", "93.184.215.14"),
        ("b?c=http://127.0.0.1", "93.184.215.14"),
        ("//8.8.8.8/x", "8.8.8.8"),
        ("https://1.1.1.1:444/", "1.1.1.1"),
    ] {
        let (to, addresses) = guard().check_redirect(&from, location).await.unwrap();
        assert_eq!((to.host(), addresses.len()), (host, 1), "{location}");
    }
    for bad in [
        "http://8.8.8.8/",
        "https://127.0.0.1/",
        "//169.254.169.254/latest",
        "file:///etc/passwd",
        "https://[::ffff:10.0.0.1]/",
        "\\\\127.0.0.1",
        "/a b",
        "data:text/plain,x",
        "//a@b/",
    ] {
        assert!(guard().check_redirect(&from, bad).await.is_err(), "{bad}");
    }
    let plain: Target = "http://93.184.215.14/".parse().unwrap();
    assert!(
        guard()
            .check_redirect(&plain, "https://8.8.8.8/")
            .await
            .is_ok()
    );
}

#[test]
fn a_plugin_knows_what_is_worth_trying_again() {
    let refused = Refused::Address {
        address: "127.0.0.1".parse().unwrap(),
        kind: "a loopback address",
    };
    let error = refused.into_plugin_error();
    assert_eq!((&*error.code, error.retryable), ("not_allowed", false));
    assert!(
        Refused::Lookup("x".to_owned())
            .into_plugin_error()
            .retryable
    );
}
