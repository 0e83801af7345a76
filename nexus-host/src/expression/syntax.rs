//! Why a text is no CEL, in words: receives the parser's error, hands on where and what, without the list of
//! everything that could have stood there instead.

use cel::ParseError;

use crate::admission::{quoted, shortened};

/// One line.
pub(super) fn told(error: &ParseError) -> String {
    let message = error.msg.strip_prefix("Syntax error: ");
    let message = message.unwrap_or(&error.msg);
    let message = message.split(" expecting ").next().unwrap_or(message);
    let token = message.split_once('\'').map(|(_, rest)| rest);
    let token = token
        .and_then(|rest| rest.rsplit_once('\''))
        .map(|(token, _)| token);
    let (line, column) = error.pos;
    let place = match line {
        ..=1 => format!("at column {column}"),
        _ => format!("at line {line}, column {column}"),
    };
    match token {
        Some("<EOF>") => "ends before it is complete".to_owned(),
        Some(token) if token.trim_end() == "=" => {
            format!("is no CEL {place}: `=` compares nothing; write `==`")
        }
        Some(token) => format!(
            "is no CEL {place}: {} is not expected there",
            quoted(token.trim())
        ),
        None => format!("is no CEL {place}: {}", shortened(message)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn what_is_no_cel_is_told_by_its_place() {
        for (rule, expected) in [
            ("payload.a <", "ends before it is complete"),
            (
                "payload.a = 5",
                "is no CEL at column 11: `=` compares nothing; write `==`",
            ),
            (
                "payload.a < 5 )",
                "is no CEL at column 15: `)` is not expected there",
            ),
            (
                "payload.a <\n< 5",
                "is no CEL at line 2, column 1: `<` is not expected there",
            ),
            (
                "payload.a # 5",
                "is no CEL at column 11: `#` is not expected there",
            ),
            ("'abc", "is no CEL at column 1"),
            (
                "payload.a and payload.b",
                "is no CEL at column 11: `and` is not expected there",
            ),
        ] {
            let told = parse(rule).unwrap_err();
            assert!(told.starts_with(expected), "{rule}: {told}");
            assert!(
                !told.contains("expecting") && !told.contains('\n'),
                "{told}"
            );
        }
    }
}
