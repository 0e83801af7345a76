//! Alerts over simulated days: on healthy traffic there are next to none, and failures are found within seconds.

use chrono::TimeDelta;
use nexus_tests::simulated::{BUSY, Failure, KINDS, Simulated};

/// More are simulated by `cargo xtask bench alerts`.
const DAYS: i64 = 3;

#[test]
fn healthy_days_raise_no_more_than_one_false_alarm_each() {
    for (seed, kind) in (1..).zip(KINDS) {
        let mut hub = Simulated::new(kind, seed);
        let raised = hub.pass(TimeDelta::days(DAYS));
        eprintln!("{kind:?}: {raised:?}");
        assert!(raised.len() as i64 <= DAYS, "{kind:?}: {raised:?}");
    }
}

#[test]
fn every_failure_is_found_within_five_seconds_and_over_when_it_is() {
    let mut hub = Simulated::new(BUSY, 7);
    // Until Wednesday morning.
    hub.pass(TimeDelta::hours(2 * 24 + 9));
    for failure in Failure::ALL {
        hub.pass(TimeDelta::minutes(23));
        let (found, is_over) = hub.fail(failure, 30, 300);
        eprintln!("{failure:?}: {found:?} {is_over}");
        assert!(
            // What is raised is told a second later.
            found.is_some_and(|seconds| seconds <= 4),
            "{failure:?}: {found:?}"
        );
        assert!(is_over, "{failure:?} is not over");
    }
}

#[test]
fn attempts_that_fail_are_found_as_soon_where_there_are_few() {
    for seed in 0..3 {
        let mut hub = Simulated::new(BUSY, 2_000 + seed);
        // Monday morning, after a night in which next to nothing came.
        hub.pass(TimeDelta::hours(7));
        let (found, is_over) = hub.fail(Failure::Errors, 60, 300);
        eprintln!("{found:?} {is_over}");
        assert!(found.is_some_and(|seconds| seconds <= 4), "{found:?}");
        assert!(is_over);
    }
}
