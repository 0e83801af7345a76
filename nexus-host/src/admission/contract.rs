//! The contracts: receives them from the plugins that own them, compiles each once, and answers
//! whether a payload fits. It never forgets one, and never fetches a schema from elsewhere.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use nexus_plugin_api::ContractInfo;
use semver::Version;

use super::envelope::escaped;
use super::rejection::{Code, MAX_VIOLATIONS, Rejection, Violation, quoted};
use super::rules;
use super::strict_json::{Borrowed, Tree};

/// How long one violation's message may be, in bytes.
const LONGEST_MESSAGE: usize = 300;

/// The owner under which the hub registers contracts of its own, below `nexus.`.
pub const HUB: &str = "nexus";

/// Every contract that is known.
///
/// Reading takes a snapshot, so an event is judged by one state of the registry, and nobody waits
/// while a plugin is being loaded.
#[derive(Default)]
pub struct Contracts {
    known: RwLock<Arc<Known>>,
    /// Held by whoever changes the registry, so that compiling schemas keeps no reader waiting.
    changing: Mutex<()>,
}

/// By type; the versions of each in ascending order.
type Known = HashMap<Arc<str>, Arc<[Arc<Contract>]>>;

/// One version of one type's contract, ready to validate.
pub struct Contract {
    info: ContractInfo,
    owner: Arc<str>,
    validator: Validator<Borrowed>,
}

/// Why a contract was not registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContractConflict {
    /// Another plugin has registered this version, and means something else by it.
    #[error(
        "contract {event_type} {version} of `{owner}` is already registered by `{other}` with \
         another schema; give it another version or type"
    )]
    Taken {
        /// The type.
        event_type: String,
        /// The version.
        version: Version,
        /// Who wanted to register it.
        owner: String,
        /// Whose it is.
        other: String,
    },
    /// The type is not well-formed.
    #[error("contract type {event_type} of `{owner}` {rule}", rule = rules::TYPE)]
    InvalidType {
        /// The type, quoted.
        event_type: String,
        /// Who wanted to register it.
        owner: String,
    },
    /// The type belongs to the hub.
    #[error("contract {event_type} of `{owner}` begins with `nexus.`, which is the hub's own")]
    Reserved {
        /// The type.
        event_type: String,
        /// Who wanted to register it.
        owner: String,
    },
    /// The schema cannot be used.
    #[error("contract {event_type} {version} of `{owner}` has no usable schema: {message}")]
    InvalidSchema {
        /// The type.
        event_type: String,
        /// The version.
        version: Version,
        /// Who wanted to register it.
        owner: String,
        /// What is wrong with it.
        message: String,
    },
}

impl Contracts {
    /// Registers one contract.
    ///
    /// # Errors
    /// As [`Contracts::register_all`].
    pub fn register(&self, owner: &str, info: ContractInfo) -> Result<(), ContractConflict> {
        self.register_all(owner, &[info])
    }

    /// Registers contracts, all of them or none. The same one again changes nothing; an owner may
    /// replace its own.
    ///
    /// # Errors
    /// When another owner has a version with another schema, or one is no usable contract.
    pub fn register_all(
        &self,
        owner: &str,
        contracts: &[ContractInfo],
    ) -> Result<(), ContractConflict> {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = Known::clone(&self.snapshot());
        for info in contracts {
            put(&mut changed, owner, info.clone())?;
        }
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(changed);
        Ok(())
    }

    /// One version of a type.
    pub fn get(&self, event_type: &str, version: &Version) -> Option<Arc<Contract>> {
        let versions = self.versions(event_type)?;
        let place = versions.binary_search_by(|c| c.info.version.cmp(version));
        place.ok().map(|place| versions[place].clone())
    }

    /// The newest version of a type: the highest release, or the highest of all where there is no
    /// release yet.
    pub fn newest(&self, event_type: &str) -> Option<Arc<Contract>> {
        newest(&self.versions(event_type)?).cloned()
    }

    /// Every version of a type, lowest first; `None` when the type is unknown.
    pub fn versions(&self, event_type: &str) -> Option<Arc<[Arc<Contract>]>> {
        self.snapshot().get(event_type).cloned()
    }

    /// Every contract, by type and version.
    pub fn list(&self) -> Vec<Arc<Contract>> {
        let known = self.snapshot();
        let mut types: Vec<_> = known.iter().collect();
        types.sort_unstable_by_key(|(event_type, _)| *event_type);
        let versions = types.into_iter().flat_map(|(_, versions)| versions.iter());
        versions.cloned().collect()
    }

    /// The contract that an event is to be judged by.
    pub(super) fn find(
        &self,
        event_type: &str,
        version: Option<&Version>,
    ) -> Result<Arc<Contract>, Rejection> {
        let Some(versions) = self.versions(event_type) else {
            let message = format!(
                "no contract is known for the type {}; load the plugin that owns it, or correct the type",
                quoted(event_type)
            );
            return Err(Rejection::new(Code::UnknownType, message));
        };
        let found = match version {
            None => newest(&versions),
            Some(version) => versions.iter().find(|c| c.info.version == *version),
        };
        found.cloned().ok_or_else(|| {
            // The type is known, so this is the event's fault and not the type's.
            let known: Vec<_> = versions
                .iter()
                .map(|c| c.info.version.to_string())
                .collect();
            let message = format!(
                "is no known version of {event_type}; known: {}; leave it out for the newest",
                known.join(", ")
            );
            let place = Violation::new("/contract_version", cut(message));
            let message = "the event names an unknown contract version; see `errors`";
            Rejection::new(Code::ContractViolation, message).with_errors(vec![place])
        })
    }

    fn snapshot(&self) -> Arc<Known> {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl fmt::Debug for Contracts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list()).finish()
    }
}

/// Adds one contract to a registry in the making.
fn put(known: &mut Known, owner: &str, info: ContractInfo) -> Result<(), ContractConflict> {
    let event_type = || info.event_type.clone();
    if !rules::is_event_type(&info.event_type) {
        return Err(ContractConflict::InvalidType {
            event_type: quoted(&info.event_type),
            owner: owner.to_owned(),
        });
    }
    if rules::is_reserved(&info.event_type) && owner != HUB {
        return Err(ContractConflict::Reserved {
            event_type: event_type(),
            owner: owner.to_owned(),
        });
    }
    let validator = compile(&info.schema).map_err(|message| ContractConflict::InvalidSchema {
        event_type: event_type(),
        version: info.version.clone(),
        owner: owner.to_owned(),
        message,
    })?;

    let mut versions = known
        .get(&*info.event_type)
        .map_or_else(Vec::new, |versions| versions.to_vec());
    let place = versions.binary_search_by(|c| c.info.version.cmp(&info.version));
    if let Ok(place) = place {
        let present = &versions[place];
        if present.info.schema == info.schema {
            return Ok(());
        }
        if *present.owner != *owner {
            return Err(ContractConflict::Taken {
                event_type: event_type(),
                version: info.version,
                owner: owner.to_owned(),
                other: present.owner.to_string(),
            });
        }
    }
    let event_type: Arc<str> = info.event_type.as_str().into();
    let contract = Arc::new(Contract {
        info,
        owner: owner.into(),
        validator,
    });
    match place {
        Ok(place) => versions[place] = contract,
        Err(place) => versions.insert(place, contract),
    }
    known.insert(event_type, versions.into());
    Ok(())
}

fn newest(versions: &[Arc<Contract>]) -> Option<&Arc<Contract>> {
    let released = |c: &&Arc<Contract>| c.info.version.pre.is_empty();
    versions.iter().rev().find(released).or(versions.last())
}

impl Contract {
    /// The contract as it is published.
    pub fn info(&self) -> &ContractInfo {
        &self.info
    }

    /// The plugin that registered it.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Checks a payload.
    pub(super) fn check(&self, payload: &Tree<'_>) -> Result<(), Rejection> {
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
        let message = format!(
            "the payload does not fit the contract {} {}; see `errors`",
            self.info.event_type, self.info.version
        );
        Err(Rejection::new(Code::ContractViolation, message).with_errors(found))
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
        .map_err(|error| cut(format!("{error} at {}", error.schema_path())))
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

fn cut(mut message: String) -> String {
    if message.len() > LONGEST_MESSAGE {
        message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests;
