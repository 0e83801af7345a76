//! The delivery: receives lines, pushes them to the hub as events, and is done with each when the hub has answered for
//! it. What was not answered, and what the hub cannot take yet, is sent again.
//!
//! Several go together, as many as wait: one by one while the hub is quicker than the input, and in large batches when
//! there is something to catch up with.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use crate::answer::{Answer, Meaning, Refusal};
use crate::backoff::{self, Backoff};
use crate::cli::Options;
use crate::event;
use crate::hub::{Hub, Trouble};
use crate::input::Line;
use crate::outbox::{Outbox, OutboxError};
use crate::say;

/// How many events are sent together, and how many bytes: well below the hub's own bounds (1,000, and 1 MiB).
const MOST_EVENTS: usize = 100;
const MOST_BYTES: usize = 512 * 1024;

/// How many characters are told of a line that is refused.
const SHOWN: usize = 100;

/// See the module.
pub(crate) struct Delivery {
    hub: Hub,
    lines: mpsc::Receiver<Vec<Line>>,
    outbox: Option<Outbox>,
    source: String,
    give_up_after: Option<Duration>,
    /// What the hub has not answered for, oldest first.
    pending: VecDeque<Pending>,
    /// The first of these that go one by one, as the hub did not take them together.
    apart: usize,
    /// Since when something is pending and nothing was answered for.
    since: Instant,
    backoff: Backoff,
    /// What hinders the delivery at the moment.
    trouble: Option<String>,
    tally: Tally,
}

struct Pending {
    line: Line,
    event: String,
}

/// What became of the lines so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    accepted: u64,
    duplicate: u64,
    pub(crate) refused: u64,
}

/// Why a delivery ends before everything is delivered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// See [`Meaning::Stop`].
    #[error("the hub does not take anything as it is: {0}")]
    Stopped(Refusal),
    #[error("given up: nothing could be delivered for {}; {why}", humantime::format_duration(*.after))]
    GivenUp { after: Duration, why: String },
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

impl Delivery {
    pub(crate) fn new(
        hub: Hub,
        lines: mpsc::Receiver<Vec<Line>>,
        outbox: Option<Outbox>,
        options: &Options,
    ) -> Self {
        Self {
            hub,
            lines,
            outbox,
            source: options.source.clone(),
            give_up_after: options.give_up_after,
            pending: VecDeque::new(),
            apart: 0,
            since: Instant::now(),
            backoff: Backoff::new(),
            trouble: None,
            tally: Tally::default(),
        }
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Delivers until no more lines come. May be given up at any time: what was not answered for is pending.
    ///
    /// # Errors
    /// When it makes no sense to go on.
    pub(crate) async fn run(&mut self) -> Result<(), Failure> {
        while self.fill().await? {
            let deadline = self.deadline();
            let most = if self.apart > 0 { 1 } else { MOST_EVENTS };
            let events = together(&self.pending, most);
            let sent = events.len();
            let Some(answered) = within(deadline, self.hub.publish(&events)).await else {
                return Err(self.given_up());
            };
            match answered {
                Ok(answers) => self.settle(answers).await?,
                Err(Trouble::Unanswered(why)) => self.rest(why, None).await?,
                // Which of them it is shows when they come one by one.
                Err(Trouble::Refused(refusal))
                    if sent > 1 && refusal.meaning() == Meaning::Never =>
                {
                    self.apart = sent
                }
                Err(Trouble::Refused(refusal)) => {
                    self.settle(vec![Answer::Refused(refusal); sent]).await?
                }
            }
        }
        Ok(())
    }

    /// Takes up what is there, and waits when there is nothing; `false` at the end.
    async fn fill(&mut self) -> Result<bool, Failure> {
        while self.pending.len() < MOST_EVENTS {
            let lines = match self.pending.is_empty() {
                false => self.lines.try_recv().ok(),
                true => {
                    let lines = tokio::select! {
                        lines = self.lines.recv() => lines,
                        never = self.hub.idle() => match never {},
                    };
                    self.since = Instant::now();
                    lines
                }
            };
            match lines {
                Some(lines) => self.take(lines).await?,
                None => break,
            }
        }
        Ok(!self.pending.is_empty())
    }

    async fn take(&mut self, lines: Vec<Line>) -> Result<(), Failure> {
        let mut done = Vec::new();
        for line in lines {
            match event::of(&line.text, &self.source) {
                Ok(event) => self.pending.push_back(Pending { line, event }),
                Err(why) => {
                    self.refuse(&line, &why);
                    done.push(line);
                }
            }
        }
        self.forget(done).await
    }

    /// Does what the answers to the first pending ones say.
    async fn settle(&mut self, answers: Vec<Answer>) -> Result<(), Failure> {
        self.apart = self.apart.saturating_sub(answers.len());
        let (mut done, mut again, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
        let batch: Vec<Pending> = self.pending.drain(..answers.len()).collect();
        for (pending, answer) in batch.into_iter().zip(answers) {
            match answer {
                Answer::Accepted => self.tally.accepted += 1,
                Answer::Duplicate => self.tally.duplicate += 1,
                Answer::Refused(refusal) if refusal.meaning() == Meaning::Never => {
                    self.refuse(&pending.line, &refusal);
                }
                Answer::Refused(refusal) => {
                    refusals.push(refusal);
                    again.push(pending);
                    continue;
                }
            }
            done.push(pending.line);
        }
        for pending in again.into_iter().rev() {
            self.pending.push_front(pending);
        }
        if !done.is_empty() {
            self.since = Instant::now();
            self.backoff.reset();
        }
        self.forget(done).await?;
        let stop = |refusal: &Refusal| refusal.meaning() == Meaning::Stop;
        if let Some(at) = refusals.iter().position(stop) {
            return Err(Failure::Stopped(refusals.swap_remove(at)));
        }
        match refusals
            .into_iter()
            .max_by_key(|refusal| refusal.retry_after)
        {
            Some(longest) => self.rest(longest.to_string(), longest.retry_after).await,
            None => {
                if self.trouble.take().is_some() {
                    say("the hub takes notifications again");
                }
                Ok(())
            }
        }
    }

    /// Waits before the next attempt: as long as the hub asks for, or longer each time.
    async fn rest(&mut self, why: String, asked: Option<Duration>) -> Result<(), Failure> {
        let wait = match asked {
            Some(asked) => backoff::at_least(asked),
            None => self.backoff.next(),
        };
        if self.trouble.as_ref() != Some(&why) {
            say(format!("{why}; trying again until it goes well"));
        }
        self.trouble = Some(why);
        match within(self.deadline(), sleep(wait)).await {
            Some(()) => Ok(()),
            None => Err(self.given_up()),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.since.checked_add(self.give_up_after?)
    }

    fn given_up(&self) -> Failure {
        Failure::GivenUp {
            after: self.give_up_after.unwrap_or_default(),
            why: self
                .trouble
                .clone()
                .unwrap_or_else(|| "the hub does not answer".to_owned()),
        }
    }

    fn refuse(&mut self, line: &Line, why: &dyn fmt::Display) {
        self.tally.refused += 1;
        say(refused(line, why));
    }

    async fn forget(&self, done: Vec<Line>) -> Result<(), Failure> {
        let kept: Vec<i64> = done.iter().filter_map(|line| line.kept).collect();
        match &self.outbox {
            Some(outbox) if !kept.is_empty() => Ok(outbox.forget(kept).await?),
            _ => Ok(()),
        }
    }
}

/// What is told of a line that is refused: its beginning, to find it by, and nothing that would do more than be read.
fn refused(line: &Line, why: &dyn fmt::Display) -> String {
    let text = String::from_utf8_lossy(line.text.trim_ascii());
    let shown: String = text.chars().take(SHOWN).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    let told = format!("line {} is refused: {why}: ", line.number);
    let is_unfit = |c: char| c.is_control();
    format!("{}{}{more}", told.replace(is_unfit, " "), legible(&shown))
}

/// A text on one line, with nothing that a terminal obeys; JSON's own quotes stay as they are.
fn legible(text: &str) -> String {
    let mut legible = String::new();
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => legible.push(c),
            c => legible.extend(c.escape_debug()),
        }
    }
    legible
}

impl Tally {
    /// How many lines are done with.
    pub(crate) fn settled(&self) -> u64 {
        self.accepted + self.duplicate + self.refused
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            accepted,
            duplicate,
            refused,
        } = self;
        write!(
            f,
            "{accepted} accepted, {duplicate} duplicate, {refused} refused"
        )
    }
}

/// The events that go next: at least one, and no more than that.
fn together(pending: &VecDeque<Pending>, most: usize) -> Vec<&str> {
    let mut bytes = 0;
    let events = pending
        .iter()
        .take(most)
        .map(|pending| pending.event.as_str());
    let fit = events.take_while(|event| {
        let is_first = bytes == 0;
        bytes += event.len();
        is_first || bytes <= MOST_BYTES
    });
    fit.collect()
}

/// What comes of it until then; `None` when nothing does.
async fn within<T>(deadline: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(deadline) => timeout_at(deadline, work).await.ok(),
        None => Some(work.await),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_line_that_is_refused_the_beginning_is_told_and_nothing_that_acts() {
        let line = Line {
            text: format!("\u{1b}[2J{}", "x".repeat(200)).into_bytes(),
            number: 7,
            kept: None,
        };
        let expected = format!(
            "line 7 is refused: no\u{20}: \\u{{1b}}[2J{}…",
            "x".repeat(96)
        );
        assert_eq!(refused(&line, &"no\u{7}"), expected);
    }
}
