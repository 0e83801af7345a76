//! Traces: receives what rooms begin and end, hands on spans to a collector. Where there is no collector nothing is
//! made, and to ask costs one branch.
//!
//! Spans keep to OpenTelemetry's semantic conventions 1.37.0 for messaging, HTTP and RPC. They hold names, numbers and
//! ids, and never a payload.

pub mod config;
mod export;
mod outbox;
mod sampler;
mod spans;

use std::future::Future;
use std::sync::Arc;

use nexus_plugin_api::Event;
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, SpanLimits};
use tokio::time::Instant;
use tonic::Code;

pub use config::Config;
pub use export::check_files;
pub use outbox::SpanCounts;
pub(crate) use spans::OTHER;

use export::Exporter;
use outbox::Outbox;
use sampler::Begun;
use spans::Told;

/// Attributes of a span, events in it and links from it. No span needs more.
const MOST: u32 = 32;

/// Characters of a code that a plugin chose.
const LONGEST: usize = 128;

/// Makes spans, or none. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    tracer: SdkTracer,
    // The tracer holds it weakly.
    _provider: SdkTracerProvider,
    outbox: Outbox,
    begun: Begun,
}

/// Something that takes its time, from when it is made until it is dropped. None where nothing is traced.
#[derive(Debug)]
pub struct Span(Option<Traced>);

/// A span of a trace, and of one that is not kept only where it stands: what follows is not kept either then.
#[derive(Debug)]
enum Traced {
    Kept(Box<opentelemetry_sdk::trace::Span>),
    Passed(SpanContext),
}

/// What is being received, as far as it is traced: whatever is sent on meanwhile belongs to it.
#[derive(Clone, Debug)]
pub(crate) struct Receiving {
    /// Where the request says that it comes from.
    parent: Option<String>,
    own: SpanContext,
}

tokio::task_local! {
    static RECEIVING: Receiving;
}

impl Tracer {
    /// Sends to the collector of `config`, from a task of its own; nothing where it names none.
    ///
    /// # Errors
    /// When it cannot be set up so: an address, a header, the authorities.
    pub fn new(config: &Config) -> Result<Self, String> {
        let Some(endpoint) = &config.endpoint else {
            return Ok(Self::default());
        };
        let resource = Resource::builder_empty()
            .with_attribute(KeyValue::new("service.name", config.service_name.clone()))
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let exporter = Exporter::new(endpoint, config, &resource)?;
        let (outbox, sender) = Outbox::open(config, exporter);
        let limits = SpanLimits {
            max_attributes_per_span: MOST,
            max_attributes_per_event: MOST,
            max_attributes_per_link: MOST,
            max_events_per_span: MOST,
            max_links_per_span: MOST,
        };
        let begun = Begun::new(config);
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(begun.clone())))
            .with_span_limits(limits)
            .with_resource(resource)
            .with_span_processor(sender)
            .build();
        Ok(Self(Some(Arc::new(Inner {
            tracer: provider.tracer("nexus"),
            _provider: provider,
            outbox,
            begun,
        }))))
    }

    /// Whether there are spans at all.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// What has become of spans.
    pub fn counts(&self) -> SpanCounts {
        let counts = self.0.as_ref().map(|inner| inner.outbox.counts());
        counts.unwrap_or_default()
    }

    /// How many traces were not kept since there were too many in a second.
    pub fn left_out(&self) -> u64 {
        self.0.as_ref().map_or(0, |inner| inner.begun.left_out())
    }

    /// Sends what waits, and takes no more.
    pub(crate) async fn flush(&self, deadline: Instant) {
        if let Some(inner) = &self.0 {
            inner.outbox.close(deadline).await;
        }
    }

    fn begin<T: FnOnce() -> Told>(&self, begin: impl FnOnce() -> spans::Begin<T>) -> Span {
        let Some(inner) = &self.0 else {
            return Span(None);
        };
        let spans::Begin { kind, parent, told } = begin();
        let parent = match parent {
            Some(parent) if !parent.is_sampled() => return Span(Some(Traced::Passed(parent))),
            Some(parent) => Context::new().with_remote_span_context(parent),
            None => Context::new(),
        };
        let builder = inner.tracer.span_builder("").with_kind(kind);
        let mut span = builder.start_with_context(&inner.tracer, &parent);
        if !span.is_recording() {
            return Span(Some(Traced::Passed(span.span_context().clone())));
        }
        let Told {
            name,
            link,
            attributes,
        } = told();
        span.update_name(name);
        span.set_attributes(attributes);
        if let Some(link) = link.filter(SpanContext::is_sampled) {
            span.add_link(link, Vec::new());
        }
        Span(Some(Traced::Kept(Box::new(span))))
    }
}

impl Span {
    /// The W3C `traceparent` of what follows from it.
    pub fn traceparent(&self) -> Option<String> {
        Some(written(self.context()?))
    }

    /// Where it stands in its trace.
    fn context(&self) -> Option<&SpanContext> {
        match self.0.as_ref()? {
            Traced::Kept(span) => Some(span.span_context()),
            Traced::Passed(context) => Some(context),
        }
    }

    /// Itself, where what becomes of it is told.
    fn kept(&mut self) -> Option<&mut opentelemetry_sdk::trace::Span> {
        match self.0.as_mut()? {
            Traced::Kept(span) => Some(span),
            Traced::Passed(_) => None,
        }
    }

    /// It has ended in a failure of this code.
    pub(crate) fn failed(&mut self, code: &str) {
        if let Some(span) = self.kept() {
            let code: String = code.chars().take(LONGEST).collect();
            span.set_attribute(KeyValue::new("error.type", code.clone()));
            span.set_status(Status::error(code));
        }
    }

    /// Some of its work goes to the dead letters.
    pub(crate) fn buried(&mut self, reason: &str) {
        if let Some(span) = self.kept() {
            let reason: String = reason.chars().take(LONGEST).collect();
            span.add_event(
                "nexus.dead_letter",
                vec![KeyValue::new("nexus.reason", reason)],
            );
        }
    }

    /// The answer has this status of HTTP.
    pub(crate) fn answered(&mut self, status: u16) {
        if let Some(span) = self.kept() {
            span.set_attribute(KeyValue::new(
                "http.response.status_code",
                i64::from(status),
            ));
            if status >= 500 {
                self.failed(&status.to_string());
            }
        }
    }

    /// The answer has this status of gRPC.
    pub(crate) fn answered_grpc(&mut self, status: Code) {
        if let Some(span) = self.kept() {
            let number = i64::from(i32::from(status));
            span.set_attribute(KeyValue::new("rpc.grpc.status_code", number));
            let is_own = matches!(
                status,
                Code::Unknown
                    | Code::DeadlineExceeded
                    | Code::Unimplemented
                    | Code::Internal
                    | Code::Unavailable
                    | Code::DataLoss
            );
            if is_own {
                self.failed(&number.to_string());
            }
        }
    }

    /// Receives by `work`, to which whatever is sent on meanwhile belongs.
    pub(crate) async fn receive<T>(
        &self,
        parent: Option<&str>,
        work: impl Future<Output = T>,
    ) -> T {
        let Some(context) = self.context() else {
            return work.await;
        };
        let receiving = Receiving {
            parent: parent.map(str::to_owned),
            own: context.clone(),
        };
        RECEIVING.scope(receiving, work).await
    }
}

/// The W3C `traceparent` of what the task at hand is receiving.
pub(crate) fn receiving_in() -> Option<String> {
    receiving().map(|receiving| written(&receiving.own))
}

fn written(context: &SpanContext) -> String {
    let trace_id = context.trace_id().to_bytes();
    let span_id = context.span_id().to_bytes();
    let flags = [context.trace_flags().to_u8()];
    let mut text = [b'-'; 55];
    text[..2].copy_from_slice(b"00");
    for (place, bytes) in [(3..35, &trace_id[..]), (36..52, &span_id), (53..55, &flags)] {
        // There is room for twice as many digits as bytes.
        let _ = hex::encode_to_slice(bytes, &mut text[place]);
    }
    String::from_utf8(text.to_vec()).unwrap_or_default()
}

/// What the task at hand is receiving.
fn receiving() -> Option<Receiving> {
    RECEIVING.try_with(Receiving::clone).ok()
}

/// By W3C's shape: `version-trace-parent-flags` in lower-case hexadecimal, ids not all zeros.
/// A later version may go on after a further hyphen.
pub(crate) fn is_traceparent(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some(head) = bytes.first_chunk::<55>() else {
        return false;
    };
    let (trace_id, span_id) = (&head[3..35], &head[36..52]);
    // Every event has one, so this is to be quick: no branch at each digit.
    let is_hex = |part: &[u8]| {
        let digit = |b: &u8| b.is_ascii_digit() | (b'a'..=b'f').contains(b);
        part.iter().fold(true, |all, b| all & digit(b))
    };
    let is_zero = |part: &[u8]| part.iter().fold(0, |any, b| any | (b ^ b'0')) == 0;
    let has_shape = [2, 35, 52].iter().all(|at| head[*at] == b'-')
        && [&head[..2], trace_id, span_id, &head[53..]]
            .into_iter()
            .all(is_hex);
    let ends = match &head[..2] {
        b"ff" => false,
        b"00" => bytes.len() == 55,
        _ => bytes.len() == 55 || (bytes.len() <= 512 && bytes[55] == b'-'),
    };
    has_shape && ends && !is_zero(trace_id) && !is_zero(span_id)
}

/// Reads a `traceparent`; what is none belongs to no trace.
fn context_of(traceparent: &str, tracestate: Option<&str>) -> Option<SpanContext> {
    // Where its parts are.
    if !is_traceparent(traceparent) {
        return None;
    }
    let (mut trace_id, mut span_id, mut flags) = ([0; 16], [0; 8], [0; 1]);
    hex::decode_to_slice(&traceparent[3..35], &mut trace_id).ok()?;
    hex::decode_to_slice(&traceparent[36..52], &mut span_id).ok()?;
    hex::decode_to_slice(&traceparent[53..55], &mut flags).ok()?;
    let state = tracestate.and_then(|state| state.parse::<TraceState>().ok());
    let context = SpanContext::new(
        TraceId::from_bytes(trace_id),
        SpanId::from_bytes(span_id),
        TraceFlags::new(flags[0]) & TraceFlags::SAMPLED,
        true,
        state.unwrap_or_default(),
    );
    context.is_valid().then_some(context)
}

/// Where an event stands in its trace.
fn context_of_event(event: &Event) -> Option<SpanContext> {
    context_of(event.traceparent.as_deref()?, event.tracestate.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";

    #[test]
    fn what_is_read_is_written_again() {
        for flags in ["00", "01"] {
            let text = format!("{TRACE}-{flags}");
            let context = context_of(&text, Some("a=b")).unwrap();
            assert_eq!(written(&context), text);
            assert_eq!(context.is_sampled(), flags == "01");
            assert_eq!(context.trace_state().get("a"), Some("b"));
        }
        let later = format!("cc-{}-09-what-follows", &TRACE[3..]);
        assert!(context_of(&later, None).unwrap().is_sampled());
    }

    #[test]
    fn what_is_no_context_belongs_to_no_trace() {
        let none = format!("00-{}-{}-01", "0".repeat(32), "0".repeat(16));
        let signed = format!("00-+{}-{}-01", "1".repeat(31), "1".repeat(16));
        let upper = format!("{}-01", TRACE.to_uppercase());
        let never = format!("ff-{}-01", &TRACE[3..]);
        for bad in [
            "", "nonsense", TRACE, &none, "x-1-1-1", &signed, &upper, &never,
        ] {
            assert_eq!(context_of(bad, None), None, "{bad:?}");
        }
    }

    #[test]
    fn without_a_collector_there_is_nothing() {
        let tracer = Tracer::new(&Config::default()).unwrap();
        let event = Event::new("a.b", "c", nexus_plugin_api::RawJson::from_checked("{}"));
        let span = tracer.send(&event);
        assert!(!tracer.is_on() && span.0.is_none());
        assert_eq!(
            (span.traceparent(), tracer.counts()),
            (None, SpanCounts::default())
        );
    }
}
