//! Secrets reach the plugin and nobody else.

use std::fs;

use super::*;

/// Long enough for every secret there is.
const CANARY: &str = "canary-5f2c-8f0a-9d4e-4b7c-8a1f-6e3d";

#[test]
fn secrets_come_from_variables_and_files() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), "from-file\r\n").unwrap();
    fs::write(
        folder.path().join("nexus.toml"),
        "[plugins.a.config]\nkey = { env = \"A_KEY\" }\nlist = [{ file = \"token\" }]\nplain = \"p\"\ndeep = { env = \"A_KEY\", other = 1 }\n[plugins.a.secrets]\nhmac = { file = \"token\" }\n",
    )
    .unwrap();
    let config =
        loaded(Loader::new(folder.path().join("nexus.toml")).variables([("A_KEY", "from-env")]));
    assert_eq!(
        config.plugin_config("a"),
        serde_json::json!({
            "key": "from-env",
            "list": ["from-file"],
            "plain": "p",
            "deep": {"env": "A_KEY", "other": 1},
        })
    );
    assert_eq!(
        config.plugins.named["a"].secrets["hmac"].expose(),
        "from-file"
    );
}

#[cfg(unix)]
#[test]
fn a_pipe_is_waited_for_neither_as_a_secret_nor_as_the_file_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (file, pipe) = (folder.path().join("nexus.toml"), folder.path().join("pipe"));
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    fs::write(&file, "[plugins.a.secrets]\ns = { file = \"pipe\" }\n").unwrap();
    let (told, answers) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for path in [file, pipe] {
            let _ = told.send(lines(Loader::new(path)));
        }
    });
    for _ in 0..2 {
        let told = answers.recv_timeout(std::time::Duration::from_secs(20));
        let told = told.expect("nothing waits for a pipe");
        assert!(
            told[0].contains("cannot be read: it is no ordinary file"),
            "{told:?}"
        );
    }
}

#[test]
fn another_layers_source_replaces_the_first() {
    let text = "[plugins.a.config]\nkey = { file = \"nowhere\" }\n[plugins.a.secrets]\ns = { file = \"nowhere\" }\n";
    let config = loaded(Loader::text(text).variables([
        ("K", "v"),
        ("NEXUS_PLUGINS__A__CONFIG__KEY__ENV", "K"),
        ("NEXUS_PLUGINS__A__SECRETS__S", "{ env = \"K\" }"),
    ]));
    assert_eq!(config.plugin_config("a")["key"], "v");
    assert_eq!(config.plugins.named["a"].secrets["s"].expose(), "v");
}

#[test]
fn a_settings_table_is_no_reference_itself() {
    let config = loaded(Loader::text("[plugins.a.config]\nfile = \"journal.txt\"\n"));
    assert_eq!(config.plugin_config("a")["file"], "journal.txt");
}

#[test]
fn sources_that_are_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nexus.toml");
    fs::write(folder.path().join("huge"), vec![b'x'; 64 * 1024 + 1]).unwrap();
    fs::write(
        &file,
        format!("[plugins.a.config]\na = {{ env = \"UNSET\" }}\nb = {{ file = \"gone\" }}\nc = {{ env = \"{CANARY}\" }}\n[plugins.a.secrets]\nd = {{ file = \"huge\" }}\n"),
    )
    .unwrap();
    let (at, huge, gone) = (
        file.display(),
        folder.path().join("huge"),
        folder.path().join("gone"),
    );
    let told = lines(Loader::new(&file));
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(
        told[0],
        format!(
            "{at}:2: plugins.a.config.a: the environment variable `UNSET` is not set; set it where the hub is started"
        )
    );
    assert!(told[1].starts_with(&format!(
        "{at}:3: plugins.a.config.b: the secret's file {} cannot be read: ",
        gone.display()
    )));
    assert!(told[1].ends_with("; a relative path starts at the config file's folder"));
    assert_eq!(
        told[2],
        format!(
            "{at}:4: plugins.a.config.c: `env` does not hold the name of an environment variable; write {{ env = \"NAME\" }}, and the secret in that variable"
        )
    );
    assert_eq!(
        told[3],
        format!(
            "{at}:6: plugins.a.secrets.d: the secret's file {} is over 64 KiB; check the path",
            huge.display()
        )
    );
}

#[test]
fn who_runs_no_hub_needs_none_of_its_secrets() {
    let text = "[server]\nhttp = \"127.0.0.1:9000\"\n\
        [[clients]]\nid = \"c\"\nhmac = [{ env = \"UNSET\" }]\n\
        [[issuers]]\nissuer = \"i\"\naudience = \"n\"\nsecret = { env = \"UNSET\" }\nalgorithms = [\"HS256\"]\n\
        [[webhooks]]\nname = \"w\"\nscheme = \"github\"\nsecrets = [{ file = \"nowhere\" }]\n\
        [plugins.a.config]\ntoken = { env = \"UNSET\" }\nlist = [{ env = \"UNSET\" }]\ncount = 1\n\
        [plugins.a.secrets]\ns = { env = \"UNSET\" }\n";
    assert_eq!(lines(Loader::text(text)).len(), 6);
    let config = loaded(Loader::text(text).without_secrets());
    assert_eq!(config.server.http.port(), 9000);
    let schema = |count: &str| {
        let list = serde_json::json!({ "type": "array" });
        serde_json::json!({
            "properties": { "token": { "type": "string" }, "list": list, "count": { "type": count } },
            "required": ["token", "list"],
        })
    };
    assert_eq!(config.check_plugin_config("a", &schema("integer")), []);
    assert_eq!(config.check_plugin_config("a", &schema("string")).len(), 1);
    let told = config.check().unwrap_err().to_string();
    assert!(told.contains("without its secrets"), "{told}");

    let wrong = Loader::text(format!("{text}[queue]\ncapcity = 5\n")).without_secrets();
    assert_eq!(lines(wrong).len(), 1, "everything else is checked");
}

/// A secret at every place where somebody may put one, each wrong in some way or right.
#[test]
fn no_message_and_no_debug_shows_a_secret() {
    let wrong = format!(
        "[[clients]]\nid = 5\nkey_sha256 = \"{CANARY}\"\nsources = [\"{CANARY} x\"]\ntypes = \"{CANARY}\"\nadmin = \"{CANARY}\"\nrate = \"{CANARY}\"\nburst = \"{CANARY}\"\nkey = \"{CANARY}\"\nhmac = [\"{CANARY}\"]\nkeys = [{{ sha256 = \"{CANARY}\" }}]\n\
         [[issuers]]\nissuer = \"i\"\naudience = \"n\"\nsecret = \"{CANARY}\"\njwks_url = \"http://{CANARY}@x\"\n\
         [plugins]\ntoken = \"{CANARY}\"\n\
         [plugins.a]\nisolation = \"{CANARY}\"\nrequired = \"{CANARY}\"\nsha256 = \"{CANARY}\"\ntoken = \"{CANARY}\"\nconfig = \"{CANARY}\"\nsecrets = {{ t = \"{CANARY}\", u = {{ env = \"{CANARY}\" }} }}\n\
         [plugins.b]\nsecrets = \"{CANARY}\"\nsha256 = [\"{CANARY}\"]\n"
    );
    let told = lines(Loader::text(&wrong).variables([
        ("NEXUS_PLUGINS__C__REQUIRED", CANARY),
        ("NEXUS_PLUGINS__C__TOKEN", CANARY),
        ("NEXUS_QUEUE__TOKEN", CANARY),
    ]));
    assert_eq!(told.len(), 25, "{told:#?}");
    assert!(!told.concat().contains(CANARY), "{told:#?}");

    let literal = format!("{{ a = {{ token = \"{CANARY}\" }}");
    for whole in ["NEXUS_PLUGINS", "NEXUS_PLUGINS__A", "NEXUS_CLIENTS"] {
        let told = lines(Loader::text("").variables([(whole, literal.as_str())]));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(!told[0].contains(CANARY), "{told:?}");
    }

    let broken = format!(
        "[plugins.a.config]\ntoken = {CANARY}\nkey = \"{CANARY}\nx = [\"{CANARY}\" 1]\ny = \"\\{CANARY}\"\n"
    );
    let told = lines(Loader::text(broken));
    assert!(
        told.len() >= 2 && !told.concat().contains(CANARY),
        "{told:#?}"
    );

    let right = format!(
        "[plugins.a.config]\nplain = \"{CANARY}\"\nother = \"{CANARY}\"\nkey = {{ env = \"KEY\" }}\n[plugins.a.secrets]\ns = {{ env = \"KEY\" }}\n\
         [[clients]]\nid = \"c\"\nhmac = [{{ env = \"KEY\" }}]\n\
         [[issuers]]\nissuer = \"i\"\naudience = \"n\"\nsecret = {{ env = \"KEY\" }}\nalgorithms = [\"HS256\"]\n"
    );
    let config = loaded(
        Loader::text(right)
            .variables([("KEY", CANARY), ("NEXUS_PLUGINS__A__CONFIG__OVER", CANARY)]),
    );
    assert_eq!(config.plugin_config("a")["key"], CANARY);
    assert_eq!(config.plugin_config("a")["over"], CANARY);
    assert_eq!(config.clients[0].hmac[0].expose(), CANARY);
    assert_eq!(config.issuers[0].secret.as_ref().unwrap().expose(), CANARY);
    for shown in [
        format!("{config:?}"),
        format!("{config:#?}"),
        format!("{:?}", config.document()),
        serde_json::to_string(&config).unwrap(),
    ] {
        assert!(!shown.contains(CANARY), "{shown}");
    }
    let schema = serde_json::json!({
        "properties": {
            "plain": {"type": "integer"},
            "key": {"enum": ["a"]},
            "other": {"not": {"type": "string"}},
            "over": {"anyOf": [{"type": "integer"}, {"pattern": "^x$"}]},
        },
    });
    let problems = config.check_plugin_config("a", &schema);
    assert_eq!(problems.len(), 4);
    assert!(!format!("{problems:?}").contains(CANARY), "{problems:?}");
}
