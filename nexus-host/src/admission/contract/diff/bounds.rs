//! Keywords that bound a value: how large, how long, how many, and of what form.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::schema::Side;
use super::{Breaks, Walk};

/// What must be at least so much.
const LOWEST: [&str; 5] = [
    "minimum",
    "exclusiveMinimum",
    "minLength",
    "minItems",
    "minProperties",
];

/// What must be at most so much.
const HIGHEST: [&str; 5] = [
    "maximum",
    "exclusiveMaximum",
    "maxLength",
    "maxItems",
    "maxProperties",
];

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

/// A bound; a least length of nothing is none.
fn bound<'s>(side: &Side<'s>, key: &str) -> Option<&'s Number> {
    let bound = side.get(key)?.as_number()?;
    let says_nothing =
        matches!(key, "minLength" | "minItems" | "minProperties") && bound.as_u64() == Some(0);
    (!says_nothing).then_some(bound)
}

fn order(one: &Number, other: &Number) -> Ordering {
    let whole = |number: &Number| number.as_i128();
    if let (Some(one), Some(other)) = (whole(one), whole(other)) {
        return one.cmp(&other);
    }
    let real = |number: &Number| number.as_f64().unwrap_or(f64::NAN);
    real(one)
        .partial_cmp(&real(other))
        .unwrap_or(Ordering::Equal)
}
