//! The whole of it without input or output: receives readings and the time, hands on alerts and what there is to
//! tell of them. The same readings at the same times always lead to the same, so that days can be simulated.

use super::Config;
use super::alert::Alert;
use super::baseline::Baseline;
use super::book::{Book, Manners};
use super::engine::{Engine, Moment};
use super::gauges::{Gauges, Reading};
use super::signal::Signal;

/// What is usual, as it is kept.
pub type Learnt = Vec<(Signal, String, Baseline)>;

/// See the module.
#[derive(Debug)]
pub struct Lookout {
    pub(super) engine: Engine,
    pub(super) book: Book,
    pub(super) manners: Manners,
    gauges: Gauges,
}

impl Lookout {
    /// One that knows what another has learnt.
    pub fn new(config: &Config, learnt: Learnt) -> Self {
        Self::with(config, learnt, Book::default())
    }

    /// One that goes on with the alerts of another, too.
    pub(super) fn with(config: &Config, learnt: Learnt, book: Book) -> Self {
        let mut engine = Engine::new(config.all_rules());
        engine.remember(learnt);
        for alert in book.active() {
            engine.resume(alert.key.clone(), alert.measured());
        }
        Self {
            manners: Manners::of(config, engine.rules()),
            engine,
            book,
            gauges: Gauges::default(),
        }
    }

    /// Takes a look.
    pub fn look(&mut self, now: Moment, reading: &Reading) {
        let samples = self.gauges.read(now.up, reading);
        let changes = self.engine.step(now, &samples);
        self.book.note(changes, self.engine.rules(), now.wall);
        self.book.look(&self.manners, now.wall);
    }

    /// What it has learnt.
    pub fn learnt(&self) -> Learnt {
        self.engine.learnt()
    }

    /// The alerts that are kept, in the order in which they began.
    pub fn alerts(&self) -> &[Alert] {
        self.book.alerts()
    }
}
