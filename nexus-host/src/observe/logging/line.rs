//! How a line looks: receives a record and the spans it is within, hands on one line of text. Nothing in it is a
//! control character but its end, or changes how others look, whoever has written what it tells: a line cannot pass for
//! two or for another, nor speak to a terminal.

use std::fmt::{self, Debug, Write};

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_subscriber::field::{MakeExt, RecordFields};
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use crate::unseen::is_unseen;

/// Fields whose text is an object of JSON.
const OBJECTS: [&str; 2] = ["event", "fields"];

/// The fields of lines for people.
pub(super) fn fields() -> impl for<'w> FormatFields<'w> + Send + Sync + 'static {
    let field = |to: &mut Writer<'_>, field: &Field, value: &dyn Debug| {
        if field.name() != "message" {
            write!(to, "{}=", field.name())?;
        }
        write!(Escaped(to), "{value:?}")
    };
    debug_fn(field).delimited(" ")
}

/// The fields of lines for programs: members of an object, without its braces. Each event has some on its way, whether
/// or not a line is told there, so they are written as they come and only read again for a line.
#[derive(Debug)]
pub(super) struct Members;

impl<'w> FormatFields<'w> for Members {
    fn format_fields<R: RecordFields>(&self, to: Writer<'w>, fields: R) -> fmt::Result {
        let mut members = Written {
            to,
            between: "",
            so_far: Ok(()),
        };
        fields.record(&mut members);
        members.so_far
    }

    fn add_fields(&self, to: &'w mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        let mut told = Map::new();
        add(&mut told, &to.fields);
        let mut more = String::new();
        self.format_fields(Writer::new(&mut more), fields)?;
        add(&mut told, &more);
        let object = Value::Object(told).to_string();
        let members = object.strip_prefix('{').and_then(|o| o.strip_suffix('}'));
        to.fields = members.unwrap_or_default().to_owned();
        Ok(())
    }
}

/// Members as far as they are written.
struct Written<'w> {
    to: Writer<'w>,
    /// What goes before the next one.
    between: &'static str,
    so_far: fmt::Result,
}

impl Written<'_> {
    fn member(&mut self, field: &Field, value: impl Serialize) {
        let name = serde_json::to_string(field.name());
        let written = match (name, serde_json::to_string(&value)) {
            (Ok(name), Ok(value)) => write!(self.to, "{}{name}:{value}", self.between),
            _ => Err(fmt::Error),
        };
        self.between = ",";
        self.so_far = self.so_far.and(written);
    }
}

impl Visit for Written<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.member(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.member(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.member(field, format!("{value:?}"));
    }
}

/// Lines for programs: an object each, in which what spans tell, such as an event's id, stands beside the record's own.
#[derive(Debug)]
pub(super) struct Json;

impl<S> FormatEvent<S, Members> for Json
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, Members>,
        mut to: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut told = Map::new();
        // What an inner span says goes before what an outer one does.
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            if let Some(fields) = span.extensions().get::<FormattedFields<Members>>() {
                add(&mut told, fields);
            }
        }
        let mut own = String::new();
        context.format_fields(Writer::new(&mut own), event)?;
        add(&mut told, &own);
        for name in OBJECTS {
            if let Some(value) = told.get_mut(name)
                && let Some(object) = object(value)
            {
                *value = object;
            }
        }
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let metadata = event.metadata();
        told.insert("timestamp".to_owned(), time.into());
        told.insert("level".to_owned(), metadata.level().as_str().into());
        told.insert("target".to_owned(), metadata.target().into());
        write!(Escaped(&mut to), "{}", Value::Object(told))?;
        writeln!(to)
    }
}

fn add(told: &mut Map<String, Value>, fields: &str) {
    if let Ok(Value::Object(fields)) = serde_json::from_str(&format!("{{{fields}}}")) {
        told.extend(fields);
    }
}

fn object(value: &Value) -> Option<Value> {
    let object: Map<String, Value> = serde_json::from_str(value.as_str()?).ok()?;
    Some(Value::Object(object))
}

/// Writes what is not to be written as it is the way that JSON has for it.
struct Escaped<W>(W);

impl<W: Write> Write for Escaped<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, strange)) = rest.char_indices().find(|(_, c)| is_strange(*c)) {
            self.0.write_str(&rest[..at])?;
            for unit in strange.encode_utf16(&mut [0; 2]) {
                write!(self.0, "\\u{unit:04x}")?;
            }
            rest = &rest[at + strange.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

/// Whether it is something else to whoever reads than a character of a line: also the two that end lines elsewhere.
fn is_strange(c: char) -> bool {
    c.is_control() || is_unseen(c) || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, pipe};
    use std::sync::Arc;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn escaped(text: &str) -> String {
        let mut written = String::new();
        write!(Escaped(&mut written), "{text}").unwrap();
        written
    }

    #[test]
    fn no_control_character_is_left() {
        let every: String = (0..0x100).filter_map(char::from_u32).collect();
        let written = escaped(&every);
        assert_eq!(written.find(char::is_control), None);
        assert!(written.contains("\\u001b") && written.contains("\\u009b"));
        assert!(written.ends_with("þÿ"));
    }

    #[test]
    fn what_changes_how_others_look_is_written_as_json_has_it() {
        let text = "a\u{202e}b\u{2066}c\u{2028}d\u{200b}e\u{feff}f\u{e0041}g é漢🦀";
        let written = escaped(text);
        assert_eq!(
            written,
            "a\\u202eb\\u2066c\\u2028d\\u200be\\ufefff\\udb40\\udc41g é漢🦀"
        );
        let read: Value = serde_json::from_str(&format!("\"{written}\"")).unwrap();
        assert_eq!(read, text);
    }

    /// The line for programs that is told meanwhile.
    fn line(tell: impl FnOnce()) -> Value {
        let (reader, writer) = pipe().unwrap();
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(Arc::new(writer))
            .fmt_fields(Members)
            .event_format(Json);
        let log = tracing_subscriber::registry().with(lines);
        tracing::subscriber::with_default(log, tell);
        let mut line = String::new();
        BufReader::new(reader).read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// What is told about another event within one's way is about that other.
    #[test]
    fn an_inner_span_goes_before_an_outer_one() {
        let line = line(|| {
            let _outer = tracing::error_span!("event", event_id = "outer", outer = 1).entered();
            let _inner = tracing::error_span!("event", event_id = "inner").entered();
            tracing::error!("a line");
        });
        let told = ["event_id", "outer", "message"].map(|field| &line[field]);
        assert_eq!(told, [&"inner".into(), &Value::from(1), &"a line".into()]);
    }

    #[test]
    fn fields_keep_what_they_are_also_those_that_come_later() {
        let line = line(|| {
            let later = tracing::field::Empty;
            let span = tracing::error_span!(
                "way",
                quoted = "a \"b\"\n{",
                whole = -3,
                later,
                none = tracing::field::Empty
            );
            span.record("none", None::<u8>);
            span.record("later", 0.25);
            span.record("later", 0.5);
            let _way = span.entered();
            tracing::error!("odd \" name" = true, large = u64::MAX, said = ?["x"], "a line");
        });
        let told = [
            "quoted",
            "whole",
            "later",
            "odd \" name",
            "large",
            "said",
            "none",
        ]
        .map(|field| &line[field]);
        let expected = serde_json::json!(["a \"b\"\n{", -3, 0.5, true, u64::MAX, "[\"x\"]", null]);
        assert_eq!(serde_json::json!(told), expected);
    }
}
