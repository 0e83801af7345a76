//! What is written for one scrape: receives values by family, hands on the text. It keeps to the families' labels, and
//! counts nothing.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::families::{Family, Kind, Label};
use crate::observe::Durations;

/// See the module.
pub struct Sheet<'s, 'e> {
    encoder: &'s mut DescriptorEncoder<'e>,
    pub(super) written: fmt::Result,
}

/// The series of one family.
pub struct Series<'e, const N: usize> {
    metric: MetricEncoder<'e>,
    kind: Kind,
    labels: &'static [Label; N],
    written: fmt::Result,
}

/// A number, as it is.
#[derive(Debug, Clone, Copy)]
pub enum Value {
    /// A whole one.
    Whole(u64),
    /// Any other.
    Real(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Whole(u64::try_from(value).unwrap_or(u64::MAX))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Whole(u64::from(value))
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl<'s, 'e> Sheet<'s, 'e> {
    pub(super) fn new(encoder: &'s mut DescriptorEncoder<'e>) -> Self {
        let written = Ok(());
        Self { encoder, written }
    }

    /// Writes a family down, with all of its series: each family once.
    pub fn family<const N: usize>(
        &mut self,
        family: &'static Family<N>,
        tell: impl FnOnce(&mut Series<'_, N>),
    ) {
        if self.written.is_ok() {
            self.written = self.write(family, tell);
        }
    }

    /// Writes a family down that has one series only.
    pub fn one(&mut self, family: &'static Family<0>, value: impl Into<Value>) {
        self.family(family, |series| series.add([], value));
    }

    fn write<const N: usize>(
        &mut self,
        family: &'static Family<N>,
        tell: impl FnOnce(&mut Series<'_, N>),
    ) -> fmt::Result {
        let (kind, name) = match family.kind {
            // The encoder adds what a counter's name ends with.
            Kind::Counter => {
                let name = family.name.strip_suffix("_total");
                (MetricType::Counter, name.unwrap_or(family.name))
            }
            Kind::Gauge => (MetricType::Gauge, family.name),
            Kind::Histogram => (MetricType::Histogram, family.name),
        };
        let metric = (self.encoder).encode_descriptor(name, family.help, None, kind)?;
        let mut series = Series {
            metric,
            kind: family.kind,
            labels: &family.labels,
            written: Ok(()),
        };
        tell(&mut series);
        series.written
    }
}

impl<const N: usize> Series<'_, N> {
    /// One with these values of the labels, in the family's order.
    pub fn add(&mut self, labels: [&str; N], value: impl Into<Value>) {
        let (kind, value) = (self.kind, value.into());
        self.put(labels, |metric| match (kind, value) {
            (Kind::Gauge, Value::Whole(value)) => ConstGauge::new(value).encode(metric),
            (Kind::Gauge, Value::Real(value)) => ConstGauge::new(value).encode(metric),
            (_, Value::Whole(value)) => ConstCounter::new(value).encode(metric),
            (_, Value::Real(value)) => ConstCounter::new(value).encode(metric),
        });
    }

    /// The same of a histogram.
    pub fn durations(&mut self, labels: [&str; N], durations: &Durations) {
        let end =
            |end: Option<std::time::Duration>| end.map_or(f64::INFINITY, |end| end.as_secs_f64());
        let steps = durations.steps().map(|(step, count)| (end(step), count));
        let steps: Vec<_> = steps.collect();
        let (sum, count) = (durations.sum().as_secs_f64(), durations.count());
        self.put(labels, |mut metric| {
            metric.encode_histogram::<NoLabelSet>(sum, count, &steps, None)
        });
    }

    fn put(&mut self, values: [&str; N], encode: impl FnOnce(MetricEncoder<'_>) -> fmt::Result) {
        if self.written.is_err() {
            return;
        }
        let labels: [(&str, &str); N] =
            std::array::from_fn(|place| (self.labels[place].name, values[place]));
        self.written = self.metric.encode_family(&labels).and_then(encode);
    }
}
