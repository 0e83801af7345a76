//! Dead letters: found by what they are, taken up once more, deleted.

use nexus_host::queue::config::WhenFull;
use nexus_host::queue::{
    Config, DeadLetter, Delivery, EventStatus, Failure, Grave, LetterFilter, Page, Settlement,
    Step, Work,
};
use nexus_plugin_api::Event;
use uuid::Uuid;

use super::{Backend, Rig, effect, failure, follow_up, nack};
use crate::events::{EVENT_TYPE, event, number};

fn grave(work: Work, reason: &str) -> Grave {
    Grave {
        work,
        reason: reason.to_owned(),
        errors: vec![failure("one"), failure("two")],
    }
}

/// Gives parts of the next delivery up, and ends it.
async fn bury(rig: &Rig<'_>, dead: Vec<Grave>) -> Delivery {
    let delivery = rig.lease().await;
    let with = Settlement {
        dead,
        ..Settlement::default()
    };
    rig.settle(&delivery, with).await;
    delivery
}

/// One event of which one effect is a dead letter.
async fn one_letter(rig: &Rig<'_>, one: Event) -> DeadLetter {
    rig.put([one]).await;
    bury(rig, vec![grave(effect(3), "given_up")]).await;
    rig.dead_letters().await.pop().expect("it is there")
}

async fn found(rig: &Rig<'_>, filter: LetterFilter, page: Page) -> Vec<Uuid> {
    let letters = rig.queue.dead_letters(filter, page).await;
    ids(&letters.expect("they can be read"))
}

fn ids(letters: &[DeadLetter]) -> Vec<Uuid> {
    letters.iter().map(|letter| letter.id).collect()
}

async fn replay(rig: &Rig<'_>, letters: &[Uuid]) -> Vec<Uuid> {
    let replayed = rig.queue.replay(letters.to_vec()).await;
    replayed.expect("the storage works")
}

async fn purge(rig: &Rig<'_>, letters: &[Uuid]) -> Vec<Uuid> {
    let purged = rig.queue.purge(letters.to_vec()).await;
    purged.expect("the storage works")
}

async fn status(rig: &Rig<'_>, id: Uuid) -> Option<EventStatus> {
    rig.journey(id).await.map(|journey| journey.status)
}

async fn steps(rig: &Rig<'_>, id: Uuid) -> Vec<Step> {
    let journey = rig.journey(id).await.expect("it is known");
    assert!(journey.steps.is_sorted_by_key(|line| line.at));
    journey.steps.into_iter().map(|line| line.step).collect()
}

/// A filter finds the letters that it matches, oldest first, whichever condition it has.
pub async fn letters_are_found_by_what_they_are(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    let route = |reason| vec![grave(Work::Route, reason)];
    rig.put(["mail.a", "mail.b", "chat"].map(|source| event(source, 0)))
        .await;
    bury(&rig, route("rejected")).await;
    rig.pass(1).await;
    let both = vec![grave(effect(0), "retries_exhausted"), grave(effect(1), "x")];
    bury(&rig, both).await;
    rig.pass(1).await;
    bury(&rig, route("retries_exhausted")).await;
    let all = rig.dead_letters().await;
    assert_eq!(all.len(), 4);

    let parse = |text: &str| Some(text.parse().expect("a selector"));
    let any = LetterFilter::default;
    let cases: [(LetterFilter, Option<usize>); 13] = [
        (any(), Some(4)),
        (LetterFilter::of(all[2].id), Some(1)),
        (LetterFilter::of(all[1].event.event_id), Some(2)),
        (LetterFilter::of(Uuid::now_v7()), Some(0)),
        (
            LetterFilter {
                event_type: parse(EVENT_TYPE),
                ..any()
            },
            Some(4),
        ),
        (
            LetterFilter {
                event_type: parse("mail.*"),
                ..any()
            },
            Some(0),
        ),
        (
            LetterFilter {
                source: parse("mail.*"),
                ..any()
            },
            Some(3),
        ),
        (
            LetterFilter {
                source: parse("chat"),
                ..any()
            },
            Some(1),
        ),
        (
            LetterFilter {
                integration: Some("any".to_owned()),
                ..any()
            },
            Some(2),
        ),
        (
            LetterFilter {
                reason: Some("retries_exhausted".to_owned()),
                ..any()
            },
            Some(2),
        ),
        (
            LetterFilter {
                source: parse("mail.*"),
                reason: Some("retries_exhausted".to_owned()),
                ..any()
            },
            Some(1),
        ),
        // How many depends on how fast the backend is.
        (
            LetterFilter {
                since: Some(all[2].at),
                ..any()
            },
            None,
        ),
        (
            LetterFilter {
                until: Some(all[2].at),
                ..any()
            },
            None,
        ),
    ];
    for (filter, count) in cases {
        let meant: Vec<_> = all.iter().filter(|one| filter.matches(one)).collect();
        let found = found(&rig, filter.clone(), Page::first(100)).await;
        let expected: Vec<_> = meant.iter().map(|one| one.id).collect();
        assert_eq!(found, expected, "{filter:?}");
        assert!(count.is_none_or(|count| count == found.len()), "{filter:?}");
    }
}

/// Pages follow one another without a gap or a letter twice, even if letters go and come between.
pub async fn letters_come_in_pages(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    rig.put((0..7).map(|n| event(if n == 3 { "other" } else { "a" }, n)))
        .await;
    for _ in 0..7 {
        bury(&rig, vec![grave(Work::Route, "x")]).await;
    }
    let all = ids(&rig.dead_letters().await);
    let of_a = || LetterFilter {
        source: "a".parse().ok(),
        ..LetterFilter::default()
    };
    assert!(found(&rig, of_a(), Page::first(0)).await.is_empty());
    let others: Vec<Uuid> = rig
        .dead_letters()
        .await
        .iter()
        .filter(|letter| letter.event.source == "other")
        .map(|letter| letter.id)
        .collect();
    let expected: Vec<Uuid> = (all.iter().copied())
        .filter(|id| !others.contains(id))
        .collect();
    let mut seen = found(&rig, of_a(), Page::first(2)).await;
    // The letter that the next page starts from is gone; a new one comes at the end.
    assert_eq!(purge(&rig, &seen[1..]).await, seen[1..]);
    let last = one_letter(&rig, event("a", 7)).await;
    loop {
        let page = Page {
            after: seen.last().copied(),
            limit: 2,
        };
        let next = found(&rig, of_a(), page).await;
        assert!(next.len() <= 2);
        if next.is_empty() {
            break;
        }
        seen.extend(next);
    }
    assert_eq!(seen, [expected, vec![last.id]].concat());
}

/// The work of a letter is done once more: the same effect of the same event, with every attempt
/// before it, and a journey that goes on.
pub async fn a_replayed_letter_is_work_again(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    let one = event("a", 0).with_correlation("thread");
    let id = one.event_id;
    let letter = one_letter(&rig, one).await;
    assert_eq!(status(&rig, id).await, Some(EventStatus::Dead));
    let before = steps(&rig, id).await;

    assert_eq!(replay(&rig, &[letter.id]).await, [letter.id]);
    assert!(rig.dead_letters().await.is_empty());
    assert_eq!(status(&rig, id).await, Some(EventStatus::Processing));
    let stats = rig.queue.stats();
    assert_eq!((stats.depth, stats.dead_letters), (1, 0));
    let first = rig.lease().await;
    assert_eq!((first.attempt, first.errors.len()), (1, 0));
    assert_eq!(
        first.work,
        effect(3),
        "the number makes the idempotency key"
    );
    assert_eq!(first.event, letter.event);
    assert_eq!(first.accepted_at, letter.accepted_at);
    rig.settle(&first, nack(rig.units(1), Some(failure("once more"))))
        .await;
    rig.pass(11).await;
    let second = rig.lease().await;
    assert_eq!((second.attempt, second.errors.len()), (2, 1));
    let settled = rig.ack(&second).await;
    assert_eq!(settled.finished, Some(EventStatus::Processed));

    let journey = rig.journey(id).await.expect("it is kept");
    assert_eq!(journey.status, EventStatus::Processed);
    assert_eq!(journey.correlation_id.as_deref(), Some("thread"));
    assert_eq!(journey.accepted_at, letter.accepted_at);
    assert!(journey.finished_at.is_some());
    let after = [
        Step::Replayed {
            dead_letter: letter.id,
        },
        Step::Finished {
            status: EventStatus::Processed,
        },
    ];
    assert_eq!(steps(&rig, id).await, [before, after.to_vec()].concat());
    assert_eq!(rig.queue.stats().depth, 0);
}

/// An event that is not finished yet takes its dead part back, and ends with the last of all.
pub async fn a_replayed_letter_joins_what_its_event_still_does(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    let one = event("a", 0);
    let id = one.event_id;
    rig.put([one]).await;
    let delivery = rig.lease().await;
    let with = Settlement {
        dead: vec![grave(effect(0), "x")],
        follow_ups: vec![follow_up(effect(1), Some(rig.units(1)))],
        ..Settlement::default()
    };
    rig.settle(&delivery, with).await;
    let letters = ids(&rig.dead_letters().await);
    assert_eq!(replay(&rig, &letters).await, letters);
    assert_eq!(rig.queue.stats().depth, 1, "one event");
    let again = rig.lease().await;
    assert_eq!(again.work, effect(0));
    assert_eq!(rig.ack(&again).await.finished, None);
    assert_eq!(status(&rig, id).await, Some(EventStatus::Processing));
    rig.pass(11).await;
    let last = rig.lease().await;
    assert_eq!(last.work, effect(1));
    assert_eq!(
        rig.ack(&last).await.finished,
        Some(EventStatus::Processed),
        "nothing of it is dead any more"
    );
}

/// An event is dead as long as one of its letters is.
pub async fn an_event_is_dead_until_its_last_letter_is_replayed(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    let one = event("a", 0);
    let id = one.event_id;
    rig.put([one]).await;
    bury(&rig, vec![grave(effect(0), "x"), grave(effect(1), "x")]).await;
    let letters = ids(&rig.dead_letters().await);
    for (letter, ends) in letters
        .iter()
        .zip([EventStatus::Dead, EventStatus::Processed])
    {
        assert_eq!(replay(&rig, &[*letter]).await, [*letter]);
        assert_eq!(status(&rig, id).await, Some(EventStatus::Processing));
        let again = rig.lease().await;
        assert_eq!(rig.ack(&again).await.finished, Some(ends));
        assert_eq!(status(&rig, id).await, Some(ends));
    }
}

/// An event that had to give way is routed after all, behind what its lane holds by then.
pub async fn a_replayed_routing_waits_in_its_lane(backend: &Backend) {
    let config = Config {
        capacity: 2,
        when_full: WhenFull::DropOldest,
        ..Config::default()
    };
    let rig = backend.rig(config).await;
    let dropped = event("a", 0);
    let id = dropped.event_id;
    rig.put([dropped, event("a", 1), event("a", 2)]).await;
    assert_eq!(rig.given_way(), [id]);
    let letter = rig.dead_letters().await.remove(0);
    assert_eq!(
        (letter.reason.as_str(), letter.errors.len()),
        ("queue_full", 0)
    );
    let held = rig.lease().await;
    assert_eq!(replay(&rig, &[letter.id]).await, [letter.id]);
    assert_eq!(status(&rig, id).await, Some(EventStatus::Queued));
    rig.nothing().await;
    rig.ack(&held).await;
    for n in [2, 0] {
        let next = rig.lease().await;
        assert_eq!((number(&next.event), &next.work), (n, &Work::Route));
        assert_eq!((next.attempt, next.errors.len()), (1, 0));
        rig.nothing().await;
        rig.ack(&next).await;
    }
    assert_eq!(status(&rig, id).await, Some(EventStatus::Processed));
}

/// Asked for twice, a letter's work is taken up once.
pub async fn a_letter_is_replayed_once(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    let letter = one_letter(&rig, event("a", 0)).await.id;
    let unknown = Uuid::now_v7();
    assert_eq!(replay(&rig, &[letter, unknown, letter]).await, [letter]);
    assert!(replay(&rig, &[letter]).await.is_empty(), "while it waits");
    let again = rig.lease().await;
    assert!(
        replay(&rig, &[letter]).await.is_empty(),
        "while it is leased"
    );
    rig.nothing().await;
    rig.ack(&again).await;
    assert!(replay(&rig, &[letter]).await.is_empty(), "when it is done");
    assert!(purge(&rig, &[letter]).await.is_empty());
    rig.nothing().await;
}

/// What fails for good again is another letter, with the failures since.
pub async fn replayed_work_may_die_again(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    let first = one_letter(&rig, event("a", 0)).await;
    replay(&rig, &[first.id]).await;
    let last = Grave {
        errors: vec![failure("three")],
        ..grave(effect(3), "again")
    };
    bury(&rig, vec![last]).await;
    let letters = rig.dead_letters().await;
    assert_eq!(letters.len(), 1);
    let second = &letters[0];
    assert!(second.id > first.id && second.at >= first.at);
    assert_eq!((&second.event, &second.work), (&first.event, &first.work));
    let codes = |errors: &[Failure]| {
        errors
            .iter()
            .map(|one| one.code.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (second.reason.as_str(), codes(&second.errors)),
        ("again", vec!["three".to_owned()])
    );
    assert!(replay(&rig, &[first.id]).await.is_empty());
    let id = first.event.event_id;
    assert_eq!(status(&rig, id).await, Some(EventStatus::Dead));
    assert_eq!(replay(&rig, &[second.id]).await, [second.id]);
    let again = rig.lease().await;
    assert_eq!(rig.ack(&again).await.finished, Some(EventStatus::Processed));
}

/// A purged letter is gone; its event stays dead, and other letters stay.
pub async fn a_purged_letter_is_gone(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    let kept = one_letter(&rig, event("a", 0)).await.id;
    let letter = one_letter(&rig, event("a", 1)).await;
    let unknown = Uuid::now_v7();
    assert_eq!(
        purge(&rig, &[unknown, letter.id, letter.id]).await,
        [letter.id]
    );
    assert_eq!(ids(&rig.dead_letters().await), [kept]);
    assert_eq!(rig.queue.stats().dead_letters, 1);
    assert!(purge(&rig, &[letter.id]).await.is_empty());
    assert!(replay(&rig, &[letter.id]).await.is_empty());
    rig.nothing().await;
    let standing = status(&rig, letter.event.event_id).await;
    assert_eq!(standing, Some(EventStatus::Dead));
}

/// A letter is kept longer than its event's journey: what is replayed then has a new one.
pub async fn a_letter_outlives_its_journey(backend: &Backend) {
    let config = Config {
        journal_capacity: 1,
        ..Config::default()
    };
    let rig = backend.rig(config).await;
    let one = event("a", 0).with_correlation("thread");
    let id = one.event_id;
    rig.put([one, event("b", 1)]).await;
    bury(&rig, vec![grave(effect(0), "x"), grave(effect(1), "x")]).await;
    let other = rig.lease().await;
    rig.ack(&other).await;
    assert_eq!(status(&rig, id).await, None, "forgotten");
    for letter in rig.dead_letters().await {
        assert_eq!(replay(&rig, &[letter.id]).await, [letter.id]);
        let again = rig.lease().await;
        assert_eq!(again.work, letter.work);
        rig.ack(&again).await;
        let journey = rig.journey(id).await.expect("it is known again");
        assert_eq!(journey.correlation_id.as_deref(), Some("thread"));
        assert_eq!(journey.accepted_at, letter.accepted_at);
        let replayed = Step::Replayed {
            dead_letter: letter.id,
        };
        assert!(steps(&rig, id).await.contains(&replayed));
    }
    assert_eq!(status(&rig, id).await, Some(EventStatus::Processed));
}

/// However often it is replayed, an event has one journey, which does not grow for ever and tells
/// the last time.
pub async fn a_journey_is_bounded_through_replays(backend: &Backend) {
    let rig = backend.rig(Config::default()).await;
    let id = one_letter(&rig, event("a", 0)).await.event.event_id;
    for _ in 0..300 {
        let letters = ids(&rig.dead_letters().await);
        assert_eq!(replay(&rig, &letters).await.len(), 1);
        bury(&rig, vec![grave(effect(3), "again")]).await;
    }
    let lines = steps(&rig, id).await.len();
    assert!(lines <= 600, "{lines} lines");
    let last = rig.dead_letters().await.remove(0).id;
    replay(&rig, &[last]).await;
    let again = Step::Replayed { dead_letter: last };
    assert_eq!(steps(&rig, id).await.last(), Some(&again));
}
