//! An event's or a dead letter's id as people paste it: receives text, hands on the UUID.

use uuid::Uuid;

/// Reads an id.
///
/// # Errors
/// When it is none.
pub(crate) fn parse(text: &str) -> Result<Uuid, String> {
    text.trim().parse().map_err(|_| {
        "an id is a UUID such as 0190a6e0-3c1e-7d2a-9c1b-2f3e4d5c6b7a, as `nexus send` prints it and lists such as \
         `nexus dlq list` show it"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_id_is_answered_with_one() {
        let id = "0190a6e0-3c1e-7d2a-9c1b-2f3e4d5c6b7a";
        assert_eq!(parse(&format!(" {id}\n")).unwrap().to_string(), id);
        assert!(parse("foo").unwrap_err().contains(id));
    }
}
