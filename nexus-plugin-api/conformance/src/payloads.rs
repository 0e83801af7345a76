//! Payloads for every contract there is: receives contracts, hands on what fits each, what fits though it is odd,
//! and what does not. Which is which, admission says, as it does in a hub.

use std::sync::Arc;

use nexus_host::admission::{Admission, Contract, Contracts, Origin};
use nexus_host::config::Config;
use nexus_plugin_api::{Event, RawJson};
use serde_json::Value;

use crate::report::{Check, Ledger};
use crate::samples::Samples;
use crate::shown;
use crate::subject::Subject;

/// How admission says that a migration itself has failed.
const NOT_MIGRATED: &str = "whose migration to";

/// The payloads of one contract.
pub(crate) struct Payloads {
    pub(crate) contract: Arc<Contract>,
    /// What its owner meant.
    pub(crate) fitting: Vec<Value>,
    /// What it lets in, whether or not that was meant.
    pub(crate) odd: Vec<Value>,
    /// What no hub that has it would let in.
    pub(crate) unfit: Vec<Value>,
}

impl Payloads {
    /// Makes those of a contract; what is wrong with its examples goes into `check`.
    fn of(contract: Arc<Contract>, config: &Config, check: &mut Check) -> Self {
        let samples = Samples::of(&contract.info().schema);
        let gate = Gate::new(&contract, config);
        let mut all = Self {
            contract,
            fitting: Vec::new(),
            odd: Vec::new(),
            unfit: Vec::new(),
        };
        for example in samples.examples {
            check.cases += 1;
            match gate.refuses(&example) {
                None => all.fitting.push(example),
                Some(reason) => check.fail(
                    format!("an example of {} does not fit: {reason}", all.name()),
                    shown::value(&example),
                ),
            }
        }
        for payload in samples.meant {
            match gate.refuses(&payload) {
                None => push(&mut all.fitting, payload),
                Some(_) => push(&mut all.unfit, payload),
            }
        }
        for payload in samples.mistaken {
            match gate.refuses(&payload) {
                None => push(&mut all.odd, payload),
                Some(_) => push(&mut all.unfit, payload),
            }
        }
        all
    }

    /// `TYPE VERSION`.
    pub(crate) fn name(&self) -> String {
        let info = self.contract.info();
        format!("{} {}", info.event_type, info.version)
    }

    /// An event with that payload, from a source.
    pub(crate) fn event(&self, payload: &Value, source: &str) -> Event {
        let info = self.contract.info();
        let payload = RawJson::from_checked(payload.to_string());
        let mut event = Event::new(info.event_type.as_str(), source, payload);
        event.contract_version = Some(info.version.clone());
        event
    }
}

fn push(to: &mut Vec<Value>, payload: Value) {
    if !to.contains(&payload) {
        to.push(payload);
    }
}

/// An admission that knows one contract, and leads nowhere from there.
struct Gate {
    admission: Admission,
    contract: Arc<Contract>,
}

impl Gate {
    fn new(contract: &Arc<Contract>, config: &Config) -> Self {
        let alone = Contracts::default();
        // It was registered before, among others.
        let _ = alone.register(contract.owner(), contract.info().clone());
        Self {
            admission: Admission::new(&config.limits, &[], &[], Arc::new(alone)),
            contract: contract.clone(),
        }
    }

    /// Why a payload does not come in.
    fn refuses(&self, payload: &Value) -> Option<String> {
        let info = self.contract.info();
        let payload = RawJson::from_checked(payload.to_string());
        let event = Event::new(info.event_type.as_str(), "conformance", payload);
        let admitted = self.admission.admit_event(event, Origin::Host);
        admitted.err().map(|rejection| rejection.to_string())
    }
}

/// Looks at the contracts that the plugin brings, and makes payloads for these and for those that files brought.
pub(crate) fn of_all(subject: &Subject, config: &Config, ledger: &mut Ledger<'_>) -> Vec<Payloads> {
    let all = subject.admission().contracts();
    let is_own = |contract: &Contract| contract.owner() == subject.manifest().id;
    let mut examples = Check::new("contracts", "their examples fit");
    let mut foreign = Check::new("contracts", "examples of files");
    let mut made = Vec::new();
    let mut slips = Check::new("contracts", "their schemas say what was meant");
    let mut reached = Check::new("contracts", "payloads that fit can be made");
    for contract in all.list() {
        if !is_own(&contract) {
            made.push(Payloads::of(contract, config, &mut foreign));
            continue;
        }
        slips.cases += 1;
        reached.cases += 1;
        let payloads = Payloads::of(contract, config, &mut examples);
        for slip in payloads.contract.slips() {
            slips.remark(slip, payloads.name());
        }
        if payloads.fitting.is_empty() {
            let told = "none of the payloads made out of its schema fits: write examples, \
                        `#[schemars(example = …)]`";
            reached.remark(told, payloads.name());
        }
        made.push(payloads);
    }
    if slips.cases == 0 {
        let reason = "the plugin brings none";
        ledger.add(Check::skipped("contracts", "all of it", reason));
        return made;
    }
    for remark in all.remarks(chrono::Utc::now()) {
        slips.remark(remark, "");
    }
    ledger.add(slips);
    if examples.cases == 0 {
        let reason = "they have none; payloads are made out of their schemas";
        examples = Check::skipped("contracts", "their examples fit", reason);
    }
    ledger.add(examples);
    ledger.add(reached);
    ledger.add(carried_over(subject, &made));
    made
}

/// Whether what fits an earlier version still comes in where the later one and the migrations are known too.
fn carried_over(subject: &Subject, all: &[Payloads]) -> Check {
    let contracts = subject.admission().contracts();
    let mut check = Check::new("contracts", "earlier versions are carried over");
    for payloads in all {
        let info = payloads.contract.info();
        let newest = contracts.newest(&info.event_type);
        let is_newest = newest.is_none_or(|newest| newest.info().version == info.version);
        let is_over = info
            .sunset
            .is_some_and(|sunset| sunset <= chrono::Utc::now());
        if is_newest || is_over {
            continue;
        }
        for payload in &payloads.fitting {
            check.cases += 1;
            let event = payloads.event(payload, "conformance");
            let Err(rejection) = subject.admission().admit_event(event, Origin::Host) else {
                continue;
            };
            let with = format!("{} {}", payloads.name(), shown::value(payload));
            let mut errors = rejection.errors().iter();
            match errors.any(|error| error.message.contains(NOT_MIGRATED)) {
                true => check.fail(rejection.to_string(), with),
                // A new major version may be stricter than the one before.
                false => check.remark(format!("the newest version refuses it: {rejection}"), with),
            }
        }
    }
    if check.cases == 0 {
        return Check::skipped(
            "contracts",
            "earlier versions are carried over",
            "every type has one version",
        );
    }
    check
}

#[cfg(test)]
mod tests {
    use nexus_plugin_api::{ContractInfo, RuleInfo};
    use semver::Version;
    use serde_json::json;

    use super::*;
    use crate::report::Verdict;

    #[test]
    fn payloads_are_sorted_by_schema_and_rules_and_bad_examples_are_told() {
        let schema = json!({
            "type": "object",
            "properties": { "n": { "type": "integer", "minimum": 0, "maximum": 9 } },
            "required": ["n"],
            "additionalProperties": false,
            "examples": [{ "n": 5 }, { "n": 7, "m": 1 }, { "n": 3 }],
        });
        let mut info = ContractInfo::new("a.b", Version::new(1, 0, 0), schema);
        info.rules.push(RuleInfo {
            rule: "payload.n != 3".to_owned(),
            message: "must not be 3".to_owned(),
            pointer: None,
        });
        let contracts = Contracts::default();
        contracts
            .register("a", info)
            .unwrap_or_else(|error| panic!("{error}"));
        let contract = contracts
            .newest("a.b")
            .unwrap_or_else(|| panic!("it was registered"));

        let mut check = Check::new("contracts", "examples");
        let made = Payloads::of(contract, &Config::default(), &mut check);
        for n in [0, 1, 5, 9] {
            assert!(
                made.fitting.contains(&json!({ "n": n })),
                "{:?}",
                made.fitting
            );
        }
        for payload in [
            json!({ "n": "text" }),
            json!({ "n": -1 }),
            json!({}),
            json!([]),
        ] {
            assert!(made.unfit.contains(&payload), "{payload}: {:?}", made.unfit);
        }
        assert!(!made.fitting.contains(&json!({ "n": 3 })));
        assert_eq!(check.verdict, Verdict::Failed);
        let told = check.to_string();
        assert!(
            told.contains("/payload/m is not a field of this contract"),
            "{told}"
        );
        assert!(told.contains("must not be 3"), "{told}");
        assert!(!told.contains(r#"{"n":5}"#), "{told}");
    }
}
