//! What a connection is doing: receives the changes from the stream, the request's body and the
//! answer's, and tells the one who watches the deadlines. It waits for nothing.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use super::place::Place;
use super::socket::Socket;
use super::tail::Tails;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Doing {
    /// Nothing has come yet, or only a part of a request's headers.
    Asking = 0,
    /// Requests are being answered.
    Answering = 1,
    /// Every request was answered and no byte of the next has come.
    Resting = 2,
}

/// Shared by all that make up one connection.
#[derive(Default)]
pub(super) struct Pulse {
    doing: AtomicU32,
    /// Requests that are being answered; HTTP/2 has several at a time.
    requests: AtomicU32,
    /// Whether it speaks HTTP/2: bytes need not be a request's then, but may be a sign of life.
    is_http2: AtomicBool,
    /// Whether the client does not take what is written.
    stalled: AtomicBool,
    /// Counts changes.
    beat: AtomicU32,
    /// Whether a request was answered without reading all of its body.
    unread: AtomicBool,
    /// Whether the request of HTTP/1 that is being answered had trailers.
    trailers: AtomicBool,
    /// How what has come ends, and the body of the request of HTTP/1 that is being answered.
    tails: Tails,
    /// Which of the header blocks of HTTP/2 has begun and not ended; 0 for none.
    block: AtomicU32,
    /// Answers of HTTP/2 that have no end of their own, of which a part was offered and not taken: their
    /// streams have no room. Whoever follows slowly may, as long as anything else goes on.
    endless: AtomicU32,
    /// The same of answers that have one.
    offers: Mutex<Offers>,
    /// Whoever watches the deadlines. Answers of HTTP/2 are sent by tasks of their own, and one that has no
    /// room wakes nobody else.
    watcher: AtomicWaker,
    /// The socket, once HTTP is done with it, and its place.
    left: Mutex<Option<(Socket, Place)>>,
}

/// Parts of answers that wait to be taken, each by a number that is higher than those before it, and since
/// when.
#[derive(Default)]
struct Offers {
    waiting: BTreeMap<u64, Instant>,
    last: u64,
}

/// A part of an answer that waits to be taken.
enum Offer {
    Endless,
    Numbered(u64),
}

/// A request that is being answered, until this is dropped.
pub(super) struct Request {
    pulse: Arc<Pulse>,
    /// Whether its answer has an end.
    is_finite: bool,
    offer: Option<Offer>,
}

impl Request {
    /// A part of its answer waits for the client to take it, or does not any more.
    pub(super) fn offered(&mut self, offered: bool) {
        let pulse = &self.pulse;
        if !pulse.is_http2.load(Ordering::Relaxed) {
            return;
        }
        let mut offers = pulse.offers.lock().unwrap_or_else(PoisonError::into_inner);
        match self.offer.take() {
            Some(Offer::Numbered(taken)) => drop(offers.waiting.remove(&taken)),
            Some(Offer::Endless) => drop(pulse.endless.fetch_sub(1, Ordering::Relaxed)),
            None => {}
        }
        // Each part that is taken is a beginning: the next is younger than all that wait.
        if offered && self.is_finite {
            offers.last += 1;
            let number = offers.last;
            offers.waiting.insert(number, Instant::now());
            self.offer = Some(Offer::Numbered(number));
        } else if offered {
            pulse.endless.fetch_add(1, Ordering::Relaxed);
            self.offer = Some(Offer::Endless);
        }
        drop(offers);
        pulse.changed();
        pulse.watcher.wake();
    }

    /// The answer is there.
    pub(super) fn answered(&mut self, is_finite: bool) {
        self.is_finite = is_finite;
        self.offered(true);
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.offered(false);
        if self.pulse.requests.fetch_sub(1, Ordering::Relaxed) == 1 {
            let rests = !self.pulse.has_begun_another();
            self.pulse
                .now(if rests { Doing::Resting } else { Doing::Asking });
        }
    }
}

impl Pulse {
    pub(super) fn doing(&self) -> Doing {
        match self.doing.load(Ordering::Relaxed) {
            0 => Doing::Asking,
            1 => Doing::Answering,
            _ => Doing::Resting,
        }
    }

    fn now(&self, doing: Doing) {
        if self.doing.swap(doing as u32, Ordering::Relaxed) != doing as u32 {
            self.changed();
        }
    }

    /// A request has come whole, as far as its headers go. `length` is that of its body, if it is known.
    pub(super) fn asked(self: &Arc<Self>, is_http2: bool, length: Option<u64>) -> Request {
        self.tails.asked(length);
        self.is_http2.store(is_http2, Ordering::Relaxed);
        self.unread.store(false, Ordering::Relaxed);
        self.trailers.store(false, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.now(Doing::Answering);
        Request {
            pulse: self.clone(),
            is_finite: true,
            offer: None,
        }
    }

    /// A part of a request's body was read.
    pub(super) fn read(&self, part: &[u8]) {
        self.tails.read(part);
    }

    /// Whether the next request of HTTP/1 has begun, with the one that was answered.
    fn has_begun_another(&self) -> bool {
        !self.is_http2.load(Ordering::Relaxed) && self.tails.differ()
    }

    /// The header block that has begun and not ended, if there is one.
    pub(super) fn block(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.block.load(Ordering::Relaxed))
    }

    /// A header block has begun, or there is none any more.
    pub(super) fn in_block(&self, block: Option<NonZeroU32>) {
        let block = block.map_or(0, NonZeroU32::get);
        self.block.store(block, Ordering::Relaxed);
    }

    /// Bytes have come in.
    pub(super) fn heard(&self, bytes: &[u8]) {
        self.tails.heard(bytes);
        if self.doing() == Doing::Resting && !self.is_http2.load(Ordering::Relaxed) {
            self.now(Doing::Asking);
        }
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::Relaxed) || self.endless.load(Ordering::Relaxed) > 0
    }

    /// Since when the part of an answer of HTTP/2 with an end waits that has waited longest.
    pub(super) fn oldest_offer(&self) -> Option<Instant> {
        let offers = self.offers.lock().unwrap_or_else(PoisonError::into_inner);
        offers.waiting.first_key_value().map(|(_, since)| *since)
    }

    /// The client takes no more for the moment, or again.
    pub(super) fn stalled(&self, stalled: bool) {
        if self.stalled.swap(stalled, Ordering::Relaxed) != stalled {
            self.changed();
        }
    }

    /// Who is woken when an answer's standing changes. To be told before looking at it.
    pub(super) fn watch(&self, watcher: &Waker) {
        if self.is_http2.load(Ordering::Relaxed) {
            self.watcher.register(watcher);
        }
    }

    /// Differs from before when anything has changed.
    pub(super) fn beat(&self) -> u32 {
        self.beat.load(Ordering::Relaxed)
    }

    fn changed(&self) {
        self.beat.fetch_add(1, Ordering::Relaxed);
    }

    /// A body was given up before its end, or read to it after all.
    pub(super) fn left_unread(&self, unread: bool) {
        self.unread.store(unread, Ordering::Relaxed);
    }

    /// Whether the client may still be sending what nobody reads. In HTTP/2 it is told to stop.
    pub(super) fn has_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed) && !self.is_http2.load(Ordering::Relaxed)
    }

    /// A body ended with trailers.
    pub(super) fn trailed(&self) {
        self.trailers.store(true, Ordering::Relaxed);
    }

    /// Whether nothing behind the request may be read. Who takes a single LF for the end of a line may see
    /// the end of trailers, and the next request, where the library still reads trailers.
    pub(super) fn is_last(&self) -> bool {
        self.trailers.load(Ordering::Relaxed) && !self.is_http2.load(Ordering::Relaxed)
    }

    pub(super) fn hand_back(&self, socket: (Socket, Place)) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
    }

    pub(super) fn take_back(&self) -> Option<(Socket, Place)> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.take()
    }
}
