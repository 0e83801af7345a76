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

use nexus_plugin_abi::{AnswerV1, ErrorV1, FutureV1, codes, guard};
use tokio::runtime::{Builder, EnterGuard, Handle};
use tokio::task::JoinHandle;
use tracing::Span;

use super::component::Work;
use super::log;
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

    /// Runs the synchronous part of a call; a panic poisons the component.
    pub(crate) fn guarded<T>(
        &self,
        poisoned: &AtomicBool,
        work: impl FnOnce() -> T,
    ) -> Result<T, ErrorV1> {
        let _inside = self.handle.enter();
        guard(work).inspect_err(|_| poisoned.store(true, Ordering::Release))
    }

    /// Hands the asynchronous part to the host as one future.
    pub(crate) fn drive(
        &self,
        work: Work,
        event_id: [u8; 16],
        poisoned: Arc<AtomicBool>,
    ) -> FutureV1 {
        let entered = Entered {
            work: Some(work),
            handle: self.handle.clone(),
            event_id,
            poisoned,
            // A linked plugin shares the host's `tracing`: the host's span is carried along.
            span: if self.linked {
                Span::current()
            } else {
                Span::none()
            },
        };
        match self.isolation {
            Isolation::Inline => FutureV1::new(entered),
            Isolation::Thread => FutureV1::new(Spawned(self.handle.spawn(entered))),
        }
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

/// The author's future, polled and dropped inside the plugin's runtime, guarded.
struct Entered {
    work: Option<Work>,
    handle: Handle,
    event_id: [u8; 16],
    poisoned: Arc<AtomicBool>,
    span: Span,
}

impl Future for Entered {
    type Output = Result<AnswerV1, ErrorV1>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(work) = this.work.as_mut() else {
            return Poll::Ready(Err(ErrorV1::permanent(
                codes::MALFORMED,
                "a finished call was polled again",
            )));
        };
        let _inside = this.handle.enter();
        let _tagged = log::tag(this.event_id);
        let _span = this.span.enter();
        match guard(|| work.as_mut().poll(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(result)) => {
                // The author's locals are gone by now; what is left of the future goes here, so
                // that a panic in it is an error of this call.
                let rest = this.work.take();
                match guard(move || drop(rest)) {
                    Ok(()) => Poll::Ready(result),
                    Err(panic) => Poll::Ready(Err(this.poison(panic))),
                }
            }
            Err(panic) => {
                let rest = this.work.take();
                let _ = guard(move || drop(rest));
                Poll::Ready(Err(this.poison(panic)))
            }
        }
    }
}

impl Entered {
    fn poison(&self, panic: ErrorV1) -> ErrorV1 {
        self.poisoned.store(true, Ordering::Release);
        panic
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            let _inside = self.handle.enter();
            let _tagged = log::tag(self.event_id);
            if guard(move || drop(work)).is_err() {
                self.poisoned.store(true, Ordering::Release);
            }
        }
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
