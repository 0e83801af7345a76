//! Where the hub, and programs that embed it, may connect to when somebody else chose the address: receives
//! the operator's exceptions, hands on a [`Guard`]. It opens no connection.
//!
//! Plugins find the same guard in `nexus_plugin_api::outgoing`, with exceptions of their own: what a plugin
//! talks to is in its own settings, and whoever wrote those has chosen it.
//!
//! ```
//! use nexus_host::Config;
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::from_toml_str("[outgoing]\nallow = [\"192.168.7.0/24\"]")?;
//! let guard = config.outgoing.guard();
//! assert!(guard.resolve("192.168.7.20", 443).await.is_ok());
//! assert!(guard.resolve("169.254.169.254", 80).await.is_err(), "a cloud's metadata");
//! # Ok(()) }
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use nexus_plugin_api::outgoing::{Guard, Network, Refused, Scheme, Target};

use crate::config::InvalidValue;

/// Where connections may lead whose address somebody else chose.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Ranges of addresses that are connected to although they are not of the public internet, such as
    /// "127.0.0.0/8" or "192.168.7.20". Default none.
    pub allow: Vec<Network>,
}

impl Config {
    /// The guard with these exceptions.
    pub fn guard(&self) -> Guard {
        Guard::new(&self.allow)
    }
}

/// Whether a text is a range of addresses.
pub(crate) fn check_network(text: &str) -> Result<(), InvalidValue> {
    text.parse::<Network>().map(drop).map_err(|_| {
        InvalidValue(
            "is not a range of addresses; write one such as \"10.0.0.0/8\", with no bits set beyond its length",
        )
    })
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn a_mistyped_range_is_told_with_its_place() {
        let told = Config::from_toml_str("[outgoing]\nallow = [\"10.0.0.1/8\"]").unwrap_err();
        let told = told.to_string();
        assert!(
            told.starts_with("config:2: outgoing.allow[0]: \"10.0.0.1/8\" is not"),
            "{told}"
        );
        let told = Config::from_toml_str("[outgoing]\nalow = []").unwrap_err();
        assert!(told.to_string().contains("did you mean `allow`?"), "{told}");
    }
}
