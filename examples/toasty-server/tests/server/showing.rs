//! Show, Update, Dismiss, List and GetCapabilities.

use nexus_proto::toasty::v1::show_reply::Outcome;
use nexus_proto::toasty::v1::update_reply;
use nexus_proto::toasty::v1::{
    DismissRequest, GetCapabilitiesRequest, ListRequest, ShowRequest, TagAndGroup, UpdateRequest,
    dismiss_request, update_request,
};
use tonic::Code;

use crate::harness::{Harness, action, next, next_in_short, tagged, titled};

#[tokio::test]
async fn a_repeated_request_shows_nothing_again() {
    let mut harness = Harness::start().await;
    let request = ShowRequest {
        request_id: "order-17".to_owned(),
        ..titled("Once")
    };
    let first = harness.show(request.clone()).await;
    assert_eq!(first.outcome(), Outcome::Shown);
    let again = harness.show(request.clone()).await;
    assert_eq!(again.outcome(), Outcome::Duplicate);
    assert_eq!(again.toast_id, first.toast_id);
    assert_eq!(harness.printed().matches("Once").count(), 1);

    // Even after the toast has ended.
    let mut events = harness.watch(None).await;
    harness.type_line("x").await;
    assert_eq!(next_in_short(&mut events).await, "DISMISSED UserCanceled");
    assert_eq!(harness.show(request).await.outcome(), Outcome::Duplicate);

    // Without an id nothing is the same.
    assert_ne!(
        harness.show(titled("Free")).await.toast_id,
        harness.show(titled("Free")).await.toast_id
    );
}

#[tokio::test]
async fn two_at_once_with_one_request_id_show_one_toast() {
    let harness = Harness::start().await;
    let request = ShowRequest {
        request_id: "same".to_owned(),
        ..titled("Once")
    };
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let (mut client, request) = (harness.client.clone(), request.clone());
            tokio::spawn(async move { client.show(request).await.unwrap().into_inner() })
        })
        .collect();
    let mut shown = 0;
    for call in calls {
        shown += usize::from(call.await.unwrap().outcome() == Outcome::Shown);
    }
    assert_eq!(shown, 1);
    assert_eq!(harness.printed().matches("Once").count(), 1);
}

#[tokio::test]
async fn the_same_tag_and_group_take_the_place() {
    let mut harness = Harness::start().await;
    let old = harness.show(tagged("Old", "mail", "inbox")).await;
    assert_eq!(old.outcome(), Outcome::Shown);
    let elsewhere = harness.show(tagged("Elsewhere", "mail", "archive")).await;
    assert_eq!(elsewhere.outcome(), Outcome::Shown);

    let mut events = harness.watch(None).await;
    let new = harness.show(tagged("New", "mail", "inbox")).await;
    assert_eq!(new.outcome(), Outcome::Replaced);
    assert_eq!(new.replaced_toast_id, old.toast_id);
    let gone = next(&mut events).await;
    assert_eq!(gone.toast_id, old.toast_id);
    assert_eq!(next(&mut events).await.toast_id, new.toast_id);
    assert!(harness.printed().contains("[1] New"), "the number stays");

    let beside = ShowRequest {
        replace: false,
        ..tagged("Beside", "mail", "inbox")
    };
    assert_eq!(harness.show(beside).await.outcome(), Outcome::Shown);
    let all = harness.client.list(ListRequest::default()).await.unwrap();
    assert_eq!(all.into_inner().toasts.len(), 3);
}

#[tokio::test]
async fn a_suppressed_toast_is_listed_and_not_shown() {
    let mut harness = Harness::start().await;
    let mut events = harness.watch(None).await;
    let request = ShowRequest {
        suppress_popup: true,
        app_id: "mail".to_owned(),
        ..titled("Quiet")
    };
    let quiet = harness.show(request).await;
    assert_eq!(quiet.outcome(), Outcome::Suppressed);
    harness.show(titled("Loud")).await;
    assert_eq!(harness.printed(), "[1] Loud\n");
    let only = ListRequest {
        app_id: "mail".to_owned(),
        ..ListRequest::default()
    };
    let listed = harness.client.list(only).await.unwrap().into_inner();
    assert_eq!(listed.toasts.len(), 1);
    assert!(listed.toasts[0].suppressed);
    assert_ne!(next(&mut events).await.toast_id, quiet.toast_id);
}

#[tokio::test]
async fn a_broken_limit_is_refused_by_name_and_not_remembered() {
    let mut harness = Harness::start().await;
    let too_many = ShowRequest {
        request_id: "r".to_owned(),
        actions: (0..6).map(|n| action(&format!("a{n}"), "Button")).collect(),
        ..titled("Too many")
    };
    let status = harness.refused(too_many).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.message(), "actions: 6 given, at most 5 are allowed");
    for (request, field) in [
        (ShowRequest::default(), "title: "),
        (tagged("Long", &"t".repeat(65), ""), "tag: "),
        (tagged("Long", "t", &"g".repeat(65)), "group: "),
    ] {
        let status = harness.refused(request).await;
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().starts_with(field), "{status:?}");
    }
    let mended = ShowRequest {
        request_id: "r".to_owned(),
        ..titled("Mended")
    };
    assert_eq!(harness.show(mended).await.outcome(), Outcome::Shown);
    let journal = harness.journal();
    assert_eq!(journal[0]["error"]["code"], "InvalidArgument");
}

#[tokio::test]
async fn an_update_changes_the_words_in_order() {
    let mut harness = Harness::start().await;
    let shown = harness.show(tagged("Copying", "copy", "")).await;
    let update = |title: &str, sequence_number| UpdateRequest {
        target: Some(update_request::Target::Tagged(TagAndGroup {
            tag: "copy".to_owned(),
            group: String::new(),
        })),
        title: Some(title.to_owned()),
        sequence_number,
        ..UpdateRequest::default()
    };
    for (title, number, outcome) in [
        ("Half", 2, update_reply::Outcome::Updated),
        ("Quarter", 1, update_reply::Outcome::Stale),
        ("Done", 0, update_reply::Outcome::Updated),
    ] {
        let reply = harness.client.update(update(title, number)).await.unwrap();
        assert_eq!(reply.get_ref().outcome(), outcome, "{title}");
        assert_eq!(reply.get_ref().toast_id, shown.toast_id);
    }
    assert_eq!(harness.printed(), "[1] Copying\n[1] Half\n[1] Done\n");

    let nobody = UpdateRequest {
        target: Some(update_request::Target::ToastId("none".to_owned())),
        ..UpdateRequest::default()
    };
    let status = harness.client.update(nobody).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let status = harness.client.update(UpdateRequest::default()).await;
    assert_eq!(status.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn dismiss_takes_away_by_id_or_by_name() {
    let mut harness = Harness::start().await;
    let first = harness.show(titled("First")).await;
    let beside = |title| ShowRequest {
        replace: false,
        ..tagged(title, "t", "g")
    };
    harness.show(beside("Second")).await;
    harness.show(beside("Third")).await;
    let mut events = harness.watch(None).await;

    let by_id = dismiss_request::Target::ToastId(first.toast_id.clone());
    let by_name = dismiss_request::Target::Tagged(TagAndGroup {
        tag: "t".to_owned(),
        group: "g".to_owned(),
    });
    for (target, count) in [(by_id.clone(), 1), (by_name, 2)] {
        let target = Some(target);
        let reply = harness.client.dismiss(DismissRequest { target }).await;
        assert_eq!(reply.unwrap().into_inner().toast_ids.len(), count);
    }
    for _ in 0..3 {
        let event = next_in_short(&mut events).await;
        assert_eq!(event, "DISMISSED ApplicationHidden");
    }
    let target = Some(by_id);
    let status = harness.client.dismiss(DismissRequest { target }).await;
    let status = status.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains(&first.toast_id));
}

#[tokio::test]
async fn capabilities_are_those_of_this_display() {
    let mut harness = Harness::start().await;
    let able = harness.client.get_capabilities(GetCapabilitiesRequest {});
    let able = able.await.unwrap().into_inner();
    assert_eq!(able.display, "terminal");
    assert!(able.actions && able.inputs && !able.images);
    assert_eq!((able.max_actions, able.max_inputs), (5, 5));
    assert_eq!(able.max_tag_chars, 64);
    assert!(!able.log_id.is_empty());
}
