//! What is usual for a signal: receives its samples, hands on where the usual ends.
//!
//! A baseline holds a location and a spread for the last minutes, for each hour of the week, and for each hour of
//! the day. Each is a recursive M-estimate: a sample moves the location by a bounded amount (Huber's psi), and the
//! spread by a bounded amount (Tukey's biweight rho), so that outliers barely count. These are the updates of Gelper,
//! Fried and Croux, "Robust forecasting with exponential and Holt-Winters smoothing", Journal of Forecasting 29
//! (2010); seasons here are estimates of their own, and not terms of a sum, so that a night that was never seen
//! spoils no day. A sample is unusual when it is so for the last minutes and for the hour, as far as that is known.
//!
//! It takes 2.3 KiB, whatever comes.

use std::f64::consts::SQRT_2;

use chrono::{DateTime, Datelike, Timelike, Utc};
use serde::{Deserialize, Serialize};

use super::signal::{Measure, Side};

/// How much one sample of the last minutes counts: half of what is known is forgotten after about 400 samples.
const RECENT: f64 = 1.0 / 600.0;

/// How much one sample of an hour counts: half is forgotten after about 5,000, which is two visits of the hour.
const SEASON: f64 = 1.0 / 7_200.0;

/// After how many samples the last minutes are known.
const KNOWN_MINUTES: u32 = 300;

/// After how many samples an hour is known.
const KNOWN_HOUR: u32 = 1_200;

/// After so many seconds without a sample the last minutes are no longer what was.
const STALE: i64 = 15 * 60;

/// Beyond so many spreads a sample moves the location no further.
const CLIP: f64 = 2.0;

/// The spread is never less than this: changes of a few percent are nobody's trouble.
const LEAST_SPREAD: f64 = 0.05;

/// So many times its least is the spread of a share by chance alone, where about one fails of what there is.
const UNEVEN: f64 = 1.5;

/// What a share is taken to be at least: one that is smaller was not seen often enough to be known.
const LEAST_SHARE: f64 = 0.01;

const HOURS_OF_WEEK: usize = 7 * 24;
const HOURS_OF_DAY: usize = 24;

/// See the module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    recent: Track,
    week: Vec<Track>,
    day: Vec<Track>,
    /// When the last sample was, in seconds since 1970.
    last: i64,
}

/// A location and a spread, in the signal's own measure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Track {
    location: f32,
    spread: f32,
    seen: u32,
}

/// Where the usual ends for a signal at one time, in the signal's unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Reach {
    /// What is usual.
    pub usual: f64,
    /// Beyond it is trouble.
    pub threshold: f64,
    /// This side of it trouble is over.
    pub clear: f64,
}

/// How far from what is usual trouble begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Distance {
    /// So many spreads.
    pub sensitivity: f64,
    /// And at least by so many times.
    pub factor: f64,
    /// But never further than this, however it varies.
    pub most: Most,
}

/// What is unusual however a signal varies. Only what is more than usual has such an end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Most {
    /// Nothing is.
    Endless,
    /// So many times as much.
    Times(f64),
    /// A share that chance does not reach.
    Chance,
}

impl Default for Baseline {
    fn default() -> Self {
        Self {
            recent: Track::default(),
            week: vec![Track::default(); HOURS_OF_WEEK],
            day: vec![Track::default(); HOURS_OF_DAY],
            last: 0,
        }
    }
}

impl Baseline {
    /// Whether it has the shape that this version knows; one that was kept may be another's.
    pub(super) fn is_whole(&self) -> bool {
        self.week.len() == HOURS_OF_WEEK && self.day.len() == HOURS_OF_DAY
    }

    /// Learns from a sample with so much behind it.
    pub(super) fn learn(&mut self, measure: Measure, value: f64, weight: f64, now: DateTime<Utc>) {
        let x = measure.of(value);
        if !x.is_finite() {
            return;
        }
        let at = now.timestamp();
        if (at - self.last).abs() > STALE {
            self.recent = Track::default();
        }
        self.last = at;
        let least = measure.least_spread(weight);
        self.recent.learn(x, RECENT, least);
        let (week, day) = hours(now);
        let hours = [self.week.get_mut(week), self.day.get_mut(day)];
        for track in hours.into_iter().flatten() {
            track.learn(x, SEASON, least);
        }
    }

    /// Takes what is now for usual, whatever was.
    pub(super) fn begin_anew(&mut self) {
        *self = Self::default();
    }

    /// Where the usual ends; `None` while that is not known.
    pub(super) fn reach(
        &self,
        measure: Measure,
        side: Side,
        distance: Distance,
        weight: f64,
        now: DateTime<Utc>,
    ) -> Option<Reach> {
        if self.recent.seen < KNOWN_MINUTES || (now.timestamp() - self.last).abs() > STALE {
            return None;
        }
        let (week, day) = hours(now);
        let hour = [self.week.get(week), self.day.get(day)]
            .into_iter()
            .flatten()
            .find(|track| track.seen >= KNOWN_HOUR);
        let known = [Some(&self.recent), hour].into_iter().flatten();
        let reaches = known.map(|track| track.reach(measure, side, distance, weight));
        // What is far from the last minutes but was like that in this hour before is usual, and so is the reverse.
        reaches.reduce(|one, other| {
            let is_other = match side {
                Side::High => other.threshold > one.threshold,
                Side::Low => other.threshold < one.threshold,
            };
            if is_other { other } else { one }
        })
    }
}

impl Track {
    fn learn(&mut self, x: f64, gain: f64, least: f64) {
        if self.seen == 0 {
            *self = Self {
                location: x as f32,
                // About a quarter more or less: it is not known yet, and found within a few samples.
                spread: least.max(0.25) as f32,
                seen: 1,
            };
            return;
        }
        // The first ones count as much as those before together.
        let gain = gain.max(1.0 / (f64::from(self.seen) + 10.0));
        let spread = f64::from(self.spread).max(least);
        let away = (x - f64::from(self.location)) / spread;
        let location = f64::from(self.location) + gain * spread * away.clamp(-CLIP, CLIP);
        let variance = spread * spread * (1.0 + gain * (rho(away) - 1.0));
        self.location = location as f32;
        self.spread = variance.sqrt().max(least) as f32;
        self.seen = self.seen.saturating_add(1);
    }

    fn reach(&self, measure: Measure, side: Side, distance: Distance, weight: f64) -> Reach {
        let location = f64::from(self.location);
        let least = measure.least_spread(weight);
        let spread = f64::from(self.spread).max(least);
        let usual = measure.value(location);
        let by_spread = distance.sensitivity * spread;
        let sign = match side {
            Side::High => 1.0,
            Side::Low => -1.0,
        };
        let by_factor = match side {
            Side::High => usual * distance.factor,
            Side::Low => usual / distance.factor,
        };
        let by_factor = (measure.of(by_factor) - location).abs();
        let most = match (side, distance.most) {
            (Side::Low, _) | (_, Most::Endless) => f64::INFINITY,
            (Side::High, Most::Times(times)) => usual * times,
            (Side::High, Most::Chance) => {
                // What varies more than chance has it says as much as fewer that do not.
                let said = (UNEVEN * least / spread).min(1.0).powi(2);
                beyond_chance(usual, weight * said, distance.sensitivity)
            }
        };
        let by_most = measure.of(most) - location;
        let far = by_spread.min(by_most).max(by_factor);
        Reach {
            usual,
            threshold: measure.value(location + sign * far),
            clear: measure.value(location + sign * far / SQRT_2),
        }
    }
}

/// Tukey's biweight: how much a sample so many spreads away says about the spread. It is 1 on average where samples
/// vary as the normal distribution has it, and no more than 2.52.
fn rho(away: f64) -> f64 {
    const FURTHEST: f64 = 2.0;
    const MOST: f64 = 2.52;
    let inside = 1.0 - (away / FURTHEST).powi(2).min(1.0);
    MOST * (1.0 - inside.powi(3))
}

impl Measure {
    pub(super) fn of(self, value: f64) -> f64 {
        match self {
            Self::Log(least) => (value.max(0.0) + least).ln(),
            Self::Root => value.max(0.0).sqrt(),
        }
    }

    /// The way back. What is below nothing stays there: no value is beyond it.
    fn value(self, x: f64) -> f64 {
        match self {
            Self::Log(least) => x.exp() - least,
            Self::Root => x * x.abs(),
        }
    }

    /// What chance alone makes of a signal with so much behind it.
    fn least_spread(self, weight: f64) -> f64 {
        match self {
            Self::Log(_) => LEAST_SPREAD,
            Self::Root => 0.5 / weight.max(1.0).sqrt(),
        }
    }
}

/// The share, of so many, that chance reaches as rarely as it reaches so many spreads of the normal distribution, by
/// Chernoff's bound; 1 where that is too few for any share to say so.
///
/// Spreads alone end too far away: where one in a hundred fails, few failures make the spread of the root so wide that
/// of sixty attempts two in five would have to.
fn beyond_chance(usual: f64, of: f64, sensitivity: f64) -> f64 {
    let usual = usual.clamp(LEAST_SHARE, 1.0);
    let wanted = sensitivity * sensitivity / 2.0 / of;
    let (mut within, mut beyond) = (usual, 1.0);
    for _ in 0..24 {
        let middle = f64::midpoint(within, beyond);
        match divergence(middle, usual) < wanted {
            true => within = middle,
            false => beyond = middle,
        }
    }
    beyond
}

/// Of Kullback and Leibler, between two shares, in nats.
fn divergence(one: f64, other: f64) -> f64 {
    let part = |one: f64, other: f64| match one > 0.0 {
        true => one * (one / other).ln(),
        false => 0.0,
    };
    part(one, other) + part(1.0 - one, 1.0 - other)
}

/// Which hour of the week, and which of the day.
fn hours(now: DateTime<Utc>) -> (usize, usize) {
    let hour = now.hour() as usize;
    let day = now.weekday().num_days_from_monday() as usize;
    (day * HOURS_OF_DAY + hour, hour)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    const LOG: Measure = Measure::Log(0.001);

    const FAR: Distance = Distance {
        sensitivity: 8.0,
        factor: 2.0,
        most: Most::Endless,
    };

    fn monday() -> DateTime<Utc> {
        "2026-01-05T00:00:00Z".parse().unwrap()
    }

    fn of(values: impl IntoIterator<Item = f64>) -> (Baseline, DateTime<Utc>) {
        let (mut baseline, mut now) = (Baseline::default(), monday());
        for value in values {
            baseline.learn(LOG, value, 1.0, now);
            now += TimeDelta::seconds(1);
        }
        (baseline, now)
    }

    fn reach(of: &(Baseline, DateTime<Utc>)) -> Option<Reach> {
        of.0.reach(LOG, Side::High, FAR, 1.0, of.1)
    }

    fn wavering(at: usize) -> f64 {
        0.1 * (1.0 + 0.2 * (at as f64 * 0.7).sin())
    }

    #[test]
    fn twenty_times_as_much_is_unusual_however_it_varies() {
        let varying = (0..600).map(|at| [0.01, 0.05, 0.2][at % 3]);
        let (baseline, now) = of(varying);
        let reach = |most| {
            let far = Distance { most, ..FAR };
            baseline.reach(LOG, Side::High, far, 1.0, now).unwrap()
        };
        let (free, bound) = (reach(Most::Endless), reach(Most::Times(20.0)));
        assert!(free.threshold > 20.0 * free.usual, "{free:?}");
        assert!(
            (0.9..1.1).contains(&(bound.threshold / (20.0 * bound.usual))),
            "{bound:?}"
        );
    }

    /// The share of failures that is trouble where one in a hundred is usual.
    fn troubling_share(of: f64) -> f64 {
        let (mut baseline, mut now) = (Baseline::default(), monday());
        let failed = (of / 100.0).max(1.0);
        let every = (failed / (of / 100.0)).round() as usize;
        for at in 0..600 {
            let share = if at % every == 0 { failed / of } else { 0.0 };
            baseline.learn(Measure::Root, share, of, now);
            now += TimeDelta::seconds(1);
        }
        let far = Distance {
            most: Most::Chance,
            ..FAR
        };
        let reach = baseline.reach(Measure::Root, Side::High, far, of, now);
        reach.unwrap().threshold
    }

    #[test]
    fn a_share_is_trouble_where_chance_does_not_reach() {
        let at = [10.0, 60.0, 300.0, 3_000.0].map(troubling_share);
        assert!(at[0] > 0.5, "{at:?}");
        assert!((0.1..0.3).contains(&at[1]), "{at:?}");
        assert!((0.05..0.15).contains(&at[2]), "{at:?}");
        assert!((0.015..0.08).contains(&at[3]), "{at:?}");
    }

    #[test]
    fn chance_reaches_a_share_as_rarely_as_is_said() {
        // Two in ten at one in a hundred: 10 (0.2 ln 20 + 0.8 ln (0.8 / 0.99)) = 4.286 nats, which are 2.928 spreads.
        let share = beyond_chance(0.01, 10.0, 2.928);
        assert!((0.199..0.201).contains(&share), "{share}");
        // Ten, all of which fail, are not rare enough where half of them do.
        assert!(beyond_chance(0.5, 10.0, 8.0) > 0.999);
    }

    #[test]
    fn nothing_is_usual_before_it_was_seen_for_a_while() {
        let short = (0..KNOWN_MINUTES as usize - 1).map(wavering);
        assert_eq!(reach(&of(short)), None);
        let reach = reach(&of((0..600).map(wavering))).unwrap();
        assert!((0.09..0.11).contains(&reach.usual), "{reach:?}");
        assert!(
            reach.threshold >= 0.2 && reach.clear < reach.threshold,
            "{reach:?}"
        );
    }

    #[test]
    fn outliers_barely_move_it() {
        let clean = reach(&of((0..2_000).map(wavering))).unwrap();
        let dirty = (0..2_000).map(|at| if at % 20 == 7 { 1_000.0 } else { wavering(at) });
        let dirty = reach(&of(dirty)).unwrap();
        assert!(dirty.usual < clean.usual * 1.1, "{clean:?} {dirty:?}");
        assert!(
            dirty.threshold < clean.threshold * 2.0,
            "{clean:?} {dirty:?}"
        );
    }

    #[test]
    fn what_is_so_at_this_hour_every_day_is_usual() {
        // Ten times as much from 9 to 10, and a week to see it.
        let (mut baseline, mut now) = (Baseline::default(), monday());
        let at_nine = |now: DateTime<Utc>| if now.hour() == 9 { 1.0 } else { 0.1 };
        while now < monday() + TimeDelta::days(7) {
            baseline.learn(LOG, at_nine(now), 1.0, now);
            now += TimeDelta::seconds(3);
        }
        while now.hour() < 8 || now.minute() < 59 {
            baseline.learn(LOG, at_nine(now), 1.0, now);
            now += TimeDelta::seconds(3);
        }
        let at_eight = baseline.reach(LOG, Side::High, FAR, 1.0, now).unwrap();
        assert!(at_eight.threshold < 0.5, "{at_eight:?}");
        let nine = now + TimeDelta::minutes(2);
        let at_nine = baseline.reach(LOG, Side::High, FAR, 1.0, nine).unwrap();
        assert!(at_nine.threshold > 1.5, "{at_nine:?}");
    }

    #[test]
    fn the_last_minutes_are_forgotten_when_they_are_long_ago() {
        let (baseline, now) = of((0..600).map(wavering));
        let later = now + TimeDelta::seconds(STALE + 1);
        assert_eq!(baseline.reach(LOG, Side::High, FAR, 1.0, later), None);
    }

    proptest! {
        /// Whatever comes, the numbers stay numbers, and what is usual lies within what came.
        #[test]
        fn whatever_comes_it_stays_sane(
            values in proptest::collection::vec(0.0_f64..1e9, 300..600)
        ) {
            let most = values.iter().copied().fold(0.0, f64::max);
            let of = of(values);
            let reach = reach(&of).unwrap();
            prop_assert!(reach.usual.is_finite() && reach.usual <= most * 1.5 + 1.0);
            prop_assert!(reach.threshold >= reach.usual && reach.clear <= reach.threshold);
        }
    }
}
