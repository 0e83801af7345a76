//! The order of waiting work: four classes, of which none is passed over for long, and lanes that
//! are worked one at a time.
//!
//! Holds numbers only; what they stand for is the queue's affair. Knows no clock.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use nexus_plugin_api::Priority;
use serde::Serialize;

/// How often each class, lowest first, is passed over while it has work before it is its turn.
/// While all have work, low gets one turn of 15 (6.7 %), normal one of 8, high one of 4.
const PATIENCE: [u32; 4] = [14, 7, 3, 0];

/// So many lanes are looked at for the fullest, while everybody waits for that.
const LOOKED_AT: usize = 10_000;

/// A place in the order of arrival.
pub(crate) type Place = u64;

/// Names a lane.
pub(crate) type LaneKey = Arc<str>;

/// How much waits in a lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LaneDepth {
    /// Its name: the events' partition key, or their source.
    pub lane: Arc<str>,
    /// Work that waits for its turn there.
    pub waiting: usize,
    /// Whether work of it is under way.
    pub is_busy: bool,
}

/// Waiting work, ready to be taken in order.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    classes: [Class; 4],
    lanes: HashMap<LaneKey, Lane>,
    /// How many of them are busy.
    busy: usize,
}

#[derive(Debug, Default)]
struct Class {
    /// What may be taken now: work without a lane, and the head of each idle lane.
    ready: BTreeMap<Place, Option<LaneKey>>,
    /// How often another class was taken since this one last was, while this one had work.
    passed_over: u32,
}

#[derive(Debug, Default)]
struct Lane {
    busy: bool,
    waiting: [VecDeque<Place>; 4],
}

impl Lane {
    fn waiting(&self) -> usize {
        self.waiting.iter().map(VecDeque::len).sum()
    }

    fn is_idle_and_empty(&self) -> bool {
        !self.busy && self.waiting.iter().all(VecDeque::is_empty)
    }
}

impl Schedule {
    /// Adds work at its place in the order. Says whether it can be taken now.
    pub(crate) fn push(&mut self, place: Place, priority: Priority, lane: Option<LaneKey>) -> bool {
        let class = &mut self.classes[priority as usize];
        let Some(key) = lane else {
            class.ready.insert(place, None);
            return true;
        };
        let lane = self.lanes.entry(key.clone()).or_default();
        let queue = &mut lane.waiting[priority as usize];
        // Mostly the end.
        let index = queue.partition_point(|before| *before < place);
        let is_head = !lane.busy && index == 0;
        if is_head {
            if let Some(head) = queue.front() {
                class.ready.remove(head);
            }
            class.ready.insert(place, Some(key));
        }
        queue.insert(index, place);
        is_head
    }

    /// Work of a lane and class that waits.
    pub(super) fn waiting_in(&self, key: &LaneKey, class: usize) -> usize {
        self.lanes
            .get(key)
            .map_or(0, |lane| lane.waiting[class].len())
    }

    /// Whether work of a class can be taken now.
    pub(super) fn has_ready_in(&self, class: usize) -> bool {
        !self.classes[class].ready.is_empty()
    }

    /// Whether a lane is being worked on, or has work that waits.
    pub(super) fn holds(&self, key: &LaneKey) -> bool {
        self.lanes.contains_key(key)
    }

    /// Lanes that are being worked on.
    pub(super) fn busy_lanes(&self) -> usize {
        self.busy
    }

    /// The lanes in which work waits, so many at most, the fullest first. Of very many lanes some are looked at.
    pub(super) fn fullest(&self, most: usize) -> Vec<LaneDepth> {
        let mut fullest: Vec<(usize, &LaneKey, &Lane)> = Vec::with_capacity(most + 1);
        for (key, lane) in self.lanes.iter().take(LOOKED_AT) {
            let waiting = lane.waiting();
            let before = |other: &(usize, &LaneKey, &Lane)| {
                other.0 > waiting || (other.0 == waiting && other.1 < key)
            };
            let at = fullest.partition_point(before);
            if waiting > 0 && at < most {
                fullest.insert(at, (waiting, key, lane));
                fullest.truncate(most);
            }
        }
        let depth = |(waiting, key, lane): (usize, &LaneKey, &Lane)| LaneDepth {
            lane: key.clone(),
            waiting,
            is_busy: lane.busy,
        };
        fullest.into_iter().map(depth).collect()
    }

    /// Takes the next work; its lane, if it has one, is busy until [`Schedule::release`].
    pub(crate) fn pop(&mut self) -> Option<(Place, Option<LaneKey>)> {
        let priority = self.next_class()?;
        let (place, key) = self.classes[priority].ready.pop_first()?;
        if let Some(lane) = key.as_ref().and_then(|key| self.lanes.get_mut(key)) {
            lane.busy = true;
            self.busy += 1;
            lane.waiting[priority].pop_front();
            // Its other heads must wait for this one.
            for (queue, class) in lane.waiting.iter().zip(&mut self.classes) {
                if let Some(head) = queue.front() {
                    class.ready.remove(head);
                }
            }
        }
        Some((place, key))
    }

    /// The lowest class that has waited long enough, or else the highest that has work. Lowest
    /// first, so that the bound of the lowest holds exactly.
    fn next_class(&mut self) -> Option<usize> {
        let has_work = |class: &Class| !class.ready.is_empty();
        let is_due =
            |(class, patience): (&Class, &u32)| has_work(class) && class.passed_over >= *patience;
        let next = (self.classes.iter().zip(&PATIENCE))
            .position(is_due)
            .or_else(|| self.classes.iter().rposition(has_work))?;
        for class in self.classes.iter_mut().filter(|class| has_work(class)) {
            class.passed_over += 1;
        }
        self.classes[next].passed_over = 0;
        Some(next)
    }

    /// Ends a lane's turn. Says whether its next work can be taken now.
    pub(super) fn release(&mut self, key: &LaneKey) -> bool {
        let Some(lane) = self.lanes.get_mut(key) else {
            return false;
        };
        self.busy -= usize::from(lane.busy);
        lane.busy = false;
        if lane.is_idle_and_empty() {
            self.lanes.remove(key);
            return false;
        }
        for (queue, class) in lane.waiting.iter().zip(&mut self.classes) {
            if let Some(head) = queue.front() {
                class.ready.insert(*head, Some(key.clone()));
            }
        }
        true
    }

    /// Removes the work with this place and lane from wherever it waits.
    pub(crate) fn remove(&mut self, place: Place, priority: Priority, key: Option<&LaneKey>) {
        let class = &mut self.classes[priority as usize];
        class.ready.remove(&place);
        let Some((key, lane)) = key.and_then(|key| Some((key, self.lanes.get_mut(key)?))) else {
            return;
        };
        let queue = &mut lane.waiting[priority as usize];
        // Places ascend, and it is mostly the first: this costs the same however many wait.
        if let Ok(index) = queue.binary_search(&place) {
            queue.remove(index);
        }
        if !lane.busy
            && let Some(head) = queue.front()
        {
            class.ready.insert(*head, Some(key.clone()));
        }
        if lane.is_idle_and_empty() {
            self.lanes.remove(key);
        }
    }

    /// Whether something could be taken now.
    pub(super) fn has_ready(&self) -> bool {
        self.classes.iter().any(|class| !class.ready.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Priority::{Critical, Low, Normal};

    fn lane(name: &str) -> Option<LaneKey> {
        Some(Arc::from(name))
    }

    #[test]
    fn the_fullest_lanes_are_told_first() {
        let mut schedule = Schedule::default();
        for (place, name) in (1..).zip(["a", "b", "b", "c", "c", "c", "d", "d"]) {
            let priority = if place % 2 == 0 { Low } else { Critical };
            schedule.push(place, priority, lane(name));
        }
        let told = |schedule: &Schedule, most| -> Vec<_> {
            let all = schedule.fullest(most).into_iter();
            all.map(|one| (one.lane.to_string(), one.waiting, one.is_busy))
                .collect()
        };
        let one = |name: &str, waiting, is_busy| (name.to_owned(), waiting, is_busy);
        let three = [one("c", 3, false), one("b", 2, false), one("d", 2, false)];
        assert_eq!(told(&schedule, 3), three);
        assert_eq!(schedule.pop(), Some((1, lane("a"))));
        assert_eq!(schedule.pop(), Some((3, lane("b"))));
        let rest = [one("c", 3, false), one("d", 2, false), one("b", 1, true)];
        assert_eq!(told(&schedule, 10), rest, "of `a` nothing waits");
    }

    #[test]
    fn a_lane_is_worked_one_at_a_time_in_order_and_others_go_on() {
        let mut schedule = Schedule::default();
        schedule.push(1, Normal, lane("a"));
        schedule.push(2, Normal, lane("a"));
        schedule.push(3, Normal, lane("b"));
        assert_eq!(schedule.pop().map(|(place, _)| place), Some(1));
        assert_eq!(schedule.pop().map(|(place, _)| place), Some(3));
        assert_eq!(schedule.pop(), None, "lane a is busy, lane b is empty");
        assert_eq!(schedule.busy_lanes(), 2);
        assert!(schedule.release(&Arc::from("a")), "the next is ready");
        assert_eq!(schedule.pop().map(|(place, _)| place), Some(2));
        assert!(!schedule.release(&Arc::from("a")) && !schedule.release(&Arc::from("b")));
        assert_eq!(schedule.busy_lanes(), 0);
    }

    #[test]
    fn the_more_urgent_goes_first_within_a_lane_but_never_beside_another() {
        let mut schedule = Schedule::default();
        schedule.push(1, Low, lane("a"));
        schedule.push(2, Critical, lane("a"));
        assert_eq!(schedule.pop().map(|(place, _)| place), Some(2));
        assert_eq!(schedule.pop(), None);
        schedule.release(&Arc::from("a"));
        assert_eq!(schedule.pop().map(|(place, _)| place), Some(1));
    }

    #[test]
    fn in_a_flood_each_class_gets_its_share() {
        let mut schedule = Schedule::default();
        for place in 0..6_000 {
            schedule.push(place, Priority::ALL[(place % 4) as usize], None);
        }
        let mut turns = [0; 4];
        for _ in 0..1_500 {
            let (place, _) = schedule.pop().expect("all have work");
            turns[(place % 4) as usize] += 1;
        }
        let [low, normal, high, critical] = turns;
        assert_eq!(low, 100, "one of fifteen");
        assert!(
            low < normal && normal < high && high < critical,
            "{turns:?}"
        );
    }

    #[test]
    fn a_class_that_had_its_turn_just_before_the_flood_waits_no_longer_than_others() {
        let mut schedule = Schedule::default();
        schedule.push(1, Low, None);
        schedule.pop();
        for place in 2..402 {
            schedule.push(place, Priority::ALL[(place % 4) as usize], None);
        }
        let before_low = std::iter::from_fn(|| schedule.pop())
            .take_while(|(place, _)| place % 4 != 0)
            .count();
        assert_eq!(before_low, 14);
    }

    #[test]
    fn an_empty_class_costs_the_others_nothing() {
        let mut schedule = Schedule::default();
        (1..=100).for_each(|place| {
            schedule.push(place, Low, None);
        });
        let order: Vec<Place> =
            std::iter::from_fn(|| schedule.pop().map(|(place, _)| place)).collect();
        assert_eq!(order, (1..=100).collect::<Vec<_>>());
    }

    #[test]
    fn a_removed_head_makes_way_for_the_next() {
        let mut schedule = Schedule::default();
        schedule.push(1, Normal, lane("a"));
        schedule.push(2, Normal, lane("a"));
        schedule.remove(1, Normal, lane("a").as_ref());
        assert_eq!(schedule.pop().map(|(place, _)| place), Some(2));
        schedule.release(&Arc::from("a"));
        assert!(schedule.lanes.is_empty(), "an empty lane is forgotten");
    }
}
