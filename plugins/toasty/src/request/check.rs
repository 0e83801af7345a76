//! The limits of a toast: receives a request, says which field breaks which bound.
//!
//! They are those of `toasty.v1`, which the server enforces too. Checking here spares a call whose
//! refusal is certain, and names the field as the effect's author wrote it.

use std::collections::HashSet;
use std::time::Duration;

use super::{Action, Input, InputKind, Progress, Request, Show, Target, Update};

const MAX_ACTIONS: usize = 5;
const MAX_INPUTS: usize = 5;
const MAX_CHOICES: usize = 5;
/// Characters of a tag, a group or the id of a part.
const MAX_ID: usize = 64;
const MAX_LABEL: usize = 128;
const MAX_LINE: usize = 256;
const MAX_BODY: usize = 4096;
const MAX_URI: usize = 2048;
const MAX_TTL: Duration = Duration::from_secs(72 * 60 * 60);

/// A field that breaks a limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct Violation {
    /// Path of the field within the request, such as `show.actions[1].id`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

type Checked = Result<(), Violation>;

impl Request {
    /// Checks the limits.
    ///
    /// # Errors
    /// The first field that breaks one.
    pub fn check(&self) -> Checked {
        match self {
            Self::Show(show) => check_show(show),
            Self::Update(update) => check_update(update),
            Self::Dismiss(target) => check_target("dismiss", target),
        }
    }
}

fn check_show(show: &Show) -> Checked {
    length("show.title", &show.title, 1, MAX_LINE)?;
    length("show.body", &show.body, 0, MAX_BODY)?;
    length("show.attribution", &show.attribution, 0, MAX_LINE)?;
    length(
        "show.app_id",
        show.app_id.as_deref().unwrap_or_default(),
        0,
        MAX_LABEL,
    )?;
    length("show.tag", &show.tag, 0, MAX_ID)?;
    length("show.group", &show.group, 0, MAX_ID)?;
    if show.replace && show.tag.is_empty() {
        return broken(
            "show.replace",
            "needs a `tag`: it names the toast to replace",
        );
    }
    if let Some(image) = &show.image {
        length("show.image.uri", &image.uri, 1, MAX_URI)?;
        length("show.image.alt", &image.alt, 0, MAX_LINE)?;
    }
    if let Some(sound) = &show.sound {
        length("show.sound.name", &sound.name, 0, MAX_LABEL)?;
    }
    if let Some(ttl) = show.ttl
        && (ttl.0.is_zero() || ttl.0 > MAX_TTL)
    {
        return broken(
            "show.ttl",
            format!("is {ttl}, must be more than 0 and at most 72h"),
        );
    }
    if let Some(progress) = &show.progress {
        check_progress("show.progress", progress)?;
    }
    check_actions(&show.actions)?;
    check_inputs(&show.inputs)
}

fn check_update(update: &Update) -> Checked {
    let target = Target {
        toast_id: update.toast_id.clone(),
        tag: update.tag.clone(),
        group: update.group.clone(),
    };
    check_target("update", &target)?;
    if let Some(title) = &update.title {
        length("update.title", title, 1, MAX_LINE)?;
    }
    length(
        "update.body",
        update.body.as_deref().unwrap_or_default(),
        0,
        MAX_BODY,
    )?;
    let attribution = update.attribution.as_deref().unwrap_or_default();
    length("update.attribution", attribution, 0, MAX_LINE)?;
    update.progress.as_ref().map_or(Ok(()), |progress| {
        check_progress("update.progress", progress)
    })
}

fn check_target(at: &str, target: &Target) -> Checked {
    match (&target.toast_id, &target.tag) {
        (Some(id), None) if target.group.is_empty() => {
            length(&format!("{at}.toast_id"), id, 1, MAX_LABEL)
        }
        (None, Some(tag)) => {
            length(&format!("{at}.tag"), tag, 1, MAX_ID)?;
            length(&format!("{at}.group"), &target.group, 0, MAX_ID)
        }
        _ => broken(
            at,
            "needs either `toast_id`, or `tag` with or without `group`",
        ),
    }
}

fn check_actions(actions: &[Action]) -> Checked {
    count("show.actions", actions.len(), MAX_ACTIONS)?;
    let mut seen = HashSet::new();
    for (index, action) in actions.iter().enumerate() {
        let at = format!("show.actions[{index}]");
        identify(&at, &action.id, &mut seen)?;
        length(&format!("{at}.label"), &action.label, 1, MAX_LABEL)?;
        length(&format!("{at}.uri"), &action.uri, 0, MAX_URI)?;
    }
    Ok(())
}

fn check_inputs(inputs: &[Input]) -> Checked {
    count("show.inputs", inputs.len(), MAX_INPUTS)?;
    let mut seen = HashSet::new();
    for (index, input) in inputs.iter().enumerate() {
        let at = format!("show.inputs[{index}]");
        identify(&at, &input.id, &mut seen)?;
        length(&format!("{at}.title"), &input.title, 0, MAX_LINE)?;
        length(
            &format!("{at}.placeholder"),
            &input.placeholder,
            0,
            MAX_LINE,
        )?;
        length(
            &format!("{at}.default_value"),
            &input.default_value,
            0,
            MAX_LINE,
        )?;
        let at = format!("{at}.choices");
        match input.kind {
            InputKind::Text if !input.choices.is_empty() => {
                return broken(&at, "must be empty unless `kind` is `selection`");
            }
            InputKind::Selection if input.choices.is_empty() => {
                return broken(&at, "are missing: a `selection` needs at least 1");
            }
            InputKind::Text | InputKind::Selection => {}
        }
        count(&at, input.choices.len(), MAX_CHOICES)?;
        let mut seen = HashSet::new();
        for (index, choice) in input.choices.iter().enumerate() {
            let at = format!("{at}[{index}]");
            identify(&at, &choice.id, &mut seen)?;
            length(&format!("{at}.label"), &choice.label, 1, MAX_LABEL)?;
        }
    }
    Ok(())
}

fn check_progress(at: &str, progress: &Progress) -> Checked {
    if let Some(value) = progress.value
        && !(0.0..=1.0).contains(&value)
    {
        return broken(
            &format!("{at}.value"),
            format!("is {value}, must be from 0.0 to 1.0"),
        );
    }
    length(&format!("{at}.title"), &progress.title, 0, MAX_LABEL)?;
    length(&format!("{at}.status"), &progress.status, 0, MAX_LABEL)?;
    length(
        &format!("{at}.value_label"),
        &progress.value_label,
        0,
        MAX_LABEL,
    )
}

fn identify<'a>(at: &str, id: &'a str, seen: &mut HashSet<&'a str>) -> Checked {
    let field = format!("{at}.id");
    length(&field, id, 1, MAX_ID)?;
    if !seen.insert(id) {
        return broken(&field, format!("is `{id}` once more; each must differ"));
    }
    Ok(())
}

fn length(field: &str, text: &str, least: usize, most: usize) -> Checked {
    let chars = text.chars().count();
    if chars < least {
        return broken(field, "is empty");
    }
    if chars > most {
        return broken(
            field,
            format!("has {chars} characters, at most {most} are allowed"),
        );
    }
    Ok(())
}

fn count(field: &str, given: usize, most: usize) -> Checked {
    if given > most {
        return broken(
            field,
            format!("has {given} entries, at most {most} are allowed"),
        );
    }
    Ok(())
}

fn broken(field: &str, problem: impl Into<String>) -> Checked {
    Err(Violation {
        field: field.to_owned(),
        problem: problem.into(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn refused(request: Value) -> String {
        let request: Request = serde_json::from_value(request).unwrap();
        request.check().unwrap_err().to_string()
    }

    #[test]
    fn a_refusal_names_the_field() {
        let buttons = |ids: &[&str]| -> Vec<Value> {
            ids.iter()
                .map(|id| json!({"id": id, "label": "Press"}))
                .collect()
        };
        for (request, said) in [
            (json!({"show": {"title": ""}}), "`show.title` is empty"),
            (
                json!({"show": {"title": "t", "actions": buttons(&["a", "b", "c", "d", "e", "f"])}}),
                "`show.actions` has 6 entries, at most 5 are allowed",
            ),
            (
                json!({"show": {"title": "t", "actions": buttons(&["a", "a"])}}),
                "`show.actions[1].id` is `a` once more; each must differ",
            ),
            (
                json!({"show": {"title": "t", "group": "é".repeat(65)}}),
                "`show.group` has 65 characters, at most 64 are allowed",
            ),
            (
                json!({"show": {"title": "t", "replace": true}}),
                "`show.replace` needs a `tag`: it names the toast to replace",
            ),
            (
                json!({"show": {"title": "t", "ttl": "100h"}}),
                "`show.ttl` is 4days 4h, must be more than 0 and at most 72h",
            ),
            (
                json!({"show": {"title": "t", "inputs": [{"id": "i", "kind": "selection"}]}}),
                "`show.inputs[0].choices` are missing: a `selection` needs at least 1",
            ),
            (
                json!({"update": {"tag": "t", "progress": {"value": 1.5}}}),
                "`update.progress.value` is 1.5, must be from 0.0 to 1.0",
            ),
            (
                json!({"dismiss": {"toast_id": "1", "tag": "t"}}),
                "`dismiss` needs either `toast_id`, or `tag` with or without `group`",
            ),
        ] {
            assert_eq!(refused(request), said);
        }
    }

    #[test]
    fn unknown_fields_are_refused_at_every_level() {
        for request in [
            json!({"show": {"title": "t", "colour": "red"}}),
            json!({"show": {"title": "t", "actions": [{"id": "a", "label": "A", "key": "x"}]}}),
            json!({"dismiss": {"tag": "t", "all": true}}),
            json!({"show": {"title": "t"}, "dismiss": {"tag": "t"}}),
            json!({"shout": {"title": "t"}}),
            json!({"show": {"title": "t", "urgency": "extreme"}}),
        ] {
            assert!(
                serde_json::from_value::<Request>(request.clone()).is_err(),
                "{request}"
            );
        }
    }
}
