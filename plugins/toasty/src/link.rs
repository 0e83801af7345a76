//! The link to the server: one channel for calls and stream, and whether it works at present.
//!
//! Receives messages, hands on answers. Connects when it is first used and again when it has to;
//! never queues: a call that cannot be made now fails now, and the host tries again.

use std::future::Future;
use std::time::Duration;

use nexus_plugin_api::{Health, PluginError};
use nexus_proto::toasty::v1::toasty_client::ToastyClient;
use parking_lot::Mutex;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use crate::config::{Config, invalid};
use crate::status;

/// How long the other side may take to answer a keepalive.
const KEEPALIVE_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Link {
    client: ToastyClient<Channel>,
    endpoint: String,
    timeout: Duration,
    /// What went wrong last, unless something has worked since.
    trouble: Mutex<Option<String>>,
}

impl Link {
    pub(crate) fn new(config: &Config) -> Result<Self, PluginError> {
        let address = &config.endpoint;
        if !address.starts_with("http://") {
            return Err(invalid(format!(
                "`endpoint` is `{address}`; it must be http://HOST:PORT (Toasty has no TLS)"
            )));
        }
        let endpoint = Endpoint::from_shared(address.clone())
            .map_err(|error| invalid(format!("`endpoint` is `{address}`: {error}")))?
            .connect_timeout(config.connect_timeout.0)
            .http2_keep_alive_interval(config.keepalive.0)
            .keep_alive_timeout(KEEPALIVE_WITHIN);
        Ok(Self {
            client: ToastyClient::new(endpoint.connect_lazy()),
            endpoint: address.clone(),
            timeout: config.timeout.0,
            trouble: Mutex::new(None),
        })
    }

    /// A request within the trace of the call that it is made in.
    pub(crate) fn request<T>(message: T) -> Request<T> {
        let mut request = Request::new(message);
        let traceparent = nexus_plugin_api::traceparent();
        if let Some(traceparent) = traceparent.and_then(|text| text.parse().ok()) {
            request.metadata_mut().insert("traceparent", traceparent);
        }
        request
    }

    /// A client on the one channel; cloning is cheap.
    pub(crate) fn client(&self) -> ToastyClient<Channel> {
        self.client.clone()
    }

    /// Waits for an answer until the configured timeout, or the call's own limit if that is
    /// sooner, and notes how it went.
    pub(crate) async fn call<T>(
        &self,
        limit: Option<Duration>,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Status> {
        let within = limit.map_or(self.timeout, |limit| limit.min(self.timeout));
        let answer = tokio::time::timeout(within, answer)
            .await
            .unwrap_or_else(|_| {
                let within = humantime::format_duration(Duration::from_millis(
                    u64::try_from(within.as_millis()).unwrap_or(u64::MAX),
                ));
                Err(Status::deadline_exceeded(format!(
                    "no answer within {within}"
                )))
            });
        match &answer {
            Ok(_) => self.works(),
            Err(status) => self.failed(status),
        }
        answer.map(Response::into_inner)
    }

    /// Notes a success.
    pub(crate) fn works(&self) {
        if self.trouble.lock().take().is_some() {
            tracing::info!(endpoint = self.endpoint, "Toasty can be reached again");
        }
    }

    /// Notes a failure. A server that refuses a request works, as far as the link goes.
    pub(crate) fn failed(&self, status: &Status) {
        if !status::may_pass(status.code()) {
            return self.works();
        }
        let reason = format!(
            "Toasty at {} answered {}",
            self.endpoint,
            status::said(status)
        );
        let first = self.trouble.lock().replace(reason.clone()).is_none();
        // Said once: a server that is away for hours must not fill the log.
        if first {
            tracing::warn!("{reason}");
        }
    }

    pub(crate) fn health(&self) -> Health {
        match self.trouble.lock().clone() {
            Some(reason) => Health::Degraded { reason },
            None => Health::Ready,
        }
    }

    pub(crate) fn error(&self, status: &Status) -> PluginError {
        status::error(&self.endpoint, status)
    }
}
