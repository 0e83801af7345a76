//! What templates write to: it takes so many bytes and no more.

use std::io;

pub(super) struct Page {
    written: Vec<u8>,
    longest: usize,
    /// How long that of which it is a part may be.
    told: usize,
}

impl Page {
    pub(super) fn new(longest: usize) -> Self {
        Self {
            written: Vec::new(),
            longest,
            told: longest,
        }
    }

    /// One apart for what is to be written to this one then.
    pub(super) fn apart(&self) -> Self {
        Self {
            written: Vec::new(),
            longest: self.room(),
            told: self.told,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.written.len()
    }

    fn room(&self) -> usize {
        self.longest - self.written.len()
    }

    /// Takes back what was written after so many bytes.
    pub(super) fn cut_back(&mut self, to: usize) {
        self.written.truncate(to);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.written
    }

    /// What is told when it takes no more.
    pub(super) fn is_full(&self) -> String {
        format!("it would be over {} bytes", self.told)
    }
}

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.room() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why a value could not be written to a page.
pub(super) fn told(error: &serde_json::Error, page: &Page) -> String {
    match error.is_io() {
        true => page.is_full(),
        false => error.to_string(),
    }
}
