//! The made-up video APIs that stand behind the demo's gateway: one router and one loopback port a vendor. They trust
//! whoever reaches them, as an upstream does that listens to its gateway alone; who may come is not decided here.

mod cameratag;
mod echo;
mod media;
mod voximplant;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::vendor::Vendor;

/// The largest body that the echo gives back.
const LARGEST_ECHO: usize = 64 << 20;

/// The running APIs; they end when this is dropped.
#[derive(Debug)]
pub(super) struct Upstreams {
    addresses: Vec<(Vendor, SocketAddr)>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Upstreams {
    /// Starts one API a vendor, all on one thread.
    pub(super) fn start() -> io::Result<Self> {
        let mut addresses = Vec::new();
        let mut listeners = Vec::new();
        for vendor in Vendor::ALL {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.set_nonblocking(true)?;
            addresses.push((vendor, listener.local_addr()?));
            listeners.push((vendor, listener));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("upstreams".into()).spawn(move || {
            runtime.block_on(async {
                for (vendor, listener) in listeners {
                    tokio::spawn(serve(vendor, listener));
                }
                // Either word ends the APIs: sent, or dropped.
                let _ = stopped.await;
            });
        })?;
        Ok(Self { addresses, stop: Some(stop), thread: Some(thread) })
    }

    /// Where this vendor's API listens.
    pub(super) fn address(&self, vendor: Vendor) -> SocketAddr {
        let found = self.addresses.iter().find(|(own, _)| *own == vendor);
        found.expect("every vendor has an API").1
    }
}

impl Drop for Upstreams {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(vendor: Vendor, listener: TcpListener) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("the socket is in non-blocking mode");
    // A small answer must not wait for the acknowledgement of the one before.
    let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
    // `axum::serve` bounds nothing, which is right for a toy whose only client is the gateway in the same process.
    let _ = axum::serve(listener, router(vendor)).await;
}

/// One vendor's API.
fn router(vendor: Vendor) -> Router {
    let mut router = Router::new().route("/docs/", get(docs)).route("/docs/{*page}", get(docs));
    for (path, list) in lists(vendor) {
        router = router.route(path, any(|| async { Json(list) }));
    }
    for root in vendor.roots() {
        router = router.merge(video(root));
    }
    router = match vendor {
        Vendor::SecureVideo => router.route("/broken", get(broken)),
        Vendor::CameraTag => router.merge(cameratag::pages()),
        Vendor::Voximplant => router.merge(voximplant::methods()),
        Vendor::Vxg | Vendor::Multicam => router,
    };
    router.fallback(no_such_page).layer(DefaultBodyLimit::max(LARGEST_ECHO))
}

/// What every vendor's API has below each of its roots.
fn video(root: &str) -> Router {
    let at = |path: &str| format!("{root}{path}");
    Router::new()
        .route(&at("/live/image/"), get(media::picture))
        .route(&at("/live/stream"), get(media::stream))
        .route(&at("/live/playlist.m3u8"), get(media::playlist))
        .route(&at("/live/segment/{name}"), get(media::segment))
        .route(&at("/download"), get(media::download))
        .route(&at("/echo"), any(echo::echo))
        .route(&at("/echo/"), any(echo::echo))
        .route(&at("/echo/{*rest}"), any(echo::echo))
}

async fn docs() -> &'static str {
    "The made-up video API's documentation. Anyone may read it.\n"
}

/// What goes wrong in an API that says too much of it.
async fn broken() -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, "SqlException at DB01: password of `sa` refused\n").into_response()
}

async fn no_such_page(request: Request) -> Response {
    // Worded unlike any refusal of the gateway, so that a reader sees who said no.
    (StatusCode::NOT_FOUND, Json(json!({ "upstream": "no such page", "path": request.uri().path() }))).into_response()
}

/// The lists of an API: their paths, and what they answer in the shape that the vendor's clients know.
fn lists(vendor: Vendor) -> Vec<(&'static str, Value)> {
    match vendor {
        Vendor::Vxg => vec![
            (
                "/api/v2/cameras/",
                page(&[json!({ "id": 248_527, "name": "Front door" }), json!({ "id": 248_528, "name": "Yard" })]),
            ),
            (
                "/api/v3/channels/",
                page(&[json!({ "id": 248_527, "name": "Front door" }), json!({ "id": 248_528, "name": "Yard" })]),
            ),
            ("/api/v2/cameras/248527/", json!({ "id": 248_527, "name": "Front door" })),
            ("/api/v2/admin/servers/", page(&[json!({ "id": 1, "name": "Recorder" })])),
            ("/api/v4/meta/filter/", page(&[])),
            ("/api/v4/live/source/", json!({ "rtmp": "rtmp://cam.example.test/248527" })),
            ("/api/v5/channels/", page(&[json!({ "id": 248_527, "name": "Front door" })])),
            ("/api/v5/channels/248527/", json!({ "id": 248_527, "name": "Front door" })),
            (
                "/api/v4/live/watch/",
                json!({ "live_image": "/api/v4/live/image/", "hls": "/api/v4/live/playlist.m3u8" }),
            ),
            (
                "/api/v4/storage/records/",
                page(&[json!({ "id": 1, "url": "/api/v4/download", "size": media::RECORDING_BYTES })]),
            ),
        ],
        Vendor::SecureVideo => vec![
            ("/user", json!([{ "SystemUserId": 2112, "FullName": "Ada Example" }])),
            ("/usage", json!([{ "Month": "2026-01-01", "Sessions": 42 }])),
            ("/client/session", json!([{ "SessionId": 7, "Name": "Consultation" }])),
            ("/cameras", json!([{ "CameraId": 1, "Name": "Consulting room" }])),
        ],
        Vendor::CameraTag => cameratag::lists(),
        Vendor::Multicam => vec![
            ("/api/application/system", json!({ "computerName": "STUDIO-1" })),
            ("/api/application/cameras", json!({ "cameras": [{ "id": 1, "name": "Gate" }] })),
            ("/api/v1/camera", json!({ "cameras": [{ "id": 1, "name": "Gate" }] })),
            ("/api/v2/streaming", json!({ "streaming": false })),
        ],
        // Its methods are told apart by a parameter as well as by the path.
        Vendor::Voximplant => Vec::new(),
    }
}

/// A list as VXG's API pages it.
fn page(objects: &[Value]) -> Value {
    let meta = json!({ "limit": 20, "offset": 0, "total_count": objects.len(), "next": null, "previous": null });
    json!({ "meta": meta, "objects": objects })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, Bytes, to_bytes};
    use axum::http::HeaderMap;
    use tower::ServiceExt;

    fn ask(vendor: Vendor, request: Request) -> (StatusCode, HeaderMap, Bytes) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (parts, body) = router(vendor).oneshot(request).await.unwrap().into_parts();
            (parts.status, parts.headers, to_bytes(body, LARGEST_ECHO).await.unwrap())
        })
    }

    fn get(path: &str) -> Request {
        Request::get(path).body(Body::empty()).unwrap()
    }

    #[test]
    fn every_vendor_has_its_lists_and_its_video() {
        for vendor in Vendor::ALL {
            let mut pages: Vec<String> = lists(vendor).into_iter().map(|(path, _)| path.to_owned()).collect();
            for root in vendor.roots() {
                pages.extend(
                    ["/live/image/", "/live/playlist.m3u8", "/live/segment/0.ts", "/download", "/echo"]
                        .map(|p| format!("{root}{p}")),
                );
            }
            for path in pages {
                assert_eq!(ask(vendor, get(&path)).0, StatusCode::OK, "{vendor:?} {path}");
            }
        }
    }

    #[test]
    fn a_playlist_names_segments_that_exist() {
        let (_, headers, playlist) = ask(Vendor::Vxg, get("/api/v4/live/playlist.m3u8"));
        assert_eq!(headers["content-type"], "application/vnd.apple.mpegurl");
        let text = String::from_utf8(playlist.to_vec()).unwrap();
        let segments: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(segments.len(), media::SEGMENTS);
        for segment in segments {
            let (status, _, bytes) = ask(Vendor::Vxg, get(&format!("/api/v4/live/{segment}")));
            assert_eq!(status, StatusCode::OK, "{segment}");
            assert!(bytes.len() % 188 == 0 && bytes.chunks(188).all(|packet| packet[0] == 0x47));
        }
        let past_the_end = format!("/api/v4/live/segment/{}.ts", media::SEGMENTS);
        assert_eq!(ask(Vendor::Vxg, get(&past_the_end)).0, StatusCode::NOT_FOUND);
    }

    #[test]
    fn the_picture_is_a_whole_png() {
        let (_, headers, bytes) = ask(Vendor::Vxg, get("/api/v4/live/image/"));
        assert_eq!(headers["content-type"], "image/png");
        assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.ends_with(b"IEND\xae\x42\x60\x82"));
    }

    #[test]
    fn a_download_honours_range() {
        let whole = ask(Vendor::Vxg, get("/api/v4/download")).2;
        let size = whole.len();
        let cases = [
            ("bytes=0-9", 206, Some((0, 10))),
            ("bytes=10-", 206, Some((10, size))),
            ("bytes=-5", 206, Some((size - 5, size))),
            ("bytes=0-99999999", 206, Some((0, size))),
            ("bytes=-99999999", 206, Some((0, size))),
            ("bytes=99999999-", 416, None),
            ("bytes=-0", 416, None),
            ("bytes=9-0", 200, Some((0, size))),
            ("bytes=0-1,4-5", 200, Some((0, size))),
            ("lines=0-1", 200, Some((0, size))),
        ];
        for (range, status, expected) in cases {
            let request = Request::get("/api/v4/download").header("range", range).body(Body::empty()).unwrap();
            let (got, headers, body) = ask(Vendor::Vxg, request);
            assert_eq!(got.as_u16(), status, "{range}");
            assert_eq!(body, expected.map_or(Bytes::new(), |(from, to)| whole.slice(from..to)), "{range}");
            match (status, expected) {
                (206, Some((from, to))) => {
                    assert_eq!(headers["content-range"], format!("bytes {from}-{}/{size}", to - 1));
                }
                (416, _) => assert_eq!(headers["content-range"], format!("bytes */{size}")),
                _ => assert!(!headers.contains_key("content-range"), "{range}"),
            }
        }
    }

    #[test]
    fn a_range_of_another_version_gets_the_whole() {
        let request = Request::get("/api/v4/download").header("range", "bytes=0-9").header("if-range", "\"older\"");
        assert_eq!(ask(Vendor::Vxg, request.body(Body::empty()).unwrap()).0, StatusCode::OK);
    }

    #[test]
    fn the_echo_says_exactly_what_arrived() {
        let request = Request::post("/api/v4/echo/a?b=c&b=d").header("x-one", "1").header("x-one", "2");
        let (_, _, body) = ask(Vendor::Vxg, request.body(Body::from("h\u{e9}llo")).unwrap());
        let echo: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            echo,
            json!({
                "method": "POST", "path": "/api/v4/echo/a", "query": "b=c&b=d", "version": "HTTP/1.1",
                "headers": [["x-one", "1"], ["x-one", "2"]],
                "body_length": 6, "body": "h\u{e9}llo", "body_base64": "aMOpbGxv"
            })
        );
    }

    #[test]
    fn the_apis_listen_and_stop() {
        let upstreams = Upstreams::start().unwrap();
        let address = upstreams.address(Vendor::Multicam);
        assert!(std::net::TcpStream::connect(address).is_ok());
        drop(upstreams);
        assert!(std::net::TcpStream::connect(address).is_err());
    }
}
