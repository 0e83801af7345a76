//! Ranges of addresses, as a person writes them: receives `10.0.0.0/8`, answers whether an address lies
//! within. It never guesses what a range with bits beyond its length should mean.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

/// A range of addresses, such as `192.168.7.0/24` or `fd00::/8`; a single address without a length.
///
/// ```
/// use nexus_plugin_api::outgoing::Network;
///
/// let office: Network = "192.168.7.0/24".parse()?;
/// assert!(office.contains("192.168.7.20".parse()?));
/// assert!("192.168.7.1/24".parse::<Network>().is_err(), "bits beyond the length");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    first: IpAddr,
    length: u8,
}

/// The text is not a range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidNetwork;

impl Network {
    /// Whether the address lies within. An IPv4 address is never within a range of IPv6 ones.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let differs = first.to_bits() ^ address.to_bits();
                u32::from(self.length) <= differs.leading_zeros()
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let differs = first.to_bits() ^ address.to_bits();
                u32::from(self.length) <= differs.leading_zeros()
            }
            _ => false,
        }
    }

    fn has_stray_bits(&self) -> bool {
        let set = match self.first {
            IpAddr::V4(first) => 32 - first.to_bits().trailing_zeros().min(32),
            IpAddr::V6(first) => 128 - first.to_bits().trailing_zeros().min(128),
        };
        set > u32::from(self.length)
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let longest = if first.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => longest,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| InvalidNetwork)?
            }
            Some(_) => return Err(InvalidNetwork),
        };
        let network = Self { first, length };
        match length <= longest && !network.has_stray_bits() {
            true => Ok(network),
            false => Err(InvalidNetwork),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.length)
    }
}

impl fmt::Display for InvalidNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "is not a range of addresses; write one such as \"10.0.0.0/8\", with no bits set beyond \
             its length",
        )
    }
}

impl std::error::Error for InvalidNetwork {}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Network {
    fn schema_name() -> Cow<'static, str> {
        "Network".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "nexus-network",
            "examples": ["127.0.0.0/8", "192.168.7.20"],
        })
    }
}
