//! The fuzz target of this room: a configuration, and variables over it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::{Debug, Display};
use std::path::Path;
use std::str::FromStr;

use super::document::{Content, Node, Secrets};
use super::{ByteSize, Config, HumanDuration, Loader, Selector, secret, source, variables};
use crate::fuzz::{lines, parts};

/// How long one line about a mistake may be: it names keys as they were written.
const LONGEST_LINE: usize = 64 * 1024;

/// A text in TOML, and lines `NAME=VALUE`.
pub fn config(bytes: &[u8]) {
    let [text, overrides] = parts(bytes);
    let Ok(text) = str::from_utf8(text) else {
        return;
    };
    text.lines().for_each(values);
    let overrides: BTreeMap<String, OsString> = lines(overrides)
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    // What it says is not to be opened here.
    if names_a_file(text, &overrides) {
        return;
    }
    let loader =
        Loader::text(text).variables(overrides.iter().map(|(n, v)| (n.as_str(), v.clone())));
    match loader.load() {
        Ok(config) => expect_whole(&config),
        Err(errors) => {
            let told = errors.into_problems();
            assert!(!told.is_empty());
            for problem in told {
                let line = problem.to_string();
                assert!(line.len() <= LONGEST_LINE + text.len(), "{}", line.len());
            }
        }
    }
}

/// What was loaded passes its own check, and is the same when it is written and read.
fn expect_whole(config: &Config) {
    assert_eq!(config.check().map_err(|errors| errors.to_string()), Ok(()));
    let written = serde_json::to_value(config).expect("it can be written");
    let has_secrets = config.clients.iter().any(|client| !client.hmac.is_empty())
        || config
            .webhooks
            .iter()
            .any(|webhook| !webhook.secrets.is_empty())
        || config.issuers.iter().any(|issuer| issuer.secret.is_some());
    let again = serde_json::from_value::<Config>(written.clone());
    let again = again.unwrap_or_else(|error| panic!("{written}: {error}"));
    if !has_secrets {
        assert_eq!(serde_json::to_value(again).ok(), Some(written));
    }
}

fn names_a_file(text: &str, overrides: &BTreeMap<String, OsString>) -> bool {
    let Ok(mut root) = source::read(text, Path::new("fuzz")) else {
        return false;
    };
    secret::mark(&mut root);
    variables::apply(&mut root, overrides);
    holds_a_file(&root)
}

fn holds_a_file(node: &Node) -> bool {
    match &node.content {
        Content::Table(entries) => entries.values().any(holds_a_file),
        Content::List(items) => items.iter().any(holds_a_file),
        Content::Scalar { .. } => false,
        Content::Reference(reference) => {
            reference.to_json(Secrets::AsWritten).get("file").is_some()
        }
    }
}

/// What a line is read as can be written, and is read as the same.
fn values(line: &str) {
    fn same<T: FromStr + Display + PartialEq + Debug>(line: &str) {
        if let Ok(value) = line.parse::<T>() {
            assert_eq!(value.to_string().parse::<T>().ok(), Some(value));
        }
    }
    same::<HumanDuration>(line);
    same::<ByteSize>(line);
    same::<Selector>(line);
}
