//! Where toasts are shown: receives toasts, puts them before a person, reports what the person did.
//!
//! One trait, three displays: the desktop, a terminal, and none. A display keeps only what it needs
//! to recognise an answer; it never decides what becomes of a toast, and never ends one by itself.

mod desktop;
mod none;
mod terminal;

use std::collections::BTreeMap;
use std::fmt;

use nexus_proto::toasty::v1::dismissed::Reason;
use tokio::sync::mpsc;

pub use desktop::Desktop;
pub use none::NoDisplay;
pub use terminal::Terminal;

use crate::toast::{Toast, ToastId};

/// The kinds of display there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum DisplayKind {
    /// Notifications of the desktop: freedesktop D-Bus, Windows or macOS.
    Desktop,
    /// Lines in a terminal, answered by typing.
    Terminal,
    /// Nothing is shown; the journal and the events are all there is.
    #[default]
    None,
}

impl fmt::Display for DisplayKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Desktop => "desktop",
            Self::Terminal => "terminal",
            Self::None => "none",
        })
    }
}

/// What a display can do; the contract's GetCapabilitiesReply tells each in a sentence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// The desktop's own name and version; empty if it has none.
    pub name: String,
    /// Buttons are shown and can be pressed.
    pub actions: bool,
    /// Inputs are shown and can be filled in.
    pub inputs: bool,
    /// Pictures are shown.
    pub images: bool,
    /// Sounds are played.
    pub sounds: bool,
    /// Progress is shown.
    pub progress: bool,
    /// A toast on show can be changed in place.
    pub update_in_place: bool,
    /// The display reports when a person closes a toast.
    pub reports_dismissal: bool,
}

/// What a display reports about a toast it shows; the toast is off the display then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feedback {
    /// The toast.
    pub toast_id: ToastId,
    /// What happened to it.
    pub what: Happened,
}

/// What can happen to a toast on a display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// A person answered.
    Activated {
        /// The button; `default` for the body.
        action_id: String,
        /// What was filled in, by input id.
        inputs: BTreeMap<String, String>,
    },
    /// It went without an answer.
    Dismissed(Reason),
    /// The display lost it: what happened.
    Failed(String),
}

/// Where a display puts what it reports. Bounded: a display waits while the desk is busy.
pub type FeedbackSender = mpsc::Sender<Feedback>;

/// A toast could not be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DisplayError {
    /// The desktop refused it or is gone.
    #[error("show the toast on the desktop: {0}; is its notification service running?")]
    Desktop(#[source] notify_rust::error::Error),
    /// The desktop could not be spoken to at all.
    #[error("reach the desktop's notification service: {0}")]
    Unreachable(String),
    /// The terminal is closed.
    #[error("print the toast in the terminal: {0}")]
    Terminal(#[from] std::io::Error),
}

/// A place where toasts are shown.
///
/// The desk calls one method at a time, and gives each a deadline: a method must be safe to drop
/// while it waits.
#[tonic::async_trait]
pub trait Display: Send + Sync + 'static {
    /// What it can do. Fixed.
    fn abilities(&self) -> Abilities;

    /// Shows a toast; in the place of `replaces` where that is on show here.
    ///
    /// # Errors
    ///
    /// The toast is not on the display; `replaces` may or may not be.
    async fn show(&self, toast: &Toast, replaces: Option<&ToastId>) -> Result<(), DisplayError>;

    /// Shows the new words of a toast on show.
    ///
    /// # Errors
    ///
    /// The display still shows the old words, or nothing.
    async fn update(&self, toast: &Toast) -> Result<(), DisplayError> {
        self.show(toast, Some(toast.id())).await
    }

    /// Takes a toast away, without reporting it. A toast not on show here is nothing to do.
    async fn hide(&self, toast_id: &ToastId);
}
