//! A stream is open for what was asked, and not only for who has asked: when that is allowed no more, it ends within a
//! second, as if the credential were gone. What leaves it allowed ends nothing.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use vidgate::clock::UnixTime;
use vidgate::scheme::Lapse;
use vidgate::store::Resource;

use crate::credentials::{INNER, SI};
use crate::house::START;
use crate::peer::Peer;
use crate::pki::{Secure, dial, serial_of};
use crate::standing::{Ground, goes_on, is_cut, lkey};

/// The token within `SI`.
const OF_GROUP: &str = "share.eyJzaSI6IDE4fQ.6515eccatbc1fab00.XV-TtS28u-EeCPV5tFYpJQGBt_Q";

/// Routes that say which camera they are for, one of a table of roles, and schemes for all that goes there.
const ROUTES: &str = r#"
[scheme.camera.acc]
[scheme.group.si]
[scheme.user.opaque]

[roles.small]
operations = { Watch = ["Owner", "Viewer"] }

[[route]]
name = "cameras"
path = "/cameras/{id}"
authenticate = "camera or group or license"
forward = "api"
camera = { path = "id" }

[[route]]
name = "tunnels"
path = "/tunnels/{id}"
methods = ["GET"]
authenticate = "license"
forward = "api"
camera = { path = "id" }
websocket = { idle = "60s", lifetime = "1h" }

[[route]]
name = "operations"
path = "/operations/{name}"
authenticate = "user"
forward = "api"
operation = { path = "name", roles = "small" }
"#;

/// `first-key` of `acme` with the cameras 7 and 8, and 9 of the account below, a token for the camera 7, one for the group of both, and `lea`.
fn ground() -> Ground {
    let ground = Ground::new(ROUTES);
    for (resource, document) in [
        (Resource::Camera, json!({ "id": "7", "account": "acme" })),
        (Resource::Camera, json!({ "id": "8", "account": "acme" })),
        (Resource::Account, json!({ "id": "below", "parent": "acme" })),
        (Resource::Camera, json!({ "id": "9", "account": "below" })),
        (Resource::Token, json!({ "id": "door", "camera": "7", "token": INNER })),
        (Resource::CameraGroup, json!({ "id": "lobby", "account": "acme", "cameras": ["7", "8"] })),
        (Resource::Token, json!({ "id": "lobby", "group": "lobby", "token": OF_GROUP })),
        (Resource::User, json!({ "id": "lea", "account": "acme", "login": "lea", "roles": ["Owner"] })),
        (Resource::BearerToken, json!({ "id": "hers", "user": "lea", "token": "bearer-of-lea-0001" })),
    ] {
        ground.create(resource, document);
    }
    ground
}

/// Where, and with what.
fn asked(by: &str) -> (String, String) {
    match by {
        "key" => ("/cameras/7".into(), lkey("first-key")),
        "key of another camera" => ("/cameras/9".into(), lkey("first-key")),
        "token" => (format!("/cameras/7?token={INNER}"), String::new()),
        "group" => ("/cameras/7".into(), format!("Authorization: SI {SI}\r\n")),
        "user" => ("/operations/Watch".into(), "Authorization: Bearer bearer-of-lea-0001\r\n".into()),
        other => unreachable!("{other}"),
    }
}

type Change = fn(&Ground);

/// What changes, who has an answer under way, how it is changed, and why the answer ends.
const CHANGES: [(&str, &str, Change, Lapse); 14] = [
    (
        "the camera is switched off",
        "key",
        |on| on.change(Resource::Camera, "7", json!({ "disabled": true })),
        Lapse::Withdrawn,
    ),
    (
        "the camera is somebody else's",
        "key of another camera",
        |on| {
            on.delete(Resource::Camera, "9");
            on.create(Resource::Camera, json!({ "id": "9", "account": "other" }));
        },
        Lapse::Withdrawn,
    ),
    (
        "the camera's account is not below any more",
        "key of another camera",
        |on| on.change(Resource::Account, "below", json!({ "parent": null })),
        Lapse::Withdrawn,
    ),
    ("the camera is gone", "key of another camera", |on| on.delete(Resource::Camera, "9"), Lapse::Withdrawn),
    (
        "the token's camera is switched off",
        "token",
        |on| on.change(Resource::Camera, "7", json!({ "disabled": true })),
        Lapse::Disabled,
    ),
    (
        "the token is switched off",
        "token",
        |on| on.change(Resource::Token, "door", json!({ "disabled": true })),
        Lapse::Disabled,
    ),
    ("the token is gone", "token", |on| on.delete(Resource::Token, "door"), Lapse::Revoked),
    (
        "the token may do less",
        "token",
        |on| on.change(Resource::Token, "door", json!({ "scopes": ["publish"] })),
        Lapse::Withdrawn,
    ),
    (
        "the camera leaves the group",
        "group",
        |on| on.change(Resource::CameraGroup, "lobby", json!({ "cameras": ["8"] })),
        Lapse::Withdrawn,
    ),
    (
        "the camera of a group is switched off",
        "group",
        |on| on.change(Resource::Camera, "7", json!({ "disabled": true })),
        Lapse::Withdrawn,
    ),
    (
        "the group is switched off",
        "group",
        |on| on.change(Resource::CameraGroup, "lobby", json!({ "disabled": true })),
        Lapse::Disabled,
    ),
    (
        "the account is used from elsewhere",
        "key",
        |on| on.change(Resource::Account, "acme", json!({ "addresses": ["192.0.2.0/24"] })),
        Lapse::Withdrawn,
    ),
    (
        "the address is denied",
        "key",
        |on| on.change(Resource::Account, "acme", json!({ "denied_addresses": ["127.0.0.1"] })),
        Lapse::Withdrawn,
    ),
    (
        "the role is taken away",
        "user",
        |on| on.change(Resource::User, "lea", json!({ "roles": ["Accountant"] })),
        Lapse::Withdrawn,
    ),
];

#[test]
fn an_answer_ends_when_what_it_is_for_is_allowed_no_more() {
    for (what, by, change, lapse) in CHANGES {
        let ground = ground();
        let (target, credential) = asked(by);
        let mut stream = ground.download_at(&target, &credential);
        let mut others = ground.download(&lkey("other-key"));
        assert!(goes_on(&mut stream), "{what}");
        change(&ground);
        assert!(is_cut(&mut stream), "{what}");
        assert_eq!(ground.gateway.endings().of(lapse), 1, "{what}");
        assert!(goes_on(&mut others), "{what}");
    }
}

#[test]
fn what_leaves_it_allowed_ends_nothing() {
    let ground = ground();
    let mut streams = ["key", "token", "group", "user"].map(|by| {
        let (target, credential) = asked(by);
        ground.download_at(&target, &credential)
    });
    for (resource, id, patch) in [
        (Resource::Camera, "8", json!({ "disabled": true })),
        (Resource::Camera, "7", json!({ "name": "Another" })),
        (Resource::Token, "door", json!({ "scopes": ["watch", "publish"] })),
        (Resource::CameraGroup, "lobby", json!({ "cameras": ["7"] })),
        (Resource::Account, "acme", json!({ "addresses": ["127.0.0.0/8"], "denied_addresses": ["192.0.2.1"] })),
        (Resource::User, "lea", json!({ "roles": ["Viewer"] })),
    ] {
        ground.change(resource, id, patch);
    }
    ground.swept();
    assert!(streams.iter_mut().all(goes_on));
}

#[test]
fn a_camera_whose_time_is_over_ends_what_is_open_for_it() {
    let ground = ground();
    ground.change(Resource::Camera, "7", json!({ "expires": UnixTime(START.0 + 60) }));
    let (target, credential) = asked("key");
    let mut stream = ground.download_at(&target, &credential);
    ground.gateway.pass(Duration::from_secs(59));
    assert!(goes_on(&mut stream));
    ground.gateway.advance(Duration::from_secs(1));
    assert!(is_cut(&mut stream));
    assert_eq!(ground.gateway.endings().of(Lapse::Withdrawn), 1);
}

#[test]
fn an_upload_for_a_camera_that_is_switched_off_is_refused() {
    let ground = ground();
    let mut wire = ground.gateway.connect();
    let (target, credential) = asked("key");
    wire.send(format!("POST {target} HTTP/1.1\r\nHost: a\r\n{credential}Content-Length: 1000000\r\n\r\nhello"));
    let (mut peer, _) = ground.played.next_head();
    assert_eq!(peer.take_text(5), "hello");
    ground.change(Resource::Camera, "7", json!({ "disabled": true }));
    assert!(peer.is_closed());
    let answer = wire.answer();
    assert_eq!((answer.status, answer.header("connection")), (403, Some("close")));
}

#[test]
fn a_tunnel_for_a_camera_that_is_switched_off_hears_1008() {
    let ground = ground();
    let mut wire = ground.gateway.connect();
    wire.send(format!(
        "GET /tunnels/7 HTTP/1.1\r\nHost: a\r\n{}Connection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        lkey("first-key")
    ));
    let (mut peer, _) = ground.played.next_head();
    peer.say(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    );
    assert_eq!(wire.head().status, 101);
    ground.change(Resource::Camera, "7", json!({ "disabled": true }));
    assert_eq!(wire.rest(), [0x88, 2, 0x03, 0xf0]);
    assert!(peer.is_closed());
    assert_eq!(ground.gateway.endings().of(Lapse::Withdrawn), 1);
}

/// A gateway that lets in whoever has a certificate of its authority, or the one that is pinned.
fn with_certificates() -> Ground {
    let ground = Ground::secure("");
    ground.pki.issue("ops", &[]);
    ground.pki.issue("others", &[]);
    ground.pki.self_signed("company", |_| {});
    ground.pki.revoke(&[7], 4000);
    ground.gateway.adopt_in(&certified(&ground, "ca.pem"), ground.pki.path());
    ground
}

fn certified(ground: &Ground, ca: &str) -> String {
    format!(
        r#"
[listener.public]
address = "127.0.0.1:0"
tls = {{ certificate = "a.pem", key = "a.key", client_ca = "{ca}", client_crl = "ca.crl" }}

[listener.probe]
address = "127.0.0.1:0"
timeouts = {{ idle = "1ms" }}

[upstream.api]
endpoints = ["http://{}"]
timeouts = {{ response = "2h", body = "2h" }}

[scheme.staff.mtls]
pinned = ["company.pem"]
trust_ca = true

[[route]]
name = "all"
listeners = ["public"]
path = "/{{*rest}}"
authenticate = "staff"
forward = "api"

[store]
path = "vidgate.redb"
master_key = {{ file = "master.key" }}
"#,
        ground.played.upstream.address()
    )
}

/// An answer that has begun, to the holder of this certificate.
fn begun(ground: &Ground, file: &str) -> (Secure, Peer) {
    let client = Arc::new(ground.pki.presenting(&ground.pki, file, &[]));
    let mut secure = dial(ground.gateway.address("public"), "localhost", &client).expect("a handshake");
    write!(secure, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it is taken");
    let (mut peer, _) = ground.played.next_head();
    peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    assert!(comes(&mut secure, b"hello\r\n"), "{file}");
    (secure, peer)
}

/// Whether this comes, sooner or later.
fn comes(secure: &mut Secure, what: &[u8]) -> bool {
    let (mut seen, mut byte) = (Vec::new(), [0]);
    while !seen.ends_with(what) {
        if !matches!(secure.read(&mut byte), Ok(1)) {
            return false;
        }
        seen.push(byte[0]);
    }
    true
}

fn stays((secure, peer): &mut (Secure, Peer)) -> bool {
    peer.say("5\r\nworld\r\n");
    comes(secure, b"world\r\n")
}

fn ends((secure, peer): &mut (Secure, Peer)) -> bool {
    peer.is_closed() && !comes(secure, b"never comes")
}

#[test]
fn a_revocation_list_ends_what_stands_on_a_certificate_that_it_names() {
    let ground = with_certificates();
    let [mut ops, mut others, mut pinned] = ["ops", "others", "company"].map(|file| begun(&ground, file));
    ground.pki.revoke_serials(vec![serial_of(&ground.pki.pair("ops").0[0])], 4000);
    assert!(stays(&mut ops), "not before the list is read");
    assert!(ground.gateway.reload_certificates().iter().all(|outcome| outcome.result.is_ok()));
    assert!(ends(&mut ops));
    assert_eq!(ground.gateway.endings().of(Lapse::Revoked), 1);
    assert!(stays(&mut others) && stays(&mut pinned));
}

#[test]
fn authorities_that_vouch_no_more_end_what_stood_on_their_word_and_not_who_is_pinned() {
    let ground = with_certificates();
    let [mut ops, mut pinned] = ["ops", "company"].map(|file| begun(&ground, file));
    let stranger = crate::pki::Pki::new();
    std::fs::copy(stranger.path().join("ca.pem"), ground.pki.path().join("other.pem")).expect("it can be copied");
    ground
        .gateway
        .adopt_in(&certified(&ground, "other.pem").replace(", client_crl = \"ca.crl\"", ""), ground.pki.path());
    assert!(ends(&mut ops));
    assert!(stays(&mut pinned));
}

#[test]
fn a_newer_list_keeps_open_what_an_older_one_would_have_ended() {
    let ground = with_certificates();
    ground.pki.revoke_nobody_for(Duration::from_mins(1));
    assert!(ground.gateway.reload_certificates().iter().all(|outcome| outcome.result.is_ok()));
    let mut ops = begun(&ground, "ops");
    ground.pki.revoke_nobody_for(Duration::from_mins(2));
    assert!(ground.gateway.reload_certificates().iter().all(|outcome| outcome.result.is_ok()));
    ground.gateway.pass(Duration::from_secs(61));
    assert!(stays(&mut ops), "the newer list speaks for it");
    ground.gateway.pass(Duration::from_mins(1));
    assert!(ends(&mut ops), "no list does any more");
    assert_eq!(ground.gateway.endings().of(Lapse::Expired), 1);
}
