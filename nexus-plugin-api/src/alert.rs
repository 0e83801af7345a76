//! Alerts: what the hub says of itself when something is wrong with it. The hub publishes an event when alerts of a
//! rule begin, when somebody has taken notice, when nobody has for too long, and when all of them are over. Nobody
//! else can publish these.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::contract::Contract;

/// How bad it is.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Somebody should look at it.
    #[default]
    Warning,
    /// Somebody must look at it now.
    Critical,
}

impl Severity {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What there is to tell of alerts of one rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertNews {
    /// Which group it is: the same for everything that is told of it.
    pub group_id: Uuid,
    /// The rule that is, or was, broken.
    pub rule: String,
    /// How bad the worst of it is.
    pub severity: Severity,
    /// In one line.
    pub title: String,
    /// Each alert in a line.
    pub body: String,
    /// How many alerts this is about.
    pub count: usize,
    /// These alerts; the first 50.
    pub alerts: Vec<AlertOutline>,
    /// How often it was told with more emphasis since nobody took notice.
    pub level: u32,
    /// Who is told, by the names in the configuration.
    pub receivers: Vec<String>,
    /// Who has taken notice: a client's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What was said beside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertOutline {
    /// Which one it is.
    pub alert_id: Uuid,
    /// What it is about: a breaker, a plugin; empty for the hub as a whole.
    pub subject: String,
    /// How bad it is.
    pub severity: Severity,
    /// In a few words.
    pub summary: String,
    /// The value that is trouble, in the signal's unit.
    pub value: f64,
    /// Where trouble begins.
    pub threshold: f64,
    /// Since when.
    pub since: DateTime<Utc>,
}

macro_rules! news {
    ($(#[$doc:meta])* $name:ident, $type:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub AlertNews);

        impl Contract for $name {
            const TYPE: &'static str = $type;
            const VERSION: &'static str = "1.0.0";
        }
    };
}

news!(
    /// Something is wrong.
    AlertRaised,
    "nexus.alert.raised"
);
news!(
    /// Somebody has taken notice.
    AlertAcknowledged,
    "nexus.alert.acknowledged"
);
news!(
    /// Nobody has taken notice for too long.
    AlertEscalated,
    "nexus.alert.escalated"
);
news!(
    /// It is over.
    AlertResolved,
    "nexus.alert.resolved"
);
