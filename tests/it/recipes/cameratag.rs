//! CameraTag's recipe from the street. The tags are openssl's.

use serde_json::Value;

use super::{Kitchen, LISTING, OK, RANGE, form, uncommented};

const TEXT: &str = "%7B%22api_key%22%3A%22123-456-789%22%2C%22expiration%22%3A4102444800%7D";
const TAG: &str = "a6278a4184545200a08454ae33b31533b5ccfadf";
/// Over since 2023.
const OVER: &str = "%7B%22api_key%22%3A%22123-456-789%22%2C%22expiration%22%3A1700001800%7D";
const OVER_TAG: &str = "414731df503a8adf40df9258094cde8f58ffe7cd";
/// Over the expiration alone, with the private key.
const OLD_TAG: &str = "cb717fced4c8e19ebe9cf1eb3f6a0e4dbd7e9f76";
const REST: &str = "a-key-of-the-backend";

const EDITS: &[(&str, &str)] =
    &[("https://www.cameratag.com", "UPSTREAM"), ("0.0.0.0:8444", "127.0.0.1:0"), ("<uuid>", "OLD")];

const ERROR: &str = r#""error":"#;
const PAGE: &str = "Referer: https://sub.mysite.com/p";
const EVIL: &str = "Referer: https://evilmysite.com/";

fn keys(rest: &str) -> String {
    let app = |id: &str, public: &str, more: &str| {
        format!(
            r#"{{"resource":"app","id":"{id}","account":"studio","public_key":"{public}","secret":"ct-secret-0001",{more}}}"#
        )
    };
    let signed = r#""authorized_hosts":["mysite.com"],"signatures":{"publish":true,"playback":true},"wall":"white_list","cross_origin":true"#;
    let old = r#""authorized_hosts":["mysite.com"],"signatures":{"playback":true,"expiration_only":true},"wall":"black_list","legacy_200":true"#;
    [
        r#"{"resource":"account","id":"studio"}"#.to_owned(),
        app("APP", "123-456-789", signed),
        app("OLD", "old-key", old),
        app("FREE", "free-key", r#""wall":"all""#),
        app("SHUT", "shut-key", r#""wall":"none""#),
        format!(r#"{{"resource":"user","id":"backend","account":"studio","login":"backend","key":"{rest}"}}"#),
    ]
    .join("\n")
}

fn signed() -> String {
    format!("signature_json={TEXT}&signature={TAG}")
}

/// The states that a wall shows.
fn shown(kitchen: &Kitchen, app: &str) -> Vec<String> {
    let line = format!("GET /api/v12/cameras/{app}/assets/wall.json?page=1&n=5");
    let (status, text) = kitchen.ask("public", "", &line, PAGE);
    assert_eq!(status, 200, "{text}");
    let body: Value = serde_json::from_str(text.split_once("\r\n\r\n").expect("a body").1).expect("JSON");
    assert_eq!((&body["total_pages"], &body["by"]), (&1.into(), &OK.into()), "the rest is as it came");
    let assets = body["assets"].as_array().expect("a list").iter();
    assets.map(|asset| asset["state"].as_str().expect("a state").to_owned()).collect()
}

#[test]
fn what_pages_publish_and_play_is_signed_and_theirs() {
    let kitchen = Kitchen::new("cameratag.toml", EDITS, || keys(REST));
    let publish = "POST /api/v16/cameras/APP/assets/v-1/publish.json";
    let good = &form(PAGE, &format!("asset_name=x&{}", signed()));
    let over = &form(PAGE, &format!("signature_json={OVER}&signature={OVER_TAG}"));
    let unsigned = &form(PAGE, "asset_name=x");
    let played = &format!("GET /api/v12/assets/U.json?{}", signed());
    let told = &format!("{played}&referer=https%3A%2F%2Fmysite.com%2Fp");
    let lied = &format!("{played}&referer=https%3A%2F%2Fevil.com%2Fp");
    let film = &format!("GET /assets/U/720p.mp4?{}", signed());
    let ranged = &format!("{PAGE}\r\nRange: bytes=0-10");
    let old = &format!("GET /api/v12/assets/U.json?signature={OLD_TAG}&signature_expiration=4102444800");
    let by_rest = &format!("GET /api/v14/assets/U.json?api_key={REST}");
    kitchen.walk(&[
        // 1, 2, 4 to 6
        ("public", "", publish, good, 200, OK),
        ("public", "", "POST /api/v16/apps/APP/assets/v-1/publish.json", good, 200, OK),
        ("public", "", publish, &form("", &signed()), 403, ERROR),
        ("public", "", publish, &form(EVIL, &signed()), 403, ERROR),
        ("public", "", publish, &form(EVIL, &format!("{}&referer=https://mysite.com/", signed())), 403, ERROR),
        ("public", "", publish, over, 403, ERROR),
        ("public", "", publish, unsigned, 403, ERROR),
        ("public", "", &publish.replace("APP", "FREE"), unsigned, 200, OK),
        ("public", "", &publish.replace("APP", "OLD"), unsigned, 200, OK),
        ("public", "", &publish.replace("APP", "OLD"), &form(EVIL, ""), 200, ERROR),
        ("public", "", &publish.replace("APP", "nobody"), good, 404, ERROR),
        ("public", "", &publish.replace("POST", "GET"), PAGE, 405, ERROR),
        ("public", "", "GET /api/v12/cameras/APP/new_video.json", PAGE, 200, OK),
        ("public", "", "GET /api/v12/cameras/APP/new_video.json", EVIL, 403, ERROR),
        ("public", "", "GET /api/v12/cameras/OLD/new_video.json", EVIL, 200, ERROR),
        ("public", "", "GET /api/v12/cameras/nobody/new_video.json", PAGE, 403, ERROR),
        ("public", "", "GET /api/v12/assets/upload_signature?to_sign=x", "", 200, OK),
        // 7, 8
        ("public", "", played, PAGE, 200, OK),
        ("public", "", told, "", 200, OK),
        ("public", "", lied, PAGE, 403, ERROR),
        ("public", "", played, "", 403, ERROR),
        ("public", "", old, PAGE, 403, ERROR),
        ("public", "", "GET /api/v12/assets/U.json", PAGE, 403, ERROR),
        ("public", "", film, ranged, 206, RANGE),
        ("public", "", film, PAGE, 200, OK),
        ("public", "", "GET /assets/U/720p.mp4", ranged, 403, ERROR),
        ("public", "", film, EVIL, 403, ERROR),
        ("public", "", "GET /api/v12/js/cameratag.min.js", "", 200, OK),
        ("public", "", "GET /static/12/cameratag.css", EVIL, 200, OK),
        // A key for the REST API opens nothing where pages are.
        ("public", "", "GET /api/v14/apps.json", &format!("api_key: {REST}"), 404, ERROR),
        ("public", "", by_rest, PAGE, 403, ERROR),
        ("public", "", &by_rest.replace("GET", "DELETE"), PAGE, 405, ERROR),
    ]);
    let seen = kitchen.upstream.seen();
    assert!(String::from_utf8_lossy(&seen[0].body).contains(TAG), "CameraTag checks it as well");
    let first = (seen[0].header("x-vidgate-subject"), seen[0].header("x-vidgate-account"));
    assert_eq!(first, (Some("app:APP"), Some("studio")));
    assert!(seen.iter().all(|request| request.header("api_key").is_none()), "{seen:?}");
}

#[test]
fn browsers_are_told_whose_pages_may_read() {
    let kitchen = Kitchen::new("cameratag.toml", EDITS, || keys(REST));
    let asks = "Origin: https://mysite.com\r\nAccess-Control-Request-Method: ";
    let grant = "access-control-allow-origin: https://mysite.com";
    let wall = "/api/v12/cameras/APP/assets/wall.json";
    for (line, fields, status, told) in [
        ("OPTIONS /api/v16/cameras/APP/assets/v-1/publish.json", &format!("{asks}POST"), 204, true),
        ("OPTIONS /api/v16/cameras/FREE/assets/v-1/publish.json", &format!("{asks}POST"), 405, false),
        (&format!("OPTIONS {wall}"), &format!("{asks}GET"), 204, true),
        (&format!("GET {wall}"), &"Origin: https://mysite.com".to_owned(), 200, true),
        (&format!("GET {wall}"), &"Origin: https://evil.com".to_owned(), 403, false),
    ] {
        let (got, text) = kitchen.ask("public", "", line, fields);
        assert!(got == status && text.to_lowercase().contains(grant) == told, "{line} {fields}\n{text}");
    }
}

/// 12
#[test]
fn a_wall_shows_what_its_app_says() {
    let kitchen = Kitchen::new("cameratag.toml", EDITS, || keys(REST));
    assert_eq!(LISTING.matches("state").count(), 5);
    for (app, states) in [
        ("SHUT", &[][..]),
        ("FREE", &["published", "processed", "approved", "rejected", "featured"]),
        ("APP", &["approved", "featured"]),
        ("OLD", &["published", "processed", "approved", "featured"]),
        ("nobody", &[]),
    ] {
        let expected: Vec<_> = states.iter().map(ToString::to_string).collect();
        if app == "nobody" {
            // Of an app that nobody knows, no page is authorised.
            assert_eq!(kitchen.ask("public", "", "GET /api/v12/cameras/nobody/assets/wall.json", PAGE).0, 403);
        } else {
            assert_eq!(shown(&kitchen, app), expected, "{app}");
        }
    }
}

/// 13
#[test]
fn the_rest_api_is_for_keys_of_its_own() {
    let kitchen = Kitchen::new("cameratag.toml", EDITS, || keys(REST));
    let (header, query) = (&format!("api_key: {REST}"), &format!("GET /api/v14/apps.json?api_key={REST}&page=2"));
    let public = "api_key: 123-456-789";
    kitchen.walk(&[
        ("rest", "", "GET /api/v14/apps.json", "", 403, ERROR),
        ("rest", "", query, "", 200, OK),
        ("rest", "", "GET /api/v14/apps.json", header, 200, OK),
        ("rest", "", "PUT /api/v14/cameras/APP.json", &form("", &format!("name=x&api_key={REST}")), 200, OK),
        ("rest", "", "DELETE /api/v14/assets/U.json", header, 200, OK),
        ("rest", "", "DELETE /api/v14/assets/U.json", public, 403, ERROR),
        ("rest", "", "DELETE /api/v14/assets/U.json?api_key=123-456-789", "", 403, ERROR),
        ("rest", "", &format!("GET /api/v12/assets/U.json?{}", signed()), PAGE, 403, ERROR),
    ]);
    for request in kitchen.upstream.seen() {
        assert_eq!(request.header("api_key"), Some("123-456-789"));
        assert_eq!(request.header("x-vidgate-subject"), Some("user:backend"));
        assert!(!format!("{request:?}").contains(REST) && !request.body.ends_with(REST.as_bytes()), "{request:?}");
    }
    assert_eq!(kitchen.upstream.seen()[0].target, "/api/v14/apps.json?page=2");
}

#[test]
fn what_the_comments_offer_in_place_of_that() {
    const PUBLISH: &str = "path = \"/api/{version}/cameras/{app}/assets/{asset}/publish.json\"\n";
    const BODY: &str = "methods = [\"POST\"]\nauthenticate = \"publish\"\napp = { path = \"app\" }\nscope = { write = \
                        [\"publish\"] }\norigin = {}\n";
    const ASSET: &str = "path = \"/api/{version}/assets/{asset}\"\nmethods = [\"GET\"]\nauthenticate = \"playback\"\n";
    const MEDIA: &str = "path = \"/assets/{asset}/{*media}\"\nmethods = [\"GET\"]\nauthenticate = \"playback\"\nscope = \
                         { read = [\"playback\"] }\norigin = {}\nforward = \"cameratag\"\ncredential = \
                         \"remove\"\ndialect = \"cameratag\"\nlimits = [\"app\", \"account\", \"guard\"]\n";
    let publish = &format!("{PUBLISH}{BODY}");
    let by_servers = &publish.replace("origin = {}", "origin = { required = false }");
    let of_one_app = &format!("{ASSET}app = {{ id = \"OLD\" }}\n");
    let open = &MEDIA
        .replace("\"playback\"\nscope = { read = [\"playback\"] }", "\"open\"")
        .replace("origin = {}", "origin = { hosts = [\"mysite.com\"] }")
        .replace("\"app\", \"account\", \"guard\"", "\"visitor\"");
    let edits = [
        EDITS,
        &[
            ("credential = \"keep\"", "credential = \"remove\""),
            ("credential = \"translate\"", "credential = \"keep\""),
            (publish, by_servers),
            (ASSET, of_one_app),
            (MEDIA, open),
            ("# origin = { hosts = [\"mysite.com\"] }", "origin = { hosts = [\"mysite.com\"] }"),
        ],
    ];
    let kitchen = Kitchen::edited("cameratag.toml", &edits.concat(), uncommented, || keys("123-456-789"));
    let old = format!("signature={OLD_TAG}&signature_expiration=4102444800");
    let line = "POST /api/v16/cameras/APP/assets/v-1/publish.json";
    let api_key = "api_key: 123-456-789";
    let upload = format!(
        "{api_key}\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfilm\r\n0"
    );
    kitchen.walk(&[
        ("public", "", line, &form("", &signed()), 200, OK),
        ("public", "", line, &form(EVIL, &signed()), 403, ERROR),
        ("public", "", "GET /api/v12/assets/upload_signature?to_sign=x", PAGE, 200, OK),
        ("public", "", "GET /api/v12/assets/upload_signature?to_sign=x", EVIL, 403, ERROR),
        ("public", "", &format!("GET /api/v12/assets/U.json?{old}"), PAGE, 200, OK),
        ("public", "", "GET /api/v12/assets/U.json", PAGE, 200, ERROR),
        ("public", "", &format!("GET /videos/U.json?{old}"), PAGE, 200, OK),
        ("public", "", "GET /videos/U.json", PAGE, 200, ERROR),
        ("public", "", "GET /assets/U/720p.mp4", PAGE, 200, OK),
        ("public", "", "GET /assets/U/720p.mp4", EVIL, 403, ERROR),
    ]);
    let seen = kitchen.upstream.seen();
    assert!(seen.iter().all(|request| !format!("{request:?}").contains("signature=")), "{seen:?}");
    assert!(!seen.iter().any(|request| String::from_utf8_lossy(&request.body).contains(TAG)), "{seen:?}");
    let before = seen.len();
    kitchen.walk(&[
        ("rest", "", "GET /api/v14/apps.json", api_key, 200, OK),
        ("rest", "", "GET /api/v14/apps.json", "api_key: another", 403, ERROR),
        ("rest", "", "POST /api/v14/apps/APP/assets.json", &upload, 200, OK),
        ("rest", "", "POST /api/v14/apps/APP/assets.json", &upload.replace("123", "124"), 403, ERROR),
        ("rest", "", "POST /api/v14/apps.json", &upload, 415, ERROR),
    ]);
    for request in &kitchen.upstream.seen()[before..] {
        assert_eq!(request.header("api_key"), Some("123-456-789"), "as it came");
    }
}
