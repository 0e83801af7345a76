//! `nexus tail`: receives filters, prints accepted events as they come, or what happens to them, a line each, until it is
//! stopped or nobody reads them any more. A hub that goes away is waited for.

use serde_json::{Map, Value};

use crate::cli::{Common, Tail};
use crate::failure::Failure;
use crate::hub::Hub;
use crate::{explain, output};

/// Names every stage.
pub(crate) const ALL: &str = "all";

/// Follows events.
///
/// # Errors
/// When no hub answers at first, or it refuses.
pub(crate) async fn tail(common: &Common, options: &Tail) -> Result<(), Failure> {
    tokio::select! {
        followed = follow(common, options) => followed,
        () = output::unheard() => Ok(()),
    }
}

async fn follow(common: &Common, options: &Tail) -> Result<(), Failure> {
    let hub = Hub::find(common, &options.reach)?;
    let (path, query) = wanted(options);
    let mut following = hub.follow(path, &query).await?;
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
        following = hub.again(path, &query).await?;
        output::note("the hub is back");
    }
}

/// Where what is wanted is told.
fn wanted(options: &Tail) -> (&'static str, Vec<(&'static str, String)>) {
    let filters = [("type", &options.event_type), ("source", &options.source)];
    let mut query: Vec<_> = filters
        .into_iter()
        .filter_map(|(name, filter)| Some((name, filter.as_ref()?.to_string())))
        .collect();
    if options.stage.is_empty() {
        return ("/v1/events/stream", query);
    }
    if !options.stage.iter().any(|stage| stage == ALL) {
        query.push(("stage", options.stage.join(",")));
    }
    ("/v1/admin/stages", query)
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
