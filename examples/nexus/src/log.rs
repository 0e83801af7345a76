//! `nexus log`: tells which lines the running hub writes into its log, or has it write others.

use serde_json::json;

use crate::cli::{Common, Log};
use crate::failure::Failure;
use crate::hub::Hub;
use crate::output;

const PATH: &str = "/v1/admin/log";

/// Shows the filter, or changes it.
///
/// # Errors
/// When the hub does not answer, or the filter is none.
pub(crate) async fn log(common: &Common, options: &Log) -> Result<(), Failure> {
    let hub = Hub::find(common, &options.reach)?;
    let answer = match &options.filter {
        None => hub.get(PATH).await?,
        Some(filter) => {
            hub.put(PATH, json!({ "filter": filter }).to_string())
                .await?
        }
    };
    if common.json {
        output::json(&answer);
    } else {
        let text = |key: &str| answer[key].as_str().unwrap_or("?");
        output::line(&format!(
            "{}  (set by the {})",
            text("filter"),
            text("set_by")
        ));
    }
    Ok(())
}
