//! A request's body: receives a stream of bytes, hands on the whole of it. It never holds more
//! than the limit, of senders who are not proven yet no more than their share, never waits longer than the
//! deadline, and reads nothing of a body that says itself that it is too large.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::Body as _;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::encoding::Encoding;
use super::problem::Problem;
use super::unproven::Share;
use super::{Shared, auth};
use crate::admission::{ClientScope, Code, Sender, quoted, shortened};
use crate::config::ByteSize;
use crate::ingress::cloudevents::is_utf8;

/// Reads a body as it was sent, and confirms with it who has sent it. How it is compressed is still to be
/// undone.
pub(super) async fn receive(
    shared: &Shared,
    head: &Parts,
    sender: Sender,
    body: Body,
) -> Result<(Arc<ClientScope>, Encoding, Bytes), Problem> {
    let encoding = Encoding::of(&head.headers)?;
    let (client, sent) = match sender.known() {
        Some(_) => {
            let sent = read(shared, body).await?;
            (auth::confirm(shared, sender, &sent)?, sent)
        }
        None => {
            let mut share = shared.unproven.share(auth::peer(head));
            let sent = read_unproven(shared, body, &mut share).await?;
            (auth::confirm(shared, sender, &sent)?, sent)
        }
    };
    Ok((client, encoding, sent))
}

/// Reads JSON of somebody who may administer, with whatever compression undone.
pub(super) async fn receive_of_admin(
    shared: &Shared,
    head: &Parts,
    sender: Sender,
    body: Body,
) -> Result<(Arc<ClientScope>, Bytes), Problem> {
    expect_json(&head.headers)?;
    let (client, encoding, body) = receive(shared, head, sender, body).await?;
    auth::expect_admin(&client)?;
    let most = shared.admission().limits().max_body;
    Ok((client, encoding.undo(body, most).await?))
}

/// Whoever has sent a request, if they may administer, and the JSON that it holds.
pub(super) async fn of_admin(
    shared: &Shared,
    request: Request,
) -> Result<(Arc<ClientScope>, Bytes), Problem> {
    let (head, body) = request.into_parts();
    let sender = auth::admin_sender(shared, &head).await?;
    receive_of_admin(shared, &head, sender, body).await
}

/// Reads what a body asks for.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let code = match error.is_data() {
            true => Code::MalformedEvent,
            false => Code::MalformedJson,
        };
        let told = shortened(&error.to_string());
        Problem::new(code, format!("the body is not what is read here: {told}"))
    })
}

/// Reads the body of a known sender, as it was sent.
pub(super) async fn read(shared: &Shared, body: Body) -> Result<Bytes, Problem> {
    let most = shared.admission().limits().max_body;
    within(body, most, shared.body_timeout, |_| Ok(())).await
}

/// Reads a body that has yet to prove who has sent it, as far as its share allows, and until it is displaced.
pub(super) async fn read_unproven(
    shared: &Shared,
    body: Body,
    share: &mut Share<'_>,
) -> Result<Bytes, Problem> {
    let most = shared.admission().limits().max_body;
    let displaced = share.displaced();
    let read = within(body, most, shared.body_timeout, |bytes| share.grow(bytes));
    // What was read is let go of before the answer is made. A body that is complete is taken in any case.
    tokio::select! {
        biased;
        read = read => read,
        () = displaced => Err(share.too_slow()),
    }
}

async fn within(
    body: Body,
    most: ByteSize,
    deadline: Duration,
    hold: impl FnMut(usize) -> Result<(), Problem>,
) -> Result<Bytes, Problem> {
    if body.size_hint().lower() > most.bytes() {
        return Err(too_large(most));
    }
    timeout(deadline, collect(body, most, hold))
        .await
        .unwrap_or_else(|_| Err(Problem::too_slow()))
}

/// `hold` is told of each part before it is kept.
async fn collect(
    mut body: Body,
    most: ByteSize,
    mut hold: impl FnMut(usize) -> Result<(), Problem>,
) -> Result<Bytes, Problem> {
    let mut whole = Bytes::new();
    let mut parts = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| {
            Problem::new(Code::MalformedJson, "the body ended before it was complete")
        })?;
        let Ok(part) = frame.into_data() else {
            continue;
        };
        if (whole.len() + parts.len() + part.len()) as u64 > most.bytes() {
            return Err(too_large(most));
        }
        hold(part.len())?;
        // Most bodies come in one part, which is then taken as it is.
        if whole.is_empty() && parts.is_empty() {
            whole = part;
            continue;
        }
        if parts.is_empty() {
            parts.extend_from_slice(&whole);
            whole = Bytes::new();
        }
        parts.extend_from_slice(&part);
    }
    Ok(if parts.is_empty() {
        whole
    } else {
        parts.freeze()
    })
}

pub(super) fn too_large(most: ByteSize) -> Problem {
    let detail = format!("the body is over limits.max_body ({most}); send less at once");
    Problem::new(Code::PayloadTooLarge, detail)
}

/// Refuses what is not said to be JSON. A body without a type is taken for it.
pub(super) fn expect_json(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(media_type) = headers.get(CONTENT_TYPE) else {
        return Ok(());
    };
    let media_type = String::from_utf8_lossy(media_type.as_bytes());
    let mut parts = media_type.split(';').map(str::trim);
    let is_json = parts
        .next()
        .is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    if is_json && is_utf8(parts) {
        return Ok(());
    }
    let found = quoted(&media_type);
    let detail = format!("content type {found} is not read; send application/json in UTF-8");
    Err(Problem::new(Code::UnsupportedMediaType, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_nothing_else() {
        let with = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            expect_json(&headers).is_ok()
        };
        assert!(expect_json(&HeaderMap::new()).is_ok());
        for good in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"; x=y",
        ] {
            assert!(with("content-type", good), "{good}");
        }
        for bad in [
            "text/plain",
            "application/jsonx",
            "application/cloudevents+json",
            "application/json; charset=latin1",
            "application/json; charset = latin1",
            "application/x-www-form-urlencoded",
            "",
        ] {
            assert!(!with("content-type", bad), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit_in_however_many_parts() {
        let most = ByteSize::from_bytes(10);
        for parts in [
            &[10][..],
            &[11],
            &[5, 5],
            &[5, 6],
            &[1, 1, 1],
            &[],
            &[0, 10],
            &[0, 0, 11],
        ] {
            let total: usize = parts.iter().sum();
            let parts = parts
                .iter()
                .map(|len| Ok::<_, std::io::Error>(vec![b'x'; *len]));
            let stream = futures_util::stream::iter(parts.collect::<Vec<_>>());
            let body = Body::from_stream(stream);
            let read = within(body, most, Duration::from_secs(1), |_| Ok(())).await;
            match read {
                Ok(body) => assert!(total <= 10 && body == vec![b'x'; total]),
                Err(_) => assert!(total > 10, "{total}"),
            }
        }
    }
}
