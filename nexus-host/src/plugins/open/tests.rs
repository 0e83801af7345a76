#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;

/// A folder `plugins` with a file `a.so` in it.
fn folder() -> (TempDir, PathBuf) {
    let outside = tempfile::tempdir().unwrap();
    let plugins = outside.path().join("plugins");
    fs::create_dir(&plugins).unwrap();
    fs::write(plugins.join("a.so"), b"library").unwrap();
    // Whatever the umask is.
    set_mode(&plugins, 0o755);
    set_mode(&plugins.join("a.so"), 0o644);
    (outside, plugins)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn code(path: &Path) -> Code {
    read(path, 9).err().expect("it is refused").code
}

fn is_safe(path: &Path) -> bool {
    match read(path, 9).unwrap().check_permissions() {
        Ok(()) => true,
        Err(refusal) => {
            assert_eq!(refusal.code, Code::UnsafePermissions);
            false
        }
    }
}

#[test]
fn a_link_leads_to_a_file_of_the_same_folder_or_is_refused() {
    let (outside, plugins) = folder();
    let link = |name: &str, to: &Path| {
        let link = plugins.join(name);
        symlink(to, &link).unwrap();
        link
    };
    // As volumes are laid out whose files are replaced together.
    fs::create_dir(plugins.join("..2026")).unwrap();
    fs::write(plugins.join("..2026/b.so"), b"b").unwrap();
    link("..data", Path::new("..2026"));
    for (within, bytes) in [
        (link("b.so", Path::new("..data/b.so")), &b"b"[..]),
        (link("c.so", &plugins.join("a.so")), b"library"),
        (link("d.so", Path::new("../plugins/./a.so")), b"library"),
    ] {
        assert_eq!(read(&within, 9).unwrap().bytes, bytes, "{within:?}");
    }

    fs::write(outside.path().join("x.so"), b"x").unwrap();
    fs::create_dir(outside.path().join("plugins-of-others")).unwrap();
    fs::write(outside.path().join("plugins-of-others/y.so"), b"y").unwrap();
    for to in ["../x.so", "../plugins-of-others/y.so", "/dev/zero"] {
        let link = link("outside.so", Path::new(to));
        assert_eq!(code(&link), Code::OutsideFolder, "{to}");
        fs::remove_file(link).unwrap();
    }
    assert_eq!(code(&link("e.so", Path::new("e.so"))), Code::Unreadable);
    assert_eq!(code(&link("f.so", Path::new("none"))), Code::Unreadable);
}

#[test]
fn a_link_to_the_folder_itself_is_followed() {
    let (outside, plugins) = folder();
    let link = outside.path().join("current");
    symlink(&plugins, &link).unwrap();
    let opened = read(&link.join("a.so"), 9).unwrap();
    assert_eq!(opened.bytes, b"library");
    opened.check_permissions().unwrap();
    // Whoever can write where the link is can have it lead elsewhere.
    set_mode(outside.path(), 0o777);
    assert!(!is_safe(&link.join("a.so")));
}

#[test]
fn what_is_no_ordinary_file_is_not_opened() {
    let (_outside, plugins) = folder();
    let pipe = plugins.join("pipe.so");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let socket = plugins.join("socket.so");
    let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let link = plugins.join("link.so");
    symlink("pipe.so", &link).unwrap();
    for none in [&pipe, &socket, &link, &plugins] {
        assert_eq!(code(none), Code::Unreadable, "{none:?}");
    }
    // A pipe that took the file's name in between is opened, but nobody is waited for.
    let opened = super::open(&pipe).unwrap();
    assert!(ordinary::read_opened(opened, 9).is_err());
    assert!(super::open(&link).is_err(), "a link in between");
}

#[test]
fn what_others_can_write_is_not_trusted() {
    let (outside, plugins) = folder();
    let file = plugins.join("a.so");
    assert!(is_safe(&file));
    for (path, mode) in [
        (&file, 0o646),
        (&plugins, 0o757),
        (&plugins, 0o1757),
        (&outside.path().to_owned(), 0o707),
    ] {
        let before = fs::metadata(path).unwrap().permissions();
        set_mode(path, mode);
        assert!(!is_safe(&file), "{path:?} {mode:o}");
        fs::set_permissions(path, before).unwrap();
    }
    set_mode(outside.path(), 0o1777);
    assert!(is_safe(&file), "nobody else can rename what is in /tmp");
}

/// Only a superuser can give files away.
#[test]
fn what_belongs_to_others_is_not_trusted() {
    let (outside, plugins) = folder();
    let file = plugins.join("a.so");
    for path in [&file, &plugins, outside.path()] {
        if std::os::unix::fs::chown(path, Some(12_345), None).is_err() {
            return;
        }
        assert!(!is_safe(&file), "{path:?}");
        std::os::unix::fs::chown(path, Some(0), None).unwrap();
        assert!(is_safe(&file), "{path:?}");
    }
}

#[test]
fn a_file_is_read_up_to_its_bound() {
    let (_outside, plugins) = folder();
    assert_eq!(
        read(&plugins.join("a.so"), 6).err().map(|r| r.code),
        Some(Code::Unreadable)
    );
}
