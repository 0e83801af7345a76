//! A producer: sends events over a kept connection, one request after the other, and writes down
//! what became of each. What a dead connection leaves unknown it sends again, with the same ids, to
//! the hub's next life.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rand::Rng;
use rand::rngs::SmallRng;
use serde_json::json;
use tokio::sync::watch;

use super::orders;
use crate::hub::ADMIN_KEY;
use crate::ledger::{Ledger, Word};
use crate::wire::{Wire, post};

/// How long a producer leaves a hub alone that has refused something. Shorter than what the hub
/// asks for: the run is to stay under load.
const PAUSE: Duration = Duration::from_millis(20);

/// What producers are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// There is no hub.
    Down,
    /// There is one, in the given cycle: send until it is gone, or the stage another.
    Up(SocketAddr, u32),
    /// There is one, and nobody will kill it: settle what is unknown, and end.
    Last(SocketAddr, u32),
}

#[derive(Debug)]
pub(super) struct Producer {
    number: u32,
    rng: SmallRng,
    ledger: Ledger,
    /// Requests that are to be sent again, each as the entries it was made of.
    owed: VecDeque<Vec<usize>>,
    /// Counts what is acknowledged, for all producers.
    acknowledged: watch::Sender<u64>,
}

impl Producer {
    pub(super) fn new(number: u32, rng: SmallRng, acknowledged: watch::Sender<u64>) -> Self {
        Self {
            number,
            rng,
            ledger: Ledger::default(),
            owed: VecDeque::new(),
            acknowledged,
        }
    }

    /// Sends until it is told to end.
    pub(super) async fn run(mut self, mut stage: watch::Receiver<Stage>) -> Ledger {
        loop {
            let now = *stage.borrow_and_update();
            match now {
                Stage::Down => {}
                Stage::Up(address, cycle) => {
                    let next = |this: &mut Self| match stage.has_changed() {
                        Ok(false) => Some(this.next()),
                        _ => None,
                    };
                    // However it ended, there is nothing to be sent until there is another hub.
                    let _ = self.send_on(address, cycle, next).await;
                }
                Stage::Last(address, cycle) => {
                    // What is not settled then stays unanswered in the ledger.
                    let _ = self.send_on(address, cycle, Self::next_owed).await;
                    return self.ledger;
                }
            }
            if stage.changed().await.is_err() {
                return self.ledger;
            }
        }
    }

    /// Sends one request after the other, as long as there is one and the connection lasts.
    async fn send_on(
        &mut self,
        to: SocketAddr,
        cycle: u32,
        next: impl Fn(&mut Self) -> Option<Vec<usize>>,
    ) -> io::Result<()> {
        let mut wire = Wire::open(to).await?;
        while let Some(entries) = next(self) {
            let answer = wire.exchange(&self.request(&entries)).await;
            let words = match &answer {
                Ok(answer) => Word::all_of(answer, entries.len()),
                Err(_) => vec![Word::Unanswered; entries.len()],
            };
            self.note(cycle, &entries, words).await;
            answer?;
        }
        Ok(())
    }

    /// What is owed, or else something new, or now and then something that is known already.
    fn next(&mut self) -> Vec<usize> {
        if let Some(owed) = self.next_owed() {
            return owed;
        }
        let sent = self.ledger.entries().len();
        if sent > 0 && self.rng.random_ratio(1, 20) {
            return vec![self.rng.random_range(0..sent)];
        }
        let size = match self.rng.random_range(0..10) {
            0..7 => 1,
            _ => self.rng.random_range(2..=20),
        };
        let new = (sent..sent + size).map(|number| {
            let event = orders::draw(&mut self.rng, self.number, number);
            self.ledger.open(event)
        });
        new.collect()
    }

    fn next_owed(&mut self) -> Option<Vec<usize>> {
        self.owed.pop_front()
    }

    /// One event as an object, several as an array.
    fn request(&self, entries: &[usize]) -> Vec<u8> {
        let event = |number: &usize| json!(self.ledger.entries()[*number].event);
        let body = match entries {
            [one] => event(one),
            several => several.iter().map(event).collect(),
        };
        post("/v1/events", ADMIN_KEY, &body)
    }

    /// Writes down what became of a request; what the hub has not taken on itself is owed.
    async fn note(&mut self, cycle: u32, entries: &[usize], words: Vec<Word>) {
        let taken = words.iter().filter(|word| word.acknowledges()).count();
        let refused = words.iter().any(|word| matches!(word, Word::Refused(..)));
        let mut owed = Vec::new();
        for (number, word) in entries.iter().zip(words) {
            if !word.acknowledges() {
                owed.push(*number);
            }
            self.ledger.note(*number, cycle, word);
        }
        if !owed.is_empty() {
            self.owed.push_back(owed);
        }
        self.acknowledged
            .send_modify(|count| *count += taken as u64);
        if refused {
            tokio::time::sleep(PAUSE).await;
        }
    }
}
