//! Who asks: receives a request's head, hands on the client that its credentials prove. It reads no
//! body; a handler that has one confirms the sender with it.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;

use super::Shared;
use super::problem::Problem;
use crate::admission::{ClientScope, Code, Credentials, Head, Presented, Sender, Transport};
use crate::ingress::accept::{PeerAddress, PeerCertificate};

/// The client behind a request without a body.
pub(super) async fn client(shared: &Shared, head: &Parts) -> Result<Arc<ClientScope>, Problem> {
    let credentials = credentials(head, Transport::Http);
    Ok(shared.admission().authenticate(&credentials).await?)
}

/// Whoever is behind a request, before its body is read; [`confirm`] makes it a client.
pub(super) async fn sender(shared: &Shared, head: &Parts) -> Result<Sender, Problem> {
    let credentials = credentials(head, Transport::Http);
    Ok(shared.admission().identify(&credentials).await?)
}

/// The client behind a request with this body, as it was sent.
pub(super) fn confirm(
    shared: &Shared,
    sender: Sender,
    body: &Bytes,
) -> Result<Arc<ClientScope>, Problem> {
    Ok(shared.admission().confirm(sender, body)?)
}

/// The client behind a request without a body, when it may administer.
pub(super) async fn admin(shared: &Shared, head: &Parts) -> Result<Arc<ClientScope>, Problem> {
    let client = client(shared, head).await?;
    expect_admin(&client)?;
    Ok(client)
}

/// Whoever is behind a request that may bring its key as the query parameter `access_token`, for
/// senders that can set an address and no header. Nobody gets two tries.
pub(super) async fn publisher(
    shared: &Shared,
    head: &Parts,
    transport: Transport,
) -> Result<Sender, Problem> {
    let query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
    let mut tokens = query.filter(|(name, _)| name == "access_token");
    let mut credentials = credentials(head, transport);
    let token = tokens.next();
    if let Some((_, token)) = &token {
        if tokens.next().is_some() || head.headers.contains_key(AUTHORIZATION) {
            let detail = "the key came more than once; send it in the header Authorization alone, \
                          or as the query parameter `access_token` alone";
            return Err(Problem::new(Code::MalformedEvent, detail));
        }
        credentials.presented = Presented::Bearer(token);
    }
    Ok(shared.admission().identify(&credentials).await?)
}

/// Whoever is behind a request, before its body is read. Whoever is known already must be an
/// administrator; the client that [`confirm`] makes of another one is asked [`expect_admin`].
pub(super) async fn admin_sender(shared: &Shared, head: &Parts) -> Result<Sender, Problem> {
    let sender = sender(shared, head).await?;
    sender
        .known()
        .map_or(Ok(()), |client| expect_admin(client))?;
    Ok(sender)
}

/// Refuses a client that may not administer.
pub(super) fn expect_admin(client: &ClientScope) -> Result<(), Problem> {
    if client.is_admin() {
        return Ok(());
    }
    let place = missing(client, "admin", ClientScope::is_admin);
    let why = format!("; that takes {place}");
    Err(may_not(client, "administer", &why))
}

/// The refusal of what a client may not do, and why; the log is told, too.
fn may_not(client: &ClientScope, wanted: &str, why: &str) -> Problem {
    client.tell_refused(wanted);
    let detail = format!("client `{}` may not {wanted}{why}", client.id());
    Problem::new(Code::Forbidden, detail)
}

/// What a client lacks that may not do something, and where.
fn missing(client: &ClientScope, word: &str, may: fn(&ClientScope) -> bool) -> String {
    match client.is_held_back(may) {
        true => format!("`{word}` in its token's scope"),
        false => format!("`{word} = true` in its [[clients]] section"),
    }
}

/// The client behind a request without a body, when it may read what is counted.
pub(super) async fn metrics_reader(
    shared: &Shared,
    head: &Parts,
) -> Result<Arc<ClientScope>, Problem> {
    let client = client(shared, head).await?;
    if client.may_read_metrics() {
        return Ok(client);
    }
    let place = missing(&client, "metrics", ClientScope::may_read_metrics);
    let why = format!("; that takes {place}");
    Err(may_not(&client, "read the metrics", &why))
}

/// The client behind a request without a body, when it may read the contracts.
pub(super) async fn contract_reader(
    shared: &Shared,
    head: &Parts,
) -> Result<Arc<ClientScope>, Problem> {
    let client = client(shared, head).await?;
    if client.may_read_contracts() {
        return Ok(client);
    }
    let why = ": neither its `sources` and `types` in [[clients]] nor, if it has one, its token's scope let it \
               publish or follow anything";
    Err(may_not(&client, "read the contracts", why))
}

/// Whether somebody tries to be let in at all.
pub(in crate::ingress) fn presents_something(head: &Parts) -> bool {
    head.headers.contains_key(AUTHORIZATION) || head.extensions.get::<PeerCertificate>().is_some()
}

/// What a request's head holds of credentials.
pub(in crate::ingress) fn credentials(head: &Parts, transport: Transport) -> Credentials<'_> {
    let certificate = head.extensions.get::<PeerCertificate>();
    Credentials {
        presented: presented(head),
        certificate: certificate.map(|certificate| &*certificate.0),
        peer: peer(head),
        transport,
    }
}

/// The address of the other end.
pub(super) fn peer(head: &Parts) -> Option<IpAddr> {
    let peer = head.extensions.get::<PeerAddress>();
    peer.map(|peer| peer.0.ip())
}

/// Two such headers are none: nobody can tell which one was meant.
fn presented(head: &Parts) -> Presented<'_> {
    let mut values = head.headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Presented::Nothing;
    };
    let (Ok(value), None) = (value.to_str(), values.next()) else {
        return Presented::Unreadable;
    };
    let target = head.uri.path_and_query();
    let target = target.map_or("/", |target| target.as_str());
    let head = Head {
        method: head.method.as_str(),
        target,
        headers: &head.headers,
    };
    Presented::read(value, head)
}

#[cfg(test)]
pub(in crate::ingress) mod matrix;

#[cfg(test)]
pub(in crate::ingress) mod tests;
