//! `nexus contract`: receives types or files, prints contracts of the running hub and what changes between
//! two of them. It changes none.

use std::path::Path;

use nexus_host::admission::{Change, ContractDiff, ContractFile};
use nexus_plugin_api::ContractInfo;
use serde::Serialize;
use serde_json::Value;

use crate::cli::{Common, DiffContracts, List, Reach, ShowContract};
use crate::failure::Failure;
use crate::hub::Hub;
use crate::{output, table};

/// Lists the running hub's contracts.
///
/// # Errors
/// When the hub does not answer.
pub(crate) async fn list(common: &Common, options: &List) -> Result<(), Failure> {
    let hub = Hub::find(common, &options.reach)?;
    let answer = hub.get("/v1/contracts").await?;
    if common.json {
        output::json(&answer);
        return Ok(());
    }
    let listed = answer["contracts"].as_array().into_iter().flatten();
    let rows: Vec<_> = listed.map(row).collect();
    if rows.is_empty() {
        output::line("no contracts");
    } else {
        let header = ["TYPE", "NEWEST", "VERSIONS", "OWNER", "OUTDATED"];
        output::line(&table::render(header, &rows));
    }
    Ok(())
}

fn row(listed: &Value) -> [String; 5] {
    let texts = |of: &Value| -> String {
        let all = of.as_array().into_iter().flatten();
        all.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
    };
    let outdated = listed["outdated"].as_array().into_iter().flatten();
    let outdated = outdated.map(|one| one["version"].clone()).collect();
    [
        text(&listed["type"]),
        text(&listed["version"]),
        texts(&listed["versions"]),
        text(&listed["plugin"]),
        texts(&outdated),
    ]
}

/// Shows one contract.
///
/// # Errors
/// When the hub does not answer or does not know it.
pub(crate) async fn show(common: &Common, options: &ShowContract) -> Result<(), Failure> {
    let contract = fetch(common, &options.reach, &options.contract).await?;
    if common.json {
        output::json(&contract);
        return Ok(());
    }
    let line = |name: &str, value: &Value| {
        if !value.is_null() {
            output::line(&format!("{name:<11} {}", text(value)));
        }
    };
    line("type", &contract["type"]);
    line("version", &contract["version"]);
    line("owner", &contract["plugin"]);
    line("deprecated", &contract["deprecated"]);
    line("sunset", &contract["sunset"]);
    if let Some(uses) = contract["uses"].as_u64() {
        let told = format!("{uses} (events of this version admitted since the hub started)");
        line("uses", &told.into());
    }
    for rule in contract["rules"].as_array().into_iter().flatten() {
        line("rule", &rule["rule"]);
        let place = rule["pointer"].as_str().unwrap_or("/payload");
        line(
            "",
            &format!("else {place} {}", text(&rule["message"])).into(),
        );
    }
    output::json(&contract["schema"]);
    Ok(())
}

/// What is printed with `--json`.
#[derive(Serialize)]
struct Compared<'a> {
    /// Whether the newer one accepts all that the older one does, new fields of open objects left aside.
    compatible: bool,
    /// The same, from the side of who sends.
    accepts_older: bool,
    /// Whether the older one accepts all that the newer one does.
    accepts_newer: bool,
    changes: &'a [Change],
}

/// Tells what changes between two contracts.
///
/// # Errors
/// When the newer one breaks producers of the older one (it has been told by then), or they cannot be
/// compared.
pub(crate) async fn diff(common: &Common, options: &DiffContracts) -> Result<(), Failure> {
    let old = side(common, &options.reach, &options.old).await?;
    let new = side(common, &options.reach, &options.new).await?;
    let diff = compare(&old, &new);
    if common.json {
        output::json(&Compared {
            compatible: diff.accepts_older(),
            accepts_older: diff.accepts_older(),
            accepts_newer: diff.accepts_newer(),
            changes: diff.changes(),
        });
    } else {
        tell(&diff);
    }
    match diff.accepts_older() {
        true => Ok(()),
        false => Err(Failure::told()),
    }
}

fn tell(diff: &ContractDiff) {
    for change in diff.changes() {
        let breaks = match (change.breaks_writers, change.breaks_readers) {
            (true, _) => "breaking",
            (false, true) => "readers",
            (false, false) => "fine",
        };
        let at = match change.pointer.as_str() {
            "" => "/",
            pointer => pointer,
        };
        output::line(&format!("{breaks:<9} {at}: {}", change.message));
    }
    let verdict = match (diff.accepts_older(), diff.accepts_newer()) {
        (true, true) => "compatible: both accept the same",
        (true, false) => {
            "compatible: the newer one accepts all that the older one does; strict readers of the older \
             one would refuse some of the newer one"
        }
        (false, _) => "breaking: the newer one refuses some of what the older one accepts",
    };
    let aside = match diff.accepts_older() && diff.describes_more() {
        true => {
            ", save for a new field that was sent before, undescribed: the newer one takes it only as it \
             describes it"
        }
        false => "",
    };
    output::line(&format!("{verdict}{aside}"));
}

/// What is compared.
enum Side {
    Contract(Box<ContractInfo>),
    /// A JSON Schema alone: of no type, and without rules.
    Schema(Value),
}

impl Side {
    fn schema(&self) -> &Value {
        match self {
            Self::Contract(contract) => &contract.schema,
            Self::Schema(schema) => schema,
        }
    }

    fn has_rules(&self) -> bool {
        matches!(self, Self::Contract(contract) if !contract.rules.is_empty())
    }
}

fn compare(old: &Side, new: &Side) -> ContractDiff {
    let (Side::Contract(from), Side::Contract(to)) = (old, new) else {
        if old.has_rules() || new.has_rules() {
            output::note("one of the two is a schema alone: rules are not compared");
        }
        return ContractDiff::between(old.schema(), new.schema());
    };
    if from.event_type != to.event_type {
        output::note(&format!(
            "these are two types, {} and {}: a hub never holds one against the other",
            from.event_type, to.event_type
        ));
    }
    ContractDiff::of_contracts(from, to)
}

/// What a file holds, or a contract of the running hub.
async fn side(common: &Common, reach: &Reach, named: &str) -> Result<Side, Failure> {
    let path = Path::new(named);
    if path.exists() {
        return of_file(path);
    }
    if !named.contains('@') {
        return Err(Failure::usage(format!(
            "there is no file {named}; a contract of the running hub is named TYPE@VERSION, such as \
             mail.received@1.0.0"
        )));
    }
    // A comparison that could not be made must not look like one that found a break.
    let contract = fetch(common, reach, named).await;
    let contract = contract.map_err(Failure::into_usage)?;
    let contract = serde_json::from_value(contract).map_err(|error| {
        Failure::usage(format!(
            "the hub's answer for {named} is no contract: {error}"
        ))
    })?;
    Ok(Side::Contract(Box::new(contract)))
}

fn of_file(path: &Path) -> Result<Side, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("{shown} cannot be read: {error}")))?;
    let is_json = path.extension().is_none_or(|kind| kind != "toml");
    if is_json {
        let value: Value = serde_json::from_str(&text)
            .map_err(|error| Failure::usage(format!("{shown} is not JSON: {error}")))?;
        // A JSON Schema knows neither `schema` nor `version`.
        if value.get("schema").is_none() || value.get("version").is_none() {
            return match value {
                Value::Object(_) | Value::Bool(_) => Ok(Side::Schema(value)),
                _ => Err(Failure::usage(format!("{shown} holds no JSON Schema"))),
            };
        }
    }
    let read = ContractFile::read(path).contract;
    let info = read.map_err(|fault| Failure::usage(format!("{shown}: {fault}")))?;
    Ok(Side::Contract(Box::new(info)))
}

async fn fetch(common: &Common, reach: &Reach, named: &str) -> Result<Value, Failure> {
    let (event_type, version) = named.split_once('@').unwrap_or((named, ""));
    let plain = |text: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
        !text.starts_with('.') && text.chars().all(fits)
    };
    if event_type.is_empty() || !plain(event_type) || !plain(version) {
        return Err(Failure::usage(format!(
            "{named} names no contract; write TYPE or TYPE@VERSION, such as mail.received@1.0.0"
        )));
    }
    let path = match version {
        "" => format!("/v1/contracts/{event_type}"),
        version => format!("/v1/contracts/{event_type}/{version}"),
    };
    Ok(Hub::find(common, reach)?.get(&path).await?)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
