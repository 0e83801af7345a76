//! What a call answers: bytes, or a coded error.

use abi_stable::StableAbi;
use abi_stable::std_types::{RResult, RString, RVec};

/// The bytes of a successful answer. Their meaning belongs to the operation.
#[repr(C)]
#[derive(Debug, Clone, Default, StableAbi)]
pub struct AnswerV1 {
    /// Structured part, JSON; empty when the operation has nothing to say.
    pub head: RVec<u8>,
    /// Raw part, carried as it is.
    pub body: RVec<u8>,
}

/// A failure, as code, message and what the caller may do about it.
#[repr(C)]
#[derive(Debug, Clone, StableAbi)]
pub struct ErrorV1 {
    /// Stable, `snake_case`; see [`codes`] for those that the border itself makes.
    pub code: RString,
    /// For people; never holds a secret.
    pub message: RString,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// Earliest useful retry, in milliseconds from now; 0 when unknown.
    pub retry_after_ms: u64,
}

impl ErrorV1 {
    /// An error that trying again will not mend.
    pub fn permanent(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into().into(),
            retryable: false,
            retry_after_ms: 0,
        }
    }
}

/// An answer or an error.
pub type ReplyV1 = RResult<AnswerV1, ErrorV1>;

/// Error codes made by the border itself.
pub mod codes {
    /// The plugin's code panicked; the component is poisoned until it is rebuilt.
    pub const PANICKED: &str = "panicked";
    /// The other side does not know the operation.
    pub const UNSUPPORTED: &str = "unsupported";
    /// The bytes of a request do not decode.
    pub const MALFORMED: &str = "malformed";
    /// No component has that number, or it is of another kind.
    pub const NO_COMPONENT: &str = "no_component";
    /// The component is poisoned by an earlier panic and not rebuilt yet.
    pub const POISONED: &str = "poisoned";
}
