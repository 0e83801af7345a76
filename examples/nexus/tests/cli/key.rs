//! `nexus key new`.

use crate::harness::Place;

#[test]
fn the_printed_lines_are_a_configuration_with_the_keys_hash() {
    let ran = Place::new()
        .run(&[
            "key",
            "new",
            "--id",
            "parrot",
            "--types",
            "parrot.*,toasty.*",
        ])
        .exits(0)
        .says("[[clients]]\nid = \"parrot\"\nkey_sha256 = \"")
        .says("sources = [\"parrot\"]\ntypes = [\"parrot.*\", \"toasty.*\"]\nadmin = false");
    let (key, lines) = ran.stdout.split_once('\n').unwrap();
    assert!(key.starts_with("nxk_") && key.len() == 68, "{key}");
    assert_eq!(
        ran.stdout.matches("nxk_").count(),
        1,
        "shown once: {ran:#?}"
    );

    let place = Place::new().file("nexus.toml", lines);
    place.run(&["check"]).exits(0);
}

#[test]
fn a_key_may_expire() {
    let ran = Place::new()
        .run(&["key", "new", "--id", "parrot", "--expires", "90d"])
        .exits(0)
        .says("[[clients]]\nid = \"parrot\"\nkeys = [{ sha256 = \"")
        .says("expires_at = \"20");
    let (_, lines) = ran.stdout.split_once('\n').unwrap();
    Place::new()
        .file("nexus.toml", lines)
        .run(&["check"])
        .exits(0);
    let line = ["key", "new", "--expires", "soon"];
    Place::new().run(&line).exits(2).complains("soon");
    let line = ["key", "new", "--expires", "0s"];
    Place::new().run(&line).exits(2).complains("is never good");
}

#[test]
fn as_json_it_is_all_there() {
    let line = [
        "key",
        "new",
        "--json",
        "--admin",
        "--sources",
        "*",
        "--types",
        "*",
    ];
    let json = Place::new().run(&line).exits(0).json();
    assert!(json["key"].as_str().unwrap().starts_with("nxk_"));
    assert_eq!(json["key_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(json["admin"], true);
    assert_eq!(json["id"], "client");
    assert!(json["toml"].as_str().unwrap().starts_with("[[clients]]\n"));
}

#[test]
fn a_scope_that_is_none_is_refused() {
    for line in [
        ["key", "new", "--types", "a*b"],
        ["key", "new", "--sources", "a b"],
        ["key", "new", "--id", ""],
    ] {
        Place::new().run(&line).exits(2).complains(line[2]);
    }
}

#[test]
fn a_name_that_cannot_be_a_source_is_what_is_blamed() {
    let line = ["key", "new", "--id", "foo bar"];
    Place::new()
        .run(&line)
        .exits(2)
        .complains("--sources: left out, it would be `foo bar`")
        .complains("or an --id without spaces");
    let line = [&line[..], &["--sources", "foo", "--types", "foo.*"]].concat();
    Place::new().run(&line).exits(0).says("id = \"foo bar\"");
}

/// A key is shown once: it must not seem to be made when nobody has it.
#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_is_a_failure() {
    let full = || std::fs::File::create("/dev/full").unwrap();
    for line in [
        &["key", "new", "--id", "parrot"][..],
        &["key", "new", "--json"],
        &["completions", "bash"],
        &["check"],
    ] {
        let place = Place::new().file("nexus.toml", "");
        let mut command = place.command(line);
        let ended = command.stdout(full()).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{line:?}: {said}");
        assert!(said.contains("standard output has not taken"), "{said}");
    }
}
