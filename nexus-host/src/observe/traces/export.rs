//! The way to the collector: receives batches of spans, sends each by OTLP, and tells how many of it were taken. It does
//! what the configuration says, and asks no variable of the environment. Nothing is connected to before there is
//! something to send.

use std::time::Duration;

use http::{HeaderMap, header};
use nexus_plugin_api::PluginError;
use nexus_plugin_api::outgoing::{Access, Client, Method};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Extensions, Request, Status};
use tonic_types::StatusExt as _;

use super::config::{self, Config, Protocol};
use crate::ordinary;
use crate::redaction::Redaction;

/// The largest file of authorities that is read, in bytes.
const MOST_AUTHORITIES: u64 = 16 * 1024 * 1024;

/// What sends to the collector.
pub(super) struct Exporter {
    resource: ResourceAttributesWithSchema,
    headers: HeaderMap,
    /// Keeps the headers out of what the collector says.
    redaction: Redaction,
    way: Way,
}

enum Way {
    Grpc(TraceServiceClient<Channel>),
    Http { client: Client, endpoint: String },
}

/// Why a batch was not taken.
pub(super) struct Untaken {
    pub(super) why: String,
    /// After how long it may be taken at the earliest; `None` when it never will be.
    pub(super) again: Option<Duration>,
}

impl Exporter {
    /// What sends where and how the configuration says.
    ///
    /// # Errors
    /// Which setting cannot be used.
    pub(super) fn new(
        endpoint: &str,
        config: &Config,
        resource: &Resource,
    ) -> Result<Self, String> {
        let authorities = authorities(config)?;
        let way = match config.protocol {
            Protocol::Grpc => {
                let channel = channel(endpoint, config, authorities)?;
                Way::Grpc(TraceServiceClient::new(channel))
            }
            Protocol::Http => Way::Http {
                client: Client::new(Access {
                    authorities: config.ca_file.clone(),
                    timeout: config.timeout.get(),
                    ..Access::default()
                }),
                endpoint: endpoint.to_owned(),
            },
        };
        Ok(Self {
            resource: resource.into(),
            headers: headers(config)?,
            redaction: Redaction::new(config.headers.values().cloned()),
            way,
        })
    }

    /// Spans as they are sent.
    pub(super) fn packed(&self, spans: Vec<SpanData>) -> ExportTraceServiceRequest {
        ExportTraceServiceRequest {
            resource_spans: group_spans_by_resource_and_scope(spans, &self.resource),
        }
    }

    /// Sends them. Answers how many of them the collector did not want.
    ///
    /// # Errors
    /// Why none of them was taken.
    pub(super) async fn send(&self, spans: &ExportTraceServiceRequest) -> Result<u64, Untaken> {
        let answer = match &self.way {
            Way::Grpc(client) => self.call(client.clone(), spans).await,
            Way::Http { client, endpoint } => self.post(client, endpoint, spans).await,
        };
        let answer = answer.map_err(|mut untaken| {
            self.redaction.clean(&mut untaken.why);
            untaken
        })?;
        let rejected = answer.partial_success.map_or(0, |part| part.rejected_spans);
        Ok(u64::try_from(rejected).unwrap_or_default())
    }

    async fn call(
        &self,
        mut client: TraceServiceClient<Channel>,
        spans: &ExportTraceServiceRequest,
    ) -> Result<ExportTraceServiceResponse, Untaken> {
        let metadata = MetadataMap::from_headers(self.headers.clone());
        let request = Request::from_parts(metadata, Extensions::default(), spans.clone());
        Ok(client.export(request).await?.into_inner())
    }

    async fn post(
        &self,
        client: &Client,
        endpoint: &str,
        spans: &ExportTraceServiceRequest,
    ) -> Result<ExportTraceServiceResponse, Untaken> {
        let request = client.request(Method::POST, endpoint).await?;
        let request = request
            .headers(self.headers.clone())
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .body(spans.encode_to_vec());
        let answer = client.ask(request).await?.expect_success()?;
        // It has taken them, whatever else it says.
        let answer = ExportTraceServiceResponse::decode(answer.body().clone());
        Ok(answer.unwrap_or_default())
    }
}

/// As OTLP has it: what is too much passes only if the collector says when.
impl From<Status> for Untaken {
    fn from(status: Status) -> Self {
        let said = status.get_details_retry_info();
        let said = said.and_then(|info| info.retry_delay);
        let again = match status.code() {
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss => Some(said.unwrap_or_default()),
            Code::ResourceExhausted => said,
            _ => None,
        };
        let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(&status);
        let mut why = format!("{:?}: {}", status.code(), status.message());
        while let Some(inner) = cause {
            why = format!("{why}: {inner}");
            cause = inner.source();
        }
        Self { why, again }
    }
}

impl From<PluginError> for Untaken {
    fn from(error: PluginError) -> Self {
        let again = error
            .retryable
            .then(|| error.retry_after.unwrap_or_default());
        Self {
            why: error.to_string(),
            again,
        }
    }
}

fn channel(
    endpoint: &str,
    config: &Config,
    authorities: Option<Vec<u8>>,
) -> Result<Channel, String> {
    let to = Endpoint::from_shared(endpoint.to_owned());
    let mut to = to.map_err(|error| format!("endpoint: {error}"))?;
    if to.uri().scheme_str() == Some("https") {
        let tls = match authorities {
            None => ClientTlsConfig::new().with_native_roots(),
            Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
        };
        to = to
            .tls_config(tls)
            .map_err(|error| format!("TLS: {error}"))?;
    }
    Ok(to.connect_timeout(config.timeout.get()).connect_lazy())
}

/// Reads what files the settings name.
///
/// # Errors
/// Which cannot be used, and why.
pub fn check_files(config: &Config) -> Result<(), String> {
    authorities(config).map(drop)
}

/// The authorities of the configuration's own, read here so that it is told at the start when they cannot be.
fn authorities(config: &Config) -> Result<Option<Vec<u8>>, String> {
    let Some(path) = &config.ca_file else {
        return Ok(None);
    };
    let wrong = |why: &dyn std::fmt::Display| format!("ca_file: {}: {why}", path.display());
    let pem = ordinary::read(path, MOST_AUTHORITIES).map_err(|error| wrong(&error))?;
    let mut certificates = CertificateDer::pem_slice_iter(&pem);
    match certificates.next() {
        None => Err(wrong(&"there is no certificate in it")),
        Some(Err(error)) => Err(wrong(&error)),
        Some(Ok(_)) => Ok(Some(pem)),
    }
}

fn headers(config: &Config) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &config.headers {
        let wrong = || format!("headers.{name} is no header that can be sent");
        let (name, value) = config::header(name, value).ok_or_else(wrong)?;
        headers.insert(name, value);
    }
    Ok(headers)
}
