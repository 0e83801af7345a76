//! Plugin files that are not to be trusted: each is refused with its code, and nothing of it has run. The plugin
//! `witness` tells as soon as the system's loader has it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nexus_host::plugins::signature::{SigningKey, file_of};
use nexus_tests::artifacts;
use nexus_tests::hub::{Home, Hub, HubBuilder, eventually};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The file in the plugins folder.
const FILE: &str = "witness.so";

fn original() -> Vec<u8> {
    fs::read(artifacts::library("witness")).unwrap()
}

/// Another library of the same plugin, which tells that it is one.
fn another() -> Vec<u8> {
    replaced(original(), "witness=original", "witness=tampered")
}

/// A library with one text in it replaced by another of the same length.
fn replaced(mut bytes: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut windows = bytes.windows(from.len());
    let at = windows.position(|window| window == from.as_bytes());
    let at = at.unwrap_or_else(|| panic!("the library says {from:?}"));
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    bytes
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
}

/// A hub's folder with no plugins yet.
fn home(config: &str) -> Home {
    HubBuilder::new().config(config).lay_out()
}

fn plugins(home: &Home) -> PathBuf {
    home.path().join("plugins")
}

/// What a hub has made of its only plugin file: `ready`, or the refusal's code.
async fn state(hub: &Hub) -> String {
    let (_, plugins) = hub.get("/v1/admin/plugins").await;
    let [plugin] = plugins["plugins"].as_array().unwrap().as_slice() else {
        panic!("one plugin: {plugins:#}");
    };
    let state = match &plugin["refusal"]["code"] {
        Value::Null => &plugin["state"],
        code => code,
    };
    state.as_str().unwrap().to_owned()
}

/// Starts a hub, checks what it makes of its only plugin file and whether anything of it has run, and stops it.
async fn expect(home: Home, expected: &str) {
    let mut hub = home.start();
    assert_eq!(state(&hub).await, expected, "{}", hub.log());
    assert!(hub.stop(Duration::from_secs(30)).success());
    assert_eq!(ran(&hub.log(), "original"), expected == "ready");
    assert!(!ran(&hub.log(), "tampered"), "{}", hub.log());
}

/// Whether a library has run.
fn ran(log: &str, which: &str) -> bool {
    log.contains(&format!("witness={which} has run"))
}

#[tokio::test]
async fn what_is_trusted_runs_and_tells() {
    for isolation in ["inline", "thread", "process"] {
        let home = home(&format!("[plugins.witness]\nisolation = \"{isolation}\""));
        write(&plugins(&home).join(FILE), &original());
        expect(home, "ready").await;
    }
}

#[tokio::test]
async fn nothing_of_a_file_with_a_wrong_hash_or_none_has_run() {
    let allowed = format!("[plugins.witness]\nsha256 = \"{}\"", sha256(&another()));
    for isolation in ["", "\nisolation = \"process\""] {
        let home = home(&format!("{allowed}{isolation}"));
        write(&plugins(&home).join(FILE), &original());
        expect(home, "wrong_hash").await;
    }
    let home = home("[plugins]\nlocked = true");
    write(&plugins(&home).join(FILE), &original());
    expect(home, "not_locked").await;
}

#[tokio::test]
async fn nothing_of_a_file_for_another_interface_or_with_a_path_for_an_id_has_run() {
    let id = r#"{"id":"witness""#;
    for (from, to, code) in [
        (r#""abi":"1.0.0""#, r#""abi":"2.0.0""#, "abi_mismatch"),
        (id, r#"{"id":"../evil""#, "bad_manifest"),
        (id, r#"{"id":"a/../ab""#, "bad_manifest"),
        (id, r#"{"id":"/tmp/ab""#, "bad_manifest"),
        (id, r#"{"id":"......""#, "bad_manifest"),
    ] {
        let home = home("");
        let to = format!("{to:<width$}", width = from.len());
        write(&plugins(&home).join(FILE), &replaced(original(), from, &to));
        expect(home, code).await;
    }
}

#[tokio::test]
async fn nothing_of_a_file_that_is_not_signed_as_it_must_be_has_run() {
    let key = SigningKey::generate("release").unwrap();
    let trusted = json!([key.public_key()]);
    let config = format!("[plugins]\ntrusted_keys = {trusted}\nrequire_signature = true");
    let other = SigningKey::generate("other").unwrap();
    for (signature, code) in [
        (None, "unsigned"),
        (Some(String::new()), "bad_signature"),
        (Some(key.sign(&another()).unwrap()), "bad_signature"),
        (Some(other.sign(&original()).unwrap()), "bad_signature"),
        (Some(key.sign(&original()).unwrap()), "ready"),
    ] {
        let home = home(&config);
        let file = plugins(&home).join(FILE);
        write(&file, &original());
        if let Some(signature) = signature {
            write(&file_of(&file), signature.as_bytes());
        }
        expect(home, code).await;
    }
}

#[cfg(unix)]
mod on_unix {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[tokio::test]
    async fn nothing_of_a_file_that_others_can_write_or_replace_has_run() {
        type Open = fn(&Home);
        let file: Open = |home| set_mode(&plugins(home).join(FILE), 0o757);
        let folder: Open = |home| set_mode(&plugins(home), 0o777);
        let sticky: Open = |home| set_mode(&plugins(home), 0o1777);
        let above: Open = |home| set_mode(home.path(), 0o777);
        let by_group: Open = |home| {
            set_mode(&plugins(home), 0o775);
            // Only whoever is in that group, or a superuser, can give it away.
            let _ = chown(plugins(home), None, Some(12_345));
        };
        let is_superuser = rustix::process::geteuid().is_root();
        let theirs: Open = |home| chown(plugins(home).join(FILE), Some(12_345), None).unwrap();
        let of_superuser = [by_group, theirs].into_iter().filter(|_| is_superuser);
        for open in [file, folder, sticky, above]
            .into_iter()
            .chain(of_superuser)
        {
            for isolation in ["thread", "process"] {
                let home = home(&format!("[plugins.witness]\nisolation = \"{isolation}\""));
                write(&plugins(&home).join(FILE), &original());
                open(&home);
                expect(home, "unsafe_permissions").await;
            }
            let home = home("[plugins]\ncheck_permissions = false");
            write(&plugins(&home).join(FILE), &original());
            open(&home);
            expect(home, "ready").await;
        }
    }

    #[tokio::test]
    async fn the_usual_umasks_are_no_fault() {
        use rustix::process::{getegid, geteuid};
        // 002 is usual where every user has a group.
        let is_private = geteuid().as_raw() == getegid().as_raw();
        let by_group = [(0o775, 0o775)].into_iter().filter(|_| is_private);
        for (folder, file) in [(0o755, 0o755), (0o700, 0o400)].into_iter().chain(by_group) {
            let home = home("");
            let path = plugins(&home).join(FILE);
            write(&path, &original());
            set_mode(&path, file);
            set_mode(&plugins(&home), folder);
            expect(home, "ready").await;
        }
    }

    #[tokio::test]
    async fn a_link_out_of_the_folder_is_refused_and_one_within_it_is_not() {
        let outside = home("");
        write(&outside.path().join(FILE), &original());
        symlink("../witness.so", plugins(&outside).join(FILE)).unwrap();
        expect(outside, "outside_folder").await;

        let within = home("");
        fs::create_dir(plugins(&within).join("..2026")).unwrap();
        write(&plugins(&within).join("..2026").join(FILE), &original());
        symlink("..2026", plugins(&within).join("..data")).unwrap();
        symlink("..data/witness.so", plugins(&within).join(FILE)).unwrap();
        expect(within, "ready").await;
    }

    #[tokio::test]
    async fn a_pipe_or_a_device_is_not_waited_for() {
        let home = home("");
        let pipe = plugins(&home).join(FILE);
        let made = std::process::Command::new("mkfifo").arg(pipe).status();
        assert!(made.unwrap().success());
        expect(home, "unreadable").await;
    }

    /// Two files that change places all the time, of which one is right: whatever a hub has read of them is what it
    /// judges, and what it has judged is what runs.
    async fn while_files_change_places(isolation: &str) {
        let hash = sha256(&original());
        // What is read once, at the start, is judged here.
        let config = format!(
            "[plugins]\nwatch = false\n[plugins.witness]\nisolation = \"{isolation}\"\nsha256 = \"{hash}\""
        );
        let mut home = home(&config);
        let (mut ready, mut refused) = (0, 0);
        // Until both have been seen, and for long enough that a gap would have been.
        while ready < 5 || refused < 5 {
            assert!(ready + refused < 100, "{ready} ready, {refused} refused");
            let file = plugins(&home).join(FILE);
            write(&file, &original());
            let stop = AtomicBool::new(false);
            let hub = std::thread::scope(|scope| {
                scope.spawn(|| change_places(&file, &stop));
                let started = scope.spawn(|| home.start());
                let hub = started.join();
                stop.store(true, Ordering::Relaxed);
                hub.unwrap()
            });
            match state(&hub).await.as_str() {
                "ready" => ready += 1,
                "wrong_hash" => refused += 1,
                other => panic!("{other}: {}", hub.log()),
            }
            assert!(!ran(&hub.log(), "tampered"), "{}", hub.log());
            home = hub.kill();
        }
    }

    fn change_places(file: &Path, stop: &AtomicBool) {
        // With names that no hub takes for a library's.
        let fresh = file.with_extension("fresh");
        let files = [another(), original()];
        while !stop.load(Ordering::Relaxed) {
            for bytes in &files {
                write(&fresh, bytes);
                fs::rename(&fresh, file).unwrap();
            }
        }
    }

    #[tokio::test]
    async fn what_runs_is_what_was_checked_while_the_file_is_swapped() {
        while_files_change_places("inline").await;
    }

    #[tokio::test]
    async fn what_runs_in_a_process_is_what_was_checked_while_the_file_is_swapped() {
        while_files_change_places("process").await;
    }

    /// The private copy, which nobody but the hub's own user can reach.
    fn copy(temporary: &Path) -> PathBuf {
        let only = |folder: &Path, named: &str| {
            let entries = fs::read_dir(folder).unwrap().map(|one| one.unwrap().path());
            let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
            let found: Vec<_> = entries
                .filter(|path| name(path).starts_with(named))
                .collect();
            let [found] = found.as_slice() else {
                panic!("one {named} in {}: {found:?}", folder.display());
            };
            found.clone()
        };
        let folder = only(temporary, "nexus-plugins-");
        let mode = fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        only(&folder, "witness-")
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_worker_refuses_a_copy_that_was_swapped() {
        let temporary = tempfile::tempdir().unwrap();
        let home = HubBuilder::new()
            .config("[plugins.witness]\nisolation = \"process\"")
            .env("TMPDIR", temporary.path().to_str().unwrap())
            .lay_out();
        write(&plugins(&home).join(FILE), &original());
        let hub = home.start();
        assert_eq!(state(&hub).await, "ready");
        let copy = copy(temporary.path());
        let fresh = copy.with_extension("fresh");
        write(&fresh, &another());
        fs::rename(&fresh, &copy).unwrap();
        let worker = child(hub.pid()).expect("there is a worker");
        let killed = std::process::Command::new("kill")
            .args(["-KILL", &worker.to_string()])
            .status();
        assert!(killed.unwrap().success());
        hub.wait_for_log("the copy is not what was checked any more")
            .await;
        eventually("no worker is left", || async {
            child(hub.pid()).is_none().then_some(())
        })
        .await;
        assert!(!ran(&hub.log(), "tampered"), "{}", hub.log());
    }

    /// Puts another library in the place of every private copy, as soon as it is there; how many.
    #[cfg(target_os = "linux")]
    fn swap_copies(temporary: &Path, stop: &AtomicBool) -> usize {
        let fresh = temporary.join("fresh");
        let bytes = another();
        write(&fresh, &bytes);
        let mut swapped = std::collections::HashSet::new();
        while !stop.load(Ordering::Relaxed) {
            let folders = fs::read_dir(temporary).unwrap().flatten();
            let files = folders.filter_map(|folder| fs::read_dir(folder.path()).ok());
            for copy in files.flatten().flatten().map(|file| file.path()) {
                let is_copy = copy.extension().is_some_and(|extension| extension == "so");
                // Gone in between, when the hub is done.
                if is_copy && !swapped.contains(&copy) && fs::rename(&fresh, &copy).is_ok() {
                    write(&fresh, &bytes);
                    swapped.insert(copy);
                }
            }
        }
        swapped.len()
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_runs_is_what_was_checked_while_its_copy_is_swapped() {
        for isolation in ["inline", "process"] {
            let mut swapped = 0;
            for _ in 0..5 {
                let temporary = tempfile::tempdir().unwrap();
                let home = HubBuilder::new()
                    .config(&format!("[plugins.witness]\nisolation = \"{isolation}\""))
                    .env("TMPDIR", temporary.path().to_str().unwrap())
                    .lay_out();
                write(&plugins(&home).join(FILE), &original());
                let stop = AtomicBool::new(false);
                let hub = std::thread::scope(|scope| {
                    let swapping = scope.spawn(|| swap_copies(temporary.path(), &stop));
                    let hub = scope.spawn(|| home.start()).join();
                    stop.store(true, Ordering::Relaxed);
                    swapped += swapping.join().unwrap();
                    hub.unwrap()
                });
                let state = state(&hub).await;
                let expected = ["ready", "wrong_hash"];
                let expected = &expected[..if isolation == "process" { 2 } else { 1 }];
                assert!(expected.contains(&&*state), "{state}: {}", hub.log());
                assert!(!ran(&hub.log(), "tampered"), "{}", hub.log());
            }
            assert!(swapped > 0, "nothing was swapped ({isolation})");
        }
    }

    /// A process that a hub has started.
    #[cfg(target_os = "linux")]
    fn child(hub: u32) -> Option<u32> {
        let threads = fs::read_dir(format!("/proc/{hub}/task")).unwrap();
        let children = threads.filter_map(|thread| {
            let children = fs::read_to_string(thread.ok()?.path().join("children")).ok()?;
            children.split_whitespace().next()?.parse().ok()
        });
        children.max()
    }
}
