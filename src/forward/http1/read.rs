//! The head of an answer. Everything that two readers could take in two ways is refused: more than one framing, one that
//! is not spelled as everybody spells it, a switch of protocols that nobody asked for
//! (RFC 9112 §6.3 and §11.1, RFC 9110 §7.8).

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::StatusCode;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use httparse::{ParserConfig, Status};
use hyper::ext::ReasonPhrase;

use crate::forward::http1::decode::Decoder;
use crate::forward::websocket;

/// The largest head of an answer.
pub(super) const HEAD: usize = 32 * 1024;
/// The most fields in it.
const FIELDS: usize = 100;

/// What a request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::forward) enum Expected {
    /// An answer with its body.
    Whole,
    /// The head of one alone.
    Head,
    /// A switch to WebSocket, or else an answer.
    Switch,
}

/// The head of a final answer.
#[derive(Debug)]
pub(in crate::forward) struct Head {
    /// The status.
    pub(in crate::forward) status: StatusCode,
    /// The reason, where it is another than the usual one.
    pub(in crate::forward) reason: Option<ReasonPhrase>,
    /// The fields, without a `Connection` that names none of them.
    pub(in crate::forward) fields: HeaderMap,
    /// What reads the body.
    pub(in crate::forward) decoder: Decoder,
    /// Whether the connection may be used again behind the answer.
    pub(super) keeps: bool,
}

/// Why bytes are no answer; for the log.
pub(super) type Malformed = &'static str;

const NOT_HTTP: Malformed = "the upstream's answer is not HTTP";
const DOUBTFUL: Malformed = "the upstream's answer has a doubtful framing";

/// Reads the head of the final answer from the beginning of `input` and takes it out; interim answers before it are
/// passed over (RFC 9110 §15.2). `None`: there is more to come. The fields are put into `fields`, which is empty.
/// `expected` is what the request asked for.
pub(super) fn head(
    input: &mut BytesMut,
    expected: Expected,
    fields: &mut HeaderMap,
) -> Result<Option<Head>, Malformed> {
    loop {
        let mut places = [[0; 4]; FIELDS];
        let Some(outline) = outline(input, &mut places)? else { return Ok(None) };
        let switches = outline.status == StatusCode::SWITCHING_PROTOCOLS;
        if switches && expected != Expected::Switch {
            return Err("the upstream switched protocols unasked");
        }
        if outline.status.is_informational() && !switches {
            input.advance(outline.length);
            if input.is_empty() {
                return Ok(None);
            }
            continue;
        }
        let text = input.split_to(outline.length).freeze();
        let mut framing = Framing::default();
        let mut keeps = outline.keeps;
        fields.reserve(outline.fields);
        for place in &places[..outline.fields] {
            let [name, name_end, value, value_end] = place.map(usize::from);
            let name = HeaderName::from_bytes(&text[name..name_end]).map_err(|_| NOT_HTTP)?;
            if name == CONNECTION {
                keeps &= !says_close(&text[value..value_end]);
                if is_usual(&text[value..value_end]) {
                    continue;
                }
            }
            let value = HeaderValue::from_maybe_shared(text.slice(value..value_end)).map_err(|_| NOT_HTTP)?;
            if name == CONTENT_LENGTH {
                framing.length(value.as_bytes())?;
            } else if name == TRANSFER_ENCODING {
                framing.coding(value.as_bytes(), outline.keeps)?;
            }
            fields.append(name, value);
        }
        if switches {
            if !matches!(framing, Framing::None) || !outline.keeps || !websocket::is_switched(fields) {
                return Err("the upstream switched to something else than WebSocket");
            }
            keeps = false;
        }
        let without_body =
            expected == Expected::Head || matches!(outline.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let decoder = if without_body { Decoder::Length(0) } else { framing.decoder() };
        keeps &= !matches!(decoder, Decoder::UntilClose);
        let (status, reason) = (outline.status, outline.reason);
        return Ok(Some(Head { status, reason, fields: std::mem::take(fields), decoder, keeps }));
    }
}

/// A head that is complete.
struct Outline {
    /// With its empty line.
    length: usize,
    status: StatusCode,
    reason: Option<ReasonPhrase>,
    /// How many.
    fields: usize,
    /// HTTP/1.1, whose connections last. In HTTP/1.0 none does: whoever speaks it may not know what a framing is.
    keeps: bool,
}

/// Finds the lines of a head, and notes where name and value of each field begin and end.
fn outline(input: &[u8], places: &mut [[u16; 4]; FIELDS]) -> Result<Option<Outline>, Malformed> {
    let mut slots = [const { MaybeUninit::uninit() }; FIELDS];
    let mut answer = httparse::Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut answer, input, &mut slots);
    let length = match parsed.map_err(|_| NOT_HTTP)? {
        Status::Complete(length) if length <= HEAD => length,
        Status::Partial if input.len() < HEAD => return Ok(None),
        Status::Complete(_) | Status::Partial => return Err(NOT_HTTP),
    };
    let status = answer.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(NOT_HTTP)?;
    let reason = answer.reason.filter(|reason| status.canonical_reason() != Some(reason));
    let reason = reason.map(|reason| ReasonPhrase::try_from(reason.as_bytes())).transpose().map_err(|_| NOT_HTTP)?;
    let start = input.as_ptr().addr();
    // A head is short enough for both, and an empty value may point anywhere.
    let at = |text: &[u8]| {
        let from = if text.is_empty() { 0 } else { text.as_ptr().addr() - start };
        Some([u16::try_from(from).ok()?, u16::try_from(from + text.len()).ok()?])
    };
    for (place, field) in places.iter_mut().zip(&*answer.headers) {
        let (name, value) = (at(field.name.as_bytes()).ok_or(NOT_HTTP)?, at(field.value).ok_or(NOT_HTTP)?);
        let ([name, name_end], [value, value_end]) = (name, value);
        *place = [name, name_end, value, value_end];
    }
    let (fields, keeps) = (answer.headers.len(), answer.version == Some(1));
    Ok(Some(Outline { length, status, reason, fields, keeps }))
}

/// Whether nothing is said of other fields: then it has no meaning beyond this hop, and nobody looks for it there.
fn is_usual(connection: &[u8]) -> bool {
    connection == b"keep-alive" || connection == b"close"
}

/// RFC 9110 §7.6.1.
fn says_close(connection: &[u8]) -> bool {
    let words = connection.split(|byte| *byte == b',');
    words.into_iter().any(|word| word.trim_ascii().eq_ignore_ascii_case(b"close"))
}

/// At most one framing, and one that everybody reads alike: a number, or `chunked` by itself. Whichever of two we
/// believe, somebody behind us may believe the other; and a coding below `chunked` would be taken for content, since
/// `Transfer-Encoding` ends here.
#[derive(Default)]
enum Framing {
    #[default]
    None,
    Length(u64),
    Chunked,
}

impl Framing {
    fn length(&mut self, value: &[u8]) -> Result<(), Malformed> {
        let Self::None = self else { return Err(DOUBTFUL) };
        *self = Self::Length(digits(value).ok_or(DOUBTFUL)?);
        Ok(())
    }

    fn coding(&mut self, value: &[u8], known: bool) -> Result<(), Malformed> {
        let Self::None = self else { return Err(DOUBTFUL) };
        if !known || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(DOUBTFUL);
        }
        *self = Self::Chunked;
        Ok(())
    }

    fn decoder(&self) -> Decoder {
        match self {
            Self::None => Decoder::UntilClose,
            Self::Length(length) => Decoder::Length(*length),
            Self::Chunked => Decoder::chunked(),
        }
    }
}

/// A number of digits alone: `parse` would take a sign as well.
pub(in crate::forward) fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(value).ok()?.parse().ok()
}

/// Whether a head could be complete: there is an empty line behind `from`. For heads that come in pieces, so that each
/// piece does not have all before it read again.
pub(super) fn may_be_complete(input: &[u8], from: usize) -> bool {
    let rest = &input[from.saturating_sub(3)..];
    rest.windows(2).any(|end| end == b"\n\n") || rest.windows(3).any(|end| end == b"\n\r\n") || input.len() >= HEAD
}

/// The fields behind a body: a block of lines with an empty one at its end.
pub(super) fn trailers(block: &Bytes) -> Result<HeaderMap, Malformed> {
    const BAD: Malformed = "the upstream's answer has malformed trailers";
    let mut slots = [httparse::EMPTY_HEADER; FIELDS];
    let Ok(Status::Complete((_, found))) = httparse::parse_headers(block, &mut slots) else { return Err(BAD) };
    let mut fields = HeaderMap::with_capacity(found.len());
    for field in found {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| BAD)?;
        fields.append(name, HeaderValue::from_bytes(field.value).map_err(|_| BAD)?);
    }
    Ok(fields)
}
