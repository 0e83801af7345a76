//! Contracts in a running hub: migrations of a plugin, what the sender of an old version is told, contract
//! files and business rules.

use nexus_tests::hub::{Hub, HubBuilder};
use serde_json::{Value, json};

fn letter(version: &str, payload: Value) -> Value {
    json!({
        "type": "probe.letter", "source": "test", "contract_version": version, "payload": payload,
    })
}

fn builder(more: &str) -> HubBuilder {
    let config = format!("[dispatch]\nprocessor_timeout = \"5s\"\n{more}");
    HubBuilder::new().config(&config).plugin("probe")
}

#[tokio::test]
async fn a_plugin_carries_an_old_version_over_and_the_journal_says_so() {
    let sqlite = "[queue]\nbackend = \"sqlite\"\nsqlite.path = \"nexus.db\"";
    for more in ["[plugins.probe]\nisolation = \"inline\"", "", sqlite] {
        let hub = builder(more).start();
        let journey = hub
            .process(&letter("1.0.0", json!({ "text": "hello" })))
            .await;
        let steps = journey["steps"].as_array().unwrap();
        assert_eq!(steps[0]["step"], "accepted", "{journey:#}");
        assert_eq!(steps[1]["step"], "migrated", "{journey:#}");
        assert_eq!(
            (&steps[1]["from"], &steps[1]["to"]),
            (&json!("1.0.0"), &json!("2.0.0"))
        );
        let processed = steps
            .iter()
            .find(|step| step["step"] == "processed")
            .unwrap();
        assert_eq!(
            processed["reason"], "hello",
            "the processor gets the newest version"
        );
        let (_, listed) = hub.get("/v1/contracts/probe.letter/1.0.0").await;
        assert_eq!(listed["uses"], 1);
        assert_eq!(listed["deprecated"], "2026-01-01T00:00:00Z");
    }
}

#[tokio::test]
async fn a_migration_that_fails_or_panics_refuses_the_event_and_nothing_else() {
    let hub = builder("").start();
    for (text, expected) in [
        (
            "fail",
            "is of version 1.0.0, whose migration to 2.0.0 fails: asked to fail (illegible)",
        ),
        (
            "panic",
            "is of version 1.0.0, whose migration to 2.0.0 fails: asked to panic (panicked)",
        ),
    ] {
        let (status, problem) = hub.publish(&letter("1.0.0", json!({ "text": text }))).await;
        assert_eq!(status, 422, "{problem:#}");
        assert_eq!(problem["code"], "contract_violation");
        assert_eq!(
            problem["errors"],
            json!([{ "pointer": "/payload", "message": expected }])
        );
    }
    let (status, problem) = hub.publish(&letter("1.0.0", json!({ "text": "" }))).await;
    assert_eq!(status, 422, "the rules of the newest version hold as well");
    let error = json!([{ "pointer": "/payload/body", "message": "must say something" }]);
    assert_eq!(problem["errors"], error);
    let journey = hub
        .process(&letter("1.0.0", json!({ "text": "fine" })))
        .await;
    assert_eq!(journey["status"], "processed");
}

async fn posted(hub: &Hub, body: &Value) -> reqwest::Response {
    let request = hub.request("POST", "/v1/events").json(body);
    request.send().await.unwrap()
}

#[tokio::test]
async fn the_sender_of_an_old_version_is_told() {
    let hub = builder("").start();
    let answer = posted(&hub, &letter("1.0.0", json!({ "text": "a" }))).await;
    assert_eq!(answer.status(), 202);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("deprecation"), "@1767225600");
    assert_eq!(header("sunset"), "Tue, 31 Dec 2999 00:00:00 GMT");
    assert_eq!(
        header("link"),
        "</v1/contracts/probe.letter/2.0.0>; rel=\"successor-version\""
    );
    let answer = posted(&hub, &letter("2.0.0", json!({ "body": "a" }))).await;
    assert!(answer.headers().get("deprecation").is_none());
    let both = json!([
        letter("1.0.0", json!({ "text": "a" })),
        letter("2.0.0", json!({ "body": "a" })),
    ]);
    let answer: Value = posted(&hub, &both).await.json().await.unwrap();
    assert_eq!(answer[0]["deprecation"]["successor"], "2.0.0");
    assert!(answer[1].get("deprecation").is_none());
}

#[tokio::test]
async fn contract_files_stand_beside_plugins_and_a_bad_one_stops_nothing() {
    let home = builder(
        "[plugins]\ncontracts_dir = \"contracts\"\n[[rules]]\ntype = \"shop.*\"\n\
         rule = \"payload.amount < 1000.0\"\nmessage = \"must be below 1000\"\n\
         pointer = \"/payload/amount\"",
    )
    .lay_out();
    let folder = home.path().join("contracts");
    std::fs::create_dir(&folder).unwrap();
    let paid = |version: &str, field: &str, kind: &str| {
        json!({ "type": "shop.paid", "version": version, "schema": {
            "type": "object", "properties": { "amount": { "type": "number" }, (field): { "type": kind } },
            "required": ["amount"],
        } })
    };
    let mut past = paid("0.9.0", "x", "string");
    past["sunset"] = json!("2020-01-01");
    let files = [
        ("a.json", paid("1.0.0", "note", "string")),
        ("b.json", paid("1.1.0", "more", "string")),
        ("c.json", paid("1.2.0", "note", "integer")),
        (
            "d.json",
            json!({ "type": "shop.x", "version": "1.0.0", "schema": {}, "extra": 1 }),
        ),
        (
            "e.json",
            json!({ "type": "probe.ping", "version": "1.0.0", "schema": {} }),
        ),
        ("f.json", past),
    ];
    for (name, file) in files {
        std::fs::write(folder.join(name), file.to_string()).unwrap();
    }
    let hub = home.start();
    let (_, admin) = hub.get("/v1/admin/plugins").await;
    let refused = |name: &str| {
        let files = admin["contract_files"].as_array().unwrap();
        let file = files.iter().find(|one| one["file"] == name).unwrap();
        file["refusal"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(
        (refused("a.json"), refused("b.json")),
        (String::new(), String::new())
    );
    let broken = refused("c.json");
    assert!(
        broken.contains("breaks 1.0.0: /properties/note/type"),
        "{broken}"
    );
    assert!(
        refused("d.json").contains("`extra`"),
        "{}",
        refused("d.json")
    );
    assert!(refused("e.json").contains("already registered by `probe`"));
    hub.wait_for_log("contract file refused").await;

    let (_, shown) = hub.get("/v1/contracts/shop.paid").await;
    assert_eq!(
        (&shown["plugin"], &shown["version"]),
        (&json!("file:b.json"), &json!("1.1.0"))
    );
    let event = |version: &str, amount: f64| {
        json!({ "type": "shop.paid", "source": "test", "contract_version": version,
                "payload": { "amount": amount } })
    };
    let journey = hub.process(&event("1.0.0", 5.0)).await;
    assert_eq!(journey["steps"][1]["step"], "migrated", "{journey:#}");
    let (status, problem) = hub.publish(&event("1.1.0", 5000.0)).await;
    assert_eq!(status, 422);
    let error = json!([{ "pointer": "/payload/amount", "message": "must be below 1000" }]);
    assert_eq!(problem["errors"], error);
    let (status, problem) = hub.publish(&event("0.9.0", 5.0)).await;
    assert_eq!(status, 422);
    assert_eq!(problem["errors"][0]["pointer"], "/contract_version");
    let message = problem["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("send 1.1.0 instead"), "{message}");
}

#[tokio::test]
async fn an_invalid_rule_or_folder_keeps_the_hub_from_starting() {
    let rule = "[[rules]]\ntype = \"a.*\"\nrule = \"payload.\"\nmessage = \"x\"";
    let (status, told) = builder(rule).run_to_end();
    assert_eq!(status.code(), Some(2), "{told}");
    assert!(
        told.contains("rules[0].rule") && told.contains("`payload.`"),
        "{told}"
    );
    let (status, told) = builder("[plugins]\ncontracts_dir = \"nowhere\"").run_to_end();
    assert!(
        !status.success() && told.contains("contracts_dir"),
        "{told}"
    );
}
