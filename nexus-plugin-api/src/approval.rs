//! Questions to people: a processor asks with [`Effect::Ask`](crate::Effect::Ask), the hub keeps the question until
//! somebody answers or its time is up, and the answer comes back as an event.
//!
//! A question has one choice that holds when nobody answers, and it should be the one that does the least. The hub
//! publishes [`ApprovalRequested`] once a question is kept, and [`ApprovalAnswered`] exactly once when it has ended;
//! both are correlated to the event behind the question.
//!
//! ```
//! use nexus_plugin_api::approval::{Choice, Question};
//! use nexus_plugin_api::{Effect, Outcome};
//! use std::time::Duration;
//!
//! let question = Question::new("Pay 250 EUR to Example Ltd?")
//!     .choice(Choice::new("pay", "Pay").good())
//!     .choice(Choice::new("refuse", "Refuse").bad())
//!     .unanswered("refuse")
//!     .expires_after(Duration::from_secs(3600));
//! let outcome = Outcome::done().with(Effect::ask(question));
//! # assert_eq!(outcome.effects.len(), 1);
//! ```

use std::time::Duration;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::contract::Contract;
use crate::event::Priority;

/// A question to a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// What is asked, in a line of 1 to 256 characters.
    pub title: String,
    /// What one should know to answer, at most 4,096 characters of plain text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// What may be answered, 1 to 5, each with an id of its own; left out, `approve` and `deny`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    /// The choice that holds when nobody answers in time; left out, `deny`. It need not be one that is offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<String>,
    /// How long it may be answered, in milliseconds; left out, as `[approvals] expires_after` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after_ms: Option<u64>,
    /// How pressing it is.
    #[serde(default)]
    pub priority: Priority,
    /// Which question it is, among those of the same asker, 1 to 256 characters: one that was asked with this key
    /// already is not asked again, whether it waits or has ended. Left out, every effect asks its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What comes back with the answer, for whoever goes on with it: any JSON, at most 64 KiB. It is kept, and
    /// administrators can read it: no secrets.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub context: Value,
}

/// One answer that is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// What comes back, 1 to 64 characters.
    #[schemars(length(min = 1, max = 64))]
    pub id: String,
    /// What it says, 1 to 128 characters.
    #[schemars(length(min = 1, max = 128))]
    pub label: String,
    /// How it looks.
    #[serde(default, skip_serializing_if = "Tone::is_plain")]
    pub tone: Tone,
    /// Whether it says nothing without a note.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_note: bool,
}

/// How a choice looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// As any other.
    #[default]
    Plain,
    /// Goes on.
    Good,
    /// Stops, or cannot be undone.
    Bad,
}

impl Tone {
    fn is_plain(&self) -> bool {
        *self == Self::Plain
    }
}

impl Choice {
    /// A choice that looks as any other.
    pub fn new(id: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            label: label.into(),
            tone: Tone::Plain,
            needs_note: false,
        }
    }

    /// One that says nothing without a note.
    #[must_use]
    pub fn with_note(mut self) -> Self {
        self.needs_note = true;
        self
    }

    /// One that goes on.
    #[must_use]
    pub fn good(mut self) -> Self {
        self.tone = Tone::Good;
        self
    }

    /// One that stops, or cannot be undone.
    #[must_use]
    pub fn bad(mut self) -> Self {
        self.tone = Tone::Bad;
        self
    }
}

impl Question {
    /// A question with the choices `approve` and `deny`, of which `deny` holds when nobody answers.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            body: String::new(),
            choices: Vec::new(),
            unanswered: None,
            expires_after_ms: None,
            priority: Priority::Normal,
            key: None,
            context: Value::Null,
        }
    }

    /// Says what one should know to answer.
    #[must_use]
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    /// Offers a further choice; the first one takes the place of `approve` and `deny`.
    #[must_use]
    pub fn choice(mut self, choice: Choice) -> Self {
        self.choices.push(choice);
        self
    }

    /// Says which choice holds when nobody answers.
    #[must_use]
    pub fn unanswered(mut self, choice: impl Into<String>) -> Self {
        self.unanswered = Some(choice.into());
        self
    }

    /// Says how long it may be answered.
    #[must_use]
    pub fn expires_after(mut self, time: Duration) -> Self {
        self.expires_after_ms = Some(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// Sets the priority.
    #[must_use]
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Says which question it is, so that it is asked once whatever leads to it.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Says what comes back with the answer.
    #[must_use]
    pub fn context(mut self, context: Value) -> Self {
        self.context = context;
        self
    }
}

/// A question is kept, and may be answered. Published by the hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalRequested {
    /// Which one it is.
    pub approval_id: Uuid,
    /// Who asks: `plugin/name`, or `routes/name`.
    pub asked_by: String,
    /// What is asked.
    pub title: String,
    /// What one should know to answer.
    #[serde(default)]
    pub body: String,
    /// What may be answered.
    pub choices: Vec<Choice>,
    /// The choice that holds when nobody answers.
    pub unanswered: String,
    /// Until when.
    pub expires_at: DateTime<Utc>,
}

/// A question has ended. Published by the hub, once for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalAnswered {
    /// Which one it is.
    pub approval_id: Uuid,
    /// Who has asked: `plugin/name`, or `routes/name`.
    pub asked_by: String,
    /// The choice that holds.
    pub choice: String,
    /// Whether nobody has answered in time.
    pub expired: bool,
    /// Who has answered, as far as is known: a client's id, or the plugin that heard it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<String>,
    /// What was said beside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What came with the question.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub context: Value,
}

impl Contract for ApprovalRequested {
    const TYPE: &'static str = "nexus.approval.requested";
    const VERSION: &'static str = "1.0.0";
}

impl Contract for ApprovalAnswered {
    const TYPE: &'static str = "nexus.approval.answered";
    const VERSION: &'static str = "1.0.0";
}
