//! What has changed in a folder since the last time: receives a place among Graph's changes from the plugin's state,
//! publishes the mail that came since, and keeps the new place. Mail that a notification brought as well is the same
//! event, and known again.
//!
//! The place is kept after each page, once all of it was published: whatever dies, nothing is left out.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use nexus_plugin_api::outgoing::Method;
use nexus_plugin_api::{Context, PluginError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fetch;
use crate::mail::{FIELDS, Message};
use crate::outlook::Outlook;
use crate::watched::Folder;

/// By how much two clocks may differ.
const OVERLAP: TimeDelta = TimeDelta::minutes(5);

/// A place among the changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Place {
    /// When this plugin first looked: no older mail is asked for, whatever is forgotten.
    #[serde(default)]
    first: DateTime<Utc>,
    /// Mail that was received before is of no concern: it was there before this plugin, or was seen to the end.
    since: DateTime<Utc>,
    /// Where to go on; none at first, and when Graph has forgotten it.
    link: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Page {
    value: Vec<Value>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
    #[serde(rename = "@odata.deltaLink")]
    delta: Option<String>,
}

/// See the module.
pub(crate) struct Delta<'a> {
    outlook: &'a Outlook,
    ctx: &'a Context,
    folder: &'a Folder,
}

impl<'a> Delta<'a> {
    pub(crate) fn new(outlook: &'a Outlook, ctx: &'a Context, folder: &'a Folder) -> Self {
        Self {
            outlook,
            ctx,
            folder,
        }
    }

    /// Keeps from when on mail is of concern, the first time.
    pub(crate) async fn begin(&self) -> Result<(), PluginError> {
        self.place().await.map(drop)
    }

    /// Publishes what has come since the last time.
    pub(crate) async fn round(&self) -> Result<(), PluginError> {
        let mut place = self.place().await?;
        let began = Utc::now();
        let mut is_anew = false;
        loop {
            let graph = self.outlook.graph();
            let link = place.link.as_deref().and_then(|link| graph.own(link));
            let url = link.unwrap_or_else(|| self.first(place.since));
            let answer = graph.ask(Method::GET, &url, None).await?;
            // 410 as a rule; 400 with one code or another, or 404, all the same. Once: it would go round for ever.
            let is_void = place.link.is_some() && matches!(answer.status(), 400 | 404 | 410);
            if is_void && !is_anew {
                tracing::info!(
                    "Graph has forgotten the place in mail of {}; it begins anew",
                    self.folder.mailbox
                );
                is_anew = true;
                place.link = None;
                self.keep(&place).await?;
                continue;
            }
            let page: Page = answer.expect_success()?.json()?;
            for message in page.value {
                self.publish(message).await?;
            }
            let is_last = page.next.is_none();
            // Without any, the next round asks by time again.
            place.link = match page.next.or(page.delta) {
                Some(link) => Some(graph.own(&link).ok_or_else(no_link)?),
                None => None,
            };
            if is_last {
                place.since = (began - OVERLAP).max(place.first);
            }
            self.keep(&place).await?;
            if is_last {
                return Ok(());
            }
        }
    }

    async fn place(&self) -> Result<Place, PluginError> {
        if let Some(place) = self.ctx.state().get_json(&self.folder.place_key()).await? {
            return Ok(place);
        }
        let now = Utc::now();
        let place = Place {
            first: now,
            since: now,
            link: None,
        };
        self.keep(&place).await?;
        Ok(place)
    }

    async fn keep(&self, place: &Place) -> Result<(), PluginError> {
        self.ctx
            .state()
            .put_json(&self.folder.place_key(), place)
            .await
    }

    /// Where the changes since a time begin.
    fn first(&self, since: DateTime<Utc>) -> String {
        let since = since.to_rfc3339_opts(SecondsFormat::Millis, true);
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("$select", FIELDS);
        query.append_pair("$filter", &format!("receivedDateTime ge {since}"));
        if let Some(only) = self.folder.only {
            query.append_pair("changeType", only);
        }
        let path = format!("{}/delta?{}", self.folder.resource, query.finish());
        self.outlook.graph().url(&path)
    }

    async fn publish(&self, message: Value) -> Result<(), PluginError> {
        if message.get("@removed").is_some() {
            return Ok(());
        }
        let Ok(message) = serde_json::from_value::<Message>(message) else {
            tracing::warn!(
                "a message in mail of {} does not read as one",
                self.folder.mailbox
            );
            return Ok(());
        };
        let message = match message.is_whole() {
            true => Some(message),
            // A change tells of what has changed alone.
            false => {
                let path = format!("{}/{}", self.folder.resource, message.id());
                fetch::message(self.outlook.graph(), &path).await?
            }
        };
        let Some(mail) = message.and_then(|message| message.received_in(&self.folder.mailbox))
        else {
            return Ok(());
        };
        let event = self.outlook.event(&mail)?;
        match self.ctx.publish(event).await {
            Ok(_) => Ok(()),
            Err(error) if error.retryable => Err(error),
            Err(error) => {
                tracing::error!("the hub refuses a mail: {error}");
                Ok(())
            }
        }
    }
}

fn no_link() -> PluginError {
    let told = "a page of changes names a link that is none";
    PluginError::retryable("malformed_answer", told)
}
