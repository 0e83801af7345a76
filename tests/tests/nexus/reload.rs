//! Another configuration while the hub runs: all of it or nothing, at once, and told before if asked.

use std::process::Stdio;
use std::time::{Duration, Instant};

use nexus_tests::artifacts;
use nexus_tests::hub::{ADMIN_KEY, Hub, HubBuilder, eventually, key_hash};
use nexus_tests::receiver::Receiver;
use serde_json::{Value, json};

/// What a webhook's sender shows.
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn hub(config: &str) -> Hub {
    HubBuilder::new().config(config).plugin("probe").start()
}

/// Adds to the configuration file.
fn write_more(hub: &Hub, more: &str) {
    let file = hub.folder().join("nexus.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{before}\n{more}\n")).unwrap();
}

/// Puts another text in the place of one in the configuration file.
fn replace(hub: &Hub, from: &str, to: &str) {
    let file = hub.folder().join("nexus.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    assert!(before.contains(from), "{before}");
    std::fs::write(&file, before.replace(from, to)).unwrap();
}

async fn reload(hub: &Hub) -> (u16, Value) {
    hub.send(hub.request("POST", "/v1/admin/reload")).await
}

async fn applied(hub: &Hub) -> Value {
    let (status, plan) = reload(hub).await;
    assert_eq!(status, 200, "{plan:#}");
    plan
}

fn client(id: &str, key: &str, more: &str) -> String {
    let hash = key_hash(key);
    format!(
        "[[clients]]\nid = \"{id}\"\nkey_sha256 = \"{hash}\"\nsources = [\"{id}\"]\ntypes = [\"probe.*\"]\n{more}\n"
    )
}

fn ping(source: &str) -> Value {
    json!({ "type": "probe.ping", "source": source, "payload": { "n": 1 } })
}

/// How an event of a client is answered.
async fn publishes(hub: &Hub, source: &str, key: &str) -> u16 {
    let client = nexus_tests::hub::client();
    let request = client
        .post(format!("{}/v1/events", hub.url()))
        .bearer_auth(key);
    request
        .json(&ping(source))
        .send()
        .await
        .unwrap()
        .status()
        .as_u16()
}

#[tokio::test]
async fn clients_come_and_go_and_the_others_keep_what_they_have_used() {
    let hub = hub(&[
        client("slow", "key-slow", "rate = 0.01\nburst = 2"),
        client("old", "key-old", ""),
    ]
    .concat());
    assert_eq!(publishes(&hub, "slow", "key-slow").await, 202);
    assert_eq!(publishes(&hub, "slow", "key-slow").await, 202);
    assert_eq!(publishes(&hub, "slow", "key-slow").await, 429);
    let stream = nexus_tests::hub::client()
        .get(format!("{}/v1/events/stream?type=probe.*", hub.url()))
        .bearer_auth("key-old");
    let stream = stream.send().await.unwrap();
    assert_eq!(stream.status(), 200);
    replace(
        &hub,
        &client("old", "key-old", ""),
        &client("new", "key-new", ""),
    );
    assert_eq!(publishes(&hub, "new", "key-new").await, 401);
    hub.signal("HUP");
    hub.wait_for_log("the configuration is applied anew").await;
    assert_eq!(publishes(&hub, "new", "key-new").await, 202);
    assert_eq!(publishes(&hub, "old", "key-old").await, 401);
    assert_eq!(
        publishes(&hub, "slow", "key-slow").await,
        429,
        "its rate is used up"
    );
    // Whoever is no client any more follows no events.
    let ended = tokio::time::timeout(Duration::from_secs(30), async {
        let mut stream = stream;
        while let Ok(Some(_)) = stream.chunk().await {}
    });
    ended.await.expect("the stream ends");
}

#[tokio::test]
async fn a_mistake_or_what_takes_a_restart_changes_nothing_at_all() {
    let hub = hub("");
    let was = std::fs::read_to_string(hub.folder().join("nexus.toml")).unwrap();
    std::fs::write(hub.folder().join("secret"), SECRET).unwrap();
    let new = client("new", "key-new", "");
    for (more, status, code, says) in [
        (
            "[limits]\nmax_depth = 0",
            422,
            "invalid_config",
            "max_depth",
        ),
        ("[limits]\nmax_dept = 3", 422, "invalid_config", "max_depth"),
        ("not toml", 422, "invalid_config", "nexus.toml"),
        ("[queue]\ncapacity = 7", 409, "conflict", "queue.capacity"),
        (
            "[limits]\nmax_body = \"2MiB\"",
            409,
            "conflict",
            "limits.max_body",
        ),
        (
            "[plugins.probe.config]\nfail_init = true",
            409,
            "conflict",
            "fail_init is set",
        ),
        (
            "[plugins.probe.config]\nunheard_of = true",
            409,
            "conflict",
            "unheard_of",
        ),
        (
            "[plugins.probe]\nsha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"",
            409,
            "conflict",
            "wrong_hash",
        ),
        (
            "[plugins.nobody]\nrequired = true",
            409,
            "conflict",
            "nobody",
        ),
        (
            "[[webhooks]]\nname = \"probe\"\nscheme = \"bearer\"\nsecrets = [{ file = \"secret\" }]\ntype = \"probe.ping\"",
            409,
            "conflict",
            "probe",
        ),
    ] {
        write_more(&hub, &format!("{more}\n{new}"));
        let (answered, refused) = reload(&hub).await;
        assert_eq!(
            (answered, &refused["code"]),
            (status, &json!(code)),
            "{more}: {refused:#}"
        );
        assert!(refused.to_string().contains(says), "{more}: {refused:#}");
        assert_eq!(publishes(&hub, "new", "key-new").await, 401, "{more}");
        assert_eq!(
            hub.process(&ping("test")).await["status"],
            "processed",
            "{more}"
        );
        std::fs::write(hub.folder().join("nexus.toml"), &was).unwrap();
    }
    assert_eq!(applied(&hub).await["changed"], json!([]));
}

#[tokio::test]
async fn a_plugin_gets_its_new_settings_beside_itself_and_no_other_is_touched() {
    let hub = HubBuilder::new().plugin("probe").plugin("second").start();
    let plugin = async |id: &str| {
        let (_, told) = hub.get("/v1/admin/plugins").await;
        let all = told["plugins"].as_array().unwrap();
        all.iter().find(|one| one["id"] == id).unwrap().clone()
    };
    let (probe, second) = (plugin("probe").await, plugin("second").await);
    write_more(&hub, "[plugins.probe.config]\ndegraded = \"told so\"");
    let plan = applied(&hub).await;
    assert_eq!(plan["changed"], json!(["plugins.probe"]));
    assert_eq!(
        plan["plugins"],
        json!([{ "id": "probe", "becomes": "starts_again" }])
    );
    eventually("it has its settings", || async {
        let probe = plugin("probe").await;
        (probe["reason"] == "source probe: told so").then_some(())
    })
    .await;
    assert_ne!(plugin("probe").await["since"], probe["since"]);
    assert_eq!(
        plugin("probe").await["libraries"]["loaded"],
        1,
        "the same library"
    );
    assert_eq!(plugin("second").await["since"], second["since"]);
    write_more(&hub, "[plugins.second]\nenabled = false");
    let plan = applied(&hub).await;
    assert_eq!(
        plan["plugins"],
        json!([{ "id": "second", "becomes": "stops" }])
    );
    assert_eq!(plugin("second").await["refusal"]["code"], "disabled");
    replace(&hub, "enabled = false", "enabled = true");
    applied(&hub).await;
    assert_eq!(plugin("second").await["state"], "ready");
}

#[tokio::test]
async fn limits_rules_and_webhooks_hold_at_once() {
    let hub = hub("");
    assert_eq!(hub.publish(&ping("test")).await.0, 202);
    let hook = async || {
        let request = nexus_tests::hub::client()
            .post(format!("{}/v1/hooks/desk", hub.url()))
            .bearer_auth(SECRET);
        request
            .json(&json!({ "n": 7 }))
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(hook().await, 404);
    std::fs::write(hub.folder().join("secret"), SECRET).unwrap();
    write_more(
        &hub,
        "[limits]\nmax_batch = 1\n[[rules]]\ntype = \"probe.ping\"\nrule = \"payload.n > 5\"\nmessage = \"too few\"\n\
         [[webhooks]]\nname = \"desk\"\nscheme = \"bearer\"\nsecrets = [{ file = \"secret\" }]\ntype = \"probe.ping\"",
    );
    applied(&hub).await;
    let (status, refused) = hub.publish(&ping("test")).await;
    assert_eq!(status, 422, "{refused:#}");
    assert!(refused.to_string().contains("too few"), "{refused:#}");
    let several = json!([ping("test"), ping("test")]);
    let (status, refused) = hub.publish(&several).await;
    assert_eq!(status, 413, "{refused:#}");
    assert_eq!(hook().await, 202);
}

#[tokio::test]
async fn nobody_waits_for_a_sink_that_does_not_answer() {
    let sink = Receiver::start().await;
    sink.hold();
    let hub = hub(&sink.config());
    let order = json!({ "type": "probe.order", "source": "test", "payload": { "parcels": [{}] } });
    let (status, receipt) = hub.publish(&order).await;
    assert_eq!(status, 202, "{receipt:#}");
    eventually("it is on its way to the sink", || async {
        (!sink.arrivals().is_empty()).then_some(())
    })
    .await;
    replace(&hub, "courier =", "degraded = \"told so\"\ncourier =");
    let begun = Instant::now();
    applied(&hub).await;
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(hub.process(&ping("test")).await["status"], "processed");
}

#[tokio::test]
async fn the_plan_is_told_before_and_nothing_happens() {
    let hub = hub("");
    let candidate = hub.folder().join("candidate.toml");
    let was = std::fs::read_to_string(hub.folder().join("nexus.toml")).unwrap();
    let check = async |more: &str| {
        std::fs::write(&candidate, format!("{was}\n{more}\n")).unwrap();
        let mut command = tokio::process::Command::new(artifacts::executable("nexus"));
        command
            .current_dir(hub.folder())
            .env("NEXUS_KEY", ADMIN_KEY)
            .stdin(Stdio::null());
        command.args([
            "check",
            "--config",
            "candidate.toml",
            "--json",
            "--against",
            &hub.url(),
        ]);
        let output = command.output().await.unwrap();
        let told: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        (output.status.code().unwrap(), told)
    };
    let (code, told) = check("").await;
    assert_eq!(
        (code, &told["plan"]["changed"]),
        (0, &json!([])),
        "{told:#}"
    );
    let (code, told) = check(&format!(
        "{}[plugins.probe.config]\ndegraded = \"x\"",
        client("new", "key-new", "")
    ))
    .await;
    assert_eq!(code, 0, "{told:#}");
    assert_eq!(
        told["plan"]["changed"],
        json!(["clients.new", "plugins.probe"])
    );
    assert_eq!(told["plan"]["plugins"][0]["becomes"], "starts_again");
    let (code, told) = check("[queue]\ncapacity = 7").await;
    assert_eq!(
        (code, &told["plan"]["needs_restart"]),
        (1, &json!(["queue.capacity"])),
        "{told:#}"
    );
    let (code, told) = check("[queue]\ncapacty = 7").await;
    assert_eq!(code, 2, "{told:#}");
    // None of it has happened.
    assert_eq!(publishes(&hub, "new", "key-new").await, 401);
    let (_, told) = hub.get("/v1/admin/plugins").await;
    assert_eq!(told["plugins"][0]["state"], "ready");
}

#[tokio::test]
async fn a_file_that_came_with_a_refused_reload_is_taken_up_all_the_same() {
    let hub = hub("");
    let shop = nexus_tests::workshop::Workshop::new();
    let was = std::fs::read_to_string(hub.folder().join("nexus.toml")).unwrap();
    let library = std::fs::read_dir(hub.folder().join("plugins"))
        .unwrap()
        .next();
    let library = library.unwrap().unwrap().path();
    nexus_tests::workshop::put(&shop.probe("0.2.0"), &library);
    write_more(&hub, "[plugins.nobody]\nrequired = true");
    let (status, refused) = reload(&hub).await;
    assert_eq!(status, 409, "{refused:#}");
    std::fs::write(hub.folder().join("nexus.toml"), was).unwrap();
    eventually("the new version serves", || async {
        let (_, told) = hub.get("/v1/admin/plugins").await;
        (told["plugins"][0]["version"] == "0.2.0").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_plugin_whose_file_is_spoilt_keeps_no_settings_that_were_taken_away() {
    let hub = hub("[plugins]\nwatch = false");
    let library = std::fs::read_dir(hub.folder().join("plugins"))
        .unwrap()
        .next();
    std::fs::write(library.unwrap().unwrap().path(), "spoilt").unwrap();
    write_more(&hub, "[plugins.probe.config]\ndegraded = \"new\"");
    let (status, refused) = reload(&hub).await;
    assert_eq!(status, 409, "{refused:#}");
    assert!(refused.to_string().contains("not_a_library"), "{refused:#}");
    replace(
        &hub,
        "[plugins.probe.config]\ndegraded = \"new\"",
        "[plugins.probe]\nenabled = false",
    );
    applied(&hub).await;
    let (status, _) = hub.publish(&ping("test")).await;
    assert_eq!(status, 422, "it is stopped");
}

#[tokio::test]
async fn a_plugin_that_comes_does_not_take_a_webhook_s_name() {
    let home = HubBuilder::new()
        .config("[[webhooks]]\nname = \"probe\"\nscheme = \"bearer\"\nsecrets = [{ file = \"secret\" }]\ntype = \"a.b\"")
        .lay_out();
    std::fs::write(home.path().join("secret"), SECRET).unwrap();
    let hub = home.start();
    let to = hub.folder().join("plugins/libprobe.so");
    nexus_tests::workshop::put(&artifacts::library("probe"), &to);
    eventually("it is refused", || async {
        let (_, told) = hub.get("/v1/admin/plugins").await;
        (told["plugins"][0]["refusal"]["code"] == "source_taken").then_some(())
    })
    .await;
    applied(&hub).await;
}

#[tokio::test]
async fn a_text_that_comes_with_a_reload_is_refused_since_nothing_would_read_it() {
    let hub = hub("");
    let request = || hub.request("POST", "/v1/admin/reload");
    let (status, refused) = hub.send(request().json(&json!({ "config": "" }))).await;
    assert_eq!((status, &refused["code"]), (400, &json!("malformed_event")));
    let (status, _) = hub.send(request().json(&json!({}))).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn only_administrators_reload() {
    let hub = hub(&client("desk", "key-desk", ""));
    for path in ["/v1/admin/reload", "/v1/admin/reload/plan"] {
        let url = format!("{}{path}", hub.url());
        let anybody = nexus_tests::hub::client().post(&url).send().await.unwrap();
        assert_eq!(anybody.status(), 401);
        let desk = nexus_tests::hub::client()
            .post(&url)
            .bearer_auth("key-desk");
        assert_eq!(desk.send().await.unwrap().status(), 403);
    }
}
