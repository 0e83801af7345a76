//! The processor `triage`: one step of the loop for each event. A pure function of the configuration and the event.

use nexus_plugin_api::approval::ApprovalAnswered;
use nexus_plugin_api::{
    Component, Context as Call, Contract, Effect, Event, Outcome, PluginError, Priority, Processor,
    RawJson, Setup, Subscription,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::config::Config;
use crate::question::{self, Form, text};
use crate::seen::{
    self, COMPLETED, Completed, Context, FAILED, FILE_ADDED, FILE_CHANGED, Failed, File,
    INTERRUPTED, Interrupt, Interrupted, Kind, MAIL, Mail, Matter,
};

/// This processor, as the hub names it.
const OWN_NAME: &str = "triage/triage";

/// How much of a subject or a path goes with a run, in characters.
const LONGEST_ABOUT: usize = 1_000;

/// How much of what an agent asks is kept with the question, in bytes: the hub keeps 64 KiB.
const LONGEST_ASKED: usize = 48 * 1024;

/// Has an agent look at mail and files, and people decide where it asks.
#[derive(Debug)]
pub struct Triage(Config);

/// What goes with a question, and comes back with its answer.
#[derive(Debug, Serialize, Deserialize)]
struct Waiting {
    thread: Uuid,
    assistant: String,
    interrupt_id: String,
    form: Form,
    triage: Matter,
    /// What the agent has asked, uncut, where it is not too large: for whoever looks closely before answering.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    asked: Value,
}

impl Component for Triage {
    type Config = Config;

    fn new(config: Config, _: &Setup) -> Result<Self, PluginError> {
        config.check()?;
        Ok(Self(config))
    }
}

impl Processor for Triage {
    const NAME: &'static str = "triage";
    const SUBSCRIPTIONS: &'static [Subscription] = &[
        Subscription::to(MAIL),
        Subscription::to(FILE_ADDED),
        Subscription::to(FILE_CHANGED),
        // What others say of runs must not lead to questions, whose answers go to real ones.
        Subscription::to(INTERRUPTED).from("langgraph"),
        Subscription::to(COMPLETED).from("langgraph"),
        Subscription::to(FAILED).from("langgraph"),
        Subscription::to(ApprovalAnswered::TYPE),
    ];
    type Payload = RawJson;

    async fn process(&self, _: &Call, event: Event) -> Result<Outcome, PluginError> {
        match event.event_type.as_str() {
            MAIL => self.look_at(&event, Kind::Mail, seen::read::<Mail>(&event)?.subject),
            FILE_ADDED | FILE_CHANGED => {
                self.look_at(&event, Kind::File, seen::read::<File>(&event)?.path)
            }
            ApprovalAnswered::TYPE => self.resume(seen::read(&event)?),
            _ => match seen::matter(&event) {
                None => Ok(Outcome::skip("not a run of this plugin")),
                Some(matter) => match event.event_type.as_str() {
                    INTERRUPTED => ask(&seen::read(&event)?, &matter),
                    COMPLETED => self.tell_result(&seen::read(&event)?, &matter),
                    _ => self.tell_failure(&seen::read(&event)?, &matter),
                },
            },
        }
    }
}

impl Triage {
    /// Has the agent look at something.
    fn look_at(&self, event: &Event, kind: Kind, about: String) -> Result<Outcome, PluginError> {
        let (least, key) = match kind {
            Kind::Mail => (self.0.mail, "mail"),
            Kind::File => (self.0.files, "file"),
        };
        if let Some(reason) = least.leaves(event.priority) {
            return Ok(Outcome::skip(reason));
        }
        let payload: Value = seen::read(event)?;
        let context = Context {
            triage: Matter {
                kind,
                about: text::line(&about, LONGEST_ABOUT),
                priority: event.priority,
            },
        };
        let run = json!({ "run": {
            "assistant": self.0.assistant,
            "input": { "kind": kind, "untrusted": true, "type": event.event_type, key: payload },
            "context": context,
        }});
        self.of_agent(&run)
    }

    /// Has the agent go on with what a person has chosen.
    fn resume(&self, answered: ApprovalAnswered) -> Result<Outcome, PluginError> {
        if answered.asked_by != OWN_NAME {
            return Ok(Outcome::skip("somebody else's question"));
        }
        let Waiting {
            thread,
            assistant,
            interrupt_id,
            form,
            triage,
            ..
        } = serde_json::from_value(answered.context).map_err(|error| {
            let told = format!("the answer does not say what it is to: {error}");
            PluginError::permanent("unreadable", told)
        })?;
        let value = question::answer(form, &answered.choice, answered.note.as_deref());
        self.of_agent(&json!({ "resume": {
            "assistant": assistant,
            "thread": thread,
            "interrupt_id": interrupt_id,
            "value": value,
            "context": Context { triage },
        }}))
    }

    fn of_agent(&self, request: &Value) -> Result<Outcome, PluginError> {
        Ok(Outcome::done().with(Effect::notify(&self.0.langgraph, request)?))
    }

    fn tell_result(&self, run: &Completed, matter: &Matter) -> Result<Outcome, PluginError> {
        let Some(summary) = run.output["summary"].as_str() else {
            return Ok(Outcome::skip("the run has left no `summary` to tell"));
        };
        self.tell(&matter.about, summary, Priority::Normal)
    }

    fn tell_failure(&self, run: &Failed, matter: &Matter) -> Result<Outcome, PluginError> {
        let told = format!("The agent has failed: {}", run.error.message);
        self.tell(&matter.about, &told, Priority::High)
    }

    fn tell(&self, title: &str, body: &str, urgency: Priority) -> Result<Outcome, PluginError> {
        if !self.0.tell {
            return Ok(Outcome::skip("`tell` is off"));
        }
        let title = match text::line(title, text::LONGEST_TITLE) {
            title if title.is_empty() => "An agent".to_owned(),
            title => title,
        };
        let toast = json!({ "show": {
            "title": title,
            "body": text::lines(body, text::LONGEST_BODY),
            "attribution": "triage",
            "urgency": urgency,
        }});
        Ok(Outcome::done().with(Effect::notify(&self.0.toasty, &toast)?))
    }
}

/// Asks people what the agent asks, each question apart.
fn ask(run: &Interrupted, matter: &Matter) -> Result<Outcome, PluginError> {
    if run.interrupts.is_empty() {
        return Ok(Outcome::skip("the run waits without a question"));
    }
    let mut outcome = Outcome::done();
    for interrupt in &run.interrupts {
        let (question, form) = question::of(interrupt, matter);
        let asked = match interrupt.value.to_string().len() {
            ..=LONGEST_ASKED => interrupt.value.clone(),
            _ => Value::Null,
        };
        let waiting = Waiting {
            thread: run.thread_id,
            assistant: run.assistant.clone(),
            interrupt_id: interrupt.id.clone(),
            form,
            triage: matter.clone(),
            asked,
        };
        let question = question
            .key(key(run.thread_id, interrupt))
            .with_priority(matter.priority)
            .context(serde_json::to_value(waiting)?);
        outcome = outcome.with(Effect::ask(question));
    }
    Ok(outcome)
}

/// What makes two questions the same. A thread asks everything anew that is not answered yet whenever one of its
/// questions is; servers that give all questions of a task one id tell them apart by what they ask.
fn key(thread: Uuid, interrupt: &Interrupt) -> String {
    let Interrupt {
        id,
        value,
        omitted_bytes,
    } = interrupt;
    let asked = format!("{id} {omitted_bytes:?} {value}");
    format!("{thread}/{}", Uuid::new_v5(&thread, asked.as_bytes()))
}

#[cfg(test)]
mod tests {
    use nexus_plugin_api::testing::Bench;

    use super::*;

    async fn processed(event_type: &str, payload: Value) -> Outcome {
        let event = Event::new(event_type, "test", RawJson::of(&payload).unwrap());
        let event = event.with_priority(Priority::High);
        let triage = Triage(Config::default());
        let context = Bench::new().context();
        triage.process(&context, event).await.unwrap()
    }

    fn request(outcome: &Outcome) -> (String, Value) {
        match &outcome.effects[..] {
            [
                Effect::Notify {
                    integration,
                    request,
                    ..
                },
            ] => (
                integration.clone(),
                serde_json::from_slice(request.as_slice()).unwrap(),
            ),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_loop_goes_round_once_with_nothing_kept() {
        let mail = json!({ "subject": "Invoice 17", "sender": "ada@example.org", "preview": "…" });
        let (integration, run) = request(&processed(MAIL, mail).await);
        assert_eq!(integration, "langgraph");
        let run = &run["run"];
        assert_eq!(run["input"]["mail"]["sender"], "ada@example.org");
        assert_eq!(run["input"]["untrusted"], true);

        let thread = Uuid::now_v7();
        let interrupted = json!({
            "thread_id": thread, "run_id": Uuid::now_v7(), "assistant": "triage",
            "interrupts": [{ "id": "i1", "value": "Pay it?" }], "context": run["context"],
        });
        let outcome = processed(INTERRUPTED, interrupted).await;
        let [Effect::Ask { question }] = &outcome.effects[..] else {
            panic!("{outcome:?}");
        };
        assert_eq!(question.title, "Pay it?");
        assert_eq!(question.priority, Priority::High, "as pressing as the mail");
        assert_eq!(question.context["asked"], "Pay it?");

        let answered = ApprovalAnswered {
            approval_id: Uuid::now_v7(),
            asked_by: OWN_NAME.to_owned(),
            choice: "approve".to_owned(),
            expired: false,
            answered_by: None,
            note: None,
            context: question.context.clone(),
        };
        let answered = serde_json::to_value(answered).unwrap();
        let (_, resume) = request(&processed(ApprovalAnswered::TYPE, answered).await);
        let resume = &resume["resume"];
        assert_eq!(
            (&resume["thread"], &resume["value"]),
            (&json!(thread), &json!("approve"))
        );
        assert_eq!(
            (&resume["interrupt_id"], &resume["assistant"]),
            (&json!("i1"), &json!("triage"))
        );

        let completed = json!({ "output": { "summary": "Paid" }, "context": resume["context"] });
        let (integration, toast) = request(&processed(COMPLETED, completed).await);
        assert_eq!(
            (&*integration, &toast["show"]["title"]),
            ("toasty", &json!("Invoice 17"))
        );
        let toast: toasty::Request = serde_json::from_value(toast).unwrap();
        toast.check().unwrap();
        let failed = json!({
            "error": { "kind": "graph_error", "message": "no" }, "context": resume["context"],
        });
        let (_, toast) = request(&processed(FAILED, failed).await);
        assert_eq!(toast["show"]["urgency"], "high");
    }

    #[tokio::test]
    async fn a_question_that_comes_again_after_another_was_answered_is_the_same_one() {
        let thread = Uuid::now_v7();
        let keys = async |thread: Uuid, interrupts: Value| {
            let asked = json!({
                "thread_id": thread, "run_id": Uuid::now_v7(), "assistant": "triage", "interrupts": interrupts,
                "context": { "triage": { "kind": "mail", "about": "Invoice 17" } },
            });
            let effects = processed(INTERRUPTED, asked).await.effects;
            let keys = effects.into_iter().map(|effect| match effect {
                Effect::Ask { question } => question.key.unwrap(),
                other => panic!("{other:?}"),
            });
            keys.collect::<Vec<_>>()
        };
        let (first, second) = (
            json!({ "id": "a", "value": 1 }),
            json!({ "id": "b", "value": 1 }),
        );
        let both = keys(thread, json!([first, second])).await;
        assert_ne!(both[0], both[1]);
        assert_eq!(keys(thread, json!([second])).await, both[1..]);
        let same_id = json!({ "id": "b", "value": 2 });
        assert_ne!(keys(thread, json!([same_id])).await, both[1..]);
        assert_ne!(keys(Uuid::now_v7(), json!([second])).await, both[1..]);
    }

    #[test]
    fn what_others_say_of_runs_is_not_heard() {
        for of_run in [INTERRUPTED, COMPLETED, FAILED] {
            let real = Subscription::to(of_run).from("langgraph");
            assert!(Triage::SUBSCRIPTIONS.contains(&real), "{of_run}");
            assert!(!Triage::SUBSCRIPTIONS.contains(&Subscription::to(of_run)));
        }
    }

    #[tokio::test]
    async fn what_is_others_is_left_alone() {
        let others = json!({ "output": {}, "context": { "thread": 7 } });
        assert!(processed(COMPLETED, others).await.effects.is_empty());
        let answered = json!({
            "approval_id": Uuid::now_v7(), "asked_by": "routes/pay", "choice": "pay", "expired": false,
        });
        assert!(
            processed(ApprovalAnswered::TYPE, answered)
                .await
                .effects
                .is_empty()
        );
        let silent =
            json!({ "output": {}, "context": { "triage": { "kind": "mail", "about": "x" } } });
        assert!(processed(COMPLETED, silent).await.effects.is_empty());
    }
}
