//! Comparisons that copy nothing. Those of the library copy both sides into an error where their types do
//! not go together, so that comparing each item of a list with one large field would cost as much as a copy
//! of that field for each item. These end with the shorter side, whatever it is compared with.

use std::cmp::Ordering;

use cel::common::ast::{Expr, operators};
use cel::common::functions::Function;
use cel::common::types::{CelBool, CelList, CelMap, DYN_TYPE, Kind};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError, IdedExpr};

use super::parts::parts_mut;

/// The operators of CEL, and under which names, which nobody can write, they are found here.
const OPERATORS: [(&str, &str, Function); 7] = [
    (operators::EQUALS, "@equals", |sides| {
        judged(sides, |one, other| Ok(is_same(one, other)))
    }),
    (operators::NOT_EQUALS, "@differs", |sides| {
        judged(sides, |one, other| Ok(!is_same(one, other)))
    }),
    (operators::LESS, "@less", |sides| {
        judged(sides, |one, other| {
            Ok(order(operators::LESS, one, other)?.is_lt())
        })
    }),
    (operators::LESS_EQUALS, "@less_equals", |sides| {
        judged(sides, |one, other| {
            Ok(order(operators::LESS_EQUALS, one, other)?.is_le())
        })
    }),
    (operators::GREATER, "@greater", |sides| {
        judged(sides, |one, other| {
            Ok(order(operators::GREATER, one, other)?.is_gt())
        })
    }),
    (operators::GREATER_EQUALS, "@greater_equals", |sides| {
        judged(sides, |one, other| {
            Ok(order(operators::GREATER_EQUALS, one, other)?.is_ge())
        })
    }),
    (operators::IN, "@is_in", |sides| judged(sides, is_in)),
];

/// Adds the comparisons to a language.
pub(super) fn declare(language: &mut Env) -> Result<(), DeclarationError> {
    OPERATORS.iter().try_for_each(|(_, name, compare)| {
        language.add_overload(name, name, vec![DYN_TYPE, DYN_TYPE], *compare)
    })
}

/// Has an expression compare by what is declared here.
pub(super) fn spare(parsed: &mut IdedExpr) {
    if let Expr::Call(call) = &mut parsed.expr
        && let Some((_, name, _)) = OPERATORS.iter().find(|(of, ..)| *of == call.func_name)
    {
        (*name).clone_into(&mut call.func_name);
    }
    parts_mut(parsed).into_iter().for_each(spare);
}

fn judged<'b, 'v>(
    sides: Vec<CowVal<'b, 'v>>,
    judge: fn(&dyn Val, &dyn Val) -> Result<bool, ExecutionError>,
) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [one, other] = &*sides else {
        return Err(ExecutionError::invalid_argument_count(2, sides.len()));
    };
    let told = judge(one.as_ref(), other.as_ref())?;
    Ok(CowVal::owned(CelBool::from(told)))
}

fn is_same(one: &dyn Val, other: &dyn Val) -> bool {
    if let (Some(one), Some(other)) = (list(one), list(other)) {
        let (one, other) = (one.inner(), other.inner());
        let mut pairs = one.iter().zip(other);
        return one.len() == other.len()
            && pairs.all(|(one, other)| is_same(one.as_ref(), other.as_ref()));
    }
    if let (Some(one), Some(other)) = (map(one), map(other)) {
        let is_there = |key: &dyn Val, value: &dyn Val| {
            let found = other.as_indexer().map(|other| other.get(key));
            found.is_some_and(|found| found.is_ok_and(|found| is_same(value, found.as_ref())))
        };
        let mut members = one.inner().iter();
        return one.inner().len() == other.inner().len()
            && members.all(|(key, value)| is_there(key.inner(), value.as_ref()));
    }
    go_together(one, other) && one.equals(other)
}

fn order(operator: &str, one: &dyn Val, other: &dyn Val) -> Result<Ordering, ExecutionError> {
    let comparer = one.as_comparer().filter(|_| go_together(one, other));
    comparer
        .ok_or_else(|| misfit(operator, one, other))?
        .compare(other)
}

/// Whether a list has an item, or a map a key.
fn is_in(one: &dyn Val, other: &dyn Val) -> Result<bool, ExecutionError> {
    if let Some(items) = list(other) {
        return Ok(items.inner().iter().any(|item| is_same(item.as_ref(), one)));
    }
    let container = other.as_container();
    container
        .ok_or_else(|| misfit(operators::IN, one, other))?
        .contains(one)
}

/// Whether two values can be compared: they are of one type, or numbers both.
fn go_together(one: &dyn Val, other: &dyn Val) -> bool {
    let (one, other) = (one.get_type().kind(), other.get_type().kind());
    let is_number = |kind| matches!(kind, Kind::Int | Kind::UInt | Kind::Double);
    one == other || (is_number(one) && is_number(other))
}

fn list<'b, 'v>(value: &'b (dyn Val + 'v)) -> Option<&'b CelList<'v>> {
    value.downcast_ref()
}

fn map<'b, 'v>(value: &'b (dyn Val + 'v)) -> Option<&'b CelMap<'v>> {
    value.downcast_ref()
}

fn misfit(operator: &str, one: &dyn Val, other: &dyn Val) -> ExecutionError {
    let types = [one, other].map(|side| side.get_type().name().to_owned());
    ExecutionError::no_such_overload(operator, types.into())
}
