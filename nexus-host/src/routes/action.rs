//! One action of a route: receives what was written, compiles it once, and hands on the effect that it means for an
//! event.

use std::time::Duration;

use nexus_plugin_api::approval::{Choice, Question, Tone};
use nexus_plugin_api::{Effect, NewEvent, Priority, one_line};
use serde_json::Value;
use uuid::Uuid;

use super::config;
use super::misfit::{Misfit, each};
use super::template::{LONGEST, Template, Text};
use crate::admission::rules;
use crate::expression::Case;

/// How many placeholders one action may have: each is worked out while nothing else of its event goes on.
const MAX_PLACEHOLDERS: usize = 100;

/// What a question takes: characters of its title, its body and a choice's label, bytes of its context.
const TITLE: usize = 256;
const BODY: usize = 4_096;
const LABEL: usize = 128;
const CONTEXT: usize = 64 * 1024;

/// How many choices a question may offer, and how many characters the id of one may have.
const MAX_CHOICES: usize = 5;
const CHOICE: usize = 64;

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

#[derive(Debug)]
struct Ask {
    title: Text,
    body: Text,
    choices: Vec<(String, Text, Tone)>,
    unanswered: Option<String>,
    expires_after: Option<Duration>,
    priority: Priority,
    context: Template,
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
            (["ask"], config::Action { ask: Some(it), .. }) => ask(it).map_err(under("ask"))?,
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
            Self::Ask(ask) => {
                let labels = ask.choices.iter().map(|(_, label, _)| label.placeholders());
                ask.title.placeholders()
                    + ask.body.placeholders()
                    + labels.sum::<usize>()
                    + ask.context.placeholders()
            }
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

fn ask(written: &config::Ask) -> Result<Act, Vec<Misfit>> {
    let is_id = |id: &str| !id.is_empty() && id.chars().nth(CHOICE).is_none();
    let no_id = format!("must be 1 to {CHOICE} characters");
    let unanswered = match &written.unanswered {
        Some(id) if !is_id(id) => refuse(&no_id),
        _ => Ok(()),
    };
    let expires_after = match written.expires_after {
        Some(time) if time.get().is_zero() => refuse("must be more than 0s"),
        _ => Ok(()),
    };
    let is_asked = match written.title.trim() {
        "" => refuse("must not be empty"),
        _ => Ok(()),
    };
    let are_few = match written.choices.len() > MAX_CHOICES {
        true => refuse(&format!("must be at most {MAX_CHOICES}")),
        false => Ok(()),
    };
    each([
        ("unanswered", unanswered),
        ("expires_after", expires_after),
        ("title", is_asked),
        ("choices", are_few),
    ])?;
    let choices = written.choices.iter().enumerate();
    let choices = choices.map(|(at, choice)| {
        let is_there = |before: &Choice| before.id == choice.id;
        let id = match &choice.id {
            id if !is_id(id) => refuse(&no_id),
            _ if written.choices[..at].iter().any(is_there) => refuse("is there already"),
            _ => Ok(()),
        };
        let label = text(&choice.label);
        let compiled = each([("id", id)])
            .and_then(|_| each([("label", label)]))
            .map(|mut label| (choice.id.clone(), label.remove(0), choice.tone));
        (at.to_string(), compiled)
    });
    let mut choices = each([("choices", each(choices))])?;
    let mut texts = each([
        ("title", text(&written.title)),
        ("body", text(&written.body)),
    ])?;
    let mut context = each([("context", Template::compile(&written.context))])?;
    Ok(Act::Ask(Box::new(Ask {
        body: texts.remove(1),
        title: texts.remove(0),
        choices: choices.remove(0),
        unanswered: written.unanswered.clone(),
        expires_after: written.expires_after.map(|time| time.get()),
        priority: written.priority,
        context: context.remove(0),
    })))
}

fn answer(written: &config::Answer) -> Result<Act, Vec<Misfit>> {
    let mut texts = each([
        ("approval_id", text(&written.approval_id)),
        ("choice", text(&written.choice)),
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

fn text(written: &str) -> Result<Text, Vec<Misfit>> {
    Text::compile(written).map_err(|fault| vec![Misfit::new(fault)])
}

fn optional(key: &str, written: Option<&str>) -> Result<Option<Text>, Vec<Misfit>> {
    let compiled = written.map(|written| (key, text(written)));
    each(compiled).map(|mut texts| texts.pop())
}

fn filled(case: &Case, key: &str, text: &Text) -> Result<String, Misfit> {
    let filled = text.fill(case, LONGEST);
    filled.map_err(|reason| Misfit::new(reason).within(key))
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
        .map(|text| filled(case, "partition_key", text))
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
    let id = filled(case, "approval_id", approval_id)?;
    let id = Uuid::try_parse(&id)
        .map_err(|_| Misfit::new("it is no id of a question").within("approval_id"))?;
    let mut effect = Effect::answer(id, filled(case, "choice", choice)?);
    if let (Effect::Answer { note: said, .. }, Some(text)) = (&mut effect, note) {
        *said = Some(filled(case, "note", text)?);
    }
    Ok(effect)
}

impl Ask {
    fn question(&self, case: &Case) -> Result<Question, Misfit> {
        let line = |key: &str, text: &Text, longest: usize| {
            let text = filled(case, key, text)?;
            Ok(cut(&one_line(&text), longest))
        };
        let choices = self.choices.iter().enumerate();
        let choices = choices.map(|(at, (id, label, tone))| {
            let label = line("label", label, LABEL);
            let label =
                label.map_err(|misfit: Misfit| misfit.within(&at.to_string()).within("choices"))?;
            Ok(Choice {
                id: id.clone(),
                label,
                tone: *tone,
            })
        });
        let choices: Result<Vec<Choice>, Misfit> = choices.collect();
        let context = self.context.make(case, CONTEXT);
        let context = context
            .and_then(|json| {
                let parsed = json.parse();
                parsed.map_err(|error| Misfit::new(error.to_string()))
            })
            .map_err(|misfit| misfit.within("context"))?;
        let mut question = Question::new(line("title", &self.title, TITLE)?)
            .body(cut(&filled(case, "body", &self.body)?, BODY))
            .with_priority(self.priority)
            .context(context);
        question.choices = choices?;
        question.unanswered.clone_from(&self.unanswered);
        Ok(match self.expires_after {
            Some(time) => question.expires_after(time),
            None => question,
        })
    }
}

/// What a person reads may be cut: a long subject is no reason to ask nothing.
fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text.to_owned(),
        Some(_) => {
            let kept = text.chars().take(longest - 1);
            kept.chain(['…']).collect()
        }
    }
}
