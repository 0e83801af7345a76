//! Work that kills the process: known at the next start, tried alone, and given up in the end.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nexus_host::queue::{
    Config, Delivery, LetterFilter, Page, Pushed, Queue, Settlement, SqliteQueue, Work,
};
use nexus_tests::conformance::{effect, follow_up};
use nexus_tests::events::{admitted, event, number};
use tempfile::TempDir;
use tokio::time::timeout;

/// A queue in a folder, as a process before this one left it when it died.
struct Left {
    folder: TempDir,
    queue: Arc<SqliteQueue>,
}

impl Left {
    fn new() -> Self {
        Self::open(tempfile::tempdir().expect("a folder"))
    }

    fn open(folder: TempDir) -> Self {
        let mut config = Config::default();
        config.sqlite.path = folder.path().join("queue.db");
        let queue = SqliteQueue::open(&config, true).expect("it opens");
        Self {
            folder,
            queue: Arc::new(queue),
        }
    }

    /// The same queue as it is found if the process dies here and now.
    fn die(&self) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for entry in std::fs::read_dir(self.folder.path()).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name");
            // The lock dies with the process, and the index of the log is made anew.
            if !ends_with(&path, "-lock") && !ends_with(&path, "-shm") {
                std::fs::copy(&path, folder.path().join(name)).expect("it is copied");
            }
        }
        Self::open(folder)
    }

    async fn put(&self, numbers: std::ops::Range<u64>) {
        for n in numbers {
            let one = admitted(event(&format!("s{n}"), n));
            let report = self.queue.push(vec![one]).await;
            assert_eq!(report.answers, [Ok(Pushed::Accepted)]);
        }
    }

    async fn lease(&self) -> Option<Delivery> {
        let found = timeout(Duration::from_millis(500), self.queue.lease()).await;
        found.ok().map(|found| found.expect("leasing is open"))
    }

    async fn ack(&self, delivery: &Delivery) {
        let settled = self
            .queue
            .settle(delivery.lease, Settlement::default())
            .await;
        settled.expect("it is held");
    }

    /// Works everything off. Answers what was seen, in order.
    async fn rest(&self) -> Vec<u64> {
        let mut numbers = Vec::new();
        while let Some(delivery) = self.lease().await {
            numbers.push(number(&delivery.event));
            self.ack(&delivery).await;
        }
        numbers
    }

    async fn killers(&self) -> Vec<(u64, String, Work)> {
        let letters = self
            .queue
            .dead_letters(LetterFilter::default(), Page::first(100));
        let letters = letters.await.expect("they can be read").into_iter();
        letters
            .map(|letter| (number(&letter.event), letter.reason, letter.work))
            .collect()
    }
}

fn ends_with(path: &Path, suffix: &str) -> bool {
    path.to_string_lossy().ends_with(suffix)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_under_way_is_tried_alone_before_everything_else() {
    let before = Left::new();
    before.put(0..6).await;
    for _ in 0..3 {
        before.lease().await.expect("it is ready");
    }
    let after = before.die();
    let first = after.lease().await.expect("it comes again");
    assert_eq!(number(&first.event), 0);
    assert!(after.lease().await.is_none(), "it is not alone");
    after.ack(&first).await;
    assert_eq!(after.rest().await, [1, 2, 3, 4, 5]);
    assert!(after.killers().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_alone_when_the_process_died_again_is_given_up_and_nothing_else() {
    let first = Left::new();
    first.put(0..6).await;
    for _ in 0..3 {
        first.lease().await.expect("it is ready");
    }
    let second = first.die();
    let innocent = second.lease().await.expect("it comes again");
    second.ack(&innocent).await;
    let killer = second.lease().await.expect("it comes again");
    let second = second.die();
    assert!(second.killers().await.is_empty(), "once may be chance");
    let again = second.lease().await.expect("it comes again");
    assert_eq!(again.event, killer.event);
    let third = second.die();
    assert_eq!(
        third.killers().await,
        [(
            number(&killer.event),
            "killed_the_hub".to_owned(),
            Work::Route
        )]
    );
    assert_eq!(third.rest().await, [2, 3, 4, 5], "the rest goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_effect_that_kills_is_given_up_alone() {
    let first = Left::new();
    first.put(0..1).await;
    let routed = first.lease().await.expect("it is ready");
    let with = Settlement {
        follow_ups: vec![follow_up(effect(0), None), follow_up(effect(1), None)],
        ..Settlement::default()
    };
    let settled = first.queue.settle(routed.lease, with).await;
    let leased = settled.expect("it is held").leased;
    first.ack(&leased[1]).await;
    // The other was done, so this one was alone already.
    let second = first.die();
    let killer = second.lease().await.expect("it comes again");
    assert_eq!(killer.work, effect(0));
    let third = second.die();
    assert_eq!(
        third.killers().await,
        [(0, "killed_the_hub".to_owned(), effect(0))]
    );
    assert!(third.rest().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_end_accuses_nobody() {
    let mut left = Left::new();
    left.put(0..2).await;
    for _ in 0..3 {
        left.lease().await.expect("it is ready");
        left.queue.close().await;
        left = Left::open(left.folder);
    }
    assert!(left.killers().await.is_empty());
    assert_eq!(left.rest().await, [0, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_done_is_no_suspect_any_more() {
    let mut left = Left::new();
    left.put(0..1).await;
    left.lease().await.expect("it is ready");
    left = left.die();
    let retried = left.lease().await.expect("it comes again");
    let later = Settlement {
        follow_ups: vec![follow_up(effect(0), None)],
        ..Settlement::default()
    };
    let settled = left.queue.settle(retried.lease, later).await;
    assert_eq!(settled.expect("it is held").leased.len(), 1);
    // The effect was under way once; the routing, which was twice, has ended between.
    left = left.die();
    assert!(left.killers().await.is_empty());
    let again = left.lease().await.expect("it comes again");
    assert_eq!(again.work, effect(0));
}
