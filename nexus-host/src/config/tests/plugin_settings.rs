//! A plugin's own settings against its own schema, told at their place.

use serde_json::json;

use super::*;

#[derive(schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code, reason = "only its schema is used")]
struct Settings {
    endpoint: String,
    #[schemars(range(min = 1, max = 10))]
    retries: Option<u8>,
    mode: Option<Mode>,
    target: Option<Target>,
    #[schemars(extend("format" = "ipv4"))]
    bind: Option<String>,
}

#[derive(schemars::JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[allow(dead_code, reason = "only its schema is used")]
enum Mode {
    /// Documented variants become `oneOf`.
    Fast,
    /// Another.
    Safe,
}

#[derive(schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code, reason = "only its schema is used")]
struct Target {
    host: String,
    ports: Vec<u16>,
}

fn schema() -> serde_json::Value {
    schemars::schema_for!(Settings).to_value()
}

fn checked(text: &str) -> Vec<String> {
    let config = loaded(Loader::text(text));
    let problems = config.check_plugin_config("toasty", &schema());
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn every_mistake_has_its_line() {
    assert_eq!(
        checked(
            "[plugins.toasty.config]\nendpont = \"x\"\nretries = 11\nmode = \"faster\"\nbind = \"here\"\n[plugins.toasty.config.target]\nhost = 5\nports = [1,\n 70000]\nx = 1\n"
        ),
        [
            "config:1: plugins.toasty.config.endpoint: is missing",
            "config:2: plugins.toasty.config.endpont: unknown key; did you mean `endpoint`?",
            "config:3: plugins.toasty.config.retries: must be from 1 to 10",
            "config:4: plugins.toasty.config.mode: must be one of \"fast\", \"safe\"; did you mean \"fast\"?",
            "config:5: plugins.toasty.config.bind: the value is not a valid ipv4",
            "config:7: plugins.toasty.config.target.host: expected a string, found an integer",
            "config:9: plugins.toasty.config.target.ports[1]: must be from 0 to 65535",
            "config:10: plugins.toasty.config.target.x: unknown key; known are `host`, `ports`",
        ]
    );
}

#[test]
fn a_plugin_without_a_section_has_its_defaults_checked() {
    assert_eq!(
        checked("[plugins]\n"),
        ["config:1: plugins.toasty.config.endpoint: is missing"]
    );
    assert_eq!(Config::default().plugin_config("toasty"), json!({}));
    let problems = Config::default().check_plugin_config("toasty", &schema());
    assert_eq!(
        problems[0].to_string(),
        "config: plugins.toasty.config.endpoint: is missing"
    );
    assert_eq!(
        checked("[plugins.toasty.config]\nendpoint = \"x\"\n"),
        [""; 0]
    );
}

#[test]
fn a_value_that_breaks_two_rules_is_one_mistake() {
    let config = loaded(Loader::text("[plugins.a.config]\nk = \"b\"\n"));
    let schema = json!({"properties": {"k": {"minLength": 5, "pattern": "^a"}}});
    assert_eq!(config.check_plugin_config("a", &schema).len(), 1);
}

#[test]
fn a_schema_that_is_none_is_a_problem_not_a_panic() {
    let problems = Config::default().check_plugin_config("a", &json!({"type": 5}));
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0]
            .message
            .starts_with("cannot be checked, its schema is not valid")
    );
}

#[test]
fn a_variables_text_becomes_what_the_schema_wants() {
    let config = loaded(Loader::text("").variables([
        ("NEXUS_PLUGINS__TOASTY__CONFIG__ENDPOINT", "12345"),
        ("NEXUS_PLUGINS__TOASTY__CONFIG__RETRIES", "5"),
        ("NEXUS_PLUGINS__TOASTY__CONFIG__BIND", "1.5"),
    ]));
    assert_eq!(config.plugin_config("toasty")["endpoint"], 12345);
    let problems = config.check_plugin_config("toasty", &schema());
    assert_eq!(
        problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "NEXUS_PLUGINS__TOASTY__CONFIG__BIND: plugins.toasty.config.bind: the value is not a valid ipv4"
        ]
    );
    let loose = json!({"properties": {"endpoint": {"type": "string"}, "bind": {"type": ["string", "null"]}}});
    assert_eq!(
        config.resolve_plugin_config("toasty", &loose),
        Ok(json!({"endpoint": "12345", "retries": 5, "bind": "1.5"}))
    );
}

#[test]
fn sections_can_be_named_and_blamed() {
    let config = loaded(Loader::text(
        "[plugins.a]\n[plugins.my-b]\nrequired = true\n",
    ));
    assert_eq!(config.plugin_names().collect::<Vec<_>>(), ["a", "my-b"]);
    assert_eq!(config.plugin_place("my_b").to_string(), "config:2");
    assert_eq!(
        config
            .plugin_problem("my_b", &["required"], "is not there")
            .to_string(),
        "config:3: plugins.my-b.required: is not there"
    );
    assert!(
        config
            .document()
            .is_written(&["plugins", "my-b", "required"])
    );
    assert!(!config.document().is_written(&["plugins", "a", "required"]));
    let schema = json!({"properties": {"required": {"const": false}}});
    let text = format!("[[clients]]\nid = \"x\"\nkey_sha256 = \"{}\"\n", hash('a'));
    let listed = loaded(Loader::text(text));
    let number = json!({"properties": {"id": {"type": "number"}}});
    assert_eq!(
        listed.document().check_against(&number, &["clients", "0"])[0].to_string(),
        "config:2: clients[0].id: expected a number, found a string"
    );
    assert_eq!(
        config
            .document()
            .check_against(&schema, &["plugins", "my-b"])[0]
            .to_string(),
        "config:3: plugins.my-b.required: must be \"false\""
    );
}
