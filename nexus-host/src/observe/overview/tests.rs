use std::sync::atomic::{AtomicU64, Ordering};

use chrono::Utc;
use serde_json::{Value, json};

use super::*;
use crate::observe::Histogram;

/// A hub that takes a hundred more events between any two looks.
#[derive(Default)]
struct Busy {
    looks: AtomicU64,
    lives: Histogram,
}

impl Rooms for Busy {
    fn look(&self) -> Look {
        let looks = self.looks.fetch_add(1, Ordering::Relaxed);
        self.lives.add(Duration::from_millis(20));
        Look {
            at: Utc::now(),
            doors: vec![("http", "accepted", 100 * looks), ("http", "duplicate", 0)],
            finished: 100 * looks,
            lives: self.lives.counted(),
            integrations: (0..300)
                .map(|number| (format!("i/{number:03}").into(), Component::default()))
                .collect(),
            standing: Standing {
                queue: Queue {
                    depth: 7,
                    ..Queue::default()
                },
                ..Standing::default()
            },
            ..Look::default()
        }
    }
}

async fn next(watcher: &mut Watcher) -> Value {
    serde_json::from_slice(&watcher.next().await.unwrap()).unwrap()
}

fn seconds(watcher: &Watcher) -> usize {
    let before: Value = serde_json::from_slice(&watcher.before).unwrap();
    before["seconds"].as_array().unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn everybody_who_watches_is_told_the_same_once_a_second() {
    let busy = Arc::new(Busy::default());
    let overviews = Overviews::new(busy.clone());
    let (mut one, mut other) = (overviews.watch(), overviews.watch());
    let begun = Instant::now();
    let told = next(&mut one).await;
    assert_eq!(told, next(&mut other).await);
    assert_eq!(begun.elapsed(), PAUSE);
    assert_eq!(told["second"]["accepted"], 100.0);
    assert_eq!(told["second"]["depth"], 7);
    let median = told["second"]["end_to_end"]["p50_seconds"].as_f64();
    assert!((0.01..=0.025).contains(&median.unwrap()), "{told}");
    assert_eq!(
        told["doors"],
        json!([{
            "door": "http",
            "results": [{ "result": "accepted", "per_second": 100.0, "total": 100 }],
        }])
    );
    let integrations = &told["integrations"];
    assert_eq!(integrations["list"].as_array().unwrap().len(), 200);
    assert_eq!(integrations["left_out"], 100);
    assert_eq!(busy.looks.load(Ordering::Relaxed), 2, "one look for both");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_while_nobody_watches_and_what_was_seen_is_told_later() {
    let busy = Arc::new(Busy::default());
    let overviews = Overviews::new(busy.clone());
    let mut watcher = overviews.watch();
    for _ in 0..5 {
        next(&mut watcher).await;
    }
    drop(watcher);
    tokio::time::sleep(10 * PAUSE).await;
    let looks = busy.looks.load(Ordering::Relaxed);
    assert!(looks <= 7, "{looks}");
    tokio::time::sleep(100 * PAUSE).await;
    assert_eq!(busy.looks.load(Ordering::Relaxed), looks);
    let mut again = overviews.watch();
    assert_eq!(seconds(&again), 5);
    let told = next(&mut again).await;
    assert_eq!(told["second"]["accepted"], 100.0, "not since the last time");
    for _ in 0..SECONDS {
        next(&mut again).await;
    }
    assert_eq!(seconds(&overviews.watch()), SECONDS, "no more are kept");
}
