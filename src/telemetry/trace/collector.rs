//! The one call of OTLP: spans for a collector, over HTTP with protobuf or over gRPC, in clear or over TLS. The messages and
//! the client of gRPC are OpenTelemetry's own. What a collector says is bounded, and no word of it goes any further.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;
use tonic::Status;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic_prost::ProstCodec;

use super::batch::attribute;
use super::{Collector, Protocol};
use crate::forward::tls::client_config;
use crate::forward::upstream;
use crate::invalid::Invalid;

/// The largest answer that is read, in bytes.
const LARGEST_ANSWER: usize = 64 << 10;
/// For how long a connection is kept that nothing is sent on.
const KEPT: Duration = Duration::from_secs(30);
/// How much is told of an error, in bytes.
const LONGEST_ERROR: usize = 300;
/// The call of OTLP/gRPC for spans.
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

type Connections = Client<HttpsConnector<HttpConnector>, Body>;

/// A collector, to be called.
pub(super) struct Line {
    /// Its address, for the log.
    pub(super) name: String,
    /// How many spans it gets at a time, at most.
    pub(super) most: usize,
    way: Way,
    headers: HeaderMap,
    timeout: Duration,
    resource: Resource,
}

enum Way {
    Http(Connections, Uri),
    Grpc(Grpc<Connections>),
}

impl Line {
    /// A way to this collector. Nothing is connected before there is something to send.
    ///
    /// # Errors
    ///
    /// The authorities that it is judged by cannot be read.
    pub(super) fn new(collector: &Collector) -> Result<Self, Invalid> {
        let connections = connections(collector)?;
        let way = match collector.protocol {
            Protocol::Http => Way::Http(connections, collector.endpoint.clone()),
            Protocol::Grpc => {
                let client = Grpc::with_origin(connections, collector.endpoint.clone());
                Way::Grpc(client.max_decoding_message_size(LARGEST_ANSWER))
            }
        };
        let mut headers = collector.headers.clone();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("vidgate/", env!("CARGO_PKG_VERSION"))));
        let (name, most, timeout) = (collector.endpoint.to_string(), collector.batch, collector.timeout);
        Ok(Self { name, most, way, headers, timeout, resource: resource(&collector.attributes) })
    }

    /// Sends these spans, and says how many of them were not taken.
    ///
    /// # Errors
    ///
    /// None of them was taken, as far as anybody knows.
    pub(super) async fn send(&self, spans: Vec<Span>) -> Result<u64, String> {
        let request = self.request(spans);
        let sent = async {
            match &self.way {
                Way::Http(connections, endpoint) => self.post(connections, endpoint, &request).await,
                Way::Grpc(client) => self.call(client.clone(), request).await,
            }
        };
        let late = |_| Err(format!("no answer within {:?}", self.timeout));
        let answer = timeout(self.timeout, sent).await.unwrap_or_else(late)?;
        Ok(answer.partial_success.map_or(0, |part| u64::try_from(part.rejected_spans).unwrap_or(0)))
    }

    fn request(&self, spans: Vec<Span>) -> ExportTraceServiceRequest {
        let (name, version) = (env!("CARGO_PKG_NAME").to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        let scope = InstrumentationScope { name, version, ..Default::default() };
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..Default::default() }];
        let resource = Some(self.resource.clone());
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans { resource, scope_spans, ..Default::default() }],
        }
    }

    /// OTLP/HTTP, §"OTLP/HTTP Request". Redirects are not followed.
    async fn post(
        &self,
        connections: &Connections,
        endpoint: &Uri,
        request: &ExportTraceServiceRequest,
    ) -> Result<ExportTraceServiceResponse, String> {
        let body = Body::new(Full::new(Bytes::from(request.encode_to_vec())));
        let mut post = Request::post(endpoint.clone()).body(body).map_err(|error| told(&error))?;
        post.headers_mut().clone_from(&self.headers);
        post.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let answer = connections.request(post).await.map_err(|error| told(&error))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(format!("the collector answers with status {}", status.as_u16()));
        }
        let body = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
        let body = body.map_err(|error| told(&*error))?.to_bytes();
        ExportTraceServiceResponse::decode(body).map_err(|_| "the collector answers what OTLP does not have".to_owned())
    }

    /// OTLP/gRPC.
    async fn call(
        &self,
        mut client: Grpc<Connections>,
        request: ExportTraceServiceRequest,
    ) -> Result<ExportTraceServiceResponse, String> {
        let mut request = tonic::Request::new(request);
        *request.metadata_mut() = MetadataMap::from_headers(self.headers.clone());
        request.set_timeout(self.timeout);
        client.ready().await.map_err(|error| told(&error))?;
        let path = PathAndQuery::from_static(EXPORT);
        let answer = client.unary(request, path, ProstCodec::default()).await.map_err(|status| refused(&status))?;
        Ok(answer.into_inner())
    }
}

/// What kind of failure the status of a call is. Its text is the collector's, but for those of errors on the way to it.
fn refused(status: &Status) -> String {
    match status.source() {
        Some(error) => told(error),
        None => format!("the collector answers with status {:?}", status.code()),
    }
}

/// An error and what it comes from.
fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut from = error.source();
    while let Some(error) = from.filter(|_| text.len() < LONGEST_ERROR) {
        let own = error.to_string();
        // Some tell what they come from themselves.
        if !text.ends_with(&own) {
            text = format!("{text}: {own}");
        }
        from = error.source();
    }
    text.truncate(text.floor_char_boundary(LONGEST_ERROR));
    text
}

fn connections(collector: &Collector) -> Result<Connections, Invalid> {
    let mut config = match collector.endpoint.scheme_str() {
        Some("https") => {
            let config = client_config(collector.ca.as_deref(), upstream::Protocol::Http1)?;
            ClientConfig::clone(&config)
        }
        // Nobody is judged in clear.
        _ => ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Invalid::new(error.to_string()))?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth(),
    };
    // What is offered goes by what is spoken.
    config.alpn_protocols.clear();
    let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
    let grpc = collector.protocol == Protocol::Grpc;
    let connector = if grpc { connector.enable_http2().build() } else { connector.enable_http1().build() };
    let mut client = Client::builder(TokioExecutor::new());
    client.http2_only(grpc).pool_idle_timeout(KEPT).pool_max_idle_per_host(1).pool_timer(TokioTimer::new());
    Ok(client.build(connector))
}

/// Who sends spans: what the operator says of this gateway, and what it knows of itself.
fn resource(said: &[(Box<str>, Box<str>)]) -> Resource {
    let text = |text: &str| any_value::Value::StringValue(text.to_owned());
    let mut attributes: Vec<_> = said.iter().map(|(name, value)| attribute(name, text(value))).collect();
    attributes.push(attribute("service.version", text(env!("CARGO_PKG_VERSION"))));
    attributes.push(attribute("process.pid", any_value::Value::IntValue(std::process::id().into())));
    Resource { attributes, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug)]
    struct Outer(io::Error);

    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("it did not work")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn an_error_is_told_with_what_it_comes_from_and_is_bounded() {
        assert_eq!(told(&Outer(io::Error::other("nobody is there"))), "it did not work: nobody is there");
        assert_eq!(told(&Outer(io::Error::other("ü".repeat(400)))).len(), LONGEST_ERROR - 1);
    }

    #[test]
    fn what_a_collector_says_of_its_failure_is_not_told() {
        assert_eq!(refused(&Status::unavailable("come <again>")), "the collector answers with status Unavailable");
    }
}
