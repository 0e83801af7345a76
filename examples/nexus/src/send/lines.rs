//! `nexus send --lines`: receives a file with an event or a payload on each line, hands them to the hub some at a time,
//! and tells what the hub did not take by the number of its line. A hub that is full or away is waited for: every
//! event has an id before it is sent first, so nothing counts twice.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, stdin};
use std::path::Path;
use std::str;
use std::time::Duration;

use hyper::StatusCode;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{LARGEST_BYTES, event};
use crate::cli::{Common, Send};
use crate::failure::Failure;
use crate::hub::{self, Hub, Trouble};
use crate::output;

/// What one request holds at most.
const EVENTS: usize = 100;
const BYTES: usize = 512 * 1024;

/// How long a hub may be away.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait where a hub does not say.
const PAUSE: Duration = Duration::from_secs(1);

/// Shown on a terminal only.
const BAR: &str = "{bar:30} {binary_bytes} of {binary_total_bytes}, {msg}, {eta} to go";
const SPINNER: &str = "{spinner} {binary_bytes}, {msg}";

/// One line as it is sent.
struct Line {
    number: u64,
    event_id: Value,
    text: String,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    accepted: u64,
    duplicate: u64,
    refused: u64,
}

struct Sending<'a> {
    common: &'a Common,
    options: &'a Send,
    hub: Hub,
    bar: ProgressBar,
    counts: Counts,
    /// Every line up to this one has come to something.
    done: u64,
}

/// Sends every line of a file.
///
/// # Errors
/// When the file cannot be read, the hub does not answer any more, or it refused some.
pub(super) async fn send(common: &Common, options: &Send, file: &Path) -> Result<(), Failure> {
    let (input, size) = open(file)?;
    let bar = match size {
        Some(size) => ProgressBar::new(size).with_style(style(BAR)),
        None => ProgressBar::new_spinner().with_style(style(SPINNER)),
    };
    let mut sending = Sending {
        common,
        options,
        hub: Hub::find(common, &options.reach)?,
        bar,
        counts: Counts::default(),
        done: options.skip,
    };
    let sent = sending.all(input, file).await;
    sending.bar.finish_and_clear();
    let counts = sending.counts;
    if !common.json {
        output::line(&format!(
            "{} accepted, {} duplicate, {} refused",
            counts.accepted, counts.duplicate, counts.refused
        ));
    }
    let done = sending.done;
    if let Err(failure) = sent {
        output::note(&format!(
            "what came of the lines up to {done} is known; `--skip {done}` goes on behind them"
        ));
        return Err(failure);
    }
    match counts.refused {
        0 => Ok(()),
        _ => Err(Failure::told()),
    }
}

/// What is read, as much at once as a request holds.
type Input = BufReader<Box<dyn Read>>;

fn open(file: &Path) -> Result<(Input, Option<u64>), Failure> {
    let buffered = |read: Box<dyn Read>| BufReader::with_capacity(BYTES, read);
    if file == Path::new("-") {
        return Ok((buffered(Box::new(stdin().lock())), None));
    }
    let opened = File::open(file).map_err(|error| unreadable(file, error))?;
    let size = opened.metadata().ok().filter(|found| found.is_file());
    Ok((buffered(Box::new(opened)), size.map(|found| found.len())))
}

fn unreadable(file: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("{} cannot be read: {error}", file.display()))
}

fn style(template: &str) -> ProgressStyle {
    // The templates are this file's own, and tests parse them.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Sending<'_> {
    async fn all(&mut self, mut input: Input, file: &Path) -> Result<(), Failure> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for number in 1.. {
            // Whoever writes a line now and then has it sent at once: nothing waits for lines that may come.
            if !batch.is_empty() && !input.buffer().contains(&b'\n') {
                self.batch(std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
            let mut text = Vec::new();
            let mut bounded = (&mut input).take(LARGEST_BYTES);
            let read = bounded.read_until(b'\n', &mut text);
            let read = read.map_err(|error| unreadable(file, error))?;
            if read == 0 {
                break;
            }
            self.bar.inc(read as u64);
            let text = text.trim_ascii();
            if number <= self.options.skip || text.is_empty() {
                continue;
            }
            let line = match self.line(number, text) {
                Ok(line) => line,
                Err(error) => {
                    let told = format!("is not what can be sent: {error}");
                    self.refuse(
                        number,
                        &Value::Null,
                        &json!({ "detail": told, "code": "malformed_json" }),
                    );
                    continue;
                }
            };
            if !batch.is_empty() && (batch.len() == EVENTS || bytes + line.text.len() > BYTES) {
                self.batch(std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
            bytes += line.text.len();
            batch.push(line);
        }
        if !batch.is_empty() {
            self.batch(batch).await?;
        }
        Ok(())
    }

    /// A line as it is sent: with an id, in any case.
    fn line(&self, number: u64, text: &[u8]) -> Result<Line, Box<dyn Error>> {
        let text = str::from_utf8(text)?;
        let fresh = Uuid::now_v7();
        if self.options.event_type.is_some() {
            let payload: &RawValue = serde_json::from_str(text)?;
            return Ok(Line {
                number,
                event_id: json!(fresh),
                text: event(self.options, Some(fresh), payload)?,
            });
        }
        let members: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(text)?;
        if let Some(event_id) = members.get("event_id") {
            return Ok(Line {
                number,
                event_id: serde_json::from_str(event_id.get())?,
                text: text.to_owned(),
            });
        }
        let comma = if members.is_empty() { "" } else { "," };
        let rest = text.strip_prefix('{').unwrap_or_default();
        Ok(Line {
            number,
            event_id: json!(fresh),
            text: format!("{{\"event_id\":\"{fresh}\"{comma}{rest}"),
        })
    }

    /// Sends these until something has come of each.
    async fn batch(&mut self, mut batch: Vec<Line>) -> Result<(), Failure> {
        let last = batch.last().map_or(self.done, |line| line.number);
        let mut away_since = None;
        while !batch.is_empty() {
            let texts: Vec<&str> = batch.iter().map(|line| line.text.as_str()).collect();
            let body = format!("[{}]", texts.join(","));
            match self.hub.post("/v1/events", body).await {
                Ok(answer) => {
                    away_since = None;
                    let pause = self.judge(&mut batch, &answer)?;
                    if !batch.is_empty() {
                        sleep(pause).await;
                    }
                }
                Err(Trouble::Refused {
                    retry_after: Some(after),
                    ..
                }) => sleep(after).await,
                // Too much at once; what is too much by itself is that line's own trouble.
                Err(Trouble::Refused {
                    status: StatusCode::PAYLOAD_TOO_LARGE,
                    problem,
                    ..
                }) => match batch.as_slice() {
                    [line] => {
                        self.refuse(line.number, &line.event_id, &problem);
                        batch.clear();
                    }
                    _ => {
                        let rest = batch.split_off(batch.len() / 2);
                        Box::pin(self.batch(std::mem::replace(&mut batch, rest))).await?;
                    }
                },
                Err(trouble @ Trouble::NoHub(_)) => {
                    if away_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                        return Err(trouble.into());
                    }
                    self.bar.set_message("the hub is away");
                    sleep(PAUSE).await;
                }
                Err(refused) => return Err(refused.into()),
            }
        }
        self.done = last;
        Ok(())
    }

    /// Notes what has come of each, and leaves those that may be sent again; how long to wait before.
    fn judge(&mut self, batch: &mut Vec<Line>, answer: &Value) -> Result<Duration, Failure> {
        let answers = answer.as_array().filter(|all| all.len() == batch.len());
        let answers = answers.ok_or_else(|| {
            Failure::failed("the hub's answer does not tell what came of each event")
        })?;
        let mut pause = PAUSE;
        let mut again = Vec::new();
        for (line, answer) in std::mem::take(batch).into_iter().zip(answers) {
            match answer["status"].as_str() {
                Some("rejected") => match hub::retry_after(&answer["error"]) {
                    Some(after) => {
                        pause = pause.max(after);
                        again.push(line);
                    }
                    None => self.refuse(line.number, &line.event_id, &answer["error"]),
                },
                status => {
                    match status {
                        Some("duplicate") => self.counts.duplicate += 1,
                        _ => self.counts.accepted += 1,
                    }
                    if self.common.json {
                        let (number, id) = (line.number, &line.event_id);
                        output::json_line(
                            &json!({ "line": number, "event_id": id, "status": status }),
                        );
                    }
                }
            }
        }
        *batch = again;
        self.show();
        Ok(pause)
    }

    fn refuse(&mut self, number: u64, event_id: &Value, error: &Value) {
        self.counts.refused += 1;
        self.bar.suspend(|| {
            if self.common.json {
                output::json_line(&json!({
                    "line": number, "event_id": event_id, "status": "rejected", "error": error,
                }));
            } else {
                output::note(&format!("line {number}: {}", hub::told(error)));
            }
        });
        self.show();
    }

    fn show(&self) {
        let sent = self.counts.accepted + self.counts.duplicate;
        let refused = match self.counts.refused {
            0 => String::new(),
            refused => format!(", {refused} refused"),
        };
        self.bar.set_message(format!("{sent} events{refused}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_on_a_terminal_can_be() {
        for template in [BAR, SPINNER] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
