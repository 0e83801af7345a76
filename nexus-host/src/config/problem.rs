//! What is wrong with a configuration: receives a place, a key and a sentence, hands on one line a
//! person can act on. It never holds a value that may be a secret; its makers see to that.

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, Serializer};

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Place {
    /// In a file; a line and column count from 1 and are absent when the file as a whole is meant.
    File {
        /// The file, as it was named to the loader.
        path: Arc<Path>,
        /// The line and the column (in characters).
        position: Option<(usize, usize)>,
    },
    /// In this environment variable.
    Variable(Arc<str>),
    /// Nowhere: a default, or set by the embedding program.
    Unwritten,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, position } => {
                write!(f, "{}", path.display())?;
                match position {
                    Some((line, _)) => write!(f, ":{line}"),
                    None => Ok(()),
                }
            }
            Self::Variable(name) => f.write_str(name),
            Self::Unwritten => f.write_str("config"),
        }
    }
}

/// One mistake in the configuration.
///
/// ```
/// let errors = nexus_host::config::Config::from_toml_str("[queue]\ncapcity = 5\n").unwrap_err();
/// assert_eq!(
///     errors.to_string(),
///     "config:2: queue.capcity: unknown key; did you mean `capacity`?"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Problem {
    /// Where the value is written.
    pub place: Place,
    /// The dotted path of the key, such as `clients[1].id`; empty when no key is to blame.
    pub key: String,
    /// What is wrong, in lower case.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problem {
    /// A problem with the value of `key` (a dotted path), written at `place`.
    pub fn new(place: Place, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            place,
            key: key.into(),
            message: message.into(),
            help: None,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The file it is written in, unless a variable or the program set it.
    pub fn file(&self) -> Option<&Path> {
        match &self.place {
            Place::File { path, .. } => Some(path),
            _ => None,
        }
    }

    /// The line in that file, from 1.
    pub fn line(&self) -> Option<usize> {
        self.position().map(|(line, _)| line)
    }

    /// The column in that line, in characters from 1.
    pub fn column(&self) -> Option<usize> {
        self.position().map(|(_, column)| column)
    }

    /// The environment variable it is written in.
    pub fn variable(&self) -> Option<&str> {
        match &self.place {
            Place::Variable(name) => Some(name),
            _ => None,
        }
    }

    fn position(&self) -> Option<(usize, usize)> {
        match &self.place {
            Place::File { position, .. } => *position,
            _ => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

/// A flat object (`file`, `line`, `column` or `variable`; `key`, `message`, `help`), for `--json`.
impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(file) = self.file() {
            map.serialize_entry("file", &file.to_string_lossy())?;
        }
        if let Some((line, column)) = self.position() {
            map.serialize_entry("line", &line)?;
            map.serialize_entry("column", &column)?;
        }
        if let Some(variable) = self.variable() {
            map.serialize_entry("variable", variable)?;
        }
        map.serialize_entry("key", &self.key)?;
        map.serialize_entry("message", &self.message)?;
        if let Some(help) = &self.help {
            map.serialize_entry("help", help)?;
        }
        map.end()
    }
}

/// Why a text is not the value that is wanted; it never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidValue(pub(crate) &'static str);

/// Every mistake found in a configuration, sorted by file and line; at least one.
///
/// Both ways of printing it give one line for each: a `main` that returns it tells what is wrong.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<Problem>);

impl ConfigErrors {
    /// Sorts the problems and drops repeated ones; nothing to tell is no error.
    ///
    /// # Errors
    ///
    /// Fails with the problems, when there are any.
    pub fn none_of(mut problems: Vec<Problem>) -> Result<(), Self> {
        problems.sort();
        problems.dedup();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Self(problems))
        }
    }

    /// The problems, sorted.
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }

    /// The problems, sorted, for adding others to.
    pub fn into_problems(self) -> Vec<Problem> {
        self.0
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for ConfigErrors {}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(file: &str, line: usize) -> Place {
        Place::File {
            path: Path::new(file).into(),
            position: Some((line, 3)),
        }
    }

    #[test]
    fn told_in_the_order_of_files_and_lines_and_once() {
        let problems = vec![
            Problem::new(Place::Unwritten, "d", "m"),
            Problem::new(Place::Variable("NEXUS_A__B".into()), "c", "m").with_help("do this"),
            Problem::new(at("nexus.toml", 10), "b", "m"),
            Problem::new(at("nexus.toml", 9), "a", "m"),
            Problem::new(at("nexus.toml", 9), "a", "m"),
        ];
        let errors = ConfigErrors::none_of(problems).unwrap_err();
        assert_eq!(
            errors.to_string(),
            "nexus.toml:9: a: m\nnexus.toml:10: b: m\nNEXUS_A__B: c: m; do this\nconfig: d: m"
        );
        assert_eq!(format!("{errors:?}"), errors.to_string());
        assert_eq!(ConfigErrors::none_of(Vec::new()), Ok(()));
    }

    #[test]
    fn json_is_flat() {
        let problem = Problem::new(at("nexus.toml", 9), "a", "m").with_help("h");
        assert_eq!(
            serde_json::to_value(&problem).unwrap(),
            serde_json::json!({"file": "nexus.toml", "line": 9, "column": 3, "key": "a", "message": "m", "help": "h"})
        );
        let problem = Problem::new(Place::Variable("NEXUS_A".into()), "a", "m");
        assert_eq!(
            serde_json::to_value(&problem).unwrap(),
            serde_json::json!({"variable": "NEXUS_A", "key": "a", "message": "m"})
        );
    }
}
