//! Who is there: receives the credentials of a request, hands on the scope of the client that they
//! prove. It reads no body (a signed request is proven once somebody has), keeps no key and no
//! token, and lets nobody in who is not configured.
//!
//! A client proves itself by a key or a token after `Bearer`, by a signature over the request, or by
//! its TLS certificate. What it presents itself counts before the certificate; the two may not be
//! two different clients'.

mod certificate;
mod failure;
mod fetch;
#[cfg(any(test, feature = "fuzz"))]
pub(super) mod fuzz;
mod issuers;
mod key_set;
mod key_source;
mod keys;
mod nonces;
mod scope;
mod signed;
mod token;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use hyper::HeaderMap;

use super::config::{Client, Issuer, Transport};
use super::rejection::{Code, Rejection};
use certificate::Certificates;
use failure::{Failure, Failures, Reason};
use issuers::Issuers;
use keys::Keys;
use signed::{Claim, Signers};

pub(crate) use certificate::end_of as end_of_certificate;
pub use key_source::check_files as check_issuer_files;
pub use scope::ClientScope;

/// What a door has received of somebody.
pub struct Credentials<'c> {
    /// What was presented.
    pub presented: Presented<'c>,
    /// The certificate (DER) of the TLS connection, whose chain was verified when that began.
    pub certificate: Option<&'c [u8]>,
    /// The other end, whose failures are counted.
    pub peer: Option<IpAddr>,
    /// The way it came.
    pub transport: Transport,
}

/// What somebody presents to be let in.
pub enum Presented<'c> {
    /// Nothing.
    Nothing,
    /// Something in an unknown scheme, or two things of which nobody can tell which was meant.
    Unreadable,
    /// A key or a token.
    Bearer(&'c str),
    /// A signature over the request.
    Signed {
        /// What follows the scheme's name.
        parameters: &'c str,
        /// The request.
        head: Head<'c>,
    },
}

/// What a signature is over, beside the body.
#[derive(Clone, Copy)]
pub struct Head<'h> {
    /// The request's method.
    pub method: &'h str,
    /// Its path and query, as they were sent.
    pub target: &'h str,
    /// Its headers.
    pub headers: &'h HeaderMap,
}

impl<'c> Presented<'c> {
    /// Reads the value of an `Authorization` header of a request.
    pub fn read(value: &'c str, head: Head<'c>) -> Self {
        let Some((scheme, rest)) = value.split_once(' ') else {
            return Self::Unreadable;
        };
        let rest = rest.trim_matches(' ');
        if scheme.eq_ignore_ascii_case("bearer") {
            Self::Bearer(rest)
        } else if scheme.eq_ignore_ascii_case(signed::SCHEME) {
            Self::Signed {
                parameters: rest,
                head,
            }
        } else {
            Self::Unreadable
        }
    }
}

/// Shows no credential.
impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("peer", &self.peer)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// Somebody who is known, or has named a client and proves it with the body.
#[derive(Debug)]
#[must_use = "a sender is nobody until it is confirmed"]
pub struct Sender {
    who: Who,
    peer: Option<IpAddr>,
}

impl Sender {
    /// The client that it is; `None` as long as that is not proven.
    pub fn known(&self) -> Option<&Arc<ClientScope>> {
        match &self.who {
            Who::Known(scope) => Some(scope),
            Who::Claimed(_) => None,
        }
    }
}

#[derive(Debug)]
enum Who {
    Known(Arc<ClientScope>),
    Claimed(Box<Claimed>),
}

/// Somebody who has yet to prove who it is. What else speaks against it is told afterwards, to the client
/// alone.
#[derive(Debug)]
struct Claimed {
    claim: Claim,
    transport: Transport,
    /// The client whose certificate came with it.
    certified: Option<Arc<ClientScope>>,
    /// When the certificate is good no longer.
    end: Option<DateTime<Utc>>,
}

/// The configured clients, by everything that they can be known by.
pub(super) struct Auth {
    /// As they are configured, and what each may do.
    clients: Vec<(Client, Arc<ClientScope>)>,
    /// As they are configured.
    issuer_sections: Vec<Issuer>,
    keys: Keys,
    signers: Signers,
    issuers: Issuers,
    certificates: Certificates,
    failures: Arc<Failures>,
}

impl Auth {
    /// `started`: when it begins to take signatures, in seconds since 1970.
    pub(super) fn new(clients: &[Client], issuers: &[Issuer], started: i64) -> Self {
        let scopes = clients
            .iter()
            .map(|client| (client, Arc::new(ClientScope::new(client))));
        let scopes: Vec<_> = scopes.collect();
        Self {
            keys: Keys::new(&scopes),
            signers: Signers::new(&scopes, started),
            issuers: Issuers::new(issuers, &scopes),
            certificates: Certificates::new(&scopes),
            failures: Arc::new(Failures::new()),
            clients: owned(&scopes),
            issuer_sections: issuers.to_vec(),
        }
    }

    /// The same for other clients, from `now` on, in seconds since 1970. A client that stays as it is keeps its
    /// rate; nobody can use a signature again, and what has failed stays counted.
    pub(super) fn succeeded_by(&self, clients: &[Client], issuers: &[Issuer], now: i64) -> Self {
        let has_same_issuers = self.issuer_sections == issuers;
        let scope_of = |client: &Client| {
            // What a token of an issuer let in that is another now is let in no more.
            let stays = client.jwt_subject.is_none() || has_same_issuers;
            let mut before = self.clients.iter();
            let same = before.find(|(other, _)| stays && other == client);
            same.map_or_else(
                || Arc::new(ClientScope::new(client)),
                |(_, scope)| scope.clone(),
            )
        };
        let scopes: Vec<_> = clients
            .iter()
            .map(|client| (client, scope_of(client)))
            .collect();
        Self {
            keys: Keys::new(&scopes),
            signers: self.signers.succeeded_by(&scopes, now),
            issuers: self.issuers.succeeded_by(issuers, &scopes),
            certificates: Certificates::new(&scopes),
            failures: self.failures.clone(),
            clients: owned(&scopes),
            issuer_sections: issuers.to_vec(),
        }
    }

    /// Takes back what `successor` does not grant.
    pub(super) fn give_way_to(&self, successor: &Self) {
        for (_, scope) in &self.clients {
            let mut after = successor.clients.iter();
            if !after.any(|(_, other)| Arc::ptr_eq(scope, other)) {
                scope.take_back();
            }
        }
    }

    /// How many clients are configured.
    pub(super) fn clients(&self) -> usize {
        self.clients.len()
    }

    /// How many attempts have failed, by why.
    pub(super) fn failed(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.failures.counts()
    }

    /// How many were held back because too many had failed before.
    pub(super) fn held_back(&self) -> u64 {
        self.failures.held_back()
    }

    /// Finds out who is there, as far as that goes without a body.
    pub(super) async fn identify(
        &self,
        credentials: &Credentials<'_>,
    ) -> Result<Sender, Rejection> {
        let peer = credentials.peer;
        let who = self.recognise(credentials).await;
        who.map(|who| Sender { who, peer })
            .map_err(|failure| self.failures.record(peer, failure))
    }

    /// Counts a request to a webhook that does not prove its sender, and says what is answered.
    pub(super) fn refuse_webhook(
        &self,
        webhook: &str,
        peer: Option<IpAddr>,
        detail: &'static str,
    ) -> Rejection {
        self.failures
            .record(peer, Failure::of_webhook(webhook, detail))
    }

    /// Counts a connection whose certificate TLS refuses.
    pub(super) fn refuse_certificate(&self, peer: IpAddr, detail: &'static str) {
        self.failures
            .record(Some(peer), Failure::of_handshake(detail));
    }

    /// The client, now that the body is there, as it was sent.
    pub(super) fn confirm(
        &self,
        sender: Sender,
        body: &[u8],
    ) -> Result<Arc<ClientScope>, Rejection> {
        match sender.who {
            Who::Known(scope) => Ok(scope),
            Who::Claimed(claimed) => claimed
                .prove(body, Utc::now().timestamp())
                .map_err(|failure| self.failures.record(sender.peer, failure)),
        }
    }

    async fn recognise(&self, credentials: &Credentials<'_>) -> Result<Who, Failure> {
        if self.clients.is_empty() {
            let message = "no client is configured, so nobody is let in; add a [[clients]] section";
            return Err(Failure::new(Reason::NoCredentials, message));
        }
        // On a connection that would not begin any more nobody goes on, whatever he presents.
        let shown = credentials
            .certificate
            .map(|der| self.certificates.judge(der, Utc::now()))
            .transpose()?;
        let end = shown.as_ref().map(|shown| shown.end);
        let certified = shown.map(|shown| shown.client);
        let transport = credentials.transport;
        let (scope, certified) = match credentials.presented {
            Presented::Nothing => match certified {
                Some(certified) => (certified?, None),
                None => return Err(nothing()),
            },
            Presented::Unreadable => return Err(unreadable()),
            // A certificate that is nobody's may be there for the connection alone.
            Presented::Bearer(text) => (self.bearer(text).await?, certified.and_then(Result::ok)),
            Presented::Signed { parameters, head } => {
                let now = Utc::now().timestamp();
                let claim = self.signers.claim(parameters, head, now)?;
                return Ok(Who::Claimed(Box::new(Claimed {
                    claim,
                    transport,
                    certified: certified.and_then(Result::ok),
                    end,
                })));
            }
        };
        expect_fitting(&scope, certified.as_deref(), transport)?;
        Ok(Who::Known(scope.until(end)))
    }

    async fn bearer(&self, text: &str) -> Result<Arc<ClientScope>, Failure> {
        let now = Utc::now();
        if let Some(scope) = self.keys.find(text, now)? {
            return Ok(scope);
        }
        if !self.issuers.is_empty() && token::is_token(text) {
            return self.issuers.find(text, now.timestamp()).await;
        }
        let message = "the key is not known; check it, or ask for a new one";
        Err(Failure::new(Reason::UnknownKey, message))
    }
}

impl Claimed {
    fn prove(self, body: &[u8], now: i64) -> Result<Arc<ClientScope>, Failure> {
        let scope = self.claim.prove(body, now)?;
        expect_fitting(&scope, self.certified.as_deref(), self.transport)?;
        Ok(scope.until(self.end))
    }
}

fn owned(scopes: &[(&Client, Arc<ClientScope>)]) -> Vec<(Client, Arc<ClientScope>)> {
    let owned = |(client, scope): &(&Client, Arc<ClientScope>)| ((*client).clone(), scope.clone());
    scopes.iter().map(owned).collect()
}

/// Refuses a client that comes with another one's certificate, or by a way that it may not.
fn expect_fitting(
    scope: &ClientScope,
    certified: Option<&ClientScope>,
    transport: Transport,
) -> Result<(), Failure> {
    if certified.is_some_and(|other| other.id() != scope.id()) {
        let message = "the certificate is another client's than what was presented with it";
        return Err(Failure::new(Reason::TwoIdentities, message));
    }
    if scope.comes_by(transport) {
        return Ok(());
    }
    let message = format!(
        "client `{}` may not come by {}; its `transports` in [[clients]] say how it may",
        scope.id(),
        transport.as_str()
    );
    let rejection = Rejection::new(Code::Forbidden, message);
    Err(Failure::with(Reason::WrongTransport, rejection).of(scope.id()))
}

fn nothing() -> Failure {
    let message = "a key is needed; send it as `Authorization: Bearer KEY`";
    Failure::new(Reason::NoCredentials, message)
}

fn unreadable() -> Failure {
    let message = "one `Authorization` header is needed, with `Bearer KEY` or a signature";
    Failure::new(Reason::Unreadable, message)
}

#[cfg(test)]
pub(super) mod tests;
