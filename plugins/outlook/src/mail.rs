//! The contract `outlook.mail.received`: receives a message as Graph has it, hands on the event that it becomes.
//!
//! The event's id is derived from mailbox and message: the same one, seen in whichever way and how often, is one event.
//! Where changes are looked at it is derived from the whole payload: what does not show in it (read, flagged, filed)
//! changes nothing, and a message whose subject, text, sender or importance has changed is an event again.

use chrono::{DateTime, Utc};
use nexus_plugin_api::{ConfigSchema, Contract, NewEvent, PluginError, Priority};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::rules::{self, Rule};
use crate::text::{line, paragraph};

/// The namespace of derived event ids (a version 4 UUID, chosen once).
pub(crate) const NAMESPACE: Uuid = Uuid::from_u128(0x2b7c_9f0e_51d4_4a86_b3c1_8e5d_7a96_40f2);

/// What is asked of Graph: the fields of a [`Message`].
pub(crate) const FIELDS: &str = "id,internetMessageId,conversationId,from,sender,subject,bodyPreview,importance,\
                                 receivedDateTime,hasAttachments,webLink";

/// A mail has arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = example())]
pub struct MailReceived {
    /// The message, by Graph's id; it changes when the message is moved to another folder.
    #[schemars(length(min = 1, max = 1024))]
    pub message_id: String,
    /// Whose mailbox it is in, by the name that the configuration has for it.
    #[schemars(length(min = 1, max = 320))]
    pub mailbox: String,
    /// The id of RFC 5322, the same in every mailbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub internet_message_id: Option<String>,
    /// The conversation that it belongs to, by Graph's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub conversation_id: Option<String>,
    /// The sender's address; empty where Graph names none. Nothing proves it.
    #[schemars(length(max = 320))]
    pub sender: String,
    /// The name that the sender goes by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub sender_name: Option<String>,
    /// The subject.
    #[schemars(length(max = 512))]
    pub subject: String,
    /// How the text begins.
    #[schemars(length(max = 1024))]
    pub preview: String,
    /// How important its sender says it is.
    pub importance: Importance,
    /// When it was received, RFC 3339.
    pub received_at: DateTime<Utc>,
    /// Whether files are attached to it.
    pub has_attachments: bool,
    /// Where it opens in a browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub web_link: Option<String>,
}

/// How important a sender says that a mail is.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ConfigSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Importance {
    /// Can wait.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Before others.
    High,
}

impl Contract for MailReceived {
    const TYPE: &'static str = "outlook.mail.received";
    const VERSION: &'static str = "1.0.0";
}

impl Importance {
    pub(crate) fn priority(self) -> Priority {
        match self {
            Self::Low => Priority::Low,
            Self::Normal => Priority::Normal,
            Self::High => Priority::High,
        }
    }
}

/// A message, as Graph has it. What is missing was not asked for, or has not changed.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Message {
    id: String,
    internet_message_id: Option<String>,
    conversation_id: Option<String>,
    from: Option<Recipient>,
    sender: Option<Recipient>,
    subject: Option<String>,
    body_preview: Option<String>,
    importance: Option<String>,
    received_date_time: Option<DateTime<Utc>>,
    has_attachments: Option<bool>,
    web_link: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recipient {
    email_address: Option<Address>,
}

#[derive(Debug, Clone, Deserialize)]
struct Address {
    name: Option<String>,
    address: Option<String>,
}

impl Message {
    /// What it says; `None` where it says too little, as a mere change does.
    pub(crate) fn received_in(self, mailbox: &str) -> Option<MailReceived> {
        let received_at = self.received_date_time?;
        let from = self
            .from
            .or(self.sender)
            .and_then(|from| from.email_address);
        let (name, address) = from.map_or((None, None), |from| (from.name, from.address));
        let given = |text: Option<String>, most| {
            text.map(|text| line(&text, most))
                .filter(|text| !text.is_empty())
        };
        Some(MailReceived {
            message_id: self.id,
            mailbox: mailbox.to_owned(),
            internet_message_id: given(self.internet_message_id, 1024),
            conversation_id: given(self.conversation_id, 1024),
            sender: given(address, 320).unwrap_or_default(),
            sender_name: given(name, 256),
            subject: line(&self.subject.unwrap_or_default(), 512),
            preview: paragraph(&self.body_preview.unwrap_or_default(), 1024),
            importance: match self.importance.as_deref() {
                Some("low") => Importance::Low,
                Some("high") => Importance::High,
                _ => Importance::Normal,
            },
            received_at,
            has_attachments: self.has_attachments.unwrap_or(false),
            // Half a link leads nowhere.
            web_link: self.web_link.filter(|link| link.len() <= 2048),
        })
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Whether it says enough to be a mail; a mere change does not.
    pub(crate) fn is_whole(&self) -> bool {
        self.received_date_time.is_some()
    }
}

impl MailReceived {
    /// The event that it is; another one after each change that shows, where changes are told.
    pub(crate) fn event(
        &self,
        rules: &[Rule],
        tell_changes: bool,
    ) -> Result<NewEvent, PluginError> {
        let event = NewEvent::of(self)?;
        let lane = lane(&self.mailbox, &self.message_id);
        let same = match tell_changes {
            true => event.payload.as_slice(),
            false => lane.as_bytes(),
        };
        Ok(NewEvent {
            event_id: Some(Uuid::new_v5(&NAMESPACE, same)),
            timestamp: Some(self.received_at),
            priority: rules::priority(rules, self),
            partition_key: Some(lane),
            ..event
        })
    }
}

/// What happens to one message happens in order; messages are independent of each other.
pub(crate) fn lane(mailbox: &str, message_id: &str) -> String {
    let message = format!("{mailbox}\n{message_id}");
    Uuid::new_v5(&NAMESPACE, message.as_bytes()).to_string()
}

fn example() -> MailReceived {
    MailReceived {
        message_id: "AAMkAGI2TG93AAA=".to_owned(),
        mailbox: "ada@example.org".to_owned(),
        internet_message_id: Some("<17@example.org>".to_owned()),
        conversation_id: None,
        sender: "grace@example.org".to_owned(),
        sender_name: Some("Grace Hopper".to_owned()),
        subject: "The refund of order 17".to_owned(),
        preview: "Shall we pay it back?".to_owned(),
        importance: Importance::High,
        received_at: DateTime::UNIX_EPOCH,
        has_attachments: false,
        web_link: Some("https://outlook.office365.com/owa/?ItemID=AAMk".to_owned()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(crate) fn received() -> MailReceived {
        example()
    }

    fn message(over: Value) -> Message {
        let mut message = json!({
            "id": "m-1", "subject": "Hello", "receivedDateTime": "2026-01-05T09:30:00Z",
            "bodyPreview": "How are you?", "importance": "high",
            "from": { "emailAddress": { "name": "Ada", "address": "ada@example.org" } },
        });
        message
            .as_object_mut()
            .unwrap()
            .extend(over.as_object().unwrap().clone());
        serde_json::from_value(message).unwrap()
    }

    fn id(over: Value, tell_changes: bool) -> Option<Uuid> {
        let mail = message(over).received_in("me").unwrap();
        mail.event(&[], tell_changes).unwrap().event_id
    }

    #[test]
    fn what_shows_makes_another_event_where_changes_are_told_and_nothing_else_does() {
        for tell_changes in [false, true] {
            let first = id(json!({}), tell_changes);
            let filed = json!({ "isRead": true, "changeKey": "2", "parentFolderId": "archive" });
            assert_eq!(id(filed, tell_changes), first);
            for over in [
                json!({ "subject": "Hello?" }),
                json!({ "importance": "normal" }),
                json!({ "bodyPreview": "Well?" }),
            ] {
                let is_same = id(over.clone(), tell_changes) == first;
                assert_eq!(is_same, !tell_changes, "{over}");
            }
            assert_ne!(id(json!({ "id": "m-2" }), tell_changes), first);
            let elsewhere = message(json!({})).received_in("you").unwrap();
            let elsewhere = elsewhere.event(&[], tell_changes).unwrap();
            assert_ne!(elsewhere.event_id, first);
        }
    }

    #[test]
    fn whatever_graph_says_fits_the_contract() {
        let mail = message(json!({
            "subject": "é\r\n".repeat(900), "bodyPreview": "a\r\n\u{0}b".repeat(900), "from": null,
            "importance": "very", "webLink": "x".repeat(3000), "internetMessageId": "",
        }))
        .received_in("me")
        .unwrap();
        assert_eq!(mail.subject.chars().count(), 512);
        assert!(mail.subject.ends_with('…') && !mail.subject.contains('\n'));
        assert_eq!(mail.preview.chars().count(), 1024);
        assert!(mail.preview.starts_with("a\n b"), "{:?}", mail.preview);
        assert_eq!(
            (mail.sender.as_str(), mail.importance),
            ("", Importance::Normal)
        );
        assert_eq!((mail.web_link, mail.internet_message_id), (None, None));
    }

    #[test]
    fn a_mere_change_is_no_mail() {
        let change: Message = serde_json::from_str(r#"{"id": "m-1", "isRead": true}"#).unwrap();
        assert!(change.received_in("me").is_none());
    }
}
