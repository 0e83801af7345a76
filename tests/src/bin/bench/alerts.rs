//! Alerts: how many false ones there are in a simulated day of healthy traffic, and how long failures go unseen.

use std::error::Error;

use chrono::TimeDelta;
use nexus_tests::simulated::{BUSY, Failure, KINDS, Simulated};

use crate::report::{Effort, Goal, Report};

/// Measures it.
pub(crate) fn measure(effort: &Effort, report: &mut Report) -> Result<(), Box<dyn Error>> {
    for kind in KINDS {
        let name = format!("alerts: false ones a day, {} events a second", kind.rate);
        let days = i64::from(effort.days);
        let rounds = (0..effort.rounds as u64).map(|seed| {
            let raised = Simulated::new(kind, 1_000 + seed).pass(TimeDelta::days(days));
            raised.len() as f64 / days as f64
        });
        report.add(&name, "", rounds.collect(), Some(Goal::AtMost(1.0)));
    }
    for failure in Failure::ALL {
        let name = format!("alerts: until {failure:?} is raised");
        let mut took = Vec::new();
        for seed in 0..effort.rounds as u64 {
            let mut hub = Simulated::new(BUSY, 2_000 + seed);
            // Until Wednesday, at another time of the day each.
            hub.pass(TimeDelta::hours(2 * 24 + 7 + 2 * seed as i64));
            let (found, _) = hub.fail(failure, 60, 0);
            took.push(found.map_or(f64::INFINITY, f64::from));
        }
        report.add(&name, "s", took, Some(Goal::AtMost(5.0)));
    }
    Ok(())
}
