//! What a typed line means: receives the line and the open toasts, hands on the answer.
//!
//! `BUTTON` answers the newest toast, `TOAST BUTTON` any; a button is its number, its id or its
//! label; `x` closes; `INPUT=VALUE` after the button fills in an input, up to the next one.

use std::collections::BTreeMap;

use nexus_proto::toasty::v1::dismissed::Reason;
use nexus_proto::toasty::v1::input::Kind;
use nexus_proto::toasty::v1::{Action, Input};

use super::Happened;
use crate::toast::{Toast, ToastId};

const HELP: &str = "type BUTTON, or TOAST BUTTON (`2`, or `3 approve`), then INPUT=VALUE for each \
                    input; `x` or `3 x` closes a toast";

/// A toast that can be answered.
#[derive(Debug)]
pub(super) struct Open {
    id: ToastId,
    actions: Vec<Action>,
    inputs: Vec<Input>,
}

impl Open {
    pub(super) fn new(toast: &Toast) -> Self {
        Self {
            id: toast.id().clone(),
            actions: toast.request().actions.clone(),
            inputs: toast.request().inputs.clone(),
        }
    }

    pub(super) fn id(&self) -> &ToastId {
        &self.id
    }
}

/// An answer to the toast of this number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) number: u64,
    pub(super) happened: Happened,
}

/// Reads a line; otherwise says what to tell the person.
pub(super) fn read(line: &str, open: &BTreeMap<u64, Open>) -> Result<Answer, String> {
    let line = line.trim();
    let (head, tail) = split(line);
    // A number followed by a word names a toast; alone, or before inputs, it is a button.
    let second_is_button = !tail.is_empty() && !split(tail).0.contains('=');
    let named = head.parse().ok().filter(|_| second_is_button);
    let (number, toast, rest) = match named {
        Some(number) => {
            let toast = open
                .get(&number)
                .ok_or_else(|| format!("there is no toast {number}; {HELP}"))?;
            (number, toast, tail)
        }
        None => {
            let (number, toast) = open
                .last_key_value()
                .ok_or_else(|| "there is no toast to answer".to_owned())?;
            (*number, toast, line)
        }
    };
    let happened = press(toast, rest)?;
    Ok(Answer { number, happened })
}

fn press(toast: &Open, rest: &str) -> Result<Happened, String> {
    let (button, values) = match inputs_start(toast, rest) {
        Some(at) => (rest[..at].trim_end(), &rest[at..]),
        None => (rest, ""),
    };
    let Some(action) = find(&toast.actions, button) else {
        if button == "x" && values.is_empty() {
            return Ok(Happened::Dismissed(Reason::UserCanceled));
        }
        return Err(format!("there is no button `{button}`; {HELP}"));
    };
    Ok(Happened::Activated {
        action_id: action.id.clone(),
        inputs: fill_in(toast, values)?,
    })
}

fn find<'a>(actions: &'a [Action], button: &str) -> Option<&'a Action> {
    let by_number = || {
        let number: usize = button.parse().ok()?;
        actions.get(number.checked_sub(1)?)
    };
    actions
        .iter()
        .find(|action| action.id == button)
        .or_else(by_number)
        .or_else(|| {
            let wanted = button.to_lowercase();
            actions.iter().find(|a| a.label.to_lowercase() == wanted)
        })
}

/// Every input's value: what was typed, else its default.
fn fill_in(toast: &Open, values: &str) -> Result<BTreeMap<String, String>, String> {
    let mut filled: BTreeMap<String, String> = toast
        .inputs
        .iter()
        .map(|input| (input.id.clone(), input.default_value.clone()))
        .collect();
    let mut current: Option<&Input> = None;
    for word in values.split_whitespace() {
        if let Some((input, value)) = opens(toast, word) {
            current = Some(input);
            filled.insert(input.id.clone(), value.to_owned());
        } else if let Some(value) = current.and_then(|input| filled.get_mut(&input.id)) {
            value.push(' ');
            value.push_str(word);
        }
    }
    for input in &toast.inputs {
        let value = filled.get(&input.id).map_or("", String::as_str);
        let offered = || input.choices.iter().any(|choice| choice.id == value);
        if input.kind() == Kind::Selection && !value.is_empty() && !offered() {
            return Err(format!("`{value}` is not a choice of {}", input.id));
        }
    }
    Ok(filled)
}

/// Where the first `INPUT=` of this toast begins.
fn inputs_start(toast: &Open, rest: &str) -> Option<usize> {
    let mut at = 0;
    for word in rest.split_inclusive(char::is_whitespace) {
        if opens(toast, word.trim_end()).is_some() {
            return Some(at);
        }
        at += word.len();
    }
    None
}

fn opens<'a, 'w>(toast: &'a Open, word: &'w str) -> Option<(&'a Input, &'w str)> {
    let (name, value) = word.split_once('=')?;
    let input = toast.inputs.iter().find(|input| input.id == name)?;
    Some((input, value))
}

fn split(line: &str) -> (&str, &str) {
    line.split_once(char::is_whitespace)
        .map_or((line, ""), |(head, tail)| (head, tail.trim_start()))
}

#[cfg(test)]
mod tests {
    use nexus_proto::toasty::v1::{Choice, ShowRequest};

    use super::*;

    fn open() -> BTreeMap<u64, Open> {
        let action = |id: &str, label: &str| Action {
            id: id.to_owned(),
            label: label.to_owned(),
            ..Action::default()
        };
        let ask = ShowRequest {
            actions: vec![action("approve", "Approve it"), action("reject", "Reject")],
            inputs: vec![
                Input {
                    id: "note".to_owned(),
                    ..Input::default()
                },
                Input {
                    id: "day".to_owned(),
                    kind: Kind::Selection.into(),
                    default_value: "mon".to_owned(),
                    choices: ["mon", "tue"]
                        .map(|id| Choice {
                            id: id.to_owned(),
                            label: id.to_owned(),
                        })
                        .to_vec(),
                    ..Input::default()
                },
            ],
            ..ShowRequest::default()
        };
        let plain = ShowRequest {
            actions: vec![action("ok", "OK"), action("later", "Later")],
            ..ShowRequest::default()
        };
        BTreeMap::from([
            (3, Open::new(&Toast::new(ask))),
            (4, Open::new(&Toast::new(plain))),
        ])
    }

    fn pressed(line: &str) -> (u64, String, Vec<(String, String)>) {
        match read(line, &open()).unwrap() {
            Answer {
                number,
                happened: Happened::Activated { action_id, inputs },
            } => (number, action_id, inputs.into_iter().collect()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_button_alone_answers_the_newest() {
        assert_eq!(pressed("2"), (4, "later".to_owned(), vec![]));
        assert_eq!(pressed(" ok "), (4, "ok".to_owned(), vec![]));
    }

    #[test]
    fn a_toast_and_a_button_by_number_id_or_label() {
        for line in ["3 approve", "3 1", "3 approve it", "3  Approve It"] {
            let (number, action, _) = pressed(line);
            assert_eq!((number, action.as_str()), (3, "approve"), "{line}");
        }
    }

    #[test]
    fn inputs_follow_the_button() {
        let (_, action, inputs) = pressed("3 reject note=too  late, a=b day=tue");
        assert_eq!(action, "reject");
        assert_eq!(inputs[0], ("day".to_owned(), "tue".to_owned()));
        assert_eq!(inputs[1], ("note".to_owned(), "too late, a=b".to_owned()));
        let (_, _, defaults) = pressed("3 reject");
        assert_eq!(defaults[0].1, "mon");
    }

    #[test]
    fn x_closes_and_nonsense_is_told() {
        let closed = read("3 x", &open()).unwrap();
        assert_eq!(closed.number, 3);
        assert_eq!(closed.happened, Happened::Dismissed(Reason::UserCanceled));
        assert!(read("9 ok", &open()).unwrap_err().contains("no toast 9"));
        assert!(read("7", &open()).unwrap_err().contains("no button `7`"));
        assert!(
            read("3 reject day=sun", &open())
                .unwrap_err()
                .contains("not a choice")
        );
        assert!(read("1", &BTreeMap::new()).is_err());
    }
}
