//! What a component is shown: an event, a request or a webhook, with all that goes with it, and what it says.

use std::sync::Arc;

use nexus_plugin_api::{Event, HookReply, HookRequest, Outcome, RawJson, Reply};
use uuid::Uuid;

use crate::shown;

/// Something for one component.
#[derive(Debug, Clone)]
pub(crate) struct Stimulus {
    /// The component's place in the manifest.
    pub(crate) component: u32,
    /// What it is shown.
    pub(crate) what: What,
    /// What is odd about it, if not the payload; empty otherwise.
    pub(crate) odd: &'static str,
}

/// What a component is shown.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// To a processor.
    Event(Arc<Event>),
    /// To an integration.
    Request {
        /// The event behind it.
        event: Arc<Event>,
        /// Identifies it across attempts.
        key: String,
        /// The request itself, JSON.
        text: Vec<u8>,
    },
    /// To a source.
    Hook(HookRequest),
}

/// What a component says to it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    Outcome(Outcome),
    Reply(Reply),
    Hook(HookReply),
}

impl Stimulus {
    /// An event for a processor.
    pub(crate) fn event(component: u32, event: Arc<Event>) -> Self {
        Self {
            component,
            what: What::Event(event),
            odd: "",
        }
    }

    /// A request for an integration, because of an event that nobody saw.
    pub(crate) fn request(component: u32, text: Vec<u8>) -> Self {
        let event = Event::new(
            "conformance.cause",
            "conformance",
            RawJson::from_checked("{}"),
        );
        Self {
            component,
            what: What::Request {
                key: format!("{}:0", event.event_id),
                event: Arc::new(event),
                text,
            },
            odd: "",
        }
    }

    /// A webhook for a source.
    pub(crate) fn hook(component: u32, request: HookRequest) -> Self {
        Self {
            component,
            what: What::Hook(request),
            odd: "",
        }
    }

    /// The same once more, as something new.
    pub(crate) fn anew(&self) -> Self {
        let fresh = |event: &Arc<Event>| {
            let mut event = Event::clone(event);
            event.event_id = Uuid::now_v7();
            Arc::new(event)
        };
        let what = match &self.what {
            What::Event(event) => What::Event(fresh(event)),
            What::Request { event, text, .. } => {
                let event = fresh(event);
                What::Request {
                    key: format!("{}:0", event.event_id),
                    event,
                    text: text.clone(),
                }
            }
            What::Hook(request) => What::Hook(request.clone()),
        };
        Self {
            what,
            ..self.clone()
        }
    }

    /// In a line, so that somebody can do it again.
    pub(crate) fn shown(&self) -> String {
        let mut shown = match &self.what {
            What::Event(event) => {
                let payload = shown::json(event.payload.as_slice());
                format!("{} {payload}", event.event_type)
            }
            What::Request { text, .. } => format!("the request {}", shown::json(text)),
            What::Hook(request) => hook(request),
        };
        if !self.odd.is_empty() {
            shown = format!("{shown}, {}", self.odd);
        }
        shown
    }
}

fn hook(request: &HookRequest) -> String {
    let mut line = format!(
        "{} {}",
        shown::text(&request.method),
        shown::text(&request.path)
    );
    if !request.query.is_empty() {
        line = format!("{line}?{}", shown::text(&request.query));
    }
    for (name, value) in request.headers.iter().take(4) {
        line = format!("{line}, {}: {}", shown::text(name), shown::text(value));
    }
    if request.headers.len() > 4 {
        line = format!("{line}, … ({} headers)", request.headers.len());
    }
    match request.body.is_empty() {
        true => format!("{line}, without a body"),
        false => format!("{line}, body {}", shown::json(&request.body)),
    }
}
