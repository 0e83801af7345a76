//! Files that come, change, move and go in Dropbox, as events.
//!
//! Receives Dropbox's webhooks at `/v1/hooks/dropbox`, or waits on its long poll where no webhook can arrive; both say
//! only that something has changed in an account. What has changed is asked for then, and hands on the events
//! `dropbox.file.added`, `dropbox.file.changed`, `dropbox.file.moved` and `dropbox.file.deleted`. It never reads what
//! is in a file, and never changes one.
//!
//! - A webhook is answered once `dropbox.account.changed` is queued; the processor `listing` lists the account behind
//!   it. Where the listing stands is kept with the events that it leads to, so that nothing is lost or told twice,
//!   whatever dies in between.
//! - One account is listed by one call at a time. A failure that may pass is waited out, as long as Dropbox asks.
//! - Every quarter of an hour each account is listed without a webhook, for those that were lost.
//!
//! ```toml
//! [plugins.dropbox.config]
//! path = "/Invoices"              # default: everything
//!
//! [plugins.dropbox.secrets]
//! app_key = { env = "DROPBOX_APP_KEY" }
//! app_secret = { env = "DROPBOX_APP_SECRET" }
//! refresh_token = { env = "DROPBOX_REFRESH_TOKEN" }
//! ```

mod api;
mod config;
mod contracts;
mod follower;
mod hook;
mod known;
mod listing;
mod patience;
mod record;
mod standing;
mod tokens;
mod watch;
mod wire;

pub use config::{Account, Config, Mode};
pub use contracts::{AccountChanged, File, FileAdded, FileChanged, FileDeleted, FileMoved};
pub use follower::Follower;

use nexus_plugin_api::export_plugin;

export_plugin! {
    id: "dropbox",
    config: Config,
    contracts: [AccountChanged, FileAdded, FileChanged, FileDeleted, FileMoved],
    sources: [Follower],
    processors: [Follower],
    services: ["publish", "state", "secrets"],
    capabilities: ["network"],
}
