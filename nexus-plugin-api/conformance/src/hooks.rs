//! Sources: each is shown webhooks that no producer should send, and its background task is ended in the middle.

use std::time::Duration;

use nexus_plugin_api::HookRequest;
use nexus_plugin_api::abi::ComponentKind;
use tokio::time::timeout;

use crate::hub::Mood;
use crate::report::{Check, Ledger};
use crate::stimulus::{Said, Stimulus};
use crate::strain;
use crate::subject::{Answer, Subject, judge};

/// How long a background task runs before it is ended.
const RUN: Duration = Duration::from_millis(300);

/// Tries every source.
pub(crate) async fn check(subject: &Subject, ledger: &mut Ledger<'_>) {
    for (number, part, _) in subject.of_kind(ComponentKind::Source) {
        let asked = subject.hub.asked();
        let mut check = Check::new(&part, "odd webhooks are answered with a status");
        let mut sound = Vec::new();
        for request in odd() {
            let stimulus = Stimulus::hook(number, request);
            match check.case(subject, &stimulus).await {
                Some(Ok(Said::Hook(reply))) if !(200..=599).contains(&reply.status) => {
                    let told = format!("it answers with the status {}", reply.status);
                    check.fail(told, stimulus.shown());
                }
                Some(Ok(_)) => sound.push(stimulus),
                Some(Err(error)) if !error.retryable => {
                    let told = format!("the producer is answered with 500: {error}");
                    check.remark(told, stimulus.shown());
                    sound.push(stimulus);
                }
                Some(Err(_)) | None => {}
            }
        }
        ledger.add(check);
        let asks = subject.hub.asked() > asked;
        strain::check(subject, &part, &sound, asks, ledger).await;
        ledger.add(background(subject, &part, number).await);
    }
}

/// The background task, under hubs of every mood; each time it has to let go.
async fn background(subject: &Subject, part: &str, number: u32) -> Check {
    let mut check = Check::new(part, "its background task lets go when it is ended");
    let moods = [
        (Mood::Ready, "a hub that answers"),
        (Mood::Failing, "a hub that fails"),
        (Mood::Silent, "a hub that says nothing"),
    ];
    for (mood, under) in moods {
        subject.hub.be(mood);
        check.cases += 1;
        let deaths = subject.deaths();
        match timeout(RUN, subject.run(number)).await {
            Err(_) => {
                if let Some(death) = subject.death_after(deaths).await {
                    check.fail(format!("it does not: {death}"), under);
                }
            }
            Ok(ended) => match judge(ended) {
                Answer::Broken(told) => check.fail(told, under),
                Answer::Refused(error) if mood == Mood::Ready => {
                    let told = format!(
                        "it ends with an error, and the hub starts it again, later each time: {error}"
                    );
                    check.remark(told, under);
                }
                Answer::Refused(_) | Answer::Said(()) => {}
            },
        }
    }
    subject.hub.be(Mood::Ready);
    check
}

/// Webhooks that are wrong in one way each.
fn odd() -> Vec<HookRequest> {
    let request = |method: &str, path: &str, body: &[u8]| HookRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        query: String::new(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.to_vec().into(),
    };
    let header = |name: &str, value: String| {
        let mut request = request("POST", "", b"{}");
        request.headers.push((name.to_owned(), value));
        request
    };
    let query = |query: &str| HookRequest {
        query: query.to_owned(),
        ..request("GET", "", b"")
    };
    let mut bare = request("POST", "", b"{}");
    bare.headers.clear();
    let mut crowd = request("POST", "", b"{}");
    let many = (0..200).map(|n| (format!("x-header-{n}"), "v".repeat(50)));
    crowd.headers.extend(many);
    vec![
        request("POST", "", b""),
        request("POST", "", b"{}"),
        request("POST", "", b"null"),
        request("POST", "", b"{\"a\":"),
        request("POST", "", b"\xff\xfe\x00 is no text"),
        request("POST", "", &vec![b'x'; 1 << 20]),
        request("GET", "", b""),
        request("DELETE", "", b""),
        request("BREW", "/../..//%00/é", b"{}"),
        request("POST", &format!("/{}", "a".repeat(5_000)), b"{}"),
        query("a=b&a=c&=&%ff=%fe&challenge=%ff%00"),
        query(&"q".repeat(5_000)),
        bare,
        crowd,
        header("x-huge", "h".repeat(60_000)),
        header("authorization", "Bearer not-the-one".to_owned()),
        header("x-signature", "sha256=00".to_owned()),
        header("x-hub-signature-256", format!("sha256={}", "0".repeat(64))),
        header("x-é", "é漢字🦀".to_owned()),
    ]
}
