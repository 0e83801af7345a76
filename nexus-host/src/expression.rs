//! CEL over an event: receives the text of an expression, compiles it once, and hands on what it gives for an
//! event. What it may cost is bounded before it ever runs; see [`cost`]. It never shows a value of a payload.

mod compare;
mod cost;
mod made;
mod parts;
mod sense;
mod syntax;
mod values;

use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::{Context, Env, ExecutionError, IdedExpr, Value};
use nexus_plugin_api::Event;

use crate::admission::{Tree, quoted, reread};
pub(crate) use made::Made;

/// Room for the parser, in bytes: each of the levels that [`cost::check_text`] lets through takes up to 128 KiB.
const PARSER_STACK: usize = 16 * 1024 * 1024;

/// The functions and operators of CEL, and comparisons that copy nothing.
static LANGUAGE: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut language = Env::stdlib();
    compare::declare(&mut language).expect("CEL has no names that begin with `@`");
    Arc::new(language)
});

/// An expression, ready to be held against events.
pub(crate) struct Expression {
    text: Box<str>,
    parsed: IdedExpr,
}

/// What expressions are held against: an event, its payload read for CEL once.
pub(crate) struct Case {
    context: Context<'static, 'static>,
}

impl Expression {
    /// Compiles one that is to give true or false.
    ///
    /// # Errors
    /// What is wrong with it, as it goes on after its name.
    pub(crate) fn condition(text: &str) -> Result<Self, String> {
        Self::compile(text, |parsed| match cost::may_be_bool(parsed) {
            true => Ok(()),
            false => Err("gives something else than true or false".to_owned()),
        })
    }

    /// Compiles one that may give anything.
    ///
    /// # Errors
    /// What is wrong with it, as it goes on after its name.
    pub(crate) fn value(text: &str) -> Result<Self, String> {
        Self::compile(text, |_| Ok(()))
    }

    fn compile(
        text: &str,
        expect: impl FnOnce(&IdedExpr) -> Result<(), String>,
    ) -> Result<Self, String> {
        cost::check_text(text)?;
        let mut parsed = parse(text)?;
        expect(&parsed)?;
        cost::check(&parsed)?;
        sense::check(&parsed, text)?;
        compare::spare(&mut parsed);
        Ok(Self {
            text: text.into(),
            parsed,
        })
    }

    /// What it gives.
    ///
    /// # Errors
    /// Why it gives nothing.
    pub(crate) fn give(&self, case: &Case) -> Result<Made, String> {
        let given = Value::resolve(&self.parsed, &case.context);
        given
            .map(Made::of)
            .map_err(|error| reason(&error, &self.text))
    }

    /// Whether it is true.
    ///
    /// # Errors
    /// Why it is neither true nor false.
    pub(crate) fn holds(&self, case: &Case) -> Result<bool, String> {
        match Value::resolve(&self.parsed, &case.context) {
            Ok(Value::Bool(told)) => Ok(told),
            Ok(other) => {
                let found = other.type_of();
                Err(format!("it gives {found} where true or false is wanted"))
            }
            Err(error) => Err(reason(&error, &self.text)),
        }
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({})", self.text)
    }
}

impl Case {
    /// An event that was admitted; `None` when its payload cannot be read.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        let payload = reread(event.payload.as_slice())?;
        Some(Self::new(event, &payload))
    }

    /// An event whose payload was read already.
    pub(crate) fn new(event: &Event, payload: &Tree<'_>) -> Self {
        let mut context = Context::with_env(LANGUAGE.clone());
        context.add_variable_from_value("payload", values::payload(payload));
        context.add_variable_from_value("event", values::envelope(event));
        Self { context }
    }
}

/// Parses a text on a thread of its own: the parser goes deep, and whoever loads one may have little room.
fn parse(text: &str) -> Result<IdedExpr, String> {
    let parse = || {
        let parsed = LANGUAGE.compile(text);
        parsed
            .map(|program| program.expression().clone())
            .map_err(|errors| {
                let first = errors.errors.first();
                first.map_or_else(|| "is no CEL".to_owned(), syntax::told)
            })
    };
    std::thread::scope(|scope| {
        let parser = std::thread::Builder::new().stack_size(PARSER_STACK);
        let parser = parser.spawn_scoped(scope, parse);
        let parser = parser.map_err(|error| format!("cannot be parsed now: {error}"))?;
        let parsed = parser.join();
        parsed.unwrap_or_else(|_| Err("makes the parser of CEL fail".to_owned()))
    })
}

/// Whether `matches` takes a text as a pattern.
fn is_pattern(text: &str) -> bool {
    let mut context = Context::with_env(LANGUAGE.clone());
    context.add_variable_from_value("pattern", text.to_owned());
    let tried = LANGUAGE.compile("''.matches(pattern)");
    tried.is_ok_and(|tried| tried.execute(&context).is_ok())
}

/// Why an expression of that text fails, without any value of the payload.
fn reason(error: &ExecutionError, text: &str) -> String {
    match error {
        // A key that was looked up may have come from the payload itself.
        ExecutionError::NoSuchKey(name) if text.contains(name.as_str()) => {
            format!("there is no field {}", quoted(name))
        }
        ExecutionError::NoSuchKey(_) => "there is no field of the name that it looks up".to_owned(),
        ExecutionError::UndeclaredReference(name) => {
            format!(
                "{} is not known; there are `payload` and `event`",
                quoted(name)
            )
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "a division by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "a number is too large".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "an index is out of bounds".to_owned(),
        ExecutionError::FunctionError { function, .. } => {
            format!("the function {} refuses its arguments", quoted(function))
        }
        _ => "the types of its fields do not fit".to_owned(),
    }
}
