//! Pictures, playlists and recordings that cost nothing to make but are valid: a PNG, an HLS playlist with MPEG-TS
//! segments of null packets, a recording that can be read in ranges, and a stream that takes its time.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body::Frame;
use tokio::time::{Interval, interval};

/// How many segments the playlist names.
pub(super) const SEGMENTS: usize = 3;
/// The size of the recording.
pub(super) const RECORDING_BYTES: usize = 64 << 10;

/// A test card of eight bars.
const PICTURE: &[u8] = include_bytes!("picture.png");
const RECORDING_TAG: &str = "\"recording-1\"";
/// How many pictures a live stream has, and how far apart.
const STREAM_PICTURES: usize = 5;
const STREAM_PACE: Duration = Duration::from_millis(200);

/// The live picture.
pub(super) async fn picture() -> Response {
    ([(CONTENT_TYPE, "image/png"), (CACHE_CONTROL, "no-store")], PICTURE).into_response()
}

/// The HLS playlist. Its segments are named relative to it, so that a player comes back by the gateway.
pub(super) async fn playlist() -> Response {
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n");
    for number in 0..SEGMENTS {
        text.push_str("#EXTINF:2.0,\n");
        text.push_str(&segment_name(number));
        text.push('\n');
    }
    text.push_str("#EXT-X-ENDLIST\n");
    ([(CONTENT_TYPE, "application/vnd.apple.mpegurl")], text).into_response()
}

fn segment_name(number: usize) -> String {
    format!("segment/{number}.ts")
}

/// One segment: MPEG-TS null packets (ISO/IEC 13818-1: sync byte, PID 0x1fff), which a player skips.
pub(super) async fn segment(Path(name): Path<String>) -> Response {
    let number = name.strip_suffix(".ts").and_then(|number| number.parse::<usize>().ok());
    if number.is_none_or(|number| number >= SEGMENTS) {
        return (StatusCode::NOT_FOUND, "no such segment\n").into_response();
    }
    let mut packet = [0xff_u8; 188];
    packet[..4].copy_from_slice(&[0x47, 0x1f, 0xff, 0x10]);
    ([(CONTENT_TYPE, "video/mp2t")], packet.repeat(50)).into_response()
}

/// The recording, whole or the one range asked for.
pub(super) async fn download(headers: HeaderMap) -> Response {
    let recording: Vec<u8> = (b'a'..=b'z').cycle().take(RECORDING_BYTES).collect();
    let own = [(CONTENT_TYPE, "video/mp4"), (ACCEPT_RANGES, "bytes"), (ETAG, RECORDING_TAG)];
    // RFC 9110 §13.1.5: a range of another version than ours is worth nothing, so the whole is sent.
    let same_version = headers.get(IF_RANGE).is_none_or(|tag| tag == RECORDING_TAG);
    let range = headers.get(RANGE).and_then(|range| range.to_str().ok()).filter(|_| same_version);
    match range.map_or(Wanted::Whole, |range| wanted(range, RECORDING_BYTES)) {
        Wanted::Whole => (own, recording).into_response(),
        Wanted::Part { first, last } => {
            let place = format!("bytes {first}-{last}/{RECORDING_BYTES}");
            (StatusCode::PARTIAL_CONTENT, own, [(CONTENT_RANGE, place)], recording[first..=last].to_vec())
                .into_response()
        }
        Wanted::Nothing => {
            (StatusCode::RANGE_NOT_SATISFIABLE, own, [(CONTENT_RANGE, format!("bytes */{RECORDING_BYTES}"))])
                .into_response()
        }
    }
}

#[derive(Debug)]
enum Wanted {
    Whole,
    Part { first: usize, last: usize },
    Nothing,
}

/// What a `Range` asks of `size` bytes. What it cannot mean, and several ranges at once, are answered with the whole,
/// as RFC 9110 §14.2 allows.
fn wanted(range: &str, size: usize) -> Wanted {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Wanted::Whole;
    };
    match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) if last < first => Wanted::Whole,
        (Ok(first), _) if first >= size => Wanted::Nothing,
        (Ok(first), Ok(last)) => Wanted::Part { first, last: last.min(size - 1) },
        (Ok(first), Err(_)) if last.is_empty() => Wanted::Part { first, last: size - 1 },
        (Err(_), Ok(0)) if first.is_empty() => Wanted::Nothing,
        (Err(_), Ok(tail)) if first.is_empty() => Wanted::Part { first: size.saturating_sub(tail), last: size - 1 },
        (Ok(_) | Err(_), _) => Wanted::Whole,
    }
}

/// A live stream of pictures that follow each other slowly: a gateway that waits for the end is seen at once.
pub(super) async fn stream() -> Response {
    let body = Pictures { left: STREAM_PICTURES, pace: interval(STREAM_PACE) };
    ([(CONTENT_TYPE, "multipart/x-mixed-replace; boundary=picture")], Body::new(body)).into_response()
}

#[derive(Debug)]
struct Pictures {
    left: usize,
    pace: Interval,
}

impl http_body::Body for Pictures {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        ready!(self.pace.poll_tick(cx));
        self.left -= 1;
        let end: &[u8] = if self.left == 0 { b"\r\n--picture--\r\n" } else { b"\r\n" };
        let part = [b"--picture\r\nContent-Type: image/png\r\n\r\n", PICTURE, end].concat();
        Poll::Ready(Some(Ok(Frame::data(part.into()))))
    }
}
