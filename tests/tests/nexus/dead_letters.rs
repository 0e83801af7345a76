//! Dead letters, end to end: what failed for good is found, looked at, done once more or deleted,
//! over the command line and over HTTP.

use std::process::Output;

use nexus_tests::hub::{Hub, HubBuilder};
use serde_json::{Value, json};

/// Two attempts each, and a breaker that stays out of it.
fn hub() -> Hub {
    HubBuilder::new()
        .config("[retry]\nmax_retries = 1\ndelays = [\"20ms\"]\n[breaker]\nfailures = 1000")
        .plugin("probe")
        .start()
}

/// An event whose one effect fails so often before it goes well.
fn failing(source: &str, times: u32) -> Value {
    json!({
        "type": "probe.command",
        "source": source,
        "correlation_id": "thread-7",
        "payload": {"action": "notify", "record": {"n": 5, "fail_times": times}},
    })
}

/// What `nexus dlq …` does at this hub.
async fn dlq(hub: &Hub, line: &[&str]) -> Output {
    hub.nexus(&[&["dlq"], line].concat()).await
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

async fn data(hub: &Hub, line: &[&str]) -> Value {
    let output = dlq(hub, &[line, &["--json"]].concat()).await;
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

async fn ids(hub: &Hub, line: &[&str]) -> Vec<String> {
    let letters = data(hub, &[&["list"], line].concat()).await;
    let id = |letter: &Value| letter["id"].as_str().unwrap().to_owned();
    letters.as_array().unwrap().iter().map(id).collect()
}

fn step_names(journey: &Value) -> Vec<&str> {
    let steps = journey["steps"].as_array().unwrap().iter();
    steps.map(|step| step["step"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_effect_that_failed_for_good_is_done_after_its_target_was_mended() {
    let hub = hub();
    let dead = hub.process(&failing("test", 2)).await;
    assert_eq!(dead["status"], "dead", "{dead:#}");
    let event = dead["event_id"].as_str().unwrap();

    let listed = text(&dlq(&hub, &["list"]).await);
    let letter = ids(&hub, &[]).await.remove(0);
    for cell in [
        &letter,
        "probe.command",
        "test",
        "retries_exhausted",
        "told_to_fail",
    ] {
        assert!(listed.contains(cell), "{cell}: {listed}");
    }
    let shown = data(&hub, &["show", &letter]).await;
    assert_eq!(shown["attempts"], 2);
    assert_eq!(shown["integration"], "recorder");
    assert_eq!(shown["processor"], "probe/misbehave");
    assert_eq!(shown["event"]["event_id"], event);
    assert_eq!(shown["event"]["payload"]["record"]["fail_times"], 2);
    let chain: Vec<_> = (0..3).map(|n| &shown["errors"][n]["message"]).collect();
    assert_eq!(
        chain,
        [
            &json!("attempt 1 of 2, as told"),
            &json!("attempt 2 of 2, as told"),
            &Value::Null
        ]
    );
    assert_eq!(data(&hub, &["show", event]).await, shown);

    // The third call goes well: the target counts by idempotency key, and it is the same as before.
    let replayed = dlq(&hub, &["replay", &letter]).await;
    assert!(replayed.status.success(), "{replayed:?}");
    assert!(text(&replayed).contains("1 dead letter replayed"));
    let journey = hub.finished(event).await;
    assert_eq!(journey["status"], "processed", "{journey:#}");
    assert_eq!(journey["correlation_id"], "thread-7");
    let steps = step_names(&journey);
    assert_eq!(steps[..steps.len() - 3], step_names(&dead));
    assert_eq!(
        steps[steps.len() - 3..],
        ["replayed", "delivered", "finished"]
    );
    let (_, recorded) = hub.get("/v1/hooks/probe/recorded").await;
    let kept = json!([{"n": 5, "idempotency_key": format!("{event}:0"), "attempts": 3}]);
    assert_eq!(recorded, kept);
    let explained = text(&hub.nexus(&["explain", event]).await);
    for sentence in [
        "recorder failed effect 0 on attempt 1: attempt 1 of 2, as told (told_to_fail); again in ",
        "recorder failed effect 0 on attempt 2: attempt 2 of 2, as told (told_to_fail); given up",
        &format!("dead letter {letter}: retries_exhausted"),
        &format!("dead letter {letter} is taken up once more"),
        "did effect 0 on attempt 1: recorded 5 on attempt 3",
        "finished: processed",
    ] {
        assert!(explained.contains(sentence), "{sentence:?}: {explained}");
    }

    // A second time there is nothing to do, and it says so.
    let again = dlq(&hub, &["replay", &letter]).await;
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    let path = format!("/v1/admin/dead-letters/{letter}/replay");
    assert_eq!(hub.send(hub.request("POST", &path)).await.0, 404);
    assert_eq!(hub.finished(event).await, journey);
    assert!(text(&dlq(&hub, &["list"]).await).contains("no dead letters"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_dies_again_is_a_new_letter_with_the_attempts_since() {
    let hub = hub();
    let dead = hub.process(&failing("test", 3)).await;
    let first = ids(&hub, &[]).await.remove(0);
    let path = format!("/v1/admin/dead-letters/{first}/replay");
    let (status, answer) = hub.send(hub.request("POST", &path)).await;
    assert_eq!((status, &answer["replayed"]), (200, &json!([first])));
    let event = dead["event_id"].as_str().unwrap();
    let journey = hub.finished(event).await;
    assert_eq!(
        journey["status"], "processed",
        "the fourth call goes well: {journey:#}"
    );
    let replayed_on = journey["steps"].as_array().unwrap().iter();
    let attempts: Vec<_> = replayed_on
        .filter(|step| step["step"] == "delivery_failed" || step["step"] == "delivered")
        .map(|step| step["attempt"].as_u64().unwrap())
        .collect();
    assert_eq!(attempts, [1, 2, 1, 2], "with every attempt before it");

    let dead = hub.process(&failing("test", 4)).await;
    let first = ids(&hub, &[]).await.remove(0);
    assert!(dlq(&hub, &["replay", &first]).await.status.success());
    let journey = hub.finished(dead["event_id"].as_str().unwrap()).await;
    assert_eq!(journey["status"], "dead");
    let letters = data(&hub, &["list"]).await;
    assert_eq!(letters.as_array().unwrap().len(), 1);
    assert_ne!(letters[0]["id"], first);
    assert_eq!(letters[0]["attempts"], 2);
    assert_eq!(
        letters[0]["errors"][0]["message"],
        "attempt 3 of 4, as told"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_mean_what_they_say_and_a_dry_run_changes_nothing() {
    let hub = hub();
    hub.process(&failing("mail.a", 9)).await;
    hub.process(&failing("mail.b", 9)).await;
    let reject = json!({
        "type": "probe.command", "source": "chat",
        "payload": {"action": "reject", "text": "no good"},
    });
    hub.process(&reject).await;
    let all = ids(&hub, &[]).await;
    assert_eq!(all.len(), 3);
    for (line, expected) in [
        (&["--type", "probe.*"][..], &all[..]),
        (&["--type", "probe.ping"], &[]),
        (&["--source", "mail.*"], &all[..2]),
        (&["--integration", "recorder"], &all[..2]),
        (&["--integration", "probe/recorder"], &all[..2]),
        (&["--reason", "rejected"], &all[2..]),
        (&["--since", "1h"], &all[..]),
        (&["--until", "1h"], &[]),
        (&["--limit", "2"], &all[..2]),
    ] {
        assert_eq!(ids(&hub, line).await, expected, "{line:?}");
    }
    let few = dlq(&hub, &["list", "--limit", "2"]).await;
    let note = String::from_utf8_lossy(&few.stderr).into_owned();
    assert!(note.contains("more than 2"), "{note}");

    let (_, before) = hub.get("/v1/admin/dead-letters").await;
    for what in ["replay", "purge"] {
        let told = dlq(&hub, &[what, "--source", "mail.*", "--dry-run"]).await;
        assert!(told.status.success());
        let told = text(&told);
        assert!(
            told.contains(&all[0]) && told.contains("2 dead letters would be"),
            "{told}"
        );
        assert_eq!(
            dlq(&hub, &[what]).await.status.code(),
            Some(2),
            "nothing is named"
        );
        let (status, _) = hub
            .send(
                hub.request("POST", &format!("/v1/admin/dead-letters/{what}"))
                    .json(&json!({})),
            )
            .await;
        assert_eq!(status, 400);
    }
    assert_eq!(hub.get("/v1/admin/dead-letters").await.1, before);
    assert_eq!(hub.get("/v1/admin/queue").await.1["depth"], 0);

    let purged = data(&hub, &["purge", "--source", "mail.*"]).await;
    assert_eq!(
        purged,
        json!({"purged": all[..2], "dry_run": false, "more": false})
    );
    assert_eq!(ids(&hub, &[]).await, all[2..]);
    let one = hub.request("DELETE", &format!("/v1/admin/dead-letters/{}", all[2]));
    assert_eq!(hub.send(one).await.0, 200);
    assert!(ids(&hub, &[]).await.is_empty());
    assert!(dlq(&hub, &["purge", "--all"]).await.status.success());
    assert_eq!(dlq(&hub, &["purge", &all[2]]).await.status.code(), Some(1));
}
