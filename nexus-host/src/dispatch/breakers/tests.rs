//! Targets on a paused clock: what opens their breakers, who may probe, what is remembered.

use tokio::time::advance;

use super::*;
use crate::config::HumanDuration;

const OPEN_FOR: Duration = Duration::from_secs(30);

/// The default breakers, except that there is no ramp.
fn breakers() -> Breakers {
    let config = Config {
        ramp: HumanDuration::from_secs(0),
        ..Config::default()
    };
    Breakers::new(config, &Retry::default())
}

fn target() -> Arc<Target> {
    breakers().of("toasty/toasty", None)
}

/// Fails a target so many times, at the first attempt of each event.
fn fail(target: &Arc<Target>, times: usize) {
    for _ in 0..times {
        target.acquire(1).expect("closed").failed();
    }
}

/// Why the target may not be called.
fn held(target: &Arc<Target>) -> Because {
    target.acquire(1).expect_err("held").because
}

#[tokio::test(start_paused = true)]
async fn opens_on_the_fifth_failure_within_a_minute_and_not_on_older_ones() {
    let target = target();
    fail(&target, 4);
    advance(Duration::from_secs(60)).await;
    fail(&target, 4);
    assert!(target.acquire(1).is_ok(), "the first four are a minute old");
    fail(&target, 1);
    let held = target.acquire(1).expect_err("open");
    assert_eq!((held.because, held.at_least), (Because::Open, OPEN_FOR));
    assert!((OPEN_FOR..=held.at_most).contains(&held.pick()));
    assert_ne!(held.pick(), held.pick(), "they do not come back together");
}

#[tokio::test(start_paused = true)]
async fn one_probe_decides() {
    let target = target();
    fail(&target, 5);
    advance(OPEN_FOR).await;
    let probe = target.acquire(1).expect("the probe");
    assert!(probe.is_probe());
    assert_eq!(held(&target), Because::Probing);
    probe.failed();
    let again = target.acquire(1).expect_err("open again");
    assert_eq!(again.at_least, OPEN_FOR);
    advance(OPEN_FOR).await;
    target.acquire(1).expect("the probe").succeeded();
    fail(&target, 4);
    assert!(target.acquire(1).is_ok(), "closed with a clean slate");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_probe_is_not_stuck() {
    let target = target();
    fail(&target, 5);
    advance(OPEN_FOR).await;
    drop(target.acquire(1).expect("the probe"));
    assert!(target.acquire(1).expect("the next probe").is_probe());
}

#[tokio::test(start_paused = true)]
async fn late_results_change_nothing() {
    let target = target();
    let late_success = target.acquire(1).expect("closed");
    let late_failure = target.acquire(1).expect("closed");
    fail(&target, 5);
    advance(OPEN_FOR).await;
    let probe = target.acquire(1).expect("the probe");
    late_success.succeeded();
    assert!(target.acquire(1).is_err(), "a late success closed it");
    probe.succeeded();
    fail(&target, 4);
    late_failure.failed();
    assert!(target.acquire(1).is_ok(), "a late failure was counted");
}

#[tokio::test(start_paused = true)]
async fn what_is_opened_by_hand_stays_open_and_what_is_closed_by_hand_is_closed() {
    let breakers = breakers();
    assert_eq!(breakers.open("a/b"), None, "nobody has used it");
    let target = breakers.of("a/b", None);
    let under_way = target.acquire(1).expect("closed");
    let opened = breakers.open("a/b").expect("known");
    assert_eq!((opened.state, opened.held), ("open", true));
    assert_eq!((opened.times_opened, opened.generation), (1, 1));
    assert_eq!(
        (opened.opened_at, opened.probe_in_ms),
        (Some(opened.since), None)
    );
    under_way.succeeded();
    advance(Duration::from_secs(24 * 60 * 60)).await;
    assert_eq!(held(&target), Because::Open, "nothing but a hand closes it");
    assert_eq!(breakers.open("a/b").as_ref(), Some(&opened), "open already");

    let closed = breakers.close("a/b").expect("known");
    assert_eq!((closed.state, closed.held), ("closed", false));
    assert_eq!((closed.times_opened, closed.generation), (1, 2));
    assert_eq!(closed.opened_at, opened.opened_at, "it remembers");
    assert_eq!(breakers.close("a/b"), Some(closed), "closed already");

    fail(&target, 5);
    advance(OPEN_FOR).await;
    let probe = target.acquire(1).expect("the probe");
    breakers.open("a/b").expect("known");
    probe.succeeded();
    assert_eq!(held(&target), Because::Open, "the probe was too late");
}

#[tokio::test(start_paused = true)]
async fn a_closed_breaker_lets_a_growing_share_through() {
    let target = Breakers::new(Config::default(), &Retry::default()).of("a/b", None);
    assert_eq!(target.status().ramp_left_ms, None, "it never opened");
    fail(&target, 5);
    advance(OPEN_FOR).await;
    target.acquire(1).expect("the probe").succeeded();
    assert_eq!(target.status().ramp_left_ms, Some(10_000));
    let let_through = || {
        let asked = (0..1_000).filter_map(|_| target.acquire(1).ok());
        asked.map(Permit::succeeded).count()
    };
    assert_eq!(let_through(), 1);
    let held = target.acquire(1).expect_err("ramping");
    let ramp = Duration::from_secs(10);
    assert_eq!(held.because, Because::Ramping);
    assert_eq!((held.at_least, held.at_most), (Duration::ZERO, ramp));
    advance(ramp / 2).await;
    assert!((499..=501).contains(&let_through()));
    advance(ramp / 2).await;
    assert_eq!(let_through(), 1_000);
    assert_eq!(target.status().ramp_left_ms, None);
}

#[tokio::test(start_paused = true)]
async fn retries_need_budget_and_first_attempts_do_not() {
    let config = Config {
        failures: 10_000,
        ..Config::default()
    };
    let target = Breakers::new(config, &Retry::default()).of("a/b", None);
    fail(&target, 100);
    let retries = || (0..100).map_while(|_| target.acquire(2).ok());
    assert_eq!(retries().map(Permit::failed).count(), 10 + 100 / 10);
    let held = target.acquire(2).expect_err("no budget");
    assert_eq!(held.because, Because::NoBudget);
    assert!(held.at_least >= Duration::from_secs(4), "no busy waiting");
    fail(&target, 100);
    assert_eq!(retries().map(Permit::succeeded).count(), 100, "given back");
    assert_eq!(retries().map(drop).count(), 100, "never made");
    assert_eq!(target.status().retries_left, 10);
}

#[tokio::test(start_paused = true)]
async fn a_probe_needs_no_budget() {
    let target = target();
    fail(&target, 4);
    while target.status().state == "closed" {
        target.acquire(2).expect("there is budget").failed();
    }
    advance(OPEN_FOR).await;
    let left = target.status().retries_left;
    let probe = target.acquire(2).expect("the probe");
    assert!(probe.is_probe());
    assert_eq!(target.status().retries_left, left);
    probe.succeeded();
    assert_eq!(target.status().retries_left, left, "nothing to give back");
}

#[tokio::test(start_paused = true)]
async fn endless_targets_share_one_until_old_ones_make_room() {
    let breakers = breakers();
    let fail_at = |target: usize| {
        let target = breakers.of("a/b", Some(&target.to_string()));
        target.acquire(1).map(Permit::failed)
    };
    for target in 0..2 * MAX_TARGETS {
        let _ = fail_at(target);
    }
    assert_eq!(breakers.snapshot().len(), MAX_TARGETS + 1);
    assert!(fail_at(2 * MAX_TARGETS).is_err(), "the shared one is open");
    let under_way = breakers.of("a/b", Some("0")).acquire(1).expect("closed");
    breakers.open("a/b@1").expect("known");
    advance(Duration::from_secs(120)).await;
    fail_at(2 * MAX_TARGETS).expect("one of its own");
    let names: Vec<_> = breakers
        .snapshot()
        .into_iter()
        .map(|one| one.name)
        .collect();
    let new = format!("a/b@{}", 2 * MAX_TARGETS);
    assert_eq!(names, ["a/b@0", "a/b@1", new.as_str()]);
    let sum = breakers.by_integration()["a/b"];
    let held_and_new = Sum {
        closed: 2,
        open: 1,
        // The first sweep has forgotten nothing, and the second many that had never opened.
        times_opened: 2,
        half_open: 0,
    };
    assert_eq!(sum, held_and_new);
    under_way.failed();
}

#[tokio::test(start_paused = true)]
async fn a_target_is_needed_while_anything_is_remembered_against_it() {
    let config = Config {
        window: HumanDuration::from_secs(1),
        ..Config::default()
    };
    let target = Breakers::new(config, &Retry::default()).of("a/b", None);
    assert!(!target.is_needed());
    target.acquire(2).expect("there is budget").failed();
    assert!(target.is_needed(), "a failure");
    advance(Duration::from_secs(1)).await;
    assert!(target.is_needed(), "the retry is not earned back");
    advance(Duration::from_secs(5)).await;
    assert!(!target.is_needed());
    fail(&target, 5);
    advance(OPEN_FOR).await;
    target.acquire(1).expect("the probe").succeeded();
    assert!(target.is_needed(), "a ramp");
    advance(Duration::from_secs(10)).await;
    assert!(!target.is_needed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_callers_at_expiry_get_one_probe() {
    let config = Config {
        open_for: HumanDuration::from_secs(0),
        ..Config::default()
    };
    let target = Breakers::new(config, &Retry::default()).of("a/b", None);
    fail(&target, 5);
    let callers: Vec<_> = (0..10_000)
        .map(|_| {
            let target = target.clone();
            tokio::spawn(async move { target.acquire(1).ok() })
        })
        .collect();
    let mut probes = Vec::new();
    for caller in callers {
        probes.extend(caller.await.expect("no panic"));
    }
    assert_eq!(probes.len(), 1);
}
