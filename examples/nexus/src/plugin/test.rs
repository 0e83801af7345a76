//! `nexus plugin test`: receives a plugin's file, has the conformance kit try it, and prints what came of it.

use std::time::Duration;

use nexus_host::config::HumanDuration;
use nexus_plugin_conformance::{Check, Kit};
use serde_json::Value;

use crate::cli::{Common, Test};
use crate::configuration::Origin;
use crate::failure::Failure;
use crate::output;

/// Tries a plugin.
///
/// # Errors
/// When it fails, or there is no such file.
pub(crate) async fn test(common: &Common, options: &Test) -> Result<(), Failure> {
    if !options.file.is_file() {
        return Err(Failure::usage(format!(
            "{} is no file; name a plugin's library",
            options.file.display()
        )));
    }
    let mut kit = Kit::of(&options.file);
    // What lies in this folder is that of a hub in service, as a rule, with what it acts upon.
    let named = common.config.as_ref();
    if named.is_some_and(|path| !path.as_os_str().is_empty()) {
        kit = kit.config(Origin::of(common).load()?);
    }
    if let Some(limit) = options.limit.map(HumanDuration::get) {
        if limit == Duration::ZERO {
            return Err(Failure::usage("--limit: must be more than 0"));
        }
        kit = kit.limit(limit);
    }
    for (integration, request) in &options.requests {
        kit = kit.request(integration, request.clone());
    }
    let is_data = common.json;
    let mut tell = |check: &Check| {
        if !is_data {
            output::line(&check.to_string());
        }
    };
    let report = kit.run_telling(&mut tell).await;
    match is_data {
        true => output::json(&report),
        false => output::line(&report.summary()),
    }
    match report.passes() {
        true => Ok(()),
        false => Err(Failure::told()),
    }
}

/// `INTEGRATION=JSON`.
///
/// # Errors
/// What is missing, or wrong with the JSON.
pub(crate) fn request(text: &str) -> Result<(String, Value), String> {
    let (integration, request) = text
        .split_once('=')
        .ok_or("write INTEGRATION=JSON, such as toasty={}")?;
    let request = serde_json::from_str(request).map_err(|error| error.to_string())?;
    Ok((integration.to_owned(), request))
}
