//! What is watched: the signals, and one sample of one of them. Plain data.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something about the hub that is a number at any time.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Signal {
    /// Seconds from acceptance until an event is finished, the 95th percentile of the last 5 s; where fewer than 10
    /// events are finished in that time, of the last 10, a minute back at most. The same holds for the ratios.
    Latency,
    /// Seconds that events wait for their first routing: the longest that waits now.
    QueueWait,
    /// Attempts at processing and effects that failed, of all in the last 5 s; 0 to 1.
    ErrorRatio,
    /// Events that were refused, of all that came in the last 5 s; 0 to 1.
    RefusedRatio,
    /// Events accepted a second, over the last 2 s or, where few come, the last minute.
    Throughput,
    /// How full the queue is; 0 to 1.
    QueueFill,
    /// Dead letters of the last minute.
    DeadLetters,
    /// Whether the breaker of a target is open; 0 or 1.
    BreakerOpen,
    /// Whether a plugin does not work; 0 or 1.
    PluginFailed,
    /// Whether a plugin works, but not as it should; 0 or 1.
    PluginDegraded,
    /// How often a plugin was started again in the last minute since it did not work.
    PluginRestarts,
    /// Bytes that are free where the durable queue is.
    DiskFree,
    /// Whether the queue's storage fails; 0 or 1.
    StorageFailing,
    /// Whether a plugin or a plugin file is not used, although nobody has asked for that; 0 or 1.
    // Last, since what is learnt is kept by the number of the signal.
    PluginRefused,
}

/// On which side of what is usual trouble lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// More is worse.
    High,
    /// Less is worse.
    Low,
}

/// In what a signal's variation is about as large at any level, so that one spread describes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Measure {
    /// Ratios count; what is below the number makes no difference.
    Log(f64),
    /// Counts and shares: the root of a number of events varies by half, whatever the number.
    Root,
}

impl Signal {
    /// Every one.
    pub const ALL: [Self; 14] = [
        Self::Latency,
        Self::QueueWait,
        Self::ErrorRatio,
        Self::RefusedRatio,
        Self::Throughput,
        Self::QueueFill,
        Self::DeadLetters,
        Self::BreakerOpen,
        Self::PluginFailed,
        Self::PluginDegraded,
        Self::PluginRestarts,
        Self::DiskFree,
        Self::StorageFailing,
        Self::PluginRefused,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::QueueWait => "queue_wait",
            Self::ErrorRatio => "error_ratio",
            Self::RefusedRatio => "refused_ratio",
            Self::Throughput => "throughput",
            Self::QueueFill => "queue_fill",
            Self::DeadLetters => "dead_letters",
            Self::BreakerOpen => "breaker_open",
            Self::PluginFailed => "plugin_failed",
            Self::PluginDegraded => "plugin_degraded",
            Self::PluginRestarts => "plugin_restarts",
            Self::DiskFree => "disk_free",
            Self::StorageFailing => "storage_failing",
            Self::PluginRefused => "plugin_refused",
        }
    }

    /// Where trouble lies.
    pub(super) fn side(self) -> Side {
        match self {
            Self::Throughput | Self::DiskFree => Side::Low,
            _ => Side::High,
        }
    }

    /// What it never is above, if there is such a thing: the whole, of shares, and of what is so or not.
    pub(super) fn most(self) -> Option<f64> {
        match self {
            Self::Latency
            | Self::QueueWait
            | Self::Throughput
            | Self::DeadLetters
            | Self::PluginRestarts
            | Self::DiskFree => None,
            Self::ErrorRatio
            | Self::RefusedRatio
            | Self::QueueFill
            | Self::BreakerOpen
            | Self::PluginFailed
            | Self::PluginDegraded
            | Self::StorageFailing
            | Self::PluginRefused => Some(1.0),
        }
    }

    /// How what is usual is learnt; `None` where nothing is.
    pub(super) fn measure(self) -> Option<Measure> {
        match self {
            Self::Latency => Some(Measure::Log(0.001)),
            Self::QueueWait => Some(Measure::Log(0.01)),
            Self::QueueFill => Some(Measure::Log(0.01)),
            Self::ErrorRatio | Self::RefusedRatio | Self::Throughput => Some(Measure::Root),
            _ => None,
        }
    }

    /// What it means that it is where it should not be, in a few words for people.
    pub(super) fn says(self, subject: &str) -> String {
        match self {
            Self::Latency => "events take long".to_owned(),
            Self::QueueWait => "events wait long in the queue".to_owned(),
            Self::ErrorRatio => "many attempts fail".to_owned(),
            Self::RefusedRatio => "many events are refused".to_owned(),
            Self::Throughput => "fewer events come than usual".to_owned(),
            Self::QueueFill => "the queue fills up".to_owned(),
            Self::DeadLetters => "work was given up as dead letters".to_owned(),
            Self::BreakerOpen => format!("the breaker of {subject} is open"),
            Self::PluginFailed => format!("the plugin {subject} does not work"),
            Self::PluginDegraded => format!("the plugin {subject} does not work as it should"),
            Self::PluginRestarts => format!("the plugin {subject} had to be started again"),
            Self::DiskFree => format!("little space is left on the disk of {subject}"),
            Self::StorageFailing => "the queue's storage fails".to_owned(),
            Self::PluginRefused => format!("the plugin {subject} is refused"),
        }
    }

    /// A value of it, with its unit; `None` where it is something that is so or not, which takes no number to tell.
    pub(super) fn shown(self, value: f64) -> Option<String> {
        Some(match self {
            Self::Latency | Self::QueueWait => format!("{value:.3} s"),
            Self::ErrorRatio | Self::RefusedRatio | Self::QueueFill => {
                format!("{:.1} %", value * 100.0)
            }
            Self::Throughput => format!("{value:.1} a second"),
            Self::DiskFree => format!("{:.0} MiB", value / 1_048_576.0),
            Self::DeadLetters | Self::PluginRestarts => format!("{value:.0}"),
            Self::BreakerOpen
            | Self::PluginFailed
            | Self::PluginDegraded
            | Self::StorageFailing
            | Self::PluginRefused => return None,
        })
    }
}

/// What a signal was at one time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    /// Which signal.
    pub signal: Signal,
    /// What of: a breaker, a plugin; empty for the hub as a whole.
    pub subject: Arc<str>,
    /// Which stretch of time, where a signal is of several; each has its own usual.
    pub stretch: &'static str,
    /// How much.
    pub value: f64,
    /// How much is behind it: how many events a share or a percentile is of, how many seconds a rate is of.
    pub weight: f64,
    /// Whether rules judge it; what is usual is learnt of it in any case.
    pub is_judged: bool,
}

impl Sample {
    /// A sample that speaks for itself.
    pub(super) fn new(signal: Signal, subject: impl Into<Arc<str>>, value: f64) -> Self {
        Self {
            signal,
            subject: subject.into(),
            stretch: "",
            value,
            weight: 1.0,
            is_judged: true,
        }
    }

    /// Under which name what is usual is known.
    pub(super) fn usual_of(&self) -> (Signal, Arc<str>) {
        match self.stretch {
            "" => (self.signal, self.subject.clone()),
            stretch => (self.signal, stretch.into()),
        }
    }

    /// The same, with so much behind it.
    #[must_use]
    pub(super) fn of(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }
}
