//! `nexus check`.

use crate::harness::{Place, library};

#[test]
fn a_good_configuration_is_ok() {
    let place = Place::new().probe().hub("[plugins.probe]\nrequired = true");
    place.run(&["check"]).exits(0).says("ok: nexus.toml");
    let json = place.run(&["check", "--json"]).exits(0).json();
    assert_eq!(json["ok"], true);
    assert_eq!(json["problems"], serde_json::json!([]));
}

#[test]
fn without_a_file_the_defaults_hold_and_that_is_said() {
    Place::new()
        .run(&["check"])
        .exits(0)
        .says("no nexus.toml in this folder: every setting has its default")
        .says("there is no plugins folder plugins")
        .says("no [[clients]]: every request will be refused")
        .says("ok: the defaults");
}

#[test]
fn a_named_file_must_be_there() {
    let place = Place::new();
    place
        .run(&["--config", "other.toml", "check"])
        .exits(2)
        .says("other.toml: cannot be read: there is no such file");
    let mut command = place.command(&["check"]);
    let output = command.env("NEXUS_CONFIG", "other.toml").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_program_for_workers_that_is_not_there_is_told() {
    let place = Place::new().file("nexus.toml", "[plugins]\nworker = \"absent\"\n");
    place
        .run(&["check"])
        .exits(2)
        .says("nexus.toml:2: plugins.worker: there is no file ");
}

#[test]
fn every_mistake_is_told_at_once() {
    let place = Place::new()
        .probe()
        .file("plugins/libtext.so", "not a library")
        .file(
            "nexus.toml",
            "[plugins.probe.config]\nevery_ms = \"often\"\nfail_inti = true\n\n\
             [plugins.absent]\n\n[plugins.needed]\nrequired = true\n",
        );
    let ran = place
        .run(&["check"])
        .exits(2)
        .says("nexus.toml:2: plugins.probe.config.every_ms: ")
        .says(
            "nexus.toml:3: plugins.probe.config.fail_inti: unknown key; did you mean `fail_init`?",
        )
        .says("nexus.toml:5: plugins.absent: there is no such plugin in plugins")
        .says("nexus.toml:7: plugins.needed: the required plugin is not in plugins");
    assert!(!ran.stdout.contains("ok:"), "{ran:#?}");
    if cfg!(target_os = "linux") {
        let ran = ran.says("plugins/libtext.so: not_a_library: ");
        drop(ran);
        let json = place.run(&["check", "--json"]).exits(2).json();
        assert_eq!(json["ok"], false);
        assert_eq!(json["refused"][0]["code"], "not_a_library");
        assert_eq!(json["problems"][0]["line"], 2);
    }
}

#[test]
fn a_second_file_of_a_plugin_is_told_also_where_its_settings_are_wrong() {
    let settings = "[plugins.probe.config]\nevery_ms = \"often\"";
    let place = Place::new().probe().hub(settings);
    let plugins = place.path().join("plugins");
    let again = format!("z{}", library("probe"));
    std::fs::copy(plugins.join(library("probe")), plugins.join(&again)).unwrap();
    let wrong = "plugins.probe.config.every_ms: expected an integer";
    let ran = place
        .run(&["check"])
        .exits(2)
        .says(wrong)
        .says(&format!("{again}: duplicate_id: the id probe is taken by"));
    assert_eq!(ran.stdout.matches(wrong).count(), 1, "{ran:?}");
    drop(place.start());
    let log = std::fs::read_to_string(place.path().join("log")).unwrap();
    let refused: Vec<_> = log
        .lines()
        .filter(|line| line.contains("plugin refused"))
        .collect();
    assert!(refused[0].contains("bad_config"), "{refused:?}");
    assert!(refused[1].contains("duplicate_id"), "{refused:?}");
}

#[test]
fn mistakes_in_the_hubs_own_settings_do_not_hide_bad_files() {
    let bad = format!("plugins/{}", library("text"));
    Place::new()
        .file(&bad, "not a library")
        .file(
            "nexus.toml",
            "[queue]\ncapcity = 5\n[shutdown]\ntimeout = 30\n",
        )
        .run(&["check"])
        .exits(2)
        .says("nexus.toml:2: queue.capcity: unknown key; did you mean `capacity`?")
        .says("nexus.toml:4: shutdown.timeout: ")
        .says("not_a_library");
}

#[test]
fn a_refused_file_alone_fails_and_a_disabled_one_does_not() {
    let bad = format!("plugins/{}", library("text"));
    let place = Place::new().file(&bad, "not a library").hub("");
    place.run(&["check"]).exits(1).says("not_a_library");

    let place = Place::new().probe().hub("[plugins.probe]\nenabled = false");
    place.run(&["check"]).exits(0).says("ok:");
}

#[test]
fn a_file_with_another_hash_is_refused_and_so_is_the_start_that_needs_it() {
    let hash = "0".repeat(64);
    let settings = format!("[plugins.probe]\nrequired = true\nsha256 = \"{hash}\"");
    Place::new()
        .probe()
        .hub(&settings)
        .run(&["check"])
        .exits(2)
        .says("plugins.probe.required: the plugin would be refused, and the hub would not start")
        .says("wrong_hash: ");
}

#[test]
fn a_webhook_that_anybody_may_call_is_pointed_out() {
    let webhook = |scheme: &str| {
        Place::new().hub(&format!(
            "[[webhooks]]\nname = \"door\"\nscheme = \"{scheme}\"\ntype = \"door.rung\""
        ))
    };
    webhook("none")
        .run(&["check"])
        .exits(0)
        .says("note: webhook `door` has scheme = \"none\"");
    webhook("github")
        .run(&["check"])
        .exits(2)
        .says("scheme = \"github\" needs at least one secret");
}

#[test]
fn a_webhook_whose_type_has_no_contract_is_pointed_out() {
    let hub = |event_type: &str| {
        Place::new()
            .probe()
            .file(
                "contracts/door.json",
                r#"{"type": "door.rung", "version": "1.0.0", "schema": {"type": "object"}}"#,
            )
            .hub(&format!(
                "[plugins]\ncontracts_dir = \"contracts\"\n\
                 [[webhooks]]\nname = \"door\"\nscheme = \"none\"\ntype = \"{event_type}\""
            ))
    };
    let warning = "warning: webhook `door` makes events of the type `door.opened`, for which";
    hub("door.opened").run(&["check"]).exits(0).says(warning);
    for known in ["door.rung", "probe.ping"] {
        let told = hub(known).run(&["check"]).exits(0).stdout;
        assert!(!told.contains("makes events"), "{told}");
    }
}

#[test]
fn clients_that_can_do_nothing_are_pointed_out() {
    let client = |more: &str| Place::new().hub(&format!("[[clients]]\nid = \"odd\"\n{more}"));
    let key = |ends: &str| format!("keys = [{{ sha256 = \"{0:a>64}\", {ends} }}]", "");
    let (over, lasting) = ("expires_at = \"2020-01-01T00:00:00Z\"", "");
    for (more, told) in [
        (
            key(over),
            "warning: client `odd` has keys that have all expired",
        ),
        (
            format!("{}\nsources = [\"*\"]", key(lasting)),
            "warning: client `odd` has sources and no types",
        ),
        (
            key(lasting),
            "warning: client `odd` has no sources and types, and neither `admin` nor `metrics`",
        ),
        (
            format!("{}\nsources = [\"*\"]\ntypes = [\"A.B\"]", key(lasting)),
            "warning: client `odd` has types with `A.B`, which is the name of no type",
        ),
    ] {
        client(&more.replace(",  }", " }"))
            .run(&["check"])
            .exits(0)
            .says(told);
    }
}

#[test]
fn certificates_and_keys_that_cannot_be_read_are_told_before_the_start() {
    let place = Place::new().hub(
        "[server.tls]\ncertificate = \"hub.pem\"\nkey = \"hub-key.pem\"\n\
         [[issuers]]\nissuer = \"login\"\naudience = \"hub\"\njwks_file = \"keys.json\"",
    );
    place
        .run(&["check"])
        .exits(2)
        .says("server.tls.certificate: the hub would not start: failed to read ")
        .says("warning: nexus.toml:6: issuer login: the file ")
        .says("keys.json cannot be read");
    place
        .run(&["run"])
        .exits(1)
        .complains("server.tls.certificate");
    let place = place
        .file("hub.pem", "no certificate")
        .file("keys.json", r#"{"keys": []}"#);
    let told = place.run(&["check"]).exits(2);
    told.says("hub.pem, which server.tls.certificate names: there is no certificate in it");
}

#[test]
fn a_collector_that_could_not_be_reached_is_told_before_the_start() {
    let traces = |more: &str| Place::new().hub(&format!("[observe.traces]\n{more}\n"));
    let https = "endpoint = \"https://collector.example:4317\"\nca_file = \"ca.pem\"";
    let place = traces(https);
    place
        .run(&["check"])
        .exits(2)
        .says("observe.traces.ca_file: the hub would not start: ")
        .says("ca.pem");
    let place = place.file("ca.pem", "no certificate");
    let told = place.run(&["check"]).exits(2);
    told.says("there is no certificate in it");
    let told = traces("endpoint = \"http://me:secret@collector.example:4317\"");
    let told = told.run(&["check"]).exits(2);
    told.says("observe.traces.endpoint: has a name and a password in it");
}

#[test]
fn an_alert_that_could_never_be_raised_is_refused() {
    let rule = |above: f64| {
        Place::new().hub(&format!(
            "[[alerts.rules]]\nname = \"most_fail\"\nabove = {above:?}"
        ))
    };
    rule(0.9).run(&["check"]).exits(0);
    let told = rule(1.0).run(&["check"]).exits(2);
    told.says("alerts.rules[0].above: is never reached");
}

#[test]
fn what_is_wrong_in_routes_is_told_with_its_line() {
    Place::new()
        .probe()
        .hub(
            "[[routes]]\nname = \"urgent\"\ntypes = [\"probe.ping\"]\nwhen = 'payloadd.n == 1'\n\
             [[routes.actions]]\nnotify = \"recorder\"\nrequest = { note = \"{{ payload.note\" }\n\
             [[routes.actions]]\nemit = { type = \"nexus.own\" }\n\
             [[routes]]\nname = \"urgent\"\ntypes = [\"probe.ping\"]\nactins = []\nactions = [{}]",
        )
        .run(&["check"])
        .exits(2)
        .says("nexus.toml:6: routes[0].when: names `payloadd`; there are `payload` and `event`")
        .says("nexus.toml:9: routes[0].actions[0].request.note: has a `{{` without its `}}`")
        .says("nexus.toml:11: routes[0].actions[1].emit.type: types that begin with `nexus.` are the hub's own")
        .says("nexus.toml:13: routes[1].name: is the name of another route, at nexus.toml:4")
        .says("nexus.toml:15: routes[1].actins: unknown key; did you mean `actions`?")
        .says("nexus.toml:16: routes[1].actions[0]: does nothing");
}

#[test]
fn what_no_plugin_has_and_a_route_names_is_pointed_out() {
    let hub = |event_type: &str, action: &str| {
        Place::new().probe().hub(&format!(
            "[[routes]]\nname = \"urgent\"\ntypes = [\"{event_type}\"]\nactions = [{{ {action} }}]"
        ))
    };
    for (event_type, action, told) in [
        (
            "door.rung",
            "notify = \"recorder\"",
            "warning: route `urgent` takes events of the type `door.rung`, for which there is no contract",
        ),
        (
            "probe.ping",
            "emit = { type = \"door.rung\" }",
            "warning: route `urgent` makes events of the type `door.rung`, for which there is no contract",
        ),
        (
            "nexus.approval.answred",
            "notify = \"recorder\"",
            "warning: route `urgent` takes events of the type `nexus.approval.answred`, for which there is no",
        ),
        (
            "probe.ping",
            "notify = \"desk\"",
            "warning: route `urgent` notifies `desk`, an integration that no plugin in the folder has",
        ),
        (
            "probe.ping",
            "notify = \"other/recorder\"",
            "warning: route `urgent` notifies `other/recorder`, an integration that no plugin",
        ),
    ] {
        hub(event_type, action).run(&["check"]).exits(0).says(told);
    }
    for (event_type, action) in [
        ("probe.ping", "notify = \"recorder\""),
        ("nexus.approval.answered", "notify = \"probe/recorder\""),
        ("door.*", "emit = { type = \"probe.ping\" }"),
    ] {
        let told = hub(event_type, action).run(&["check"]).exits(0).stdout;
        assert!(!told.contains("warning: route"), "{told}");
    }
}

#[test]
fn a_header_that_no_collector_can_be_sent_is_found() {
    for header in [
        "\"a b\" = { env = \"OTLP\" }",
        "authorization = { env = \"OTLP\" }",
    ] {
        let place = Place::new().file(
            "nexus.toml",
            &format!(
                "[observe.traces]\nendpoint = \"http://127.0.0.1:4317\"\nheaders = {{ {header} }}\n"
            ),
        );
        let mut command = place.command(&["check"]);
        let ended = command.env("OTLP", "two\nlines").output().unwrap();
        let said = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(said.contains("is no header that can be sent"), "{said}");
        assert!(!said.contains("two"), "{said}");
    }
}
