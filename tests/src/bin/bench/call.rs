//! What crossing the plugin interface costs, against calling the same code directly.

use std::error::Error;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Instant;

use futures_util::future::try_join_all;
use nexus_plugin_api::abi::{CallV1, EventV1, HostV1, PluginV1};
use nexus_plugin_api::prelude::*;
use nexus_plugin_api::testing::Bench;
use nexus_plugin_api::wire::{Init, Isolation};

use crate::report::{Effort, Goal, Report};
use crate::serve::noop;

/// Calls at once, where several are.
const AT_ONCE: usize = 64;

pub(crate) async fn measure(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    report.extent = format!("{} rounds of {} calls", effort.rounds, effort.calls);
    let event = event();
    let inline = start(Isolation::Inline)?;
    let thread = start(Isolation::Thread)?;
    // What a plugin's runtime is, with nothing of a plugin in it.
    let bare = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()?;
    let hops = effort.calls / 50;
    let mut taken = [(); 6].map(|()| Vec::new());
    for _ in 0..effort.rounds {
        let direct = nanos(effort.calls, || direct(&event))?;
        let crossed = nanos(effort.calls, || cross(&inline, &event))?;
        let hop = async || bare.spawn(async {}).await.map_err(lost);
        let call = async || process(&thread, &event).await;
        let hop_alone = nanos_of(hops, 1, hop).await?;
        let call_alone = nanos_of(hops, 1, call).await?;
        let hop_of_many = nanos_of(hops, AT_ONCE, hop).await?;
        let call_of_many = nanos_of(hops, AT_ONCE, call).await?;
        let round = [
            direct,
            crossed - direct,
            call_alone - direct,
            hop_alone,
            call_of_many - direct,
            hop_of_many,
        ];
        for (figure, figures) in round.into_iter().zip(&mut taken) {
            figures.push(figure);
        }
    }
    bare.shutdown_background();
    for ((name, goal), figures) in [
        ("call: direct", None),
        ("call: added by inline", Some(Goal::AtMost(250.0))),
        (
            "call: added by thread, one at a time",
            Some(Goal::AtMost(10000.0)),
        ),
        ("call: of it a task on another runtime", None),
        (
            "call: added by thread, 64 at once",
            Some(Goal::AtMost(10000.0)),
        ),
        ("call: of it a task on another runtime, 64 at once", None),
    ]
    .into_iter()
    .zip(taken)
    {
        report.add(name, "ns", figures, goal);
    }
    Ok(())
}

fn lost(error: tokio::task::JoinError) -> PluginError {
    PluginError::permanent("lost", error)
}

/// As [`nanos`], of calls that may wait, so many at once.
async fn nanos_of<T>(
    calls: usize,
    at_once: usize,
    call: impl AsyncFn() -> Result<T, PluginError>,
) -> Result<f64, PluginError> {
    let started = Instant::now();
    for _ in 0..calls / at_once {
        let all = (0..at_once).map(|_| call());
        black_box(try_join_all(all).await?);
    }
    Ok(started.elapsed().as_secs_f64() * 1e9 / (calls / at_once * at_once) as f64)
}

/// Calls the processor as a host would that has it as a plain dependency.
fn direct(event: &Event) -> Result<(), PluginError> {
    thread_local! {
        static CONTEXT: Context = Bench::new().context();
    }
    CONTEXT.with(|context| {
        let work = pin!(noop::Noop.process(context, event.clone()));
        at_once(work)?.map(|outcome| drop(black_box(outcome)))
    })
}

fn cross(plugin: &PluginV1, event: &Event) -> Result<(), PluginError> {
    at_once(pin!(process(plugin, event)))?
}

async fn process(plugin: &PluginV1, event: &Event) -> Result<(), PluginError> {
    let call = CallV1 {
        component: 0,
        attempt: 1,
        deadline_ms: 30_000,
        event_id: event.event_id.into_bytes(),
        idempotency_key: "".into(),
        correlation_id: "".into(),
        traceparent: "".into(),
        extra: (&[][..]).into(),
    };
    let answer = plugin.process(&call, &borrowed(event)).await;
    answer.map(|_| ()).map_err(PluginError::from_abi)
}

fn borrowed(event: &Event) -> EventV1<'_> {
    EventV1 {
        event_id: event.event_id.into_bytes(),
        event_type: event.event_type.as_str().into(),
        source: event.source.as_str().into(),
        timestamp_secs: event.timestamp.timestamp(),
        timestamp_nanos: event.timestamp.timestamp_subsec_nanos(),
        priority: event.priority as u8,
        contract_version: "1.0.0".into(),
        correlation_id: "".into(),
        causation_id: "".into(),
        partition_key: "".into(),
        expires_at: "".into(),
        traceparent: "".into(),
        tracestate: "".into(),
        payload: event.payload.as_slice().into(),
    }
}

/// Polls once: what is measured is ready at once.
fn at_once<T>(work: std::pin::Pin<&mut impl Future<Output = T>>) -> Result<T, PluginError> {
    match work.poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => Err(PluginError::permanent("pending", "the no-op waited")),
    }
}

fn nanos(
    calls: usize,
    mut call: impl FnMut() -> Result<(), PluginError>,
) -> Result<f64, PluginError> {
    let started = Instant::now();
    for _ in 0..calls {
        call()?;
    }
    Ok(started.elapsed().as_secs_f64() * 1e9 / calls as f64)
}

fn start(isolation: Isolation) -> Result<PluginV1, PluginError> {
    let init = serde_json::to_vec(&Init {
        config: json!({}),
        isolation,
        linked: true,
    })?;
    let (_, root) = noop::plugin().into_parts();
    let started = root.start()(HostV1::new(Arc::new(Silent)), init.as_slice().into());
    started.into_result().map_err(PluginError::from_abi)
}

fn event() -> Event {
    let note = "x".repeat(1_000);
    let payload = RawJson::of(&json!({ "note": note })).expect("JSON");
    Event::new("bench.noted", "bench", payload)
}

/// A host that is never asked.
struct Silent;

impl nexus_plugin_api::abi::HostService for Silent {
    fn enabled(&self, _: u8, _: &str) -> bool {
        false
    }
    fn log(&self, _: &nexus_plugin_api::abi::RecordV1<'_>) {}
    fn call(&self, _: u32, _: &[u8], _: &[u8]) -> nexus_plugin_api::abi::FutureV1 {
        nexus_plugin_api::abi::FutureV1::ready(Ok(Default::default()))
    }
}
