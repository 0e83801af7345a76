//! What works without a hub: help, `plugin list` of a folder, `plugin inspect`; and what the
//! commands say that need one.

use crate::harness::{Place, library, probe};

#[test]
fn usage_errors_exit_with_2_and_help_with_0() {
    let place = Place::new();
    place.run(&[]).exits(2).complains("Usage: nexus");
    place.run(&["--help"]).exits(0).says("Exit codes");
    place.run(&["--version"]).exits(0).says("nexus ");
    place.run(&["rum"]).exits(2).complains("run");
    place.run(&["explain", "not-a-uuid"]).exits(2);
    place.run(&["dlq", "purge"]).exits(2).complains("--all");
}

#[test]
fn files_are_listed_without_running_them() {
    let bad = format!("plugins/{}", library("a_text"));
    let place = Place::new().probe().file(&bad, "not a library");
    let ran = place
        .run(&["plugin", "list"])
        .exits(0)
        .says("no running hub was asked (NEXUS_KEY is not set)")
        .says("these are the files in plugins; nothing of them was run")
        .says("not_a_library: ");
    let row = ran
        .stdout
        .lines()
        .find(|line| line.starts_with("probe"))
        .unwrap();
    assert!(row.contains("loadable") && row.contains("thread"), "{row}");
    assert!(row.contains("source probe, processor echo"), "{row}");

    let json = place.run(&["plugin", "list", "--json"]).exits(0).json();
    assert_eq!(json["from"], "folder");
    assert_eq!(json["plugins"][0]["state"], "refused");
    assert_eq!(json["plugins"][0]["code"], "not_a_library");
    assert_eq!(json["plugins"][1]["id"], "probe");
}

#[test]
fn an_empty_folder_is_told() {
    Place::new()
        .run(&["plugin", "list"])
        .exits(0)
        .says("no plugin files there");
}

#[test]
fn with_a_key_but_no_hub_the_folder_is_listed() {
    let place = Place::new().file("nexus.toml", "[server]\nhttp = \"127.0.0.1:1\"\n");
    place
        .run_with_key(&["plugin", "list"])
        .exits(0)
        .says("no hub answers at http://127.0.0.1:1");
}

#[test]
fn a_library_is_inspected_without_running_it() {
    let file = probe().to_str().unwrap();
    let place = Place::new();
    place
        .run(&["plugin", "inspect", file])
        .exits(0)
        .says("plugin        probe ")
        .says("processor echo <- probe.ping")
        .says("services      publish, state, secrets")
        .says("capabilities  network")
        .says("every_ms (integer)  How often it publishes, in milliseconds.")
        .says("run (idle | ping | fail | panic)");
    let json = place
        .run(&["plugin", "inspect", file, "--json"])
        .exits(0)
        .json();
    assert_eq!(json["manifest"]["id"], "probe");
    assert_eq!(json["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(json["refusal"], serde_json::Value::Null);
}

#[test]
fn what_is_no_plugin_is_refused_with_its_reason() {
    let place = Place::new().file("x.so", "not a library");
    place
        .run(&["plugin", "inspect", "x.so"])
        .exits(1)
        .says("sha256 ")
        .complains("x.so would be refused: not_a_library: ");
    let json = place
        .run(&["plugin", "inspect", "x.so", "--json"])
        .exits(1)
        .json();
    assert_eq!(json["refusal"]["code"], "not_a_library");
    place
        .run(&["plugin", "inspect", "absent.so"])
        .exits(1)
        .complains("unreadable: ");
    place.run(&["plugin", "inspect"]).exits(2);
}

#[test]
fn commands_that_need_a_hub_say_what_is_missing() {
    let id = "0190a6e0-0000-7000-8000-000000000001";
    let nowhere = ["--url", "http://127.0.0.1:1"];
    for line in [
        &["send", "a.b", "--source", "s"][..],
        &["explain", id],
        &["dlq", "list"],
        &["dlq", "show", id],
        &["dlq", "replay", id],
        &["dlq", "purge", "--all"],
    ] {
        let place = Place::new();
        place.run(line).exits(2).complains("NEXUS_KEY is not set");
        let line = [line, &nowhere].concat();
        place
            .run_with_key(&line)
            .exits(1)
            .complains("no hub answers at http://127.0.0.1:1")
            .complains("nexus run");
    }
}

#[test]
fn an_address_that_cannot_be_is_told_before_anything_is_sent() {
    let place = Place::new().hub("");
    place
        .run_with_key(&["dlq", "list"])
        .exits(2)
        .complains("give its address with --url");
    place
        .run_with_key(&["dlq", "list", "--url", "ftp://hub"])
        .exits(2)
        .complains("--url: ftp is not spoken here");
    let place = Place::new().file("nexus.toml", "[server]\nhttp = 7070\n");
    place
        .run_with_key(&["dlq", "list"])
        .exits(2)
        .complains("nexus.toml:2: server.http: ");
}

#[test]
fn a_queue_file_is_checked_and_a_damaged_one_stops_the_hub() {
    let place = Place::new();
    place.run(&["queue", "fsck"]).exits(2).complains("memory");
    let place = place.file(
        "nexus.toml",
        "server.http = \"127.0.0.1:0\"\n[queue]\nbackend = \"sqlite\"\n",
    );
    place.run(&["queue", "fsck"]).exits(2).complains("nexus.db");
    // The pages say SQLite, and then nothing that makes sense.
    let mut bytes = b"SQLite format 3\0\x10\0\x02\x02\0\x40\x20\x20".to_vec();
    bytes.resize(3 * 4_096, 7);
    let path = place.path().join("nexus.db");
    std::fs::write(&path, &bytes).unwrap();
    place.run(&["run"]).exits(1).complains("nexus queue fsck");
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "nothing was changed");
    place.run(&["queue", "fsck"]).exits(1).says("file: ");
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "nothing was changed");
    place
        .run(&["queue", "fsck", "--repair"])
        .exits(0)
        .says("the damaged file is");
    place.run(&["queue", "fsck"]).exits(0).says("sound");
}
