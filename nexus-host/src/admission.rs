//! Which events are let in: receives raw text and the key it came with, hands on [`Admitted`]
//! events. It never queues, and never looks at what an event means.
//!
//! In order, the cheapest refusals first: who is there (before a body is read), how often, is it
//! JSON without doubt, may the client publish this, how often may anybody, is the envelope in order,
//! does the payload fit its contract, does it look like an attack.

mod admitted;
mod auth;
mod chains;
pub mod config;
mod contract;
mod emitted;
mod envelope;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod members;
mod network;
mod rate_limit;
mod rejection;
pub(crate) mod rules;
mod strict_json;
mod suspicion;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use chrono::Utc;
use nexus_plugin_api::{Event, RawJson};
use semver::Version;
use uuid::Uuid;

pub use admitted::Admitted;
pub use auth::{ClientScope, Credentials, Head, Presented, Sender, check_issuer_files};
pub use config::{Client, Issuer, Limits, OnSuspicion, Pattern, Transport};
pub use contract::file::{
    ContractFile, FileReport, offer as offer_files, register as register_files, scan as scan_files,
};
pub use contract::{
    Change, Contract, ContractConflict, ContractDiff, Contracts, Draft, HUB, Migrator, Notice,
    Offer, Rule,
};
pub use emitted::Origin;
pub use rejection::{Code, MAX_VIOLATIONS, Rejection, Violation};
pub use suspicion::Flag;

pub use crate::quota::Standing;
pub(crate) use auth::end_of_certificate;
pub(crate) use envelope::escaped;
pub(crate) use members::Member;
pub(crate) use network::network;
pub(crate) use rate_limit::Lines;
pub(crate) use rejection::{cut_to, quoted, shortened};
pub(crate) use strict_json::{Tree, reread};

use auth::Auth;
use chains::Chains;
use contract::Found;
use envelope::Fields;
use rate_limit::{Of, Rates};
use strict_json::{Bounds, Fault};
use suspicion::Suspicion;

use crate::alerts;
use crate::observe::Ids;

/// Lets events in or refuses them.
pub struct Admission {
    limits: Limits,
    bounds: Bounds,
    auth: Auth,
    rates: Arc<Rates>,
    contracts: Arc<Contracts>,
    suspicion: Suspicion,
    chains: Arc<Chains>,
}

/// What a request's body holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parcel<'b> {
    /// One event, not yet parsed.
    One(&'b str),
    /// Events in order, none of them parsed yet.
    Many(Vec<&'b str>),
}

/// What a request says of an event beside its body; the event's own fields come first.
#[derive(Debug, Clone, Copy, Default)]
pub struct Supplied<'r> {
    /// Its id.
    pub event_id: Option<Uuid>,
    /// The trace it belongs to; for an event that names none.
    pub traceparent: Option<&'r str>,
    /// The state that goes with `traceparent`.
    pub tracestate: Option<&'r str>,
}

impl Supplied<'_> {
    /// Fills in the trace where there is none.
    pub(crate) fn trace(&self, traceparent: &mut Option<String>, tracestate: &mut Option<String>) {
        if traceparent.is_none() {
            *traceparent = self.traceparent.map(str::to_owned);
            *tracestate = self.tracestate.map(str::to_owned);
        }
    }
}

impl Admission {
    /// An admission for these clients and nobody else; `issuers` are those whose tokens may name one.
    pub fn new(
        limits: &Limits,
        clients: &[Client],
        issuers: &[Issuer],
        contracts: Arc<Contracts>,
    ) -> Self {
        Self {
            limits: limits.clone(),
            bounds: Bounds::new(limits),
            auth: Auth::new(clients, issuers, Utc::now().timestamp()),
            rates: Arc::new(Rates::new(limits)),
            contracts,
            suspicion: Suspicion::new(limits),
            chains: Arc::default(),
        }
    }

    /// The same for other clients and limits, to take its place. What stays as it is keeps what is known of it:
    /// rates that are used up, signatures that were used, keys of issuers.
    pub fn succeeded_by(&self, limits: &Limits, clients: &[Client], issuers: &[Issuer]) -> Self {
        Self {
            limits: limits.clone(),
            bounds: Bounds::new(limits),
            auth: self
                .auth
                .succeeded_by(clients, issuers, Utc::now().timestamp()),
            rates: match self.limits.has_rates_of(limits) {
                true => self.rates.clone(),
                false => Arc::new(self.rates.succeeded_by(limits)),
            },
            contracts: self.contracts.clone(),
            suspicion: Suspicion::new(limits),
            chains: self.chains.clone(),
        }
    }

    /// Takes back from clients what `successor` does not grant them: what goes on for long ends.
    pub fn give_way_to(&self, successor: &Self) {
        self.auth.give_way_to(&successor.auth);
    }

    /// The contracts that payloads are held against.
    pub fn contracts(&self) -> &Arc<Contracts> {
        &self.contracts
    }

    /// How many clients there are.
    pub fn clients(&self) -> usize {
        self.auth.clients()
    }

    /// What a request may weigh.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Finds the client behind a request that has no body.
    ///
    /// # Errors
    /// `unauthenticated`, whatever is wrong with the credentials; `forbidden` when the client may not
    /// come this way; `rate_limited` after too many failures from the same address. What names a client and
    /// does not prove it is answered alike whether there is such a client or not.
    pub async fn authenticate(
        &self,
        credentials: &Credentials<'_>,
    ) -> Result<Arc<ClientScope>, Rejection> {
        let sender = self.identify(credentials).await?;
        self.confirm(sender, b"")
    }

    /// Finds out who is there, before a body is read. A signed request is only
    /// [confirmed](Self::confirm) with its body.
    ///
    /// # Errors
    /// As [`authenticate`](Self::authenticate).
    pub async fn identify(&self, credentials: &Credentials<'_>) -> Result<Sender, Rejection> {
        self.auth.identify(credentials).await
    }

    /// The client behind a request whose body is `body`, as it was sent.
    ///
    /// # Errors
    /// `unauthenticated` when its signature is not right or was there before; `forbidden` when the client
    /// may not come this way; `rate_limited` when the client has signed more requests than are remembered,
    /// or signed this one before the hub started.
    pub fn confirm(&self, sender: Sender, body: &[u8]) -> Result<Arc<ClientScope>, Rejection> {
        self.auth.confirm(sender, body)
    }

    /// Counts a request to a webhook that does not prove its sender against the address it came from, and
    /// tells the log. Only failures are held back: whoever proves himself is let in from any address.
    pub fn refuse_webhook(
        &self,
        webhook: &str,
        peer: Option<IpAddr>,
        detail: &'static str,
    ) -> Rejection {
        self.auth.refuse_webhook(webhook, peer, detail)
    }

    /// Counts a connection that has come to nothing, since TLS refuses the certificate shown, against the address
    /// it came from, and tells the log why.
    pub(crate) fn refuse_certificate(&self, peer: IpAddr, detail: &'static str) {
        self.auth.refuse_certificate(peer, detail);
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
        self.admit_with(client, text, Supplied::default())
    }

    /// As [`Admission::admit`]; what the event leaves out is filled in from `supplied`.
    ///
    /// # Errors
    /// Why it is not let in.
    pub fn admit_with(
        &self,
        client: &ClientScope,
        text: &str,
        supplied: Supplied<'_>,
    ) -> Result<Admitted, Rejection> {
        self.take(client)?;
        let fields = Fields::read(text, self.bounds)?;
        if let Some((source, event_type)) = fields.origin() {
            permit(client, source, event_type, fields.ids())
                .and_then(|()| self.rates.take(source, event_type))
                .map_err(|refused| refused.of(fields.named()))?;
        }
        let opened = fields.open(supplied)?;
        self.conclude(opened.event, &opened.payload)
    }

    /// Counts what could not be read against the client's rate, as if it had been one event.
    /// Hands on the refusal that is to be answered.
    pub fn refuse(&self, client: &ClientScope, refused: Rejection) -> Rejection {
        self.take(client).err().unwrap_or(refused)
    }

    /// Takes one event's share of the client's own rate.
    ///
    /// # Errors
    /// When there is none left.
    pub fn take(&self, client: &ClientScope) -> Result<(), Rejection> {
        let taken = client.take();
        taken.inspect_err(|_| self.rates.count_refused(Of::Client))
    }

    /// How many attempts to be let in have failed, by why.
    pub fn failed_attempts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.auth.failed()
    }

    /// How many events and attempts were refused because they came too often, by whose rate it was:
    /// `client`, `source`, `type`, `hub`, or `address` for failed attempts.
    pub fn rate_limited(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let attempts = ("address", self.auth.held_back());
        self.rates.refused().chain([attempts])
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

    /// The last steps: the contract, where it leads, and what looks like an attack in what goes on. A refusal is told
    /// to the log, by its code.
    fn conclude(&self, mut event: Event, payload: &Tree<'_>) -> Result<Admitted, Rejection> {
        match self.judge(&mut event, payload) {
            Ok(judged) => {
                let admitted = Admitted::new(event, judged.flags).with_notice(judged.notice);
                Ok(match judged.sent {
                    None => admitted,
                    Some(sent) => admitted.migrated_from(sent),
                })
            }
            Err(refused) => {
                let span = Ids::of(&event).span();
                span.in_scope(|| tracing::debug!(code = %refused.code(), "refused"));
                Err(refused.of(&event))
            }
        }
    }

    fn judge(&self, event: &mut Event, payload: &Tree<'_>) -> Result<Judged, Rejection> {
        let version = event.contract_version.as_ref();
        let found = self.contracts.find(&event.event_type, version)?;
        found.refuse_sunset(Utc::now)?;
        found.contract().check(payload)?;
        let sent = &found.contract().info().version;
        if event.contract_version.is_none() {
            event.contract_version = Some(sent.clone());
        }
        found.hold(event, payload)?;
        let (flags, sent) = match found.onward() {
            None => (self.look_for_attacks(event, payload)?, None),
            Some(onward) => {
                let sent = sent.clone();
                (self.carry_over(event, &found, &onward)?, Some(sent))
            }
        };
        self.chains
            .join(event, self.limits.max_chain, Instant::now())?;
        found.count_use();
        Ok(Judged {
            flags,
            sent,
            notice: found.notice(),
        })
    }

    /// Makes an event of an earlier version one of the newest that can be reached, and looks for attacks in
    /// what it has become.
    fn carry_over(
        &self,
        event: &mut Event,
        from: &Found,
        to: &Found,
    ) -> Result<Vec<Flag>, Rejection> {
        let version = &to.contract().info().version;
        event.contract_version = Some(version.clone());
        let told = |rejection: Rejection| from.not_migrated(version, &rejection.to_string());
        if let Some(payload) = from.migrate(event.payload.as_slice())? {
            event.payload = RawJson::from_checked(payload);
        }
        let payload = event.payload.clone();
        let text = self.text(payload.as_slice()).map_err(told)?;
        let tree = strict_json::parse(text, self.bounds, 1);
        let tree = tree.map_err(|fault| told(fault.into_rejection(text)))?;
        to.contract().check(&tree)?;
        to.hold(event, &tree)?;
        self.look_for_attacks(event, &tree)
    }

    /// Answers what looks like an attack and goes on all the same. What tells of alerts does in any case: whoever
    /// chooses the name of a target must not choose that nobody is told that it fails.
    fn look_for_attacks(&self, event: &Event, payload: &Tree<'_>) -> Result<Vec<Flag>, Rejection> {
        let found = self.suspicion.look(event.payload.as_slice(), payload);
        let flags = match alerts::tells_of_alerts(&event.event_type) {
            true => found.all(),
            false => found.judged()?,
        };
        if !flags.is_empty() {
            // Not where: names of members are the payload's as well, and the event's journey tells them.
            let found: Vec<&str> = flags.iter().map(|flag| &*flag.pattern).collect();
            let _event = Ids::of(event).span().entered();
            tracing::info!(
                source = event.source,
                found = found.join(", "),
                "an event looks suspicious and goes on"
            );
        }
        Ok(flags)
    }

    fn text<'b>(&self, bytes: &'b [u8]) -> Result<&'b str, Rejection> {
        if bytes.len() > self.limits.max_body.as_len() {
            let message = format!("over limits.max_body ({})", self.limits.max_body);
            return Err(Rejection::new(Code::PayloadTooLarge, message));
        }
        str::from_utf8(bytes).map_err(|error| Fault::no_text(error).into_rejection(bytes))
    }
}

/// What is found of an event that is let in.
struct Judged {
    flags: Vec<Flag>,
    /// The version it was sent as, where it was carried over to another.
    sent: Option<Version>,
    notice: Option<Arc<Notice>>,
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("limits", &self.limits)
            .field("contracts", &self.contracts)
            .finish_non_exhaustive()
    }
}

fn permit(
    client: &ClientScope,
    source: &str,
    event_type: &str,
    ids: Ids<'_>,
) -> Result<(), Rejection> {
    let is_reserved = rules::is_reserved(event_type);
    if !is_reserved && client.may_publish(source, event_type) {
        return Ok(());
    }
    let wanted = format!(
        "publish the type {} as the source {}",
        quoted(event_type),
        quoted(source)
    );
    let (wanted, message) = if is_reserved {
        let message =
            "types that begin with `nexus.` are the hub's own; nobody else may publish them";
        (wanted, message.to_owned())
    } else if client.is_held_back(|client| client.may_publish(source, event_type)) {
        let message = format!(
            "the token's scope does not let client `{}` publish the type `{event_type}` as the source \
             `{source}`; that takes `publish`, `publish:SOURCE` or `publish:SOURCE:TYPE` in it",
            client.id()
        );
        (
            format!("{wanted}, which its token's scope leaves out"),
            message,
        )
    } else {
        let message = format!(
            "client `{}` may not publish the type `{event_type}` as the source `{source}`; \
             its `sources` and `types` in [[clients]] say what it may",
            client.id()
        );
        (wanted, message)
    };
    ids.span().in_scope(|| client.tell_refused(&wanted));
    Err(Rejection::new(Code::Forbidden, message))
}

#[cfg(test)]
mod tests;
