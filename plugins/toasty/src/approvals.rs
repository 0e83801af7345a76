//! Approvals as toasts: receives the hub's questions to people, hands on toasts with a button for each choice; receives
//! what people press, hands on the answers. Which answer counts is for the hub to decide.
//!
//! A button carries the question's id as its link, so that what is pressed says what was asked. Once a question has
//! ended, however that came about, its toast is taken away.

use std::time::Duration;

use chrono::Utc;
use nexus_plugin_api::approval::{ApprovalAnswered, ApprovalRequested, Tone};
use nexus_plugin_api::{
    Component, Context, Contract, Effect, Event, Outcome, PluginError, Priority, Processor,
    RawJson, Setup, Subscription, one_line,
};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::config::Config;
use crate::events::ActionInvoked;
use crate::request::{Action, Input, Request, Show, Style, Target, Urgency};
use nexus_plugin_api::Period;

/// What a button's link begins with.
const LINK: &str = "urn:nexus:approval:";

/// The toasts that are approvals.
pub(crate) const GROUP: &str = "nexus.approvals";

/// The field for what is said beside a choice.
const NOTE: &str = "note";

/// The longest note that the hub takes, in characters.
const LONGEST_NOTE: usize = 1_000;

/// The longest life of a toast.
const LONGEST_LIFE: Duration = Duration::from_secs(72 * 60 * 60);

/// The integration that shows them.
const INTEGRATION: &str = "toasty/toasty";

/// Shows approvals as toasts, and answers them with what people press.
#[derive(Debug)]
pub struct Approvals {
    /// Why it does not.
    shows_nothing: Option<&'static str>,
}

impl Component for Approvals {
    type Config = Config;

    fn new(config: Config, _: &Setup) -> Result<Self, PluginError> {
        Ok(Self {
            shows_nothing: match (config.approvals, config.watch) {
                (false, _) => Some("`approvals` is off"),
                // Nobody would hear what is pressed.
                (true, false) => Some("`approvals` needs `watch`, which is off"),
                (true, true) => None,
            },
        })
    }
}

impl Processor for Approvals {
    const NAME: &'static str = "approvals";
    const SUBSCRIPTIONS: &'static [Subscription] = &[
        Subscription::to(ApprovalRequested::TYPE),
        Subscription::to(ApprovalAnswered::TYPE),
        // What others say was pressed is no answer.
        Subscription::to(ActionInvoked::TYPE).from("toasty"),
    ];
    type Payload = RawJson;

    async fn process(&self, _: &Context, event: Event) -> Result<Outcome, PluginError> {
        if let Some(why) = self.shows_nothing {
            return Ok(Outcome::skip(why));
        }
        match event.event_type.as_str() {
            ApprovalRequested::TYPE => shown(read(&event)?, event.priority),
            ApprovalAnswered::TYPE => taken_away(&read(&event)?),
            _ => answered(read(&event)?),
        }
    }
}

fn read<T: DeserializeOwned>(event: &Event) -> Result<T, PluginError> {
    Ok(serde_json::from_slice(event.payload.as_slice())?)
}

fn shown(question: ApprovalRequested, priority: Priority) -> Result<Outcome, PluginError> {
    let left = (question.expires_at - Utc::now()).to_std();
    let Ok(left) = left else {
        return Ok(Outcome::skip("its time is up"));
    };
    let id = question.approval_id;
    let takes_note = question.choices.iter().any(|choice| choice.needs_note);
    let note = takes_note.then(|| Input {
        id: NOTE.to_owned(),
        placeholder: "Note".to_owned(),
        ..Input::default()
    });
    let actions = question.choices.into_iter().map(|choice| Action {
        id: choice.id,
        label: choice.label,
        style: match choice.tone {
            Tone::Good => Some(Style::Success),
            Tone::Bad => Some(Style::Critical),
            Tone::Plain => None,
        },
        uri: format!("{LINK}{id}"),
    });
    let show = Request::Show(Box::new(Show {
        title: question.title,
        body: question.body,
        attribution: question.asked_by,
        actions: actions.collect(),
        inputs: note.into_iter().collect(),
        urgency: Some(match priority {
            Priority::Low => Urgency::Low,
            Priority::Normal => Urgency::Normal,
            Priority::High => Urgency::High,
            Priority::Critical => Urgency::Critical,
        }),
        tag: id.to_string(),
        group: GROUP.to_owned(),
        replace: true,
        ttl: Some(Period(left.min(LONGEST_LIFE).max(Duration::from_secs(1)))),
        ..Show::default()
    }));
    Ok(Outcome::done().with(Effect::notify(INTEGRATION, &show)?))
}

fn taken_away(ended: &ApprovalAnswered) -> Result<Outcome, PluginError> {
    let dismiss = Request::Dismiss(Target {
        toast_id: None,
        tag: Some(ended.approval_id.to_string()),
        group: GROUP.to_owned(),
    });
    Ok(Outcome::done().with(Effect::notify(INTEGRATION, &dismiss)?))
}

fn answered(pressed: ActionInvoked) -> Result<Outcome, PluginError> {
    let link = pressed.uri.as_deref();
    let id = link.and_then(|link| link.strip_prefix(LINK)?.parse::<Uuid>().ok());
    let note = pressed.inputs.get(NOTE).map(|note| one_line(note));
    let note = note.map(|note| note.trim().chars().take(LONGEST_NOTE).collect::<String>());
    Ok(match id {
        Some(approval_id) => Outcome::done().with(Effect::Answer {
            approval_id,
            choice: pressed.action_id,
            note: note.filter(|note| !note.is_empty()),
        }),
        None => Outcome::skip("not the toast of an approval"),
    })
}

#[cfg(test)]
mod tests {
    use nexus_plugin_api::approval::Choice;
    use nexus_plugin_api::testing::Bench;
    use serde_json::{Value, json};

    use super::*;

    async fn processed<C: Contract + serde::Serialize>(payload: C) -> Outcome {
        processed_with(Config::default(), payload).await
    }

    async fn processed_with<C: Contract + serde::Serialize>(config: Config, payload: C) -> Outcome {
        let approvals = Approvals::new(config, &Bench::new().setup()).unwrap();
        let event = Event::of("toasty", payload).map(|payload| RawJson::of(&payload).unwrap());
        let context = Bench::new().context();
        approvals.process(&context, event).await.unwrap()
    }

    fn request(outcome: &Outcome) -> Value {
        let [
            Effect::Notify {
                integration,
                request,
                ..
            },
        ] = &outcome.effects[..]
        else {
            panic!("{outcome:?}");
        };
        assert_eq!(integration, "toasty/toasty");
        let parsed: Request = serde_json::from_slice(request.as_slice()).unwrap();
        parsed.check().unwrap();
        serde_json::from_slice(request.as_slice()).unwrap()
    }

    fn question(id: Uuid) -> ApprovalRequested {
        ApprovalRequested {
            approval_id: id,
            asked_by: "triage/triage".to_owned(),
            title: "Pay 250 EUR?".to_owned(),
            body: "To Example Ltd".to_owned(),
            choices: vec![
                Choice::new("pay", "Pay").good(),
                Choice::new("deny", "Refuse").bad(),
            ],
            unanswered: "deny".to_owned(),
            expires_at: Utc::now() + Duration::from_secs(600),
        }
    }

    #[tokio::test]
    async fn a_question_becomes_a_toast_whose_buttons_answer_it() {
        let id = Uuid::now_v7();
        let shown = request(&processed(question(id)).await);
        let toast = &shown["show"];
        assert_eq!(
            (&toast["title"], &toast["tag"]),
            (&json!("Pay 250 EUR?"), &json!(id))
        );
        let button = &toast["actions"][0];
        assert_eq!(
            (&button["id"], &button["style"]),
            (&json!("pay"), &json!("success"))
        );

        let pressed = ActionInvoked {
            toast_id: "t".to_owned(),
            action_id: "pay".to_owned(),
            inputs: Default::default(),
            uri: button["uri"].as_str().map(str::to_owned),
            request_id: None,
        };
        let outcome = processed(pressed.clone()).await;
        assert_eq!(outcome.effects, [Effect::answer(id, "pay")]);
        let elsewhere = ActionInvoked {
            uri: Some("https://example.org/".to_owned()),
            ..pressed
        };
        assert!(processed(elsewhere).await.effects.is_empty());
    }

    #[tokio::test]
    async fn a_choice_that_needs_a_note_has_a_field_for_it() {
        let id = Uuid::now_v7();
        let plain = request(&processed(question(id)).await);
        assert_eq!(plain["show"]["inputs"], Value::Null);
        let mut noted = question(id);
        noted.choices.push(Choice::new("say", "Say").with_note());
        let shown = request(&processed(noted).await);
        assert_eq!(shown["show"]["inputs"][0]["id"], "note");
        for (written, note) in [("so\nit is ", Some("so it is")), (" ", None)] {
            let pressed = ActionInvoked {
                toast_id: "t".to_owned(),
                action_id: "say".to_owned(),
                inputs: [("note".to_owned(), written.to_owned())].into(),
                uri: Some(format!("{LINK}{id}")),
                request_id: None,
            };
            let answer = Effect::Answer {
                approval_id: id,
                choice: "say".to_owned(),
                note: note.map(str::to_owned),
            };
            assert_eq!(processed(pressed).await.effects, [answer]);
        }
    }

    #[tokio::test]
    async fn buttons_that_nobody_hears_are_not_shown() {
        for (approvals, watch) in [(false, true), (true, false)] {
            let config = Config {
                approvals,
                watch,
                ..Config::default()
            };
            let outcome = processed_with(config, question(Uuid::now_v7())).await;
            assert!(outcome.effects.is_empty(), "{outcome:?}");
        }
    }

    #[tokio::test]
    async fn what_has_ended_is_shown_no_more() {
        let id = Uuid::now_v7();
        let late = ApprovalRequested {
            expires_at: Utc::now() - Duration::from_secs(1),
            ..question(id)
        };
        assert!(processed(late).await.effects.is_empty());
        let ended = ApprovalAnswered {
            approval_id: id,
            asked_by: "triage/triage".to_owned(),
            choice: "deny".to_owned(),
            expired: true,
            answered_by: None,
            note: None,
            context: Value::Null,
        };
        let dismissed = request(&processed(ended).await);
        assert_eq!(
            dismissed,
            json!({ "dismiss": { "tag": id, "group": "nexus.approvals" } })
        );
    }
}
