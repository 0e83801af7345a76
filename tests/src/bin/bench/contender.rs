//! Somebody who takes in events, and what that takes of the machine: events a second, processor time and memory of the
//! whole process.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use crate::load::{Answered, closed_loop};
use crate::report::Report;
use crate::system::{self, Threads};

/// What processor time is told for.
const MANY: f64 = 100_000.0;

pub(crate) struct Contender {
    name: String,
    address: SocketAddr,
    process: u32,
    threads: Threads,
    rates: Vec<f64>,
    seconds_for_many: Vec<f64>,
}

impl Contender {
    pub(crate) fn new(name: &str, address: SocketAddr, process: u32) -> Self {
        Self {
            name: name.to_owned(),
            address,
            process,
            threads: Threads::default(),
            rates: Vec::new(),
            seconds_for_many: Vec::new(),
        }
    }

    /// One round of 64 connections which ask as fast as they are answered. What it comes to is kept if this round
    /// counts.
    pub(crate) async fn round(
        &mut self,
        length: Duration,
        request: &[u8],
        counts: bool,
    ) -> Result<(), Box<dyn Error>> {
        let before = self.threads.of(self.process);
        let Answered { events, took } =
            closed_loop(self.address, 64, length, request.to_vec()).await?;
        if events == 0 {
            return Err(format!("{} has accepted nothing", self.name).into());
        }
        if counts {
            self.rates.push(events as f64 / took.as_secs_f64());
            if let Some((before, after)) = before.zip(self.threads.of(self.process)) {
                let seconds = (after - before).as_secs_f64();
                self.seconds_for_many.push(seconds / events as f64 * MANY);
            }
        }
        Ok(())
    }

    /// Its events a second over those of another one, round by round.
    pub(crate) fn over(&self, other: &Self) -> Vec<f64> {
        self.rates
            .iter()
            .zip(&other.rates)
            .map(|(own, other)| own / other)
            .collect()
    }

    /// What it has come to by itself.
    pub(crate) fn tell(&self, report: &mut Report) {
        let name = &self.name;
        report.add(name, "events/s", self.rates.clone(), None);
        let what = format!("{name}: processor time of 100,000 events");
        report.add(&what, "s", self.seconds_for_many.clone(), None);
        if let Some(kib) = system::resident_peak(&self.process.to_string()) {
            let what = format!("{name}: memory at the most");
            report.add(&what, "MiB", vec![kib as f64 / 1_024.0], None);
        }
    }
}
