//! WebSocket as far as a gateway must know it (RFC 6455): who asks for it, what an upstream says to it, and where a frame
//! begins, so that a Close frame of ours does not land in the middle of another. What stands in frames is nobody's
//! business here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Version};
use hyper::ext::Protocol;
use sha1::{Digest as _, Sha1};

use crate::refusal::{Cause, Refusal};

/// What is joined to a key before it is hashed (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The only version there is.
const VERSION: &str = "13";
const WORD: &str = "websocket";

/// How a caller asks for WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// By an Upgrade in HTTP/1.1: the caller's own key goes on, and they check what the upstream makes of it.
    Upgrade,
    /// By an extended CONNECT in HTTP/2 (RFC 8441), which has no key: this one is ours.
    Connect(Box<str>),
}

/// Whether a request is an extended CONNECT, which reads as a GET from the edge on (`edge/guard.rs`).
pub fn is_connect(parts: &Parts) -> bool {
    parts.version == Version::HTTP_2 && parts.extensions.get::<Protocol>().is_some()
}

/// Whether a request asks for WebSocket, on a route that has it. One that does so wrongly is refused: it would be taken
/// for an ordinary request, and the caller for somebody who waits for its answer.
pub fn asked(parts: &Parts) -> Result<Option<Asked>, Refusal> {
    let connect = is_connect(parts);
    // What is not named in `Connection` too is said to nobody (RFC 9110 §7.8).
    let upgrade = || has(&parts.headers, &UPGRADE, WORD) && has(&parts.headers, &CONNECTION, "upgrade");
    if !(connect || parts.version == Version::HTTP_11 && upgrade()) {
        return Ok(None);
    }
    let wrong = |detail| Err(Refusal::new(Cause::MalformedRequest, detail));
    if parts.method != Method::GET {
        return wrong("an upgrade to WebSocket that is no GET");
    }
    let mut versions = parts.headers.get_all(SEC_WEBSOCKET_VERSION).iter();
    if versions.next().is_none_or(|version| version != VERSION) || versions.next().is_some() {
        return wrong("a version of WebSocket other than 13");
    }
    if connect {
        let mut key = [0; 16];
        // Without chance the key is a poor one, which harms nobody: it only has to be ours.
        let _ = getrandom::fill(&mut key);
        return Ok(Some(Asked::Connect(STANDARD.encode(key).into())));
    }
    let mut keys = parts.headers.get_all(SEC_WEBSOCKET_KEY).iter();
    let is_key = |key: &http::HeaderValue| STANDARD.decode(key.as_bytes()).is_ok_and(|bytes| bytes.len() == 16);
    if !keys.next().is_some_and(is_key) || keys.next().is_some() {
        return wrong("an upgrade to WebSocket without its key");
    }
    Ok(Some(Asked::Upgrade))
}

/// Whether a list has this word.
fn has(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let mut words = headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    words.any(|own| own.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether an upstream has switched to WebSocket and to nothing else.
pub(super) fn is_switched(headers: &HeaderMap) -> bool {
    let mut protocols = headers.get_all(UPGRADE).iter();
    protocols.next().is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(WORD.as_bytes()))
        && protocols.next().is_none()
        && has(headers, &CONNECTION, "upgrade")
}

/// What answers this key (RFC 6455 §4.2.2).
pub(super) fn accept(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// Why a tunnel is closed (RFC 6455 §7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// The house goes down, or it has lasted too long.
    GoingAway = 1001,
    /// The caller would be let in no longer.
    PolicyViolation = 1008,
}

/// A Close frame without a reason, as a server sends it.
pub(super) fn close(code: Code) -> [u8; 4] {
    let [high, low] = (code as u16).to_be_bytes();
    [0x88, 2, high, low]
}

/// Where the bytes from an upstream stand between frames.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frames {
    place: Place,
    /// Whether a Close frame has begun: nothing of ours may follow one.
    closed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// In the head of a frame, of which these bytes are here.
    Head([u8; 14], usize),
    /// In a frame, of which so many bytes are to come.
    Payload(u64),
}

impl Default for Place {
    fn default() -> Self {
        Self::Head([0; 14], 0)
    }
}

impl Frames {
    /// Whether a frame may begin here.
    pub(super) fn between(&self) -> bool {
        matches!(self.place, Place::Head(_, 0))
    }

    /// Whether the upstream has said its last.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Goes on over all of these bytes.
    pub(super) fn pass(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = &rest[self.step(rest)..];
        }
    }

    /// Goes on as far as the next place where a frame may begin, and says how far that is; nowhere if it is here.
    pub(super) fn pass_to_end(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        while passed < bytes.len() && !self.between() {
            passed += self.step(&bytes[passed..]);
        }
        passed
    }

    /// Takes some bytes, one at least, and none beyond the end of a frame.
    fn step(&mut self, bytes: &[u8]) -> usize {
        match &mut self.place {
            Place::Payload(left) => {
                let taken = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= taken as u64;
                if *left == 0 {
                    self.place = Place::default();
                }
                taken
            }
            Place::Head(head, length) => {
                head[*length] = bytes[0];
                *length += 1;
                if let Some(payload) = payload(&head[..*length]) {
                    self.closed |= head[0] & 0x0f == 8;
                    self.place = if payload == 0 { Place::default() } else { Place::Payload(payload) };
                }
                1
            }
        }
    }
}

/// How long the payload is, if the head is whole (RFC 6455 §5.2). A mask, which no server sends, is part of the head.
fn payload(head: &[u8]) -> Option<u64> {
    let [_, second, rest @ ..] = head else { return None };
    let (length, extended) = match second & 0x7f {
        126 => (u64::from(u16::from_be_bytes(*rest.first_chunk()?)), 2),
        127 => (u64::from_be_bytes(*rest.first_chunk()?), 8),
        short => (u64::from(short), 0),
    };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    (rest.len() == extended + mask).then_some(length)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn frame(first: u8, masked: bool, length: usize) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut bytes = vec![first];
        match u16::try_from(length) {
            Ok(short @ 0..126) => bytes.push(mask | u8::try_from(short).unwrap()),
            Ok(middle) => {
                bytes.push(mask | 0x7e);
                bytes.extend(middle.to_be_bytes());
            }
            Err(_) => {
                bytes.push(mask | 0x7f);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend(if masked { &[1, 2, 3, 4][..] } else { &[] });
        bytes.extend(std::iter::repeat_n(0x88, length));
        bytes
    }

    #[test]
    fn the_end_of_a_frame_is_found_however_its_bytes_arrive() {
        for length in [0, 1, 125, 126, 65535, 65536] {
            for masked in [false, true] {
                let bytes = frame(0x82, masked, length);
                for piece in [1, 2, 3, 7, bytes.len()] {
                    let mut frames = Frames::default();
                    for (number, part) in bytes.chunks(piece).enumerate() {
                        assert!(number == 0 || !frames.between(), "{length}, {masked}, {piece}");
                        frames.pass(part);
                    }
                    assert!(frames.between() && !frames.is_closed(), "{length}, {masked}, {piece}");
                }
                let (mut frames, two) = (Frames::default(), [&bytes[..], &bytes].concat());
                frames.pass(&two[..1]);
                assert_eq!(frames.pass_to_end(&two[1..]), bytes.len() - 1, "{length}, {masked}");
                assert_eq!(frames.pass_to_end(&two[bytes.len()..]), 0);
            }
        }
    }

    #[test]
    fn fragments_and_control_frames_are_frames_and_a_close_is_the_last() {
        let (part, ping, last) = (frame(0x01, false, 3), frame(0x89, false, 2), frame(0x80, false, 200));
        let mut frames = Frames::default();
        for one in [&part, &ping, &last] {
            frames.pass(one);
            assert!(frames.between() && !frames.is_closed());
        }
        frames.pass(&close(Code::GoingAway)[..2]);
        assert!(frames.is_closed() && !frames.between());
        frames.pass(&close(Code::GoingAway)[2..]);
        assert!(frames.between());
        assert_eq!(close(Code::PolicyViolation), [0x88, 2, 0x03, 0xf0]);
    }

    #[test]
    fn a_key_is_answered_as_the_standard_says() {
        // RFC 6455 §1.3
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn websocket_is_asked_for_in_full_or_not_at_all() {
        const KEY: (&str, &str) = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        const VERSION: (&str, &str) = ("sec-websocket-version", "13");
        const BOTH: [(&str, &str); 2] = [("upgrade", "websocket"), ("connection", "Upgrade")];
        let ask = |method: &str, fields: &[(&str, &str)]| {
            let mut request = Request::builder().method(method).uri("/");
            for (name, value) in fields {
                request = request.header(*name, *value);
            }
            asked(&request.body(()).unwrap().into_parts().0).map_err(|refusal| refusal.cause)
        };
        let wrong = Err(Cause::MalformedRequest);
        for (what, method, fields, expected) in [
            ("in full", "GET", &[BOTH[0], BOTH[1], KEY, VERSION][..], Ok(Some(Asked::Upgrade))),
            (
                "in capitals",
                "GET",
                &[("upgrade", "WebSocket"), ("connection", "keep-alive, UPGRADE"), KEY, VERSION],
                Ok(Some(Asked::Upgrade)),
            ),
            ("not at all", "GET", &[KEY, VERSION], Ok(None)),
            ("something else", "GET", &[("upgrade", "h2c"), BOTH[1], KEY, VERSION], Ok(None)),
            ("to nobody", "GET", &[BOTH[0], KEY, VERSION], Ok(None)),
            ("with another method", "POST", &[BOTH[0], BOTH[1], KEY, VERSION], wrong.clone()),
            ("without a key", "GET", &[BOTH[0], BOTH[1], VERSION], wrong.clone()),
            ("with two keys", "GET", &[BOTH[0], BOTH[1], KEY, KEY, VERSION], wrong.clone()),
            ("with a short key", "GET", &[BOTH[0], BOTH[1], ("sec-websocket-key", "dGhl"), VERSION], wrong.clone()),
            ("without a version", "GET", &[BOTH[0], BOTH[1], KEY], wrong.clone()),
            ("in another version", "GET", &[BOTH[0], BOTH[1], KEY, ("sec-websocket-version", "8")], wrong),
        ] {
            assert_eq!(ask(method, fields), expected, "{what}");
        }
    }
}
