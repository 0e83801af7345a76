//! The JSON Schema Test Suite through the contracts: every schema becomes a contract file of a real hub,
//! every instance a payload, and the hub takes what the suite calls valid and nothing else.
//!
//! A payload is an object. So an instance that is one is the payload, by a contract whose schema is the
//! suite's as it stands; any other is a member of the payload, by a contract that says so of the member.
//! Documents that the suite serves elsewhere are brought along in the contract, since a hub fetches none.

mod outside;
mod suite;

use std::collections::HashMap;

use nexus_tests::figures::tell;
use nexus_tests::foreign::python_sources;
use nexus_tests::hub::Hub;
use serde_json::{Value, json};

use super::{or_skip, with_contracts};
use outside::Outside;
use suite::{DRAFTS, Draft, Group, Suite};

/// What carries the suite, under `json`.
const SOURCES: &str = "jsonschema==4.26.0";

/// How many events one request holds.
const BATCH: usize = 250;

/// One instance on its way.
struct Instance<'g> {
    group: &'g Group,
    test: &'g suite::Test,
    event: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contracts_agree_with_the_json_schema_test_suite() {
    let test = "json_schema::contracts_agree_with_the_json_schema_test_suite";
    let Some(folder) = or_skip(test, python_sources(SOURCES)) else {
        return;
    };
    let suite = Suite::new(folder.join("json"));
    let mut wrong = Vec::new();
    for draft in &DRAFTS {
        wrong.extend(agree(test, &suite, draft).await);
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Runs one draft; what went another way than it should.
async fn agree(test: &str, suite: &Suite, draft: &Draft) -> Vec<String> {
    let groups = suite.groups(draft);
    let hub = hub(suite, draft, &groups);
    let refusals = refusals(&hub).await;
    let (mut outside, mut wrong) = (Outside::of(draft), Vec::new());
    let tests = groups.iter().flat_map(|group| {
        let instance = |test| Instance {
            group,
            test,
            event: event(group, &test.data),
        };
        group.tests.iter().map(instance)
    });
    let tests: Vec<_> = tests.collect();
    let mut agreed = 0;
    for batch in tests.chunks(BATCH) {
        for (instance, is_taken) in batch.iter().zip(sent(&hub, batch).await) {
            let Instance { group, test, .. } = instance;
            let agrees = is_taken == Some(test.valid);
            match (agrees, outside.reason(group, test)) {
                (true, None) => agreed += 1,
                (false, Some(_)) => outside.count(group, test),
                (true, Some(reason)) => {
                    wrong.push(format!("{instance}: agrees; left out since {reason}"))
                }
                (false, None) => {
                    let refusal = refusals.get(&group.event_type(kind(&test.data)));
                    wrong.push(format!("{instance}: taken: {is_taken:?} {refusal:?}"));
                }
            }
        }
    }
    let figures = format!(
        "{}: {agreed} of {} tests in {} groups agree; {outside}",
        draft.name,
        tests.len(),
        groups.len()
    );
    tell(test, figures);
    wrong
}

impl std::fmt::Display for Instance<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (group, test) = (self.group, self.test);
        write!(
            f,
            "{} / {} / {}",
            group.file, group.description, test.description
        )
    }
}

/// The hub of one draft: two contracts for each group, as far as its instances need them.
fn hub(suite: &Suite, draft: &Draft, groups: &[Group]) -> Hub {
    let files = groups.iter().flat_map(|group| {
        let contract = |kind: &str, schema: Value| {
            let event_type = group.event_type(kind);
            let file = json!({ "type": event_type, "version": "1.0.0", "schema": schema });
            (format!("{event_type}.json"), file)
        };
        let has = |is_object: bool| {
            group
                .tests
                .iter()
                .any(|test| test.data.is_object() == is_object)
        };
        let whole = has(true).then(|| contract("whole", suite.whole(draft, group)));
        let member = has(false).then(|| contract("member", suite.member(draft, group)));
        whole.into_iter().chain(member)
    });
    with_contracts("[queue]\ncapacity = 100000", &[], files).start()
}

/// The contracts that are refused, by type, and why.
async fn refusals(hub: &Hub) -> HashMap<String, String> {
    let (status, plugins) = hub.get("/v1/admin/plugins").await;
    assert_eq!(status, 200);
    let files = plugins["contract_files"].as_array().unwrap().iter();
    let refused = files.filter_map(|file| {
        let reason = file["refusal"].as_str()?.to_owned();
        Some((file["type"].as_str()?.to_owned(), reason))
    });
    refused.collect()
}

/// By which of a group's contracts an instance is judged.
fn kind(data: &Value) -> &'static str {
    if data.is_object() { "whole" } else { "member" }
}

fn event(group: &Group, data: &Value) -> String {
    let payload = if data.is_object() {
        data.clone()
    } else {
        json!({ "it": data })
    };
    json!({ "type": group.event_type(kind(data)), "source": "suite", "payload": payload })
        .to_string()
}

/// Whether each was taken; `None` when it was refused for something else than its contract.
async fn sent(hub: &Hub, batch: &[Instance<'_>]) -> Vec<Option<bool>> {
    let events: Vec<_> = batch.iter().map(|instance| &*instance.event).collect();
    let body = format!("[{}]", events.join(","));
    let request = hub
        .request("POST", "/v1/events")
        .header("content-type", "application/json");
    let (status, answer) = hub.send(request.body(body)).await;
    let results = answer
        .as_array()
        .unwrap_or_else(|| panic!("{status} {answer}"));
    assert_eq!(results.len(), batch.len());
    let one = |result: &Value| match result["error"]["code"].as_str() {
        None => Some(true),
        Some("contract_violation") => Some(false),
        Some(_) => None,
    };
    results.iter().map(one).collect()
}
