//! Where a URL leads: receives its text, hands on scheme, host and port. It refuses what programs read in
//! different ways, rather than choose one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::Refused;

/// The longest URL that is read, in bytes.
const LONGEST_URL: usize = 8 * 1024;

/// How something is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scheme {
    /// `http`, port 80 unless another is named.
    Http,
    /// `https`, port 443 unless another is named.
    Https,
}

/// The place that an `http` or `https` URL leads to.
///
/// ```
/// use nexus_plugin_api::outgoing::Target;
///
/// let target: Target = "https://hooks.example.org/a?b".parse()?;
/// assert_eq!((target.host(), target.port()), ("hooks.example.org", 443));
/// # Ok::<(), nexus_plugin_api::outgoing::Refused>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    scheme: Scheme,
    host: String,
    port: u16,
}

/// A host, in its plain form.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Host {
    Address(IpAddr),
    Name(String),
}

impl Target {
    /// How it is asked.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host, in lower case; an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where a redirect from here leads.
    pub(super) fn follow(&self, location: &str) -> Result<Self, Refused> {
        let to = if let Some(rest) = location.strip_prefix("//") {
            Self::of_authority(self.scheme, authority(rest)?)?
        } else if has_scheme(location) {
            location.parse()?
        } else {
            plain(location)?;
            return Ok(self.clone());
        };
        match (self.scheme, to.scheme) {
            (Scheme::Https, Scheme::Http) => Err(Refused::Url("leads from https to http")),
            _ => Ok(to),
        }
    }

    fn of_authority(scheme: Scheme, authority: &str) -> Result<Self, Refused> {
        if authority.contains('@') {
            return Err(Refused::Url("holds a user name"));
        }
        // The colons within brackets are the address's own.
        let end = authority.find(']').map_or(0, |at| at + 1);
        let (host, port) = match authority[end..].find(':') {
            Some(at) => (&authority[..end + at], Some(&authority[end + at + 1..])),
            None => (authority, None),
        };
        Host::parse(host)?;
        let port = match (port, scheme) {
            (None | Some(""), Scheme::Http) => 80,
            (None | Some(""), Scheme::Https) => 443,
            (Some(digits), _) => {
                let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
                let port = digits.parse().ok().filter(|port| plain && *port > 0);
                port.ok_or(Refused::Url("has no port that is a number"))?
            }
        };
        Ok(Self {
            scheme,
            host: host.to_ascii_lowercase(),
            port,
        })
    }
}

impl FromStr for Target {
    type Err = Refused;

    fn from_str(text: &str) -> Result<Self, Refused> {
        plain(text)?;
        let (scheme, rest) = text
            .split_once("://")
            .ok_or(Refused::Url("has no scheme"))?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(Refused::Url("is neither http nor https")),
        };
        Self::of_authority(scheme, authority(rest)?)
    }
}

/// Whether a reference begins with a scheme and not with a path.
fn has_scheme(text: &str) -> bool {
    let end = text.find(['/', '?', '#']).unwrap_or(text.len());
    text[..end].contains(':')
}

fn authority(rest: &str) -> Result<&str, Refused> {
    plain(rest)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    Ok(&rest[..end])
}

/// Backslashes, spaces and control characters are read differently by everybody.
fn plain(text: &str) -> Result<(), Refused> {
    if text.len() > LONGEST_URL {
        return Err(Refused::Url("is too long"));
    }
    match text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
        true => Ok(()),
        false => Err(Refused::Url("holds characters that no URL has")),
    }
}

impl Host {
    /// Reads a host as it stands in a URL.
    pub(super) fn parse(host: &str) -> Result<Self, Refused> {
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        if let Some(bare) = bare {
            let address = bare.parse::<Ipv6Addr>();
            let address = address.map_err(|_| Refused::Host("is no IPv6 address"))?;
            return Ok(Self::Address(address.into()));
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(Self::Address(address));
        }
        let name = host.strip_suffix('.').unwrap_or(host);
        if name.is_empty() || name.len() > 253 {
            return Err(Refused::Host("is empty or too long"));
        }
        let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(letter);
        if !name.split('.').all(label) {
            return Err(Refused::Host(
                "is no host name; letters beyond ASCII are written in punycode",
            ));
        }
        if name.parse::<Ipv4Addr>().is_ok() || ends_in_number(name) {
            return Err(Refused::Host(
                "is a number, or an address in another form than four plain decimal ones",
            ));
        }
        Ok(Self::Name(name.to_ascii_lowercase()))
    }
}

/// Whether some program may take it for an IPv4 address: no name ends in a number.
fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last
        .strip_prefix("0x")
        .or_else(|| last.strip_prefix("0X"))
        .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    hexadecimal || last.bytes().all(|b| b.is_ascii_digit())
}
