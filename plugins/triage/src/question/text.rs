//! Texts that people read: receives what somebody has written, hands on what fits.

pub(crate) const LONGEST_TITLE: usize = 256;
pub(crate) const LONGEST_BODY: usize = 4_096;
pub(crate) const LONGEST_LABEL: usize = 128;

/// A text as one line of at most so many characters.
pub(crate) fn line(text: &str, most: usize) -> String {
    let plain = text.split(char::is_control).collect::<Vec<_>>().join(" ");
    shortened(plain.trim(), most)
}

/// A text as lines, of at most so many characters together.
pub(crate) fn lines(text: &str, most: usize) -> String {
    shortened(&plain(text), most)
}

/// A text without control characters, as it can be shown in lines.
pub(crate) fn plain(text: &str) -> String {
    let is_plain = |c: &char| !c.is_control() || *c == '\n';
    text.chars().filter(is_plain).collect()
}

/// Whether a text has no more than so many characters.
pub(crate) fn fits(text: &str, most: usize) -> bool {
    text.chars().nth(most).is_none()
}

fn shortened(text: &str, most: usize) -> String {
    match fits(text, most) {
        true => text.to_owned(),
        false => text.chars().take(most - 1).chain(['…']).collect(),
    }
}
