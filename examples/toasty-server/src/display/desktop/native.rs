//! Windows and macOS notifications: one thread per toast on show, as notify-rust waits blocking.
//!
//! Neither system lets notify-rust take a notification away or change it, so a toast that is hidden
//! here only stops being listened to, and a changed one is shown anew.

use std::sync::mpsc;

use notify_rust::{Notification, NotificationResponse};

use super::{app_name, happened, picture, popup_timeout, text};
use crate::display::{Abilities, Display, DisplayError, Feedback, FeedbackSender, Happened};
use crate::toast::{Toast, ToastId};

/// The notification service of the system.
pub struct Native {
    feedback: FeedbackSender,
}

impl Native {
    /// The system's own service, which is always there.
    ///
    /// # Errors
    ///
    /// None on these systems; the freedesktop display may not find a service.
    pub async fn connect(feedback: FeedbackSender) -> Result<Self, DisplayError> {
        Ok(Self { feedback })
    }
}

#[tonic::async_trait]
impl Display for Native {
    fn abilities(&self) -> Abilities {
        Abilities {
            name: std::env::consts::OS.to_owned(),
            actions: true,
            inputs: false,
            images: true,
            sounds: true,
            progress: false,
            update_in_place: false,
            reports_dismissal: true,
        }
    }

    async fn show(&self, toast: &Toast, _: Option<&ToastId>) -> Result<(), DisplayError> {
        let request = toast.request();
        let mut notification = Notification::new();
        notification
            .appname(app_name(request))
            .summary(&request.title)
            .body(&text(request))
            .timeout(popup_timeout(request));
        #[cfg(target_os = "windows")]
        if !request.app_id.is_empty() {
            notification.app_id(&request.app_id);
        }
        for action in &request.actions {
            notification.action(&action.id, &action.label);
        }
        if let Some(path) = picture(request.image.as_ref()) {
            notification.image_path(path);
        }
        if let Some(sound) = request.sound.as_ref().filter(|s| !s.silent) {
            notification.sound_name(&sound.name);
        }

        let toast_id = toast.id().clone();
        let feedback = self.feedback.clone();
        let (shown, is_shown) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name("toasty-toast".to_owned())
            .spawn(move || attend(&notification, toast_id, shown, &feedback))
            .map_err(|error| DisplayError::Unreachable(error.to_string()))?;
        is_shown
            .await
            .map_err(|_| DisplayError::Unreachable("the toast's thread ended".to_owned()))?
    }

    async fn hide(&self, _: &ToastId) {}
}

fn attend(
    notification: &Notification,
    toast_id: ToastId,
    shown: tokio::sync::oneshot::Sender<Result<(), DisplayError>>,
    feedback: &FeedbackSender,
) {
    let handle = match notification.show() {
        Ok(handle) => handle,
        Err(error) => {
            // The caller gave up waiting: it was told so already.
            let _ = shown.send(Err(DisplayError::Desktop(error)));
            return;
        }
    };
    let _ = shown.send(Ok(()));
    let (send, answer) = mpsc::channel();
    let waited = handle.wait_for_response(move |response: &NotificationResponse| {
        let _ = send.send(happened(response));
    });
    let what = match (waited, answer.try_recv()) {
        (_, Ok(what)) => what,
        (Err(error), Err(_)) => Happened::Failed(error.to_string()),
        (Ok(()), Err(_)) => Happened::Failed("the system told no answer".to_owned()),
    };
    // Only a server that has stopped does not listen.
    let _ = feedback.blocking_send(Feedback { toast_id, what });
}
