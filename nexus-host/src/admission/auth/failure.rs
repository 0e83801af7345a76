//! Attempts that failed: receives why, counts them for each address, tells the log of as many as
//! [`lines`] lets through, and hands on the refusal. It never sees a credential.

mod lines;

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::super::network;
use super::super::rate_limit::Keyed;
use super::super::rejection::{Code, Rejection};
use crate::observe::Tally;
use crate::quota::{Bucket, Quota, now};
use lines::{LeftOut, Lines};

/// So many failures at once, and so many a minute, are answered with what is wrong; enough for
/// somebody who sets up a client, too few for somebody who guesses.
const PER_MINUTE: u32 = 20;

/// Addresses that are counted apart, for each webhook once more; further ones share a count. 64,000 take
/// at most 2 MiB.
const MOST_ADDRESSES: usize = 64_000;

/// Why somebody was not let in, for the log. The words are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    NoCredentials,
    Unreadable,
    UnknownKey,
    ExpiredKey,
    Malformed,
    BadToken,
    ExpiredToken,
    EarlyToken,
    UnknownIssuer,
    UnknownSubject,
    OutsideWindow,
    BeforeStart,
    BadSignature,
    Replayed,
    TooManySignatures,
    UnknownCertificate,
    ExpiredCertificate,
    IssuerUnavailable,
    RefusedCertificate,
    TwoIdentities,
    WrongTransport,
    /// A webhook that does not prove its sender.
    Webhook,
}

impl Reason {
    /// Every one, in the order in which they are declared.
    const ALL: [Self; 22] = [
        Self::NoCredentials,
        Self::Unreadable,
        Self::UnknownKey,
        Self::ExpiredKey,
        Self::Malformed,
        Self::BadToken,
        Self::ExpiredToken,
        Self::EarlyToken,
        Self::UnknownIssuer,
        Self::UnknownSubject,
        Self::OutsideWindow,
        Self::BeforeStart,
        Self::BadSignature,
        Self::Replayed,
        Self::TooManySignatures,
        Self::UnknownCertificate,
        Self::ExpiredCertificate,
        Self::IssuerUnavailable,
        Self::RefusedCertificate,
        Self::TwoIdentities,
        Self::WrongTransport,
        Self::Webhook,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::NoCredentials => "no_credentials",
            Self::Unreadable => "unreadable_credentials",
            Self::UnknownKey => "unknown_key",
            Self::ExpiredKey => "expired_key",
            Self::Malformed => "malformed_signature",
            Self::BadToken => "bad_token",
            Self::ExpiredToken => "expired_token",
            Self::EarlyToken => "early_token",
            Self::UnknownIssuer => "unknown_issuer",
            Self::UnknownSubject => "unknown_subject",
            Self::OutsideWindow => "outside_window",
            Self::BeforeStart => "before_start",
            Self::BadSignature => "bad_signature",
            Self::Replayed => "replayed",
            Self::TooManySignatures => "too_many_signatures",
            Self::UnknownCertificate => "unknown_certificate",
            Self::ExpiredCertificate => "expired_certificate",
            Self::IssuerUnavailable => "issuer_unavailable",
            Self::RefusedCertificate => "refused_certificate",
            Self::TwoIdentities => "two_identities",
            Self::WrongTransport => "wrong_transport",
            Self::Webhook => "webhook",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An attempt that failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    about: About,
    /// More about it, for the log alone.
    detail: Option<&'static str>,
    pub(super) rejection: Rejection,
}

#[derive(Debug)]
enum About {
    Nobody,
    /// Certain, or claimed.
    Client(Arc<str>),
    /// Where it was sent to. Its failures are counted apart from all others.
    Webhook(Box<str>),
}

impl Failure {
    /// Nobody known.
    pub(super) fn new(reason: Reason, message: impl Into<Cow<'static, str>>) -> Self {
        Self::with(reason, Rejection::new(Code::Unauthenticated, message))
    }

    pub(super) fn with(reason: Reason, rejection: Rejection) -> Self {
        Self {
            reason,
            about: About::Nobody,
            detail: None,
            rejection,
        }
    }

    /// A request to a webhook that does not prove its sender.
    pub(super) fn of_webhook(name: &str, detail: &'static str) -> Self {
        let message = "the request does not prove that it comes from this webhook's sender";
        Self {
            about: About::Webhook(name.into()),
            detail: Some(detail),
            ..Self::new(Reason::Webhook, message)
        }
    }

    /// A connection that ends before anything is asked, for TLS refuses the certificate shown.
    pub(super) fn of_handshake(detail: &'static str) -> Self {
        let message = "the certificate is refused";
        Self {
            detail: Some(detail),
            ..Self::new(Reason::RefusedCertificate, message)
        }
    }

    /// Says which client it is about.
    pub(super) fn of(mut self, client: &Arc<str>) -> Self {
        self.about = About::Client(client.clone());
        self
    }

    /// What it is counted under: the network it came from, for each webhook once more.
    fn place(&self, peer: Option<IpAddr>) -> String {
        let network = peer.map(network).map(|network| network.to_string());
        let network = network.unwrap_or_default();
        match &self.about {
            About::Webhook(webhook) => format!("{network} {webhook}"),
            _ => network,
        }
    }

    fn tell(&self, peer: Option<IpAddr>, too_many: bool, left_out: &LeftOut) {
        let peer = peer.map(tracing::field::display);
        let (client, webhook) = match &self.about {
            About::Nobody => (None, None),
            About::Client(client) => (Some(&**client), None),
            About::Webhook(webhook) => (None, Some(&**webhook)),
        };
        tracing::warn!(
            reason = %self.reason,
            peer,
            client,
            webhook,
            detail = self.detail,
            too_many,
            left_out = left_out.failures,
            addresses_left_out = left_out.addresses,
            "refused to let a client in"
        );
    }
}

/// Counts failures.
pub(super) struct Failures {
    quota: Quota,
    addresses: Keyed,
    rest: Bucket,
    by_reason: Tally<{ Reason::ALL.len() }>,
    held_back: Tally<1>,
    lines: Lines,
}

impl Failures {
    pub(super) fn new() -> Self {
        let quota = Quota::new(f64::from(PER_MINUTE) / 60.0, Some(PER_MINUTE));
        Self {
            quota,
            addresses: Keyed::new(MOST_ADDRESSES),
            rest: Bucket::new(quota),
            by_reason: Tally::new(),
            held_back: Tally::new(),
            lines: Lines::new(),
        }
    }

    /// How many have failed, by why.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let names = Reason::ALL.map(Reason::as_str);
        names.into_iter().zip(self.by_reason.counts())
    }

    /// How many were held back because too many had failed before.
    pub(super) fn held_back(&self) -> u64 {
        let [count] = self.held_back.counts();
        count
    }

    /// Counts a failure, and tells the log unless too many were told already. From an address with too many,
    /// the answer no longer says
    /// what is wrong.
    pub(super) fn record(&self, peer: Option<IpAddr>, failure: Failure) -> Rejection {
        self.record_at(peer, failure, now())
    }

    fn record_at(&self, peer: Option<IpAddr>, failure: Failure, now: u64) -> Rejection {
        let place = failure.place(peer);
        let counted = match peer {
            // Whoever proved to be a client, and is held back or comes the wrong way, guesses
            // nothing.
            Some(_) if failure.rejection.code() == Code::Unauthenticated => {
                let rule = usize::from(matches!(failure.about, About::Webhook(_)));
                self.addresses
                    .take(rule, &place, &self.quota, &self.rest, now)
            }
            _ => Ok(()),
        };
        self.by_reason.add(failure.reason as usize);
        if counted.is_err() {
            self.held_back.add(0);
        }
        if let Some(left_out) = self.lines.take(&place, failure.reason, now) {
            failure.tell(peer, counted.is_err(), &left_out);
        }
        match counted {
            Ok(()) => failure.rejection,
            Err(wait) => too_many(wait),
        }
    }
}

fn too_many(wait: Duration) -> Rejection {
    let message = "too many attempts to sign in from this address have failed; wait as long as \
                   Retry-After says (whoever has the right key is let in meanwhile)";
    Rejection::new(Code::RateLimited, message).with_retry_after(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn fail(failures: &Failures, peer: &str, now: u64) -> Rejection {
        let failure = Failure::new(Reason::UnknownKey, "no");
        failures.record_at(Some(peer.parse().unwrap()), failure, now)
    }

    #[test]
    fn after_twenty_failures_an_address_is_held_back_and_no_other_is() {
        let failures = Failures::new();
        for _ in 0..20 {
            assert_eq!(
                fail(&failures, "192.0.2.1", 0).code(),
                Code::Unauthenticated
            );
        }
        let refused = fail(&failures, "192.0.2.1", 0);
        assert_eq!(refused.code(), Code::RateLimited);
        assert_eq!(refused.retry_after(), Some(Duration::from_secs(3)));
        assert_eq!(
            fail(&failures, "::ffff:192.0.2.1", 0).code(),
            Code::RateLimited
        );
        assert_eq!(
            fail(&failures, "192.0.2.2", 0).code(),
            Code::Unauthenticated
        );
        assert_eq!(
            fail(&failures, "192.0.2.1", 60 * SECOND).code(),
            Code::Unauthenticated
        );
    }

    #[test]
    fn failures_at_a_webhook_hold_back_no_other_one_and_no_client() {
        let failures = Failures::new();
        let fail_at = |webhook: &str, peer: &str| {
            let failure = Failure::of_webhook(webhook, "it does not fit");
            let peer = Some(peer.parse().unwrap());
            failures.record_at(peer, failure, 0).code()
        };
        for _ in 0..20 {
            assert_eq!(fail_at("shop", "192.0.2.1"), Code::Unauthenticated);
        }
        assert_eq!(fail_at("shop", "192.0.2.1"), Code::RateLimited);
        assert_eq!(fail_at("shop", "192.0.2.2"), Code::Unauthenticated);
        assert_eq!(fail_at("billing", "192.0.2.1"), Code::Unauthenticated);
        let client = fail(&failures, "192.0.2.1", 0);
        assert_eq!(client.code(), Code::Unauthenticated);
    }

    /// Whoever cannot be judged for the moment has guessed nothing.
    #[test]
    fn tokens_whose_issuer_cannot_be_asked_hold_no_address_back() {
        let failures = Failures::new();
        let peer = Some("192.0.2.1".parse().unwrap());
        let unavailable = || {
            let rejection = Rejection::new(Code::IssuerUnavailable, "later");
            Failure::with(Reason::IssuerUnavailable, rejection)
        };
        for _ in 0..3 * PER_MINUTE {
            let refused = failures.record_at(peer, unavailable(), 0);
            assert_eq!(refused.code(), Code::IssuerUnavailable);
        }
        let refused = failures.record_at(peer, Failure::new(Reason::UnknownKey, "no"), 0);
        assert_eq!(refused.code(), Code::Unauthenticated);
    }

    #[test]
    fn failures_are_counted_by_their_reason() {
        let failures = Failures::new();
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place, "{reason}");
        }
        for _ in 0..21 {
            fail(&failures, "192.0.2.1", 0);
        }
        for (reason, count) in failures.counts() {
            let expected = if reason == "unknown_key" { 21 } else { 0 };
            assert_eq!(count, expected, "{reason}");
        }
        assert_eq!(failures.held_back(), 1);
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let failures = Failures::new();
        for host in 0..20 {
            fail(&failures, &format!("2001:db8::{host}"), 0);
        }
        assert_eq!(
            fail(&failures, "2001:db8::ffff", 0).code(),
            Code::RateLimited
        );
        assert_eq!(
            fail(&failures, "2001:db8:0:1::1", 0).code(),
            Code::Unauthenticated
        );
    }

    #[test]
    fn a_flood_of_addresses_takes_bounded_memory_and_frees_nobody() {
        let failures = Failures::new();
        for _ in 0..21 {
            fail(&failures, "192.0.2.1", 0);
        }
        for address in 0..200_000_u32 {
            fail(&failures, &std::net::Ipv4Addr::from(address).to_string(), 0);
        }
        assert!(failures.addresses.len() <= MOST_ADDRESSES);
        assert_eq!(fail(&failures, "192.0.2.1", 0).code(), Code::RateLimited);
    }
}
