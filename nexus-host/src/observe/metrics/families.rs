//! Every family of series: its name, its labels and what bounds their values, its help. Nothing is served that does not
//! stand here, and docs/metrics.md is made of it.

/// Series of one name, which differ in the values of `N` labels.
#[derive(Debug)]
pub struct Family<const N: usize> {
    pub(super) kind: Kind,
    pub(super) name: &'static str,
    pub(super) labels: [Label; N],
    pub(super) help: &'static str,
}

/// What is said of a family.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// What its values are.
    pub kind: Kind,
    /// Its name, as it is served.
    pub name: &'static str,
    /// Its labels, in order.
    pub labels: &'static [Label],
    /// What it tells.
    pub help: &'static str,
}

/// What the values of a family are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// How often something has happened since the hub started.
    Counter,
    /// How something is now.
    Gauge,
    /// How long each of many things took.
    Histogram,
}

/// A label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Which values it has, or what bounds them.
    pub values: &'static str,
}

impl<const N: usize> Family<N> {
    /// What is said of it.
    pub const fn about(&'static self) -> About {
        About {
            kind: self.kind,
            name: self.name,
            labels: &self.labels,
            help: self.help,
        }
    }
}

impl Kind {
    /// As documents name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

const fn label(name: &'static str, values: &'static str) -> Label {
    Label { name, values }
}

const DOOR: Label = label(
    "door",
    "`http`, `websocket`, `grpc`, `webhook` (senders under `[[webhooks]]`), `plugin` (what plugins publish), \
     `host` (the program that embeds the hub, and what the hub tells itself, such as alerts)",
);
const ANSWER: Label = label(
    "result",
    "`accepted`, `duplicate`, or the [code](http.md#error-codes) of the refusal",
);
const EVENT_TYPE: Label = label("type", "the types of the registered contracts");
const VERSION: Label = label("version", "the versions of the registered contracts");
const DEPRECATED: Label = label(
    "deprecated",
    "`true` from the contract's `deprecated` on, `false` before",
);
const ATTEMPT: Label = label(
    "reason",
    "the [reasons](authentication.md#failed-attempts) of the log",
);
const RATE: Label = label(
    "scope",
    "`client`, `source`, `type`, `hub`, or `address` for failed attempts",
);
const LISTENER: Label = label("listener", "`http`, `grpc`");
const PRIORITY: Label = label("priority", "`low`, `normal`, `high`, `critical`");
const END: Label = label(
    "status",
    "`processed`, or `dead` when some of its work is among the dead letters",
);
const SPAN_CAME: Label = label(
    "result",
    "`sent`, or `dropped` when too many waited or the collector did not take them",
);
const DEATH: Label = label(
    "reason",
    "the hub's own reasons, such as `retries_exhausted`, `rejected`, `queue_full`; codes that plugins choose are `other`",
);
const FILE: Label = label("file", "`main`, and `log`, what is not copied into it yet");
const PROCESSOR: Label = label(
    "processor",
    "`plugin/name` of the plugins' processors, `routes/name` of the routes, and `alerts/name` of the alerts' receivers",
);
const INTEGRATION: Label = label(
    "integration",
    "`plugin/name` of the plugins' integrations, and `approvals` for questions to people",
);
const CAME: Label = label(
    "result",
    "`done`, `skip`, `reject`, `retry_later` (put off, no failure), `failed`",
);
const EFFECT_CAME: Label = label(
    "result",
    "`done`, `retry_later` (put off, no failure), `failed`",
);
const BREAKER: Label = label("state", "`closed`, `half_open`, `open`");
const PLUGIN: Label = label("plugin", "the ids of the plugins that there are");
const PLUGIN_VERSION: Label = label("version", "the plugin's version");
const ISOLATION: Label = label("isolation", "`inline`, `thread`, `process`");
const PLUGIN_STATE: Label = label(
    "state",
    "`discovered`, `refused`, `starting`, `ready`, `degraded`, `failed`, `quarantined`, `stopped`",
);
const WORKER: Label = label("worker", "from 0 to `plugins.NAME.workers`, less one");
const READINESS: Label = label(
    "status",
    "`ready`, `degraded`, `not_ready`, `shutting_down`",
);
const SEVERITY: Label = label("severity", "`warning`, `critical`");
const BUILD: Label = label("version", "the hub's version");

const fn count(labels: &[Label]) -> usize {
    labels.len()
}

/// Families in sections; each becomes a static of its own, and all of them the table.
macro_rules! families {
    ($($section:literal { $($id:ident: $kind:ident $name:literal [$($label:ident),*] $help:literal;)* })*) => {
        $($(
            #[doc = $help]
            pub static $id: Family<{ count(&[$($label),*]) }> = Family {
                kind: Kind::$kind,
                name: $name,
                labels: [$($label),*],
                help: $help,
            };
        )*)*

        /// Every family, by section.
        pub const ALL: &[(&str, &[About])] = &[$(($section, &[$($id.about()),*])),*];
    };
}

families! {
    "Coming in" {
        EVENTS: Counter "nexus_events_total" [DOOR, ANSWER]
            "Events by the door at which they came and what became of them. A request that was refused before its events were looked at counts as one";
        CONTRACT_EVENTS: Counter "nexus_contract_events_total" [EVENT_TYPE, VERSION, DEPRECATED]
            "Events that were in order, by the contract version that was sent";
        AUTH_FAILURES: Counter "nexus_auth_failures_total" [ATTEMPT]
            "Attempts to be let in that failed, by why";
        RATE_LIMITED: Counter "nexus_rate_limited_total" [RATE]
            "Refusals because something came too often, by whose rate was used up";
        CONNECTIONS: Gauge "nexus_connections" [LISTENER]
            "Open connections";
        SUBSCRIBERS: Gauge "nexus_subscribers" []
            "Those who follow accepted events now, through whichever door";
        MISSED: Counter "nexus_subscriber_missed_events_total" []
            "Events that were gone before somebody who follows had read them";
    }
    "The queue" {
        DEPTH: Gauge "nexus_queue_depth" []
            "Events with work left";
        PARKED: Gauge "nexus_queue_parked" []
            "Events of which all that is left waits for its time: retries, open breakers, scheduled effects";
        CAPACITY: Gauge "nexus_queue_capacity" []
            "How many events there may be with work left that is not parked";
        WAITING: Gauge "nexus_queue_waiting" [PRIORITY]
            "Events that wait to be taken up for the first time";
        LEASED: Gauge "nexus_queue_leased" []
            "Units of work under way";
        DELAYED: Gauge "nexus_queue_delayed" []
            "Units of work that wait for their time";
        LANES: Gauge "nexus_queue_busy_lanes" []
            "Lanes with work under way";
        PAYLOAD: Gauge "nexus_queue_payload_bytes" []
            "Payload of the events with work left";
        OLDEST: Gauge "nexus_queue_oldest_wait_seconds" []
            "How long the event has waited that waits longest to be taken up; 0 when none waits";
        ACCEPTED: Counter "nexus_queue_accepted_events_total" []
            "Events that were accepted, with those that followed from others and what the hub tells itself, such as alerts";
        FINISHED: Counter "nexus_queue_finished_events_total" []
            "Events for which nothing more is done, dead ones included; once more when that was replayed";
        DEAD_LETTERS: Counter "nexus_dead_letters_total" [DEATH]
            "Work that went to the dead letters, by why";
        DEAD_LETTERS_KEPT: Gauge "nexus_dead_letters_kept" []
            "Dead letters that can be looked at and taken up again";
        STORAGE_FAILING: Gauge "nexus_queue_storage_failing" []
            "1 while the queue's storage does not work and no events are taken";
        FILES: Gauge "nexus_queue_file_bytes" [FILE]
            "The durable queue's files; not there when the queue is in memory";
        DISK: Gauge "nexus_queue_disk_available_bytes" []
            "What is free for the hub on the disk of the durable queue";
    }
    "How long" {
        QUEUE_WAIT: Histogram "nexus_queue_wait_seconds" [PRIORITY]
            "From an event's acceptance until it was taken up for the first time";
        PROCESSING: Histogram "nexus_processing_seconds" [PROCESSOR]
            "Calls of processors, without the wait for their turn; one that did not answer in time counts with its time limit";
        EFFECT: Histogram "nexus_effect_seconds" [INTEGRATION]
            "Attempts at effects, without the wait for their turn";
        END_TO_END: Histogram "nexus_event_seconds" [END]
            "From an event's acceptance until nothing more was done for it, with every retry and delay; an event that is taken up from the dead letters counts once more, from its acceptance";
    }
    "What work comes to" {
        PROCESSOR_RESULTS: Counter "nexus_processor_results_total" [PROCESSOR, CAME]
            "Calls of processors, by what they came to";
        PROCESSOR_RETRIES: Counter "nexus_processor_retries_total" [PROCESSOR]
            "Failures of processors that were to be tried again";
        EFFECT_RESULTS: Counter "nexus_effect_results_total" [INTEGRATION, EFFECT_CAME]
            "Attempts at effects, by what they came to";
        EFFECT_RETRIES: Counter "nexus_effect_retries_total" [INTEGRATION]
            "Failed attempts at effects that were to be tried again";
        EFFECTS_HELD: Counter "nexus_effects_held_back_total" [INTEGRATION]
            "How often an effect was put off to spare its target, by its breaker or its retry budget; that is no attempt";
        BREAKERS: Gauge "nexus_breaker_targets" [INTEGRATION, BREAKER]
            "Targets of integrations that were called, by how their breakers stand";
        BREAKERS_OPENED: Counter "nexus_breaker_opened_total" [INTEGRATION]
            "How often breakers of an integration's targets have opened after having been closed";
    }
    "Plugins" {
        PLUGIN_INFO: Gauge "nexus_plugin_info" [PLUGIN, PLUGIN_VERSION, ISOLATION]
            "1 for each plugin that there is";
        PLUGIN_STATES: Gauge "nexus_plugin_state" [PLUGIN, PLUGIN_STATE]
            "1 for the state that a plugin is in, 0 for the others";
        PLUGIN_RESTARTS: Counter "nexus_plugin_restarts_total" [PLUGIN]
            "How often a plugin was started again since it did not work";
        PLUGIN_PANICS: Counter "nexus_plugin_panics_total" [PLUGIN]
            "Panics of a plugin that were caught";
        PLUGIN_FILES_REFUSED: Gauge "nexus_plugin_files_refused" []
            "Files in the plugins folder that are not used";
        WORKERS: Gauge "nexus_plugin_workers" [PLUGIN]
            "Processes that a plugin with `isolation = \"process\"` has";
        WORKER_DEATHS: Counter "nexus_plugin_worker_deaths_total" [PLUGIN]
            "Processes of a plugin that have died since it was started";
        WORKER_CPU: Counter "nexus_plugin_worker_cpu_seconds_total" [PLUGIN, WORKER]
            "Processor time of a plugin's process; begins anew with the process. Linux only";
        WORKER_MEMORY: Gauge "nexus_plugin_worker_resident_memory_bytes" [PLUGIN, WORKER]
            "Memory that a plugin's process holds. Linux only";
    }
    "The hub" {
        SPANS: Counter "nexus_trace_spans_total" [SPAN_CAME]
            "Spans that have ended; none of them where there is no collector";
        TRACES_LEFT_OUT: Counter "nexus_traces_left_out_total" []
            "Traces that were not kept, since `per_second` others had begun";
        LOG_LINES_LOST: Counter "nexus_log_lines_lost_total" []
            "Lines of the log that were lost, since nobody has read standard error; not there where the log is another program's";
        READY: Gauge "nexus_readiness" [READINESS]
            "1 for what `/readyz` says, 0 for the rest";
        ALERTS: Gauge "nexus_alerts_active" [SEVERITY]
            "The hub's own alerts that are not over, also those that are silenced or that somebody has taken notice of";
        APPROVALS: Gauge "nexus_approvals_pending" []
            "Questions to people that wait for an answer";
        BUILD_INFO: Gauge "nexus_build_info" [BUILD]
            "1, with the version of the hub";
        PROCESS_CPU: Counter "process_cpu_seconds_total" []
            "Processor time of the hub's process. Linux only, as all that follows";
        PROCESS_MEMORY: Gauge "process_resident_memory_bytes" []
            "Memory that the hub's process holds";
        PROCESS_VIRTUAL: Gauge "process_virtual_memory_bytes" []
            "Addresses that the hub's process has taken";
        PROCESS_FDS: Gauge "process_open_fds" []
            "Files and sockets that the hub's process has open";
        PROCESS_MAX_FDS: Gauge "process_max_fds" []
            "How many it may have open";
        PROCESS_START: Gauge "process_start_time_seconds" []
            "When the hub's process was started, in seconds since 1970";
    }
}
