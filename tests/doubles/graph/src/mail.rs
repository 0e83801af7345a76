//! Mailboxes: receives what happens to messages and who asks for them, hands on messages, pages and changes since a
//! link.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::answer::{Refusal, said};
use crate::api::Query;
use crate::notify;
use crate::subscriptions::rfc3339;
use crate::world::World;

/// One person's inbox.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    pub(crate) messages: BTreeMap<String, Value>,
    /// What has happened, in order; a message's place is its last change.
    log: Vec<Change>,
}

#[derive(Debug, Clone)]
struct Change {
    id: String,
    kind: &'static str,
}

/// What a delta link means; Graph's own are as opaque to those who get them.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Place {
    epoch: u64,
    /// From which change on.
    from: usize,
    /// Up to which, while the pages of one round are read.
    upto: Option<usize>,
    /// Only messages that were received then or later.
    since: Option<DateTime<Utc>>,
    kinds: Option<String>,
    select: Option<String>,
    /// Whether this round is the first, which tells of every message.
    first: bool,
}

/// A new message, and whether anybody is told.
pub(crate) fn arrives(world: &Arc<World>, mailbox: &str, fields: &Value, told: bool) -> String {
    let id = format!("AAMk{}=", URL_SAFE_NO_PAD.encode(Uuid::new_v4().as_bytes()));
    let now = rfc3339(Utc::now());
    let number = Uuid::new_v4().simple().to_string();
    let ada = json!({ "emailAddress": { "name": "Ada Lovelace", "address": "ada@example.org" } });
    let mut message = json!({
        "id": id,
        "createdDateTime": now,
        "lastModifiedDateTime": now,
        "receivedDateTime": now,
        "sentDateTime": now,
        "hasAttachments": false,
        "internetMessageId": format!("<{number}@example.org>"),
        "conversationId": format!("AAQk{number}"),
        "subject": "A subject",
        "bodyPreview": "How it begins",
        "body": { "contentType": "text", "content": "How it begins and goes on" },
        "importance": "normal",
        "parentFolderId": "inbox",
        "isRead": false,
        "isDraft": false,
        "webLink": format!("https://outlook.example.org/mail/{number}"),
        "sender": ada,
        "from": ada,
        "toRecipients": [],
    });
    over(&mut message, fields);
    touched(&mut message);
    world.change(|inner| {
        let mailbox = inner.mailboxes.entry(mailbox.to_lowercase()).or_default();
        mailbox.happened(&id, "created");
        mailbox.messages.insert(id.clone(), message);
    });
    if told {
        notify::change(world, mailbox, &id, "created");
    }
    id
}

pub(crate) fn changes(world: &Arc<World>, mailbox: &str, id: &str, fields: &Value) {
    world.change(|inner| {
        let mailbox = inner.mailboxes.entry(mailbox.to_lowercase()).or_default();
        if let Some(message) = mailbox.messages.get_mut(id) {
            over(message, fields);
            touched(message);
            mailbox.happened(id, "updated");
        }
    });
    notify::change(world, mailbox, id, "updated");
}

pub(crate) fn vanishes(world: &Arc<World>, mailbox: &str, id: &str) {
    notify::change(world, mailbox, id, "deleted");
    world.change(|inner| {
        let mailbox = inner.mailboxes.entry(mailbox.to_lowercase()).or_default();
        mailbox.messages.remove(id);
        mailbox.happened(id, "deleted");
    });
}

impl Mailbox {
    fn happened(&mut self, id: &str, kind: &'static str) {
        self.log.push(Change {
            id: id.to_owned(),
            kind,
        });
    }
}

pub(crate) fn over(message: &mut Value, fields: &Value) {
    if let (Some(message), Some(fields)) = (message.as_object_mut(), fields.as_object()) {
        message.extend(fields.clone());
    }
}

/// A message that has changed has another version.
fn touched(message: &mut Value) {
    let key = URL_SAFE_NO_PAD.encode(Uuid::new_v4().as_bytes());
    message["changeKey"] = json!(key);
    message["@odata.etag"] = json!(format!("W/\"{key}\""));
    message["lastModifiedDateTime"] = json!(rfc3339(Utc::now()));
}

/// The fields that were asked for.
pub(crate) fn selected(message: &Value, select: Option<&str>) -> Value {
    let (Some(select), Some(all)) = (select, message.as_object()) else {
        return message.clone();
    };
    let wanted: Vec<&str> = select.split(',').map(str::trim).collect();
    let kept = |key: &str| matches!(key, "id" | "@odata.etag") || wanted.contains(&key);
    let fields: Map<String, Value> = all
        .iter()
        .filter(|(key, _)| kept(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    Value::Object(fields)
}

/// `GET …/messages/{id}`
pub(crate) fn get(
    world: &World,
    mailbox: &str,
    id: &str,
    query: &Query,
) -> Result<Response, Refusal> {
    let found = world.read(|inner| inner.message(mailbox, id).cloned());
    let message = found.ok_or_else(Refusal::not_found)?;
    Ok(said(
        200,
        selected(&message, query.get("$select").map(String::as_str)),
    ))
}

/// `GET …/messages`
pub(crate) fn list(world: &World, mailbox: &str, query: &Query) -> Result<Response, Refusal> {
    let number = |key: &str| query.get(key).and_then(|text| text.parse::<usize>().ok());
    let skip = number("$skip").unwrap_or(0);
    let (mut all, size): (Vec<Value>, usize) = world.read(|inner| {
        let found = inner.mailboxes.get(&mailbox.to_lowercase());
        let messages = found.map(|mailbox| mailbox.messages.values().cloned().collect());
        (messages.unwrap_or_default(), inner.behaviour.page_size)
    });
    let top = number("$top").unwrap_or(size);
    all.sort_by_key(|message| std::cmp::Reverse(message["receivedDateTime"].to_string()));
    let select = query.get("$select").map(String::as_str);
    let page: Vec<Value> = all
        .iter()
        .skip(skip)
        .take(top)
        .map(|one| selected(one, select))
        .collect();
    let mut answer = json!({ "value": page });
    if skip + top < all.len() {
        let next = format!(
            "{}/v1.0/users/{mailbox}/messages?$top={top}&$skip={}",
            world.url,
            skip + top
        );
        answer["@odata.nextLink"] = json!(next);
    }
    Ok(said(200, answer))
}

/// `GET …/messages/delta`
pub(crate) fn delta(
    world: &World,
    mailbox: &str,
    folder: &str,
    query: &Query,
) -> Result<Response, Refusal> {
    let token = query.get("$deltatoken").or_else(|| query.get("$skiptoken"));
    let place = match token {
        Some(token) => read_place(token)?,
        None => first_place(world, query)?,
    };
    let (epoch, status) = world.read(|inner| (inner.delta_epoch, inner.behaviour.forgotten_delta));
    if place.epoch != epoch {
        let message = "The sync state generation is not found; start a full synchronization.";
        return Err(Refusal::new(status, "SyncStateNotFound", message));
    }
    Ok(said(200, page(world, mailbox, folder, place)))
}

fn first_place(world: &World, query: &Query) -> Result<Place, Refusal> {
    let since = match query.get("$filter") {
        None => None,
        Some(filter) => {
            let time = filter
                .strip_prefix("receivedDateTime ge ")
                .and_then(|text| DateTime::parse_from_rfc3339(text.trim()).ok());
            let refused = || Refusal::bad("Only receivedDateTime ge TIME is a filter here.");
            Some(time.ok_or_else(refused)?.with_timezone(&Utc))
        }
    };
    Ok(Place {
        epoch: world.read(|inner| inner.delta_epoch),
        from: 0,
        upto: None,
        since,
        kinds: query.get("changeType").cloned(),
        select: query.get("$select").cloned(),
        first: true,
    })
}

fn read_place(token: &str) -> Result<Place, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let place = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    place.ok_or_else(|| Refusal::bad("Badly formed token."))
}

/// A page from a place on, and the link to what follows.
fn page(world: &World, mailbox: &str, folder: &str, place: Place) -> Value {
    world.read(|inner| {
        let empty = Mailbox::default();
        let found = inner
            .mailboxes
            .get(&mailbox.to_lowercase())
            .unwrap_or(&empty);
        let upto = place.upto.unwrap_or(found.log.len());
        let mut told = Vec::new();
        let mut at = place.from;
        while at < upto && told.len() < inner.behaviour.page_size {
            let change = &found.log[at];
            // Told once, in the place of its last change.
            let later = found.log[at + 1..upto].iter();
            let is_last = later.clone().all(|other| other.id != change.id);
            if is_last {
                told.extend(found.told(change, &place, upto));
            }
            at += 1;
        }
        let (key, next) = match at < upto {
            true => (
                "@odata.nextLink",
                Place {
                    from: at,
                    upto: Some(upto),
                    ..place
                },
            ),
            false => (
                "@odata.deltaLink",
                Place {
                    from: upto,
                    upto: None,
                    first: false,
                    ..place
                },
            ),
        };
        let name = if key == "@odata.nextLink" {
            "$skiptoken"
        } else {
            "$deltatoken"
        };
        let token = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&next).unwrap_or_default());
        let base = inner.behaviour.links.as_deref().unwrap_or(&world.url);
        let link = format!(
            "{base}/v1.0/users/{mailbox}/mailFolders('{folder}')/messages/delta?{name}={token}"
        );
        match key == "@odata.nextLink" || inner.behaviour.delta_link {
            true => json!({ "value": told, key: link }),
            false => json!({ "value": told }),
        }
    })
}

impl Mailbox {
    /// How a change is told, if it is.
    fn told(&self, change: &Change, place: &Place, upto: usize) -> Option<Value> {
        let new = self.log[place.from.min(upto)..upto]
            .iter()
            .any(|other| other.id == change.id && other.kind == "created");
        let Some(message) = self.messages.get(&change.id) else {
            let told = json!({ "id": change.id, "@removed": { "reason": "deleted" } });
            return (!place.first && place.kinds.is_none()).then_some(told);
        };
        let received = message["receivedDateTime"].as_str();
        let received = received.and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        if place
            .since
            .is_some_and(|since| received.is_none_or(|at| at < since))
        {
            return None;
        }
        let kind = if place.first || new {
            "created"
        } else {
            change.kind
        };
        let wanted = place.kinds.as_ref().is_none_or(|kinds| kinds == kind);
        wanted.then(|| selected(message, place.select.as_deref()))
    }
}
