//! `[[routes]]`: what follows from which events. It holds the settings only.

use std::collections::HashMap;

use nexus_plugin_api::Priority;
use nexus_plugin_api::approval::Tone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::route::Route as Compiled;
use crate::config::{HumanDuration, Section, Selector, priorities};

/// What follows from which events, without a plugin. docs/routes.md tells of conditions and placeholders.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "types", "actions"]))]
pub struct Route {
    /// What it is called in journeys and dead letters, behind `routes/`. Unique; 1 to 64 of a-z, 0-9, `-` and
    /// `_`.
    pub name: String,
    /// The types of events that it takes, 1 to 64: exact names, `prefix.*` or `*`, which is every type but the
    /// hub's own (`nexus.*`).
    #[schemars(length(min = 1, max = 64))]
    pub types: Vec<Selector>,
    /// The sources whose events it takes, at most 64: exact names, `prefix.*` or `*`. Default all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub sources: Vec<Selector>,
    /// CEL over `payload` and `event` that must be true, such as `payload.importance == "high"`. Default: every
    /// event is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// What is done then, in order, 1 to 32; each is tried again by itself when it fails.
    #[schemars(length(min = 1, max = 32))]
    pub actions: Vec<Action>,
}

/// One thing to do: exactly one of `notify`, `emit`, `ask` and `answer`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Action {
    /// The integration that is handed `request`: its name, or `plugin/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notify: Option<String>,
    /// Which of the systems behind the integration, where it serves several. Only with `notify`. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The request in the integration's own terms, with placeholders. Only with `notify`. Default an empty
    /// table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Value>,
    /// Publishes a further event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emit: Option<Emit>,
    /// Asks a person; the answer is the event `nexus.approval.answered`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<Ask>,
    /// Answers such a question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// How long after the event it is done. More than 0; default at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<HumanDuration>,
}

/// A further event. Its source is `routes`, and it belongs to what the event behind it belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["type"]))]
pub struct Emit {
    /// Its type; none below `nexus.`, and none that the same route takes.
    pub r#type: String,
    /// How urgent it is. Default "normal".
    #[schemars(schema_with = "priorities")]
    pub priority: Priority,
    /// The lane that it is ordered in, with placeholders. Default its source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition_key: Option<String>,
    /// Its payload, with placeholders: a table, or one placeholder that gives one. Default an empty table.
    pub payload: Value,
}

/// A question to a person.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["title"]))]
pub struct Ask {
    /// What is asked, with placeholders. It is one line, and cut after 256 characters.
    pub title: String,
    /// What one should know to answer, with placeholders; cut after 4,096 characters. Default nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// What may be answered, at most 5. Default `approve` and `deny`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    /// The id of the choice that holds when nobody answers in time; none with the tone "good". Default "deny".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<String>,
    /// How long it may be answered. More than 0, at most "30d". Default `[approvals] expires_after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<HumanDuration>,
    /// How pressing it is. Default "normal".
    #[schemars(schema_with = "priorities")]
    pub priority: Priority,
    /// What comes back with the answer, with placeholders; at most 64 KiB. No secrets. Default nothing.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub context: Value,
}

/// One answer that is offered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["id", "label"]))]
pub struct Choice {
    /// What comes back, 1 to 64 characters.
    pub id: String,
    /// What it says, with placeholders; cut after 128 characters.
    pub label: String,
    /// How it looks. Default "plain".
    pub tone: Tone,
}

/// An answer to a question.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["approval_id", "choice"]))]
pub struct Answer {
    /// Which question, with placeholders.
    pub approval_id: String,
    /// The id of the choice, with placeholders.
    pub choice: String,
    /// What is said beside, with placeholders. Default nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Default for Emit {
    fn default() -> Self {
        Self {
            r#type: String::new(),
            priority: Priority::Normal,
            partition_key: None,
            payload: Value::Object(Default::default()),
        }
    }
}

impl Action {
    /// Which of the things that can be done are written.
    pub(super) fn kinds(&self) -> impl Iterator<Item = &'static str> {
        let all = [
            ("notify", self.notify.is_some()),
            ("emit", self.emit.is_some()),
            ("ask", self.ask.is_some()),
            ("answer", self.answer.is_some()),
        ];
        all.into_iter()
            .filter(|(_, is_written)| *is_written)
            .map(|(kind, _)| kind)
    }
}

/// Objects to routes that cannot be told apart, and to what is wrong in one.
pub(crate) fn check_routes(routes: &[Route], section: &mut Section<'_, '_>) {
    check(routes, "route", "", section);
}

/// Objects to receivers of alerts as to routes: what each is handed is that of its only action.
pub(crate) fn check_receivers(receivers: &[Route], section: &mut Section<'_, '_>) {
    check(receivers, "receiver", "/actions/0", section);
}

/// `what` they are, and `within` is where what was written stands in the route that was made of it.
fn check(routes: &[Route], what: &str, within: &str, section: &mut Section<'_, '_>) {
    let mut names = HashMap::new();
    for (index, route) in routes.iter().enumerate() {
        if let Some(first) = names.insert(&route.name, index) {
            let place = section.index(first).place_of("name");
            let message = format!("is the name of another {what}, at {place}");
            section
                .index(index)
                .refuse("name", message, "give each route its own");
        }
        let Err(misfits) = Compiled::compile(route) else {
            continue;
        };
        let written = serde_json::to_value(route).unwrap_or_default();
        let mut here = section.index(index);
        for misfit in misfits {
            let pointer = misfit.pointer.strip_prefix(within);
            here.refuse_within(&written, pointer.unwrap_or(&misfit.pointer), misfit.reason);
        }
    }
}
