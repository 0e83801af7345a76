//! HTTP/2 by hand: frames as bytes, in both directions, and as much of HPACK as it takes to write any header
//! block, and to read the status of an answer. Nothing here refuses to be wrong.

/// What a client of HTTP/2 begins with.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The types of frames.
#[allow(missing_docs)]
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Flags of frames.
#[allow(missing_docs)]
pub mod flag {
    pub const ACK: u8 = 0x1;
    pub const END_STREAM: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
}

/// The codes of errors.
#[allow(missing_docs)]
pub mod code {
    pub const NO_ERROR: u32 = 0;
    pub const PROTOCOL: u32 = 1;
    pub const INTERNAL: u32 = 2;
    pub const FLOW_CONTROL: u32 = 3;
    pub const STREAM_CLOSED: u32 = 5;
    pub const FRAME_SIZE: u32 = 6;
    pub const REFUSED_STREAM: u32 = 7;
    pub const CANCEL: u32 = 8;
    pub const COMPRESSION: u32 = 9;
    pub const CALM: u32 = 11;
}

/// A frame that has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its type, one of [`kind`].
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream.
    pub stream: u32,
    /// What it holds.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Whether it has a flag.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The number at a place in it; 0 when there is none.
    pub fn number(&self, at: usize) -> u32 {
        let four = self.payload.get(at..at + 4);
        four.map_or(0, |four| {
            u32::from_be_bytes([four[0], four[1], four[2], four[3]])
        })
    }
}

/// A frame as bytes.
///
/// # Panics
/// With more than a frame's length can say.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let length = u32::try_from(payload.len()).expect("a frame's length");
    assert!(length < 1 << 24, "a frame's length");
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The frame at the front of what has come, once it is whole, and its length.
pub fn first(heard: &[u8]) -> Option<(Frame, usize)> {
    let head = heard.get(..9)?;
    let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
    let payload = heard.get(9..9 + length)?.to_vec();
    let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
    let frame = Frame {
        kind: head[3],
        flags: head[4],
        stream,
        payload,
    };
    Some((frame, 9 + length))
}

/// `SETTINGS` with these values.
pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (id, value) in values {
        payload.extend(id.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    frame(kind::SETTINGS, 0, 0, payload)
}

/// A number in HPACK's form, behind the bits that say what it is for.
pub fn integer(bits: u8, first: u8, mut number: usize) -> Vec<u8> {
    let most = (1_usize << bits) - 1;
    if number < most {
        return vec![first | u8::try_from(number).unwrap_or_default()];
    }
    let mut bytes = vec![first | u8::try_from(most).unwrap_or_default()];
    number -= most;
    while number >= 128 {
        bytes.push(u8::try_from(number % 128).unwrap_or_default() | 128);
        number /= 128;
    }
    bytes.push(u8::try_from(number).unwrap_or_default());
    bytes
}

/// A text in HPACK's form, as it is.
pub fn text(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    let mut bytes = integer(7, 0, text.len());
    bytes.extend(text);
    bytes
}

/// A field that no table remembers.
pub fn field(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    [vec![0], text(name), text(value)].concat()
}

/// A field that the table is to remember.
pub fn remembered(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    [vec![0x40], text(name), text(value)].concat()
}

/// Fields, one after the other.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields
        .iter()
        .flat_map(|(name, value)| field(name, value))
        .collect()
}

/// The status that the header block of an answer begins with. The one that writes it must have been told to
/// remember nothing, so that all it can refer to is the static table.
pub fn status(block: &[u8]) -> Option<u16> {
    let mut start = 0;
    // Changes of the table's size come first.
    while block.get(start)? & 0xe0 == 0x20 {
        let is_long = block[start] == 0x3f;
        start += 1;
        while is_long && *block.get(start)? >= 0x80 {
            start += 1;
        }
        start += usize::from(is_long);
    }
    match block.get(start..)? {
        [indexed @ 0x88..=0x8e, ..] => {
            let statuses = [200, 204, 206, 304, 400, 404, 500];
            statuses.get(usize::from(indexed - 0x88)).copied()
        }
        [0x48..=0x4e | 0x08..=0x0e | 0x18..=0x1e, length, value @ ..] => {
            let value = value.get(..usize::from(length & 0x7f))?;
            match length & 0x80 {
                0 => std::str::from_utf8(value).ok()?.parse().ok(),
                _ => huffman_digits(value),
            }
        }
        _ => None,
    }
}

/// Three digits in Huffman's form: 0, 1 and 2 take five bits, the others six.
fn huffman_digits(bytes: &[u8]) -> Option<u16> {
    let mut bits = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    let mut take = |count: usize, from: u16| {
        (0..count).try_fold(from, |sum, _| Some(sum << 1 | u16::from(bits.next()?)))
    };
    let mut number = 0;
    for _ in 0..3 {
        let five = take(5, 0)?;
        let digit = match five {
            0..=2 => five,
            _ => take(1, five)?.checked_sub(0b01_1001)? + 3,
        };
        number = number * 10 + digit;
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_standard_shows() {
        assert_eq!(integer(5, 0, 10), [0b01010]);
        assert_eq!(integer(5, 0, 1337), [0b11111, 0b1001_1010, 0b0000_1010]);
        assert_eq!(integer(7, 0, 127), [127, 0]);
    }

    #[test]
    fn a_status_is_read_in_every_form() {
        assert_eq!(status(&[0x88]), Some(200));
        assert_eq!(status(&[0x20, 0x8d, 0x00]), Some(404));
        assert_eq!(status(&[0x20, 0x3f, 0xe1, 0x1f, 0x88]), Some(200));
        assert_eq!(status(b"\x48\x03307"), Some(307));
        // The examples of RFC 7541, C.6: 302 and 307.
        assert_eq!(status(&[0x48, 0x82, 0x64, 0x02]), Some(302));
        assert_eq!(status(&[0x08, 0x83, 0x64, 0x0e, 0xff]), Some(307));
        assert_eq!(status(&[]), None);
    }

    #[test]
    fn a_frame_is_read_when_it_is_whole() {
        let bytes = frame(kind::PING, flag::ACK, 7, b"12345678");
        for end in 0..bytes.len() {
            assert_eq!(first(&bytes[..end]), None);
        }
        let (read, length) = first(&bytes).unwrap();
        assert_eq!(length, bytes.len());
        assert!(read.has(flag::ACK) && read.stream == 7 && read.kind == kind::PING);
    }
}
