//! What an agent asks, as a question to people: receives an interrupt, hands on a [`Question`]; receives the choice,
//! hands on what the graph is resumed with.
//!
//! A graph may interrupt itself with
//! - a text, or an object with `question` or `title`, and optionally `body`, `choices` (`{id, label, tone?}`),
//!   `unanswered` and `expires_after_seconds`: it is resumed with the id of the choice ([`own`]);
//! - the form that agent inboxes have, `{action_request, config, description}` or a list of them: it is resumed with
//!   `[{"type": "accept" | "ignore" | "response", "args": …}]`, a note being the response ([`actions`]);
//! - that of LangChain's middleware, `{action_requests, review_configs}`: it is resumed with
//!   `{"decisions": [{"type": "approve" | "reject"}]}` ([`actions`]).
//!
//! Whatever it is becomes a question that the hub takes, so that the graph is answered in any case. What a person
//! would agree to is shown in full; where it does not fit, it can only be refused.

mod actions;
mod own;
pub(crate) mod text;

use nexus_plugin_api::approval::{Choice, Question};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::seen::{Interrupt, Kind, Matter};
use text::{line, lines};

/// What holds when nobody answers, where the graph does not say.
const DENY: &str = "deny";

/// What is asked where the agent does not say.
const HOW: &str = "The agent asks how to go on";

/// How the graph wants to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Form {
    /// With the id of a choice.
    Choice,
    /// As agent inboxes do, so many actions at once.
    Inbox(usize),
    /// As LangChain's middleware does, so many actions at once.
    Decisions(usize),
}

/// The question of an interrupt.
pub(crate) fn of(interrupt: &Interrupt, matter: &Matter) -> (Question, Form) {
    if let Some(bytes) = interrupt.omitted_bytes {
        let told = format!(
            "What it asks has {bytes} bytes, or does not fit into an event for another reason, and is not shown: it \
             can only be refused.\n\n{}",
            about(matter)
        );
        let question = Question::new(HOW).body(lines(&told, text::LONGEST_BODY));
        return (question.choice(refusal(DENY)), Form::Choice);
    }
    let value = &interrupt.value;
    let (question, form) =
        actions::of(value, matter).unwrap_or_else(|| (own::of(value, matter), Form::Choice));
    (question, form)
}

/// What the graph is resumed with.
pub(crate) fn answer(form: Form, choice: &str, note: Option<&str>) -> Value {
    match form {
        Form::Choice => json!(choice),
        Form::Inbox(actions) => actions::responses(actions, choice, note),
        Form::Decisions(actions) => actions::decisions(actions, choice, note),
    }
}

/// The choice that stops.
fn refusal(id: &str) -> Choice {
    Choice::new(id, "Deny").bad()
}

fn about(matter: &Matter) -> String {
    let kind = match matter.kind {
        Kind::Mail => "Mail",
        Kind::File => "File",
    };
    format!("{kind}: {}", line(&matter.about, text::LONGEST_TITLE))
}

#[cfg(test)]
mod tests;
