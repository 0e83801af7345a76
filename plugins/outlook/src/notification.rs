//! The contract `outlook.notification.received`: what a webhook brought, kept until the message behind it has been
//! seen. Internal: nobody but this plugin makes it or waits for it.
//!
//! Receives one notification as Graph sends it, hands on the event that keeps it. It neither fetches nor decrypts.

use nexus_plugin_api::{Contract, NewEvent};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::mail::{NAMESPACE, lane};

/// The longest id or resource that is taken.
const LONGEST_ID: usize = 1024;

/// A message has changed, says Graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotificationReceived {
    /// The subscription that brought it.
    #[schemars(length(max = 128))]
    pub subscription_id: String,
    /// Whose mailbox it is, by the name that the configuration has for it.
    #[schemars(length(min = 1, max = 320))]
    pub mailbox: String,
    /// What has happened.
    pub change: Change,
    /// The message, by Graph's id.
    #[schemars(length(min = 1, max = 1024))]
    pub message_id: String,
    /// Where the message is: a path below the API's version.
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^[^\s\\?#]+$"))]
    pub resource: String,
    /// The message itself, when it came along; only its receiver can read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
}

/// What happens to messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// There is a new one.
    Created,
    /// One is not as it was.
    Updated,
    /// One is gone.
    Deleted,
}

/// Resource data as it came, and the tokens that say who sent it. All of it base64 or JWT, none of it read yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// The message, encrypted.
    #[schemars(length(min = 1, max = 524_288))]
    pub data: String,
    /// Its HMAC.
    #[schemars(length(max = 128))]
    pub data_signature: String,
    /// The key of both, encrypted for the certificate.
    #[schemars(length(max = 2048))]
    pub data_key: String,
    /// Which certificate that is.
    #[schemars(length(max = 128))]
    pub certificate_id: String,
    /// Who sent it, and to whom.
    #[schemars(length(max = 8), inner(length(max = 8192)))]
    pub tokens: Vec<String>,
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }
}

impl Contract for NotificationReceived {
    const TYPE: &'static str = "outlook.notification.received";
    const VERSION: &'static str = "1.0.0";
}

/// The body of a webhook. Its notifications are read one by one: an odd one does not spoil the others.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Posted<'a> {
    #[serde(borrow)]
    pub(crate) value: Vec<&'a RawValue>,
    #[serde(default, deserialize_with = "if_it_reads")]
    pub(crate) validation_tokens: Vec<String>,
}

/// One notification, as Graph sends it. What is not as it should be in it counts as left out: it would be sent again
/// for hours, and be no better.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Item {
    #[serde(deserialize_with = "if_it_reads")]
    id: Option<String>,
    #[serde(deserialize_with = "if_it_reads")]
    pub(crate) subscription_id: String,
    #[serde(deserialize_with = "if_it_reads")]
    pub(crate) client_state: Option<String>,
    #[serde(deserialize_with = "if_it_reads")]
    change_type: Option<String>,
    #[serde(deserialize_with = "if_it_reads")]
    resource: Option<String>,
    #[serde(deserialize_with = "if_it_reads")]
    resource_data: Option<ResourceData>,
    #[serde(deserialize_with = "if_it_reads")]
    pub(crate) lifecycle_event: Option<String>,
    #[serde(deserialize_with = "if_it_reads")]
    encrypted_content: Option<EncryptedContent>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ResourceData {
    #[serde(deserialize_with = "if_it_reads")]
    id: Option<String>,
    #[serde(rename = "@odata.etag", deserialize_with = "if_it_reads")]
    etag: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EncryptedContent {
    data: String,
    data_signature: String,
    data_key: String,
    encryption_certificate_id: String,
}

impl Item {
    /// What has happened, if it is known here.
    pub(crate) fn change(&self) -> Option<Change> {
        let told = self.change_type.as_deref()?;
        let all = [Change::Created, Change::Updated, Change::Deleted];
        all.into_iter()
            .find(|change| change.name().eq_ignore_ascii_case(told))
    }

    /// The event that keeps it; `Err` says what is missing. The same version of the same message is one event, as is
    /// a notification that is sent again.
    pub(crate) fn event(&self, mailbox: &str, tokens: &[String]) -> Result<NewEvent, Unusable> {
        let unknown = "it has no changeType that is known";
        let change = self.change().ok_or(Unusable(unknown))?;
        // Some say it with the query that was subscribed to.
        let resource = self.resource.as_deref().unwrap_or_default();
        let resource = resource.split('?').next().unwrap_or_default();
        let resource = resource.trim_start_matches('/');
        let data = self.resource_data.as_ref();
        let last = || resource.rsplit('/').next().unwrap_or_default().to_owned();
        let message_id = data.and_then(|data| data.id.clone()).unwrap_or_else(last);
        if message_id.is_empty() || message_id.len() > LONGEST_ID || resource.len() > LONGEST_ID {
            return Err(Unusable("it names no message, or one with too long a name"));
        }
        let version = data
            .and_then(|data| data.etag.clone())
            .or_else(|| self.id.clone());
        let is_odd = |byte: u8| !byte.is_ascii_graphic() || b"\\?#\"<>|^`{}".contains(&byte);
        if resource.is_empty()
            || resource.split('/').any(|part| part == "..")
            || resource.bytes().any(is_odd)
        {
            return Err(Unusable("its resource is no path"));
        }
        let payload = NotificationReceived {
            subscription_id: self.subscription_id.clone(),
            mailbox: mailbox.to_owned(),
            change,
            resource: resource.to_owned(),
            sealed: self
                .encrypted_content
                .as_ref()
                .map(|sealed| sealed.kept(tokens)),
            message_id,
        };
        let event = NewEvent::of(&payload).map_err(|_| Unusable("it cannot be written"))?;
        let lane = lane(mailbox, &payload.message_id);
        let event_id = version.map(|version| {
            let same = format!("{lane}\n{change:?}\n{version}");
            Uuid::new_v5(&NAMESPACE, same.as_bytes())
        });
        Ok(NewEvent {
            event_id,
            partition_key: Some(lane),
            ..event
        })
    }
}

/// Why a notification cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unusable(pub(crate) &'static str);

impl EncryptedContent {
    fn kept(&self, tokens: &[String]) -> Sealed {
        Sealed {
            data: self.data.clone(),
            data_signature: self.data_signature.clone(),
            data_key: self.data_key.clone(),
            certificate_id: self.encryption_certificate_id.clone(),
            tokens: tokens.to_vec(),
        }
    }
}

/// What reads as it should, and the default in the place of everything else, `null` included.
fn if_it_reads<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    let value = Value::deserialize(from)?;
    Ok(T::deserialize(value).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(over: Value) -> Result<NewEvent, Unusable> {
        let mut item = json!({
            "id": "n-1", "subscriptionId": "s-1", "changeType": "created", "resource": "Users/u/Messages/m-1",
            "resourceData": { "id": "m-1", "@odata.etag": "W/\"1\"" },
        });
        item.as_object_mut()
            .unwrap()
            .extend(over.as_object().unwrap().clone());
        serde_json::from_value::<Item>(item)
            .unwrap()
            .event("me", &[])
    }

    #[test]
    fn a_version_of_a_message_is_one_event_however_often_it_is_told() {
        let first = event(json!({})).unwrap().event_id;
        assert!(first.is_some());
        let again = json!({ "id": "n-2", "subscriptionId": "s-2" });
        assert_eq!(event(again).unwrap().event_id, first);
        let later = json!({ "resourceData": { "id": "m-1", "@odata.etag": "W/\"2\"" } });
        assert_ne!(event(later).unwrap().event_id, first);
        let other = json!({ "resourceData": { "id": "m-2", "@odata.etag": "W/\"1\"" } });
        assert_ne!(event(other).unwrap().event_id, first);
        // Without a version the notification itself is what is known again.
        let bare = || event(json!({ "resourceData": null })).unwrap();
        assert_eq!(bare().event_id, bare().event_id);
        assert_eq!(
            bare()
                .payload
                .parse::<NotificationReceived>()
                .unwrap()
                .message_id,
            "m-1"
        );
        assert_eq!(
            event(json!({ "resourceData": null, "id": null }))
                .unwrap()
                .event_id,
            None
        );
    }

    #[test]
    fn what_a_server_says_otherwise_is_understood() {
        let kept = |over| -> NotificationReceived { event(over).unwrap().payload.parse().unwrap() };
        let plain = kept(json!({}));
        for over in [
            json!({ "changeType": "Created" }),
            json!({ "resource": "/Users/u/Messages/m-1?$select=id" }),
            json!({ "resourceData": "m-1", "encryptedContent": {}, "lifecycleEvent": null }),
            json!({ "id": 7 }),
        ] {
            assert_eq!(kept(over.clone()), plain, "{over}");
        }
        assert_eq!(kept(json!({ "subscriptionId": null })).subscription_id, "");
        let posted = r#"{ "value": [{}], "validationTokens": null }"#;
        let posted: Posted<'_> = serde_json::from_str(posted).unwrap();
        assert!(posted.validation_tokens.is_empty());
    }

    #[test]
    fn a_resource_leads_nowhere_else() {
        for resource in [
            "",
            "/",
            "Users/../../admin",
            "https://evil.example\\x",
            "a b",
            "é",
        ] {
            assert!(
                event(json!({ "resource": resource })).is_err(),
                "{resource}"
            );
        }
        for change in [json!(null), json!("exploded"), json!(7)] {
            assert!(event(json!({ "changeType": change })).is_err());
        }
        assert!(event(json!({ "resourceData": { "id": "x".repeat(1025) } })).is_err());
    }
}
