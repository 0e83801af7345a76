//! The event: what a producer pushes, a processor receives and an effect emits.
//!
//! Receives nothing; hands on plain data. It never talks to the host.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use semver::Version;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::contract::Contract;

/// How urgent an event is. Higher ones are taken first, yet the lowest is never starved.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Can wait.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Before the ordinary.
    High,
    /// Before everything.
    Critical,
}

impl Priority {
    /// Every priority, lowest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Critical];

    /// The lower-case name, as JSON holds it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl std::fmt::Display for Priority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One event. `T` is the payload's type; [`RawJson`] where nobody has parsed it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event<T = RawJson> {
    /// Identifies the event at its source; version 7 when Nexus makes it.
    #[serde(default = "Uuid::now_v7")]
    pub event_id: Uuid,
    /// Dotted type, such as `outlook.mail.received`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The producer.
    pub source: String,
    /// When it happened, by the producer's clock.
    #[serde(default = "Utc::now")]
    pub timestamp: DateTime<Utc>,
    /// How urgent it is.
    #[serde(default)]
    pub priority: Priority,
    /// What it belongs to, across events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// Version of the payload's contract; the newest known one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract_version: Option<Version>,
    /// The event that caused this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<Uuid>,
    /// The lane it is ordered in; the source when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_key: Option<String>,
    /// After this instant the event is worthless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// W3C trace context of the producer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// W3C vendor trace state, passed on unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<String>,
    /// What happened: a JSON object that fits the type's contract.
    pub payload: T,
}

impl<T> Event<T> {
    /// An event that happens now, with a fresh id.
    pub fn new(event_type: impl Into<String>, source: impl Into<String>, payload: T) -> Self {
        Self {
            event_id: Uuid::now_v7(),
            event_type: event_type.into(),
            source: source.into(),
            timestamp: Utc::now(),
            priority: Priority::Normal,
            correlation_id: None,
            contract_version: None,
            causation_id: None,
            partition_key: None,
            expires_at: None,
            traceparent: None,
            tracestate: None,
            payload,
        }
    }

    /// The same event with another payload.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Event<U> {
        Event {
            event_id: self.event_id,
            event_type: self.event_type,
            source: self.source,
            timestamp: self.timestamp,
            priority: self.priority,
            correlation_id: self.correlation_id,
            contract_version: self.contract_version,
            causation_id: self.causation_id,
            partition_key: self.partition_key,
            expires_at: self.expires_at,
            traceparent: self.traceparent,
            tracestate: self.tracestate,
            payload: change(self.payload),
        }
    }

    /// Sets the priority.
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Sets what the event belongs to.
    pub fn with_correlation(mut self, correlation_id: impl Into<String>) -> Self {
        self.correlation_id = Some(correlation_id.into());
        self
    }

    /// Sets the lane.
    pub fn with_partition_key(mut self, key: impl Into<String>) -> Self {
        self.partition_key = Some(key.into());
        self
    }
}

impl<T: Contract> Event<T> {
    /// An event of the payload's own contract, type and version included.
    ///
    /// # Panics
    /// When [`Contract::VERSION`] is not semver, which `export_plugin!` refuses to compile.
    pub fn of(source: impl Into<String>, payload: T) -> Self {
        let version = Version::parse(T::VERSION).expect("a contract's version is semver");
        Self {
            contract_version: Some(version),
            ..Self::new(T::TYPE, source, payload)
        }
    }
}

impl<T: Serialize> Event<T> {
    /// The event with its payload as JSON text.
    ///
    /// # Errors
    /// When the payload does not serialise, such as a map whose keys are not strings.
    pub fn into_raw(self) -> Result<Event, serde_json::Error> {
        let payload = RawJson::of(&self.payload)?;
        Ok(self.map(|_| payload))
    }
}

/// JSON text that has been checked once and is carried as bytes from then on.
///
/// Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct RawJson(Bytes);

impl RawJson {
    /// Checks that `bytes` hold one JSON value.
    ///
    /// # Errors
    /// The first place where they do not.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, serde_json::Error> {
        let bytes = bytes.into();
        serde_json::from_slice::<&RawValue>(&bytes)?;
        Ok(Self(bytes))
    }

    /// Takes bytes that a parser has already accepted as one JSON value.
    ///
    /// Bytes that are not JSON make later serialisation fail; nothing worse.
    pub fn from_checked(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// The JSON text of a value.
    ///
    /// # Errors
    /// When the value does not serialise.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        Ok(Self(serde_json::to_vec(value)?.into()))
    }

    /// The bytes, shared.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The bytes, in place.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// Parses the text.
    ///
    /// # Errors
    /// Where it does not fit `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.0)
    }
}

impl std::fmt::Debug for RawJson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RawJson({} bytes)", self.0.len())
    }
}

impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_slice::<&RawValue>(&self.0)
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(Box::<str>::from(raw).into_boxed_bytes().into()))
    }
}

/// An event to be made: by an effect, or by [`crate::Services::publish`].
///
/// What is left out is filled in by the host: the id (derived from the effect, so that a repeated
/// effect makes the same event), the time, the source (the plugin's id), and correlation and
/// causation (from the event being processed).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewEvent {
    /// Dotted type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The payload.
    pub payload: RawJson,
    /// Id, when the maker knows a better one than a derived one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<Uuid>,
    /// Producer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<DateTime<Utc>>,
    /// How urgent it is.
    #[serde(default)]
    pub priority: Priority,
    /// Version of the payload's contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract_version: Option<Version>,
    /// What it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// What caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<Uuid>,
    /// Lane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_key: Option<String>,
    /// After this instant it is worthless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// W3C trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

impl NewEvent {
    /// An event of any type.
    ///
    /// # Errors
    /// When the payload does not serialise.
    pub fn new<T: Serialize + ?Sized>(
        event_type: impl Into<String>,
        payload: &T,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self {
            event_type: event_type.into(),
            payload: RawJson::of(payload)?,
            event_id: None,
            source: None,
            timestamp: None,
            priority: Priority::Normal,
            contract_version: None,
            correlation_id: None,
            causation_id: None,
            partition_key: None,
            expires_at: None,
            traceparent: None,
        })
    }

    /// An event of the payload's own contract.
    ///
    /// # Errors
    /// When the payload does not serialise.
    pub fn of<T: Contract>(payload: &T) -> Result<Self, serde_json::Error> {
        let mut event = Self::new(T::TYPE, payload)?;
        event.contract_version = Version::parse(T::VERSION).ok();
        Ok(event)
    }

    /// Sets the priority.
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Sets what the event belongs to.
    pub fn with_correlation(mut self, correlation_id: impl Into<String>) -> Self {
        self.correlation_id = Some(correlation_id.into());
        self
    }

    /// Sets the id.
    pub fn with_id(mut self, event_id: Uuid) -> Self {
        self.event_id = Some(event_id);
        self
    }
}
