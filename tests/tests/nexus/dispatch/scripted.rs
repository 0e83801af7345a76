//! A dispatcher that works on a memory queue, with plugins that do as a test says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nexus_host::admission::Admitted;
use nexus_host::dispatch::port::{Admit, Asking, Call, Components, Observer, People};
use nexus_host::dispatch::{Breakers, Config, Dispatcher, config};
use nexus_host::observe::{Measures, Tracer};
use nexus_host::queue::{
    self, BoxFuture, DeadLetter, Journey, LetterFilter, MemoryQueue, Page, Pushed, Queue, Step,
};
use nexus_plugin_api::approval::Question;
use nexus_plugin_api::{Effect, Event, NewEvent, Outcome, PluginError, RawJson, Reply};
use nexus_tests::events::{admission, admitted, number};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

/// The type of events that admission panics on.
pub const PANICKING: &str = "test.panics";

/// One call of a plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct Called {
    /// `plugin/name`.
    pub who: String,
    /// The `n` of the event.
    pub n: u64,
    pub attempt: u32,
    /// Empty for processors.
    pub key: String,
    /// The `request` of a [`notify`]; 0 for processors.
    pub request: u64,
    /// Since the rig was started.
    pub at: Duration,
}

type Process =
    dyn Fn(Event, Called) -> BoxFuture<'static, Result<Outcome, PluginError>> + Send + Sync;
type Deliver = dyn Fn(Called) -> BoxFuture<'static, Result<Reply, PluginError>> + Send + Sync;

/// Plugins that do as they are told, and remember how they were called.
pub struct Scripted {
    processors: BTreeMap<Arc<str>, Box<Process>>,
    integrations: BTreeMap<Arc<str>, Box<Deliver>>,
    /// Panics when asked who subscribes to this event.
    panics_on: Option<u64>,
    observers_panic: bool,
    started: Instant,
    calls: Mutex<Vec<Called>>,
    seen: Mutex<Seen>,
}

/// What observers were told.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    pub accepted: Vec<Uuid>,
    pub finished: Vec<Uuid>,
}

/// A rig that is not running yet.
pub struct Setup {
    plugins: Scripted,
    pub queue: queue::Config,
    pub dispatch: Config,
    pub retry: config::Retry,
    pub breaker: config::Breaker,
}

/// A dispatcher at work.
pub struct Rig {
    pub queue: Arc<MemoryQueue>,
    pub breakers: Arc<Breakers>,
    pub measures: Arc<Measures>,
    plugins: Arc<Scripted>,
    running: JoinHandle<()>,
}

impl Setup {
    /// Nobody subscribes to anything yet.
    pub fn new() -> Self {
        let plugins = Scripted {
            processors: BTreeMap::new(),
            integrations: BTreeMap::new(),
            panics_on: None,
            observers_panic: false,
            started: Instant::now(),
            calls: Mutex::default(),
            seen: Mutex::default(),
        };
        Self {
            plugins,
            queue: queue::Config {
                capacity: 100_000,
                ..queue::Config::default()
            },
            dispatch: Config::default(),
            retry: config::Retry::default(),
            breaker: config::Breaker::default(),
        }
    }

    /// Adds a processor that sees every event.
    pub fn processor<F, R>(mut self, name: &str, process: F) -> Self
    where
        F: Fn(Event, Called) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Outcome, PluginError>> + Send + 'static,
    {
        let process = Box::new(move |event, call| -> BoxFuture<'static, _> {
            Box::pin(process(event, call))
        });
        self.plugins.processors.insert(name.into(), process);
        self
    }

    /// Adds a processor that always decides on these effects.
    pub fn decides(self, name: &str, effects: Vec<Effect>) -> Self {
        self.processor(name, move |_, _| {
            let outcome = Outcome {
                effects: effects.clone(),
                ..Outcome::done()
            };
            async { Ok(outcome) }
        })
    }

    /// Adds an integration.
    pub fn integration<F, R>(mut self, name: &str, deliver: F) -> Self
    where
        F: Fn(Called) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Reply, PluginError>> + Send + 'static,
    {
        let deliver = Box::new(move |call| -> BoxFuture<'static, _> { Box::pin(deliver(call)) });
        self.plugins.integrations.insert(name.into(), deliver);
        self
    }

    /// Asking who subscribes to this event panics.
    pub fn subscribers_panic_on(mut self, n: u64) -> Self {
        self.plugins.panics_on = Some(n);
        self
    }

    /// Telling observers anything panics.
    pub fn observers_panic(mut self) -> Self {
        self.plugins.observers_panic = true;
        self
    }

    /// Puts dispatch to work.
    pub fn start(self) -> Rig {
        let lanes = self.dispatch.ordering == config::Ordering::Lane;
        let queue = Arc::new(MemoryQueue::new(&self.queue, lanes));
        let breakers = Arc::new(Breakers::new(self.breaker, &self.retry));
        let plugins = Arc::new(self.plugins);
        let dispatcher = Arc::new(Dispatcher::new(
            self.dispatch,
            self.retry,
            breakers.clone(),
            queue.clone(),
            plugins.clone(),
            Arc::new(AdmitOrPanic),
            plugins.clone(),
            Arc::new(Nobody),
            Arc::default(),
            Tracer::default(),
        ));
        let measures = dispatcher.measures().clone();
        let running = tokio::spawn(dispatcher.run());
        Rig {
            queue,
            breakers,
            measures,
            plugins,
            running,
        }
    }
}

impl Rig {
    /// Pushes events that are accepted.
    pub async fn put(&self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            let pushed = self.queue.push(vec![admitted(event)]).await.answers;
            assert_eq!(pushed, [Ok(Pushed::Accepted)]);
        }
    }

    /// Waits until everything is done, retries included.
    pub async fn done(&self) {
        let day = Duration::from_secs(24 * 60 * 60);
        let drained = self.queue.drained(Instant::now() + day);
        timeout(day, drained).await.expect("it comes to an end");
    }

    /// Stops, and asserts that no worker died and nothing is unaccounted for.
    pub async fn stop(self) -> Arc<Scripted> {
        self.done().await;
        self.queue.close_leasing();
        self.running.await.expect("no worker died");
        let stats = self.queue.stats();
        assert_eq!(stats.accepted, stats.finished, "accepted = finished");
        assert_eq!((stats.depth, stats.leased, stats.delayed), (0, 0, 0));
        self.plugins
    }

    /// The calls of one plugin so far.
    pub fn calls(&self, who: &str) -> Vec<Called> {
        self.plugins.calls(who)
    }

    /// What observers were told so far.
    pub fn seen(&self) -> Seen {
        self.plugins.seen.lock().unwrap().clone()
    }

    /// The dead letters.
    pub async fn dead(&self) -> Vec<DeadLetter> {
        let all = self
            .queue
            .dead_letters(LetterFilter::default(), Page::first(usize::MAX));
        all.await.expect("they can be read")
    }

    /// The journey of an event.
    pub async fn journey(&self, id: Uuid) -> Journey {
        let journey = self.queue.journey(id, Box::new(|_, _| true)).await;
        journey.expect("it can be read").expect("it is known")
    }

    /// The steps of an event's journey.
    pub async fn steps(&self, id: Uuid) -> Vec<Step> {
        let journey = self.journey(id).await;
        journey.steps.into_iter().map(|line| line.step).collect()
    }
}

impl Scripted {
    /// The calls of one plugin so far.
    pub fn calls(&self, who: &str) -> Vec<Called> {
        let calls = self.calls.lock().unwrap();
        calls
            .iter()
            .filter(|call| call.who == who)
            .cloned()
            .collect()
    }

    fn note(&self, who: &str, call: Call<'_>, request: u64) -> Called {
        let called = Called {
            who: who.to_owned(),
            n: number(call.event),
            attempt: call.attempt,
            key: call.idempotency_key.to_owned(),
            request,
            at: self.started.elapsed(),
        };
        self.calls.lock().unwrap().push(called.clone());
        called
    }
}

impl Components for Scripted {
    fn subscribers(&self, event: &Event) -> Vec<Arc<str>> {
        assert_ne!(self.panics_on, Some(number(event)), "a panic for a test");
        self.processors.keys().cloned().collect()
    }

    fn integration(&self, name: &str) -> Result<Arc<str>, PluginError> {
        let found = self
            .integrations
            .get_key_value(name)
            .map(|(name, _)| name.clone());
        found.ok_or_else(|| PluginError::permanent("unknown_integration", name))
    }

    fn process<'a>(
        &'a self,
        processor: &'a str,
        call: Call<'a>,
        event: &'a Event,
    ) -> BoxFuture<'a, Result<Outcome, PluginError>> {
        let called = self.note(processor, call, 0);
        self.processors[processor](event.clone(), called)
    }

    fn deliver<'a>(
        &'a self,
        integration: &'a str,
        _target: Option<&'a str>,
        call: Call<'a>,
        request: &'a RawJson,
    ) -> BoxFuture<'a, Result<Reply, PluginError>> {
        let request = request.parse().expect("made by `notify`");
        let called = self.note(integration, call, request);
        self.integrations[integration](called)
    }
}

impl Observer for Scripted {
    fn accepted(&self, event: &Arc<Event>) {
        self.seen.lock().unwrap().accepted.push(event.event_id);
        assert!(!self.observers_panic, "a panic for a test");
    }

    fn finished(&self, event: &Event) {
        self.seen.lock().unwrap().finished.push(event.event_id);
        assert!(!self.observers_panic, "a panic for a test");
    }
}

/// There is nobody to ask.
struct Nobody;

impl People for Nobody {
    fn ask<'a>(
        &'a self,
        _: &'a Question,
        _: Asking<'a>,
    ) -> BoxFuture<'a, Result<Uuid, PluginError>> {
        Box::pin(async { Err(PluginError::permanent("nobody", "nobody is there")) })
    }

    fn answer<'a>(
        &'a self,
        _: Uuid,
        _: &'a str,
        _: Option<&'a str>,
        _: &'a str,
    ) -> BoxFuture<'a, Result<String, PluginError>> {
        Box::pin(async { Err(PluginError::permanent("nobody", "nobody is there")) })
    }
}

/// The real admission, except that it panics on one type.
struct AdmitOrPanic;

impl Admit for AdmitOrPanic {
    fn admit_emitted(
        &self,
        event: NewEvent,
        plugin: &str,
        cause: &Event,
        effect: u32,
    ) -> Result<Admitted, PluginError> {
        assert_ne!(event.event_type, PANICKING, "a panic for a test");
        admission().admit_emitted(event, plugin, cause, effect)
    }
}

/// An effect that hands `request` to an integration.
pub fn notify(integration: &str, request: u64) -> Effect {
    Effect::notify(integration, &request).expect("serialises")
}

/// That effect, for a target of the integration.
pub fn notify_target(integration: &str, target: &str, request: u64) -> Effect {
    Effect::Notify {
        integration: integration.to_owned(),
        target: Some(target.to_owned()),
        request: RawJson::of(&request).expect("serialises"),
    }
}

/// An effect that emits an event of a type.
pub fn emit(event_type: &str, n: u64) -> Effect {
    let event = NewEvent::new(event_type, &serde_json::json!({ "n": n })).expect("serialises");
    Effect::emit(event)
}

/// A failure that may pass.
pub fn unavailable() -> PluginError {
    PluginError::retryable("unavailable", "not now")
}
