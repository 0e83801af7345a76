//! One version of one type's contract: its schema and its rules, compiled once. Receives payloads, hands on
//! what is wrong with them; it never shows a value.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use nexus_plugin_api::ContractInfo;

use super::super::envelope::escaped;
use super::super::rejection::{Code, MAX_VIOLATIONS, Rejection, Violation, cut};
use super::super::strict_json::{Borrowed, Members, Tree};
use super::conflict::ContractConflict;
use super::rule::{MAX_RULES, Rule};
use super::{lint, unusable};

/// One version of one type's contract, ready to validate.
pub struct Contract {
    info: ContractInfo,
    owner: Arc<str>,
    validator: Validator<Borrowed>,
    rules: Vec<Rule>,
    uses: AtomicU64,
}

impl Contract {
    pub(super) fn compile(owner: &str, info: &ContractInfo) -> Result<Self, ContractConflict> {
        let (event_type, version) = (|| info.event_type.clone(), || info.version.clone());
        if let (Some(deprecated), Some(sunset)) = (info.deprecated, info.sunset)
            && sunset < deprecated
        {
            return Err(ContractConflict::InvalidDates {
                event_type: event_type(),
                version: version(),
                owner: owner.to_owned(),
            });
        }
        let invalid_schema = |message| ContractConflict::InvalidSchema {
            event_type: event_type(),
            version: version(),
            owner: owner.to_owned(),
            message,
        };
        let invalid_rule = |message| ContractConflict::InvalidRule {
            event_type: event_type(),
            version: version(),
            owner: owner.to_owned(),
            message,
        };
        if info.rules.len() > MAX_RULES {
            return Err(invalid_rule(format!("there are more than {MAX_RULES}")));
        }
        let rules: Result<_, _> = info.rules.iter().map(Rule::compile).collect();
        Ok(Self {
            info: info.clone(),
            owner: owner.into(),
            validator: compile(&info.schema).map_err(invalid_schema)?,
            rules: rules.map_err(invalid_rule)?,
            uses: AtomicU64::new(0),
        })
    }

    /// The contract as it is published.
    pub fn info(&self) -> &ContractInfo {
        &self.info
    }

    /// The plugin that registered it, or `file:NAME`.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// What its schema says that was probably not meant, each with its place.
    pub fn slips(&self) -> Vec<String> {
        lint::slips(&self.info.schema)
    }

    /// How many events of this very version were admitted since it was registered.
    pub fn uses(&self) -> u64 {
        self.uses.load(Ordering::Relaxed)
    }

    pub(super) fn count_use(&self) {
        self.uses.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether the schema takes a payload without a field.
    pub(crate) fn takes_empty(&self) -> bool {
        self.validator.is_valid(&Tree::Object(Members::default()))
    }

    /// Holds a payload against the schema.
    pub(in crate::admission) fn check(&self, payload: &Tree<'_>) -> Result<(), Rejection> {
        if self.validator.is_valid(payload) {
            return Ok(());
        }
        let mut found = Vec::new();
        for error in self.validator.iter_errors(payload) {
            tell(&error, &mut found);
            if found.len() >= MAX_VIOLATIONS {
                break;
            }
        }
        Err(self.violated(found))
    }

    /// The rejection of a payload that does not fit.
    pub(super) fn violated(&self, errors: Vec<Violation>) -> Rejection {
        let message = format!(
            "the payload does not fit the contract {} {}; see `errors`",
            self.info.event_type, self.info.version
        );
        Rejection::new(Code::ContractViolation, message).with_errors(errors)
    }
}

impl fmt::Debug for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ContractInfo {
            event_type,
            version,
            ..
        } = &self.info;
        write!(f, "Contract({event_type} {version} of {})", self.owner)
    }
}

/// Formats such as `date-time` are asserted, since a plugin's own types will refuse what is none.
/// Patterns run on the engine without backtracking: a payload must not choose how long they take.
fn compile(schema: &serde_json::Value) -> Result<Validator<Borrowed>, String> {
    jsonschema::options_for::<Borrowed>()
        .offline()
        .should_validate_formats(true)
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
        .map_err(|error| unusable::told(&error))
}

/// Says what an error of the validator means, without the value it is about.
fn tell(error: &ValidationError<'_>, found: &mut Vec<Violation>) {
    let path = error.instance_path().as_str();
    let place = match path.char_indices().nth(1_000) {
        Some((end, _)) => format!("/payload{}…", &path[..end]),
        None => format!("/payload{path}"),
    };
    match error.kind() {
        // At the field that is missing or too many, rather than at the object round it.
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let pointer = format!("{place}/{}", escaped(name));
            found.push(Violation::new(pointer, "is required"));
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            for name in unexpected.iter().take(MAX_VIOLATIONS) {
                let pointer = format!("{place}/{}", escaped(name));
                found.push(Violation::new(pointer, "is not a field of this contract"));
            }
        }
        ValidationErrorKind::PropertyNames { .. } => {
            found.push(Violation::new(place, "has a key that the contract refuses"));
        }
        _ => {
            let message = cut(error.masked_with("the value").to_string());
            found.push(Violation::new(place, message));
        }
    }
}
