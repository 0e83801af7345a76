//! What every component has to bear, whatever its kind: the same thing twice, many things at once, calls that are
//! given up, and a hub that is slow or fails. Receives what the component has answered before.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::hub::Mood;
use crate::report::{Check, Ledger};
use crate::stimulus::{Said, Stimulus};
use crate::subject::{Answer, Subject};

/// Why nothing is tried.
pub(crate) const NOTHING_SOUND: &str = "nothing was answered that could be tried again";

/// So many things are shown twice, and so many at once.
const TWICE: usize = 50;
const AT_ONCE: usize = 64;

/// So many are given up, and shown under a hub that is slow or fails.
const FEW: usize = 8;

/// When calls are given up: before they have begun, soon, and a little later.
const GIVEN_UP: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(1),
    Duration::from_millis(10),
];

/// Tries a component. `asks` says whether it has asked the hub for anything so far.
pub(crate) async fn check(
    subject: &Subject,
    part: &str,
    sound: &[Stimulus],
    asks: bool,
    ledger: &mut Ledger<'_>,
) {
    const NAMES: [&str; 5] = [
        "the same thing twice comes to the same",
        "many at once are answered",
        "calls that are given up are let go of",
        "a slow hub is waited for",
        "a failing hub is told, or done without",
    ];
    let [same, many, let_go, slow, failing] = NAMES;
    if sound.is_empty() {
        for name in NAMES {
            ledger.add(Check::skipped(part, name, NOTHING_SOUND));
        }
        return;
    }
    ledger.add(twice(subject, Check::new(part, same), sound).await);
    ledger.add(at_once(subject, Check::new(part, many), sound).await);
    ledger.add(given_up(subject, Check::new(part, let_go), sound).await);
    for (mood, name) in [(Mood::Slow, slow), (Mood::Failing, failing)] {
        if !asks {
            let reason = "it asks the hub for nothing";
            ledger.add(Check::skipped(part, name, reason));
            continue;
        }
        let mut check = Check::new(part, name);
        subject.hub.be(mood);
        for stimulus in sound.iter().take(FEW) {
            check.case(subject, &stimulus.anew()).await;
        }
        subject.hub.be(Mood::Ready);
        ledger.add(check);
    }
}

/// Delivery is at least once, and effects are told apart by their places: so these should be the same.
async fn twice(subject: &Subject, mut check: Check, sound: &[Stimulus]) -> Check {
    for stimulus in sound.iter().take(TWICE) {
        let (Some(first), Some(second)) = (
            check.case(subject, stimulus).await,
            check.case(subject, stimulus).await,
        ) else {
            continue;
        };
        let told = match (first, second) {
            (Ok(Said::Outcome(one)), Ok(Said::Outcome(other))) if one.effects != other.effects => {
                "its effects are others the second time: where the first were performed already, the \
                 idempotency keys of some stand for something else now"
            }
            (Ok(Said::Reply(one)), Ok(Said::Reply(other))) if one != other => {
                "the same idempotency key is answered in another way the second time"
            }
            (Ok(_), Err(_)) => "it is refused the second time",
            _ => continue,
        };
        check.remark(told, stimulus.shown());
        // One says it for all.
        break;
    }
    check
}

async fn at_once(subject: &Subject, mut check: Check, sound: &[Stimulus]) -> Check {
    let crowd: Vec<Stimulus> = sound
        .iter()
        .cycle()
        .take(AT_ONCE)
        .map(Stimulus::anew)
        .collect();
    let answers = join_all(crowd.iter().map(|one| subject.give(one))).await;
    for (stimulus, answer) in crowd.iter().zip(answers) {
        check.cases += 1;
        if let Answer::Broken(told) = answer {
            check.fail(told, format!("{}, {AT_ONCE} at once", stimulus.shown()));
            break;
        }
    }
    check
}

async fn given_up(subject: &Subject, mut check: Check, sound: &[Stimulus]) -> Check {
    let few = &sound[..sound.len().min(FEW)];
    check.cases = (few.len() * GIVEN_UP.len()) as u64;
    if held(subject, few).await.is_some() {
        // By which of them? Waiting takes a second each, so that is asked only now.
        for one in few {
            if let Some(death) = held(subject, std::slice::from_ref(one)).await {
                check.fail(death, one.shown());
            }
        }
        if check.findings.is_empty() {
            check.fail(
                "its worker has died once, and none of them does that alone",
                "",
            );
        }
    } else if let Some(first) = few.first()
        && let Answer::Broken(told) = subject.give(&first.anew()).await
    {
        check.fail(format!("afterwards {told}"), first.shown());
    }
    check
}

/// Gives some calls up, each sooner and later. How the worker has died, if it has not let go of one.
async fn held(subject: &Subject, some: &[Stimulus]) -> Option<String> {
    let deaths = subject.deaths();
    // So that whoever asks it for something has not ended before.
    subject.hub.be(Mood::Silent);
    for stimulus in some {
        for patience in GIVEN_UP {
            // Whether it was answered before is all the same.
            let _ = timeout(patience, subject.shown(&stimulus.anew())).await;
        }
    }
    subject.hub.be(Mood::Ready);
    subject.death_after(deaths).await
}
