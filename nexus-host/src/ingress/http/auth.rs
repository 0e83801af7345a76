//! Who asks: receives a request's headers, hands on the client that holds the key in them. It
//! reads no body.

use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;

use super::Shared;
use super::problem::Problem;
use crate::admission::{ClientScope, Code};

/// The client behind a request.
pub(super) fn client(shared: &Shared, headers: &HeaderMap) -> Result<Arc<ClientScope>, Problem> {
    let client = shared.admission().authenticate(bearer(headers))?;
    Ok(client)
}

/// The client behind a request that may bring its key as the query parameter `access_token`, for
/// senders that can set an address and no header. Nobody gets two tries.
pub(super) fn publisher(
    shared: &Shared,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Arc<ClientScope>, Problem> {
    let query = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut tokens = query.filter(|(name, _)| name == "access_token");
    let Some((_, token)) = tokens.next() else {
        return client(shared, headers);
    };
    if tokens.next().is_some() || headers.contains_key(AUTHORIZATION) {
        let detail = "the key came more than once; send it in the header Authorization alone, or \
                      as the query parameter `access_token` alone";
        return Err(Problem::new(Code::MalformedEvent, detail));
    }
    Ok(shared.admission().authenticate(Some(&token))?)
}

/// The client behind a request, when it may administer.
pub(super) fn admin(shared: &Shared, headers: &HeaderMap) -> Result<Arc<ClientScope>, Problem> {
    let client = client(shared, headers)?;
    if client.is_admin() {
        return Ok(client);
    }
    let detail = format!(
        "client `{}` may not administer; that takes `admin = true` in its [[clients]] section",
        client.id()
    );
    Err(Problem::new(Code::Forbidden, detail))
}

/// The key after `Bearer`. Two such headers are none: nobody can tell which one was meant.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| key.trim_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bearer_header_and_nothing_else() {
        let headers = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().unwrap());
            }
            headers
        };
        for good in ["Bearer key", "bearer key", "BEARER   key "] {
            assert_eq!(bearer(&headers(&[good])), Some("key"), "{good}");
        }
        for bad in [
            &[][..],
            &["key"],
            &["Basic key"],
            &["Bearer"],
            &["Bearer a", "Bearer a"],
        ] {
            assert_eq!(bearer(&headers(bad)), None, "{bad:?}");
        }
    }
}
