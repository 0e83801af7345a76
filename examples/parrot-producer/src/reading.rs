//! Reading: receives lines from the input, keeps them in the outbox if there is one, hands them on to the delivery.
//!
//! It waits for room first and reads then: lines that were taken from a pipe and are on no disk yet would be lost with
//! this process, so there are never more of them than it takes a moment to keep.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, watch};

use crate::input::{Input, InputError, Line};
use crate::outbox::Outbox;

/// See the module.
pub(crate) struct Reading {
    input: Input,
    outbox: Option<Outbox>,
    /// Lines that were read, for the summary.
    read: Arc<AtomicU64>,
}

impl Reading {
    pub(crate) fn new(input: Input, outbox: Option<Outbox>, read: Arc<AtomicU64>) -> Self {
        Self {
            input,
            outbox,
            read,
        }
    }

    /// Reads to the end of the input, until told to stop, or until nobody takes the lines.
    ///
    /// # Errors
    /// When the input or the outbox fails.
    pub(crate) async fn run(
        mut self,
        to: mpsc::Sender<Vec<Line>>,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<(), InputError> {
        if let Some(outbox) = &self.outbox {
            let left = outbox.left()?;
            self.count(&left);
            // That nobody takes them is seen below.
            let _ = to.send(left).await;
        }
        loop {
            let input = &mut self.input;
            let next = async {
                let room = to.reserve().await.ok()?;
                Some((room, input.next().await))
            };
            let (room, lines) = tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => return Ok(()),
                next = next => match next {
                    Some((room, lines)) => (room, lines?),
                    None => return Ok(()),
                },
            };
            let Some(lines) = lines else { return Ok(()) };
            self.count(&lines);
            room.send(match &self.outbox {
                Some(outbox) => outbox.keep(lines, self.input.place()).await?,
                None => lines,
            });
        }
    }

    fn count(&self, lines: &[Line]) {
        self.read.fetch_add(lines.len() as u64, Ordering::Relaxed);
    }
}
