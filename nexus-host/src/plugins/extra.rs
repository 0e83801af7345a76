//! What a call tells beyond the fields of `CallV1`: a JSON object in its `extra`, of which whoever does not know a
//! member takes no notice.

use serde::Deserialize;

use crate::dispatch::port::Call;

/// See the module.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Extra {
    /// Whether the attempt before this one ended with the process that it ran in.
    pub(super) is_suspected: bool,
}

impl Extra {
    pub(super) fn of(call: Call<'_>) -> Self {
        Self {
            is_suspected: call.is_suspected,
        }
    }

    /// As it goes over the border: of most calls there is nothing to tell.
    pub(super) fn written(self) -> &'static [u8] {
        match self.is_suspected {
            true => br#"{"is_suspected":true}"#,
            false => b"",
        }
    }

    pub(super) fn read(bytes: &[u8]) -> Self {
        // The hub itself has written it: what is not there is not meant.
        serde_json::from_slice(bytes).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for is_suspected in [true, false] {
            let extra = Extra { is_suspected };
            assert_eq!(Extra::read(extra.written()), extra);
        }
    }
}
