//! Tells the sender of an outdated contract version so, in the headers of the answer: `Deprecation`
//! (RFC 9745), `Sunset` (RFC 8594) and a link to what to send instead. It changes nothing else of it.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue, LINK};

use crate::admission::Notice;

const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
const SUNSET: HeaderName = HeaderName::from_static("sunset");

pub(super) fn announce(notice: &Notice, headers: &mut HeaderMap) {
    let deprecated = notice.deprecated.map(|at| format!("@{}", at.timestamp()));
    let sunset = notice.sunset;
    let sunset = sunset.map(|at| at.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
    let link = notice.successor.as_ref().map(|successor| {
        let event_type = &notice.event_type;
        format!("</v1/contracts/{event_type}/{successor}>; rel=\"successor-version\"")
    });
    for (name, value) in [(DEPRECATION, deprecated), (SUNSET, sunset), (LINK, link)] {
        // A type and a version are of characters that a header may hold.
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
}
