//! The command line as shells and `man` are told of it.

use crate::harness::Place;

#[test]
fn shells_complete_it() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = place.run(&["completions", shell]).exits(0);
        script.says("approvals").says("nexus");
    }
    place
        .run(&["completions", "dos"])
        .exits(2)
        .complains("bash");
    let script = place.run(&["completions", "bash"]).stdout;
    let place = place.file("nexus.bash", &script);
    let asked = "source ./nexus.bash; COMP_WORDS=(nexus dlq re); COMP_CWORD=2; \
                 _nexus nexus re dlq; echo \"${COMPREPLY[@]}\"";
    let bash = std::process::Command::new("bash")
        .args(["--norc", "-c", asked])
        .current_dir(place.path())
        .output();
    // Where there is no bash, nobody completes with it.
    if let Ok(bash) = bash {
        assert_eq!(String::from_utf8_lossy(&bash.stdout).trim(), "replay");
    }
}

#[test]
fn man_has_a_page_of_it_and_of_each_command() {
    let place = Place::new();
    let page = place
        .run(&["man"])
        .exits(0)
        .says(".TH nexus 1")
        .says("tail");
    page.says("Exit codes");
    place.run(&["man", "pages"]).exits(0).complains("in pages");
    let page = |name: &str| std::fs::read_to_string(place.path().join("pages").join(name)).unwrap();
    assert!(page("nexus.1").contains(".TH"));
    assert!(page("nexus-dlq-replay.1").contains("idempotency"));
}
