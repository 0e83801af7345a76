//! The plugin's side of the border: numbers and bytes in, typed calls to the author's code.
//!
//! Receives calls from the host, hands on typed values, and never lets a panic through. A panic
//! poisons its component: until the host has had it rebuilt, calls to it answer `poisoned`.

mod component;
mod log;
mod runtime;
mod trace;

use std::sync::{Arc, PoisonError, RwLock};

use nexus_plugin_abi::{
    AnswerV1, CallV1, ErrorV1, EventV1, FutureV1, HostV1, PluginInstance, PluginV1, codes, guard,
    plugin_op,
};

use crate::context::{Context, Services, Setup};
use crate::migration::{self, migrate};
use crate::plugin::{Built, Definition, Factory};
use crate::wire::Init;

pub(crate) use component::{IntegrationShim, ProcessorShim, Seat, Shim, SourceShim};
pub(crate) use log::abi_level;
use runtime::{Home, Place, Runtime};
pub use trace::traceparent;

/// Builds every component of a plugin.
pub(crate) fn start(
    id: &str,
    mut definition: Definition,
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
    let setup = Setup::new(services);
    let migrations = std::mem::take(&mut definition.migrations);
    let slots = Slot::all(definition, &setup, &runtime)?;
    Ok(PluginV1::new(Instance {
        slots,
        migrations,
        setup,
        runtime,
    }))
}

/// A started plugin.
struct Instance {
    // Dropped first: components may hold what lives in the runtime.
    slots: Vec<Slot>,
    migrations: Vec<migration::Step>,
    setup: Setup,
    runtime: Runtime,
}

struct Slot {
    factory: Factory,
    component: RwLock<Arc<dyn Shim>>,
    /// Shared by all components of one type, as their instance is.
    home: Arc<Home>,
}

impl Slot {
    fn all(definition: Definition, setup: &Setup, runtime: &Runtime) -> Result<Vec<Self>, ErrorV1> {
        let _inside = runtime.enter();
        let mut built = Built::default();
        let mut slots: Vec<Self> = Vec::new();
        for factory in definition.factories {
            let component = (factory.build)(&mut built, setup).map_err(|e| e.into_abi())?;
            let sibling = slots.iter().find(|slot| slot.factory.of == factory.of);
            slots.push(Self {
                home: sibling.map_or_else(|| runtime.home(), |slot| slot.home.clone()),
                component: RwLock::new(component),
                factory,
            });
        }
        Ok(slots)
    }

    fn replace(&self, component: Arc<dyn Shim>) {
        let mut held = self
            .component
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *held, component);
        drop(held);
        // A poisoned component may panic once more while it is dropped.
        let _ = guard(move || drop(old));
    }
}

impl Instance {
    /// Builds the poisoned components anew.
    fn rebuild(&self) -> Result<AnswerV1, ErrorV1> {
        let _inside = self.runtime.enter();
        let mut built = Built::default();
        let mut fresh = Vec::new();
        for slot in &self.slots {
            if slot.home.is_poisoned() {
                let component = (slot.factory.build)(&mut built, &self.setup);
                fresh.push((slot, component.map_err(|error| error.into_abi())?));
            }
        }
        let mended: Vec<_> = fresh.iter().map(|(slot, _)| slot.home.clone()).collect();
        for (slot, component) in fresh {
            slot.replace(component);
        }
        mended.iter().for_each(|home| home.mend());
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
        if slot.home.is_poisoned() {
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
        buffered: bool,
        work: impl FnOnce(&dyn Shim, Seat) -> Result<FutureV1, ErrorV1>,
    ) -> FutureV1 {
        let slot = match self.slot(call) {
            Ok(slot) => slot,
            Err(error) => return FutureV1::ready(Err(error)),
        };
        let seat = Seat {
            context: Context::new(self.setup.services().clone(), call, buffered),
            place: Place::new(slot.home.clone(), call),
        };
        let component = slot
            .component
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        slot.home
            .guarded(|| work(&**component, seat))
            .and_then(|made| made)
            .unwrap_or_else(|error| FutureV1::ready(Err(error)))
    }
}

impl PluginInstance for Instance {
    fn process(&self, call: &CallV1<'_>, event: &EventV1<'_>) -> FutureV1 {
        self.dispatch(call, true, |component, seat| component.process(seat, event))
    }

    fn call(&self, call: &CallV1<'_>, op: u32, head: &[u8], body: &[u8]) -> FutureV1 {
        if op == plugin_op::REBUILD {
            return FutureV1::ready(guard(|| self.rebuild()).and_then(|done| done));
        }
        if op == plugin_op::MIGRATE {
            // It has no component that a panic could poison.
            let migrated = guard(|| migrate(&self.migrations, head, body));
            return FutureV1::ready(migrated.and_then(|done| done));
        }
        self.dispatch(call, false, |component, seat| {
            component.call(seat, op, head, body)
        })
    }
}
