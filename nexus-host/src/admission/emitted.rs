//! Events that did not come as the hub's own JSON: emitted by a plugin's effect, published by a
//! plugin or by the program that embeds the hub, or sent by a client in another format. They are
//! completed here and held to the same rules and contracts.

use chrono::Utc;
use nexus_plugin_api::{Event, NewEvent, PluginError, RawJson};
use uuid::Uuid;

use super::admitted::Admitted;
use super::contract::HUB;
use super::envelope::not_an_event;
use super::rejection::{Code, Rejection, Violation, quoted};
use super::strict_json::{self, Tree};
use super::{Admission, ClientScope, permit, rules};
use crate::dispatch::port::Admit;
use crate::observe::Ids;

/// Where an event comes from.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Origin<'a> {
    /// The hub itself: the only one whose events may be below `nexus.`.
    Hub,
    /// The program that embeds the hub.
    Host,
    /// A plugin, by its id.
    Plugin(&'a str),
    /// A client, whose rate it counts against and within whose scope it must be.
    Client(&'a ClientScope),
}

impl Origin<'_> {
    /// The source of an event that names none.
    fn source(&self) -> &str {
        match self {
            Self::Hub => HUB,
            Self::Host => "host",
            Self::Plugin(id) => id,
            Self::Client(client) => client.id(),
        }
    }
}

impl Admission {
    /// Admits a whole event.
    ///
    /// # Errors
    /// Why it is not in order.
    pub fn admit_event(&self, mut event: Event, origin: Origin<'_>) -> Result<Admitted, Rejection> {
        if let Origin::Client(client) = origin {
            self.take(client)?;
        }
        let errors = rules::violations(&event);
        if !errors.is_empty() {
            return Err(not_an_event(errors));
        }
        match origin {
            Origin::Client(client) => {
                permit(client, &event.source, &event.event_type, Ids::of(&event))
                    .and_then(|()| self.rates.take(&event.source, &event.event_type))
                    .map_err(|refused| refused.of(&event))?;
            }
            Origin::Host | Origin::Plugin(_) if rules::is_reserved(&event.event_type) => {
                let message = format!(
                    "the type {} is the hub's own; `{}` may not publish it",
                    quoted(&event.event_type),
                    origin.source()
                );
                return Err(Rejection::new(Code::Forbidden, message).of(&event));
            }
            Origin::Hub | Origin::Host | Origin::Plugin(_) => {}
        }
        rules::settle_trace(&mut event.traceparent, &mut event.tracestate);
        let payload = event.payload.clone();
        let tree = self
            .payload(&payload)
            .map_err(|refused| refused.of(&event))?;
        self.conclude(event, &tree)
    }

    /// The payload of an event, held to the limits.
    ///
    /// # Errors
    /// Why it does not fit.
    pub(crate) fn payload<'p>(&self, payload: &'p RawJson) -> Result<Tree<'p>, Rejection> {
        let text = self.text(payload.as_slice())?;
        let tree = strict_json::parse(text, self.bounds, 1).map_err(|f| f.into_rejection(text))?;
        if !matches!(tree, Tree::Object(_)) {
            let message = format!("must be an object, found {}", tree.kind());
            return Err(not_an_event(vec![Violation::new("/payload", message)]));
        }
        Ok(tree)
    }

    /// Completes and admits an event that a plugin or the host makes.
    ///
    /// # Errors
    /// Why it is not in order.
    pub fn admit_new(&self, event: NewEvent, origin: Origin<'_>) -> Result<Admitted, Rejection> {
        let source = origin.source();
        self.admit_event(complete(event, source, None, Uuid::now_v7), origin)
    }
}

impl Admit for Admission {
    /// The id of an event without one is derived from its cause, the plugin and the effect's
    /// number, so that the same effect performed again makes the same event.
    fn admit_emitted(
        &self,
        event: NewEvent,
        plugin: &str,
        cause: &Event,
        effect: u32,
    ) -> Result<Admitted, PluginError> {
        let derived = || {
            // An id tells events of one source apart; two sources may use the same one.
            let name = format!("{}\n{plugin}/{effect}", cause.source);
            Uuid::new_v5(&cause.event_id, name.as_bytes())
        };
        let event = complete(event, plugin, Some(cause), derived);
        self.admit_event(event, Origin::Plugin(plugin))
            .map_err(Rejection::into_plugin_error)
    }
}

fn complete(
    new: NewEvent,
    source: &str,
    cause: Option<&Event>,
    make_id: impl FnOnce() -> Uuid,
) -> Event {
    let thread = |cause: &Event| {
        let own = || cause.event_id.to_string();
        cause.correlation_id.clone().unwrap_or_else(own)
    };
    // A trace of its own comes without the state of another.
    let tracestate = match (&new.traceparent, cause) {
        (None, Some(cause)) => cause.tracestate.clone(),
        _ => None,
    };
    Event {
        event_id: new.event_id.unwrap_or_else(make_id),
        event_type: new.event_type,
        source: new.source.unwrap_or_else(|| source.to_owned()),
        timestamp: new.timestamp.unwrap_or_else(Utc::now),
        priority: new.priority,
        correlation_id: new.correlation_id.or_else(|| cause.map(thread)),
        contract_version: new.contract_version,
        causation_id: new.causation_id.or(cause.map(|cause| cause.event_id)),
        partition_key: new.partition_key,
        expires_at: new.expires_at,
        traceparent: new
            .traceparent
            .or_else(|| cause.and_then(|cause| cause.traceparent.clone())),
        tracestate,
        payload: new.payload,
    }
}
