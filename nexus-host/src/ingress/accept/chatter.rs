//! Frames of HTTP/2 that ask for nothing but attention: receives what comes on a connection and how much goes
//! out on it, and tells when somebody only keeps the hub busy. It changes nothing on the way, and sees no
//! more than the heads of frames.
//!
//! Each such frame takes from an allowance that time and what is sent to the client fill up again: clients that
//! measure their line send a PING for what they receive, and give back room by WINDOW_UPDATE. A request that is
//! taken back costs nothing, once: whoever takes back more than was asked for means no request.

use std::num::NonZeroU32;

use tokio::time::Instant;

/// What a client sends before its first frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Octets of a frame's head: three of its length, then its type.
const HEAD: usize = 9;

/// Frames of which a block of headers is made, and the flag of its last one.
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// What frames cost.
const BUSY: u64 = 10;
const ROOM: u64 = 1;

/// The allowance at the most: so many PINGs at once.
const MOST: u64 = 500 * BUSY;

/// What of it is there again with each second, and with so many octets that go out.
const PER_SECOND: u64 = 20 * BUSY;
const OCTETS: u64 = 64 / BUSY;

/// Requests that a client may take back for nothing are counted so far: twice as many as may be under way at
/// once, since some are answered while they are taken back.
const MOST_BEGUN: u64 = 200;

/// See the module.
pub(super) struct Chatter {
    at: At,
    allowance: u64,
    /// The header block that has begun, if it has not ended; and whether it ends with the frame that it is in.
    block: Option<NonZeroU32>,
    is_last: bool,
    /// How many there were.
    blocks: u32,
    /// Requests that were begun, as far as that is counted, and not taken back.
    begun: u64,
    since: Instant,
}

/// Where in what comes it is.
enum At {
    /// In the preface, behind so many octets of it.
    Preface(usize),
    /// In a frame's head, of which so many octets are there.
    Head([u8; HEAD], usize),
    /// In a frame, of which so many octets are still to come.
    Frame(usize),
    /// This is not HTTP/2.
    Elsewhere,
}

impl Chatter {
    pub(super) fn new() -> Self {
        Self {
            at: At::Preface(0),
            allowance: MOST,
            block: None,
            is_last: false,
            blocks: 0,
            begun: 0,
            since: Instant::now(),
        }
    }

    /// Octets have gone out.
    pub(super) fn said(&mut self, octets: usize) {
        if !matches!(self.at, At::Elsewhere) {
            self.allowance = MOST.min(self.allowance + octets as u64 / OCTETS);
        }
    }

    /// Octets have come in.
    ///
    /// # Errors
    /// When the allowance is used up.
    pub(super) fn heard(&mut self, mut octets: &[u8]) -> Result<(), &'static str> {
        while !octets.is_empty() {
            match &mut self.at {
                At::Elsewhere => return Ok(()),
                At::Preface(seen) => {
                    let rest = &PREFACE[*seen..];
                    let length = rest.len().min(octets.len());
                    let (part, behind) = octets.split_at(length);
                    if part != &rest[..length] {
                        self.at = At::Elsewhere;
                        return Ok(());
                    }
                    *seen += length;
                    if *seen == PREFACE.len() {
                        self.at = At::Head([0; HEAD], 0);
                    }
                    octets = behind;
                }
                At::Head(head, seen) => {
                    let length = (HEAD - *seen).min(octets.len());
                    let (part, behind) = octets.split_at(length);
                    head[*seen..*seen + length].copy_from_slice(part);
                    *seen += length;
                    octets = behind;
                    if *seen == HEAD {
                        let head = *head;
                        self.follow(head[3], head[4]);
                        self.at = match u32::from_be_bytes([0, head[0], head[1], head[2]]) {
                            0 => self.ended(),
                            length => At::Frame(length as usize),
                        };
                        let cost = self.cost(head[3]);
                        self.spend(cost)?;
                    }
                }
                At::Frame(rest) => {
                    let length = (*rest).min(octets.len());
                    *rest -= length;
                    octets = &octets[length..];
                    if *rest == 0 {
                        self.at = self.ended();
                    }
                }
            }
        }
        Ok(())
    }

    /// The header block that has begun and not ended, told apart from those before.
    pub(super) fn block(&self) -> Option<NonZeroU32> {
        self.block
    }

    /// A frame has begun: HEADERS begins a block, and it or a CONTINUATION says that the block ends with it.
    fn follow(&mut self, kind: u8, flags: u8) {
        if kind == HEADERS {
            self.blocks = self.blocks.wrapping_add(1);
            self.block = NonZeroU32::new(self.blocks);
        }
        self.is_last = matches!(kind, HEADERS | CONTINUATION) && flags & END_HEADERS != 0;
    }

    /// A frame has ended, and another one is to come.
    fn ended(&mut self) -> At {
        if self.is_last {
            self.block = None;
        }
        At::Head([0; HEAD], 0)
    }

    /// What a frame of that type takes from the allowance.
    fn cost(&mut self, kind: u8) -> u64 {
        match kind {
            HEADERS => {
                self.begun = MOST_BEGUN.min(self.begun + 1);
                0
            }
            // RST_STREAM.
            3 => match self.begun.checked_sub(1) {
                Some(begun) => {
                    self.begun = begun;
                    0
                }
                None => BUSY,
            },
            // DATA, PUSH_PROMISE, GOAWAY, CONTINUATION: what these lead to is bounded where they are understood.
            0 | 5 | 7 | CONTINUATION => 0,
            // WINDOW_UPDATE.
            8 => ROOM,
            // PRIORITY, SETTINGS, PING, and what nobody knows.
            _ => BUSY,
        }
    }

    fn spend(&mut self, cost: u64) -> Result<(), &'static str> {
        if let Some(rest) = self.allowance.checked_sub(cost) {
            self.allowance = rest;
            return Ok(());
        }
        // The clock is looked at only now: those who send requests never come here.
        let elapsed = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since = Instant::now();
        let there = elapsed.saturating_mul(PER_SECOND) / 1_000;
        let allowance = MOST.min(self.allowance + there);
        let rest = allowance.checked_sub(cost);
        self.allowance = rest.ok_or("too many frames that ask for nothing")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn frame(kind: u8, length: usize) -> Vec<u8> {
        let mut frame = vec![0, 0, length as u8, kind, 0, 0, 0, 0, 0];
        frame.resize(HEAD + length, 0xff);
        frame
    }

    /// How many of them are let pass, at most so many.
    fn passing(chatter: &mut Chatter, frame: &[u8], most: usize) -> usize {
        (0..most)
            .take_while(|_| chatter.heard(frame).is_ok())
            .count()
    }

    fn begun() -> Chatter {
        let mut chatter = Chatter::new();
        chatter.heard(PREFACE).unwrap();
        chatter
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_ends_and_what_comes_with_time_goes_on() {
        for kind in [2, 4, 6, 10, 255] {
            let mut chatter = begun();
            assert_eq!(passing(&mut chatter, &frame(kind, 8), 10_000), 500);
            let mut chatter = begun();
            for _ in 0..1_000 {
                assert!(chatter.heard(&frame(kind, 0)).is_ok());
                tokio::time::advance(Duration::from_millis(50)).await;
            }
        }
        assert_eq!(passing(&mut begun(), &frame(8, 4), 100_000), 5_000);
    }

    #[tokio::test(start_paused = true)]
    async fn who_receives_may_answer() {
        let mut chatter = begun();
        for _ in 0..100_000 {
            chatter.said(300);
            assert!(chatter.heard(&frame(6, 8)).is_ok());
            assert!(chatter.heard(&frame(8, 4)).is_ok());
        }
        // That of a flood's own answers does not keep it going.
        let mut chatter = begun();
        let passed = (0..100_000).take_while(|_| {
            chatter.said(17);
            chatter.heard(&frame(6, 8)).is_ok()
        });
        assert!(passed.count() < 1_000);
    }

    #[tokio::test]
    async fn requests_cost_nothing_and_frames_are_found_wherever_they_are_cut() {
        let mut chatter = begun();
        for kind in [0, 1, 9] {
            assert_eq!(passing(&mut chatter, &frame(kind, 200), 10_000), 10_000);
        }
        let mut octets = PREFACE.to_vec();
        for _ in 0..501 {
            octets.extend(frame(1, 77));
            octets.extend(frame(6, 8));
        }
        for size in [1, 2, 7, 24, 1_000, octets.len()] {
            let mut chatter = Chatter::new();
            let mut parts = octets.chunks(size);
            assert!(parts.any(|part| chatter.heard(part).is_err()), "{size}");
            let mut chatter = Chatter::new();
            let short = &octets[..octets.len() - 18];
            assert!(short.chunks(size).all(|part| chatter.heard(part).is_ok()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_request_is_taken_back_for_nothing_once() {
        let (headers, reset) = (frame(1, 20), frame(3, 4));
        let mut chatter = begun();
        for _ in 0..1_000 {
            assert_eq!(passing(&mut chatter, &headers, 100), 100);
            assert_eq!(passing(&mut chatter, &reset, 100), 100);
        }
        assert_eq!(passing(&mut chatter, &reset, 10_000), 500);
        // Requests that were answered long ago are not there to be taken back.
        let mut chatter = begun();
        assert_eq!(passing(&mut chatter, &headers, 100_000), 100_000);
        assert_eq!(passing(&mut chatter, &reset, 10_000), 700);
    }

    #[tokio::test]
    async fn what_is_not_http2_is_not_looked_at() {
        let mut chatter = Chatter::new();
        assert!(chatter.heard(b"POST / HTTP/1.1\r\n\r\n").is_ok());
        assert_eq!(passing(&mut chatter, &frame(6, 8), 10_000), 10_000);
    }
}
