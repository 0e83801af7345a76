//! A toast on a real desktop: shown over gRPC, answered with the mouse, told on Watch and in the
//! journal.

use std::time::Duration;

use nexus_proto::toasty::v1::dismissed::Reason;
use nexus_proto::toasty::v1::show_reply::Outcome;
use nexus_proto::toasty::v1::toasty_client::ToastyClient;
use nexus_proto::toasty::v1::watch_event::Event;
use nexus_proto::toasty::v1::{
    Action, DismissRequest, GetCapabilitiesRequest, ShowRequest, UpdateRequest, WatchEvent,
    WatchRequest, dismiss_request, update_request,
};
use nexus_tests::skip::desktop_for;
use nexus_tests::toasty::{ToastyServer, journal as lines};
use tonic::Streaming;
use tonic::transport::Channel;

const WITHIN: Duration = Duration::from_secs(15);

#[tokio::test]
async fn a_button_pressed_on_the_desktop_comes_back() {
    let Some(desktop) = desktop_for("desktop_toast::a_button_pressed_on_the_desktop_comes_back")
    else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal.jsonl");
    let server = ToastyServer::start_on(&desktop, &journal);
    assert_eq!(server.display(), "desktop");
    let mut toasty = client(&server).await;

    let able = toasty.get_capabilities(GetCapabilitiesRequest {});
    let able = able.await.unwrap().into_inner();
    assert_eq!(able.display, "desktop");
    assert!(able.display_name.contains("Notification Daemon"));
    assert!(able.actions);

    let mut events = toasty
        .watch(WatchRequest::default())
        .await
        .unwrap()
        .into_inner();
    let shown = toasty.show(ask("r-1", "Approve the refund of 300 EUR?"));
    let shown = shown.await.unwrap().into_inner();
    assert_eq!(shown.outcome(), Outcome::Shown);
    assert!(matches!(
        next(&mut events).await.event,
        Some(Event::Shown(_))
    ));

    desktop
        .press_button(&["Approve the refund", "Reject"], "Reject")
        .unwrap();
    let event = next(&mut events).await;
    assert_eq!(event.toast_id, shown.toast_id);
    assert_eq!(event.request_id, "r-1");
    match event.event {
        Some(Event::Activated(activated)) => assert_eq!(activated.action_id, "reject"),
        other => panic!("not a pressed button: {other:?}"),
    }

    let written = lines(&journal);
    let activated = written.iter().find(|line| line["event"] == "ACTIVATED");
    let activated = activated.unwrap();
    assert_eq!(activated["action_id"], "reject");
    assert_eq!(activated["toast_id"], shown.toast_id.as_str());
    assert_eq!(activated["seq"], event.seq);
}

#[tokio::test]
async fn changes_and_replacements_take_the_same_place() {
    let Some(desktop) = desktop_for("desktop_toast::changes_and_replacements_take_the_same_place")
    else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let server = ToastyServer::start_on(&desktop, &dir.path().join("journal.jsonl"));
    let mut toasty = client(&server).await;
    let mut events = toasty
        .watch(WatchRequest::default())
        .await
        .unwrap()
        .into_inner();

    let mut first = ask("r-1", "First words");
    first.tag = "order-17".to_owned();
    first.replace = true;
    let old = toasty.show(first.clone()).await.unwrap().into_inner();
    let update = UpdateRequest {
        target: Some(update_request::Target::ToastId(old.toast_id.clone())),
        title: Some("Second words".to_owned()),
        ..UpdateRequest::default()
    };
    toasty.update(update).await.unwrap();
    let again = ShowRequest {
        request_id: "r-2".to_owned(),
        title: "Third words".to_owned(),
        ..first
    };
    let new = toasty.show(again).await.unwrap().into_inner();
    assert_eq!(new.outcome(), Outcome::Replaced);
    let places = desktop.wait_for_toasts(1).unwrap();
    assert_eq!(places, 1, "one place on the screen");

    desktop
        .press_button(&["Approve the refund", "Reject"], "Approve the refund")
        .unwrap();
    let mut told = Vec::new();
    while told.len() < 4 {
        told.push(next(&mut events).await);
    }
    assert_eq!(told[0].toast_id, old.toast_id);
    assert_eq!(reason(&told[1]), Some(Reason::ApplicationHidden));
    assert_eq!(told[2].toast_id, new.toast_id);
    assert_eq!(told[3].toast_id, new.toast_id);
    match &told[3].event {
        Some(Event::Activated(activated)) => assert_eq!(activated.action_id, "approve"),
        other => panic!("not a pressed button: {other:?}"),
    }
}

// The client must go on reading while the test waits for the process to end.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_person_and_the_server_close_toasts() {
    let Some(desktop) = desktop_for("desktop_toast::a_person_and_the_server_close_toasts") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let mut server = ToastyServer::start_on(&desktop, &dir.path().join("journal.jsonl"));
    let mut toasty = client(&server).await;
    let mut events = toasty
        .watch(WatchRequest::default())
        .await
        .unwrap()
        .into_inner();

    toasty.show(ask("r-1", "Close me")).await.unwrap();
    next(&mut events).await;
    desktop.close_toast().unwrap();
    assert_eq!(reason(&next(&mut events).await), Some(Reason::UserCanceled));

    let shown = toasty.show(ask("r-2", "Take me away")).await.unwrap();
    next(&mut events).await;
    let target = dismiss_request::Target::ToastId(shown.into_inner().toast_id);
    let target = Some(target);
    toasty.dismiss(DismissRequest { target }).await.unwrap();
    assert_eq!(
        reason(&next(&mut events).await),
        Some(Reason::ApplicationHidden)
    );

    // Told to stop, the server takes its toasts along.
    toasty.show(ask("r-3", "The last")).await.unwrap();
    next(&mut events).await;
    assert!(server.stop());
    assert_eq!(
        reason(&next(&mut events).await),
        Some(Reason::ApplicationHidden)
    );
    let end = tokio::time::timeout(WITHIN, events.message())
        .await
        .unwrap();
    assert_eq!(end.unwrap_err().code(), tonic::Code::Unavailable);
}

fn ask(request_id: &str, title: &str) -> ShowRequest {
    let action = |id: &str, label: &str| Action {
        id: id.to_owned(),
        label: label.to_owned(),
        ..Action::default()
    };
    ShowRequest {
        request_id: request_id.to_owned(),
        title: title.to_owned(),
        body: "The agent waits for an answer <b>& nothing else</b>.".to_owned(),
        ttl: Some(Duration::from_secs(120).try_into().unwrap()),
        actions: vec![
            action("approve", "Approve the refund"),
            action("reject", "Reject"),
        ],
        ..ShowRequest::default()
    }
}

async fn next(events: &mut Streaming<WatchEvent>) -> WatchEvent {
    let event = tokio::time::timeout(WITHIN, events.message()).await;
    event.expect("no event in time").unwrap().unwrap()
}

fn reason(event: &WatchEvent) -> Option<Reason> {
    match &event.event {
        Some(Event::Dismissed(dismissed)) => Some(dismissed.reason()),
        _ => None,
    }
}

async fn client(server: &ToastyServer) -> ToastyClient<Channel> {
    let endpoint = Channel::from_shared(server.endpoint()).unwrap();
    ToastyClient::new(endpoint.connect().await.unwrap())
}
