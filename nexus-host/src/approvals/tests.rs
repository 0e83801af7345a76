//! Questions and answers on a real queue; where events go is a channel, which can be shut.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nexus_plugin_api::approval::Choice;
use nexus_plugin_api::{Contract, RawJson};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;
use crate::config::HumanDuration;
use crate::queue::{self, MemoryQueue};

/// Longer than anything here takes; a test that hangs fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where events go, while it is open.
struct Door {
    open: AtomicBool,
    /// Whether there are limits.
    strict: AtomicBool,
    /// Held by whoever wants events to wait.
    hold: tokio::sync::Mutex<()>,
    events: mpsc::Sender<Event>,
}

impl Announce for Door {
    fn check(&self, event: &Event) -> Result<(), PluginError> {
        let is_strict = self.strict.load(Ordering::Relaxed);
        match is_strict && self.is_refused(event) {
            true => Err(PluginError::permanent("too_deep", "nests too deep")),
            false => Ok(()),
        }
    }

    fn announce(&self, event: Event) -> BoxFuture<'_, Result<(), PluginError>> {
        Box::pin(async move {
            let _held = self.hold.lock().await;
            self.check(&event)?;
            if !self.open.load(Ordering::Relaxed) {
                return Err(PluginError::retryable("queue_full", "no room"));
            }
            self.events.send(event).await?;
            Ok(())
        })
    }
}

impl Door {
    fn is_refused(&self, event: &Event) -> bool {
        payload(event)["context"]["deep"] == true
    }
}

struct Desk {
    approvals: Arc<Approvals>,
    queue: Arc<dyn Queue>,
    door: Arc<Door>,
    events: mpsc::Receiver<Event>,
}

async fn desk(config: Config) -> Desk {
    let queue = Arc::new(MemoryQueue::new(&queue::Config::default(), true));
    desk_on(queue, config).await
}

async fn desk_on(queue: Arc<dyn Queue>, config: Config) -> Desk {
    desk_with(queue, config, Duration::ZERO).await
}

async fn desk_with(queue: Arc<dyn Queue>, config: Config, dedup_window: Duration) -> Desk {
    let (sender, events) = mpsc::channel(64);
    let door = Arc::new(Door {
        open: AtomicBool::new(true),
        strict: AtomicBool::new(true),
        hold: tokio::sync::Mutex::default(),
        events: sender,
    });
    let approvals = Approvals::open(config, dedup_window, queue.clone(), door.clone())
        .await
        .unwrap();
    let approvals = Arc::new(approvals);
    tokio::spawn(approvals.clone().keep());
    Desk {
        approvals,
        queue,
        door,
        events,
    }
}

impl Desk {
    async fn event(&mut self) -> Event {
        let event = timeout(PATIENCE, self.events.recv()).await;
        event.expect("an event comes").unwrap()
    }

    async fn ask(&self, question: &Question, key: &str) -> Result<Uuid, PluginError> {
        let mut event = cause();
        event.correlation_id = Some("story".to_owned());
        let by = Asking {
            processor: "triage/triage",
            event: &event,
            idempotency_key: key,
        };
        People::ask(&*self.approvals, question, by).await
    }
}

fn cause() -> Event {
    Event::new("a.b", "test", RawJson::of(&json!({})).unwrap())
}

fn question() -> Question {
    Question::new("Pay?")
        .choice(Choice::new("pay", "Pay").good())
        .choice(Choice::new("refuse", "Refuse").bad())
        .unanswered("refuse")
        .context(json!({ "thread": 7 }))
}

fn payload(event: &Event) -> Value {
    serde_json::from_slice(event.payload.as_slice()).unwrap()
}

#[tokio::test]
async fn a_question_is_told_and_its_first_answer_counts() {
    let mut desk = desk(Config::default()).await;
    let id = desk.ask(&question(), "e:0").await.unwrap();
    let requested = desk.event().await;
    assert_eq!(requested.event_type, "nexus.approval.requested");
    assert_eq!(requested.correlation_id.as_deref(), Some("story"));
    assert_eq!(payload(&requested)["approval_id"], json!(id));

    let refused = desk.approvals.answer(id, "dance", "ada", None).await;
    assert!(
        matches!(refused, Err(AnswerError::Choice(_))),
        "{refused:?}"
    );
    let long = "x".repeat(1_001);
    let refused = desk.approvals.answer(id, "pay", "ada", Some(&long)).await;
    assert_eq!(refused.unwrap_err(), AnswerError::Note);
    let answered = desk
        .approvals
        .answer(id, "pay", "ada", Some("go"))
        .await
        .unwrap();
    assert_eq!(answered.status, ApprovalStatus::Answered);
    let told = payload(&desk.event().await);
    assert_eq!(told["choice"], "pay");
    assert_eq!(
        (&told["answered_by"], &told["note"]),
        (&json!("ada"), &json!("go"))
    );
    assert_eq!(
        (&told["expired"], &told["context"]),
        (&json!(false), &json!({ "thread": 7 }))
    );

    let second = desk.approvals.answer(id, "refuse", "bob", None).await;
    assert!(matches!(second, Err(AnswerError::Ended(_))), "{second:?}");
    // The button of a toast that somebody else was quicker than.
    let pressed = People::answer(&*desk.approvals, id, "refuse", None, "toasty/approvals").await;
    assert!(pressed.unwrap().contains("answered with `pay`"));
    assert_eq!(
        desk.approvals
            .get(id)
            .unwrap()
            .answer
            .as_ref()
            .unwrap()
            .choice,
        "pay"
    );
    assert!(desk.events.try_recv().is_err(), "it is told once");
}

#[tokio::test]
async fn the_same_effect_again_is_the_same_question() {
    let mut desk = desk(Config::default()).await;
    let id = desk.ask(&question(), "e:0").await.unwrap();
    desk.event().await;
    assert_eq!(desk.ask(&question(), "e:0").await.unwrap(), id);
    assert!(desk.events.try_recv().is_err(), "it was asked before");
    assert_ne!(desk.ask(&question(), "e:1").await.unwrap(), id);
    desk.event().await;
    desk.approvals.answer(id, "pay", "ada", None).await.unwrap();
    desk.event().await;
    assert_eq!(desk.ask(&question(), "e:0").await.unwrap(), id);
    assert!(desk.events.try_recv().is_err(), "nobody is asked once more");
    assert_eq!(desk.approvals.list().len(), 2);
}

#[tokio::test]
async fn a_question_with_a_key_is_asked_once_whatever_leads_to_it() {
    let mut desk = desk(Config::default()).await;
    let keyed = question().key("thread 7: pay?");
    let id = desk.ask(&keyed, "e:0").await.unwrap();
    desk.event().await;
    assert_eq!(desk.ask(&keyed, "another:0").await.unwrap(), id);
    desk.approvals.answer(id, "pay", "ada", None).await.unwrap();
    assert_eq!(desk.event().await.event_type, ApprovalAnswered::TYPE);
    assert_eq!(desk.ask(&keyed, "a third:0").await.unwrap(), id);
    assert!(desk.events.try_recv().is_err(), "nobody is asked once more");
    let elsewhere = self::desk(Config::default()).await;
    assert_ne!(
        elsewhere.ask(&keyed, "e:0").await.unwrap(),
        id,
        "nobody can guess it"
    );
    let next = desk_on(desk.queue.clone(), Config::default()).await;
    assert_eq!(next.ask(&keyed, "e:0").await.unwrap(), id);
    let other = question().key("thread 8: pay?");
    assert_ne!(desk.ask(&other, "e:0").await.unwrap(), id);
}

#[tokio::test]
async fn what_nobody_answers_ends_with_the_choice_that_does_least() {
    let mut desk = desk(Config::default()).await;
    let short = question().expires_after(Duration::from_millis(20));
    let id = desk.ask(&short, "e:0").await.unwrap();
    desk.event().await;
    let told = payload(&desk.event().await);
    assert_eq!(
        (&told["choice"], &told["expired"]),
        (&json!("refuse"), &json!(true))
    );
    let late = desk.approvals.answer(id, "pay", "ada", None).await;
    assert!(matches!(late, Err(AnswerError::Ended(_))), "{late:?}");
    assert_eq!(
        desk.approvals.get(id).unwrap().status,
        ApprovalStatus::Expired
    );
}

#[tokio::test]
async fn an_answer_that_cannot_be_told_now_is_told_later_once() {
    let mut desk = desk(Config::default()).await;
    let id = desk.ask(&question(), "e:0").await.unwrap();
    desk.event().await;
    desk.door.open.store(false, Ordering::Relaxed);
    desk.approvals.answer(id, "pay", "ada", None).await.unwrap();
    assert!(desk.approvals.get(id).unwrap().news().is_some());

    // Another hub takes the questions up, as after a restart.
    let mut next = desk_on(desk.queue.clone(), Config::default()).await;
    assert_eq!(payload(&next.event().await)["choice"], "pay");
    assert_eq!(next.approvals.list().len(), 1);
    let again = desk_on(desk.queue.clone(), Config::default()).await;
    assert_eq!(again.approvals.get(id).unwrap().news(), None);
}

#[tokio::test]
async fn a_question_is_kept_while_nobody_can_be_told_of_it_and_told_later_once() {
    let mut desk = desk(Config::default()).await;
    desk.door.open.store(false, Ordering::Relaxed);
    let id = desk.ask(&question(), "e:0").await.unwrap();
    assert!(desk.events.try_recv().is_err(), "there is no room");
    desk.approvals.answer(id, "pay", "ada", None).await.unwrap();

    let mut next = desk_on(desk.queue.clone(), Config::default()).await;
    let requested = next.event().await;
    assert_eq!(requested.event_type, ApprovalRequested::TYPE);
    assert_eq!(payload(&requested)["approval_id"], json!(id));
    assert_eq!(next.event().await.event_type, ApprovalAnswered::TYPE);
    let mut again = desk_on(desk.queue.clone(), Config::default()).await;
    again.ask(&question(), "e:1").await.unwrap();
    let event = payload(&again.event().await);
    assert_ne!(event["approval_id"], json!(id), "all is told of that one");
}

#[tokio::test]
async fn nobody_waits_for_a_queue_that_has_no_room() {
    let desk = desk(Config::default()).await;
    let id = desk.ask(&question(), "e:0").await.unwrap();
    let slow = desk.door.hold.lock().await;
    let asked = timeout(PATIENCE, desk.ask(&question(), "e:1")).await;
    asked.expect("it does not wait").unwrap();
    let answered = timeout(PATIENCE, desk.approvals.answer(id, "pay", "ada", None)).await;
    answered.expect("it does not wait either").unwrap();
    drop(slow);
}

#[tokio::test]
async fn a_question_whose_answer_could_not_be_told_is_refused() {
    let desk = desk(Config::default()).await;
    let deep = question().context(json!({ "deep": true }));
    let refused = desk.ask(&deep, "e:0").await.unwrap_err();
    assert_eq!(
        (&*refused.code, refused.retryable),
        ("invalid_question", false)
    );
    assert!(refused.message.starts_with("`context`"), "{refused}");
}

#[tokio::test]
async fn what_is_refused_later_is_told_without_its_context() {
    let mut desk = desk(Config::default()).await;
    desk.door.strict.store(false, Ordering::Relaxed);
    let deep = question().context(json!({ "deep": true }));
    let id = desk.ask(&deep, "e:0").await.unwrap();
    desk.event().await;
    desk.door.strict.store(true, Ordering::Relaxed);
    desk.approvals.answer(id, "pay", "ada", None).await.unwrap();
    let told = payload(&desk.event().await);
    assert_eq!(
        (&told["choice"], &told["context"]),
        (&json!("pay"), &Value::Null)
    );
    let told = async {
        while desk.approvals.get(id).unwrap().news().is_some() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, told).await.expect("it is done with");
}

#[tokio::test]
async fn questions_that_do_not_fit_are_refused() {
    let desk = desk(Config::default()).await;
    let six = (0..6).fold(Question::new("?"), |question, n| {
        question.choice(Choice::new(n.to_string(), "x"))
    });
    let mut twice = question();
    twice.choices[1].id = "pay".to_owned();
    for (wrong, told) in [
        (Question::new(""), "`title`"),
        (Question::new("x".repeat(257)), "`title`"),
        (Question::new("two\nlines"), "`title` holds control"),
        (question().body("\u{7}"), "`body` holds control"),
        (six, "`choices`"),
        (twice, "choices[1].id"),
        (question().choice(Choice::new("", "x")), "choices[2].id"),
        (question().unanswered("pay"), "`unanswered`"),
        (
            question().expires_after(Duration::ZERO),
            "`expires_after_ms`",
        ),
        (
            question().expires_after(Duration::from_secs(31 * 86_400)),
            "`expires_after_ms`",
        ),
        (question().context(json!("x".repeat(65_536))), "`context`"),
    ] {
        let refused = desk.ask(&wrong, "e:0").await.unwrap_err();
        assert_eq!(
            (&*refused.code, refused.retryable),
            ("invalid_question", false)
        );
        assert!(refused.message.contains(told), "{refused}");
    }
    assert!(desk.approvals.list().is_empty());
}

#[tokio::test]
async fn a_choice_that_needs_a_note_does_not_count_without_one() {
    let desk = desk(Config::default()).await;
    let noted = question().choice(Choice::new("say", "Say").with_note());
    let id = desk.ask(&noted, "e:0").await.unwrap();
    let refused = desk.approvals.answer(id, "say", "ada", None).await;
    assert_eq!(refused.unwrap_err(), AnswerError::NoteMissing);
    let answered = desk.approvals.answer(id, "say", "ada", Some("so")).await;
    assert_eq!(answered.unwrap().status, ApprovalStatus::Answered);
}

#[tokio::test]
async fn what_is_forgotten_is_not_asked_again_while_its_answer_would_be_a_duplicate() {
    let queue = Arc::new(MemoryQueue::new(&queue::Config::default(), true));
    let none = Config {
        max_ended: 0,
        ..Config::default()
    };
    let mut desk = desk_with(queue.clone(), none.clone(), Duration::from_secs(60)).await;
    let id = desk.ask(&question(), "e:0").await.unwrap();
    desk.event().await;
    desk.approvals.answer(id, "pay", "ada", None).await.unwrap();
    desk.event().await;
    let forgotten = async {
        while desk.approvals.get(id).is_some() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, forgotten).await.expect("it is forgotten");
    assert!(desk.approvals.list().is_empty());
    assert_eq!(desk.ask(&question(), "e:0").await.unwrap(), id);
    desk.ask(&question(), "e:1").await.unwrap();
    let other = payload(&desk.event().await);
    assert_ne!(other["approval_id"], json!(id), "nobody is asked once more");
    let kept = queue.state_get(HUB, &key(id)).await.unwrap().unwrap();
    assert!(!String::from_utf8(kept).unwrap().contains("thread"));
    desk_with(queue.clone(), none, Duration::ZERO).await;
    let gone = async {
        while queue.state_get(HUB, &key(id)).await.unwrap().is_some() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.expect("in time it is gone");
}

#[tokio::test]
async fn what_is_read_is_what_is_there() {
    let desk = desk(Config::default()).await;
    let turned = Question::new("Pay \u{202e}RUE 001\u{202c}?")
        .body("100\u{200b}0\n\u{2066}x\u{2069}")
        .choice(Choice::new("pay", "\u{feff}Pay"));
    let id = desk.ask(&turned, "e:0").await.unwrap();
    let kept = desk.approvals.get(id).unwrap();
    let read = (&*kept.title, &*kept.body, &*kept.choices[0].label);
    assert_eq!(read, ("Pay RUE 001?", "1000\nx", "Pay"));
    let unseen = Question::new("\u{200b}");
    let id = desk.ask(&unseen, "e:1").await.unwrap();
    assert_eq!(desk.approvals.get(id).unwrap().title, "…");
}

#[tokio::test]
async fn neither_what_waits_nor_what_has_ended_piles_up() {
    let mut desk = desk(Config {
        max_pending: 2,
        max_ended: 1,
        expires_after: HumanDuration::from_secs(60),
    })
    .await;
    let mut ids = Vec::new();
    for key in ["e:0", "e:1"] {
        ids.push(desk.ask(&question(), key).await.unwrap());
        desk.event().await;
    }
    let refused = desk.ask(&question(), "e:2").await.unwrap_err();
    assert_eq!(
        (&*refused.code, refused.retryable),
        ("too_many_approvals", true)
    );
    for id in &ids {
        desk.approvals
            .answer(*id, "pay", "ada", None)
            .await
            .unwrap();
        desk.event().await;
    }
    let last = [ids[1]];
    let forgotten = async {
        while desk.approvals.list().len() > 1 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, forgotten)
        .await
        .expect("the oldest is forgotten");
    let kept: Vec<_> = desk.approvals.list().iter().map(|one| one.id).collect();
    assert_eq!(kept, last);
    assert_eq!(desk.queue.state_keys(HUB, KEYS).await.unwrap().len(), 1);
    assert!(
        desk.ask(&question(), "e:2").await.is_ok(),
        "there is room again"
    );
}
