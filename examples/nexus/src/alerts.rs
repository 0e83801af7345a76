//! `nexus alerts`: receives which alerts are meant, prints them, or hands on to the hub that somebody takes notice, or
//! wants silence.

use serde_json::{Value, json};

use crate::cli::{AckAlert, Common, EndSilence, ListAlerts, NewSilence, Reach};
use crate::failure::Failure;
use crate::hub::{Hub, entries, strange};
use crate::listing::{self, text};
use crate::{output, table};

const PATH: &str = "/v1/admin/alerts";

/// What an answer calls them.
const ALERTS: &str = "alerts";

const HEADER: [&str; 6] = ["ID", "STATUS", "SEVERITY", "RULE", "SINCE", "WHAT"];

const SILENCES: [&str; 5] = ["ID", "RULE", "SUBJECT", "UNTIL", "BY"];

const RULES: [&str; 4] = ["RULE", "SIGNAL", "TROUBLE", "SEVERITY"];

/// Lists alerts.
///
/// # Errors
/// When the hub does not answer.
pub(crate) async fn list(common: &Common, options: &ListAlerts) -> Result<(), Failure> {
    let hub = Hub::find(common, &options.reach)?;
    let mut alerts = entries(hub.get(PATH).await?, ALERTS)?;
    if !options.all {
        alerts.retain(|alert| alert["status"] != "resolved");
    }
    let none = match options.all {
        true => "no alerts",
        false => "nothing is wrong",
    };
    listing::tell(common, &alerts, none, HEADER, row);
    Ok(())
}

/// Lists the rules.
///
/// # Errors
/// When the hub does not answer.
pub(crate) async fn rules(common: &Common, reach: &Reach) -> Result<(), Failure> {
    let hub = Hub::find(common, reach)?;
    let rules = hub.get(&format!("{PATH}/rules")).await?;
    if common.json {
        output::json(&rules);
        return Ok(());
    }
    let rules = entries(rules, "rules")?;
    let rows: Vec<_> = rules.iter().map(rule).collect();
    output::line(&table::render(RULES, &rows));
    Ok(())
}

/// Takes notice of an alert.
///
/// # Errors
/// When the hub does not answer, has no such alert, or it is over.
pub(crate) async fn acknowledge(common: &Common, options: &AckAlert) -> Result<(), Failure> {
    let hub = Hub::find(common, &options.reach)?;
    let body = json!({ "note": options.note, "whole_group": options.group });
    let path = format!("{PATH}/{}/ack", options.id);
    let answer = hub.post(&path, body.to_string()).await?;
    let alerts = entries(answer, ALERTS)?;
    if common.json {
        output::json(&alerts);
        return Ok(());
    }
    for alert in &alerts {
        let summary = text(alert, "summary");
        output::line(&output::one_line(&format!("acknowledged: {summary}")));
    }
    Ok(())
}

/// Has alerts told to nobody for a while.
///
/// # Errors
/// When the hub does not answer, or does not take it.
pub(crate) async fn silence(common: &Common, options: &NewSilence) -> Result<(), Failure> {
    let hub = Hub::find(common, &options.reach)?;
    let body = json!({
        "rule": options.rule,
        "subject": options.subject,
        "lasting": options.lasting.to_string(),
        "note": options.note,
    });
    let path = format!("{PATH}/silences");
    let silence = hub.post(&path, body.to_string()).await?;
    if common.json {
        output::json(&silence);
    } else {
        let text = |key: &str| silence[key].as_str().ok_or_else(|| strange("silences"));
        output::line(&format!("{} until {}", text("id")?, text("until")?));
    }
    Ok(())
}

/// Lists the silences.
///
/// # Errors
/// When the hub does not answer.
pub(crate) async fn silences(common: &Common, reach: &Reach) -> Result<(), Failure> {
    let hub = Hub::find(common, reach)?;
    let silences = entries(hub.get(&format!("{PATH}/silences")).await?, "silences")?;
    let row = |one: &Value| ["id", "rule", "subject", "until", "by"].map(|key| text(one, key));
    listing::tell(common, &silences, "nothing is silenced", SILENCES, row);
    Ok(())
}

/// Ends a silence before its time.
///
/// # Errors
/// When the hub does not answer, or has no such silence.
pub(crate) async fn unsilence(common: &Common, options: &EndSilence) -> Result<(), Failure> {
    let hub = Hub::find(common, &options.reach)?;
    let silence = hub
        .delete(&format!("{PATH}/silences/{}", options.id))
        .await?;
    if common.json {
        output::json(&silence);
    } else {
        output::line("the silence is ended");
    }
    Ok(())
}

fn row(alert: &Value) -> [String; 6] {
    let status = match alert["silenced_by"].is_string() {
        true => format!("{}, silenced", text(alert, "status")),
        false => text(alert, "status"),
    };
    [
        text(alert, "id"),
        status,
        text(alert, "severity"),
        text(alert, "rule"),
        text(alert, "since"),
        text(alert, "summary"),
    ]
}

fn rule(rule: &Value) -> [String; 4] {
    let trouble = ["above", "below"]
        .into_iter()
        .find(|side| rule[side].is_number())
        .map_or_else(
            || "far from what is usual".to_owned(),
            |side| format!("{side} {}", rule[side]),
        );
    [
        text(rule, "name"),
        text(rule, "signal"),
        trouble,
        text(rule, "severity"),
    ]
}
