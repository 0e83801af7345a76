//! An event as it crosses the border: borrowed, in place, never serialised again.

use abi_stable::StableAbi;
use abi_stable::std_types::{RSlice, RStr};

/// One event, borrowed from the caller for the length of one call.
///
/// An empty string stands for an absent optional field.
#[repr(C)]
#[derive(Debug, Clone, Copy, StableAbi)]
pub struct EventV1<'a> {
    /// The event's UUID, in network byte order.
    pub event_id: [u8; 16],
    /// Dotted type, such as `outlook.mail.received`.
    pub event_type: RStr<'a>,
    /// The producer.
    pub source: RStr<'a>,
    /// Whole seconds since the Unix epoch of the event's own time.
    pub timestamp_secs: i64,
    /// Nanoseconds within that second, below 2,000,000,000 (leap seconds included).
    pub timestamp_nanos: u32,
    /// 0 low, 1 normal, 2 high, 3 critical.
    pub priority: u8,
    /// The contract's version, semver.
    pub contract_version: RStr<'a>,
    /// What this event belongs to, across events.
    pub correlation_id: RStr<'a>,
    /// UUID of the event that caused this one, in text.
    pub causation_id: RStr<'a>,
    /// The lane it is ordered in.
    pub partition_key: RStr<'a>,
    /// RFC 3339 instant after which the event is worthless.
    pub expires_at: RStr<'a>,
    /// W3C `traceparent`.
    pub traceparent: RStr<'a>,
    /// W3C `tracestate`.
    pub tracestate: RStr<'a>,
    /// The payload: one JSON object, UTF-8.
    pub payload: RSlice<'a, u8>,
}
