//! Power loss: whatever the disk holds afterwards, nothing that was promised is missing.
//!
//! A program runs once and is recorded; the power is lost in its recording as often as is asked.
//! The first tests hold the method itself to account, with writers that are known to be right or
//! wrong.
//!
//! `NEXUS_POWER_CASES=100000 NEXUS_POWER_SEED=1 cargo test --release -p nexus-tests --test nexus
//! power_loss -- --nocapture`

use std::path::Path;
use std::time::Instant;

use nexus_tests::disk::{
    Cases, Crash, Image, Promises, Recording, Scratch, Syncs, Watched, crashes, missing_events,
    missing_lines, missing_rows,
};

/// Crashes that are tried where nobody asks for more.
const CASES: usize = 150;

/// Crashes without syncs: one that loses something proves the method, and what is left of a queue then
/// takes long to look at.
const ENOUGH: usize = 20;

#[test]
fn an_accepted_event_is_never_lost() {
    let Some(watched) = Watched::for_test("an_accepted_event_is_never_lost") else {
        return;
    };
    let recording = record(&watched, "queue", &["40", "4", "2"]);
    lose_power(&recording, Syncs::Kept, missing_events).expect_none();
    lose_power(&recording, Syncs::Ignored, missing_events).expect_some();
}

#[test]
fn a_synced_line_is_never_lost() {
    let Some(watched) = Watched::for_test("a_synced_line_is_never_lost") else {
        return;
    };
    let recording = record(&watched, "log", &["100"]);
    lose_power(&recording, Syncs::Kept, missing_lines).expect_none();
    lose_power(&recording, Syncs::Ignored, missing_lines).expect_some();
}

#[test]
fn a_committed_row_is_never_lost() {
    let Some(watched) = Watched::for_test("a_committed_row_is_never_lost") else {
        return;
    };
    let recording = record(&watched, "sqlite", &["100", "full"]);
    lose_power(&recording, Syncs::Kept, missing_rows).expect_none();
    lose_power(&recording, Syncs::Ignored, missing_rows).expect_some();
}

/// With `synchronous = normal`, SQLite does not sync what it commits, only what it moves.
#[test]
fn a_writer_that_syncs_too_seldom_is_caught() {
    let Some(watched) = Watched::for_test("a_writer_that_syncs_too_seldom_is_caught") else {
        return;
    };
    let recording = record(&watched, "sqlite", &["100", "normal"]);
    lose_power(&recording, Syncs::Kept, missing_rows).expect_some();
}

/// Power is lost a second time, while the program repairs what the first time left.
#[test]
fn a_committed_row_survives_a_second_loss() {
    let watched = || Watched::for_test("a_committed_row_survives_a_second_loss");
    let Some(first) = watched() else {
        return;
    };
    let recording = record(&first, "sqlite", &["100", "full"]);
    let cases = Cases::from_env(CASES / 10);
    eprintln!("{cases}");
    for crash in crashes(&Image::default(), &recording, Syncs::Kept, cases) {
        let second = watched().expect("as the first");
        second.put(&crash.image);
        let recording = record(&second, "sqlite", &["1", "full"]);
        for again in crashes(&crash.image, &recording, Syncs::Kept, cases) {
            let scratch = Scratch::holding(&again.image);
            let mut promises = again.promises;
            promises
                .accepted
                .extend(crash.promises.accepted.iter().cloned());
            let broken = missing_rows(scratch.path(), &promises);
            assert_eq!(broken, [""; 0], "after {} and {}", crash.after, again.after);
        }
    }
}

/// Runs a writer in an empty folder.
fn record(watched: &Watched, kind: &str, how: &[&str]) -> Recording {
    let mut writer = watched.command(env!("CARGO_BIN_EXE_writer"));
    writer.arg(kind).arg(watched.folder()).args(how);
    let status = writer.status().unwrap();
    assert!(status.success(), "the writer ended with {status}");
    watched.recording()
}

/// What was lost in the crashes that were tried.
struct Losses {
    count: usize,
    first: Option<(Crash, Vec<String>)>,
}

/// Loses power again and again.
fn lose_power(
    recording: &Recording,
    syncs: Syncs,
    look: impl Fn(&Path, &Promises) -> Vec<String>,
) -> Losses {
    let mut cases = Cases::from_env(CASES);
    if syncs == Syncs::Ignored {
        cases.count = cases.count.min(ENOUGH);
    }
    let started = Instant::now();
    let mut losses = Losses {
        count: 0,
        first: None,
    };
    for crash in crashes(&Image::default(), recording, syncs, cases) {
        let scratch = Scratch::holding(&crash.image);
        let missing = look(scratch.path(), &crash.promises);
        if !missing.is_empty() {
            losses.count += 1;
            losses.first.get_or_insert((crash, missing));
        }
    }
    let rate = cases.count as f64 / started.elapsed().as_secs_f64();
    let count = losses.count;
    eprintln!("{cases}: {count} broke a promise; {rate:.0} a second, {syncs:?}");
    losses
}

impl Losses {
    /// Tells of the first, and leaves its folder for somebody to look at.
    fn expect_none(self) {
        if let Some((crash, missing)) = self.first {
            let after = crash.after;
            let folder = Scratch::holding(&crash.image).keep();
            panic!("lost after {after} operations, see {folder:?}: {missing:#?}");
        }
    }

    fn expect_some(self) {
        assert!(self.count > 0, "nothing was lost, so nothing is proved");
    }
}
