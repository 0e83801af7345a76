//! No display: receives toasts and shows nothing. The journal and the events still tell of them.

use super::{Abilities, Display, DisplayError};
use crate::toast::{Toast, ToastId};

/// Shows nothing and never reports an answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDisplay;

#[tonic::async_trait]
impl Display for NoDisplay {
    fn abilities(&self) -> Abilities {
        Abilities {
            update_in_place: true,
            ..Abilities::default()
        }
    }

    async fn show(&self, _: &Toast, _: Option<&ToastId>) -> Result<(), DisplayError> {
        Ok(())
    }

    async fn hide(&self, _: &ToastId) {}
}
