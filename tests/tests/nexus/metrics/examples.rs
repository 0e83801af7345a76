//! The rules and the dashboard of the example ask for nothing that the hub does not serve.

use std::collections::BTreeSet;
use std::path::Path;

use nexus_host::observe::metrics::{Kind, families};
use serde_json::Value;

fn example(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/observability");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// Every name under which there are samples.
fn served() -> BTreeSet<String> {
    let all = families::ALL.iter().flat_map(|(_, families)| *families);
    let names = all.flat_map(|about| match about.kind {
        Kind::Histogram => ["_bucket", "_sum", "_count"]
            .map(|part| format!("{}{part}", about.name))
            .to_vec(),
        _ => vec![about.name.to_owned()],
    });
    names.collect()
}

/// The names of the hub's metrics in a text.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|one: char| !(one.is_alphanumeric() || one == '_' || one == ':'));
    let is_metric = |word: &&str| word.starts_with("nexus_") || word.starts_with("process_");
    words.filter(is_metric).map(str::to_owned).collect()
}

#[test]
fn the_rules_ask_for_what_is_served() {
    let rules = example("nexus.rules.yml");
    // What is said to people may name a histogram as a whole.
    let is_said = |line: &&str| {
        ["summary:", "description:", "#"]
            .iter()
            .any(|of| line.trim().starts_with(of))
    };
    let asked: Vec<_> = rules.lines().filter(|line| !is_said(line)).collect();
    let named = named(&asked.join("\n"));
    let unknown: Vec<_> = named.difference(&served()).cloned().collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(named.len() > 10, "{named:?}");
}

#[test]
fn the_dashboard_asks_for_what_is_served_and_says_so_of_every_panel() {
    let dashboard: Value = serde_json::from_str(&example("grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let panels = panels.iter().filter(|panel| panel["type"] != "row");
    let mut all = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        assert!(
            ids.insert(panel["id"].as_u64().unwrap()),
            "{title}: its id is another's"
        );
        assert!(
            panel["description"]
                .as_str()
                .is_some_and(|said| !said.is_empty()),
            "{title}"
        );
        for target in panel["targets"].as_array().unwrap() {
            let named = named(target["expr"].as_str().unwrap());
            assert!(!named.is_empty(), "{title} asks for nothing of the hub");
            all.extend(named);
        }
    }
    let unknown: Vec<_> = all.difference(&served()).cloned().collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(all.len() > 20, "{all:?}");
}
