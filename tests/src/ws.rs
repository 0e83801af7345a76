//! WebSocket frames by hand, in both directions, right or wrong.

/// The types of frames.
#[allow(missing_docs)]
pub mod op {
    pub const CONTINUATION: u8 = 0;
    pub const TEXT: u8 = 1;
    pub const BINARY: u8 = 2;
    pub const CLOSE: u8 = 8;
    pub const PING: u8 = 9;
    pub const PONG: u8 = 10;
}

/// The bit that says that a message ends with this frame.
pub const FIN: u8 = 0x80;

/// What a client's frames are masked with, unless a test wants it otherwise.
pub const MASK: [u8; 4] = [0x12, 0xab, 0x7f, 0xe0];

/// In how many octets a frame's length is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// In seven bits.
    Short,
    /// In two octets.
    Two,
    /// In eight octets.
    Eight,
}

impl Length {
    /// The shortest that holds it, which is the only one that is allowed.
    pub fn of(length: usize) -> Self {
        match length {
            0..=125 => Self::Short,
            126..=0xffff => Self::Two,
            _ => Self::Eight,
        }
    }
}

/// The head of a frame: its first octet, the length that it says, and its mask, if there is one.
///
/// # Panics
/// When the length cannot be written so.
pub fn head(first: u8, form: Length, length: u64, mask: Option<[u8; 4]>) -> Vec<u8> {
    let bit = if mask.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match form {
        Length::Short => bytes.push(bit | u8::try_from(length).expect("a short length")),
        Length::Two => {
            bytes.push(bit | 126);
            bytes.extend(
                u16::try_from(length)
                    .expect("a length of two octets")
                    .to_be_bytes(),
            );
        }
        Length::Eight => {
            bytes.push(bit | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend(mask.iter().flatten());
    bytes
}

/// A masked frame, as clients send them; its first octet is its type and its bits.
pub fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let length = payload.as_ref().len();
    framed(first, Length::of(length), Some(MASK), payload)
}

/// A frame with a length of that form, masked or not.
pub fn framed(
    first: u8,
    form: Length,
    mask: Option<[u8; 4]>,
    payload: impl AsRef<[u8]>,
) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut bytes = head(first, form, payload.len() as u64, mask);
    let key = mask.unwrap_or_default().into_iter().cycle();
    bytes.extend(payload.iter().zip(key).map(|(octet, key)| octet ^ key));
    bytes
}

/// A close with a code and a reason.
pub fn close(code: u16, reason: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = [&code.to_be_bytes()[..], reason.as_ref()].concat();
    frame(FIN | op::CLOSE, payload)
}

/// A frame that has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its type and its bits.
    pub first: u8,
    /// Whether it is masked, which a server's never is.
    pub is_masked: bool,
    /// What it holds.
    pub payload: Vec<u8>,
}

/// The frame at the front of what has come, once it is whole, and its length.
pub fn first(heard: &[u8]) -> Option<(Frame, usize)> {
    let [first, second, rest @ ..] = heard else {
        return None;
    };
    let (length, head) = match second & 0x7f {
        126 => (
            u64::from(u16::from_be_bytes(rest.get(..2)?.try_into().ok()?)),
            4,
        ),
        127 => (u64::from_be_bytes(rest.get(..8)?.try_into().ok()?), 10),
        short => (u64::from(short), 2),
    };
    let is_masked = second & 0x80 != 0;
    let head = head + if is_masked { 4 } else { 0 };
    let end = head + usize::try_from(length).ok()?;
    let payload = heard.get(head..end)?.to_vec();
    let frame = Frame {
        first: *first,
        is_masked,
        payload,
    };
    Some((frame, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_written_and_read_as_the_standard_shows() {
        // RFC 6455, 5.7.
        let mask = Some([0x37, 0xfa, 0x21, 0x3d]);
        let hello = framed(FIN | op::TEXT, Length::Short, mask, "Hello");
        assert_eq!(hex::encode(&hello), "818537fa213d7f9f4d5158");
        let unmasked = framed(FIN | op::TEXT, Length::Short, None, "Hello");
        let (read, length) = first(&unmasked).unwrap();
        assert_eq!((read.payload.as_slice(), length), (&b"Hello"[..], 7));
        for form in [Length::Two, Length::Eight] {
            let long = framed(op::BINARY, form, None, [1; 256]);
            for end in 0..long.len() {
                assert_eq!(first(&long[..end]), None, "{end}");
            }
            assert_eq!(first(&long).unwrap().1, long.len());
        }
    }
}
