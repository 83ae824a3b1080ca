//! gRPC through the house: HTTP/2 on both sides, messages both ways as they come, trailers at the end, and refusals that
//! clients of gRPC understand. A message is a byte, a length of four bytes and that many more (gRPC over HTTP/2); what is
//! in it is nobody's business here.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use hyper::body::Frame;

use crate::framed::{Asked, Framed};
use crate::house::TestGateway;
use crate::pki::Pki;
use crate::streams::{Pieces, Streams};
use crate::time::{Added, timed_at};

fn house(upstream: &Framed) -> (Pki, TestGateway) {
    let pki = Pki::new();
    pki.issue("a", &["localhost"]);
    let top = "[scheme.license.lkey]\n[[account]]\nid = \"acme\"\n\
               license_key = [{ id = \"main\", key = \"v3.X9tKpuXq0btatj\" }]";
    let added = Added {
        top,
        listener: r#"tls = { certificate = "a.pem", key = "a.key" }"#,
        upstream: "protocol = \"h2\"",
        route: "dialect = \"grpc\"\nmethods = [\"POST\"]",
        authenticate: "license",
    };
    let gateway = timed_at(&format!("http://{}", upstream.address()), pki.path(), added);
    (pki, gateway)
}

fn call(key: &str) -> http::request::Builder {
    let request = Request::post("https://localhost/video.Cameras/Watch").header("te", "trailers");
    let request = request.header("content-type", "application/grpc+proto").header("grpc-timeout", "5S");
    request.header("authorization", format!("LKey {key}"))
}

fn message(text: &str) -> Bytes {
    let length = u32::try_from(text.len()).expect("a short message").to_be_bytes();
    [&[0][..], &length, text.as_bytes()].concat().into()
}

fn status(code: &'static str) -> HeaderMap {
    HeaderMap::from_iter([
        (http::HeaderName::from_static("grpc-status"), HeaderValue::from_static(code)),
        (http::HeaderName::from_static("grpc-message"), HeaderValue::from_static("for%20you")),
        (http::HeaderName::from_static("grpc-status-details-bin"), HeaderValue::from_static("CAU=")),
    ])
}

fn begin(asked: &mut Asked) -> h2::SendStream<Bytes> {
    asked.head(200, &[("content-type", "application/grpc+proto"), ("x-lead", "1")])
}

#[test]
fn a_stream_goes_both_ways_message_by_message_and_ends_with_its_status() {
    let upstream = Framed::start();
    let (pki, gateway) = house(&upstream);
    let streams = Streams::connect(&gateway, &pki);
    let (feed, pieces) = Pieces::fed();
    let awaited = streams.send(call("v3.X9tKpuXq0btatj").body(pieces).expect("a request"));
    let mut asked = upstream.next();
    for (name, expected) in [
        ("te", Some("trailers")),
        ("content-type", Some("application/grpc+proto")),
        ("grpc-timeout", Some("5S")),
        ("authorization", None),
        ("x-vidgate-subject", Some("license_key:main")),
    ] {
        assert_eq!(asked.header(name), expected, "{name}");
    }
    let mut answer = begin(&mut asked);
    let response = streams.head(awaited).expect("a head");
    assert_eq!((response.status().as_u16(), &response.headers()["x-lead"]), (200, &HeaderValue::from_static("1")));
    let mut body = response.into_body();
    for text in ["one", "", "three"] {
        streams.feed(&feed, Frame::data(message(text)));
        assert_eq!(upstream.piece(&mut asked).expect("a piece").expect("it is whole"), message(text));
        answer.send_data(message(text), false).expect("it is awaited");
        assert_eq!(streams.piece(&mut body).unwrap().unwrap().into_data().unwrap(), message(text));
    }
    // The client has said all; the server goes on.
    drop(feed);
    assert!(upstream.piece(&mut asked).is_none());
    answer.send_data(message("last"), false).expect("it is awaited");
    assert_eq!(streams.piece(&mut body).unwrap().unwrap().into_data().unwrap(), message("last"));
    answer.send_trailers(status("0")).expect("it is awaited");
    assert_eq!(streams.piece(&mut body).unwrap().unwrap().into_trailers().unwrap(), status("0"));
    assert!(streams.piece(&mut body).is_none());
}

#[test]
fn an_answer_of_trailers_alone_passes_as_it_is() {
    let upstream = Framed::start();
    let (pki, gateway) = house(&upstream);
    let streams = Streams::connect(&gateway, &pki);
    let awaited = streams.send(call("v3.X9tKpuXq0btatj").body(Pieces::none()).expect("a request"));
    upstream.next().bare(200, &[("content-type", "application/grpc"), ("grpc-status", "5"), ("grpc-message", "none")]);
    let answer = streams.whole(awaited).expect("an answer");
    assert_eq!(
        (answer.status, &answer.headers["grpc-status"], answer.body.len()),
        (200, &HeaderValue::from_static("5"), 0)
    );
}

#[test]
fn a_call_that_the_client_cancels_is_cancelled_upstream() {
    let upstream = Framed::start();
    let (pki, gateway) = house(&upstream);
    let streams = Streams::connect(&gateway, &pki);
    let awaited = streams.send(call("v3.X9tKpuXq0btatj").body(Pieces::none()).expect("a request"));
    let mut asked = upstream.next();
    let mut answer = begin(&mut asked);
    drop(streams.head(awaited).expect("a head"));
    assert_eq!(upstream.reset(&mut answer), h2::Reason::CANCEL);
}

#[test]
fn refusals_are_said_in_grpc() {
    let upstream = Framed::start();
    let (pki, gateway) = house(&upstream);
    let streams = Streams::connect(&gateway, &pki);
    let told = |awaited| {
        let answer = streams.whole(awaited).expect("an answer");
        let field = |name: &str| answer.headers.get(name).map(|value| value.to_str().expect("text").to_owned());
        assert_eq!((answer.status, field("content-type").as_deref()), (200, Some("application/grpc")));
        assert!(answer.body.is_empty() && field("www-authenticate").is_none());
        field("grpc-status").zip(field("grpc-message")).expect("both")
    };
    let refused = told(streams.send(call("wrong").body(Pieces::none()).expect("a request")));
    assert_eq!(refused, ("16".to_owned(), "Please present a valid credential.".to_owned()));
    let awaited = streams.send(call("v3.X9tKpuXq0btatj").body(Pieces::none()).expect("a request"));
    upstream.next().refuse(h2::Reason::INTERNAL_ERROR);
    assert_eq!(told(awaited).0, "14");
    // Before a route is known, too: no route takes this method.
    let unrouted = call("v3.X9tKpuXq0btatj").method("PUT").body(Pieces::none()).expect("a request");
    assert_eq!(told(streams.send(unrouted)).0, "12");
}
