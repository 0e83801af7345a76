//! A plugin's workers: receives calls, hands each to one of them, and starts another for one that has died.
//!
//! An event that a worker died over is shown once more, alone; when that worker dies as well, the event is the
//! reason, and is not shown again. What others were at meanwhile is simply shown again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use nexus_plugin_api::abi::{
    AnswerV1, CallV1, ErrorV1, EventV1, FutureV1, PluginInstance, plugin_op,
};
use nexus_plugin_api::wire::Description;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

use super::super::backoff;
use super::super::refusal::{Refusal, RefusalCode as Code};
use super::super::standing::PluginState;
use super::frame::{self, Call, Event, ToWorker};
use super::keeper::Keeper;
use super::launch::{Loaded, Recipe};
use super::line::{Came, Death, Line, Running, Waiting};
use super::lives::Lives;
use super::suspects::{Suspects, Work};
use crate::dispatch::port::WORKER_DIED;

/// Before a worker is started again that has answered nothing since its start; doubled each time.
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// So many workers that die without having answered anything are a plugin that does not work: calls fail at
/// once then, until one does.
const HOPELESS: u32 = 5;

/// How long a migration may take: whoever publishes is waiting.
const MIGRATION: Duration = Duration::from_secs(1);

/// See the module.
pub(in crate::plugins) struct Pool {
    recipe: Recipe,
    /// Lasts as long as there are workers.
    _keeper: Arc<Keeper>,
    init: Vec<u8>,
    slots: Vec<Slot>,
    next: AtomicU64,
    suspects: Suspects,
}

/// A place for one worker.
struct Slot {
    standing: watch::Sender<Standing>,
    /// Held by all that are shown an event there, and by one alone that is suspected.
    company: Arc<RwLock<()>>,
    under_way: AtomicUsize,
}

/// Who else is shown events in a place at the same time. Held until the worker is no longer at it.
enum Company {
    Alone(#[expect(dead_code, reason = "it is held")] OwnedRwLockWriteGuard<()>),
    Among(#[expect(dead_code, reason = "it is held")] OwnedRwLockReadGuard<()>),
}

/// Whether a worker is there.
#[derive(Clone)]
enum Standing {
    /// It is being started.
    Starting,
    /// It is ready.
    Ready(Arc<Line>),
    /// None lasts, and why.
    Hopeless(Arc<str>),
    /// The plugin is stopped.
    Stopped,
}

/// A first worker that has loaded the library, and says what it holds.
pub(in crate::plugins) struct First {
    recipe: Recipe,
    keeper: Arc<Keeper>,
    loaded: Loaded,
}

impl First {
    /// Starts the first worker.
    ///
    /// # Errors
    /// Why there is none.
    pub(in crate::plugins) async fn load(
        recipe: Recipe,
        keeper: Arc<Keeper>,
    ) -> Result<Self, Refusal> {
        let (recipe, loaded) = keeper
            .run(async move {
                let loaded = recipe.load().await;
                (recipe, loaded)
            })
            .await
            .ok_or_else(stopping)?;
        Ok(Self {
            recipe,
            keeper,
            loaded: loaded?,
        })
    }

    /// What becomes of the workers.
    pub(in crate::plugins) fn lives(&self) -> Arc<Lives> {
        self.recipe.lives.clone()
    }

    /// What the library says of itself.
    pub(in crate::plugins) fn description(&self) -> &Description {
        &self.loaded.description
    }

    /// Builds the plugin's components, in as many workers as there are to be.
    ///
    /// # Errors
    /// Why the first does not start.
    pub(in crate::plugins) async fn start(
        self,
        init: Vec<u8>,
        workers: usize,
    ) -> Result<Result<Remote, ErrorV1>, Refusal> {
        let Self {
            recipe,
            keeper,
            loaded,
        } = self;
        let mut running = loaded.running;
        match running.line.start(&init).await {
            Some(Ok(())) => {}
            Some(Err(error)) => return Ok(Err(error)),
            None => {
                let death = running.death().await;
                let reason = format!("its worker has died while it was started: {death}");
                let help = "see what it has written to the log";
                return Err(Refusal::new(Code::WorkerDied, reason, help));
            }
        }
        let slot = |standing| Slot {
            standing: watch::Sender::new(standing),
            company: Arc::new(RwLock::new(())),
            under_way: AtomicUsize::new(0),
        };
        let first = slot(Standing::Ready(running.line.clone()));
        let others = (1..workers).map(|_| slot(Standing::Starting));
        let suspects = Suspects::new(recipe.sha256);
        let pool = Arc::new(Pool {
            recipe,
            _keeper: keeper.clone(),
            init,
            slots: std::iter::once(first).chain(others).collect(),
            next: AtomicU64::new(0),
            suspects,
        });
        let mut first = Some(running);
        for number in 0..pool.slots.len() {
            keeper.spawn(supervise(pool.clone(), number, first.take()));
        }
        Ok(Ok(Remote(pool)))
    }
}

fn stopping() -> Refusal {
    let help = "start it again";
    Refusal::new(Code::NoWorker, "the hub is stopping", help)
}

/// Keeps one worker running until the plugin is stopped.
async fn supervise(pool: Arc<Pool>, number: usize, mut running: Option<Running>) {
    let plugin = pool.recipe.plugin.clone();
    let slot = &pool.slots[number];
    let mut in_vain = 0;
    loop {
        let started = match running.take() {
            Some(running) => Ok(running),
            None => pool.bring_up().await,
        };
        let reason = match started {
            Ok(mut worker) => {
                let born = Instant::now();
                let line = worker.line.clone();
                if !slot.stands(Standing::Ready(line.clone())) {
                    return;
                }
                let mut stopped = slot.standing.subscribe();
                let death = tokio::select! {
                    death = worker.death() => death,
                    _ = stopped.wait_for(|now| matches!(now, Standing::Stopped)) => return,
                };
                if line.has_answered() {
                    in_vain = 0;
                }
                tracing::error!(plugin, lived = ?born.elapsed(), reason = death, "a plugin's worker has died");
                pool.recipe.lives.died(&death);
                death
            }
            Err(refusal) => {
                tracing::error!(plugin, %refusal, "a plugin's worker does not start");
                refusal.to_string()
            }
        };
        in_vain += 1;
        let standing = match in_vain > HOPELESS {
            true => Standing::Hopeless(reason.into()),
            false => Standing::Starting,
        };
        if !slot.stands(standing) {
            return;
        }
        if in_vain > 1 {
            sleep(backoff::delay(in_vain - 2, FIRST_DELAY, LONGEST_DELAY)).await;
        }
    }
}

impl Slot {
    /// Tells how it stands now; not when the plugin is stopped.
    fn stands(&self, standing: Standing) -> bool {
        self.standing.send_if_modified(|now| {
            let goes_on = !matches!(now, Standing::Stopped);
            if goes_on {
                *now = standing;
            }
            goes_on
        })
    }

    /// The worker that is there, once there is one.
    async fn ready(&self) -> Result<Arc<Line>, ErrorV1> {
        let mut standing = self.standing.subscribe();
        let is_settled = |now: &Standing| match now {
            Standing::Starting => false,
            Standing::Ready(line) => !line.is_dead(),
            Standing::Hopeless(_) | Standing::Stopped => true,
        };
        let settled = standing.wait_for(is_settled).await;
        match settled.as_deref() {
            Ok(Standing::Ready(line)) => Ok(line.clone()),
            Ok(Standing::Hopeless(why)) => {
                Err(no_worker(format!("no worker of the plugin lasts: {why}")))
            }
            _ => Err(no_worker("the plugin is stopped")),
        }
    }

    /// Makes a call on the worker that is there, once there is one. `left` as [`on`] has it.
    async fn call(&self, id: u64, mut frame: Vec<u8>, mut left: Waiting) -> Result<Came, ErrorV1> {
        loop {
            let line = self.ready().await?;
            match on(&line, id, frame, left).await {
                Ok(came) => return Ok(came),
                Err(not_sent) => (frame, left) = not_sent,
            }
        }
    }
}

impl Pool {
    /// Starts a worker and builds the plugin in it.
    async fn bring_up(&self) -> Result<Running, Refusal> {
        let mut running = self.recipe.load().await?.running;
        let refused = |code, reason: String| Refusal::new(code, reason, "see the log");
        let limit = self.recipe.limit;
        match timeout(limit, running.line.start(&self.init)).await {
            Ok(Some(Ok(()))) => Ok(running),
            Ok(Some(Err(error))) => {
                let error = self.recipe.service.redaction.error(error);
                Err(refused(Code::InitFailed, error.to_string()))
            }
            Ok(None) => Err(refused(Code::WorkerDied, running.death().await)),
            Err(_) => {
                let reason = format!("its components are not built within {limit:?}");
                Err(refused(Code::InitTimeout, reason))
            }
        }
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// The place with the least to do.
    fn idlest(&self) -> &Slot {
        let busy = |slot: &&Slot| slot.under_way.load(Ordering::Relaxed);
        let idlest = self.slots.iter().min_by_key(busy);
        idlest.unwrap_or(&self.slots[0])
    }

    /// Has an event processed or an effect delivered.
    async fn attempt(
        self: Arc<Self>,
        id: u64,
        work: Work,
        frame: Result<Vec<u8>, ErrorV1>,
    ) -> Result<AnswerV1, ErrorV1> {
        let frame = frame?;
        let is_suspected = self.suspects.suspects(&work)?;
        let slot = self.idlest();
        let _counted = Counted::on(&slot.under_way);
        let company = slot.company.clone();
        let company = match is_suspected {
            true => Company::Alone(company.write_owned().await),
            false => Company::Among(company.read_owned().await),
        };
        let work = Arc::new(work);
        // When nobody waits for it any more and the worker dies over it, that counts as well.
        let (pool, left_alone) = (self.clone(), work.clone());
        let left = move |came: Came| {
            // As long as the worker is at it, whoever is to be alone is not.
            let _until_now = company;
            if let Err(death) = came {
                pool.suspects.blame(&left_alone, &death);
            }
        };
        match slot.call(id, frame, Box::new(left)).await? {
            Ok(reply) => {
                if is_suspected {
                    self.suspects.acquit(&work);
                }
                reply
            }
            Err(death) => {
                self.suspects.blame(&work, &death);
                self.suspects.suspects(&work)?;
                Err(died(&death))
            }
        }
    }

    /// Asks for what belongs to no event: of the first worker, which has the plugin's sources.
    async fn ask(&self, id: u64, frame: Result<Vec<u8>, ErrorV1>) -> Result<AnswerV1, ErrorV1> {
        let answered = self.slots[0].call(id, frame?, Box::new(drop)).await?;
        answered.unwrap_or_else(|death| Err(died(&death)))
    }

    /// Has every worker build its components anew.
    async fn rebuild(
        &self,
        frames: Vec<(u64, Result<Vec<u8>, ErrorV1>)>,
    ) -> Result<AnswerV1, ErrorV1> {
        let mut answer = Ok(AnswerV1::default());
        for (slot, (id, frame)) in self.slots.iter().zip(frames) {
            let standing = slot.standing.borrow().clone();
            // One that is not there is built when it comes.
            if let Standing::Ready(line) = standing
                && let Ok(Ok(Err(error))) = on(&line, id, frame?, Box::new(drop)).await
            {
                answer = Err(error);
            }
        }
        answer
    }

    /// Carries a payload over, and waits for it here: a migration answers at once.
    fn migrate(&self, id: u64, frame: Result<Vec<u8>, ErrorV1>) -> Result<AnswerV1, ErrorV1> {
        let standing = self.slots[0].standing.borrow().clone();
        let Standing::Ready(line) = standing else {
            return Err(no_worker("the plugin's worker is being started"));
        };
        let (told, came) = mpsc::sync_channel(1);
        let tell = move |answer: Came| {
            // Who has waited may have given up.
            let _ = told.send(answer);
        };
        if line.call(id, frame?, Box::new(tell)).is_err() {
            return Err(no_worker("the plugin's worker is being started"));
        }
        let answer = waiting(|| came.recv_timeout(MIGRATION));
        match answer {
            Ok(Ok(reply)) => reply,
            Ok(Err(death)) => Err(died(&death)),
            Err(_) => {
                line.give_up(id, Box::new(drop));
                Err(no_worker(format!(
                    "it has not answered within {MIGRATION:?}"
                )))
            }
        }
    }
}

/// Waits on a thread that others may need: they get another one.
#[allow(
    clippy::disallowed_methods,
    reason = "on a runtime of several threads only"
)]
fn waiting<T>(wait: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    let flavor = Handle::try_current().map(|handle| handle.runtime_flavor());
    match flavor {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
        _ => wait(),
    }
}

fn no_worker(message: impl Into<String>) -> ErrorV1 {
    may_pass("no_worker", message)
}

fn died(death: &Death) -> ErrorV1 {
    may_pass(
        WORKER_DIED,
        format!("the plugin's worker has died: {death}"),
    )
}

fn may_pass(code: &str, message: impl Into<String>) -> ErrorV1 {
    ErrorV1 {
        retryable: true,
        ..ErrorV1::permanent(code, message)
    }
}

/// Makes a call on a line. When this is dropped, it is given up, and `left` is told what becomes of it.
///
/// # Errors
/// The frame and `left`: the worker had died before.
async fn on(
    line: &Arc<Line>,
    id: u64,
    frame: Vec<u8>,
    left: Waiting,
) -> Result<Came, (Vec<u8>, Waiting)> {
    let (told, came) = oneshot::channel();
    let tell = move |answer: Came| {
        // Who has waited may be gone.
        let _ = told.send(answer);
    };
    if let Err(frame) = line.call(id, frame, Box::new(tell)) {
        return Err((frame, left));
    }
    let mut asking = Asking {
        line,
        id,
        left: Some(left),
    };
    let answer = came.await;
    asking.left = None;
    Ok(answer.unwrap_or_else(|_| {
        let gone = ErrorV1::permanent("stopped", "the worker's connection is gone");
        Ok(Err(gone))
    }))
}

struct Asking<'l> {
    line: &'l Line,
    id: u64,
    /// None once it is answered.
    left: Option<Waiting>,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if let Some(left) = self.left.take() {
            self.line.give_up(self.id, left);
        }
    }
}

/// One more, as long as this is there.
struct Counted<'c>(&'c AtomicUsize);

impl<'c> Counted<'c> {
    fn on(count: &'c AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A plugin that runs in workers, as the hub calls any.
pub(in crate::plugins) struct Remote(Arc<Pool>);

impl Remote {
    /// Has a call made: of any worker what belongs to an event, of the first what does not.
    fn made(&self, work: Option<Work>, id: u64, frame: Result<Vec<u8>, ErrorV1>) -> FutureV1 {
        let pool = self.0.clone();
        match work {
            Some(work) => FutureV1::new(pool.attempt(id, work, frame)),
            None => FutureV1::new(async move { pool.ask(id, frame).await }),
        }
    }
}

impl PluginInstance for Remote {
    fn process(&self, call: &CallV1<'_>, event: &EventV1<'_>) -> FutureV1 {
        let id = self.0.number();
        let frame = frame::written(&ToWorker::Process {
            id,
            call: Call::of(call),
            event: Box::new(Event::of(event)),
        });
        self.made(Work::of(call, event.source.as_str()), id, frame)
    }

    fn call(&self, call: &CallV1<'_>, op: u32, head: &[u8], body: &[u8]) -> FutureV1 {
        let numbered = || {
            let id = self.0.number();
            let frame = frame::written(&ToWorker::Operate {
                id,
                call: Call::of(call),
                op,
                head,
                body,
            });
            (id, frame)
        };
        match op {
            plugin_op::MIGRATE => {
                let (id, frame) = numbered();
                FutureV1::ready(self.0.migrate(id, frame))
            }
            plugin_op::REBUILD => {
                let frames = self.0.slots.iter().map(|_| numbered()).collect();
                let pool = self.0.clone();
                FutureV1::new(async move { pool.rebuild(frames).await })
            }
            _ => {
                let (id, frame) = numbered();
                let work = Work::of(call, call.idempotency_key.as_str());
                self.made(work, id, frame)
            }
        }
    }
}

impl Remote {
    /// Its workers, to be looked at.
    pub(in crate::plugins) fn workers(&self) -> Workers {
        Workers(self.0.clone())
    }
}

/// A plugin's workers, seen from outside.
pub(in crate::plugins) struct Workers(Arc<Pool>);

impl Workers {
    /// The processes that are there, by their places.
    pub(in crate::plugins) fn processes(&self) -> Vec<(usize, u32)> {
        let slots = self.0.slots.iter().enumerate();
        let of = |(number, slot): (usize, &Slot)| match &*slot.standing.borrow() {
            Standing::Ready(line) if !line.is_dead() => Some((number, line.process?)),
            _ => None,
        };
        slots.filter_map(of).collect()
    }

    /// How the plugin stands for their sake; `None` when all are there.
    pub(in crate::plugins) fn state(&self) -> Option<PluginState> {
        let standings = self.0.slots.iter();
        let standings: Vec<_> = standings
            .map(|slot| slot.standing.borrow().clone())
            .collect();
        let is_there = |now: &&Standing| matches!(now, Standing::Ready(line) if !line.is_dead());
        let there = standings.iter().filter(is_there).count();
        let hopeless = standings.iter().find_map(|now| match now {
            Standing::Hopeless(why) => Some(why),
            _ => None,
        });
        match (there, hopeless) {
            (there, _) if there == standings.len() => None,
            (0, Some(why)) => Some(PluginState::Quarantined(format!("no worker lasts: {why}"))),
            (0, None) => {
                let why = "its worker has died and is started again";
                Some(PluginState::Starting(Some(why.to_owned())))
            }
            (there, why) => {
                let all = standings.len();
                let why = why.map_or_else(String::new, |why| format!(": {why}"));
                let told = format!("{there} of {all} workers are there{why}");
                Some(PluginState::Degraded(told))
            }
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        for slot in &self.0.slots {
            slot.standing.send_replace(Standing::Stopped);
        }
    }
}
