//! Sizes in bytes as a person writes them: receives "1MiB" or 1048576, hands on a number of bytes.
//! It never rounds an overflow down to something that fits.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use super::InvalidValue;

/// The largest size a setting may have: 1 TiB.
const LARGEST: u64 = 1 << 40;

/// A number of bytes, written as `"1MiB"`, `"64KiB"`, `"1000"` or plainly `1000`; at most 1 TiB.
///
/// ```
/// use nexus_host::config::ByteSize;
///
/// let size: ByteSize = "64KiB".parse()?;
/// assert_eq!(size.bytes(), 65_536);
/// # Ok::<(), nexus_host::config::InvalidValue>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// So many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many kibibytes (1024 bytes).
    pub const fn from_kib(kib: u64) -> Self {
        Self(kib << 10)
    }

    /// So many mebibytes (1024 KiB).
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib << 20)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes as a length; the largest length where it does not fit.
    pub fn as_len(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    fn bounded(bytes: u64) -> Result<Self, InvalidValue> {
        if bytes > LARGEST {
            return Err(InvalidValue("is too large a size; at most 1TiB"));
        }
        Ok(Self(bytes))
    }
}

impl FromStr for ByteSize {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        // Overflow saturates there, so it is refused by the bound here.
        match text.trim().parse::<bytesize::ByteSize>() {
            Ok(size) => Self::bounded(size.as_u64()),
            Err(_) => Err(InvalidValue(
                "is not a size; write a number of bytes, or a text such as \"64KiB\" or \"1MiB\"",
            )),
        }
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
        let exact = units
            .iter()
            .find(|(_, bits)| self.0 > 0 && self.0.trailing_zeros() >= *bits);
        match exact {
            Some((unit, bits)) => write!(f, "{}{unit}", self.0 >> bits),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size")
            }

            fn visit_u64<E: serde::de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                ByteSize::bounded(bytes).map_err(E::custom)
            }

            fn visit_i64<E: serde::de::Error>(self, bytes: i64) -> Result<ByteSize, E> {
                let bytes = u64::try_from(bytes).map_err(|_| E::custom("is negative"))?;
                self.visit_u64(bytes)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "minimum": 0,
            "maximum": LARGEST,
            "format": "nexus-size",
            "examples": ["1MiB", "64KiB", 1000],
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_people_write() {
        let bytes = |text: &str| text.parse::<ByteSize>().map(ByteSize::bytes);
        assert_eq!(bytes("1MiB"), Ok(1 << 20));
        assert_eq!(bytes("64KiB"), Ok(64 << 10));
        assert_eq!(bytes("1.5 MiB"), Ok(3 << 19));
        assert_eq!(bytes("1000"), Ok(1000));
        assert_eq!(bytes("1kB"), Ok(1000));
        assert_eq!(bytes("0"), Ok(0));
        assert_eq!(bytes("1TiB"), Ok(LARGEST));
        assert_eq!(serde_json::from_str::<ByteSize>("7").unwrap().bytes(), 7);
    }

    #[test]
    fn refuses_the_rest() {
        for bad in [
            "", "MiB", "-1", "1 apple", "1e3", "inf", "NaN", "1MiB2", "1025GiB",
        ] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad:?}");
        }
        assert!("99999999999999999999EiB".parse::<ByteSize>().is_err());
        assert!("18446744073709551617".parse::<ByteSize>().is_err());
        assert!(serde_json::from_str::<ByteSize>("-1").is_err());
        assert!(serde_json::from_str::<ByteSize>("1.5").is_err());
        assert!(serde_json::from_str::<ByteSize>("18446744073709551615").is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(bytes in 0..=LARGEST) {
            let size = ByteSize(bytes);
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,20}") {
            let _ = text.parse::<ByteSize>();
        }
    }
}
