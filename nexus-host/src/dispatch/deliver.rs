//! Performing effects: receives what was decided, hands on what came of it.

use std::time::Duration;

use nexus_plugin_api::{Effect, PluginError, RawJson, Reply};
use tokio::time::Instant;
use uuid::Uuid;

use super::failures::{bounded, coded, failure, given_up, timed_out};
use super::plan::{Deciding, plugin_of};
use super::port::{Asking, Call};
use super::seats::Seat;
use super::{Dispatcher, bury, caught, counting, is_suspected, millis};
use crate::alerts;
use crate::queue::{Delivery, Grave, Settlement, Step, Verdict, Work};

/// What journals call those who are asked.
const PEOPLE: &str = "approvals";

/// Events that one reply of an integration may lead to.
const MAX_REPLY_EVENTS: usize = 64;

impl Dispatcher {
    /// Performs one effect that is work of its own.
    pub(super) async fn perform(
        &self,
        delivery: &Delivery,
        number: u32,
        by: Deciding<'_>,
        effect: &Effect,
        seat: &Seat<'_>,
    ) -> Settlement {
        let mut settlement = Settlement::default();
        match effect {
            Effect::Notify {
                integration,
                target,
                request,
            } => {
                let request = Notify {
                    number,
                    integration,
                    target: target.as_deref(),
                    request,
                    decided: by,
                };
                self.notify(delivery, &request, seat, &mut settlement).await;
            }
            Effect::Ask { question } => {
                let key = effect_key(delivery, number);
                let asking = Asking {
                    processor: by.processor,
                    event: &delivery.event,
                    idempotency_key: &key,
                };
                let asked = async {
                    let approval_id = self.people.ask(question, asking).await?;
                    Ok(Step::Asked {
                        effect: number,
                        approval_id,
                    })
                };
                self.of_people(delivery, number, by, asked, &mut settlement)
                    .await;
            }
            Effect::Answer {
                approval_id,
                choice,
                note,
            } => {
                let (approval_id, note) = (*approval_id, note.as_deref());
                let answered = async {
                    let answered = self.people.answer(approval_id, choice, note, by.processor);
                    Ok(Step::Answered {
                        effect: number,
                        approval_id,
                        summary: answered.await?,
                    })
                };
                self.of_people(delivery, number, by, answered, &mut settlement)
                    .await;
            }
            other => self.plan(delivery, by, number, other.clone(), &mut settlement),
        }
        settlement
    }

    /// Has a question or an answer kept, and notes what came of it.
    async fn of_people(
        &self,
        delivery: &Delivery,
        number: u32,
        by: Deciding<'_>,
        keep: impl Future<Output = Result<Step, PluginError>>,
        settlement: &mut Settlement,
    ) {
        let people = self.seats.integration(PEOPLE);
        let begun = Instant::now();
        let (event, attempt) = (&delivery.event, delivery.attempt);
        let mut span = self
            .tracer
            .perform(event, by.traceparent, PEOPLE, number, attempt);
        let kept = caught(keep).await.and_then(|kept| kept);
        let came = counting::of_effect(&kept);
        self.count(&people, event, begun.elapsed(), came);
        match kept {
            Ok(step) => settlement.steps.push(step),
            Err(error) => {
                span.failed(&error.code);
                let retry = self.failed(delivery, number, PEOPLE, &error, settlement);
                bury(&mut span, settlement);
                counting::retry(&people.meter, &error, retry);
            }
        }
    }

    async fn notify(
        &self,
        delivery: &Delivery,
        notify: &Notify<'_>,
        seat: &Seat<'_>,
        settlement: &mut Settlement,
    ) {
        let integration = match self.components.integration(notify.integration) {
            Ok(name) => name,
            Err(error) => {
                let named = notify.integration;
                self.failed(delivery, notify.number, named, &error, settlement);
                return;
            }
        };
        let component = self.seats.integration(&integration);
        let processor = notify.decided.processor;
        let receiver = alerts::is_receiver(processor).then_some(processor);
        let target = self.breakers.of(&integration, receiver.or(notify.target));
        let permit = match target.acquire(delivery.attempt) {
            Ok(permit) => permit,
            Err(held) => {
                component.meter.held_back();
                let after = held.pick();
                tracing::debug!(
                    integration = &*integration,
                    effect = notify.number,
                    because = held.because.as_str(),
                    retry_in = ?after,
                    "an effect is held back"
                );
                settlement.steps.push(Step::Parked {
                    effect: notify.number,
                    integration: integration.to_string(),
                    because: held.because.as_str().into(),
                    retry_in_ms: millis(after),
                });
                settlement.verdict = Verdict::Nack {
                    after,
                    failure: None,
                };
                return;
            }
        };
        let limit = self.config.integration_timeout.get();
        let key = effect_key(delivery, notify.number);
        let (event, attempt) = (&delivery.event, delivery.attempt);
        let mut span = self.tracer.perform(
            event,
            notify.decided.traceparent,
            &integration,
            notify.number,
            attempt,
        );
        let traceparent = span.traceparent();
        let traceparent = traceparent.as_deref().or(notify.decided.traceparent);
        let call = Call {
            event: &delivery.event,
            attempt: delivery.attempt,
            timeout: limit,
            idempotency_key: &key,
            traceparent,
            is_suspected: is_suspected(delivery),
        };
        let work = async {
            self.components
                .deliver(&integration, notify.target, call, notify.request)
                .await
        };
        let called = seat.call(&component, limit, caught(work)).await;
        let answer = called.answer.unwrap_or_else(|_| Ok(Err(timed_out(limit))));
        tracing::debug!(
            integration = &*integration,
            effect = notify.number,
            attempt = delivery.attempt,
            took = ?called.took,
            code = told_by(&answer),
            "an integration has answered"
        );
        let (answer, works) = match answer {
            Ok(Ok(reply)) => (Ok(reply), true),
            Err(panicked) => (Err(panicked), false),
            Ok(Err(error)) => {
                // If so, the target answered: it is the request that is wrong, or has to wait for another.
                let works = !error.retryable || error.code == PluginError::BUSY;
                (Err(error), works)
            }
        };
        match works {
            true => permit.succeeded(),
            false => permit.failed(),
        }
        let came = counting::of_effect(&answer);
        self.count(&component, event, called.took, came);
        match answer {
            Ok(reply) => {
                let by = Deciding {
                    processor: &integration,
                    traceparent,
                };
                self.delivered(delivery, notify, by, reply, settlement);
            }
            Err(error) => {
                span.failed(&error.code);
                let named = notify.integration;
                let retry = self.failed(delivery, notify.number, named, &error, settlement);
                counting::retry(&component.meter, &error, retry);
            }
        }
        bury(&mut span, settlement);
    }

    fn delivered(
        &self,
        delivery: &Delivery,
        notify: &Notify<'_>,
        by: Deciding<'_>,
        reply: Reply,
        settlement: &mut Settlement,
    ) {
        let integration = by.processor;
        settlement.steps.push(Step::Delivered {
            effect: notify.number,
            integration: integration.to_owned(),
            attempt: delivery.attempt,
            summary: reply.summary.as_deref().map(bounded),
        });
        if reply.events.len() > MAX_REPLY_EVENTS {
            let found = reply.events.len();
            let message =
                format!("{found} events in one reply; at most {MAX_REPLY_EVENTS} are let in");
            let failure = coded("too_many_events", &message);
            settlement.dead.push(Grave {
                work: delivery.work.clone(),
                reason: "too_many_events".to_owned(),
                errors: delivery.errors.iter().cloned().chain([failure]).collect(),
            });
        }
        for (index, event) in (0..).zip(reply.events.into_iter().take(MAX_REPLY_EVENTS)) {
            // Above every effect's own number, so that ids made from it differ.
            let seed = (1 << 31) | (notify.number << 6) | index;
            let by = Deciding {
                processor: plugin_of(integration),
                ..by
            };
            if let Err(error) =
                self.emit(delivery, by, notify.number, seed, event.clone(), settlement)
            {
                settlement.dead.push(Grave {
                    work: Work::Perform {
                        number: notify.number,
                        processor: integration.to_owned(),
                        effect: Box::new(Effect::Emit { event }),
                        traceparent: by.traceparent.map(str::to_owned),
                    },
                    reason: error.code.to_string(),
                    errors: vec![failure(&error)],
                });
            }
        }
    }

    /// Notes a failure; when it is tried again, if it is.
    fn failed(
        &self,
        delivery: &Delivery,
        number: u32,
        integration: &str,
        error: &PluginError,
        settlement: &mut Settlement,
    ) -> Option<Duration> {
        let retry = self.retry.after(&delivery.errors, error);
        tracing::debug!(integration, effect = number, code = &*error.code, retry_in = ?retry, "an effect has failed");
        let failure = failure(error);
        settlement.steps.push(Step::DeliveryFailed {
            effect: number,
            integration: integration.to_owned(),
            attempt: delivery.attempt,
            code: error.code.to_string(),
            message: bounded(&error.message),
            retry_in_ms: retry.map(millis),
        });
        match retry {
            Some(after) => {
                settlement.verdict = Verdict::Nack {
                    after,
                    failure: Some(failure),
                };
            }
            None => settlement.dead.push(Grave {
                work: delivery.work.clone(),
                reason: given_up(error).to_owned(),
                errors: delivery.errors.iter().cloned().chain([failure]).collect(),
            }),
        }
        retry
    }
}

/// One request to an integration.
struct Notify<'a> {
    number: u32,
    integration: &'a str,
    target: Option<&'a str>,
    request: &'a RawJson,
    decided: Deciding<'a>,
}

/// Identifies an effect across attempts: its event's id, when another source's event has that id what tells the
/// source, and its number. No id looks like both, so nobody can choose one to that end.
fn effect_key(delivery: &Delivery, number: u32) -> String {
    let event = &delivery.event;
    let id = event.event_id;
    match delivery.id_is_shared {
        false => format!("{id}:{number}"),
        true => {
            let of_source = Uuid::new_v5(&id, event.source.as_bytes());
            format!("{id}.{of_source}:{number}")
        }
    }
}

/// The code of a call that failed.
fn told_by<T>(answer: &Result<Result<T, PluginError>, PluginError>) -> Option<&str> {
    let error = match answer {
        Ok(answer) => answer.as_ref().err(),
        Err(panicked) => Some(panicked),
    };
    error.map(|error| &*error.code)
}
