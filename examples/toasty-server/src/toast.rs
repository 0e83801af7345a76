//! A toast: receives a checked request, carries it until the toast ends, changes only its words.

use std::fmt;
use std::time::{Duration, SystemTime};

use nexus_proto::toasty::v1::{Progress, ShowRequest, ToastInfo, UpdateRequest};
use tokio::time::Instant;
use uuid::Uuid;

/// How long a toast lives when its request does not say, and at most: 72 hours, as on Windows.
pub(crate) const MAX_TTL: Duration = Duration::from_secs(72 * 3600);

/// Names a toast for good: a UUID of version 7, so that ids sort by age.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ToastId(String);

impl ToastId {
    fn new() -> Self {
        Self(Uuid::now_v7().to_string())
    }

    /// The id as it is on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ToastId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<&str> for ToastId {
    fn from(id: &str) -> Self {
        Self(id.to_owned())
    }
}

/// A toast which has not ended.
#[derive(Clone, Debug)]
pub struct Toast {
    id: ToastId,
    request: ShowRequest,
    shown_at: SystemTime,
    expires_at: SystemTime,
    deadline: Instant,
    last_update: u64,
}

impl Toast {
    /// A new toast of a request that `limits` let through.
    pub(crate) fn new(request: ShowRequest) -> Self {
        let ttl = request
            .ttl
            .and_then(|ttl| Duration::try_from(ttl).ok())
            .unwrap_or(MAX_TTL);
        let shown_at = SystemTime::now();
        Self {
            id: ToastId::new(),
            shown_at,
            expires_at: shown_at + ttl,
            deadline: Instant::now() + ttl,
            last_update: 0,
            request,
        }
    }

    /// Its name.
    pub fn id(&self) -> &ToastId {
        &self.id
    }

    /// What was asked for, with later updates applied.
    pub fn request(&self) -> &ShowRequest {
        &self.request
    }

    /// When it ends by itself, on the clock that runs steadily.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The link of one of its actions; empty if it has none.
    pub(crate) fn uri_of(&self, action_id: &str) -> String {
        self.request
            .actions
            .iter()
            .find(|action| action.id == action_id)
            .map(|action| action.uri.clone())
            .unwrap_or_default()
    }

    /// The toast with an update applied; `None` when a newer one was there before.
    pub(crate) fn updated(&self, update: &UpdateRequest) -> Option<Self> {
        let mut toast = self.clone();
        if update.sequence_number > 0 {
            if update.sequence_number <= toast.last_update {
                return None;
            }
            toast.last_update = update.sequence_number;
        }
        let request = &mut toast.request;
        replace(&mut request.title, update.title.as_ref());
        replace(&mut request.body, update.body.as_ref());
        replace(&mut request.attribution, update.attribution.as_ref());
        if let Some(progress) = &update.progress {
            request.progress = Some(Progress::clone(progress));
        }
        Some(toast)
    }

    /// The toast as List tells it.
    pub(crate) fn info(&self) -> ToastInfo {
        let request = &self.request;
        ToastInfo {
            toast_id: self.id.to_string(),
            request_id: request.request_id.clone(),
            app_id: request.app_id.clone(),
            title: request.title.clone(),
            body: request.body.clone(),
            tag: request.tag.clone(),
            group: request.group.clone(),
            suppressed: request.suppress_popup,
            shown_at: Some(self.shown_at.into()),
            expires_at: Some(self.expires_at.into()),
            actions: request.actions.clone(),
            inputs: request.inputs.clone(),
            correlation: request.correlation.clone(),
        }
    }
}

fn replace(field: &mut String, new: Option<&String>) {
    if let Some(new) = new {
        field.clone_from(new);
    }
}
