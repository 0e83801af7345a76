//! Runs under way: follows each until it has ended, and publishes how.
//!
//! What is followed stands in the plugin's state; a restart goes on from there. A run is looked at when
//! its webhook hints that it has ended, when waiting for it on the server ends, and from time to time,
//! whichever comes first; all three lead to the same look, so none of them can add an ending of its own.
//! Forgotten is a run only after its ending has been accepted.

use std::collections::HashSet;
use std::pin::pin;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use nexus_plugin_api::{Context, NewEvent, PluginError};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::config::Config;
use crate::ending::Ending;
use crate::events::FailureKind;
use crate::hints::{Hints, Listening};
use crate::ledger::{self, Entry};
use crate::server::Server;
use crate::{progress, truth};

/// How many connections wait for runs. Further runs are looked at every `poll_interval`.
const MAX_WAITING: usize = 64;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long a run's stream may go on after its run has ended.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long a server that does not answer is asked about a run that is too old, before that is announced.
const GRACE: Duration = Duration::from_secs(60);

/// See the module.
pub(crate) struct Follow<'a> {
    server: &'a Server,
    config: &'a Config,
    hints: &'a Hints,
    ctx: &'a Context,
    places: Semaphore,
}

impl<'a> Follow<'a> {
    pub(crate) fn new(
        server: &'a Server,
        config: &'a Config,
        hints: &'a Hints,
        ctx: &'a Context,
    ) -> Self {
        Self {
            server,
            config,
            hints,
            ctx,
            places: Semaphore::new(MAX_WAITING),
        }
    }

    /// Follows every run, for good. Ends only with a failure of the host's storage, which the host answers
    /// by running it again.
    pub(crate) async fn all(&self) -> Result<(), PluginError> {
        let mut followed = HashSet::new();
        let mut under_way = FuturesUnordered::new();
        loop {
            for run_id in ledger::under_way(self.ctx).await? {
                if followed.insert(run_id) {
                    under_way.push(self.one(run_id));
                }
            }
            tokio::select! {
                Some(ended) = under_way.next() => {
                    followed.remove(&ended?);
                }
                () = self.hints.new_run.notified() => {}
                // Another process of this plugin may have begun some.
                () = sleep(self.config.poll_interval.0) => {}
            }
        }
    }

    async fn one(&self, run_id: Uuid) -> Result<Uuid, PluginError> {
        let listening = self.hints.listen(run_id);
        match ledger::recall(self.ctx, run_id).await {
            Ok(Some(entry)) => {
                let ending = self.ending(&entry, &listening).await;
                self.announce(&entry, ending).await?;
                ledger::forget(self.ctx, run_id).await?;
            }
            Ok(None) => {}
            Err(error) if error.code != ledger::UNREADABLE => return Err(error),
            Err(error) => {
                tracing::error!(%run_id, "a run that is remembered cannot be followed: {error}");
                // It stays, for a version that can.
                std::future::pending().await
            }
        }
        Ok(run_id)
    }

    /// Waits until the run has ended, or for no longer than a run may take, and tells meanwhile what it does where that
    /// is wanted. A stream may be kept alive though its run has ended, or break off before.
    async fn ending(&self, entry: &Entry, listening: &Listening<'_>) -> Ending {
        let mut found = pin!(self.found_out(entry, listening));
        if !entry.stream {
            return found.await;
        }
        let mut progress = pin!(self.report_progress(entry));
        tokio::select! {
            ending = &mut found => {
                // What is on its way is told before the ending.
                let _ = timeout(LAST_WORDS, progress).await;
                ending
            }
            () = &mut progress => {
                self.hints.give(entry.run_id);
                found.await
            }
        }
    }

    /// Waits until the run has ended, or for no longer than a run may take.
    async fn found_out(&self, entry: &Entry, listening: &Listening<'_>) -> Ending {
        let mut pause = FIRST_PAUSE;
        let mut unanswered = None;
        let mut is_first = true;
        loop {
            match self.server.noted(self.look(entry).await) {
                Ok(Some(ending)) => return ending,
                Ok(None) => {
                    unanswered = None;
                    pause = FIRST_PAUSE;
                    tokio::select! {
                        () = self.news(entry, is_first) => {}
                        () = listening.hint() => {}
                        () = sleep(self.left(entry)) => {}
                    }
                    is_first = false;
                }
                Err(error) => {
                    let since = *unanswered.get_or_insert_with(Instant::now);
                    if self.left(entry).is_zero() && since.elapsed() >= GRACE {
                        let told = format!(
                            "{}; whether it has ended cannot be asked: {error}",
                            self.overdue()
                        );
                        return Ending::failed(FailureKind::Overdue, told);
                    }
                    tokio::select! {
                        () = listening.hint() => {}
                        () = sleep(pause) => {}
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// How the run has ended, if it has. One that is too old is ended.
    async fn look(&self, entry: &Entry) -> Result<Option<Ending>, PluginError> {
        let found = truth::ending(self.server, entry).await?;
        if found.is_some() || !self.left(entry).is_zero() {
            return Ok(found);
        }
        // When there is nothing to cancel any more it has ended just now: the next look tells how.
        let cancelled = self.server.cancel(entry.thread_id, entry.run_id).await?;
        Ok(cancelled.then(|| Ending::failed(FailureKind::Overdue, self.overdue())))
    }

    /// Ready when it is worth looking.
    async fn news(&self, entry: &Entry, is_first: bool) {
        if !is_first {
            sleep(FIRST_PAUSE).await;
        }
        let place = self.places.try_acquire();
        if entry.reported || place.is_err() {
            return sleep(self.config.poll_interval.0).await;
        }
        let joined = self.server.join(entry.thread_id, entry.run_id).await;
        if let Err(error) = joined {
            tracing::debug!(run_id = %entry.run_id, "waiting for a run has ended early: {error}");
        }
    }

    /// Publishes what a streamed run does until its stream ends, which it may do early: then there is no
    /// further progress, and the ending comes as for any run.
    async fn report_progress(&self, entry: &Entry) {
        let Ok(_place) = self.places.try_acquire() else {
            return;
        };
        let published = progress::publish(self.server, self.ctx, entry);
        tokio::select! {
            published = published => if let Err(error) = published {
                tracing::warn!(run_id = %entry.run_id, "no further progress is told: {error}");
            },
            () = sleep(self.left(entry)) => {}
        }
    }

    /// How much longer the run may take.
    fn left(&self, entry: &Entry) -> Duration {
        let most = TimeDelta::from_std(self.config.run_timeout.0).unwrap_or(TimeDelta::MAX);
        let age = Utc::now() - entry.since;
        (most - age).to_std().unwrap_or_default()
    }

    fn overdue(&self) -> String {
        let most = self.config.run_timeout;
        format!("the run was not done within {most}, which is `run_timeout`")
    }

    /// Publishes an ending; without the run's own data where the hub refuses that, and without what the request gave to
    /// come back where it refuses that as well.
    async fn announce(&self, entry: &Entry, ending: Ending) -> Result<(), PluginError> {
        let run_id = entry.run_id;
        let alone = Entry {
            context: None,
            ..entry.clone()
        };
        for (entry, max_bytes) in [(entry, self.config.max_output), (entry, 0), (&alone, 0)] {
            match self.publish(ending.clone().event(entry, max_bytes)?).await {
                Ok(()) => return Ok(()),
                Err(refused) => tracing::warn!(%run_id, "a run's ending was refused: {refused}"),
            }
        }
        tracing::error!(%run_id, "a run's ending cannot be told");
        Ok(())
    }

    /// Publishes until the hub has taken the event, or refuses it for good.
    async fn publish(&self, event: NewEvent) -> Result<(), PluginError> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.ctx.publish(event.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) if error.retryable => {
                    tracing::warn!("a run's ending has to wait: {error}");
                    sleep(error.retry_after.unwrap_or(pause)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, Bytes};
    use axum::response::IntoResponse as _;
    use futures_util::stream;
    use nexus_plugin_api::testing::Bench;
    use serde_json::json;

    use super::*;
    use crate::truth::tests::{RUN, answering, entry, json, run};

    /// Longer than anything here takes; a test that hangs fails.
    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_stream_that_is_kept_alive_does_not_delay_the_ending() {
        let server = answering(move |path| match path.strip_prefix(RUN) {
            Some("") => run("success"),
            Some("/stream") => {
                Body::from_stream(stream::pending::<Result<Bytes, String>>()).into_response()
            }
            _ => json(&json!([{ "values": { "a": 1 }, "next": [], "tasks": [] }])),
        });
        let (server, config, hints) = (server.await, Config::default(), Hints::default());
        let ctx = Bench::new().context();
        let mut entry = entry();
        entry.stream = true;
        let listening = hints.listen(entry.run_id);
        let follow = Follow::new(&server, &config, &hints, &ctx);
        let ending = timeout(PATIENCE, follow.ending(&entry, &listening)).await;
        let ending = ending.expect("the stream is not waited for");
        assert!(matches!(ending, Ending::Completed(_)), "{ending:?}");
    }
}
