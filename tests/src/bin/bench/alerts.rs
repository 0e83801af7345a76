//! Alerts: how many false ones there are in a simulated day of healthy traffic, and how long failures go unseen.

use std::error::Error;

use chrono::TimeDelta;
use nexus_tests::simulated::{BUSY, Failure, KINDS, Simulated};

use crate::report::{Effort, Goal, Report};

/// Between the end of one failure and the next.
const BETWEEN: TimeDelta = TimeDelta::minutes(10);

/// For how many seconds a failure may stay an alert when it is over.
const PATIENCE: u32 = 300;

/// Measures it.
pub(crate) fn measure(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    report.extent = format!("{} rounds of {} simulated days", effort.rounds, effort.days);
    for kind in KINDS {
        let name = format!("alerts: false ones a day, {} events a second", kind.rate);
        let days = i64::from(effort.days);
        let rounds = side_by_side(effort.rounds, |seed| {
            let raised = Simulated::new(kind, 1_000 + seed).pass(TimeDelta::days(days));
            raised.len() as f64 / days as f64
        })?;
        report.add(&name, "", rounds, Some(Goal::AtMost(1.0)));
    }
    let rounds = side_by_side(effort.rounds, |seed| {
        let mut hub = Simulated::new(BUSY, 2_000 + seed);
        // Until Wednesday, from another time of the day on each.
        hub.pass(TimeDelta::hours(2 * 24 + 7 + 2 * seed as i64));
        Failure::ALL.map(|failure| {
            hub.pass(BETWEEN);
            let (found, _) = hub.fail(failure, 60, PATIENCE);
            found.map_or(f64::INFINITY, f64::from)
        })
    })?;
    for (at, failure) in Failure::ALL.iter().enumerate() {
        let name = format!("alerts: until {failure:?} is raised");
        let took = rounds.iter().map(|round| round[at]).collect();
        report.add(&name, "s", took, Some(Goal::AtMost(5.0)));
    }
    Ok(())
}

/// What each round comes to. No clock is looked at, so that they may go on at the same time.
fn side_by_side<T: Send>(
    rounds: usize,
    of: impl Fn(u64) -> T + Sync,
) -> Result<Vec<T>, &'static str> {
    std::thread::scope(|scope| {
        let of = &of;
        let begun: Vec<_> = (0..rounds as u64)
            .map(|seed| scope.spawn(move || of(seed)))
            .collect();
        let ended = begun.into_iter().map(|round| round.join());
        ended
            .collect::<Result<_, _>>()
            .map_err(|_| "a simulated hub has panicked")
    })
}
