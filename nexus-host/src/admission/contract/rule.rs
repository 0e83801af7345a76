//! Business rules: receives CEL, compiles it once, and answers whether it holds for an event. What a rule
//! may cost is bounded before it ever runs; see [`cost`].

mod compare;
mod cost;
mod parts;
mod sense;
mod syntax;
mod values;

use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::{Context, Env, ExecutionError, IdedExpr, Value};
use nexus_plugin_api::{Event, RuleInfo};

use super::super::rejection::{Violation, quoted};
use super::super::strict_json::Tree;

/// How many rules one contract, or one configuration, may have.
pub(super) const MAX_RULES: usize = 32;

/// How long a rule's message and its pointer may be, in bytes.
const LONGEST_TEXT: usize = 300;

/// Room for the parser, in bytes: each of the levels that [`cost::check_text`] lets through takes up to 128 KiB.
const PARSER_STACK: usize = 16 * 1024 * 1024;

/// The functions and operators of CEL, and comparisons that copy nothing.
static LANGUAGE: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut language = Env::stdlib();
    compare::declare(&mut language).expect("CEL has no names that begin with `@`");
    Arc::new(language)
});

/// A rule, ready to be held against events.
pub struct Rule {
    info: RuleInfo,
    parsed: IdedExpr,
}

/// What rules are held against: an event, its payload read for CEL once.
pub(super) struct Case {
    context: Context<'static, 'static>,
}

impl Rule {
    /// Compiles a rule.
    ///
    /// # Errors
    /// What is wrong with it, naming it.
    pub(in crate::admission) fn compile(info: &RuleInfo) -> Result<Self, String> {
        let named = |fault: &str| format!("the rule {} {fault}", quoted(&info.rule));
        let fits = |text: &str| !text.is_empty() && text.len() <= LONGEST_TEXT;
        if !fits(&info.message) {
            return Err(named(&format!(
                "needs a message of 1 to {LONGEST_TEXT} bytes"
            )));
        }
        let pointer = info.pointer.as_deref();
        if pointer.is_some_and(|at| !fits(at) || !at.starts_with("/payload")) {
            return Err(named(&format!(
                "has a `pointer` that does not begin with `/payload`, or is over {LONGEST_TEXT} bytes"
            )));
        }
        cost::check_text(&info.rule).map_err(|fault| named(&fault))?;
        let mut parsed = parse(&info.rule).map_err(|fault| named(&fault))?;
        cost::check(&parsed).map_err(|fault| named(&fault))?;
        sense::check(&parsed).map_err(|fault| named(&fault))?;
        compare::spare(&mut parsed);
        Ok(Self {
            info: info.clone(),
            parsed,
        })
    }

    /// Whether it holds; what is wrong when it does not.
    pub(super) fn check(&self, case: &Case) -> Result<(), Violation> {
        let message = match Value::resolve(&self.parsed, &case.context) {
            Ok(Value::Bool(true)) => return Ok(()),
            Ok(Value::Bool(false)) => self.info.message.clone(),
            Ok(other) => format!(
                "cannot be judged by the rule {}: it gives {} where true or false is wanted",
                quoted(&self.info.rule),
                other.type_of()
            ),
            Err(error) => format!(
                "cannot be judged by the rule {}: {}",
                quoted(&self.info.rule),
                reason(&error)
            ),
        };
        let pointer = self.info.pointer.as_deref().unwrap_or("/payload");
        Err(Violation::new(pointer, message))
    }

    /// The rule as it was written.
    pub fn info(&self) -> &RuleInfo {
        &self.info
    }
}

/// Parses a rule on a thread of its own: the parser goes deep, and whoever loads a rule may have little room.
fn parse(rule: &str) -> Result<IdedExpr, String> {
    let parse = || {
        let parsed = LANGUAGE.compile(rule);
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

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rule({})", self.info.rule)
    }
}

impl Case {
    pub(super) fn new(event: &Event, payload: &Tree<'_>) -> Self {
        let mut context = Context::with_env(LANGUAGE.clone());
        context.add_variable_from_value("payload", values::payload(payload));
        context.add_variable_from_value("event", values::envelope(event));
        Self { context }
    }
}

/// Whether `matches` takes a text as a pattern.
fn is_pattern(text: &str) -> bool {
    let mut context = Context::with_env(LANGUAGE.clone());
    context.add_variable_from_value("pattern", text.to_owned());
    let tried = LANGUAGE.compile("''.matches(pattern)");
    tried.is_ok_and(|tried| tried.execute(&context).is_ok())
}

/// Why a rule fails, without any value of the payload.
fn reason(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(name) => format!("there is no field {}", quoted(name)),
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
        _ => "the types of its fields do not fit the rule".to_owned(),
    }
}

#[cfg(test)]
mod tests;
