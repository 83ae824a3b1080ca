//! The spellings of a path: what is matched is what the upstream gets, and no spelling leads from a
//! listener to a path that none of its routes names.

use std::collections::BTreeSet;

use crate::house::TestGateway;
use crate::stranger::{Face, House, face_of};
use crate::upstream::Upstream;
use crate::wire::Wire;

/// Two listeners: one for cameras, and one for the administration of the video system.
fn two_doors(upstream: &Upstream) -> String {
    format!(
        r#"
[listener.public]
address = "127.0.0.1:0"

[listener.admin]
address = "127.0.0.1:0"

[upstream.vms]
endpoints = ["http://{}"]

[[route]]
name = "v4"
listeners = ["public"]
path = "/api/v4/{{*rest}}"
authenticate = "open"
forward = "vms"

[[route]]
name = "channel"
listeners = ["public"]
path = "/api/v3/{{id}}/image"
authenticate = "open"
forward = "vms"

[[route]]
name = "administration"
listeners = ["admin"]
path = "/api/v2/admin/{{*rest}}"
authenticate = "open"
forward = "vms"
"#,
        upstream.address()
    )
}

/// Reads a path as the most lenient upstream would: decoded as often as it goes, backslashes as slashes, parameters
/// cut off, slashes merged, dots resolved, without regard to case.
fn as_anybody_reads_it(target: &str) -> String {
    let mut text = target.split(['?', '#']).next().expect("a first part").to_owned();
    for _ in 0..4 {
        text = percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned();
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in text.split(['/', '\\']) {
        match segment.split([';', '\0', '?', '#']).next().expect("a first part").trim() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    format!("/{}", segments.join("/")).to_lowercase()
}

/// Ways of writing a step upwards.
const UPS: [&str; 22] = [
    "..",
    "%2e%2e",
    "%2E.",
    ".%2e",
    "%252e%252e",
    "%252e.",
    "%25%32%65%2e",
    "..;",
    "..;x=y",
    "%2e%2e;",
    "..%3b",
    "..%00",
    "..%20",
    "..%09",
    "%c0%ae%c0%ae",
    "%e0%80%ae%e0%80%ae",
    "%uff0e%uff0e",
    "\u{ff0e}\u{ff0e}",
    "...",
    "..\\",
    ".\\.",
    "%2e%2e%5c",
];

/// Ways of writing what parts two segments.
const SLASHES: [&str; 17] = [
    "/",
    "//",
    "%2f",
    "%2F",
    "%5c",
    "%5C",
    "\\",
    "/./",
    "%252f",
    "%255c",
    "%c0%af",
    "%25%32%66",
    "/;/",
    ";/",
    "%00/",
    "%2f/",
    "/%2f",
];

/// Ways of writing the path of the other listener, and ways there.
const DIRECT: [&str; 39] = [
    "/api/v2/admin/users/",
    "/api/v2/admin",
    "//api/v2/admin/users/",
    "/api//v2///admin/users/",
    "/./api/./v2/./admin/users/",
    "/api/v2/admin%2Fusers/",
    "/api/v2%2fadmin/users/",
    "/api%2Fv2%2Fadmin%2Fusers%2F",
    "/%61%70%69/%76%32/%61%64%6d%69%6e/users/",
    "/api/v2/%2561dmin/users/",
    "/api\\v2\\admin\\users\\",
    "/api%5cv2%5cadmin",
    "/api/v2;x/admin/users/",
    "/api/v2/admin;x/users/",
    "/api;/v2;/admin;/users/",
    "/api/v2/admin%3bx/users/",
    "/x/../api/v2/admin/users/",
    "/../api/v2/admin/users/",
    "/%2e%2e/api/v2/admin/users/",
    "/api/v4/../v2/admin/users/",
    "/api/v4/..%2fv2/admin/users/",
    "/api/v4/..;/v2/admin/users/",
    "/api/v4/.%2e/v2/admin/users/",
    "/api/v4/x/../../v2/admin/users/",
    "/api/v4//../v2/admin/users/",
    "/api/v4/%2e/../v2/admin/users/",
    "/API/V2/ADMIN/users/",
    "/api/v2/admin\u{0}/users/",
    "/api/v2/admin%00/users/",
    "/api/v2/admin/users/?x=/api/v4/",
    "/api/v2/admin/users/#/api/v4/",
    "/api/v4/#/../../v2/admin/users/",
    "/api/v4/?/../../v2/admin/users/",
    "/api/v4\u{85}/../v2/admin/",
    "/api/v\u{ff12}/admin/",
    "/api/v%ef%bc%92/admin/",
    "http://a/api/v2/admin/users/",
    "http://a//api/v4/../v2/admin/users/",
    "http://a\\api\\v2\\admin/",
];

/// All of them, and every step upwards with everything that parts two segments.
fn spellings() -> BTreeSet<String> {
    let mut all: BTreeSet<String> = DIRECT.map(str::to_owned).into();
    for up in UPS {
        for slash in SLASHES {
            all.insert(format!("/api/v4{slash}{up}{slash}v2{slash}admin{slash}users/"));
            all.insert(format!("/api/v4/x{slash}{up}{slash}{up}{slash}v2/admin/users/"));
            all.insert(format!("/api/v3/{up}{slash}v2{slash}admin/image"));
            all.insert(format!("/api/v3/..{slash}v2{slash}admin{slash}x/image"));
        }
    }
    all
}

#[test]
fn no_spelling_leads_from_one_listener_to_the_paths_of_another() {
    let upstream = Upstream::start();
    let house = House { gateway: TestGateway::alone(&two_doors(&upstream)), upstream };
    let (mut taken, mut refused) = (0, 0);
    for target in spellings() {
        let before = house.upstream.seen().len();
        let answer = house.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).answer();
        let new = house.upstream.seen().split_off(before);
        match answer.status {
            200 => {
                let [received] = new.as_slice() else { panic!("{target}: {new:?}") };
                let read = as_anybody_reads_it(&received.target);
                assert!(
                    read.starts_with("/api/v4") || read.starts_with("/api/v3/"),
                    "{target} reached the upstream as {:?}, which may be read as {read:?}",
                    received.target
                );
                taken += 1;
            }
            400 | 404 => {
                assert!(new.is_empty(), "{target}: {new:?}");
                if answer.status == 404 {
                    assert_eq!(face_of(&answer), Face::Problem, "{target}");
                }
                refused += 1;
            }
            other => panic!("{target}: {other}"),
        }
    }
    // Both happen, or the table proves nothing.
    assert!(taken > 5 && refused > 500, "{taken} taken, {refused} refused");
}

#[test]
fn the_other_listener_does_lead_there() {
    let upstream = Upstream::start();
    let gateway = TestGateway::alone(&two_doors(&upstream));
    let ask = |target| Wire::connect(gateway.address("admin")).ask(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!(ask("//api/x/../v2/%61dmin/users/").status, 200);
    assert_eq!(upstream.only().target, "/api/v2/admin/users/");
    assert_eq!(ask("/api/v4/live").status, 404);
}

#[test]
fn what_is_matched_is_what_the_upstream_gets() {
    for (sent, expected) in [
        ("/", "/"),
        ("/api/v4/live/?a=b", "/api/v4/live/?a=b"),
        ("//api///v4//live", "/api/v4/live"),
        ("/api/./v4/%2e/live/.", "/api/v4/live/"),
        ("/api/v2/%2e%2E/v4/live", "/api/v4/live"),
        ("/%61pi/%7Euser", "/api/~user"),
        ("/caf%c3%a9/%20%3f%23", "/caf%C3%A9/%20%3F%23"),
        ("/100%25", "/100%25"),
        ("/a+b,c=d:e@f!$&'()*", "/a+b,c=d:e@f!$&'()*"),
        ("/[x]", "/[x]"),
        // A query is nobody's path: it goes as it came.
        ("/x?a=/../%2e%2e/;%252f\\&b=//", "/x?a=/../%2e%2e/;%252f\\&b=//"),
        ("/x//y?//", "/x/y?//"),
        ("/x?", "/x?"),
        ("/x??", "/x??"),
        ("/a#/../b", "/a"),
    ] {
        let house = House::open();
        assert_eq!(house.send(format!("GET {sent} HTTP/1.1\r\nHost: a\r\n\r\n")).answer().status, 200, "{sent}");
        assert_eq!(house.upstream.only().target, expected, "{sent}");
    }
}

#[test]
fn a_path_that_two_readers_could_take_for_two_is_refused() {
    let house = House::open();
    for target in [
        "/a%2fb",
        "/a%2Fb",
        "/a%5cb",
        "/a\\b",
        "/a;b",
        "/a%3Bb",
        "/a%00",
        "/a%0d%0aX:y",
        "/a%7f",
        "/a%c2%85",
        "/a%",
        "/a%2",
        "/a%zz",
        "/a%252e",
        "/%25%32%65",
        "/%c0%af",
        "/%e0%80%af",
        "/%ed%a0%80",
        "/%f5%80%80%80",
        "/%80",
        "/%ff",
        "/..",
        "/a/../..",
        "/%2e%2e/a",
        "/caf\u{e9}",
        "/a^b",
        "/a|b",
    ] {
        house.refuses(target, format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), 400, Face::Problem);
    }
}
