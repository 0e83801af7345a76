//! Compressed bodies: receives the bytes as they were sent and the name of their encoding, hands
//! on what was compressed. It never makes more of them than the limit, and takes nothing that is
//! incomplete or goes on after its end. Others get their turn while it works, also where much is read
//! and little comes of it.

mod gzip;

use std::io::{self, Read};

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};
use hyper::HeaderMap;
use hyper::header::CONTENT_ENCODING;

use gzip::{Gzip, MOST_MEMBERS, SIP};

use super::body::too_large;
use super::problem::Problem;
use crate::admission::{Code, quoted};
use crate::config::ByteSize;

/// How much is made at a time.
const PORTION: usize = 32 * 1024;

/// After so many portions others get a turn on the worker.
const TURN: usize = 16;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    /// A zlib stream, as HTTP means it.
    Deflate,
}

impl Encoding {
    /// What the headers say. One encoding at most: whoever needs two is after something else.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut encoding = Self::Identity;
        for value in headers.get_all(CONTENT_ENCODING) {
            let value = String::from_utf8_lossy(value.as_bytes());
            for name in value.split(',').map(str::trim) {
                let one = match &*name.to_ascii_lowercase() {
                    "" | "identity" => continue,
                    "gzip" | "x-gzip" => Self::Gzip,
                    "deflate" => Self::Deflate,
                    _ => {
                        return Err(not_read(format!(
                            "content encoding {} is not read; send gzip, deflate or plain JSON",
                            quoted(name)
                        )));
                    }
                };
                if encoding != Self::Identity {
                    let detail = "the body is compressed more than once; compress it once";
                    return Err(not_read(detail.to_owned()));
                }
                encoding = one;
            }
        }
        Ok(encoding)
    }

    /// What was compressed.
    pub(super) async fn undo(self, body: Bytes, most: ByteSize) -> Result<Bytes, Problem> {
        match self {
            Self::Identity => Ok(body),
            Self::Gzip => read_all(Gzip::new(&body), most).await,
            Self::Deflate => read_all(Zlib::new(&body), most).await,
        }
    }
}

async fn read_all(mut from: impl Read, most: ByteSize) -> Result<Bytes, Problem> {
    let mut whole = Vec::new();
    let mut portion = vec![0; PORTION];
    for turn in 1.. {
        let len = match from.read(&mut portion) {
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tokio::task::yield_now().await;
                continue;
            }
            Err(error) => return Err(not_undone(&error)),
        };
        if len == 0 {
            break;
        }
        if (whole.len() + len) as u64 > most.bytes() {
            return Err(too_large(most));
        }
        whole.extend_from_slice(&portion[..len]);
        if turn % TURN == 0 {
            tokio::task::yield_now().await;
        }
    }
    Ok(whole.into())
}

fn not_undone(error: &io::Error) -> Problem {
    let detail = match error.kind() {
        io::ErrorKind::QuotaExceeded => {
            format!("the body has more than {MOST_MEMBERS} gzip members; compress it as one")
        }
        _ => {
            "the body is not what its Content-Encoding says: it is damaged, incomplete, or goes on \
              after its end"
                .to_owned()
        }
    };
    Problem::new(Code::MalformedEvent, detail)
}

/// Reads one zlib stream that must fill its bytes exactly; the library's own reader takes a
/// stream that was cut off for one that has ended.
struct Zlib<'b> {
    inflate: Decompress,
    rest: &'b [u8],
    ended: bool,
}

impl<'b> Zlib<'b> {
    fn new(bytes: &'b [u8]) -> Self {
        Self {
            inflate: Decompress::new(true),
            rest: bytes,
            ended: false,
        }
    }
}

impl Read for Zlib<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.ended {
            return Ok(0);
        }
        let sip = &self.rest[..self.rest.len().min(SIP)];
        let (read, made) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(sip, into, FlushDecompress::None)?;
        let count = |now: u64, before: u64| usize::try_from(now - before).unwrap_or_default();
        let read = count(self.inflate.total_in(), read);
        let made = count(self.inflate.total_out(), made);
        self.rest = self.rest.get(read..).unwrap_or_default();
        self.ended = status == Status::StreamEnd;
        let is_empty = made == 0 && !self.ended;
        if is_empty && read > 0 && !self.rest.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if is_empty || (self.ended && !self.rest.is_empty()) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(made)
    }
}

fn not_read(detail: String) -> Problem {
    Problem::new(Code::UnsupportedMediaType, detail)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::Write as _;
    use std::pin::pin;
    use std::task::Poll;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;

    const MOST: ByteSize = ByteSize::from_kib(100);

    fn compressed(encoding: Encoding, text: &[u8]) -> Vec<u8> {
        match encoding {
            Encoding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
            _ => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    async fn undo(encoding: Encoding, body: &[u8]) -> Result<Bytes, u16> {
        let undone = encoding.undo(Bytes::copy_from_slice(body), MOST).await;
        undone.map_err(|problem| {
            let document = serde_json::to_value(problem.as_document(None)).unwrap();
            u16::try_from(document["status"].as_u64().unwrap()).unwrap()
        })
    }

    #[tokio::test]
    async fn a_body_comes_out_as_it_went_in_up_to_the_limit() {
        let noise: Vec<u8> = (0..100 * 1024_u32)
            .map(|n| (n.wrapping_mul(n) / 7) as u8)
            .collect();
        for encoding in [Encoding::Gzip, Encoding::Deflate] {
            for text in [&b""[..], b"{}", &noise[..PORTION], &noise] {
                let out = undo(encoding, &compressed(encoding, text)).await.unwrap();
                assert!(out == text, "{encoding:?} {}", text.len());
            }
            let over = vec![0; 100 * 1024 + 1];
            assert_eq!(undo(encoding, &compressed(encoding, &over)).await, Err(413));

            let bomb = compressed(encoding, &vec![0; 100 * 1024 * 100]);
            assert!(bomb.len() < 110 * 1024);
            assert_eq!(undo(encoding, &bomb).await, Err(413));
        }
    }

    #[tokio::test]
    async fn what_is_cut_off_damaged_or_goes_on_is_refused() {
        for encoding in [Encoding::Gzip, Encoding::Deflate] {
            let whole = compressed(encoding, br#"{"type":"a.b","source":"s","payload":{}}"#);
            for end in 0..whole.len() {
                let undone = undo(encoding, &whole[..end]).await;
                assert_eq!(undone, Err(400), "{encoding:?} cut off at {end}");
            }
            for garbage in [&b"\0"[..], b"x", b"0123456789012345678901"] {
                let body = [&whole, garbage].concat();
                assert_eq!(undo(encoding, &body).await, Err(400), "{encoding:?}");
            }
            let mut damaged = whole.clone();
            let sum = damaged.len() - 5;
            damaged[sum] ^= 1;
            assert_eq!(undo(encoding, &damaged).await, Err(400), "{encoding:?}");
            assert_eq!(undo(encoding, b"{}").await, Err(400));
        }
    }

    /// So many blocks without anything in them, and the last one of their stream.
    fn empty_blocks(count: usize) -> Vec<u8> {
        let mut blocks = [0, 0, 0, 0xff, 0xff].repeat(count);
        blocks.extend([3, 0]);
        blocks
    }

    #[tokio::test]
    async fn members_are_read_one_after_the_other_up_to_their_number() {
        for (members, text) in [(1, "x"), (300, "{}"), (MOST_MEMBERS, "")] {
            let body = compressed(Encoding::Gzip, text.as_bytes()).repeat(members);
            let out = undo(Encoding::Gzip, &body).await.unwrap();
            assert_eq!(out, text.repeat(members));
        }
        let body = compressed(Encoding::Gzip, b"").repeat(MOST_MEMBERS + 1);
        assert_eq!(undo(Encoding::Gzip, &body).await, Err(400));
    }

    #[tokio::test]
    async fn others_get_their_turn_while_much_is_read_and_nothing_comes_of_it() {
        let empty = |length| vec![0; length];
        let gzip = [
            &compressed(Encoding::Gzip, b"")[..10],
            &empty_blocks(10_000),
            &empty(8),
        ];
        let zlib = [&[0x78, 0x9c][..], &empty_blocks(10_000), &[0, 0, 0, 1]];
        let members = compressed(Encoding::Gzip, b"").repeat(500);
        for (encoding, body) in [
            (Encoding::Gzip, gzip.concat()),
            (Encoding::Deflate, zlib.concat()),
            (Encoding::Gzip, members),
        ] {
            let mut undoing = pin!(undo(encoding, &body));
            let mut turns = 0;
            let undone = loop {
                match poll_fn(|cx| Poll::Ready(undoing.as_mut().poll(cx))).await {
                    Poll::Pending => turns += 1,
                    Poll::Ready(undone) => break undone,
                }
            };
            assert_eq!(undone, Ok(Bytes::new()), "{encoding:?}");
            assert!(turns >= 5, "{turns} in {encoding:?}");
        }
    }

    #[test]
    fn one_encoding_and_no_more() {
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, value.parse().unwrap());
            }
            Encoding::of(&headers).ok()
        };
        assert_eq!(of(&[]), Some(Encoding::Identity));
        assert_eq!(of(&["identity"]), Some(Encoding::Identity));
        assert_eq!(of(&["GZip"]), Some(Encoding::Gzip));
        assert_eq!(of(&["identity, x-gzip"]), Some(Encoding::Gzip));
        assert_eq!(of(&["deflate"]), Some(Encoding::Deflate));
        for bad in [&["br"][..], &["gzip, gzip"], &["gzip", "deflate"], &["x"]] {
            assert_eq!(of(bad), None, "{bad:?}");
        }
    }
}
