//! `nexus send --lines`: many events from one file.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use serde_json::Value;

use crate::harness::{KEY, Place};

const ID: &str = "0190a6e0-0000-7000-8000-000000000001";

/// The lines of an output, each as JSON.
fn each(output: &str) -> Vec<Value> {
    let lines = output.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn every_line_is_an_event_and_what_is_refused_is_told_by_its_line() {
    let ping = |more: &str| format!(r#"{{"type": "probe.ping", "source": "cli"{more}}}"#);
    let lines = [
        ping(r#", "payload": {"n": 1}"#),
        String::new(),
        ping(r#", "payload": {"n": "one"}"#),
        ping(&format!(r#", "event_id": "{ID}", "payload": {{"n": 2}}"#)),
        "{\"type\": ".to_owned(),
        ping(&format!(r#", "event_id": "{ID}", "payload": {{"n": 2}}"#)),
        "[1]".to_owned(),
        "{}".to_owned(),
    ];
    let place = Place::new().probe().hub("").file("many", &lines.join("\n"));
    let hub = place.start();
    let at = ["send", "--url", &hub.url, "--lines"];
    place
        .run_with_key(&[&at[..], &["many"]].concat())
        .exits(1)
        .says("2 accepted, 1 duplicate, 4 refused")
        .complains("line 3: ")
        .complains("/payload/n")
        .complains("line 5: ")
        .complains("line 7: ")
        .complains("line 8: ");

    let more = ["many", "--skip", "3", "--json"];
    let ran = place.run_with_key(&[&at[..], &more].concat()).exits(1);
    let mut told = each(&ran.stdout);
    told.sort_by_key(|one| one["line"].as_u64());
    let status = |line: u64| {
        let one = told.iter().find(|one| one["line"] == line).unwrap();
        one["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(told.len(), 5, "{told:?}");
    assert_eq!(
        [4, 5, 6, 7, 8].map(status),
        ["duplicate", "rejected", "duplicate", "rejected", "rejected"]
    );
}

#[test]
fn payloads_are_sent_on_from_standard_input_however_many_and_none_is_lost_to_a_full_queue() {
    let place = Place::new().probe().hub("[queue]\ncapacity = 40\n");
    let hub = place.start();
    let lines: String = (0..200).map(|n| format!("{{\"n\": {n}}}\n")).collect();
    let options = ["--source", "cli", "--lines", "-", "--url", &hub.url];
    place
        .run_with_input(&[&["send", "probe.ping"], &options[..]].concat(), &lines)
        .exits(0)
        .says("200 accepted, 0 duplicate, 0 refused");
}

/// Nothing waits for lines that may never come.
#[test]
fn a_line_that_comes_alone_is_sent_at_once() {
    let place = Place::new().probe().hub("");
    let hub = place.start();
    let options = [
        "--source", "cli", "--lines", "-", "--json", "--url", &hub.url,
    ];
    let mut command = place.command(&[&["send", "probe.ping"], &options[..]].concat());
    command.env("NEXUS_KEY", KEY);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for number in 1..=2 {
        writeln!(input, "{{\"n\": {number}}}").unwrap();
        let mut told = String::new();
        output.read_line(&mut told).unwrap();
        assert_eq!(each(&told)[0]["line"], number, "{told}");
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_line_that_cannot_be_taken_keeps_no_other_from_being_sent() {
    let place = Place::new().probe().hub("[limits]\nmax_body = \"4KiB\"\n");
    let hub = place.start();
    let ping = |note: &[u8]| [b"{\"n\": 1, \"note\": \"", note, b"\"}\n"].concat();
    let long = [b'x'; 5_000];
    // Together they are more than the hub takes at once.
    let lines = [
        vec![ping(&[b'y'; 500]); 12],
        vec![ping(b"\xff"), ping(&long), ping(b"z")],
    ];
    std::fs::write(place.path().join("many"), lines.concat().concat()).unwrap();
    place
        .run_with_key(&[
            "send",
            "probe.ping",
            "--source",
            "cli",
            "--lines",
            "many",
            "--url",
            &hub.url,
        ])
        .exits(1)
        .says("13 accepted, 0 duplicate, 2 refused")
        .complains("line 13: is not what can be sent: invalid utf-8")
        .complains("line 14: ");
}

#[test]
fn what_cannot_be_read_and_who_is_not_there_is_told() {
    let place = Place::new().hub("").file("many", "{}\n");
    place
        .run_with_key(&["send", "--lines", "absent", "--url", "http://127.0.0.1:9"])
        .exits(2)
        .complains("absent cannot be read");
}
