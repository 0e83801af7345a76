use chrono::TimeDelta;

use super::*;
use crate::alerts::config::{Receiver, Rule as Written};
use crate::alerts::signal::Signal;
use crate::config::HumanDuration;

/// A book, with the rules and manners of a configuration.
struct Desk {
    book: Book,
    rules: Vec<Rule>,
    manners: Manners,
    now: DateTime<Utc>,
}

fn receiver(name: &str, severity: Severity) -> Receiver {
    Receiver {
        name: name.to_owned(),
        notify: "p/act".to_owned(),
        severity,
        ..Receiver::default()
    }
}

impl Desk {
    fn new() -> Self {
        let config = Config {
            receivers: vec![
                receiver("desk", Severity::Warning),
                receiver("pager", Severity::Critical),
                receiver("boss", Severity::Warning),
            ],
            escalation: vec![
                Level {
                    after: HumanDuration::from_secs(600),
                    severity: Severity::Critical,
                    receivers: vec![],
                },
                Level {
                    after: HumanDuration::from_secs(1_200),
                    severity: Severity::Critical,
                    receivers: vec!["boss".to_owned()],
                },
            ],
            rules: vec![Written {
                name: "breaker_open".to_owned(),
                ..Written::default()
            }],
            ..Config::default()
        };
        let rules = config.all_rules();
        Self {
            book: Book::default(),
            manners: Manners::of(&config, &rules),
            rules,
            now: "2026-01-05T10:00:00Z".parse().unwrap(),
        }
    }

    fn begin(&mut self, subject: &str) {
        let measured = Measured {
            value: 1.0,
            threshold: 0.5,
            usual: None,
        };
        let begun = Change::Begun(breaker(subject), measured);
        self.book.note(vec![begun], &self.rules, self.now);
    }

    fn end(&mut self, subject: &str) {
        let over = Change::Over(breaker(subject));
        self.book.note(vec![over], &self.rules, self.now);
    }

    /// What is told by then.
    fn after(&mut self, seconds: i64) -> Vec<News> {
        for _ in 0..seconds {
            self.now += TimeDelta::seconds(1);
            self.book.look(&self.manners, self.now);
        }
        let mut told = Vec::new();
        while let Some(news) = self.book.next_untold() {
            self.book.told(news.event_id);
            told.push(news);
        }
        told
    }

    fn id_of(&self, subject: &str) -> Uuid {
        let alerts = self.book.active();
        let mut found = alerts.filter(|alert| &*alert.key.subject == subject);
        found.next().unwrap().id
    }

    fn acknowledge(&mut self, id: Uuid, whole_group: bool) -> Result<Vec<Alert>, AlertError> {
        let notice = Notice {
            by: "ada".to_owned(),
            at: self.now,
            note: None,
        };
        self.book
            .acknowledge(id, whole_group, &notice, &self.manners)
    }

    fn silence(&mut self, subject: &str, seconds: i64) -> Uuid {
        let silence = Silence {
            id: Uuid::now_v7(),
            rule: "*".to_owned(),
            subject: subject.to_owned(),
            until: self.now + TimeDelta::seconds(seconds),
            by: "ada".to_owned(),
            at: self.now,
            note: None,
        };
        self.book.silence(silence.clone()).unwrap();
        silence.id
    }
}

fn breaker(subject: &str) -> Key {
    Key {
        rule: "breaker_open".to_owned(),
        subject: subject.into(),
    }
}

fn kinds(news: &[News]) -> Vec<Kind> {
    news.iter().map(|one| one.kind).collect()
}

#[test]
fn many_at_once_are_told_as_one_and_so_is_their_end() {
    let mut desk = Desk::new();
    for number in 0..60 {
        desk.begin(&format!("http/{number}"));
    }
    let told = desk.after(30);
    assert_eq!(kinds(&told), [Kind::Raised]);
    let news = &told[0].payload;
    assert_eq!((news.count, news.alerts.len()), (60, 50));
    assert!(news.title.ends_with("and 59 more"), "{}", news.title);
    assert_eq!(
        news.receivers,
        ["desk"],
        "the pager is for what is critical"
    );
    for number in 0..59 {
        desk.end(&format!("http/{number}"));
    }
    assert_eq!(desk.after(30), [], "one is left");
    desk.end("http/59");
    let told = desk.after(1);
    assert_eq!(kinds(&told), [Kind::Resolved]);
    assert_eq!(told[0].payload.count, 60);
    assert_eq!(told[0].payload.receivers, ["desk"]);
    assert_eq!(told[0].cause, Some(Uuid::new_v5(&news.group_id, b"0")));
}

#[test]
fn the_same_again_is_no_other_alert_and_more_of_them_wait_for_the_interval() {
    let mut desk = Desk::new();
    desk.begin("a");
    desk.begin("a");
    assert_eq!(desk.book.active().count(), 1);
    assert_eq!(desk.after(2).len(), 1);
    desk.begin("b");
    desk.begin("c");
    assert_eq!(desk.after(50), []);
    let told = desk.after(20);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].payload.count, 2, "a is told of already");
}

#[test]
fn nobody_answers_so_it_is_told_with_more_emphasis_and_to_more() {
    let mut desk = Desk::new();
    desk.begin("a");
    desk.after(2);
    let told = desk.after(600);
    assert_eq!(kinds(&told), [Kind::Escalated]);
    assert_eq!(told[0].payload.severity, Severity::Critical);
    assert_eq!(told[0].payload.receivers, ["desk", "pager"]);
    let told = desk.after(600);
    assert_eq!(kinds(&told), [Kind::Escalated]);
    assert_eq!(told[0].payload.receivers, ["boss", "desk", "pager"]);
    assert_eq!(told[0].payload.level, 2);
    assert_eq!(desk.after(5_000), [], "no level is left");
    desk.end("a");
    let told = desk.after(1);
    assert_eq!(told[0].payload.receivers.len(), 3, "all who were told");
}

#[test]
fn who_takes_notice_stops_that() {
    let mut desk = Desk::new();
    desk.begin("a");
    desk.begin("b");
    desk.after(2);
    let id = desk.id_of("a");
    assert_eq!(desk.acknowledge(id, false).unwrap().len(), 1);
    assert_eq!(
        desk.acknowledge(id, false).unwrap().len(),
        1,
        "once more is as good"
    );
    let told = desk.after(1);
    assert_eq!(kinds(&told), [Kind::Acknowledged]);
    assert_eq!(told[0].payload.by.as_deref(), Some("ada"));
    let told = desk.after(600);
    assert_eq!(told[0].payload.count, 1, "b is nobody's yet");
    desk.acknowledge(id, true).unwrap();
    desk.after(1);
    assert_eq!(desk.after(5_000), []);
    desk.end("a");
    assert_eq!(desk.acknowledge(id, false), Err(AlertError::Over));
    assert_eq!(
        desk.acknowledge(Uuid::nil(), false),
        Err(AlertError::Unknown)
    );
}

#[test]
fn a_silence_holds_until_its_end_and_no_longer() {
    let mut desk = Desk::new();
    desk.silence("a*", 100);
    desk.begin("a1");
    desk.begin("b");
    let told = desk.after(90);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].payload.alerts[0].subject, "b");
    let told = desk.after(30);
    assert_eq!(told.len(), 1, "it is so still");
    assert_eq!(told[0].payload.alerts[0].subject, "a1");
    let id = desk.silence("*", 100);
    desk.book.unsilence(id).unwrap();
    assert_eq!(desk.book.unsilence(id), Err(AlertError::UnknownSilence));
}

#[test]
fn what_was_silent_from_begin_to_end_is_never_told() {
    let mut desk = Desk::new();
    desk.silence("*", 100);
    desk.begin("a");
    desk.after(10);
    desk.end("a");
    assert_eq!(desk.after(200), []);
}

#[test]
fn nobody_is_told_that_it_cannot_be_reached_itself_and_everybody_else_is() {
    let mut desk = Desk::new();
    for (subject, receivers) in [
        ("p/act@alerts/desk", [""; 0].as_slice()),
        ("p/act", &["desk"]),
        ("p/act@there", &["desk"]),
        ("p/act@alerts/boss", &["desk"]),
    ] {
        desk.begin(subject);
        let told = desk.after(2);
        assert_eq!(told[0].payload.receivers, receivers, "{subject}");
        desk.end(subject);
        desk.after(1);
    }
}

#[test]
fn there_is_an_end_to_what_is_kept() {
    let mut desk = Desk::new();
    for number in 0..MOST_ACTIVE + 10 {
        desk.begin(&number.to_string());
    }
    assert_eq!(desk.book.active().count(), MOST_ACTIVE);
    for number in 0..MOST_ACTIVE {
        desk.end(&number.to_string());
    }
    assert_eq!(desk.book.alerts().len(), MOST_ENDED);
    for _ in 0..MOST_SILENCES {
        desk.silence("x", 10);
    }
    let one_more = desk.book.silences()[0].clone();
    assert_eq!(
        desk.book.silence(one_more),
        Err(AlertError::TooManySilences)
    );
}

#[test]
fn what_is_kept_goes_on_in_another_process() {
    let mut desk = Desk::new();
    desk.begin("a");
    desk.after(1);
    let kept = serde_json::to_vec(&desk.book).unwrap();
    desk.book = serde_json::from_slice(&kept).unwrap();
    desk.begin("a");
    assert_eq!(desk.after(30), [], "it was told before");
    desk.end("a");
    assert_eq!(kinds(&desk.after(1)), [Kind::Resolved]);
    assert_eq!(desk.book.alerts()[0].signal, Signal::BreakerOpen);
}
