//! Processors: each is shown what it subscribes to, as its contract has it, as nobody meant it, and as another
//! hub might have let it in. What its outcomes ask of the plugin's own integrations is handed on.

use std::sync::Arc;

use chrono::{DateTime, TimeZone, Utc};
use nexus_host::admission::Origin;
use nexus_host::config::Selector;
use nexus_plugin_api::abi::{ComponentEntry, ComponentKind};
use nexus_plugin_api::{Effect, Event, Priority, RawJson};
use serde_json::{Value, json};

use crate::payloads::Payloads;
use crate::report::{Check, Ledger};
use crate::requests::Requests;
use crate::stimulus::{Said, Stimulus, What};
use crate::strain;
use crate::subject::Subject;

/// Where events come from, unless a processor wants another source.
const SOURCE: &str = "conformance";

/// Tries every processor.
pub(crate) async fn check(
    subject: &Subject,
    payloads: &[Payloads],
    requests: &mut Requests,
    ledger: &mut Ledger<'_>,
) {
    for (number, part, component) in subject.of_kind(ComponentKind::Processor) {
        let asked = subject.hub.asked();
        let events = Events::of(subject, number, &component, payloads);
        let (told, sound) = fitting(subject, &part, &events, requests).await;
        ledger.add(told);
        ledger.add(odd(subject, &part, &events).await);
        let (told, taken) = unfit(subject, &part, &events).await;
        ledger.add(told);
        // Whoever wants what others own has nothing that is known to fit.
        let sound = if sound.is_empty() { taken } else { sound };
        ledger.add(circumstances(subject, &part, &sound).await);
        let asks = subject.hub.asked() > asked;
        strain::check(subject, &part, &sound, asks, ledger).await;
    }
}

/// What one processor is shown.
#[derive(Default)]
struct Events {
    fitting: Vec<Stimulus>,
    odd: Vec<Stimulus>,
    unfit: Vec<Stimulus>,
}

impl Events {
    fn of(
        subject: &Subject,
        number: u32,
        component: &ComponentEntry,
        payloads: &[Payloads],
    ) -> Self {
        let mut events = Self::default();
        for subscription in &component.subscriptions {
            let (wanted, source) = subscription.split_once('@').unwrap_or((subscription, "*"));
            let Ok(selector) = wanted.parse::<Selector>() else {
                continue;
            };
            let source = name_within(source);
            let matching = |one: &&Payloads| selector.matches(&one.contract.info().event_type);
            let known: Vec<_> = payloads.iter().filter(matching).collect();
            let may_be_foreign = known.is_empty() || !matches!(selector, Selector::Exact(_));
            for one in known {
                events.add(subject, number, one, &source);
            }
            if may_be_foreign {
                events.add_foreign(number, &name_within(wanted), &source);
            }
        }
        events
    }

    /// Those of a contract that is known.
    fn add(&mut self, subject: &Subject, number: u32, of: &Payloads, source: &str) {
        let event = |payload: &Value| of.event(payload, source);
        let admitted = |payload: &Value| {
            let admitted = subject
                .admission()
                .admit_event(event(payload), Origin::Host);
            let admitted = admitted.ok()?;
            Some(Stimulus::event(number, admitted.event().clone()))
        };
        self.fitting.extend(of.fitting.iter().filter_map(admitted));
        self.odd.extend(of.odd.iter().filter_map(admitted));
        let unfit = of.unfit.iter().map(event);
        self.unfit
            .extend(unfit.map(|event| Stimulus::event(number, Arc::new(event))));
    }

    /// Those of a type that nobody here knows.
    fn add_foreign(&mut self, number: u32, event_type: &str, source: &str) {
        self.unfit.extend(foreign().iter().map(|payload| {
            let payload = RawJson::from_checked(payload.to_string());
            let event = Event::new(event_type, source, payload);
            Stimulus::event(number, Arc::new(event))
        }));
    }
}

/// A name that a pattern takes.
fn name_within(pattern: &str) -> String {
    match pattern.strip_suffix('*') {
        Some("") => SOURCE.to_owned(),
        Some(prefix) => format!("{prefix}{SOURCE}"),
        None => pattern.to_owned(),
    }
}

/// Payloads of a type that nobody here knows.
fn foreign() -> [Value; 4] {
    [
        json!({}),
        json!({ "text": "é漢字🦀", "n": -1, "list": [1, "two", null], "more": { "a": { "b": {} } } }),
        json!({ "text": "x".repeat(100_000) }),
        json!({ "n": 1e300, "id": u64::MAX }),
    ]
}

/// What the contract's owner meant has to be understood.
async fn fitting(
    subject: &Subject,
    part: &str,
    events: &Events,
    requests: &mut Requests,
) -> (Check, Vec<Stimulus>) {
    const NAME: &str = "events that fit their contract are processed";
    let mut sound = Vec::new();
    if events.fitting.is_empty() {
        let reason = "no contract is known for what it subscribes to, or none of the payloads made for it fits";
        return (Check::skipped(part, NAME, reason), sound);
    }
    let mut check = Check::new(part, NAME);
    for stimulus in &events.fitting {
        if check.is_full() {
            break;
        }
        match check.case(subject, stimulus).await {
            None => continue,
            Some(Ok(Said::Outcome(outcome))) => {
                for effect in &outcome.effects {
                    look_at(subject, effect, stimulus, &mut check, requests);
                }
            }
            Some(Err(error)) if error.code == "payload_mismatch" => {
                let told = format!("its contract takes what it cannot read: {}", error.message);
                check.fail(told, stimulus.shown());
                continue;
            }
            Some(_) => {}
        }
        sound.push(stimulus.clone());
    }
    (check, sound)
}

/// An event that is emitted has to come in, and a request to an integration of its own is good to know.
fn look_at(
    subject: &Subject,
    effect: &Effect,
    stimulus: &Stimulus,
    check: &mut Check,
    requests: &mut Requests,
) {
    match effect {
        Effect::Notify {
            integration,
            request,
            ..
        } => requests.add(subject.manifest(), integration, request.as_slice()),
        Effect::Emit { event } => {
            if let What::Event(cause) = &stimulus.what
                && let Some(fault) = subject.fault(event, cause)
            {
                let told = format!("it emits an event that does not come in: {fault}");
                check.fail(told, stimulus.shown());
            }
        }
        Effect::Schedule { effect, .. } => look_at(subject, effect, stimulus, check, requests),
        _ => {}
    }
}

/// What the contract takes though nobody meant it may end as a dead letter, but not badly.
async fn odd(subject: &Subject, part: &str, events: &Events) -> Check {
    const NAME: &str = "odd payloads that the contract takes do no harm";
    if events.odd.is_empty() {
        let reason = "the contract takes none of those that were made";
        return Check::skipped(part, NAME, reason);
    }
    let mut check = Check::new(part, NAME);
    for stimulus in &events.odd {
        if check.is_full() {
            break;
        }
        if let Some(Err(error)) = check.case(subject, stimulus).await
            && error.code == "payload_mismatch"
        {
            let told = format!(
                "the hub lets it in and the plugin cannot read it, so it becomes a dead letter: {}; \
                 narrow the schema, such as by a `range`",
                error.message
            );
            check.remark(told, stimulus.shown());
        }
    }
    check
}

/// What another hub's version of the contract might have let in; and what of it was taken.
async fn unfit(subject: &Subject, part: &str, events: &Events) -> (Check, Vec<Stimulus>) {
    let mut check = Check::new(part, "payloads that do not fit are refused or left alone");
    let mut taken = Vec::new();
    for stimulus in &events.unfit {
        if check.is_full() {
            break;
        }
        if let Some(Ok(_)) = check.case(subject, stimulus).await {
            taken.push(stimulus.clone());
        }
    }
    (check, taken)
}

/// The same event at other times, of other urgency, and with fields at their bounds.
async fn circumstances(subject: &Subject, part: &str, sound: &[Stimulus]) -> Check {
    const NAME: &str = "odd circumstances change nothing for the worse";
    let Some(Stimulus {
        component,
        what: What::Event(event),
        ..
    }) = sound.first()
    else {
        return Check::skipped(part, NAME, strain::NOTHING_SOUND);
    };
    let mut check = Check::new(part, NAME);
    for (what, change) in ODD {
        let mut changed = Event::clone(event);
        change(&mut changed);
        let odd = Stimulus {
            odd: what,
            ..Stimulus::event(*component, Arc::new(changed)).anew()
        };
        check.case(subject, &odd).await;
    }
    check
}

type Change = fn(&mut Event);

/// What may be odd about an event beside its payload.
const ODD: [(&str, Change); 12] = [
    ("of low priority", |event| event.priority = Priority::Low),
    ("of normal priority", |event| {
        event.priority = Priority::Normal
    }),
    ("of high priority", |event| event.priority = Priority::High),
    ("of critical priority", |event| {
        event.priority = Priority::Critical
    }),
    ("from the year 1", |event| event.timestamp = year(1)),
    ("from the year 9999", |event| event.timestamp = year(9999)),
    ("expired long ago", |event| {
        event.expires_at = Some(year(1970))
    }),
    ("expiring in the year 9999", |event| {
        event.expires_at = Some(year(9999))
    }),
    ("with a correlation id", |event| {
        event.correlation_id = Some("é漢字🦀".repeat(20));
    }),
    ("with a partition key", |event| {
        event.partition_key = Some("k".repeat(200));
    }),
    ("caused by itself", |event| {
        event.causation_id = Some(event.event_id)
    }),
    ("without a contract version", |event| {
        event.contract_version = None
    }),
];

fn year(year: i32) -> DateTime<Utc> {
    let found = Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).single();
    found.unwrap_or_default()
}
