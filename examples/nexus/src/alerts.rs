//! `nexus alerts`: receives which alerts are meant, prints them, or hands on to the hub that somebody takes notice, or
//! wants silence.

use serde_json::{Value, json};

use crate::cli::{AckAlert, Common, EndSilence, ListAlerts, NewSilence, Reach};
use crate::failure::Failure;
use crate::hub::{Hub, entries};
use crate::{output, table};

const PATH: &str = "/v1/admin/alerts";

const HEADER: [&str; 6] = ["ID", "STATUS", "SEVERITY", "RULE", "SINCE", "WHAT"];

const SILENCES: [&str; 5] = ["ID", "RULE", "SUBJECT", "UNTIL", "BY"];

const RULES: [&str; 4] = ["RULE", "SIGNAL", "TROUBLE", "SEVERITY"];

/// Lists alerts.
///
/// # Errors
/// When the hub does not answer.
pub(crate) async fn list(common: &Common, options: &ListAlerts) -> Result<(), Failure> {
    let hub = Hub::find(common, &options.reach)?;
    let alerts = hub.get(PATH).await?;
    let mut alerts = entries(alerts, "alerts").ok_or_else(strange)?;
    if !options.all {
        alerts.retain(|alert| alert["status"] != "resolved");
    }
    if common.json {
        output::json(&alerts);
    } else if alerts.is_empty() {
        output::line(match options.all {
            true => "no alerts",
            false => "nothing is wrong",
        });
    } else {
        let rows: Vec<_> = alerts.iter().map(row).collect();
        output::line(&table::render(HEADER, &rows));
    }
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
    let rules = entries(rules, "rules").ok_or_else(strange)?;
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
    let alerts = entries(answer, "alerts").ok_or_else(strange)?;
    if common.json {
        output::json(&alerts);
        return Ok(());
    }
    for alert in &alerts {
        let summary = alert["summary"].as_str().ok_or_else(strange)?;
        output::line(&format!("acknowledged: {summary}"));
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
        let text = |key: &str| silence[key].as_str().ok_or_else(strange);
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
    let silences = hub.get(&format!("{PATH}/silences")).await?;
    let silences = entries(silences, "silences").ok_or_else(strange)?;
    if common.json {
        output::json(&silences);
    } else if silences.is_empty() {
        output::line("nothing is silenced");
    } else {
        let rows: Vec<[String; 5]> = silences
            .iter()
            .map(|one| ["id", "rule", "subject", "until", "by"].map(|key| text(one, key)))
            .collect();
        output::line(&table::render(SILENCES, &rows));
    }
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

fn text(of: &Value, key: &str) -> String {
    of[key].as_str().unwrap_or("?").to_owned()
}

fn strange() -> Failure {
    Failure::failed("the hub's answer does not tell of alerts; is it of this version?")
}
