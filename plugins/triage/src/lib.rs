//! The agent loop: mail and files go to an agent, what the agent asks goes to people, and what they choose goes back.
//!
//! Receives `outlook.mail.received`, `dropbox.file.added` and `dropbox.file.changed`, and hands on runs for the
//! integration `langgraph`. A run that is interrupted becomes an approval, which the hub keeps until somebody answers or
//! its time is up; the answer resumes the run. How a run has ended is told by a toast. It keeps nothing itself: what one
//! step needs of the one before comes back with the event, so that a hub which dies in between goes on where it was.
//!
//! Everything in a mail or a file's name was written by somebody else. The agent is told so (`untrusted`), and no text of
//! it chooses what may be answered unless the agent's own graph says so.
//!
//! ```toml
//! [plugins.triage.config]
//! assistant = "triage"          # the graph or assistant that looks at it
//! mail = "normal"               # the lowest priority of mail: low | normal (default) | high | critical | off
//! files = "normal"              # likewise, of files
//! tell = true                   # show how runs have ended
//! ```

mod config;
mod question;
mod seen;
mod triage;

pub use config::{Config, Least};
pub use triage::Triage;

use nexus_plugin_api::export_plugin;

export_plugin! {
    id: "triage",
    config: Config,
    processors: [Triage],
}
