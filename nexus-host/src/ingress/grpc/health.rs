//! `grpc.health.v1`: tells anybody whether the hub serves, which it does until it stops. Whoever
//! watches and is not known is let go after a while, so that his place is free again.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use nexus_proto::nexus::v1::hub_server::HubServer;
use tokio::sync::watch;
use tokio::time::sleep;
use tonic::server::NamedService;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_server};

use super::{Answers, HubService};
use crate::admission::ClientScope;

/// What can be asked for: the whole server, and the one service.
const SERVICES: [&str; 2] = ["", <HubServer<HubService> as NamedService>::NAME];

/// See the module.
pub(super) struct Health {
    pub(super) idle_timeout: Duration,
    pub(super) stopping: watch::Receiver<bool>,
}

impl Health {
    fn status(&self, service: &str) -> ServingStatus {
        match SERVICES.contains(&service) {
            true if *self.stopping.borrow() => ServingStatus::NotServing,
            true => ServingStatus::Serving,
            false => ServingStatus::ServiceUnknown,
        }
    }
}

#[tonic::async_trait]
impl health_server::Health for Health {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match self.status(&request.get_ref().service) {
            ServingStatus::ServiceUnknown => Err(Status::not_found("there is no such service")),
            status => Ok(Response::new(told(status))),
        }
    }

    type WatchStream = Answers<HealthCheckResponse>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let client = request.extensions().get::<Arc<ClientScope>>().cloned();
        let status = self.status(&request.get_ref().service);
        let idle_timeout = self.idle_timeout;
        let mut stopping = self.stopping.clone();
        let last = async move {
            tokio::select! {
                biased;
                _ = stopping.wait_for(|stopping| *stopping) => {
                    let has_changed = status == ServingStatus::Serving;
                    has_changed.then(|| Ok(told(ServingStatus::NotServing)))
                }
                () = unknown(client, idle_timeout) => Some(Err(Status::unavailable(
                    "who shows no good key may watch for server.idle_timeout; watch again, or with a key",
                ))),
            }
        };
        let first = stream::once(ready(Ok(told(status))));
        let answers = first.chain(stream::once(last).filter_map(ready));
        Ok(Response::new(Box::pin(answers)))
    }
}

/// Ready after so long, or a multiple of it, as soon as there is no client, or what let it in is good
/// no longer.
async fn unknown(client: Option<Arc<ClientScope>>, after: Duration) {
    loop {
        sleep(after).await;
        if client.as_ref().is_none_or(|client| client.has_expired()) {
            return;
        }
    }
}

fn told(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}
