//! What the hub tells for its overview: asks every room what it has counted and how it stands, in short. It makes no
//! rates; whoever keeps several looks does.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::Utc;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::counted::Counted;
use crate::ingress::Readiness;
use crate::observe::measures::Meters;
use crate::observe::overview::{Component, Figures, Listed, Look, Queue, Rooms, Standing, Waiting};
use crate::plugins::PluginReport;
use crate::processes::{self, Use};
use crate::queue::QueueStats;

/// Lanes that are told of by name.
const MOST_LANES: usize = 10;

/// Whom to ask.
pub(super) struct Glance {
    pub(super) counted: Arc<Counted>,
    pub(super) started: Instant,
}

impl Rooms for Glance {
    fn look(&self) -> Look {
        let Counted {
            intake,
            queue,
            measures,
            ..
        } = &*self.counted;
        let stats = queue.stats();
        let mut doors = Vec::new();
        intake.outcomes(|door, result, count| doors.push((door.as_str(), result, count)));
        let used = processes::of(std::process::id());
        Look {
            at: Utc::now(),
            doors,
            finished: stats.finished,
            died: stats.deaths.total(),
            waits: (measures.waits())
                .map(|(priority, waits)| (priority.as_str(), waits))
                .collect(),
            lives: measures.all_lives(),
            processors: components(&measures.processors),
            integrations: components(&measures.integrations),
            cpu: used.as_ref().map(|used| used.cpu),
            standing: Standing {
                hub: self.figures(used.as_ref()),
                queue: self.queue(&stats),
                plugins: Listed::of(self.counted.catalog.reports().iter().map(plugin)),
                breakers: self.breakers(),
                alerts: self.alerts(),
                approvals_pending: self.counted.approvals.pending(),
            },
        }
    }
}

impl Glance {
    fn figures(&self, used: Option<&Use>) -> Figures {
        let report = self.counted.vitals.report();
        Figures {
            version: env!("CARGO_PKG_VERSION"),
            status: report.status.as_str(),
            checks: json!(report.checks),
            uptime_seconds: self.started.elapsed().as_secs(),
            memory_bytes: used.map(|used| used.resident),
            connections: self.counted.doors.open().collect(),
            followers: self.counted.tap.listeners(),
        }
    }

    fn queue(&self, stats: &QueueStats) -> Queue {
        let queue = &self.counted.queue;
        let waiting = nexus_plugin_api::Priority::ALL.iter().zip(stats.waiting);
        let storage = queue.storage().map(|storage| {
            json!({
                "file_bytes": storage.file,
                "log_bytes": storage.log,
                "available_bytes": storage.available,
            })
        });
        Queue {
            depth: stats.depth,
            parked: stats.parked,
            capacity: stats.capacity,
            waiting: waiting
                .rev()
                .map(|(priority, events)| Waiting {
                    priority: priority.as_str(),
                    events,
                })
                .collect(),
            leased: stats.leased,
            delayed: stats.delayed,
            lanes: stats.lanes,
            fullest_lanes: (queue.fullest_lanes(MOST_LANES).iter())
                .map(|lane| json!(lane))
                .collect(),
            payload_bytes: stats.bytes,
            oldest_seconds: stats.oldest_waits().map(|waits| waits.as_secs_f64()),
            dead_letters: stats.dead_letters,
            trouble: queue.trouble().map(|trouble| trouble.to_string()),
            storage,
        }
    }

    fn breakers(&self) -> Listed<Value> {
        let mut breakers = self.counted.breakers.snapshot();
        breakers.sort_by_key(|breaker| breaker.state == "closed");
        Listed::of(breakers.iter().map(|breaker| json!(breaker)))
    }

    fn alerts(&self) -> Listed<Value> {
        let alerts = self.counted.alerts.list().into_iter();
        let active = alerts.filter(|one| one.alert.is_active());
        Listed::of(active.map(|one| json!(one)))
    }
}

fn components(meters: &Meters) -> BTreeMap<Arc<str>, Component> {
    let mut components = BTreeMap::new();
    meters.each(|name, meter| {
        components.insert(name.into(), meter.into());
    });
    components
}

fn plugin(report: &PluginReport) -> Value {
    let manifest = report.manifest.as_ref();
    json!({
        "id": manifest.map(|manifest| &manifest.id),
        "version": manifest.map(|manifest| &manifest.version),
        "description": manifest.map(|manifest| &manifest.description),
        "state": report.state.as_str(),
        "reason": report.state.reason(),
        "help": report.state.refusal().map(|refusal| &refusal.help),
        "since": report.since,
        "isolation": report.isolation,
        "origin": report.origin,
        "restarts": report.restarts,
        "panics": report.panics,
    })
}
