//! Who is at the other end, as the socket knows it: handed on with each request of a connection, in
//! its extensions. It says nothing about which client that is.

use std::net::SocketAddr;
use std::sync::Arc;

/// The address of the other end.
#[derive(Debug, Clone, Copy)]
pub(in crate::ingress) struct PeerAddress(pub(in crate::ingress) SocketAddr);

/// The certificate (DER) of the other end, whose chain TLS has verified when the connection began.
#[derive(Clone)]
pub(in crate::ingress) struct PeerCertificate(pub(in crate::ingress) Arc<[u8]>);
