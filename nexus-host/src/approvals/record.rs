//! One question as it is kept: receives what somebody asks, holds it to its bounds, and hands on the events that tell
//! of it. Plain data.

use std::time::Duration;

use chrono::{DateTime, Utc};
use nexus_plugin_api::approval::{ApprovalAnswered, ApprovalRequested, Choice, Question, Tone};
use nexus_plugin_api::{Contract, Event, PluginError, Priority, RawJson};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::config::LONGEST_WAIT;
use crate::admission::HUB;
use crate::dispatch::port::Asking;
use crate::observe::Ids;
use crate::unseen::is_unseen;

/// What holds when nobody answers, unless the question says otherwise.
const DENY: &str = "deny";

const MOST_CHOICES: usize = 5;
pub(crate) const LONGEST_TITLE: usize = 256;
pub(crate) const LONGEST_BODY: usize = 4_096;
const LONGEST_CHOICE: usize = 64;
const LONGEST_KEY: usize = 256;
pub(crate) const LONGEST_LABEL: usize = 128;
pub(super) const LONGEST_NOTE: usize = 1_000;
pub(crate) const LONGEST_CONTEXT: usize = 64 * 1024;

/// A question to people, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// Which one it is: the same for the same effect, however often it is performed, and for the same key.
    pub id: Uuid,
    /// Where it stands.
    pub status: ApprovalStatus,
    /// Who asks: `plugin/name`, or `routes/name`.
    pub asked_by: String,
    /// The event behind it.
    pub event_id: Uuid,
    /// What that belongs to.
    pub correlation_id: String,
    /// When it was asked.
    pub asked_at: DateTime<Utc>,
    /// Until when it may be answered.
    pub expires_at: DateTime<Utc>,
    /// How pressing it is.
    pub priority: Priority,
    /// What is asked.
    pub title: String,
    /// What one should know to answer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// What may be answered.
    pub choices: Vec<Choice>,
    /// The choice that holds when nobody answers.
    pub unanswered: String,
    /// What comes back with the answer.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub context: Value,
    /// W3C trace context of the event behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// Whether the event that tells that it may be answered is in the queue.
    #[serde(default)]
    pub announced: bool,
    /// How it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Given>,
    /// Whether nothing is kept of it but that it was asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_forgotten: bool,
}

/// Where a question stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalStatus {
    /// It waits.
    Pending,
    /// Somebody has answered.
    Answered,
    /// Nobody has in time.
    Expired,
}

impl ApprovalStatus {
    /// Its name in the interface.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Answered => "answered",
            Self::Expired => "expired",
        }
    }
}

/// How a question has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// The choice that holds.
    pub choice: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Who has said so: a client's id, or the component that heard it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What was said beside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Whether the event that tells of it is in the queue.
    pub announced: bool,
}

/// What there is to tell of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// That it may be answered.
    Request,
    /// How it has ended.
    Outcome,
}

/// The id of the question that an effect asks: that of its key, where it has one, else of the effect.
pub(super) fn id_of(namespace: Uuid, question: &Question, by: &Asking<'_>) -> Uuid {
    match &question.key {
        // No key of an effect has a slash, and every name of a processor.
        Some(key) => Uuid::new_v5(&namespace, format!("{} {key}", by.processor).as_bytes()),
        None => Uuid::new_v5(&namespace, by.idempotency_key.as_bytes()),
    }
}

impl Approval {
    /// The question of an effect.
    ///
    /// # Errors
    /// `invalid_question`, naming what does not fit.
    pub(super) fn of(
        id: Uuid,
        question: &Question,
        by: &Asking<'_>,
        expires_after: Duration,
    ) -> Result<Self, PluginError> {
        let expires_after = question
            .expires_after_ms
            .map_or(expires_after, Duration::from_millis);
        let question = &readable(question);
        check(question).map_err(|told| PluginError::permanent("invalid_question", told))?;
        let event = by.event;
        let asked_at = Utc::now();
        Ok(Self {
            id,
            status: ApprovalStatus::Pending,
            asked_by: by.processor.to_owned(),
            event_id: event.event_id,
            correlation_id: event
                .correlation_id
                .clone()
                .unwrap_or_else(|| event.event_id.to_string()),
            asked_at,
            expires_at: asked_at + expires_after,
            priority: question.priority,
            title: question.title.clone(),
            body: question.body.clone(),
            choices: choices(question),
            unanswered: unanswered(question).to_owned(),
            context: question.context.clone(),
            traceparent: event.traceparent.clone(),
            announced: false,
            answer: None,
            is_forgotten: false,
        })
    }

    /// This, without what came with it.
    pub fn outline(&self) -> Self {
        Self {
            id: self.id,
            status: self.status,
            asked_by: self.asked_by.clone(),
            event_id: self.event_id,
            correlation_id: self.correlation_id.clone(),
            asked_at: self.asked_at,
            expires_at: self.expires_at,
            priority: self.priority,
            title: self.title.clone(),
            body: self.body.clone(),
            choices: self.choices.clone(),
            unanswered: self.unanswered.clone(),
            context: Value::Null,
            traceparent: self.traceparent.clone(),
            announced: self.announced,
            answer: self.answer.clone(),
            is_forgotten: self.is_forgotten,
        }
    }

    /// By what lines about it name the event behind it.
    pub(super) fn ids(&self) -> Ids<'_> {
        Ids {
            event_id: Some(self.event_id),
            correlation_id: Some(&self.correlation_id),
        }
    }

    /// Whether it offers a choice.
    pub(super) fn offers(&self, choice: &str) -> bool {
        self.unanswered == choice || self.choices.iter().any(|offered| offered.id == choice)
    }

    /// This, ended.
    pub(super) fn ended(&self, status: ApprovalStatus, given: Given) -> Self {
        Self {
            status,
            answer: Some(given),
            ..self.clone()
        }
    }

    /// How it ends when nobody answers.
    pub(super) fn unanswered(&self) -> Given {
        Given {
            choice: self.unanswered.clone(),
            at: Utc::now(),
            by: None,
            note: None,
            announced: false,
        }
    }

    /// What there is to tell of it next: that it may be answered, then how it has ended.
    pub(super) fn news(&self) -> Option<News> {
        let is_over = self.expires_at <= Utc::now();
        match &self.answer {
            None => (!self.announced).then_some(News::Request),
            Some(given) if given.announced => None,
            Some(_) if self.announced || is_over => Some(News::Outcome),
            Some(_) => Some(News::Request),
        }
    }

    /// This, when that is told.
    pub(super) fn told(&self, news: News) -> Self {
        let mut told = self.clone();
        match (news, &mut told.answer) {
            (News::Outcome, Some(given)) => given.announced = true,
            _ => told.announced = true,
        }
        told
    }

    /// This, when nothing is kept of it but that it was asked.
    pub(super) fn forgotten(&self) -> Self {
        Self {
            title: String::new(),
            body: String::new(),
            choices: Vec::new(),
            is_forgotten: true,
            ..self.outline()
        }
    }

    /// The event that tells it.
    ///
    /// # Errors
    /// When it does not serialise.
    pub(super) fn event_of(&self, news: News) -> Result<Event, serde_json::Error> {
        match (news, &self.answer) {
            (News::Outcome, Some(given)) => self.outcome(given),
            _ => self.request(),
        }
    }

    /// The event that tells that it may be answered.
    ///
    /// # Errors
    /// When it does not serialise.
    fn request(&self) -> Result<Event, serde_json::Error> {
        let event = self.event(&ApprovalRequested {
            approval_id: self.id,
            asked_by: self.asked_by.clone(),
            title: self.title.clone(),
            body: self.body.clone(),
            choices: self.choices.clone(),
            unanswered: self.unanswered.clone(),
            expires_at: self.expires_at,
        })?;
        Ok(Event {
            priority: self.priority,
            // Nobody can answer it afterwards.
            expires_at: Some(self.expires_at),
            ..event
        })
    }

    /// The event that tells how it has ended.
    ///
    /// # Errors
    /// When it does not serialise.
    pub(super) fn outcome(&self, given: &Given) -> Result<Event, serde_json::Error> {
        let event = self.event(&ApprovalAnswered {
            approval_id: self.id,
            asked_by: self.asked_by.clone(),
            choice: given.choice.clone(),
            expired: self.status == ApprovalStatus::Expired,
            answered_by: given.by.clone(),
            note: given.note.clone(),
            context: self.context.clone(),
        })?;
        // Somebody waits for what this leads to.
        Ok(event.with_priority(Priority::High))
    }

    /// An event about this question: of each type there is one.
    fn event<C: Contract + Serialize>(&self, payload: &C) -> Result<Event, serde_json::Error> {
        let mut event = Event::new(C::TYPE, HUB, RawJson::of(payload)?);
        event.event_id = Uuid::new_v5(&self.id, C::TYPE.as_bytes());
        event.correlation_id = Some(self.correlation_id.clone());
        event.causation_id = Some(self.event_id);
        event.traceparent = self.traceparent.clone();
        // No question waits for another.
        event.partition_key = Some(self.id.to_string());
        Ok(event)
    }
}

/// A question without characters that nobody sees, and that make a text read other than it is: those that turn its
/// direction round, and those without width. Whoever has written a mail may have put them into its subject.
fn readable(question: &Question) -> Question {
    let mut question = question.clone();
    let labels = question.choices.iter_mut().map(|choice| &mut choice.label);
    for text in labels.chain([&mut question.title, &mut question.body]) {
        let is_written = !text.is_empty();
        text.retain(|c| !is_unseen(c));
        if is_written && text.is_empty() {
            "…".clone_into(text);
        }
    }
    question
}

fn choices(question: &Question) -> Vec<Choice> {
    match &*question.choices {
        [] => vec![
            Choice::new("approve", "Approve").good(),
            Choice::new(DENY, "Deny").bad(),
        ],
        offered => offered.to_vec(),
    }
}

fn unanswered(question: &Question) -> &str {
    question.unanswered.as_deref().unwrap_or(DENY)
}

/// Holds a question to its bounds.
///
/// # Errors
/// What does not fit.
pub(crate) fn check(question: &Question) -> Result<(), String> {
    let (choices, unanswered) = (choices(question), unanswered(question));
    text("title", &question.title, LONGEST_TITLE, char::is_control)?;
    let is_no_text = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if !question.body.is_empty() {
        text("body", &question.body, LONGEST_BODY, is_no_text)?;
    }
    if choices.len() > MOST_CHOICES {
        return Err(format!("`choices` has more than {MOST_CHOICES}"));
    }
    for (index, choice) in choices.iter().enumerate() {
        let at = |field: &str| format!("choices[{index}].{field}");
        text(&at("id"), &choice.id, LONGEST_CHOICE, char::is_control)?;
        text(&at("label"), &choice.label, LONGEST_LABEL, char::is_control)?;
        if choices[..index].iter().any(|other| other.id == choice.id) {
            return Err(format!("`{}` is the id of one before", at("id")));
        }
    }
    text("unanswered", unanswered, LONGEST_CHOICE, char::is_control)?;
    // What does most must not come about by nobody looking.
    let of_unanswered = choices.iter().find(|choice| choice.id == unanswered);
    if of_unanswered.is_some_and(|choice| choice.tone == Tone::Good) {
        return Err(
            "`unanswered` is a choice with the tone `good`: what holds when nobody answers must be one that does less"
                .to_owned(),
        );
    }
    if let Some(key) = &question.key {
        text("key", key, LONGEST_KEY, char::is_control)?;
    }
    let wait = question.expires_after_ms.map(Duration::from_millis);
    if wait.is_some_and(|wait| wait.is_zero() || wait.as_secs() > LONGEST_WAIT) {
        return Err("`expires_after_ms` must be more than 0 and at most 30 days".to_owned());
    }
    let context = question.context.to_string().len();
    if context > LONGEST_CONTEXT {
        return Err(format!(
            "`context` has {context} bytes; at most {LONGEST_CONTEXT} are kept"
        ));
    }
    Ok(())
}

fn text(
    field: &str,
    text: &str,
    longest: usize,
    is_wrong: impl Fn(char) -> bool,
) -> Result<(), String> {
    let length = text.chars().count();
    if length == 0 || length > longest {
        return Err(format!(
            "`{field}` has {length} characters; 1 to {longest} fit"
        ));
    }
    match text.contains(is_wrong) {
        true => Err(format!("`{field}` holds control characters")),
        false => Ok(()),
    }
}
