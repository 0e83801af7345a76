//! Typed components behind one untyped face.

use std::any::{Any, TypeId};
use std::sync::Arc;

use bytes::Bytes;
use chrono::DateTime;
use nexus_plugin_abi::{AnswerV1, ErrorV1, EventV1, FutureV1, codes, plugin_op};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::runtime::Place;
use crate::component::{Component, HookRequest, Integration, Processor, Source};
use crate::context::Context;
use crate::error::PluginError;
use crate::event::{Event, Priority, RawJson};
use crate::outcome::Outcome;
use crate::wire::{DeliverHead, HookHead, HookReplyHead};

/// What a call is given: its circumstances, and where its asynchronous part is polled.
pub(crate) struct Seat {
    pub(crate) context: Context,
    pub(crate) place: Place,
}

/// A component without its type. What it does not do answers `no_component` or `unsupported`.
pub(crate) trait Shim: Send + Sync {
    fn process(&self, seat: Seat, event: &EventV1<'_>) -> Result<FutureV1, ErrorV1> {
        let _ = (seat, event);
        Err(ErrorV1::permanent(codes::NO_COMPONENT, "not a processor"))
    }

    fn call(&self, seat: Seat, op: u32, head: &[u8], body: &[u8]) -> Result<FutureV1, ErrorV1>;
}

pub(crate) struct ProcessorShim<P>(pub(crate) Arc<P>);
pub(crate) struct IntegrationShim<I>(pub(crate) Arc<I>);
pub(crate) struct SourceShim<S>(pub(crate) Arc<S>);

impl<P: Processor> Shim for ProcessorShim<P> {
    fn process(&self, seat: Seat, event: &EventV1<'_>) -> Result<FutureV1, ErrorV1> {
        let event = typed_event::<P::Payload>(event)?;
        let processor = self.0.clone();
        let context = seat.context;
        Ok(seat.place.drive(async move {
            let outcome = processor.process(&context, event).await;
            let mut outcome = outcome.map_err(PluginError::into_abi)?;
            outcome.state.extend(context.take_state_writes());
            if outcome == Outcome::done() {
                return Ok(AnswerV1::default());
            }
            head(&outcome)
        }))
    }

    fn call(&self, seat: Seat, op: u32, _: &[u8], _: &[u8]) -> Result<FutureV1, ErrorV1> {
        common(&self.0, seat, op)
    }
}

impl<I: Integration> Shim for IntegrationShim<I> {
    fn call(&self, seat: Seat, op: u32, head: &[u8], body: &[u8]) -> Result<FutureV1, ErrorV1> {
        if op != plugin_op::DELIVER {
            return common(&self.0, seat, op);
        }
        let request = parse::<I::Request>(body, "invalid_request", "the request")?;
        let head = parse::<DeliverHead>(head, codes::MALFORMED, "the delivery")?;
        let context = seat.context.aimed_at(head.target);
        let integration = self.0.clone();
        Ok(seat.place.drive(async move {
            let reply = integration.deliver(&context, request).await;
            self::head(&reply.map_err(PluginError::into_abi)?)
        }))
    }
}

impl<S: Source> Shim for SourceShim<S> {
    fn call(&self, seat: Seat, op: u32, head: &[u8], body: &[u8]) -> Result<FutureV1, ErrorV1> {
        let source = self.0.clone();
        let context = seat.context;
        match op {
            plugin_op::HOOK => {
                let head = parse::<HookHead>(head, codes::MALFORMED, "the hook")?;
                let request = HookRequest {
                    method: head.method,
                    path: head.path,
                    query: head.query,
                    headers: head.headers,
                    body: Bytes::copy_from_slice(body),
                };
                Ok(seat.place.drive(async move {
                    let reply = source.hook(&context, request).await;
                    let reply = reply.map_err(PluginError::into_abi)?;
                    Ok(AnswerV1 {
                        body: reply.body.to_vec().into(),
                        ..self::head(&HookReplyHead {
                            status: reply.status,
                            headers: reply.headers,
                        })?
                    })
                }))
            }
            plugin_op::RUN => {
                let home = seat.place.home();
                Ok(seat.place.drive(async move {
                    let ended = tokio::select! {
                        ended = source.run(&context) => ended,
                        // Webhooks go to the new component; so must the background task.
                        () = home.rebuilt() => Err(PluginError::retryable(
                            "rebuilt",
                            "the component was built anew after a panic",
                        )),
                    };
                    ended.map_err(PluginError::into_abi)?;
                    Ok(AnswerV1::default())
                }))
            }
            _ => common(&self.0, Seat { context, ..seat }, op),
        }
    }
}

/// What components of every kind answer.
fn common<C: Component>(component: &Arc<C>, seat: Seat, op: u32) -> Result<FutureV1, ErrorV1> {
    if op != plugin_op::HEALTH {
        return Err(ErrorV1::permanent(
            codes::UNSUPPORTED,
            format!("operation {op} is not one of this component"),
        ));
    }
    let component = component.clone();
    Ok(seat
        .place
        .drive(async move { head(&component.health_check().await) }))
}

fn head<T: Serialize>(value: &T) -> Result<AnswerV1, ErrorV1> {
    let head = serde_json::to_vec(value)
        .map_err(|error| ErrorV1::permanent(codes::MALFORMED, error.to_string()))?;
    Ok(AnswerV1 {
        head: head.into(),
        ..AnswerV1::default()
    })
}

fn parse<T: DeserializeOwned>(bytes: &[u8], code: &str, what: &str) -> Result<T, ErrorV1> {
    serde_json::from_slice(bytes)
        .map_err(|error| ErrorV1::permanent(code, format!("{what} does not parse: {error}")))
}

fn typed_event<T: DeserializeOwned + 'static>(event: &EventV1<'_>) -> Result<Event<T>, ErrorV1> {
    let bad = |field: &str| {
        ErrorV1::permanent(
            codes::MALFORMED,
            format!("the event's {field} does not parse"),
        )
    };
    let owned = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let optional = |text: &str| -> Option<String> { owned(text) };
    Ok(Event {
        event_id: Uuid::from_bytes(event.event_id),
        event_type: event.event_type.as_str().to_owned(),
        source: event.source.as_str().to_owned(),
        timestamp: DateTime::from_timestamp(event.timestamp_secs, event.timestamp_nanos)
            .ok_or_else(|| bad("timestamp"))?,
        priority: *Priority::ALL
            .get(usize::from(event.priority))
            .ok_or_else(|| bad("priority"))?,
        correlation_id: optional(event.correlation_id.as_str()),
        contract_version: parse_text(event.contract_version.as_str())
            .ok_or_else(|| bad("contract_version"))?,
        causation_id: parse_text(event.causation_id.as_str()).ok_or_else(|| bad("causation_id"))?,
        partition_key: optional(event.partition_key.as_str()),
        expires_at: parse_text(event.expires_at.as_str()).ok_or_else(|| bad("expires_at"))?,
        traceparent: optional(event.traceparent.as_str()),
        tracestate: optional(event.tracestate.as_str()),
        payload: payload(event.payload.as_slice())?,
    })
}

/// The typed payload. One that stays JSON text was checked by the host and is only copied.
fn payload<T: DeserializeOwned + 'static>(bytes: &[u8]) -> Result<T, ErrorV1> {
    if TypeId::of::<T>() == TypeId::of::<RawJson>() {
        let mut raw = Some(RawJson::from_checked(Bytes::copy_from_slice(bytes)));
        let same_type = (&mut raw as &mut dyn Any).downcast_mut::<Option<T>>();
        if let Some(payload) = same_type.and_then(Option::take) {
            return Ok(payload);
        }
    }
    parse(bytes, "payload_mismatch", "the payload")
}

/// `Some(None)` for an absent value, `None` for one that does not parse.
fn parse_text<T: std::str::FromStr>(text: &str) -> Option<Option<T>> {
    if text.is_empty() {
        return Some(None);
    }
    text.parse().ok().map(Some)
}
