//! What effects become: receives what was decided, hands on events that are admitted and work for the queue.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use nexus_plugin_api::{Effect, NewEvent, PluginError};

use super::failures::failure;
use super::{Dispatcher, host_panicked};
use crate::queue::{Delivery, FollowUp, Grave, Settlement, Step, Work};

/// Who has decided an effect, and the trace of the call in which that was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deciding<'a> {
    pub(super) processor: &'a str,
    pub(super) traceparent: Option<&'a str>,
}

impl Dispatcher {
    /// Puts one effect into a settlement: events at once, calls as work of their own.
    pub(super) fn plan(
        &self,
        delivery: &Delivery,
        by: Deciding<'_>,
        number: u32,
        effect: Effect,
        settlement: &mut Settlement,
    ) {
        let work = |effect| Work::Perform {
            number,
            processor: by.processor.to_owned(),
            effect: Box::new(effect),
            traceparent: by.traceparent.map(str::to_owned),
        };
        match effect {
            Effect::Emit { event } => {
                let by = Deciding {
                    processor: plugin_of(by.processor),
                    ..by
                };
                if let Err(error) =
                    self.emit(delivery, by, number, number, event.clone(), settlement)
                {
                    settlement.dead.push(Grave {
                        work: work(Effect::Emit { event }),
                        reason: error.code.to_string(),
                        errors: vec![failure(&error)],
                    });
                }
            }
            Effect::Schedule { after_ms, effect } => {
                settlement.steps.push(Step::Scheduled {
                    effect: number,
                    after_ms,
                });
                settlement.follow_ups.push(FollowUp {
                    work: work(*effect),
                    after: Some(Duration::from_millis(after_ms)),
                    failure: None,
                });
            }
            other => settlement.follow_ups.push(FollowUp {
                work: work(other),
                after: None,
                failure: None,
            }),
        }
    }

    /// Admits an event that follows from `delivery`, by a plugin. `seed` tells apart what one event leads to.
    pub(super) fn emit(
        &self,
        delivery: &Delivery,
        by: Deciding<'_>,
        number: u32,
        seed: u32,
        mut event: NewEvent,
        settlement: &mut Settlement,
    ) -> Result<(), PluginError> {
        if event.traceparent.is_none() {
            event.traceparent = by.traceparent.map(str::to_owned);
        }
        let mut admitted = catch_unwind(AssertUnwindSafe(|| {
            self.admit
                .admit_emitted(event, by.processor, &delivery.event, seed)
        }))
        .unwrap_or_else(|_| Err(host_panicked()))?;
        if let Some(sent) = self.tracer.send(admitted.event()).traceparent() {
            admitted.goes_on_from(sent);
        }
        settlement.steps.push(Step::Emitted {
            effect: number,
            event_id: admitted.event().event_id,
            event_type: admitted.event().event_type.clone(),
        });
        settlement.emitted.push(admitted);
        Ok(())
    }
}

/// The plugin's id in `plugin/name`.
pub(super) fn plugin_of(component: &str) -> &str {
    component
        .split_once('/')
        .map_or(component, |(plugin, _)| plugin)
}
