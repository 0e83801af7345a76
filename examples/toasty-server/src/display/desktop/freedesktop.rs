//! Freedesktop notifications over D-Bus: one task per toast on show.
//!
//! A task owns its notification from showing to closing, and shows changes and replacements on the
//! same connection, because a desktop may take notifications away with the connection that showed
//! them. It reports what the person did and ends; it never shows anything on its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nexus_proto::toasty::v1::ShowRequest;
use nexus_proto::toasty::v1::show_request::{Scenario, Urgency};
use notify_rust::{Hint, Notification, NotificationHandle};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::{app_name, happened, picture, popup_timeout, text};
use crate::display::{Abilities, Display, DisplayError, Feedback, FeedbackSender, Happened};
use crate::toast::{Toast, ToastId};

/// How long the desktop may take to say what it can do.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Orders waiting for one toast's task.
const ORDERS: usize = 8;

/// The notification service of the session this process belongs to.
pub struct Freedesktop {
    abilities: Abilities,
    /// Whether the service reads markup in the body, which has to be escaped then.
    markup: bool,
    shown: Shown,
    feedback: FeedbackSender,
}

type Shown = Arc<Mutex<HashMap<ToastId, mpsc::Sender<Order>>>>;

/// What the desk wants of a notification on show.
enum Order {
    /// Show this from now on, as this toast.
    Become {
        toast_id: ToastId,
        notification: Box<Notification>,
        done: oneshot::Sender<Result<(), DisplayError>>,
    },
    Close,
}

impl Freedesktop {
    /// Finds the session's notification service and asks what it can do.
    ///
    /// # Errors
    ///
    /// There is no session bus, nothing on it shows notifications, or it does not answer.
    pub async fn connect(feedback: FeedbackSender) -> Result<Self, DisplayError> {
        let asked = tokio::task::spawn_blocking(|| {
            let able = notify_rust::get_capabilities()?;
            let service = notify_rust::get_server_information()?;
            Ok::<_, notify_rust::error::Error>((
                able,
                format!("{} {}", service.name, service.version),
            ))
        });
        let (able, name) = match timeout(ANSWER_WITHIN, asked).await {
            Ok(Ok(answer)) => answer.map_err(|e| DisplayError::Unreachable(e.to_string()))?,
            Ok(Err(panicked)) => return Err(DisplayError::Unreachable(panicked.to_string())),
            Err(_) => {
                return Err(DisplayError::Unreachable(format!(
                    "no answer within {} s",
                    ANSWER_WITHIN.as_secs()
                )));
            }
        };
        let can = |ability: &str| able.iter().any(|a| a == ability);
        Ok(Self {
            abilities: Abilities {
                name,
                actions: can("actions"),
                inputs: false,
                images: can("icon-static") || can("icon-multi") || can("body-images"),
                sounds: can("sound"),
                // No service lists the `value` hint, and those that do not know it leave it out.
                progress: true,
                update_in_place: true,
                reports_dismissal: true,
            },
            markup: can("body-markup"),
            shown: Shown::default(),
            feedback,
        })
    }

    fn render(&self, toast: &ShowRequest) -> Notification {
        let body = text(toast);
        let mut notification = Notification::new();
        notification
            .appname(app_name(toast))
            .summary(&toast.title)
            .body(&if self.markup { escaped(&body) } else { body })
            .timeout(popup_timeout(toast))
            .urgency(urgency(toast));
        if self.abilities.actions {
            for action in &toast.actions {
                notification.action(&action.id, &action.label);
            }
        }
        if let Some(path) = picture(toast.image.as_ref()) {
            notification.image_path(path);
        }
        if let Some(sound) = &toast.sound {
            if sound.silent {
                notification.hint(Hint::SuppressSound(true));
            } else if !sound.name.is_empty() {
                notification.sound_name(&sound.name);
            }
        }
        if let Some(progress) = toast.progress.as_ref().filter(|p| !p.indeterminate) {
            // Checked to be 0 to 1; the hint counts percent.
            let percent = (progress.value * 100.0).round() as i32;
            notification.hint(Hint::CustomInt("value".to_owned(), percent));
        }
        notification
    }

    /// Hands a notification on show to another toast; gives it back when it is no longer there.
    async fn hand_over(
        &self,
        old: &ToastId,
        toast_id: &ToastId,
        notification: Notification,
    ) -> Result<Result<(), DisplayError>, Notification> {
        let Some(task) = self.shown.lock().get(old).cloned() else {
            return Err(notification);
        };
        let (done, became) = oneshot::channel();
        let order = Order::Become {
            toast_id: toast_id.clone(),
            notification: Box::new(notification.clone()),
            done,
        };
        if task.send(order).await.is_err() {
            return Err(notification);
        }
        // A task that ends without answering was closed by the person in the meantime.
        became.await.map_err(|_| notification)
    }
}

#[tonic::async_trait]
impl Display for Freedesktop {
    fn abilities(&self) -> Abilities {
        self.abilities.clone()
    }

    async fn show(&self, toast: &Toast, replaces: Option<&ToastId>) -> Result<(), DisplayError> {
        let mut notification = self.render(toast.request());
        if let Some(old) = replaces {
            match self.hand_over(old, toast.id(), notification).await {
                Ok(became) => return became,
                Err(back) => notification = back,
            }
        }
        let handle = notification
            .show_async()
            .await
            .map_err(DisplayError::Desktop)?;
        let (send, orders) = mpsc::channel(ORDERS);
        self.shown.lock().insert(toast.id().clone(), send);
        let place = Place {
            toast_id: toast.id().clone(),
            taken: true,
            shown: Arc::clone(&self.shown),
            feedback: self.feedback.clone(),
        };
        tokio::spawn(attend(handle, place, orders));
        Ok(())
    }

    async fn hide(&self, toast_id: &ToastId) {
        let task = self.shown.lock().remove(toast_id);
        if let Some(task) = task {
            // A task that has ended has nothing left to close.
            let _ = task.send(Order::Close).await;
            task.closed().await;
        }
    }
}

/// Attends one notification until it is closed.
async fn attend(
    mut handle: NotificationHandle,
    mut place: Place,
    mut orders: mpsc::Receiver<Order>,
) {
    let what = loop {
        let order = tokio::select! {
            // An answer that has come counts, even when an order waits.
            biased;
            answer = answer(&handle) => break answer,
            order = orders.recv() => order,
        };
        match order {
            Some(Order::Become {
                toast_id,
                notification,
                done,
            }) => {
                *handle = *notification;
                // Between here and the next wait an answer can be missed: the desktop then shows
                // the new words in a new popup, and the person is asked again.
                let changed = tokio::task::spawn_blocking(move || {
                    let changed = handle.update().map_err(DisplayError::Desktop);
                    (handle, changed)
                });
                let Ok((back, changed)) = changed.await else {
                    break lost();
                };
                handle = back;
                if changed.is_ok() {
                    place.move_to(toast_id);
                }
                // Nobody waits when the call was given up; the change was made all the same.
                let _ = done.send(changed);
            }
            Some(Order::Close) | None => {
                handle.close_async().await;
                place.leave();
                return;
            }
        }
    };
    // First, so that an order under way is answered: the desk may wait for it.
    drop(orders);
    let toast_id = place.leave();
    // Only a server that has stopped does not listen.
    let _ = place.feedback.send(Feedback { toast_id, what }).await;
}

/// A task's place among the toasts on show; a task that panics reports its toast as lost.
struct Place {
    toast_id: ToastId,
    taken: bool,
    shown: Shown,
    feedback: FeedbackSender,
}

impl Place {
    fn move_to(&mut self, toast_id: ToastId) {
        let mut shown = self.shown.lock();
        if let Some(task) = shown.remove(&self.toast_id) {
            shown.insert(toast_id.clone(), task);
        }
        self.toast_id = toast_id;
    }

    fn leave(&mut self) -> ToastId {
        self.taken = false;
        self.shown.lock().remove(&self.toast_id);
        self.toast_id.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.taken {
            let toast_id = self.leave();
            // A full channel leaves the toast to its time to live.
            let _ = self.feedback.try_send(Feedback {
                toast_id,
                what: lost(),
            });
        }
    }
}

fn lost() -> Happened {
    Happened::Failed("the desktop's connection was lost".to_owned())
}

async fn answer(handle: &NotificationHandle) -> Happened {
    let mut answer = None;
    handle
        .wait_for_action_async(|response| answer = Some(happened(response)))
        .await;
    answer.unwrap_or_else(lost)
}

fn urgency(toast: &ShowRequest) -> notify_rust::Urgency {
    match (toast.urgency(), toast.scenario()) {
        (Urgency::Critical, _)
        | (_, Scenario::Alarm | Scenario::IncomingCall | Scenario::Urgent) => {
            notify_rust::Urgency::Critical
        }
        (Urgency::Low, _) => notify_rust::Urgency::Low,
        _ => notify_rust::Urgency::Normal,
    }
}

/// Text that shows as it is where markup is read.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_shown_not_obeyed() {
        assert_eq!(escaped("<b>R&D</b>"), "&lt;b&gt;R&amp;D&lt;/b&gt;");
    }

    #[test]
    fn urgency_follows_the_scenario() {
        let mut toast = ShowRequest::default();
        assert_eq!(urgency(&toast), notify_rust::Urgency::Normal);
        toast.set_urgency(Urgency::Low);
        assert_eq!(urgency(&toast), notify_rust::Urgency::Low);
        toast.set_scenario(Scenario::Alarm);
        assert_eq!(urgency(&toast), notify_rust::Urgency::Critical);
    }
}
