//! Where lines come from: receives bytes of standard input or of a file, hands on whole lines, a buffer of them at a
//! time. It looks into none.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use same_file::Handle;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncSeekExt, BufReader, SeekFrom};
use tokio::time::sleep;

use crate::outbox::{Outbox, OutboxError};

/// The longest line that can hold a notification, in bytes: what its contract allows, with every character escaped.
pub(crate) const LONGEST_LINE: usize = 256 * 1024;

/// How much is read at once.
const BUFFER: usize = 64 * 1024;

/// How often a file that is followed is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// A line as it stood there, without its end. Of one that is too long, its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) text: Vec<u8>,
    /// Its number in its input, from 1.
    pub(crate) number: u64,
    /// Its place in the outbox, if there is one.
    pub(crate) kept: Option<i64>,
}

/// How far a file was read: to the end of a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
}

/// See the module.
pub(crate) struct Input {
    reader: BufReader<Box<dyn AsyncRead + Send + Unpin>>,
    /// The file, unless it is standard input.
    file: Option<PathBuf>,
    is_followed: bool,
    /// Which file that is, whatever has its name by now.
    handle: Option<Handle>,
    /// Whether another one has its name.
    is_replaced: bool,
    /// A line that has begun, and how long it is, whatever of it is held.
    begun: Vec<u8>,
    begun_bytes: u64,
    place: Place,
}

/// Why an input cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    #[error("{} cannot be read: {source}", .file.display())]
    File { file: PathBuf, source: io::Error },
    #[error("standard input cannot be read: {0}")]
    Standard(io::Error),
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

impl Input {
    pub(crate) fn standard() -> Self {
        Self::new(Box::new(tokio::io::stdin()), None, false)
    }

    /// A file, from where the outbox says that it was read to.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) async fn file(
        path: &Path,
        is_followed: bool,
        outbox: Option<&Outbox>,
    ) -> Result<Self, InputError> {
        let told = |source| InputError::File {
            file: path.to_owned(),
            source,
        };
        // By another name it is the same file.
        let path = std::fs::canonicalize(path).map_err(told)?;
        let place = match outbox {
            Some(outbox) => outbox.place(&path)?,
            None => Place::default(),
        };
        let mut file = File::open(&path).await.map_err(told)?;
        let is_there = file.metadata().await.map_err(told)?.len() >= place.bytes;
        let place = if is_there { place } else { Place::default() };
        file.seek(SeekFrom::Start(place.bytes))
            .await
            .map_err(told)?;
        Ok(Self {
            place,
            handle: Some(handle(&file).await.map_err(told)?),
            ..Self::new(Box::new(file), Some(path), is_followed)
        })
    }

    fn new(
        reader: Box<dyn AsyncRead + Send + Unpin>,
        file: Option<PathBuf>,
        is_followed: bool,
    ) -> Self {
        Self {
            reader: BufReader::with_capacity(BUFFER, reader),
            file,
            is_followed,
            handle: None,
            is_replaced: false,
            begun: Vec::new(),
            begun_bytes: 0,
            place: Place::default(),
        }
    }

    /// The file and how far it was read, if it is one.
    pub(crate) fn place(&self) -> Option<(&Path, &Place)> {
        Some((self.file.as_deref()?, &self.place))
    }

    /// The lines that come next, at least one; `None` at the end.
    ///
    /// # Errors
    /// When the input fails.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Line>>, InputError> {
        self.read().await.map_err(|source| match &self.file {
            Some(file) => InputError::File {
                file: file.clone(),
                source,
            },
            None => InputError::Standard(source),
        })
    }

    async fn read(&mut self) -> io::Result<Option<Vec<Line>>> {
        let mut lines = Vec::new();
        while lines.is_empty() {
            let bytes = self.reader.fill_buf().await?.to_vec();
            self.reader.consume(bytes.len());
            let mut from = 0;
            for at in memchr::memchr_iter(b'\n', &bytes) {
                self.hold(&bytes[from..at]);
                self.begun_bytes += 1;
                lines.extend(self.end_line());
                from = at + 1;
            }
            self.hold(&bytes[from..]);
            if bytes.is_empty() {
                match (&self.file, self.is_followed) {
                    (Some(file), true) if self.is_replaced => {
                        let file = file.clone();
                        lines.extend(self.end_line());
                        self.begin_anew(file).await?;
                    }
                    (Some(file), true) => {
                        sleep(LOOK).await;
                        self.look_for_another(file.clone()).await?;
                    }
                    _ => {
                        lines.extend(self.end_line());
                        break;
                    }
                }
            }
        }
        Ok((!lines.is_empty()).then_some(lines))
    }

    /// Adds to the line that has begun.
    fn hold(&mut self, bytes: &[u8]) {
        // One more than is allowed tells that it is too long.
        let room = (LONGEST_LINE + 1).saturating_sub(self.begun.len());
        self.begun
            .extend_from_slice(&bytes[..room.min(bytes.len())]);
        self.begun_bytes += bytes.len() as u64;
    }

    /// The line that has begun, now that it is whole; nothing where nothing stands in it.
    fn end_line(&mut self) -> Option<Line> {
        let text = std::mem::take(&mut self.begun);
        let bytes = std::mem::take(&mut self.begun_bytes);
        if bytes == 0 {
            return None;
        }
        self.place.bytes += bytes;
        self.place.lines += 1;
        (!text.trim_ascii().is_empty()).then_some(Line {
            text,
            number: self.place.lines,
            kept: None,
        })
    }

    /// Looks whether it is still the same file. One that is shorter than what was read of it was cut off, and is read
    /// from its beginning; one that has taken its place is read when this one has been read to its end.
    async fn look_for_another(&mut self, path: PathBuf) -> io::Result<()> {
        let found = match File::open(&path).await {
            Ok(found) => found,
            // On its way: whoever took it away puts another one there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if self.handle.as_ref() != Some(&handle(&found).await?) {
            self.is_replaced = true;
        } else if found.metadata().await?.len() < self.place.bytes + self.begun_bytes {
            self.begin_anew(path).await?;
        }
        Ok(())
    }

    async fn begin_anew(&mut self, path: PathBuf) -> io::Result<()> {
        let file = match File::open(&path).await {
            Ok(file) => file,
            // Looked for again as long as it takes.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                sleep(LOOK).await;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        *self = Self {
            handle: Some(handle(&file).await?),
            ..Self::new(Box::new(file), Some(path), true)
        };
        Ok(())
    }
}

/// Which file it is.
async fn handle(file: &File) -> io::Result<Handle> {
    Handle::from_file(file.try_clone().await?.into_std().await)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn text(lines: &[Line]) -> Vec<(u64, &str)> {
        let numbered = lines
            .iter()
            .map(|line| (line.number, std::str::from_utf8(&line.text).unwrap()));
        numbered.collect()
    }

    fn of(bytes: &'static [u8]) -> Input {
        Input::new(Box::new(bytes), None, false)
    }

    #[tokio::test]
    async fn lines_are_whole_and_keep_their_numbers() {
        let mut input = of(b"one\r\n\n  \ntwo\nlast");
        let lines = input.next().await.unwrap().unwrap();
        assert_eq!(text(&lines), [(1, "one\r"), (4, "two")]);
        assert_eq!(text(&input.next().await.unwrap().unwrap()), [(5, "last")]);
        assert_eq!(input.next().await.unwrap(), None);
        assert_eq!(
            input.place,
            Place {
                bytes: 17,
                lines: 5
            }
        );
    }

    #[tokio::test]
    async fn of_a_line_that_is_too_long_only_the_beginning_is_held() {
        let long = [vec![b'x'; 3 * LONGEST_LINE], b"\nnext".to_vec()].concat();
        let mut input = of(long.leak());
        let lines = input.next().await.unwrap().unwrap();
        assert_eq!((lines.len(), lines[0].text.len()), (1, LONGEST_LINE + 1));
        assert_eq!(text(&input.next().await.unwrap().unwrap()), [(2, "next")]);
        assert_eq!(input.place.bytes, 3 * LONGEST_LINE as u64 + 5);
    }

    #[tokio::test]
    async fn a_file_that_grows_is_followed_and_one_that_was_cut_off_begins_anew() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"one\ntw").unwrap();
        let mut input = Input::file(file.path(), true, None).await.unwrap();
        assert_eq!(text(&input.next().await.unwrap().unwrap()), [(1, "one")]);
        let (lines, ()) = tokio::join!(input.next(), async {
            sleep(LOOK / 4).await;
            file.write_all(b"o\n").unwrap();
        });
        assert_eq!(text(&lines.unwrap().unwrap()), [(2, "two")]);
        std::fs::write(file.path(), "new\n").unwrap();
        assert_eq!(text(&input.next().await.unwrap().unwrap()), [(1, "new")]);
    }

    #[tokio::test]
    async fn a_file_that_took_the_place_of_another_is_read_when_that_is_at_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("log"), "one\n").unwrap();
        let mut input = Input::file(&path("log"), true, None).await.unwrap();
        assert_eq!(text(&input.next().await.unwrap().unwrap()), [(1, "one")]);
        std::fs::write(path("log"), "one\ntwo").unwrap();
        std::fs::rename(path("log"), path("log.1")).unwrap();
        std::fs::write(path("next"), "first\nas long as the one before\n").unwrap();
        std::fs::rename(path("next"), path("log")).unwrap();
        let mut read = Vec::new();
        while read.len() < 3 {
            for line in input.next().await.unwrap().unwrap() {
                read.push((line.number, String::from_utf8(line.text).unwrap()));
            }
        }
        let read: Vec<_> = read
            .iter()
            .map(|(number, text)| (*number, &**text))
            .collect();
        assert_eq!(
            read,
            [(2, "two"), (1, "first"), (2, "as long as the one before")]
        );
    }

    #[tokio::test]
    async fn a_file_goes_on_where_the_outbox_says() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("captured.jsonl");
        let outbox = Outbox::open(&folder.path().join("outbox")).unwrap();
        std::fs::write(&file, "one\ntwo\n").unwrap();
        let open = || Input::file(&file, false, Some(&outbox));
        let mut input = open().await.unwrap();
        let lines = input.next().await.unwrap().unwrap();
        outbox.keep(lines, input.place()).await.unwrap();
        assert_eq!(open().await.unwrap().next().await.unwrap(), None);
        std::fs::write(&file, "one\ntwo\nthree\n").unwrap();
        let lines = open().await.unwrap().next().await.unwrap().unwrap();
        assert_eq!(text(&lines), [(3, "three")]);
        std::fs::write(&file, "new\n").unwrap();
        let lines = open().await.unwrap().next().await.unwrap().unwrap();
        assert_eq!(text(&lines), [(1, "new")]);
    }
}
