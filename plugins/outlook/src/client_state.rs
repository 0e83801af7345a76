//! What a notification must show to be believed: one secret for each folder, made once and kept in the plugin's state.
//! Receives what a notification shows, hands on whose it is.
//!
//! It is made before Graph is told of it, so that not even the first notification comes too early.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use nexus_plugin_api::{PluginError, Services};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::watched::Folder;

/// See the module.
#[derive(Default)]
pub(crate) struct ClientStates {
    /// In the order of the folders.
    kept: OnceCell<Vec<String>>,
}

impl std::fmt::Debug for ClientStates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientStates(…)")
    }
}

impl ClientStates {
    /// Those of the folders, in their order.
    pub(crate) async fn of(
        &self,
        folders: &[Folder],
        services: &Services,
    ) -> Result<&[String], PluginError> {
        let kept = self.kept.get_or_try_init(|| async {
            let mut kept = Vec::with_capacity(folders.len());
            for folder in folders {
                kept.push(kept_or_made(folder, services).await?);
            }
            Ok::<_, PluginError>(kept)
        });
        Ok(kept.await?)
    }
}

/// Which of them is shown. How long it takes tells nothing of how far it was right.
pub(crate) fn position(states: &[String], shown: &str) -> Option<usize> {
    let mut found = None;
    for (at, state) in states.iter().enumerate() {
        if verify_slices_are_equal(state.as_bytes(), shown.as_bytes()).is_ok() {
            found = Some(at);
        }
    }
    found
}

async fn kept_or_made(folder: &Folder, services: &Services) -> Result<String, PluginError> {
    let key = folder.client_state_key();
    if let Some(kept) = services.state().get_json(&key).await? {
        return Ok(kept);
    }
    // Version 4 is 122 random bits.
    let made = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    services.state().put_json(&key, &made).await?;
    Ok(made)
}
