//! `/v1/admin/dead-letters`: shows dead letters to clients that may administer, takes their work up
//! once more, or deletes them. It changes nothing that was not named.

#[cfg(any(test, feature = "fuzz"))]
pub(super) mod fuzz;
#[cfg(test)]
mod tests;
mod wanted;

use std::collections::BTreeSet;

use axum::extract::{Path, Request, State as Extracted};
use axum::response::Response;
use chrono::{DateTime, Utc};
use hyper::http::request::Parts;
use hyper::{StatusCode, Uri};
use nexus_plugin_api::Event;
use serde::Serialize;
use serde_json::json as value;
use uuid::Uuid;

use super::problem::Problem;
use super::{Shared, State, auth, body, json};
use crate::admission::ClientScope;
use crate::queue::{DeadLetter, Failure, LetterFilter, Page, Queue, Unavailable, Work};
use wanted::{Listing, Wanted};

/// Letters read at a time, with their events.
const PORTION: usize = 50;

/// After so many bytes of payload a listing ends, however few letters it has.
const MAX_LISTED_BYTES: usize = 16 * 1024 * 1024;

/// A letter as it is shown.
#[derive(Serialize)]
struct Shown<'a> {
    id: Uuid,
    at: DateTime<Utc>,
    reason: &'a str,
    /// Each attempt that was made has failed, and left its failure.
    attempts: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    integration: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processor: Option<&'a str>,
    event: &'a Event,
    accepted_at: DateTime<Utc>,
    work: &'a Work,
    errors: &'a [Failure],
}

impl<'a> From<&'a DeadLetter> for Shown<'a> {
    fn from(letter: &'a DeadLetter) -> Self {
        let processor = match &letter.work {
            Work::Route => None,
            Work::Process { processor, .. } | Work::Perform { processor, .. } => Some(processor),
        };
        Self {
            id: letter.id,
            at: letter.at,
            reason: &letter.reason,
            attempts: letter.errors.len(),
            integration: letter.integration(),
            processor: processor.map(String::as_str),
            event: &letter.event,
            accepted_at: letter.accepted_at,
            work: &letter.work,
            errors: &letter.errors,
        }
    }
}

/// A part of the letters.
#[derive(Serialize)]
struct Part<'a> {
    dead_letters: Vec<Shown<'a>>,
    /// The last one of them, when more come after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Uuid>,
}

/// `GET /v1/admin/dead-letters`.
pub(super) async fn list(
    Extracted(shared): State,
    uri: Uri,
    head: Parts,
) -> Result<Response, Problem> {
    auth::admin(&shared, &head).await?;
    let Listing {
        filter,
        after,
        limit,
    } = Listing::of(uri.query())?;
    let mut walk = Walk::new(&shared, filter, after);
    let (mut letters, mut bytes) = (Vec::new(), 0);
    let mut next = None;
    while let Some(letter) = walk.next().await? {
        if letters.len() == limit || bytes >= MAX_LISTED_BYTES {
            next = letters.last().map(|last: &DeadLetter| last.id);
            break;
        }
        bytes += letter.event.payload.as_slice().len();
        letters.push(letter);
    }
    let part = Part {
        dead_letters: letters.iter().map(Shown::from).collect(),
        next,
    };
    Ok(json(StatusCode::OK, &part))
}

/// `GET /v1/admin/dead-letters/{id}`: one letter, by its own id.
pub(super) async fn show(
    Extracted(shared): State,
    Path(id): Path<String>,
    head: Parts,
) -> Result<Response, Problem> {
    auth::admin(&shared, &head).await?;
    let id = letter_id(&id)?;
    let mut walk = Walk::new(&shared, LetterFilter::of(id), None);
    while let Some(letter) = walk.next().await? {
        if letter.id == id {
            return Ok(json(StatusCode::OK, &Shown::from(&letter)));
        }
    }
    Err(unknown())
}

/// `POST /v1/admin/dead-letters/replay`.
pub(super) async fn replay(state: State, request: Request) -> Result<Response, Problem> {
    change_all(Change::Replay, state, request).await
}

/// `POST /v1/admin/dead-letters/purge`.
pub(super) async fn purge(state: State, request: Request) -> Result<Response, Problem> {
    change_all(Change::Purge, state, request).await
}

/// `POST /v1/admin/dead-letters/{id}/replay`. A letter that was replayed before is as unknown as
/// one that never was: only its event's journey still tells of it.
pub(super) async fn replay_one(
    state: State,
    id: Path<String>,
    head: Parts,
) -> Result<Response, Problem> {
    change_one(Change::Replay, state, id, head).await
}

/// `DELETE /v1/admin/dead-letters/{id}`.
pub(super) async fn purge_one(
    state: State,
    id: Path<String>,
    head: Parts,
) -> Result<Response, Problem> {
    change_one(Change::Purge, state, id, head).await
}

/// What may become of dead letters.
#[derive(Debug, Clone, Copy)]
enum Change {
    Replay,
    Purge,
}

impl Change {
    /// The answer's word for it.
    fn done(self) -> &'static str {
        match self {
            Self::Replay => "replayed",
            Self::Purge => "purged",
        }
    }

    /// Makes it. Answers with the letters that were still there.
    async fn make(
        self,
        shared: &Shared,
        client: &ClientScope,
        letters: Vec<Uuid>,
    ) -> Result<Vec<Uuid>, Unavailable> {
        let queue = shared.ports.intake.queue();
        let changed = match self {
            Self::Replay => queue.replay(letters).await?,
            Self::Purge => queue.purge(letters).await?,
        };
        if !changed.is_empty() {
            let (client, count) = (client.id(), changed.len());
            tracing::info!(%client, count, "dead letters were {}", self.done());
        }
        Ok(changed)
    }

    fn answer(self, letters: &[Uuid], dry_run: bool, more: bool) -> Response {
        let answer = value!({ self.done(): letters, "dry_run": dry_run, "more": more });
        json(StatusCode::OK, &answer)
    }
}

/// Changes the letters that the body means, or says which they are.
async fn change_all(
    change: Change,
    Extracted(shared): State,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let sender = auth::admin_sender(&shared, &head).await?;
    wanted::refuse_query(head.uri.query())?;
    let (client, body) = body::receive_of_admin(&shared, &head, sender, body).await?;
    let wanted = Wanted::of(&body)?;
    let dry_run = wanted.dry_run;
    let (meant, more) = select(&shared, wanted).await?;
    let letters = if dry_run {
        meant
    } else {
        change.make(&shared, &client, meant).await?
    };
    Ok(change.answer(&letters, dry_run, more))
}

async fn change_one(
    change: Change,
    Extracted(shared): State,
    Path(id): Path<String>,
    head: Parts,
) -> Result<Response, Problem> {
    let client = auth::admin(&shared, &head).await?;
    let id = letter_id(&id)?;
    let changed = change.make(&shared, &client, vec![id]).await?;
    if changed.is_empty() {
        return Err(unknown());
    }
    Ok(change.answer(&changed, false, false))
}

/// The ids of the letters that are wanted, and whether there are more. All are chosen before any is
/// changed: what is replayed and dies again meanwhile is not chosen anew.
async fn select(shared: &Shared, wanted: Wanted) -> Result<(Vec<Uuid>, bool), Unavailable> {
    let limit = wanted.limit;
    // A letter may be named twice: by its own id and by its event's.
    let mut chosen = BTreeSet::new();
    for filter in wanted.filters() {
        let mut walk = Walk::new(shared, filter, None);
        while let Some(letter) = walk.next().await? {
            if chosen.len() == limit && !chosen.contains(&letter.id) {
                return Ok((chosen.into_iter().collect(), true));
            }
            chosen.insert(letter.id);
        }
    }
    Ok((chosen.into_iter().collect(), false))
}

/// Goes through letters, oldest first, of which it holds a few at a time.
struct Walk<'a> {
    queue: &'a dyn Queue,
    filter: LetterFilter,
    after: Option<Uuid>,
    portion: std::vec::IntoIter<DeadLetter>,
}

impl<'a> Walk<'a> {
    fn new(shared: &'a Shared, filter: LetterFilter, after: Option<Uuid>) -> Self {
        Self {
            queue: shared.ports.intake.queue().as_ref(),
            filter,
            after,
            portion: Vec::new().into_iter(),
        }
    }

    async fn next(&mut self) -> Result<Option<DeadLetter>, Unavailable> {
        if self.portion.len() == 0 {
            let page = Page {
                after: self.after,
                limit: PORTION,
            };
            let portion = self.queue.dead_letters(self.filter.clone(), page).await?;
            self.portion = portion.into_iter();
            // Many letters are looked through; others get a turn on the worker.
            tokio::task::yield_now().await;
        }
        let letter = self.portion.next();
        self.after = letter.as_ref().map(|letter| letter.id).or(self.after);
        Ok(letter)
    }
}

fn letter_id(text: &str) -> Result<Uuid, Problem> {
    Uuid::try_parse(text).map_err(|_| unknown())
}

fn unknown() -> Problem {
    Problem::not_found(
        "no dead letter has this id: it was replayed, purged or discarded, or never was; those of \
         an event are listed with `?id=`",
    )
}
