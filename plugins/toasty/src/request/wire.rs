//! Requests as messages of `toasty.v1`: receives checked requests, hands on what goes over the wire.

use nexus_proto::toasty::v1::{
    self as proto, DismissRequest, ShowRequest, TagAndGroup, UpdateRequest, dismiss_request,
    show_request, update_request,
};

use super::{
    Action, Choice, Image, Input, InputKind, Placement, PopupDuration, Progress, Scenario, Show,
    Sound, Style, Target, Update, Urgency,
};

impl Show {
    /// The message; the caller adds what it knows of the circumstances.
    pub(crate) fn into_message(self) -> ShowRequest {
        ShowRequest {
            request_id: String::new(),
            app_id: self.app_id.unwrap_or_default(),
            title: self.title,
            body: self.body,
            attribution: self.attribution,
            image: self.image.map(Into::into),
            actions: self.actions.into_iter().map(Into::into).collect(),
            inputs: self.inputs.into_iter().map(Into::into).collect(),
            urgency: self.urgency.map_or(0, |urgency| {
                i32::from(match urgency {
                    Urgency::Low => show_request::Urgency::Low,
                    Urgency::Normal => show_request::Urgency::Normal,
                    Urgency::High => show_request::Urgency::High,
                    Urgency::Critical => show_request::Urgency::Critical,
                })
            }),
            scenario: self.scenario.map_or(0, |scenario| {
                i32::from(match scenario {
                    Scenario::Reminder => show_request::Scenario::Reminder,
                    Scenario::Alarm => show_request::Scenario::Alarm,
                    Scenario::IncomingCall => show_request::Scenario::IncomingCall,
                    Scenario::Urgent => show_request::Scenario::Urgent,
                })
            }),
            tag: self.tag,
            group: self.group,
            replace: self.replace,
            suppress_popup: self.suppress_popup,
            // The check has bounded it to 72 hours, which fit.
            ttl: self.ttl.and_then(|ttl| ttl.0.try_into().ok()),
            sound: self.sound.map(Into::into),
            progress: self.progress.map(Into::into),
            correlation: None,
            duration: self.duration.map_or(0, |duration| {
                i32::from(match duration {
                    PopupDuration::Short => show_request::PopupDuration::Short,
                    PopupDuration::Long => show_request::PopupDuration::Long,
                })
            }),
        }
    }
}

impl Update {
    pub(crate) fn into_message(self) -> UpdateRequest {
        UpdateRequest {
            target: Some(match self.toast_id {
                Some(id) => update_request::Target::ToastId(id),
                None => update_request::Target::Tagged(TagAndGroup {
                    tag: self.tag.unwrap_or_default(),
                    group: self.group,
                }),
            }),
            title: self.title,
            body: self.body,
            attribution: self.attribution,
            progress: self.progress.map(Into::into),
            sequence_number: self.sequence_number,
        }
    }
}

impl Target {
    pub(crate) fn into_message(self) -> DismissRequest {
        DismissRequest {
            target: Some(match self.toast_id {
                Some(id) => dismiss_request::Target::ToastId(id),
                None => dismiss_request::Target::Tagged(TagAndGroup {
                    tag: self.tag.unwrap_or_default(),
                    group: self.group,
                }),
            }),
        }
    }
}

impl From<Action> for proto::Action {
    fn from(action: Action) -> Self {
        Self {
            id: action.id,
            label: action.label,
            style: action.style.map_or(0, |style| {
                i32::from(match style {
                    Style::Success => proto::action::Style::Success,
                    Style::Critical => proto::action::Style::Critical,
                })
            }),
            uri: action.uri,
        }
    }
}

impl From<Input> for proto::Input {
    fn from(input: Input) -> Self {
        Self {
            id: input.id,
            kind: match input.kind {
                InputKind::Text => proto::input::Kind::Text,
                InputKind::Selection => proto::input::Kind::Selection,
            }
            .into(),
            placeholder: input.placeholder,
            choices: input.choices.into_iter().map(Into::into).collect(),
            title: input.title,
            default_value: input.default_value,
        }
    }
}

impl From<Choice> for proto::Choice {
    fn from(choice: Choice) -> Self {
        Self {
            id: choice.id,
            label: choice.label,
        }
    }
}

impl From<Image> for proto::Image {
    fn from(image: Image) -> Self {
        Self {
            uri: image.uri,
            alt: image.alt,
            placement: image.placement.map_or(0, |placement| {
                i32::from(match placement {
                    Placement::Inline => proto::image::Placement::Inline,
                    Placement::Hero => proto::image::Placement::Hero,
                    Placement::AppLogo => proto::image::Placement::AppLogo,
                })
            }),
        }
    }
}

impl From<Sound> for proto::Sound {
    fn from(sound: Sound) -> Self {
        Self {
            name: sound.name,
            silent: sound.silent,
        }
    }
}

impl From<Progress> for proto::Progress {
    fn from(progress: Progress) -> Self {
        Self {
            value: progress.value.unwrap_or_default(),
            indeterminate: progress.value.is_none(),
            title: progress.title,
            status: progress.status,
            value_label: progress.value_label,
        }
    }
}
