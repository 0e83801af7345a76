//! Holds three accounts of a run against each other: what the producers were told, what the hub
//! says, and what has arrived. Hands on figures, and a finding for everything that does not fit.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::AddAssign;

use probe::Parcel;
use serde_json::Value;
use uuid::Uuid;

use super::inspect::{Inspection, dead_letters, emitted, is_blamed};
use super::orders::{self, End};
use crate::ledger::{Entry, Ledger, Word};
use crate::receiver::Arrival;

/// What does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It was acknowledged, and the hub does not know it.
    Lost,
    /// It did not end as its order says.
    WrongEnd,
    /// The hub answered something that cannot be true.
    WrongAnswer,
    /// An effect that was decided never arrived.
    EffectMissing,
    /// Something arrived that nobody had decided, or not yet.
    EffectUndecided,
    /// An effect arrived under another key than its own.
    WrongKey,
    /// State is there without its outcome, or the outcome without its state.
    WrongState,
    /// The hub does not say what it knows.
    Evaded,
    /// Dead letters that are missing, or that nothing has left.
    WrongLetters,
    /// More events were given up for the hub's deaths than can be to blame.
    WrongBlame,
    /// The figures do not add up.
    Unbalanced,
}

/// One thing that does not fit, with everything that is known of the event.
#[derive(Debug)]
pub struct Finding {
    /// What kind of thing.
    pub fault: Fault,
    what: String,
    entry: Option<String>,
    journey: Option<Value>,
}

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Events that producers sent.
    pub sent: usize,
    /// Of these, the acknowledged ones.
    pub acknowledged: usize,
    /// Sendings that a kill left without an answer.
    pub unanswered: usize,
    /// Sendings that were refused for the moment.
    pub refused: usize,
    /// Events that other events led to.
    pub emitted: usize,
    /// Events that the hub has finished.
    pub processed: usize,
    /// Events that the hub has given up.
    pub dead: usize,
    /// Events that the hub has still something to do for.
    pub pending: usize,
    /// Effects that were taken by the receiver.
    pub effects: usize,
    /// How often one was taken again.
    pub repeated_effects: usize,
    /// Events that the hub has given up because it blamed them for its deaths.
    pub blamed: usize,
    /// Acknowledged events that the hub does not know.
    pub lost: usize,
}

/// Compares the accounts of a run in which the hub was killed so often, and whose queue is at rest.
pub(super) fn reconcile(
    kills: u32,
    ledgers: &[Ledger],
    arrivals: &[Arrival],
    inspection: &Inspection,
) -> (Figures, Vec<Finding>) {
    let mut audit = Audit {
        inspection,
        arrived: HashMap::new(),
        figures: Figures::default(),
        findings: Vec::new(),
        decided: HashSet::new(),
    };
    for arrival in arrivals {
        let tag = arrival.parcel.tag.as_str();
        audit.arrived.entry(tag).or_default().push(arrival);
    }
    for entry in ledgers.iter().flat_map(Ledger::entries) {
        audit.answers(entry);
        audit.event(entry);
    }
    audit.undecided();
    audit.evaded();
    audit.letters();
    audit.blamed(kills);
    audit.balance();
    (audit.figures, audit.findings)
}

struct Audit<'a> {
    inspection: &'a Inspection,
    /// By the parcel's tag.
    arrived: HashMap<&'a str, Vec<&'a Arrival>>,
    figures: Figures,
    findings: Vec<Finding>,
    /// The tags that some event has decided.
    decided: HashSet<&'a str>,
}

impl<'a> Audit<'a> {
    fn find(&mut self, fault: Fault, entry: &Entry, what: impl Into<String>) {
        self.findings.push(Finding {
            fault,
            what: what.into(),
            entry: Some(entry.to_string()),
            journey: self.inspection.journeys.get(&entry.event.event_id).cloned(),
        });
    }

    /// Were the answers true, as far as the producer can tell?
    fn answers(&mut self, entry: &Entry) {
        self.figures.sent += 1;
        self.figures.acknowledged += usize::from(entry.is_acknowledged());
        let (mut taken, mut may_be_there) = (false, false);
        for word in entry.words() {
            match word {
                Word::Accepted if taken => {
                    self.find(Fault::WrongAnswer, entry, "accepted a second time");
                }
                Word::Duplicate if !may_be_there => {
                    self.find(Fault::WrongAnswer, entry, "a duplicate of nothing");
                }
                Word::Strange(_) => self.find(Fault::WrongAnswer, entry, "a strange answer"),
                Word::Unanswered => self.figures.unanswered += 1,
                Word::Refused(..) => self.figures.refused += 1,
                Word::Accepted | Word::Duplicate => {}
            }
            taken |= word.acknowledges();
            may_be_there |= taken || *word == Word::Unanswered;
        }
        if entry.words().next_back() == Some(&Word::Unanswered) {
            self.find(Fault::WrongAnswer, entry, "no answer, though nobody killed");
        }
    }

    /// Did an event, and those that it led to, end as they must, and did their effects arrive?
    fn event(&mut self, entry: &'a Entry) {
        let (id, order) = (entry.event.event_id, &entry.event.payload);
        let Some(journey) = self.inspection.journeys.get(&id) else {
            if entry.is_acknowledged() {
                self.figures.lost += 1;
                self.find(Fault::Lost, entry, "acknowledged, and unknown to the hub");
            }
            return;
        };
        let end = orders::end(order);
        let decided: &[Parcel] = if order.reject { &[] } else { &order.parcels };
        self.outcome(entry, id, end, decided);
        let emitted: Vec<Uuid> = emitted(journey).collect();
        // What is given up may have been given up before it led to anything.
        if !is_blamed(journey) {
            self.state(entry, end);
            if emitted.len() != order.orders.len() {
                let found = emitted.len();
                self.find(Fault::WrongEnd, entry, format!("led to {found} events"));
            }
        }
        for (id, parcels) in emitted.into_iter().zip(&order.orders) {
            self.figures.emitted += 1;
            self.outcome(entry, id, End::Processed, parcels);
        }
    }

    /// Does an event end as it must, and did its effects arrive?
    fn outcome(&mut self, entry: &Entry, id: Uuid, end: End, parcels: &'a [Parcel]) {
        let status = self.inspection.status(id);
        let expected = match end {
            End::Processed => "processed",
            End::Dead => "dead",
            End::Pending => "processing",
        };
        match status {
            Some("processed") => self.figures.processed += 1,
            Some("dead") => self.figures.dead += 1,
            Some("queued" | "processing") => self.figures.pending += 1,
            _ => {}
        }
        let due = parcels.iter().filter(|parcel| orders::is_due(parcel));
        self.decided.extend(due.map(|parcel| parcel.tag.as_str()));
        if self.inspection.journeys.get(&id).is_some_and(is_blamed) {
            self.figures.blamed += 1;
            return;
        }
        if status != Some(expected) {
            let status = status.unwrap_or("unknown");
            let what = format!("event {id} is {status}, and not {expected}");
            self.find(Fault::WrongEnd, entry, what);
        }
        self.parcels(entry, id, parcels);
    }

    /// Each parcel of an event must have arrived, under the key that its event and its place give.
    fn parcels(&mut self, entry: &Entry, id: Uuid, parcels: &[Parcel]) {
        for (number, parcel) in parcels.iter().enumerate() {
            if !orders::is_due(parcel) {
                continue;
            }
            let Some(arrivals) = self.arrived.get(parcel.tag.as_str()) else {
                let what = format!("effect {number} of event {id} never arrived");
                self.find(Fault::EffectMissing, entry, what);
                continue;
            };
            let key = format!("{id}:{number}");
            let wrong = arrivals
                .iter()
                .find(|arrival| arrival.idempotency_key != key || arrival.event_id != id);
            let taken = arrivals.iter().filter(|arrival| arrival.taken).count();
            self.figures.effects += taken.min(1);
            self.figures.repeated_effects += taken.saturating_sub(1);
            if let Some(wrong) = wrong {
                let what = format!("not under the key {key}: {wrong:?}");
                self.find(Fault::WrongKey, entry, what);
            }
            let can_be_taken = !parcel.refuse && parcel.fail_times <= orders::MAX_RETRIES;
            if can_be_taken && taken == 0 {
                let what = format!("effect {number} of event {id} was never taken");
                self.find(Fault::EffectMissing, entry, what);
            }
        }
    }

    /// State is written with the outcome, or not at all.
    fn state(&mut self, entry: &Entry, end: End) {
        let key = entry.event.payload.keep.as_ref();
        let Some(is_kept) = key.and_then(|key| self.inspection.kept.get(key)) else {
            return;
        };
        if *is_kept != (end == End::Processed) {
            let what = format!("its state is there: {is_kept}");
            self.find(Fault::WrongState, entry, what);
        }
    }

    /// What the hub would not say.
    fn evaded(&mut self) {
        let evaded = self.inspection.evaded.iter();
        self.findings.extend(evaded.map(|answer| Finding {
            fault: Fault::Evaded,
            what: answer.clone(),
            entry: None,
            journey: None,
        }));
    }

    /// What has arrived, and no known event had decided.
    fn undecided(&mut self) {
        for (tag, arrivals) in &self.arrived {
            if !self.decided.contains(tag) {
                self.findings.push(Finding {
                    fault: Fault::EffectUndecided,
                    what: format!("nobody has decided this: {:?}", arrivals[0]),
                    entry: None,
                    journey: self.inspection.journeys.get(&arrivals[0].event_id).cloned(),
                });
            }
        }
    }

    /// Whatever died left dead letters, which are there; and nothing else is.
    fn letters(&mut self) {
        let mut left = HashSet::new();
        for (id, journey) in &self.inspection.journeys {
            let before = left.len();
            left.extend(dead_letters(journey));
            let has_letters = left.len() > before;
            let is_wrong = match journey["status"].as_str() {
                Some("dead") => !has_letters,
                Some("processed") => has_letters,
                _ => false,
            };
            if is_wrong {
                self.findings.push(Finding {
                    fault: Fault::WrongLetters,
                    what: format!("event {id} has left dead letters: {has_letters}"),
                    entry: None,
                    journey: Some(journey.clone()),
                });
            }
        }
        let listed = &self.inspection.dead_letters;
        let stray = listed.iter().filter(|id| !left.contains(id)).count();
        let kept = self.inspection.queue["dead_letters"].as_u64();
        if stray > 0 || kept != Some(left.len() as u64) {
            self.findings.push(Finding {
                fault: Fault::WrongLetters,
                what: format!(
                    "the journeys tell of {} dead letters, the queue of {kept:?}, and {stray} are \
                     of no known event",
                    left.len()
                ),
                entry: None,
                journey: None,
            });
        }
    }

    /// A kill makes the hub blame at most one event, and it gives up none that it has not blamed twice.
    fn blamed(&mut self, kills: u32) {
        let blamed = self.figures.blamed;
        if blamed * 2 > kills as usize {
            self.findings.push(Finding {
                fault: Fault::WrongBlame,
                what: format!("{blamed} events are given up as killers, after {kills} kills"),
                entry: None,
                journey: None,
            });
        }
    }

    /// Accepted = processed + dead + pending, and the queue's own figures say the same.
    fn balance(&mut self) {
        let Figures {
            acknowledged,
            emitted,
            processed,
            dead,
            pending,
            ..
        } = self.figures;
        let queue = &self.inspection.queue;
        let mut unbalanced = Vec::new();
        if acknowledged + emitted != processed + dead + pending {
            unbalanced.push(format!(
                "{acknowledged} acknowledged and {emitted} emitted, but {processed} processed, \
                 {dead} dead and {pending} pending"
            ));
        }
        let says = |name: &str, figure: usize| queue[name].as_u64() == Some(figure as u64);
        if !says("depth", pending) || !says("leased", 0) {
            unbalanced.push(format!("{pending} pending, but the queue says {queue}"));
        }
        self.findings
            .extend(unbalanced.into_iter().map(|what| Finding {
                fault: Fault::Unbalanced,
                what,
                entry: None,
                journey: None,
            }));
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(entry) = &self.entry {
            write!(f, "\n  ledger: {entry}")?;
        }
        match &self.journey {
            Some(journey) => write!(f, "\n  journey: {journey}"),
            None => Ok(()),
        }
    }
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.acknowledged += other.acknowledged;
        self.unanswered += other.unanswered;
        self.refused += other.refused;
        self.emitted += other.emitted;
        self.processed += other.processed;
        self.dead += other.dead;
        self.pending += other.pending;
        self.effects += other.effects;
        self.repeated_effects += other.repeated_effects;
        self.blamed += other.blamed;
        self.lost += other.lost;
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sent,
            acknowledged,
            unanswered,
            refused,
            emitted,
            processed,
            dead,
            pending,
            effects,
            repeated_effects,
            blamed,
            lost,
        } = self;
        write!(
            f,
            "{sent} events sent, {acknowledged} acknowledged, {unanswered} sendings unanswered, \
             {refused} refused; with {emitted} emitted events {processed} processed, {dead} dead, \
             {pending} pending, {blamed} blamed; {effects} effects, {repeated_effects} \
             repeated; {lost} lost"
        )
    }
}
