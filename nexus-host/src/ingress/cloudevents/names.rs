//! Names: receives a CloudEvent's source and id, hands on the hub's. The same ones always make the
//! same, so that an event sent twice is known.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::admission::rules;

/// Ids made from others' are below this one.
const NAMESPACE: Uuid = Uuid::from_u128(0x5f0c_7a3e_19d4_5b8a_9c62_e8d1_47b3_f06d);

/// How long a source may be.
const LONGEST: usize = 128;

/// The id of an event: a UUID as it is; any other id together with its source, for only there is
/// it unique.
pub(super) fn event_id(source: &str, id: &str) -> Uuid {
    // Neither has a line break in it.
    let derived = || Uuid::new_v5(&NAMESPACE, format!("{source}\n{id}").as_bytes());
    rules::uuid(id).unwrap_or_else(derived)
}

/// The source that a URI reference stands for: without its scheme, and with a hyphen for whatever
/// a source cannot hold. What is then empty or too long is told apart by its digest.
pub(super) fn source(uri: &str) -> String {
    if rules::is_source(uri) {
        return uri.to_owned();
    }
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let words = rest.split(|c| !plain(c)).filter(|word| !word.is_empty());
    let slug = words.collect::<Vec<_>>().join("-");
    match slug.len() {
        0 => format!("source-{}", digest(uri)),
        1..=LONGEST => slug,
        _ => {
            let digest = digest(uri);
            // All of it is ASCII.
            let start = &slug[..LONGEST - digest.len() - 1];
            format!("{start}-{digest}")
        }
    }
}

fn digest(text: &str) -> String {
    hex::encode(&Sha256::digest(text.as_bytes())[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_become_names() {
        for (uri, name) in [
            ("parrot", "parrot"),
            ("/parrot", "parrot"),
            ("https://github.com/o/r", "github.com-o-r"),
            ("https://github.com/o/r/", "github.com-o-r"),
            ("urn:example:a b", "urn-example-a-b"),
            ("//x//y?z=1#w", "x-y-z-1-w"),
            ("mailto:me@example.org", "mailto-me-example.org"),
            ("/caf\u{e9}/1", "caf-1"),
        ] {
            assert_eq!(source(uri), name, "{uri}");
        }
    }

    #[test]
    fn every_uri_makes_a_source_that_is_allowed() {
        let long = format!("https://example.org/{}", "a/".repeat(500));
        let longer = format!("{long}b");
        for uri in ["/", "\u{65e5}\u{672c}", "://", "?", &long, &longer] {
            let name = source(uri);
            assert!(rules::is_source(&name), "{uri}: {name}");
        }
        assert_ne!(source("/"), source("//"));
        assert_ne!(source(&long), source(&longer));
        assert_eq!(source(&long), source(&long));
    }

    #[test]
    fn an_id_is_kept_or_derived_with_its_source() {
        let id = "0190a5f0-3c1e-7d2a-9c1b-2f3e4d5c6b7a";
        assert_eq!(event_id("/a", id).to_string(), id);
        assert_eq!(event_id("/a", "1"), event_id("/a", "1"));
        assert_ne!(event_id("/a", "1"), event_id("/b", "1"));
        assert_ne!(event_id("/a", "1"), event_id("/a", "2"));
        let nil = "00000000-0000-0000-0000-000000000000";
        assert!(!event_id("/a", nil).is_nil());
    }
}
