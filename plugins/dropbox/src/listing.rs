//! Listing an account: receives which one, hands on an outcome with the events of what has changed, and with where the
//! listing stands now. Both take effect together or not at all.
//!
//! One call lists a batch of pages. What is left is for the next one, which an event of our own asks for.

use std::time::Duration;

use chrono::{DateTime, Utc};
use nexus_plugin_api::{Context, Contract, Effect, NewEvent, Outcome, PluginError};
use uuid::Uuid;

use crate::api::{Api, Refusal, failure};
use crate::config::Config;
use crate::contracts::{
    AccountChanged, File, FileAdded, FileChanged, FileDeleted, FileMoved, Reason,
};
use crate::known::{Change, Known, KnownFile};
use crate::patience::Patience;
use crate::record::{Record, Stage};
use crate::wire::Page;

/// How many entries end a batch.
const BATCH: usize = 1_500;

/// How many events go with an outcome; the hub takes 1,000 effects. Further ones, as when a large folder is deleted,
/// are published before it, under ids that make a repeat a duplicate.
const WITH_OUTCOME: usize = 900;

/// How long to wait for room in the queue.
const ROOM: Duration = Duration::from_millis(200);

/// The namespace of derived event ids (a version 4 UUID, chosen once).
const NAMESPACE: Uuid = Uuid::from_u128(0x2b9d_41c7_5e08_4f36_a1d4_73c6_9e52_0fb8);

/// What came of a listing.
pub(crate) struct Listed {
    pub(crate) outcome: Outcome,
    /// Where it stands now.
    pub(crate) record: Record,
    /// Why it does not stand further on, if Dropbox has said so.
    pub(crate) hindered: Option<PluginError>,
}

/// Lists what has changed in an account, or some of it, from where the listing stands.
pub(crate) async fn list(
    api: &Api,
    config: &Config,
    ctx: &Context,
    account: &str,
    mut record: Record,
    patience: Patience,
) -> Result<Listed, PluginError> {
    let begun = Utc::now();
    // Where the folder is not there, its listing is empty; it is looked for again.
    if record.stage == Stage::Following && record.cursor.is_none() {
        record.start_over();
    }
    let was = record.clone();
    let mut known = Known::of(ctx, account);
    let mut hindered = None;
    if record.stage != Stage::Sweeping {
        hindered = read(api, account, &mut record, &mut known, begun, patience).await?;
    }
    if record.stage == Stage::Sweeping && known.sweep(&record, WITH_OUTCOME).await? {
        record.is_swept();
    }
    let mut changes = known.changes();
    if was.is_new && !config.announce_existing {
        changes.retain(|change| is_news(change, was.first_look));
    }
    let events = events(account, &was, &record, changes)?;
    known.keep(&mut record, config.max_files).await?;
    record.save(ctx, account).await?;
    if was.is_new && !record.is_new {
        let files = record.files;
        tracing::info!(account, files, "Dropbox is listed for the first time");
    }

    let beyond = events.len().saturating_sub(WITH_OUTCOME);
    let mut outcome = Outcome::done();
    for (number, event) in events.into_iter().enumerate() {
        match number < beyond {
            true => publish(ctx, event).await?,
            false => outcome = outcome.with(Effect::emit(event)),
        }
    }
    if record.stage != Stage::Following || record.listed != Some(begun) {
        outcome = outcome.with(Effect::emit(asking(account, Reason::More)?));
    }
    Ok(Listed {
        outcome,
        record,
        hindered,
    })
}

/// The event that has an account listed. The lane is the account's, so that one listing follows the other.
pub(crate) fn asking(account: &str, reason: Reason) -> Result<NewEvent, PluginError> {
    let event = NewEvent::of(&AccountChanged {
        account: account.to_owned(),
        reason,
    })?;
    Ok(NewEvent {
        partition_key: Some(account.to_owned()),
        ..event
    })
}

/// Reads pages until there is no more, or enough for this time. Why it ends before that, if Dropbox has said so; what
/// has come is kept all the same.
async fn read(
    api: &Api,
    account: &str,
    record: &mut Record,
    known: &mut Known<'_>,
    begun: DateTime<Utc>,
    patience: Patience,
) -> Result<Option<PluginError>, PluginError> {
    let mut entries = 0;
    loop {
        let answered = patience.for_an_answer(page(api, account, record)).await;
        let page = match answered.unwrap_or_else(|| Err(too_slow().into())) {
            Ok(page) => page,
            Err(Refusal::Failed(error)) if entries > 0 => return Ok(Some(error)),
            // It shows itself again.
            Err(Refusal::Reset | Refusal::NotThere) if entries > 0 => return Ok(None),
            Err(Refusal::Reset | Refusal::NotThere) if record.cursor.is_some() => {
                tracing::info!(account, "Dropbox is listed from the start");
                record.start_over();
                continue;
            }
            Err(Refusal::NotThere) if !record.is_new => {
                tracing::warn!(
                    account,
                    folder = record.folder,
                    "the folder is not there any more"
                );
                record.is_at_end(begun);
                return Ok(None);
            }
            Err(refusal) => return Err(failure(refusal)),
        };
        entries += page.entries.len();
        for entry in page.entries {
            known.take(record, entry).await?;
        }
        record.cursor = Some(page.cursor);
        if !page.has_more {
            record.is_at_end(begun);
            return Ok(None);
        }
        if entries >= BATCH || patience.is_half_gone() {
            return Ok(None);
        }
    }
}

fn too_slow() -> PluginError {
    PluginError::retryable("timeout", "Dropbox took too long")
}

async fn page(api: &Api, account: &str, record: &Record) -> Result<Page, Refusal> {
    match &record.cursor {
        Some(cursor) => api.go_on(account, cursor).await,
        None => api.list(account, &record.folder).await,
    }
}

/// Publishes now, waiting for room in the queue. What is refused for good holds up nothing.
async fn publish(ctx: &Context, event: NewEvent) -> Result<(), PluginError> {
    loop {
        match ctx.publish(event.clone()).await {
            Ok(_) => return Ok(()),
            Err(error) if error.code == "queue_full" => {
                tokio::time::sleep(error.retry_after.unwrap_or(ROOM)).await;
            }
            Err(error) if error.retryable => return Err(error),
            Err(error) => {
                tracing::error!(
                    event_type = event.event_type,
                    "a change is not told: {error}"
                );
                return Ok(());
            }
        }
    }
}

fn events(
    account: &str,
    was: &Record,
    record: &Record,
    changes: Vec<Change>,
) -> Result<Vec<NewEvent>, PluginError> {
    // Listed from the start, a file that is not among those remembered need not be a new one.
    let from_start = was.stage == Stage::Listing || was.generation != record.generation;
    let is_unsure = from_start && record.is_over && !was.is_new;
    let told = changes
        .into_iter()
        .filter(|change| !(is_unsure && matches!(change, Change::Added(_))));
    let place = was.cursor.as_deref().unwrap_or_default();
    told.map(|change| event(account, place, change)).collect()
}

/// The event of a change that was found from a place on.
fn event(account: &str, place: &str, change: Change) -> Result<NewEvent, PluginError> {
    let same = [place, account].join("\n");
    match change {
        Change::Added(known) => of(&known, &same, FileAdded(file(account, &known))),
        Change::Changed(known) => of(&known, &same, FileChanged(file(account, &known))),
        Change::Deleted(known) => of(&known, &same, FileDeleted(file(account, &known))),
        Change::Moved {
            from: from_path,
            file: known,
        } => {
            let file = file(account, &known);
            of(&known, &same, FileMoved { from_path, file })
        }
    }
    .map(|event| NewEvent {
        // Not the listing's lane: who is slow with files holds up no listing.
        partition_key: Some(format!("{account}/files")),
        ..event
    })
}

/// Whether a change is news where nothing is known yet: the file was written after the first look.
fn is_news(change: &Change, first_look: Option<DateTime<Utc>>) -> bool {
    match change {
        Change::Added(file) | Change::Changed(file) => first_look < file.modified,
        Change::Deleted(_) | Change::Moved { .. } => false,
    }
}

/// An event whose id is the same for the same change, found again from the same place. A revision alone would not do:
/// a file that is moved there and back might keep it.
fn of<C: Contract>(known: &KnownFile, same: &str, contract: C) -> Result<NewEvent, PluginError> {
    let change = [C::TYPE, &known.path, &known.rev, same].join("\n");
    let event = NewEvent::of(&contract)?;
    Ok(NewEvent {
        event_id: Some(Uuid::new_v5(&NAMESPACE, change.as_bytes())),
        timestamp: known.modified,
        ..event
    })
}

fn file(account: &str, known: &KnownFile) -> File {
    let path = known.path.clone();
    File {
        account: account.to_owned(),
        name: path.rsplit('/').next().unwrap_or_default().to_owned(),
        path,
        id: Some(known.id.clone()),
        rev: Some(known.rev.clone()),
        size: known.size,
        modified_at: known.modified,
    }
}
