//! Texts with placeholders: receives `Order {values.order.id}`, hands on the text with the values in it, each written
//! as its place needs. Two braces stand for one.

use std::fmt;
use std::str::FromStr;

use nexus_plugin_api::PluginError;
use serde_json::Value;

/// What every placeholder begins with.
const ROOT: &str = "values";

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Text(String),
    Value(Path),
}

/// The way to a value, such as `order.id`; a number is a place in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path(Vec<String>);

impl Template {
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The placeholder, where there is nothing beside it.
    pub(crate) fn whole(&self) -> Option<&Path> {
        match self.parts.as_slice() {
            [Part::Value(path)] => Some(path),
            _ => None,
        }
    }

    /// The text, with each value as `write` has it.
    pub(crate) fn fill(
        &self,
        values: &Value,
        mut write: impl FnMut(&Path, String) -> Result<String, PluginError>,
    ) -> Result<String, PluginError> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Value(path) => text.push_str(&write(path, path.text(values)?)?),
            }
        }
        Ok(text)
    }
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let (brace, after) = rest[at..].split_at(1);
            if let Some(further) = after.strip_prefix(brace) {
                literal.push_str(brace);
                rest = further;
                continue;
            }
            let inner = (brace == "{").then(|| after.split_once('}')).flatten();
            let (inner, further) = inner
                .ok_or("holds a single brace; write it twice where no placeholder is meant")?;
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(Part::Value(inner.parse()?));
            rest = further;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self { parts })
    }
}

impl Path {
    /// The value there.
    pub(crate) fn value<'v>(&self, values: &'v Value) -> Result<&'v Value, PluginError> {
        let mut found = Some(values);
        for name in &self.0 {
            found = found.and_then(|value| match value {
                Value::Array(list) => list.get(name.parse::<usize>().ok()?),
                value => value.get(name),
            });
        }
        found.ok_or_else(|| {
            PluginError::permanent("missing_value", format!("there is no value for `{self}`"))
        })
    }

    /// The value there, where it can stand in a text.
    pub(crate) fn text(&self, values: &Value) -> Result<String, PluginError> {
        match self.value(values)? {
            Value::String(text) => Ok(text.clone()),
            value @ (Value::Number(_) | Value::Bool(_)) => Ok(value.to_string()),
            _ => Err(self.unfit("is neither text nor a number nor true or false")),
        }
    }

    /// The error of a value that cannot stand where it should. It does not tell the value.
    pub(crate) fn unfit(&self, why: &str) -> PluginError {
        PluginError::permanent("invalid_value", format!("the value for `{self}` {why}"))
    }
}

impl FromStr for Path {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = text
            .strip_prefix(ROOT)
            .and_then(|rest| rest.strip_prefix('.'));
        let names: Vec<String> = names
            .map(|names| names.split('.').map(str::to_owned).collect())
            .unwrap_or_default();
        if names.is_empty() || names.iter().any(String::is_empty) {
            return Err(format!(
                "holds `{{{text}}}`; a placeholder reads {{values.NAME}}, and deeper {{values.NAME.NAME}}"
            ));
        }
        Ok(Self(names))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{ROOT}.{}}}", self.0.join("."))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(template: &str, values: &Value) -> Result<String, PluginError> {
        let template: Template = template.parse().unwrap();
        template.fill(values, |_, text| Ok(text))
    }

    #[test]
    fn values_take_the_place_of_placeholders() {
        let values =
            json!({"order": {"id": 17, "lines": [{"sku": "a"}, {"sku": "b"}]}, "ok": true});
        for (template, text) in [
            ("", ""),
            ("as it is", "as it is"),
            ("{values.order.id}", "17"),
            ("Order {values.order.id}: {values.ok}", "Order 17: true"),
            ("{values.order.lines.1.sku}", "b"),
            ("{{values.ok}} {{}}", "{values.ok} {}"),
        ] {
            assert_eq!(filled(template, &values).unwrap(), text, "{template}");
        }
    }

    #[test]
    fn a_value_that_is_not_there_is_named() {
        let values = json!({"order": {"id": null, "lines": []}, "a": {}});
        for (template, code, named) in [
            ("{values.user}", "missing_value", "`{values.user}`"),
            (
                "{values.order.sum.net}",
                "missing_value",
                "`{values.order.sum.net}`",
            ),
            (
                "{values.order.lines.0}",
                "missing_value",
                "`{values.order.lines.0}`",
            ),
            ("{values.order.id}", "invalid_value", "`{values.order.id}`"),
            ("{values.a}", "invalid_value", "`{values.a}`"),
        ] {
            let error = filled(template, &values).unwrap_err();
            assert_eq!((&*error.code, error.retryable), (code, false), "{template}");
            assert!(error.message.contains(named), "{error}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for bad in [
            "{",
            "}",
            "{values.a",
            "{a}",
            "{}",
            "{values}",
            "{values.}",
            "{values.a..b}",
            "{value.a}",
        ] {
            assert!(bad.parse::<Template>().is_err(), "{bad}");
        }
    }
}
