//! How often: receives one question per event, answers whether it may come now or how long to
//! wait. A client has a bucket of its own; every source and type that a rate covers has one in a
//! table of bounded size; all clients together have one. It knows neither events nor why somebody
//! is limited.

mod keyed;
mod lines;

use std::sync::Arc;
use std::time::Duration;

use super::config::{Limits, Rate};
use super::rejection::{Code, Rejection};
use crate::config::Selector;
use crate::observe::Tally;
use crate::quota::{Bucket, Quota, Standing, now};
pub(super) use keyed::Keyed;
pub(crate) use lines::Lines;

/// The rates that hold for all clients: those of sources and types, and the one of the whole hub.
pub(super) struct Rates {
    rules: Vec<Rule>,
    table: Keyed,
    whole: Option<Bucket>,
    refused: Arc<Tally<{ Of::ALL.len() }>>,
}

/// A rate for every source or every type that it covers.
struct Rule {
    /// A source or a type.
    of: Of,
    covers: Selector,
    quota: Quota,
    /// Shared by the names for which the table has no room.
    rest: Bucket,
}

/// Whose rate it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Client,
    Source,
    Type,
    Hub,
}

impl Of {
    const ALL: [Self; 4] = [Self::Client, Self::Source, Self::Type, Self::Hub];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Source => "source",
            Self::Type => "type",
            Self::Hub => "hub",
        }
    }
}

impl Rates {
    pub(super) fn new(limits: &Limits) -> Self {
        Self::counting(limits, Arc::new(Tally::new()))
    }

    /// Other rates, which go on counting what is refused.
    pub(super) fn succeeded_by(&self, limits: &Limits) -> Self {
        Self::counting(limits, self.refused.clone())
    }

    fn counting(limits: &Limits, refused: Arc<Tally<{ Of::ALL.len() }>>) -> Self {
        Self {
            rules: limits.rates.iter().filter_map(Rule::new).collect(),
            table: Keyed::new(keyed::MOST_KEYS),
            whole: limits
                .rate
                .map(|rate| Bucket::new(Quota::new(rate, limits.burst))),
            refused,
        }
    }

    /// Counts a refusal: one of its own, or of a client's own rate.
    pub(super) fn count_refused(&self, of: Of) {
        self.refused.add(of as usize);
    }

    /// How many were refused, by whose rate it was.
    pub(super) fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let names = Of::ALL.map(Of::as_str);
        names.into_iter().zip(self.refused.counts())
    }

    /// Takes one event's share of every rate that covers it, or of none.
    ///
    /// # Errors
    /// `rate_limited`, with the rate that is used up and how long to wait.
    pub(super) fn take(&self, source: &str, event_type: &str) -> Result<(), Rejection> {
        self.take_at(source, event_type, now())
    }

    fn take_at(&self, source: &str, event_type: &str, now: u64) -> Result<(), Rejection> {
        for (at, rule) in self.rules.iter().enumerate() {
            let Some(name) = rule.covered(source, event_type) else {
                continue;
            };
            let taken = self.table.take(at, name, &rule.quota, &rule.rest, now);
            if let Err(wait) = taken {
                self.give_back(at, source, event_type, now);
                self.count_refused(rule.of);
                let kind = rule.of.as_str();
                let message = format!(
                    "the {kind} `{name}` has used up its rate in limits.rates; wait as long as \
                     Retry-After says"
                );
                return Err(Rejection::new(Code::RateLimited, message).with_retry_after(wait));
            }
        }
        let Some(whole) = &self.whole else {
            return Ok(());
        };
        whole.take(now).map_err(|wait| {
            self.give_back(self.rules.len(), source, event_type, now);
            self.count_refused(Of::Hub);
            let message = "the hub's clients together have used up limits.rate; wait as long as \
                           Retry-After says";
            Rejection::new(Code::RateLimited, message).with_retry_after(wait)
        })
    }

    /// Undoes what the first rules took for an event that a later one refused.
    fn give_back(&self, rules: usize, source: &str, event_type: &str, now: u64) {
        for (at, rule) in self.rules.iter().enumerate().take(rules) {
            if let Some(name) = rule.covered(source, event_type) {
                self.table.give_back(at, name, &rule.quota, now);
            }
        }
    }
}

impl Rule {
    /// Nothing for a rate that covers nothing, which the configuration refuses.
    fn new(rate: &Rate) -> Option<Self> {
        let (of, covers) = match (&rate.source, &rate.event_type) {
            (Some(source), _) => (Of::Source, source),
            (None, Some(event_type)) => (Of::Type, event_type),
            (None, None) => return None,
        };
        let quota = Quota::new(rate.rate, rate.burst);
        Some(Self {
            of,
            covers: covers.clone(),
            rest: Bucket::new(quota),
            quota,
        })
    }

    fn covered<'e>(&self, source: &'e str, event_type: &'e str) -> Option<&'e str> {
        let name = match self.of {
            Of::Source => source,
            _ => event_type,
        };
        self.covers.matches(name).then_some(name)
    }
}

/// One client's rate.
pub(super) struct RateLimit(Bucket);

impl RateLimit {
    pub(super) fn new(rate: f64, burst: Option<u32>) -> Self {
        Self(Bucket::new(Quota::new(rate, burst)))
    }

    /// Takes one event's share.
    ///
    /// # Errors
    /// How long to wait until there is one.
    pub(super) fn take(&self) -> Result<(), Duration> {
        self.0.take(now())
    }

    /// How much of it is left.
    pub(super) fn standing(&self) -> Standing {
        self.0.standing(now())
    }
}

#[cfg(test)]
mod tests;
