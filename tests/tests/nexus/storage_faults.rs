//! Storage faults: whichever operation fails, and however, what was promised is there afterwards.
//!
//! A program runs once to count its operations, then again and again, each time with a fault at
//! another of them. After the fault the storage works again, and so must the program, by itself.
//!
//! `NEXUS_FAULT_POINTS=1000 cargo test --release -p nexus-tests --test nexus storage_faults`

use std::collections::HashMap;
use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use nexus_tests::disk::{
    Cases, Fault, Image, Kind, Outcome, Promises, Record, Recording, Scratch, Syncs, Watched,
    crashes, missing_events, missing_rows,
};
use uuid::Uuid;

/// How many operations of each kind fail in turn, where nobody asks for more.
const POINTS: usize = 6;

/// How often in a row: who tries again at once meets the fault again.
const TIMES: [u64; 2] = [1, 3];

/// Crashes that are tried in each recording.
const CASES: usize = 20;

/// Rows or events that are written in each run.
const ROWS: usize = 30;

/// The file that a commit syncs.
const COMMIT: &str = "-wal";

const FAULTS: [(Kind, Outcome); 8] = [
    (Kind::Write, Outcome::Eio),
    (Kind::Write, Outcome::Enospc),
    (Kind::Write, Outcome::Erofs),
    (Kind::Write, Outcome::Short),
    (Kind::Sync, Outcome::Eio),
    (Kind::Sync, Outcome::Enospc),
    (Kind::Truncate, Outcome::Eio),
    (Kind::Open, Outcome::Eio),
];

/// What is put to the test.
#[derive(Clone, Copy)]
struct Subject {
    /// What the writer is told, the folder aside.
    kind: &'static str,
    how: &'static [&'static str],
    /// Which of its promises are broken in a folder.
    look: fn(&Path, &Promises) -> Vec<String>,
    /// By which bytes what a mark promises is known among what is written; by none where nothing else is written before
    /// the mark.
    sign: fn(&str) -> Vec<u8>,
}

const DATABASE: Subject = Subject {
    kind: "sqlite",
    how: &["full"],
    look: missing_rows,
    sign: |_| Vec::new(),
};

/// One producer and nobody else. Between the sync and the mark the queue may write something else already.
const QUEUE: Subject = Subject {
    kind: "queue",
    how: &["1", "0"],
    look: missing_events,
    sign: |mark| {
        let (_, id) = mark.trim_end().split_once(' ').unwrap();
        id.parse::<Uuid>().unwrap().into_bytes().into()
    },
};

#[test]
fn a_committed_row_outlives_every_fault() {
    strike(DATABASE, "a_committed_row_outlives_every_fault");
}

#[test]
fn an_accepted_event_outlives_every_fault() {
    strike(QUEUE, "an_accepted_event_outlives_every_fault");
}

#[test]
fn a_writer_of_rows_goes_on_as_soon_as_the_storage_does() {
    interrupt(
        DATABASE,
        "a_writer_of_rows_goes_on_as_soon_as_the_storage_does",
    );
}

#[test]
fn the_queue_goes_on_as_soon_as_the_storage_does() {
    interrupt(QUEUE, "the_queue_goes_on_as_soon_as_the_storage_does");
}

/// Every fault at every point.
fn strike(subject: Subject, test: &str) {
    let watch = || Watched::for_test(test);
    let Some(sound) = watch() else {
        return;
    };
    assert!(run(subject, &sound).success());
    let sound = sound.recording();
    for (kind, outcome) in FAULTS {
        for from in points(&sound, kind) {
            for times in TIMES {
                let fault = Fault {
                    kind,
                    ending: "",
                    from,
                    times,
                    outcome,
                };
                eprintln!("{fault}");
                let watched = watch().expect("as before");
                watched.fail(&[fault]);
                let status = run(subject, &watched);
                let recording = watched.recording();
                let is_hit = outcome == Outcome::Short || recording.failures() > 0;
                // Groups are made by time: another run may have fewer operations.
                let had = count(&recording, kind) as u64;
                assert!(
                    is_hit || had < from,
                    "the fault did not strike: {status}, {had}"
                );
                examine(subject, &watched, status);
            }
        }
    }
}

/// No sync of the log works until somebody sees to it.
fn interrupt(subject: Subject, test: &str) {
    let Some(watched) = Watched::for_test(test) else {
        return;
    };
    // The first ones belong to the tables.
    watched.fail(&[Fault {
        kind: Kind::Sync,
        ending: COMMIT,
        from: 15,
        times: u64::MAX,
        outcome: Outcome::Eio,
    }]);
    let mut writer = writer(subject, &watched)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(writer.stdout.take().unwrap()).lines();
    for _ in 0..3 {
        let line = told
            .next()
            .expect("it is refused, and tries again")
            .unwrap();
        assert!(line.starts_with("refused: "), "{line}");
    }
    watched.fail(&[]);
    told.for_each(drop);
    examine(subject, &watched, writer.wait().unwrap());
}

/// Everything was taken in the end, or the program did not even begin; and all of it is there.
fn examine(subject: Subject, watched: &Watched, status: ExitStatus) {
    let recording = watched.recording();
    let promises = recording.promises();
    let expected = if status.success() { ROWS } else { 0 };
    assert_eq!(promises.accepted.len(), expected, "{status}");
    let early = too_early(&recording, subject.sign);
    assert_eq!(early, None, "promised after a failed sync");

    let scratch = Scratch::holding(&watched.image());
    assert_eq!((subject.look)(scratch.path(), &promises), [""; 0]);
    let cases = Cases::from_env(CASES);
    for crash in crashes(&Image::default(), &recording, Syncs::Kept, cases) {
        let scratch = Scratch::holding(&crash.image);
        let missing = (subject.look)(scratch.path(), &crash.promises);
        assert_eq!(missing, [""; 0], "after {} with {cases}", crash.after);
    }
}

/// The first promise that was made after a sync of what was written for it failed, and before one
/// worked.
fn too_early(recording: &Recording, sign: fn(&str) -> Vec<u8>) -> Option<&str> {
    let mut names = HashMap::new();
    // What was done to the log since the last promise.
    let mut since = Vec::new();
    for record in &recording.0 {
        match record {
            Record::Opened { fd, name, .. } => drop(names.insert(fd, name.as_str())),
            Record::Mark(mark) if is_in_doubt(&since, &sign(mark)) => return Some(mark),
            Record::Mark(_) => since.clear(),
            Record::Written { fd, .. } | Record::Synced { fd } | Record::Failed { fd, .. } => {
                let name = names.get(fd);
                if name.is_some_and(|name| name.ends_with(COMMIT)) {
                    since.push(record);
                }
            }
            _ => {}
        }
    }
    None
}

/// Whether a sync of what bears this sign has failed, and none has worked.
fn is_in_doubt(records: &[&Record], sign: &[u8]) -> bool {
    let bears =
        |bytes: &[u8]| sign.is_empty() || bytes.windows(sign.len()).any(|part| part == sign);
    let (mut is_written, mut is_in_doubt) = (false, false);
    for record in records {
        match record {
            Record::Written { bytes, .. } => is_written |= bears(bytes),
            // Whatever becomes of what is written later.
            Record::Synced { .. } if is_written => return false,
            Record::Failed { kind, .. } if kind == Kind::Sync.name() => is_in_doubt |= is_written,
            _ => {}
        }
    }
    assert!(is_written || sign.is_empty(), "promised, and never written");
    is_in_doubt
}

#[test]
fn a_promise_is_in_doubt_by_its_own_sync_alone() {
    let written = |bytes: &[u8]| Record::Written {
        fd: 3,
        offset: 0,
        bytes: bytes.to_vec(),
    };
    let synced = || Record::Synced { fd: 3 };
    let failed = || Record::Failed {
        fd: 3,
        kind: Kind::Sync.name().to_owned(),
    };
    let is_early = |records: Vec<Record>| {
        let opened = Record::Opened {
            fd: 3,
            name: "queue.db-wal".to_owned(),
            is_new: true,
            is_emptied: false,
        };
        let mark = Record::Mark("accepted own".to_owned());
        let all = [vec![opened], records, vec![mark]].concat();
        too_early(&Recording(all), |_| b"own".to_vec()).is_some()
    };
    assert!(!is_early(vec![written(b"<own>"), synced()]));
    assert!(is_early(vec![written(b"<own>"), failed()]));
    assert!(is_early(vec![
        written(b"other"),
        synced(),
        written(b"<own>"),
        failed()
    ]));
    assert!(!is_early(vec![
        written(b"<own>"),
        failed(),
        written(b"<own>"),
        synced()
    ]));
    assert!(!is_early(vec![
        written(b"<own>"),
        synced(),
        written(b"other"),
        failed()
    ]));
}

/// Which operations of a kind fail in turn, spread over all that there are.
fn points(recording: &Recording, kind: Kind) -> impl Iterator<Item = u64> {
    let count = count(recording, kind);
    let points = env::var("NEXUS_FAULT_POINTS").map_or(POINTS, |points| points.parse().unwrap());
    (1..=count as u64).step_by(count.div_ceil(points).max(1))
}

/// How many operations of a kind there were.
fn count(recording: &Recording, kind: Kind) -> usize {
    let is_meant = |record: &&Record| match kind {
        Kind::Write => matches!(record, Record::Written { .. }),
        Kind::Sync => matches!(record, Record::Synced { .. }),
        Kind::Truncate => matches!(record, Record::Resized { .. }),
        Kind::Open => matches!(record, Record::Opened { .. }),
    };
    recording.0.iter().filter(is_meant).count()
}

fn run(subject: Subject, watched: &Watched) -> ExitStatus {
    let mut writer = writer(subject, watched);
    writer.stdout(Stdio::null()).status().unwrap()
}

fn writer(subject: Subject, watched: &Watched) -> Command {
    let mut writer = watched.command(env!("CARGO_BIN_EXE_writer"));
    writer.arg(subject.kind).arg(watched.folder());
    writer.arg(ROWS.to_string()).args(subject.how);
    writer
}
