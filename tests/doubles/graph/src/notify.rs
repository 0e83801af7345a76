//! Notifications: receives what happens, hands it on to whoever has subscribed, and tries again until it is taken
//! with a 2xx in time or too much time has gone.

use std::sync::Arc;

use chrono::Utc;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use crate::login::{TENANT, validation_token};
use crate::mail::{over, selected};
use crate::subscriptions::{Subscription, rfc3339};
use crate::world::{World, millis};

/// An attempt to deliver.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Delivery {
    /// Where to.
    pub url: String,
    /// What was sent.
    pub body: Value,
    /// What was answered; none when nothing was, in time.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// What a lifecycle URL is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Lifecycle {
    /// The app must show again that it may; nothing else comes until then.
    ReauthorizationRequired,
    /// There is no such subscription any more.
    SubscriptionRemoved,
    /// Some notifications were not delivered.
    Missed,
}

/// A message has changed.
pub(crate) fn change(world: &Arc<World>, mailbox: &str, id: &str, kind: &str) {
    let told = world.change(|inner| {
        inner.expire();
        let message = inner.message(mailbox, id).cloned();
        let (tampered, odd) = (inner.behaviour.tampered, inner.behaviour.sealed.clone());
        let concerned: Vec<Subscription> = inner
            .subscriptions
            .values()
            .filter(|one| {
                one.mailbox.eq_ignore_ascii_case(mailbox) && one.wants(kind) && !one.halted
            })
            .cloned()
            .collect();
        let told = concerned.into_iter().map(|one| {
            let mut notification = notification(&one, mailbox, id, kind, message.as_ref());
            if let (Some(certificate), Some(message)) = (&one.certificate, &message) {
                let mut data = selected(message, one.select.as_deref());
                data["@odata.type"] = json!("#Microsoft.Graph.Message");
                over(&mut data, &odd);
                notification["encryptedContent"] = certificate.sealed(&data, tampered);
            }
            (one.notification_url, notification)
        });
        told.collect::<Vec<_>>()
    });
    for (url, notification) in told {
        let held = world.change(|inner| match &mut inner.held {
            Some(held) => {
                held.push(json!({ "url": url, "notification": notification }));
                true
            }
            None => false,
        });
        if !held {
            send(world, url, vec![notification]);
        }
    }
}

fn notification(
    one: &Subscription,
    mailbox: &str,
    id: &str,
    kind: &str,
    message: Option<&Value>,
) -> Value {
    let resource = format!("Users/{mailbox}/Messages/{id}");
    json!({
        "id": Uuid::new_v4(),
        "subscriptionId": one.id,
        "subscriptionExpirationDateTime": rfc3339(one.expires_at),
        "clientState": one.client_state,
        "changeType": kind,
        "resource": resource,
        "tenantId": TENANT,
        "resourceData": {
            "@odata.type": "#Microsoft.Graph.Message",
            "@odata.id": resource,
            "@odata.etag": message.map(|message| message["@odata.etag"].clone()),
            "id": id,
        },
    })
}

/// Tells the lifecycle URL of a subscription.
pub(crate) fn lifecycle(world: &Arc<World>, id: &str, lifecycle: Lifecycle) {
    let found = world.change(|inner| {
        let one = inner.subscriptions.get_mut(id)?;
        one.halted |= lifecycle == Lifecycle::ReauthorizationRequired;
        Some(one.clone())
    });
    let Some((one, url)) = found.and_then(|one| one.lifecycle_url.clone().map(|url| (one, url)))
    else {
        return;
    };
    let told = json!({
        "subscriptionId": one.id,
        "subscriptionExpirationDateTime": rfc3339(one.expires_at),
        "clientState": one.client_state,
        "tenantId": TENANT,
        "resource": one.resource,
        "lifecycleEvent": lifecycle,
    });
    send(world, url, vec![told]);
}

/// Sends what was held back, and holds no more.
pub(crate) fn releases(world: &Arc<World>, together: bool, arrange: impl FnOnce(&mut Vec<Value>)) {
    let mut held = world.change(|inner| inner.held.take()).unwrap_or_default();
    arrange(&mut held);
    let mut batches: Vec<(String, Vec<Value>)> = Vec::new();
    for mut one in held {
        let url = one["url"].as_str().unwrap_or_default().to_owned();
        let notification = one["notification"].take();
        match batches
            .iter_mut()
            .find(|(known, _)| together && *known == url)
        {
            Some((_, batch)) => batch.push(notification),
            None => batches.push((url, vec![notification])),
        }
    }
    for (url, batch) in batches {
        send(world, url, batch);
    }
}

/// One request with these notifications, again and again until it is taken.
pub(crate) fn send(world: &Arc<World>, url: String, notifications: Vec<Value>) {
    let is_rich = notifications
        .iter()
        .any(|one| one.get("encryptedContent").is_some());
    let mut body = json!({ "value": notifications });
    if is_rich {
        let claims = world.read(|inner| inner.behaviour.claims.clone());
        body["validationTokens"] = json!([validation_token(world, &claims)]);
    }
    let shared = Arc::clone(world);
    world.beside(async move {
        let behaviour = shared.read(|inner| inner.behaviour.clone());
        let end = Instant::now() + millis(behaviour.give_up_ms);
        let mut pauses = behaviour.retry_ms.iter().copied();
        let mut pause = 1_000;
        while !attempt(&shared, &url, &body).await && Instant::now() < end {
            pause = pauses.next().unwrap_or(pause);
            tokio::time::sleep(millis(pause)).await;
        }
    });
}

async fn attempt(world: &World, url: &str, body: &Value) -> bool {
    let limit = millis(world.read(|inner| inner.behaviour.answer_ms));
    let began = Utc::now();
    let asked = async {
        let request = world.http.post(url).await.ok()?.json(body);
        Some(world.http.ask(request).await.ok()?.status())
    };
    let status = tokio::time::timeout(limit, asked).await.ok().flatten();
    let delivery = Delivery {
        url: url.to_owned(),
        body: body.clone(),
        status,
        took_ms: u64::try_from((Utc::now() - began).num_milliseconds()).unwrap_or(0),
    };
    world.change(|inner| {
        inner.counted("notification");
        inner.deliveries.push(delivery);
    });
    status.is_some_and(|status| (200..300).contains(&status))
}
