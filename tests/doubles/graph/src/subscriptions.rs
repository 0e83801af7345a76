//! Subscriptions: receives requests to make, renew and end them, hands on what lives. One is made only when its URLs
//! have answered the handshake in time.

use std::sync::Arc;

use axum::response::Response;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::answer::{Refusal, done, said};
use crate::api::segments;
use crate::login::CLIENT_ID;
use crate::notify::{self, Lifecycle};
use crate::seal::Certificate;
use crate::world::{World, millis};

/// The longest life, in minutes; and with resource data.
const LONGEST: i64 = 10_080;
const LONGEST_RICH: i64 = 1_440;
/// What is asked for below this is raised to it, in minutes.
const SHORTEST: i64 = 45;
const LONGEST_CLIENT_STATE: usize = 128;

/// Who is told of what.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Subscription {
    /// Its id.
    pub id: String,
    /// What is watched, as it was asked for.
    pub resource: String,
    /// The changes, such as `created,updated`.
    pub change_type: String,
    /// Who is told.
    pub notification_url: String,
    /// Who is told of the subscription's own life.
    pub lifecycle_url: Option<String>,
    /// What the receiver knows it by.
    pub client_state: String,
    /// The end of its life.
    pub expires_at: DateTime<Utc>,
    /// Whether it has to be authorized again before it goes on.
    pub halted: bool,
    pub(crate) certificate: Option<Certificate>,
    /// Whose mail it is about.
    pub(crate) mailbox: String,
    /// The fields that resource data has.
    pub(crate) select: Option<String>,
}

impl Subscription {
    pub(crate) fn wants(&self, change: &str) -> bool {
        self.change_type
            .split(',')
            .any(|wanted| wanted.trim() == change)
    }

    fn shown(&self) -> Value {
        json!({
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#subscriptions/$entity",
            "id": self.id,
            "resource": self.resource,
            "applicationId": CLIENT_ID,
            "changeType": self.change_type,
            "clientState": null,
            "notificationUrl": self.notification_url,
            "lifecycleNotificationUrl": self.lifecycle_url,
            "expirationDateTime": rfc3339(self.expires_at),
            "includeResourceData": self.certificate.is_some(),
            "encryptionCertificateId": self.certificate.as_ref().map(|certificate| &certificate.id),
        })
    }
}

pub(crate) fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// `POST /v1.0/subscriptions`
pub(crate) async fn create(world: &Arc<World>, asked: &Value) -> Result<Response, Refusal> {
    let mut made = read(world, asked)?;
    let same = |one: &Subscription| {
        one.change_type == made.change_type && one.resource.eq_ignore_ascii_case(&made.resource)
    };
    let is_there = world.change(|inner| {
        inner.expire();
        inner.subscriptions.values().any(same)
    });
    if is_there {
        let message = "A subscription for this changeType and resource is there already.";
        return Err(Refusal::new(409, "ExtensionError", message));
    }
    for url in [Some(&made.notification_url), made.lifecycle_url.as_ref()]
        .into_iter()
        .flatten()
    {
        handshake(world, url).await?;
    }
    made.client_state = text(asked, "clientState").unwrap_or_default();
    let shown = Value::Object(match made.shown() {
        Value::Object(mut shown) => {
            // Told to its maker, and to nobody later.
            shown.insert("clientState".to_owned(), json!(made.client_state));
            shown
        }
        _ => serde_json::Map::new(),
    });
    world.change(|inner| inner.subscriptions.insert(made.id.clone(), made));
    Ok(said(201, shown))
}

fn read(world: &World, asked: &Value) -> Result<Subscription, Refusal> {
    let needed = |key: &str| {
        text(asked, key).ok_or_else(|| Refusal::bad(format!("The property '{key}' is required.")))
    };
    let client_state = text(asked, "clientState").unwrap_or_default();
    if client_state.chars().count() > LONGEST_CLIENT_STATE {
        return Err(Refusal::bad("clientState is longer than 128 characters."));
    }
    let change_type = needed("changeType")?;
    for change in change_type.split(',') {
        if !matches!(change.trim(), "created" | "updated" | "deleted") {
            return Err(Refusal::bad(format!("'{change}' is no changeType.")));
        }
    }
    let resource = needed("resource")?;
    let (path, query) = resource.split_once('?').unwrap_or((&resource, ""));
    let select = form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key.eq_ignore_ascii_case("$select"))
        .map(|(_, fields)| fields.into_owned());
    let is_rich = asked["includeResourceData"].as_bool().unwrap_or(false);
    let certificate = match is_rich {
        false => None,
        true if select.is_none() => {
            return Err(Refusal::bad(
                "Resource data of this resource needs $select.",
            ));
        }
        true => {
            let id = needed("encryptionCertificateId")?;
            Some(Certificate::read(&needed("encryptionCertificate")?, id)?)
        }
    };
    Ok(Subscription {
        id: Uuid::new_v4().to_string(),
        mailbox: mailbox(path)?,
        change_type,
        notification_url: needed("notificationUrl")?,
        lifecycle_url: text(asked, "lifecycleNotificationUrl"),
        client_state,
        expires_at: granted(world, asked, is_rich)?,
        halted: false,
        certificate,
        select,
        resource,
    })
}

/// Whose messages a resource is.
fn mailbox(path: &str) -> Result<String, Refusal> {
    let path = segments(path);
    let lower: Vec<String> = path.iter().map(|segment| segment.to_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    match lower.as_slice() {
        ["me", "messages"] | ["me", "mailfolders", _, "messages"] => Ok("me".to_owned()),
        ["users", user, "messages"] | ["users", user, "mailfolders", _, "messages"] => {
            Ok((*user).to_owned())
        }
        _ => Err(Refusal::bad(
            "The resource is not supported for notifications.",
        )),
    }
}

/// Until when a life is granted: as Graph allows, or as the test says.
fn granted(world: &World, asked: &Value, is_rich: bool) -> Result<DateTime<Utc>, Refusal> {
    let wanted = text(asked, "expirationDateTime")
        .and_then(|text| DateTime::parse_from_rfc3339(&text).ok())
        .ok_or_else(|| Refusal::bad("expirationDateTime is no time."))?
        .with_timezone(&Utc);
    let now = Utc::now();
    let longest = if is_rich { LONGEST_RICH } else { LONGEST };
    if wanted > now + TimeDelta::minutes(longest) {
        return Err(Refusal::bad(format!(
            "Subscription expiration can only be {longest} minutes in the future."
        )));
    }
    if let Some(life) = world.read(|inner| inner.behaviour.subscription_life_ms) {
        return Ok(now + TimeDelta::milliseconds(i64::try_from(life).unwrap_or(i64::MAX)));
    }
    Ok(wanted.max(now + TimeDelta::minutes(SHORTEST)))
}

/// Asks a URL to say a token back: 200, `text/plain`, the token as it is when decoded, in time.
async fn handshake(world: &World, url: &str) -> Result<(), Refusal> {
    let token = format!(
        "Validation: Testing client application reachability for subscription Request-Id: {}",
        Uuid::new_v4()
    );
    let limit = millis(world.read(|inner| inner.behaviour.handshake_ms));
    let separator = if url.contains('?') { '&' } else { '?' };
    let query: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("validationToken", &token)
        .finish();
    let asked = async {
        let request = world
            .http
            .post(&format!("{url}{separator}{query}"))
            .await
            .ok()?;
        let request = request.header("content-type", "text/plain; charset=utf-8");
        let answer = world.http.ask(request).await.ok()?;
        let is_text = answer
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/plain"));
        Some(answer.status() == 200 && is_text && answer.body() == token.as_bytes())
    };
    let answered = tokio::time::timeout(limit, asked).await;
    world.change(|inner| inner.counted("handshake"));
    match answered {
        Ok(Some(true)) => Ok(()),
        _ => {
            world.change(|inner| inner.counted("handshake.refused"));
            let message = "Subscription validation request failed. \
                           Response must exactly match validationToken query parameter.";
            Err(Refusal::new(400, "ValidationError", message))
        }
    }
}

/// `GET /v1.0/subscriptions`
pub(crate) fn list(world: &World) -> Response {
    let all: Vec<Value> = world.change(|inner| {
        inner.expire();
        inner
            .subscriptions
            .values()
            .map(Subscription::shown)
            .collect()
    });
    said(200, json!({ "value": all }))
}

/// `GET /v1.0/subscriptions/{id}`
pub(crate) fn get(world: &World, id: &str) -> Result<Response, Refusal> {
    with(world, id, |one| said(200, one.shown()))
}

/// `PATCH /v1.0/subscriptions/{id}`
pub(crate) fn renew(world: &World, id: &str, asked: &Value) -> Result<Response, Refusal> {
    let is_rich = with(world, id, |one| one.certificate.is_some())?;
    let until = granted(world, asked, is_rich)?;
    with(world, id, |one| {
        one.expires_at = until;
        one.halted = false;
        said(200, one.shown())
    })
}

/// `POST /v1.0/subscriptions/{id}/reauthorize`
pub(crate) fn reauthorize(world: &World, id: &str) -> Result<Response, Refusal> {
    with(world, id, |one| {
        one.halted = false;
        done(204)
    })
}

/// `DELETE /v1.0/subscriptions/{id}`
pub(crate) fn delete(world: &World, id: &str) -> Result<Response, Refusal> {
    with(world, id, |_| ())?;
    world.change(|inner| inner.subscriptions.remove(id));
    Ok(done(204))
}

/// Graph forgets one by itself.
pub(crate) fn removes(world: &Arc<World>, id: &str, told: bool) {
    if told {
        notify::lifecycle(world, id, Lifecycle::SubscriptionRemoved);
    }
    world.change(|inner| inner.subscriptions.remove(id));
}

fn with<T>(
    world: &World,
    id: &str,
    act: impl FnOnce(&mut Subscription) -> T,
) -> Result<T, Refusal> {
    world.change(|inner| {
        inner.expire();
        match inner.subscriptions.get_mut(id) {
            Some(one) => Ok(act(one)),
            None => Err(Refusal::new(
                404,
                "ResourceNotFound",
                "The object was not found.",
            )),
        }
    })
}

fn text(value: &Value, key: &str) -> Option<String> {
    value[key].as_str().map(str::to_owned)
}
