//! What a host says of itself: how it is, and how it stopped.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::dispatch::BreakerStatus;
use crate::ingress::ReadyReport;
use crate::queue::QueueStats;

/// How the host is.
#[derive(Debug, Clone, Serialize)]
pub struct HealthReport {
    /// As `/readyz` answers it.
    #[serde(flatten)]
    pub ready: ReadyReport,
    /// How full the queue is.
    pub queue: QueueStats,
    /// Every breaker that was used.
    pub breakers: Vec<BreakerStatus>,
}

/// How a host stopped.
#[derive(Debug, Clone, Serialize)]
pub struct ShutdownReport {
    /// Whether everything that was accepted is finished.
    pub drained: bool,
    /// Events whose work is not finished.
    pub unfinished: usize,
    /// Whether they are there again with the next start: not with the queue in memory.
    pub kept: bool,
    /// Events finished since start.
    pub finished: u64,
    /// Dead letters kept.
    pub dead_letters: usize,
    /// Connections that were cut because they did not end in time.
    pub cut_connections: usize,
    /// How long stopping took.
    #[serde(rename = "took_ms", serialize_with = "as_millis")]
    pub took: Duration,
}

fn as_millis<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u128(duration.as_millis())
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "stopped after {:.1} s: {} events finished, {} dead letters",
            self.took.as_secs_f64(),
            self.finished,
            self.dead_letters
        )?;
        if self.cut_connections > 0 {
            write!(f, ", {} connections cut", self.cut_connections)?;
        }
        if self.unfinished > 0 {
            let fate = match self.kept {
                true => "kept for the next start",
                false => "the queue is in memory: they are lost",
            };
            write!(f, ", {} unfinished ({fate})", self.unfinished)?;
        }
        Ok(())
    }
}
