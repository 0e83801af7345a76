//! `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10): receives the answer
//! to a client that has a rate, adds what the rate is and how much of it is left. Nothing is added
//! for a client without one.

use axum::response::Response;
use hyper::header::{HeaderName, HeaderValue};

use super::problem::whole_seconds;
use crate::admission::ClientScope;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// Tells a client how its rate stands: so many events within so many seconds, so many left, so many
/// seconds until there are all again.
pub(super) fn announced(client: &ClientScope, mut response: Response) -> Response {
    let Some(standing) = client.standing() else {
        return response;
    };
    let policy = format!(
        r#""client";q={};w={}"#,
        standing.quota,
        whole_seconds(standing.window)
    );
    let reset = standing.reset;
    let reset = if reset.is_zero() {
        0
    } else {
        whole_seconds(reset)
    };
    let standing = format!(r#""client";r={};t={reset}"#, standing.remaining);
    for (name, value) in [(POLICY, policy), (STANDING, standing)] {
        // Digits in a fixed text are always a header's value.
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
