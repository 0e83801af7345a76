//! Keywords that bound a value: how large, how long, how many, and of what form.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::schema::Side;
use super::{Breaks, Walk};

/// What must be at least so much; of numbers, see [`limit`].
const LOWEST: [&str; 3] = ["minLength", "minItems", "minProperties"];

/// What must be at most so much.
const HIGHEST: [&str; 3] = ["maxLength", "maxItems", "maxProperties"];

/// How numbers are bounded, with and without the bound itself, and which change is a tighter one.
const LIMITS: [(&str, &str, Ordering); 2] = [
    ("minimum", "exclusiveMinimum", Ordering::Greater),
    ("maximum", "exclusiveMaximum", Ordering::Less),
];

/// The bound of a number.
#[derive(Clone, Copy)]
struct Limit<'s> {
    key: &'static str,
    number: &'s Number,
    is_exclusive: bool,
}

pub(super) fn compare<'s>(walk: &mut Walk<'s>, old: &Side<'s>, new: &Side<'s>, at: &str) {
    for (keys, tighter) in [(LOWEST, Ordering::Greater), (HIGHEST, Ordering::Less)] {
        for key in keys {
            let (from, to) = (bound(old, key), bound(new, key));
            let place = format!("{at}/{key}");
            match (from, to) {
                (None, None) => {}
                (None, Some(to)) => {
                    walk.put(&place, Breaks::Writers, format!("must keep to {to} now"));
                }
                (Some(from), None) => {
                    let message = format!("need not keep to {from} any more");
                    walk.put(&place, Breaks::Readers, message);
                }
                (Some(from), Some(to)) => {
                    let breaks = match order(to, from) {
                        Ordering::Equal => continue,
                        change if change == tighter => Breaks::Writers,
                        _ => Breaks::Readers,
                    };
                    walk.put(&place, breaks, format!("was {from}, is {to}"));
                }
            }
        }
    }
    for (key, exclusive, tighter) in LIMITS {
        let limits = [old, new].map(|side| limit(side, key, exclusive, tighter));
        limited(walk, limits, tighter, at);
    }
    multiples(walk, old, new, at);
    for key in ["pattern", "format"] {
        let (from, to) = (old.get(key), new.get(key));
        let (breaks, message) = match (from, to) {
            (None, Some(_)) => (Breaks::Writers, "is asked for now"),
            (Some(_), None) => (Breaks::Readers, "is not asked for any more"),
            (from, to) if from != to => (Breaks::Both, "is another one"),
            _ => continue,
        };
        walk.put(&format!("{at}/{key}"), breaks, message);
    }
    let unique = |side: &Side<'s>| side.get("uniqueItems").and_then(Value::as_bool) == Some(true);
    let place = format!("{at}/uniqueItems");
    match (unique(old), unique(new)) {
        (false, true) => walk.put(&place, Breaks::Writers, "no item may occur twice now"),
        (true, false) => walk.put(&place, Breaks::Readers, "an item may occur twice now"),
        _ => {}
    }
}

/// Compares how numbers are bounded on one side.
fn limited(walk: &mut Walk<'_>, limits: [Option<Limit<'_>>; 2], tighter: Ordering, at: &str) {
    let (breaks, key, message) = match limits {
        [None, None] => return,
        [None, Some(to)] => {
            let message = format!("must keep to {} now", to.number);
            (Breaks::Writers, to.key, message)
        }
        [Some(from), None] => {
            let message = format!("need not keep to {} any more", from.number);
            (Breaks::Readers, from.key, message)
        }
        [Some(from), Some(to)] => {
            let breaks = match order(to.number, from.number) {
                Ordering::Equal if from.is_exclusive == to.is_exclusive => return,
                Ordering::Equal if to.is_exclusive => Breaks::Writers,
                change if change == tighter => Breaks::Writers,
                _ => Breaks::Readers,
            };
            let told = |limit: Limit<'_>| match limit.is_exclusive {
                true => format!("{} without itself", limit.number),
                false => limit.number.to_string(),
            };
            let message = format!("was {}, is {}", told(from), told(to));
            (breaks, to.key, message)
        }
    };
    walk.put(&format!("{at}/{key}"), breaks, message);
}

/// The tighter one of two bounds. In draft 4, the exclusive one says `true` of the other.
fn limit<'s>(
    side: &Side<'s>,
    key: &'static str,
    exclusive: &'static str,
    tighter: Ordering,
) -> Option<Limit<'s>> {
    let number = |key| side.get(key).and_then(Value::as_number);
    let flag = side.get(exclusive).and_then(Value::as_bool) == Some(true);
    let with_itself = number(key).map(|number| Limit {
        key: if flag { exclusive } else { key },
        number,
        is_exclusive: flag,
    });
    let without = number(exclusive).map(|number| Limit {
        key: exclusive,
        number,
        is_exclusive: true,
    });
    match (with_itself, without) {
        (Some(one), Some(other)) if order(one.number, other.number) == tighter => Some(one),
        (one, other) => other.or(one),
    }
}

/// `multipleOf`: a multiple of 4 is one of 2.
fn multiples<'s>(walk: &mut Walk<'s>, old: &Side<'s>, new: &Side<'s>, at: &str) {
    let key = "multipleOf";
    let whole = |number: &Value| number.as_number().and_then(Number::as_i128);
    let divides = |one: &Value, other: &Value| {
        let (one, other) = (whole(one), whole(other));
        other
            .zip(one)
            .and_then(|(other, one)| other.checked_rem(one))
            == Some(0)
    };
    let (breaks, message) = match (old.get(key), new.get(key)) {
        (None, Some(_)) => (Breaks::Writers, "is asked for now"),
        (Some(_), None) => (Breaks::Readers, "is not asked for any more"),
        (Some(from), Some(to)) if from != to => match (divides(to, from), divides(from, to)) {
            (true, false) => (Breaks::Readers, "is a part of what it was"),
            (false, true) => (Breaks::Writers, "is a multiple of what it was"),
            _ => (Breaks::Both, "is another one"),
        },
        _ => return,
    };
    walk.put(&format!("{at}/{key}"), breaks, message);
}

/// A bound; a least length of nothing is none.
fn bound<'s>(side: &Side<'s>, key: &str) -> Option<&'s Number> {
    let bound = side.get(key)?.as_number()?;
    let says_nothing =
        matches!(key, "minLength" | "minItems" | "minProperties") && bound.as_u64() == Some(0);
    (!says_nothing).then_some(bound)
}

/// Which of two numbers is larger, without a loss.
pub(super) fn order(one: &Number, other: &Number) -> Ordering {
    let whole = |number: &Number| {
        // Beyond that, no whole number of JSON is near.
        let is_whole = |real: &f64| real.fract() == 0.0 && real.abs() < 1e30;
        let real = || number.as_f64().filter(is_whole);
        number.as_i128().or_else(|| real().map(|real| real as i128))
    };
    if let (Some(one), Some(other)) = (whole(one), whole(other)) {
        return one.cmp(&other);
    }
    let real = |number: &Number| number.as_f64().unwrap_or(f64::NAN);
    real(one)
        .partial_cmp(&real(other))
        .unwrap_or(Ordering::Equal)
}
