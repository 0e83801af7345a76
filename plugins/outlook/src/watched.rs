//! What is watched: receives the configuration, hands on one `Folder` for each mailbox, with the names that Graph has
//! for it and the keys under which the plugin's state keeps what belongs to it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use crate::config::{Config, Watched};
use crate::mail::NAMESPACE;

/// What stands for itself in a path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'@');

/// What the keys begin with under which something of a folder is kept.
pub(crate) const SUBSCRIPTIONS: &str = "subscription/";
const CLIENT_STATES: &str = "client_state/";
const PLACES: &str = "place/";

/// The other keys of the folder whose subscription is kept under this one.
pub(crate) fn beside(subscription_key: &str) -> [String; 2] {
    let folder = subscription_key.trim_start_matches(SUBSCRIPTIONS);
    [CLIENT_STATES, PLACES].map(|kind| format!("{kind}{folder}"))
}

/// One mailbox's folder.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    /// Whose mailbox, by the configuration's name for it.
    pub(crate) mailbox: String,
    /// Its messages, as subscriptions name them.
    pub(crate) resource: String,
    /// The changes, as subscriptions name them.
    pub(crate) change_type: String,
    /// The only kind of change that is asked for, if it is one.
    pub(crate) only: Option<&'static str>,
    key: String,
}

impl Folder {
    /// The folders of a configuration, each once.
    pub(crate) fn all(config: &Config) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for mailbox in &config.mailboxes {
            let folder = Self::of(config, mailbox);
            if all.iter().all(|known| known.key != folder.key) {
                all.push(folder);
            }
        }
        all
    }

    fn of(config: &Config, mailbox: &str) -> Self {
        let encoded = |text: &str| utf8_percent_encode(text, PATH).to_string();
        let owner = match mailbox {
            "me" => "me".to_owned(),
            user => format!("users/{}", encoded(user)),
        };
        let mut kinds: Vec<&'static str> = Vec::new();
        for kind in [Watched::Created, Watched::Updated] {
            if config.changes.contains(&kind) {
                kinds.push(kind.name());
            }
        }
        let resource = format!(
            "{owner}/mailFolders('{}')/messages",
            encoded(&config.folder)
        );
        let change_type = kinds.join(",");
        let same = format!("{}\n{resource}\n{change_type}", config.tenant);
        Self {
            mailbox: mailbox.to_owned(),
            only: (kinds.len() == 1).then(|| kinds[0]),
            key: Uuid::new_v5(&NAMESPACE, same.as_bytes())
                .simple()
                .to_string(),
            resource,
            change_type,
        }
    }

    /// Where its client state is kept: what a notification must show.
    pub(crate) fn client_state_key(&self) -> String {
        format!("{CLIENT_STATES}{}", self.key)
    }

    /// Where its subscription is kept.
    pub(crate) fn subscription_key(&self) -> String {
        format!("{SUBSCRIPTIONS}{}", self.key)
    }

    /// Where its place among the changes is kept.
    pub(crate) fn place_key(&self) -> String {
        format!("{PLACES}{}", self.key)
    }
}
