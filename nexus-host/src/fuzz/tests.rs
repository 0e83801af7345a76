use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// What is run over bytes.
type Target = fn(&[u8]);

/// Every target.
const TARGETS: [(&str, Target); 18] = [
    ("authorization", authorization),
    ("cloudevents", cloudevents),
    ("compressed", compressed),
    ("config", config),
    ("contract_diff", contract_diff),
    ("contract_file", contract_file),
    ("event", event),
    ("grpc", grpc),
    ("http_head", http_head),
    ("manifest", manifest),
    ("plugin_signature", plugin_signature),
    ("queue_file", queue_file),
    ("queue_log", queue_log),
    ("queue_rows", queue_rows),
    ("rule", rule),
    ("webhook", webhook),
    ("websocket", websocket),
    ("worker_frame", worker_frame),
];

fn folder(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("../fuzz").join(name)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn stems(files: &[PathBuf]) -> Vec<String> {
    let stem = |file: &PathBuf| file.file_stem().unwrap().to_str().unwrap().to_owned();
    files.iter().map(stem).collect()
}

/// Runs a target over what is kept for it; a file that breaks a promise is named.
fn run_kept(name: &str) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    let kept = files(&folder("corpus").join(name));
    assert!(!kept.is_empty());
    for file in kept {
        let bytes = fs::read(&file).unwrap();
        let run = std::panic::catch_unwind(|| target(&bytes));
        assert!(run.is_ok(), "{}", file.display());
    }
    target(b"");
}

macro_rules! kept {
    ($($name:ident)*) => { $(
        mod $name {
            #[test]
            fn holds_for_everything_that_is_kept() {
                super::run_kept(stringify!($name));
            }
        }
    )* };
}

kept! {
    authorization cloudevents compressed config contract_diff contract_file event grpc http_head manifest
    plugin_signature queue_file queue_log queue_rows rule webhook websocket
    worker_frame
}

#[test]
fn every_target_has_a_program_and_a_corpus_and_nothing_else_has() {
    let names = TARGETS.map(|(name, _)| name);
    let programs = files(&folder("fuzz_targets"));
    assert_eq!(stems(&programs), names);
    assert_eq!(stems(&files(&folder("corpus"))), names);
    let manifest = fs::read_to_string(folder("Cargo.toml")).unwrap();
    for (name, program) in names.iter().zip(&programs) {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        let program = fs::read_to_string(program).unwrap();
        assert!(program.contains(&format!("fuzz::{name}(")), "{name}");
    }
    for dictionary in stems(&files(&folder("dict"))) {
        assert!(names.contains(&&*dictionary), "{dictionary}");
    }
}

#[test]
fn corpora_are_small() {
    let (mut bytes, most) = (0, 2 * 1024 * 1024);
    for (name, _) in TARGETS {
        let kept = files(&folder("corpus").join(name));
        assert!(kept.len() <= 150, "{name}: {} files", kept.len());
        let sizes = kept.iter().map(|file| fs::metadata(file).unwrap().len());
        bytes += sizes.sum::<u64>();
    }
    assert!(bytes <= most, "{bytes} bytes");
}

#[test]
fn inputs_are_taken_apart() {
    let text = |parts: [&[u8]; 3]| parts.map(|part| String::from_utf8_lossy(part).into_owned());
    assert_eq!(text(parts(b"a")), ["a", "", ""]);
    assert_eq!(
        text(parts(b"a\n---\nb\n---\nc\n---\nd")),
        ["a", "b", "c\n---\nd"]
    );
    let headers = headers(b"A: 1\nno header\n: 2\nb: x: \xff\nA: 3");
    assert_eq!(headers.len(), 3);
    assert_eq!(headers.get_all("a").iter().count(), 2);
    let mut dice = Dice(&[7, 3]);
    assert_eq!(
        (dice.below(5), dice.once_in(4), dice.once_in(4)),
        (2, true, false)
    );
}
