//! What a mistyped word was meant to be: receives a word and the known ones, hands on a hint. It
//! never guesses between words that are far from what was written.

/// The known word that is nearest, when it is near.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_'], "");
    let wanted = plain(word);
    known
        .into_iter()
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&wanted, &plain(candidate));
            (distance, candidate)
        })
        .filter(|(distance, candidate)| {
            let longer = wanted.chars().count().max(candidate.chars().count());
            *distance <= (longer / 3).max(1)
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// What to do about an unknown word: the nearest one, else all of them.
pub(crate) fn hint(word: &str, known: &[&str]) -> Option<String> {
    if let Some(nearest) = nearest(word, known.iter().copied()) {
        return Some(format!("did you mean `{nearest}`?"));
    }
    match known {
        [] => None,
        [only] => Some(format!("the only one known is `{only}`")),
        several => Some(format!("known are `{}`", several.join("`, `"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested_and_far_ones_are_not() {
        let known = ["capacity", "when_full", "wait_timeout", "backend"];
        assert_eq!(nearest("capcity", known), Some("capacity"));
        assert_eq!(nearest("acpacity", known), Some("capacity"));
        assert_eq!(nearest("whenFull", known), Some("when_full"));
        assert_eq!(nearest("WAIT-TIMEOUT", known), Some("wait_timeout"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn without_a_near_one_all_are_told() {
        assert_eq!(
            hint("xyz", &["http", "grpc"]).as_deref(),
            Some("known are `http`, `grpc`")
        );
        assert_eq!(hint("xyz", &[]), None);
    }
}
