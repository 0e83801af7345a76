//! `nexus plugin lock`, `keygen` and `sign`: which files are right, and who says so.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Place, library};

fn probe_in(place: &Place) -> std::path::PathBuf {
    place.path().join("plugins").join(library("probe"))
}

/// Another file of the same plugin: what stands behind a library's end is nothing to the loader.
fn change(place: &Place) {
    let mut bytes = fs::read(probe_in(place)).unwrap();
    bytes.push(0);
    fs::write(probe_in(place), bytes).unwrap();
}

fn state(place: &Place) -> Value {
    let json = place.run(&["plugin", "list", "--json"]).exits(0).json();
    let plugin = &json["plugins"][0];
    plugin.get("code").unwrap_or(&plugin["state"]).clone()
}

fn config(place: &Place) -> String {
    fs::read_to_string(place.path().join("nexus.toml")).unwrap()
}

#[test]
fn the_lines_of_a_lock_are_a_configuration() {
    let place = Place::new().probe();
    let ran = place.run(&["plugin", "lock"]).exits(0);
    let locked = format!("[plugins]\nlocked = true\n\n{}", ran.stdout);
    let place = place.file("nexus.toml", &locked);
    assert_eq!(state(&place), "loadable");
    change(&place);
    assert_eq!(state(&place), "wrong_hash");
}

#[test]
fn without_a_hash_a_locked_hub_takes_no_file() {
    let place = Place::new().probe().hub("[plugins]\nlocked = true");
    assert_eq!(state(&place), "not_locked");
    place
        .run(&["check"])
        .exits(1)
        .says("not_locked: expected its hash in [plugins.probe] sha256, found none listed; `nexus plugin lock`");
    place.run(&["plugin", "lock", "--write"]).exits(0);
    place.run(&["check"]).exits(0);
}

#[test]
fn hashes_are_written_into_the_configuration_and_its_comments_stay() {
    let place = Place::new().probe().file(
        "nexus.toml",
        "# mine\n[plugins.probe] # why\nrequired = true\n",
    );
    let write = ["plugin", "lock", "--write"];
    place
        .run(&write)
        .exits(0)
        .says(", where any was right before");
    let first = config(&place);
    assert!(
        first.starts_with("# mine\n[plugins.probe] # why\nrequired = true\nsha256 = \""),
        "{first}"
    );
    place.run(&write).exits(0).says(", as before");
    assert_eq!(config(&place), first);

    change(&place);
    assert_eq!(state(&place), "wrong_hash");
    let json = place
        .run(&["plugin", "lock", "--write", "--add", "--json"])
        .exits(0)
        .json();
    assert_eq!(json["probe"]["sha256"].as_array().unwrap().len(), 2);
    assert_eq!(json["probe"]["sha256"][0], json["probe"]["before"][0]);
    assert_eq!(state(&place), "loadable");
    let both = config(&place);
    place.run(&write).exits(0).says(" or ");
    assert_ne!(config(&place), both, "the old file is right no more");
    assert_eq!(state(&place), "loadable");
}

#[test]
fn lines_end_as_they_did() {
    let place = Place::new()
        .probe()
        .file("nexus.toml", "# mine\r\n[plugins]\r\nlocked = true\r\n");
    place.run(&["plugin", "lock", "--write"]).exits(0);
    let written = config(&place);
    assert!(written.contains("sha256 = "), "{written}");
    assert_eq!(
        written.matches('\n').count(),
        written.matches("\r\n").count(),
        "{written:?}"
    );
    place.run(&["check"]).exits(0);
}

#[test]
fn nothing_is_locked_while_a_file_would_be_refused() {
    let bad = format!("plugins/{}", library("text"));
    let place = Place::new().probe().file(&bad, "not a library").hub("");
    let before = config(&place);
    place
        .run(&["plugin", "lock", "--write"])
        .exits(1)
        .complains("not_a_library: ");
    assert_eq!(config(&place), before);
    let probe = format!("plugins/{}", library("probe"));
    place.run(&["plugin", "lock", "--write", &probe]).exits(0);
    assert_ne!(config(&place), before);
}

#[test]
fn a_lock_that_another_layer_overrules_is_not_written() {
    let hash = "0".repeat(64);
    let overlay = format!("[plugins.probe]\nsha256 = \"{hash}\"\n");
    let place = Place::new()
        .probe()
        .hub("")
        .file("nexus.prod.toml", &overlay);
    let before = config(&place);
    let mut command = place.command(&["plugin", "lock", "--write"]);
    let output = command.env("NEXUS_ENV", "prod").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("are listed in nexus.prod.toml:2"), "{told}");
    assert_eq!(config(&place), before);
}

#[cfg(unix)]
#[test]
fn a_configuration_keeps_its_permissions_and_the_link_to_it() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let place = Place::new().probe().file("etc/real.toml", "");
    let real = place.path().join("etc/real.toml");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("etc/real.toml", place.path().join("nexus.toml")).unwrap();
    place.run(&["plugin", "lock", "--write"]).exits(0);
    assert!(fs::read_to_string(&real).unwrap().contains("sha256"));
    assert_eq!(
        fs::metadata(&real).unwrap().permissions().mode() & 0o777,
        0o640
    );
    let link = place.path().join("nexus.toml");
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(fs::read_dir(place.path().join("etc")).unwrap().count(), 1);
}

#[test]
fn what_is_signed_with_a_trusted_key_is_taken_and_nothing_else() {
    let place = Place::new().probe();
    let trust = place.run(&["plugin", "keygen", "release"]).exits(0);
    let signatures = format!("{}require_signature = true\n", trust.stdout);
    let place = place.file("nexus.toml", &signatures);
    let file = format!("plugins/{}", library("probe"));
    let sign = ["plugin", "sign", &file, "--key", "release"];

    assert_eq!(state(&place), "unsigned");
    place.run(&sign).exits(0).says("(release)");
    assert_eq!(state(&place), "loadable");
    place
        .run(&["plugin", "inspect", &file])
        .exits(0)
        .says("signed by     SHA256:");
    place.run(&["check"]).exits(0);

    change(&place);
    assert_eq!(state(&place), "bad_signature");
    place
        .run(&["check"])
        .exits(1)
        .says("it is not what SHA256:");
    place.run(&["plugin", "keygen", "other"]).exits(0);
    place
        .run(&["plugin", "sign", &file, "--key", "other"])
        .exits(0);
    place
        .run(&["plugin", "inspect", &file])
        .exits(1)
        .complains("which is not among the trusted keys");
    place.run(&sign).exits(0);
    assert_eq!(state(&place), "loadable");

    // What need not be signed may be; then it counts.
    let place = place.file("nexus.toml", &trust.stdout);
    let signature = place.path().join(format!("{file}.sig"));
    fs::write(&signature, "text").unwrap();
    assert_eq!(state(&place), "bad_signature");
    fs::remove_file(&signature).unwrap();
    assert_eq!(state(&place), "loadable");
    place
        .run(&["check"])
        .exits(0)
        .says("warning: plugin probe: nobody has signed");
}

#[test]
fn required_signatures_of_nobody_are_a_mistake() {
    Place::new()
        .file("nexus.toml", "[plugins]\nrequire_signature = true\n")
        .run(&["check"])
        .exits(2)
        .says("nexus.toml:2: plugins.require_signature: requires signatures, but trusts nobody's");
    Place::new()
        .file(
            "nexus.toml",
            "[plugins]\ntrusted_keys = [\"ssh-rsa AAAA\"]\n",
        )
        .run(&["check"])
        .exits(2)
        .says("nexus.toml:2: plugins.trusted_keys[0]: ")
        .says("is not an Ed25519 public key");
}

#[test]
fn a_key_is_made_once_and_never_shown() {
    let place = Place::new();
    let ran = place
        .run(&["plugin", "keygen", "key", "--name", "ours"])
        .exits(0)
        .says(" ours\"]");
    let private = fs::read_to_string(place.path().join("key")).unwrap();
    for line in private.lines() {
        assert!(
            !ran.stdout.contains(line) && !ran.stderr.contains(line),
            "{line}"
        );
    }
    place
        .run(&["plugin", "keygen", "key"])
        .exits(1)
        .complains("key: ");
    assert_eq!(
        fs::read_to_string(place.path().join("key")).unwrap(),
        private
    );
    let place = place.file("other.pub", "");
    place
        .run(&["plugin", "keygen", "other"])
        .exits(1)
        .complains("other.pub: ");
    assert!(!place.path().join("other").exists(), "half a key");
}

#[cfg(unix)]
#[test]
fn a_private_key_that_others_can_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new().file("lib", "bytes");
    place.run(&["plugin", "keygen", "key"]).exits(0);
    let key = place.path().join("key");
    let mode = |mode| fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
    assert_eq!(
        fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let sign = ["plugin", "sign", "lib", "--key", "key"];
    for open in [0o640, 0o604] {
        mode(open);
        place
            .run(&sign)
            .exits(1)
            .complains("others can read this private key");
        assert!(!place.path().join("lib.sig").exists());
    }
    mode(0o400);
    place.run(&sign).exits(0);
}

/// What this program and OpenSSH's write is the same to both.
#[test]
fn keys_and_signatures_are_those_of_openssh() {
    let keygen = |place: &Place, arguments: &[&str]| {
        let ran = Command::new("ssh-keygen")
            .args(arguments)
            .current_dir(place.path())
            .stdin(fs::File::open(place.path().join("lib")).unwrap())
            .output();
        ran.ok()
            .map(|output| (output.status.success(), format!("{output:?}")))
    };
    let place = Place::new().file("lib", "bytes");
    let Some((true, _)) = keygen(&place, &["-q", "-t", "ed25519", "-N", "", "-f", "theirs"]) else {
        assert!(std::env::var_os("CI").is_none(), "CI has ssh-keygen");
        return;
    };
    place.run(&["plugin", "keygen", "ours"]).exits(0);
    for key in ["ours", "theirs"] {
        place.run(&["plugin", "sign", "lib", "--key", key]).exits(0);
        let public = fs::read_to_string(place.path().join(format!("{key}.pub"))).unwrap();
        fs::write(place.path().join("signers"), format!("me {public}")).unwrap();
        let verify = [
            "-Y",
            "verify",
            "-n",
            "nexus-plugin",
            "-f",
            "signers",
            "-I",
            "me",
            "-s",
            "lib.sig",
        ];
        let (good, told) = keygen(&place, &verify).unwrap();
        assert!(good, "{key}: {told}");
    }
    let encrypted = [
        "-q",
        "-t",
        "ed25519",
        "-N",
        "pass phrase",
        "-f",
        "encrypted",
    ];
    assert!(keygen(&place, &encrypted).unwrap().0);
    place
        .run(&["plugin", "sign", "lib", "--key", "encrypted"])
        .exits(1)
        .complains("sign with `ssh-keygen -Y sign -n nexus-plugin -f KEY FILE`");

    let place = place.probe();
    let public = fs::read_to_string(place.path().join("theirs.pub")).unwrap();
    let trust = json!(public.trim());
    let place = place.file(
        "nexus.toml",
        &format!("[plugins]\ntrusted_keys = [{trust}]\nrequire_signature = true\n"),
    );
    let file = format!("plugins/{}", library("probe"));
    for (namespace, expected) in [("file", "bad_signature"), ("nexus-plugin", "loadable")] {
        let _ = fs::remove_file(place.path().join(format!("{file}.sig")));
        let sign = ["-Y", "sign", "-n", namespace, "-f", "theirs", &file];
        let (good, told) = keygen(&place, &sign).unwrap();
        assert!(good, "{told}");
        assert_eq!(state(&place), expected, "{namespace}");
    }
}
