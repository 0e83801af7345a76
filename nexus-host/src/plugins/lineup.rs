//! Who answers to which name: receives the plugins that there are, hands on the one that an event's type, a
//! component's name or a source means. It never changes: another takes its place.

use std::collections::HashMap;
use std::sync::Arc;

use nexus_plugin_api::abi::{ComponentKind, Manifest};
use nexus_plugin_api::{Event, PluginError};
use tokio::time::Instant;

use super::instance::Instance;
use super::member::{Member, Running};
use crate::dispatch::port::ABSENT;
use crate::subscriptions::Subscriptions;

/// See the module.
#[derive(Default)]
pub(super) struct Lineup {
    members: Vec<Arc<Member>>,
    subscriptions: Subscriptions,
    processors: HashMap<Arc<str>, Place>,
    /// Processors of plugins that are not there for the moment, and until when they are waited for.
    absent: HashMap<Arc<str>, Option<Instant>>,
    integrations: HashMap<Arc<str>, Place>,
    /// Full names by the integration's own name.
    integrations_by_name: HashMap<String, Vec<Arc<str>>>,
    sources: HashMap<String, Place>,
}

/// A component of a plugin that runs.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) instance: Arc<Instance>,
    pub(super) component: u32,
}

impl Lineup {
    pub(super) fn of(members: Vec<Arc<Member>>) -> Self {
        let mut lineup = Self::default();
        for running in members.iter().filter_map(|member| member.running.as_ref()) {
            lineup.add(&running.instance);
        }
        for member in &members {
            if let (Some(until), Some(manifest)) = (member.is_awaited(), &member.manifest)
                && !members
                    .iter()
                    .any(|other| other.running.is_some() && other.id() == member.id())
            {
                lineup.await_one(manifest, until);
            }
        }
        lineup.members = members;
        lineup
    }

    fn add(&mut self, instance: &Arc<Instance>) {
        let id = &instance.manifest.id;
        for (number, component) in (0..).zip(&instance.manifest.components) {
            let full: Arc<str> = Arc::from(format!("{id}/{}", component.name));
            let place = Place {
                instance: instance.clone(),
                component: number,
            };
            match component.kind {
                ComponentKind::Processor => {
                    for subscription in &component.subscriptions {
                        self.subscriptions.add(subscription, &full);
                    }
                    self.processors.insert(full, place);
                }
                ComponentKind::Integration => {
                    let same_name = self.integrations_by_name.entry(component.name.clone());
                    same_name.or_default().push(full.clone());
                    self.integrations.insert(full, place);
                }
                ComponentKind::Source => {
                    if self.sources.contains_key(&component.name) {
                        tracing::warn!(
                            plugin = id,
                            source = component.name,
                            "another plugin answers this source's webhooks already"
                        );
                    } else {
                        self.sources.insert(component.name.clone(), place);
                    }
                }
                _ => {}
            }
        }
    }

    /// What is for a plugin that is not there waits for it.
    fn await_one(&mut self, manifest: &Manifest, until: Option<Instant>) {
        for component in &manifest.components {
            let full: Arc<str> = Arc::from(format!("{}/{}", manifest.id, component.name));
            if component.kind != ComponentKind::Processor {
                continue;
            }
            for subscription in &component.subscriptions {
                self.subscriptions.add(subscription, &full);
            }
            self.absent.insert(full, until);
        }
    }

    fn is_awaited(&self, full: &str) -> Option<bool> {
        let until = self.absent.get(full)?;
        Some(until.is_none_or(|until| Instant::now() < until))
    }

    /// Every plugin and file, whether it runs or not, in order.
    pub(super) fn members(&self) -> &[Arc<Member>] {
        &self.members
    }

    /// Those that run.
    pub(super) fn running(&self) -> impl Iterator<Item = (&Arc<Member>, &Arc<Running>)> {
        let running = |member| Some((member, Member::running(member)?));
        self.members.iter().filter_map(running)
    }

    /// The one that runs under an id.
    pub(super) fn of_id(&self, id: &str) -> Option<(&Arc<Member>, &Arc<Running>)> {
        self.running()
            .find(|(_, running)| running.instance.manifest.id == id)
    }

    /// The processors that subscribe to an event, sorted.
    pub(super) fn subscribers(&self, event: &Event) -> Vec<Arc<str>> {
        let mut all = self.subscriptions.of(&event.event_type, &event.source);
        if !self.absent.is_empty() {
            all.retain(|full| self.is_awaited(full) != Some(false));
        }
        all
    }

    /// The full name of an integration.
    ///
    /// # Errors
    /// When there is none of that name, or several.
    pub(super) fn integration(&self, name: &str) -> Result<Arc<str>, PluginError> {
        if let Some((full, _)) = self.integrations.get_key_value(name) {
            return Ok(full.clone());
        }
        match self.integrations_by_name.get(name).map(Vec::as_slice) {
            Some([only]) => Ok(only.clone()),
            Some(several) => Err(PluginError::permanent(
                "ambiguous_integration",
                format!(
                    "`{name}` is any of {}; name one of them",
                    several.join(", ")
                ),
            )),
            None => Err(PluginError::permanent(
                "unknown_integration",
                format!("no plugin has an integration `{name}`"),
            )),
        }
    }

    /// Who processes under a full name.
    ///
    /// # Errors
    /// When nobody does.
    pub(super) fn processor(&self, full: &str) -> Result<Place, PluginError> {
        self.processors.get(full).cloned().ok_or_else(|| {
            if self.is_awaited(full) == Some(true) {
                let message = format!("the plugin of {full} is not there; the event waits for it");
                return PluginError::retryable(ABSENT, message);
            }
            PluginError::permanent("unknown_processor", format!("no processor {full}"))
        })
    }

    /// Who delivers under a full name.
    ///
    /// # Errors
    /// When nobody does.
    pub(super) fn deliverer(&self, full: &str) -> Result<Place, PluginError> {
        self.integrations.get(full).cloned().ok_or_else(|| {
            PluginError::permanent("unknown_integration", format!("no integration {full}"))
        })
    }

    /// Who answers a source's webhooks.
    pub(super) fn source(&self, name: &str) -> Option<&Place> {
        self.sources.get(name)
    }
}
