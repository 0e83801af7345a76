//! What somebody may do: receives a client's settings, and what a token leaves of them; answers
//! whether something is within. It never grants what is not configured.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};

use super::super::config::{Client, Transport};
use super::super::rate_limit::{Lines, RateLimit};
use super::super::rejection::{Code, Rejection};
use crate::config::Selector;
use crate::quota::Standing;

/// What one client may do. Nothing is granted that is not configured.
#[derive(Clone)]
pub struct ClientScope {
    grant: Arc<Grant>,
    narrowed: Option<Narrowed>,
    until: Option<DateTime<Utc>>,
}

/// What is configured.
struct Grant {
    id: Arc<str>,
    sources: Vec<Selector>,
    types: Vec<Selector>,
    transports: Vec<Transport>,
    admin: bool,
    metrics: bool,
    limit: Option<RateLimit>,
    /// What was asked for beyond the scope.
    refusals: Lines,
    /// Whether the configuration grants it no more.
    is_taken_back: AtomicBool,
}

/// What a token leaves of a client's scope.
#[derive(Debug, Default, Clone)]
pub(super) struct Narrowed {
    publish: Vec<(Selector, Selector)>,
    subscribe: bool,
    metrics: bool,
    admin: bool,
}

impl Narrowed {
    /// Reads the words of a scope claim. Those that mean nothing here grant nothing.
    pub(super) fn read<'w>(words: impl Iterator<Item = &'w str>) -> Self {
        let mut narrowed = Self::default();
        for word in words {
            match word.split_once(':') {
                None if word == "subscribe" => narrowed.subscribe = true,
                None if word == "metrics" => narrowed.metrics = true,
                None if word == "admin" => narrowed.admin = true,
                None if word == "publish" => {
                    narrowed.publish.push((Selector::Any, Selector::Any));
                }
                Some(("publish", what)) => narrowed.publish.extend(publish(what)),
                _ => {}
            }
        }
        narrowed
    }

    fn lets_publish(&self, source: &str, event_type: &str) -> bool {
        let mut within = self.publish.iter();
        within.any(|(sources, types)| sources.matches(source) && types.matches(event_type))
    }
}

/// `SOURCE:TYPE`, or `SOURCE` for all its types.
fn publish(what: &str) -> Option<(Selector, Selector)> {
    let (source, event_type) = what.split_once(':').unwrap_or((what, "*"));
    Some((source.parse().ok()?, event_type.parse().ok()?))
}

impl ClientScope {
    pub(super) fn new(client: &Client) -> Self {
        Self::granted(Grant {
            id: client.id.as_str().into(),
            sources: client.sources.clone(),
            types: client.types.clone(),
            transports: client.transports.clone(),
            admin: client.admin,
            metrics: client.metrics,
            limit: client.rate.map(|rate| RateLimit::new(rate, client.burst)),
            refusals: Lines::new(),
            is_taken_back: AtomicBool::new(false),
        })
    }

    fn granted(grant: Grant) -> Self {
        Self {
            grant: Arc::new(grant),
            narrowed: None,
            until: None,
        }
    }

    /// The scope of a webhook's sender: one source, some types, and nothing else.
    /// `rate` and `burst` as a client has them.
    pub(crate) fn of_webhook(
        name: &str,
        source: &str,
        types: Selector,
        rate: Option<f64>,
        burst: Option<u32>,
    ) -> Self {
        Self::granted(Grant {
            id: format!("webhook:{name}").into(),
            sources: vec![Selector::Exact(source.to_owned())],
            types: vec![types],
            transports: vec![Transport::Http],
            admin: false,
            metrics: false,
            limit: rate.map(|rate| RateLimit::new(rate, burst)),
            refusals: Lines::new(),
            is_taken_back: AtomicBool::new(false),
        })
    }

    /// The same client, held to what a token says as well, until what it presented expires. Its rate
    /// is the client's.
    pub(super) fn held_to(&self, narrowed: Option<Narrowed>, until: Option<DateTime<Utc>>) -> Self {
        Self {
            grant: self.grant.clone(),
            narrowed,
            until,
        }
    }

    /// The same, until this time at the latest.
    pub(super) fn until(self: Arc<Self>, end: Option<DateTime<Utc>>) -> Arc<Self> {
        let sooner = end.filter(|end| self.until.is_none_or(|until| *end < until));
        if sooner.is_none() {
            return self;
        }
        let mut scope = Arc::unwrap_or_clone(self);
        scope.until = sooner;
        Arc::new(scope)
    }

    /// Whether the key, token or certificate that let it in has expired since, or the configuration grants it
    /// no more: for what goes on for long, such as a stream of events.
    pub fn has_expired(&self) -> bool {
        self.grant.is_taken_back.load(Ordering::Relaxed)
            || self.until.is_some_and(|end| Utc::now() >= end)
    }

    /// The configuration grants it no more.
    pub(super) fn take_back(&self) {
        self.grant.is_taken_back.store(true, Ordering::Relaxed);
    }

    /// The client's name in logs and metrics.
    pub fn id(&self) -> &Arc<str> {
        &self.grant.id
    }

    /// Whether it may use `/v1/admin`. That lets it see every event, but publish none.
    pub fn is_admin(&self) -> bool {
        self.grant.admin && self.narrowed.as_ref().is_none_or(|narrowed| narrowed.admin)
    }

    /// Whether it may read what the hub has counted.
    pub fn may_read_metrics(&self) -> bool {
        let reads = |narrowed: &Narrowed| narrowed.metrics;
        self.is_admin() || self.grant.metrics && self.narrowed.as_ref().is_none_or(reads)
    }

    /// Whether it may read the contracts: whoever may publish, follow or administer anything.
    pub fn may_read_contracts(&self) -> bool {
        let Grant { sources, types, .. } = &*self.grant;
        let reaches = |narrowed: &Narrowed| {
            let meets = |own: &[Selector], one: &Selector| own.iter().any(|own| own.meets(one));
            let mut publish = narrowed.publish.iter();
            narrowed.subscribe
                || publish.any(|(source, event)| meets(sources, source) && meets(types, event))
        };
        let is_granted = !sources.is_empty() && !types.is_empty();
        self.is_admin() || (is_granted && self.narrowed.as_ref().is_none_or(reaches))
    }

    /// Whether it may follow events as they come, those that it [covers](Self::covers).
    pub fn may_subscribe(&self) -> bool {
        let subscribes = |narrowed: &Narrowed| narrowed.subscribe || narrowed.admin;
        self.narrowed.as_ref().is_none_or(subscribes)
    }

    /// Refuses a client that may not follow events.
    ///
    /// # Errors
    /// `forbidden`, when its token lets it publish only.
    pub(crate) fn expect_subscriber(&self) -> Result<(), Rejection> {
        if self.may_subscribe() {
            return Ok(());
        }
        self.tell_refused("follow events");
        let message = format!(
            "the token lets client `{}` publish only; following events takes `subscribe` in its scope",
            self.id()
        );
        Err(Rejection::new(Code::Forbidden, message))
    }

    /// Whether it is its token that does not let it do something, and its section would.
    pub(crate) fn is_held_back(&self, may: impl FnOnce(&Self) -> bool) -> bool {
        let granted = Self {
            narrowed: None,
            ..self.clone()
        };
        self.narrowed.is_some() && may(&granted)
    }

    /// Whether it may publish events of that type as that source.
    pub fn may_publish(&self, source: &str, event_type: &str) -> bool {
        let narrowed = self.narrowed.as_ref();
        self.grants(source, event_type)
            && narrowed.is_none_or(|narrowed| narrowed.lets_publish(source, event_type))
    }

    /// Whether events of that type from that source are within its reach, for reading.
    pub fn covers(&self, source: &str, event_type: &str) -> bool {
        let reaches =
            |narrowed: &Narrowed| narrowed.subscribe || narrowed.lets_publish(source, event_type);
        self.grants(source, event_type) && self.narrowed.as_ref().is_none_or(reaches)
    }

    fn grants(&self, source: &str, event_type: &str) -> bool {
        let matches = |selectors: &[Selector], name| selectors.iter().any(|s| s.matches(name));
        matches(&self.grant.sources, source) && matches(&self.grant.types, event_type)
    }

    pub(super) fn comes_by(&self, transport: Transport) -> bool {
        self.grant.transports.contains(&transport)
    }

    /// How much of its rate is left; `None` for a client without one.
    pub fn standing(&self) -> Option<Standing> {
        self.grant.limit.as_ref().map(RateLimit::standing)
    }

    /// Tells the log that the client wanted to do what it may not. Of a flood of such attempts a few are told,
    /// and later how many were left out.
    pub(crate) fn tell_refused(&self, wanted: &str) {
        let Some(left_out) = self.grant.refusals.next() else {
            return;
        };
        tracing::warn!(client = %self.id(), wanted, left_out, "refused what a client may not do");
    }

    /// Takes one event's share of the client's rate.
    pub(in crate::admission) fn take(&self) -> Result<(), Rejection> {
        let Some(limit) = &self.grant.limit else {
            return Ok(());
        };
        limit.take().map_err(|wait| {
            let message = format!(
                "client `{}` has used up its rate; wait as long as Retry-After says",
                self.id()
            );
            Rejection::new(Code::RateLimited, message).with_retry_after(wait)
        })
    }
}

impl fmt::Debug for ClientScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientScope")
            .field("id", &self.grant.id)
            .field("sources", &self.grant.sources)
            .field("types", &self.grant.types)
            .field("transports", &self.grant.transports)
            .field("admin", &self.grant.admin)
            .field("narrowed", &self.narrowed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::client;
    use super::*;

    #[test]
    fn scopes_cover_what_is_written_and_nothing_else() {
        const SOURCES: [&str; 4] = ["parrot", "outlook", "outlook.work", "x"];
        const TYPES: [&str; 4] = ["parrot.shown", "outlook.mail.received", "outlook", "x"];
        let allowed = |selector: &str, name: &str| match selector.strip_suffix('*') {
            Some("") => true,
            Some(prefix) => name.starts_with(prefix) && name.len() > prefix.len(),
            None => selector == name,
        };
        let choices: [&[&str]; 5] = [
            &[],
            &["*"],
            &["outlook.*"],
            &["parrot"],
            &["x", "outlook.mail.received"],
        ];
        for sources in choices {
            for types in choices {
                let scope = ClientScope::new(&client("c", "k", sources, types));
                for source in SOURCES {
                    for event_type in TYPES {
                        let expected = sources.iter().any(|s| allowed(s, source))
                            && types.iter().any(|s| allowed(s, event_type));
                        let told = format!("{sources:?} {types:?} {source} {event_type}");
                        assert_eq!(scope.covers(source, event_type), expected, "{told}");
                        assert_eq!(scope.may_publish(source, event_type), expected, "{told}");
                    }
                }
            }
        }
    }

    #[test]
    fn whoever_may_do_nothing_reads_no_contracts() {
        let of = |client: &Client, words: Option<&str>| {
            let narrowed = words.map(|words| Narrowed::read(words.split(' ')));
            let scope = ClientScope::new(client).held_to(narrowed, None);
            scope.may_read_contracts()
        };
        let some = client("c", "k", &["a.*"], &["t.x"]);
        let admin = Client {
            admin: true,
            ..client("c", "k", &[], &[])
        };
        let metrics = Client {
            metrics: true,
            ..client("c", "k", &[], &[])
        };
        assert!(of(&some, None) && of(&admin, None));
        assert!(of(&some, Some("subscribe")) && of(&some, Some("publish")));
        assert!(of(&some, Some("publish:a.b.*:t.*")) && of(&some, Some("publish:*:*")));
        assert!(of(&admin, Some("admin")));
        for (client, words) in [
            (&some, "openid profile"),
            (&some, "metrics admin"),
            (&some, "publish:a:t.x publish:b.*:* publish:a.b:t.y"),
            (&admin, "publish subscribe"),
        ] {
            assert!(!of(client, Some(words)), "{words}");
        }
        for nothing in [
            metrics,
            client("c", "k", &["*"], &[]),
            client("c", "k", &[], &["*"]),
        ] {
            assert!(!of(&nothing, None), "{nothing:?}");
        }
    }

    #[test]
    fn it_is_told_apart_whether_a_token_or_its_client_lacks_something() {
        let admin = Client {
            admin: true,
            ..client("c", "k", &[], &[])
        };
        let admin = Arc::new(ClientScope::new(&admin));
        let narrowed = admin.held_to(Some(Narrowed::read(["publish"].into_iter())), None);
        assert!(narrowed.is_held_back(ClientScope::is_admin));
        assert!(!narrowed.is_held_back(|client| client.may_publish("a", "t.x")));
        assert!(!admin.is_held_back(ClientScope::is_admin));
    }

    #[test]
    fn a_token_takes_away_and_never_gives() {
        let narrow = |client: &Client, words: &str| {
            ClientScope::new(client).held_to(Some(Narrowed::read(words.split(' '))), None)
        };
        let plain = client("c", "k", &["a.*"], &["t.*"]);
        let admin = Client {
            admin: true,
            ..plain.clone()
        };
        assert!(narrow(&plain, "publish:a.b:t.x").may_publish("a.b", "t.x"));
        assert!(narrow(&plain, "publish").may_publish("a.b", "t.x"));
        assert!(narrow(&plain, "publish:a.b").may_publish("a.b", "t.y"));
        for (words, source, event_type) in [
            ("", "a.b", "t.x"),
            ("openid profile", "a.b", "t.x"),
            ("subscribe admin", "a.b", "t.x"),
            ("publish:a.b:t.x", "a.c", "t.x"),
            ("publish:a.b:t.x", "a.b", "t.y"),
            ("publish:*:*", "b", "t.x"),
            ("publish:*:*", "a.b", "u"),
            ("publish:", "a.b", "t.x"),
            ("publish:*.b:*", "a.b", "t.x"),
            ("Publish:*:*", "a.b", "t.x"),
        ] {
            let scope = narrow(&plain, words);
            assert!(
                !scope.may_publish(source, event_type),
                "{words} {source} {event_type}"
            );
        }
        assert!(narrow(&plain, "subscribe").covers("a.b", "t.x"));
        assert!(narrow(&plain, "subscribe").may_subscribe());
        assert!(!narrow(&plain, "publish").may_subscribe());
        assert!(!narrow(&plain, "subscribe").covers("b", "t.x"));
        assert!(!narrow(&plain, "admin").is_admin());
        assert!(!narrow(&admin, "publish subscribe").is_admin());
        assert!(narrow(&admin, "admin").is_admin());
        let scraper = Client {
            metrics: true,
            ..plain.clone()
        };
        assert!(narrow(&scraper, "metrics").may_read_metrics());
        assert!(narrow(&admin, "admin").may_read_metrics());
        assert!(!narrow(&scraper, "publish subscribe").may_read_metrics());
        assert!(!narrow(&plain, "metrics admin").may_read_metrics());
        assert!(!narrow(&admin, "metrics").may_read_metrics());
    }
}
