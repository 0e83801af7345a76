//! Which dead letters are meant: receives the text of a query or a body, hands on filters. Unknown
//! names are refused, and so is a change that names nothing.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use super::super::body;
use super::super::problem::Problem;
use super::super::query::{known, refused};
use crate::admission::quoted;
use crate::config::Selector;
use crate::queue::LetterFilter;

/// Letters in one listing, when nothing else is asked for.
const LISTED: usize = 100;

/// The most letters in one listing.
const MAX_LISTED: usize = 1_000;

/// The most letters changed at once; they are ids by then.
const MAX_CHANGED: usize = 10_000;

/// The most ids in one body; each is looked up on its own.
const MAX_IDS: usize = 1_000;

/// What a listing is to hold.
pub(super) struct Listing {
    pub(super) filter: LetterFilter,
    pub(super) after: Option<Uuid>,
    pub(super) limit: usize,
}

impl Listing {
    /// Reads a query.
    pub(super) fn of(query: Option<&str>) -> Result<Self, Problem> {
        let names = [
            "id",
            "type",
            "source",
            "integration",
            "reason",
            "since",
            "until",
            "after",
            "limit",
        ];
        let [
            id,
            event_type,
            source,
            integration,
            reason,
            since,
            until,
            after,
            limit,
        ] = known(query, names)?;
        Ok(Self {
            filter: LetterFilter {
                id: read("id", id)?,
                event_type: read("type", event_type)?,
                source: read("source", source)?,
                integration: read("integration", integration)?,
                reason: read("reason", reason)?,
                since: read("since", since)?,
                until: read("until", until)?,
            },
            after: read("after", after)?,
            limit: within(read("limit", limit)?, LISTED, MAX_LISTED)?,
        })
    }
}

/// What is to be changed, as a body says it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Body {
    ids: Option<Vec<Uuid>>,
    r#type: Option<Selector>,
    source: Option<Selector>,
    integration: Option<String>,
    reason: Option<String>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    all: bool,
    #[serde(deserialize_with = "whole")]
    limit: Option<usize>,
    dry_run: bool,
}

/// A whole number, which JSON Schema lets be written as `5.0` too.
fn whole<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    let Some(number) = Option::<f64>::deserialize(deserializer)? else {
        return Ok(None);
    };
    if number.fract() != 0.0 || number < 0.0 {
        return Err(Error::custom(
            "`limit` must be a whole number that is not less than 0",
        ));
    }
    // The largest there is, for one beyond it; that is over the limit as well.
    Ok(Some(number as usize))
}

/// What is to be changed.
#[derive(Debug)]
pub(super) struct Wanted {
    filter: LetterFilter,
    /// Letters' own ids, or their events'; of these, what the filter lets through.
    ids: Option<Vec<Uuid>>,
    pub(super) limit: usize,
    pub(super) dry_run: bool,
}

impl Wanted {
    /// Reads a body.
    pub(super) fn of(body: &[u8]) -> Result<Self, Problem> {
        let body: Body = body::parse(body)?;
        let filter = LetterFilter {
            id: None,
            event_type: body.r#type,
            source: body.source,
            integration: body.integration,
            reason: body.reason,
            since: body.since,
            until: body.until,
        };
        let is_narrow = body.ids.is_some() || !is_open(&filter);
        if body.all && is_narrow {
            return Err(refused("`all` stands alone, without ids and conditions"));
        }
        if !body.all && !is_narrow {
            return Err(refused(
                "this would mean every dead letter; name `ids` or conditions, or say `\"all\": true`",
            ));
        }
        let count = body.ids.as_ref().map_or(1, Vec::len);
        if count == 0 || count > MAX_IDS {
            return Err(refused(format!(
                "`ids` takes 1 to {MAX_IDS} ids, found {count}"
            )));
        }
        Ok(Self {
            filter,
            ids: body.ids,
            limit: within(body.limit, MAX_CHANGED, MAX_CHANGED)?,
            dry_run: body.dry_run,
        })
    }

    /// What together lets through what is meant.
    pub(super) fn filters(self) -> Vec<LetterFilter> {
        let Self { filter, ids, .. } = self;
        let Some(ids) = ids else {
            return vec![filter];
        };
        let of = |id| LetterFilter {
            id: Some(id),
            ..filter.clone()
        };
        ids.into_iter().map(of).collect()
    }
}

/// Whether a filter excludes nothing. Every condition is named here, so that none is forgotten.
fn is_open(filter: &LetterFilter) -> bool {
    matches!(
        filter,
        LetterFilter {
            id: None,
            event_type: None,
            source: None,
            integration: None,
            reason: None,
            since: None,
            until: None,
        }
    )
}

/// Refuses a query where the body says everything: it was meant to do something.
pub(super) fn refuse_query(query: Option<&str>) -> Result<(), Problem> {
    match query {
        None | Some("") => Ok(()),
        Some(_) => Err(refused(
            "this path takes no query; the body says what is meant",
        )),
    }
}

fn read<T>(name: &str, value: Option<Cow<'_, str>>) -> Result<Option<T>, Problem>
where
    T: FromStr<Err: Display>,
{
    let Some(value) = value else {
        return Ok(None);
    };
    let parsed = value.parse().map(Some);
    parsed.map_err(|error| refused(format!("`{name}`: {} {error}", quoted(&value))))
}

fn within(limit: Option<usize>, default: usize, most: usize) -> Result<usize, Problem> {
    match limit {
        None => Ok(default),
        Some(limit) if (1..=most).contains(&limit) => Ok(limit),
        Some(limit) => Err(refused(format!("`limit` is 1 to {most}, found {limit}"))),
    }
}
