//! What is asked of dead letters, for the fuzz target of requests.

use super::*;

/// Reads a query and a body.
pub(in crate::ingress::http) fn asked(query: Option<&str>, body: &[u8]) -> Option<usize> {
    let listing = Listing::of(query).ok();
    let wanted = Wanted::of(body).ok().map(Wanted::filters);
    assert!(wanted.as_ref().is_none_or(|filters| !filters.is_empty()));
    listing.map(|listing| listing.limit)
}
