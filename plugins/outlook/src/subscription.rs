//! A folder's subscription: receives what is due, makes, prolongs and replaces it at Graph, and keeps in the plugin's
//! state which one it is. Hands on when it wants to be looked at again.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use nexus_plugin_api::outgoing::{Answer, Method};
use nexus_plugin_api::{Context, PluginError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::graph::Graph;
use crate::mail::FIELDS;
use crate::outlook::Outlook;
use crate::signal::Due;
use crate::watched::Folder;

/// The longest lives that Graph grants, less what two clocks may differ by.
const LIFE: TimeDelta = TimeDelta::minutes(10_080 - 5);
const LIFE_WITH_MAIL: TimeDelta = TimeDelta::minutes(1_440 - 5);

/// How soon a subscription is looked at again at the earliest, however short its life is.
const SOONEST: TimeDelta = TimeDelta::seconds(1);

/// How soon one is looked at again whose life is over by this clock, though it was granted just now.
const WHEN_CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(1);

/// What the state keeps of a subscription.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) id: String,
    expires_at: DateTime<Utc>,
    renew_at: DateTime<Utc>,
    /// What it was made with: another configuration wants another one.
    made_with: MadeWith,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct MadeWith {
    url: String,
    certificate_id: Option<String>,
}

/// A subscription, as Graph tells it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    id: String,
    expiration_date_time: Option<DateTime<Utc>>,
    #[serde(default)]
    resource: String,
    #[serde(default)]
    change_type: String,
    notification_url: Option<String>,
}

/// A life that was prolonged; some servers say nothing of it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Prolonged {
    expiration_date_time: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    value: Vec<Told>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
}

/// See the module.
pub(crate) struct Subscriptions<'a> {
    outlook: &'a Outlook,
    ctx: &'a Context,
    folder: &'a Folder,
    at: usize,
}

impl<'a> Subscriptions<'a> {
    pub(crate) fn new(outlook: &'a Outlook, ctx: &'a Context, at: usize) -> Self {
        Self {
            outlook,
            ctx,
            folder: outlook.folder(at),
            at,
        }
    }

    /// Sees to it that there is one. What was due and is done is no longer due; a new one may have missed something.
    pub(crate) async fn keep(&self, due: &mut Due) -> Result<DateTime<Utc>, PluginError> {
        let wanted = self.wanted().await?;
        let key = self.folder.subscription_key();
        let mut kept: Option<Kept> = self.ctx.state().get_json(&key).await?;
        if let Some(old) = kept
            .as_ref()
            .filter(|old| due.is_removed(&old.id) || old.made_with != wanted)
        {
            delete(self.outlook.graph(), &old.id).await?;
            kept = None;
        }
        if let Some(old) = kept {
            if let Some(kept) = self.prolonged(old, due).await? {
                self.ctx.state().put_json(&key, &kept).await?;
                due.is_subscribed();
                return Ok(kept.renew_at);
            }
            tracing::info!(
                "Graph has forgotten the subscription to mail of {}",
                self.folder.mailbox
            );
        }
        // Until it is kept again there is none: a hub that dies meanwhile makes one anew.
        self.ctx.state().delete(&key).await?;
        due.reconcile = true;
        let kept = self.create(wanted).await?;
        self.ctx.state().put_json(&key, &kept).await?;
        due.is_subscribed();
        Ok(kept.renew_at)
    }

    async fn wanted(&self) -> Result<MadeWith, PluginError> {
        let sealing = self.outlook.sealing();
        let certificate = sealing.certificate().await?;
        if certificate.is_some() {
            // What nobody can open is not to be sent.
            sealing.key().await?;
        }
        Ok(MadeWith {
            url: self.outlook.notification_url(),
            certificate_id: certificate.map(|certificate| certificate.id.clone()),
        })
    }

    /// The same with a longer life, where that is due; `None` when Graph does not know it any more.
    async fn prolonged(&self, mut kept: Kept, due: &Due) -> Result<Option<Kept>, PluginError> {
        let mut renew = due.renew || kept.renew_at <= Utc::now();
        if due.is_to_be_reauthorized(&kept.id) {
            let path = format!("subscriptions/{}/reauthorize", kept.id);
            // Prolonging shows that the app may as well, and tells whether the subscription is there.
            renew |= is_gone(self.ask(Method::POST, &path, None).await?)?.is_none();
        }
        if renew {
            let path = format!("subscriptions/{}", kept.id);
            let wanted = Utc::now() + life(kept.made_with.certificate_id.is_some());
            let body = json!({ "expirationDateTime": time(wanted) });
            let Some(answer) = is_gone(self.ask(Method::PATCH, &path, Some(&body)).await?)? else {
                return Ok(None);
            };
            let told: Prolonged = answer.json().unwrap_or_default();
            kept.lives_until(told.expiration_date_time.unwrap_or(wanted));
        }
        Ok(Some(kept))
    }

    /// Makes one. Where one is there already that is ours and not known any more, since it was made just before the
    /// hub died, it is replaced: its client state cannot be asked for.
    async fn create(&self, wanted: MadeWith) -> Result<Kept, PluginError> {
        let mut answer = self.ask_for_one(&wanted).await?;
        if answer.status() == 409 && self.delete_forgotten(&wanted).await? {
            answer = self.ask_for_one(&wanted).await?;
        }
        if answer.status() == 409 {
            let told = "Graph has a subscription to this folder that leads elsewhere: one app serves one hub";
            return Err(PluginError::retryable("conflict", told));
        }
        let told: Told = answer.expect_success()?.json()?;
        tracing::info!(
            subscription_id = told.id,
            "subscribed to mail of {}",
            self.folder.mailbox
        );
        let now = Utc::now();
        let asked_for = || now + life(wanted.certificate_id.is_some());
        let expires_at = told.expiration_date_time.unwrap_or_else(asked_for);
        let mut kept = Kept {
            id: told.id,
            expires_at,
            renew_at: now,
            made_with: wanted,
        };
        kept.lives_until(expires_at);
        Ok(kept)
    }

    async fn ask_for_one(&self, wanted: &MadeWith) -> Result<Answer, PluginError> {
        let states = self.outlook.client_states(self.ctx.services()).await?;
        let certificate = self.outlook.sealing().certificate().await?;
        let mut body = json!({
            "changeType": self.folder.change_type,
            "notificationUrl": wanted.url,
            "lifecycleNotificationUrl": format!("{}/lifecycle", wanted.url),
            "resource": self.resource(certificate.is_some()),
            "expirationDateTime": time(Utc::now() + life(certificate.is_some())),
            "clientState": states.get(self.at),
        });
        if let Some(certificate) = certificate {
            body["includeResourceData"] = json!(true);
            body["encryptionCertificate"] = json!(certificate.text);
            body["encryptionCertificateId"] = json!(certificate.id);
        }
        self.ask(Method::POST, "subscriptions", Some(&body)).await
    }

    /// What is subscribed to. Mail comes along only in fields that are named.
    fn resource(&self, with_mail: bool) -> String {
        match with_mail {
            true => format!("{}?$select={FIELDS}", self.folder.resource),
            false => self.folder.resource.clone(),
        }
    }

    /// Deletes those to this folder that lead to this hub: whether there was one.
    async fn delete_forgotten(&self, wanted: &MadeWith) -> Result<bool, PluginError> {
        let graph = self.outlook.graph();
        let mut page = Some(graph.url("subscriptions"));
        let mut found = false;
        while let Some(url) = page.and_then(|link| graph.own(&link)) {
            let listed: Listed = graph.get(&url).await?;
            for told in listed
                .value
                .iter()
                .filter(|told| self.is_same(told, wanted))
            {
                delete(graph, &told.id).await?;
                found = true;
            }
            page = listed.next;
        }
        Ok(found)
    }

    fn is_same(&self, told: &Told, wanted: &MadeWith) -> bool {
        let plain = |resource: &str| {
            let path = resource.split('?').next().unwrap_or_default();
            path.trim_start_matches('/').to_lowercase()
        };
        told.notification_url.as_deref() == Some(&wanted.url)
            && told.change_type == self.folder.change_type
            && plain(&told.resource) == plain(&self.folder.resource)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, PluginError> {
        let graph = self.outlook.graph();
        graph.ask(method, &graph.url(path), body).await
    }
}

impl Kept {
    /// Half a life is left for whatever keeps the hub from prolonging it.
    fn lives_until(&mut self, expires_at: DateTime<Utc>) {
        let now = Utc::now();
        let left = expires_at - now;
        self.expires_at = expires_at;
        self.renew_at = now
            + match left > TimeDelta::zero() {
                true => (left / 2).max(SOONEST),
                false => WHEN_CLOCKS_DIFFER,
            };
    }
}

/// Deletes a subscription, if it is there.
pub(crate) async fn delete(graph: &Graph, id: &str) -> Result<(), PluginError> {
    let url = graph.url(&format!("subscriptions/{id}"));
    is_gone(graph.ask(Method::DELETE, &url, None).await?)?;
    Ok(())
}

/// A success, or `None` when there is no such subscription.
fn is_gone(answer: Answer) -> Result<Option<Answer>, PluginError> {
    match answer.status() {
        404 | 410 => Ok(None),
        _ => answer.expect_success().map(Some),
    }
}

fn life(with_mail: bool) -> TimeDelta {
    if with_mail { LIFE_WITH_MAIL } else { LIFE }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_looked_at_after_half_its_life_and_never_at_once() {
        let mut kept = Kept {
            id: "s-1".to_owned(),
            expires_at: DateTime::UNIX_EPOCH,
            renew_at: DateTime::UNIX_EPOCH,
            made_with: MadeWith {
                url: String::new(),
                certificate_id: None,
            },
        };
        for (life, wait) in [
            (TimeDelta::hours(2), TimeDelta::hours(1)),
            (TimeDelta::milliseconds(100), SOONEST),
            (TimeDelta::zero(), WHEN_CLOCKS_DIFFER),
            (TimeDelta::days(-4_000), WHEN_CLOCKS_DIFFER),
        ] {
            let before = Utc::now();
            kept.lives_until(before + life);
            let waits = kept.renew_at - before;
            let a_moment = TimeDelta::seconds(10);
            assert!(
                waits >= wait - a_moment / 100 && waits < wait + a_moment,
                "{life}: {waits}"
            );
        }
    }
}
