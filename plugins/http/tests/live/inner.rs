//! Inner addresses: what an event chose is guarded, what the operator wrote is not.

use serde_json::json;

use crate::scene::Scene;

#[tokio::test]
async fn no_url_of_an_event_leads_inside() {
    let scene = Scene::new("[plugins.http.config]\nallow_any_url = true", &[]).await;
    let port = scene.server.address.port();
    for host in [
        "127.0.0.1",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "127.1",
        "0x7f.0.0.1",
        "2130706433",
        "0",
        "0.0.0.0",
        "169.254.169.254",
        "10.0.0.1",
        "192.168.0.1",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fd00::1]",
        "①②⑦.0.0.1",
        "a@127.0.0.1",
        "example.org\\@127.0.0.1",
    ] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{port}/");
            let (code, told) = scene.refused(json!({"url": url})).await;
            assert_eq!(code, "not_allowed", "{url}: {told}");
        }
    }
    for url in [
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "//127.0.0.1/",
        "",
    ] {
        let (code, told) = scene.refused(json!({"url": url})).await;
        assert_eq!(code, "not_allowed", "{url}: {told}");
    }
    assert!(scene.server.seen().is_empty());
}

#[tokio::test]
async fn what_is_allowed_is_reached_and_nothing_beside_it() {
    let config = "[plugins.http.config]\nallow_any_url = true\nallow = [\"127.0.0.0/8\", \"::1\"]";
    let scene = Scene::new(config, &[]).await;
    let port = scene.server.address.port();
    let url = format!("http://localhost:{port}/a?b=1");
    scene
        .ask(json!({"url": url, "method": "PUT", "body": {"n": 1}, "query": {"c": "é"}}))
        .await;
    let seen = scene.server.only();
    assert_eq!(seen.line, "PUT /a?b=1&c=%C3%A9 HTTP/1.1");
    assert_eq!(seen.json(), json!({"n": 1}));
    assert_eq!(seen.header("authorization"), None);
    assert!(seen.header("idempotency-key").is_some());
    let (code, _) = scene.refused(json!({"url": "http://10.0.0.1/"})).await;
    assert_eq!(code, "not_allowed");
    let (code, _) = scene.refused(json!({"url": url, "target": "t"})).await;
    assert_eq!(code, "invalid_request");
}

#[tokio::test]
async fn a_host_that_values_choose_is_guarded_and_one_that_is_written_is_not() {
    let scene = Scene::new("", &[]).await;
    let port = scene.server.address.port();
    let config = format!(
        "[plugins.http.config.targets.chosen]\nurl = \"http://{{values.host}}:{port}/\"\n\
         [plugins.http.config.targets.written]\nurl = \"http://127.0.0.1:{port}/{{values.host}}\""
    );
    let other = Scene::new(&config, &[]).await;
    for host in ["127.0.0.1", "localhost", "127.1", "evil@127.0.0.1", "x/"] {
        let request = json!({"target": "chosen", "values": {"host": host}});
        let (code, told) = other.refused(request).await;
        assert!(
            ["not_allowed", "invalid_value"].contains(&code.as_str()),
            "{host}: {told}"
        );
    }
    assert!(scene.server.seen().is_empty());
    other
        .ask(json!({"target": "written", "values": {"host": "127.0.0.1"}}))
        .await;
    assert_eq!(scene.server.only().line, "POST /127.0.0.1 HTTP/1.1");
}
