//! From a webhook to an event: receives headers and a body whose signature was checked, hands on an event
//! for admission to judge, or what the mapping did not find. It decides no type that its settings do not
//! allow, and changes nothing of the payload.

use chrono::Utc;
use hyper::HeaderMap;
use hyper::header::HeaderName;
use nexus_plugin_api::{Event, Priority, RawJson};
use serde_json::Value;
use uuid::Uuid;

use super::config::{Scheme, Webhook};
use super::moment;
use super::pick::{Pick, Pointer};
use super::verify::Proof;
use crate::admission::{Code, Rejection, Violation, quoted, rules};
use crate::config::Selector;

pub(super) const GITHUB_EVENT: HeaderName = HeaderName::from_static("x-github-event");
const GITHUB_DELIVERY: HeaderName = HeaderName::from_static("x-github-delivery");

/// Where each field of an event comes from.
#[derive(Debug)]
pub(super) struct Mapping {
    source: String,
    event_type: TypeRule,
    payload: Option<Pointer>,
    id: Option<Pick>,
    timestamp: Option<Pick>,
    priority: Priority,
    correlation: Option<Pick>,
    partition: Option<Pick>,
    challenge: Option<Pointer>,
}

#[derive(Debug)]
enum TypeRule {
    Fixed(String),
    /// What is found there, below the prefix.
    Found(Pick, String),
}

impl Mapping {
    pub(super) fn new(webhook: &Webhook) -> Self {
        let github = |header| (webhook.scheme == Scheme::Github).then_some(Pick::Header(header));
        let event_type = match (&webhook.r#type, &webhook.type_from) {
            (Some(fixed), _) => TypeRule::Fixed(fixed.clone()),
            (None, from) => {
                let from = from.clone().or_else(|| github(GITHUB_EVENT));
                let prefix = match webhook.type_prefix.as_deref() {
                    None => slug(&webhook.name),
                    Some(prefix) => prefix.strip_suffix('.').unwrap_or(prefix).to_owned(),
                };
                // The settings were checked: one of the two is there.
                TypeRule::Found(from.unwrap_or(Pick::Header(GITHUB_EVENT)), prefix)
            }
        };
        Self {
            source: webhook.source().to_owned(),
            event_type,
            payload: webhook.payload.clone(),
            id: webhook.id_from.clone().or_else(|| github(GITHUB_DELIVERY)),
            timestamp: webhook.timestamp_from.clone(),
            priority: webhook.priority,
            correlation: webhook.correlation_from.clone(),
            partition: webhook.partition_from.clone(),
            challenge: webhook.challenge_from.clone(),
        }
    }

    /// The only types that may come of it.
    pub(super) fn types(&self) -> Selector {
        match &self.event_type {
            TypeRule::Fixed(fixed) => Selector::Exact(fixed.clone()),
            TypeRule::Found(_, prefix) if prefix.is_empty() => Selector::Any,
            TypeRule::Found(_, prefix) => Selector::Below(format!("{prefix}.")),
        }
    }

    /// What a request is to be answered with that only asks for an answer: the text it brings, under the
    /// same name.
    pub(super) fn challenge(&self, json: &str) -> Option<Value> {
        let place = self.challenge.as_ref()?;
        let text: String = serde_json::from_str(place.find(json)?).ok()?;
        let answer = [(place.last()?.to_owned(), Value::String(text))];
        Some(Value::Object(answer.into_iter().collect()))
    }

    /// The type of a request's event.
    pub(super) fn event_type(&self, headers: &HeaderMap, json: &str) -> Result<String, Rejection> {
        let (pick, prefix) = match &self.event_type {
            TypeRule::Fixed(fixed) => return Ok(fixed.clone()),
            TypeRule::Found(pick, prefix) => (pick, prefix),
        };
        let found = pick
            .text(headers, json)
            .ok_or_else(|| missing("/type", pick))?;
        let name = slug(&found);
        if name.is_empty() {
            let message = format!("{} names no type; {}", quoted(&found), rules::TYPE);
            return Err(unmapped("/type", message));
        }
        Ok(match prefix.as_str() {
            "" => name,
            prefix => format!("{prefix}.{name}"),
        })
    }

    /// A request's event.
    ///
    /// # Errors
    /// When something that the settings look for is not there, with the event's field.
    pub(super) fn event(
        &self,
        event_type: String,
        headers: &HeaderMap,
        json: &str,
        proof: &Proof,
    ) -> Result<Event, Rejection> {
        let payload = match &self.payload {
            None => json.trim(),
            Some(pointer) => pointer.find(json).ok_or_else(|| {
                let message = format!("there is nothing at {pointer} in the body");
                unmapped("/payload", message)
            })?,
        };
        let label = |pick: &Option<Pick>| {
            let found = pick.as_ref().and_then(|pick| pick.text(headers, json));
            found.map(|text| text.into_owned())
        };
        Ok(Event {
            event_id: self.event_id(headers, json, proof)?,
            event_type,
            source: self.source.clone(),
            timestamp: match self
                .timestamp
                .as_ref()
                .and_then(|pick| pick.text(headers, json))
            {
                None => Utc::now(),
                Some(text) => moment::of(&text).ok_or_else(|| {
                    let rule = rules::TIME;
                    unmapped("/timestamp", format!("{rule}, or a number since 1970"))
                })?,
            },
            priority: self.priority,
            correlation_id: label(&self.correlation),
            contract_version: None,
            causation_id: None,
            partition_key: label(&self.partition),
            expires_at: None,
            traceparent: None,
            tracestate: None,
            payload: RawJson::from_checked(payload.as_bytes().to_vec()),
        })
    }

    /// The same for a delivery that is repeated.
    fn event_id(&self, headers: &HeaderMap, json: &str, proof: &Proof) -> Result<Uuid, Rejection> {
        let found = match (&self.id, &proof.delivery) {
            // A header that is not signed tells nothing that whoever repeats a delivery could not change.
            (Some(pick), Some(delivery)) if pick.is_header() => delivery.into(),
            (Some(pick), _) => {
                let found = pick.text(headers, json).filter(|text| !text.is_empty());
                found.ok_or_else(|| missing("/event_id", pick))?
            }
            (None, Some(delivery)) => delivery.into(),
            (None, None) => return Ok(Uuid::now_v7()),
        };
        Ok(rules::uuid(&found).unwrap_or_else(|| {
            let name = format!("{}\n{found}", self.source);
            Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())
        }))
    }
}

/// A type, or a part of one, of what a sender calls it: dots, slashes and colons part the segments, and
/// what may not stand in one becomes `_`.
fn slug(text: &str) -> String {
    let segment = |part: &str| -> String {
        let plain = |c: char| match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9' | '_' | '-') => c,
            _ => '_',
        };
        part.trim().chars().map(plain).collect()
    };
    let segments: Vec<String> = text
        .split(['.', '/', ':'])
        .map(segment)
        .filter(|segment| !segment.is_empty())
        .collect();
    segments.join(".")
}

fn missing(field: &str, pick: &Pick) -> Rejection {
    unmapped(field, format!("there is no text at {pick} in the request"))
}

fn unmapped(field: &str, message: String) -> Rejection {
    let place = vec![Violation::new(field, message)];
    let message = "the webhook makes no event; see `errors`";
    Rejection::new(Code::ContractViolation, message).with_errors(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_made_of_what_senders_call_them() {
        for (told, slugged) in [
            ("push", "push"),
            ("pull_request", "pull_request"),
            ("orders/create", "orders.create"),
            ("Invoice.Paid", "invoice.paid"),
            ("customer:subscription::new", "customer.subscription.new"),
            ("Push Hook", "push_hook"),
            ("../../etc", "etc"),
            ("é", "_"),
            (" a\nb ", "a_b"),
            ("", ""),
            ("...", ""),
        ] {
            assert_eq!(slug(told), slugged, "{told:?}");
            assert!(
                slugged.is_empty() || rules::is_event_type(slugged),
                "{slugged}"
            );
        }
    }
}
