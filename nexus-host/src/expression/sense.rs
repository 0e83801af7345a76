//! Whether an expression makes sense: receives a parsed one, refuses it for a part that fails for every
//! event. What depends on the payload is left alone, and so is what an event may lack.

use cel::common::ast::{Expr, LiteralValue, operators};
use cel::{Context, IdedExpr, Value};

use super::parts::parts;
use super::{LANGUAGE, reason, values};
use crate::admission::quoted;

/// Operators that a text, a truth value and null do not go with.
const OF_NUMBERS: [&str; 5] = [
    operators::SUBSTRACT,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::NEGATE,
];

/// What looks a member up by its name.
const LOOKS_UP: [&str; 3] = [
    operators::INDEX,
    operators::OPT_INDEX,
    operators::OPT_SELECT,
];

const OF_TRUTHS: [&str; 3] = [
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
];

/// Checks an expression that [`super::cost`] has passed, and whose text is this.
pub(super) fn check(part: &IdedExpr, text: &str) -> Result<(), String> {
    if let Some(member) = member_of_event(part)
        && !values::MEMBERS.contains(&member)
    {
        let known = values::MEMBERS.join(", ");
        let member = quoted(member);
        return Err(format!("asks for {member} of `event`, which has {known}"));
    }
    if let Expr::Call(call) = &part.expr {
        if is_constant(part)
            && let Err(error) = Value::resolve(part, &Context::with_env(LANGUAGE.clone()))
        {
            return Err(format!("can never be judged: {}", reason(&error, text)));
        }
        let operator = call.func_name.as_str();
        if call.args.iter().any(|side| never_fits(operator, side)) {
            return Err(format!(
                "can never be judged: a literal does not go with {}",
                quoted(operator.trim_matches(|sign| matches!(sign, '_' | '@')))
            ));
        }
    }
    parts(part)
        .into_iter()
        .try_for_each(|below| check(below, text))
}

/// The name in `event.name`, or in `event['name']`, also where it is looked for as what may be absent.
fn member_of_event(part: &IdedExpr) -> Option<&str> {
    let is_event = |one: &IdedExpr| matches!(&one.expr, Expr::Ident(name) if name == "event");
    match &part.expr {
        Expr::Select(select) if is_event(&select.operand) => Some(&select.field),
        Expr::Call(call) if LOOKS_UP.contains(&call.func_name.as_str()) => match &*call.args {
            [of, place] if is_event(of) => match &place.expr {
                Expr::Literal(LiteralValue::String(name)) => Some(name.inner()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// Whether it is made of literals only.
fn is_constant(part: &IdedExpr) -> bool {
    match &part.expr {
        Expr::Literal(_) => true,
        Expr::Call(_) | Expr::List(_) | Expr::Map(_) => parts(part).into_iter().all(is_constant),
        _ => false,
    }
}

/// Whether an operator fails whatever stands on the other side of a literal.
fn never_fits(operator: &str, side: &IdedExpr) -> bool {
    let Expr::Literal(literal) = &side.expr else {
        return false;
    };
    let is_number = matches!(
        literal,
        LiteralValue::Int(_) | LiteralValue::UInt(_) | LiteralValue::Double(_)
    );
    let is_truth = matches!(literal, LiteralValue::Boolean(_));
    (OF_NUMBERS.contains(&operator) && !is_number)
        || (OF_TRUTHS.contains(&operator) && !is_truth)
        || (operator == operators::ADD && (is_truth || *literal == LiteralValue::Null))
}
