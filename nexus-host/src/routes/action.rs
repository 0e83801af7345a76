//! One action of a route: receives what was written, compiles it once, and hands on the effect that it means for an
//! event.

use std::time::Duration;

use nexus_plugin_api::{Effect, NewEvent, Priority};
use serde_json::Value;
use uuid::Uuid;

use super::ask::Ask;
use super::config;
use super::misfit::{Misfit, each};
use super::template::{LONGEST, Template, Text};
use crate::admission::rules;
use crate::expression::Case;

/// How many placeholders one action may have: each is worked out while nothing else of its event goes on.
const MAX_PLACEHOLDERS: usize = 100;

/// An action, ready for events.
#[derive(Debug)]
pub(super) struct Action {
    act: Act,
    after: Option<Duration>,
}

#[derive(Debug)]
enum Act {
    Notify {
        integration: String,
        target: Option<String>,
        request: Template,
    },
    Emit {
        event_type: String,
        priority: Priority,
        partition_key: Option<Text>,
        payload: Template,
    },
    Ask(Box<Ask>),
    Answer {
        approval_id: Text,
        choice: Text,
        note: Option<Text>,
    },
}

impl Action {
    /// Compiles one.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn compile(written: &config::Action) -> Result<Self, Vec<Misfit>> {
        let wrong = |reason: String| vec![Misfit::new(reason)];
        let under = |key: &'static str| {
            move |misfits: Vec<Misfit>| -> Vec<Misfit> {
                misfits.into_iter().map(|one| one.within(key)).collect()
            }
        };
        if let Some(after) = written.after
            && after.get().is_zero()
        {
            return Err(under("after")(wrong("must be more than 0s".to_owned())));
        }
        for (key, is_there) in [
            ("target", written.target.is_some()),
            ("request", written.request.is_some()),
        ] {
            if is_there && written.notify.is_none() {
                return Err(under(key)(wrong(format!("`{key}` goes with `notify`"))));
            }
        }
        let kinds: Vec<&str> = written.kinds().collect();
        let act = match (&*kinds, written) {
            (["notify"], _) => notify(written)?,
            (["emit"], config::Action { emit: Some(it), .. }) => emit(it).map_err(under("emit"))?,
            (["ask"], config::Action { ask: Some(it), .. }) => {
                Act::Ask(Box::new(Ask::compile(it).map_err(under("ask"))?))
            }
            (
                ["answer"],
                config::Action {
                    answer: Some(it), ..
                },
            ) => answer(it).map_err(under("answer"))?,
            ([], _) => {
                let reason = "does nothing; write one of `notify`, `emit`, `ask` and `answer`";
                return Err(wrong(reason.to_owned()));
            }
            (several, _) => {
                let several = several.join("` and `");
                return Err(wrong(format!(
                    "has `{several}`; write an action of its own for each"
                )));
            }
        };
        let placeholders = act.placeholders();
        if placeholders > MAX_PLACEHOLDERS {
            return Err(wrong(format!(
                "has {placeholders} placeholders; at most {MAX_PLACEHOLDERS} are taken"
            )));
        }
        let after = written.after.map(|after| after.get());
        Ok(Self { act, after })
    }

    /// The type of the event that it emits.
    pub(super) fn emits(&self) -> Option<&str> {
        match &self.act {
            Act::Emit { event_type, .. } => Some(event_type),
            _ => None,
        }
    }

    /// What it means for an event.
    ///
    /// # Errors
    /// Where it cannot be filled.
    pub(super) fn effect(&self, case: &Case) -> Result<Effect, Misfit> {
        let effect = self.act.effect(case)?;
        Ok(match self.after {
            Some(delay) => effect.after(delay),
            None => effect,
        })
    }
}

impl Act {
    fn placeholders(&self) -> usize {
        let of = |text: &Option<Text>| text.as_ref().map_or(0, Text::placeholders);
        match self {
            Self::Notify { request, .. } => request.placeholders(),
            Self::Emit {
                partition_key,
                payload,
                ..
            } => of(partition_key) + payload.placeholders(),
            Self::Ask(ask) => ask.placeholders(),
            Self::Answer {
                approval_id,
                choice,
                note,
            } => approval_id.placeholders() + choice.placeholders() + of(note),
        }
    }

    fn effect(&self, case: &Case) -> Result<Effect, Misfit> {
        match self {
            Self::Notify {
                integration,
                target,
                request,
            } => Ok(Effect::Notify {
                integration: integration.clone(),
                target: target.clone(),
                request: request
                    .make(case, LONGEST)
                    .map_err(|misfit| misfit.within("request"))?,
            }),
            Self::Emit {
                event_type,
                priority,
                partition_key,
                payload,
            } => {
                let event = new_event(case, event_type, partition_key.as_ref(), payload);
                let mut event = event.map_err(|misfit| misfit.within("emit"))?;
                event.priority = *priority;
                Ok(Effect::emit(event))
            }
            Self::Ask(ask) => {
                let question = ask.question(case);
                question
                    .map(Effect::ask)
                    .map_err(|misfit| misfit.within("ask"))
            }
            Self::Answer {
                approval_id,
                choice,
                note,
            } => answered(case, approval_id, choice, note.as_ref())
                .map_err(|misfit| misfit.within("answer")),
        }
    }
}

fn notify(written: &config::Action) -> Result<Act, Vec<Misfit>> {
    let integration = written.notify.clone().unwrap_or_default();
    let literal = |key: &'static str, name: Option<&str>| {
        let fault = match name {
            Some("") => Some("must not be empty"),
            Some(name) if name.contains("{{") => Some("takes no placeholders"),
            _ => None,
        };
        (key, fault.map_or(Ok(()), refuse))
    };
    each([
        literal("notify", Some(&integration)),
        literal("target", written.target.as_deref()),
    ])?;
    let request = written.request.clone();
    let request = request.unwrap_or_else(|| Value::Object(Default::default()));
    let mut request = each([("request", Template::compile(&request))])?;
    Ok(Act::Notify {
        integration,
        target: written.target.clone(),
        request: request.remove(0),
    })
}

fn emit(written: &config::Emit) -> Result<Act, Vec<Misfit>> {
    let event_type = &written.r#type;
    let is_own = match rules::is_event_type(event_type) {
        false => refuse(rules::TYPE),
        true if rules::is_reserved(event_type) => {
            refuse("types that begin with `nexus.` are the hub's own; choose another")
        }
        true => Ok(()),
    };
    let is_object = match &written.payload {
        Value::Object(_) => Ok(()),
        Value::String(text) if text.contains("{{") => Ok(()),
        _ => refuse("must be a table, or a placeholder for one"),
    };
    each([("type", is_own), ("payload", is_object)])?;
    let partition_key = optional("partition_key", written.partition_key.as_deref())?;
    let mut payload = each([("payload", Template::compile(&written.payload))])?;
    Ok(Act::Emit {
        event_type: event_type.clone(),
        priority: written.priority,
        partition_key,
        payload: payload.remove(0),
    })
}

fn answer(written: &config::Answer) -> Result<Act, Vec<Misfit>> {
    let mut texts = each([
        ("approval_id", Text::compile(&written.approval_id)),
        ("choice", Text::compile(&written.choice)),
    ])?;
    Ok(Act::Answer {
        choice: texts.remove(1),
        approval_id: texts.remove(0),
        note: optional("note", written.note.as_deref())?,
    })
}

fn refuse(reason: &str) -> Result<(), Vec<Misfit>> {
    Err(vec![Misfit::new(reason)])
}

fn optional(key: &str, written: Option<&str>) -> Result<Option<Text>, Vec<Misfit>> {
    let compiled = written.map(|written| (key, Text::compile(written)));
    each(compiled).map(|mut texts| texts.pop())
}

fn new_event(
    case: &Case,
    event_type: &str,
    partition_key: Option<&Text>,
    payload: &Template,
) -> Result<NewEvent, Misfit> {
    let unfit = |reason: &str| Misfit::new(reason).within("payload");
    let payload = payload
        .make(case, LONGEST)
        .map_err(|misfit| misfit.within("payload"))?;
    if !payload.as_slice().starts_with(b"{") {
        return Err(unfit("it is no object"));
    }
    let event = NewEvent::new(event_type, &payload);
    let mut event = event.map_err(|error| unfit(&error.to_string()))?;
    // No text is no key.
    event.partition_key = partition_key
        .map(|text| text.fill_at("partition_key", case))
        .transpose()?
        .filter(|key| !key.is_empty());
    Ok(event)
}

fn answered(
    case: &Case,
    approval_id: &Text,
    choice: &Text,
    note: Option<&Text>,
) -> Result<Effect, Misfit> {
    let id = approval_id.fill_at("approval_id", case)?;
    let id = Uuid::try_parse(&id)
        .map_err(|_| Misfit::new("it is no id of a question").within("approval_id"))?;
    let mut effect = Effect::answer(id, choice.fill_at("choice", case)?);
    if let (Effect::Answer { note: said, .. }, Some(text)) = (&mut effect, note) {
        *said = Some(text.fill_at("note", case)?);
    }
    Ok(effect)
}
