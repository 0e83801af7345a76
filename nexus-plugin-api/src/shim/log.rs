//! The log bridge: `tracing` events and panics of a loaded library become records of the host.
//!
//! A library links its own `tracing`, in which nobody listens. This module installs a listener
//! that forwards, gated by the host's level, and tags each record with the event being worked on.
//! It also has a standard library of its own, which would write panics to standard error as they are.

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::panic::{PanicHookInfo, set_hook};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use nexus_plugin_abi::{HostV1, RecordV1, level};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

static HOST: RwLock<Option<HostV1>> = RwLock::new(None);

thread_local! {
    static EVENT_ID: Cell<[u8; 16]> = const { Cell::new([0; 16]) };
}

/// Sends this library's `tracing` events and panics to `host` from now on.
pub(crate) fn forward_to(host: HostV1) {
    *HOST.write().unwrap_or_else(PoisonError::into_inner) = Some(host);
    // An error means that a listener is there already: ours, from an earlier start of the same
    // library, or one that the author chose to install.
    let _ = tracing::subscriber::set_global_default(Forward {
        spans: AtomicU64::new(1),
    });
    set_hook(Box::new(tell_panic));
}

/// A panic is an error of the plugin, wherever it is caught.
fn tell_panic(panic: &PanicHookInfo<'_>) {
    let at = panic.location().map(tracing::field::display);
    let said = panic.payload_as_str().unwrap_or("what is no text");
    tracing::error!(at, "a panic: {said}");
}

/// Tags what this thread logs with an event until the guard is dropped.
pub(crate) fn tag(event_id: [u8; 16]) -> Tag {
    Tag(EVENT_ID.replace(event_id))
}

pub(crate) struct Tag([u8; 16]);

impl Drop for Tag {
    fn drop(&mut self) {
        EVENT_ID.set(self.0);
    }
}

/// A `tracing` level as it crosses the border.
pub(crate) fn abi_level(from: Level) -> u8 {
    match from {
        Level::ERROR => level::ERROR,
        Level::WARN => level::WARN,
        Level::INFO => level::INFO,
        Level::DEBUG => level::DEBUG,
        Level::TRACE => level::TRACE,
    }
}

struct Forward {
    spans: AtomicU64,
}

impl Subscriber for Forward {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // The host's level may change at any time: ask each time.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let host = HOST.read().unwrap_or_else(PoisonError::into_inner);
        host.as_ref()
            .is_some_and(|host| host.enabled(abi_level(*metadata.level()), metadata.target()))
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let json = if fields.others.is_empty() {
            Vec::new()
        } else {
            serde_json::to_vec(&fields.others).unwrap_or_default()
        };
        let host = HOST.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = host.as_ref() {
            host.log(&RecordV1 {
                level: abi_level(*event.metadata().level()),
                target: event.metadata().target().into(),
                message: fields.message.as_str().into(),
                fields: json.as_slice().into(),
                event_id: EVENT_ID.get(),
            });
        }
    }

    // Spans are not carried over: the host has its own for every call.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed).max(1))
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        if field.name() == "message" {
            match value {
                Value::String(text) => self.message = text,
                other => self.message = other.to_string(),
            }
        } else {
            self.others.insert(field.name().to_owned(), value);
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // Writing to a `String` fails only when the value's own `Debug` does.
        if write!(text, "{value:?}").is_err() {
            text.push_str("<unprintable>");
        }
        self.put(field, Value::String(text));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::from(value));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::from(value));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::from(value));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::from(value));
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::from(value));
    }
}
