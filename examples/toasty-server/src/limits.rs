//! The contract's limits: receives a request as it came, says which field breaks which bound.
//!
//! Never changes a request: what is too long is refused, not cut, because only its author knows
//! what may be left out. The bounds are those of Windows, and are documented in the contract.

use std::collections::HashSet;
use std::time::Duration;

use nexus_proto::toasty::v1::input::Kind;
use nexus_proto::toasty::v1::{
    Action, Correlation, Image, Input, Progress, ShowRequest, TagAndGroup, UpdateRequest, action,
    image, show_request,
};

use crate::toast::MAX_TTL;

/// Buttons a toast may have.
pub(crate) const MAX_ACTIONS: usize = 5;
/// Inputs a toast may have.
pub(crate) const MAX_INPUTS: usize = 5;
/// Characters of a tag or a group.
pub(crate) const MAX_TAG_CHARS: usize = 64;

const MAX_CHOICES: usize = 5;
const MAX_ID_CHARS: usize = 64;
const MAX_NAME_CHARS: usize = 128;
const MAX_LINE_CHARS: usize = 256;
const MAX_BODY_CHARS: usize = 4096;
const MAX_URI_CHARS: usize = 2048;

/// A field that breaks a limit.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{field}: {problem}")]
pub(crate) struct Violation {
    field: String,
    problem: String,
}

impl Violation {
    pub(crate) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
        }
    }
}

type Checked = Result<(), Violation>;

/// Checks a new toast.
pub(crate) fn check_show(request: &ShowRequest) -> Checked {
    at_most("request_id", &request.request_id, MAX_NAME_CHARS)?;
    at_most("app_id", &request.app_id, MAX_NAME_CHARS)?;
    required("title", &request.title, MAX_LINE_CHARS)?;
    at_most("body", &request.body, MAX_BODY_CHARS)?;
    at_most("attribution", &request.attribution, MAX_LINE_CHARS)?;
    if let Some(image) = &request.image {
        check_image(image)?;
    }
    check_actions(&request.actions)?;
    check_inputs(&request.inputs)?;
    known::<show_request::Urgency>("urgency", request.urgency)?;
    known::<show_request::Scenario>("scenario", request.scenario)?;
    known::<show_request::PopupDuration>("duration", request.duration)?;
    at_most("tag", &request.tag, MAX_TAG_CHARS)?;
    at_most("group", &request.group, MAX_TAG_CHARS)?;
    if request.replace && request.tag.is_empty() {
        return Err(Violation::new(
            "tag",
            "is required with replace: it names the toast to take the place of",
        ));
    }
    if let Some(ttl) = request.ttl {
        check_ttl(ttl)?;
    }
    if let Some(sound) = &request.sound {
        at_most("sound.name", &sound.name, MAX_NAME_CHARS)?;
    }
    if let Some(progress) = &request.progress {
        check_progress(progress)?;
    }
    if let Some(Correlation {
        event_id,
        traceparent,
    }) = &request.correlation
    {
        at_most("correlation.event_id", event_id, MAX_NAME_CHARS)?;
        at_most("correlation.traceparent", traceparent, MAX_NAME_CHARS)?;
    }
    Ok(())
}

/// Checks a change of a toast on show.
pub(crate) fn check_update(request: &UpdateRequest) -> Checked {
    if let Some(title) = &request.title {
        required("title", title, MAX_LINE_CHARS)?;
    }
    if let Some(body) = &request.body {
        at_most("body", body, MAX_BODY_CHARS)?;
    }
    if let Some(attribution) = &request.attribution {
        at_most("attribution", attribution, MAX_LINE_CHARS)?;
    }
    if let Some(progress) = &request.progress {
        check_progress(progress)?;
    }
    Ok(())
}

/// Checks a toast's own name, as Update and Dismiss take it.
pub(crate) fn check_tagged(tagged: &TagAndGroup) -> Checked {
    required("tagged.tag", &tagged.tag, MAX_TAG_CHARS)?;
    at_most("tagged.group", &tagged.group, MAX_TAG_CHARS)
}

fn check_image(image: &Image) -> Checked {
    required("image.uri", &image.uri, MAX_URI_CHARS)?;
    at_most("image.alt", &image.alt, MAX_LINE_CHARS)?;
    known::<image::Placement>("image.placement", image.placement)
}

fn check_actions(actions: &[Action]) -> Checked {
    count("actions", actions.len(), MAX_ACTIONS)?;
    let mut ids = HashSet::new();
    for (index, action) in actions.iter().enumerate() {
        let field = |name: &str| format!("actions[{index}].{name}");
        required(&field("id"), &action.id, MAX_ID_CHARS)?;
        unique(&field("id"), &action.id, &mut ids)?;
        required(&field("label"), &action.label, MAX_NAME_CHARS)?;
        known::<action::Style>(&field("style"), action.style)?;
        at_most(&field("uri"), &action.uri, MAX_URI_CHARS)?;
    }
    Ok(())
}

fn check_inputs(inputs: &[Input]) -> Checked {
    count("inputs", inputs.len(), MAX_INPUTS)?;
    let mut ids = HashSet::new();
    for (index, input) in inputs.iter().enumerate() {
        let field = |name: &str| format!("inputs[{index}].{name}");
        required(&field("id"), &input.id, MAX_ID_CHARS)?;
        unique(&field("id"), &input.id, &mut ids)?;
        known::<Kind>(&field("kind"), input.kind)?;
        at_most(&field("placeholder"), &input.placeholder, MAX_LINE_CHARS)?;
        at_most(&field("title"), &input.title, MAX_LINE_CHARS)?;
        at_most(
            &field("default_value"),
            &input.default_value,
            MAX_LINE_CHARS,
        )?;
        check_choices(input, &field("choices"))?;
    }
    Ok(())
}

fn check_choices(input: &Input, field: &str) -> Checked {
    if input.kind() != Kind::Selection {
        return if input.choices.is_empty() {
            Ok(())
        } else {
            Err(Violation::new(
                field,
                "must be empty unless kind is SELECTION",
            ))
        };
    }
    if input.choices.is_empty() {
        return Err(Violation::new(field, "a SELECTION needs at least 1"));
    }
    count(field, input.choices.len(), MAX_CHOICES)?;
    let mut ids = HashSet::new();
    for (index, choice) in input.choices.iter().enumerate() {
        let id = format!("{field}[{index}].id");
        required(&id, &choice.id, MAX_ID_CHARS)?;
        unique(&id, &choice.id, &mut ids)?;
        required(
            &format!("{field}[{index}].label"),
            &choice.label,
            MAX_NAME_CHARS,
        )?;
    }
    Ok(())
}

fn check_ttl(ttl: prost_types::Duration) -> Checked {
    match Duration::try_from(ttl) {
        Ok(ttl) if !ttl.is_zero() && ttl <= MAX_TTL => Ok(()),
        _ => Err(Violation::new(
            "ttl",
            format!(
                "is {ttl}, must be more than 0 and at most {}s (72 hours)",
                MAX_TTL.as_secs()
            ),
        )),
    }
}

fn check_progress(progress: &Progress) -> Checked {
    if !(0.0..=1.0).contains(&progress.value) {
        return Err(Violation::new(
            "progress.value",
            format!("is {}, must be from 0.0 to 1.0", progress.value),
        ));
    }
    at_most("progress.title", &progress.title, MAX_NAME_CHARS)?;
    at_most("progress.status", &progress.status, MAX_NAME_CHARS)?;
    at_most(
        "progress.value_label",
        &progress.value_label,
        MAX_NAME_CHARS,
    )
}

fn required(field: &str, text: &str, max_chars: usize) -> Checked {
    if text.is_empty() {
        return Err(Violation::new(field, "is required"));
    }
    at_most(field, text, max_chars)
}

fn at_most(field: &str, text: &str, max_chars: usize) -> Checked {
    // Bytes bound characters from above, so that only a long text is counted.
    if text.len() > max_chars {
        let chars = text.chars().count();
        if chars > max_chars {
            return Err(Violation::new(
                field,
                format!("has {chars} characters, at most {max_chars} are allowed"),
            ));
        }
    }
    Ok(())
}

fn count(field: &str, given: usize, most: usize) -> Checked {
    if given > most {
        return Err(Violation::new(
            field,
            format!("{given} given, at most {most} are allowed"),
        ));
    }
    Ok(())
}

fn unique<'a>(field: &str, id: &'a str, seen: &mut HashSet<&'a str>) -> Checked {
    if seen.insert(id) {
        Ok(())
    } else {
        Err(Violation::new(field, format!("`{id}` is there twice")))
    }
}

fn known<E: TryFrom<i32>>(field: &str, value: i32) -> Checked {
    E::try_from(value)
        .map(drop)
        .map_err(|_| Violation::new(field, format!("{value} is not a value of this contract")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toast() -> ShowRequest {
        ShowRequest {
            title: "Title".to_owned(),
            ..ShowRequest::default()
        }
    }

    fn refused(change: impl FnOnce(&mut ShowRequest)) -> String {
        let mut request = toast();
        change(&mut request);
        check_show(&request).unwrap_err().to_string()
    }

    fn action(id: &str) -> Action {
        Action {
            id: id.to_owned(),
            label: id.to_owned(),
            ..Action::default()
        }
    }

    #[test]
    fn the_smallest_and_the_largest_pass() {
        check_show(&toast()).unwrap();
        let request = ShowRequest {
            title: "é".repeat(MAX_LINE_CHARS),
            tag: "ü".repeat(MAX_TAG_CHARS),
            actions: (0..MAX_ACTIONS).map(|n| action(&n.to_string())).collect(),
            ..ShowRequest::default()
        };
        check_show(&request).unwrap();
    }

    #[test]
    fn a_refusal_names_its_field() {
        assert_eq!(refused(|r| r.title.clear()), "title: is required");
        assert_eq!(
            refused(|r| r.actions = (0..6).map(|n| action(&n.to_string())).collect()),
            "actions: 6 given, at most 5 are allowed"
        );
        assert_eq!(
            refused(|r| r.actions = vec![action("a"), action("a")]),
            "actions[1].id: `a` is there twice"
        );
        assert_eq!(
            refused(|r| r.group = "g".repeat(65)),
            "group: has 65 characters, at most 64 are allowed"
        );
        assert_eq!(
            refused(|r| r.urgency = 99),
            "urgency: 99 is not a value of this contract"
        );
        assert!(refused(|r| r.replace = true).starts_with("tag: "));
        assert!(refused(|r| r.inputs = vec![Input::default(); 6]).starts_with("inputs: 6"));
        for (seconds, nanos) in [(0, 0), (-1, 0), (72 * 3600, 1)] {
            let ttl = prost_types::Duration { seconds, nanos };
            assert!(refused(|r| r.ttl = Some(ttl)).starts_with("ttl: "));
        }
        let progress = Progress {
            value: f64::NAN,
            ..Progress::default()
        };
        assert!(refused(|r| r.progress = Some(progress)).starts_with("progress.value: "));
    }
}
