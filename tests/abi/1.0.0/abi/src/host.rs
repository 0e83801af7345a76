//! What a plugin may ask of the host.

use std::sync::Arc;

use abi_stable::StableAbi;
use abi_stable::std_types::{RSlice, RStr};

use crate::future::FutureV1;
use crate::guard::guard;

/// Log levels, as they cross the border.
pub mod level {
    /// Something failed.
    pub const ERROR: u8 = 1;
    /// Something looks wrong.
    pub const WARN: u8 = 2;
    /// Progress.
    pub const INFO: u8 = 3;
    /// For the plugin's developer.
    pub const DEBUG: u8 = 4;
    /// Everything.
    pub const TRACE: u8 = 5;
}

/// Operations of [`HostV1::call`]. Numbers are never reused; an unknown one answers
/// [`crate::codes::UNSUPPORTED`].
pub mod host_op {
    /// Publish an event. Head: the event as JSON. Answer: head `{"event_id", "status"}`.
    pub const PUBLISH: u32 = 1;
    /// Read durable state. Head: `{"key"}`. Answer: body, the value; head `{"found": bool}`.
    pub const STATE_GET: u32 = 2;
    /// Write durable state. Head: `{"key", "delete": bool}`. Body: the value. No answer.
    pub const STATE_PUT: u32 = 3;
    /// List keys of durable state. Head: `{"prefix"}`. Answer: head, a sorted JSON array.
    pub const STATE_KEYS: u32 = 4;
    /// Read a secret. Head: `{"name"}`. Answer: body, the secret.
    pub const SECRET: u32 = 5;
}

/// One line of a plugin's log.
#[repr(C)]
#[derive(Debug, Clone, Copy, StableAbi)]
pub struct RecordV1<'a> {
    /// See [`level`].
    pub level: u8,
    /// Where it comes from, such as a module path.
    pub target: RStr<'a>,
    /// The text.
    pub message: RStr<'a>,
    /// Further fields as a JSON object; may be empty.
    pub fields: RSlice<'a, u8>,
    /// The event being worked on; all zero when there is none.
    pub event_id: [u8; 16],
}

/// The host's side of the border, implemented once per plugin by the host.
pub trait HostService: Send + Sync + 'static {
    /// Whether a record of that level and target would be kept.
    fn enabled(&self, level: u8, target: &str) -> bool;
    /// Keeps a record.
    fn log(&self, record: &RecordV1<'_>);
    /// Performs an operation of [`host_op`]. The slices are valid until it returns.
    fn call(&self, op: u32, head: &[u8], body: &[u8]) -> FutureV1;
}

/// A shared handle to the host, given to a plugin when it starts.
#[repr(C)]
#[derive(StableAbi)]
pub struct HostV1 {
    data: *const (),
    vtable: &'static HostVTableV1,
}

#[repr(C)]
#[derive(StableAbi)]
struct HostVTableV1 {
    retain: unsafe extern "C" fn(*const ()),
    release: unsafe extern "C" fn(*const ()),
    enabled: unsafe extern "C" fn(*const (), u8, RStr<'_>) -> bool,
    log: unsafe extern "C" fn(*const (), &RecordV1<'_>),
    call: unsafe extern "C" fn(*const (), u32, RSlice<'_, u8>, RSlice<'_, u8>) -> FutureV1,
}

/// For the crate's check that nothing has grown.
pub(crate) const VTABLE_SIZE: usize = size_of::<HostVTableV1>();

// SAFETY: `data` is an `Arc<S>` of a `S: HostService`, which is `Send + Sync`.
unsafe impl Send for HostV1 {}
// SAFETY: as above.
unsafe impl Sync for HostV1 {}

impl HostV1 {
    /// Makes a handle to `service`.
    pub fn new<S: HostService>(service: Arc<S>) -> Self {
        Self {
            data: Arc::into_raw(service).cast(),
            vtable: const {
                &HostVTableV1 {
                    retain: retain::<S>,
                    release: release::<S>,
                    enabled: enabled::<S>,
                    log: log::<S>,
                    call: call::<S>,
                }
            },
        }
    }

    /// Whether a record of that level and target would be kept.
    pub fn enabled(&self, level: u8, target: &str) -> bool {
        // SAFETY: `data` is alive while `self` is.
        unsafe { (self.vtable.enabled)(self.data, level, target.into()) }
    }

    /// Hands the host one log record.
    pub fn log(&self, record: &RecordV1<'_>) {
        // SAFETY: `data` is alive while `self` is.
        unsafe { (self.vtable.log)(self.data, record) }
    }

    /// Performs an operation of [`host_op`].
    pub fn call(&self, op: u32, head: &[u8], body: &[u8]) -> FutureV1 {
        // SAFETY: `data` is alive while `self` is; the slices outlive the call.
        unsafe { (self.vtable.call)(self.data, op, head.into(), body.into()) }
    }
}

impl Clone for HostV1 {
    fn clone(&self) -> Self {
        // SAFETY: `data` is alive while `self` is.
        unsafe { (self.vtable.retain)(self.data) };
        Self {
            data: self.data,
            vtable: self.vtable,
        }
    }
}

impl Drop for HostV1 {
    fn drop(&mut self) {
        // SAFETY: gives back the one count that this handle holds.
        unsafe { (self.vtable.release)(self.data) }
    }
}

// The host's own code is guarded like a plugin's: a panic must not cross the border either way.

unsafe extern "C" fn retain<S: HostService>(data: *const ()) {
    // SAFETY: `data` came from `Arc::<S>::into_raw` and is alive.
    unsafe { Arc::increment_strong_count(data.cast::<S>()) }
}
unsafe extern "C" fn release<S: HostService>(data: *const ()) {
    // SAFETY: as above; each handle releases once.
    let _ = guard(|| unsafe { Arc::decrement_strong_count(data.cast::<S>()) });
}
unsafe extern "C" fn enabled<S: HostService>(data: *const (), level: u8, target: RStr<'_>) -> bool {
    // SAFETY: `data` is an `S` that is alive during the call.
    let service = unsafe { &*data.cast::<S>() };
    guard(|| service.enabled(level, target.as_str())).unwrap_or(false)
}
unsafe extern "C" fn log<S: HostService>(data: *const (), record: &RecordV1<'_>) {
    // SAFETY: `data` is an `S` that is alive during the call.
    let service = unsafe { &*data.cast::<S>() };
    let _ = guard(|| service.log(record));
}
unsafe extern "C" fn call<S: HostService>(
    data: *const (),
    op: u32,
    head: RSlice<'_, u8>,
    body: RSlice<'_, u8>,
) -> FutureV1 {
    // SAFETY: `data` is an `S` that is alive during the call.
    let service = unsafe { &*data.cast::<S>() };
    guard(|| service.call(op, head.as_slice(), body.as_slice()))
        .unwrap_or_else(|panic| FutureV1::ready(Err(panic)))
}
