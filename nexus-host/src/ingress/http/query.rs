//! The query of a request: receives its raw text, hands on the parameters that the path knows. An
//! unknown one is refused, since it was meant to do something.

use std::borrow::Cow;

use super::problem::Problem;
use crate::admission::{Code, quoted};

/// The values of the known parameters, in the order of `known`. One that occurs twice is refused.
pub(super) fn known<'q, const N: usize>(
    query: Option<&'q str>,
    known: [&str; N],
) -> Result<[Option<Cow<'q, str>>; N], Problem> {
    let mut values = [const { None }; N];
    let Some(query) = query else {
        return Ok(values);
    };
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let Some(place) = known.iter().position(|known| *known == name) else {
            let names = known.map(|name| format!("`{name}`")).join(", ");
            let name = quoted(&name);
            return Err(refused(format!(
                "the query parameter {name} is not known; known: {names}"
            )));
        };
        if values[place].replace(value).is_some() {
            return Err(refused(format!(
                "the query parameter `{name}` occurs twice"
            )));
        }
    }
    Ok(values)
}

/// The one of several that goes by a name, which a query has given for `what`.
pub(super) fn named<T: Copy, const N: usize>(
    what: &str,
    name: &str,
    all: [T; N],
    called: impl Fn(T) -> &'static str,
) -> Result<T, Problem> {
    let found = all.into_iter().find(|one| called(*one) == name);
    found.ok_or_else(|| {
        let names = all.map(|one| format!("`{}`", called(one))).join(", ");
        let name = quoted(name);
        refused(format!("the {what} {name} is not known; known: {names}"))
    })
}

/// The refusal of a query.
pub(super) fn refused(detail: impl Into<Cow<'static, str>>) -> Problem {
    Problem::new(Code::MalformedEvent, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_parameters_once() {
        let [a, b] = known(Some("b=x%2Ey&"), ["a", "b"]).unwrap();
        assert_eq!((a, b.as_deref()), (None, Some("x.y")));
        assert!(known(None, ["a"]).is_ok() && known(Some(""), ["a"]).is_ok());
        for bad in ["c=1", "a=1&a=1", "A=1"] {
            assert!(known(Some(bad), ["a", "b"]).is_err(), "{bad}");
        }
    }
}
