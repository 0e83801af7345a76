//! How much work has gone to the dead letters, and for what: counted by whichever backend buries it.

/// The reasons that are told apart: the hub's own. Any other is a code of a plugin's choice.
const REASONS: [&str; 20] = [
    "retries_exhausted",
    "rejected",
    "put_off_too_often",
    "queue_full",
    "too_much_parked",
    "killed_the_worker",
    "killed_the_hub",
    "host_panicked",
    "unknown_processor",
    "unknown_integration",
    "ambiguous_integration",
    "malformed_answer",
    "unknown_decision",
    "too_many_effects",
    "too_many_events",
    "contract_violation",
    "unknown_type",
    "forbidden",
    "conflict",
    OTHER,
];

/// What codes of plugins' choice are counted as.
const OTHER: &str = "other";

/// See the module. What is taken up again, or deleted, stays counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deaths([u64; REASONS.len()]);

impl Deaths {
    pub(super) fn add(&mut self, reason: &str) {
        let place = REASONS.iter().position(|known| *known == reason);
        self.0[place.unwrap_or(REASONS.len() - 1)] += 1;
    }

    /// Every reason, with how many have died of it since the hub started.
    pub fn by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        REASONS.into_iter().zip(self.0)
    }

    /// How many have died since the hub started.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_a_plugin_s_choice_makes_no_reason_of_its_own() {
        let mut deaths = Deaths::default();
        for reason in ["rejected", "no_such_card_4711", "other", "rejected"] {
            deaths.add(reason);
        }
        let told: Vec<_> = deaths.by_reason().filter(|(_, count)| *count > 0).collect();
        assert_eq!(told, [("rejected", 2), ("other", 2)]);
        assert_eq!(deaths.total(), 4);
    }
}
