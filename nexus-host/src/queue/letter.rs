//! Dead letters: work that failed for good, with its event as it came; and how to ask for them.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use nexus_plugin_api::{Effect, Event};
use serde::Serialize;
use uuid::Uuid;

use super::{Failure, Work};
use crate::config::Selector;

/// A dead letter.
#[derive(Debug, Clone, Serialize)]
pub struct DeadLetter {
    /// Identifies it. Version 7, so that letters sort by their age.
    pub id: Uuid,
    /// When it died.
    pub at: DateTime<Utc>,
    /// The event as it came.
    pub event: Arc<Event>,
    /// When the event was accepted.
    pub accepted_at: DateTime<Utc>,
    /// What failed.
    pub work: Work,
    /// Why it was given up: stable code.
    pub reason: String,
    /// Every failure, oldest first.
    pub errors: Vec<Failure>,
}

impl DeadLetter {
    /// The integration that the failed effect was meant for, as the effect names it.
    pub fn integration(&self) -> Option<&str> {
        match &self.work {
            Work::Perform { effect, .. } => match effect.as_ref() {
                Effect::Notify { integration, .. } => Some(integration),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Which dead letters are meant. What is `None` excludes nothing.
#[derive(Debug, Clone, Default)]
pub struct LetterFilter {
    /// A letter's own id, or its event's.
    pub id: Option<Uuid>,
    /// The event's type.
    pub event_type: Option<Selector>,
    /// The event's source.
    pub source: Option<Selector>,
    /// The integration that failed, `plugin/name` or either part of it.
    pub integration: Option<String>,
    /// Why it was given up.
    pub reason: Option<String>,
    /// Those that died then or later.
    pub since: Option<DateTime<Utc>>,
    /// Those that died before.
    pub until: Option<DateTime<Utc>>,
}

impl LetterFilter {
    /// The letter of this id, or those of the event of this id.
    pub fn of(id: Uuid) -> Self {
        Self {
            id: Some(id),
            ..Self::default()
        }
    }

    /// Whether a letter is meant.
    pub fn matches(&self, letter: &DeadLetter) -> bool {
        let selects = |selector: &Option<Selector>, text: &str| {
            selector
                .as_ref()
                .is_none_or(|selector| selector.matches(text))
        };
        self.id
            .is_none_or(|id| id == letter.id || id == letter.event.event_id)
            && selects(&self.event_type, &letter.event.event_type)
            && selects(&self.source, &letter.event.source)
            && self.integration.as_deref().is_none_or(|wanted| {
                letter
                    .integration()
                    .is_some_and(|found| is_meant(wanted, found))
            })
            && self
                .reason
                .as_ref()
                .is_none_or(|reason| *reason == letter.reason)
            && self.since.is_none_or(|since| letter.at >= since)
            && self.until.is_none_or(|until| letter.at < until)
    }
}

/// Effects may name an integration in full or by its name alone; so may whoever asks.
fn is_meant(wanted: &str, found: &str) -> bool {
    match (wanted.split_once('/'), found.split_once('/')) {
        (None, Some((plugin, name))) => wanted == plugin || wanted == name,
        (Some((_, name)), None) => name == found,
        _ => wanted == found,
    }
}

/// A part of the dead letters, oldest first.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Those after this letter; from the oldest on when `None`.
    pub after: Option<Uuid>,
    /// At most so many.
    pub limit: usize,
}

impl Page {
    /// The first so many.
    pub fn first(limit: usize) -> Self {
        Self { after: None, limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_plugin_api::RawJson;

    fn letter(integration: &str) -> DeadLetter {
        let request = RawJson::from_checked("{}");
        DeadLetter {
            id: Uuid::now_v7(),
            at: Utc::now(),
            event: Arc::new(Event::new("mail.received", "outlook.a", request.clone())),
            accepted_at: Utc::now(),
            work: Work::Perform {
                number: 0,
                processor: "p/p".to_owned(),
                effect: Box::new(Effect::Notify {
                    integration: integration.to_owned(),
                    target: None,
                    request,
                }),
                traceparent: None,
            },
            reason: "retries_exhausted".to_owned(),
            errors: Vec::new(),
        }
    }

    #[test]
    fn an_integration_is_found_by_any_of_its_names() {
        let with = |wanted: &str| LetterFilter {
            integration: Some(wanted.to_owned()),
            ..LetterFilter::default()
        };
        for wanted in ["toasty/desktop", "toasty", "desktop"] {
            assert!(with(wanted).matches(&letter("toasty/desktop")), "{wanted}");
        }
        assert!(with("toasty/desktop").matches(&letter("desktop")));
        for wanted in ["toast", "toasty/other", "other/desktop", ""] {
            assert!(!with(wanted).matches(&letter("toasty/desktop")), "{wanted}");
        }
    }

    #[test]
    fn every_condition_must_hold() {
        let one = letter("toasty");
        let parse = |text: &str| text.parse::<Selector>().ok();
        let all = LetterFilter {
            id: Some(one.event.event_id),
            event_type: parse("mail.*"),
            source: parse("outlook.a"),
            integration: Some("toasty".to_owned()),
            reason: Some("retries_exhausted".to_owned()),
            since: Some(one.at),
            until: Some(one.at + chrono::TimeDelta::milliseconds(1)),
        };
        assert!(all.matches(&one) && LetterFilter::of(one.id).matches(&one));
        let changes: [fn(&mut LetterFilter, &DeadLetter); 7] = [
            |filter, _| filter.id = Some(Uuid::now_v7()),
            |filter, _| filter.event_type = "sms.*".parse().ok(),
            |filter, _| filter.source = "outlook".parse().ok(),
            |filter, _| filter.integration = Some("langgraph".to_owned()),
            |filter, _| filter.reason = Some("rejected".to_owned()),
            |filter, one| filter.since = Some(one.at + chrono::TimeDelta::milliseconds(1)),
            |filter, one| filter.until = Some(one.at),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut filter = all.clone();
            change(&mut filter, &one);
            assert!(!filter.matches(&one), "condition {index}");
        }
    }
}
