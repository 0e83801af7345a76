//! Which of the traces that begin here are kept: receives each as it begins, answers whether it is. A part of them, and
//! no more than so many a second, so that a flood of events leaves some traces whole rather than pieces of all.

use std::sync::Arc;

use opentelemetry::trace::{Link, SpanKind, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};

use super::config::Config;
use crate::quota::{Bucket, Quota, now};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    part: Sampler,
    rate: Arc<Bucket>,
}

impl Begun {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            part: Sampler::TraceIdRatioBased(config.sample),
            rate: Arc::new(Bucket::new(Quota::new(f64::from(config.per_second), None))),
        }
    }
}

impl ShouldSample for Begun {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let chosen = self
            .part
            .should_sample(parent, trace, name, kind, attributes, links);
        match chosen.decision {
            SamplingDecision::RecordAndSample if self.rate.take(now()).is_err() => SamplingResult {
                decision: SamplingDecision::Drop,
                ..chosen
            },
            _ => chosen,
        }
    }
}
