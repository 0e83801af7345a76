//! What dispatch measures of its work: how long calls took, and what they and the events came to.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nexus_host::dispatch::config::{Breaker, Retry};
use nexus_host::dispatch::port::ABSENT;
use nexus_host::observe::measures::{Came, End, Meter, Meters};
use nexus_host::queue::Queue;
use nexus_plugin_api::{Outcome, PluginError, Priority, Reply};
use nexus_tests::events::event;
use tokio::time::sleep;

use super::scripted::{Setup, notify, unavailable};

/// Does something with the meter of a component that was called.
fn of<T>(meters: &Meters, component: &str, look: impl Fn(&Meter) -> T) -> T {
    let mut found = None;
    meters.each(|name, meter| {
        if name == component {
            found = Some(look(meter));
        }
    });
    found.unwrap_or_else(|| panic!("{component} was called"))
}

/// How many calls have come to what, without what none came to.
fn results(meters: &Meters, component: &str) -> Vec<(Came, u64)> {
    let results = of(meters, component, |meter| {
        meter.results().collect::<Vec<_>>()
    });
    results
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn each_call_is_measured_under_its_component_with_what_it_came_to() {
    let tried = AtomicU32::new(0);
    let rig = Setup::new()
        .decides(
            "p/acts",
            vec![
                notify("i/act", 1),
                notify("i/refuses", 2),
                notify("i/busy", 3),
            ],
        )
        .processor("p/skips", |_, _| async { Ok(Outcome::skip("no")) })
        .processor("p/rejects", |_, _| async { Ok(Outcome::reject("never")) })
        .processor("p/waits", |_, call| async move {
            match call.attempt {
                1 => Ok(Outcome::retry_later(Duration::from_secs(1), "not yet")),
                2 => Err(unavailable()),
                _ => Ok(Outcome::done()),
            }
        })
        .integration("i/act", move |_| {
            let first = tried.fetch_add(1, Ordering::Relaxed) == 0;
            async move {
                sleep(Duration::from_millis(30)).await;
                match first {
                    true => Err(unavailable()),
                    false => Ok(Reply::default()),
                }
            }
        })
        .integration("i/busy", |call| async move {
            match call.attempt {
                1 => Err(unavailable().after(Duration::from_secs(1))),
                _ => Ok(Reply::default()),
            }
        })
        .integration("i/refuses", |_| async {
            Err(PluginError::permanent("wrong", "so it is"))
        })
        .start();
    rig.put([event("a", 0)]).await;
    rig.done().await;

    let measures = &rig.measures;
    let processors = &measures.processors;
    assert_eq!(results(processors, "p/acts"), [(Came::Done, 1)]);
    assert_eq!(results(processors, "p/skips"), [(Came::Skip, 1)]);
    assert_eq!(results(processors, "p/rejects"), [(Came::Reject, 1)]);
    let each_once = [(Came::Done, 1), (Came::RetryLater, 1), (Came::Failed, 1)];
    assert_eq!(results(processors, "p/waits"), each_once);
    assert_eq!(of(processors, "p/waits", Meter::retried), 1);
    let integrations = &measures.integrations;
    let failed_first = [(Came::Done, 1), (Came::Failed, 1)];
    assert_eq!(results(integrations, "i/act"), failed_first);
    assert_eq!(of(integrations, "i/act", Meter::retried), 1);
    assert_eq!(results(integrations, "i/refuses"), [(Came::Failed, 1)]);
    assert_eq!(of(integrations, "i/refuses", Meter::retried), 0);
    let put_off = [(Came::Done, 1), (Came::RetryLater, 1)];
    assert_eq!(results(integrations, "i/busy"), put_off);
    let retried = of(integrations, "i/busy", Meter::retried);
    assert_eq!(retried, 0, "what was put off is no retry");
    // The clock of the tests stands still but for what sleeps.
    let times = of(integrations, "i/act", Meter::times);
    assert_eq!((times.count(), times.sum()), (2, Duration::from_millis(60)));
    assert_eq!(of(processors, "p/acts", Meter::times).sum(), Duration::ZERO);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_processor_that_is_not_there_was_not_called() {
    let asked = AtomicU32::new(0);
    let rig = Setup::new()
        .processor("p/away", move |_, _| {
            let is_away = asked.fetch_add(1, Ordering::Relaxed) == 0;
            async move {
                match is_away {
                    true => Err(PluginError::retryable(ABSENT, "not there")),
                    false => Ok(Outcome::done()),
                }
            }
        })
        .start();
    rig.put([event("a", 0)]).await;
    rig.done().await;
    let processors = &rig.measures.processors;
    assert_eq!(results(processors, "p/away"), [(Came::Done, 1)]);
    assert_eq!(of(processors, "p/away", Meter::times).count(), 1);
    assert_eq!(of(processors, "p/away", Meter::retried), 0);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn each_event_is_measured_once_and_its_parts_are_not() {
    let rig = Setup::new()
        .decides("p/one", vec![notify("i/act", 1), notify("i/act", 2)])
        .processor("p/two", |event, _| async move {
            match event.priority {
                Priority::High => Ok(Outcome::reject("never")),
                _ => Ok(Outcome::done()),
            }
        })
        .integration("i/act", |_| async { Ok(Reply::default()) })
        .start();
    let mut urgent = event("b", 1);
    urgent.priority = Priority::High;
    rig.put([event("a", 0), urgent]).await;
    rig.done().await;
    let waits = rig.measures.waits().map(|(of, waits)| (of, waits.count()));
    let waits: Vec<_> = waits.filter(|(_, count)| *count > 0).collect();
    assert_eq!(waits, [(Priority::Normal, 1), (Priority::High, 1)]);
    let lives = rig
        .measures
        .lives()
        .map(|(end, lives)| (end, lives.count()));
    let lives: Vec<_> = lives.collect();
    assert_eq!(lives, [(End::Processed, 1), (End::Dead, 1)]);
    let deaths = rig.queue.stats().deaths;
    let deaths: Vec<_> = deaths.by_reason().filter(|(_, count)| *count > 0).collect();
    assert_eq!(deaths, [("rejected", 1)]);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_breaker_holds_back_is_counted_and_is_no_call() {
    let mut setup = Setup::new()
        .decides("p/one", vec![notify("i/act", 1)])
        .integration("i/act", |_| async { Err(unavailable()) });
    setup.retry = Retry {
        max_retries: 0,
        ..Retry::default()
    };
    setup.breaker = Breaker {
        failures: 1,
        ..Breaker::default()
    };
    let rig = setup.start();
    rig.put([event("a", 0)]).await;
    rig.done().await;
    let integrations = &rig.measures.integrations;
    assert_eq!(of(integrations, "i/act", Meter::held), 0);
    rig.put([event("a", 1)]).await;
    rig.done().await;
    assert!(of(integrations, "i/act", Meter::held) > 0, "it is open");
    let calls = rig.calls("i/act").len();
    assert_eq!(
        of(integrations, "i/act", Meter::times).count(),
        calls as u64
    );
    rig.stop().await;
}
