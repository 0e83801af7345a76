use crate::config::{Config, Loader};

fn load(text: &str) -> Result<Config, String> {
    let variables = [
        ("SHARED", "canary-shared-secret"),
        ("SHORT", "canary-fifteen-"),
        ("WHSEC", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("EMPTY", ""),
    ];
    Loader::text(text)
        .secret_variables(variables)
        .load()
        .map_err(|errors| errors.to_string())
}

/// A webhook with these lines beside its name.
fn refusal(lines: &str) -> String {
    match load(&format!("[[webhooks]]\nname = \"w\"\n{lines}\n")) {
        Ok(_) => panic!("{lines} was taken"),
        Err(told) => {
            assert!(!told.contains("canary"), "{told}");
            assert!(told.starts_with("config:"), "no place: {told}");
            told
        }
    }
}

const SHARED: &str = "secrets = [{ env = \"SHARED\" }]";
const WHSEC: &str = "secrets = [{ env = \"WHSEC\" }]";

#[test]
fn every_scheme_is_read_with_its_own_keys() {
    let config = load(
        r#"
        [[webhooks]]
        name = "billing"
        scheme = "standard"
        secrets = [{ env = "WHSEC" }, { env = "WHSEC" }]
        tolerance = "1m"
        type_from = "/type"
        payload = "/data"

        [[webhooks]]
        name = "github"
        scheme = "github"
        secrets = [{ env = "SHARED" }]
        priority = "high"

        [[webhooks]]
        name = "slack"
        source = "slack.team"
        scheme = "hmac"
        secrets = [{ env = "SHARED" }]
        header = "X-Slack-Signature"
        prefix = "v0="
        signed = "v0:{timestamp}:{body}"
        timestamp_header = "X-Slack-Request-Timestamp"
        type = "slack.command"

        [[webhooks]]
        name = "gitlab"
        scheme = "bearer"
        secrets = [{ env = "SHARED" }]
        header = "X-Gitlab-Token"
        type_from = "header:X-Gitlab-Event"
        id_from = "header:X-Gitlab-Event-UUID"

        [[webhooks]]
        name = "door"
        scheme = "none"
        type = "door.rung"
        rate = 1
        burst = 5
        "#,
    )
    .unwrap();
    assert_eq!(config.webhooks.len(), 5);
    assert_eq!(config.webhooks[2].source(), "slack.team");
    assert_eq!(config.webhooks[0].secrets.len(), 2);
    let warnings: Vec<_> = config.webhooks.iter().flat_map(|w| w.warnings()).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("`door`"), "{warnings:?}");
    config.check().unwrap();
    assert!(!format!("{config:?}").contains("canary"));
}

#[test]
fn a_secret_that_can_be_guessed_is_warned_of_and_not_shown() {
    let config = load(
        r#"
        [[webhooks]]
        name = "shop"
        scheme = "github"
        secrets = [{ env = "SHORT" }]
        type = "shop.sold"
        "#,
    )
    .unwrap();
    let warnings = config.webhooks[0].warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("16 bytes") && !warnings[0].contains("canary"));
}

#[test]
fn what_does_not_go_together_is_refused() {
    let rows = [
        ("type = \"a.b\"".to_owned(), "scheme"),
        (
            "scheme = \"standard\"\ntype = \"a.b\"".to_owned(),
            "needs at least one secret",
        ),
        (
            format!("scheme = \"standard\"\n{SHARED}\ntype = \"a.b\""),
            "whsec_",
        ),
        (
            "scheme = \"none\"\nchallenge_from = \"/challenge\"\ntype = \"a.b\"".to_owned(),
            "`challenge_from` does not go with",
        ),
        (
            format!("scheme = \"none\"\n{SHARED}\ntype = \"a.b\""),
            "`secrets` does not go with",
        ),
        (
            format!("scheme = \"standard\"\n{WHSEC}\ntype = \"a.b\"\nprefix = \"x\""),
            "`prefix` does not go with scheme = \"standard\"",
        ),
        (
            format!("scheme = \"standard\"\n{WHSEC}\ntype = \"a.b\"\nid_from = \"/id\""),
            "`id_from` does not go with",
        ),
        (
            format!("scheme = \"github\"\n{SHARED}\ntolerance = \"1m\""),
            "`tolerance` does not go with",
        ),
        (
            format!("scheme = \"hmac\"\n{SHARED}\ntype = \"a.b\""),
            "needs `header`",
        ),
        (
            format!("scheme = \"hmac\"\n{SHARED}\ntype = \"a.b\"\nheader = \"a b\""),
            "is not the name of a header",
        ),
        (
            format!(
                "scheme = \"hmac\"\n{SHARED}\ntype = \"a.b\"\nheader = \"x\"\ntolerance = \"1m\""
            ),
            "needs `timestamp_header`",
        ),
        (
            format!(
                "scheme = \"hmac\"\n{SHARED}\ntype = \"a.b\"\nheader = \"x\"\nsigned = \"{{timestamp}}{{body}}\""
            ),
            "{timestamp}",
        ),
        (
            format!("scheme = \"bearer\"\n{SHARED}\ntype = \"a.b\"\nprefix = \"x\""),
            "a `prefix` needs `header`",
        ),
        (
            format!("scheme = \"bearer\"\n{SHARED}"),
            "the type of its events is not said",
        ),
        (
            format!("scheme = \"bearer\"\n{SHARED}\ntype = \"a.b\"\ntype_from = \"/t\""),
            "either `type` or `type_from`",
        ),
        (
            format!("scheme = \"bearer\"\n{SHARED}\ntype = \"a.b\"\ntype_prefix = \"x\""),
            "type_prefix is for types that type_from finds",
        ),
        (
            format!("scheme = \"bearer\"\n{SHARED}\ntype = \"nexus.a\""),
            "the hub's own",
        ),
        (
            format!("scheme = \"bearer\"\n{SHARED}\ntype_from = \"/t\"\ntype_prefix = \"nexus\""),
            "the hub's own",
        ),
        (
            format!("scheme = \"bearer\"\n{SHARED}\ntype = \"A B\""),
            "dotted lower-case",
        ),
        (
            format!("scheme = \"bearer\"\n{SHARED}\ntype_from = \"t\""),
            "is no place in a request",
        ),
        (
            format!("scheme = \"bearer\"\n{SHARED}\ntype = \"a.b\"\npayload = \"data\""),
            "is not a JSON pointer",
        ),
        (
            format!("scheme = \"bearer\"\n{SHARED}\ntype = \"a.b\"\nchallenge_from = \"\""),
            "names no member",
        ),
        (
            format!("scheme = \"bearer\"\n{SHARED}\ntype = \"a.b\"\nburst = 3"),
            "burst needs rate",
        ),
        (
            format!("scheme = \"bearer\"\n{SHARED}\ntype = \"a.b\"\nsource = \"a b\""),
            "webhooks[0].source",
        ),
        (
            format!("scheme = \"bearer\"\n{SHARED}\ntype = \"a.b\"\nspeed = 1"),
            "unknown key",
        ),
        (
            "scheme = \"bearer\"\ntype = \"a.b\"\nsecrets = [\"canary\"]".to_owned(),
            "{ env = ",
        ),
        (
            "scheme = \"bearer\"\ntype = \"a.b\"\nsecrets = [{ env = \"UNSET\" }]".to_owned(),
            "`UNSET` is not set",
        ),
        (
            "scheme = \"bearer\"\ntype = \"a.b\"\nsecrets = [{ env = \"EMPTY\" }]".to_owned(),
            "is empty",
        ),
        (
            format!(
                "scheme = \"bearer\"\ntype = \"a.b\"\nsecrets = [{}]",
                "{ env = \"SHARED\" },".repeat(5)
            ),
            "at most 4",
        ),
    ];
    for (lines, expected) in rows {
        let told = refusal(&lines);
        assert!(told.contains(expected), "{lines}\n{told}");
        assert_eq!(told.lines().count(), 1, "{lines}\n{told}");
    }
}

#[test]
fn two_of_a_name_are_refused() {
    let one = format!("[[webhooks]]\nname = \"w\"\nscheme = \"github\"\n{SHARED}\n");
    let told = load(&format!("{one}{one}")).unwrap_err();
    assert!(
        told.contains("is the name of another webhook, at config:2"),
        "{told}"
    );
    let told = load(&one.replace("\"w\"", "\"a/b\"")).unwrap_err();
    assert!(told.contains("webhooks[0].name"), "{told}");
}

/// The examples of the documentation.
#[test]
fn the_pages_show_what_works() {
    for page in [
        include_str!("../../../../../docs/webhooks.md"),
        include_str!("../../../../../docs/admission.md"),
    ] {
        let (_, rest) = page.split_once("```toml\n").unwrap();
        let (example, _) = rest.split_once("```").unwrap();
        let variables = ["GITHUB_SECRET", "SLACK_SIGNING_SECRET", "GITLAB_TOKEN"];
        let variables = variables.map(|name| (name, "shared"));
        Loader::text(example)
            .secret_variables(variables)
            .secret_variables([("BILLING_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")])
            .load()
            .unwrap();
    }
}
