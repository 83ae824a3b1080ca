//! The place that a request has in a trace, and its spans: one for the request as the caller sees it, one below it for what
//! was asked of the upstream, which is where the upstream goes on. The attributes are those of the semantic conventions for
//! HTTP, and our own under `vidgate.`; nothing of a credential is among them.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem;
use std::net::IpAddr;
use std::time::Duration;

use http::HeaderMap;

use super::Sampling;
use super::batch::{Batch, Kind, Told, Value};
use super::context::{self, Place, TRACEPARENT, TRACESTATE};
use super::exporter::Queue;
use crate::telemetry::exchange::{Decision, Exchange};
use crate::telemetry::sinks::Scope;
use crate::telemetry::texts::Text;

/// The place of a request in a trace. By default it has none.
#[derive(Debug, Default)]
pub struct Span(Option<Own>);

#[derive(Debug)]
struct Own {
    trace: [u8; 16],
    /// Whose part it is of what somebody else does.
    parent: Option<[u8; 8]>,
    span: [u8; 8],
    /// The one that the upstream goes on from.
    below: [u8; 8],
    sampled: bool,
    /// `tracestate`, where it goes on.
    state: Option<String>,
}

impl Span {
    /// Tells the upstream where it goes on. A request without a place goes on as it came.
    pub fn propagate(&self, headers: &mut HeaderMap) {
        let Some(Own { trace, below, sampled, state, .. }) = &self.0 else { return };
        let place = Place { trace: *trace, span: *below, sampled: *sampled };
        headers.insert(TRACEPARENT, place.value());
        if state.is_none() {
            headers.remove(TRACESTATE);
        }
    }
}

/// Gives the requests of one worker their places, and notes their spans.
pub struct Tracer {
    queue: Queue,
    random: Random,
    batch: RefCell<Batch>,
}

impl Tracer {
    /// One that puts its spans into this queue.
    pub fn new(queue: Queue) -> Self {
        Self { queue, random: Random::new(), batch: RefCell::default() }
    }

    /// The place of a request that this peer sends. What it says of a trace holds if it is trusted.
    pub fn begin(&self, sampling: &Sampling, headers: &HeaderMap, peer: IpAddr) -> Span {
        let trusted = sampling.trust.iter().any(|network| network.contains(peer));
        let before = if trusted { Place::of(headers) } else { None };
        let (span, below) = (self.random.id(), self.random.id());
        if let Some(Place { trace, span: parent, sampled }) = before {
            let state = context::state(headers);
            return Span(Some(Own { trace, parent: Some(parent), span, below, sampled, state }));
        }
        let mut trace = [0; 16];
        trace[..8].copy_from_slice(&self.random.next().to_be_bytes());
        // All zeros name no trace.
        trace[8..].copy_from_slice(&self.random.id());
        let sampled = sampling.ratio.takes(self.random.next());
        Span(Some(Own { trace, parent: None, span, below, sampled, state: None }))
    }

    /// The request has ended that began at this time since 1970: its spans are noted, if it is sampled.
    pub(in crate::telemetry) fn finished(&self, exchange: &Exchange, scope: &Scope, begun: Duration) {
        let Some(own) = exchange.span.0.as_ref().filter(|own| own.sampled) else { return };
        let batch = &mut *self.batch.borrow_mut();
        server(batch, (own, exchange), scope, begun);
        client(batch, (own, exchange), scope, begun);
        if batch.is_full() {
            self.queue.put(mem::take(batch));
        }
    }

    /// Hands over what was gathered.
    pub fn flush(&self) {
        let mut batch = self.batch.borrow_mut();
        if batch.len() > 0 {
            self.queue.put(mem::take(&mut *batch));
        }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.flush();
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").finish_non_exhaustive()
    }
}

/// The span of the request as its caller sees it.
fn server(batch: &mut Batch, (own, exchange): (&Own, &Exchange), scope: &Scope, begun: Duration) {
    let (texts, names) = (&exchange.texts, &scope.names);
    let (method, pattern) = (exchange.method_name(), names.pattern(exchange.route));
    let address = exchange.client_ip.to_string();
    let cause = exchange.cause.map(|(cause, _)| cause.name());
    let failed = exchange.status >= 500 || exchange.decision == Decision::Failed;
    let name = if pattern.is_empty() { method.to_owned() } else { format!("{method} {pattern}") };
    let texts = [
        ("http.request.method", method),
        ("http.route", pattern),
        ("url.scheme", if exchange.secure { "https" } else { "http" }),
        ("url.path", texts.get(Text::Path)),
        ("url.query", texts.query()),
        ("server.address", texts.get(Text::Host)),
        ("client.address", address.as_str()),
        ("user_agent.original", texts.get(Text::Agent)),
        ("vidgate.request_id", texts.get(Text::Id)),
        ("vidgate.listener", names.listener(exchange.listener)),
        ("vidgate.route", names.route(exchange.route)),
        ("vidgate.scheme", exchange.scheme),
        ("vidgate.account", texts.get(Text::Account)),
        ("vidgate.decision", exchange.decision.name()),
        ("vidgate.cause", cause.unwrap_or_default()),
        ("error.type", if failed { cause.unwrap_or("5xx") } else { "" }),
    ];
    let told = texts.into_iter().filter(|(_, text)| !text.is_empty());
    let mut attributes: Vec<_> = told.map(|(name, text)| (name, Value::Text(text))).collect();
    attributes.push(("http.response.status_code", Value::Number(exchange.status.into())));
    attributes.push(("http.response.body.size", Value::Number(exchange.sent)));
    let told = Told {
        trace: own.trace,
        span: own.span,
        parent: own.parent,
        state: own.state.as_deref().unwrap_or_default(),
        name: &name,
        kind: Kind::Server,
        begun: nanos(begun),
        ended: nanos(begun + exchange.ended),
        attributes: &attributes,
        failed,
    };
    batch.tell(&told);
}

/// The span of what was asked of the upstream, all attempts in one; none where nothing was.
fn client(batch: &mut Batch, (own, exchange): (&Own, &Exchange), scope: &Scope, begun: Duration) {
    let Some((upstream, endpoint)) = exchange.journey.endpoint() else { return };
    let names = scope.names.upstreams.get(upstream.0);
    let url = names.and_then(|names| names.endpoints.get(endpoint)).map_or("", |url| &**url);
    let (host, port) = authority(url);
    let failed = exchange.status >= 500 || exchange.decision == Decision::Failed;
    let mut attributes = vec![
        ("http.request.method", Value::Text(exchange.method_name())),
        ("server.address", Value::Text(host)),
        ("vidgate.upstream", Value::Text(names.map_or("", |names| &names.name))),
    ];
    attributes.extend(port.map(|port| ("server.port", Value::Number(port))));
    // One that the house has put in the place of the upstream's is not the upstream's.
    if exchange.cause.is_none() && exchange.decision == Decision::Allowed {
        attributes.push(("http.response.status_code", Value::Number(exchange.status.into())));
    }
    let told = Told {
        trace: own.trace,
        span: own.below,
        parent: Some(own.span),
        state: own.state.as_deref().unwrap_or_default(),
        name: exchange.method_name(),
        kind: Kind::Client,
        begun: nanos(begun + exchange.decided.unwrap_or_default()),
        ended: nanos(begun + exchange.ended),
        attributes: &attributes,
        failed,
    };
    batch.tell(&told);
}

/// The host and the port of `http://10.0.0.5:8000`.
fn authority(url: &str) -> (&str, Option<u64>) {
    let authority = url.split_once("://").map_or(url, |(_, authority)| authority);
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
    (host, port.parse().ok())
}

fn nanos(since_1970: Duration) -> u64 {
    u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX)
}

/// Numbers for ids and samples (xoshiro256++): nobody's safety rests on them, and none costs a system call.
struct Random(Cell<[u64; 4]>);

impl Random {
    /// Numbers that no other worker has.
    fn new() -> Self {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).expect("the operating system has randomness once it runs programs");
        let word = |at: usize| u64::from_ne_bytes(seed[8 * at..8 * at + 8].try_into().expect("eight bytes"));
        // It would stay at nothing but zeros.
        Self(Cell::new([word(0) | 1, word(1), word(2), word(3)]))
    }

    fn next(&self) -> u64 {
        let mut s = self.0.get();
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        self.0.set(s);
        result
    }

    /// All zeros name no span.
    fn id(&self) -> [u8; 8] {
        self.next().max(1).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::telemetry::trace::Ratio;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn sampling(part: f64) -> Sampling {
        Sampling { ratio: Ratio::new(part).unwrap(), trust: vec!["10.0.0.0/8".parse().unwrap()] }
    }

    /// What goes on of these headers: the place and the state.
    fn goes_on(part: f64, peer: &str, lines: &[(&'static str, &str)]) -> (Place, Option<String>) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let span = Tracer::new(Queue::default()).begin(&sampling(part), &headers, peer.parse().unwrap());
        span.propagate(&mut headers);
        let state = headers.get(TRACESTATE).map(|value| value.to_str().unwrap().to_owned());
        (Place::of(&headers).expect("one that can be read"), state)
    }

    #[test]
    fn a_trace_goes_on_for_whoever_is_trusted_and_begins_anew_for_everybody_else() {
        let lines = [("traceparent", GOOD), ("tracestate", "a=1")];
        let (place, state) = goes_on(0.0, "10.0.0.1", &lines);
        let before = data_encoding::HEXLOWER.decode(&GOOD.as_bytes()[3..35]).unwrap();
        assert_eq!((&place.trace[..], place.sampled, state.as_deref()), (&before[..], true, Some("a=1")));
        assert_ne!(data_encoding::HEXLOWER.encode(&place.span), "00f067aa0ba902b7", "the upstream is below ours");
        let (place, state) = goes_on(0.0, "192.0.2.1", &lines);
        assert!(place.trace[..] != before[..] && !place.sampled && state.is_none());
        let (place, state) = goes_on(0.0, "10.0.0.1", &[("traceparent", "nonsense"), ("tracestate", "a=1")]);
        assert!(!place.sampled && state.is_none(), "what cannot be read is none");
        let long = format!("a={}", "x".repeat(600));
        let (place, state) = goes_on(0.0, "10.0.0.1", &[("traceparent", GOOD), ("tracestate", &long)]);
        assert!(place.sampled && state.is_none(), "the trace goes on without what is too long");
    }

    #[test]
    fn whether_a_trace_is_sampled_is_the_word_of_who_began_it_and_else_by_chance() {
        let unsampled = GOOD.replace("-01", "-00");
        assert!(!goes_on(1.0, "10.0.0.1", &[("traceparent", &unsampled)]).0.sampled);
        assert!(goes_on(1.0, "10.0.0.1", &[]).0.sampled && !goes_on(0.0, "10.0.0.1", &[]).0.sampled);
    }

    #[test]
    fn without_a_place_headers_go_on_as_they_came() {
        let mut headers = HeaderMap::new();
        headers.append(TRACEPARENT, HeaderValue::from_static("nonsense"));
        headers.append(TRACESTATE, HeaderValue::from_static(" odd "));
        let before = headers.clone();
        Span::default().propagate(&mut headers);
        assert_eq!(headers, before);
    }

    #[test]
    fn the_authority_of_an_endpoint_is_taken_apart() {
        assert_eq!(authority("http://10.0.0.5:8000"), ("10.0.0.5", Some(8000)));
        assert_eq!(authority("https://[::1]:443"), ("[::1]", Some(443)));
        assert_eq!(authority(""), ("", None));
    }

    #[test]
    fn numbers_are_as_the_authors_of_the_generator_have_them() {
        // https://prng.di.unimi.it/xoshiro256plusplus.c, from the state 1, 2, 3, 4.
        let random = Random(Cell::new([1, 2, 3, 4]));
        assert_eq!([random.next(), random.next(), random.next()], [41_943_041, 58_720_359, 3_588_806_011_781_223]);
    }
}
