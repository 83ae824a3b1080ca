//! Spans on their way from a worker to the thread that sends them. What is told of one is copied behind what was told of
//! those before it, so that no span takes memory of its own; the messages of OTLP are made of it on that thread.

use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1 as message;

/// How much is gathered before it is handed over without waiting for the sweep, in bytes of texts.
const FULL: usize = 32 << 10;

/// A span, to be told.
pub(super) struct Told<'a> {
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
    pub(super) parent: Option<[u8; 8]>,
    /// `tracestate`, as it came.
    pub(super) state: &'a str,
    pub(super) name: &'a str,
    pub(super) kind: Kind,
    /// In nanoseconds since 1970.
    pub(super) begun: u64,
    pub(super) ended: u64,
    pub(super) attributes: &'a [(&'static str, Value<'a>)],
    /// Whether it counts as failed.
    pub(super) failed: bool,
}

/// Whose part of a request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Server,
    Client,
}

/// What an attribute says.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Number(u64),
}

/// Spans of one worker.
#[derive(Debug, Default)]
pub(super) struct Batch {
    spans: Vec<Noted>,
    /// Those of all spans, one span's after the other's.
    attributes: Vec<(&'static str, Held)>,
    /// All texts, in the order in which they are read.
    texts: String,
}

/// A span without its texts and attributes.
#[derive(Debug)]
struct Noted {
    trace: [u8; 16],
    span: [u8; 8],
    parent: Option<[u8; 8]>,
    kind: Kind,
    begun: u64,
    ended: u64,
    failed: bool,
    /// How long its texts are, in bytes, and how many attributes it has.
    state: usize,
    name: usize,
    attributes: usize,
}

#[derive(Debug)]
enum Held {
    /// The length of a text.
    Text(usize),
    Number(u64),
}

impl Batch {
    /// Adds a span.
    pub(super) fn tell(&mut self, told: &Told<'_>) {
        let &Told { trace, span, parent, state, name, kind, begun, ended, attributes, failed } = told;
        self.texts.push_str(state);
        self.texts.push_str(name);
        for (name, value) in attributes {
            let held = match value {
                Value::Text(text) => {
                    self.texts.push_str(text);
                    Held::Text(text.len())
                }
                Value::Number(number) => Held::Number(*number),
            };
            self.attributes.push((name, held));
        }
        let (state, name, attributes) = (state.len(), name.len(), attributes.len());
        self.spans.push(Noted { trace, span, parent, kind, begun, ended, failed, state, name, attributes });
    }

    /// How many spans it has.
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether it is handed over before it grows.
    pub(super) fn is_full(&self) -> bool {
        self.texts.len() >= FULL
    }

    /// Its spans as OTLP has them.
    pub(super) fn into_messages(self) -> Vec<message::Span> {
        let Self { spans, attributes, texts } = self;
        let mut left = texts.as_str();
        let mut text = |length| {
            let (text, rest) = left.split_at(length);
            left = rest;
            text.to_owned()
        };
        let mut attributes = attributes.into_iter();
        let mut messages = Vec::with_capacity(spans.len());
        for noted in spans {
            let (trace_state, name) = (text(noted.state), text(noted.name));
            let own = attributes.by_ref().take(noted.attributes).map(|(name, held)| match held {
                Held::Text(length) => attribute(name, any_value::Value::StringValue(text(length))),
                Held::Number(number) => {
                    attribute(name, any_value::Value::IntValue(i64::try_from(number).unwrap_or(i64::MAX)))
                }
            });
            messages.push(message::Span { trace_state, name, attributes: own.collect(), ..noted.into() });
        }
        messages
    }
}

impl From<Noted> for message::Span {
    fn from(noted: Noted) -> Self {
        let kind = match noted.kind {
            Kind::Server => message::span::SpanKind::Server,
            Kind::Client => message::span::SpanKind::Client,
        };
        let failed = || message::Status { code: message::status::StatusCode::Error.into(), ..Default::default() };
        // A span is told only if it is sampled; what the caller began is another process's.
        let mut flags = 1 | message::SpanFlags::ContextHasIsRemoteMask as u32;
        if noted.kind == Kind::Server && noted.parent.is_some() {
            flags |= message::SpanFlags::ContextIsRemoteMask as u32;
        }
        Self {
            trace_id: noted.trace.to_vec(),
            span_id: noted.span.to_vec(),
            parent_span_id: noted.parent.map(Vec::from).unwrap_or_default(),
            kind: kind.into(),
            start_time_unix_nano: noted.begun,
            end_time_unix_nano: noted.ended,
            status: noted.failed.then(failed),
            flags,
            ..Self::default()
        }
    }
}

/// One attribute, as OTLP has it.
pub(super) fn attribute(name: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message as _;

    use super::*;

    /// What `tests/vectors/otlp/request.py` writes with the library of OpenTelemetry for Python.
    const REQUEST: &[u8] = include_bytes!("../../../tests/vectors/otlp/request.bin");

    #[test]
    fn spans_are_those_that_the_library_of_opentelemetry_for_python_writes() {
        let attributes = [
            ("http.request.method", Value::Text("GET")),
            ("http.response.status_code", Value::Number(503)),
            ("url.path", Value::Text("/a/ü")),
            ("vidgate.account", Value::Text("")),
            ("http.response.body.size", Value::Number(300)),
        ];
        let server = Told {
            trace: [0x11; 16],
            span: [0x22; 8],
            parent: Some([0x33; 8]),
            state: "a=1,b=2",
            name: "GET all",
            kind: Kind::Server,
            begun: 1_735_689_600_000_000_000,
            ended: 1_735_689_600_250_000_000,
            attributes: &attributes,
            failed: true,
        };
        let client = Told {
            span: [0x44; 8],
            parent: Some([0x22; 8]),
            state: "",
            name: "GET",
            kind: Kind::Client,
            attributes: &[],
            failed: false,
            ..server
        };
        let mut batch = Batch::default();
        batch.tell(&server);
        batch.tell(&client);
        let request = ExportTraceServiceRequest::decode(REQUEST).expect("it can be read");
        assert_eq!((batch.len(), batch.into_messages()), (2, request.resource_spans[0].scope_spans[0].spans.clone()));
    }

    #[test]
    fn a_batch_is_full_once_its_texts_are_long() {
        let attributes = [("url.path", Value::Text("/0123456789"))];
        let mut batch = Batch::default();
        while !batch.is_full() {
            let ids = ([1; 16], [2; 8], None, Kind::Client);
            let (trace, span, parent, kind) = ids;
            let attributes = &attributes[..];
            batch.tell(&Told {
                trace,
                span,
                parent,
                kind,
                state: "",
                name: "GET",
                begun: 1,
                ended: 2,
                attributes,
                failed: false,
            });
        }
        assert!(batch.len() > 1000 && batch.texts.len() < FULL + 20, "{}", batch.len());
    }
}
