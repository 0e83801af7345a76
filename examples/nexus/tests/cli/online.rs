//! The commands that ask a running hub.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::Value;

use crate::harness::Place;

const PING: [&str; 4] = ["send", "probe.ping", "--source", "cli"];

#[test]
fn events_are_sent_and_explained() {
    let place = Place::new().probe().hub("");
    let hub = place.start();
    let at = ["--url", hub.url.as_str()];
    let send = |more: &[&str]| place.run_with_key(&[&PING[..], more, &at].concat());

    let sent = send(&["--payload", r#"{"n": 7}"#])
        .exits(0)
        .says("accepted ");
    let id = sent
        .stdout
        .trim()
        .strip_prefix("accepted ")
        .unwrap()
        .to_owned();
    send(&["--payload", r#"{"n": 7}"#, "--event-id", &id])
        .exits(0)
        .says("duplicate ");

    let waited = send(&["--payload", r#"{"n": 8}"#, "--priority", "high", "--wait"]);
    waited
        .exits(0)
        .says("processed ")
        .says("probe/echo decided done (1 effect, attempt 1)")
        .says("probe/recorder did effect 0 on attempt 1: recorded 8 on attempt 1");

    let journey = send(&["--payload", r#"{"n": 9}"#, "--wait", "--json"])
        .exits(0)
        .json();
    assert_eq!(journey["status"], "processed");
    let explained = place
        .run_with_key(&[&["explain", journey["event_id"].as_str().unwrap()], &at[..]].concat());
    explained
        .exits(0)
        .says("probe.ping from cli: processed")
        .says("finished: processed");
    let id = journey["event_id"].as_str().unwrap();
    let json = place
        .run_with_key(&[&["explain", id, "--json"], &at[..]].concat())
        .exits(0)
        .json();
    assert_eq!(json["event_id"], id);
}

#[test]
fn who_asks_a_hub_needs_none_of_its_secrets() {
    let webhook = "[[webhooks]]\nname = \"w\"\nscheme = \"github\"\n\
        secrets = [{ env = \"GITHUB_SECRET\" }]\n";
    let place = Place::new().probe().hub(&format!(
        "{webhook}[plugins.probe.secrets]\na = {{ file = \"absent\" }}\n"
    ));
    let text = std::fs::read_to_string(place.path().join("nexus.toml")).unwrap();
    // Nobody listens there, and that is what must be told.
    let place = place.file("nexus.toml", &text.replace("127.0.0.1:0", "127.0.0.1:1"));
    let id = "0190a6e0-0000-7000-8000-000000000001";
    for line in [&PING[..], &["explain", id], &["dlq", "list"]] {
        place
            .run_with_key(line)
            .exits(1)
            .complains("no hub answers at http://127.0.0.1:1");
    }
    place
        .run_with_key(&["plugin", "list"])
        .exits(0)
        .says("loadable");
    for line in [&["run"][..], &["check"]] {
        let ran = place.run(line).exits(2);
        let said = ran.stdout + &ran.stderr;
        assert!(said.contains("`GITHUB_SECRET` is not set"), "{said}");
    }
}

#[test]
fn a_payload_comes_from_a_file_or_from_standard_input() {
    let place = Place::new()
        .probe()
        .hub("")
        .file("ping.json", r#"{"n": 1}"#);
    let hub = place.start();
    let at = ["--url", hub.url.as_str()];
    for more in [&["--file", "ping.json"][..], &["--file", "-"], &["-"]] {
        let line = [&PING[..], more, &at].concat();
        place
            .run_with_input(&line, r#"{"n": 2}"#)
            .exits(0)
            .says("accepted ");
    }
    let send = |more: &[&str]| place.run_with_key(&[&PING[..], more, &at].concat());
    send(&["--file", "absent.json"])
        .exits(2)
        .complains("absent.json cannot be read");
    send(&["--payload", "{"])
        .exits(2)
        .complains("the payload is not JSON");
    send(&["--key", "nxk_oops"]).exits(2).complains("NEXUS_KEY");
}

#[test]
fn refusals_tell_code_place_and_what_to_do() {
    let place = Place::new().probe().hub("");
    let hub = place.start();
    let at = ["--url", hub.url.as_str()];
    let send = |more: &[&str]| place.run_with_key(&[&PING[..], more, &at].concat());
    send(&["--payload", r#"{"n": "x"}"#])
        .exits(1)
        .complains("contract_violation")
        .complains("/payload/n");
    place
        .run_with_key(&[&["send", "no.such", "--source", "cli"], &at[..]].concat())
        .exits(1)
        .complains("unknown_type");

    let mut stranger = place.command(&[&["dlq", "list"], &at[..]].concat());
    let output = stranger.env("NEXUS_KEY", "nxk_stranger").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("unauthenticated") && said.contains("[[clients]]"),
        "{said}"
    );

    let id = "0190a6e0-0000-7000-8000-000000000001";
    place
        .run_with_key(&[&["explain", id], &at[..]].concat())
        .exits(1)
        .complains("the hub knows no event")
        .complains("or your key may not see it");
    for line in [
        &["explain", "foo"][..],
        &["dlq", "show", "foo"],
        &["dlq", "purge", "foo"],
    ] {
        place
            .run(line)
            .exits(2)
            .complains("an id is a UUID such as");
    }
    let mut two = place.command(&[&["dlq", "list"], &at[..]].concat());
    let output = two.env("NEXUS_KEY", "nxk_a nxk_b").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("what `nexus key new` printed first"),
        "{said}"
    );
}

#[test]
fn who_is_no_hub_is_called_so() {
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", stranger.local_addr().unwrap());
    let lines = [&["tail"][..], &["top"], &["dlq", "list"]];
    let answering = std::thread::spawn(move || {
        for _ in lines {
            let (mut stream, _) = stranger.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let answer =
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi";
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let place = Place::new();
    for line in lines {
        let line = [line, &["--url", &url]].concat();
        place
            .run_with_key(&line)
            .exits(1)
            .complains("is not a Nexus hub");
    }
    answering.join().unwrap();
}

#[test]
fn what_goes_wrong_is_told_to_programs_as_json() {
    let place = Place::new().probe().hub("");
    let hub = place.start();
    let at = ["--json", "--url", &hub.url];
    let error = |line: &[&str], code: i32| {
        let ran = place.run_with_key(&[line, &at].concat()).exits(code);
        assert_eq!(ran.stdout, "", "{ran:?}");
        let mut told: Value = serde_json::from_str(&ran.stderr).unwrap();
        let error = told["error"].take();
        assert_eq!(error["exit_code"], code, "{error}");
        error
    };
    let refused = error(&[&PING[..], &["--payload", r#"{"n": "x"}"#]].concat(), 1);
    assert_eq!(refused["problem"]["code"], "contract_violation");
    assert_eq!(refused["problem"]["errors"][0]["pointer"], "/payload/n");
    let wrong = error(&["explain", "foo"], 2);
    let wrong = wrong["message"].as_str().unwrap();
    assert!(wrong.contains("an id is a UUID such as"), "{wrong}");
    let unread = error(&[&PING[..], &["--file", "absent"]].concat(), 2);
    let unread = unread["message"].as_str().unwrap();
    assert!(unread.contains("absent cannot be read"), "{unread}");
    place
        .run(&["dlq", "list", "--json"])
        .exits(2)
        .complains(r#"{"error":{"exit_code":2,"message":"NEXUS_KEY is not set"#);
}

/// Data is JSON whatever producers write, and means what they wrote.
#[test]
fn control_characters_stay_what_they_are_in_json() {
    let place = Place::new().probe().hub("");
    let hub = place.start();
    let ask = |line: &[&str]| place.run_with_key(&[line, &["--url", &hub.url]].concat());
    let text = "a\u{7f}b\u{9b}2J\u{202e}c";
    let command = serde_json::json!({ "action": "reject", "text": text }).to_string();
    let line = [
        "send",
        "probe.command",
        "--source",
        "cli",
        "--wait",
        "--payload",
        &command,
    ];
    ask(&line).exits(1);
    let ran = ask(&["dlq", "list", "--json"]).exits(0);
    assert_eq!(ran.json()[0]["event"]["payload"]["text"], text);
    assert!(
        !ran.stdout.contains(['\u{7f}', '\u{9b}', '\u{202e}']),
        "{}",
        ran.stdout
    );
}

#[test]
fn what_a_client_may_not_do_is_told() {
    let made = Place::new()
        .run(&["key", "new", "--id", "small", "--json"])
        .exits(0)
        .json();
    let toml = made["toml"].as_str().unwrap();
    let place = Place::new().probe().file(
        "nexus.toml",
        &format!("[server]\nhttp = \"127.0.0.1:0\"\n{toml}\n"),
    );
    let hub = place.start();
    let ask = |line: &[&str]| {
        let mut command = place.command(&[line, &["--url", &hub.url]].concat());
        let output = command
            .env("NEXUS_KEY", made["key"].as_str().unwrap())
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    for line in [
        &["plugin", "list"][..],
        &["dlq", "list"],
        &["dlq", "replay", "--all"],
        &["dlq", "purge", "--all"],
        &PING,
    ] {
        let (code, said) = ask(line);
        assert_eq!(code, Some(1), "{said}");
        assert!(
            said.contains("forbidden") && said.contains("`admin`"),
            "{said}"
        );
    }
}

#[test]
fn dead_letters_are_listed_and_shown() {
    let place = Place::new().probe().hub("");
    let hub = place.start();
    let at = ["--url", hub.url.as_str()];
    let ask = |line: &[&str]| place.run_with_key(&[line, &at].concat());
    ask(&["dlq", "list"]).exits(0).says("no dead letters");

    let command = r#"{"action": "reject", "text": "no good"}"#;
    let line = [
        "send",
        "probe.command",
        "--source",
        "cli",
        "--payload",
        command,
        "--wait",
    ];
    ask(&line)
        .exits(1)
        .says("dead ")
        .says("decided reject")
        .complains("dead letters; see `nexus explain ");

    ask(&["dlq", "list"]).exits(0).says("probe.command");
    let letters = ask(&["dlq", "list", "--json"]).exits(0).json();
    let id = letters[0]["id"].as_str().unwrap();
    let shown = ask(&["dlq", "show", id]).exits(0).json();
    assert_eq!(shown["event"]["type"], "probe.command");
    let event = shown["event"]["event_id"].as_str().unwrap();
    ask(&["dlq", "show", event]).exits(0).says(id);
    ask(&["dlq", "show", "0190a6e0-0000-7000-8000-000000000001"])
        .exits(1)
        .complains("no dead letter has the id");
}

#[test]
fn the_hubs_plugins_are_listed() {
    let bad = "plugins/liba_text.so";
    let place = Place::new().probe().file(bad, "not a library").hub("");
    let hub = place.start();
    let at = ["--url", hub.url.as_str()];
    let ran = place
        .run_with_key(&[&["plugin", "list"], &at[..]].concat())
        .exits(0)
        .says(&format!("plugins of the hub at {}", hub.url))
        .says("not_a_library: ");
    let row = ran
        .stdout
        .lines()
        .find(|line| line.starts_with("probe"))
        .unwrap();
    assert!(
        row.contains("ready") && row.contains("processor echo"),
        "{row}"
    );
    assert!(row.contains("plugins/libprobe.so"), "{row}");
    let json = place
        .run_with_key(&[&["plugin", "list", "--json"], &at[..]].concat())
        .exits(0)
        .json();
    assert_eq!(json["from"], "hub");
}
