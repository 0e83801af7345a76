//! What the integration is asked to do: receives the JSON of an effect, hands on typed requests.
//!
//! The names are those of `toasty.v1`. Unknown fields are refused. What breaks the contract's
//! limits is refused here ([`Request::check`]), with the field's path, before it goes anywhere.
//!
//! ```
//! use toasty::Request;
//!
//! let request: Request = serde_json::from_str(r#"{"show": {
//!     "title": "Approve the refund?",
//!     "body": "Order 17, 250 EUR",
//!     "actions": [{"id": "approve", "label": "Approve", "style": "success"},
//!                 {"id": "refuse", "label": "Refuse", "style": "critical"}],
//!     "inputs": [{"id": "why", "placeholder": "Reason"}],
//!     "urgency": "high",
//!     "tag": "refund-17", "replace": true, "ttl": "10m"
//! }}"#)?;
//! request.check()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod wire;

use serde::{Deserialize, Serialize};

pub use check::Violation;

use nexus_plugin_api::Period;

/// A request, as the JSON of an effect: `{"show": …}`, `{"update": …}` or `{"dismiss": …}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Show a toast.
    Show(Box<Show>),
    /// Change the words or the progress of a toast on show.
    Update(Update),
    /// Take toasts away.
    Dismiss(Target),
}

/// A toast to show.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Show {
    /// The first line, 1 to 256 characters.
    pub title: String,
    /// The text below it, at most 4096 characters of plain text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// A small line naming the origin, at most 256 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub attribution: String,
    /// Who shows it; left out, the configuration's `app_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    /// A picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// Buttons, at most 5.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Action>,
    /// Fields to fill in, at most 5.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Input>,
    /// How pressing it is; left out, `normal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub urgency: Option<Urgency>,
    /// A behaviour known to the desktop; left out, that of an ordinary toast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<Scenario>,
    /// Names the toast within its group, at most 64 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tag: String,
    /// Names a set of toasts, at most 64 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Whether to take the place of a toast with the same tag and group. Needs a tag.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replace: bool,
    /// Whether to record the toast without popping it up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suppress_popup: bool,
    /// The toast's whole life, such as `"10m"`: more than 0 and at most 72 hours (the default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Period>,
    /// How long the popup stays on the screen; left out, as the desktop is used to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<PopupDuration>,
    /// The sound when it pops up; left out, the desktop's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sound: Option<Sound>,
    /// A progress bar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

/// A button.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// What comes back when it is pressed, 1 to 64 characters. `default` is not shown as a button:
    /// it makes the toast's body clickable.
    pub id: String,
    /// What it says, 1 to 128 characters.
    pub label: String,
    /// How it looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub style: Option<Style>,
    /// A link, given back with the answer and never opened by the server.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uri: String,
}

/// A field to fill in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The key of the value in the answer, 1 to 64 characters.
    pub id: String,
    /// What it takes; left out, `text`.
    #[serde(default)]
    pub kind: InputKind,
    /// A line above it, at most 256 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// The grey text while it is empty, at most 256 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub placeholder: String,
    /// What it holds at first: text, or the id of a choice.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub default_value: String,
    /// What a `selection` offers, 1 to 5.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
}

/// One choice of a selection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// The value that comes back, 1 to 64 characters.
    pub id: String,
    /// What is shown, 1 to 128 characters.
    pub label: String,
}

/// A picture.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Where it is: a path or URL that the server or its desktop can read.
    pub uri: String,
    /// Said in its place.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub alt: String,
    /// Where it goes; left out, below the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
}

/// A sound.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sound {
    /// A name the desktop knows; empty for its own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Whether to show the toast without any sound.
    #[serde(default)]
    pub silent: bool,
}

/// A progress bar.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// How far it is, 0.0 to 1.0; left out, only that something moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Above the bar.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// Below it: what is being done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// In place of the percentage.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value_label: String,
}

/// A change of a toast on show. What is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// Which toast, by the server's id…
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toast_id: Option<String>,
    /// …or by its tag…
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// …and group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The first line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The line naming the origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribution: Option<String>,
    /// The progress bar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Orders updates that may overtake each other: one that is not higher than the last applied is
    /// dropped. 0 is always applied.
    #[serde(default)]
    pub sequence_number: u64,
}

/// Which toasts to take away: `{"toast_id"}` or `{"tag", "group"?}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// One, by the server's id…
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toast_id: Option<String>,
    /// …or all with that tag…
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// …and group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
}

/// How pressing a toast is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Urgency {
    Low,
    Normal,
    High,
    /// Does not leave the screen by itself.
    Critical,
}

/// A behaviour known to the desktop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scenario {
    /// Stays on the screen until answered.
    Reminder,
    /// The same, with a looping sound.
    Alarm,
    /// The same, laid out as a call.
    IncomingCall,
    /// Breaks through "do not disturb".
    Urgent,
}

/// How long a popup stays on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PopupDuration {
    /// 7 seconds.
    Short,
    /// 25 seconds.
    Long,
}

/// How a button looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// Green on Windows.
    Success,
    /// Red on Windows.
    Critical,
}

/// What a field takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// Any text.
    #[default]
    Text,
    /// One of its choices.
    Selection,
}

/// Where a picture goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// Below the text.
    Inline,
    /// A banner above it.
    Hero,
    /// In place of the application's logo.
    AppLogo,
}
