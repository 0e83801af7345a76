//! The way to the collector: receives the settings, hands on what sends a batch of spans by OTLP. Nothing is connected
//! to before there is something to send.

use std::collections::HashMap;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use nexus_plugin_api::outgoing::{Access, Client};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{
    Protocol as Encoding, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter as _;
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use super::config::{Config, Protocol};
use crate::ordinary;

/// The largest file of authorities that is read, in bytes.
const MOST_AUTHORITIES: u64 = 16 * 1024 * 1024;

/// What sends to the collector.
///
/// # Errors
/// Which setting cannot be used.
pub(super) fn exporter(
    endpoint: &str,
    config: &Config,
    resource: &Resource,
) -> Result<SpanExporter, String> {
    let exporter = match config.protocol {
        Protocol::Grpc => grpc(endpoint, config),
        Protocol::Http => http(endpoint, config),
    };
    let mut exporter = exporter?;
    exporter.set_resource(resource);
    Ok(exporter)
}

fn grpc(endpoint: &str, config: &Config) -> Result<SpanExporter, String> {
    let to = Endpoint::from_shared(endpoint.to_owned());
    let mut to = to.map_err(|error| format!("endpoint: {error}"))?;
    if to.uri().scheme_str() == Some("https") {
        let tls = ClientTlsConfig::new();
        let tls = match &config.ca_file {
            None => tls.with_native_roots(),
            Some(path) => {
                let pem = ordinary::read(path, MOST_AUTHORITIES);
                let pem = pem.map_err(|error| format!("ca_file: {}: {error}", path.display()));
                tls.ca_certificate(Certificate::from_pem(pem?))
            }
        };
        to = to
            .tls_config(tls)
            .map_err(|error| format!("TLS: {error}"))?;
    }
    let to = to.connect_timeout(config.timeout.get());
    SpanExporter::builder()
        .with_tonic()
        .with_channel(to.connect_lazy())
        .with_timeout(config.timeout.get())
        .with_metadata(MetadataMap::from_headers(headers(config)?))
        .build()
        .map_err(|error| error.to_string())
}

fn http(endpoint: &str, config: &Config) -> Result<SpanExporter, String> {
    let client = Client::new(Access {
        authorities: config.ca_file.clone(),
        timeout: config.timeout.get(),
        ..Access::default()
    });
    // Looked at here, so that a wrong one is told at the start.
    headers(config)?;
    let headers = config.headers.iter();
    let headers = headers.map(|(name, value)| (name.clone(), value.expose().to_owned()));
    SpanExporter::builder()
        .with_http()
        .with_http_client(Poster(client))
        .with_endpoint(endpoint)
        .with_protocol(Encoding::HttpBinary)
        .with_timeout(config.timeout.get())
        .with_headers(headers.collect::<HashMap<_, _>>())
        .build()
        .map_err(|error| error.to_string())
}

fn headers(config: &Config) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &config.headers {
        let wrong = || format!("headers.{name} is no header that can be sent");
        let key: http::HeaderName = name.parse().map_err(|_| wrong())?;
        let mut value: http::HeaderValue = value.expose().parse().map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

/// Posts by the client that plugins have as well.
#[derive(Debug)]
struct Poster(Client);

#[tonic::async_trait]
impl HttpClient for Poster {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let request = self.0.request(head.method, &head.uri.to_string()).await?;
        let answer = self.0.ask(request.headers(head.headers).body(body)).await?;
        let mut response = Response::new(Bytes::copy_from_slice(answer.body()));
        *response.status_mut() = StatusCode::from_u16(answer.status())?;
        Ok(response)
    }
}
