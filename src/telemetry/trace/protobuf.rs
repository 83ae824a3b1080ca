//! As much of protobuf as OTLP takes: spans in the messages of `opentelemetry/proto/trace/v1/trace.proto` (1.x), field by
//! field in the order of their numbers.

/// A span, to be written.
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

/// `SpanKind`.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Server = 2,
    Client = 3,
}

/// `AnyValue`, as much of it as is needed.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Number(u64),
}

const FIXED64: u8 = 1;
const BYTES: u8 = 2;
const FIXED32: u8 = 5;
/// `Status.STATUS_CODE_ERROR`.
const ERROR: u64 = 2;
/// That the flags say whether the parent is another process, and that it is (`SpanFlags`).
const REMOTE_KNOWN: u32 = 0x100;
const REMOTE: u32 = 0x200;

/// Writes a span as one of `ScopeSpans.spans`.
pub(super) fn span(out: &mut Vec<u8>, told: &Told<'_>) {
    message(out, 2, |out| {
        bytes(out, 1, &told.trace);
        bytes(out, 2, &told.span);
        text(out, 3, told.state);
        bytes(out, 4, told.parent.as_ref().map_or(&[], |parent| parent));
        text(out, 5, told.name);
        number(out, 6, told.kind as u64);
        key(out, 7, FIXED64);
        out.extend(told.begun.to_le_bytes());
        key(out, 8, FIXED64);
        out.extend(told.ended.to_le_bytes());
        told.attributes.iter().for_each(|(name, value)| attribute(out, 9, name, *value));
        if told.failed {
            message(out, 15, |out| number(out, 3, ERROR));
        }
        let remote = if matches!(told.kind, Kind::Server) && told.parent.is_some() { REMOTE } else { 0 };
        key(out, 16, FIXED32);
        out.extend((1 | REMOTE_KNOWN | remote).to_le_bytes());
    });
}

/// An `ExportTraceServiceRequest` of spans that were written, all of one service and by this version of the house.
pub(super) fn request(spans: &[u8], resource: &[(&'static str, Value<'_>)], version: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(spans.len() + 256);
    message(&mut out, 1, |out| {
        message(out, 1, |out| resource.iter().for_each(|(name, value)| attribute(out, 1, name, *value)));
        message(out, 2, |out| {
            message(out, 1, |out| {
                text(out, 1, env!("CARGO_PKG_NAME"));
                text(out, 2, version);
            });
            out.extend_from_slice(spans);
        });
    });
    out
}

fn attribute(out: &mut Vec<u8>, field: u8, name: &str, value: Value<'_>) {
    message(out, field, |out| {
        text(out, 1, name);
        message(out, 2, |out| match value {
            // Written though it be empty: it is one of several that there could be.
            Value::Text(text) => message(out, 1, |out| out.extend_from_slice(text.as_bytes())),
            Value::Number(own) => {
                key(out, 3, 0);
                varint(out, own);
            }
        });
    });
}

fn key(out: &mut Vec<u8>, field: u8, wire: u8) {
    varint(out, u64::from(field) << 3 | u64::from(wire));
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// What is 0 is left out.
fn number(out: &mut Vec<u8>, field: u8, number: u64) {
    if number > 0 {
        key(out, field, 0);
        varint(out, number);
    }
}

/// What is empty is left out.
fn text(out: &mut Vec<u8>, field: u8, text: &str) {
    bytes(out, field, text.as_bytes());
}

fn bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    if !bytes.is_empty() {
        message(out, field, |out| out.extend_from_slice(bytes));
    }
}

/// Its length stands before it, and is known when it was written.
fn message(out: &mut Vec<u8>, field: u8, write: impl FnOnce(&mut Vec<u8>)) {
    key(out, field, BYTES);
    let start = out.len();
    write(out);
    let mut length = Vec::with_capacity(4);
    varint(&mut length, (out.len() - start) as u64);
    out.splice(start..start, length);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `tests/vectors/otlp/request.py` writes with the library of OpenTelemetry for Python.
    const REQUEST: &[u8] = include_bytes!("../../../tests/vectors/otlp/request.bin");

    #[test]
    fn a_request_is_what_the_library_of_opentelemetry_writes() {
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
        let mut spans = Vec::new();
        span(&mut spans, &server);
        span(&mut spans, &client);
        let resource = [("service.name", Value::Text("vidgate")), ("service.version", Value::Text("0.1.0"))];
        let request = request(&spans, &resource, "0.1.0");
        assert!(request == REQUEST, "{request:02x?}\n{REQUEST:02x?}");
    }

    #[test]
    fn numbers_are_written_in_sevens_of_bits() {
        for (number, expected) in [
            (0, &[0][..]),
            (127, &[0x7f]),
            (128, &[0x80, 1]),
            (u64::MAX, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        ] {
            let mut out = Vec::new();
            varint(&mut out, number);
            assert_eq!(out, expected);
        }
    }
}
