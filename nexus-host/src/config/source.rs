//! One layer of the configuration: receives TOML text, hands on a tree whose values know their line,
//! or every syntax error in it. It never quotes the text: a line may hold a secret.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::{Content, Node};
use super::key::KeyPath;
use super::problem::{Place, Problem};

/// Reads one file's text.
pub(crate) fn read(text: &str, path: &Path) -> Result<Node, Vec<Problem>> {
    let reader = Reader {
        path: path.into(),
        text,
        line_starts: std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect(),
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let mut problems: Vec<Problem> = errors.iter().map(|e| reader.syntax(e)).collect();
        // One slip makes the parser stumble several times on the same line.
        problems.sort();
        problems.dedup_by_key(|problem| problem.line());
        return Err(problems);
    }
    let mut problems = Vec::new();
    let place = Place::File {
        path: reader.path.clone(),
        position: None,
    };
    let content = reader.table(table.get_ref(), &KeyPath::root(), &mut problems);
    if problems.is_empty() {
        Ok(Node { place, content })
    } else {
        Err(problems)
    }
}

/// Reads text as one TOML value, or as nothing when it is none (`127.0.0.1:9000` is not).
pub(crate) fn read_literal(text: &str, place: &Place) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    literal(value.get_ref(), place)
}

fn literal(value: &DeValue<'_>, place: &Place) -> Option<Node> {
    let content = match value {
        DeValue::Table(entries) => Content::Table(
            entries
                .iter()
                .map(|(key, value)| {
                    let node = literal(value.get_ref(), place)?;
                    Some((key.get_ref().to_string(), node))
                })
                .collect::<Option<_>>()?,
        ),
        DeValue::Array(items) => Content::List(
            items
                .iter()
                .map(|item| literal(item.get_ref(), place))
                .collect::<Option<_>>()?,
        ),
        value => Content::Scalar {
            value: scalar(value).ok()?,
            text: None,
        },
    };
    Some(Node {
        place: place.clone(),
        content,
    })
}

fn scalar(value: &DeValue<'_>) -> Result<Value, &'static str> {
    Ok(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(datetime) => Value::String(datetime.to_string()),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map(Value::from)
            .map_err(|_| "is too large a number")?,
        DeValue::Float(float) => float
            .as_str()
            .parse()
            .ok()
            .and_then(Number::from_f64)
            .map(Value::Number)
            .ok_or("is not a finite number")?,
        DeValue::Array(_) | DeValue::Table(_) => return Err("is not a scalar"),
    })
}

struct Reader<'t> {
    path: Arc<Path>,
    text: &'t str,
    line_starts: Vec<usize>,
}

impl Reader<'_> {
    fn place(&self, offset: usize) -> Place {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts[line - 1];
        let column = self
            .text
            .get(start..offset)
            .map_or(0, |before| before.chars().count());
        Place::File {
            path: self.path.clone(),
            position: Some((line, column + 1)),
        }
    }

    fn syntax(&self, error: &toml::de::Error) -> Problem {
        let offset = error.span().map_or(0, |span| span.start);
        Problem::new(
            self.place(offset),
            "",
            format!("not TOML: {}", error.message()),
        )
    }

    fn table(&self, entries: &DeTable<'_>, at: &KeyPath, problems: &mut Vec<Problem>) -> Content {
        Content::Table(
            entries
                .iter()
                .map(|(key, value)| {
                    let path = at.key(key.get_ref());
                    let node = self.node(value, key.span().start, &path, problems);
                    (key.get_ref().to_string(), node)
                })
                .collect(),
        )
    }

    fn node(
        &self,
        value: &Spanned<DeValue<'_>>,
        offset: usize,
        at: &KeyPath,
        problems: &mut Vec<Problem>,
    ) -> Node {
        let place = self.place(offset);
        let content = match value.get_ref() {
            DeValue::Table(entries) => self.table(entries, at, problems),
            DeValue::Array(items) => Content::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(i, item)| self.node(item, item.span().start, &at.index(i), problems))
                    .collect(),
            ),
            value => Content::Scalar {
                value: scalar(value).unwrap_or_else(|wrong| {
                    problems.push(Problem::new(place.clone(), at.to_string(), wrong));
                    Value::Null
                }),
                text: None,
            },
        };
        Node { place, content }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, names: &[&str]) -> Option<(usize, usize)> {
        let root = read(text, Path::new("nexus.toml")).unwrap_or_else(|p| panic!("{p:?}"));
        match root.nearest_place(&root.path(names)) {
            Place::File { position, .. } => position,
            _ => None,
        }
    }

    fn problems(text: &str) -> Vec<String> {
        let problems = read(text, Path::new("nexus.toml"))
            .err()
            .unwrap_or_default();
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_value_knows_its_line() {
        let text = "a.b = 1\n[queue]\n  capacity = 2\n[[clients]]\nid = \"x\"\nsources = [\n  \"é\", \"b\",\n]\n\n[[clients]]\nid = \"y\"";
        assert_eq!(lines(text, &["a", "b"]), Some((1, 3)));
        assert_eq!(lines(text, &["queue"]), Some((2, 2)));
        assert_eq!(lines(text, &["queue", "capacity"]), Some((3, 3)));
        assert_eq!(lines(text, &["clients", "0", "sources", "1"]), Some((7, 8)));
        assert_eq!(lines(text, &["clients", "1"]).map(|p| p.0), Some(10));
        assert_eq!(lines(text, &["clients", "1", "id"]), Some((11, 1)));
        assert_eq!(
            lines(text, &["clients", "1", "nothing"]).map(|p| p.0),
            Some(10)
        );
    }

    #[test]
    fn every_syntax_error_is_told_with_its_line_and_without_its_text() {
        let told = problems("[queue]\ncapacity = = 5\n\n[x]\ntoken = canary\ntoken = 2\n");
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].starts_with("nexus.toml:2: not TOML: "), "{told:?}");
        assert!(told[1].starts_with("nexus.toml:5: not TOML: "), "{told:?}");
        assert!(told[2].starts_with("nexus.toml:6: not TOML: "), "{told:?}");
        assert!(!told.concat().contains("canary"), "{told:?}");
    }

    #[test]
    fn numbers_that_json_has_not_are_refused() {
        assert_eq!(
            problems("a = nan\nb = -inf\nc = 99999999999999999999\nd = 0xff"),
            [
                "nexus.toml:1: a: is not a finite number",
                "nexus.toml:2: b: is not a finite number",
                "nexus.toml:3: c: is too large a number",
            ]
        );
    }

    #[test]
    fn a_literal_is_one_whole_value() {
        let read = |text| {
            read_literal(text, &Place::Unwritten)
                .map(|node| node.to_json(super::super::document::Secrets::AsWritten))
        };
        assert_eq!(read("50"), Some(50.into()));
        assert_eq!(read("[\"1s\", 2]"), Some(serde_json::json!(["1s", 2])));
        assert_eq!(
            read("{ env = \"X\" }"),
            Some(serde_json::json!({"env": "X"}))
        );
        for none in ["", "30s", "127.0.0.1:9000", "1\nb = 2", "nan", "x", "1 2"] {
            assert_eq!(read(none), None, "{none:?}");
        }
    }
}
