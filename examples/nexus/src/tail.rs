//! `nexus tail`: receives filters, prints accepted events as they come, or what happens to them, a line each, until it is
//! stopped. A hub that goes away is waited for.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::sleep;

use crate::cli::{Common, Tail};
use crate::failure::Failure;
use crate::hub::{Following, Hub, Trouble};
use crate::{explain, output};

/// Names every stage.
const ALL: &str = "all";

/// Pauses between attempts to reach a hub that has gone.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Follows events.
///
/// # Errors
/// When no hub answers at first, or it refuses.
pub(crate) async fn tail(common: &Common, options: &Tail) -> Result<(), Failure> {
    let hub = Hub::find(common, &options.reach)?;
    let mut following = begin(&hub, options).await?;
    let mut left = options.count.map(std::num::NonZeroU64::get);
    loop {
        while let Some(message) = following.next().await {
            let data = message.data.as_deref().map(serde_json::from_str::<Value>);
            let Some(Ok(told)) = data else { continue };
            if message.event.as_deref() == Some("missed") {
                output::note(&format!(
                    "{told} were missed: they come faster than they are read"
                ));
                continue;
            }
            show(common, options, &told);
            left = left.map(|left| left - 1);
            if left == Some(0) {
                return Ok(());
            }
        }
        output::note("the hub has gone; what passes until it is back is not seen");
        following = again(&hub, options).await?;
        output::note("the hub is back");
    }
}

async fn begin(hub: &Hub, options: &Tail) -> Result<Following, Trouble> {
    let filters = [("type", &options.event_type), ("source", &options.source)];
    let mut query: Vec<_> = filters
        .into_iter()
        .filter_map(|(name, filter)| Some((name, filter.as_ref()?.to_string())))
        .collect();
    if options.stage.is_empty() {
        return hub.follow("/v1/events/stream", &query).await;
    }
    if !options.stage.iter().any(|stage| stage == ALL) {
        query.push(("stage", options.stage.join(",")));
    }
    hub.follow("/v1/admin/stages", &query).await
}

/// Waits until the hub answers again. It may refuse then.
async fn again(hub: &Hub, options: &Tail) -> Result<Following, Trouble> {
    let mut pause = FIRST_PAUSE;
    loop {
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        match begin(hub, options).await {
            Err(Trouble::NoHub(_)) => {}
            Err(Trouble::Refused { status, .. }) if status.is_server_error() => {}
            other => return other,
        }
    }
}

fn show(common: &Common, options: &Tail, told: &Value) {
    if common.json {
        return output::json_line(told);
    }
    output::line(
        &match told.as_object().filter(|told| told.contains_key("stage")) {
            Some(step) => step_line(step),
            None => event_line(told, options.payload),
        },
    );
}

fn step_line(step: &Map<String, Value>) -> String {
    let text = |key: &str| step.get(key).and_then(Value::as_str).unwrap_or_default();
    let stage = text("stage");
    let what = explain::sentence(stage, step);
    let whose = format!("{} {}", text("event_id"), text("type"));
    format!("{}  {stage:<16}  {}  {what}", text("at"), whose.trim())
}

fn event_line(event: &Value, with_payload: bool) -> String {
    let text = |key: &str| event[key].as_str().unwrap_or("?");
    let mut line = format!(
        "{}  {:<8}  {}  from {}  {}",
        text("timestamp"),
        text("priority"),
        text("type"),
        text("source"),
        text("event_id"),
    );
    if with_payload {
        line.push_str(&format!("\n  {}", event["payload"]));
    }
    line
}
