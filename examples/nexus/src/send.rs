//! `nexus send`: receives an event's parts, hands the event to the running hub, prints the receipt.
//!
//! The payload's text goes out as it was given; whether it fits is the hub's to say.

mod lines;

use std::io::Read;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::cli::{Common, Send};
use crate::failure::Failure;
use crate::hub::Hub;
use crate::{explain, output};

/// The largest payload that any hub may take.
const LARGEST_BYTES: u64 = 256 * 1024 * 1024;

#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    event_type: Option<&'a str>,
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    payload: &'a RawValue,
}

/// Sends one event, or many.
///
/// # Errors
/// When the payload cannot be read, or the hub does not take the event; with `--wait` also when
/// the event ends among the dead letters.
pub(crate) async fn send(common: &Common, options: &Send) -> Result<(), Failure> {
    if let Some(key) = &options.partition_key
        && key.starts_with(crate::key::PREFIX)
    {
        return Err(Failure::usage(
            "--partition-key (or --key) names the event's lane; a client's key goes into NEXUS_KEY",
        ));
    }
    match &options.lines {
        Some(file) => lines::send(common, options, file).await,
        None => send_one(common, options).await,
    }
}

async fn send_one(common: &Common, options: &Send) -> Result<(), Failure> {
    let text = payload(options)?;
    let payload: &RawValue = serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("the payload is not JSON: {error}")))?;
    let body = event(options, options.event_id, payload)
        .map_err(|error| Failure::usage(format!("the event is not JSON: {error}")))?;
    let hub = Hub::find(common, &options.reach)?;
    let path = if options.wait {
        "/v1/events?ack=processed"
    } else {
        "/v1/events"
    };
    let receipt = hub.post(path, body).await?;
    if common.json {
        output::json(&receipt);
    } else {
        tell(&receipt);
    }
    judge(options, &receipt)
}

/// An event with this payload, as the options say.
fn event(
    options: &Send,
    event_id: Option<Uuid>,
    payload: &RawValue,
) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Envelope {
        event_type: options.event_type.as_deref(),
        source: options.source.as_deref(),
        event_id,
        priority: options.priority.as_deref(),
        partition_key: options.partition_key.as_deref(),
        correlation_id: options.correlation_id.as_deref(),
        payload,
    })
}
fn tell(receipt: &Value) {
    let text = |key: &str| receipt[key].as_str().unwrap_or("?");
    output::line(&format!("{} {}", text("status"), text("event_id")));
    if receipt["steps"].is_array() {
        output::line(&explain::steps(receipt));
    }
}

/// Whether what was asked for has come about.
fn judge(options: &Send, receipt: &Value) -> Result<(), Failure> {
    let id = receipt["event_id"].as_str().unwrap_or("?");
    match receipt["status"].as_str() {
        Some("dead") => Err(Failure::failed(format!(
            "the event ended among the dead letters; see `nexus explain {id}`"
        ))),
        Some("accepted" | "queued" | "processing") if options.wait => {
            Err(Failure::failed(format!(
                "the event is in the hub, but was not processed in the time that the hub waits \
                 ([server] ack_timeout); see `nexus explain {id}`"
            )))
        }
        _ => Ok(()),
    }
}

fn payload(options: &Send) -> Result<String, Failure> {
    if options.stdin.is_some() {
        return read("standard input", &mut std::io::stdin());
    }
    match (&options.payload, &options.file) {
        (Some(text), _) => Ok(text.clone()),
        (None, Some(file)) if file == Path::new("-") => {
            read("standard input", &mut std::io::stdin())
        }
        (None, Some(file)) => {
            let name = file.display().to_string();
            let mut file = std::fs::File::open(file)
                .map_err(|error| Failure::usage(format!("{name} cannot be read: {error}")))?;
            read(&name, &mut file)
        }
        (None, None) => Ok("{}".to_owned()),
    }
}

fn read(name: &str, from: &mut dyn Read) -> Result<String, Failure> {
    let mut text = String::new();
    from.take(LARGEST_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("{name} cannot be read: {error}")))?;
    if text.len() as u64 > LARGEST_BYTES {
        return Err(Failure::usage(format!(
            "{name} holds more than {LARGEST_BYTES} bytes: no hub takes that much"
        )));
    }
    Ok(text)
}
