//! Which events are let in: receives raw text and the key it came with, hands on [`Admitted`]
//! events. It never queues, and never looks at what an event means.
//!
//! In order, the cheapest refusals first: who is there (before a body is read), how often, is it
//! JSON without doubt, may the client publish this, is the envelope in order, does the payload fit
//! its contract, does it look like an attack.

mod admitted;
mod auth;
pub mod config;
mod contract;
mod emitted;
mod envelope;
mod rate_limit;
mod rejection;
pub(crate) mod rules;
mod strict_json;
mod suspicion;

use std::fmt;
use std::sync::Arc;

use nexus_plugin_api::Event;

pub use admitted::Admitted;
pub use auth::ClientScope;
pub use config::{Client, Limits, OnSuspicion, Pattern};
pub use contract::{Contract, ContractConflict, Contracts, HUB};
pub use emitted::Origin;
pub use rejection::{Code, MAX_VIOLATIONS, Rejection, Violation};
pub use suspicion::Flag;

pub(crate) use rejection::quoted;

use auth::Keys;
use envelope::Fields;
use strict_json::{Bounds, Tree};
use suspicion::Suspicion;

/// Lets events in or refuses them.
pub struct Admission {
    limits: Limits,
    bounds: Bounds,
    keys: Keys,
    contracts: Arc<Contracts>,
    suspicion: Suspicion,
}

/// What a request's body holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parcel<'b> {
    /// One event, not yet parsed.
    One(&'b str),
    /// Events in order, none of them parsed yet.
    Many(Vec<&'b str>),
}

impl Admission {
    /// An admission for these clients and nobody else.
    pub fn new(limits: &Limits, clients: &[Client], contracts: Arc<Contracts>) -> Self {
        Self {
            limits: limits.clone(),
            bounds: Bounds::new(limits),
            keys: Keys::new(clients),
            contracts,
            suspicion: Suspicion::new(limits),
        }
    }

    /// The contracts that payloads are held against.
    pub fn contracts(&self) -> &Arc<Contracts> {
        &self.contracts
    }

    /// What a request may weigh.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Finds the client that holds the key. To be called before any body is read.
    ///
    /// # Errors
    /// `unauthenticated`, whatever is wrong with the key.
    pub fn authenticate(&self, bearer: Option<&str>) -> Result<Arc<ClientScope>, Rejection> {
        self.keys.authenticate(bearer)
    }

    /// Looks whether a body holds one event or an array of them, and cuts the array up.
    ///
    /// # Errors
    /// When it is empty, not UTF-8 or not JSON, or has too many elements. An object is not looked
    /// into yet.
    pub fn open<'b>(&self, body: &'b [u8]) -> Result<Parcel<'b>, Rejection> {
        let text = self.text(body)?;
        let trimmed = text.trim_start();
        if trimmed.is_empty() {
            let message = "the body is empty; send one event or an array of events";
            return Err(Rejection::new(Code::MalformedJson, message));
        }
        if !trimmed.starts_with('[') {
            return Ok(Parcel::One(text));
        }
        strict_json::split(text, self.limits.max_batch)
            .map(Parcel::Many)
            .map_err(|fault| fault.into_rejection(text))
    }

    /// Judges one event of a client, given as JSON text. It counts against the client's rate
    /// whether or not it is in order.
    ///
    /// # Errors
    /// Why it is not let in.
    pub fn admit(&self, client: &ClientScope, text: &str) -> Result<Admitted, Rejection> {
        client.take()?;
        let fields = Fields::read(text, self.bounds)?;
        if let Some((source, event_type)) = fields.origin() {
            permit(client, source, event_type)?;
        }
        let opened = fields.open()?;
        self.conclude(opened.event, &opened.payload)
    }

    /// The text of a body that is one JSON value, held to the same rules as an event's.
    ///
    /// # Errors
    /// When it is not JSON, or weighs more than the limits allow.
    pub(crate) fn json<'b>(&self, body: &'b [u8]) -> Result<&'b str, Rejection> {
        let text = self.text(body)?;
        strict_json::parse(text, self.bounds, 0).map_err(|fault| fault.into_rejection(text))?;
        Ok(text)
    }

    /// The last steps: the contract, and what looks like an attack.
    fn conclude(&self, mut event: Event, payload: &Tree<'_>) -> Result<Admitted, Rejection> {
        let version = event.contract_version.as_ref();
        let contract = self.contracts.find(&event.event_type, version)?;
        contract.check(payload)?;
        if event.contract_version.is_none() {
            event.contract_version = Some(contract.info().version.clone());
        }
        let flags = self.suspicion.judge(event.payload.as_slice(), payload)?;
        if !flags.is_empty() {
            let places: Vec<String> = flags
                .iter()
                .map(|flag| format!("{} at {}", flag.pattern, quoted(&flag.pointer)))
                .collect();
            tracing::info!(
                event_id = %event.event_id,
                source = event.source,
                found = places.join(", "),
                "an event looks suspicious and goes on"
            );
        }
        Ok(Admitted::new(event, flags))
    }

    fn text<'b>(&self, bytes: &'b [u8]) -> Result<&'b str, Rejection> {
        if bytes.len() > self.limits.max_body.as_len() {
            let message = format!("over limits.max_body ({})", self.limits.max_body);
            return Err(Rejection::new(Code::PayloadTooLarge, message));
        }
        str::from_utf8(bytes).map_err(|error| {
            let message = format!("not valid JSON: not UTF-8 at byte {}", error.valid_up_to());
            Rejection::new(Code::MalformedJson, message)
        })
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("limits", &self.limits)
            .field("contracts", &self.contracts)
            .finish_non_exhaustive()
    }
}

fn permit(client: &ClientScope, source: &str, event_type: &str) -> Result<(), Rejection> {
    let message = if rules::is_reserved(event_type) {
        "types that begin with `nexus.` are the hub's own; nobody else may publish them".to_owned()
    } else if client.covers(source, event_type) {
        return Ok(());
    } else {
        format!(
            "client `{}` may not publish the type `{event_type}` as the source `{source}`; \
             its `sources` and `types` in [[clients]] say what it may",
            client.id()
        )
    };
    Err(Rejection::new(Code::Forbidden, message))
}

#[cfg(test)]
mod tests;
