//! Integrations: each is handed the requests that are known of it, and many that make no sense.

use std::collections::BTreeMap;

use nexus_plugin_api::abi::{ComponentKind, Manifest};
use serde_json::{Value, json};

use crate::report::{Check, Ledger};
use crate::stimulus::{Said, Stimulus, What};
use crate::strain;
use crate::subject::Subject;

/// So many requests of one integration are tried.
const MOST: usize = 50;

/// Requests that somebody meant, by the name of the integration.
#[derive(Debug, Default)]
pub(crate) struct Requests(BTreeMap<String, Vec<Vec<u8>>>);

impl Requests {
    /// One more, if it is for an integration of the plugin. `name` as an effect has it.
    pub(crate) fn add(&mut self, manifest: &Manifest, name: &str, request: &[u8]) {
        let name = match name.split_once('/') {
            Some((plugin, name)) if plugin == manifest.id => name,
            Some(_) => return,
            None => name,
        };
        let known = self.0.entry(name.to_owned()).or_default();
        if known.len() < MOST && !known.iter().any(|one| one == request) {
            known.push(request.to_vec());
        }
    }
}

/// Tries every integration.
pub(crate) async fn check(subject: &Subject, requests: &Requests, ledger: &mut Ledger<'_>) {
    for (number, part, component) in subject.of_kind(ComponentKind::Integration) {
        let asked = subject.hub.asked();
        let known = requests
            .0
            .get(&component.name)
            .map_or(&[][..], Vec::as_slice);
        let (told, mut sound) = meant(subject, &part, number, known).await;
        ledger.add(told);
        let (told, taken) = senseless(subject, &part, number).await;
        ledger.add(told);
        sound.extend(taken);
        let asks = subject.hub.asked() > asked;
        strain::check(subject, &part, &sound, asks, ledger).await;
    }
}

/// A request of its own has to be understood, whether or not it can be done.
async fn meant(
    subject: &Subject,
    part: &str,
    number: u32,
    known: &[Vec<u8>],
) -> (Check, Vec<Stimulus>) {
    const NAME: &str = "requests are understood";
    if known.is_empty() {
        let reason = "none is known: no processor of the plugin makes any, and none was given";
        return (Check::skipped(part, NAME, reason), Vec::new());
    }
    let mut check = Check::new(part, NAME);
    let mut sound = Vec::new();
    for request in known {
        let stimulus = Stimulus::request(number, request.clone());
        match check.case(subject, &stimulus).await {
            None => continue,
            Some(Err(error)) if error.code == "invalid_request" => {
                check.fail(error.message, stimulus.shown());
                continue;
            }
            Some(Ok(said)) => look_at(subject, &said, &stimulus, &mut check),
            Some(Err(_)) => {}
        }
        sound.push(stimulus);
    }
    (check, sound)
}

/// An event that follows from the answer has to come in.
fn look_at(subject: &Subject, said: &Said, stimulus: &Stimulus, check: &mut Check) {
    let (Said::Reply(reply), What::Request { event: cause, .. }) = (said, &stimulus.what) else {
        return;
    };
    for event in &reply.events {
        if let Some(fault) = subject.fault(event, cause) {
            let told = format!("its answer holds an event that does not come in: {fault}");
            check.fail(told, stimulus.shown());
        }
    }
}

/// An error or a reply, whatever it is handed.
async fn senseless(subject: &Subject, part: &str, number: u32) -> (Check, Vec<Stimulus>) {
    let mut check = Check::new(part, "requests without sense are answered");
    let mut taken = Vec::new();
    for request in without_sense() {
        let stimulus = Stimulus::request(number, request);
        if let Some(Ok(_)) = check.case(subject, &stimulus).await {
            taken.push(stimulus);
        }
    }
    (check, taken)
}

fn without_sense() -> Vec<Vec<u8>> {
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let values: [Value; 11] = [
        json!({}),
        Value::Null,
        json!([]),
        json!(true),
        json!(0),
        json!(1e300),
        json!(""),
        json!("text"),
        json!({ "": {} }),
        json!({ "what": null, "é漢字🦀": ["\u{0}", "\u{202e}"] }),
        json!("x".repeat(1 << 20)),
    ];
    let texts = [deep(100), deep(10_000), r#"{"a":1,"a":2}"#.to_owned()];
    let values = values.iter().map(|value| value.to_string().into_bytes());
    values.chain(texts.map(String::into_bytes)).collect()
}
