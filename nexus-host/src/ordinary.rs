//! Files that are read whole: receives a path from the configuration, hands on the bytes of an ordinary file
//! of bounded size. It opens nothing else, such as a pipe, on which whoever opens it waits for ever, or a
//! device, which has no end.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::Path;

/// Reads an ordinary file, or one that a link leads to, of at most so many bytes.
///
/// # Errors
/// When it is no ordinary file, is too large, or cannot be read.
pub(crate) fn read(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    expect(&fs::metadata(path)?)?;
    read_opened(File::open(path)?, max_bytes)
}

/// Refuses what is no ordinary file.
///
/// # Errors
/// When it is none.
pub(crate) fn expect(facts: &Metadata) -> io::Result<()> {
    if facts.is_file() {
        return Ok(());
    }
    Err(io::Error::other("it is no ordinary file"))
}

/// Reads a file that is open, as [`read`] does.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_opened(file: File, max_bytes: u64) -> io::Result<Vec<u8>> {
    let facts = file.metadata()?;
    expect(&facts)?;
    let too_large = || {
        let message = format!("it is over {max_bytes} bytes");
        io::Error::new(io::ErrorKind::FileTooLarge, message)
    };
    if facts.len() > max_bytes {
        return Err(too_large());
    }
    // A library is long: growing would move it again and again.
    let expected = usize::try_from(facts.len()).unwrap_or(0) + 1;
    let mut bytes = Vec::with_capacity(expected);
    // However long it was a moment ago.
    file.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(too_large());
    }
    Ok(bytes)
}

/// Reads a text, as [`read`] does.
///
/// # Errors
/// As [`read`], and with `InvalidData` when it is not UTF-8.
pub(crate) fn read_text(path: &Path, max_bytes: u64) -> io::Result<String> {
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
    String::from_utf8(read(path, max_bytes)?).map_err(not_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_file_is_read_up_to_its_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, b"12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        let error = read(&path, 4).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        fs::write(&path, b"\xff").unwrap();
        let error = read_text(&path, 5).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let error = read(&folder.path().join("b"), 5).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_followed_and_anything_but_a_file_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link, socket] = ["file", "link", "socket"].map(|name| folder.path().join(name));
        fs::write(&file, b"text").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(read_text(&link, 9).unwrap(), "text");
        let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for none in [&socket, folder.path(), Path::new("/dev/zero")] {
            let error = read(none, 9).unwrap_err();
            assert_eq!(error.to_string(), "it is no ordinary file", "{none:?}");
        }
    }

    /// A pipe that nobody writes to keeps whoever opens it waiting.
    #[cfg(unix)]
    #[test]
    fn a_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe.json");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let (told, answer) = std::sync::mpsc::channel();
        std::thread::spawn(move || told.send(read(&pipe, 9).unwrap_err().to_string()));
        let answer = answer.recv_timeout(std::time::Duration::from_secs(20));
        assert_eq!(answer.unwrap(), "it is no ordinary file");
    }
}
