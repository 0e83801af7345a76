//! What a producer knows of its events: what it sent, what was answered, and what nobody knows
//! because the connection died. It asks no hub, so it can be held against one.

use std::fmt;

use nexus_plugin_api::Event;
use probe::Order;
use serde_json::Value;

use crate::wire::Answer;

/// The events of one producer, in the order in which they were first sent.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
}

/// One event.
#[derive(Debug)]
pub struct Entry {
    /// The event, the same each time it is sent.
    pub event: Event<Order>,
    lines: Vec<Line>,
}

/// What happened to an event, and in which cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The hub's life in which it happened, from 1.
    pub cycle: u32,
    /// What.
    pub word: Word,
}

/// What became of one sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// Acknowledged as new.
    Accepted,
    /// Acknowledged as known.
    Duplicate,
    /// Refused, with a code and the seconds after which to come again.
    Refused(String, Option<u64>),
    /// The connection died before the answer was whole.
    Unanswered,
    /// Something that is none of these.
    Strange(String),
}

impl Ledger {
    /// Opens an entry; hands back its number.
    pub fn open(&mut self, event: Event<Order>) -> usize {
        let lines = Vec::new();
        self.entries.push(Entry { event, lines });
        self.entries.len() - 1
    }

    /// Writes down what became of a sending.
    ///
    /// # Panics
    /// When there is no such entry.
    pub fn note(&mut self, number: usize, cycle: u32, word: Word) {
        self.entries[number].lines.push(Line { cycle, word });
    }

    /// Every entry.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

impl Entry {
    /// Whether the hub has answered for it.
    pub fn is_acknowledged(&self) -> bool {
        self.lines.iter().any(|line| line.word.acknowledges())
    }

    /// What became of each sending, in order.
    pub fn words(&self) -> impl DoubleEndedIterator<Item = &Word> {
        self.lines.iter().map(|line| &line.word)
    }
}

impl Word {
    /// Whether the hub has taken the event on itself.
    pub fn acknowledges(&self) -> bool {
        matches!(self, Self::Accepted | Self::Duplicate)
    }

    /// What an answer says of the events that were sent together: one, or an array of them.
    pub fn all_of(answer: &Answer, events: usize) -> Vec<Self> {
        let each = answer.body.as_array().filter(|each| each.len() == events);
        match (answer.status, each) {
            (202 | 207, Some(each)) => each.iter().map(Self::of).collect(),
            (202, None) if events == 1 => vec![Self::of(&answer.body)],
            _ => vec![Self::of_problem(&answer.body, answer.retry_after); events],
        }
    }

    /// What an answer says of one event.
    fn of(result: &Value) -> Self {
        match result["status"].as_str() {
            Some("accepted") => Self::Accepted,
            Some("duplicate") => Self::Duplicate,
            Some("rejected") => {
                let error = &result["error"];
                Self::of_problem(error, error["retry_after"].as_u64())
            }
            _ => Self::Strange(result.to_string()),
        }
    }

    fn of_problem(problem: &Value, retry_after: Option<u64>) -> Self {
        match problem["code"].as_str() {
            Some(code) => Self::Refused(code.to_owned(), retry_after),
            None => Self::Strange(problem.to_string()),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = &self.event;
        write!(f, "{} from {}", event.event_id, event.source)?;
        if let Some(lane) = &event.partition_key {
            write!(f, " in {lane}")?;
        }
        write!(f, ", {:?}, {:?}", event.priority, event.payload)?;
        for line in &self.lines {
            write!(f, "; cycle {}: {}", line.cycle, line.word)?;
        }
        Ok(())
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => f.write_str("accepted"),
            Self::Duplicate => f.write_str("duplicate"),
            Self::Refused(code, Some(seconds)) => write!(f, "refused ({code}, {seconds} s)"),
            Self::Refused(code, None) => write!(f, "refused ({code})"),
            Self::Unanswered => f.write_str("no answer"),
            Self::Strange(answer) => write!(f, "answered {answer}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(status: u16, retry_after: Option<u64>, body: Value) -> Answer {
        Answer {
            status,
            retry_after,
            body,
        }
    }

    #[test]
    fn every_kind_of_answer_is_read() {
        let one = json!({"event_id": "x", "status": "accepted"});
        assert_eq!(
            Word::all_of(&answer(202, None, one.clone()), 1),
            [Word::Accepted]
        );
        let full = json!({"code": "queue_full"});
        let refused = |seconds| Word::Refused("queue_full".to_owned(), seconds);
        let told = Word::all_of(&answer(503, Some(1), full.clone()), 2);
        assert_eq!(told, [refused(Some(1)), refused(Some(1))]);
        let several = json!([
            one,
            {"status": "duplicate"},
            {"status": "rejected", "error": full},
            {"status": "rejected", "error": {"code": "queue_full", "retry_after": 3}},
        ]);
        let told = Word::all_of(&answer(207, None, several), 4);
        let expected = [
            Word::Accepted,
            Word::Duplicate,
            refused(None),
            refused(Some(3)),
        ];
        assert_eq!(told, expected);
        let short = Word::all_of(&answer(202, None, json!([])), 1);
        assert!(matches!(&short[..], [Word::Strange(_)]), "{short:?}");
    }
}
