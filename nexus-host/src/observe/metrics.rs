//! What is counted, as Prometheus reads it: asks those who count, hands on one text. It counts nothing
//! itself, so whoever counts pays nothing for being read; names, labels and help stand here and nowhere else.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeMetric, MetricEncoder, prometheus_text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry;

/// Who knows the counts. Each is given one at a time, as it stands at that moment.
pub trait Counts: Send + Sync + 'static {
    /// The versions of contracts.
    fn contracts(&self, each: &mut dyn FnMut(ContractUse<'_>));

    /// What became of events, by the door at which they came.
    fn events(&self, each: &mut dyn FnMut(EventCount));

    /// Attempts to be let in that failed, by why.
    fn failed_attempts(&self, each: &mut dyn FnMut(&'static str, u64));

    /// Refusals because something came too often, by whose rate it was.
    fn rate_limited(&self, each: &mut dyn FnMut(&'static str, u64));
}

/// How many events of one version of a contract were taken.
#[derive(Debug, Clone, Copy)]
pub struct ContractUse<'a> {
    /// The type.
    pub event_type: &'a str,
    /// The version that was sent.
    pub version: &'a str,
    /// Whether it should not be sent any more.
    pub is_deprecated: bool,
    /// How many.
    pub count: u64,
}

/// How many events at one door came to the same.
#[derive(Debug, Clone, Copy)]
pub struct EventCount {
    /// The door.
    pub door: &'static str,
    /// What became of them: `accepted`, `duplicate`, or the code of the refusal.
    pub result: &'static str,
    /// How many.
    pub count: u64,
}

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics(Registry);

impl Metrics {
    /// The media type of the text.
    pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

    /// What these counts are.
    pub fn new(counts: Arc<dyn Counts>) -> Self {
        let mut registry = Registry::with_prefix("nexus");
        registry.register_collector(Box::new(Families(counts)));
        Self(registry)
    }

    /// The counts as they are now, in the text format of Prometheus (0.0.4).
    ///
    /// # Errors
    /// When a text cannot be written, which a `String` always can.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.0)?;
        Ok(text)
    }
}

struct Families(Arc<dyn Counts>);

impl fmt::Debug for Families {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Families(..)")
    }
}

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counts = &self.0;
        let help = "Events of each contract version that were taken, by the version that was sent";
        let mut uses = Family::begin(&mut encoder, "contract_events", help)?;
        counts.contracts(&mut |one| {
            let deprecated = if one.is_deprecated { "true" } else { "false" };
            let labels = [
                ("type", one.event_type),
                ("version", one.version),
                ("deprecated", deprecated),
            ];
            uses.add(labels, one.count);
        });
        uses.written?;

        let help = "Events by the door at which they came and what became of them: accepted, \
                    duplicate, or the code of the refusal";
        let mut events = Family::begin(&mut encoder, "events", help)?;
        counts.events(&mut |one| {
            events.add([("door", one.door), ("result", one.result)], one.count);
        });
        events.written?;

        let help = "Attempts to be let in that failed, by why";
        let mut attempts = Family::begin(&mut encoder, "auth_failures", help)?;
        counts.failed_attempts(&mut |reason, count| attempts.add([("reason", reason)], count));
        attempts.written?;

        let help = "Events and failed attempts to sign in that were refused because they came too \
                    often, by whose rate was used up";
        let mut limited = Family::begin(&mut encoder, "rate_limited", help)?;
        counts.rate_limited(&mut |scope, count| limited.add([("scope", scope)], count));
        limited.written
    }
}

/// Counters of one name.
struct Family<'e> {
    metric: MetricEncoder<'e>,
    written: fmt::Result,
}

impl<'e> Family<'e> {
    fn begin(
        encoder: &'e mut DescriptorEncoder<'_>,
        name: &'e str,
        help: &'e str,
    ) -> Result<Self, fmt::Error> {
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        let written = Ok(());
        Ok(Self { metric, written })
    }

    fn add<const N: usize>(&mut self, labels: [(&str, &str); N], count: u64) {
        self.written = self.written.and_then(|()| {
            let counter = self.metric.encode_family(&labels)?;
            ConstCounter::new(count).encode(counter)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Few;

    impl Counts for Few {
        fn contracts(&self, each: &mut dyn FnMut(ContractUse<'_>)) {
            each(ContractUse {
                event_type: "a\"b\\\nc",
                version: "1.0.0",
                is_deprecated: true,
                count: 3,
            });
        }

        fn events(&self, each: &mut dyn FnMut(EventCount)) {
            for (result, count) in [("accepted", 2), ("duplicate", 0)] {
                each(EventCount {
                    door: "http",
                    result,
                    count,
                });
            }
        }

        fn failed_attempts(&self, each: &mut dyn FnMut(&'static str, u64)) {
            each("unknown_key", u64::MAX);
        }

        fn rate_limited(&self, _: &mut dyn FnMut(&'static str, u64)) {}
    }

    #[test]
    fn counts_become_lines_and_a_label_cannot_break_out_of_its_own() {
        let text = Metrics::new(Arc::new(Few)).text().unwrap();
        for line in [
            "# TYPE nexus_contract_events_total counter",
            r#"nexus_contract_events_total{type="a\"b\\\nc",version="1.0.0",deprecated="true"} 3"#,
            r#"nexus_events_total{door="http",result="accepted"} 2"#,
            r#"nexus_events_total{door="http",result="duplicate"} 0"#,
            r#"nexus_auth_failures_total{reason="unknown_key"} 18446744073709551615"#,
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
    }
}
