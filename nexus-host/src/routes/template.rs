//! Templates: receives JSON with placeholders in its texts, compiles it once, and hands on JSON in which an event's
//! values stand in their places, or the place that cannot be filled. What it makes is bounded.
//!
//! A text that is one placeholder and nothing else becomes the value itself, of whatever type; a member or an item
//! whose value is absent is left out then. Keys are taken as they are written.

mod page;
mod text;

use std::io::Write;

use nexus_plugin_api::RawJson;
use serde_json::Value;

use super::misfit::{Misfit, each};
use crate::expression::{Case, Expression};
use page::{Page, told};
pub(super) use text::Text;

/// How long what a template makes may be, in bytes: as long as an event that is let in by default.
pub(super) const LONGEST: usize = 1024 * 1024;

/// JSON to be filled.
#[derive(Debug)]
pub(super) enum Template {
    /// Without a placeholder: its JSON.
    Fixed(String),
    Value(Expression),
    Text(Text),
    List(Vec<Template>),
    Table(Vec<(String, Template)>),
}

impl Template {
    /// Compiles one.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub(super) fn compile(written: &Value) -> Result<Self, Vec<Misfit>> {
        let template = match written {
            Value::String(text) => Text::compile(text)?
                .only()
                .map_or_else(Self::Text, Self::Value),
            Value::Array(items) => {
                let items = items.iter().enumerate();
                let items = items.map(|(at, item)| (at.to_string(), Self::compile(item)));
                Self::List(each(items)?)
            }
            Value::Object(members) => {
                let members = members.iter().map(|(key, value)| {
                    let compiled = Self::compile(value);
                    (key, compiled.map(|template| (key.clone(), template)))
                });
                Self::Table(each(members)?)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Self::Fixed(written.to_string()),
        };
        Ok(match template.placeholders() {
            0 => Self::Fixed(written.to_string()),
            _ => template,
        })
    }

    /// How many placeholders it has.
    pub(super) fn placeholders(&self) -> usize {
        match self {
            Self::Fixed(_) => 0,
            Self::Value(_) => 1,
            Self::Text(text) => text.placeholders(),
            Self::List(items) => items.iter().map(Self::placeholders).sum(),
            Self::Table(members) => members.iter().map(|(_, one)| one.placeholders()).sum(),
        }
    }

    /// Makes its JSON for an event, of so many bytes at most.
    ///
    /// # Errors
    /// Where it cannot be filled.
    pub(super) fn make(&self, case: &Case, longest: usize) -> Result<RawJson, Misfit> {
        let mut page = Page::new(longest);
        match self.fill(case, &mut page)? {
            true => Ok(RawJson::from_checked(page.into_bytes())),
            false => Err(Misfit::new("what it asks for is absent")),
        }
    }

    /// Writes it; whether there is anything.
    fn fill(&self, case: &Case, page: &mut Page) -> Result<bool, Misfit> {
        match self {
            Self::Fixed(json) => put(page, json)?,
            Self::Value(expression) => {
                let made = expression.give(case).map_err(Misfit::new)?;
                if made.is_absent() {
                    return Ok(false);
                }
                let written = made.write_json(&mut *page);
                written.map_err(|error| Misfit::new(told(&error, page)))?;
            }
            Self::Text(text) => {
                let text = text.write(case, page.apart()).map_err(Misfit::new)?;
                put_text(page, &text)?;
            }
            Self::List(items) => {
                let mut lead = "[";
                for (at, item) in items.iter().enumerate() {
                    let before = page.len();
                    put(page, lead)?;
                    let filled = item.fill(case, page);
                    match filled.map_err(|misfit| misfit.within(&at.to_string()))? {
                        true => lead = ",",
                        false => page.cut_back(before),
                    }
                }
                put(page, if lead == "[" { "[]" } else { "]" })?;
            }
            Self::Table(members) => {
                let mut lead = "{";
                for (key, member) in members {
                    let before = page.len();
                    put(page, lead)?;
                    put_text(page, key)?;
                    put(page, ":")?;
                    let filled = member.fill(case, page);
                    match filled.map_err(|misfit| misfit.within(key))? {
                        true => lead = ",",
                        false => page.cut_back(before),
                    }
                }
                put(page, if lead == "{" { "{}" } else { "}" })?;
            }
        }
        Ok(true)
    }
}

fn put(page: &mut Page, json: &str) -> Result<(), Misfit> {
    let written = page.write_all(json.as_bytes());
    written.map_err(|_| Misfit::new(page.is_full()))
}

fn put_text(page: &mut Page, text: &str) -> Result<(), Misfit> {
    let written = serde_json::to_writer(&mut *page, text);
    written.map_err(|error| Misfit::new(told(&error, page)))
}

#[cfg(test)]
mod tests;
