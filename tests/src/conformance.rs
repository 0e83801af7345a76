//! What every queue backend must do: one suite, run against each of them.
//!
//! Receives a [`Backend`], which opens empty queues, and fails by panicking. Knows the queue's
//! public interface only, so that a durable or distributed backend passes the very same functions.
//! [`queue_conformance!`](crate::queue_conformance) makes one test of each case.

pub mod bounds;
pub mod endings;
pub mod history;
pub mod letters;
pub mod order;
pub mod restart;
pub mod settling;
pub mod waking;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nexus_host::config::HumanDuration;
use nexus_host::queue::{
    BoxFuture, Config, DeadLetter, Delivery, Failure, FollowUp, Journey, LetterFilter, OpenError,
    Page, PushError, Pushed, Queue, Settled, Settlement, Verdict, Work,
};
use nexus_plugin_api::{Effect, Event, RawJson, StateWrite};
use tempfile::TempDir;
use tokio::time::timeout;
use uuid::Uuid;

use crate::events::admitted;

/// Makes one test of each case of the suite.
///
/// ```ignore
/// queue_conformance!(#[tokio::test(start_paused = true)], memory());
/// ```
#[macro_export]
macro_rules! queue_conformance {
    (#[$test:meta], $backend:expr) => {
        $crate::queue_conformance! { @cases #[$test], $backend,
            order: [
                first_in_first_out_within_a_priority
                the_more_urgent_goes_first
                the_lowest_gets_its_share_of_a_flood
                no_class_is_passed_over_for_long
                a_lane_is_worked_one_at_a_time
                lanes_do_not_wait_for_each_other
                the_partition_key_makes_the_lane
                without_ordering_nothing_waits
                a_lane_waits_for_the_immediate_follow_ups
                what_is_tried_again_leaves_the_lane
                a_lane_takes_its_most_urgent_event_first
            ]
            bounds: [
                a_full_queue_refuses
                a_full_queue_takes_what_tells_of_alerts
                a_producer_waits_for_room
                a_producer_waits_no_longer_than_configured
                producers_get_room_in_the_order_they_came
                the_oldest_is_dropped
                the_oldest_of_the_lowest_is_dropped
                nothing_is_dropped_in_vain
                bytes_are_bounded
                an_event_larger_than_everything_fits_alone
                what_waits_for_its_time_takes_no_place
                what_waits_for_its_time_is_bounded
            ]
            settling: [
                an_acknowledged_event_is_finished
                a_failed_attempt_comes_again_after_its_delay
                a_parked_delivery_burns_no_attempt
                immediate_follow_ups_are_leased_to_who_settles
                delayed_follow_ups_wait_for_their_time
                a_follow_up_that_failed_already_is_a_second_attempt
                emitted_events_are_taken_in
                emitted_events_are_taken_in_even_if_full
                a_lease_is_settled_once
                dead_parts_make_a_dead_event
                plugin_state_is_written_with_the_settlement
                plugin_state_is_listed_by_prefix
                an_endless_delay_is_no_accident
            ]
            history: [
                a_duplicate_is_told_and_not_put_in
                the_same_id_from_another_source_is_another_event
                a_mark_is_forgotten_after_its_window
                marks_are_bounded
                a_journey_tells_what_happened
                a_journey_tells_what_looked_suspicious
                a_journey_begins_with_what_admission_did
                journeys_are_bounded
                dead_letters_are_kept_in_order_and_bounded
                dead_letters_are_bounded_in_bytes
                an_outage_does_not_fill_the_journal
                letters_of_one_event_are_taken_up_as_one
                what_is_taken_up_again_does_not_give_way
                an_id_used_twice_tells_of_the_event_accepted_last
                a_forgotten_journey_takes_no_other_of_its_id_along
                who_came_second_with_an_id_shares_it
            ]
            letters: [
                letters_are_found_by_what_they_are
                letters_come_in_pages
                a_replayed_letter_is_work_again
                a_replayed_letter_joins_what_its_event_still_does
                an_event_is_dead_until_its_last_letter_is_replayed
                a_replayed_routing_waits_in_its_lane
                a_letter_is_replayed_once
                replayed_work_may_die_again
                a_purged_letter_is_gone
                a_letter_outlives_its_journey
                a_journey_is_bounded_through_replays
            ]
            waking: [
                who_stops_waiting_loses_nothing
                every_waiting_worker_gets_its_share
                no_wake_up_is_lost
                a_nearer_due_time_is_not_missed
                the_duty_to_watch_the_clock_is_handed_on
                a_lone_worker_with_delayed_work_sleeps
            ]
            endings: [
                a_closed_intake_refuses
                a_closed_intake_sends_waiting_producers_away
                closed_leasing_ends_every_worker
                drained_waits_for_what_is_leased
                drained_waits_for_what_is_due_in_time
                nothing_is_lost_between_producers_and_workers
                the_figures_are_true
            ]
        }
    };
    (@cases #[$test:meta], $backend:expr, $($module:ident: [$($case:ident)*])*) => {
        $($(
            #[$test]
            async fn $case() {
                $crate::conformance::$module::$case(&$backend).await;
            }
        )*)*
    };
}

/// Makes one test of each case of the suite that is for durable backends only.
#[macro_export]
macro_rules! durable_queue_conformance {
    (#[$test:meta], $backend:expr) => {
        $crate::queue_conformance! { @cases #[$test], $backend,
            restart: [
                leased_work_is_given_out_again
                a_pending_retry_keeps_its_attempts_and_its_time
                a_scheduled_effect_is_not_early
                duplicates_stay_known
                a_settlement_is_kept_whole
                what_is_remembered_reads_the_same
                a_file_is_open_once
                lanes_and_priorities_keep_their_order
                interrupted_work_keeps_its_lane
                replayed_work_is_kept
                a_shared_id_stays_shared
            ]
        }
    };
}

/// Opens a queue: an empty one, or one that goes on where the last one with this configuration ended.
pub type Open = dyn Fn(Config, bool) -> Opening + Send + Sync;

/// A queue that is being opened.
pub type Opening = BoxFuture<'static, Result<Arc<dyn Queue>, OpenError>>;

/// A backend under test.
pub struct Backend {
    clock: Clock,
    open: Box<Open>,
}

/// How time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Tokio's clock stands still and is put forward: for backends that wait on nothing else.
    Paused,
    /// As it does, in small portions.
    Real,
}

impl Backend {
    /// A backend. `open` gets the configuration and whether lanes are kept in order.
    pub fn new<F>(clock: Clock, open: F) -> Self
    where
        F: Fn(Config, bool) -> Opening + Send + Sync + 'static,
    {
        Self {
            clock,
            open: Box::new(open),
        }
    }

    /// The span that cases count in: long against what a call takes, short for whoever waits.
    pub fn unit(&self) -> Duration {
        match self.clock {
            Clock::Paused => Duration::from_secs(1),
            Clock::Real => Duration::from_millis(300),
        }
    }

    /// So many units, for a configuration.
    pub fn span(&self, units: u32) -> HumanDuration {
        let text = format!("{}ms", (self.unit() * units).as_millis());
        text.parse().expect("a duration")
    }

    /// An empty queue with lanes.
    pub async fn rig(&self, config: Config) -> Rig<'_> {
        self.rig_with(config, true).await
    }

    /// An empty queue.
    pub async fn rig_with(&self, mut config: Config, lanes: bool) -> Rig<'_> {
        let folder = tempfile::tempdir().expect("a folder");
        config.sqlite.path = folder.path().join("queue.db");
        let opening = (self.open)(config.clone(), lanes);
        Rig {
            queue: opening.await.expect("it opens"),
            config,
            lanes,
            _folder: folder,
            given_way: Mutex::default(),
            backend: self,
        }
    }
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backend")
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

/// A queue, and what a case does with it.
pub struct Rig<'a> {
    /// The queue under test.
    pub queue: Arc<dyn Queue>,
    config: Config,
    lanes: bool,
    given_way: Mutex<Vec<Uuid>>,
    backend: &'a Backend,
    /// What a durable backend keeps; gone with the rig.
    _folder: TempDir,
}

impl Rig<'_> {
    /// Closes the queue, and goes on with one that is opened in its place.
    pub async fn restart(&mut self) {
        self.queue.close_leasing();
        self.queue.close().await;
        self.queue = self.open_again().await.expect("it opens");
    }

    /// Opens a second queue in the same place.
    pub async fn open_again(&self) -> Result<Arc<dyn Queue>, OpenError> {
        (self.backend.open)(self.config.clone(), self.lanes).await
    }

    /// Pushes one event.
    pub async fn push(&self, event: Event) -> Result<Pushed, PushError> {
        let mut report = self.queue.push(vec![admitted(event)]).await;
        assert_eq!(report.answers.len(), 1, "one answer for each event");
        self.given_way
            .lock()
            .expect("no panic")
            .extend(report.given_way.iter().map(|event| event.event_id));
        report.answers.remove(0)
    }

    /// Events that had to give way to those pushed since the last call.
    pub fn given_way(&self) -> Vec<Uuid> {
        std::mem::take(&mut self.given_way.lock().expect("no panic"))
    }

    /// A plugin's state.
    pub async fn state(&self, plugin: &str, key: &str) -> Option<Vec<u8>> {
        let found = self.queue.state_get(plugin, key).await;
        found.expect("it can be read")
    }

    /// Writes a plugin's state.
    pub async fn write(&self, plugin: &str, write: StateWrite) {
        let written = self.queue.state_put(plugin, write).await;
        written.expect("it can be written");
    }

    /// The keys of a plugin's state.
    pub async fn keys(&self, plugin: &str, prefix: &str) -> Vec<String> {
        let keys = self.queue.state_keys(plugin, prefix).await;
        keys.expect("they can be read")
    }

    /// The way of an event so far.
    pub async fn journey(&self, id: Uuid) -> Option<Journey> {
        let journey = self.queue.journey(id, Box::new(|_, _| true)).await;
        journey.expect("it can be read")
    }

    /// The journey of a source's event.
    pub async fn journey_of(&self, source: &'static str, id: Uuid) -> Option<Journey> {
        let is_meant = move |of: &str, _: &str| of == source;
        let journey = self.queue.journey(id, Box::new(is_meant)).await;
        journey.expect("it can be read")
    }

    /// Every dead letter.
    pub async fn dead_letters(&self) -> Vec<DeadLetter> {
        let all = self
            .queue
            .dead_letters(LetterFilter::default(), Page::first(usize::MAX));
        all.await.expect("they can be read")
    }

    /// Pushes events that are accepted.
    pub async fn put(&self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            assert_eq!(self.push(event).await, Ok(Pushed::Accepted));
        }
    }

    /// The next delivery, which is ready.
    pub async fn lease(&self) -> Delivery {
        let patience = match self.backend.clock {
            Clock::Paused => self.backend.unit() / 100,
            Clock::Real => Duration::from_secs(10),
        };
        timeout(patience, self.queue.lease())
            .await
            .expect("something is ready")
            .expect("leasing is open")
    }

    /// Asserts that nothing is ready. A hundredth of a unit passes.
    pub async fn nothing(&self) {
        let patience = match self.backend.clock {
            Clock::Paused => self.backend.unit() / 100,
            Clock::Real => self.backend.unit() / 6,
        };
        if let Ok(found) = timeout(patience, self.queue.lease()).await {
            panic!("nothing should be ready, found {found:?}");
        }
    }

    /// Settles a delivery that is held.
    pub async fn settle(&self, delivery: &Delivery, with: Settlement) -> Settled {
        self.queue
            .settle(delivery.lease, with)
            .await
            .expect("it is held")
    }

    /// Settles a delivery as done.
    pub async fn ack(&self, delivery: &Delivery) -> Settled {
        self.settle(delivery, Settlement::default()).await
    }

    /// Lets so many tenths of a unit pass.
    pub async fn pass(&self, tenths: u32) {
        let span = self.backend.unit() * tenths / 10;
        match self.backend.clock {
            Clock::Paused => tokio::time::advance(span).await,
            Clock::Real => tokio::time::sleep(span).await,
        }
    }

    /// So many units.
    pub fn units(&self, units: u32) -> Duration {
        self.backend.unit() * units
    }
}

impl std::fmt::Debug for Rig<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rig")
            .field("stats", &self.queue.stats())
            .finish_non_exhaustive()
    }
}

/// Whether an answer says that the event was there before.
pub fn is_duplicate(answer: &Result<Pushed, PushError>) -> bool {
    matches!(answer, Ok(Pushed::Duplicate { .. }))
}

/// A configuration with room for so many events.
pub fn room_for(capacity: usize) -> Config {
    Config {
        capacity,
        ..Config::default()
    }
}

/// A failed attempt.
pub fn failure(code: &str) -> Failure {
    Failure {
        at: chrono::Utc::now(),
        code: code.to_owned(),
        message: format!("{code}, for a test"),
    }
}

/// An effect to perform.
pub fn effect(number: u32) -> Work {
    Work::Perform {
        number,
        processor: "tests/any".to_owned(),
        effect: Box::new(Effect::Notify {
            integration: "tests/any".to_owned(),
            target: None,
            request: RawJson::new("{}").expect("JSON"),
        }),
        traceparent: None,
    }
}

/// That work as a follow-up.
pub fn follow_up(work: Work, after: Option<Duration>) -> FollowUp {
    FollowUp {
        work,
        after,
        failure: None,
    }
}

/// Puts a delivery back.
pub fn nack(after: Duration, failure: Option<Failure>) -> Settlement {
    Settlement {
        verdict: Verdict::Nack { after, failure },
        ..Settlement::default()
    }
}
