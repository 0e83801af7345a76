//! Routes, end to end: wiring by configuration alone, in a real hub.

use nexus_tests::hub::{Hub, HubBuilder, eventually};
use serde_json::{Value, json};

fn hub(routes: &str) -> HubBuilder {
    HubBuilder::new()
        .config(routes)
        .plugin("probe")
        .contract("mail.received")
        .contract("mail.urgent")
}

fn mail(payload: Value) -> Value {
    json!({ "type": "mail.received", "source": "outlook", "payload": payload })
}

/// What became of an event, once nothing more is done for it.
async fn processed(hub: &Hub, event: &Value) -> Value {
    let journey = hub.process(event).await;
    assert_eq!(journey["status"], "processed", "{journey:#}");
    journey
}

fn steps<'j>(journey: &'j Value, name: &str) -> Vec<&'j Value> {
    let steps = journey["steps"].as_array().unwrap().iter();
    steps.filter(|step| step["step"] == name).collect()
}

/// Everything that the integration `recorder` was handed, by the keys of the effects.
async fn recorded(hub: &Hub) -> Vec<Value> {
    let (_, all) = hub.get("/v1/hooks/probe/recorded").await;
    all.as_array().unwrap().clone()
}

async fn nexus(hub: &Hub, line: &[&str]) -> String {
    let output = hub.nexus(line).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Puts another configuration in the place of the routes, which end the file's first part.
fn rewrite(hub: &Hub, from: &str, to: &str) {
    let file = hub.folder().join("nexus.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    assert!(before.contains(from), "{before}");
    std::fs::write(&file, before.replace(from, to)).unwrap();
}

async fn reload(hub: &Hub) -> (u16, Value) {
    hub.send(hub.request("POST", "/v1/admin/reload")).await
}

const URGENT: &str = r#"
[[routes]]
name = "urgent"
types = ["mail.*"]
sources = ["outlook"]
when = 'payload.importance == "high" && !payload.subject.startsWith("[ci]")'
[[routes.actions]]
notify = "recorder"
request = { n = "{{ size(payload.subject) }}", note = "{{ payload.subject }} from {{ event.source }}" }
[[routes.actions]]
emit = { type = "mail.urgent", priority = "high", payload = { subject = "{{ payload.subject }}" } }
"#;

#[tokio::test]
async fn an_event_leads_to_what_its_route_says_and_explain_says_why() {
    let hub = hub(URGENT).start();
    let event = mail(json!({ "importance": "high", "subject": "Fire" }));
    let (status, journey) = {
        let request = hub.request("POST", "/v1/events?ack=processed");
        hub.send(request.json(&event)).await
    };
    assert_eq!(status, 200, "{journey:#}");
    let id = journey["event_id"].as_str().unwrap();
    let journey = hub.finished(id).await;
    let decided = steps(&journey, "processed");
    assert_eq!(decided[0]["processor"], "routes/urgent", "{journey:#}");
    assert_eq!(decided[0]["effects"], 2);
    let kept = recorded(&hub).await;
    assert_eq!(kept.len(), 1, "{kept:#?}");
    assert_eq!(
        (&kept[0]["n"], &kept[0]["note"]),
        (&json!(4), &json!("Fire from outlook"))
    );
    assert_eq!(kept[0]["idempotency_key"], format!("{id}:0"));
    let further = steps(&journey, "emitted")[0]["event_id"].as_str().unwrap();
    let further = hub.finished(further).await;
    assert_eq!(
        (
            &further["type"],
            &further["source"],
            &further["correlation_id"],
            &further["causation_id"]
        ),
        (
            &json!("mail.urgent"),
            &json!("routes"),
            &json!(id),
            &json!(id)
        ),
        "{further:#}"
    );
    assert_eq!(further["status"], "processed");

    // What is not meant is skipped, and what no route takes is nobody's.
    for (payload, source, told) in [
        (
            json!({ "importance": "low", "subject": "a" }),
            "outlook",
            "routes/urgent decided skip (0 effects, attempt 1): when is false",
        ),
        (
            json!({ "importance": "high", "subject": "[ci] a" }),
            "outlook",
            "when is false",
        ),
        (
            json!({ "importance": "high", "subject": "a" }),
            "home",
            "no processor subscribes to it",
        ),
    ] {
        let event = json!({ "type": "mail.received", "source": source, "payload": payload });
        let journey = processed(&hub, &event).await;
        let told_of = nexus(&hub, &["explain", journey["event_id"].as_str().unwrap()]).await;
        assert!(told_of.contains(told), "{told_of}");
    }
    assert_eq!(recorded(&hub).await.len(), 1);
}

#[tokio::test]
async fn a_route_stands_beside_plugins_and_waits_as_long_as_it_says() {
    let hub = hub(
        "[[routes]]\nname = \"late\"\ntypes = [\"probe.*\"]\nsources = [\"test\"]\n\
         [[routes.actions]]\nnotify = \"probe/recorder\"\nafter = \"50ms\"\n\
         request = { n = 7, note = \"{{ string(payload.n + 1) }}\" }\n",
    )
    .start();
    let ping = json!({ "type": "probe.ping", "source": "test", "payload": { "n": 1 } });
    let journey = processed(&hub, &ping).await;
    let by: Vec<_> = steps(&journey, "processed")
        .into_iter()
        .map(|step| step["processor"].clone())
        .collect();
    assert!(
        by.contains(&json!("probe/echo")) && by.contains(&json!("routes/late")),
        "{by:?}"
    );
    assert_eq!(
        steps(&journey, "scheduled")[0]["after_ms"],
        50,
        "{journey:#}"
    );
    let kept = recorded(&hub).await;
    let late = kept
        .iter()
        .find(|one| one["n"] == 7)
        .expect("it is recorded");
    assert_eq!((kept.len(), &late["note"]), (2, &json!("2")), "{kept:#?}");
}

#[tokio::test]
async fn what_cannot_be_filled_is_a_dead_letter_that_a_better_template_mends() {
    let hub = hub(
        "[[routes]]\nname = \"triage\"\ntypes = [\"mail.received\"]\n\
         [[routes.actions]]\nnotify = \"recorder\"\nrequest = { n = 1, note = \"{{ payload.subject }}\" }\n",
    )
    .start();
    let journey = hub.process(&mail(json!({ "body": "s3cr3t-value" }))).await;
    assert_eq!(journey["status"], "dead", "{journey:#}");
    let failed = steps(&journey, "processor_failed");
    assert_eq!(failed.len(), 1, "it is not tried again: {journey:#}");
    assert_eq!(failed[0]["code"], "template_failed");
    assert_eq!(
        failed[0]["message"],
        "the route `triage` cannot be filled at /actions/0/request/note: there is no field `subject`"
    );
    assert_eq!(steps(&journey, "dead")[0]["reason"], "template_failed");
    let letters: Value =
        serde_json::from_str(&nexus(&hub, &["dlq", "list", "--json"]).await).unwrap();
    let letter = letters[0]["id"].as_str().unwrap();
    let shown = nexus(&hub, &["dlq", "show", letter]).await;
    assert!(
        shown.contains("routes/triage") && shown.contains("/actions/0/request/note"),
        "{shown}"
    );

    rewrite(&hub, "{{ payload.subject }}", "<{{ payload.?subject }}>");
    let (status, plan) = reload(&hub).await;
    assert_eq!(status, 200, "{plan:#}");
    assert_eq!(plan["changed"], json!(["routes.triage.actions"]));
    nexus(&hub, &["dlq", "replay", letter]).await;
    eventually("it is recorded", || async {
        let kept = recorded(&hub).await;
        (kept.first()?["note"] == "<>").then_some(())
    })
    .await;
}

#[tokio::test]
async fn routes_come_change_and_go_while_the_hub_runs() {
    let hub = hub(URGENT).start();
    let event = mail(json!({ "importance": "high", "subject": "Fire" }));
    let further = "[[routes]]\nname = \"copy\"\ntypes = [\"mail.received\"]\nactions = [{ notify = \"recorder\", request = { n = 9 } }]\n";
    let by = async || {
        let journey = processed(&hub, &event).await;
        let mut by: Vec<String> = steps(&journey, "processed")
            .iter()
            .map(|step| step["processor"].as_str().unwrap().to_owned())
            .collect();
        by.sort();
        by.join(" ")
    };
    assert_eq!(by().await, "routes/urgent");

    rewrite(&hub, "[[routes]]", &format!("{further}[[routes]]"));
    let planned = hub
        .send(hub.request("POST", "/v1/admin/reload/plan"))
        .await
        .1;
    assert_eq!(planned["changed"], json!(["routes.copy"]), "{planned:#}");
    assert_eq!(planned["needs_restart"], json!([]));
    assert_eq!(by().await, "routes/urgent", "a plan changes nothing");
    let log = hub.log().len();
    hub.signal("HUP");
    hub.wait_for_log_after(log, "the configuration is applied anew")
        .await;
    assert_eq!(by().await, "routes/copy routes/urgent");

    // A mistake leaves everything as it is.
    rewrite(&hub, "payload.importance ==", "payloadd.importance ==");
    let (status, refused) = reload(&hub).await;
    assert_eq!(
        (status, &refused["code"]),
        (422, &json!("invalid_config")),
        "{refused:#}"
    );
    assert!(
        refused
            .to_string()
            .contains("routes[1].when: names `payloadd`"),
        "{refused:#}"
    );
    assert_eq!(by().await, "routes/copy routes/urgent");

    rewrite(&hub, "payloadd.importance ==", "payload.importance !=");
    rewrite(&hub, further, "");
    let (status, plan) = reload(&hub).await;
    assert_eq!(
        (status, &plan["changed"]),
        (200, &json!(["routes.copy", "routes.urgent.when"])),
        "{plan:#}"
    );
    let journey = processed(&hub, &event).await;
    assert_eq!(steps(&journey, "processed").len(), 1, "{journey:#}");
    assert_eq!(steps(&journey, "processed")[0]["reason"], "when is false");
}

#[tokio::test]
async fn a_hub_with_a_route_that_is_wrong_does_not_start_and_says_where() {
    let (status, log) = hub("[[routes]]\nname = \"loop\"\ntypes = [\"mail.*\"]\n\
         [[routes.actions]]\nemit = { type = \"mail.urgent\" }\n\
         [[routes.actions]]\nnotify = \"recorder\"\nemit = { type = \"probe.ping\" }\n")
    .run_to_end();
    assert!(!status.success());
    assert!(
        log.contains("routes[0].actions[0].emit.type: is a type that this route takes itself"),
        "{log}"
    );
    assert!(
        log.contains("routes[0].actions[1]: has `notify` and `emit`"),
        "{log}"
    );
    assert!(log.contains("nexus.toml:"), "{log}");
}

/// The loop of an agent, in configuration alone. `recorder` stands for the agent: what it is handed comes back as an
/// event.
#[tokio::test]
async fn an_agent_is_asked_interrupted_approved_and_resumed_by_routes_alone() {
    let hub = hub(
        r#"
[[routes]]
name = "triage"
types = ["mail.received"]
[[routes.actions]]
notify = "recorder"
request = { n = "{{ payload.thread }}", note = "{{ payload.subject }}", answer = true }

[[routes]]
name = "approve"
types = ["probe.recorded"]
when = 'payload.n != 0'
[[routes.actions]]
[routes.actions.ask]
title = "Answer \"{{ payload.note }}\"?"
choices = [{ id = "yes", label = "Yes", tone = "good" }, { id = "no", label = "No" }]
unanswered = "no"
expires_after = "1h"
context = { thread = "{{ payload.n }}", interrupt = "{{ payload.idempotency_key }}" }

[[routes]]
name = "resume"
types = ["nexus.approval.answered"]
when = 'payload.asked_by == "routes/approve"'
[[routes.actions]]
notify = "recorder"
request = { n = 0, note = "{{ payload.context.thread }}: {{ payload.choice }} for {{ payload.context.interrupt }}" }
"#,
    )
    .start();
    let journey = processed(&hub, &mail(json!({ "subject": "Lunch?", "thread": 17 }))).await;
    let id = journey["event_id"].as_str().unwrap();
    let approval = eventually("somebody is asked", || async {
        let (_, told) = hub.get("/v1/admin/approvals?status=pending").await;
        told["approvals"].get(0).cloned()
    })
    .await;
    assert_eq!(
        (
            &approval["title"],
            &approval["asked_by"],
            &approval["unanswered"],
            &approval["correlation_id"]
        ),
        (
            &json!("Answer \"Lunch?\"?"),
            &json!("routes/approve"),
            &json!("no"),
            &json!(id)
        ),
        "{approval:#}"
    );
    let path = format!("/v1/admin/approvals/{}", approval["id"].as_str().unwrap());
    let (_, whole) = hub.get(&path).await;
    assert_eq!(
        whole["context"],
        json!({ "thread": 17, "interrupt": format!("{id}:0") })
    );
    let answer = hub.request("POST", &path).json(&json!({ "choice": "yes" }));
    assert_eq!(hub.send(answer).await.0, 200);
    eventually("the agent is resumed", || async {
        let kept = recorded(&hub).await;
        let wanted = format!("17: yes for {id}:0");
        kept.iter()
            .any(|one| one["note"] == wanted.as_str())
            .then_some(())
    })
    .await;
}

/// A button that was pressed answers the question whose id it carries.
#[tokio::test]
async fn a_route_answers_a_question() {
    let hub = hub(
        "[[routes]]\nname = \"ask\"\ntypes = [\"mail.received\"]\nactions = [{ ask = { title = \"Pay?\" } }]\n\
         [[routes]]\nname = \"pressed\"\ntypes = [\"mail.urgent\"]\n\
         actions = [{ answer = { approval_id = \"{{ payload.tag }}\", choice = \"{{ payload.action_id }}\" } }]\n",
    )
    .start();
    processed(&hub, &mail(json!({}))).await;
    let (_, told) = hub.get("/v1/admin/approvals").await;
    let id = told["approvals"][0]["id"].as_str().unwrap();
    let payload = json!({ "tag": id, "action_id": "approve" });
    let pressed = json!({ "type": "mail.urgent", "source": "desk", "payload": payload });
    processed(&hub, &pressed).await;
    let (_, ended) = hub.get(&format!("/v1/admin/approvals/{id}")).await;
    assert_eq!(
        (&ended["status"], &ended["answer"]["choice"]),
        (&json!("answered"), &json!("approve")),
        "{ended:#}"
    );
}

const CIRCLE: &str = r#"
limits.max_chain = 7
[[routes]]
name = "there"
types = ["mail.received"]
[[routes.actions]]
emit = { type = "mail.urgent", payload = {} }
[[routes]]
name = "back"
types = ["mail.urgent"]
[[routes.actions]]
emit = { type = "mail.received", payload = {} }
"#;

#[tokio::test]
async fn a_circle_comes_to_an_end() {
    let hub = hub(CIRCLE).start();
    let (_, accepted) = hub.publish(&mail(json!({}))).await;
    let mut id = accepted["event_id"].as_str().unwrap().to_owned();
    for _ in 0..7 {
        let journey = hub.finished(&id).await;
        id = steps(&journey, "emitted")[0]["event_id"]
            .as_str()
            .unwrap()
            .to_owned();
    }
    let last = hub.finished(&id).await;
    assert_eq!(last["status"], "dead", "{last:#}");
    let (_, letters) = hub.get("/v1/admin/dead-letters").await;
    let letters = letters["dead_letters"].as_array().unwrap();
    assert_eq!(letters.len(), 1, "{letters:#?}");
    assert_eq!(letters[0]["errors"][0]["code"], "conflict", "{letters:#?}");
    assert_eq!(letters[0]["event"]["event_id"], id.as_str());
    // What a client says of the cause counts as well.
    let mut further = mail(json!({}));
    further["causation_id"] = json!(id);
    let (status, refused) = hub.publish(&further).await;
    assert_eq!(
        (status, &refused["code"]),
        (409, &json!("conflict")),
        "{refused:#}"
    );
}
