//! Mail of Microsoft 365 as events, from the change notifications of Microsoft Graph.
//!
//! Receives webhooks at `/v1/hooks/outlook` and keeps the subscriptions behind them; hands on `outlook.mail.received`.
//! One way of data: `hook` checks who a notification is from and keeps it as `outlook.notification.received`; `fetch`
//! looks at the message behind it; beside them a `keeper` for each mailbox sees to its subscription and asks for
//! `delta`, what has changed, wherever something may have been lost. It never writes to a mailbox.
//!
//! - A message is one event however often and by whichever way it is told, until something of it changes that the
//!   event shows.
//! - What is acknowledged is kept; what is kept is fetched, or says why not.
//! - Where Microsoft cannot reach this hub (no `public_url`), mail is polled.
//!
//! ```toml
//! [plugins.outlook.config]
//! tenant = "84bd8158-6d4d-4958-8b9f-9d6445542f95"
//! client_id = "8e460676-ae3f-4b1e-8790-ee0fb5d6148f"
//! mailboxes = ["ada@example.org"]
//! public_url = "https://hub.example.org"
//!
//! [[plugins.outlook.config.rules]]
//! priority = "critical"
//! senders = ["@customer.example"]
//! subject_contains = ["outage"]
//!
//! [plugins.outlook.secrets]
//! client_secret = { env = "OUTLOOK_CLIENT_SECRET" }
//! ```

mod client_state;
mod config;
mod delta;
mod fetch;
mod graph;
mod hook;
mod keeper;
mod leftovers;
mod mail;
mod notification;
mod outlook;
mod publisher;
mod rules;
mod sealing;
mod signal;
mod standing;
mod subscription;
mod text;
mod watched;

pub use config::{Config, Watched};
pub use mail::{Importance, MailReceived};
pub use nexus_plugin_api::Period;
pub use notification::{Change, NotificationReceived, Sealed};
pub use outlook::Outlook;
pub use rules::Rule;

use nexus_plugin_api::export_plugin;

export_plugin! {
    id: "outlook",
    config: Config,
    contracts: [MailReceived, NotificationReceived],
    sources: [Outlook],
    processors: [Outlook],
    services: ["publish", "state", "secrets"],
    capabilities: ["network"],
}
