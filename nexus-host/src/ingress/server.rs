//! The servers of a hub: receives its settings, binds their addresses, and serves HTTP and gRPC there
//! until it is told to stop. It answers no request itself.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;

use super::accept::{Answer, Behind, BindError, Listener, Open, Served};
use super::config::{Config, Grpc};
use super::ports::Ports;
use super::tls::{Tls, TlsError};
use super::{grpc, http};

/// Where gRPC is served when nobody says otherwise.
const GRPC: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7071);

/// The servers, bound to their addresses. Connections wait in the kernel until they serve.
pub struct Server {
    config: Config,
    http: Listener,
    grpc: Option<Listener>,
    tls: Option<Arc<Tls>>,
}

/// How many connections are open, by listener.
#[derive(Debug, Clone)]
pub struct Doors {
    http: Open,
    grpc: Option<Open>,
}

/// Why the servers cannot serve. Reads after "failed to".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// An address.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Server {
    /// Binds to the configured addresses.
    ///
    /// # Errors
    /// When one is in use or the system refuses it, or the certificate cannot be used.
    pub async fn bind(config: &Config) -> Result<Self, ServerError> {
        let tls = config.tls.as_ref().map(Tls::load).transpose()?;
        Ok(Self {
            config: config.clone(),
            http: Listener::bind(config.http, "server.http").await?,
            grpc: bind_grpc(config.grpc).await?,
            tls: tls.map(Arc::new),
        })
    }

    /// Where it listens for HTTP; with the real port where any free one was asked for.
    pub fn http_addr(&self) -> SocketAddr {
        self.http.local_addr()
    }

    /// Where it listens for gRPC, if it does.
    pub fn grpc_addr(&self) -> Option<SocketAddr> {
        self.grpc.as_ref().map(Listener::local_addr)
    }

    /// How many connections are open, from now on.
    pub fn doors(&self) -> Doors {
        Doors {
            http: self.http.open().clone(),
            grpc: self.grpc.as_ref().map(|grpc| grpc.open().clone()),
        }
    }

    /// Whether connections are encrypted.
    pub fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Serves until `stop` is ready. Its value is the time that the requests under way may still
    /// take; nothing new is accepted from then on, and idle connections are closed at once.
    pub async fn serve(self, ports: Ports, stop: impl Future<Output = Duration> + Send) -> Served {
        let Self {
            config,
            http,
            grpc,
            tls,
        } = self;
        let (tell, stopping) = watch::channel(false);
        let stop = stop.shared();
        let intake = ports.intake.clone();
        let behind = |answer: Answer| {
            let (tls, intake) = (tls.clone(), intake.clone());
            Behind {
                answer,
                tls,
                refused: Arc::new(move |peer, detail| {
                    intake.admission().refuse_certificate(peer, detail);
                }),
            }
        };
        let behind_grpc = behind(grpc::answers(ports.clone(), &config, stopping.clone()));
        let behind_http = behind(http::answers(ports, &config, stopping));
        let http = http.serve(&config, behind_http, stop.clone(), &tell);
        let grpc = async {
            match grpc {
                None => Served { cut: 0 },
                Some(grpc) => grpc.serve(&config, behind_grpc, stop, &tell).await,
            }
        };
        let watch = async {
            match &tls {
                Some(tls) => tls.clone().watch().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            (http, grpc) = async { tokio::join!(http, grpc) } => Served { cut: http.cut + grpc.cut },
            () = watch => Served { cut: 0 },
        }
    }
}

impl Doors {
    /// Each listener, and its open connections.
    pub fn open(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let grpc = self.grpc.iter().map(|open| ("grpc", open.count()));
        std::iter::once(("http", self.http.count())).chain(grpc)
    }
}

/// Whoever has not asked for the usual address has a hub without gRPC when it is taken: a second hub
/// on a machine needs no setting that the first one does not need.
async fn bind_grpc(wanted: Option<Grpc>) -> Result<Option<Listener>, BindError> {
    match wanted {
        Some(Grpc::Off) => Ok(None),
        Some(Grpc::At(address)) => Listener::bind(address, "server.grpc").await.map(Some),
        None => match Listener::bind(GRPC, "server.grpc").await {
            Ok(listener) => Ok(Some(listener)),
            Err(BindError::InUse { address, .. }) => {
                tracing::warn!(%address, "gRPC is not served: the address is in use; choose another one with server.grpc");
                Ok(None)
            }
            Err(error) => Err(error),
        },
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("http", &self.http)
            .field("grpc", &self.grpc)
            .finish_non_exhaustive()
    }
}
