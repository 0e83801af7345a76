//! `nexus dlq`: receives which dead letters are meant, prints them, or has the hub do their work
//! once more or delete them. What is meant is for the hub to find.

use nexus_host::config::Selector;
use serde_json::{Value, json};

use crate::cli::{ChangeLetters, Common, Conditions, ListLetters, Show};
use crate::failure::Failure;
use crate::hub::{Hub, entries, strange};
use crate::{listing, output};

const PATH: &str = "/v1/admin/dead-letters";

/// What an answer calls them.
const LETTERS: &str = "dead_letters";

/// The most that the hub lists in one answer.
const MAX_PAGE: usize = 1_000;

/// Lists the dead letters.
///
/// # Errors
/// When the hub does not answer.
pub(crate) async fn list(common: &Common, options: &ListLetters) -> Result<(), Failure> {
    let hub = Hub::find(common, &options.reach)?;
    let limit = options.limit.get();
    let (letters, more) = fetch(&hub, &given(&options.conditions), limit).await?;
    listing::tell(common, &letters, "no dead letters", HEADER, row);
    if more {
        output::note(&format!("there are more than {limit}; see --limit"));
    }
    Ok(())
}

const HEADER: [&str; 7] = [
    "ID",
    "AT",
    "TYPE",
    "SOURCE",
    "REASON",
    "ATTEMPTS",
    "LAST ERROR",
];

fn row(letter: &Value) -> [String; 7] {
    let event = &letter["event"];
    [
        listing::text(letter, "id"),
        listing::text(letter, "at"),
        listing::text(event, "type"),
        listing::text(event, "source"),
        listing::text(letter, "reason"),
        letter["attempts"].to_string(),
        last_error(letter).unwrap_or_default(),
    ]
}

fn last_error(letter: &Value) -> Option<String> {
    let error = letter["errors"].as_array()?.last()?;
    let text = |key: &str| error[key].as_str().unwrap_or("?");
    Some(format!("{}: {}", text("code"), text("message")))
}

/// Shows one dead letter whole, or every one of an event.
///
/// # Errors
/// When the hub does not answer or has no such dead letter.
pub(crate) async fn show(common: &Common, options: &Show) -> Result<(), Failure> {
    let hub = Hub::find(common, &options.reach)?;
    let meant = [("id", options.id.to_string())];
    let (letters, _) = fetch(&hub, &meant, usize::MAX).await?;
    match letters.as_slice() {
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

/// Has the work of dead letters done once more.
///
/// # Errors
/// When the hub does not answer, or none of the named letters is there.
pub(crate) async fn replay(common: &Common, options: &ChangeLetters) -> Result<(), Failure> {
    change(common, options, "replay", "replayed").await
}

/// Has dead letters deleted.
///
/// # Errors
/// When the hub does not answer, or none of the named letters is there.
pub(crate) async fn purge(common: &Common, options: &ChangeLetters) -> Result<(), Failure> {
    change(common, options, "purge", "purged").await
}

async fn change(
    common: &Common,
    options: &ChangeLetters,
    what: &str,
    done: &str,
) -> Result<(), Failure> {
    let hub = Hub::find(common, &options.reach)?;
    let mut body = json!({ "all": options.all, "dry_run": options.dry_run });
    for (name, value) in given(&options.conditions) {
        body[name] = json!(value);
    }
    if !options.ids.is_empty() {
        body["ids"] = json!(options.ids);
    }
    if let Some(limit) = options.limit {
        body["limit"] = json!(limit);
    }
    let path = format!("{PATH}/{what}");
    let answer = hub.post(&path, body.to_string()).await?;
    let letters = answer[done].as_array().ok_or_else(|| strange(LETTERS))?;
    if letters.is_empty() && !options.ids.is_empty() {
        return Err(Failure::failed(format!(
            "nothing to {what}: no dead letter of these ids is there (any more); `nexus explain \
             EVENT_ID` tells what became of an event"
        )));
    }
    if common.json {
        output::json(&answer);
    } else {
        for id in letters {
            output::line(id.as_str().unwrap_or("?"));
        }
        let count = letters.len();
        let letters = if count == 1 { "letter" } else { "letters" };
        output::line(&match options.dry_run {
            true => format!("{count} dead {letters} would be {done}"),
            false => format!("{count} dead {letters} {done}"),
        });
    }
    if answer["more"] == true {
        output::note("there are more; run it again");
    }
    Ok(())
}

/// The conditions that were given, under the names that queries and bodies know.
fn given(conditions: &Conditions) -> Vec<(&'static str, String)> {
    let Conditions {
        event_type,
        source,
        integration,
        reason,
        since,
        until,
    } = conditions;
    let named = [
        ("type", event_type.as_ref().map(Selector::to_string)),
        ("source", source.as_ref().map(Selector::to_string)),
        ("integration", integration.clone()),
        ("reason", reason.clone()),
        ("since", since.map(|at| at.to_rfc3339())),
        ("until", until.map(|at| at.to_rfc3339())),
    ];
    let given = |(name, value): (_, Option<_>)| Some((name, value?));
    named.into_iter().filter_map(given).collect()
}

/// The letters that are meant, and whether there are more than `limit` of them.
async fn fetch(
    hub: &Hub,
    meant: &[(&str, String)],
    limit: usize,
) -> Result<(Vec<Value>, bool), Failure> {
    let mut letters = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let mut query = meant.to_vec();
        let page = (limit - letters.len()).min(MAX_PAGE);
        query.push(("limit", page.to_string()));
        query.extend(after.map(|after| ("after", after)));
        let answer = hub.get_with(PATH, &query).await?;
        after = answer["next"].as_str().map(str::to_owned);
        letters.extend(entries(answer, LETTERS)?);
        if after.is_none() || letters.len() >= limit {
            return Ok((letters, after.is_some()));
        }
    }
}
