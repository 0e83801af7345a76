//! Every kind of mistake is told in one exact line, and all of them at once.

use super::*;

#[test]
fn the_defaults_are_free_of_mistakes() {
    assert_eq!(Config::default().check(), Ok(()));
    assert_eq!(told(""), [""; 0]);
}

#[test]
fn unknown_keys_and_sections() {
    assert_eq!(
        told("[queue]\n\ncapcity = 5\nzzz = 1\n[qeue]\n[policy]\n[queue.sqlite]\npth = \"x\"\n"),
        [
            "config:3: queue.capcity: unknown key; did you mean `capacity`?",
            "config:4: queue.zzz: unknown key; known are `backend`, `capacity`, `dead_letter_capacity`, `dedup_capacity`, `dedup_window`, `journal_capacity`, `max_bytes`, `max_parked`, `sqlite`, `wait_timeout`, `when_full`",
            "config:5: qeue: unknown section; did you mean `queue`?",
            "config:6: policy: unknown section; known are `alerts`, `approvals`, `breaker`, `clients`, `dispatch`, `issuers`, `limits`, `observe`, `outgoing`, `plugins`, `queue`, `retry`, `routes`, `rules`, `server`, `shutdown`, `webhooks`",
            "config:8: queue.sqlite.pth: unknown key; did you mean `path`?",
        ]
    );
}

#[test]
fn wrong_types() {
    assert_eq!(
        told(
            "queue = 3\n[dispatch]\nconcurrency = \"ten\"\n[retry]\ndelays = [\"1s\", 2]\njitter = true\n[limits]\nmax_body = 1.5\nmax_keys = 5.0\n[shutdown]\ntimeout = 30\n[breaker]\nfailures = {}\n"
        ),
        [
            "config:1: queue: expected a table, found an integer (3)",
            "config:3: dispatch.concurrency: expected an integer, found a string (\"ten\")",
            "config:5: retry.delays[1]: expected a string, found an integer (2); write a number with its unit, such as \"30s\", \"500ms\" or \"1h30m\" (d, h, m, s, ms, us, ns)",
            "config:6: retry.jitter: expected a number, found a boolean (true)",
            "config:8: limits.max_body: expected a string or an integer, found a number with a fraction (1.5); write a number of bytes, or a text such as \"64KiB\" or \"1MiB\"",
            "config:9: limits.max_keys: expected an integer, found a number with a fraction (5.0)",
            "config:11: shutdown.timeout: expected a string, found an integer (30); write a number with its unit, such as \"30s\", \"500ms\" or \"1h30m\" (d, h, m, s, ms, us, ns)",
            "config:13: breaker.failures: expected an integer, found a table",
        ]
    );
}

#[test]
fn out_of_range() {
    assert_eq!(
        told(
            "[queue]\ncapacity = 0\nmax_parked = -1\n[dispatch]\nconcurrency = 5000\n[retry]\njitter = 1.5\nmax_retries = 101\n[limits]\nmax_body = -1\nmax_depth = 129\nmax_string = 0\n"
        ),
        [
            "config:2: queue.capacity: must be from 1 to 100000000, found 0",
            "config:3: queue.max_parked: must be from 0 to 100000000, found -1",
            "config:5: dispatch.concurrency: must be from 1 to 4096, found 5000",
            "config:7: retry.jitter: must be from 0 to 1, found 1.5",
            "config:8: retry.max_retries: must be from 0 to 100, found 101",
            "config:10: limits.max_body: must be from 0 to 1099511627776, found -1",
            "config:11: limits.max_depth: must be from 1 to 128, found 129",
            "config:12: limits.max_string: must be at least 1B; write a size such as \"256KiB\"",
        ]
    );
}

#[test]
fn times_of_nothing() {
    let told = told(
        "[server]\nheader_timeout = \"0s\"\nbody_timeout = \"0s\"\nidle_timeout = \"0s\"\nack_timeout = \"0s\"\n\
         [queue]\nwait_timeout = \"0s\"\ndedup_window = \"0s\"\n\
         [dispatch]\nprocessor_timeout = \"0s\"\nintegration_timeout = \"0s\"\n\
         [retry]\ndelays = [\"1s\", \"0s\"]\n[breaker]\nwindow = \"0s\"\nopen_for = \"0s\"\n\
         [shutdown]\ntimeout = \"0s\"\ndrain_timeout = \"0s\"\n[plugins]\ninit_timeout = \"0s\"\n",
    );
    let lines: Vec<&str> = told
        .iter()
        .filter_map(|line| line.split(':').nth(1))
        .collect();
    assert_eq!(
        lines,
        [
            "2", "3", "4", "5", "7", "8", "10", "11", "13", "15", "16", "18", "21"
        ],
        "{told:#?}"
    );
    assert!(
        told.iter().all(|line| line.contains("be more than 0s; ")),
        "{told:#?}"
    );
}

#[test]
fn bad_texts() {
    let duration = "write a number with its unit, such as \"30s\", \"500ms\" or \"1h30m\" (d, h, m, s, ms, us, ns)";
    assert_eq!(
        told(
            "[server]\nhttp = \"localhost\"\nheader_timeout = \"10\"\nbody_timeout = \"0s\"\nidle_timeout = \"1M\"\nack_timeout = \"1000d\"\n[limits]\nmax_body = \"big\"\nmax_string = \"2TiB\"\n[observe]\nlog_level = \"inof\"\nlog_format = \"prety\"\n"
        ),
        [
            "config:2: server.http: \"localhost\" is not an address; write an IP address and a port, such as \"127.0.0.1:7070\" or \"[::]:7070\"".to_owned(),
            format!("config:3: server.header_timeout: \"10\" is not a duration; {duration}"),
            "config:4: server.body_timeout: must be more than 0s; write a duration such as \"10s\"".to_owned(),
            format!("config:5: server.idle_timeout: \"1M\" is not a duration; {duration}"),
            "config:6: server.ack_timeout: \"1000d\" is too long a duration; at most 366d".to_owned(),
            "config:8: limits.max_body: \"big\" is not a size; write a number of bytes, or a text such as \"64KiB\" or \"1MiB\"".to_owned(),
            "config:9: limits.max_string: \"2TiB\" is too large a size; at most 1TiB".to_owned(),
            "config:11: observe.log_level: \"inof\" is not a log filter; write a level (off, error, warn, info, debug, trace) or a filter such as \"info,nexus_host=debug\"".to_owned(),
            "config:12: observe.log_format: must be one of \"pretty\", \"json\", found \"prety\"; did you mean \"pretty\"?".to_owned(),
        ]
    );
}

#[test]
fn choices() {
    assert_eq!(
        told(
            "[queue]\nbackend = \"sqlit\"\nwhen_full = \"drop_oldes\"\n[dispatch]\nordering = 1\n"
        ),
        [
            "config:2: queue.backend: must be one of \"memory\", \"sqlite\", found \"sqlit\"; did you mean \"sqlite\"?",
            "config:3: queue.when_full: must be one of \"reject\", \"wait\", \"drop_oldest\", \"drop_lowest\", found \"drop_oldes\"; did you mean \"drop_oldest\"?",
            "config:5: dispatch.ordering: must be one of \"lane\", \"none\", found 1",
        ]
    );
}

#[test]
fn options_that_do_not_go_together() {
    assert_eq!(
        told(
            "[shutdown]\ntimeout = \"10s\"\n[retry]\ndelays = []\n[queue]\nmax_bytes = \"1KiB\"\n[plugins.a]\nrequired = true\nenabled = false\n"
        ),
        [
            "config:2: shutdown.timeout: drain_timeout (20s) must be less than timeout (10s); the rest is the time to persist and to close",
            "config:4: retry.delays: delays must hold at least one when max_retries is 3; write delays such as [\"1s\", \"2s\"], or max_retries = 0",
            "config:6: queue.max_bytes: queue.max_bytes (1KiB) must be at least limits.max_body (1MiB); an event of the largest size allowed would never fit",
            "config:8: plugins.a.required: a plugin that is not enabled cannot be required; take one of the two out",
        ]
    );
    assert_eq!(told("[retry]\nmax_retries = 0\ndelays = []\n"), [""; 0]);
    for (text, start) in [
        (
            "[server]\nhttp = \"127.0.0.1:81\"\ngrpc = \"127.0.0.1:81\"\n",
            "config:3: server.grpc: is the address of both servers",
        ),
        (
            "[queue.sqlite]\npath = \"x.db\"\n",
            "config:2: queue.sqlite.path: is set, and the queue is in memory",
        ),
        (
            "[[clients]]\nid = \"a\"\ncertificate_subject = \"a\"\n",
            "config:3: clients[0].certificate_subject: the server asks nobody",
        ),
        (
            "[[clients]]\nid = \"a\"\nkey_sha256 = \"0a\"\nhmac_window = \"1m\"\n",
            "config:4: clients[0].hmac_window: nothing is signed",
        ),
    ] {
        let text = text.replace("0a", &hash('a'));
        let told = lines(Loader::text(text).variables([("S", "0123456789abcdef")]));
        assert!(told.len() == 1 && told[0].starts_with(start), "{told:#?}");
    }
    for good in [
        "[server]\nhttp = \"127.0.0.1:0\"\ngrpc = \"127.0.0.1:0\"\n",
        "[queue]\nbackend = \"memory\"\nsqlite.path = \"x.db\"\n",
    ] {
        assert_eq!(told(good), [""; 0], "{good}");
    }
}

#[test]
fn a_wrong_value_is_not_blamed_twice() {
    // Its default (20s) would be more than the timeout, but nobody chose it.
    assert_eq!(
        told("[shutdown]\ntimeout = \"10s\"\ndrain_timeout = 5\n"),
        [
            "config:3: shutdown.drain_timeout: expected a string, found an integer (5); write a number with its unit, such as \"30s\", \"500ms\" or \"1h30m\" (d, h, m, s, ms, us, ns)"
        ]
    );
}

#[test]
fn clients() {
    let (a, b) = (hash('a'), hash('b'));
    let text = format!(
        "[[clients]]\nid = \"one\"\nkey_sha256 = \"{a}\"\nsources = [\"a.*\", \"*.b\"]\nburst = 5\n\
         [[clients]]\nid = \"one\"\nkey_sha256 = \"{a}\"\nrate = 0\n\
         [[clients]]\nid = \"\"\nkey_sha256 = \"{b}0\"\nrole = \"x\"\n\
         [[clients]]\nkey_sha256 = \"{b}\"\nrate = 1\nburst = 0\n"
    );
    assert_eq!(
        told(&text),
        [
            "config:4: clients[0].sources[1]: the value is not a name, `*` or `prefix.*` (the only wildcards there are)",
            "config:5: clients[0].burst: burst needs rate; give the events per second as `rate`, or leave `burst` out",
            "config:7: clients[1].id: is the id of another client, at config:2; give each client its own",
            "config:8: clients[1].key_sha256: is the key of another client, at config:3; make a key for each client",
            "config:9: clients[1].rate: must be more than 0 and at most 1000000000",
            "config:11: clients[2].id: must not be empty",
            "config:12: clients[2].key_sha256: the value is not a sha256; write its 64 hexadecimal digits",
            "config:13: clients[2].role: unknown key; known are `admin`, `burst`, `certificate_sha256`, `certificate_subject`, `hmac`, `hmac_window`, `id`, `jwt_issuer`, `jwt_subject`, `key_sha256`, `keys`, `metrics`, `rate`, `sources`, `transports`, `types`",
            "config:14: clients[3].id: is missing",
            "config:17: clients[3].burst: must be from 1 to 1000000000",
        ]
    );
    let none = format!("[[clients]]\nid = \"x\"\nkey_sha256 = \"{}\"\n", hash('0'));
    assert_eq!(
        self::told(&none),
        [
            "config:3: clients[0].key_sha256: is the hash of no key; write what `nexus key new` prints"
        ]
    );
    let good = format!("[[clients]]\nid = \"x\"\nkey_sha256 = \"{a}\"\nrate = 5\nburst = 1\n");
    let config = loaded(Loader::text(good));
    assert_eq!(config.clients[0].rate, Some(5.0));
    assert!(!config.clients[0].admin);
}

#[test]
fn ways_in() {
    let (a, b, c) = (hash('a'), hash('b'), hash('c'));
    let lasting = "expires_at = \"2126-01-01T00:00:00Z\"";
    let text = format!(
        "[[clients]]\nid = \"nobody\"\n\
         [[clients]]\nid = \"many\"\nkey_sha256 = \"{a}\"\nkeys = [{{ sha256 = \"{b}\", {lasting} }}, {{ sha256 = \"{c}\" }}]\n\
         [[clients]]\nid = \"same\"\nkeys = [{{ sha256 = \"{b}\" }}]\n\
         [[clients]]\nid = \"when\"\nkeys = [{{ sha256 = \"{0}\", expires_at = \"tomorrow\" }}]\n\
         [[clients]]\nid = \"a b\"\nhmac = [{{ env = \"SHORT\" }}]\nhmac_window = \"2h\"\n\
         [[clients]]\nid = \"plain\"\nhmac = [\"written here, in the open\"]\n\
         [[clients]]\nid = \"token\"\njwt_subject = \"x\"\ntransports = [\"smoke\"]\n\
         [[clients]]\nid = \"issuer\"\nkey_sha256 = \"{1}\"\njwt_issuer = \"x\"\n",
        hash('d'),
        hash('e'),
    );
    let told = lines(Loader::text(text).variables([("SHORT", "0123456789abcde")]));
    let starts = [
        "config:2: clients[0].id: has no way in, so nobody can be this client",
        "config:6: clients[1].keys: a client has at most two valid keys, `key_sha256` included",
        "config:9: clients[2].keys: is the key of another client, at config:6",
        "config:12: clients[3].keys[0].expires_at: ",
        "config:14: clients[4].id: must be of visible ASCII characters",
        "config:15: clients[4].hmac: a secret must be at least 16 bytes long",
        "config:16: clients[4].hmac_window: must be at most 1h",
        "config:19: clients[5].hmac[0]: expected a table",
        "config:22: clients[6].jwt_subject: there is no [[issuers]] section",
        "config:23: clients[6].transports[0]: ",
        "config:27: clients[7].jwt_issuer: jwt_issuer needs jwt_subject",
    ];
    assert_eq!(told.len(), starts.len(), "{told:#?}");
    for (told, start) in told.iter().zip(starts) {
        assert!(told.contains(start), "{told}\n  {start}");
    }
}

#[test]
fn an_old_key_that_has_expired_is_in_nobody_s_way() {
    let text = format!(
        "[[clients]]\nid = \"x\"\nkey_sha256 = \"{}\"\nkeys = [{{ sha256 = \"{}\" }}, {{ sha256 = \"{}\", expires_at = \"2020-01-01T00:00:00Z\" }}]\n",
        hash('a'),
        hash('b'),
        hash('c')
    );
    let config = loaded(Loader::text(text));
    assert_eq!(config.clients[0].keys.len(), 2);
}

#[test]
fn issuers() {
    let issuer = "[[issuers]]\nissuer = \"i\"\naudience = \"n\"\n";
    let of = |more: &str| {
        let text = format!("{issuer}{more}\n");
        let told = lines(Loader::text(text).variables([("S", "0123456789abcdef")]));
        told.first().cloned().unwrap_or_default()
    };
    for good in [
        "jwks_file = \"keys.json\"",
        "jwks_url = \"https://issuer.example/keys\"\nca_file = \"ca.pem\"",
        "jwks_url = \"http://127.0.0.1:8080/keys\"",
        "jwks_url = \"http://[::1]:8080/keys\"",
        "jwks_url = \"http://localhost/keys\"",
    ] {
        assert_eq!(of(good), "", "{good}");
    }
    for (bad, says) in [
        ("", "exactly one of jwks_file, jwks_url and secret"),
        (
            "jwks_file = \"a\"\njwks_url = \"https://a.example\"",
            "exactly one of",
        ),
        ("jwks_url = \"http://issuer.example/keys\"", "must be https"),
        (
            "jwks_url = \"http://127.0.0.1.example/keys\"",
            "must be https",
        ),
        ("jwks_url = \"ftp://127.0.0.1/keys\"", "must be https"),
        ("jwks_url = \"/keys\"", "names no host"),
        (
            "jwks_url = \"https://u:p@a.example/\"",
            "a user or a password",
        ),
        (
            "jwks_file = \"a\"\nca_file = \"b\"",
            "ca_file needs jwks_url",
        ),
        (
            "jwks_file = \"a\"\nalgorithms = [\"none\"]",
            "algorithms[0]",
        ),
        (
            "jwks_file = \"a\"\nalgorithms = [\"HS256\"]",
            "HS256 goes with a secret",
        ),
        ("jwks_file = \"a\"\nleeway = \"11m\"", "at most 10m"),
        ("jwks_file = \"a\"\nrefresh = \"0s\"", "at least 1s"),
        (
            "secret = { env = \"S\" }\nalgorithms = [\"HS256\"]",
            "at least 32 bytes",
        ),
        ("secret = { env = \"S\" }", "HS256 goes with a secret"),
        (
            "jwks_file = \"a\"\n[[issuers]]\nissuer = \"i\"\naudience = \"n\"\njwks_file = \"a\"",
            "is the issuer of another section",
        ),
    ] {
        assert!(of(bad).contains(says), "{bad}: {}", of(bad));
    }
}

#[test]
fn rates() {
    let text = "[limits]\nburst = 5\n[[limits.rates]]\nrate = 1\n\
                [[limits.rates]]\nsource = \"a\"\ntype = \"b\"\nrate = 0\n\
                [[limits.rates]]\nsource = \"a\"\n";
    let told = told(text);
    let says = [
        "burst needs rate",
        "names neither a source nor a type",
        "names both a source and a type",
        "must be more than 0",
        "is missing",
    ];
    assert_eq!(told.len(), says.len(), "{told:#?}");
    for says in says {
        assert!(
            told.iter().any(|line| line.contains(says)),
            "{says}: {told:#?}"
        );
    }
}

#[test]
fn what_is_for_processes_is_for_processes_only() {
    for (line, key) in [
        ("workers = 2", "workers"),
        ("limits = { descriptors = 64 }", "limits"),
        ("read = [\"/srv\"]", "read"),
        ("write = [\"/srv\"]", "write"),
        ("env = [\"A\"]", "env"),
    ] {
        let told = told(&format!("[plugins.a]\n{line}\n"));
        let start =
            format!("config:2: plugins.a.{key}: is for plugins with isolation = \"process\"");
        assert!(told.len() == 1 && told[0].starts_with(&start), "{told:#?}");
        let process = format!("[plugins.a]\nisolation = \"process\"\n{line}\n");
        assert_eq!(self::told(&process), [""; 0]);
    }
    let small = "[plugins.a]\nisolation = \"process\"\nlimits.memory = \"1MiB\"\n";
    assert_eq!(
        told(small),
        ["config:3: plugins.a.limits.memory: must be at least 64MiB; write more"]
    );
}

#[test]
fn plugin_sections() {
    let text = "[plugins]\ndri = \"x\"\nother = 1\n[plugins.init_timeout]\n\
         [plugins.a-b]\nisolation = \"process\"\nsha256 = [\"12\"]\n\
         [plugins.a_b]\nisolation = \"thred\"\nrequred = true\nconfig = 1\n\
         secrets = { token = \"x\", other = { env = \"A\", file = \"B\" }, none = {} }\n";
    assert_eq!(
        told(text),
        [
            "config:2: plugins.dri: unknown key; did you mean `dir`?",
            "config:3: plugins.other: expected a table, found an integer",
            "config:4: plugins.init_timeout: `init_timeout` is a setting here and cannot be the name of a table; choose another name",
            "config:7: plugins.a-b.sha256[0]: the value is not a sha256; write its 64 hexadecimal digits",
            "config:8: plugins.a_b: is the same plugin as `a-b`, at config:5; write one section for it",
            "config:9: plugins.a_b.isolation: must be one of \"inline\", \"thread\", \"process\"; did you mean \"thread\"?",
            "config:10: plugins.a_b.requred: unknown key; did you mean `required`?",
            "config:11: plugins.a_b.config: expected a table, found an integer",
            "config:12: plugins.a_b.secrets.token: expected a table, found a string; write { env = \"NAME\" } or { file = \"PATH\" }",
            "config:12: plugins.a_b.secrets.other: must have exactly one key, `env` or `file`",
            "config:12: plugins.a_b.secrets.none: must have exactly one key, `env` or `file`",
        ]
    );
    let (a, b) = (hash('a'), hash('b'));
    let config = loaded(Loader::text(format!(
        "[plugins.x]\nsha256 = \"{a}\"\n[plugins.y]\nsha256 = [\"{a}\", \"{b}\"]\n"
    )));
    assert_eq!(config.plugins.named["x"].sha256.len(), 1);
    assert_eq!(config.plugins.named["y"].sha256[1].to_string(), b);
}

#[test]
fn origins_of_web_hooks() {
    assert_eq!(
        told("[server]\nwebhook_origins = [\"a.example:443\", \"*\", \"https://a/\", \"\"]\n"),
        [
            "config:2: server.webhook_origins: has ``, which is the name of no host; write hosts such as \"eventgrid.azure.net\", or \"*\" for any",
            "config:2: server.webhook_origins: has `https://a/`, which is the name of no host; write hosts such as \"eventgrid.azure.net\", or \"*\" for any",
        ]
    );
}

#[test]
fn origins_of_pages() {
    let wrong = |found: &str| {
        format!(
            "config:2: server.websocket.origins: has `{found}`, which is where no page comes from; write scheme and host without a path, such as \"https://example.org\", or \"*\" for any"
        )
    };
    assert_eq!(
        told(
            "[server.websocket]\norigins = [\"https://a.example:8443\", \"*\", \"http://[::1]\", \"a.example\", \"https://a/\", \"https://me@a\", \"null\"]\n"
        ),
        ["a.example", "https://a/", "https://me@a", "null"].map(wrong)
    );
}

#[test]
fn body_sizes() {
    let wrong = |found: &str| {
        format!(
            "config:2: limits.max_body: must be from 1B to 256MiB, found {found}; write a size such as \"1MiB\""
        )
    };
    assert_eq!(told("[limits]\nmax_body = 0\n"), [wrong("0B")]);
    assert_eq!(
        told("[limits]\nmax_body = \"257MiB\"\n[queue]\nmax_bytes = \"1GiB\"\n"),
        [wrong("257MiB")]
    );
}

#[test]
fn broken_toml() {
    assert_eq!(
        told("[queue]\ncapacity = 5\ncapacity = 6\n"),
        ["config:3: not TOML: duplicate key"]
    );
}

#[test]
fn a_program_is_checked_like_a_file() {
    let mut config = Config::default();
    config.queue.capacity = 0;
    config.shutdown.drain_timeout = config.shutdown.timeout;
    config.breaker.window = std::time::Duration::ZERO.into();
    config.server.idle_timeout = std::time::Duration::from_secs(1 << 40).into();
    let errors = config.check().unwrap_err().to_string();
    assert_eq!(
        errors.lines().collect::<Vec<_>>(),
        [
            "config: breaker.window: must be more than 0s; write a duration such as \"10s\"",
            "config: queue.capacity: must be from 1 to 100000000, found 0",
            "config: server.idle_timeout: \"12725829d36m16s\" is too long a duration; at most 366d",
            "config: shutdown.drain_timeout: drain_timeout (30s) must be less than timeout (30s); the rest is the time to persist and to close",
        ]
    );
}

#[test]
fn what_to_write_is_told_with_what_is_wrong() {
    let text = "[server]\ngrpc = \"nope\"\nhttp = 7070\n\
        [[limits.rates]]\nrate = 5\n[[limits.rates]]\nrate = 5\nsource = \"a\"\ntype = \"b\"\n\
        [[clients]]\nid = \"a\"\nkeys = [{ sha256 = \"56\", expires_at = \"2027-13-01\" }]\n";
    let told = lines(Loader::text(text));
    for expected in [
        "config:2: server.grpc: \"nope\" is not an address; write an IP address and a port, such as \"127.0.0.1:7071\", or \"off\"",
        "config:3: server.http: expected a string, found an integer (7070); write an IP address and a port, such as",
        "config:4: limits.rates[0].source: names neither a source nor a type; write either source = \"NAME\"",
        "config:8: limits.rates[1].source: names both a source and a type; write either source = \"NAME\"",
        "config:12: clients[0].keys[0].expires_at: the value is not a valid date-time; write day, time and offset, such as \"2027-01-31T12:00:00Z\"",
    ] {
        assert!(
            told.iter().any(|line| line.starts_with(expected)),
            "{expected}: {told:#?}"
        );
    }
}

#[test]
fn a_size_without_a_unit_is_of_bytes() {
    for written in ["65536", "\"65536\"", "\"64KiB\""] {
        let config = loaded(Loader::text(format!("[limits]\nmax_body = {written}\n")));
        assert_eq!(config.limits.max_body.bytes(), 65_536);
    }
}
