//! What a person types in the terminal comes back as an event and stands in the journal.

use nexus_proto::toasty::v1::watch_event::Event;
use nexus_proto::toasty::v1::{Correlation, Input, ShowRequest};

use crate::harness::{Harness, asking, next, next_in_short};

#[tokio::test]
async fn a_typed_answer_comes_back() {
    let mut harness = Harness::start().await;
    let mut events = harness.watch(None).await;
    let mut first = asking("Refund?");
    first.request_id = "r-1".to_owned();
    first.actions[0].uri = "https://example.org/refund".to_owned();
    first.inputs = vec![Input {
        id: "note".to_owned(),
        ..Input::default()
    }];
    first.correlation = Some(Correlation {
        event_id: "e-1".to_owned(),
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
    });
    let correlation = first.correlation.clone();
    let shown = harness.show(first).await;
    harness.show(asking("Another?")).await;
    assert!(harness.printed().contains("1) Approve it   2) Reject"));
    assert_eq!(next_in_short(&mut events).await, "SHOWN");
    assert_eq!(next_in_short(&mut events).await, "SHOWN");

    harness.type_line("1 approve note=fine by me").await;
    let event = next(&mut events).await;
    assert_eq!(event.toast_id, shown.toast_id);
    assert_eq!(event.request_id, "r-1");
    assert_eq!(event.correlation, correlation);
    let Some(Event::Activated(activated)) = event.event else {
        panic!("not an answer: {event:?}");
    };
    assert_eq!(activated.action_id, "approve");
    assert_eq!(activated.inputs["note"], "fine by me");
    assert_eq!(activated.uri, "https://example.org/refund");

    // A number alone is a button of the newest.
    harness.type_line("2").await;
    assert_eq!(next_in_short(&mut events).await, "ACTIVATED reject");
    harness.type_line("2").await;
    harness.wait_for_print("there is no toast to answer").await;

    let journal = harness.journal();
    let line = |name: &str| journal.iter().find(|line| line["event"] == name).unwrap();
    assert_eq!(line("ACTIVATED")["action_id"], "approve");
    assert_eq!(line("ACTIVATED")["inputs"]["note"], "fine by me");
    assert_eq!(line("ACTIVATED")["correlation"]["event_id"], "e-1");
    assert_eq!(line("SHOWN")["seq"], 1);
    let show = journal.iter().find(|line| line["call"] == "Show").unwrap();
    assert_eq!(show["request"]["title"], "Refund?");
    assert_eq!(show["reply"]["toast_id"], shown.toast_id.as_str());
    assert_eq!(show["reply"]["outcome"], "SHOWN");
    assert!(journal.iter().any(|line| line["call"] == "Watch"));
}

#[tokio::test]
async fn closing_is_a_dismissal_and_nonsense_is_told() {
    let mut harness = Harness::start().await;
    let mut events = harness.watch(None).await;
    harness.show(asking("One")).await;
    harness.show(ShowRequest::clone(&asking("Two"))).await;
    next(&mut events).await;
    next(&mut events).await;
    harness.type_line("7").await;
    harness.wait_for_print("there is no button `7`").await;
    harness.type_line("1 x").await;
    assert_eq!(next_in_short(&mut events).await, "DISMISSED UserCanceled");
}
