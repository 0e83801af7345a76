//! Which processors an event goes to, be they of plugins or routes. Cost does not grow with the number of
//! subscriptions, only with how many of them match.

use std::collections::HashMap;
use std::sync::Arc;

/// Subscriptions, looked up by type.
#[derive(Debug, Default)]
pub struct Subscriptions {
    exact: HashMap<String, Vec<Subscriber>>,
    /// By what precedes `.*`; the empty text stands for every type.
    below: HashMap<String, Vec<Subscriber>>,
}

#[derive(Debug, Clone)]
struct Subscriber {
    processor: Arc<str>,
    source: Option<String>,
}

impl Subscriptions {
    /// Adds a subscription as a manifest writes it: `type` or `type@source`.
    pub fn add(&mut self, subscription: &str, processor: &Arc<str>) {
        let (event_type, source) = match subscription.split_once('@') {
            Some((event_type, source)) => (event_type, Some(source.to_owned())),
            None => (subscription, None),
        };
        let subscriber = Subscriber {
            processor: processor.clone(),
            source: source.filter(|source| source != "*"),
        };
        let (map, key) = match event_type.strip_suffix(".*") {
            Some(prefix) => (&mut self.below, prefix),
            None if event_type == "*" => (&mut self.below, ""),
            None => (&mut self.exact, event_type),
        };
        map.entry(key.to_owned()).or_default().push(subscriber);
    }

    /// The subscribers of an event, sorted, each once.
    pub fn of(&self, event_type: &str, source: &str) -> Vec<Arc<str>> {
        let mut found = Vec::new();
        let mut take = |subscribers: Option<&Vec<Subscriber>>| {
            for subscriber in subscribers.into_iter().flatten() {
                if subscriber.wants(source) {
                    found.push(subscriber.processor.clone());
                }
            }
        };
        take(self.exact.get(event_type));
        take(self.below.get(""));
        for (end, _) in event_type.match_indices('.') {
            take(self.below.get(&event_type[..end]));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl Subscriber {
    fn wants(&self, source: &str) -> bool {
        match self.source.as_deref() {
            None => true,
            Some(wanted) => match wanted.strip_suffix(".*") {
                Some(prefix) => source
                    .strip_prefix(prefix)
                    .is_some_and(|rest| rest.starts_with('.')),
                None => wanted == source,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(subscriptions: &[(&str, &str)]) -> Subscriptions {
        let mut all = Subscriptions::default();
        for (subscription, processor) in subscriptions {
            all.add(subscription, &Arc::from(*processor));
        }
        all
    }

    fn of(routes: &Subscriptions, event_type: &str, source: &str) -> Vec<String> {
        routes
            .of(event_type, source)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn exact_prefix_all_and_source() {
        let routes = all(&[
            ("parrot.notification.captured", "c"),
            ("parrot.*", "b"),
            ("*", "a"),
            ("parrot.*@desk.*", "d"),
            ("parrot.notification.captured@laptop", "e"),
        ]);
        assert_eq!(
            of(&routes, "parrot.notification.captured", "x"),
            ["a", "b", "c"]
        );
        assert_eq!(of(&routes, "parrot.other", "desk.left"), ["a", "b", "d"]);
        assert_eq!(
            of(&routes, "parrot.notification.captured", "laptop"),
            ["a", "b", "c", "e"]
        );
        assert_eq!(of(&routes, "parrotx.other", "x"), ["a"]);
        assert_eq!(of(&routes, "parrot", "x"), ["a"]);
        assert_eq!(of(&routes, "parrot.other", "desktop.left"), ["a", "b"]);
    }

    #[test]
    fn two_matching_subscriptions_show_an_event_once() {
        let routes = all(&[("a.*", "p"), ("a.b", "p")]);
        assert_eq!(of(&routes, "a.b", "x"), ["p"]);
    }
}
