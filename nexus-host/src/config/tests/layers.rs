//! Files over defaults, the environment's file over the first, variables over both.

use std::ffi::OsString;
use std::fs;

use super::*;

fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

fn overridden(text: &str, pairs: &[(&str, &str)]) -> Config {
    loaded(Loader::text(text).variables(variables(pairs)))
}

fn refused(text: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    lines(Loader::text(text).variables(variables(pairs)))
}

#[test]
fn tables_merge_and_the_rest_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nexus.toml");
    fs::write(
        &file,
        "[queue]\ncapacity = 1\nmax_parked = 2\n[retry]\ndelays = [\"1s\", \"2s\"]\n[plugins.a.config]\nx = 1\ny = { z = 1 }\n",
    )
    .unwrap();
    fs::write(
        folder.path().join("nexus.prod.toml"),
        "[queue]\ncapacity = 10\n[retry]\ndelays = [\"5s\"]\n[plugins.a.config]\ny = { w = 2 }\n",
    )
    .unwrap();

    let base = loaded(Loader::new(&file));
    assert_eq!((base.queue.capacity, base.queue.max_parked), (1, 2));

    for config in [
        loaded(Loader::new(&file).env_name("prod")),
        loaded(Loader::new(&file).variables([("NEXUS_ENV", "prod")])),
    ] {
        assert_eq!((config.queue.capacity, config.queue.max_parked), (10, 2));
        assert_eq!(config.retry.delays.len(), 1);
        assert_eq!(
            config.plugin_config("a"),
            serde_json::json!({"x": 1, "y": {"z": 1, "w": 2}})
        );
        assert_eq!(config.plugins.dir, folder.path().join("plugins"));
    }

    let top = loaded(
        Loader::new(&file)
            .env_name("prod")
            .variables([("NEXUS_QUEUE__CAPACITY", "100"), ("NEXUS_ENV", "")]),
    );
    assert_eq!((top.queue.capacity, top.queue.max_parked), (100, 2));
}

#[test]
fn a_mistake_is_told_in_the_layer_it_is_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("hub.toml"), "[queue]\ncapacity = 0\nmax_parked = -1\n").unwrap();
    fs::write(path("hub.dev.toml"), "\n\n[queue]\ncapacity = -5\n").unwrap();
    let told = lines(
        Loader::new(path("hub.toml"))
            .env_name("dev")
            .variables([("NEXUS_DISPATCH__CONCURRENCY", "0")]),
    );
    let at = |name: &str| path(name).display().to_string();
    assert_eq!(
        told,
        [
            format!(
                "{}:4: queue.capacity: must be from 1 to 100000000, found -5",
                at("hub.dev.toml")
            ),
            format!(
                "{}:3: queue.max_parked: must be from 0 to 100000000, found -1",
                at("hub.toml")
            ),
            "NEXUS_DISPATCH__CONCURRENCY: dispatch.concurrency: must be from 1 to 4096, found 0"
                .to_owned(),
        ]
    );

    fs::write(path("hub.toml"), "queue = \n").unwrap();
    fs::write(path("hub.dev.toml"), "= 1\n").unwrap();
    let told = lines(Loader::new(path("hub.toml")).env_name("dev"));
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with(&format!("{}:1: not TOML: ", at("hub.dev.toml"))));
}

#[test]
fn files_that_are_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nexus.toml");
    let at = file.display();
    assert_eq!(
        lines(Loader::new(&file)),
        [format!(
            "{at}: cannot be read: there is no such file; check the path, or `--config`"
        )]
    );
    assert_eq!(
        loaded(
            Loader::new(&file)
                .allow_missing_file()
                .variables([("NEXUS_QUEUE__CAPACITY", "7")])
        )
        .queue
        .capacity,
        7
    );
    let told = lines(Loader::new(folder.path()).allow_missing_file());
    assert!(told[0].contains(": cannot be read: "), "{told:?}");
    fs::write(&file, "").unwrap();
    let beside = folder.path().join("nexus.prdo.toml");
    assert_eq!(
        lines(Loader::new(&file).env_name("prdo")),
        [format!(
            "{}: cannot be read: there is no such file; the environment that NEXUS_ENV names needs its file",
            beside.display()
        )]
    );
    assert_eq!(
        lines(Loader::new(&file).env_name("../x")),
        [
            "NEXUS_ENV: is not the name of an environment; use letters, digits, `-` and `_`, as in `prod`"
        ]
    );
    fs::write(&file, [0xff, 0xfe]).unwrap();
    assert!(lines(Loader::new(&file))[0].contains("cannot be read: it is not UTF-8"));
}

#[test]
fn variables_take_the_type_of_their_key() {
    let config = overridden(
        "[plugins.my-plugin]\nrequired = false\n[plugins.my-plugin.config]\npin = \"0000\"\n",
        &[
            ("NEXUS_SERVER__HTTP", "127.0.0.1:9000"),
            ("NEXUS_QUEUE__Capacity", "50"),
            ("NEXUS_QUEUE__MAX_BYTES", "2000000"),
            ("NEXUS_QUEUE__WHEN_FULL", "\"wait\""),
            ("NEXUS_LIMITS__MAX_BODY", "64KiB"),
            ("NEXUS_RETRY__DELAYS", "[\"1s\", \"9s\"]"),
            ("NEXUS_RETRY__JITTER", "1"),
            ("NEXUS_BREAKER", "{ failures = 9 }"),
            ("NEXUS_OBSERVE__LOG_LEVEL", "debug"),
            ("NEXUS_PLUGINS__MY_PLUGIN__REQUIRED", "true"),
            ("NEXUS_PLUGINS__MY_PLUGIN__CONFIG__PIN", "1234"),
            (
                "NEXUS_PLUGINS__TOASTY__CONFIG__ENDPOINT",
                "http://127.0.0.1:1",
            ),
            ("NEXUS_PLUGINS__TOASTY__CONFIG__DEEP__RATE", "1.5"),
            ("NEXUS_PLUGINS__TOASTY__SHA256", &hash('1')),
            (
                "NEXUS_CLIENTS",
                &format!("[{{ id = \"x\", key_sha256 = \"{}\" }}]", hash('c')),
            ),
        ],
    );
    assert_eq!(config.server.http.port(), 9000);
    assert_eq!(config.queue.capacity, 50);
    assert_eq!(config.queue.max_bytes.bytes(), 2_000_000);
    assert_eq!(config.queue.when_full, crate::queue::config::WhenFull::Wait);
    assert_eq!(config.limits.max_body.bytes(), 65_536);
    assert_eq!(config.retry.delays[1].as_secs(), 9);
    assert_eq!(config.retry.jitter, 1.0);
    assert_eq!(config.breaker.failures, 9);
    assert_eq!(config.observe.log_level, "debug");
    assert!(config.plugins.named["my-plugin"].required);
    assert_eq!(config.plugin_config("my_plugin")["pin"], "1234");
    assert_eq!(
        config.plugin_config("toasty"),
        serde_json::json!({"endpoint": "http://127.0.0.1:1", "deep": {"rate": 1.5}})
    );
    assert_eq!(config.clients[0].id, "x");
}

#[test]
fn variables_that_are_no_overrides() {
    let config = overridden(
        "",
        &[
            ("NEXUS_KEY", "k"),
            ("NEXUS_LOG", "debug"),
            ("NEXUS_CONFIG", "x.toml"),
            ("NEXUS_SERVICE_HOST", "10.0.0.1"),
            ("NEXUS_SERVER_SERVICE_PORT", "80"),
            ("NEXUS_PORT", "tcp://10.0.0.1:80"),
            ("QUEUE__CAPACITY", "0"),
        ],
    );
    assert_eq!(config.queue.capacity, 1000);
}

#[test]
fn mistakes_in_variables_name_them() {
    let deep = format!("NEXUS_PLUGINS__A__CONFIG{}", "__A".repeat(40));
    assert_eq!(
        refused(
            "[queue]\ncapacity = 0\n",
            &[
                ("NEXUS_QEUE__CAPACITY", "1"),
                ("NEXUS_QUEUE__CAPACITY", "ten"),
                ("NEXUS_QUEUE__CAPCITY", "1"),
                ("NEXUS_QUEUE_MAX_PARKED", "1"),
                ("NEXUS_RETRY__DELAYS__0", "1s"),
                ("NEXUS_SERVER__HTTP__PORT", "1"),
                ("NEXUS_SERVER__", "1"),
                ("NEXUS_SERVER__Http", "127.0.0.1:1"),
                ("NEXUS_SERVER__HTTP", "127.0.0.1:2"),
                ("NEXUS_CLIENTS", "x"),
                (&deep, "x"),
            ],
        ),
        [
            "NEXUS_CLIENTS: clients: expected a list, found a string",
            &format!("{deep}: is nested deeper than 32 keys"),
            "NEXUS_QEUE__CAPACITY: qeue: unknown section; did you mean `queue`?",
            "NEXUS_QUEUE_MAX_PARKED: queue.max_parked: is not set by this; write two underscores after the section: NEXUS_QUEUE__MAX_PARKED",
            "NEXUS_QUEUE__CAPACITY: queue.capacity: expected an integer, found a string (\"ten\")",
            "NEXUS_QUEUE__CAPCITY: queue.capcity: unknown key; did you mean `capacity`?",
            "NEXUS_RETRY__DELAYS__0: retry.delays.0: `retry.delays` has no keys; a list is set as a whole, as in '[\"a\", \"b\"]'",
            "NEXUS_SERVER__: server.\"\": unknown key; known are `ack_timeout`, `body_timeout`, `dashboard`, `grpc`, `header_timeout`, `http`, `idle_timeout`, `max_connections`, `max_connections_per_peer`, `tls`, `webhook_origins`, `websocket`",
            "NEXUS_SERVER__HTTP__PORT: server.http.port: `server.http` has no keys; it holds one value",
            "NEXUS_SERVER__Http: server.http: is set by NEXUS_SERVER__HTTP as well; unset one of them",
        ]
    );
}

#[cfg(unix)]
#[test]
fn variables_that_are_not_text() {
    use std::os::unix::ffi::OsStringExt;
    let bytes = OsString::from_vec(vec![0xff]);
    let loader = Loader::text("[plugins.a.config]\nk = { env = \"BAD\" }\n").variables([
        (OsString::from("NEXUS_QUEUE__CAPACITY"), bytes.clone()),
        (OsString::from("BAD"), bytes.clone()),
        (bytes, OsString::from("x")),
    ]);
    assert_eq!(
        lines(loader),
        [
            "config:2: plugins.a.config.k: the environment variable `BAD` is not UTF-8; give the secret in a file instead",
            "NEXUS_QUEUE__CAPACITY: queue.capacity: is not UTF-8",
        ]
    );
}
