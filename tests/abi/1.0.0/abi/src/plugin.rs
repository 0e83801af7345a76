//! A started plugin, as the host sees it.

use abi_stable::StableAbi;
use abi_stable::std_types::{RSlice, RStr};

use crate::event::EventV1;
use crate::future::FutureV1;
use crate::guard::guard;

/// Operations of [`PluginV1::call`]. Numbers are never reused; an unknown one answers
/// [`crate::codes::UNSUPPORTED`].
pub mod plugin_op {
    /// Integration: deliver. Head: `{"target"?}`. Body: the request, JSON. Answer: head, the reply.
    pub const DELIVER: u32 = 1;
    /// Source: answer a webhook. Head: method, path, query, headers. Body: the raw body.
    pub const HOOK: u32 = 2;
    /// Source: the background task. Ready only when it ends; dropped to stop it.
    pub const RUN: u32 = 3;
    /// Any component: how it is. Answer: head `{"status", "reason"?}`.
    pub const HEALTH: u32 = 4;
    /// Any component: build it anew after a panic. No answer.
    pub const REBUILD: u32 = 5;
    /// The plugin, whatever the component: carry a payload over to a later version of its contract. Head:
    /// `{"type", "from", "to"}`. Body: the payload. Answer, ready at once: body, the new payload. Only
    /// migrations that the description names are asked for.
    pub const MIGRATE: u32 = 6;
}

/// The circumstances of one call, borrowed for its length.
#[repr(C)]
#[derive(Debug, Clone, Copy, StableAbi)]
pub struct CallV1<'a> {
    /// Number of the component, its place in the manifest's list.
    pub component: u32,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Milliseconds left for this call; 0 when unbounded.
    pub deadline_ms: u64,
    /// The event behind this call; all zero when there is none.
    pub event_id: [u8; 16],
    /// Identifies the effect across attempts; empty when there is none.
    pub idempotency_key: RStr<'a>,
    /// What the event belongs to; empty when nothing.
    pub correlation_id: RStr<'a>,
    /// W3C `traceparent` of the work this call belongs to; may be empty.
    pub traceparent: RStr<'a>,
    /// A JSON object for later growth; may be empty, unknown members are ignored.
    pub extra: RSlice<'a, u8>,
}

/// The plugin's side of the border, implemented once by the SDK.
pub trait PluginInstance: Send + Sync + 'static {
    /// Processes one event. What is borrowed is valid until it returns.
    fn process(&self, call: &CallV1<'_>, event: &EventV1<'_>) -> FutureV1;
    /// Performs an operation of [`plugin_op`]. What is borrowed is valid until it returns.
    fn call(&self, call: &CallV1<'_>, op: u32, head: &[u8], body: &[u8]) -> FutureV1;
}

/// A started plugin. Dropping it drops its components.
#[repr(C)]
#[derive(StableAbi)]
pub struct PluginV1 {
    data: *mut (),
    vtable: &'static PluginVTableV1,
}

#[repr(C)]
#[derive(StableAbi)]
struct PluginVTableV1 {
    process: unsafe extern "C" fn(*const (), &CallV1<'_>, &EventV1<'_>) -> FutureV1,
    call: unsafe extern "C" fn(
        *const (),
        &CallV1<'_>,
        u32,
        RSlice<'_, u8>,
        RSlice<'_, u8>,
    ) -> FutureV1,
    drop: unsafe extern "C" fn(*mut ()),
}

/// For the crate's check that nothing has grown.
pub(crate) const VTABLE_SIZE: usize = size_of::<PluginVTableV1>();

// SAFETY: `data` is a boxed `P: PluginInstance`, which is `Send + Sync`.
unsafe impl Send for PluginV1 {}
// SAFETY: as above.
unsafe impl Sync for PluginV1 {}

impl PluginV1 {
    /// Boxes `instance` for the host.
    pub fn new<P: PluginInstance>(instance: P) -> Self {
        Self {
            data: Box::into_raw(Box::new(instance)).cast(),
            vtable: const {
                &PluginVTableV1 {
                    process: process::<P>,
                    call: call::<P>,
                    drop: drop_instance::<P>,
                }
            },
        }
    }

    /// Processes one event. Ready with head: the outcome as JSON, empty for "done, no effects".
    pub fn process(&self, call: &CallV1<'_>, event: &EventV1<'_>) -> FutureV1 {
        // SAFETY: `data` is alive while `self` is; borrows outlive the call.
        unsafe { (self.vtable.process)(self.data, call, event) }
    }

    /// Performs an operation of [`plugin_op`].
    pub fn call(&self, call: &CallV1<'_>, op: u32, head: &[u8], body: &[u8]) -> FutureV1 {
        // SAFETY: `data` is alive while `self` is; borrows outlive the call.
        unsafe { (self.vtable.call)(self.data, call, op, head.into(), body.into()) }
    }
}

impl Drop for PluginV1 {
    fn drop(&mut self) {
        // SAFETY: the one place where `data` is released.
        unsafe { (self.vtable.drop)(self.data) }
    }
}

unsafe extern "C" fn process<P: PluginInstance>(
    data: *const (),
    call: &CallV1<'_>,
    event: &EventV1<'_>,
) -> FutureV1 {
    // SAFETY: `data` is a `P` that is alive during the call.
    let instance = unsafe { &*data.cast::<P>() };
    guard(|| instance.process(call, event)).unwrap_or_else(|panic| FutureV1::ready(Err(panic)))
}

unsafe extern "C" fn call<P: PluginInstance>(
    data: *const (),
    call: &CallV1<'_>,
    op: u32,
    head: RSlice<'_, u8>,
    body: RSlice<'_, u8>,
) -> FutureV1 {
    // SAFETY: `data` is a `P` that is alive during the call.
    let instance = unsafe { &*data.cast::<P>() };
    guard(|| instance.call(call, op, head.as_slice(), body.as_slice()))
        .unwrap_or_else(|panic| FutureV1::ready(Err(panic)))
}

unsafe extern "C" fn drop_instance<P: PluginInstance>(data: *mut ()) {
    // SAFETY: `data` is the box made in `new`, released once.
    let instance = unsafe { Box::from_raw(data.cast::<P>()) };
    // A panic while components are dropped is swallowed: the host is letting go of them anyway.
    let _ = guard(move || drop(instance));
}
