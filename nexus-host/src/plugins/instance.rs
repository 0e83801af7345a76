//! One running plugin: typed calls out, replies in, and a component built anew after a panic.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use nexus_plugin_api::abi::{
    AnswerV1, CallV1, ErrorV1, EventV1, FutureV1, HostV1, Manifest, PluginV1, RootV1_Ref, codes,
    plugin_op,
};
use nexus_plugin_api::wire::{
    DeliverHead, Description, HookHead, HookReplyHead, Init, MigrationInfo,
};
use nexus_plugin_api::{Event, Health, HookReply, HookRequest, Outcome, PluginError, Reply};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::correlations::Correlations;
use super::extra::Extra;
use super::refusal::{Refusal, RefusalCode as Code};
use super::worker::{First, Lives, Workers};
use crate::admission::Migrator;
use crate::dispatch::port::Call;
use crate::observe::traces;
use crate::redaction::Redaction;

/// Attempts at building a component anew before the calls that wait for it fail.
const REBUILDS: u32 = 3;

/// Delay before the second attempt; doubled after each.
const REBUILD_DELAY: Duration = Duration::from_millis(50);

/// A plugin that was started.
pub(super) struct Instance {
    pub(super) manifest: Manifest,
    plugin: PluginV1,
    lives: Option<Arc<Lives>>,
    redaction: Arc<Redaction>,
    /// Where those who log do not know what their event belongs to.
    correlations: Option<Arc<Correlations>>,
    panics: AtomicU64,
    last_panic: Mutex<Option<String>>,
    /// Whether a call has failed since somebody last asked.
    is_doubted: AtomicBool,
    /// Held while components are built anew, so that it happens once for many callers.
    rebuilding: tokio::sync::Mutex<()>,
    /// The processes that it runs in, if it does.
    workers: Option<Workers>,
    under_way: UnderWay,
}

/// Calls that are under way.
#[derive(Default)]
struct UnderWay {
    count: AtomicUsize,
    none_left: Notify,
}

impl UnderWay {
    /// One more, as long as what is handed back is there.
    fn one(&self) -> impl Drop + '_ {
        struct One<'c>(&'c UnderWay);
        impl Drop for One<'_> {
            fn drop(&mut self) {
                if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
                    self.0.none_left.notify_waiters();
                }
            }
        }
        self.count.fetch_add(1, Ordering::AcqRel);
        One(self)
    }

    async fn none(&self) {
        loop {
            let none_left = self.none_left.notified();
            if self.count.load(Ordering::Acquire) == 0 {
                return;
            }
            none_left.await;
        }
    }
}

/// What a plugin says of itself once it is loaded.
///
/// # Errors
/// When its description panics, does not parse, or is not there in time.
pub(super) async fn describe(root: RootV1_Ref, limit: Duration) -> Result<Description, Refusal> {
    let failed = |reason: String| Refusal::init_failed(format!("its description: {reason}"));
    // The author's code may block.
    let describing = spawn_blocking(move || root.describe()().into_result());
    let answer = timeout(limit, describing).await;
    let answer = answer.map_err(|_| {
        Refusal::new(
            Code::InitTimeout,
            format!("expected its description within {limit:?}, it is not there"),
            "raise plugins.init_timeout",
        )
    })?;
    let answer = answer.map_err(|error| failed(error.to_string()))?;
    let answer = answer.map_err(|error| failed(error.message.into_string()))?;
    serde_json::from_slice(answer.head.as_slice()).map_err(|error| failed(error.to_string()))
}

/// How a plugin is started.
pub(super) enum Start {
    /// In this process.
    Here(RootV1_Ref, HostV1),
    /// In so many of its own, of which the first has loaded it.
    InWorkers(Box<First>, usize),
}

impl Instance {
    /// Builds the components, within `limit`.
    pub(super) async fn start(
        manifest: Manifest,
        start: Start,
        redaction: Arc<Redaction>,
        correlations: Option<Arc<Correlations>>,
        init: Init,
        limit: Duration,
    ) -> Result<Arc<Self>, Refusal> {
        let init = serde_json::to_vec(&init).map_err(Refusal::init_failed)?;
        let lives = match &start {
            Start::Here(..) => None,
            Start::InWorkers(first, _) => Some(first.lives()),
        };
        let start = async {
            match start {
                Start::Here(root, host) => {
                    let build = move || root.start()(host, init.as_slice().into()).into_result();
                    let built = spawn_blocking(build).await;
                    let built = built.map_err(Refusal::init_failed)?;
                    Ok(built.map(|plugin| (plugin, None)))
                }
                Start::InWorkers(first, workers) => {
                    let remote = first.start(init, workers).await?;
                    Ok(remote.map(|remote| {
                        let workers = remote.workers();
                        (PluginV1::new(remote), Some(workers))
                    }))
                }
            }
        };
        let started = timeout(limit, start).await.map_err(|_| {
            Refusal::new(
                Code::InitTimeout,
                format!("expected it to be ready within {limit:?}, it is not"),
                "raise plugins.init_timeout, or let the plugin connect later",
            )
        })?;
        match started {
            Ok(Ok((plugin, workers))) => Ok(Arc::new(Self {
                manifest,
                plugin,
                workers,
                under_way: UnderWay::default(),
                lives,
                redaction,
                correlations,
                panics: AtomicU64::new(0),
                last_panic: Mutex::new(None),
                is_doubted: AtomicBool::new(false),
                rebuilding: tokio::sync::Mutex::default(),
            })),
            Ok(Err(error)) => {
                let error = redaction.error(error);
                let code = match &*error.code {
                    codes::PANICKED => Code::InitPanicked,
                    _ => Code::InitFailed,
                };
                Err(Refusal::new(
                    code,
                    error,
                    "see the plugin's own documentation",
                ))
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// The processes that it runs in, if it does.
    pub(super) fn workers(&self) -> Option<&Workers> {
        self.workers.as_ref()
    }

    /// Waits until no call is under way. What sources do in the background is none.
    pub(super) async fn idle(&self) {
        self.under_way.none().await;
    }

    /// Panics caught since the start.
    pub(super) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// The last panic's message.
    pub(super) fn last_panic(&self) -> Option<String> {
        self.last_panic.lock().clone()
    }

    /// What becomes of its workers; `None` for one that runs in this process.
    pub(super) fn lives(&self) -> Option<&Arc<Lives>> {
        self.lives.as_ref()
    }

    pub(super) async fn process(
        self: &Arc<Self>,
        component: u32,
        call: Call<'_>,
        event: &Event,
    ) -> Result<Outcome, PluginError> {
        let _under_way = self.under_way.one();
        let _held = self.held(event);
        let text = EventText::new(event);
        let answer = self
            .answered(|| {
                self.plugin
                    .process(&call_v1(component, call), &text.borrow(event))
            })
            .await?;
        if answer.head.is_empty() {
            return Ok(Outcome::done());
        }
        parse(&answer).map(|outcome| self.redaction.outcome(outcome))
    }

    pub(super) async fn deliver(
        self: &Arc<Self>,
        component: u32,
        target: Option<&str>,
        call: Call<'_>,
        request: &[u8],
    ) -> Result<Reply, PluginError> {
        let _under_way = self.under_way.one();
        let _held = self.held(call.event);
        let head = serde_json::to_vec(&DeliverHead {
            target: target.map(str::to_owned),
        })?;
        let answer = self
            .answered(|| {
                let call = call_v1(component, call);
                self.plugin.call(&call, plugin_op::DELIVER, &head, request)
            })
            .await?;
        parse(&answer).map(|reply| self.redaction.reply(reply))
    }

    pub(super) async fn hook(
        self: &Arc<Self>,
        component: u32,
        request: HookRequest,
        limit: Duration,
    ) -> Result<HookReply, PluginError> {
        let _under_way = self.under_way.one();
        let head = serde_json::to_vec(&HookHead {
            method: request.method,
            path: request.path,
            query: request.query,
            headers: request.headers,
        })?;
        let traceparent = traces::receiving_in().unwrap_or_default();
        let answer = self
            .answered(|| {
                let call = CallV1 {
                    traceparent: traceparent.as_str().into(),
                    ..plain_call(component, Some(limit))
                };
                self.plugin
                    .call(&call, plugin_op::HOOK, &head, &request.body)
            })
            .await?;
        let head: HookReplyHead = parse(&answer)?;
        Ok(HookReply {
            status: head.status,
            headers: head.headers,
            body: answer.body.into_vec().into(),
        })
    }

    fn held(&self, event: &Event) -> Option<impl Drop + '_> {
        self.correlations.as_ref()?.hold(event)
    }

    /// Runs a source's background task until it ends or is dropped.
    pub(super) async fn run(self: &Arc<Self>, component: u32) -> Result<(), PluginError> {
        let call = || {
            self.plugin
                .call(&plain_call(component, None), plugin_op::RUN, b"", b"")
        };
        self.answered(call).await.map(|_| ())
    }

    /// Asks a component how it is.
    pub(super) async fn health(self: &Arc<Self>, component: u32) -> Result<Health, PluginError> {
        let call = || {
            self.plugin
                .call(&plain_call(component, None), plugin_op::HEALTH, b"", b"")
        };
        parse(&self.answered(call).await?).map(|health| self.redaction.health(health))
    }

    /// Makes a call. A component that is waiting to be built anew is, first.
    async fn answered(
        self: &Arc<Self>,
        call: impl Fn() -> FutureV1,
    ) -> Result<AnswerV1, PluginError> {
        let mut answer = call().await;
        if is(&answer, codes::POISONED) {
            self.rebuild().await?;
            answer = call().await;
        }
        if let Err(error) = &answer
            && error.code.as_str() == codes::PANICKED
        {
            self.note_panic(self.redaction.error(error.clone()));
            // The panic itself is the answer; a component that cannot be built is told next time.
            let _ = self.rebuild().await;
        }
        if answer.is_err() {
            self.is_doubted.store(true, Ordering::Relaxed);
        }
        answer.map_err(|error| self.redaction.error(error))
    }

    /// Whether a call has failed since this was last asked.
    pub(super) fn was_doubted(&self) -> bool {
        self.is_doubted.swap(false, Ordering::Relaxed)
    }

    fn note_panic(&self, panic: PluginError) {
        self.panics.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            plugin = self.manifest.id,
            panic = panic.message,
            "a plugin panicked; the component is built anew"
        );
        *self.last_panic.lock() = Some(panic.message);
    }

    async fn rebuild(self: &Arc<Self>) -> Result<(), PluginError> {
        let _once = self.rebuilding.lock().await;
        let mut delay = REBUILD_DELAY;
        for attempt in 1.. {
            let instance = self.clone();
            // Building runs the author's code, which may block.
            let built = spawn_blocking(move || {
                instance
                    .plugin
                    .call(&plain_call(0, None), plugin_op::REBUILD, b"", b"")
            });
            let error = match built.await {
                Ok(reply) => match reply.await {
                    Ok(_) => return Ok(()),
                    Err(error) => self.redaction.error(error),
                },
                Err(error) => PluginError::from(error),
            };
            tracing::error!(plugin = self.manifest.id, attempt, %error, "failed to build a component anew");
            if attempt >= REBUILDS {
                return Err(PluginError::retryable("not_rebuilt", error));
            }
            sleep(delay).await;
            delay *= 2;
        }
        Ok(())
    }
}

impl Migrator for Instance {
    /// A migration answers at once, and belongs to no component that a panic could poison.
    fn migrate(&self, step: &MigrationInfo, payload: &[u8]) -> Result<Vec<u8>, PluginError> {
        let head = serde_json::to_vec(step)?;
        let call = plain_call(0, None);
        let answer = pin!(self.plugin.call(&call, plugin_op::MIGRATE, &head, payload));
        match answer.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(answer)) => Ok(answer.body.into_vec()),
            Poll::Ready(Err(error)) => Err(self.redaction.error(error)),
            Poll::Pending => Err(PluginError::permanent(
                "malformed_answer",
                "the plugin does not answer at once",
            )),
        }
    }
}

fn is(answer: &Result<AnswerV1, ErrorV1>, code: &str) -> bool {
    matches!(answer, Err(error) if error.code.as_str() == code)
}

fn parse<T: serde::de::DeserializeOwned>(answer: &AnswerV1) -> Result<T, PluginError> {
    serde_json::from_slice(answer.head.as_slice())
        .map_err(|error| PluginError::permanent("malformed_answer", error))
}

fn plain_call(component: u32, limit: Option<Duration>) -> CallV1<'static> {
    CallV1 {
        component,
        attempt: 1,
        deadline_ms: limit.map_or(0, millis),
        event_id: [0; 16],
        idempotency_key: "".into(),
        correlation_id: "".into(),
        traceparent: "".into(),
        extra: (&[][..]).into(),
    }
}

fn call_v1(component: u32, call: Call<'_>) -> CallV1<'_> {
    CallV1 {
        attempt: call.attempt,
        deadline_ms: millis(call.timeout),
        event_id: call.event.event_id.into_bytes(),
        idempotency_key: call.idempotency_key.into(),
        correlation_id: call
            .event
            .correlation_id
            .as_deref()
            .unwrap_or_default()
            .into(),
        traceparent: call
            .traceparent
            .or(call.event.traceparent.as_deref())
            .unwrap_or_default()
            .into(),
        extra: Extra::of(call).written().into(),
        ..plain_call(component, None)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}

/// The few fields of an event that cross the border as text made for it.
struct EventText {
    contract_version: String,
    causation_id: String,
    expires_at: String,
}

impl EventText {
    fn new(event: &Event) -> Self {
        let text = |value: Option<String>| value.unwrap_or_default();
        Self {
            contract_version: text(event.contract_version.as_ref().map(ToString::to_string)),
            causation_id: text(event.causation_id.map(|id| id.to_string())),
            expires_at: text(event.expires_at.map(|at| at.to_rfc3339())),
        }
    }

    fn borrow<'a>(&'a self, event: &'a Event) -> EventV1<'a> {
        let or_empty = |text: &'a Option<String>| text.as_deref().unwrap_or_default().into();
        EventV1 {
            event_id: event.event_id.into_bytes(),
            event_type: event.event_type.as_str().into(),
            source: event.source.as_str().into(),
            timestamp_secs: event.timestamp.timestamp(),
            timestamp_nanos: event.timestamp.timestamp_subsec_nanos(),
            priority: event.priority as u8,
            contract_version: self.contract_version.as_str().into(),
            correlation_id: or_empty(&event.correlation_id),
            causation_id: self.causation_id.as_str().into(),
            partition_key: or_empty(&event.partition_key),
            expires_at: self.expires_at.as_str().into(),
            traceparent: or_empty(&event.traceparent),
            tracestate: or_empty(&event.tracestate),
            payload: event.payload.as_slice().into(),
        }
    }
}
