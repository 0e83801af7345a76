//! The demonstration: the whole product on this machine, from an HTTP request to a toast.
//!
//! Receives the workspace, stages it, starts the reference Toasty server and a hub, sends a morning
//! of notifications through the hub's real ingress and checks what became of each. Then it either
//! ends (`--once`) or goes on showing what happens until Ctrl-C. It ends what it started, always.

mod checks;
mod journal;
mod office;
mod scene;
mod setting;
mod story;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::console::{heading, say};
use crate::failure::{Failure, Result};
use crate::http::Answer;
use crate::service::Ended;
use crate::stage::{Stage, stage};
use crate::stop::{Seen, Stop};
use crate::workspace::{Workspace, is_ci};
use checks::Checks;
use journal::Entry;
use office::{Office, SUBJECT};
use scene::{END_WITHIN, Hub, Toasty, ending};
use setting::Folder;
use story::{MORNING, Notification, malformed};

/// Between two notifications, so that a person can follow.
const PACE: Duration = Duration::from_millis(600);
/// How often the journal is looked at while the demonstration goes on.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long the plugins may take once the hub is ready.
const PLUGINS_WITHIN: Duration = Duration::from_secs(15);
/// How long a person may take to decide.
const DECIDED_WITHIN: Duration = Duration::from_secs(120);

/// What a demonstration found.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) passed: usize,
    pub(crate) failed: Vec<String>,
}

/// Runs the chore; whether every check passed.
pub(crate) fn demo(workspace: &Workspace, once: bool) -> Result<bool> {
    let stop = Stop::listen()?;
    let stage = stage(workspace)?;
    if stop.asked() > 0 {
        return Err(Failure::new("stopped"));
    }
    let verdict = perform(workspace, &stage, &stop, once)?;
    heading("result");
    for failed in &verdict.failed {
        say!("  FAILED  {failed}");
    }
    say!(
        "  {} checks passed, {} failed",
        verdict.passed,
        verdict.failed.len()
    );
    Ok(verdict.failed.is_empty())
}

/// The demonstration on a stage that is there.
pub(crate) fn perform(
    workspace: &Workspace,
    stage: &Stage,
    stop: &Stop,
    once: bool,
) -> Result<Verdict> {
    heading("start");
    let folder = Folder::take(stage)?;
    let mut checks = Checks::default();
    let shown = !once;
    if let Some(mut toasty) = checks.note(
        "the reference Toasty server listens",
        Toasty::start(stage, &folder, stop, shown),
    ) {
        say!("          {} (display: {})", toasty.address, toasty.display);
        let office = office_for(workspace, stage, &folder, stop, &mut checks);
        let hub = Hub::start(stage, &folder, toasty.address, office.as_ref());
        if let Some(mut hub) = checks.note("the configuration is in order, the hub starts", hub) {
            if tell(&mut hub, &mut toasty, stop, once, &mut checks)
                && let Some(office) = &office
            {
                tell_of_mail(office, &mut hub, &mut toasty, stop, once, &mut checks);
            }
            if !once && stop.asked() == 0 {
                invite(workspace, stage, &hub, &toasty);
                if let Err(failure) = go_on(&mut hub, &mut toasty, stop) {
                    checks.note::<()>("both go on", Err(failure));
                }
            }
            heading("stop");
            checks.note(
                "the hub ends cleanly within 30 s",
                ended_well(hub.end(stop)),
            );
        }
        if let Some(office) = office {
            checks.note(
                "Graph's double and the agent's server end",
                office.end(stop),
            );
        }
        checks.note(
            "the Toasty server ends cleanly",
            ended_well(toasty.end(stop)),
        );
    }
    Ok(Verdict {
        passed: checks.passed(),
        failed: checks.failed().to_vec(),
    })
}

/// The second act's mailbox and agent; without them there is none.
fn office_for(
    workspace: &Workspace,
    stage: &Stage,
    folder: &Folder,
    stop: &Stop,
    checks: &mut Checks,
) -> Option<Office> {
    match Office::start(workspace, stage, folder, stop) {
        Ok(office) => Some(office),
        // There everything can be had.
        Err(failure) if is_ci() => {
            checks.note("a mailbox and an agent's server are there", Err(failure))
        }
        Err(failure) => {
            say!("  LEFT OUT  mail, agent and approval: {failure}");
            None
        }
    }
}

/// The first act, each step checked. Where one cannot go on without another, it ends there; whether it came to its end.
fn tell(hub: &mut Hub, toasty: &mut Toasty, stop: &Stop, once: bool, checks: &mut Checks) -> bool {
    let ready = hub.wait_until_ready(stop);
    if checks.note("the hub is ready", ready).is_none() {
        return false;
    }
    say!("          http://{}", hub.address);
    let running = plugins_ready(hub, stop);
    let name = format!("plugins ready: {}", hub.plugins.join(", "));
    if checks.note(name, running).is_none() {
        return false;
    }

    heading("an office morning: Parrot captures notifications, the hub decides");
    // As unique as a desktop's own numbers: another run's toasts are other toasts.
    let run = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    let mut sent = Vec::new();
    for (number, told) in (1..).zip(MORNING) {
        if !once && stop.pause(PACE) {
            return false;
        }
        let accepted = send(hub, &told.event(&format!("{run}-{number}")), "accepted");
        let name = format!(
            "{:<10} {:<8} \"{}\" is accepted",
            told.app, told.priority, told.title
        );
        let Some(event_id) = checks.note(name, accepted) else {
            continue;
        };
        let became = became(hub, toasty, &event_id, &told, stop);
        let name = if told.is_urgent() {
            "  and shown once as a toast"
        } else {
            "  and recorded, without a toast"
        };
        if let Some(journey) = checks.note(name, became) {
            say!("            {event_id}  {}", ending(&journey));
        }
        sent.push((event_id, told, format!("{run}-{number}")));
    }

    heading("what a hub must not fall for");
    if let Some((event_id, told, notification_id)) = sent.first() {
        let mut again = told.event(notification_id);
        again["event_id"] = Value::from(event_id.as_str());
        let name = "the same event again is answered `duplicate`";
        checks.note(name, send(hub, &again, "duplicate"));
    }
    let refused = hub
        .as_parrot()
        .post("/v1/events", &malformed())
        .and_then(refused);
    if let Some(places) = checks.note("a malformed event is refused: contract_violation", refused) {
        say!("          {places}");
    }
    let urgent = sent.iter().filter(|(_, told, _)| told.is_urgent()).count();
    let all = toasty.count().and_then(|count| match count {
        count if count == urgent => Ok(()),
        count => Err(Failure::new(format!(
            "{count} toasts for {urgent} notifications"
        ))),
    });
    checks.note(format!("{urgent} toasts in all, no more"), all);
    true
}

/// The second act: a mail arrives, the agent asks, a person decides, the agent goes on.
fn tell_of_mail(
    office: &Office,
    hub: &mut Hub,
    toasty: &mut Toasty,
    stop: &Stop,
    once: bool,
    checks: &mut Checks,
) {
    heading("a mail arrives, and an agent asks before it pays");
    let arrived = office.a_mail_arrives();
    let name = format!("\"{SUBJECT}\" arrives, Microsoft Graph (a double) tells the hub");
    if checks.note(name, arrived).is_none() {
        return;
    }
    let question = hub.question(stop);
    let Some(question) = checks.note("LangGraph reasons, and stops to ask", question) else {
        return;
    };
    let text = |key: &str| question[key].as_str().unwrap_or("?").to_owned();
    let title = text("title");
    say!("          approval {}: {title}", text("id"));
    let asked = toasty.wait_for(&title, stop);
    checks.note("the question is a toast with buttons", asked);
    let decided = match once {
        true => hub.answer(&text("id"), "pay"),
        false => decided_by_somebody(hub, toasty, &question, stop),
    };
    let name = match once {
        true => "nobody is at the desk: `nexus approvals answer` says pay",
        false => "a person decides",
    };
    if checks.note(name, decided).is_none() {
        return;
    }
    let told = toasty.wait_for(SUBJECT, stop);
    checks.note("the agent goes on, and its result is a toast", told);
}

/// Lets the person at the desk press a button of the toast.
fn decided_by_somebody(
    hub: &mut Hub,
    toasty: &Toasty,
    question: &Value,
    stop: &Stop,
) -> Result<()> {
    match toasty.display.as_str() {
        "desktop" => say!("  note    press a button of the toast on your desktop"),
        _ => say!("  note    type the number of one of the toast's buttons"),
    }
    let id = question["id"].as_str().unwrap_or_default();
    let operator = hub.as_operator();
    let path = format!("/v1/admin/approvals/{id}");
    stop.until("an answer", DECIDED_WITHIN, || {
        hub.check_alive()?;
        let approval = operator.get(&path)?.body;
        Ok(match approval["answer"]["choice"].as_str() {
            Some(choice) => {
                say!("          {choice}");
                Seen::There(())
            }
            None => Seen::NotYet("nobody has answered".to_owned()),
        })
    })
}

/// Waits until every plugin that has something to do runs.
fn plugins_ready(hub: &mut Hub, stop: &Stop) -> Result<()> {
    stop.until("the plugins", PLUGINS_WITHIN, || {
        hub.check_alive()?;
        let states = hub.states()?;
        let ready = |plugin: &String| states.get(plugin).is_some_and(|state| state == "ready");
        Ok(if hub.plugins.iter().all(ready) {
            Seen::There(())
        } else {
            Seen::NotYet(format!("{states:?}"))
        })
    })
}

/// Sends an event as Parrot does; its id when it is answered as wanted.
fn send(hub: &Hub, event: &Value, wanted: &str) -> Result<String> {
    let Answer { status, body } = hub.as_parrot().post("/v1/events", event)?;
    match (status, body["status"].as_str(), body["event_id"].as_str()) {
        (202, Some(answer), Some(id)) if answer == wanted => Ok(id.to_owned()),
        _ => Err(Failure::new(format!("answered {status} {body}"))),
    }
}

/// Waits for the end of an event and checks that it is the right one.
fn became(
    hub: &mut Hub,
    toasty: &mut Toasty,
    event_id: &str,
    told: &Notification,
    stop: &Stop,
) -> Result<Value> {
    let journey = hub.journey(event_id, stop)?;
    if journey["status"] != "processed" {
        return Err(Failure::new(format!("its journey is {journey}")));
    }
    let wanted = if told.is_urgent() {
        vec![(told.title.to_owned(), "SHOWN".to_owned())]
    } else {
        Vec::new()
    };
    match toasty.toasts_of(event_id)? {
        toasts if toasts == wanted => Ok(journey),
        toasts => Err(Failure::new(format!("toasts: {toasts:?}, not {wanted:?}"))),
    }
}

/// The places a refusal names.
fn refused(answer: Answer) -> Result<String> {
    let Answer { status, body } = answer;
    if status != 422 || body["code"] != "contract_violation" {
        return Err(Failure::new(format!("answered {status} {body}")));
    }
    let errors = body["errors"].as_array().into_iter().flatten();
    let places: Vec<String> = errors
        .map(|error| {
            let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
            format!("{} {}", text("pointer"), text("message"))
        })
        .collect();
    if places.is_empty() {
        return Err(Failure::new(format!("no place is named: {body}")));
    }
    Ok(places.join("; "))
}

/// Says where to look and what to try.
fn invite(workspace: &Workspace, stage: &Stage, hub: &Hub, toasty: &Toasty) {
    let nexus = stage.program("nexus");
    let nexus = workspace.short(&nexus);
    let config = workspace.short(&hub.config);
    heading("look");
    match toasty.display.as_str() {
        "desktop" => say!("  toasts     on your desktop"),
        _ => say!("  toasts     in this terminal; answer one by typing its button's number"),
    }
    say!("  journal    {}", workspace.short(&toasty.journal));
    say!("  hub's log  {}", workspace.short(&hub.log));
    say!("  config     {config}");
    heading("try");
    say!(
        "  curl -sS http://{}/v1/events \\
    -H 'Authorization: Bearer {}' \\
    -H 'Content-Type: application/json' \\
    -d '{{\"type\":\"parrot.notification.captured\",\"source\":\"parrot\",\"priority\":\"high\",\
         \"payload\":{{\"notification_id\":\"mine-1\",\"app\":\"Terminal\",\"title\":\"Hello from curl\"}}}}'",
        hub.address,
        hub.parrot.key
    );
    say!("  (a priority of normal leaves it at a record; without a title it is refused)\n");
    say!(
        "  NEXUS_KEY={} {nexus} explain EVENT_ID --config {config}",
        hub.parrot.key
    );
    say!(
        "  NEXUS_KEY={} {nexus} plugin list --config {config}",
        hub.operator.key
    );
    say!("\n  Ctrl-C ends both.\n");
}

/// Shows what happens until somebody wants it to end: every event the hub accepts and what became
/// of it, and what people do with the toasts.
fn go_on(hub: &mut Hub, toasty: &mut Toasty, stop: &Stop) -> Result<()> {
    let events = hub.as_operator().follow("/v1/events/stream")?;
    while !stop.pause(LOOK_EVERY) {
        hub.check_alive()?;
        toasty.check_alive()?;
        for event in events.try_iter() {
            let text = |key: &str| event[key].as_str().unwrap_or("?").to_owned();
            let id = text("event_id");
            say!("  event   {id}  {} from {}", text("type"), text("source"));
            if let Ok(journey) = hub.journey(&id, stop) {
                let ending = ending(&journey);
                say!(
                    "          {}  {ending}",
                    journey["status"].as_str().unwrap_or("?")
                );
            }
        }
        for entry in toasty.news()? {
            match entry {
                Entry::Show { title, outcome, .. } => say!("  toast   \"{title}\" ({outcome})"),
                Entry::Ended { event_id, how } => say!("  toast   for event {event_id}: {how}"),
            }
        }
    }
    Ok(())
}

/// An end counts as clean on exit code 0. Where there is no way to ask a program to end, it was
/// killed, and there is nothing to tell.
fn ended_well(ended: Result<Ended>) -> Result<()> {
    let ended = ended?;
    say!(
        "          after {:.1} s: {}",
        ended.took.as_secs_f64(),
        ended.status
    );
    if ended.status.success() || !cfg!(unix) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "it ended with {}, not within {} s and with 0",
        ended.status,
        END_WITHIN.as_secs()
    )))
}
