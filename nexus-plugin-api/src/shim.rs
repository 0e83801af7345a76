//! The plugin's side of the border: numbers and bytes in, typed calls to the author's code.
//!
//! Receives calls from the host, hands on typed values, and never lets a panic through. A panic
//! poisons its component: until the host has had it rebuilt, calls to it answer `poisoned`.

mod component;
mod log;
mod runtime;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use nexus_plugin_abi::{
    AnswerV1, CallV1, ErrorV1, EventV1, FutureV1, HostV1, PluginInstance, PluginV1, codes,
    plugin_op,
};

use crate::context::{Context, Services, Setup};
use crate::plugin::{Built, Definition};
use crate::wire::Init;

pub(crate) use component::{IntegrationShim, ProcessorShim, Shim, SourceShim};
pub(crate) use log::abi_level;
use runtime::Runtime;

/// Builds every component of a plugin.
pub(crate) fn start(
    id: &str,
    definition: Definition,
    host: HostV1,
    init: &[u8],
) -> Result<PluginV1, ErrorV1> {
    let init: Init = serde_json::from_slice(init)
        .map_err(|error| ErrorV1::permanent(codes::MALFORMED, error.to_string()))?;
    if !init.linked {
        log::forward_to(host.clone());
    }
    let services = Services::new(host, id, init.config);
    let runtime = Runtime::new(id, init.isolation, init.linked)
        .map_err(|error| ErrorV1::permanent("no_runtime", error.to_string()))?;
    let instance = Instance {
        setup: Setup::new(services),
        slots: Vec::new(),
        definition,
        runtime,
    };
    let slots = instance.build()?;
    Ok(PluginV1::new(Instance {
        slots: slots
            .into_iter()
            .map(|component| Slot {
                component: RwLock::new(component),
                poisoned: Arc::new(AtomicBool::new(false)),
            })
            .collect(),
        ..instance
    }))
}

/// A started plugin.
struct Instance {
    // Dropped first: components may hold what lives in the runtime.
    slots: Vec<Slot>,
    setup: Setup,
    definition: Definition,
    runtime: Runtime,
}

struct Slot {
    component: RwLock<Arc<dyn Shim>>,
    poisoned: Arc<AtomicBool>,
}

impl Slot {
    fn component(&self) -> Arc<dyn Shim> {
        self.component
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Instance {
    fn build(&self) -> Result<Vec<Arc<dyn Shim>>, ErrorV1> {
        let mut built = Built::default();
        let _inside = self.runtime.enter();
        self.definition
            .factories
            .iter()
            .map(|factory| factory(&mut built, &self.setup))
            .collect::<Result<_, _>>()
            .map_err(|error| error.into_abi())
    }

    /// Builds everything anew and replaces the poisoned components: one of them may share its
    /// type, and so its instance, with others.
    fn rebuild(&self) -> Result<AnswerV1, ErrorV1> {
        let fresh = self.build()?;
        for (slot, component) in self.slots.iter().zip(fresh) {
            if slot.poisoned.load(Ordering::Acquire) {
                let old = std::mem::replace(
                    &mut *slot
                        .component
                        .write()
                        .unwrap_or_else(PoisonError::into_inner),
                    component,
                );
                // A poisoned component may panic once more while it is dropped.
                let _ = nexus_plugin_abi::guard(move || drop(old));
                slot.poisoned.store(false, Ordering::Release);
            }
        }
        Ok(AnswerV1::default())
    }

    fn slot(&self, call: &CallV1<'_>) -> Result<&Slot, ErrorV1> {
        let slot = usize::try_from(call.component)
            .ok()
            .and_then(|number| self.slots.get(number))
            .ok_or_else(|| {
                ErrorV1::permanent(
                    codes::NO_COMPONENT,
                    format!("no component {}", call.component),
                )
            })?;
        if slot.poisoned.load(Ordering::Acquire) {
            return Err(ErrorV1 {
                retryable: true,
                ..ErrorV1::permanent(codes::POISONED, "waiting to be rebuilt after a panic")
            });
        }
        Ok(slot)
    }

    fn dispatch(
        &self,
        call: &CallV1<'_>,
        work: impl FnOnce(Arc<dyn Shim>, Context) -> Result<component::Work, ErrorV1>,
        buffered: bool,
    ) -> FutureV1 {
        let slot = match self.slot(call) {
            Ok(slot) => slot,
            Err(error) => return FutureV1::ready(Err(error)),
        };
        let context = Context::new(self.setup.services().clone(), call, buffered);
        let component = slot.component();
        let made = self
            .runtime
            .guarded(&slot.poisoned, || work(component, context))
            .and_then(|made| made);
        match made {
            Ok(work) => self
                .runtime
                .drive(work, call.event_id, slot.poisoned.clone()),
            Err(error) => FutureV1::ready(Err(error)),
        }
    }
}

impl PluginInstance for Instance {
    fn process(&self, call: &CallV1<'_>, event: &EventV1<'_>) -> FutureV1 {
        self.dispatch(
            call,
            |component, context| component.process(context, event),
            true,
        )
    }

    fn call(&self, call: &CallV1<'_>, op: u32, head: &[u8], body: &[u8]) -> FutureV1 {
        if op == plugin_op::REBUILD {
            let rebuilt = nexus_plugin_abi::guard(|| self.rebuild()).and_then(|done| done);
            return FutureV1::ready(rebuilt);
        }
        self.dispatch(
            call,
            |component, context| component.call(context, op, head, body),
            false,
        )
    }
}
