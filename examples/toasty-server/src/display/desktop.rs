//! The desktop as a display: receives toasts, hands them to notify-rust, reports what comes back.
//!
//! All that differs between desktops is in this folder: `freedesktop` speaks D-Bus (Linux, BSD),
//! `native` uses what notify-rust offers on Windows and macOS. Nothing outside knows which one runs.

#[cfg(all(unix, not(target_os = "macos")))]
mod freedesktop;
#[cfg(not(all(unix, not(target_os = "macos"))))]
mod native;

#[cfg(all(unix, not(target_os = "macos")))]
pub use freedesktop::Freedesktop as Desktop;
#[cfg(not(all(unix, not(target_os = "macos"))))]
pub use native::Native as Desktop;

use std::time::Duration;

use nexus_proto::toasty::v1::dismissed::Reason;
use nexus_proto::toasty::v1::show_request::{PopupDuration, Scenario};
use nexus_proto::toasty::v1::{Image, ShowRequest};
use notify_rust::{CloseReason, NotificationResponse, Timeout};

use super::Happened;

/// The name toasts are shown under when they bring none.
const APP_NAME: &str = "Toasty";

const SHORT: Duration = Duration::from_secs(7);
const LONG: Duration = Duration::from_secs(25);

/// What a response of notify-rust means; the same on every desktop.
fn happened(response: &NotificationResponse) -> Happened {
    let pressed = |action_id: &str| Happened::Activated {
        action_id: action_id.to_owned(),
        inputs: std::collections::BTreeMap::new(),
    };
    match response {
        NotificationResponse::Default => pressed("default"),
        NotificationResponse::Action(action_id) => pressed(action_id),
        // Only with a reply field, which no toast is given.
        NotificationResponse::Reply(_) => pressed("default"),
        NotificationResponse::Closed(reason) => Happened::Dismissed(match reason {
            CloseReason::Expired => Reason::TimedOut,
            CloseReason::CloseAction => Reason::ApplicationHidden,
            CloseReason::Dismissed | CloseReason::Other(_) => Reason::UserCanceled,
        }),
    }
}

/// How long the popup stays. With a time to live and no duration it stays until the desk ends it.
fn popup_timeout(toast: &ShowRequest) -> Timeout {
    match (toast.duration(), toast.scenario()) {
        (PopupDuration::Short, _) => SHORT.into(),
        (PopupDuration::Long, _) => LONG.into(),
        (_, Scenario::Reminder | Scenario::Alarm | Scenario::IncomingCall) => Timeout::Never,
        _ if toast.ttl.is_some() => Timeout::Never,
        _ => Timeout::Default,
    }
}

/// The lines below the title: what every desktop shows as one text.
fn text(toast: &ShowRequest) -> String {
    let mut text = toast.body.clone();
    if !toast.attribution.is_empty() {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&toast.attribution);
    }
    text
}

fn app_name(toast: &ShowRequest) -> &str {
    if toast.app_id.is_empty() {
        APP_NAME
    } else {
        &toast.app_id
    }
}

/// The picture, if it is a file of this machine: nothing is ever fetched.
fn picture(image: Option<&Image>) -> Option<&str> {
    let uri = image?.uri.as_str();
    let path = uri.strip_prefix("file://").unwrap_or(uri);
    std::path::Path::new(path).is_absolute().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_reasons_become_those_of_the_contract() {
        let closed = |reason| happened(&NotificationResponse::Closed(reason));
        assert_eq!(
            closed(CloseReason::Expired),
            Happened::Dismissed(Reason::TimedOut)
        );
        assert_eq!(
            closed(CloseReason::CloseAction),
            Happened::Dismissed(Reason::ApplicationHidden)
        );
        assert_eq!(
            closed(CloseReason::Dismissed),
            Happened::Dismissed(Reason::UserCanceled)
        );
    }

    #[test]
    fn a_popup_stays_as_asked() {
        let mut toast = ShowRequest::default();
        assert_eq!(popup_timeout(&toast), Timeout::Default);
        toast.ttl = Some(Duration::from_secs(60).try_into().unwrap());
        assert_eq!(popup_timeout(&toast), Timeout::Never);
        toast.set_duration(PopupDuration::Long);
        assert_eq!(popup_timeout(&toast), Timeout::Milliseconds(25_000));
    }

    #[test]
    fn only_files_of_this_machine_are_pictures() {
        let image = |uri: &str| Image {
            uri: uri.to_owned(),
            ..Image::default()
        };
        assert_eq!(picture(Some(&image("file:///a/b.png"))), Some("/a/b.png"));
        assert_eq!(picture(Some(&image("/a/b.png"))), Some("/a/b.png"));
        assert_eq!(picture(Some(&image("https://example.org/b.png"))), None);
        assert_eq!(picture(Some(&image("b.png"))), None);
        assert_eq!(picture(None), None);
    }
}
