//! Times as senders write them: receives a text, hands on a time. It guesses seconds or milliseconds
//! from the size, which no date of this era leaves open.

use chrono::{DateTime, Utc};

use crate::admission::rules;

/// From here on a number is in milliseconds: as seconds it would be the year 5138.
const MILLISECONDS: i64 = 100_000_000_000;

/// Seconds or milliseconds since 1970, in plain digits.
pub(super) fn of_number(text: &str) -> Option<DateTime<Utc>> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: i64 = text.parse().ok()?;
    match number < MILLISECONDS {
        true => DateTime::from_timestamp(number, 0),
        false => DateTime::from_timestamp_millis(number),
    }
}

/// RFC 3339, or as [`of_number`].
pub(super) fn of(text: &str) -> Option<DateTime<Utc>> {
    of_number(text).or_else(|| rules::time(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_milliseconds_and_rfc_3339() {
        let told = |text: &str| of(text).map(|time| time.to_rfc3339());
        let expected = Some("2021-02-25T15:02:10+00:00".to_owned());
        assert_eq!(told("1614265330"), expected);
        assert_eq!(told("1614265330000"), expected);
        assert_eq!(told("2021-02-25T16:02:10+01:00"), expected);
        for bad in [
            "",
            "-1",
            "+1",
            "1.5",
            "now",
            "1e9",
            " 1614265330",
            "99999999999999999999",
        ] {
            assert_eq!(told(bad), None, "{bad}");
        }
    }
}
