//! What changes between the rules of two contracts: a rule is the same where its CEL is written the same.
//! What a rule means is not looked into, so one that is written anew may refuse what the older ones let pass.

use std::collections::HashSet;

use nexus_plugin_api::RuleInfo;

use super::{Breaks, Walk, short_text};

/// Tells of each rule that is new, and of each that is gone.
pub(super) fn compare(walk: &mut Walk<'_>, old: &[RuleInfo], new: &[RuleInfo]) {
    let texts = |rules: &[RuleInfo]| -> HashSet<String> {
        rules.iter().map(|rule| text(rule).to_owned()).collect()
    };
    let (was, is) = (texts(old), texts(new));
    for (at, rule) in new.iter().enumerate() {
        if !was.contains(text(rule)) {
            let message = format!(
                "the rule {} is asked for now, and may refuse what the older version accepts",
                short_text(text(rule))
            );
            walk.put(&format!("/rules/{at}"), Breaks::Writers, message);
        }
    }
    for (at, rule) in old.iter().enumerate() {
        if !is.contains(text(rule)) {
            let message = format!(
                "the rule {} is not asked for any more",
                short_text(text(rule))
            );
            walk.put(&format!("/rules/{at}"), Breaks::Readers, message);
        }
    }
}

fn text(rule: &RuleInfo) -> &str {
    rule.rule.trim()
}
