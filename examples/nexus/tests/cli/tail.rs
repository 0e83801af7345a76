//! `nexus tail`: events as they come.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::harness::{KEY, Place};

/// A tail that runs, until it is dropped.
struct Tailing {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Tailing {
    fn start(place: &Place, url: &str, options: &[&str]) -> Self {
        let mut command = place.command(&[&["tail", "--url", url], options].concat());
        command.env("NEXUS_KEY", KEY).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// Sends events until it has ended by itself; what it said, and how it ended.
    fn ends(mut self, mut send: impl FnMut()) -> (Vec<String>, Option<i32>) {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            send();
        };
        let lines = (&mut self.lines).lines().map(Result::unwrap).collect();
        (lines, status.code())
    }
}

impl Drop for Tailing {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn send(place: &Place, url: &str, source: &str) {
    let options = ["--source", source, "--payload", r#"{"n": 7}"#];
    let line = [&["send", "probe.ping", "--url", url], &options[..]].concat();
    place.run_with_key(&line).exits(0);
}

#[test]
fn events_are_shown_as_they_come_by_type_and_source() {
    let place = Place::new().probe().hub("");
    let hub = place.start();
    let url = hub.url.as_str();
    let options = ["--type", "probe.*", "--source", "door", "--count", "2"];
    let json = [&options[..], &["--json"]].concat();
    let payload = [&options[..], &["--payload"]].concat();
    let both = || {
        send(&place, url, "window");
        send(&place, url, "door");
    };

    let (lines, code) = Tailing::start(&place, url, &options).ends(both);
    assert_eq!((lines.len(), code), (2, Some(0)), "{lines:?}");
    assert!(
        lines[0].contains("normal    probe.ping  from door  "),
        "{lines:?}"
    );
    let (lines, _) = Tailing::start(&place, url, &payload).ends(both);
    assert_eq!(lines[1].trim(), r#"{"n":7}"#);
    let (lines, _) = Tailing::start(&place, url, &json).ends(both);
    let events: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        events.iter().all(|event| event["source"] == "door"),
        "{events:?}"
    );

    place
        .run(&["tail", "--url", url])
        .exits(2)
        .complains("NEXUS_KEY");
    let nobody = ["tail", "--url", "http://127.0.0.1:9"];
    place.run_with_key(&nobody).exits(1).complains("nexus run");
}

/// As with `| head -1`: no other event has to come first.
#[cfg(unix)]
#[test]
fn whoever_reads_no_more_ends_what_goes_on() {
    let place = Place::new().probe().hub("");
    let hub = place.start();
    for line in [&["tail"][..], &["top", "--json"]] {
        let mut command = place.command(&[line, &["--url", &hub.url]].concat());
        command.env("NEXUS_KEY", KEY);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| {
                while !place.path().join("read").exists() {
                    send(&place, &hub.url, "door");
                }
            });
            assert_ne!(out.read_line(&mut String::new()).unwrap(), 0, "{line:?}");
            std::fs::write(place.path().join("read"), "").unwrap();
            sending.join().unwrap();
        });
        std::fs::remove_file(place.path().join("read")).unwrap();
        drop(out);
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(
            (ended.status.code(), said.as_str()),
            (Some(0), ""),
            "{line:?}"
        );
    }
}

/// A full disk is no reader that has gone.
#[cfg(target_os = "linux")]
#[test]
fn an_output_that_takes_no_more_ends_it_with_an_error() {
    let place = Place::new().probe().hub("");
    let hub = place.start();
    let full = std::fs::File::create("/dev/full").unwrap();
    let mut command = place.command(&["top", "--json", "--url", &hub.url]);
    command.env("NEXUS_KEY", KEY);
    let ended = command.stdout(full).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("standard output has not taken"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_hub_that_goes_is_waited_for() {
    let place = Place::new().probe().hub("");
    let hub = place.start();
    let url = hub.url.clone();
    let mut tail = Tailing::start(&place, &url, &["--count", "1000"]);
    let mut seen = String::new();
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| (0..50).for_each(|_| send(&place, &url, "before")));
        tail.lines.read_line(&mut seen).unwrap();
        sending.join().unwrap();
    });
    assert!(seen.contains("from before"), "{seen}");
    hub.end("KILL");
    let config = std::fs::read_to_string(place.path().join("nexus.toml")).unwrap();
    let address = url.trim_start_matches("http://");
    let place = place.file("nexus.toml", &config.replace("127.0.0.1:0", address));
    let _again = place.start();
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            while !place.path().join("seen").exists() {
                send(&place, &url, "after");
            }
        });
        while !seen.contains("from after") {
            seen.clear();
            assert_ne!(tail.lines.read_line(&mut seen).unwrap(), 0, "it has ended");
        }
        std::fs::write(place.path().join("seen"), "").unwrap();
        sending.join().unwrap();
    });
}

#[test]
fn what_happens_to_events_is_shown_by_stage() {
    let place = Place::new().probe().hub("");
    let hub = place.start();
    let url = hub.url.as_str();
    let all = [
        "--stage", "all", "--json", "--type", "probe.*", "--count", "12",
    ];
    let (lines, code) = Tailing::start(&place, url, &all).ends(|| send(&place, url, "door"));
    assert_eq!(code, Some(0));
    let steps: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |id: &Value| -> Vec<String> {
        let own = steps.iter().filter(|step| step["event_id"] == *id);
        own.map(|step| step["stage"].as_str().unwrap().to_owned())
            .collect()
    };
    // The first may have begun before anybody watched.
    let second = steps
        .iter()
        .rfind(|step| step["stage"] == "leased")
        .unwrap();
    let whole = steps
        .iter()
        .map(|step| of(&step["event_id"]))
        .max_by_key(Vec::len)
        .unwrap();
    assert_eq!(second["type"], "probe.ping");
    let mut sorted = whole.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        ["accepted", "delivered", "finished", "leased", "processed"],
        "{whole:?}"
    );

    let refused = ["--stage", "refused", "--type", "probe.*", "--count", "1"];
    let wrong = || {
        let line = [
            "send",
            "probe.ping",
            "--source",
            "door",
            "--url",
            url,
            "--payload",
            "{}",
        ];
        place.run_with_key(&line).exits(1);
        send(&place, url, "door");
    };
    let (lines, _) = Tailing::start(&place, url, &refused).ends(wrong);
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].contains("probe.ping") && lines[0].contains("refused at http: contract_violation"),
        "{lines:?}"
    );
    let unknown = ["tail", "--url", url, "--stage", "eaten"];
    place
        .run_with_key(&unknown)
        .exits(2)
        .complains("delivery_failed");
}

#[test]
fn the_hub_is_shown_at_a_glance() {
    let place = Place::new().probe().hub("");
    let hub = place.start();
    let url = hub.url.as_str();
    send(&place, url, "door");
    let shown = place.run_with_key(&["top", "--url", url]).exits(0);
    shown.says("what is not well").says("of 1000 events");
    let told = place.run_with_key(&["top", "--url", url, "--json", "--count", "1"]);
    assert_eq!(
        told.exits(0).json()["hub"]["version"],
        env!("CARGO_PKG_VERSION")
    );
    let nobody = ["top", "--url", "http://127.0.0.1:9"];
    place.run_with_key(&nobody).exits(1).complains("nexus run");
}
