//! Approvals: questions to people, kept until somebody answers or their time is up.
//!
//! Receives questions and answers from dispatch and from administrators, hands on two events for each question: that
//! it may be answered, and, once, how it has ended. Questions are kept in the queue's state, under the hub's own name,
//! so they are as durable as the queue. What holds when nobody answers is decided by the question, never by chance.

pub mod config;
mod keeper;
mod record;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use nexus_plugin_api::approval::{ApprovalAnswered, ApprovalRequested, Question};
use nexus_plugin_api::{ContractInfo, Event, PluginError, StateWrite};
use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::admission::{Code, HUB};
use crate::dispatch::port::{Asking, People};
use crate::queue::{BoxFuture, Queue, Unavailable};
pub use config::Config;
use record::News;
pub use record::{Approval, ApprovalStatus, Given};
pub(crate) use record::{LONGEST_BODY, LONGEST_CONTEXT, LONGEST_LABEL, LONGEST_TITLE, check};

/// What the keys of questions begin with, in the hub's own state.
const KEYS: &str = "approval/";

/// What the ids of questions are derived in, in the hub's own state: random, and kept. Who knows the event behind a
/// question knows no id to answer it by.
const NAMESPACE: &str = "approvals.namespace";

/// When a question for which there is no room may be asked again.
const ROOM: Duration = Duration::from_secs(60);

/// The contracts of the events that tell of questions.
pub fn contracts() -> Vec<ContractInfo> {
    vec![
        ContractInfo::of::<ApprovalRequested>(),
        ContractInfo::of::<ApprovalAnswered>(),
    ]
}

/// Where events about questions go.
pub trait Announce: Send + Sync + 'static {
    /// Whether an event is one that could be let in, as far as its content goes.
    ///
    /// # Errors
    /// Why it never would be.
    fn check(&self, event: &Event) -> Result<(), PluginError>;

    /// Publishes an event of the hub's own. One that is there already is as good.
    ///
    /// # Errors
    /// Why it is not in the queue.
    fn announce(&self, event: Event) -> BoxFuture<'_, Result<(), PluginError>>;
}

/// See the module.
pub struct Approvals {
    config: Config,
    /// How long the queue knows an event again: for so long none that was asked is asked, or answered, once more.
    dedup_window: Duration,
    queue: Arc<dyn Queue>,
    announce: Arc<dyn Announce>,
    namespace: Uuid,
    /// Every question that is kept.
    known: Mutex<BTreeMap<Uuid, Arc<Approval>>>,
    /// Changes are made one at a time, so that the first answer counts and no other.
    changing: tokio::sync::Mutex<()>,
    /// Rung when the [keeper](Approvals::keep) has something else to wait for.
    changed: Notify,
}

/// Why an answer does not count.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// There is no such question, or it is forgotten.
    #[error("no approval has this id: it never was, or is forgotten")]
    Unknown,
    /// It has ended before.
    #[error("{}", ended_before(.0))]
    Ended(Arc<Approval>),
    /// It does not offer this choice.
    #[error("the approval does not offer this choice; it offers {}", offered(.0))]
    Choice(Arc<Approval>),
    /// The note does not fit.
    #[error(
        "a note has at most {} characters, without control characters",
        record::LONGEST_NOTE
    )]
    Note,
    /// The choice says nothing without a note.
    #[error("this choice needs a note")]
    NoteMissing,
    /// The storage does not work; nothing was changed.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl Approvals {
    /// Takes up the questions that a queue keeps.
    ///
    /// # Errors
    /// When the queue's storage does not work.
    pub async fn open(
        config: Config,
        dedup_window: Duration,
        queue: Arc<dyn Queue>,
        announce: Arc<dyn Announce>,
    ) -> Result<Self, Unavailable> {
        let mut known = BTreeMap::new();
        for key in queue.state_keys(HUB, KEYS).await? {
            let Some(kept) = queue.state_get(HUB, &key).await? else {
                continue;
            };
            match serde_json::from_slice::<Approval>(&kept) {
                Ok(approval) => {
                    known.insert(approval.id, Arc::new(approval));
                }
                // It stays where it is: another version of the hub may know how to read it.
                Err(error) => tracing::error!(key, %error, "an approval cannot be read"),
            }
        }
        Ok(Self {
            namespace: namespace(&*queue).await?,
            config,
            dedup_window,
            queue,
            announce,
            known: Mutex::new(known),
            changing: tokio::sync::Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Those that are kept: what waits first, the oldest first, then what has ended, the last first.
    pub fn list(&self) -> Vec<Arc<Approval>> {
        let mut all = self.all();
        all.retain(|approval| !approval.is_forgotten);
        all.sort_by_key(|approval| match &approval.answer {
            None => (0, approval.asked_at.timestamp_micros(), approval.id),
            Some(given) => (1, -given.at.timestamp_micros(), approval.id),
        });
        all
    }

    /// How many wait for an answer.
    pub fn pending(&self) -> usize {
        let known = self.known.lock();
        known
            .values()
            .filter(|approval| approval.status == ApprovalStatus::Pending)
            .count()
    }

    /// One of them.
    pub fn get(&self, id: Uuid) -> Option<Arc<Approval>> {
        let found = self.known.lock().get(&id).cloned();
        found.filter(|approval| !approval.is_forgotten)
    }

    /// All that were asked, as far as that is remembered.
    fn all(&self) -> Vec<Arc<Approval>> {
        self.known.lock().values().cloned().collect()
    }

    /// Answers a question. The first answer counts.
    ///
    /// # Errors
    /// Why it does not count.
    pub async fn answer(
        &self,
        id: Uuid,
        choice: &str,
        by: &str,
        note: Option<&str>,
    ) -> Result<Arc<Approval>, AnswerError> {
        let is_fit = |note: &str| {
            note.chars().count() <= record::LONGEST_NOTE && !note.contains(char::is_control)
        };
        if !note.is_none_or(is_fit) {
            return Err(AnswerError::Note);
        }
        let _alone = self.changing.lock().await;
        let approval = self.get(id).ok_or(AnswerError::Unknown)?;
        if approval.status != ApprovalStatus::Pending {
            return Err(AnswerError::Ended(approval));
        }
        if approval.expires_at <= Utc::now() {
            // Nobody was as quick as this answer to see it.
            return Err(AnswerError::Ended(self.expire(&approval).await?));
        }
        if !approval.offers(choice) {
            return Err(AnswerError::Choice(approval));
        }
        let mut choices = approval.choices.iter();
        if note.is_none() && choices.any(|one| one.id == choice && one.needs_note) {
            return Err(AnswerError::NoteMissing);
        }
        let given = Given {
            choice: choice.to_owned(),
            at: Utc::now(),
            by: Some(by.to_owned()),
            note: note.map(str::to_owned),
            announced: false,
        };
        let ended = approval.ended(ApprovalStatus::Answered, given);
        approval
            .ids()
            .span()
            .in_scope(|| tracing::info!(approval_id = %id, choice, by, "an approval was answered"));
        Ok(self.end(ended).await?)
    }

    /// Nobody has answered in time.
    async fn expire(&self, approval: &Approval) -> Result<Arc<Approval>, Unavailable> {
        let given = approval.unanswered();
        approval.ids().span().in_scope(
            || tracing::info!(approval_id = %approval.id, choice = %given.choice, "an approval has expired"),
        );
        self.end(approval.ended(ApprovalStatus::Expired, given))
            .await
    }

    /// Keeps how a question has ended; the keeper tells of it.
    async fn end(&self, ended: Approval) -> Result<Arc<Approval>, Unavailable> {
        let ended = self.keep_record(ended).await?;
        self.changed.notify_one();
        Ok(ended)
    }

    /// Holds the event that will tell how a question has ended to what is let in: what comes with the question is one
    /// level deeper there, and must not turn up as too much when somebody has answered.
    fn check_outcome(&self, approval: &Approval) -> Result<(), PluginError> {
        let outcome = approval.ended(ApprovalStatus::Expired, approval.unanswered());
        self.announce
            .check(&outcome.event_of(News::Outcome)?)
            .map_err(|refused| {
                let told = format!(
                    "`context` does not fit into the event that tells of the answer: {}",
                    refused.message
                );
                PluginError::permanent("invalid_question", told)
            })
    }

    async fn keep_record(&self, approval: Approval) -> Result<Arc<Approval>, Unavailable> {
        let value = serde_json::to_vec(&approval).map_err(|error| Unavailable {
            reason: format!("an approval cannot be written: {error}"),
        })?;
        let write = StateWrite {
            key: key(approval.id),
            value: Some(value),
        };
        self.queue.state_put(HUB, write).await?;
        let approval = Arc::new(approval);
        self.known.lock().insert(approval.id, approval.clone());
        Ok(approval)
    }

    async fn let_go(&self, id: Uuid) -> Result<(), Unavailable> {
        let write = StateWrite {
            key: key(id),
            value: None,
        };
        self.queue.state_put(HUB, write).await?;
        self.known.lock().remove(&id);
        Ok(())
    }
}

impl People for Approvals {
    fn ask<'a>(
        &'a self,
        question: &'a Question,
        by: Asking<'a>,
    ) -> BoxFuture<'a, Result<Uuid, PluginError>> {
        Box::pin(async move {
            let _alone = self.changing.lock().await;
            let id = record::id_of(self.namespace, question, &by);
            if self.known.lock().contains_key(&id) {
                // Asked again, by something else or since it is not known how that ended. It was kept.
                return Ok(id);
            }
            let expires_after = self.config.expires_after.get();
            let approval = Approval::of(id, question, &by, expires_after)?;
            self.check_outcome(&approval)?;
            if self.pending() >= self.config.max_pending {
                let told = format!(
                    "{} approvals wait for an answer already; see [approvals] max_pending",
                    self.config.max_pending
                );
                return Err(PluginError::retryable("too_many_approvals", told).after(ROOM));
            }
            let kept = self.keep_record(approval).await.map_err(storage_failed)?;
            self.changed.notify_one();
            Ok(kept.id)
        })
    }

    fn answer<'a>(
        &'a self,
        approval_id: Uuid,
        choice: &'a str,
        note: Option<&'a str>,
        by: &'a str,
    ) -> BoxFuture<'a, Result<String, PluginError>> {
        Box::pin(async move {
            match self.answer(approval_id, choice, by, note).await {
                Ok(_) => Ok(format!("answered with `{choice}`")),
                // Two people may press a button; that is no failure.
                Err(ended @ AnswerError::Ended(_)) => Ok(ended.to_string()),
                Err(AnswerError::Unavailable(unavailable)) => Err(storage_failed(unavailable)),
                Err(wrong) => Err(PluginError::permanent("invalid_answer", wrong)),
            }
        })
    }
}

/// What the ids of questions are derived in.
async fn namespace(queue: &dyn Queue) -> Result<Uuid, Unavailable> {
    let kept = queue.state_get(HUB, NAMESPACE).await?;
    if let Some(kept) = kept.and_then(|bytes| Uuid::from_slice(&bytes).ok()) {
        return Ok(kept);
    }
    let fresh = Uuid::new_v4();
    let write = StateWrite {
        key: NAMESPACE.to_owned(),
        value: Some(fresh.as_bytes().to_vec()),
    };
    queue.state_put(HUB, write).await?;
    Ok(fresh)
}

fn storage_failed(unavailable: Unavailable) -> PluginError {
    PluginError::retryable(Code::StorageUnavailable.as_str(), unavailable)
}

fn key(id: Uuid) -> String {
    format!("{KEYS}{id}")
}

fn ended_before(approval: &Approval) -> String {
    match &approval.answer {
        Some(given) if approval.status == ApprovalStatus::Expired => {
            format!(
                "the approval expired at {}; `{}` holds",
                given.at, given.choice
            )
        }
        Some(given) => format!(
            "the approval was answered with `{}` at {}; the first answer counts",
            given.choice, given.at
        ),
        None => "the approval has ended".to_owned(),
    }
}

fn offered(approval: &Approval) -> String {
    let ids = approval
        .choices
        .iter()
        .map(|choice| format!("`{}`", choice.id));
    ids.collect::<Vec<_>>().join(", ")
}

impl fmt::Debug for Approvals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Approvals")
            .field("config", &self.config)
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}
