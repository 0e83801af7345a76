//! `nexus run`.

use std::io::Read;
use std::net::TcpListener;
use std::process::Stdio;

use crate::harness::Place;

#[test]
fn it_says_how_it_started_and_how_it_ended() {
    for signal in ["TERM", "INT"] {
        let place = Place::new()
            .probe()
            .file("plugins/libtext.so", "not a library")
            .hub("");
        let (code, rest) = place.start().end(signal);
        assert_eq!(code, Some(0), "{rest}");
        for expected in [
            "config   nexus.toml",
            "plugins  1 ready, 1 refused, from plugins",
            "ready    probe ",
            "refused  plugins/libtext.so: not_a_library: ",
            "clients  cli",
            "queue    in memory",
            "stopped after",
        ] {
            assert!(rest.contains(expected), "{expected:?} is missing:\n{rest}");
        }
    }
}

/// A plugin that has started has not said yet that it is well.
#[test]
fn what_is_wrong_with_a_plugin_is_said_from_the_start() {
    let unwell = "[plugins.probe.config]\ndegraded = \"no ink\"\n";
    let (code, rest) = Place::new().probe().hub(unwell).start().end("TERM");
    assert_eq!(code, Some(0), "{rest}");
    for expected in [
        "plugins  0 ready, 1 degraded, from plugins",
        "degraded probe ",
        ": no ink",
    ] {
        assert!(rest.contains(expected), "{expected:?} is missing:\n{rest}");
    }
    let unwanted = "[plugins.probe]\nenabled = false\n";
    let (_, rest) = Place::new().probe().hub(unwanted).start().end("TERM");
    assert!(
        rest.contains("plugins  0 ready, 1 disabled, from plugins"),
        "{rest}"
    );
}

#[test]
fn an_empty_folder_runs_and_says_what_is_missing() {
    let place = Place::new().file("nexus.toml", "[server]\nhttp = \"127.0.0.1:0\"\n");
    let (code, rest) = place.start().end("TERM");
    assert_eq!(code, Some(0), "{rest}");
    assert!(
        rest.contains("plugins  none: no plugin files in plugins"),
        "{rest}"
    );
    assert!(rest.contains("every request will be refused"), "{rest}");
    assert!(rest.contains("nexus key new"), "{rest}");
}

#[test]
fn it_names_who_may_send_and_where_events_wait() {
    let place = Place::new().file(
        "nexus.toml",
        "[server]\nhttp = \"127.0.0.1:0\"\n[queue]\nbackend = \"sqlite\"\n\
         [queue.sqlite]\npath = \"waiting.sqlite\"\n\
         [[webhooks]]\nname = \"shop\"\nscheme = \"none\"\ntype = \"shop.paid\"\n",
    );
    place
        .run(&["check"])
        .exits(0)
        .says("no [[clients]]: only webhooks are taken; `nexus key new` makes a key");
    let (code, rest) = place.start().end("TERM");
    assert_eq!(code, Some(0), "{rest}");
    for expected in [
        "clients  none: only webhooks are taken. Make a key",
        "webhooks shop\n",
        "queue    in waiting.sqlite\n",
    ] {
        assert!(rest.contains(expected), "{expected:?} is missing:\n{rest}");
    }
}

#[test]
fn contract_files_without_plugins_make_a_hub_that_knows_their_types() {
    let place = Place::new()
        .hub("[plugins]\ncontracts_dir = \"contracts\"")
        .file(
            "contracts/paid.json",
            r#"{"type": "shop.paid", "version": "1.0.0", "schema": {"type": "object"}}"#,
        )
        .file("contracts/text.json", "text");
    let (code, rest) = place.start().end("TERM");
    assert_eq!(code, Some(0), "{rest}");
    for expected in [
        "plugins  none: no plugin files in plugins\n",
        "contract files  1 registered, 1 refused, from contracts\n",
        "  refused  text.json: ",
    ] {
        assert!(rest.contains(expected), "{expected:?} is missing:\n{rest}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn it_takes_as_many_descriptors_as_it_may_and_says_when_these_are_few() {
    let place = Place::new().hub("");
    let soft = place.start_limited("-Sn 64");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", soft.id())).unwrap();
    let open = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let [soft_limit, hard_limit, ..] = open.unwrap()["Max open files".len()..]
        .split_whitespace()
        .collect::<Vec<_>>()[..]
    else {
        panic!("{limits}");
    };
    assert_eq!(soft_limit, hard_limit);
    soft.end("TERM");

    let hard = place.start_limited("-n 400");
    hard.end("TERM");
    let log = std::fs::read_to_string(place.path().join("log")).unwrap();
    assert!(log.contains("400 files and sockets open at once"), "{log}");
    assert!(log.contains("server.max_connections (10000)"), "{log}");
}

#[test]
fn a_port_in_use_is_named_with_its_key() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    Place::new()
        .file("nexus.toml", &format!("[server]\nhttp = \"{address}\"\n"))
        .run(&["run"])
        .exits(1)
        .complains(&address)
        .complains("server.http");
}

#[test]
fn a_wrong_configuration_or_a_missing_required_plugin_does_not_start() {
    Place::new()
        .file("nexus.toml", "[queue]\ncapcity = 1\n")
        .run(&["run"])
        .exits(2)
        .complains("nexus.toml:2: queue.capcity: unknown key");
    Place::new()
        .run(&["run", "--config", "absent.toml"])
        .exits(2)
        .complains("absent.toml");
    Place::new()
        .hub("[plugins.probe]\nrequired = true")
        .run(&["run"])
        .exits(1)
        .complains("the required plugin `probe` is not available");
}

#[test]
fn for_programs_the_reports_are_json_lines() {
    let place = Place::new().probe().hub("");
    let mut command = place.command(&["run", "--json"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    std::io::BufRead::read_line(&mut out, &mut first).unwrap();
    let started: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert!(
        started["started"]["http"]
            .as_str()
            .unwrap()
            .starts_with("127.0.0.1:")
    );
    assert_eq!(started["started"]["plugins"][0]["state"], "ready");
    let id = child.id().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success());
    let stopped: serde_json::Value = serde_json::from_str(&rest).unwrap();
    assert_eq!(stopped["stopped"]["drained"], true);
}
