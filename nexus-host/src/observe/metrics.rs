//! What is counted and measured, as Prometheus reads it: asks whoever knows, hands on one text. It counts nothing
//! itself, so whoever counts pays nothing for being read.

pub mod families;
mod sheet;

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text};
use prometheus_client::registry::Registry;

pub use families::{About, Kind, Label};
pub use sheet::{Series, Sheet, Value};

/// Who knows the values.
pub trait Counts: Send + Sync + 'static {
    /// Writes down every family, as it stands at that moment.
    fn tell(&self, sheet: &mut Sheet<'_, '_>);
}

/// Everything that is counted and measured.
#[derive(Debug)]
pub struct Metrics(Registry);

impl Metrics {
    /// The media type of the text.
    pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

    /// What these counts are.
    pub fn new(counts: Arc<dyn Counts>) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Told(counts)));
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

struct Told(Arc<dyn Counts>);

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Told(..)")
    }
}

impl Collector for Told {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut sheet = Sheet::new(&mut encoder);
        self.0.tell(&mut sheet);
        sheet.written
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::*;
    use crate::observe::Histogram;

    struct Few;

    impl Counts for Few {
        fn tell(&self, sheet: &mut Sheet<'_, '_>) {
            sheet.family(&families::CONTRACT_EVENTS, |series| {
                series.add(["a\"b\\\nc", "1.0.0", "true"], 3_u64);
            });
            sheet.family(&families::EVENTS, |series| {
                series.add(["http", "accepted"], 2_u64);
                series.add(["http", "duplicate"], 0_u64);
            });
            sheet.family(&families::AUTH_FAILURES, |series| {
                series.add(["unknown_key"], u64::MAX);
            });
            sheet.one(&families::DEPTH, 7_usize);
            sheet.one(&families::PROCESS_CPU, 1.25);
            let histogram = Histogram::new();
            histogram.add(Duration::from_millis(30));
            sheet.family(&families::QUEUE_WAIT, |series| {
                series.durations(["high"], &histogram.counted());
            });
        }
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
            "nexus_queue_depth 7",
            "process_cpu_seconds_total 1.25",
            "# TYPE nexus_queue_wait_seconds histogram",
            r#"nexus_queue_wait_seconds_bucket{priority="high",le="0.025"} 0"#,
            r#"nexus_queue_wait_seconds_bucket{priority="high",le="0.05"} 1"#,
            r#"nexus_queue_wait_seconds_bucket{priority="high",le="+Inf"} 1"#,
            r#"nexus_queue_wait_seconds_sum{priority="high"} 0.03"#,
            r#"nexus_queue_wait_seconds_count{priority="high"} 1"#,
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
    }

    #[test]
    fn every_family_has_a_name_of_its_own_that_tells_its_kind() {
        let mut names = HashSet::new();
        for about in families::ALL.iter().flat_map(|(_, families)| *families) {
            assert!(names.insert(about.name), "{} is there twice", about.name);
            let is_total = about.name.ends_with("_total");
            assert_eq!(is_total, about.kind == Kind::Counter, "{}", about.name);
            assert!(!about.help.ends_with('.'), "{}", about.name);
        }
    }
}
