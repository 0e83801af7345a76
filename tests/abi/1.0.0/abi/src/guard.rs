//! The panic guard round every entry into a plugin.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::reply::{ErrorV1, codes};

/// Runs `work`, turning a panic into an error with code [`codes::PANICKED`].
///
/// # Errors
/// The panic, with its message. State that `work` borrowed may be half changed: the caller treats
/// the component as poisoned.
pub fn guard<T>(work: impl FnOnce() -> T) -> Result<T, ErrorV1> {
    catch_unwind(AssertUnwindSafe(work)).map_err(panicked)
}

/// Describes a caught panic. Dropping the payload may itself panic, which is swallowed too.
pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> ErrorV1 {
    let message = if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic whose payload is not text".to_owned()
    };
    if let Err(second) = catch_unwind(AssertUnwindSafe(move || drop(payload))) {
        // It may panic in turn: better lost than that.
        std::mem::forget(second);
    }
    ErrorV1 {
        code: codes::PANICKED.into(),
        message: message.into(),
        retryable: true,
        retry_after_ms: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct DropsBadly;
    impl Drop for DropsBadly {
        fn drop(&mut self) {
            panic!("in drop of the payload");
        }
    }

    #[test]
    fn a_panic_becomes_an_error_with_its_message() {
        let error = guard(|| panic!("spilt {}", 3)).expect_err("must be caught");
        assert_eq!(error.code.as_str(), codes::PANICKED);
        assert_eq!(error.message.as_str(), "spilt 3");
    }

    #[test]
    fn a_payload_that_panics_in_drop_is_survived() {
        let error = guard(|| std::panic::panic_any(DropsBadly)).expect_err("must be caught");
        assert_eq!(error.code.as_str(), codes::PANICKED);
    }
}
