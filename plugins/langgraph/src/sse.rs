//! Server-sent events: receives bytes as they come, hands on events. Keeps no more of one than it is let.

/// What the server has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// Its kind.
    pub(crate) event: String,
    /// Its place in the stream; empty where it has none.
    pub(crate) id: String,
    /// What it holds; `None` where that is too large.
    pub(crate) data: Option<Vec<u8>>,
}

/// Puts messages together.
#[derive(Debug)]
pub(crate) struct Decoder {
    max_bytes: usize,
    line: Vec<u8>,
    /// Whether the line has gone on beyond what is kept.
    cut: bool,
    event: String,
    id: String,
    data: Option<Vec<u8>>,
    oversized: bool,
}

impl Decoder {
    /// For messages of so many bytes.
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            line: Vec::new(),
            cut: false,
            event: String::new(),
            id: String::new(),
            data: None,
            oversized: false,
        }
    }

    /// The messages that end within `bytes`.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Message> {
        let mut messages = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            // The name of a field and the end of the line are not counted.
            if self.line.len() + text.len() <= self.max_bytes + 16 {
                self.line.extend_from_slice(text);
            } else {
                let room = (self.max_bytes + 16).saturating_sub(self.line.len());
                self.line.extend_from_slice(&text[..room.min(text.len())]);
                self.cut = true;
            }
            if ends {
                messages.extend(self.end_of_line());
            }
        }
        messages
    }

    fn end_of_line(&mut self) -> Option<Message> {
        let line = std::mem::take(&mut self.line);
        let cut = std::mem::take(&mut self.cut);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if line.is_empty() {
            return self.end_of_message();
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = match colon {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let text = || String::from_utf8_lossy(value).into_owned();
        match field {
            b"event" => self.event = text(),
            b"id" => self.id = text(),
            b"data" => {
                let data = self.data.get_or_insert_default();
                if cut || data.len() + value.len() > self.max_bytes {
                    self.oversized = true;
                } else {
                    if !data.is_empty() {
                        data.push(b'\n');
                    }
                    data.extend_from_slice(value);
                }
            }
            // Comments, of which a heartbeat is one, and what nobody knows.
            _ => {}
        }
        None
    }

    fn end_of_message(&mut self) -> Option<Message> {
        let event = std::mem::take(&mut self.event);
        let oversized = std::mem::take(&mut self.oversized);
        let data = self.data.take()?;
        Some(Message {
            event,
            id: self.id.clone(),
            data: (!oversized).then_some(data),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(event: &str, id: &str, data: Option<&str>) -> Message {
        Message {
            event: event.to_owned(),
            id: id.to_owned(),
            data: data.map(|data| data.as_bytes().to_vec()),
        }
    }

    #[test]
    fn messages_come_whole_however_they_were_cut() {
        let sent = "event: updates\r\ndata: {\"a\":1}\r\nid: 7-0\r\n\r\n: heartbeat\r\n\r\n\
                    event: end\ndata: one\ndata:two\n\n";
        let expected = [
            message("updates", "7-0", Some("{\"a\":1}")),
            message("end", "7-0", Some("one\ntwo")),
        ];
        for size in [1, 2, 7, sent.len()] {
            let mut decoder = Decoder::new(100);
            let messages = sent.as_bytes().chunks(size);
            let messages: Vec<_> = messages.flat_map(|bytes| decoder.feed(bytes)).collect();
            assert_eq!(messages, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn no_more_is_kept_than_may_be_and_what_follows_is_whole() {
        let mut decoder = Decoder::new(10);
        let mut sent = format!("data: {}", "x".repeat(1000)).into_bytes();
        assert!(decoder.feed(&sent).is_empty());
        assert!(decoder.line.len() <= 26);
        sent = b"\n\ndata: small\n\ndata: 12345\ndata: 123456\n\n".to_vec();
        let expected = [
            message("", "", None),
            message("", "", Some("small")),
            message("", "", None),
        ];
        assert_eq!(decoder.feed(&sent), expected);
    }
}
