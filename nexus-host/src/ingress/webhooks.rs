//! Webhooks without a plugin: receives signed requests of the senders under `[[webhooks]]`, hands on
//! events for admission, each within the scope of its webhook. It opens no socket, and never tells a
//! sender, or the log, more of a signature than that it does not fit.

pub mod config;
#[cfg(any(test, feature = "fuzz"))]
pub(super) mod fuzz;
mod mapping;
mod moment;
mod pick;
mod verify;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use hyper::HeaderMap;
use nexus_plugin_api::Event;
use serde_json::Value;

pub use config::Webhook;
pub use pick::{Pick, Pointer};
pub(crate) use pick::{check_pick, check_pointer};

use crate::admission::{ClientScope, Contracts, Lines, Rejection, quoted};
use crate::current::Current;
use config::Scheme;
use mapping::Mapping;
use verify::{Proof, Refused, Verifier};

/// The webhooks, by their names.
#[derive(Default)]
pub struct Webhooks(Current<Receivers>);

type Receivers = HashMap<String, Arc<Receiver>>;

/// One webhook, ready to receive.
pub(super) struct Receiver {
    /// As it is configured.
    webhook: Webhook,
    verifier: Verifier,
    mapping: Mapping,
    scope: ClientScope,
    /// What was told of events for which there is no contract.
    without_contract: Lines,
}

/// A request whose sender is known.
pub(super) struct Verified(Proof);

/// What a request comes to.
pub(super) enum Message {
    Event(Box<Event>),
    /// A sign of life that no contract knows: to be answered, and nothing else.
    Ping,
    /// A question whether the address is right: to be answered with this.
    Challenge(Value),
}

impl Webhooks {
    /// The webhooks of a configuration that was checked. One that cannot be verified, which the check
    /// refuses, is left out: nothing is let in unverified.
    pub fn new(webhooks: &[Webhook]) -> Self {
        let these = Self::default();
        these.become_those(webhooks);
        these
    }

    /// Has these received from now on, and no others. One that stays as it is keeps its rate.
    pub(crate) fn become_those(&self, webhooks: &[Webhook]) {
        let before = self.0.get();
        let receiver = |webhook: &Webhook| {
            let same = before
                .get(&webhook.name)
                .filter(|one| one.webhook == *webhook);
            let receiver = match same {
                Some(receiver) => receiver.clone(),
                None => Arc::new(Receiver::new(webhook, Verifier::new(webhook).ok()?)),
            };
            Some((webhook.name.clone(), receiver))
        };
        let receivers: Receivers = webhooks.iter().filter_map(receiver).collect();
        self.0.set(receivers);
    }

    pub(super) fn get(&self, name: &str) -> Option<Arc<Receiver>> {
        self.0.get().get(name).cloned()
    }
}

impl Receiver {
    fn new(webhook: &Webhook, verifier: Verifier) -> Self {
        let mapping = Mapping::new(webhook);
        let scope = ClientScope::of_webhook(
            &webhook.name,
            webhook.source(),
            mapping.types(),
            webhook.rate,
            webhook.burst,
        );
        Self {
            webhook: webhook.clone(),
            verifier,
            mapping,
            scope,
            without_contract: Lines::new(),
        }
    }

    /// What its events may be.
    pub(super) fn scope(&self) -> &ClientScope {
        &self.scope
    }

    /// Whether the body has a part in the proof of who sent it.
    pub(super) fn needs_body(&self) -> bool {
        self.verifier.needs_body()
    }

    /// Tells the log that there is no contract for an event's type: senders seldom look at what they are
    /// answered.
    pub(super) fn tell_without_contract(&self, event_type: &str) {
        if let Some(left_out) = self.without_contract.next() {
            tracing::warn!(
                webhook = self.name(),
                r#type = %quoted(event_type),
                left_out,
                "refused an event for whose type there is no contract: add a plugin that brings one, or a \
                 file to plugins.contracts_dir"
            );
        }
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.webhook.name
    }

    /// Finds out whether the sender is the one it should be.
    ///
    /// # Errors
    /// What is wrong, for the log alone.
    pub(super) fn verify(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Verified, &'static str> {
        let proof = self.verifier.verify(headers, body, now);
        proof.map(Verified).map_err(|Refused(reason)| reason)
    }

    /// What a verified request comes to. `json` is its body, as strict JSON.
    pub(super) fn read(
        &self,
        verified: &Verified,
        headers: &HeaderMap,
        json: &str,
        contracts: &Contracts,
    ) -> Result<Message, Rejection> {
        if let Some(answer) = self.mapping.challenge(json) {
            return Ok(Message::Challenge(answer));
        }
        let event_type = self.mapping.event_type(headers, json)?;
        let is_ping = || {
            let event = headers.get(mapping::GITHUB_EVENT);
            event.is_some_and(|event| event == "ping")
        };
        if self.webhook.scheme == Scheme::Github
            && is_ping()
            && contracts.newest(&event_type).is_none()
        {
            return Ok(Message::Ping);
        }
        let event = self.mapping.event(event_type, headers, json, &verified.0)?;
        Ok(Message::Event(Box::new(event)))
    }
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.get().keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope_of(change: impl FnOnce(&mut Webhook)) -> Webhooks {
        let mut webhook = Webhook {
            name: "Shop.EU".to_owned(),
            scheme: Scheme::None,
            ..Webhook::default()
        };
        change(&mut webhook);
        Webhooks::new(&[webhook])
    }

    fn covered(webhooks: &Webhooks, source: &str, event_type: &str) -> bool {
        let receiver = webhooks.get("Shop.EU").unwrap();
        assert!(!receiver.scope().is_admin());
        receiver.scope().covers(source, event_type)
    }

    #[test]
    fn a_webhook_may_publish_its_own_source_and_types_only() {
        let fixed = scope_of(|webhook| webhook.r#type = Some("order.placed".to_owned()));
        assert!(covered(&fixed, "Shop.EU", "order.placed"));
        assert!(!covered(&fixed, "Shop.EU", "order.paid"));
        assert!(!covered(&fixed, "outlook", "order.placed"));

        let found = scope_of(|webhook| webhook.type_from = Some("/type".parse().unwrap()));
        assert!(covered(&found, "Shop.EU", "shop.eu.order.placed"));
        assert!(!covered(&found, "Shop.EU", "order.placed"));
    }
}
