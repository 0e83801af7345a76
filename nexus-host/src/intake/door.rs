//! What came of events, by the door at which they came: receives each answer, hands on counts.

use std::fmt;

use crate::admission::Code;
use crate::observe::Tally;

/// Where an event came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// A request over HTTP.
    Http,
    /// A frame on a WebSocket.
    WebSocket,
    /// A call over gRPC.
    Grpc,
    /// A sender under `[[webhooks]]`.
    Webhook,
    /// A plugin that publishes.
    Plugin,
    /// The program that embeds the hub.
    Host,
}

impl Door {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::Http,
        Self::WebSocket,
        Self::Grpc,
        Self::Webhook,
        Self::Plugin,
        Self::Host,
    ];

    /// As counts name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::WebSocket => "websocket",
            Self::Grpc => "grpc",
            Self::Webhook => "webhook",
            Self::Plugin => "plugin",
            Self::Host => "host",
        }
    }
}

/// What an event may come to: taken, known already, or refused with a code.
const RESULTS: usize = 2 + Code::ALL.len();

/// The counts.
pub(super) struct Outcomes(Tally<{ Door::ALL.len() * RESULTS }>);

impl Outcomes {
    pub(super) fn new() -> Self {
        Self(Tally::new())
    }

    /// Counts one answer. `Ok` says whether the event is new.
    pub(super) fn add(&self, door: Door, answer: Result<bool, Code>) {
        let result = match answer {
            Ok(true) => 0,
            Ok(false) => 1,
            Err(code) => 2 + code as usize,
        };
        self.0.add(door as usize * RESULTS + result);
    }

    /// Every count there is, with the names of what it counts.
    pub(super) fn each(&self, mut each: impl FnMut(Door, &'static str, u64)) {
        let codes = Code::ALL.iter().map(|code| code.as_str());
        let results: Vec<_> = ["accepted", "duplicate"].into_iter().chain(codes).collect();
        let counts = self.0.counts();
        for (door, counts) in Door::ALL.into_iter().zip(counts.chunks_exact(RESULTS)) {
            for (result, count) in results.iter().zip(counts) {
                each(door, result, *count);
            }
        }
    }
}

impl fmt::Debug for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outcomes(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_is_counted_under_its_own_name() {
        let outcomes = Outcomes::new();
        for door in Door::ALL {
            outcomes.add(door, Ok(true));
            outcomes.add(door, Ok(false));
            for code in Code::ALL {
                outcomes.add(door, Err(code));
            }
        }
        outcomes.add(Door::Grpc, Err(Code::QueueFull));
        outcomes.each(|door, result, count| {
            let is_twice = door == Door::Grpc && result == "queue_full";
            assert_eq!(count, 1 + u64::from(is_twice), "{door:?} {result}");
        });
    }
}
