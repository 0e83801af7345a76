//! What a schema cannot say: receives each room's typed settings, collects its objections with
//! their places. It never objects to a value that is already known to be wrong.

use std::time::Duration;

use serde_json::Value;

use super::document::Document;
use super::key::KeyPath;
use super::problem::Problem;
use super::schema;

/// The objections so far, and the values that are wrong anyway.
pub(crate) struct Objections<'d> {
    document: &'d Document,
    /// Values that were taken out for being wrong; a default stands there, which nobody chose.
    spoiled: &'d [KeyPath],
    problems: Vec<Problem>,
}

impl<'d> Objections<'d> {
    pub(crate) fn new(document: &'d Document, spoiled: &'d [KeyPath]) -> Self {
        Self {
            document,
            spoiled,
            problems: Vec::new(),
        }
    }

    pub(crate) fn root(&mut self) -> Section<'_, 'd> {
        Section {
            objections: self,
            path: KeyPath::root(),
        }
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}

/// One table or list of the configuration, for its owner to object to.
pub(crate) struct Section<'o, 'd> {
    objections: &'o mut Objections<'d>,
    path: KeyPath,
}

impl<'d> Section<'_, 'd> {
    pub(crate) fn key(&mut self, key: &str) -> Section<'_, 'd> {
        Section {
            path: self.path.key(key),
            objections: self.objections,
        }
    }

    pub(crate) fn index(&mut self, index: usize) -> Section<'_, 'd> {
        Section {
            path: self.path.index(index),
            objections: self.objections,
        }
    }

    /// Objects to the value of `key`.
    pub(crate) fn refuse(&mut self, key: &str, message: impl Into<String>, help: &str) {
        self.refuse_together(&[key], message, help);
    }

    /// Objects to the table or list as a whole.
    pub(crate) fn refuse_here(&mut self, message: impl Into<String>, help: &str) {
        self.refuse_together(&[], message, help);
    }

    /// Objects to values that do not go together, at the first that somebody wrote; not when one of
    /// them is wrong by itself, for then nobody knows what was meant.
    pub(crate) fn refuse_together(
        &mut self,
        keys: &[&str],
        message: impl Into<String>,
        help: &str,
    ) {
        let paths: Vec<KeyPath> = keys
            .iter()
            .map(|key| {
                key.split('.')
                    .fold(self.path.clone(), |path, key| path.key(key))
            })
            .collect();
        let spoiled = |path: &KeyPath| self.objections.spoiled.iter().any(|s| path.starts_with(s));
        if paths.iter().any(spoiled) {
            return;
        }
        let root = &self.objections.document.root;
        let written = paths.iter().find(|path| root.find(path).is_some());
        let path = written.or(paths.first()).unwrap_or(&self.path);
        let place = root.nearest_place(path);
        let problem = Problem::new(place, path.to_string(), message).with_help(help);
        self.objections.problems.push(problem);
    }

    /// Objects to a part of `value`, which stands here, at this JSON pointer into it; not to what holds something
    /// that is wrong by itself.
    pub(crate) fn refuse_within(
        &mut self,
        value: &Value,
        pointer: &str,
        message: impl Into<String>,
    ) {
        let path = schema::locate(value, &self.path, pointer);
        let spoils = |spoiled: &KeyPath| path.starts_with(spoiled) || spoiled.starts_with(&path);
        if self.objections.spoiled.iter().any(spoils) {
            return;
        }
        let place = self.objections.document.root.nearest_place(&path);
        let problem = Problem::new(place, path.to_string(), message);
        self.objections.problems.push(problem);
    }

    /// Whether somebody wrote `key`, rather than left it at its default.
    pub(crate) fn is_written(&self, key: &str) -> bool {
        let root = &self.objections.document.root;
        root.find(&self.path.key(key)).is_some()
    }

    /// Objects to a time of nothing at all.
    pub(crate) fn positive(&mut self, key: &str, duration: Duration) {
        if duration.is_zero() {
            self.refuse(
                key,
                "must be more than 0s",
                "write a duration such as \"10s\"",
            );
        }
    }

    /// Where `key` is written, for naming in another key's problem.
    pub(crate) fn place_of(&self, key: &str) -> String {
        let root = &self.objections.document.root;
        root.nearest_place(&self.path.key(key)).to_string()
    }
}
