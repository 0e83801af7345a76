//! `nexus plugin new`: what it writes and what it refuses. That the result builds and works is
//! shown with the behaviour tests, in `plugin_new`.

use crate::harness::Place;

#[test]
fn a_whole_crate_is_written() {
    let place = Place::new();
    place
        .run(&["plugin", "new", "door-bell"])
        .exits(0)
        .says("plugin door-bell written to door-bell")
        .says("cargo build --release");
    for file in [
        "Cargo.toml",
        "src/lib.rs",
        "tests/in_hub.rs",
        "nexus.toml",
        "README.md",
        ".gitignore",
    ] {
        assert!(
            place.path().join("door-bell").join(file).is_file(),
            "{file}"
        );
    }
    let manifest = std::fs::read_to_string(place.path().join("door-bell/Cargo.toml")).unwrap();
    assert!(manifest.contains("[workspace]"), "{manifest}");
    assert!(
        manifest.contains("nexus-plugin-api = { path = "),
        "{manifest}"
    );

    let json = place
        .run(&["plugin", "new", "other", "--dir", "deep/er", "--json"])
        .exits(0)
        .json();
    assert_eq!(json["folder"], "deep/er");
    assert!(place.path().join("deep/er/src/lib.rs").is_file());
}

#[test]
fn each_kind_has_a_template_of_its_own() {
    let place = Place::new();
    for (kind, holds) in [
        ("processor", "impl Processor for "),
        ("integration", "impl Integration for "),
        ("source", "impl Source for "),
    ] {
        place
            .run(&["plugin", "new", "greeter", "--kind", kind, "--dir", kind])
            .exits(0)
            .says("nexus plugin test target/release/");
        let library = std::fs::read_to_string(place.path().join(kind).join("src/lib.rs")).unwrap();
        assert!(library.contains(holds), "{library}");
    }
    place
        .run(&["plugin", "new", "greeter", "--kind", "sink"])
        .exits(2);
}

#[test]
fn an_existing_folder_is_left_as_it_is() {
    let place = Place::new().file("greeter/mine.txt", "mine");
    place
        .run(&["plugin", "new", "greeter"])
        .exits(1)
        .complains("greeter is there already and was left as it is");
    let left: Vec<_> = std::fs::read_dir(place.path().join("greeter"))
        .unwrap()
        .collect();
    assert_eq!(left.len(), 1);
}

#[test]
fn names_and_sources_that_do_not_fit_are_told() {
    let place = Place::new();
    for name in ["Greeter", "2nd", "a/b", "../up", "async", "serde"] {
        place.run(&["plugin", "new", name]).exits(2).complains(name);
    }
    place.run(&["plugin", "new", "--", "-x"]).exits(2);
    place
        .run(&["plugin", "new", "greeter", "--sdk", "."])
        .exits(2)
        .complains("--sdk: . does not hold the SDK");
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}
