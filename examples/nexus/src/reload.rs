//! `nexus reload`: has the running hub apply its configuration anew, and tells what has changed. What a plan is
//! told as, `nexus check --against` uses as well.

use serde_json::Value;

use crate::cli::{Common, Reach};
use crate::failure::Failure;
use crate::hub::Hub;
use crate::output;

/// Reloads.
///
/// # Errors
/// When the hub does not apply it, or does not answer.
pub(crate) async fn reload(common: &Common, reach: &Reach) -> Result<(), Failure> {
    let hub = Hub::find(common, reach)?;
    let changed = hub.post("/v1/admin/reload", String::new()).await?;
    if common.json {
        output::json(&changed);
        return Ok(());
    }
    let told = lines(&changed);
    if told.is_empty() {
        output::line("nothing has changed");
    }
    told.iter().for_each(|line| output::line(line));
    Ok(())
}

/// A plan, a line for each part of it; none when it changes nothing.
pub(crate) fn lines(plan: &Value) -> Vec<String> {
    let texts = |key: &str| {
        let all = plan[key].as_array().into_iter().flatten();
        all.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
    };
    let mut lines = Vec::new();
    let changed = texts("changed");
    if !changed.is_empty() {
        lines.push(format!("changed  {changed}"));
    }
    for plugin in plan["plugins"].as_array().into_iter().flatten() {
        let text = |key: &str| plugin[key].as_str().unwrap_or("?").replace('_', " ");
        lines.push(format!("plugin   {} {}", text("id"), text("becomes")));
    }
    let restart = texts("needs_restart");
    if !restart.is_empty() {
        lines.push(format!("only with a restart  {restart}"));
    }
    lines
}
