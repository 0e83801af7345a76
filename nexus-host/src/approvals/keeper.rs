//! What has to happen to questions without anybody doing anything: their time ends, what could not be told is told,
//! and what ended long ago is forgotten.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use nexus_plugin_api::PluginError;
use serde_json::Value;
use tracing::Instrument;

use super::record::News;
use super::{Approval, ApprovalStatus, Approvals, Given, storage_failed};
use crate::queue::Unavailable;

/// When something that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// After so long the clock is looked at again: somebody may have set it.
const GLANCE: Duration = Duration::from_secs(60);

impl Approvals {
    /// Looks after the questions; never ends.
    pub async fn keep(self: Arc<Self>) {
        loop {
            let wait = match self.look_after().await {
                Ok(None) => GLANCE,
                Ok(Some(next)) => (next - Utc::now()).to_std().unwrap_or_default().min(GLANCE),
                Err(error) => {
                    tracing::warn!(%error, "approvals cannot be looked after for the moment");
                    AGAIN
                }
            };
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Does what is due. When the next is.
    async fn look_after(&self) -> Result<Option<DateTime<Utc>>, Unavailable> {
        let next = self.end_what_is_over().await?;
        let told = self.tell_all().await;
        self.forget_the_oldest().await?;
        Ok(match told {
            Ok(()) => next,
            Err(error) => {
                tracing::warn!(%error, "what became of approvals is told later");
                let again = Utc::now() + AGAIN;
                Some(next.map_or(again, |next| next.min(again)))
            }
        })
    }

    /// Ends the questions whose time is up. When that of the next one is.
    async fn end_what_is_over(&self) -> Result<Option<DateTime<Utc>>, Unavailable> {
        let _alone = self.changing.lock().await;
        let now = Utc::now();
        let mut next: Option<DateTime<Utc>> = None;
        for approval in self.list() {
            match approval.status {
                ApprovalStatus::Pending if approval.expires_at <= now => {
                    self.expire(&approval).await?;
                }
                ApprovalStatus::Pending => {
                    let at = approval.expires_at;
                    next = Some(next.map_or(at, |next| next.min(at)));
                }
                _ => {}
            }
        }
        Ok(next)
    }

    /// Tells what there is to tell, until the queue has no room for it. Nobody who asks or answers waits for that.
    async fn tell_all(&self) -> Result<(), PluginError> {
        for approval in self.list() {
            let mut approval = approval;
            while let Some(news) = approval.news() {
                let span = approval.ids().span();
                approval = self.tell(&approval, news).instrument(span).await?;
            }
        }
        Ok(())
    }

    /// Publishes what there is to tell, and notes that.
    async fn tell(&self, approval: &Approval, news: News) -> Result<Arc<Approval>, PluginError> {
        if let Err(refused) = self.announce.announce(approval.event_of(news)?).await {
            if refused.retryable {
                return Err(refused);
            }
            self.tell_the_least(approval, news, &refused).await?;
        }
        let _alone = self.changing.lock().await;
        // It may have been answered meanwhile.
        let now = self.get(approval.id);
        let told = now.as_deref().unwrap_or(approval).told(news);
        self.keep_record(told).await.map_err(storage_failed)
    }

    /// An event about it is refused for good, as limits or rules have changed: what came with the question may be why.
    async fn tell_the_least(
        &self,
        approval: &Approval,
        news: News,
        refused: &PluginError,
    ) -> Result<(), PluginError> {
        let id = approval.id;
        tracing::error!(approval_id = %id, %refused, "what became of an approval goes without its context");
        let bare = Approval {
            context: Value::Null,
            ..approval.clone()
        };
        match self.announce.announce(bare.event_of(news)?).await {
            Err(error) if !error.retryable => {
                tracing::error!(approval_id = %id, %error, "what became of an approval cannot be told");
                Ok(())
            }
            told => told,
        }
    }

    /// Forgets what ended long ago, but that it was asked as long as the queue knows its events: asked once more, the
    /// answer would be one that the queue has had.
    async fn forget_the_oldest(&self) -> Result<(), Unavailable> {
        let _alone = self.changing.lock().await;
        let mut ended = self.list();
        ended.retain(|approval| approval.answer.is_some() && approval.news().is_none());
        // The last that have ended are listed first.
        for approval in ended.iter().skip(self.config.max_ended) {
            self.keep_record(approval.forgotten()).await?;
        }
        let now = Utc::now();
        let is_past = |given: &Given| {
            (now - given.at)
                .to_std()
                .is_ok_and(|age| age >= self.dedup_window)
        };
        for approval in self.all() {
            if approval.is_forgotten && approval.answer.as_ref().is_none_or(is_past) {
                self.let_go(approval.id).await?;
            }
        }
        Ok(())
    }
}
