use super::*;

const SECOND: u64 = 1_000_000_000;

fn bucket(rate: f64, burst: Option<u32>) -> Bucket {
    Bucket::new(Quota::new(rate, burst))
}

#[test]
fn the_wait_is_exact() {
    let limit = bucket(2.0, Some(3));
    for _ in 0..3 {
        assert_eq!(limit.take(SECOND), Ok(()));
    }
    assert_eq!(limit.take(SECOND), Err(Duration::from_millis(500)));
    let later = SECOND + 499_000_000;
    assert_eq!(limit.take(later), Err(Duration::from_millis(1)));
    assert_eq!(limit.take(later + 1_000_000), Ok(()));
    assert_eq!(
        limit.take(later + 1_000_000),
        Err(Duration::from_millis(500))
    );
}

#[test]
fn a_burst_is_one_second_s_worth_by_default() {
    for (rate, burst) in [(10.0, 10), (0.5, 1), (2.5, 3)] {
        let limit = bucket(rate, None);
        for _ in 0..burst {
            assert_eq!(limit.take(0), Ok(()));
        }
        assert!(limit.take(0).is_err(), "{rate}");
    }
}

#[test]
fn over_a_long_time_the_rate_is_kept() {
    for rate in [1.0, 7.0, 100.0, 333.0] {
        let limit = bucket(rate, Some(1));
        let seconds = 1_000;
        let through = (0..seconds * 1_000).filter(|ms| limit.take(ms * 1_000_000).is_ok());
        let through = through.count() as f64;
        let expected = rate * seconds as f64;
        // 333 a second do not fall on whole milliseconds: that is the questions' step, not the
        // limiter's.
        let step = if rate > 300.0 { 0.26 } else { 0.01 };
        assert!(
            (through - expected).abs() <= expected * step,
            "{rate}: {through}"
        );
    }
}

#[test]
fn extreme_settings_work() {
    for (rate, burst) in [
        (1e9, Some(1_000_000_000)),
        (1e-300, Some(u32::MAX)),
        (f64::MIN_POSITIVE, None),
        (1e300, None),
    ] {
        assert_eq!(bucket(rate, burst).take(now()), Ok(()));
    }
}

#[test]
fn what_is_left_is_told() {
    let limit = bucket(2.0, Some(4));
    let standing = |remaining, reset| Standing {
        quota: 4,
        window: Duration::from_secs(2),
        remaining,
        reset: Duration::from_millis(reset),
    };
    assert_eq!(limit.standing(0), standing(4, 0));
    limit.take(0).unwrap();
    assert_eq!(limit.standing(0), standing(3, 500));
    assert_eq!(limit.standing(SECOND / 4), standing(3, 250));
    assert_eq!(limit.standing(SECOND), standing(4, 0));
    for _ in 0..4 {
        limit.take(SECOND).unwrap();
    }
    assert_eq!(limit.standing(SECOND), standing(0, 2_000));
}

fn rates(text: &str) -> Rates {
    let config = crate::config::Config::from_toml_str(text).unwrap();
    Rates::new(&config.limits)
}

#[test]
fn every_source_and_type_that_is_covered_has_its_own() {
    let rates = rates(
        "[[limits.rates]]\nsource = \"x.*\"\nrate = 1\nburst = 2\n\
         [[limits.rates]]\ntype = \"t\"\nrate = 1\nburst = 3\n",
    );
    let taken = |source, event_type| {
        (0..10)
            .take_while(|_| rates.take_at(source, event_type, 0).is_ok())
            .count()
    };
    assert_eq!(taken("x.a", "other"), 2);
    assert_eq!(taken("x.b", "other"), 2);
    assert_eq!(taken("y", "other"), 10);
    assert_eq!(taken("y", "t"), 3);
    assert_eq!(taken("z", "t"), 0);
    let refused = rates.take_at("x.a", "other", 0).unwrap_err();
    assert_eq!(refused.code(), Code::RateLimited);
    assert_eq!(refused.retry_after(), Some(Duration::from_secs(1)));
    assert!(refused.message().contains("the source `x.a`"), "{refused}");
}

#[test]
fn what_a_later_rate_refuses_costs_the_earlier_ones_nothing() {
    let rates = rates(
        "[limits]\nrate = 1\nburst = 4\n\
         [[limits.rates]]\nsource = \"*\"\nrate = 0.001\nburst = 3\n\
         [[limits.rates]]\ntype = \"t\"\nrate = 0.001\nburst = 1\n",
    );
    assert!(rates.take_at("s", "t", 0).is_ok());
    for _ in 0..10 {
        assert!(rates.take_at("s", "t", 0).is_err());
    }
    assert!(rates.take_at("s", "other", 0).is_ok());
    assert!(rates.take_at("s", "other", 0).is_ok());
    assert!(
        rates.take_at("s", "other", 0).is_err(),
        "three of the source"
    );
    assert!(rates.take_at("r", "other", 0).is_ok());
    for _ in 0..10 {
        let refused = rates.take_at("r", "other", 0).unwrap_err();
        assert!(refused.message().contains("limits.rate;"), "four together");
    }
    assert!(rates.take_at("r", "other", SECOND).is_ok());
    assert!(rates.take_at("r", "other", 2 * SECOND).is_ok());
}

#[test]
fn more_names_than_there_is_room_for_stay_within_the_bound() {
    let quota = Quota::new(1e-3, Some(1));
    let rest = Bucket::new(quota);
    let table = Keyed::new(keyed::MOST_KEYS);
    for name in 0..3_000_000_u32 {
        let _ = table.take(0, &name.to_string(), &quota, &rest, 0);
    }
    let (names, bytes) = (table.len(), table.bytes());
    println!(
        "{names} names in {bytes} bytes: {} a name",
        bytes as f64 / names as f64
    );
    assert!(names > 1_800_000 && names <= keyed::MOST_KEYS, "{names}");
    assert!(bytes <= 64 << 20, "{bytes}");
}

#[test]
fn names_that_come_and_go_take_no_more_room_than_those_that_stay() {
    let quota = Quota::new(10.0, Some(1));
    let rest = Bucket::new(quota);
    // 7,168 names in each of 16 parts are what 8,192 places take.
    let table = Keyed::new(16 * 7_168);
    let mut through = 0;
    for name in 0..1_000_000_u64 {
        let now = name * 2_000;
        through += usize::from(table.take(0, &name.to_string(), &quota, &rest, now).is_ok());
    }
    assert!(table.bytes() <= 16 * 8_192 * 17, "{}", table.bytes());
    assert!(through > 900_000, "{through}");
}

#[test]
fn strangers_cannot_have_a_used_up_bucket_dropped() {
    let quota = Quota::new(1.0, Some(2));
    let rest = Bucket::new(quota);
    let table = Keyed::new(64);
    let take = |name: &str, now| table.take(0, name, &quota, &rest, now);
    assert!(take("greedy", 0).is_ok() && take("greedy", 0).is_ok());
    for stranger in 0..10_000 {
        let _ = take(&format!("stranger-{stranger}"), 0);
    }
    assert!(table.len() <= 64);
    assert_eq!(take("greedy", 0), Err(Duration::from_secs(1)));
    // Once theirs are full again, there is room for others.
    let through = (0..64)
        .filter(|n| take(&format!("late-{n}"), 10 * SECOND).is_ok())
        .count();
    assert!(through > 32, "{through}");
}

#[test]
fn names_without_a_bucket_share_one() {
    let quota = Quota::new(1.0, Some(2));
    let rest = Bucket::new(quota);
    let table = Keyed::new(16);
    let mut through = 0;
    for name in 0..1_000 {
        through += usize::from(table.take(0, &name.to_string(), &quota, &rest, 0).is_ok());
    }
    assert!(through <= 16 + 2, "{through}");
}
