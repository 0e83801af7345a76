//! Names of hosts, looked up through the guard for whoever connects: receives a name, hands on addresses that were
//! checked.

use std::error::Error;
use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::super::{Guard, Refused};

/// See the module.
pub(super) struct Names {
    guard: Guard,
}

impl Names {
    pub(super) fn of(guard: Guard) -> Self {
        Self { guard }
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.guard.clone();
        Box::pin(async move {
            // The port is put in by whoever connects.
            let found: Vec<SocketAddr> = guard.resolve(name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// The guard's refusal within an error of the client, if that is what it is.
pub(super) fn refusal(error: &reqwest::Error) -> Option<&Refused> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref() {
            return Some(refused);
        }
        cause = error.source();
    }
    None
}
