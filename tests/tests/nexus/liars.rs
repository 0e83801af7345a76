//! Workers that say what no worker says: whatever it is, it ends the worker, and the hub and everybody else go on.

use std::path::{Path, PathBuf};
use std::process::Command;

use nexus_tests::artifacts::executable;
use nexus_tests::crasher::{id, ping, told, under_load};
use nexus_tests::hub::{Home, Hub, HubBuilder, eventually};
use serde_json::json;
use uuid::Uuid;

/// A hub whose workers lie as they are told.
struct Told {
    /// What they are told.
    lies: PathBuf,
    home: Home,
}

fn lay_out(first: Option<&str>) -> Told {
    let lies = std::env::temp_dir().join(format!("lies-{}", Uuid::new_v4()));
    let liar = json!(env!("CARGO_BIN_EXE_liar"));
    let home = HubBuilder::new()
        .config(&format!(
            "[plugins]\nworker = {liar}\ninit_timeout = \"3s\"\n\
             [plugins.crasher]\nisolation = \"process\"\nenv = [\"LIES\"]\n\
             [dispatch]\nprocessor_timeout = \"2s\"\n[retry]\nmax_retries = 5\ndelays = [\"50ms\"]\n"
        ))
        .env("LIES", &lies.display().to_string())
        .plugin("crasher")
        .plugin("probe")
        .lay_out();
    // Where a liar becomes the honest worker it is the one beside it.
    executable("nexus-plugin-worker");
    let told = Told { lies, home };
    if let Some(first) = first {
        tell(&told.lies, &[first]);
    }
    told
}

/// The workers that come are to lie like that, one after the other.
fn tell(list: &Path, lies: &[&str]) {
    let lines: String = lies.iter().map(|lie| format!("{lie}\n")).collect();
    std::fs::write(list, lines).unwrap();
}

/// Ends the worker that is there, so that others come, which lie.
async fn have_it_lied(hub: &Hub, list: &Path, lies: &[&str]) {
    let journey = hub.process(&told("not_at_all", 0)).await;
    assert_eq!(journey["status"], "processed", "{journey}");
    let worker = eventually("there is a worker", || async { hub.children().pop() }).await;
    tell(list, lies);
    let before = hub.log().len();
    let killed = Command::new("kill")
        .args(["-KILL", &worker.to_string()])
        .status();
    assert!(killed.unwrap().success());
    hub.wait_for_log_after(before, "a plugin's worker has died")
        .await;
}

/// The most memory that the hub has ever held, in MiB.
fn most_memory(hub: &Hub) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", hub.pid())).unwrap();
    let most = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kib: u64 = most.trim().trim_end_matches(" kB").parse().unwrap();
    kib / 1_024
}

/// Lies of a worker that has begun well, and how each ends.
const LATER: [(&str, &[&str]); 14] = [
    ("long_frame", &["a frame of 67108865 octets"]),
    ("length_without_octets", &["it was silent"]),
    // Whoever comes first, the one who reads or the one who writes.
    (
        "half_a_frame_and_the_end",
        &["unexpected end of file", "Broken pipe"],
    ),
    ("garbage", &["a frame that cannot be read"]),
    ("octets_too_many", &["1 octets too many in a frame"]),
    ("answer_to_nothing", &["which there is not"]),
    ("answers_twice", &["which there is not"]),
    ("is_ready_again", &["a start that nobody asked for"]),
    ("pong_before_ping", &["an answer to ping"]),
    ("closes_and_lives_on", &["it has closed the connection"]),
    ("hears_nothing", &["it was silent"]),
    ("answers_no_call", &["it went on with a call"]),
    ("log_without_end", &["it went on with a call"]),
    ("questions_without_end", &["it went on with a call"]),
];

#[tokio::test]
async fn a_worker_that_lies_is_ended_and_its_event_done_by_the_next() {
    let Told { lies, home } = lay_out(None);
    let hub = home.start();
    let unheard: (&str, &[&str]) = ("questions_without_end_unheard", &["it "]);
    for (lie, ends) in LATER.into_iter().chain([unheard]) {
        have_it_lied(&hub, &lies, &[lie]).await;
        let before = hub.log().len();
        let event = told("not_at_all", 1);
        let (journey, load) = under_load(&hub, hub.process(&event)).await;
        assert_eq!(journey["status"], "processed", "{lie}: {journey}");
        eventually(
            &format!("{lie}: the log goes on with one of {ends:?}"),
            || async {
                let log = hub.log();
                ends.iter()
                    .any(|end| log[before..].contains(end))
                    .then_some(())
            },
        )
        .await;
        assert!(load > 0, "{lie}");
    }
    let most = most_memory(&hub);
    assert!(most < 256, "{most} MiB");
    std::fs::remove_file(lies).unwrap();
}

#[tokio::test]
async fn an_event_that_two_workers_lie_about_is_a_dead_letter() {
    let Told { lies, home } = lay_out(None);
    let hub = home.start();
    have_it_lied(&hub, &lies, &["garbage", "garbage"]).await;
    let event = told("not_at_all", 1);
    let (journey, _) = under_load(&hub, hub.process(&event)).await;
    assert_eq!(journey["status"], "dead", "{journey}");
    assert!(
        journey.to_string().contains("killed_the_worker"),
        "{journey}"
    );
    // An answer that is one, but means nothing, ends no worker.
    have_it_lied(&hub, &lies, &["answer_of_garbage"]).await;
    let (journey, _) = under_load(&hub, hub.process(&told("not_at_all", 1))).await;
    assert_eq!(journey["status"], "dead", "{journey}");
    assert!(
        journey.to_string().contains("malformed_answer"),
        "{journey}"
    );
    let most = most_memory(&hub);
    assert!(most < 256, "{most} MiB");
    std::fs::remove_file(lies).unwrap();
}

#[tokio::test]
async fn a_worker_that_lies_from_the_beginning_is_none() {
    for (lie, code) in [
        ("says_nothing_at_first", "init_timeout"),
        ("ends_at_first", "worker_died"),
        ("begins_with_garbage", "worker_died"),
        ("begins_with_a_long_frame", "worker_died"),
        ("begins_with_an_answer", "worker_died"),
        ("wrong_version", "no_worker"),
        ("wrong_nonce", "no_worker"),
        ("wrong_hash", "no_worker"),
        ("wrong_description", "worker_died"),
        ("is_never_ready", "init_timeout"),
    ] {
        // As the first one: the plugin is refused.
        let Told { lies, home } = lay_out(Some(lie));
        let hub = home.start();
        let (_, plugins) = hub.get("/v1/admin/plugins").await;
        let crasher = &plugins["plugins"][0];
        assert_eq!(crasher["refusal"]["code"], code, "{lie}: {crasher}");
        let journey = hub.process(&ping(1)).await;
        assert_eq!(journey["status"], "processed", "{lie}: {journey}");
        std::fs::remove_file(lies).unwrap();
        // As a later one: the next is waited for.
        let Told { lies, home } = lay_out(None);
        let hub = home.start();
        have_it_lied(&hub, &lies, &[lie]).await;
        let event = told("not_at_all", 1);
        let (_, receipt) = hub.publish(&event).await;
        assert_eq!(receipt["event_id"], event["event_id"], "{lie}");
        let journey = hub.finished(id(&event)).await;
        assert_eq!(journey["status"], "processed", "{lie}: {journey}");
        assert!(
            hub.log().contains("a plugin's worker does not start"),
            "{lie}: {}",
            hub.log()
        );
        std::fs::remove_file(lies).unwrap();
    }
}
