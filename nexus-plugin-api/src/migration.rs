//! Migrations: how a payload of one version of a contract becomes one of a later version. They are pure
//! functions of the payload, run by the host where events are let in.

use nexus_plugin_abi::{AnswerV1, ErrorV1, codes};

use crate::contract::{Contract, version_of};
use crate::error::PluginError;
use crate::wire::MigrationInfo;

/// How a payload of one version becomes one of a later version of the same type.
///
/// Named in `export_plugin!` under `migrations`. The host applies them one after the other until the
/// newest version is reached, so each version needs one step onwards only. It holds the event up while it
/// runs: compute, and wait for nothing.
///
/// ```
/// use nexus_plugin_api::prelude::*;
///
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// pub struct MailV1 { from: String }
/// impl Contract for MailV1 {
///     const TYPE: &'static str = "mail.received";
///     const VERSION: &'static str = "1.0.0";
///     const DEPRECATED: Option<&'static str> = Some("2026-06-01");
/// }
///
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// pub struct Mail { sender: String, tags: Vec<String> }
/// impl Contract for Mail {
///     const TYPE: &'static str = "mail.received";
///     const VERSION: &'static str = "2.0.0";
/// }
///
/// pub struct SenderNamed;
/// impl Migration for SenderNamed {
///     type Old = MailV1;
///     type New = Mail;
///     fn migrate(old: MailV1) -> Result<Mail, PluginError> {
///         Ok(Mail { sender: old.from, tags: Vec::new() })
///     }
/// }
///
/// export_plugin! { id: "mail", contracts: [MailV1, Mail], migrations: [SenderNamed] }
/// # fn main() { assert_eq!(plugin().manifest().id, "mail"); }
/// ```
pub trait Migration: 'static {
    /// What there is.
    type Old: Contract;
    /// What it becomes: of the same type, and a later version.
    type New: Contract;

    /// Makes the one out of the other.
    ///
    /// # Errors
    /// The event is then refused with this reason, as one that does not fit its contract. Name no value of
    /// the payload that is a secret.
    fn migrate(old: Self::Old) -> Result<Self::New, PluginError>;
}

/// A migration without its types.
pub(crate) struct Step {
    pub(crate) info: fn() -> MigrationInfo,
    run: fn(&[u8]) -> Result<Vec<u8>, PluginError>,
}

impl Step {
    pub(crate) fn of<M: Migration>() -> Self {
        Self {
            info: || MigrationInfo {
                event_type: M::Old::TYPE.to_owned(),
                from: version_of::<M::Old>(),
                to: version_of::<M::New>(),
            },
            run: |payload| {
                let old: M::Old = serde_json::from_slice(payload)
                    .map_err(|error| PluginError::permanent("payload_mismatch", error))?;
                Ok(serde_json::to_vec(&M::migrate(old)?)?)
            },
        }
    }
}

/// Applies the migration that `head` names to a payload.
pub(crate) fn migrate(steps: &[Step], head: &[u8], payload: &[u8]) -> Result<AnswerV1, ErrorV1> {
    let wanted: MigrationInfo = serde_json::from_slice(head)
        .map_err(|error| ErrorV1::permanent(codes::MALFORMED, error.to_string()))?;
    let step = steps.iter().find(|step| (step.info)() == wanted);
    let step = step.ok_or_else(|| {
        ErrorV1::permanent(codes::UNSUPPORTED, "the plugin has no such migration")
    })?;
    let payload = (step.run)(payload).map_err(PluginError::into_abi)?;
    Ok(AnswerV1 {
        body: payload.into(),
        ..AnswerV1::default()
    })
}
