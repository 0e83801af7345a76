//! Dispatch: takes deliveries from the queue, shows events to the processors that subscribe to
//! them, performs the effects they decide, and tells the queue what became of it all.
//!
//! Receives [`Delivery`]s, hands on [`Settlement`]s. It reaches plugins, admission and observers
//! only through [`port`], and never sleeps on a retry: what must wait goes back to the queue.

mod apart;
mod breakers;
mod conclude;
pub mod config;
mod counting;
mod deliver;
mod failures;
mod plan;
pub mod port;
mod retry;
mod seats;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::join_all;
use nexus_plugin_api::{Event, Outcome, PluginError};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::observe::measures::{Came, End};
use crate::observe::traces::Span;
use crate::observe::{Measures, Tracer, Trail};
use crate::queue::{
    Delivery, EventStatus, FollowUp, Grave, Queue, Settlement, Step, Verdict, Work,
};
pub use apart::Apart;
pub use breakers::{Because, BreakerStatus, Breakers, Held, Permit, Sum, Target};
use conclude::{Answering, Next};
pub use config::Config;
use failures::{failure, timed_out};
use plan::Deciding;
use port::{ABSENT, Admit, Call, Components, Observer, People, WORKER_DIED};
use retry::RetryPolicy;
use seats::{Component, Seat, Seats};

/// Effects that one processor may decide for one event. Effect numbers are given out in blocks of
/// this size, one block per processor, so that no two ever share a number.
const MAX_EFFECTS: u32 = 1_000;

/// Everything dispatch works with.
pub struct Dispatcher {
    queue: Arc<dyn Queue>,
    components: Arc<dyn Components>,
    admit: Arc<dyn Admit>,
    observer: Arc<dyn Observer>,
    people: Arc<dyn People>,
    breakers: Arc<Breakers>,
    retry: RetryPolicy,
    seats: Seats,
    measures: Arc<Measures>,
    apart: Apart,
    trail: Arc<Trail>,
    tracer: Tracer,
    config: Config,
}

impl Dispatcher {
    /// Wires dispatch to the rooms round it.
    #[allow(
        clippy::too_many_arguments,
        reason = "each is another room, given once, where the host wires them"
    )]
    pub fn new(
        config: Config,
        retry: config::Retry,
        breakers: Arc<Breakers>,
        queue: Arc<dyn Queue>,
        components: Arc<dyn Components>,
        admit: Arc<dyn Admit>,
        observer: Arc<dyn Observer>,
        people: Arc<dyn People>,
        trail: Arc<Trail>,
        tracer: Tracer,
    ) -> Self {
        let measures = Arc::new(Measures::default());
        Self {
            queue,
            components,
            admit,
            observer,
            people,
            breakers,
            retry: RetryPolicy::new(retry),
            seats: Seats::new(config.concurrency, measures.clone()),
            measures,
            apart: Apart::default(),
            trail,
            tracer,
            config,
        }
    }

    /// What it measures of its work.
    pub fn measures(&self) -> &Arc<Measures> {
        &self.measures
    }

    /// What the events of alerts have led to, which is among what it measures.
    pub fn apart(&self) -> &Apart {
        &self.apart
    }

    /// Works until the queue stops leasing, with as many deliveries at once as configured, and those that are
    /// slow beside them.
    pub async fn run(self: Arc<Self>) {
        let mut workers = JoinSet::new();
        let mut vacant = self.config.concurrency;
        loop {
            for _ in 0..vacant {
                workers.spawn(self.clone().work_in_a_seat());
            }
            vacant = tokio::select! {
                vacant = self.seats.vacant() => vacant,
                ended = workers.join_next() => match ended {
                    None => return,
                    Some(Ok(())) => 0,
                    Some(Err(error)) => {
                        tracing::error!(%error, "a worker of dispatch is gone");
                        0
                    }
                },
            };
        }
    }

    /// Takes deliveries up one after the other, until somebody else has the seat.
    async fn work_in_a_seat(self: Arc<Self>) {
        while let Some(delivery) = self.queue.lease().await {
            if delivery.work == Work::Route {
                let waited = since(delivery.accepted_at);
                self.measures.waited(delivery.event.priority, waited);
                if self.observer.is_watched() {
                    self.observer.step(&delivery.event, told(&Step::Leased));
                }
            }
            let seat = self.seats.take(delivery.event.priority);
            self.handle(delivery, &seat).await;
            if seat.is_left() {
                return;
            }
        }
    }

    /// Does a unit of work and everything it leads to at once: several processors side by side,
    /// the effects of each in their order.
    async fn handle(&self, delivery: Delivery, seat: &Seat<'_>) {
        let span = self.trail.span(&delivery.event);
        let work = async {
            let next = self.step(&delivery, seat).await;
            if next.len() > 1 && next.iter().all(is_processing) {
                let each = next.into_iter().map(|one| self.in_turn(vec![one], seat));
                join_all(each).await;
            } else {
                self.in_turn(next, seat).await;
            }
        };
        work.instrument(span).await;
    }

    /// Does these, each with everything it leads to at once before the next.
    async fn in_turn(&self, mut todo: Vec<Delivery>, seat: &Seat<'_>) {
        todo.reverse();
        while let Some(delivery) = todo.pop() {
            let next = self.step(&delivery, seat).await;
            todo.extend(next.into_iter().rev());
        }
    }

    /// Does one unit of work and settles it. Hands back what it leads to at once.
    async fn step(&self, delivery: &Delivery, seat: &Seat<'_>) -> Vec<Delivery> {
        // A panic in the host's own code ends the work at hand, not the worker, and loses nothing.
        let settlement = caught(self.work(delivery, seat))
            .await
            .unwrap_or_else(|error| {
                tracing::error!(%error, "work is given up");
                Settlement {
                    dead: vec![Grave {
                        work: delivery.work.clone(),
                        reason: error.code.to_string(),
                        errors: delivery
                            .errors
                            .iter()
                            .cloned()
                            .chain([failure(&error)])
                            .collect(),
                    }],
                    ..Settlement::default()
                }
            });
        self.settle(delivery, settlement).await
    }

    async fn work(&self, delivery: &Delivery, seat: &Seat<'_>) -> Settlement {
        // Nobody wants any more what was to be done by then, be it for the first time, again, or
        // after a delay. That is no failure, and a dead letter is there to be done later: none.
        let expires_at = delivery.event.expires_at;
        if expires_at.is_some_and(|at| at <= Utc::now()) {
            return Settlement {
                steps: vec![Step::Expired],
                ..Settlement::default()
            };
        }
        match &delivery.work {
            Work::Route => self.route(delivery, seat).await,
            Work::Process {
                processor,
                first_effect,
            } => {
                let mut settlement = Settlement::default();
                let next = self
                    .decide(delivery, processor, *first_effect, seat, &mut settlement)
                    .await;
                if let Next::Again { after, failure } = next {
                    settlement.verdict = Verdict::Nack { after, failure };
                }
                settlement
            }
            Work::Perform {
                number,
                processor,
                effect,
                traceparent,
            } => {
                let by = Deciding {
                    processor,
                    traceparent: traceparent.as_deref(),
                };
                self.perform(delivery, *number, by, effect, seat).await
            }
        }
    }

    /// First sight of an event: who is to decide? A single subscriber does so here and now. Several
    /// become work of their own each, so that none waits for the answer of another.
    async fn route(&self, delivery: &Delivery, seat: &Seat<'_>) -> Settlement {
        let mut settlement = Settlement::default();
        let event = &delivery.event;
        let work = |processor: &Arc<str>, first_effect| Work::Process {
            processor: processor.to_string(),
            first_effect,
        };
        match self.components.subscribers(event).as_slice() {
            [] => settlement.steps.push(Step::Unrouted),
            [only] => {
                let next = self.decide(delivery, only, 0, seat, &mut settlement).await;
                if let Next::Again { after, failure } = next {
                    settlement.follow_ups.push(FollowUp {
                        work: work(only, 0),
                        after: Some(after),
                        failure,
                    });
                }
            }
            several => {
                let each = (0..).zip(several).map(|(index, processor)| FollowUp {
                    work: work(processor, index * MAX_EFFECTS),
                    after: None,
                    failure: None,
                });
                settlement.follow_ups.extend(each);
            }
        }
        settlement
    }

    /// Shows the event to a processor and notes what follows from its answer.
    async fn decide(
        &self,
        delivery: &Delivery,
        processor: &str,
        first_effect: u32,
        seat: &Seat<'_>,
        settlement: &mut Settlement,
    ) -> Next {
        let component = self.seats.processor(processor);
        let (event, attempt) = (&delivery.event, delivery.attempt);
        let mut span = self.tracer.process(event, processor, attempt);
        let traceparent = span.traceparent();
        let traceparent = traceparent.as_deref();
        let answer = self
            .ask(processor, &component, delivery, seat, traceparent)
            .await;
        if let Err(error) = &answer {
            span.failed(&error.code);
        }
        let by = Answering {
            deciding: Deciding {
                processor,
                traceparent,
            },
            meter: &component.meter,
            first_effect,
            attempt: delivery.attempt,
            earlier: &delivery.errors,
        };
        let next = self.conclude(delivery, &by, answer, settlement);
        bury(&mut span, settlement);
        next
    }

    async fn ask(
        &self,
        processor: &str,
        component: &Component,
        delivery: &Delivery,
        seat: &Seat<'_>,
        traceparent: Option<&str>,
    ) -> Result<Outcome, PluginError> {
        let limit = self.config.processor_timeout.get();
        let call = Call {
            event: &delivery.event,
            attempt: delivery.attempt,
            timeout: limit,
            idempotency_key: "",
            traceparent,
            is_suspected: is_suspected(delivery),
        };
        let answer = self.components.process(processor, call, &delivery.event);
        let called = seat.call(component, limit, answer).await;
        let answer = called.answer.unwrap_or_else(|_| Err(timed_out(limit)));
        tracing::debug!(
            processor,
            attempt = delivery.attempt,
            took = ?called.took,
            code = answer.as_ref().err().map(|error| &*error.code),
            "a processor has answered"
        );
        // One that is not there was not called.
        if !answer.as_ref().is_err_and(|error| error.code == ABSENT) {
            let came = counting::of_processor(&answer);
            self.count(component, &delivery.event, called.took, came);
        }
        let outcome = answer?;
        if outcome.effects.len() > MAX_EFFECTS as usize {
            return Err(PluginError::permanent(
                "too_many_effects",
                format!(
                    "{} effects; at most {MAX_EFFECTS} are allowed",
                    outcome.effects.len()
                ),
            ));
        }
        Ok(outcome)
    }

    /// Counts a call for an event, which has taken so long and come to that.
    fn count(&self, component: &Component, event: &Event, took: Duration, came: Came) {
        component.meter.called(took, came);
        self.apart.called(event, came);
    }

    async fn settle(&self, delivery: &Delivery, settlement: Settlement) -> Vec<Delivery> {
        let watched = self.observer.is_watched();
        let steps = if watched {
            steps(&settlement)
        } else {
            Vec::new()
        };
        self.apart.note(&delivery.event, &settlement);
        match self.queue.settle(delivery.lease, settlement).await {
            Ok(settled) => {
                let observed = catch_unwind(AssertUnwindSafe(|| {
                    for event in &settled.accepted {
                        self.observer.accepted(event.event());
                    }
                    for step in steps {
                        self.observer.step(&delivery.event, step);
                    }
                    if let Some(status) = settled.finished {
                        if watched {
                            let finished = told(&Step::Finished { status });
                            self.observer.step(&delivery.event, finished);
                        }
                        self.observer.finished(&delivery.event);
                    }
                }));
                if let Some(status) = settled.finished {
                    tracing::debug!(?status, "finished");
                    let end = match status {
                        EventStatus::Dead => End::Dead,
                        _ => End::Processed,
                    };
                    let after = since(delivery.accepted_at);
                    self.measures.ended(end, after);
                    self.apart.ended(&delivery.event, after);
                }
                if observed.is_err() {
                    tracing::error!("an observer panicked");
                }
                settled.leased
            }
            Err(error) => {
                tracing::error!(%error, "failed to settle");
                Vec::new()
            }
        }
    }
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatcher")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

fn is_processing(delivery: &Delivery) -> bool {
    matches!(delivery.work, Work::Process { .. })
}

/// Whether a process has died over this work, as far as is known, and the work has not been at an end since.
/// The queue remembers that, across restarts if it is durable.
fn is_suspected(delivery: &Delivery) -> bool {
    let last = delivery.errors.last();
    last.is_some_and(|failure| failure.code == WORKER_DIED)
}

/// What goes to the dead letters is an event in the span of the call that failed.
fn bury(span: &mut Span, settlement: &Settlement) {
    let dead = settlement.dead.iter();
    dead.for_each(|grave| span.buried(&grave.reason));
}

/// Turns a panic of the host's own code into a permanent error.
async fn caught<T>(work: impl Future<Output = T>) -> Result<T, PluginError> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .map_err(|_| host_panicked())
}

fn host_panicked() -> PluginError {
    PluginError::permanent(
        "host_panicked",
        "the hub itself panicked; its log says where",
    )
}

/// What a settlement says of an event's way, for those who watch.
fn steps(settlement: &Settlement) -> Vec<Value> {
    let dead = settlement.dead.iter();
    let dead = dead.map(|grave| json!({ "step": "dead", "reason": grave.reason }));
    settlement.steps.iter().map(told).chain(dead).collect()
}

/// A step as journeys have it.
fn told(step: &Step) -> Value {
    // A step is an object, which nothing keeps from being written.
    serde_json::to_value(step).unwrap_or_default()
}

/// How long ago; not at all when the clock was put back since.
fn since(then: DateTime<Utc>) -> Duration {
    (Utc::now() - then).to_std().unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
