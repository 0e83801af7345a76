//! Which of the traces that begin here are kept: receives each as it begins, answers whether it is. A part of them, and
//! no more than so many a second, so that a flood of events leaves some traces whole rather than pieces of all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
    left_out: Arc<AtomicU64>,
}

impl Begun {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            part: Sampler::TraceIdRatioBased(config.sample),
            rate: Arc::new(Bucket::new(Quota::new(f64::from(config.per_second), None))),
            left_out: Arc::default(),
        }
    }

    /// How many were not kept since there were too many in a second.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
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
        if chosen.decision != SamplingDecision::RecordAndSample || self.rate.take(now()).is_ok() {
            return chosen;
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        SamplingResult {
            decision: SamplingDecision::Drop,
            ..chosen
        }
    }
}
