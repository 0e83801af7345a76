//! `nexus key new`: receives a client's name and scopes, prints a fresh key once and the lines for
//! the configuration. It keeps nothing and writes no file.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use nexus_host::config::{HumanDuration, Selector};
use rand::TryRngCore;
use rand::rngs::OsRng;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::cli::{Common, NewKey};
use crate::failure::Failure;
use crate::output;

/// What every key starts with, so that one that leaks is recognised.
pub(crate) const PREFIX: &str = "nxk_";

/// Random bytes in a key.
const KEY_BYTES: usize = 32;

/// The longest name of a client.
const LONGEST_ID: usize = 200;

#[derive(Serialize)]
struct Client<'a> {
    id: &'a str,
    key_sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    sources: Vec<String>,
    types: Vec<String>,
    admin: bool,
}

#[derive(Serialize)]
struct Made<'a> {
    key: &'a str,
    #[serde(flatten)]
    client: &'a Client<'a>,
    toml: String,
}

/// Makes a key.
///
/// # Errors
/// When a name or a scope is none, or the system has no random numbers.
pub(crate) fn new(common: &Common, options: &NewKey) -> Result<(), Failure> {
    if !(1..=LONGEST_ID).contains(&options.id.chars().count()) {
        return Err(Failure::usage(format!(
            "--id: write a name of 1 to {LONGEST_ID} characters"
        )));
    }
    if options.expires.is_some_and(|lasts| lasts.is_zero()) {
        return Err(Failure::usage(
            "--expires: a key that lasts 0s is never good; write a time such as 90d",
        ));
    }
    let sources = scopes("--sources", &options.sources, &options.id)?;
    let types = scopes("--types", &options.types, &format!("{}.*", options.id))?;
    let key = random()?;
    let client = Client {
        id: &options.id,
        key_sha256: hex::encode(Sha256::digest(key.as_bytes())),
        expires_at: options.expires.map(|lasts| end(Utc::now(), lasts)),
        sources,
        types,
        admin: options.admin,
    };
    let toml = lines(&client);
    if common.json {
        output::json(&Made {
            key: &key,
            client: &client,
            toml,
        });
        return Ok(());
    }
    output::line(&key);
    output::note(
        "\nAbove: the client's key. It is shown this once and kept nowhere; the client sends it as \
         `Authorization: Bearer KEY`, the command line reads it from NEXUS_KEY.\n\
         Below: for nexus.toml. A running hub takes it up with `nexus reload` or SIGHUP.",
    );
    if client.expires_at.is_some() {
        output::note(
            "For a client that is there already, take the entry of `keys` alone; two of its keys \
             may be valid at the same time.",
        );
    }
    output::line(&format!("\n{toml}"));
    Ok(())
}

fn scopes(option: &str, given: &[String], default: &str) -> Result<Vec<String>, Failure> {
    let scopes = match given {
        [] if default.parse::<Selector>().is_err() => {
            return Err(Failure::usage(format!(
                "{option}: left out, it would be `{}`, which is no name for it; write {option} too, or an --id \
                 without spaces and `*`",
                default.escape_debug()
            )));
        }
        [] => vec![default.to_owned()],
        given => given.to_vec(),
    };
    for scope in &scopes {
        scope.parse::<Selector>().map_err(|error| {
            Failure::usage(format!("{option}: `{}` {error}", scope.escape_debug()))
        })?;
    }
    Ok(scopes)
}

fn random() -> Result<String, Failure> {
    let mut bytes = [0; KEY_BYTES];
    OsRng.try_fill_bytes(&mut bytes).map_err(|error| {
        Failure::failed(format!("the system has no random numbers to give: {error}"))
    })?;
    Ok(format!("{PREFIX}{}", hex::encode(bytes)))
}

/// When a key that lasts so long from now on expires. The configuration knows whole seconds.
fn end(now: DateTime<Utc>, lasts: HumanDuration) -> String {
    // At most 366 days, which is far from where the calendar ends.
    let lasts = TimeDelta::from_std(lasts.get()).unwrap_or_default();
    (now + lasts).to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn lines(client: &Client<'_>) -> String {
    let text = |text: &str| toml::Value::from(text).to_string();
    let list = |texts: &[String]| toml::Value::from(texts.to_vec()).to_string();
    let hash = text(&client.key_sha256);
    let key = match &client.expires_at {
        None => format!("key_sha256 = {hash}"),
        Some(end) => format!("keys = [{{ sha256 = {hash}, expires_at = {} }}]", text(end)),
    };
    format!(
        "[[clients]]\nid = {}\n{key}\nsources = {}\ntypes = {}\nadmin = {}",
        text(client.id),
        list(&client.sources),
        list(&client.types),
        client.admin
    )
}

#[cfg(test)]
mod tests {
    use nexus_host::config::Config;

    use super::*;

    #[test]
    fn the_lines_are_a_configuration_whatever_the_name() {
        let client = Client {
            id: "a \"quoted\" \n name",
            key_sha256: hex::encode(Sha256::digest(b"k")),
            expires_at: None,
            sources: vec!["a".to_owned(), "b.*".to_owned()],
            types: vec!["*".to_owned()],
            admin: true,
        };
        let config = Config::from_toml_str(&lines(&client)).unwrap();
        let [read] = config.clients.as_slice() else {
            panic!("one client, not {:?}", config.clients);
        };
        assert_eq!(read.id, client.id);
        assert_eq!(read.sources.len(), 2);
        assert!(read.admin);
    }

    #[test]
    fn a_key_expires_when_it_says() {
        let now = "2026-10-03T08:00:00.5Z".parse().unwrap();
        let client = Client {
            id: "a",
            key_sha256: hex::encode(Sha256::digest(b"k")),
            expires_at: Some(end(now, "90d".parse().unwrap())),
            sources: Vec::new(),
            types: Vec::new(),
            admin: false,
        };
        let config = Config::from_toml_str(&lines(&client)).unwrap();
        let [key] = config.clients[0].keys.as_slice() else {
            panic!("one key, not {:?}", config.clients);
        };
        let end: DateTime<Utc> = "2027-01-01T08:00:00Z".parse().unwrap();
        assert_eq!(key.expires_at, Some(end));
    }

    #[test]
    fn keys_are_long_and_never_the_same() {
        let (one, other) = (random().unwrap(), random().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), PREFIX.len() + 2 * KEY_BYTES);
    }
}
