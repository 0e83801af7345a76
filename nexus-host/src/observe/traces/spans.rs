//! Every span there is: what it is called, what it belongs to and what it tells.

use nexus_plugin_api::Event;
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, SpanKind};

use super::{Receiving, Span, Tracer, context_of, context_of_event, receiving};

/// What conventions call a method of HTTP that somebody has made up.
pub(crate) const OTHER: &str = "_OTHER";

/// How a span begins.
pub(super) struct Begin<T: FnOnce() -> Told> {
    pub(super) kind: SpanKind,
    pub(super) parent: Option<SpanContext>,
    /// Asked only for a span that is kept.
    pub(super) told: T,
}

/// What is told of a span as it begins.
pub(super) struct Told {
    pub(super) name: String,
    /// What it goes back to beside its parent, if that is kept.
    pub(super) link: Option<SpanContext>,
    pub(super) attributes: Vec<KeyValue>,
}

impl Tracer {
    /// A request over HTTP, or a message over WebSocket.
    pub(crate) fn receive_http(
        &self,
        method: &str,
        route: &'static str,
        parent: Option<&str>,
    ) -> Span {
        self.begin(|| Begin {
            kind: SpanKind::Server,
            parent: parent.and_then(|parent| context_of(parent, None)),
            told: || {
                let named = if method == OTHER { "HTTP" } else { method };
                Told {
                    name: format!("{named} {route}"),
                    link: None,
                    attributes: vec![
                        KeyValue::new("http.request.method", method.to_owned()),
                        KeyValue::new("http.route", route),
                    ],
                }
            },
        })
    }

    /// A call of gRPC.
    pub(crate) fn receive_grpc(&self, method: &'static str, parent: Option<&str>) -> Span {
        const SERVICE: &str = "nexus.v1.Hub";
        self.begin(|| Begin {
            kind: SpanKind::Server,
            parent: parent.and_then(|parent| context_of(parent, None)),
            told: || Told {
                name: format!("{SERVICE}/{method}"),
                link: None,
                attributes: vec![
                    KeyValue::new("rpc.system", "grpc"),
                    KeyValue::new("rpc.service", SERVICE),
                    KeyValue::new("rpc.method", method),
                ],
            },
        })
    }

    /// An event goes into the queue. It belongs to what is being received, unless it names a trace of its own: then
    /// it is linked to that.
    pub(crate) fn send(&self, event: &Event) -> Span {
        self.begin(|| {
            let received = receiving();
            let own = context_of_event(event);
            let (parent, link) = match received {
                Some(received) if names_no_other(event, &received) => (Some(received.own), None),
                Some(received) if own.as_ref().is_some_and(|own| is_same(own, &received.own)) => {
                    (own, None)
                }
                Some(received) => (own, Some(received.own)),
                None => (own, None),
            };
            Begin {
                kind: SpanKind::Producer,
                parent,
                told: || messaging(event, "send", link),
            }
        })
    }

    /// A processor decides about an event that has waited: part of the event's trace, and linked across the wait.
    pub(crate) fn process(&self, event: &Event, processor: &str, attempt: u32) -> Span {
        self.begin(|| {
            let sent = context_of_event(event);
            Begin {
                kind: SpanKind::Consumer,
                parent: sent.clone(),
                told: || {
                    let mut told = messaging(event, "process", sent);
                    told.attributes.extend([
                        KeyValue::new("messaging.consumer.group.name", processor.to_owned()),
                        KeyValue::new("nexus.attempt", i64::from(attempt)),
                    ]);
                    told
                },
            }
        })
    }

    /// An effect is performed, for the call that `decided` names, or for the event itself.
    pub(crate) fn perform(
        &self,
        event: &Event,
        decided: Option<&str>,
        by: &str,
        number: u32,
        attempt: u32,
    ) -> Span {
        self.begin(|| Begin {
            kind: SpanKind::Client,
            parent: decided
                .and_then(|decided| context_of(decided, event.tracestate.as_deref()))
                .or_else(|| context_of_event(event)),
            told: || Told {
                name: format!("perform {by}"),
                link: None,
                attributes: vec![
                    KeyValue::new("nexus.integration", by.to_owned()),
                    KeyValue::new("nexus.effect", i64::from(number)),
                    KeyValue::new("nexus.attempt", i64::from(attempt)),
                    KeyValue::new("messaging.message.id", event.event_id.to_string()),
                ],
            },
        })
    }
}

/// Whether an event belongs to the trace of the request that it came with.
fn names_no_other(event: &Event, received: &Receiving) -> bool {
    event.traceparent.is_none() || event.traceparent == received.parent
}

/// Whether it is the same span, wherever one has heard of it.
fn is_same(one: &SpanContext, other: &SpanContext) -> bool {
    (one.trace_id(), one.span_id()) == (other.trace_id(), other.span_id())
}

/// What is told of a span in which an event is the message.
fn messaging(event: &Event, operation: &'static str, link: Option<SpanContext>) -> Told {
    let mut attributes = vec![
        KeyValue::new("messaging.system", "nexus"),
        KeyValue::new("messaging.operation.name", operation),
        KeyValue::new("messaging.operation.type", operation),
        KeyValue::new("messaging.destination.name", event.event_type.clone()),
        KeyValue::new("messaging.message.id", event.event_id.to_string()),
    ];
    if let Some(conversation) = &event.correlation_id {
        let key = "messaging.message.conversation_id";
        attributes.push(KeyValue::new(key, conversation.clone()));
    }
    Told {
        name: format!("{operation} {}", event.event_type),
        link,
        attributes,
    }
}
