//! Where the hub speaks with workers: one thread for all of them, which lasts as long as anybody needs it. It
//! runs nothing else, so that a worker is heard whatever the hub's own threads are at; and on some systems a
//! worker ends when the thread does that has started it.

use std::future::Future;
use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// See the module.
#[derive(Debug)]
pub(in crate::plugins) struct Keeper {
    handle: Handle,
    /// The thread ends when this is dropped, and with it every worker.
    _goes_on: oneshot::Sender<()>,
}

impl Keeper {
    pub(in crate::plugins) fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (goes_on, ended) = oneshot::channel();
        thread::Builder::new()
            .name("plugin-workers".to_owned())
            .spawn(move || {
                // An error is the end that it waits for.
                let _: Result<(), _> = runtime.block_on(ended);
                runtime.shutdown_background();
            })?;
        Ok(Self {
            handle,
            _goes_on: goes_on,
        })
    }

    /// Runs something here. `None` when the hub has stopped meanwhile.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        self.handle.spawn(work).await.ok()
    }

    /// Runs something here that nobody waits for.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(work);
    }
}
