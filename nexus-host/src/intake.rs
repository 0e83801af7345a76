//! The way in: the one place where admission is followed by the queue. Receives bodies from the
//! ingress and events from plugins and the host, hands on receipts. It logs no payload, and
//! answers only after the queue has.

mod completion;
mod door;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use nexus_plugin_api::{Event, NewEvent, PluginError, PublishStatus, Published};
use tracing::Level;
use uuid::Uuid;

pub use completion::{Completions, Watch};
pub use door::Door;

use door::Outcomes;

use crate::admission::{
    Admission, Admitted, ClientScope, Code, Notice, Origin, Parcel, Rejection, Supplied,
};
use crate::current::Current;
use crate::dispatch::port::{Admit, Observer};
use crate::observe::traces::Span;
use crate::observe::{Tracer, Trail};
use crate::queue::{PushError, Pushed, Queue};

/// When somebody who found the queue full should come again.
const FULL_RETRY: Duration = Duration::from_secs(1);

/// When somebody who found the hub stopping should come again: about a restart.
const CLOSED_RETRY: Duration = Duration::from_secs(5);

/// When somebody who found the storage failing should come again.
pub(crate) const STORAGE_RETRY: Duration = Duration::from_secs(5);

/// After so many events of one batch, others get a turn on the worker.
const TURN: usize = 32;

/// Admits events and queues them.
pub struct Intake {
    admission: Current<Admission>,
    queue: Arc<dyn Queue>,
    observer: Arc<dyn Observer>,
    completions: Arc<Completions>,
    outcomes: Outcomes,
    trail: Arc<Trail>,
    tracer: Tracer,
}

/// An event that is in the queue, or was before.
#[derive(Debug)]
pub struct Receipt {
    /// The event.
    pub event_id: Uuid,
    /// When it was accepted before; `None` when it is new.
    pub first_accepted_at: Option<DateTime<Utc>>,
    /// Its source, when the id alone does not tell which event it is: another source has used it, too.
    pub source: Option<String>,
    /// What its sender is told, when the contract version that was sent is outdated.
    pub notice: Option<Arc<Notice>>,
    /// Ready when the event is finished; there when it was asked for.
    pub watch: Option<Watch>,
}

impl Receipt {
    /// Whether it is new.
    pub fn status(&self) -> PublishStatus {
        match self.first_accepted_at {
            None => PublishStatus::Accepted,
            Some(_) => PublishStatus::Duplicate,
        }
    }
}

/// What became of a body.
#[derive(Debug)]
pub enum Submitted {
    /// It held one event.
    One(Receipt),
    /// It held an array; one answer each, in order.
    Many(Vec<Result<Receipt, Rejection>>),
}

impl Intake {
    /// Wires admission to the queue. `observer` is told of every accepted event.
    pub fn new(
        admission: Arc<Admission>,
        queue: Arc<dyn Queue>,
        observer: Arc<dyn Observer>,
        completions: Arc<Completions>,
        trail: Arc<Trail>,
        tracer: Tracer,
    ) -> Self {
        Self {
            admission: Current::new(admission),
            queue,
            observer,
            completions,
            outcomes: Outcomes::new(),
            trail,
            tracer,
        }
    }

    /// What lets events in now.
    pub fn admission(&self) -> Arc<Admission> {
        self.admission.get()
    }

    /// Has another one let events in from now on.
    pub(crate) fn admit_by(&self, admission: Admission) {
        let admission = Arc::new(admission);
        let before = self.admission.set(admission.clone());
        before.give_way_to(&admission);
    }

    /// Where accepted events go.
    pub fn queue(&self) -> &Arc<dyn Queue> {
        &self.queue
    }

    /// Every count of what became of events, with its door and `accepted`, `duplicate` or a code.
    pub fn outcomes(&self, each: impl FnMut(Door, &'static str, u64)) {
        self.outcomes.each(each);
    }

    /// Counts what a door has refused itself, before it came here.
    pub fn count_refused(&self, door: Door, code: Code) {
        self.outcomes.add(door, Err(code));
        self.observer.refused(door.as_str(), code.as_str(), None);
    }

    /// Refuses what a client has sent, events or not, before they were looked at: it counts as one, against
    /// the client's rate as well. Hands on what is to be answered.
    pub fn refuse(&self, door: Door, client: &ClientScope, refused: Rejection) -> Rejection {
        let refused = self.admission().refuse(client, refused);
        self.count_refused(door, refused.code());
        refused
    }

    /// Takes in a client's body: one event, or an array in which each is judged on its own. With
    /// `watched`, receipts tell when their events are finished. What an event leaves out is filled
    /// in by `supply`, which is given the event's place in the body.
    ///
    /// # Errors
    /// Why nothing of it was taken. A refusal within an array is in its place in the answer.
    pub async fn submit<'s>(
        &self,
        door: Door,
        client: &ClientScope,
        body: &[u8],
        watched: bool,
        supply: impl Fn(usize) -> Supplied<'s>,
    ) -> Result<Submitted, Rejection> {
        // One for the whole body, whatever takes its place meanwhile.
        let admission = self.admission();
        let parcel = admission.open(body);
        match parcel.map_err(|refused| self.refuse(door, client, refused))? {
            Parcel::One(event) => {
                let admitted = admission.admit_with(client, event, supply(0));
                let receipt = self.push_one(door, admitted, watched).await;
                receipt.map(Submitted::One)
            }
            Parcel::Many(events) => {
                let judge = |(place, event)| admission.admit_with(client, event, supply(place));
                let events = events.into_iter().enumerate();
                let answers = self.judge_and_push(door, events, judge, watched).await;
                Ok(Submitted::Many(answers))
            }
        }
    }

    /// Takes in one event that a client sent in another format than the hub's own.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn submit_event(
        &self,
        door: Door,
        client: &ClientScope,
        event: Result<Event, Rejection>,
        watched: bool,
    ) -> Result<Receipt, Rejection> {
        let answers = self.submit_events(door, client, vec![event], watched);
        let answer = answers.await.pop();
        answer.unwrap_or_else(|| Err(unanswered()))
    }

    /// Takes in events that a client sent in another format than the hub's own; each is judged on its
    /// own. One that could not even be read comes as its refusal, and stays in its place.
    pub async fn submit_events(
        &self,
        door: Door,
        client: &ClientScope,
        events: Vec<Result<Event, Rejection>>,
        watched: bool,
    ) -> Vec<Result<Receipt, Rejection>> {
        let admission = self.admission();
        let judge = |event| match event {
            Ok(event) => admission.admit_event(event, Origin::Client(client)),
            Err(refused) => Err(admission.refuse(client, refused)),
        };
        self.judge_and_push(door, events, judge, watched).await
    }

    async fn judge_and_push<E>(
        &self,
        door: Door,
        events: impl IntoIterator<Item = E>,
        judge: impl Fn(E) -> Result<Admitted, Rejection>,
        watched: bool,
    ) -> Vec<Result<Receipt, Rejection>> {
        let mut judged = Vec::new();
        for (index, event) in events.into_iter().enumerate() {
            if index % TURN == TURN - 1 {
                tokio::task::yield_now().await;
            }
            judged.push(judge(event));
        }
        let admitted = judged.iter().filter_map(|event| event.as_ref().ok());
        let admitted: Vec<Admitted> = admitted.cloned().collect();
        let mut receipts = self.push(admitted, watched).await.into_iter();
        let answer = |event: Result<Admitted, Rejection>| match event {
            Ok(_) => receipts.next().unwrap_or_else(|| Err(unanswered())),
            Err(refused) => Err(refused),
        };
        let answers = judged.into_iter().map(answer);
        answers.inspect(|answer| self.count(door, answer)).collect()
    }

    fn count(&self, door: Door, answer: &Result<Receipt, Rejection>) {
        let is_new = |receipt: &Receipt| receipt.first_accepted_at.is_none();
        if let Err(refused) = answer {
            let code = refused.code().as_str();
            self.observer.refused(door.as_str(), code, Some(refused));
        }
        let answer = answer.as_ref().map(is_new).map_err(Rejection::code);
        self.outcomes.add(door, answer);
    }

    /// Takes in a whole event that no client sent.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn publish(
        &self,
        door: Door,
        event: Event,
        origin: Origin<'_>,
    ) -> Result<Published, Rejection> {
        let admitted = self.admission().admit_event(event, origin);
        self.push_one(door, admitted, false).await.map(published)
    }

    /// Takes in an event that a plugin or the host makes.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn publish_new(
        &self,
        door: Door,
        event: NewEvent,
        origin: Origin<'_>,
    ) -> Result<Published, Rejection> {
        let admitted = self.admission().admit_new(event, origin);
        self.push_one(door, admitted, false).await.map(published)
    }

    async fn push_one(
        &self,
        door: Door,
        event: Result<Admitted, Rejection>,
        watched: bool,
    ) -> Result<Receipt, Rejection> {
        let answer = match event {
            Ok(event) => self.push(vec![event], watched).await.pop(),
            Err(refused) => Some(Err(refused)),
        };
        let answer = answer.unwrap_or_else(|| Err(unanswered()));
        self.count(door, &answer);
        answer
    }

    /// One call to the queue for all of them, so that a durable one commits them together.
    async fn push(
        &self,
        mut events: Vec<Admitted>,
        watched: bool,
    ) -> Vec<Result<Receipt, Rejection>> {
        if events.is_empty() {
            return Vec::new();
        }
        // Each ends when the queue has answered.
        let _sent: Vec<_> = match self.tracer.is_on() {
            true => events.iter_mut().map(|event| self.send(event)).collect(),
            false => Vec::new(),
        };
        // Before the push: afterwards the event may be finished already.
        let watch = |event: &Admitted| {
            let event = event.event();
            watched.then(|| self.completions.watch(&event.source, event.event_id))
        };
        let watches: Vec<_> = events.iter().map(watch).collect();
        let kept = |event: &Admitted| (event.event().clone(), event.notice().cloned());
        let pushed: Vec<_> = events.iter().map(kept).collect();
        let report = self.queue.push(events).await;
        for event in report.given_way {
            self.observer.finished(&event);
        }
        let with_events = report.answers.into_iter().zip(pushed).zip(watches);
        with_events
            .map(|((answer, (event, notice)), watch)| {
                self.tell(&event, &answer);
                let (first_accepted_at, id_is_shared) =
                    match answer.map_err(|error| refusal(error).of(&*event))? {
                        Pushed::Accepted => {
                            self.observer.accepted(&event);
                            (None, false)
                        }
                        Pushed::Duplicate {
                            first_accepted_at,
                            id_is_shared,
                        } => (Some(first_accepted_at), id_is_shared),
                    };
                Ok(Receipt {
                    event_id: event.event_id,
                    first_accepted_at,
                    source: id_is_shared.then(|| event.source.clone()),
                    notice,
                    watch,
                })
            })
            .collect()
    }
}

impl Intake {
    /// Begins the way of an event through the queue.
    fn send(&self, event: &mut Admitted) -> Span {
        let span = self.tracer.send(event.event());
        if let Some(traceparent) = span.traceparent() {
            event.goes_on_from(traceparent);
        }
        span
    }

    /// Tells the log what has become of an event.
    fn tell(&self, event: &Event, answer: &Result<Pushed, PushError>) {
        if !tracing::enabled!(Level::DEBUG) {
            return;
        }
        let _event = self.trail.span(event).entered();
        match answer {
            Ok(Pushed::Accepted) => tracing::debug!("accepted"),
            Ok(Pushed::Duplicate { .. }) => tracing::debug!("taken for a duplicate"),
            Err(error) => tracing::debug!(%error, "not queued"),
        }
    }
}

/// What follows from events is let in by whatever lets events in at that time.
impl Admit for Intake {
    fn admit_emitted(
        &self,
        event: NewEvent,
        plugin: &str,
        cause: &Event,
        effect: u32,
    ) -> Result<Admitted, PluginError> {
        self.admission().admit_emitted(event, plugin, cause, effect)
    }
}

impl fmt::Debug for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake")
            .field("admission", &self.admission)
            .finish_non_exhaustive()
    }
}

fn published(receipt: Receipt) -> Published {
    Published {
        event_id: receipt.event_id,
        status: receipt.status(),
    }
}

fn refusal(error: PushError) -> Rejection {
    let (code, retry_after) = match error {
        PushError::Full { .. } => (Code::QueueFull, FULL_RETRY),
        PushError::Closed => (Code::ShuttingDown, CLOSED_RETRY),
        PushError::Unavailable(_) => (Code::StorageUnavailable, STORAGE_RETRY),
    };
    Rejection::new(code, error.to_string()).with_retry_after(retry_after)
}

/// A queue that answers for fewer events than it was given has taken nothing on itself for the
/// rest.
fn unanswered() -> Rejection {
    let message = "the queue did not answer for this event; send it again";
    Rejection::new(Code::QueueFull, message).with_retry_after(FULL_RETRY)
}

#[cfg(test)]
mod tests;
