//! `nexus dlq`: receives nothing or an id, prints what the hub could not finish. It changes nothing.

use serde_json::Value;
use uuid::Uuid;

use crate::cli::{Common, List, Show};
use crate::failure::Failure;
use crate::hub::Hub;
use crate::{output, table};

/// Lists the dead letters.
///
/// # Errors
/// When the hub does not answer.
pub(crate) async fn list(common: &Common, options: &List) -> Result<(), Failure> {
    let letters = fetch(&Hub::find(common, &options.reach)?).await?;
    if common.json {
        output::json(&letters);
        return Ok(());
    }
    if letters.is_empty() {
        output::line("no dead letters");
        return Ok(());
    }
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let row = |letter: &Value| {
        [
            text(&letter["id"]),
            text(&letter["at"]),
            text(&letter["event"]["type"]),
            text(&letter["reason"]),
            last_error(letter).unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = letters.iter().map(row).collect();
    let header = ["ID", "AT", "TYPE", "REASON", "LAST ERROR"];
    output::line(&table::render(header, &rows));
    Ok(())
}

/// Shows one dead letter whole.
///
/// # Errors
/// When the hub does not answer or has no such dead letter.
pub(crate) async fn show(common: &Common, options: &Show) -> Result<(), Failure> {
    let letters = fetch(&Hub::find(common, &options.reach)?).await?;
    let is = |value: &Value, id: Uuid| value.as_str().is_some_and(|text| text == id.to_string());
    let found: Vec<&Value> = letters
        .iter()
        .filter(|letter| {
            is(&letter["id"], options.id) || is(&letter["event"]["event_id"], options.id)
        })
        .collect();
    match found.as_slice() {
        [] => Err(Failure::failed(format!(
            "no dead letter has the id {}, nor has its event; see `nexus dlq list`",
            options.id
        ))),
        // All there is to tell is the data itself, with and without --json.
        [one] => {
            output::json(one);
            Ok(())
        }
        several => {
            output::json(several);
            Ok(())
        }
    }
}

async fn fetch(hub: &Hub) -> Result<Vec<Value>, Failure> {
    let answer = hub.get("/v1/admin/dead-letters").await?;
    entries(answer, "dead_letters").ok_or_else(|| {
        Failure::failed("the hub's answer is not a list of dead letters; is it of this version?")
    })
}

/// The entries of an answer: a plain list, or a list under a name.
pub(crate) fn entries(answer: Value, name: &str) -> Option<Vec<Value>> {
    match answer {
        Value::Array(entries) => Some(entries),
        Value::Object(mut object) => match object.remove(name)? {
            Value::Array(entries) => Some(entries),
            _ => None,
        },
        _ => None,
    }
}

fn last_error(letter: &Value) -> Option<String> {
    let error = letter["errors"].as_array()?.last()?;
    let text = |key: &str| error[key].as_str().unwrap_or("?");
    Some(format!("{}: {}", text("code"), text("message")))
}
