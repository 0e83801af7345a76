//! What an agent asks, as a question to people: receives the value of an interrupt, hands on a [`Question`]; receives the
//! choice, hands on what the graph is resumed with.
//!
//! A graph may interrupt itself with
//! - a text, or an object with `question` or `title`, and optionally `body`, `choices` (`{id, label, tone?}`),
//!   `unanswered` and `expires_after_seconds`: it is resumed with the id of the choice;
//! - the form that agent inboxes have, `{action_request, config, description}` or a list of one: it is resumed with
//!   `[{"type": "accept" | "ignore" | "response", "args": …}]`, a note being the response.

use std::time::Duration;

use nexus_plugin_api::approval::{Choice, Question};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::seen::{Kind, Matter};

const LONGEST_TITLE: usize = 256;
const LONGEST_BODY: usize = 4_096;

/// How the graph wants to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Form {
    /// With the id of a choice.
    Choice,
    /// As agent inboxes do.
    Inbox,
}

#[derive(Debug, Deserialize)]
struct Asked {
    #[serde(alias = "title")]
    question: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    choices: Vec<Choice>,
    unanswered: Option<String>,
    expires_after_seconds: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct HumanInterrupt {
    action_request: ActionRequest,
    #[serde(default)]
    config: Allowed,
    #[serde(default)]
    description: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ActionRequest {
    action: String,
    #[serde(default)]
    args: Value,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct Allowed {
    allow_accept: bool,
    allow_ignore: bool,
    allow_respond: bool,
}

impl Default for Allowed {
    fn default() -> Self {
        Self {
            allow_accept: true,
            allow_ignore: true,
            allow_respond: false,
        }
    }
}

/// The question of an interrupt.
pub(crate) fn of(value: &Value, matter: &Matter) -> (Question, Form) {
    let inbox = match value {
        Value::Array(one) if one.len() == 1 => &one[0],
        other => other,
    };
    if let Ok(asked) = HumanInterrupt::deserialize(inbox) {
        return (of_inbox(asked, matter), Form::Inbox);
    }
    let question = match value {
        Value::String(text) => Question::new(line(text)).body(about(matter)),
        value => match Asked::deserialize(value) {
            Ok(asked) => of_choices(asked, matter),
            // Whatever it is, a person may make sense of it.
            Err(_) => {
                let told = format!("{}\n\n{value}", about(matter));
                Question::new("The agent asks how to go on").body(text(&told))
            }
        },
    };
    (question, Form::Choice)
}

fn of_choices(asked: Asked, matter: &Matter) -> Question {
    let body = match asked.body.is_empty() {
        true => about(matter),
        false => text(&asked.body),
    };
    let mut question = Question::new(line(&asked.question)).body(body);
    question.choices = asked.choices;
    question.unanswered = asked.unanswered;
    if let Some(seconds) = asked.expires_after_seconds {
        question = question.expires_after(Duration::from_secs(seconds));
    }
    question
}

fn of_inbox(asked: HumanInterrupt, matter: &Matter) -> Question {
    let args = match &asked.action_request.args {
        Value::Null => String::new(),
        args => format!("\n\n{args}"),
    };
    let told = asked.description.unwrap_or_else(|| about(matter));
    let mut question = Question::new(line(&asked.action_request.action))
        .body(text(&format!("{told}{args}")))
        .unanswered("ignore");
    let allowed = asked.config;
    let choices = [
        (allowed.allow_accept, Choice::new("accept", "Accept").good()),
        (
            allowed.allow_respond,
            Choice::new("response", "Respond with the note"),
        ),
        (allowed.allow_ignore, Choice::new("ignore", "Ignore").bad()),
    ];
    let offered = choices.into_iter().filter(|(is_allowed, _)| *is_allowed);
    question.choices = offered.map(|(_, choice)| choice).collect();
    if question.choices.is_empty() {
        question.choices = vec![Choice::new("ignore", "Ignore").bad()];
    }
    question
}

/// What the graph is resumed with.
pub(crate) fn answer(form: Form, choice: &str, note: Option<&str>) -> Value {
    match form {
        Form::Choice => json!(choice),
        Form::Inbox if choice == "response" => {
            json!([{ "type": "response", "args": note.unwrap_or_default() }])
        }
        Form::Inbox => json!([{ "type": choice, "args": null }]),
    }
}

fn about(matter: &Matter) -> String {
    let kind = match matter.kind {
        Kind::Mail => "Mail",
        Kind::File => "File",
    };
    text(&format!("{kind}: {}", matter.about))
}

/// A text as a title: one line of at most 256 characters.
pub(crate) fn line(text: &str) -> String {
    let plain = text.split(char::is_control).collect::<Vec<_>>().join(" ");
    match plain.trim() {
        "" => "The agent asks how to go on".to_owned(),
        title => shortened(title, LONGEST_TITLE),
    }
}

/// A text as the body of a question or a toast.
pub(crate) fn text(text: &str) -> String {
    let is_plain = |c: &char| !c.is_control() || *c == '\n';
    shortened(
        &text.chars().filter(is_plain).collect::<String>(),
        LONGEST_BODY,
    )
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matter() -> Matter {
        Matter {
            kind: Kind::Mail,
            about: "Invoice 17".to_owned(),
        }
    }

    fn asked(value: Value) -> (Question, Form) {
        of(&value, &matter())
    }

    #[test]
    fn a_text_or_an_object_is_answered_with_the_choice() {
        let (question, form) = asked(json!("Pay\nit?"));
        assert_eq!((&*question.title, form), ("Pay it?", Form::Choice));
        assert_eq!(question.body, "Mail: Invoice 17");
        let (question, _) = asked(json!({
            "question": "Pay it?", "body": "250 EUR",
            "choices": [{ "id": "pay", "label": "Pay", "tone": "good" }, { "id": "no", "label": "No" }],
            "unanswered": "no", "expires_after_seconds": 60,
        }));
        assert_eq!(
            (question.choices.len(), question.expires_after_ms),
            (2, Some(60_000))
        );
        assert_eq!(question.unanswered.as_deref(), Some("no"));
        assert_eq!(answer(Form::Choice, "pay", None), json!("pay"));
    }

    #[test]
    fn the_form_of_agent_inboxes_is_answered_in_kind() {
        let value = json!([{
            "action_request": { "action": "send_mail", "args": { "to": "ada" } },
            "config": { "allow_accept": true, "allow_ignore": true, "allow_respond": true, "allow_edit": false },
            "description": "A reply",
        }]);
        let (question, form) = asked(value);
        assert_eq!((&*question.title, form), ("send_mail", Form::Inbox));
        let ids: Vec<_> = question.choices.iter().map(|choice| &*choice.id).collect();
        assert_eq!(ids, ["accept", "response", "ignore"]);
        assert_eq!(question.unanswered.as_deref(), Some("ignore"));
        assert_eq!(
            answer(form, "accept", None),
            json!([{ "type": "accept", "args": null }])
        );
        assert_eq!(
            answer(form, "response", Some("later")),
            json!([{ "type": "response", "args": "later" }])
        );
    }

    #[test]
    fn whatever_else_it_is_is_shown_and_fits() {
        let (question, form) = asked(json!({ "x": "y".repeat(10_000) }));
        assert_eq!(form, Form::Choice);
        assert_eq!(question.body.chars().count(), LONGEST_BODY);
        assert_eq!(asked(json!("\u{7}")).0.title, "The agent asks how to go on");
        assert_eq!(
            asked(json!("x".repeat(300))).0.title.chars().count(),
            LONGEST_TITLE
        );
    }
}
