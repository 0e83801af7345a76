//! What the hub tells for a scrape: asks every room what it has counted and how it stands, and writes that down by
//! the families of [`families`].

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::Utc;
use nexus_plugin_api::Priority;
use nexus_plugin_api::alert::Severity;

use super::vitals::Vitals;
use crate::alerts::Alerts;
use crate::approvals::Approvals;
use crate::dispatch::Breakers;
use crate::ingress::{Doors, Readiness, ReadyStatus};
use crate::intake::Intake;
use crate::observe::measures::{Came, End};
use crate::observe::metrics::{Counts, Sheet, families as f};
use crate::observe::{Log, Measures, Tap, Tracer};
use crate::plugins::{Catalog, Glance, PluginState};
use crate::processes;
use crate::queue::Queue;

/// What effects never come to.
const NO_EFFECT: [Came; 2] = [Came::Skip, Came::Reject];

/// Whom to ask.
pub(super) struct Counted {
    pub(super) intake: Arc<Intake>,
    pub(super) queue: Arc<dyn Queue>,
    pub(super) measures: Arc<Measures>,
    pub(super) breakers: Arc<Breakers>,
    pub(super) catalog: Arc<Catalog>,
    pub(super) alerts: Arc<Alerts>,
    pub(super) approvals: Arc<Approvals>,
    pub(super) vitals: Arc<Vitals>,
    pub(super) tap: Tap,
    pub(super) doors: Doors,
    pub(super) tracer: Tracer,
}

impl Counts for Counted {
    fn tell(&self, sheet: &mut Sheet<'_, '_>) {
        self.coming_in(sheet);
        self.queue(sheet);
        self.times(sheet);
        self.work(sheet);
        self.breakers(sheet);
        self.plugins(sheet);
        self.hub(sheet);
        process(sheet);
    }
}

impl Counted {
    fn coming_in(&self, sheet: &mut Sheet<'_, '_>) {
        let admission = self.intake.admission();
        sheet.family(&f::EVENTS, |series| {
            (self.intake)
                .outcomes(|door, result, count| series.add([door.as_str(), result], count));
        });
        sheet.family(&f::CONTRACT_EVENTS, |series| {
            let now = Utc::now();
            for contract in admission.contracts().list() {
                let info = contract.info();
                let version = info.version.to_string();
                let is_deprecated = info.deprecated.is_some_and(|date| date <= now);
                let deprecated = if is_deprecated { "true" } else { "false" };
                series.add([&info.event_type, &version, deprecated], contract.uses());
            }
        });
        sheet.family(&f::AUTH_FAILURES, |series| {
            let counts = admission.failed_attempts();
            counts.for_each(|(reason, count)| series.add([reason], count));
        });
        sheet.family(&f::RATE_LIMITED, |series| {
            let counts = admission.rate_limited();
            counts.for_each(|(scope, count)| series.add([scope], count));
        });
        sheet.family(&f::CONNECTIONS, |series| {
            let open = self.doors.open();
            open.for_each(|(listener, count)| series.add([listener], count));
        });
        sheet.one(&f::SUBSCRIBERS, self.tap.listeners());
        sheet.one(&f::MISSED, self.tap.missed());
    }

    fn queue(&self, sheet: &mut Sheet<'_, '_>) {
        let stats = self.queue.stats();
        sheet.one(&f::DEPTH, stats.depth);
        sheet.one(&f::PARKED, stats.parked);
        sheet.one(&f::CAPACITY, stats.capacity);
        sheet.family(&f::WAITING, |series| {
            for (priority, count) in Priority::ALL.iter().zip(stats.waiting) {
                series.add([priority.as_str()], count);
            }
        });
        sheet.one(&f::LEASED, stats.leased);
        sheet.one(&f::DELAYED, stats.delayed);
        sheet.one(&f::LANES, stats.lanes);
        sheet.one(&f::PAYLOAD, stats.bytes);
        let waits = stats.oldest_waits().unwrap_or_default();
        sheet.one(&f::OLDEST, waits.as_secs_f64());
        sheet.one(&f::ACCEPTED, stats.accepted);
        sheet.one(&f::FINISHED, stats.finished);
        sheet.family(&f::DEAD_LETTERS, |series| {
            let deaths = stats.deaths.by_reason();
            deaths.for_each(|(reason, count)| series.add([reason], count));
        });
        sheet.one(&f::DEAD_LETTERS_KEPT, stats.dead_letters);
        sheet.one(&f::STORAGE_FAILING, self.queue.trouble().is_some());
        let Some(storage) = self.queue.storage() else {
            return;
        };
        sheet.family(&f::FILES, |series| {
            series.add(["main"], storage.file);
            series.add(["log"], storage.log);
        });
        if let Some(available) = storage.available {
            sheet.one(&f::DISK, available);
        }
    }

    fn times(&self, sheet: &mut Sheet<'_, '_>) {
        let measures = &self.measures;
        sheet.family(&f::QUEUE_WAIT, |series| {
            let waits = measures.waits();
            waits.for_each(|(priority, waits)| series.durations([priority.as_str()], &waits));
        });
        sheet.family(&f::PROCESSING, |series| {
            let each = &measures.processors;
            each.each(|name, meter| series.durations([name], &meter.times()));
        });
        sheet.family(&f::EFFECT, |series| {
            let each = &measures.integrations;
            each.each(|name, meter| series.durations([name], &meter.times()));
        });
        sheet.family(&f::END_TO_END, |series| {
            let lives = measures.lives();
            lives.for_each(|(end, lives): (End, _)| series.durations([end.as_str()], &lives));
        });
    }

    fn work(&self, sheet: &mut Sheet<'_, '_>) {
        let Measures {
            processors,
            integrations,
            ..
        } = &*self.measures;
        sheet.family(&f::PROCESSOR_RESULTS, |series| {
            processors.each(|name, meter| {
                let results = meter.results();
                results.for_each(|(came, count)| series.add([name, came.as_str()], count));
            });
        });
        sheet.family(&f::PROCESSOR_RETRIES, |series| {
            processors.each(|name, meter| series.add([name], meter.retried()));
        });
        sheet.family(&f::EFFECT_RESULTS, |series| {
            integrations.each(|name, meter| {
                let results = meter
                    .results()
                    .filter(|(came, _)| !NO_EFFECT.contains(came));
                results.for_each(|(came, count)| series.add([name, came.as_str()], count));
            });
        });
        sheet.family(&f::EFFECT_RETRIES, |series| {
            integrations.each(|name, meter| series.add([name], meter.retried()));
        });
        sheet.family(&f::EFFECTS_HELD, |series| {
            integrations.each(|name, meter| series.add([name], meter.held()));
        });
    }

    fn breakers(&self, sheet: &mut Sheet<'_, '_>) {
        let sums = self.breakers.by_integration();
        sheet.family(&f::BREAKERS, |series| {
            for (integration, sum) in &sums {
                for (state, count) in sum.states() {
                    series.add([integration, state], count);
                }
            }
        });
        sheet.family(&f::BREAKERS_OPENED, |series| {
            for (integration, sum) in &sums {
                series.add([integration], sum.times_opened);
            }
        });
    }

    fn plugins(&self, sheet: &mut Sheet<'_, '_>) {
        let (plugins, refused) = self.catalog.glance();
        let plugins: BTreeMap<_, _> = plugins.iter().map(|one| (&*one.id, one)).collect();
        sheet.family(&f::PLUGIN_INFO, |series| {
            for (id, one) in &plugins {
                series.add([id, &one.version, one.isolation.as_str()], 1_u64);
            }
        });
        sheet.family(&f::PLUGIN_STATES, |series| {
            for (id, one) in &plugins {
                for state in PluginState::NAMES {
                    series.add([id, state], one.state == state);
                }
            }
        });
        sheet.family(&f::PLUGIN_RESTARTS, |series| {
            plugins
                .iter()
                .for_each(|(id, one)| series.add([id], one.restarts));
        });
        sheet.family(&f::PLUGIN_PANICS, |series| {
            plugins
                .iter()
                .for_each(|(id, one)| series.add([id], one.panics));
        });
        sheet.one(&f::PLUGIN_FILES_REFUSED, refused);
        workers(sheet, &plugins);
    }

    fn hub(&self, sheet: &mut Sheet<'_, '_>) {
        sheet.family(&f::READY, |series| {
            let status = self.vitals.report().status;
            for one in ReadyStatus::ALL {
                series.add([one.as_str()], one == status);
            }
        });
        sheet.family(&f::SPANS, |series| {
            let counts = self.tracer.counts();
            series.add(["sent"], counts.sent);
            series.add(["dropped"], counts.dropped);
        });
        sheet.one(&f::TRACES_LEFT_OUT, self.tracer.left_out());
        if let Some(log) = Log::of_this_process() {
            sheet.one(&f::LOG_LINES_LOST, log.lost());
        }
        sheet.family(&f::ALERTS, |series| {
            for severity in [Severity::Warning, Severity::Critical] {
                series.add([severity.as_str()], self.alerts.active(severity));
            }
        });
        sheet.one(&f::APPROVALS, self.approvals.pending());
        sheet.family(&f::BUILD_INFO, |series| {
            series.add([env!("CARGO_PKG_VERSION")], 1_u64);
        });
    }
}

fn workers(sheet: &mut Sheet<'_, '_>, plugins: &BTreeMap<&str, &Glance>) {
    let each = plugins.iter();
    let each = each.filter_map(|(id, one)| Some((*id, one.workers.as_ref()?)));
    let each: Vec<_> = each.collect();
    sheet.family(&f::WORKERS, |series| {
        each.iter()
            .for_each(|(id, workers)| series.add([id], workers.processes.len()));
    });
    sheet.family(&f::WORKER_DEATHS, |series| {
        each.iter()
            .for_each(|(id, workers)| series.add([id], workers.deaths));
    });
    let used = each.iter().flat_map(|(id, workers)| {
        let processes = workers.processes.iter();
        processes.filter_map(move |(number, process)| {
            Some((*id, number.to_string(), processes::of(*process)?))
        })
    });
    let used: Vec<_> = used.collect();
    sheet.family(&f::WORKER_CPU, |series| {
        let each = used.iter();
        each.for_each(|(id, number, used)| series.add([id, number], used.cpu.as_secs_f64()));
    });
    sheet.family(&f::WORKER_MEMORY, |series| {
        let each = used.iter();
        each.for_each(|(id, number, used)| series.add([id, number], used.resident));
    });
}

/// The hub's own process, as far as the system tells.
fn process(sheet: &mut Sheet<'_, '_>) {
    if let Some(used) = processes::of(std::process::id()) {
        sheet.one(&f::PROCESS_CPU, used.cpu.as_secs_f64());
        sheet.one(&f::PROCESS_MEMORY, used.resident);
        sheet.one(&f::PROCESS_VIRTUAL, used.taken);
        sheet.one(&f::PROCESS_START, used.started_at.as_secs_f64());
    }
    if let Some(descriptors) = processes::descriptors() {
        sheet.one(&f::PROCESS_FDS, descriptors.open);
        if let Some(most) = descriptors.most {
            sheet.one(&f::PROCESS_MAX_FDS, most);
        }
    }
}
