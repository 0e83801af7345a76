//! A moment in the past as people name it: receives a time (RFC 3339) or an age such as `2h`,
//! hands on the time.

use chrono::{DateTime, TimeDelta, Utc};
use nexus_host::config::HumanDuration;

/// Reads a moment.
///
/// # Errors
/// When it is neither.
pub(crate) fn parse(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    let age = text.parse::<HumanDuration>().ok();
    age.and_then(|age| TimeDelta::from_std(age.get()).ok())
        .and_then(|age| Utc::now().checked_sub_signed(age))
        .ok_or_else(|| {
            "write a time such as 2026-01-02T03:04:05Z, or an age such as 2h, 30m or 7d".to_owned()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_or_an_age() {
        let time = parse("2026-01-02T05:04:05+02:00").unwrap();
        assert_eq!(time.to_rfc3339(), "2026-01-02T03:04:05+00:00");
        let then = parse("1h30m").unwrap();
        assert_eq!((Utc::now() - then).num_minutes(), 90);
        for bad in ["", "2", "-2h", "2026-01-02", "yesterday", "400d"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
