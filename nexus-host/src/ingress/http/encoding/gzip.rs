//! A gzip body: receives its bytes, reads out what its members hold, one after the other. No call takes
//! more than a bounded part of them, whatever comes of it, and no body has more than a bounded number of
//! members: each costs work of its own, also where nothing is in it.

use std::io::{self, BufRead, Read};
use std::mem;

use flate2::bufread::GzDecoder;

/// Members of one body. Files that were put together have some hundred.
pub(super) const MOST_MEMBERS: usize = 1_024;

/// Compressed bytes that are looked at before others get a turn.
pub(super) const SIP: usize = 8 * 1024;

/// Reads a gzip body. Says [`WouldBlock`](io::ErrorKind::WouldBlock) when it is somebody else's turn, and
/// [`QuotaExceeded`](io::ErrorKind::QuotaExceeded) when there are too many members.
pub(super) struct Gzip<'b> {
    member: GzDecoder<Sips<'b>>,
    members: usize,
}

impl<'b> Gzip<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self {
            member: GzDecoder::new(Sips::new(bytes)),
            members: 1,
        }
    }
}

impl Read for Gzip<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let made = self.member.read(into)?;
        if made > 0 || self.member.get_ref().rest.is_empty() {
            return Ok(made);
        }
        if self.members == MOST_MEMBERS {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        self.members += 1;
        let behind = mem::take(self.member.get_mut());
        self.member.reset(Sips::new(behind.rest));
        Err(io::ErrorKind::WouldBlock.into())
    }
}

/// Bytes that are given out a sip at a time, with a break after each.
#[derive(Default)]
struct Sips<'b> {
    rest: &'b [u8],
    left: usize,
}

impl<'b> Sips<'b> {
    fn new(rest: &'b [u8]) -> Self {
        Self { rest, left: SIP }
    }
}

impl BufRead for Sips<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            self.left = SIP;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(&self.rest[..self.rest.len().min(self.left)])
    }

    fn consume(&mut self, read: usize) {
        self.rest = self.rest.get(read..).unwrap_or_default();
        self.left = self.left.saturating_sub(read);
    }
}

impl Read for Sips<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}
