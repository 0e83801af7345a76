//! Notifications captured by Parrot: the urgent ones become toasts, the rest is recorded.
//!
//! Receives `parrot.notification.captured`, hands on requests to show a toast, and never talks to
//! a desktop itself: what it decides is data, which the integration named in the configuration
//! (`toasty`) carries out. It needs no configuration; then `high` and `critical` notifications are
//! shown. Parrot sees a notification again each time it polls, so a toast is named after the
//! notification it shows: a repeat takes the first one's place instead of stacking beside it.
//!
//! ```toml
//! [plugins.parrot.config]
//! min_priority = "critical"     # low | normal | high (default) | critical | off
//! always = ["Teams"]            # shown whatever the priority
//! never = ["Candy Crush"]       # never shown
//! ```

mod captured;
mod config;
mod toast;
mod triage;

pub use captured::Captured;
pub use config::{Config, MinPriority};
pub use triage::Triage;

use nexus_plugin_api::export_plugin;

export_plugin! {
    id: "parrot",
    config: Config,
    contracts: [Captured],
    processors: [Triage],
}
