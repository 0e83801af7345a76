use parking_lot::Mutex;

use nexus_plugin_api::{ContractInfo, RawJson};
use serde_json::json;

use super::*;
use crate::admission::{Contracts, Limits};
use crate::queue::{Config, MemoryQueue};

#[derive(Default)]
struct Seen(Mutex<Vec<Uuid>>);

impl Observer for Seen {
    fn accepted(&self, event: &Arc<Event>) {
        self.0.lock().push(event.event_id);
    }

    fn finished(&self, _: &Event) {}
}

fn intake(capacity: usize) -> (Intake, Arc<Seen>) {
    let contracts = Contracts::default();
    let info = ContractInfo::new(
        "a.b",
        "1.0.0".parse().unwrap(),
        json!({ "required": ["n"] }),
    );
    contracts.register("p", info).unwrap();
    let admission = Admission::new(&Limits::default(), &[], &[], Arc::new(contracts));
    let config = Config {
        capacity,
        ..Config::default()
    };
    let seen = Arc::new(Seen::default());
    let queue = Arc::new(MemoryQueue::new(&config, true));
    let completions = Arc::new(Completions::default());
    let intake = Intake::new(
        Arc::new(admission),
        queue,
        seen.clone(),
        completions,
        Arc::default(),
        Tracer::default(),
    );
    (intake, seen)
}

fn event() -> Event {
    Event::new("a.b", "s", RawJson::from_checked(r#"{"n":1}"#))
}

#[tokio::test]
async fn accepted_events_are_told_once() {
    let (intake, seen) = intake(10);
    let event = event();
    let published = intake
        .publish(Door::Host, event.clone(), Origin::Host)
        .await
        .unwrap();
    assert_eq!(published.status, PublishStatus::Accepted);
    let again = intake
        .publish(Door::Host, event.clone(), Origin::Host)
        .await
        .unwrap();
    assert_eq!(again.status, PublishStatus::Duplicate);
    assert_eq!(*seen.0.lock(), [event.event_id]);
}

#[tokio::test]
async fn what_is_refused_is_not_queued() {
    let (intake, seen) = intake(1);
    let unfit = event().map(|_| RawJson::from_checked("{}"));
    let refused = intake
        .publish(Door::Host, unfit, Origin::Host)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::ContractViolation);
    assert_eq!(intake.queue().stats().depth, 0);
    intake
        .publish(Door::Host, event(), Origin::Host)
        .await
        .unwrap();
    let refused = intake
        .publish(Door::Host, event(), Origin::Host)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::QueueFull);
    assert!(refused.retry_after().is_some());
    intake.queue().close_intake();
    let refused = intake
        .publish(Door::Host, event(), Origin::Host)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::ShuttingDown);
    assert_eq!(seen.0.lock().len(), 1);
}

#[tokio::test]
async fn a_plugin_s_event_has_the_plugin_as_its_source() {
    let (intake, _) = intake(10);
    let new = NewEvent::new("a.b", &json!({ "n": 1 })).unwrap();
    let published = intake
        .publish_new(Door::Plugin, new, Origin::Plugin("outlook"))
        .await
        .unwrap();
    let journey = intake
        .queue()
        .journey(published.event_id, Box::new(|_, _| true))
        .await;
    let journey = journey.unwrap().unwrap();
    assert_eq!(journey.source, "outlook");
}
