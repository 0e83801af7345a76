//! Where code may connect to when somebody else chose the address: receives a host name or a URL, hands on
//! addresses that were checked, to connect to as they are. It opens no connection, and never looks a name
//! up twice: the second answer might be another.
//!
//! A callback address in a request, a link in a mail, a redirect: whoever chooses it could point it at the
//! machine itself, at its neighbours, or at the cloud's metadata. A [`Guard`] lets only addresses of the
//! public internet through, and those that its owner allows.
//!
//! ```
//! use nexus_plugin_api::outgoing::{Guard, Refused};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let guard = Guard::new(&["192.168.7.0/24".parse()?]);
//! assert!(guard.resolve("192.168.7.20", 8080).await.is_ok(), "allowed");
//! for host in ["127.0.0.1", "169.254.169.254", "[::ffff:10.0.0.1]", "0x7f.1"] {
//!     assert!(guard.resolve(host, 80).await.is_err(), "{host}");
//! }
//! let addresses = guard.resolve("93.184.215.14", 443).await?;
//! // Connect to these, and to nothing that the name may mean later. With reqwest:
//! // `Client::builder().resolve_to_addrs(host, &addresses).redirect(Policy::none())`
//! assert_eq!(addresses[0].port(), 443);
//! # Ok(()) }
//! ```

mod address;
#[cfg(feature = "client")]
mod client;
mod network;
mod target;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

#[cfg(feature = "client")]
pub use client::{Access, Answer, Client, Method, RequestBuilder, Response, Url};
pub use network::{InvalidNetwork, Network};
pub use target::{Scheme, Target};

use crate::PluginError;
use target::Host;

/// How long looking a name up may take.
const LOOKUP: Duration = Duration::from_secs(5);

/// How many addresses of one name are used.
const MOST_ADDRESSES: usize = 16;

/// Decides which addresses may be connected to.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allow: Vec<Network>,
}

/// Why something is not connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// Not a host name or address in its plain form; says what is wrong with it.
    Host(&'static str),
    /// Not a URL that may be followed; says what is wrong with it.
    Url(&'static str),
    /// An address that is not of the public internet.
    Address {
        /// The address.
        address: IpAddr,
        /// What it is, such as "a loopback address".
        kind: &'static str,
    },
    /// The name is not known, or was not found in time. It may be later.
    Lookup(String),
}

impl Guard {
    /// A guard that lets public addresses through, and those in `allow` whatever they are.
    pub fn new(allow: &[Network]) -> Self {
        Self {
            allow: allow.to_vec(),
        }
    }

    /// Whether an address may be connected to.
    ///
    /// # Errors
    /// [`Refused::Address`], with what it is.
    pub fn check(&self, address: IpAddr) -> Result<(), Refused> {
        let plain = address::plain(address);
        if self.allow.iter().any(|network| network.contains(plain)) {
            return Ok(());
        }
        match address::not_public(address) {
            None => Ok(()),
            Some(kind) => Err(Refused::Address { address, kind }),
        }
    }

    /// The addresses behind a host name, or the address that it is. Connect to these: asking for the name
    /// again may give others. Must be called within a tokio runtime; takes at most five seconds.
    ///
    /// # Errors
    /// When it is no host, is not found, or any of its addresses is refused: a name that means both a
    /// public and an inner address is not to be trusted at all.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Refused> {
        self.resolve_by(host, port, look_up).await
    }

    /// Where a redirect leads, with its addresses, which are checked as the first ones were.
    ///
    /// # Errors
    /// As [`Guard::resolve`]; and when it leads from `https` to `http`, or to something that is neither.
    pub async fn check_redirect(
        &self,
        from: &Target,
        location: &str,
    ) -> Result<(Target, Vec<SocketAddr>), Refused> {
        let to = from.follow(location)?;
        let addresses = self.resolve(to.host(), to.port()).await?;
        Ok((to, addresses))
    }

    async fn resolve_by<L, F>(
        &self,
        host: &str,
        port: u16,
        look_up: L,
    ) -> Result<Vec<SocketAddr>, Refused>
    where
        L: FnOnce(String, u16) -> F,
        F: Future<Output = Result<Vec<SocketAddr>, Refused>>,
    {
        let name = match Host::parse(host)? {
            Host::Address(address) => {
                self.check(address)?;
                return Ok(vec![SocketAddr::new(address, port)]);
            }
            Host::Name(name) => name,
        };
        let mut found = look_up(name, port).await?;
        if found.is_empty() {
            return Err(Refused::Lookup("the name has no address".to_owned()));
        }
        for address in &found {
            self.check(address.ip())?;
        }
        found.truncate(MOST_ADDRESSES);
        Ok(found)
    }
}

async fn look_up(host: String, port: u16) -> Result<Vec<SocketAddr>, Refused> {
    let asked = tokio::task::spawn_blocking(move || -> io::Result<Vec<SocketAddr>> {
        Ok((host, port).to_socket_addrs()?.collect())
    });
    match tokio::time::timeout(LOOKUP, asked).await {
        Ok(Ok(Ok(found))) => Ok(found),
        Ok(Ok(Err(error))) => Err(Refused::Lookup(error.to_string())),
        Ok(Err(_)) => Err(Refused::Lookup("the lookup was given up".to_owned())),
        Err(_) => Err(Refused::Lookup("the lookup took too long".to_owned())),
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(wrong) => write!(f, "the host {wrong}"),
            Self::Url(wrong) => write!(f, "the URL {wrong}"),
            Self::Address { address, kind } => {
                write!(f, "{address} is {kind}, which is not connected to")
            }
            Self::Lookup(reason) => write!(f, "the host was not found: {reason}"),
        }
    }
}

impl std::error::Error for Refused {}

impl Refused {
    /// As a plugin answers it: `not_allowed`, for good, or `lookup_failed`, to be tried again.
    pub fn into_plugin_error(self) -> PluginError {
        match self {
            Self::Lookup(_) => PluginError::retryable("lookup_failed", &self),
            _ => PluginError::permanent("not_allowed", &self),
        }
    }
}

#[cfg(test)]
mod tests;
