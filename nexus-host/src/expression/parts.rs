//! The parts of a parsed expression, one level down: what walks through one leans on.

use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr};

/// What a part is made of.
pub(super) fn parts(of: &IdedExpr) -> Vec<&IdedExpr> {
    match &of.expr {
        Expr::Literal(_) | Expr::Ident(_) | Expr::Unspecified => Vec::new(),
        Expr::Select(select) => vec![&select.operand],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Call(call) => call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .collect(),
        Expr::Map(map) => map
            .entries
            .iter()
            .flat_map(|one| of_entry(&one.expr))
            .collect(),
        Expr::Struct(made) => made
            .entries
            .iter()
            .flat_map(|one| of_entry(&one.expr))
            .collect(),
        Expr::Comprehension(round) => vec![
            &round.iter_range,
            &round.accu_init,
            &round.loop_cond,
            &round.loop_step,
            &round.result,
        ],
    }
}

fn of_entry(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
        EntryExpr::StructField(field) => vec![&field.value],
    }
}

/// The same, to be changed.
pub(super) fn parts_mut(of: &mut IdedExpr) -> Vec<&mut IdedExpr> {
    match &mut of.expr {
        Expr::Literal(_) | Expr::Ident(_) | Expr::Unspecified => Vec::new(),
        Expr::Select(select) => vec![&mut select.operand],
        Expr::List(list) => list.elements.iter_mut().collect(),
        Expr::Call(call) => {
            let target = call.target.as_deref_mut();
            target.into_iter().chain(&mut call.args).collect()
        }
        Expr::Map(map) => {
            let entries = map.entries.iter_mut();
            entries
                .flat_map(|one| of_entry_mut(&mut one.expr))
                .collect()
        }
        Expr::Struct(made) => {
            let entries = made.entries.iter_mut();
            entries
                .flat_map(|one| of_entry_mut(&mut one.expr))
                .collect()
        }
        Expr::Comprehension(round) => vec![
            &mut round.iter_range,
            &mut round.accu_init,
            &mut round.loop_cond,
            &mut round.loop_step,
            &mut round.result,
        ],
    }
}

fn of_entry_mut(entry: &mut EntryExpr) -> Vec<&mut IdedExpr> {
    match entry {
        EntryExpr::MapEntry(entry) => vec![&mut entry.key, &mut entry.value],
        EntryExpr::StructField(field) => vec![&mut field.value],
    }
}
