//! Questions whether an agent may do something, in the forms that others have: receives the value of an interrupt,
//! hands on a question where it has one of them; receives the choice, hands on what such a graph is resumed with.
//!
//! Several actions at once are one question, and the choice is for all of them. Their arguments come first, and in
//! full: a mail that is quoted below them cannot push them out of sight.

use nexus_plugin_api::approval::{Choice, Question};
use serde::Deserialize;
use serde_json::{Value, json};

use super::text::{LONGEST_BODY, LONGEST_TITLE, fits, line, lines, plain};
use super::{Form, HOW, about};
use crate::seen::Matter;

/// How much of a body the arguments may take.
const LONGEST_ARGS: usize = 3_072;

/// One action, as agent inboxes have it.
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
    #[serde(alias = "name")]
    action: String,
    #[serde(default, alias = "arguments")]
    args: Value,
    #[serde(default)]
    description: Option<String>,
}

/// What may be answered to it.
#[derive(Debug, Clone, Copy, Deserialize)]
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

/// Actions, as LangChain's middleware has them.
#[derive(Debug, Deserialize)]
struct Decide {
    action_requests: Vec<ActionRequest>,
    #[serde(default)]
    review_configs: Vec<Review>,
}

#[derive(Debug, Deserialize)]
struct Review {
    allowed_decisions: Vec<String>,
}

/// The question, where the value has one of these forms.
pub(super) fn of(value: &Value, matter: &Matter) -> Option<(Question, Form)> {
    let one = std::slice::from_ref(value);
    let items = value.as_array().map_or(one, Vec::as_slice);
    let asked: Result<Vec<HumanInterrupt>, _> =
        items.iter().map(Deserialize::deserialize).collect();
    if let Some(asked) = asked.ok().filter(|asked| !asked.is_empty()) {
        return Some((of_inbox(asked, matter), Form::Inbox(items.len())));
    }
    let asked = Decide::deserialize(value).ok()?;
    let actions = asked.action_requests.len();
    (actions > 0).then(|| (of_middleware(asked, matter), Form::Decisions(actions)))
}

fn of_inbox(asked: Vec<HumanInterrupt>, matter: &Matter) -> Question {
    let may = |allowed: fn(Allowed) -> bool| asked.iter().all(|asked| allowed(asked.config));
    let accept = may(|allowed| allowed.allow_accept);
    let ignore = may(|allowed| allowed.allow_ignore);
    let respond = may(|allowed| allowed.allow_respond);
    let actions = asked.into_iter().map(|asked| ActionRequest {
        description: asked.description,
        ..asked.action_request
    });
    let (question, is_whole) = told(actions.collect(), matter);
    let mut choices = Vec::new();
    if accept && is_whole {
        choices.push(Choice::new("accept", "Accept").good());
    }
    if respond {
        choices.push(Choice::new("response", "Respond with the note").with_note());
    }
    if ignore || choices.is_empty() {
        choices.push(Choice::new("ignore", "Ignore").bad());
    }
    // A graph that may not be ignored is told that nobody has answered, if it can be told anything.
    let least = match respond && !ignore {
        true => "response",
        false => "ignore",
    };
    let mut question = question.unanswered(least);
    question.choices = choices;
    question
}

fn of_middleware(asked: Decide, matter: &Matter) -> Question {
    let mut reviews = asked.review_configs.iter();
    let approve = reviews.all(|review| review.allowed_decisions.iter().any(|one| one == "approve"));
    let (question, is_whole) = told(asked.action_requests, matter);
    let question = match approve && is_whole {
        true => question.choice(Choice::new("approve", "Approve").good()),
        false => question,
    };
    question
        .choice(Choice::new("reject", "Reject").bad())
        .unanswered("reject")
}

/// What is to be done, and whether all of it can be seen.
fn told(actions: Vec<ActionRequest>, matter: &Matter) -> (Question, bool) {
    let names: Vec<_> = actions.iter().map(|asked| &*asked.action).collect();
    let names = names.join(", ");
    let with_args = |asked: &ActionRequest| match (&asked.args, actions.len()) {
        (Value::Null, 1) => String::new(),
        (Value::Null, _) => asked.action.clone(),
        (args, 1) => args.to_string(),
        (args, _) => format!("{}: {args}", asked.action),
    };
    let args: Vec<_> = actions.iter().map(with_args).collect();
    let args = plain(&args.join("\n"));
    let is_whole = fits(&args, LONGEST_ARGS) && fits(&names, LONGEST_TITLE);
    let descriptions: Vec<_> = actions
        .iter()
        .filter_map(|asked| asked.description.as_deref())
        .collect();
    let below = match descriptions.is_empty() {
        true => about(matter),
        false => descriptions.join("\n\n"),
    };
    let title = match line(&names, LONGEST_TITLE) {
        title if title.is_empty() => HOW.to_owned(),
        title => title,
    };
    let parts = [lines(&args, LONGEST_ARGS), below];
    let body: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let body = lines(&body.join("\n\n"), LONGEST_BODY);
    (Question::new(title).body(body), is_whole)
}

/// What an inbox resumes its graph with.
pub(super) fn responses(actions: usize, choice: &str, note: Option<&str>) -> Value {
    let args = match choice {
        "response" => json!(note.unwrap_or("Nobody has answered.")),
        _ => Value::Null,
    };
    json!(vec![json!({ "type": choice, "args": args }); actions])
}

/// What LangChain's middleware is resumed with.
pub(super) fn decisions(actions: usize, choice: &str, note: Option<&str>) -> Value {
    let decision = match (choice, note) {
        ("reject", Some(note)) => json!({ "type": choice, "message": note }),
        _ => json!({ "type": choice }),
    };
    json!({ "decisions": vec![decision; actions] })
}
