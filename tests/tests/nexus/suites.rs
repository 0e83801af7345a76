//! Suites that others keep, run against a real hub. docs/suites.md says which, how much of each, and what
//! is left out and why.

mod json_schema;
mod json_texts;
mod served_documents;
mod socket;

use std::fmt::Display;

use nexus_tests::hub::{Home, HubBuilder};
use nexus_tests::skip;
use serde_json::Value;

/// What is there, or nothing; the test is then skipped.
fn or_skip<T>(test: &str, found: Result<T, impl Display>) -> Option<T> {
    skip::or_skip(&format!("suites::{test}"), found)
}

/// A hub to come that has contract files, by their names.
fn with_contracts(
    more: &str,
    plugins: &[&str],
    files: impl IntoIterator<Item = (String, Value)>,
) -> Home {
    let config = format!("[plugins]\ncontracts_dir = \"contracts\"\n{more}");
    let builder = HubBuilder::new().config(&config);
    let home = plugins
        .iter()
        .fold(builder, |builder, name| builder.plugin(name));
    let home = home.lay_out();
    let folder = home.path().join("contracts");
    std::fs::create_dir(&folder).unwrap();
    for (name, file) in files {
        std::fs::write(folder.join(name), file.to_string()).unwrap();
    }
    home
}
