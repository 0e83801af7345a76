//! Random sequences of calls, on a real queue and on the naive model: they must agree on all. A
//! durable queue is closed and opened again on the way.
//!
//! `NEXUS_MODEL_CASES` says how many sequences are run (default 256, and 128 of a durable
//! queue), `NEXUS_MODEL_SEED` repeats a
//! run. A failure prints the shortest sequence that shows it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use nexus_host::config::ByteSize;
use nexus_host::queue::config::WhenFull;
use nexus_host::queue::{
    Clock, Config, DeadLetter, Delivery, FollowUp, Grave, Lease, LetterFilter, MemoryQueue, Page,
    Pushed, Queue, SettleError, Settlement, SqliteQueue, Verdict, Work,
};
use nexus_plugin_api::{Event, Priority, StateWrite};
use nexus_tests::conformance::{effect, failure};
use nexus_tests::events::{admitted, event, heavy};
use nexus_tests::model::{Durability, Kind, Letter, Model, Plan, Task};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use tempfile::TempDir;
use tokio::time::advance;
use uuid::Uuid;

/// One call.
#[derive(Debug, Clone)]
enum Op {
    Push(Vec<Made>),
    /// Leases up to so many times.
    Lease(usize),
    /// Settles one of the leased tasks.
    Settle(prop::sample::Index, Ending),
    /// Settles something that was settled before.
    SettleAgain(prop::sample::Index),
    Advance(u64),
    /// Takes some of the dead letters up once more.
    Replay(Vec<prop::sample::Index>),
    /// Deletes some of the dead letters.
    Purge(Vec<prop::sample::Index>),
    CloseIntake,
    /// Closes the queue and opens it again, if it is durable.
    Restart,
}

/// An event to push.
#[derive(Debug, Clone)]
struct Made {
    source: u8,
    key: Option<u8>,
    priority: Priority,
    weight: usize,
    /// The id of an event before, from whatever source.
    again: Option<prop::sample::Index>,
}

#[derive(Debug, Clone)]
struct Ending {
    again: Option<(u64, bool)>,
    at_once: u32,
    later: Vec<(u64, bool)>,
    dead: usize,
    emitted: Vec<Made>,
}

fn made() -> impl Strategy<Value = Made> {
    let priority = prop::sample::select(Priority::ALL.to_vec());
    let weight = prop_oneof![4 => Just(8_usize), 1 => 8_usize..600];
    let again = prop::option::weighted(0.15, any::<prop::sample::Index>());
    (
        0_u8..4,
        prop::option::weighted(0.3, 0_u8..3),
        priority,
        weight,
        again,
    )
        .prop_map(|(source, key, priority, weight, again)| Made {
            source,
            key,
            priority,
            weight,
            again,
        })
}

fn ending() -> impl Strategy<Value = Ending> {
    (
        prop::option::weighted(0.3, (0_u64..3_000, any::<bool>())),
        prop_oneof![3 => Just(0_u32), 1 => 1_u32..4],
        prop_oneof![3 => Just(Vec::new()), 1 => vec((0_u64..3_000, any::<bool>()), 1..3)],
        prop_oneof![5 => Just(0_usize), 1 => Just(1_usize)],
        prop_oneof![5 => Just(Vec::new()), 1 => vec(made(), 1..3)],
    )
        .prop_map(|(again, at_once, later, dead, emitted)| Ending {
            again,
            at_once,
            later,
            dead,
            emitted,
        })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => vec(made(), 1..6).prop_map(Op::Push),
        6 => (1_usize..5).prop_map(Op::Lease),
        8 => (any::<prop::sample::Index>(), ending()).prop_map(|(which, how)| Op::Settle(which, how)),
        1 => any::<prop::sample::Index>().prop_map(Op::SettleAgain),
        3 => (0_u64..2_000).prop_map(Op::Advance),
        1 => vec(any::<prop::sample::Index>(), 1..4).prop_map(Op::Replay),
        1 => vec(any::<prop::sample::Index>(), 1..3).prop_map(Op::Purge),
        1 => Just(Op::Restart),
    ]
}

/// A configuration whose bounds a short sequence reaches, and calls.
fn sequence() -> impl Strategy<Value = (Config, bool, Vec<Op>)> {
    let when_full = prop::sample::select(vec![
        WhenFull::Reject,
        WhenFull::DropOldest,
        WhenFull::DropLowest,
    ]);
    let bounds = (
        1_usize..30,
        0_usize..8,
        prop_oneof![Just(u64::MAX), 500_u64..2_000],
    );
    let marks = (1_u64..5, 1_usize..20, 1_usize..10);
    let config = (when_full, bounds, marks).prop_map(|(when_full, bounds, marks)| Config {
        when_full,
        capacity: bounds.0,
        max_parked: bounds.1,
        max_bytes: ByteSize::from_bytes(bounds.2),
        dedup_window: nexus_host::config::HumanDuration::from_secs(marks.0),
        dedup_capacity: marks.1,
        dead_letter_capacity: marks.2,
        ..Config::default()
    });
    let ops = (vec(op(), 1..120), prop::option::weighted(0.2, 0_usize..120)).prop_map(
        |(mut ops, close)| {
            if let Some(at) = close {
                ops.insert(at.min(ops.len()), Op::CloseIntake);
            }
            ops
        },
    );
    (config, any::<bool>(), ops)
}

/// Opens a queue, with lanes or without.
type Open = dyn Fn(&Config, bool) -> Arc<dyn Queue> + Send + Sync;

/// A kind of queue, and its time.
struct Backend {
    durability: Durability,
    clock: Clock,
    open: Box<Open>,
}

impl Backend {
    fn memory() -> Self {
        Self {
            durability: Durability::Volatile,
            clock: Clock::manual(),
            open: Box::new(|config, lanes| Arc::new(MemoryQueue::new(config, lanes))),
        }
    }

    fn sqlite() -> Self {
        let clock = Clock::manual();
        Self {
            durability: Durability::Durable,
            clock: clock.clone(),
            open: Box::new(move |config, lanes| {
                let queue = SqliteQueue::open_with_clock(config, lanes, clock.clone());
                Arc::new(queue.expect("it opens"))
            }),
        }
    }
}

/// Where a queue's file is: in memory, where there is such a place, since this is not about disks.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a folder")
}

/// The queue and the model, side by side.
struct Pair<'a> {
    backend: &'a Backend,
    config: Config,
    lanes: bool,
    queue: Arc<dyn Queue>,
    model: Model,
    _folder: TempDir,
    /// What is leased, in the model's terms and the queue's.
    held: Vec<(Task, Delivery)>,
    settled: Vec<Lease>,
    made: Vec<Event>,
    effects: u32,
}

impl<'a> Pair<'a> {
    fn new(backend: &'a Backend, mut config: Config, lanes: bool) -> Self {
        let folder = folder();
        config.sqlite.path = folder.path().join("queue.db");
        Self {
            backend,
            queue: (backend.open)(&config, lanes),
            model: Model::new(config.clone(), lanes, backend.durability),
            config,
            lanes,
            _folder: folder,
            held: Vec::new(),
            settled: Vec::new(),
            made: Vec::new(),
            effects: 0,
        }
    }

    fn make(&mut self, made: &Made) -> Event {
        let source = format!("s{}", made.source);
        let mut new = match made.weight {
            8 => event(&source, 0),
            weight => heavy(&source, weight),
        };
        new.priority = made.priority;
        new.partition_key = made.key.map(|key| format!("k{key}"));
        if let Some(again) = made.again.filter(|_| !self.made.is_empty()) {
            new.event_id = again.get(&self.made).event_id;
        }
        // As it leaves admission, so that what is leased compares with it.
        let new = Event::clone(admitted(new).event());
        self.made.push(new.clone());
        new
    }

    async fn run(&mut self, op: &Op) {
        match op {
            Op::Push(batch) => self.push(batch).await,
            Op::Lease(times) => {
                for _ in 0..*times {
                    self.lease();
                }
            }
            Op::Settle(which, how) => {
                if !self.held.is_empty() {
                    let index = which.index(self.held.len());
                    self.settle(index, how).await;
                }
            }
            Op::SettleAgain(which) => {
                if !self.settled.is_empty() {
                    let refused = self.queue.settle(*which.get(&self.settled), all()).await;
                    assert_eq!(refused.err(), Some(SettleError::UnknownLease));
                }
            }
            Op::Advance(millis) => self.advance(Duration::from_millis(*millis)).await,
            Op::Replay(which) => self.replay(which).await,
            Op::Purge(which) => self.purge(which).await,
            Op::CloseIntake => {
                self.queue.close_intake();
                self.model.close_intake();
            }
            Op::Restart => self.restart().await,
        }
        self.look_round().await;
        self.model.assert_figures(&self.queue.stats());
    }

    async fn advance(&mut self, by: Duration) {
        advance(by).await;
        self.backend.clock.advance(by);
        self.model.advance(by);
        self.look_round().await;
    }

    /// A durable queue looks at the clock when it is asked to write something.
    async fn look_round(&mut self) {
        if self.backend.durability == Durability::Volatile {
            return;
        }
        let nothing = StateWrite {
            key: "nothing".to_owned(),
            value: None,
        };
        let written = self.queue.state_put("tests", nothing).await;
        written.expect("it can be written");
        self.model.promote();
    }

    /// The dead letters, which are those of the model.
    async fn letters(&self) -> Vec<DeadLetter> {
        let all = self
            .queue
            .dead_letters(LetterFilter::default(), Page::first(usize::MAX));
        let all = all.await.expect("they can be read");
        let expected = self.model.letters().iter();
        let expected: Vec<_> = expected
            .map(|Letter { event, kind }| (&self.model.events[*event].event, *kind))
            .collect();
        let found: Vec<_> = all
            .iter()
            .map(|one| (&*one.event, kind(&one.work)))
            .collect();
        assert_eq!(found, expected);
        all
    }

    /// Some of the letters that there are: their places, and their ids.
    async fn some(&self, which: &[prop::sample::Index]) -> (Vec<usize>, Vec<Uuid>) {
        let letters = self.letters().await;
        if letters.is_empty() {
            return (Vec::new(), Vec::new());
        }
        let places: BTreeSet<_> = which.iter().map(|one| one.index(letters.len())).collect();
        let ids = places.iter().map(|place| letters[*place].id).collect();
        (places.into_iter().collect(), ids)
    }

    async fn replay(&mut self, which: &[prop::sample::Index]) {
        let (places, ids) = self.some(which).await;
        assert_eq!(self.queue.replay(ids.clone()).await, Ok(ids.clone()));
        self.model.replay(&places);
        assert_eq!(self.queue.replay(ids).await, Ok(Vec::new()), "only once");
    }

    async fn purge(&mut self, which: &[prop::sample::Index]) {
        let (places, ids) = self.some(which).await;
        assert_eq!(self.queue.purge(ids.clone()).await, Ok(ids.clone()));
        self.model.purge(&places);
        assert_eq!(self.queue.purge(ids).await, Ok(Vec::new()), "only once");
    }

    async fn restart(&mut self) {
        if self.backend.durability == Durability::Volatile {
            return;
        }
        self.queue.close_leasing();
        self.queue.close().await;
        self.queue = (self.backend.open)(&self.config, self.lanes);
        self.model.restart();
        // Those of the process before.
        self.held.clear();
        self.settled.clear();
        self.look_round().await;
        self.assert_journeys().await;
        self.letters().await;
    }

    async fn push(&mut self, batch: &[Made]) {
        let events: Vec<_> = batch.iter().map(|made| self.make(made)).collect();
        let mut given_way = Vec::new();
        let model = &mut self.model;
        let expected: Vec<_> = events
            .iter()
            .map(|event| model.push(event, &mut given_way))
            .collect();
        let report = self
            .queue
            .push(events.into_iter().map(admitted).collect())
            .await;
        let is_new = |answer: Result<Pushed, _>| answer.map(|pushed| pushed == Pushed::Accepted);
        let found: Vec<_> = report.answers.into_iter().map(is_new).collect();
        assert_eq!(found, expected);
        let told: Vec<_> = report
            .given_way
            .iter()
            .map(|event| event.event_id)
            .collect();
        assert_eq!(told, given_way);
    }

    /// Leases once. Says whether there was something.
    fn lease(&mut self) -> bool {
        let nothing = self.model.eligible().iter().all(Option::is_none);
        let Some(found) = self.queue.lease().now_or_never() else {
            assert!(nothing, "something is ready: {:?}", self.model.eligible());
            return false;
        };
        let delivery = found.expect("leasing is open");
        let event = self.model.index(&delivery.event);
        let kind = kind(&delivery.work);
        let heads = self.model.eligible();
        let same = |task: &&Task| {
            // An older event with the same source and id may have work left, too.
            self.model.events[task.event].event == *delivery.event && task.kind == kind
        };
        let task = heads.iter().flatten().find(same).unwrap_or_else(|| {
            panic!("event {event}, {kind:?} may not go; these may: {heads:?}");
        });
        let task = task.clone();
        assert_eq!(delivery.attempt, task.attempt);
        assert_eq!(
            delivery.errors.len() + 1,
            usize::try_from(task.attempt).expect("few")
        );
        self.model.lease(&task);
        self.held.push((task, delivery));
        true
    }

    async fn settle(&mut self, index: usize, how: &Ending) {
        let (task, delivery) = self.held.swap_remove(index);
        let mut numbers = self.effects..;
        let mut number = || numbers.next().expect("endless");
        let millis = Duration::from_millis;
        let plan = Plan {
            again: how.again.map(|(after, failed)| (millis(after), failed)),
            at_once: (0..how.at_once).map(|_| number()).collect(),
            later: how
                .later
                .iter()
                .map(|(after, failed)| (number(), millis(*after), *failed))
                .collect(),
            dead: how.dead,
            emitted: how.emitted.iter().map(|made| self.make(made)).collect(),
        };
        self.effects += 10;
        let known = self.model.events.len();
        let (at_once, finished) = self.model.settle(&task, &plan);
        let settled = self
            .queue
            .settle(delivery.lease, settlement(&plan))
            .await
            .expect("it is held");
        assert_eq!(settled.finished, finished);
        assert_eq!(settled.accepted.len(), self.model.events.len() - known);
        assert_eq!(settled.leased.len(), at_once.len());
        for (task, delivery) in at_once.into_iter().zip(settled.leased) {
            assert_eq!((kind(&delivery.work), delivery.attempt), (task.kind, 1));
            self.held.push((task, delivery));
        }
        self.settled.push(delivery.lease);
        self.look_round().await;
    }

    /// Every journey tells what the model knows.
    async fn assert_journeys(&self) {
        let newest: HashMap<_, _> = self
            .model
            .events
            .iter()
            .map(|known| ((known.event.event_id, known.event.source.clone()), known))
            .collect();
        for ((id, source), known) in newest {
            let is_meant = move |of: &str, _: &str| of == source;
            let journey = self.queue.journey(id, Box::new(is_meant)).await;
            let journey = journey.expect("it can be read");
            let journey = journey.expect("it is known");
            assert_eq!(
                (journey.status, &journey.source),
                (known.status, &known.event.source)
            );
        }
    }

    /// Works everything off, and asserts that nothing is left of it.
    async fn finish(&mut self) {
        self.assert_journeys().await;
        let ack = Ending {
            again: None,
            at_once: 0,
            later: Vec::new(),
            dead: 0,
            emitted: Vec::new(),
        };
        loop {
            while !self.held.is_empty() {
                self.settle(0, &ack).await;
            }
            if !self.lease() {
                let Some(due) = self.model.next_due() else {
                    break;
                };
                self.advance(due).await;
            }
        }
        self.letters().await;
        let stats = self.queue.stats();
        assert_eq!(
            (stats.depth, stats.bytes, stats.leased, stats.delayed),
            (0, 0, 0, 0)
        );
        let drained = self
            .queue
            .drained(tokio::time::Instant::now() + Duration::from_secs(9));
        assert!(drained.now_or_never().is_some(), "nothing is left");
        self.queue.close_leasing();
        assert!(
            self.queue
                .lease()
                .now_or_never()
                .expect("at once")
                .is_none()
        );
        self.assert_journeys().await;
    }
}

fn kind(work: &Work) -> Kind {
    match work {
        Work::Route => Kind::Route,
        Work::Perform { number, .. } => Kind::Effect(*number),
        other => panic!("{other:?}"),
    }
}

fn settlement(plan: &Plan) -> Settlement {
    let failed = |failed: bool| failed.then(|| failure("no"));
    let at_once = plan.at_once.iter().map(|number| (*number, None, false));
    let later = plan
        .later
        .iter()
        .map(|(number, after, failed)| (*number, Some(*after), *failed));
    Settlement {
        verdict: match plan.again {
            None => Verdict::Ack,
            Some((after, failure)) => Verdict::Nack {
                after,
                failure: failed(failure),
            },
        },
        follow_ups: at_once
            .chain(later)
            .map(|(number, after, failure)| FollowUp {
                work: effect(number),
                after,
                failure: failed(failure),
            })
            .collect(),
        dead: vec![grave(); plan.dead],
        emitted: plan.emitted.iter().cloned().map(admitted).collect(),
        ..Settlement::default()
    }
}

fn grave() -> Grave {
    Grave {
        work: effect(0),
        reason: "for_a_test".to_owned(),
        errors: Vec::new(),
    }
}

/// A settlement that would be seen, were it applied.
fn all() -> Settlement {
    let made = event("never", 0);
    settlement(&Plan {
        dead: 1,
        at_once: vec![1],
        emitted: vec![made],
        ..Plan::default()
    })
}

fn from_env<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number")),
    )
}

#[test]
fn the_memory_queue_agrees_with_the_model() {
    agrees(Backend::memory, 256);
}

#[test]
fn the_durable_queue_agrees_with_the_model() {
    agrees(Backend::sqlite, 128);
}

fn agrees(backend: fn() -> Backend, cases: u32) {
    let cases = from_env("NEXUS_MODEL_CASES").unwrap_or(cases);
    let seed: u64 = from_env("NEXUS_MODEL_SEED").unwrap_or_else(rand_seed);
    eprintln!("{cases} sequences, NEXUS_MODEL_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let result = TestRunner::new_with_rng(config, rng).run(&sequence(), |(config, lanes, ops)| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        runtime.block_on(async {
            let backend = backend();
            let mut pair = Pair::new(&backend, config, lanes);
            for op in &ops {
                pair.run(op).await;
            }
            pair.finish().await;
        });
        Ok(())
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, (config, lanes, ops))) => {
            panic!("NEXUS_MODEL_SEED={seed}: {reason}\nlanes: {lanes}, {config:?}\n{ops:?}")
        }
        Err(TestError::Abort(reason)) => panic!("NEXUS_MODEL_SEED={seed}: {reason}"),
    }
}

fn rand_seed() -> u64 {
    let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
    high ^ low
}

/// The model finds what it is there to find: that an event is a duplicate of itself.
#[test]
fn the_model_knows_a_duplicate() {
    let mut model = Model::new(Config::default(), true, Durability::Volatile);
    let (one, mut given_way) = (event("a", 0), Vec::new());
    assert_eq!(model.push(&one, &mut given_way), Ok(true));
    assert_eq!(model.push(&one, &mut given_way), Ok(false));
}
