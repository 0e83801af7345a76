//! Text of others, made fit for a contract: receives it as it came, hands it on without control characters and within
//! a bound.

/// One line of at most `most` characters, with an ellipsis where something is missing.
pub(crate) fn line(text: &str, most: usize) -> String {
    bounded(
        text.trim()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c }),
        most,
    )
}

/// As [`line`], with its line breaks.
pub(crate) fn paragraph(text: &str, most: usize) -> String {
    let plain = text.trim().replace("\r\n", "\n");
    let kept = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
    bounded(plain.chars().map(kept), most)
}

fn bounded(text: impl Iterator<Item = char>, most: usize) -> String {
    let mut text: Vec<char> = text.take(most + 1).collect();
    if text.len() > most {
        text.truncate(most - 1);
        text.push('…');
    }
    text.into_iter().collect()
}
