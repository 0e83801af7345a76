//! The files of one account and the journal of their changes: receives changes, hands on entries as the API tells
//! them. Paths are found whatever their case.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

/// What is at a path.
#[derive(Debug, Clone)]
enum Node {
    Folder {
        id: String,
    },
    File {
        id: String,
        rev: String,
        size: u64,
        modified: DateTime<Utc>,
    },
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// By the path in lower case: as it is shown, and what it is.
    nodes: BTreeMap<String, (String, Node)>,
    /// Paths as they are shown, in the order of their changes.
    journal: Vec<String>,
    made: u64,
    /// Whether a move changes no revision.
    pub(crate) keeps_revisions: bool,
}

impl Tree {
    /// How many changes there were.
    pub(crate) fn changes(&self) -> usize {
        self.journal.len()
    }

    pub(crate) fn put(&mut self, path: &str, size: u64) -> Value {
        for (at, _) in path.match_indices('/').skip(1) {
            if !self.nodes.contains_key(&lower(&path[..at])) {
                self.make_folder(&path[..at]);
            }
        }
        let id = match self.nodes.get(&lower(path)) {
            Some((_, Node::File { id, .. })) => id.clone(),
            _ => self.next("id:f"),
        };
        self.write_file(path, id, size)
    }

    pub(crate) fn make_folder(&mut self, path: &str) -> Value {
        let id = self.next("id:d");
        self.write(path, Node::Folder { id })
    }

    /// `None` when there is nothing.
    pub(crate) fn delete(&mut self, path: &str) -> Option<Value> {
        let told = self.entry(path);
        let gone = self.below(path);
        for path in &gone {
            self.nodes.remove(path);
        }
        if gone.is_empty() {
            return None;
        }
        // A folder's end is told as one: who follows knows what was in it.
        self.journal.push(path.to_owned());
        Some(told)
    }

    /// `None` when there is nothing.
    pub(crate) fn rename(&mut self, from: &str, to: &str) -> Option<Value> {
        let moved: Vec<(String, Node)> = self
            .below(from)
            .iter()
            .filter_map(|path| self.nodes.get(path).cloned())
            .collect();
        self.delete(from)?;
        for (shown, node) in moved {
            let place = format!("{to}{}", shown.get(from.len()..).unwrap_or_default());
            match node {
                file @ Node::File { .. } if self.keeps_revisions => self.write(&place, file),
                Node::File { id, size, .. } => self.write_file(&place, id, size),
                folder @ Node::Folder { .. } => self.write(&place, folder),
            };
        }
        Some(self.entry(to))
    }

    /// Says when a file was written.
    pub(crate) fn written(&mut self, path: &str, at: DateTime<Utc>) {
        if let Some((_, Node::File { modified, .. })) = self.nodes.get_mut(&lower(path)) {
            *modified = at;
        }
    }

    /// The paths below a folder after one of them, in order, at most so many, and whether there are more.
    pub(crate) fn page(
        &self,
        folder: &str,
        after: Option<&str>,
        most: usize,
    ) -> (Vec<Value>, Option<String>) {
        let below = format!("{}/", lower(folder));
        let mut found = self
            .nodes
            .iter()
            .filter(|(path, _)| path.starts_with(&below))
            .skip_while(|(path, _)| after.is_some_and(|after| path.as_str() <= after));
        let page: Vec<_> = found.by_ref().take(most).collect();
        let last = page.last().map(|(path, _)| (*path).clone());
        let more = found.next().and(last);
        let entries = page.iter().map(|(_, (shown, _))| self.entry(shown));
        (entries.collect(), more)
    }

    /// What has changed below a folder since so many changes, each path once; and how far that is.
    pub(crate) fn since(
        &self,
        folder: &str,
        changes: usize,
        most: usize,
        newest_first: bool,
    ) -> (Vec<Value>, usize) {
        let below = format!("{}/", lower(folder));
        let until = self.journal.len().min(changes.saturating_add(most));
        let mut seen = BTreeSet::new();
        let new = self.journal.get(changes..until).unwrap_or_default();
        let mut entries: Vec<Value> = new
            .iter()
            .filter(|path| lower(path).starts_with(&below) || lower(path) == lower(folder))
            .filter(|path| seen.insert(lower(path)))
            .map(|path| self.entry(path))
            .collect();
        if newest_first {
            entries.reverse();
        }
        (entries, until)
    }

    /// Whether a folder is there; the root always is.
    pub(crate) fn has_folder(&self, path: &str) -> bool {
        path.is_empty() || matches!(self.nodes.get(&lower(path)), Some((_, Node::Folder { .. })))
    }

    /// What is at a path now, as the API tells it.
    pub(crate) fn entry(&self, path: &str) -> Value {
        let found = self.nodes.get(&lower(path));
        let shown = found.map_or(path, |(shown, _)| shown);
        let mut entry = json!({
            "name": shown.rsplit('/').next(),
            "path_lower": lower(shown),
            "path_display": shown,
        });
        match found.map(|(_, node)| node) {
            None => entry[".tag"] = json!("deleted"),
            Some(Node::Folder { id }) => {
                entry[".tag"] = json!("folder");
                entry["id"] = json!(id);
            }
            Some(Node::File {
                id,
                rev,
                size,
                modified,
            }) => {
                let at = modified.to_rfc3339_opts(SecondsFormat::Secs, true);
                entry[".tag"] = json!("file");
                entry["id"] = json!(id);
                entry["rev"] = json!(rev);
                entry["size"] = json!(size);
                entry["client_modified"] = json!(at);
                entry["server_modified"] = json!(at);
                entry["is_downloadable"] = json!(true);
            }
        }
        entry
    }

    /// What is at a path and below it, in lower case.
    fn below(&self, path: &str) -> Vec<String> {
        let (own, below) = (lower(path), format!("{}/", lower(path)));
        let found = self.nodes.keys();
        found
            .filter(|found| **found == own || found.starts_with(&below))
            .cloned()
            .collect()
    }

    fn write_file(&mut self, path: &str, id: String, size: u64) -> Value {
        // Every change has a revision of its own, a move also, unless a test wants it otherwise.
        let rev = self.next("5f");
        self.write(
            path,
            Node::File {
                id,
                rev,
                size,
                modified: Utc::now(),
            },
        )
    }

    fn write(&mut self, path: &str, node: Node) -> Value {
        self.nodes.insert(lower(path), (path.to_owned(), node));
        self.journal.push(path.to_owned());
        self.entry(path)
    }

    fn next(&mut self, prefix: &str) -> String {
        self.made += 1;
        format!("{prefix}{:014x}", self.made)
    }
}

fn lower(path: &str) -> String {
    path.to_lowercase()
}
