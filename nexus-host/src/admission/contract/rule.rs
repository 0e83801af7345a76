//! Business rules: receives CEL, compiles it once, and answers whether it holds for an event. What it may be
//! and cost is told by [`crate::expression`].

use std::fmt;

use nexus_plugin_api::RuleInfo;

use super::super::rejection::{Violation, quoted};
use crate::expression::{Case, Expression};

/// How many rules one contract, or one configuration, may have.
pub(super) const MAX_RULES: usize = 32;

/// How long a rule's message and its pointer may be, in bytes.
const LONGEST_TEXT: usize = 300;

/// A rule, ready to be held against events.
pub struct Rule {
    info: RuleInfo,
    condition: Expression,
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
        let condition = Expression::condition(&info.rule).map_err(|fault| named(&fault))?;
        Ok(Self {
            info: info.clone(),
            condition,
        })
    }

    /// Whether it holds; what is wrong when it does not.
    pub(super) fn check(&self, case: &Case) -> Result<(), Violation> {
        let message = match self.condition.holds(case) {
            Ok(true) => return Ok(()),
            Ok(false) => self.info.message.clone(),
            Err(reason) => {
                let rule = quoted(&self.info.rule);
                format!("cannot be judged by the rule {rule}: {reason}")
            }
        };
        let pointer = self.info.pointer.as_deref().unwrap_or("/payload");
        Err(Violation::new(pointer, message))
    }

    /// The rule as it was written.
    pub fn info(&self) -> &RuleInfo {
        &self.info
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rule({})", self.info.rule)
    }
}

#[cfg(test)]
mod tests;
