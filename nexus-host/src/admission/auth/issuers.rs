//! Tokens (JWT): receives one, hands on the client that it names, held to what it says. It believes
//! no issuer that is not configured, no algorithm that is not, and nothing before the signature is
//! verified but where to look for the key.

use std::collections::HashMap;
use std::sync::Arc;

use ring::hmac;

use super::super::config::{self, Algorithm, Client};
use super::super::rejection::{Code, Rejection};
use super::ClientScope;
use super::failure::{Failure, Reason};
use super::key_source::{self, KeySource};
use super::scope::Narrowed;
use super::token::{Claims, Token};

/// The configured issuers by their names, and the clients that their tokens may name.
pub(super) struct Issuers {
    known: HashMap<String, Issuer>,
    /// Where public keys come from, and by what configuration.
    sources: Vec<(config::Issuer, Arc<KeySource>)>,
}

struct Issuer {
    audience: String,
    algorithms: Vec<Algorithm>,
    leeway: i64,
    verifier: Verifier,
    subjects: HashMap<String, Arc<ClientScope>>,
}

enum Verifier {
    Public(Arc<KeySource>),
    Shared(hmac::Key),
}

impl Issuers {
    pub(super) fn new(issuers: &[config::Issuer], clients: &[(&Client, Arc<ClientScope>)]) -> Self {
        Self::with(issuers, clients, &[])
    }

    /// The same for others. An issuer that stays as it is keeps the keys that were fetched.
    pub(super) fn succeeded_by(
        &self,
        issuers: &[config::Issuer],
        clients: &[(&Client, Arc<ClientScope>)],
    ) -> Self {
        Self::with(issuers, clients, &self.sources)
    }

    fn with(
        issuers: &[config::Issuer],
        clients: &[(&Client, Arc<ClientScope>)],
        before: &[(config::Issuer, Arc<KeySource>)],
    ) -> Self {
        let source = |issuer: &config::Issuer| {
            let known = before.iter().find(|(other, _)| other == issuer);
            let known = known.map(|(_, source)| source.clone());
            known.or_else(|| Some(Arc::new(KeySource::new(issuer)?)))
        };
        let public = issuers.iter().filter(|issuer| issuer.secret.is_none());
        let sources = public.filter_map(|issuer| Some((issuer.clone(), source(issuer)?)));
        let sources: Vec<_> = sources.collect();
        let alone = issuers.len() == 1;
        let known = issuers.iter().filter_map(|issuer| {
            let source = sources.iter().find(|(other, _)| other == issuer);
            let source = source.map(|(_, source)| source);
            let known = Issuer::new(issuer, source, alone, clients)?;
            Some((issuer.issuer.clone(), known))
        });
        Self {
            known: known.collect(),
            sources,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The client that the token names. `now` in seconds since 1970.
    ///
    /// # Errors
    /// Why it is not believed.
    pub(super) async fn find(&self, text: &str, now: i64) -> Result<Arc<ClientScope>, Failure> {
        let token = Token::read(text).ok_or_else(|| bad("the token cannot be read"))?;
        let named = token.claims.iss.as_deref();
        let issuer = named.and_then(|name| self.known.get(name));
        let issuer = issuer.ok_or_else(|| {
            let message = "the token's issuer (iss) is not known here";
            Failure::new(Reason::UnknownIssuer, message)
        })?;
        issuer.verify(&token).await?;
        issuer.judge(&token.claims, now)
    }
}

impl Issuer {
    /// Nothing for an issuer without keys, which the configuration refuses.
    fn new(
        issuer: &config::Issuer,
        source: Option<&Arc<KeySource>>,
        alone: bool,
        clients: &[(&Client, Arc<ClientScope>)],
    ) -> Option<Self> {
        let verifier = match &issuer.secret {
            Some(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
                Verifier::Shared(key)
            }
            None => Verifier::Public(source?.clone()),
        };
        let is_its = |client: &Client| match &client.jwt_issuer {
            Some(name) => *name == issuer.issuer,
            None => alone,
        };
        let subjects = clients.iter().filter(|(client, _)| is_its(client));
        let subjects = subjects
            .filter_map(|(client, scope)| Some((client.jwt_subject.clone()?, scope.clone())));
        Some(Self {
            audience: issuer.audience.clone(),
            algorithms: issuer.algorithms.clone(),
            leeway: i64::try_from(issuer.leeway.as_secs()).unwrap_or(i64::MAX),
            verifier,
            subjects: subjects.collect(),
        })
    }

    async fn verify(&self, token: &Token<'_>) -> Result<(), Failure> {
        let named = |algorithm: &&Algorithm| algorithm.as_str() == token.header.alg;
        let algorithm = self.algorithms.iter().find(named).copied().ok_or_else(|| {
            bad("the token is signed with an algorithm that its issuer may not use here")
        })?;
        match &self.verifier {
            Verifier::Shared(key) if algorithm == Algorithm::HS256 => {
                let verified = hmac::verify(key, token.signed, &token.signature);
                verified.map_err(|_| bad("the token's signature is not right"))
            }
            Verifier::Public(source) if algorithm != Algorithm::HS256 => {
                let kid = token.header.kid.as_deref();
                let keys = source.keys(kid, algorithm).await;
                let keys = keys.ok_or_else(unavailable)?;
                let key = keys.find(kid, algorithm).ok_or_else(|| {
                    bad("the key that the token is signed with (kid) is not one of its issuer's")
                })?;
                if key.verifies(algorithm, token.signed, &token.signature) {
                    return Ok(());
                }
                Err(bad("the token's signature is not right"))
            }
            _ => Err(bad("the token's issuer has no key for its algorithm")),
        }
    }

    /// What a verified token says.
    fn judge(&self, claims: &Claims, now: i64) -> Result<Arc<ClientScope>, Failure> {
        if !claims.is_for(&self.audience) {
            return Err(bad("the token is not meant for this hub (aud)"));
        }
        let scope = self.subject(claims);
        if let Some((reason, message)) = claims.is_not_of(now, self.leeway) {
            let failure = Failure::new(reason, message);
            return Err(match scope {
                Ok(scope) => failure.of(scope.id()),
                Err(_) => failure,
            });
        }
        let scope = scope?;
        let narrowed = claims
            .words()
            .map(|words| Narrowed::read(words.into_iter()));
        Ok(Arc::new(scope.held_to(narrowed, claims.end(self.leeway))))
    }

    /// The client that it is about: its subject; or, of a token about nobody, the client that got it. A
    /// token about somebody is his, whoever got it for him: names of one kind say nothing of the other.
    fn subject(&self, claims: &Claims) -> Result<&Arc<ClientScope>, Failure> {
        let name = claims.sub.as_ref().or(claims.client_id.as_ref());
        name.and_then(|name| self.subjects.get(name))
            .ok_or_else(|| {
                let message = "the token names no client; give a client its sub as jwt_subject";
                Failure::new(Reason::UnknownSubject, message)
            })
    }
}

/// Nobody can say whether a token is good: no fault of whoever shows it.
fn unavailable() -> Failure {
    let message = "the keys of the token's issuer cannot be had at the moment; try again later";
    let rejection = Rejection::new(Code::IssuerUnavailable, message);
    Failure::with(
        Reason::IssuerUnavailable,
        rejection.with_retry_after(key_source::SOON),
    )
}

fn bad(message: &'static str) -> Failure {
    Failure::new(Reason::BadToken, message)
}

#[cfg(test)]
mod tests;
