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
    use std::io::{BufReader, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::sync::mpsc::{Receiver, channel};
    use std::thread;
    use std::time::Duration;

    use data_encoding::HEXLOWER;

    use super::*;
    use crate::house::open;
    use crate::patience::PATIENCE;
    use crate::peer::Played;
    use crate::upstream::read_request;

    /// A collector: every request that it gets.
    struct Collector {
        address: SocketAddr,
        requests: Receiver<(String, Vec<u8>)>,
    }

    impl Collector {
        fn start() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
            let address = listener.local_addr().expect("bound");
            let (say, requests) = channel();
            thread::spawn(move || {
                for socket in listener.incoming() {
                    let mut socket = socket.expect("it comes");
                    let mut reader = BufReader::new(socket.try_clone().expect("a socket"));
                    let Some(request) = read_request(&mut reader, true) else { continue };
                    assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
                    socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok();
                    if say.send((format!("{} {}", request.method, request.target), request.body)).is_err() {
                        return;
                    }
                }
            });
            Self { address, requests }
        }

        fn traces(&self, more: &str) -> String {
            format!("[traces]\nendpoint = \"http://{}\"\n{more}\n", self.address)
        }

        /// The spans of the next request.
        fn spans(&self) -> Vec<Span> {
            let (line, body) = self.requests.recv_timeout(PATIENCE).expect("it comes");
            assert_eq!(line, "POST /v1/traces");
            let resource_spans = fields(&body).remove(&1).expect("spans of a service").remove(0);
            let mut parts = fields(&resource_spans);
            let resource = attributes(&fields(&parts[&1][0])[&1]);
            assert_eq!(resource["service.name"], "vidgate");
            let scope_spans = fields(&parts.remove(&2).expect("spans").remove(0));
            scope_spans[&2].iter().map(|span| Span::read(span)).collect()
        }
    }

    /// What stands in a message, by the numbers of its fields; of numbers, their bytes.
    fn fields(mut message: &[u8]) -> BTreeMap<u64, Vec<Vec<u8>>> {
        let mut fields: BTreeMap<u64, Vec<Vec<u8>>> = BTreeMap::new();
        while !message.is_empty() {
            let key = varint(&mut message);
            let length = match key & 7 {
                0 => {
                    let number = varint(&mut message);
                    fields.entry(key >> 3).or_default().push(number.to_le_bytes().to_vec());
                    continue;
                }
                1 => 8,
                2 => usize::try_from(varint(&mut message)).expect("a length"),
                5 => 4,
                other => panic!("a field of kind {other}"),
            };
            let (value, rest) = message.split_at(length);
            fields.entry(key >> 3).or_default().push(value.to_vec());
            message = rest;
        }
        fields
    }

    fn varint(message: &mut &[u8]) -> u64 {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let (first, rest) = message.split_first().expect("a number");
            *message = rest;
            number |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                break;
            }
        }
        number
    }

    fn attributes(list: &[Vec<u8>]) -> BTreeMap<String, String> {
        let one = |attribute: &Vec<u8>| {
            let parts = fields(attribute);
            let value = fields(&parts[&2][0]);
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
            let told = value.get(&1).map(|own| text(&own[0]));
            let told = told.unwrap_or_else(|| u64::from_le_bytes(value[&3][0][..].try_into().expect("8")).to_string());
            (text(&parts[&1][0]), told)
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
        kind: u8,
        took: u64,
        attributes: BTreeMap<String, String>,
        failed: bool,
    }

    impl Span {
        fn read(span: &[u8]) -> Self {
            let parts = fields(span);
            let hex = |field: u64| parts.get(&field).map(|own| HEXLOWER.encode(&own[0]));
            let text = |field: u64| {
                let own = parts.get(&field).map(|own| String::from_utf8(own[0].clone()).expect("text"));
                own.unwrap_or_default()
            };
            let time = |field: u64| u64::from_le_bytes(parts[&field][0][..].try_into().expect("8 bytes"));
            Self {
                trace: hex(1).expect("a trace"),
                id: hex(2).expect("an id"),
                parent: hex(4),
                state: text(3),
                name: text(5),
                kind: parts[&6][0][0],
                took: time(8) - time(7),
                attributes: parts.get(&9).map(|list| attributes(list)).unwrap_or_default(),
                failed: parts.contains_key(&15),
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
        assert!(collector.requests.try_recv().is_err());
    }

    #[test]
    fn a_collector_that_does_not_answer_holds_nobody_up() {
        let nobody = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let silent = Collector { address: nobody.local_addr().expect("bound"), requests: channel().1 };
        let upstream = Upstream::start();
        let gateway = TestGateway::start(&open(&upstream, &silent.traces("sample = 1.0")));
        let mut wire = gateway.connect();
        for _ in 0..50 {
            assert_eq!(wire.ask(get("")).status, 200);
        }
        drop(wire);
        assert!(gateway.drain(), "what it does not take is lost");
    }
}
