//! What has to happen to questions without anybody doing anything: their time ends, what could not be told is told,
//! and what ended long ago is forgotten.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Approval, ApprovalStatus, Approvals};
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
        let _alone = self.changing.lock().await;
        let mut ended = Vec::new();
        let mut next: Option<DateTime<Utc>> = None;
        let mut due = |at| next = Some(next.map_or(at, |next| next.min(at)));
        for approval in self.list() {
            let approval = match approval.status {
                ApprovalStatus::Pending if approval.expires_at > Utc::now() => {
                    due(approval.expires_at);
                    continue;
                }
                ApprovalStatus::Pending => self.expire(&approval).await?,
                _ if approval.is_untold() => self.tell(&approval).await.unwrap_or(approval),
                _ => approval,
            };
            if approval.is_untold() {
                due(Utc::now() + AGAIN);
            } else {
                ended.push(approval);
            }
        }
        self.forget_the_oldest(ended).await?;
        Ok(next)
    }

    async fn forget_the_oldest(&self, mut ended: Vec<Arc<Approval>>) -> Result<(), Unavailable> {
        ended.sort_by_key(|approval| approval.answer.as_ref().map(|given| given.at));
        let too_many = ended.len().saturating_sub(self.config.max_ended);
        for approval in &ended[..too_many] {
            self.forget(approval.id).await?;
        }
        Ok(())
    }
}
