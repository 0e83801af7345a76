//! Questions in the form of this plugin: receives whatever is not in that of others, hands on a question. Each member
//! is read on its own: one that cannot be read takes no other with it.

use std::time::Duration;

use nexus_plugin_api::approval::{Choice, Question, Tone};
use serde_json::Value;

use super::text::{LONGEST_BODY, LONGEST_LABEL, LONGEST_TITLE, fits, line, lines, plain};
use super::{DENY, HOW, about, refusal};
use crate::seen::Matter;

/// The longest that a question may wait, in seconds: 30 days.
const LONGEST_WAIT: f64 = 30.0 * 24.0 * 60.0 * 60.0;
const MOST_CHOICES: usize = 5;
const LONGEST_ID: usize = 64;

pub(super) fn of(value: &Value, matter: &Matter) -> Question {
    let (title, above) = title(value);
    let below = match &value["body"] {
        Value::String(body) if !body.is_empty() => body.clone(),
        _ => about(matter),
    };
    let body = match above.is_empty() {
        true => below,
        false => format!("{above}\n\n{below}"),
    };
    let mut choices = match (&value["choices"], fits(&above, LONGEST_BODY)) {
        // Nobody sees what it is, so nobody can agree to it.
        (_, false) => Vec::new(),
        (Value::Null, true) => vec![Choice::new("approve", "Approve").good(), refusal(DENY)],
        (written, true) => choices(written),
    };
    let unanswered = unanswered(&value["unanswered"], &choices);
    if choices.is_empty() {
        choices = vec![refusal(&unanswered)];
    }
    let mut question = Question::new(title)
        .body(lines(&body, LONGEST_BODY))
        .unanswered(unanswered);
    question.choices = choices;
    match value["expires_after_seconds"].as_f64() {
        Some(wait) => {
            question.expires_after(Duration::from_secs_f64(wait.clamp(1.0, LONGEST_WAIT)))
        }
        None => question,
    }
}

/// What is asked, and what of it must be read in the body as it does not fit into a title.
fn title(value: &Value) -> (String, String) {
    let asked = [value, &value["question"], &value["title"]];
    let Some(asked) = asked.into_iter().find_map(Value::as_str) else {
        // Whatever it is, a person may make sense of it.
        return (HOW.to_owned(), plain(&value.to_string()));
    };
    let title = line(asked, LONGEST_TITLE);
    match fits(asked, LONGEST_TITLE) {
        true if title.is_empty() => (HOW.to_owned(), String::new()),
        true => (title, String::new()),
        false => (title, plain(asked)),
    }
}

/// The choices that can be offered, of those that are written.
fn choices(written: &Value) -> Vec<Choice> {
    let mut choices: Vec<Choice> = Vec::new();
    for choice in written.as_array().into_iter().flatten().filter_map(choice) {
        if choices.iter().all(|other| other.id != choice.id) {
            choices.push(choice);
        }
    }
    choices.truncate(MOST_CHOICES);
    choices
}

/// One of them: `{id, label, tone}`, or a text that is both.
fn choice(written: &Value) -> Option<Choice> {
    let id = id(written).or_else(|| id(&written["id"]))?;
    let label = written["label"].as_str().unwrap_or_default();
    let label = match line(label, LONGEST_LABEL) {
        label if label.is_empty() => id.clone(),
        label => label,
    };
    let choice = Choice::new(id, label);
    Some(match written["tone"].as_str() {
        Some("good") => choice.good(),
        Some("bad") => choice.bad(),
        _ => choice,
    })
}

fn id(written: &Value) -> Option<String> {
    let id = written.as_str()?;
    let is_id = !id.is_empty() && fits(id, LONGEST_ID) && !id.contains(char::is_control);
    is_id.then(|| id.to_owned())
}

/// What holds when nobody answers: what is written, unless that cannot be read or is a choice that goes on; then one
/// that stops.
fn unanswered(written: &Value, choices: &[Choice]) -> String {
    let goes_on = |id: &str| {
        let mut choices = choices.iter();
        choices.any(|choice| choice.id == id && choice.tone == Tone::Good)
    };
    let stops = choices.iter().find(|choice| choice.tone == Tone::Bad);
    let stops = stops
        .map(|choice| &*choice.id)
        .filter(|_| !written.is_null());
    let written = id(written);
    let may_hold = [written.as_deref(), stops, Some(DENY)]
        .into_iter()
        .flatten();
    let least = may_hold.chain(["none"]).find(|id| !goes_on(id));
    least.unwrap_or("none").to_owned()
}
