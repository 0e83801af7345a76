//! HTTP/1.1 as RFC 9110 and RFC 9112 have it, from bytes that no proper client sends: what is malformed
//! is refused and its connection closed, what is odd but allowed is taken once, and no request that was
//! hidden in another one ever reaches the hub.
//!
//! Each case is sent on a connection of its own. Those that publish bring an event, and where there is room
//! for a second reading, a second request with an event that must not be taken. Behind the last answer
//! comes a request that anybody can tell: whether it is answered says whether both sides still agree
//! where a request begins. In the end the hub is asked for both events of every case.

mod chunks;
mod connections;
mod fields;
mod framing;
mod hosts;
mod limits;
mod lines;
mod targets;

use std::time::Duration;

use nexus_tests::hub::{ADMIN_KEY, Hub, HubBuilder};
use nexus_tests::octets::{More, Octets};
use nexus_tests::suite::{Report, Suite, Verdict, in_sections, together};
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

/// Longer than any case takes: the hub's own deadlines end what gets no answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// One thing that the hub may do with a case. Unless it says otherwise, the case's own event is not taken,
/// and a second one, where there is one, never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It is refused as no request, and the connection closed.
    Refused,
    /// Its event is taken, once, and the connection goes on behind it.
    Taken,
    /// As `Taken`, but for the status.
    TakenAs(u16),
    /// Its event is taken, once, and the connection closed.
    TakenAndClosed,
    /// Its event is taken, once; what is behind it is refused, and the connection closed.
    TakenThenRefused,
    /// Both events are taken, each once, in two answers, and the connection goes on.
    Both,
    /// It is answered like this and the connection goes on.
    Answered(u16),
    /// It is answered like this and the connection closed.
    Closed(u16),
    /// It is answered like this, and the connection goes on or not.
    Said(u16),
    /// It is a request for nothing that there is, and the connection goes on or not.
    Declined,
    /// It is answered like this and the request behind it is taken for what it is.
    Behind(u16),
    /// It is read as two requests, which are answered like this, and the connection closed.
    Then(u16, u16),
    /// It is not whole: there is no answer, or a refusal, and the connection is closed.
    Cut,
    /// The client goes away behind its last byte.
    HungUp,
    /// The client goes away behind its last byte, and its event may be taken by then.
    HungUpLate,
}

/// What the hub may do with a case.
type Allowed = &'static [Way];

impl Way {
    /// How many answers there are.
    fn answers(self) -> usize {
        match self {
            Self::TakenThenRefused | Self::Both | Self::Behind(_) | Self::Then(..) => 2,
            _ => 1,
        }
    }

    fn hangs_up(self) -> bool {
        matches!(self, Self::HungUp | Self::HungUpLate)
    }

    /// Whether this is what came.
    fn is(self, outcome: &Outcome, own: bool, second: bool) -> bool {
        let statuses = &outcome.statuses[..];
        let goes_on = outcome.goes_on;
        let (is_nothing, is_own) = (!own && !second, own && !second);
        match self {
            Self::Refused => matches!(statuses, [one] if refuses(*one)) && !goes_on && is_nothing,
            Self::Taken => Self::TakenAs(202).is(outcome, own, second),
            Self::TakenAs(status) => statuses == [status] && goes_on && is_own,
            Self::TakenAndClosed => statuses == [202] && !goes_on && is_own,
            Self::TakenThenRefused => {
                matches!(statuses, [202, then] if refuses(*then)) && !goes_on && is_own
            }
            Self::Both => statuses == [202, 202] && goes_on && own && second,
            Self::Answered(status) => statuses == [status] && goes_on && is_nothing,
            Self::Closed(status) => statuses == [status] && !goes_on && is_nothing,
            Self::Said(status) => statuses == [status] && is_nothing,
            Self::Declined => matches!(statuses, [204 | 400 | 404 | 405]) && is_nothing,
            Self::Behind(status) => statuses == [status, 202] && goes_on && !own && second,
            Self::Then(one, two) => statuses == [one, two] && !goes_on && is_nothing,
            Self::Cut => {
                statuses.is_empty() && !goes_on && is_nothing
                    || Self::Refused.is(outcome, own, second)
            }
            Self::HungUp => statuses.iter().all(|status| refuses(*status)) && is_nothing,
            // A second reading would be a second answer.
            Self::HungUpLate => (statuses.is_empty() || statuses == [202]) && !second,
        }
    }
}

/// Whether a status says that this was no request, or none that can be read to its end.
fn refuses(status: u16) -> bool {
    matches!(status, 400 | 408 | 411 | 413 | 414 | 417 | 431 | 501 | 505)
}

/// A case. In its bytes, `{auth}` stands for a header with a key, `{event}` for the event that it brings,
/// `{len}` and `{hex}` for the event's length, `{second}` for a whole request with another event, and
/// `{slen}` and `{shex}` for that one's length.
struct Case {
    name: String,
    /// What is sent, in so many portions: the next one follows when the hub has had time to look.
    bytes: Vec<Vec<u8>>,
    allowed: Allowed,
    /// That the library is known to do something else, what, and why that is borne.
    gap: Option<(Way, &'static str)>,
}

impl Case {
    fn gap(mut self, seen: Way, reason: &'static str) -> Self {
        self.gap = Some((seen, reason));
        self
    }
}

/// A case as it is sent.
fn whole(name: &str, bytes: impl AsRef<[u8]>, allowed: Allowed) -> Case {
    Case {
        name: name.to_owned(),
        bytes: vec![bytes.as_ref().to_vec()],
        allowed,
        gap: None,
    }
}

/// A case that publishes: further header lines, and what follows the empty line.
fn post(name: &str, fields: impl AsRef<[u8]>, body: impl AsRef<[u8]>, allowed: Allowed) -> Case {
    let start = b"POST /v1/events HTTP/1.1\r\nHost: hub\r\n{auth}";
    let bytes = [start, fields.as_ref(), b"\r\n", body.as_ref()].concat();
    whole(name, bytes, allowed)
}

/// A case that publishes in good order but for further header lines.
fn with(name: &str, fields: impl AsRef<[u8]>, allowed: Allowed) -> Case {
    let fields = [b"Content-Length: {len}\r\n", fields.as_ref()].concat();
    post(name, fields, b"{event}", allowed)
}

/// The two events of a case.
struct Events {
    own: Uuid,
    second: Uuid,
}

fn event(id: Uuid) -> String {
    format!(r#"{{"event_id":"{id}","type":"wire.sent","source":"wire","payload":{{}}}}"#)
}

impl Events {
    fn new() -> Self {
        Self {
            own: Uuid::new_v4(),
            second: Uuid::new_v4(),
        }
    }

    /// Puts what stands for something into its place.
    fn fill(&self, bytes: &[u8]) -> Vec<u8> {
        let auth = format!("Authorization: Bearer {ADMIN_KEY}\r\n");
        let event_of = |id| {
            let event = event(id);
            (event.len(), event)
        };
        let (len, own) = event_of(self.own);
        let (second_len, second) = event_of(self.second);
        let second = format!(
            "POST /v1/events HTTP/1.1\r\nHost: hub\r\n{auth}Content-Length: {second_len}\r\n\r\n{second}"
        );
        let values = [
            ("{auth}", auth.as_str()),
            ("{event}", &own),
            ("{len}", &len.to_string()),
            ("{hex}", &format!("{len:x}")),
            ("{second}", &second),
            ("{slen}", &second.len().to_string()),
            ("{shex}", &format!("{:x}", second.len())),
        ];
        let mut filled = Vec::with_capacity(bytes.len() * 2);
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|octet| *octet == b'{') {
            let (before, from) = rest.split_at(at);
            filled.extend_from_slice(before);
            let value = values
                .iter()
                .find_map(|(name, value)| Some((value, from.strip_prefix(name.as_bytes())?)));
            let (value, behind) = value.unwrap_or((&"{", &from[1..]));
            filled.extend_from_slice(value.as_bytes());
            rest = behind;
        }
        filled.extend_from_slice(rest);
        filled
    }
}

/// What came of a case, as far as its connection tells.
struct Outcome {
    /// The statuses of the final answers before that of the last request.
    statuses: Vec<u16>,
    /// Whether the last request was answered.
    goes_on: bool,
    /// Whether the hub has closed, instead of leaving everybody to wait.
    has_ended: bool,
}

/// The first answer in the bytes: its status, its body, and its length.
fn answer(heard: &[u8], has_body: bool) -> Option<(u16, &[u8], usize)> {
    let head = heard.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&heard[..head]).ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    let length = text.lines().filter_map(|line| line.split_once(':'));
    let mut length = length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length
        .next()
        .map_or(Some(0), |(_, value)| value.trim().parse().ok());
    let end = head + if has_body { length? } else { 0 };
    Some((status, heard.get(head..end)?, end))
}

/// Sends a case and listens to what becomes of it.
async fn run(line: &mut Octets, case: &Case, events: &Events) -> Outcome {
    let last = Uuid::new_v4();
    let path = format!("/v1/events/{last}");
    let (first, more) = case.bytes.split_first().expect("a case sends something");
    line.send(&events.fill(first)).await;
    for portion in more {
        // Long enough to be read apart, mostly; what must hold, holds either way.
        tokio::time::sleep(Duration::from_millis(30)).await;
        line.send(&events.fill(portion)).await;
    }
    if case.allowed.iter().any(|way| way.hangs_up()) {
        line.hang_up().await;
    }
    let seen = case.gap.iter().map(|(seen, _)| seen);
    let ways = case.allowed.iter().chain(seen);
    let expected = ways.map(|way| way.answers()).max();
    let is_head = first.starts_with(b"HEAD ");
    let (mut statuses, mut at, mut has_asked) = (Vec::new(), 0, false);
    loop {
        while let Some((status, body, length)) =
            answer(&line.heard()[at..], !(is_head && statuses.is_empty()))
        {
            at += length;
            let instance = serde_json::from_slice::<Value>(body).unwrap_or_default();
            if instance["instance"] == path {
                return Outcome {
                    statuses,
                    goes_on: true,
                    has_ended: false,
                };
            }
            if status != 100 {
                statuses.push(status);
            }
        }
        if Some(statuses.len()) >= expected && !has_asked {
            has_asked = true;
            let request = format!("GET {path} HTTP/1.1\r\nHost: hub\r\n{{auth}}\r\n");
            line.send(&events.fill(request.as_bytes())).await;
        }
        let more = line.more().await;
        if more != More::Bytes {
            return Outcome {
                statuses,
                goes_on: false,
                has_ended: more == More::End,
            };
        }
    }
}

/// Whether what came of a case is what may come of it.
fn judge(case: &Case, outcome: &Outcome, own: bool, second: bool) -> Verdict {
    let Outcome {
        statuses,
        goes_on,
        has_ended,
    } = outcome;
    let is_left_open = !goes_on && !has_ended;
    let is = |way: &Way| way.is(outcome, own, second) && !is_left_open;
    let told = format!(
        "answered {statuses:?}, taken: {own}, the second one: {second}, goes on: {goes_on}, \
         left open: {is_left_open}"
    );
    match (case.allowed.iter().any(is), case.gap) {
        (true, None) => Verdict::Good,
        (true, Some(_)) => Verdict::Bad(format!("{told}; close the gap")),
        (false, Some((seen, reason))) if is(&seen) => Verdict::Gap(reason),
        (false, _) => Verdict::Bad(format!("{told}; allowed is {:?}", case.allowed)),
    }
}

async fn is_taken(hub: &Hub, id: Uuid) -> bool {
    hub.get(&format!("/v1/events/{id}")).await.0 != 404
}

/// A hub with a type for these events and none of its own, and short deadlines for what is never finished.
fn hub() -> Hub {
    let config = "alerts.enabled = false\nserver.header_timeout = \"3s\"\nserver.body_timeout = \"3s\"\n\
                  [queue]\ncapacity = 10_000\n";
    HubBuilder::new()
        .config(config)
        .contract("wire.sent")
        .start()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_odd_request_is_read_once_or_refused() {
    let hub = hub();
    let sections: [(&str, Vec<Case>); 8] = [
        ("RFC 9112 6, how long a body is", framing::cases()),
        ("RFC 9112 7.1, chunks", chunks::cases()),
        ("RFC 9112 2.2, ends of lines", lines::cases()),
        (
            "RFC 9112 3, methods, targets and versions",
            targets::cases(),
        ),
        ("RFC 9112 3.2, hosts", hosts::cases()),
        ("RFC 9112 5, fields", fields::cases()),
        (
            "RFC 9112 9, connections, Expect and Upgrade",
            connections::cases(),
        ),
        ("limits", limits::cases()),
    ];
    let mut suite = Suite::new("HTTP/1.1");
    let run = |(section, case): (&'static str, Case)| {
        let address = hub.address();
        async move {
            let mut line = Octets::open(address, Instant::now() + PATIENCE)
                .await
                .unwrap();
            let events = Events::new();
            let outcome = run(&mut line, &case, &events).await;
            (section, case, events, outcome, line.into_talk())
        }
    };
    let outcomes = together(in_sections(sections), run).await;
    let mut sum = 0;
    for (section, case, events, outcome, talk) in outcomes {
        let own = is_taken(&hub, events.own).await;
        let second = is_taken(&hub, events.second).await;
        sum += u64::from(own) + u64::from(second);
        let verdict = judge(&case, &outcome, own, second);
        suite.add([Report {
            section,
            case: case.name,
            verdict,
            talk,
        }]);
    }
    suite.judge(551);
    // Each of them once, and nothing that has no case.
    let (_, queue) = hub.get("/v1/admin/queue").await;
    assert_eq!(queue["accepted"], sum, "{queue}");
}
