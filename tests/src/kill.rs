//! The kill test: a real hub under load is killed again and again, and afterwards everything that
//! it has acknowledged must be there.
//!
//! Producers send events and keep ledgers, a receiver writes down what arrives; both outlive every
//! hub. In each cycle the hub starts in the same home and is killed at a random moment: under load,
//! or while it starts. The last hub is let alone until its queue is at rest; then the ledgers, its
//! journeys and the arrivals are held against each other.

mod inspect;
mod orders;
mod producer;
mod producers;
mod reconcile;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::time::sleep;

use crate::hub::{Home, Hub, HubBuilder, PATIENCE};
use crate::ledger::{Entry, Ledger};
use crate::receiver::Receiver;
use inspect::Inspection;
use orders::End;
use producers::Producers;
pub use reconcile::{Fault, Figures, Finding};

/// How many acknowledgements a hub may give at most before it is killed.
const MOST_ACKNOWLEDGED: u64 = 300;

/// How long after an acknowledgement a hub may be killed. Half of the kills come at once, when what
/// was promised too early is most likely not done yet.
const LONGEST_GRACE: Duration = Duration::from_millis(5);

/// Of a hundred kills, how many come while the hub starts.
const KILLS_DURING_RECOVERY: u32 = 30;

/// How many findings of each kind are shown; the first ones tell most.
const MOST_SHOWN: usize = 3;

/// How long the last hub may take to finish what is left.
const REST: Duration = Duration::from_secs(120);

/// Where the hub keeps its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// In a file, so that they outlive it.
    Sqlite,
    /// In memory, so that a kill loses them: what shows that a loss would be found.
    Memory,
}

/// A run to be made.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Where the hub keeps its events.
    pub backend: Backend,
    /// How often it is killed.
    pub cycles: u32,
    /// Decides what is sent and when the hub is killed.
    pub seed: u64,
}

/// One life of the hub.
#[derive(Debug, Clone, Copy)]
pub struct Cycle {
    /// Which one, from 1.
    pub number: u32,
    /// When it was killed.
    pub killed: Killed,
    /// Events acknowledged since the run began.
    pub acknowledged: u64,
}

/// When a hub was killed.
#[derive(Debug, Clone, Copy)]
pub enum Killed {
    /// So long after it was started, before it listened.
    Starting(Duration),
    /// As soon as it said that it listens.
    Ready,
    /// Under load.
    Working,
}

/// What one run or several came to.
#[derive(Debug, Default)]
pub struct Verdict {
    /// How often the hub was killed.
    pub kills: u32,
    /// How many of the kills came while it started.
    pub kills_during_recovery: u32,
    /// The events.
    pub figures: Figures,
    /// Everything that does not fit; empty when all is well.
    pub findings: Vec<Finding>,
    /// The hub's folder, kept when a durable queue has something to be looked at.
    pub folder: Option<PathBuf>,
}

/// Makes a run. `progress` is told of every cycle.
///
/// # Panics
/// When a hub does not come up, or acknowledges nothing for [`PATIENCE`].
pub async fn run(plan: Plan, mut progress: impl FnMut(Cycle)) -> Verdict {
    let receiver = Receiver::start().await;
    let mut rng = SmallRng::seed_from_u64(plan.seed);
    let producers = Producers::start(&mut rng);
    let mut home = lay_out(plan.backend, &receiver);
    let mut kills_during_recovery = 0;
    // How long a start takes, as far as it is known.
    let mut usual = Duration::from_millis(100);
    for number in 1..=plan.cycles {
        let killed;
        if rng.random_ratio(KILLS_DURING_RECOVERY, 100) {
            (home, killed) = kill_starting(home, usual, &mut rng);
            kills_during_recovery += 1;
        } else {
            let begun = Instant::now();
            let hub = home.start();
            usual = begun.elapsed();
            let acknowledgements = rng.random_range(1..=MOST_ACKNOWLEDGED);
            producers.work(&hub, number, acknowledgements).await;
            if rng.random() {
                sleep(LONGEST_GRACE.mul_f64(rng.random())).await;
            }
            home = hub.kill();
            producers.rest();
            killed = Killed::Working;
        }
        progress(Cycle {
            number,
            killed,
            acknowledged: producers.acknowledged(),
        });
    }
    let mut hub = home.start();
    let last = plan.cycles + 1;
    producers.work(&hub, last, MOST_ACKNOWLEDGED).await;
    let ledgers = producers.settle(&hub, last).await;
    rest(&hub, &ledgers).await;
    if plan.backend == Backend::Sqlite {
        // What the hub says must be what it has kept.
        hub.stop(PATIENCE);
        hub = hub.kill().start();
    }
    let entries = ledgers.iter().flat_map(Ledger::entries);
    let inspection = Inspection::of(&hub, entries).await;
    let arrivals = receiver.arrivals();
    let (figures, findings) = reconcile::reconcile(plan.cycles, &ledgers, &arrivals, &inspection);
    let home = hub.kill();
    let is_worth_keeping = plan.backend == Backend::Sqlite && !findings.is_empty();
    Verdict {
        kills: plan.cycles,
        kills_during_recovery,
        figures,
        findings,
        folder: is_worth_keeping.then(|| home.keep()),
    }
}

fn lay_out(backend: Backend, receiver: &Receiver) -> Home {
    HubBuilder::new()
        .config(&config(backend))
        .config(&receiver.config())
        .plugin("probe")
        .lay_out()
}

/// Nothing that happens in a run may be forgotten, and nothing may take long.
fn config(backend: Backend) -> String {
    let backend = match backend {
        Backend::Sqlite => "sqlite",
        Backend::Memory => "memory",
    };
    let max_retries = orders::MAX_RETRIES;
    format!(
        r#"
[observe]
log_level = "error"

[queue]
backend = "{backend}"
capacity = 5_000
max_parked = 1_000_000
dedup_capacity = 10_000_000
journal_capacity = 10_000_000
dead_letter_capacity = 1_000_000

[retry]
max_retries = {max_retries}
delays = ["20ms", "40ms", "80ms"]
budget = 2

[breaker]
failures = 100
window = "5s"
open_for = "100ms"
ramp = "100ms"
"#
    )
}

/// Starts a hub and kills it at a random moment until shortly after it says that it listens.
fn kill_starting(home: Home, usual: Duration, rng: &mut SmallRng) -> (Home, Killed) {
    let moment = usual.mul_f64(rng.random_range(0.0..1.3));
    match home.spawn().ready_within(moment) {
        Ok(hub) => (hub.kill(), Killed::Ready),
        Err(starting) => (starting.kill(), Killed::Starting(moment)),
    }
}

/// Waits until all that is left is due long after the run. If it never comes to that, the journeys
/// will tell why.
async fn rest(hub: &Hub, ledgers: &[Ledger]) {
    let entries = ledgers.iter().flat_map(Ledger::entries);
    let is_pending = |entry: &&Entry| orders::end(&entry.event.payload) == End::Pending;
    let pending = entries.filter(is_pending).count() as u64;
    let deadline = Instant::now() + REST;
    while Instant::now() < deadline {
        let (_, queue) = hub.get("/v1/admin/queue").await;
        let depth = queue["depth"].as_u64();
        if depth <= Some(pending) && depth == queue["parked"].as_u64() {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

impl Verdict {
    /// Whether it was found that an acknowledged event is gone.
    pub fn is_loss_found(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.fault == Fault::Lost)
    }

    /// Adds a further run.
    pub fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.kills_during_recovery += other.kills_during_recovery;
        self.figures += other.figures;
        self.findings.extend(other.findings);
        self.folder = other.folder.or(self.folder.take());
    }
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cycle {}: killed ", self.number)?;
        match self.killed {
            Killed::Starting(after) => write!(f, "{} ms after its start", after.as_millis())?,
            Killed::Ready => f.write_str("as soon as it listened")?,
            Killed::Working => f.write_str("under load")?,
        }
        write!(f, ", {} acknowledged so far", self.acknowledged)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills, {} of them during recovery; {}",
            self.kills, self.kills_during_recovery, self.figures
        )?;
        if self.findings.is_empty() {
            return Ok(());
        }
        let mut kinds = BTreeMap::<Fault, Vec<&Finding>>::new();
        for finding in &self.findings {
            kinds.entry(finding.fault).or_default().push(finding);
        }
        for (fault, findings) in kinds {
            write!(f, "\n{fault:?}: {} times", findings.len())?;
            for finding in findings.iter().take(MOST_SHOWN) {
                write!(f, "\n- {finding}")?;
            }
        }
        match &self.folder {
            Some(folder) => write!(f, "\nthe hub's folder: {}", folder.display()),
            None => Ok(()),
        }
    }
}
