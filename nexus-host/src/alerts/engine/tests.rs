use proptest::prelude::*;

use super::*;
use crate::alerts::config::{Config, Rule as Written};

fn moment(second: u64) -> Moment {
    let start: DateTime<Utc> = "2026-01-05T10:00:00Z".parse().unwrap();
    Moment {
        wall: start + chrono::TimeDelta::seconds(second as i64),
        up: Duration::from_secs(second),
    }
}

fn engine(rule: Written) -> Engine {
    let config = Config {
        rules: vec![rule],
        ..Config::default()
    };
    let mut rules = config.all_rules();
    rules.retain(|rule| rule.name == "mine");
    Engine::new(rules)
}

fn full(lasting: u64) -> Engine {
    engine(Written {
        name: "mine".to_owned(),
        signal: Some(Signal::QueueFill),
        above: Some(0.8),
        clear: Some(0.5),
        lasting: Some(crate::config::HumanDuration::from_secs(lasting)),
        clear_for: Some(crate::config::HumanDuration::from_secs(10)),
        ..Written::default()
    })
}

fn unusual() -> Engine {
    engine(Written {
        name: "mine".to_owned(),
        signal: Some(Signal::QueueWait),
        ..Written::default()
    })
}

fn fill(value: f64) -> Vec<Sample> {
    vec![Sample::new(Signal::QueueFill, "", value)]
}

fn wait(value: f64) -> Vec<Sample> {
    vec![Sample::new(Signal::QueueWait, "", value)]
}

fn begun(changes: &[Change]) -> bool {
    changes
        .iter()
        .any(|change| matches!(change, Change::Begun(..)))
}

fn over(changes: &[Change]) -> bool {
    changes
        .iter()
        .any(|change| matches!(change, Change::Over(..)))
}

#[test]
fn it_must_last_and_it_must_be_over_for_a_while() {
    let mut engine = full(2);
    for (second, value, is_begun, is_over) in [
        (0, 0.9, false, false),
        (1, 0.9, false, false),
        (2, 0.9, true, false),
        (3, 0.9, false, false),
        // Below where it began, but not below where it is over.
        (4, 0.6, false, false),
        (5, 0.4, false, false),
        // Once more above, so the time begins anew.
        (10, 0.6, false, false),
        (11, 0.4, false, false),
        (20, 0.4, false, false),
        (21, 0.4, false, true),
    ] {
        let changes = engine.step(moment(second), &fill(value));
        assert_eq!(
            (begun(&changes), over(&changes)),
            (is_begun, is_over),
            "at {second}"
        );
    }
}

#[test]
fn a_dip_in_between_begins_it_anew() {
    let mut engine = full(2);
    engine.step(moment(0), &fill(0.9));
    engine.step(moment(1), &fill(0.1));
    assert!(!begun(&engine.step(moment(2), &fill(0.9))));
}

#[test]
fn what_begins_again_and_again_must_be_over_for_longer_each_time() {
    let mut engine = full(0);
    let mut now = 0;
    let mut took = Vec::new();
    for _ in 0..4 {
        assert!(begun(&engine.step(moment(now), &fill(0.9))));
        let since = now;
        loop {
            now += 1;
            if over(&engine.step(moment(now), &fill(0.1))) {
                break;
            }
        }
        took.push(now - since);
        now += 1;
    }
    assert_eq!(took, [11, 21, 41, 81]);
}

#[test]
fn what_is_gone_is_over() {
    let mut engine = full(0);
    assert!(begun(&engine.step(moment(0), &fill(0.9))));
    assert!(!over(&engine.step(moment(1), &[])));
    assert!(over(&engine.step(moment(11), &[])));
}

#[test]
fn what_is_unusual_is_found_and_a_change_that_stays_becomes_usual() {
    let mut engine = unusual();
    for second in 0..1_000 {
        let changes = engine.step(moment(second), &wait(0.01 + 0.001 * (second % 7) as f64));
        assert_eq!(changes, [], "at {second}");
    }
    assert!(!begun(&engine.step(moment(1_000), &wait(5.0))));
    assert!(begun(&engine.step(moment(1_001), &wait(5.0))));
    let lasts = 6 * 60 * 60;
    let mut ended = None;
    for second in 1_002..1_002 + lasts + 3_600 {
        let changes = engine.step(moment(second), &wait(5.0));
        assert!(!begun(&changes), "at {second}");
        if over(&changes) {
            ended.get_or_insert(second);
        }
    }
    assert!(
        ended.is_some_and(|ended| ended > 1_000 + lasts),
        "{ended:?}"
    );
}

#[test]
fn nothing_is_unusual_in_the_first_minute_of_a_process() {
    let mut before = unusual();
    for second in 0..1_000 {
        before.step(moment(second), &wait(0.01));
    }
    let mut after = unusual();
    after.remember(before.learnt());
    for second in 0..60 {
        let now = Moment {
            wall: moment(1_000 + second).wall,
            up: Duration::from_secs(second),
        };
        assert_eq!(after.step(now, &wait(5.0)), [], "at {second}");
    }
}

#[test]
fn an_alert_of_the_process_before_goes_on_or_ends() {
    let key = Key {
        rule: "mine".to_owned(),
        subject: "".into(),
    };
    let measured = Measured {
        value: 0.9,
        threshold: 0.8,
        usual: None,
    };
    let mut engine = full(0);
    engine.resume(key, measured);
    assert!(!begun(&engine.step(moment(0), &fill(0.9))), "it is known");
    engine.step(moment(1), &fill(0.1));
    assert!(over(&engine.step(moment(11), &fill(0.1))));
}

proptest! {
    /// Whatever comes: what begins was not, what is over was, and each at most once a step.
    #[test]
    fn begin_and_end_alternate(values in proptest::collection::vec(0.0_f64..1.0, 1..300)) {
        let mut engine = full(1);
        let mut is_firing = false;
        for (second, value) in (0..).zip(values) {
            for change in engine.step(moment(second), &fill(value)) {
                match change {
                    Change::Begun(..) => {
                        prop_assert!(!is_firing && value > 0.8);
                        is_firing = true;
                    }
                    Change::Lasts(..) => prop_assert!(is_firing),
                    Change::Over(..) => {
                        prop_assert!(is_firing && value <= 0.5);
                        is_firing = false;
                    }
                }
            }
        }
    }
}
