//! The place of one value inside the configuration: receives keys and indexes, hands on the dotted
//! path a person reads (`clients[1].sources[0]`). It never looks at values.

use std::fmt;

/// One step down the tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// The steps from the root to one value.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyPath(Vec<Step>);

impl KeyPath {
    pub(crate) fn root() -> Self {
        Self::default()
    }

    /// The path of these keys.
    pub(crate) fn from_keys(names: &[&str]) -> Self {
        names.iter().fold(Self::root(), |path, name| path.key(name))
    }

    pub(crate) fn key(&self, key: &str) -> Self {
        self.step(Step::Key(key.to_owned()))
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    pub(crate) fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The keys this path starts with, up to its first index.
    pub(crate) fn leading_keys(&self) -> Vec<&str> {
        self.0
            .iter()
            .map_while(|step| match step {
                Step::Key(key) => Some(key.as_str()),
                Step::Index(_) => None,
            })
            .collect()
    }

    /// The longest part of this path that ends in a key: what can be taken out of a table.
    pub(crate) fn ending_in_key(&self) -> Self {
        let kept = self
            .0
            .iter()
            .rposition(|step| matches!(step, Step::Key(_)))
            .map_or(0, |last| last + 1);
        Self(self.0[..kept].to_vec())
    }

    pub(crate) fn starts_with(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// Whether a value there may be, or may stand where, a secret: such values are never shown.
    pub(crate) fn may_hold_secret(&self) -> bool {
        match self.leading_keys().as_slice() {
            ["clients" | "issuers" | "webhooks", ..] | ["plugins"] => true,
            ["observe", "traces"] | ["observe", "traces", "headers", ..] => true,
            ["plugins", name, ..] => !crate::plugins::config::RESERVED.contains(name),
            _ => false,
        }
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    if at > 0 {
                        f.write_str(".")?;
                    }
                    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
                    if !key.is_empty() && key.chars().all(bare) {
                        f.write_str(key)?;
                    } else {
                        write!(f, "{key:?}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_like_toml() {
        let path = KeyPath::root().key("clients").index(1).key("a b");
        assert_eq!(path.to_string(), "clients[1].\"a b\"");
        assert_eq!(path.ending_in_key(), path);
        assert_eq!(path.index(0).index(2).ending_in_key(), path);
        assert_eq!(
            KeyPath::root().index(0).ending_in_key().to_string(),
            String::new()
        );
    }

    #[test]
    fn secrets_live_under_clients_issuers_and_named_plugins() {
        let path = |names: &[&str]| KeyPath::from_keys(names).may_hold_secret();
        assert!(path(&["clients"]) && path(&["issuers", "secret"]));
        assert!(path(&["plugins", "toasty", "sha256"]));
        assert!(path(&["plugins"]));
        assert!(path(&["observe", "traces", "headers", "authorization"]));
        assert!(!path(&["observe", "traces", "endpoint"]));
        assert!(!path(&["plugins", "dir"]));
        assert!(!path(&["queue", "capacity"]));
    }
}
