//! What an expression may cost. It is refused when it could take more than a time that grows with the size of
//! the payload: what runs for each item must not look at the rest of the payload each time.
//!
//! So `all`, `exists`, `exists_one`, `map` and `filter` go over a field of the payload, or of the item of
//! the one round them; and what they do with an item looks at that item and at literals, save that a
//! comparison may have another field on its other side, for it ends with the shorter of the two: see
//! [`super::compare`].

use cel::IdedExpr;
use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};

use super::is_pattern;
use crate::admission::quoted;

/// What expressions are about.
const VARIABLES: [&str; 2] = ["payload", "event"];

/// How long an expression may be, in bytes.
const LONGEST: usize = 4 * 1024;

/// How deep parentheses and brackets may nest.
const MAX_DEPTH: usize = 32;

/// Of how many parts an expression may consist.
const MAX_PARTS: usize = 200;

/// How many sums an expression may hold: each may make a longer text out of two.
const MAX_SUMS: usize = 16;

/// How often an expression may ask for what may be absent: each time copies what it finds.
const MAX_OPTIONALS: usize = 16;

/// How many `all`, `exists` and the like an expression may hold, and how deep they may nest.
const MAX_LOOPS: usize = 4;
const MAX_NESTED: usize = 2;

/// How many patterns an expression may hold, and how long each may be, in bytes.
const MAX_PATTERNS: usize = 4;
const LONGEST_PATTERN: usize = 100;

/// Everything that may be called; what is new in the library is not allowed until somebody has looked.
const CALLS: [&str; 45] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::NOT_STRICTLY_FALSE,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
    operators::INDEX,
    operators::IN,
    operators::OPT_SELECT,
    operators::OPT_INDEX,
    "hasValue",
    "orValue",
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "int",
    "uint",
    "double",
    "string",
    "bool",
    "duration",
    "timestamp",
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfYear",
    "getDayOfWeek",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
];

/// What gives something else than true or false, whatever it is given.
const NO_TRUTHS: [&str; 15] = [
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::NEGATE,
    "size",
    "int",
    "uint",
    "double",
    "string",
    "duration",
    "timestamp",
    operators::OPT_SELECT,
    operators::OPT_INDEX,
];

const COMPARISONS: [&str; 6] = [
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
];

/// Checks what must hold before an expression is even parsed: the parser works in depth.
pub(super) fn check_text(text: &str) -> Result<(), String> {
    if text.len() > LONGEST {
        return Err(format!("is longer than {LONGEST} bytes"));
    }
    // An operator has two signs at most, and stands between two parts or before one. Those in strings count
    // too: where a string ends is the parser's business.
    let is_sign = |byte: &u8| b"!-+*/%<>=&|?:.,".contains(byte);
    if text.bytes().filter(|byte| is_sign(byte)).count() > 2 * MAX_PARTS {
        return Err(format!("has more than {MAX_PARTS} parts"));
    }
    let mut depth = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(format!("nests deeper than {MAX_DEPTH}"));
        }
    }
    Ok(())
}

/// Checks a parsed expression.
pub(super) fn check(parsed: &IdedExpr) -> Result<(), String> {
    Tally::default().look(parsed, &[])
}

#[derive(Default)]
struct Tally {
    parts: usize,
    sums: usize,
    optionals: usize,
    loops: usize,
    patterns: usize,
    /// Whether the items of the loop round it are made by the expression, such as by `map`.
    over_made: bool,
}

impl Tally {
    /// `items`: the variables of the loops round it, outermost first.
    fn look(&mut self, part: &IdedExpr, items: &[&str]) -> Result<(), String> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(format!("has more than {MAX_PARTS} parts"));
        }
        if is_optional(part) {
            self.optionals += 1;
            if self.optionals > MAX_OPTIONALS {
                return Err(format!(
                    "looks for what may be absent more than {MAX_OPTIONALS} times"
                ));
            }
        }
        match &part.expr {
            Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => {
                let is_gathered = name.starts_with('@');
                if is_gathered || items.last() == Some(&name.as_str()) {
                    Ok(())
                } else if items.contains(&name.as_str()) || VARIABLES.contains(&name.as_str()) {
                    match items {
                        [] => Ok(()),
                        _ => Err(looks_elsewhere(name)),
                    }
                } else {
                    let name = quoted(name);
                    Err(format!("names {name}; there are `payload` and `event`"))
                }
            }
            Expr::Select(select) => self.look(&select.operand, items),
            Expr::List(list) => list
                .elements
                .iter()
                .try_for_each(|one| self.look(one, items)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.look(&entry.key, items)?;
                    self.look(&entry.value, items)
                }
                EntryExpr::StructField(field) => self.look(&field.value, items),
            }),
            Expr::Call(call) => {
                let operands: Vec<&IdedExpr> = call
                    .target
                    .as_deref()
                    .into_iter()
                    .chain(&call.args)
                    .collect();
                self.call(&call.func_name, &operands, items)
            }
            Expr::Comprehension(round) => self.round(round, items),
            Expr::Struct(_) | Expr::Unspecified => {
                Err("makes a value of a type that is not known".to_owned())
            }
        }
    }

    fn call(&mut self, name: &str, operands: &[&IdedExpr], items: &[&str]) -> Result<(), String> {
        if !CALLS.contains(&name) {
            let name = quoted(name);
            return Err(format!("calls {name}, which is not allowed"));
        }
        if name == operators::ADD {
            self.sums += 1;
            if self.sums > MAX_SUMS {
                return Err(format!("holds more than {MAX_SUMS} sums"));
            }
        }
        if name == "matches" {
            self.pattern(operands, items)?;
        }
        if COMPARISONS.contains(&name) && !items.is_empty() {
            // It ends with the shorter side, so one side may be anything that is only looked up.
            let is_elsewhere = |one: &&&IdedExpr| {
                root(one).is_some_and(|root| {
                    let is_known = VARIABLES.contains(&root) || items.contains(&root);
                    is_known && items.last() != Some(&root)
                })
            };
            if operands.iter().filter(is_elsewhere).count() == 1 {
                let own = operands.iter().filter(|one| !is_elsewhere(one));
                return own.copied().try_for_each(|one| self.look(one, items));
            }
        }
        operands.iter().try_for_each(|one| self.look(one, items))
    }

    /// A pattern is compiled each time, so there are few of them, known beforehand and small.
    fn pattern(&mut self, operands: &[&IdedExpr], items: &[&str]) -> Result<(), String> {
        if !items.is_empty() {
            return Err("uses `matches` for each item; use it on one field".to_owned());
        }
        self.patterns += 1;
        if self.patterns > MAX_PATTERNS {
            return Err(format!("uses `matches` more than {MAX_PATTERNS} times"));
        }
        let Some(Expr::Literal(LiteralValue::String(pattern))) =
            operands.last().map(|operand| &operand.expr)
        else {
            return Err("uses `matches` with a pattern that is no literal text".to_owned());
        };
        let pattern = pattern.inner();
        if pattern.len() > LONGEST_PATTERN || pattern.contains('{') {
            return Err(format!(
                "uses `matches` with a pattern over {LONGEST_PATTERN} bytes, or one that counts with {{}}"
            ));
        }
        if !is_pattern(pattern) {
            return Err("uses `matches` with a text that is no pattern".to_owned());
        }
        Ok(())
    }

    fn round(&mut self, round: &ComprehensionExpr, items: &[&str]) -> Result<(), String> {
        self.loops += 1;
        if self.loops > MAX_LOOPS {
            return Err(format!("goes over lists more than {MAX_LOOPS} times"));
        }
        if items.len() >= MAX_NESTED {
            return Err(format!(
                "nests more than {MAX_NESTED} of `all`, `exists` and the like"
            ));
        }
        match items.last() {
            // Else each item would go over the same list again.
            Some(item) if root(&round.iter_range) != Some(item) => {
                return Err(
                    "goes, for each item, over a list that is not the item's own".to_owned(),
                );
            }
            // There could be many more of them than the payload holds.
            Some(_) if self.over_made => {
                return Err("goes over lists that it has made itself".to_owned());
            }
            None if !is_list(&round.iter_range) => {
                return Err("goes over something else than a field of the payload".to_owned());
            }
            _ => self.look(&round.iter_range, items)?,
        }
        if round.iter_var2.is_some()
            || items.contains(&round.iter_var.as_str())
            || VARIABLES.contains(&round.iter_var.as_str())
        {
            return Err("names its item as something else is named already".to_owned());
        }
        let within: Vec<&str> = items
            .iter()
            .copied()
            .chain([round.iter_var.as_str()])
            .collect();
        self.look(&round.accu_init, items)?;
        let before = self.over_made;
        self.over_made |= root(&round.iter_range).is_none();
        for part in [&round.loop_cond, &round.loop_step] {
            self.look(part, &within)?;
        }
        self.over_made = before;
        // Made of what was gathered, by the macro itself.
        self.look(&round.result, &[])
    }
}

fn looks_elsewhere(name: &str) -> String {
    format!(
        "looks, for each item, at {} beside the item; compare it with a field of the item instead",
        quoted(name)
    )
}

/// Whether it could give true or false, as far as that can be seen.
pub(super) fn may_be_bool(part: &IdedExpr) -> bool {
    match &part.expr {
        Expr::Literal(literal) => matches!(literal, LiteralValue::Boolean(_)),
        Expr::List(_) | Expr::Map(_) => false,
        Expr::Call(call) => !NO_TRUTHS.contains(&call.func_name.as_str()),
        _ => true,
    }
}

/// The variable that a field belongs to, when it is named by literal names and places only.
fn root(part: &IdedExpr) -> Option<&str> {
    match &part.expr {
        Expr::Ident(name) => Some(name),
        Expr::Select(select) => root(&select.operand),
        Expr::Call(call) if call.func_name == operators::INDEX => {
            let mut operands = call.target.as_deref().into_iter().chain(&call.args);
            let (of, place) = (operands.next()?, operands.next()?);
            match &place.expr {
                // An error over a place between two would hold a copy of the list.
                Expr::Literal(LiteralValue::Double(_)) => None,
                Expr::Literal(_) => root(of),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether it asks for what may be absent, or for a field of that.
fn is_optional(part: &IdedExpr) -> bool {
    match &part.expr {
        Expr::Select(select) => is_optional(&select.operand),
        Expr::Call(call) => match call.func_name.as_str() {
            operators::OPT_SELECT | operators::OPT_INDEX => true,
            operators::INDEX => call.args.first().is_some_and(is_optional),
            _ => false,
        },
        _ => false,
    }
}

/// Whether it is a field, or some items of one.
fn is_list(part: &IdedExpr) -> bool {
    match &part.expr {
        Expr::Comprehension(round) => is_list(&round.iter_range),
        _ => root(part).is_some(),
    }
}
