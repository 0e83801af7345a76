//! Where the listing of an account stands: one value in the plugin's state, written with the events that a listing has
//! led to, or not at all.

use chrono::{DateTime, Utc};
use nexus_plugin_api::{Context, PluginError};
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The folder that is followed. Another one is another beginning.
    pub(crate) folder: String,
    /// Where to go on; `None` to list from the start.
    pub(crate) cursor: Option<String>,
    pub(crate) stage: Stage,
    /// Whether the folder has never been listed to the end.
    pub(crate) is_new: bool,
    /// When it was first looked at: what was written later is news, in the first listing as well.
    #[serde(default)]
    pub(crate) first_look: Option<DateTime<Utc>>,
    /// Counts the listings from the start. Files are kept under the one that they were last seen in.
    pub(crate) generation: u64,
    /// Files may be kept under this one and later ones.
    pub(crate) oldest: u64,
    /// Files that are kept under earlier ones are of the folder that was followed before, and of no concern.
    #[serde(default)]
    pub(crate) own: u64,
    /// How many files are kept.
    pub(crate) files: u64,
    /// Whether there were once more files than are kept.
    pub(crate) is_over: bool,
    /// When the last listing that came to its end was begun.
    pub(crate) listed: Option<DateTime<Utc>>,
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// Everything is listed from the start.
    Listing,
    /// What was not seen in that listing has gone.
    Sweeping,
    /// Changes are followed.
    Following,
}

impl Record {
    /// How an account stands.
    pub(crate) async fn load(
        ctx: &Context,
        account: &str,
        folder: &str,
    ) -> Result<Self, PluginError> {
        let kept: Option<Self> = ctx.state().get_json(&key(account)).await?;
        Ok(match kept {
            Some(record) if record.folder == folder => record,
            Some(mut record) => {
                record.start_over();
                Self {
                    folder: folder.to_owned(),
                    is_new: true,
                    first_look: None,
                    own: record.generation,
                    files: 0,
                    is_over: false,
                    ..record
                }
            }
            None => Self::of(folder),
        })
    }

    /// A folder that nothing is known of.
    fn of(folder: &str) -> Self {
        Self {
            folder: folder.to_owned(),
            cursor: None,
            stage: Stage::Listing,
            is_new: true,
            first_look: None,
            generation: 0,
            oldest: 0,
            own: 0,
            files: 0,
            is_over: false,
            listed: None,
        }
    }

    pub(crate) async fn save(&self, ctx: &Context, account: &str) -> Result<(), PluginError> {
        ctx.state().put_json(&key(account), self).await
    }

    /// Whether a listing that was begun after that time has come to its end. One of the future was timed by a clock
    /// that was ahead, and says nothing.
    pub(crate) fn is_listed_since(&self, time: DateTime<Utc>) -> bool {
        let is_since = |listed| listed > time && listed <= Utc::now();
        self.stage == Stage::Following && self.listed.is_some_and(is_since)
    }

    /// Lists from the start.
    pub(crate) fn start_over(&mut self) {
        self.cursor = None;
        self.generation += 1;
        self.stage = Stage::Listing;
    }

    /// There are no more pages.
    pub(crate) fn is_at_end(&mut self, begun: DateTime<Utc>) {
        self.listed = Some(begun);
        match self.oldest < self.generation {
            true => self.stage = Stage::Sweeping,
            false => self.is_swept(),
        }
    }

    /// Nothing is kept any more that was not seen.
    pub(crate) fn is_swept(&mut self) {
        self.oldest = self.generation;
        self.stage = Stage::Following;
        self.is_new = false;
    }
}

fn key(account: &str) -> String {
    format!("account/{account}")
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_clock_that_was_ahead_holds_up_nothing() {
        let now = Utc::now();
        let hour = TimeDelta::hours(1);
        let mut record = Record::of("");
        record.is_at_end(now);
        assert!(record.is_listed_since(now - hour));
        assert!(!record.is_listed_since(now + hour));
        record.is_at_end(now + hour);
        assert!(!record.is_listed_since(now - hour));
    }
}
