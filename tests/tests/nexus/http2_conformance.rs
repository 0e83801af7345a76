//! HTTP/2 as RFC 9113 has it, and HPACK as RFC 7541 does, from frames that no proper client sends: what
//! breaks a rule ends the connection or the stream with the code that the rule names, what is odd but
//! allowed is answered, and nothing of a malformed request is ever taken.
//!
//! Each case has a connection of its own. Behind what it sends comes a PING: its answer says that the hub
//! has read everything before it.

mod blocks;
mod floods;
mod frames;
mod gaps;
mod kinds;
mod messages;
mod streams;
mod windows;

use std::net::SocketAddr;
use std::time::Duration;

use nexus_tests::h2::{self, Frame, PREFACE, flag, kind};
use nexus_tests::hub::{ADMIN_KEY, Hub, HubBuilder};
use nexus_tests::octets::{More, Octets};
use nexus_tests::suite::{Report, Suite, Verdict, in_sections, together};
use nexus_tests::tls::{self, certificates};
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

/// Longer than any case takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Stands for the id of the event that a case brings.
const ID: &str = "00000000-0000-4000-8000-000000000000";

/// The last PING.
const LAST: [u8; 8] = *b"the end.";

/// One thing that the hub may do with a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It ends the connection with this code.
    Goaway(u32),
    /// It ends the stream of the case with this code, and no more than that.
    Reset(u32),
    /// It answers on the stream of the case with this status.
    Status(u16),
    /// It ends nothing: the last PING is answered.
    Alive,
    /// It closes the connection without a word, or in good order.
    Closed,
}

/// What the hub may do with a case.
type Allowed = &'static [Way];

/// A step of a case.
enum Step {
    /// Sends bytes.
    Send(Vec<u8>),
    /// Waits until the hub has ended its side of a stream.
    Ended(u32),
    /// Waits until so many octets of data have come on a stream.
    Data(u32, usize),
    /// Waits until so many octets of data have come on all streams.
    Connection(usize),
    /// Waits until the hub has acknowledged so many SETTINGS.
    Acknowledged(usize),
}

/// What must hold of all frames that came, beside how it ended.
type Check = fn(&[Frame]) -> bool;

/// A case.
struct Case {
    name: String,
    steps: Vec<Step>,
    /// The stream that it is about; 0 when it is about the connection.
    stream: u32,
    allowed: Allowed,
    /// That the library is known to do something else, what, and why that is borne.
    gap: Option<(Way, &'static str)>,
    check: Option<Check>,
    /// Whether its event is to be taken, if that is known.
    takes: Option<bool>,
}

/// A case that begins properly and sends these frames.
fn case(name: &str, stream: u32, bytes: impl Into<Vec<u8>>, allowed: Allowed) -> Case {
    let begin = [PREFACE, &h2::settings(&[(1, 0)])].concat();
    raw(name, stream, [begin, bytes.into()].concat(), allowed)
}

/// A case that sends these bytes and nothing else.
fn raw(name: &str, stream: u32, bytes: impl Into<Vec<u8>>, allowed: Allowed) -> Case {
    Case {
        name: name.to_owned(),
        steps: vec![Step::Send(bytes.into())],
        stream,
        allowed,
        gap: None,
        check: None,
        takes: Some(allowed.contains(&Way::Status(202))),
    }
}

impl Case {
    fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Whose event may be taken, whatever comes of the rest.
    fn taken(mut self) -> Self {
        self.takes = None;
        self
    }

    /// About another stream than the first one.
    fn about(mut self, stream: u32) -> Self {
        self.stream = stream;
        self
    }

    fn send(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.then(Step::Send(bytes.into()))
    }

    fn check(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }
}

/// The start of every request's header block.
fn head(method: &str, path: &str) -> Vec<u8> {
    h2::block(&[
        (":method", method),
        (":scheme", "http"),
        (":authority", "hub"),
        (":path", path),
    ])
}

fn headers(stream: u32, flags: u8, block: impl AsRef<[u8]>) -> Vec<u8> {
    h2::frame(kind::HEADERS, flags | flag::END_HEADERS, stream, block)
}

/// A whole request for something that is always there.
fn get(stream: u32) -> Vec<u8> {
    headers(stream, flag::END_STREAM, head("GET", "/healthz"))
}

/// A request's header block that publishes, with further fields.
fn publishing(fields: impl AsRef<[u8]>) -> Vec<u8> {
    let key = format!("Bearer {ADMIN_KEY}");
    let key = h2::field("authorization", key);
    [head("POST", "/v1/events"), key, fields.as_ref().to_vec()].concat()
}

fn event() -> Vec<u8> {
    format!(r#"{{"event_id":"{ID}","type":"wire.sent","source":"wire","payload":{{}}}}"#).into()
}

/// The headers of a request that publishes; its body is still to come.
fn open(stream: u32) -> Vec<u8> {
    headers(stream, 0, publishing(b""))
}

fn data(stream: u32, flags: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    h2::frame(kind::DATA, flags, stream, payload)
}

/// A whole request that publishes, with further fields.
fn post(stream: u32, fields: impl AsRef<[u8]>) -> Vec<u8> {
    let headers = headers(stream, 0, publishing(fields));
    [headers, data(stream, flag::END_STREAM, event())].concat()
}

/// Several frames, one after the other.
fn all(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.concat()
}

/// What came of a case.
struct Outcome {
    frames: Vec<Frame>,
    has_ended: bool,
}

impl Outcome {
    fn goaway(&self) -> Option<u32> {
        let goaway = self
            .frames
            .iter()
            .filter(|frame| frame.kind == kind::GOAWAY);
        goaway.map(|frame| frame.number(4)).max()
    }

    fn reset(&self, stream: u32) -> Option<u32> {
        let reset = |frame: &&Frame| frame.kind == kind::RST_STREAM && frame.stream == stream;
        self.frames.iter().find(reset).map(|frame| frame.number(0))
    }

    fn status(&self, stream: u32) -> Option<u16> {
        let is_head = |frame: &&Frame| frame.kind == kind::HEADERS && frame.stream == stream;
        let mut statuses = self.frames.iter().filter(is_head);
        // Not those that come before the answer.
        statuses.find_map(|frame| h2::status(&frame.payload).filter(|status| *status >= 200))
    }

    fn is_answered(&self) -> bool {
        let last = |frame: &Frame| frame.kind == kind::PING && frame.payload == LAST;
        self.frames
            .iter()
            .any(|frame| last(frame) && frame.has(flag::ACK))
    }

    fn has_end(&self, stream: u32) -> bool {
        let ends = |frame: &Frame| match frame.kind {
            kind::DATA | kind::HEADERS => frame.has(flag::END_STREAM),
            kind => kind == kind::RST_STREAM,
        };
        self.frames
            .iter()
            .any(|frame| frame.stream == stream && ends(frame))
    }

    /// Whether this is what came, on a case about that stream.
    fn is(&self, way: Way, stream: u32) -> bool {
        // What ends in good order says that nothing is wrong.
        let goaway = self.goaway().filter(|code| *code != h2::code::NO_ERROR);
        match way {
            Way::Goaway(code) => goaway == Some(code) && self.has_ended,
            Way::Reset(code) => goaway.is_none() && self.reset(stream) == Some(code),
            Way::Status(status) => goaway.is_none() && self.status(stream) == Some(status),
            Way::Alive => goaway.is_none() && self.is_answered() && self.reset(stream).is_none(),
            Way::Closed => goaway.is_none() && self.has_ended && !self.is_answered(),
        }
    }

    fn tell(&self, stream: u32) -> String {
        format!(
            "GOAWAY {:?}, RST_STREAM {:?}, status {:?}, PING answered: {}, closed: {}",
            self.goaway(),
            self.reset(stream),
            self.status(stream),
            self.is_answered(),
            self.has_ended
        )
    }
}

/// Sends a case and listens to what becomes of it.
async fn run(line: &mut Octets, case: &Case, id: Uuid) -> Outcome {
    let mut outcome = Outcome {
        frames: Vec::new(),
        has_ended: false,
    };
    let mut at = 0;
    for step in &case.steps {
        if let Step::Send(bytes) = step {
            line.send(&filled(bytes, id)).await;
            continue;
        }
        let is_done = |outcome: &Outcome| match *step {
            Step::Send(_) => true,
            Step::Ended(stream) => outcome.has_end(stream),
            Step::Data(stream, least) => data_of(&outcome.frames, stream) >= least,
            Step::Connection(least) => {
                let data = outcome
                    .frames
                    .iter()
                    .filter(|frame| frame.kind == kind::DATA);
                data.map(|frame| frame.payload.len()).sum::<usize>() >= least
            }
            Step::Acknowledged(least) => acknowledged(&outcome.frames) >= least,
        };
        listen(line, &mut at, &mut outcome, is_done).await;
    }
    line.send(&h2::frame(kind::PING, 0, 0, LAST)).await;
    let is_done = |outcome: &Outcome| {
        let is_over = outcome
            .goaway()
            .is_some_and(|code| code != h2::code::NO_ERROR);
        let is_known = case.stream == 0 || outcome.has_end(case.stream);
        !is_over && outcome.is_answered() && is_known
    };
    listen(line, &mut at, &mut outcome, is_done).await;
    outcome
}

/// Reads frames until it is enough, or nothing more comes.
async fn listen(
    line: &mut Octets,
    at: &mut usize,
    outcome: &mut Outcome,
    is_done: impl Fn(&Outcome) -> bool,
) {
    loop {
        while let Some((frame, length)) = h2::first(&line.heard()[*at..]) {
            *at += length;
            outcome.frames.push(frame);
        }
        if is_done(outcome) {
            return;
        }
        match line.more().await {
            More::Bytes => {}
            More::End => {
                outcome.has_ended = true;
                return;
            }
            More::Late => return,
        }
    }
}

/// How many octets of data have come on a stream.
fn data_of(frames: &[Frame], stream: u32) -> usize {
    let data = frames
        .iter()
        .filter(|frame| frame.kind == kind::DATA && frame.stream == stream);
    data.map(|frame| frame.payload.len()).sum()
}

fn acknowledged(frames: &[Frame]) -> usize {
    let acks = frames
        .iter()
        .filter(|frame| frame.kind == kind::SETTINGS && frame.has(flag::ACK));
    acks.count()
}

/// Puts the case's own id where one stands.
fn filled(bytes: &[u8], id: Uuid) -> Vec<u8> {
    let (id, mut bytes) = (id.to_string(), bytes.to_vec());
    let mut at = 0;
    while let Some(found) = bytes[at..]
        .windows(ID.len())
        .position(|part| part == ID.as_bytes())
    {
        at += found;
        bytes[at..at + ID.len()].copy_from_slice(id.as_bytes());
    }
    bytes
}

fn judge(case: &Case, outcome: &Outcome, is_taken: bool) -> Verdict {
    let told = outcome.tell(case.stream);
    let is_accepted = outcome.status(case.stream) == Some(202);
    if case
        .takes
        .is_some_and(|takes| is_taken != (takes && is_accepted))
    {
        return Verdict::Bad(format!("{told}; its event was taken: {is_taken}"));
    }
    let is = |way: &Way| outcome.is(*way, case.stream);
    let holds = case.check.is_none_or(|check| check(&outcome.frames));
    match (case.allowed.iter().any(is) && holds, case.gap) {
        (true, None) => Verdict::Good,
        (true, Some((seen, _))) => {
            Verdict::Bad(format!("{told}; no longer {seen:?}: close the gap"))
        }
        (false, Some((seen, reason))) if is(&seen) => Verdict::Gap(reason),
        (false, _) => Verdict::Bad(format!(
            "{told}; allowed is {:?}, check: {holds}",
            case.allowed
        )),
    }
}

/// Marks the cases of which something else is known. Each that is named is there.
fn with_gaps(mut cases: Vec<(&'static str, Case)>) -> Vec<(&'static str, Case)> {
    for (names, seen, reason) in gaps::GAPS {
        for name in *names {
            let case = cases.iter_mut().find(|(_, case)| case.name == *name);
            let (_, case) = case.unwrap_or_else(|| panic!("there is no case {name:?}"));
            case.gap = Some((*seen, reason));
            case.takes = Some(case.takes == Some(true) || *seen == Way::Status(202));
        }
    }
    cases
}

/// What the cases come in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// Known to speak it.
    Plain,
    /// Agreed on.
    Tls,
}

impl Door {
    fn hub(self) -> Hub {
        let mut config =
            "server.header_timeout = \"5s\"\nserver.body_timeout = \"5s\"\n".to_owned();
        if self == Self::Tls {
            let file = |name: &str| json!(certificates().join(name)).to_string();
            let (certificate, key) = (file("server.pem"), file("server-key.pem"));
            config += &format!("[server.tls]\ncertificate = {certificate}\nkey = {key}\n");
        }
        HubBuilder::new()
            .config(&config)
            .config("[queue]\ncapacity = 10_000")
            .contract("wire.sent")
            .start()
    }

    async fn line(self, to: SocketAddr) -> Octets {
        let deadline = Instant::now() + PATIENCE;
        match self {
            Self::Plain => Octets::open(to, deadline).await.unwrap(),
            Self::Tls => Octets::over(Box::new(tls::connect(to, "h2").await.unwrap()), deadline),
        }
    }

    /// Whether a hub has taken an event.
    async fn has(self, hub: SocketAddr, id: Uuid) -> bool {
        let key = h2::field("authorization", format!("Bearer {ADMIN_KEY}"));
        let asked = [head("GET", &format!("/v1/events/{id}")), key].concat();
        let case = case("", 1, headers(1, flag::END_STREAM, asked), &[]);
        let outcome = run(&mut self.line(hub).await, &case, id).await;
        match outcome.status(1) {
            Some(200) => true,
            Some(404) => false,
            _ => panic!("{}", outcome.tell(1)),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_broken_rule_ends_its_stream_or_its_connection() {
    every_case(Door::Plain, "HTTP/2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_broken_rule_does_so_over_tls() {
    every_case(Door::Tls, "HTTP/2 over TLS").await;
}

async fn every_case(door: Door, name: &'static str) {
    let hub = door.hub();
    let sections: [(&str, Vec<Case>); 7] = [
        ("RFC 9113 3.4, 4, the start and frames", frames::cases()),
        ("RFC 9113 5, streams", streams::cases()),
        ("RFC 9113 6, each type of frame", kinds::cases()),
        ("RFC 9113 5.2, 6.9, windows", windows::cases()),
        ("RFC 9113 8, messages", messages::cases()),
        ("RFC 7541, header blocks", blocks::cases()),
        ("RFC 9113 10.5, floods", floods::cases()),
    ];
    let cases = with_gaps(in_sections(sections));
    let mut suite = Suite::new(name);
    let run = |(section, case): (&'static str, Case)| {
        let address = hub.address();
        async move {
            let mut line = door.line(address).await;
            let id = Uuid::new_v4();
            let outcome = run(&mut line, &case, id).await;
            (section, case, id, outcome, line.into_talk())
        }
    };
    let outcomes = together(cases, run).await;
    for (section, case, id, outcome, talk) in outcomes {
        let is_taken = door.has(hub.address(), id).await;
        let verdict = judge(&case, &outcome, is_taken);
        suite.add([Report {
            section,
            case: case.name,
            verdict,
            talk,
        }]);
    }
    suite.judge(400);
}
