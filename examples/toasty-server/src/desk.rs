//! The desk: receives calls and what the display reports, decides what becomes of each toast.
//!
//! The only place where a toast begins or ends. One lock orders everything that happens, from the
//! display to the log, so that watchers see one history. The desk knows nothing of gRPC.

use std::sync::Arc;
use std::time::Duration;

use nexus_proto::toasty::v1::dismissed::Reason;
use nexus_proto::toasty::v1::watch_event::Event;
use nexus_proto::toasty::v1::{
    Activated, Dismissed, Failed, ListReply, ListRequest, ShowReply, ShowRequest, Shown,
    TagAndGroup, UpdateReply, UpdateRequest, show_reply, update_reply,
};
use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, timeout};

use crate::display::{Abilities, Display, DisplayError, Feedback, Happened};
use crate::journal::Journal;
use crate::limits::{self, Violation};
use crate::store::Store;
use crate::toast::{Toast, ToastId};
use crate::watch_log::WatchLog;

/// How long a display may take over one toast.
const DISPLAY_WITHIN: Duration = Duration::from_secs(5);

/// A call could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeskError {
    #[error(transparent)]
    Invalid(#[from] Violation),
    #[error("no toast on show has the {0}; it may have ended: List tells what is on show")]
    NotFound(Target),
    #[error("failed to {0}")]
    Display(#[from] DisplayError),
    #[error("the display did not answer within {} s; try again", DISPLAY_WITHIN.as_secs())]
    Slow,
    #[error("the server is stopping; try again once it is back")]
    Stopping,
}

/// Which toasts a call means.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Id(ToastId),
    Tagged(TagAndGroup),
}

impl std::fmt::Display for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => write!(formatter, "toast_id `{id}`"),
            Self::Tagged(TagAndGroup { tag, group }) => {
                write!(formatter, "tag `{tag}` in the group `{group}`")
            }
        }
    }
}

/// Toasts, the display they are on, and the history of both.
pub(crate) struct Desk {
    display: Box<dyn Display>,
    log: Arc<WatchLog>,
    journal: Arc<Journal>,
    state: Mutex<State>,
    /// Told when a toast comes: it may be the next to run out.
    came: Notify,
}

#[derive(Default)]
struct State {
    store: Store,
    stopping: bool,
}

impl Desk {
    pub(crate) fn new(display: Box<dyn Display>, journal: Arc<Journal>) -> Self {
        Self {
            display,
            log: Arc::new(WatchLog::new()),
            journal,
            state: Mutex::default(),
            came: Notify::new(),
        }
    }

    pub(crate) fn log(&self) -> &Arc<WatchLog> {
        &self.log
    }

    pub(crate) fn abilities(&self) -> Abilities {
        self.display.abilities()
    }

    /// Shows a toast, or tells that this was done before.
    ///
    /// # Errors
    ///
    /// A field breaks a limit, the display refuses or is slow, or the server is stopping. Nothing
    /// is remembered of the request then.
    pub(crate) async fn show(&self, request: ShowRequest) -> Result<ShowReply, DeskError> {
        limits::check_show(&request)?;
        let mut state = self.state.lock().await;
        if state.stopping {
            return Err(DeskError::Stopping);
        }
        if let Some(toast_id) = state.store.answered(&request.request_id) {
            return Ok(ShowReply {
                toast_id: toast_id.to_string(),
                outcome: show_reply::Outcome::Duplicate.into(),
                replaced_toast_id: String::new(),
            });
        }

        let old = if request.replace {
            state.store.tagged(&TagAndGroup {
                tag: request.tag.clone(),
                group: request.group.clone(),
            })
        } else {
            Vec::new()
        };
        let toast = Toast::new(request);
        let suppressed = toast.request().suppress_popup;
        let mut off_display = old.as_slice();
        if !suppressed {
            let replaces = old.last();
            self.within(self.display.show(&toast, replaces)).await?;
            off_display = &old[..old.len().saturating_sub(1)];
        }
        for id in off_display {
            self.hide(id).await;
        }
        for id in &old {
            self.end(&mut state, id, |_| {
                Event::Dismissed(Dismissed {
                    reason: Reason::ApplicationHidden.into(),
                    replaced_by: toast.id().to_string(),
                })
            });
        }

        let reply = ShowReply {
            toast_id: toast.id().to_string(),
            outcome: if suppressed {
                show_reply::Outcome::Suppressed
            } else if old.is_empty() {
                show_reply::Outcome::Shown
            } else {
                show_reply::Outcome::Replaced
            }
            .into(),
            replaced_toast_id: old.last().map(ToString::to_string).unwrap_or_default(),
        };
        if !suppressed {
            self.tell(&toast, Event::Shown(Shown {}));
        }
        let request_id = toast.request().request_id.clone();
        state.store.remember(&request_id, toast.id().clone());
        state.store.insert(toast);
        while let Some(oldest) = state.store.surplus() {
            self.hide(&oldest).await;
            self.end(&mut state, &oldest, |_| hidden());
        }
        self.came.notify_one();
        Ok(reply)
    }

    /// Changes the words of a toast on show.
    ///
    /// # Errors
    ///
    /// A field breaks a limit, there is no such toast, or the display refuses or is slow. The toast
    /// stays as it was then.
    pub(crate) async fn update(
        &self,
        target: Target,
        update: &UpdateRequest,
    ) -> Result<UpdateReply, DeskError> {
        limits::check_update(update)?;
        let mut state = self.state.lock().await;
        let found = find(&state.store, &target)?;
        let toast = found
            .last()
            .and_then(|id| state.store.get(id))
            .ok_or(DeskError::NotFound(target))?;
        let toast_id = toast.id().to_string();
        let outcome = match toast.updated(update) {
            None => update_reply::Outcome::Stale,
            Some(toast) => {
                if !toast.request().suppress_popup {
                    self.within(self.display.update(&toast)).await?;
                }
                state.store.insert(toast);
                update_reply::Outcome::Updated
            }
        };
        Ok(UpdateReply {
            toast_id,
            outcome: outcome.into(),
        })
    }

    /// Takes toasts away; returns which.
    ///
    /// # Errors
    ///
    /// There is no such toast.
    pub(crate) async fn dismiss(&self, target: Target) -> Result<Vec<ToastId>, DeskError> {
        let mut state = self.state.lock().await;
        let found = find(&state.store, &target)?;
        for id in &found {
            self.hide(id).await;
            self.end(&mut state, id, |_| hidden());
        }
        Ok(found)
    }

    /// The toasts that have not ended.
    pub(crate) async fn list(&self, only: &ListRequest) -> ListReply {
        let state = self.state.lock().await;
        let wanted = |asked: &str, has: &str| asked.is_empty() || asked == has;
        ListReply {
            toasts: state
                .store
                .iter()
                .filter(|toast| wanted(&only.app_id, &toast.request().app_id))
                .filter(|toast| wanted(&only.group, &toast.request().group))
                .map(Toast::info)
                .collect(),
        }
    }

    /// Takes in what the display reports. A toast that has ended meanwhile is nothing to do.
    pub(crate) async fn report(&self, feedback: Feedback) {
        let mut state = self.state.lock().await;
        self.end(&mut state, &feedback.toast_id, |toast| {
            match feedback.what {
                Happened::Activated { action_id, inputs } => Event::Activated(Activated {
                    uri: toast.uri_of(&action_id),
                    action_id,
                    inputs,
                }),
                Happened::Dismissed(reason) => dismissed(reason),
                Happened::Failed(message) => Event::Failed(Failed { message }),
            }
        });
    }

    /// Ends toasts as their time runs out, for as long as it is polled.
    pub(crate) async fn watch_clock(&self) {
        loop {
            let next = self.state.lock().await.store.next_deadline();
            match next {
                Some(deadline) => tokio::select! {
                    () = tokio::time::sleep_until(deadline) => {}
                    () = self.came.notified() => {}
                },
                None => self.came.notified().await,
            }
            let mut state = self.state.lock().await;
            for id in state.store.expired(Instant::now()) {
                self.hide(&id).await;
                self.end(&mut state, &id, |_| dismissed(Reason::TimedOut));
            }
        }
    }

    /// Takes every toast away and ends the log: nobody would hear an answer after this.
    pub(crate) async fn close(&self) {
        let mut state = self.state.lock().await;
        state.stopping = true;
        let all: Vec<ToastId> = state.store.iter().map(|toast| toast.id().clone()).collect();
        for id in all {
            self.hide(&id).await;
            self.end(&mut state, &id, |_| hidden());
        }
        self.log.close();
    }

    /// Ends a toast, if it has not ended yet, and tells how.
    fn end(&self, state: &mut State, id: &ToastId, how: impl FnOnce(&Toast) -> Event) {
        if let Some(toast) = state.store.remove(id) {
            let event = how(&toast);
            self.tell(&toast, event);
        }
    }

    fn tell(&self, toast: &Toast, event: Event) {
        self.journal.event(&self.log.append(toast, event));
    }

    async fn hide(&self, id: &ToastId) {
        if timeout(DISPLAY_WITHIN, self.display.hide(id))
            .await
            .is_err()
        {
            tracing::warn!(toast_id = %id, "the display was too slow to take a toast away");
        }
    }

    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, DisplayError>>,
    ) -> Result<T, DeskError> {
        timeout(DISPLAY_WITHIN, work)
            .await
            .map_err(|_| DeskError::Slow)?
            .map_err(DeskError::from)
    }
}

/// The toasts a call means, oldest first: at least one.
fn find(store: &Store, target: &Target) -> Result<Vec<ToastId>, DeskError> {
    let found = match target {
        Target::Id(id) => store.get(id).map(|_| id.clone()).into_iter().collect(),
        Target::Tagged(name) => {
            limits::check_tagged(name)?;
            store.tagged(name)
        }
    };
    if found.is_empty() {
        return Err(DeskError::NotFound(target.clone()));
    }
    Ok(found)
}

fn dismissed(reason: Reason) -> Event {
    Event::Dismissed(Dismissed {
        reason: reason.into(),
        replaced_by: String::new(),
    })
}

fn hidden() -> Event {
    dismissed(Reason::ApplicationHidden)
}
