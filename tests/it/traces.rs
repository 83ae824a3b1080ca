//! The trace that a request belongs to: what its upstream hears of it, and, in builds with the feature `otlp`, the spans that
//! a collector gets.

use crate::house::TestGateway;
use crate::upstream::Upstream;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn get(more: &str) -> String {
    format!("GET /a/b?token=secret&c=d HTTP/1.1\r\nHost: a\r\n{more}\r\n")
}

#[test]
fn without_traces_their_headers_go_on_untouched() {
    let upstream = Upstream::start();
    let gateway = TestGateway::open(&upstream);
    for value in [PARENT, "nonsense, of 7 kinds", "ff-00000000000000000000000000000000-0000000000000000-ff"] {
        let more = format!("Traceparent: {value}\r\nTracestate: a=1,,=2\r\n");
        assert_eq!(gateway.connect().ask(get(&more)).status, 200);
        let seen = upstream.seen().pop().expect("it came");
        assert_eq!((seen.header("traceparent"), seen.header("tracestate")), (Some(value), Some("a=1,,=2")));
    }
    assert_eq!(gateway.connect().ask(get("")).status, 200);
    let seen = upstream.seen().pop().expect("it came");
    assert_eq!((seen.header("traceparent"), seen.header("tracestate")), (None, None));
}

#[cfg(feature = "otlp")]
mod sent {
    use std::collections::BTreeMap;
    use std::convert::Infallible;
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread;
    use std::time::Duration;

    use bytes::Bytes;
    use data_encoding::HEXLOWER;
    use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
    use http_body_util::{BodyExt, Full};
    use hyper::body::Incoming;
    use hyper::server::conn::{http1, http2};
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
    };
    use opentelemetry_proto::tonic::common::v1::KeyValue;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::trace::v1::Span as Message;
    use prost::Message as _;
    use rustls::ServerConfig;
    use tokio::io::{AsyncRead, AsyncWrite};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::house::open;
    use crate::log::Log;
    use crate::metrics::await_value;
    use crate::patience::PATIENCE;
    use crate::peer::Played;
    use crate::pki::Pki;

    /// What a collector says to every request.
    #[derive(Clone)]
    struct Says {
        status: u16,
        body: Vec<u8>,
        /// `grpc-status`.
        grpc: &'static str,
    }

    const TAKEN: Says = Says { status: 200, body: Vec::new(), grpc: "0" };

    /// A request as it reached a collector.
    struct Call {
        line: String,
        headers: HeaderMap,
        body: Bytes,
    }

    impl Call {
        fn header(&self, name: &str) -> Option<&str> {
            self.headers.get(name).map(|value| value.to_str().expect("text"))
        }
    }

    /// A collector over hyper's server: every request that it gets.
    struct Collector {
        address: SocketAddr,
        calls: Receiver<Call>,
    }

    impl Collector {
        /// One that takes everything, in clear and over HTTP.
        fn start() -> Self {
            Self::of(TAKEN, false, None)
        }

        fn of(says: Says, grpc: bool, tls: Option<Arc<ServerConfig>>) -> Self {
            let (say, calls) = channel();
            let (tell, told) = channel();
            thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(async {
                    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
                    tell.send(listener.local_addr().expect("bound")).expect("somebody waits");
                    loop {
                        let (socket, _) = listener.accept().await.expect("it comes");
                        let (says, say, tls) = (says.clone(), say.clone(), tls.clone());
                        tokio::spawn(async move {
                            match tls {
                                None => serve(socket, (says, grpc), say).await,
                                // Whoever does not believe it ends the handshake.
                                Some(tls) => {
                                    if let Ok(secure) = TlsAcceptor::from(tls).accept(socket).await {
                                        assert_eq!(grpc, secure.get_ref().1.alpn_protocol() == Some(b"h2"));
                                        serve(secure, (says, grpc), say).await;
                                    }
                                }
                            }
                        });
                    }
                });
            });
            Self { address: told.recv().expect("it listens"), calls }
        }

        fn traces(&self, more: &str) -> String {
            format!("[traces]\nendpoint = \"http://{}\"\n{more}\n", self.address)
        }

        fn call(&self) -> Call {
            self.calls.recv_timeout(PATIENCE).expect("it comes")
        }

        /// The spans of the next request.
        fn spans(&self) -> Vec<Span> {
            let call = self.call();
            assert_eq!(
                (call.line.as_str(), call.header("content-type")),
                ("POST /v1/traces", Some("application/x-protobuf"))
            );
            spans(&call.body)
        }
    }

    async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, (says, grpc): (Says, bool), say: Sender<Call>) {
        let answer = service_fn(|request: Request<Incoming>| {
            let (says, say) = (says.clone(), say.clone());
            async move {
                let line = format!("{} {}", request.method(), request.uri().path());
                let headers = request.headers().clone();
                let length = |body: &[u8]| u32::try_from(body.len()).expect("it is short").to_be_bytes();
                let mut body = request.into_body().collect().await.expect("it is whole").to_bytes();
                if grpc {
                    // A message that is not compressed, and its length.
                    let head = body.split_to(5);
                    assert_eq!((head[0], &head[1..]), (0, &length(&body)[..]));
                }
                // A test that has ended wants to know no more.
                say.send(Call { line, headers, body }).ok();
                let head = [&[0][..], &length(&says.body)].concat();
                let body = if grpc { [head, says.body].concat() } else { says.body };
                let status = (HeaderName::from_static("grpc-status"), HeaderValue::from_static(says.grpc));
                let trailers =
                    (grpc && !says.grpc.is_empty()).then(|| Ok::<_, Infallible>(HeaderMap::from_iter([status])));
                let kind = if grpc { "application/grpc" } else { "application/x-protobuf" };
                let answer = Response::builder().status(says.status).header("content-type", kind);
                answer.body(Full::new(Bytes::from(body)).with_trailers(std::future::ready(trailers)))
            }
        });
        let stream = TokioIo::new(stream);
        if grpc {
            http2::Builder::new(TokioExecutor::new()).serve_connection(stream, answer).await.ok();
        } else {
            http1::Builder::new().serve_connection(stream, answer).await.ok();
        }
    }

    fn resource(body: &Bytes) -> BTreeMap<String, String> {
        let request = ExportTraceServiceRequest::decode(body.clone()).expect("it is what OTLP has");
        attributes(&request.resource_spans[0].resource.as_ref().expect("somebody sends it").attributes)
    }

    fn spans(body: &Bytes) -> Vec<Span> {
        assert_eq!(resource(body)["service.name"], "vidgate");
        let request = ExportTraceServiceRequest::decode(body.clone()).expect("it is what OTLP has");
        let [resource] = &request.resource_spans[..] else { panic!("{request:?}") };
        let [scope] = &resource.scope_spans[..] else { panic!("{request:?}") };
        assert_eq!(scope.scope.as_ref().expect("a scope").name, "vidgate");
        scope.spans.iter().map(Span::of).collect()
    }

    fn attributes(list: &[KeyValue]) -> BTreeMap<String, String> {
        let one = |attribute: &KeyValue| {
            let value = attribute.value.as_ref().and_then(|value| value.value.as_ref()).expect("a value");
            let value = if let Value::StringValue(text) = value {
                text.clone()
            } else if let Value::IntValue(number) = value {
                number.to_string()
            } else {
                panic!("{value:?}")
            };
            (attribute.key.clone(), value)
        };
        list.iter().map(one).collect()
    }

    #[derive(Debug)]
    struct Span {
        trace: String,
        id: String,
        parent: Option<String>,
        state: String,
        name: String,
        kind: i32,
        took: u64,
        attributes: BTreeMap<String, String>,
        failed: bool,
    }

    impl Span {
        fn of(span: &Message) -> Self {
            Self {
                trace: HEXLOWER.encode(&span.trace_id),
                id: HEXLOWER.encode(&span.span_id),
                parent: (!span.parent_span_id.is_empty()).then(|| HEXLOWER.encode(&span.parent_span_id)),
                state: span.trace_state.clone(),
                name: span.name.clone(),
                kind: span.kind,
                took: span.end_time_unix_nano - span.start_time_unix_nano,
                attributes: attributes(&span.attributes),
                failed: span.status.is_some(),
            }
        }
    }

    #[test]
    fn a_request_is_two_spans_and_the_upstream_goes_on_below_the_second() {
        let (collector, played) = (Collector::start(), Played::start());
        let more = collector.traces("trust = [\"127.0.0.1\"]\nsample = 0.0");
        let gateway = TestGateway::start(&open(&played.upstream, &more));
        let mut wire = gateway.connect();
        wire.send(get(&format!("Traceparent: {PARENT}\r\nTracestate: a=1\r\n")));
        let (mut peer, head) = played.next_head();
        gateway.advance(Duration::from_millis(250));
        peer.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(wire.answer().text(), "ok");
        assert_eq!(head.header("tracestate"), Some("a=1"));
        let spans = collector.spans();
        let [server, client] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!((server.trace.as_str(), server.parent.as_deref()), (&PARENT[3..35], Some(&PARENT[36..52])));
        assert_eq!((&client.trace, client.parent.as_deref()), (&server.trace, Some(&*server.id)));
        assert_eq!(head.header("traceparent"), Some(&*format!("00-{}-{}-01", client.trace, client.id)));
        assert_eq!((server.kind, client.kind, server.state.as_str()), (2, 3, "a=1"));
        assert_eq!((server.name.as_str(), client.name.as_str()), ("GET /{*rest}", "GET"));
        assert_eq!((server.took, client.took, server.failed), (250_000_000, 250_000_000, false));
        for (name, value) in [
            ("http.request.method", "GET"),
            ("http.route", "/{*rest}"),
            ("http.response.status_code", "200"),
            ("http.response.body.size", "2"),
            ("url.path", "/a/b"),
            ("url.scheme", "http"),
            ("server.address", "a"),
            ("client.address", "127.0.0.1"),
            ("vidgate.route", "all"),
            ("vidgate.listener", "public"),
            ("vidgate.scheme", "open"),
            ("vidgate.decision", "allowed"),
        ] {
            assert_eq!(server.attributes.get(name).map(String::as_str), Some(value), "{name}: {server:?}");
        }
        assert!(!format!("{spans:?}").contains("secret"), "{spans:?}");
        assert_eq!(client.attributes["server.port"], played.upstream.address().port().to_string());
        assert_eq!(client.attributes["vidgate.upstream"], "api");
    }

    #[test]
    fn nobody_else_can_say_which_trace_a_request_is_part_of() {
        let (collector, upstream) = (Collector::start(), Upstream::start());
        let gateway = TestGateway::start(&open(&upstream, &collector.traces("sample = 1.0")));
        assert_eq!(gateway.connect().ask(get(&format!("Traceparent: {PARENT}\r\nTracestate: a=1\r\n"))).status, 200);
        let seen = upstream.only();
        let told = seen.header("traceparent").expect("it is told");
        assert!(told.ends_with("-01") && told[3..35] != PARENT[3..35] && seen.header("tracestate").is_none(), "{told}");
        let spans = collector.spans();
        assert_eq!((spans[0].parent.as_deref(), &spans[0].trace[..]), (None, &told[3..35]));
    }

    #[test]
    fn what_is_not_sampled_goes_on_and_is_not_sent_and_refusals_are_told_with_their_cause() {
        let (collector, upstream) = (Collector::start(), Upstream::start());
        let more = "trust = [\"127.0.0.1\"]\nsample = 0.0";
        let gateway = TestGateway::start(&open(&upstream, &collector.traces(more)).replace("/{*rest}", "/a/{*rest}"));
        let unsampled = PARENT.replace("-01", "-00");
        for more in [String::new(), format!("Traceparent: {unsampled}\r\n"), "Traceparent: odd\r\n".to_owned()] {
            assert_eq!(gateway.connect().ask(get(&more)).status, 200);
            let told = upstream.seen().pop().expect("it came").header("traceparent").expect("told").to_owned();
            assert!(told.len() == PARENT.len() && told.ends_with("-00"), "{told}");
        }
        let refused = format!("GET /nowhere HTTP/1.1\r\nHost: a\r\nTraceparent: {PARENT}\r\n\r\n");
        assert_eq!(gateway.connect().ask(refused).status, 404);
        // All that there is, once it ends.
        assert!(gateway.drain());
        let spans = collector.spans();
        let [refused] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!((refused.name.as_str(), &*refused.attributes["vidgate.cause"]), ("GET", "not_found"));
        assert!(collector.calls.try_recv().is_err());
    }

    #[test]
    fn a_collector_that_does_not_answer_holds_nobody_up() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let silent = Collector { address: nobody.local_addr().expect("bound"), calls: channel().1 };
        let upstream = Upstream::start();
        let gateway = TestGateway::start(&open(&upstream, &silent.traces("sample = 1.0")));
        let mut wire = gateway.connect();
        for _ in 0..50 {
            assert_eq!(wire.ask(get("")).status, 200);
        }
        drop(wire);
        assert!(gateway.drain(), "what it does not take is lost");
    }

    const MONITORING: &str = "[monitoring]\naddress = \"127.0.0.1:0\"\n";
    /// The call of OTLP/gRPC.
    const EXPORT: &str = "POST /opentelemetry.proto.collector.trace.v1.TraceService/Export";

    /// A gateway that sends every request's spans, with these settings of `[traces]`.
    fn tracing(upstream: &Upstream, pki: &Pki, traces: &str) -> TestGateway {
        let more = format!("{MONITORING}[traces]\nsample = 1.0\n{traces}\n");
        TestGateway::start_in(&open(upstream, &more), pki.path(), 1)
    }

    fn secure(pki: &Pki, protocol: &str) -> Arc<ServerConfig> {
        let mut config = ServerConfig::clone(&pki.server("collector"));
        config.alpn_protocols = vec![protocol.as_bytes().to_vec(), b"other".to_vec()];
        Arc::new(config)
    }

    #[test]
    fn spans_go_over_tls_with_the_fields_and_attributes_of_the_operator() {
        let (pki, upstream) = (Pki::new(), Upstream::start());
        pki.issue("collector", &["localhost", "127.0.0.1"]);
        std::fs::write(pki.path().join("token"), "Bearer hunter2\n").expect("written");
        let wanted = "ca = \"ca.pem\"\nservice_name = \"vidgate\"\nattributes = { \"deployment.environment.name\" = \"b\" }\n\
                      headers = { Authorization = { file = \"token\" }, \"X-Scope-OrgID\" = \"acme\" }";
        for (grpc, protocol, line, kind) in [
            (false, "http/protobuf", "POST /v1/traces", "application/x-protobuf"),
            (true, "grpc", EXPORT, "application/grpc"),
        ] {
            let collector = Collector::of(TAKEN, grpc, Some(secure(&pki, if grpc { "h2" } else { "http/1.1" })));
            let host = if grpc { "127.0.0.1" } else { "localhost" };
            let endpoint = format!("endpoint = \"https://{host}:{}\"", collector.address.port());
            let gateway = tracing(&upstream, &pki, &format!("{endpoint}\nprotocol = \"{protocol}\"\n{wanted}"));
            assert_eq!(gateway.connect().ask(get("")).status, 200);
            let call = collector.call();
            assert_eq!((call.line.as_str(), call.header("content-type")), (line, Some(kind)));
            assert_eq!(
                (call.header("authorization"), call.header("x-scope-orgid")),
                (Some("Bearer hunter2"), Some("acme"))
            );
            assert_eq!(call.header("te"), grpc.then_some("trailers"));
            assert!(call.header("user-agent").is_some_and(|agent| agent.starts_with("vidgate/")));
            assert_eq!(spans(&call.body).len(), 2);
            let resource = resource(&call.body);
            assert_eq!(resource["deployment.environment.name"], "b");
            assert_eq!(resource["process.pid"], std::process::id().to_string());
            await_value(&gateway, "vidgate_trace_spans_total", &[("outcome", "sent")], 2.0);
        }
    }

    #[test]
    fn a_collector_that_nobody_vouches_for_gets_nothing_and_that_is_counted_and_said() {
        let (log, pki, others, upstream) = (Log::shared(), Pki::new(), Pki::new(), Upstream::start());
        others.issue("collector", &["127.0.0.1"]);
        let collector = Collector::of(TAKEN, false, Some(secure(&others, "http/1.1")));
        let more = "ca = \"ca.pem\"\nheaders = { Authorization = \"Bearer hunter2\" }";
        let gateway = tracing(&upstream, &pki, &format!("endpoint = \"https://{}\"\n{more}", collector.address));
        assert_eq!(gateway.connect().ask(get("")).status, 200);
        await_value(&gateway, "vidgate_trace_spans_total", &[("outcome", "failed")], 2.0);
        let line = log.await_line(&["spans are lost", &format!("https://{}", collector.address)]);
        assert!(line.contains("certificate") && !line.contains("hunter2"), "{line}");
        assert!(collector.calls.try_recv().is_err());
    }

    #[test]
    fn what_a_collector_does_not_take_is_counted_as_failed() {
        let (log, pki, upstream) = (Log::shared(), Pki::new(), Upstream::start());
        let partial_success =
            Some(ExportTracePartialSuccess { rejected_spans: 1, error_message: "come <again>".into() });
        let part = ExportTraceServiceResponse { partial_success }.encode_to_vec();
        let nonsense = b"<html>".to_vec();
        let houses = [
            ("all", TAKEN, false, [2.0, 0.0]),
            ("a refusal", Says { status: 401, ..TAKEN }, false, [0.0, 2.0]),
            ("a redirect", Says { status: 307, ..TAKEN }, false, [0.0, 2.0]),
            ("a failure", Says { status: 503, ..TAKEN }, false, [0.0, 2.0]),
            ("a part", Says { body: part.clone(), ..TAKEN }, false, [1.0, 1.0]),
            ("nonsense", Says { body: nonsense.clone(), ..TAKEN }, false, [0.0, 2.0]),
            ("too much", Says { body: vec![0; 1 << 20], ..TAKEN }, false, [0.0, 2.0]),
            ("all, by gRPC", TAKEN, true, [2.0, 0.0]),
            ("a part, by gRPC", Says { body: part.clone(), ..TAKEN }, true, [1.0, 1.0]),
            ("a refusal by gRPC", Says { grpc: "16", ..TAKEN }, true, [0.0, 2.0]),
            ("nonsense, by gRPC", Says { body: nonsense, ..TAKEN }, true, [0.0, 2.0]),
            ("too much, by gRPC", Says { body: vec![0; 1 << 20], ..TAKEN }, true, [0.0, 2.0]),
            ("a failure below gRPC", Says { status: 503, grpc: "", ..TAKEN }, true, [0.0, 2.0]),
        ]
        .map(|(what, says, grpc, outcome)| {
            let collector = Collector::of(says, grpc, None);
            let protocol = if grpc { "grpc" } else { "http/protobuf" };
            let endpoint = format!("endpoint = \"http://{}\"\nprotocol = \"{protocol}\"", collector.address);
            let gateway = tracing(&upstream, &pki, &endpoint);
            assert_eq!(gateway.connect().ask(get("")).status, 200);
            (what, collector, gateway, outcome)
        });
        // All of them at once: each gathers for a moment.
        for (what, collector, gateway, [sent, failed]) in houses {
            assert_eq!(spans(&collector.call().body).len(), 2, "{what}");
            for (outcome, count) in [("sent", sent), ("failed", failed), ("dropped", 0.0)] {
                await_value(&gateway, "vidgate_trace_spans_total", &[("outcome", outcome)], count);
            }
        }
        assert!(!log.text().contains("<again>"), "what a collector says goes no further");
    }

    #[test]
    fn a_reload_takes_in_another_collector_and_reads_its_secret_anew() {
        let (pki, upstream) = (Pki::new(), Upstream::start());
        let (first, second) = (Collector::start(), Collector::start());
        let write = |secret: &str| std::fs::write(pki.path().join("token"), secret).expect("written");
        let settings = |collector: &Collector| {
            format!("endpoint = \"http://{}\"\nheaders = {{ X-Token = {{ file = \"token\" }} }}", collector.address)
        };
        let whole = |traces: &str| open(&upstream, &format!("{MONITORING}[traces]\nsample = 1.0\n{traces}\n"));
        let proven = |collector: &Collector| {
            let call = collector.call();
            assert_eq!(spans(&call.body).len(), 2);
            call.header("x-token").map(str::to_owned)
        };
        write("one");
        let gateway = TestGateway::start_in(&whole(&settings(&first)), pki.path(), 1);
        for (collector, secret) in [(&first, "one"), (&first, "two"), (&second, "three")] {
            write(secret);
            gateway.adopt_in(&whole(&settings(collector)), pki.path());
            assert_eq!(gateway.connect().ask(get("")).status, 200);
            assert_eq!(proven(collector).as_deref(), Some(secret));
        }
        let refused = gateway.reload(&open(&upstream, MONITORING)).expect_err("the thread is there");
        assert!(refused.iter().any(|mistake| mistake.contains("`[traces]` needs a restart")), "{refused:?}");
    }

    #[test]
    fn a_collector_gets_no_more_spans_at_a_time_than_is_set() {
        let (pki, upstream, collector) = (Pki::new(), Upstream::start(), Collector::start());
        let gateway = tracing(&upstream, &pki, &format!("endpoint = \"http://{}\"\nbatch = 3", collector.address));
        let mut wire = gateway.connect();
        for _ in 0..4 {
            assert_eq!(wire.ask(get("")).status, 200);
        }
        let mut all = 0;
        while all < 8 {
            let spans = collector.spans();
            assert!(spans.len() <= 3, "{spans:?}");
            all += spans.len();
        }
        await_value(&gateway, "vidgate_trace_spans_total", &[("outcome", "sent")], 8.0);
    }
}
