//! Where an author's futures are polled: on the host's worker inside this plugin's tokio, or on
//! this plugin's own threads.
//!
//! A library links its own tokio, whose thread-locals the host's runtime does not set. So every
//! poll enters the plugin's runtime first, and timers and sockets work unaided.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use nexus_plugin_abi::{AnswerV1, CallV1, ErrorV1, FutureV1, codes, guard};
use pin_project_lite::pin_project;
use tokio::runtime::{Builder, EnterGuard, Handle};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tracing::Span;

use super::{log, trace};
use crate::wire::Isolation;

/// Worker threads of a plugin's runtime. They serve its timers, sockets and spawned tasks.
const WORKERS: usize = 2;

pub(crate) struct Runtime {
    tokio: Option<tokio::runtime::Runtime>,
    handle: Handle,
    isolation: Isolation,
    linked: bool,
}

impl Runtime {
    pub(crate) fn new(id: &str, isolation: Isolation, linked: bool) -> io::Result<Self> {
        let tokio = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name(format!("plugin-{id}"))
            .enable_all()
            .build()?;
        Ok(Self {
            handle: tokio.handle().clone(),
            tokio: Some(tokio),
            isolation,
            linked,
        })
    }

    pub(crate) fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// A home for the calls of one component.
    pub(crate) fn home(&self) -> Arc<Home> {
        Arc::new(Home {
            handle: self.handle.clone(),
            isolation: self.isolation,
            linked: self.linked,
            poisoned: AtomicBool::new(false),
            rebuilt: Notify::new(),
        })
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // Waiting for threads here would block, or panic inside another runtime.
        if let Some(tokio) = self.tokio.take() {
            tokio.shutdown_background();
        }
    }
}

/// Where the calls of one component are polled, and whether a panic has poisoned it. One
/// allocation shared by all its calls, so that a call costs one count.
pub(crate) struct Home {
    handle: Handle,
    isolation: Isolation,
    linked: bool,
    poisoned: AtomicBool,
    rebuilt: Notify,
}

impl Home {
    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    pub(crate) fn mend(&self) {
        self.poisoned.store(false, Ordering::Release);
        self.rebuilt.notify_waiters();
    }

    /// Ready when the component is built anew: what runs on the old one is to end.
    pub(crate) async fn rebuilt(&self) {
        self.rebuilt.notified().await;
    }

    /// Runs author's code; a panic poisons the component.
    pub(crate) fn guarded<T>(&self, work: impl FnOnce() -> T) -> Result<T, ErrorV1> {
        guard(work).inspect_err(|_| self.poisoned.store(true, Ordering::Release))
    }
}

/// Where one call is polled.
pub(crate) struct Place {
    home: Arc<Home>,
    event_id: [u8; 16],
    traceparent: Option<Arc<str>>,
    span: Span,
}

impl Place {
    pub(crate) fn new(home: Arc<Home>, call: &CallV1<'_>) -> Self {
        let traceparent = call.traceparent.as_str();
        Self {
            // A linked plugin shares the host's `tracing`: the host's span is carried along.
            span: if home.linked {
                Span::current()
            } else {
                Span::none()
            },
            home,
            event_id: call.event_id,
            traceparent: (!traceparent.is_empty()).then(|| traceparent.into()),
        }
    }

    /// The component's home.
    pub(crate) fn home(&self) -> Arc<Home> {
        self.home.clone()
    }

    /// Hands the author's future to the host.
    pub(crate) fn drive<F>(self, work: F) -> FutureV1
    where
        F: Future<Output = Result<AnswerV1, ErrorV1>> + Send + 'static,
    {
        let home = &self.home;
        match home.isolation {
            Isolation::Inline => FutureV1::new(Entered {
                work: Some(work),
                place: self,
            }),
            Isolation::Thread => {
                let handle = home.handle.clone();
                FutureV1::new(Spawned(handle.spawn(Entered {
                    work: Some(work),
                    place: self,
                })))
            }
        }
    }
}

pin_project! {
    /// The author's future, polled and dropped inside the plugin's runtime, guarded.
    struct Entered<F> {
        #[pin]
        work: Option<F>,
        place: Place,
    }

    impl<F> PinnedDrop for Entered<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.work.is_some() {
                let _inside = this.place.home.handle.enter();
                let _tagged = log::tag(this.place.event_id);
                let _ = this.place.home.guarded(|| this.work.set(None));
            }
        }
    }
}

impl<F> Future for Entered<F>
where
    F: Future<Output = Result<AnswerV1, ErrorV1>>,
{
    type Output = Result<AnswerV1, ErrorV1>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(work) = this.work.as_mut().as_pin_mut() else {
            return Poll::Ready(Err(ErrorV1::permanent(
                codes::MALFORMED,
                "a finished call was polled again",
            )));
        };
        let _inside = this.place.home.handle.enter();
        let _tagged = log::tag(this.place.event_id);
        let _traced = trace::within(this.place.traceparent.clone());
        let _span = this.place.span.enter();
        let answer = match this.place.home.guarded(|| work.poll(cx)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(answer)) => answer,
            Err(panic) => Err(panic),
        };
        // The author's locals are gone by now; what is left of the future goes here, so that a
        // panic in it is an error of this call.
        let dropped = this.place.home.guarded(|| this.work.set(None));
        Poll::Ready(dropped.and(answer))
    }
}

/// A future that runs on the plugin's threads; dropping it cancels.
struct Spawned(JoinHandle<Result<AnswerV1, ErrorV1>>);

impl Future for Spawned {
    type Output = Result<AnswerV1, ErrorV1>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|joined| {
            joined.unwrap_or_else(|error| {
                Err(ErrorV1 {
                    retryable: true,
                    ..ErrorV1::permanent("stopped", format!("the plugin's runtime: {error}"))
                })
            })
        })
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        self.0.abort();
    }
}
