use std::time::{Duration, Instant};

use nexus_plugin_api::{Event, RawJson};
use uuid::Uuid;

use super::{Chains, GENERATION, WINDOW};
use crate::admission::Code;

/// An event that says what caused it.
fn caused_by(cause: Uuid) -> Event {
    let mut event = Event::new("a.b", "test", RawJson::from_checked(b"{}".to_vec()));
    event.causation_id = Some(cause);
    event
}

/// Adds as many events to a chain as it takes; the last one's id.
fn lengthen(chains: &Chains, mut last: Uuid, by: u32, longest: u32, now: Instant) -> Uuid {
    for _ in 0..by {
        let event = caused_by(last);
        chains.join(&event, longest, now).unwrap();
        last = event.event_id;
    }
    last
}

#[test]
fn a_chain_ends_where_the_limit_is() {
    let chains = Chains::default();
    let now = Instant::now();
    let last = lengthen(&chains, Uuid::now_v7(), 5, 5, now);
    let refused = chains.join(&caused_by(last), 5, now).unwrap_err();
    assert_eq!(refused.code(), Code::Conflict);
    assert!(refused.to_string().contains("max_chain"), "{refused}");
}

#[test]
fn the_same_event_again_is_no_further() {
    let chains = Chains::default();
    let now = Instant::now();
    let event = caused_by(lengthen(&chains, Uuid::now_v7(), 4, 5, now));
    for _ in 0..20 {
        chains.join(&event, 5, now).unwrap();
    }
    let mut own = caused_by(Uuid::now_v7());
    own.causation_id = Some(own.event_id);
    for _ in 0..20 {
        chains.join(&own, 5, now).unwrap();
    }
}

#[test]
fn one_event_may_cause_any_number_of_others() {
    let chains = Chains::default();
    let now = Instant::now();
    let cause = Uuid::now_v7();
    for _ in 0..100 {
        chains.join(&caused_by(cause), 2, now).unwrap();
    }
}

#[test]
fn what_wakes_itself_slowly_goes_on() {
    let chains = Chains::default();
    let mut now = Instant::now();
    let mut last = Uuid::now_v7();
    for _ in 0..200 {
        last = lengthen(&chains, last, 1, 5, now);
        now += WINDOW / 5 + Duration::from_secs(1);
    }
}

#[test]
fn the_last_of_many_chains_are_remembered() {
    let chains = Chains::default();
    let now = Instant::now();
    let long = lengthen(&chains, Uuid::now_v7(), 5, 5, now);
    for _ in 0..GENERATION {
        chains.join(&caused_by(Uuid::now_v7()), 5, now).unwrap();
    }
    assert!(chains.join(&caused_by(long), 5, now).is_err());
    for _ in 0..2 * GENERATION {
        chains.join(&caused_by(Uuid::now_v7()), 5, now).unwrap();
    }
    let known = chains.0.lock();
    assert!(known.young.len() + known.old.len() <= 2 * GENERATION);
}
