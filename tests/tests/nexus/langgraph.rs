//! Agents on a real LangGraph server: asked once, whatever breaks, and heard once.

mod proxy;
mod setting;

use std::time::Duration;

use nexus_tests::hub::{client, eventually};
use nexus_tests::langgraph::{LangGraph, WEBHOOK_TOKEN, free_port};
use nexus_tests::skip;
use serde_json::{Value, json};

use proxy::{First, Proxy};
use setting::{
    Asked, COMPLETED, FAILED, INTERRUPTED, PROGRESS, Setting, classify, rest, server_for,
};

/// The classifier's answer comes, once, to whom it concerns.
async fn completes(asked: &Asked) {
    let (event_id, begun) = asked.ask(classify("Urgent: the build is red")).await;
    let completed = asked.caused(&event_id, COMPLETED).await;
    let expected = json!({
        "thread_id": begun.thread_id,
        "run_id": begun.run_id,
        "assistant": "classifier",
        "output": { "subject": "Urgent: the build is red", "label": "urgent" },
        "context": { "mail": "m-17" },
    });
    assert_eq!(completed["payload"], expected);
    assert_eq!(completed["correlation_id"], event_id);
    assert_eq!(completed["source"], "langgraph");
    asked.let_time_pass().await;
    assert_eq!(asked.all_caused(&event_id), [COMPLETED]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ending_comes_by_webhook() {
    let Some(server) = server_for("an_ending_comes_by_webhook").await else {
        return;
    };
    let mut setting = Setting::before(server.url());
    setting.webhook = Some("{hub}/v1/hooks/langgraph");
    completes(&setting.start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ending_is_found_out_when_the_webhook_does_not_get_through() {
    let test = "an_ending_is_found_out_when_the_webhook_does_not_get_through";
    let Some(server) = server_for(test).await else {
        return;
    };
    let mut setting = Setting::before(server.url());
    setting.webhook = Some("http://127.0.0.1:1/v1/hooks/langgraph");
    setting.poll_interval = "100ms";
    completes(&setting.start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_webhook_an_ending_is_waited_for() {
    let Some(server) = server_for("without_a_webhook_an_ending_is_waited_for").await else {
        return;
    };
    completes(&Setting::before(server.url()).start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ending_that_is_found_and_reported_is_one_event() {
    let Some(server) = server_for("an_ending_that_is_found_and_reported_is_one_event").await else {
        return;
    };
    let mut setting = Setting::before(server.url());
    setting.webhook = Some("{hub}/v1/hooks/langgraph");
    setting.poll_interval = "10ms";
    completes(&setting.start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graph_that_raises_an_error_has_failed() {
    let Some(server) = server_for("a_graph_that_raises_an_error_has_failed").await else {
        return;
    };
    let asked = Setting::before(server.url()).start().await;
    let request = json!({ "run": {
        "assistant": "failing", "input": { "reason": "no paper" }, "context": 17,
    }});
    let (event_id, begun) = asked.ask(request).await;
    let failed = asked.caused(&event_id, FAILED).await;
    let expected = json!({
        "thread_id": begun.thread_id,
        "run_id": begun.run_id,
        "assistant": "failing",
        "error": { "kind": "graph_error", "message": "ValueError('no paper')" },
        "context": 17,
    });
    assert_eq!(failed["payload"], expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_agent_asks_is_answered_and_it_goes_on() {
    let Some(server) = server_for("what_an_agent_asks_is_answered_and_it_goes_on").await else {
        return;
    };
    let asked = Setting::before(server.url()).start().await;
    for (answer, done) in [(json!("approve"), true), (json!(false), false)] {
        let request = json!({ "run": { "assistant": "approval", "input": { "what": "send it" } } });
        let (event_id, begun) = asked.ask(request).await;
        let interrupted = asked.caused(&event_id, INTERRUPTED).await;
        let payload = &interrupted["payload"];
        assert_eq!(payload["run_id"], begun.run_id);
        let question = &payload["interrupts"][0];
        assert_eq!(question["value"], json!({ "question": "May I send it?" }));

        let mut resume = json!({
            "assistant": "approval", "thread": payload["thread_id"],
            "interrupt_id": question["id"], "value": answer, "context": "c",
        });
        let (event_id, resumed) = asked.ask(json!({ "resume": resume })).await;
        assert_eq!(resumed.thread_id, begun.thread_id);
        assert_ne!(resumed.run_id, begun.run_id);
        let completed = asked.caused(&event_id, COMPLETED).await;
        let output = json!({ "what": "send it", "answer": answer, "done": done });
        assert_eq!(completed["payload"]["output"], output);
        assert_eq!(completed["payload"]["context"], "c");

        // A second answer has nothing to answer, by whatever name.
        for id in [question["id"].clone(), Value::Null] {
            resume["interrupt_id"] = id;
            let again = asked.send(json!({ "resume": resume })).await;
            assert_dead(&asked, &again, "nothing_asked").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_outlasts_a_server_that_is_away() {
    let Some(server) = server_for("an_answer_outlasts_a_server_that_is_away").await else {
        return;
    };
    let proxy = Proxy::before(&server.url(), First::Held).await;
    let mut setting = Setting::before(proxy.url());
    setting.max_retries = 0;
    setting.more = "timeout = \"500ms\"";
    let asked = setting.start().await;
    let _held = asked.send(classify("Held")).await;
    proxy.begun().await;
    let request = json!({ "run": { "assistant": "approval", "input": { "what": "send it" } } });
    let (event_id, _) = asked.ask(request).await;
    let interrupted = asked.caused(&event_id, INTERRUPTED).await;
    let thread = &interrupted["payload"]["thread_id"];
    proxy.close();
    let resume = json!({ "assistant": "approval", "thread": thread, "value": "approve" });
    let event_id = asked.send(json!({ "resume": resume })).await;
    fails_with(&asked, &event_id, "timeout").await;
    proxy.open();
    let completed = asked.caused(&event_id, COMPLETED).await;
    assert_eq!(completed["payload"]["output"]["done"], true);
}

/// An attempt at the request ends with that code.
async fn fails_with(asked: &Asked, event_id: &str, code: &str) {
    eventually("an attempt fails", || async {
        let (_, journey) = asked.hub.get(&format!("/v1/events/{event_id}")).await;
        journey["steps"].as_array()?;
        failures(&journey)
            .iter()
            .any(|one| one == code)
            .then_some(())
    })
    .await;
}

/// The request ended among the dead letters, at the first attempt, for that reason.
async fn assert_dead(asked: &Asked, event_id: &str, code: &str) {
    let journey = asked.hub.finished(event_id).await;
    assert_eq!(journey["status"], "dead", "{journey:#}");
    let failures = failures(&journey);
    assert_eq!(failures, [code], "{journey:#}");
}

fn failures(journey: &Value) -> Vec<String> {
    let steps = journey["steps"].as_array().unwrap().iter();
    let failed = steps.filter(|step| step["step"] == "delivery_failed");
    let codes = failed.map(|step| step["code"].as_str().unwrap_or_default().to_owned());
    codes.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_work_is_not_tried_again() {
    let Some(server) = server_for("what_cannot_work_is_not_tried_again").await else {
        return;
    };
    let asked = Setting::before(server.url()).start().await;
    let nobody = "99999999-9999-4999-8999-999999999999";
    for (request, code) in [
        (json!({ "run": { "assistant": "" } }), "invalid_request"),
        (json!({ "run": { "assistant": "nobody" } }), "refused"),
        (json!({ "run": { "assistant": nobody } }), "not_found"),
        (
            json!({ "resume": { "assistant": "approval", "thread": nobody, "value": 1 } }),
            "nothing_asked",
        ),
    ] {
        let event_id = asked.send(request).await;
        assert_dead(&asked, &event_id, code).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost_begins_no_second_run() {
    let Some(server) = server_for("an_answer_that_is_lost_begins_no_second_run").await else {
        return;
    };
    let proxy = Proxy::before(&server.url(), First::Lost).await;
    let asked = Setting::before(proxy.url()).start().await;
    let name = format!("lost/{}", proxy.url());
    let mut named = classify("On a thread with a name");
    named["run"]["thread"] = json!(name);

    let event_id = asked.send(named.clone()).await;
    let begun = asked.begun(&event_id).await;
    assert_eq!(begun.how, "was begun before");
    let completed = asked.caused(&event_id, COMPLETED).await;
    assert_eq!(completed["payload"]["run_id"], begun.run_id);
    let journey = asked.hub.finished(&event_id).await;
    assert_eq!(failures(&journey), ["broken_answer"]);
    assert_eq!(proxy.creations(), 1);
    let runs = server
        .get(&format!("/threads/{}/runs", begun.thread_id))
        .await;
    assert_eq!(runs.as_array().unwrap().len(), 1, "{runs:#}");

    let (_, other) = asked.ask(named).await;
    assert_eq!(other.thread_id, begun.thread_id);
    assert_eq!(other.how, "begun");
    assert_ne!(other.run_id, begun.run_id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_somebody_else_is_not_taken_for_the_lost_one() {
    let test = "a_run_of_somebody_else_is_not_taken_for_the_lost_one";
    let Some(server) = server_for(test).await else {
        return;
    };
    let proxy = Proxy::before(&server.url(), First::Held).await;
    let mut setting = Setting::before(proxy.url());
    setting.more = "timeout = \"3s\"";
    let asked = setting.start().await;
    let event_id = asked.send(classify("Lost")).await;
    let thread_id = proxy.begun().await;
    // It inherits what the thread has of its first run, the key among it.
    let runs = format!("/threads/{thread_id}/runs");
    let foreign = json!({ "assistant_id": "classifier", "input": {} });
    let foreign = server.post(&runs, &foreign).await;
    assert!(foreign["metadata"]["nexus_key"].is_string(), "{foreign:#}");
    let begun = asked.begun(&event_id).await;
    assert_eq!(
        (begun.thread_id, begun.how.as_str()),
        (thread_id, "was begun before")
    );
    assert_ne!(foreign["run_id"], begun.run_id);
    let completed = asked.caused(&event_id, COMPLETED).await;
    assert_eq!(completed["payload"]["output"]["subject"], "Lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_is_killed_before_it_knows_of_its_run_finds_it_again() {
    let test = "a_hub_that_is_killed_before_it_knows_of_its_run_finds_it_again";
    let Some(server) = server_for(test).await else {
        return;
    };
    let proxy = Proxy::before(&server.url(), First::Held).await;
    let asked = Setting::before(proxy.url()).start().await;
    let event_id = asked.send(classify("Killed on the way")).await;
    proxy.begun().await;
    let home = asked.kill();
    // Nothing comes before somebody looks.
    proxy.close();
    let asked = Asked::of(home.start()).await;
    proxy.open();
    let completed = asked.caused(&event_id, COMPLETED).await;
    asked.let_time_pass().await;
    assert_eq!(asked.all_caused(&event_id), [COMPLETED]);
    let begun = asked.begun(&event_id).await;
    assert_eq!(begun.how, "was begun before");
    assert_eq!(completed["payload"]["run_id"], begun.run_id);
    let runs = server
        .get(&format!("/threads/{}/runs", begun.thread_id))
        .await;
    assert_eq!(runs.as_array().unwrap().len(), 1, "{runs:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_goes_on_while_the_hub_is_dead_and_its_ending_comes_once() {
    let test = "a_run_goes_on_while_the_hub_is_dead_and_its_ending_comes_once";
    let Some(server) = server_for(test).await else {
        return;
    };
    let proxy = Proxy::before(&server.url(), First::Held).await;
    // A run before it, whose answer is held: this one's are not.
    let asked = Setting::before(proxy.url()).start().await;
    let _held = asked.send(classify("Held")).await;
    proxy.begun().await;
    let (event_id, begun) = asked.ask(rest(Duration::from_secs(1))).await;
    let home = asked.kill();
    server
        .wait_for_status(&begun.thread_id, &begun.run_id, "success")
        .await;
    proxy.close();
    let asked = Asked::of(home.start()).await;
    proxy.open();
    let completed = asked.caused(&event_id, COMPLETED).await;
    assert_eq!(completed["payload"]["run_id"], begun.run_id);
    assert_eq!(completed["correlation_id"], event_id);
    asked.let_time_pass().await;
    assert_eq!(asked.all_caused(&event_id), [COMPLETED]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_is_waited_for() {
    let test = "langgraph::a_server_that_is_away_is_waited_for";
    // Also for whether there can be one at all.
    let Some(_installed) = skip::or_skip(test, LangGraph::shared().await) else {
        return;
    };
    let port = free_port();
    let setting = Setting::before(format!("http://127.0.0.1:{port}"));
    let asked = setting.start().await;
    eventually("the hub says that it is degraded", || async {
        let (_, ready) = asked.hub.get("/readyz").await;
        (ready["status"] == "degraded").then_some(())
    })
    .await;
    let first = asked.send(classify("While nobody is there")).await;
    let second = asked.send(classify("Another")).await;
    eventually("the breaker holds what is to be delivered", || async {
        for event_id in [&first, &second] {
            let (_, journey) = asked.hub.get(&format!("/v1/events/{event_id}")).await;
            let steps = journey["steps"].as_array()?.clone();
            if steps.iter().any(|step| step["step"] == "parked") {
                return Some(());
            }
        }
        None
    })
    .await;
    let server = LangGraph::start_at(port).await.unwrap();
    for event_id in [first, second] {
        asked.caused(&event_id, COMPLETED).await;
    }
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_cancelled_by_its_thread_or_by_its_id() {
    let Some(server) = server_for("a_run_is_cancelled_by_its_thread_or_by_its_id").await else {
        return;
    };
    let asked = Setting::before(server.url()).start().await;
    for by_id in [false, true] {
        let (event_id, begun) = asked.ask(rest(Duration::from_secs(600))).await;
        server
            .wait_for_status(&begun.thread_id, &begun.run_id, "running")
            .await;
        let mut cancel = json!({ "thread": begun.thread_id });
        if by_id {
            cancel["run"] = json!(begun.run_id);
        }
        asked.ask(json!({ "cancel": cancel })).await;
        let failed = asked.caused(&event_id, FAILED).await;
        assert_eq!(
            failed["payload"]["error"]["kind"], "cancelled",
            "{failed:#}"
        );
        // What has ended is ended, and that is no failure.
        asked.ask(json!({ "cancel": cancel })).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_takes_too_long_is_cancelled_and_has_failed() {
    let Some(server) = server_for("a_run_that_takes_too_long_is_cancelled_and_has_failed").await
    else {
        return;
    };
    let mut setting = Setting::before(server.url());
    setting.more = "run_timeout = \"2s\"";
    let asked = setting.start().await;
    let (event_id, begun) = asked.ask(rest(Duration::from_secs(600))).await;
    let failed = asked.caused(&event_id, FAILED).await;
    assert_eq!(failed["payload"]["error"]["kind"], "overdue", "{failed:#}");
    server
        .wait_for_status(&begun.thread_id, &begun.run_id, "interrupted")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_gives_way_to_another_and_leaves_no_trace_has_failed() {
    let test = "a_run_that_gives_way_to_another_and_leaves_no_trace_has_failed";
    let Some(server) = server_for(test).await else {
        return;
    };
    let asked = Setting::before(server.url()).start().await;
    let on = format!("rollback/{}", asked.hub.url());
    let mut first = rest(Duration::from_secs(600));
    first["run"]["thread"] = json!(on);
    let (first, begun) = asked.ask(first).await;
    server
        .wait_for_status(&begun.thread_id, &begun.run_id, "running")
        .await;
    let mut second = classify("Something else");
    second["run"]["thread"] = json!(on);
    second["run"]["multitask"] = json!("rollback");
    let (second, _) = asked.ask(second).await;
    let failed = asked.caused(&first, FAILED).await;
    assert_eq!(failed["payload"]["error"]["kind"], "gone", "{failed:#}");
    asked.caused(&second, COMPLETED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_may_not_wait_is_tried_again_until_its_thread_is_free() {
    let test = "a_run_that_may_not_wait_is_tried_again_until_its_thread_is_free";
    let Some(server) = server_for(test).await else {
        return;
    };
    let mut setting = Setting::before(server.url());
    setting.max_retries = 0;
    let asked = setting.start().await;
    let on = format!("reject/{}", asked.hub.url());
    let mut first = rest(Duration::from_secs(600));
    first["run"]["thread"] = json!(on);
    let (_, begun) = asked.ask(first).await;
    let mut second = classify("Something else");
    second["run"]["thread"] = json!(on);
    second["run"]["multitask"] = json!("reject");
    let second = asked.send(second).await;
    fails_with(&asked, &second, "busy").await;
    asked
        .ask(json!({ "cancel": { "thread": begun.thread_id } }))
        .await;
    asked.caused(&second, COMPLETED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_node_of_a_streamed_run_is_told_in_order() {
    let Some(server) = server_for("each_node_of_a_streamed_run_is_told_in_order").await else {
        return;
    };
    let asked = Setting::before(server.url()).start().await;
    let request = json!({ "run": {
        "assistant": "story", "input": { "about": "a hub" }, "stream": true, "context": "c",
    }});
    let (event_id, begun) = asked.ask(request).await;
    let completed = asked.caused(&event_id, COMPLETED).await;
    let lines = [
        "Once there was a hub.",
        "It waited.",
        "Then something happened.",
    ];
    assert_eq!(completed["payload"]["output"]["lines"], json!(lines));
    assert_eq!(
        asked.all_caused(&event_id),
        [PROGRESS, PROGRESS, PROGRESS, COMPLETED]
    );
    let first = asked.caused(&event_id, PROGRESS).await;
    let expected = json!({
        "thread_id": begun.thread_id,
        "run_id": begun.run_id,
        "assistant": "story",
        "node": "begin",
        "data": { "lines": [lines[0]] },
        "context": "c",
    });
    assert_eq!(first["payload"], expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_output_that_is_too_large_is_left_out_and_can_be_had_from_the_thread() {
    let test = "an_output_that_is_too_large_is_left_out_and_can_be_had_from_the_thread";
    let Some(server) = server_for(test).await else {
        return;
    };
    let mut setting = Setting::before(server.url());
    // More than the hub takes in an event: the second is left out because of that.
    setting.more = "max_output = 4000000";
    for (setting, bytes) in [
        (Setting::before(server.url()), 300_000),
        (setting, 2_000_000),
    ] {
        let asked = setting.start().await;
        let request = json!({ "run": {
            "assistant": "repeat", "input": { "text": "x", "times": bytes }, "context": "c",
        }});
        let (event_id, begun) = asked.ask(request).await;
        let completed = asked.caused(&event_id, COMPLETED).await;
        let payload = &completed["payload"];
        assert!(payload.get("output").is_none());
        assert!(
            payload["omitted_bytes"].as_u64().unwrap() > bytes,
            "{payload:#}"
        );
        assert_eq!(payload["context"], "c");
        let thread = server
            .get(&format!("/threads/{}/state", begun.thread_id))
            .await;
        let result = thread["values"]["result"].as_str().unwrap();
        assert_eq!(result.len() as u64, bytes);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_is_not_proven_is_not_read() {
    // No server is needed to be asked by somebody else.
    let mut setting = Setting::before("http://127.0.0.1:9");
    setting.webhook = Some("{hub}/v1/hooks/langgraph");
    let asked = setting.start().await;
    let url = format!("{}/v1/hooks/langgraph", asked.hub.url());
    let client = client();
    let run = json!({ "run_id": "99999999-9999-4999-8999-999999999999" }).to_string();
    let right = format!("Bearer {WEBHOOK_TOKEN}");
    for (authorization, body, status) in [
        (None, run.as_str(), 401),
        (Some("Bearer wrong"), run.as_str(), 401),
        (Some("Bearer wrong"), "no JSON", 401),
        (Some(WEBHOOK_TOKEN), run.as_str(), 401),
        (Some(right.as_str()), "no JSON", 400),
        (Some(right.as_str()), run.as_str(), 204),
    ] {
        let mut request = client.post(&url).body(body.to_owned());
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{authorization:?} {body}");
    }
    let answer = client.get(&url).header("authorization", right).send().await;
    assert_eq!(answer.unwrap().status(), 405);
    assert!(!asked.hub.log().contains(WEBHOOK_TOKEN));
}
