//! Routes: what follows from which events by configuration alone. Receives `[[routes]]` and events, hands on for each
//! route that an event is shown to an [`Outcome`], as a plugin's processor does; dispatch calls it by its full
//! name, `routes/NAME`. It performs nothing, and never shows a value of a payload in an error.

mod action;
mod ask;
pub mod config;
mod misfit;
mod route;
mod template;

use std::collections::HashMap;
use std::sync::Arc;

use nexus_plugin_api::{Event, Outcome, PluginError};

use crate::admission::rules;
use crate::config::Selector;
use crate::current::Current;
use crate::subscriptions::Subscriptions;
use config::Route as Written;
use route::Route;
pub(crate) use route::is_name;

/// What precedes a route's name, as a plugin's id does a processor's; the source of the events that routes emit.
pub(crate) const ID: &str = "routes";

/// What precedes the name of a receiver of alerts, which is a route of the events that name it.
pub(crate) const RECEIVERS: &str = "alerts";

/// Every route as it is now.
#[derive(Debug)]
pub(crate) struct Routes(Current<Table>);

/// Routes that were compiled. It never changes: another takes its place.
#[derive(Debug, Default)]
pub(crate) struct Table {
    routes: HashMap<Arc<str>, Route>,
    /// By the types of everybody's events.
    others: Subscriptions,
    /// By the types of the hub's own events, `nexus.*`, which `*` does not cover.
    hubs: Subscriptions,
}

impl Table {
    /// Compiles what was written, and the receivers of alerts with it.
    ///
    /// # Errors
    /// When one of them cannot be used, naming it.
    pub(crate) fn of(written: &[Written], receivers: &[Written]) -> Result<Self, String> {
        let mut table = Self::default();
        let routes = written.iter().map(|one| (ID, one));
        let receivers = receivers.iter().map(|one| (RECEIVERS, one));
        for (id, one) in routes.chain(receivers) {
            let route = Route::compile(one).map_err(|misfits| {
                let first = misfits.first().map(ToString::to_string);
                format!("`{}`: {}", one.name, first.unwrap_or_default())
            })?;
            let full: Arc<str> = Arc::from(format!("{id}/{}", one.name));
            for event_type in &one.types {
                table.subscribe(event_type, &one.sources, &full);
            }
            table.routes.insert(full, route);
        }
        Ok(table)
    }

    fn subscribe(&mut self, event_type: &Selector, sources: &[Selector], full: &Arc<str>) {
        let subscriptions: Vec<String> = match sources {
            [] => vec![event_type.to_string()],
            some => some
                .iter()
                .map(|source| format!("{event_type}@{source}"))
                .collect(),
        };
        for subscription in subscriptions {
            self.others.add(&subscription, full);
            if *event_type != Selector::Any {
                self.hubs.add(&subscription, full);
            }
        }
    }
}

impl Routes {
    pub(crate) fn new(table: Table) -> Self {
        Self(Current::new(table))
    }

    /// Has others in their place from now on.
    pub(crate) fn become_those(&self, table: Table) {
        self.0.set(table);
    }

    /// The routes that an event is shown to, by their full names, sorted.
    pub(crate) fn subscribers(&self, event: &Event) -> Vec<Arc<str>> {
        let table = self.0.get();
        let subscriptions = match rules::is_reserved(&event.event_type) {
            true => &table.hubs,
            false => &table.others,
        };
        subscriptions.of(&event.event_type, &event.source)
    }

    /// Whether a processor of that full name would be a route, whether there is one or not.
    pub(crate) fn is_route(full: &str) -> bool {
        let id = full.split_once('/').map(|(id, _)| id);
        id.is_some_and(|id| id == ID || id == RECEIVERS)
    }

    /// Shows an event to a route, by its full name.
    ///
    /// # Errors
    /// When there is no such route any more, when its condition cannot be judged (`condition_failed`), or a
    /// template not be filled (`template_failed`); permanent.
    pub(crate) fn process(&self, full: &str, event: &Event) -> Result<Outcome, PluginError> {
        let table = self.0.get();
        let route = table.routes.get(full).ok_or_else(|| {
            let message = format!("the configuration has no route {full} any more");
            PluginError::permanent("unknown_processor", message)
        })?;
        route.decide(event)
    }
}

#[cfg(test)]
mod tests;
