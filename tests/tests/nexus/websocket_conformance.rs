//! WebSockets as RFC 6455 has them, from frames that no proper client sends: frames that break a rule are
//! answered by a close with the code for it, those that are odd but allowed do what they say, and a text
//! comes through as it was sent, wherever it was cut.
//!
//! Each case has a WebSocket of its own. The hub sends nothing back as it came but the `id` of a frame with
//! an operation; texts that must come through are sent as that. Where the WebSocket stays open, a last frame
//! is answered behind all others.

mod closes;
mod controls;
mod fragments;
mod handshakes;
mod lengths;
mod limits;
mod utf8;

use std::time::Duration;

use nexus_tests::hub::{ADMIN_KEY, Hub, HubBuilder};
use nexus_tests::octets::{More, Octets};
use nexus_tests::suite::{Report, Suite, Verdict, in_sections, together};
use nexus_tests::ws::{self, FIN, Frame, op};
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

/// Longer than any case takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// The id of the last frame.
const LAST: &str = "the end";

/// What the hub says to a case before the end.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    /// A pong with this.
    Pong(Vec<u8>),
    /// A text came through: it is the id of an answer.
    Echo(String),
    /// An event was taken.
    Accepted,
    /// A text was read, and is nothing that the hub knows.
    Rejected,
}

/// How a case ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The WebSocket stays open.
    Open,
    /// The hub closes it, with one of these codes.
    Close(&'static [u16]),
    /// The hub closes it, with this code.
    CloseOf(u16),
    /// The hub closes it, without a code.
    CloseOfNothing,
}

/// A case.
struct Case {
    name: String,
    /// Sent one after the other, as they are, each by itself.
    portions: Vec<Vec<u8>>,
    /// What the hub says before the end; pongs may come before what else is said.
    said: Vec<Said>,
    /// Whether it may say nothing at all, as the client closes with the same breath.
    may_be_silent: bool,
    end: End,
    /// That the library is known to do something else, how it ends then, and why that is borne.
    gap: Option<(End, &'static str)>,
}

fn case(name: &str, bytes: impl Into<Vec<u8>>, said: &[Said], end: End) -> Case {
    Case {
        name: name.to_owned(),
        portions: vec![bytes.into()],
        said: said.to_vec(),
        may_be_silent: false,
        end,
        gap: None,
    }
}

impl Case {
    /// Sends octet by octet.
    fn by_octets(mut self) -> Self {
        let octets = self.portions.concat();
        self.portions = octets.into_iter().map(|octet| vec![octet]).collect();
        self
    }

    /// Sends so many octets at a time.
    fn by(mut self, size: usize) -> Self {
        let octets = self.portions.concat();
        self.portions = octets.chunks(size).map(<[u8]>::to_vec).collect();
        self
    }

    /// The client closes with the same breath, and may be told nothing more.
    fn or_silent(mut self) -> Self {
        self.may_be_silent = true;
        self
    }

    fn gap(mut self, seen: End, reason: &'static str) -> Self {
        self.gap = Some((seen, reason));
        self
    }
}

/// A text that the hub sends back as an id.
fn echoing(text: &str) -> String {
    json!({ "op": "unsubscribe", "id": text }).to_string()
}

/// A frame with such a text.
fn echo(text: &str) -> Vec<u8> {
    ws::frame(FIN | op::TEXT, echoing(text))
}

fn echoed(text: &str) -> Said {
    Said::Echo(text.to_owned())
}

/// A frame with an event.
fn publishing() -> Vec<u8> {
    let event =
        json!({ "event_id": Uuid::new_v4(), "type": "wire.sent", "source": "wire", "payload": {} });
    ws::frame(FIN | op::TEXT, event.to_string())
}

/// The request that opens a WebSocket, with these lines instead of those that say so.
fn opening(lines: &str) -> String {
    format!("GET /v1/ws HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {ADMIN_KEY}\r\n{lines}\r\n")
}

const PROPER: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// What came of a case.
struct Outcome {
    said: Vec<Said>,
    /// What the hub's close holds, once there is one.
    close: Option<Vec<u8>>,
    is_answered: bool,
    has_ended: bool,
    /// What no server may send.
    wrong: Vec<Frame>,
}

impl Outcome {
    fn take(&mut self, frame: Frame) {
        let json: Value = serde_json::from_slice(&frame.payload).unwrap_or_default();
        let said = match (frame.is_masked, frame.first) {
            (false, first) if first == FIN | op::PONG => Said::Pong(frame.payload),
            (false, first) if first == FIN | op::CLOSE && self.close.is_none() => {
                self.close = Some(frame.payload);
                return;
            }
            (false, first) if first == FIN | op::TEXT => match (&json["status"], &json["id"]) {
                (Value::String(status), id) if status == "unsubscribed" && id == LAST => {
                    self.is_answered = true;
                    return;
                }
                (Value::String(status), Value::String(id)) if status == "unsubscribed" => {
                    Said::Echo(id.clone())
                }
                (Value::String(status), _) if status == "accepted" => Said::Accepted,
                (Value::String(status), _) if status == "rejected" => Said::Rejected,
                _ => return self.wrong.push(frame),
            },
            _ => return self.wrong.push(frame),
        };
        self.said.push(said);
    }

    fn is(&self, end: End) -> bool {
        match (end, self.close.as_deref()) {
            (End::Open, None) => self.is_answered && !self.has_ended,
            (End::Close(codes), Some([high, low, reason @ ..])) => {
                let code = u16::from_be_bytes([*high, *low]);
                codes.contains(&code) && std::str::from_utf8(reason).is_ok() && self.has_ended
            }
            (End::CloseOf(code), Some([high, low, ..])) => {
                code.to_be_bytes() == [*high, *low] && self.has_ended
            }
            (End::CloseOfNothing, Some([])) => self.has_ended,
            _ => false,
        }
    }

    /// Whether this is what was said. Of several pings only the last one must be answered.
    fn says(&self, said: &[Said]) -> bool {
        let is_pong = |said: &&Said| matches!(said, Said::Pong(_));
        let (pongs, rest): (Vec<_>, Vec<_>) = self.said.iter().partition(is_pong);
        let (wanted, wanted_rest): (Vec<_>, Vec<_>) = said.iter().partition(is_pong);
        let mut left = wanted.iter();
        let in_order = pongs.iter().all(|pong| left.any(|one| one == pong));
        rest == wanted_rest && in_order && pongs.last() == wanted.last()
    }
}

/// Reads the answer to the opening; its end, when it is one that opens.
async fn opened(line: &mut Octets) -> Option<usize> {
    loop {
        let end = line.heard().windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            return line
                .heard()
                .starts_with(b"HTTP/1.1 101 ")
                .then_some(end + 4);
        }
        if line.more().await != More::Bytes {
            return None;
        }
    }
}

/// Sends a case and listens to what becomes of it.
async fn run(line: &mut Octets, case: &Case) -> Outcome {
    let mut outcome = Outcome {
        said: Vec::new(),
        close: None,
        is_answered: false,
        has_ended: false,
        wrong: Vec::new(),
    };
    line.send(opening(PROPER).as_bytes()).await;
    let Some(mut at) = opened(line).await else {
        return outcome;
    };
    for portion in &case.portions {
        line.send(portion).await;
    }
    let stays = [Some(case.end), case.gap.map(|(seen, _)| seen)].contains(&Some(End::Open));
    if stays {
        line.send(&echo(LAST)).await;
    }
    let mut has_closed = false;
    loop {
        while let Some((frame, length)) = ws::first(&line.heard()[at..]) {
            at += length;
            outcome.take(frame);
        }
        if outcome.is_answered {
            return outcome;
        }
        if outcome.close.is_some() && !has_closed {
            has_closed = true;
            line.send(&ws::close(1000, "")).await;
        }
        if line.more().await != More::Bytes {
            outcome.has_ended = true;
            return outcome;
        }
    }
}

fn judge(case: &Case, outcome: &Outcome) -> Verdict {
    let Outcome {
        said,
        close,
        is_answered,
        has_ended,
        wrong,
    } = outcome;
    let told = format!(
        "said {said:?}, close {:?}, last answered: {is_answered}, ended: {has_ended}, wrong {wrong:?}",
        close.as_ref().map(|close| close.escape_ascii().to_string())
    );
    let is_silent = case.may_be_silent && said.is_empty();
    let is_said = (outcome.says(&case.said) || is_silent) && wrong.is_empty();
    match (outcome.is(case.end) && is_said, case.gap) {
        (true, None) => Verdict::Good,
        (true, Some(_)) => Verdict::Bad(format!("{told}; close the gap")),
        (false, Some((seen, reason))) if outcome.is(seen) && is_said => Verdict::Gap(reason),
        (false, _) => Verdict::Bad(format!(
            "{told}; expected {:?}, then {:?}",
            case.said, case.end
        )),
    }
}

fn hub() -> Hub {
    let config = "server.websocket.origins = [\"https://good.example\"]\nlimits.max_body = \"256KiB\"\n\
                  [queue]\ncapacity = 10_000\n";
    HubBuilder::new()
        .config(config)
        .contract("wire.sent")
        .start()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_frame_does_what_it_says_or_closes_the_websocket() {
    let hub = hub();
    let address = hub.address();
    let sections: [(&str, Vec<Case>); 6] = [
        ("RFC 6455 5.2, frames and their lengths", lengths::cases()),
        ("RFC 6455 5.5, control frames", controls::cases()),
        ("RFC 6455 5.4, fragments", fragments::cases()),
        ("RFC 6455 8.1, UTF-8", utf8::cases()),
        ("RFC 6455 7, closes", closes::cases()),
        ("RFC 6455 10.4, limits", limits::cases()),
    ];
    let mut suite = Suite::new("WebSocket");
    let run = |(section, case): (&'static str, Case)| async move {
        let mut line = Octets::open(address, Instant::now() + PATIENCE)
            .await
            .unwrap();
        let outcome = run(&mut line, &case).await;
        Report {
            section,
            verdict: judge(&case, &outcome),
            case: case.name,
            talk: line.into_talk(),
        }
    };
    suite.add(together(in_sections(sections), run).await);
    let openings = handshakes::cases();
    let open = |case| handshakes::run(address, case);
    suite.add(together(openings, open).await);
    suite.judge(510);
}
