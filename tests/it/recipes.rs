//! The recipes as an operator uses them: host names, addresses and files are put in, `vidgate store init` makes the store,
//! `vidgate import` takes the keys that exist, and then every route lets in whom it is for and refuses the others in the
//! vendor's own words.

mod cameratag;
mod multicam;
mod voximplant;

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use vidgate::clock::{Clock, UnixTime};

use crate::credentials::{ACC, BASIC, INNER, KEY, WATCH};
use crate::house::TestGateway;
use crate::pki::{Pki, dial};
use crate::processes;
use crate::upstream::{Received, Upstream};

/// A group's token.
const SI: &str = "eyJ0b2tlbiI6ICJzaGFyZS5leUp6YVNJNklERTRmUS42NTE1ZWNjYXRiYzFmYWIwMC5YVi1UdFMyOHUtRWVDUFY1dEZZcEpRR0J0X1EiLCAiYXBpIjogIndlYi5leGFtcGxlLnRlc3QifQ==";
const STREAMING: &str = "share.eyJzaSI6IDR9.61a964c3tbc1fab00.AAAAAAAAAAAAAAAAAAAAAAAAAAA";
const IDENTIFIER: &str = "8ded5a89051a9a01a389bcdf1e174";
const SECRET: &str = "99176b1d244c484ed65dd792abc1";

/// A recipe in use.
struct Kitchen {
    pki: Pki,
    upstream: Upstream,
    gateway: TestGateway,
}

/// What is asked: the listener, the client's certificate, the request's first line without its version, a header field, and
/// the body; then the status and a part of the answer.
type Walk<'a> = (&'a str, &'a str, &'a str, &'a str, u16, &'a str);

impl Kitchen {
    /// Edits `recipe`, imports `keys`, and starts it.
    fn new(recipe: &str, edits: &[(&str, &str)], keys: impl FnOnce() -> String) -> Self {
        Self::edited(recipe, edits, str::to_owned, keys)
    }

    /// The same with something else done to the text.
    fn edited(
        recipe: &str,
        edits: &[(&str, &str)],
        rework: impl FnOnce(&str) -> String,
        keys: impl FnOnce() -> String,
    ) -> Self {
        Self::at(Clock::system().unix(), recipe, edits, rework, keys)
    }

    /// The same at another time.
    fn at(
        now: UnixTime,
        recipe: &str,
        edits: &[(&str, &str)],
        rework: impl FnOnce(&str) -> String,
        keys: impl FnOnce() -> String,
    ) -> Self {
        let upstream = Upstream::answering(answer);
        let pki = Pki::new();
        pki.issue("server", &["localhost"]);
        pki.issue("company", &[]);
        pki.issue("colleague", &[]);
        pki.issue_as("gone", &[], |params| params.serial_number = Some(7.into()));
        pki.revoke(&[7], 4000);
        fs::write(pki.path().join("admin.token"), "0123456789abcdef0123456789abcdef\n").expect("written");
        fs::write(pki.path().join("cameratag.key"), "123-456-789\n").expect("written");
        for (vector, own) in [("token/pair.key", "multicam.key"), ("jwt/issuer.jwks", "issuer.jwks")] {
            fs::copy(Path::new("tests/vectors").join(vector), pki.path().join(own)).expect("copied");
        }
        for secret in ["admin.token", "server.key", "cameratag.key", "multicam.key"] {
            fs::set_permissions(pki.path().join(secret), Permissions::from_mode(0o600)).expect("it is ours");
        }
        let text = fs::read_to_string(Path::new("config/recipes").join(recipe)).expect("the recipe");
        let own = format!("http://{}", upstream.address());
        let edits = [
            ("0.0.0.0:8443", "127.0.0.1:0"),
            ("127.0.0.1:9443", "127.0.0.1:0"),
            ("tls/cert.pem", "server.pem"),
            ("tls/key.pem", "server.key"),
        ]
        .iter()
        .chain(edits);
        let text = edits.fold(text, |text, (from, to)| {
            assert!(text.contains(from), "{recipe} has no {from}");
            text.replace(from, &to.replace("UPSTREAM", &own))
        });
        let text = rework(&text);
        fs::write(pki.path().join("vidgate.toml"), &text).expect("written");
        run(pki.path(), &["store", "init", "--config", "vidgate.toml"], "");
        run(pki.path(), &["import", "--config", "vidgate.toml", "-"], &keys());
        let said = run(pki.path(), &["check", "--config", "vidgate.toml"], "");
        // What `lint` finds in a recipe as it is, it allows; edited, it may be less or more.
        assert!(!said.contains("warning: "), "{said}");
        let gateway = TestGateway::start_at(now, &text, pki.path(), 2);
        Self { pki, upstream, gateway }
    }

    /// Asks over TLS, and says the status and the whole answer.
    fn ask(&self, listener: &str, certificate: &str, line: &str, fields: &str) -> (u16, String) {
        let client = match certificate {
            "" => self.pki.client(&[]),
            file => self.pki.presenting(&self.pki, file, &[]),
        };
        let mut secure = dial(self.gateway.address(listener), "localhost", &Arc::new(client)).expect("a handshake");
        let fields = if fields.is_empty() { String::new() } else { format!("{fields}\r\n") };
        write!(secure, "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n").expect("it is taken");
        let mut text = String::new();
        secure.read_to_string(&mut text).expect("an answer, and its end");
        (text.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status"), text)
    }

    /// Walks all of it; what is refused must not have reached the upstream.
    fn walk(&self, walks: &[Walk<'_>]) {
        for (listener, certificate, line, fields, status, part) in walks {
            let before = self.upstream.seen().len();
            let (got, text) = self.ask(listener, certificate, line, fields);
            assert!(got == *status && text.contains(part), "{line} {fields} {certificate}\n{text}");
            let passed = self.upstream.seen().len() > before;
            assert_eq!(passed, text.contains("upstream-ok") || *part == MASKED, "{line} {fields} {certificate}");
        }
    }
}

/// What is behind all of them.
fn answer(request: &Received) -> Vec<u8> {
    if request.target.contains("/wall.json") {
        return format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{LISTING}", LISTING.len()).into_bytes();
    }
    let status = match request.header("range") {
        Some("bytes=0-10") => "206 Partial Content\r\nContent-Range: bytes 0-10/44",
        _ if request.target.ends_with("/broken") => "503 Busy",
        _ => "200 OK",
    };
    format!("HTTP/1.1 {status}\r\nContent-Length: 11\r\n\r\nupstream-ok").into_bytes()
}

/// Fields and body of a form, to stand behind the first line.
fn form(fields: &str, body: &str) -> String {
    let gap = if fields.is_empty() { "" } else { "\r\n" };
    let length = body.len();
    format!(
        "{fields}{gap}Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n\
         {length:x}\r\n{body}\r\n0"
    )
}

/// Runs the program, which must end well.
fn run(folder: &Path, words: &[&str], input: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vidgate"));
    let output = processes::fed(command.args(words).current_dir(folder), input);
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).expect("it is text")).concat();
    assert!(output.status.success(), "{words:?}: {said}");
    said
}

const OK: &str = "upstream-ok";
const RANGE: &str = "content-range: bytes 0-10/44";
/// What a wall could show, in all five states.
const LISTING: &str = r#"{"assets":[{"state":"published"},{"state":"processed"},{"state":"approved"},{"state":"rejected"},{"state":"featured"}],"total_pages":1,"by":"upstream-ok"}"#;
const WHO: &str = r#""errorType":"invalid_auth""#;
const MAY_NOT: &str = r#""errorType":"access_deny""#;
const NO_CERTIFICATE: &str = "No required SSL certificate was sent";
const BAD_CERTIFICATE: &str = "The SSL certificate error";
const MESSAGE: &str = r#""Message": "#;
const MASKED: &str = r#""Message":"#;

const VXG: &[(&str, &str)] = &[
    ("0.0.0.0:9000", "127.0.0.1:0"),
    ("tls/ops.pem", "ca.pem"),
    ("tls/ops.crl", "ca.crl"),
    ("http://10.0.0.5:8000", "UPSTREAM"),
];

fn vxg_keys() -> String {
    format!(
        r#"
{{"resource":"account","id":"acme"}}
{{"resource":"account","id":"rival"}}
{{"resource":"license_key","id":"main","account":"acme","key":"{KEY}"}}
{{"resource":"camera","id":"248527","account":"acme"}}
{{"resource":"camera","id":"11","account":"acme"}}
{{"resource":"camera","id":"12","account":"rival"}}
{{"resource":"token","id":"all","camera":"248527","token":"{ACC}"}}
{{"resource":"token","id":"watch","camera":"11","scopes":["watch"],"token":"{WATCH}"}}
{{"resource":"token","id":"streaming","camera":"11","scopes":["streaming"],"token":"{STREAMING}"}}
{{"resource":"camera_group","id":"18","account":"acme","cameras":["248527"]}}
{{"resource":"token","id":"group","group":"18","token":"{SI}"}}
{{"resource":"admin_certificate","id":"company","account":"acme","subject":"company"}}
{{"resource":"admin_certificate","id":"gone","account":"acme","subject":"gone"}}
"#
    )
}

#[test]
fn every_recipe_is_walked_here() {
    let files = fs::read_dir("config/recipes").expect("the folder").map(|entry| entry.expect("an entry").file_name());
    let names: BTreeSet<_> = files.map(|name| name.into_string().expect("a plain name")).collect();
    // What is in `decide` is walked behind real proxies, by `tests/proxies/run`.
    let walked = ["cameratag.toml", "decide", "multicam.toml", "securevideo.toml", "voximplant.toml", "vxg.toml"];
    assert_eq!(names, walked.map(str::to_owned).into());
}

#[test]
fn vxg_lets_in_whom_each_route_is_for() {
    let kitchen = Kitchen::new("vxg.toml", VXG, vxg_keys);
    let credentials = [("LKey", KEY), ("Acc", ACC), ("Acc", WATCH), ("SI", SI)];
    let [lkey, acc, watch, si] = &credentials.map(|(word, credential)| format!("Authorization: {word} {credential}"));
    let spaced = &*acc.replace("Acc ", "acc  ");
    let (played, streamed) = (
        &*format!("GET /api/v4/storage/records/?token={INNER}"),
        &*format!("GET /api/v4/live/source/?token={STREAMING}"),
    );
    let watched = &*format!("GET /api/v4/live/watch/?token={STREAMING}");
    kitchen.walk(&[
        ("public", "", "GET /api/v2/cameras/248527/limits/", lkey, 200, OK),
        ("public", "", "GET /api/v2/cameras/12/", lkey, 403, MAY_NOT),
        ("public", "", "GET /api/v2/cameras/248527/", acc, 401, WHO),
        ("public", "", "GET /api/v2/account/", lkey, 200, OK),
        ("public", "", "GET /api/v2/account/", acc, 401, WHO),
        ("public", "", "GET /api/v3/channels/248527/", lkey, 200, OK),
        ("public", "", "GET /api/v3/channels/12/", lkey, 403, MAY_NOT),
        ("public", "", "GET /api/v3/channels/", lkey, 200, OK),
        ("public", "", "GET /api/v3/channels/", "Authorization: LKey wrong", 401, WHO),
        ("public", "", "GET /api/v4/live/watch/", acc, 200, OK),
        ("public", "", "GET /api/v4/live/watch/", spaced, 200, OK),
        ("public", "", "GET /api/v4/live/watch/", lkey, 401, WHO),
        ("public", "", played, "", 200, OK),
        ("public", "", "PUT /api/v4/channel/", watch, 403, MAY_NOT),
        ("public", "", "GET /api/v4/live/watch/", watch, 200, OK),
        ("public", "", streamed, "", 200, OK),
        ("public", "", watched, "", 403, MAY_NOT),
        ("public", "", "GET /api/v4/live/source/", watch, 403, MAY_NOT),
        ("public", "", "POST /api/v4/meta/filter/", watch, 200, OK),
        ("public", "", "POST /api/v4/meta/filter/", si, 401, WHO),
        ("public", "", "GET /api/v5/channels/?preview=true", si, 200, OK),
        ("public", "", "GET /api/v5/channels/248527/", si, 200, OK),
        ("public", "", "GET /api/v5/channels/11/", si, 403, MAY_NOT),
        ("public", "", "GET /api/v5/channels/", acc, 401, WHO),
        ("public", "", "GET /docs/", "", 200, OK),
        ("public", "", "POST /docs/", "", 405, ""),
        ("public", "", "GET /api/v2/admin/users/", lkey, 403, MAY_NOT),
        ("super_admin", "company", "GET /api/v2/admin/users/", "", 200, OK),
        ("super_admin", "", "GET /api/v2/admin/users/", lkey, 400, NO_CERTIFICATE),
        ("super_admin", "gone", "GET /api/v2/admin/users/", "", 400, BAD_CERTIFICATE),
        ("super_admin", "company", "GET /api/v3/channels/", lkey, 404, ""),
    ]);
    let (status, text) = kitchen.ask("super_admin", "colleague", "GET /api/v2/admin/users/", "");
    assert!((400..404).contains(&status) && !text.contains(OK), "{text}");
    let kept = kitchen.upstream.seen();
    let first = kept.first().expect("it was asked");
    assert_eq!(first.header("authorization"), Some(&*format!("LKey {KEY}")));
    assert_eq!(first.header("x-vidgate-account"), Some("acme"));
}

/// Takes the comment off every route, scheme and table of roles that stands in one.
fn uncommented(text: &str) -> String {
    let mut in_table = false;
    let line = |line: &str| {
        let begins = ["# [[route]]", "# [scheme.", "# [roles."].iter().any(|table| line.starts_with(table));
        in_table = begins || (in_table && line.starts_with("# "));
        format!("{}\n", if in_table { &line[2..] } else { line })
    };
    text.lines().map(line).collect()
}

#[test]
fn vxg_with_accounts_and_tokens_of_its_own_and_removed_credentials() {
    const CHANNEL: &str = "path = \"/api/v3/channels/{id}/{*rest}\"\nauthenticate = \"license\"\n";
    const CHECKED: &str = "camera = { path = \"id\" }\nforward = \"vms\"\ncredential = \"keep\"\n";
    const CAMERA: &str = "path = \"/api/v2/cameras/{id}/{*rest}\"\nauthenticate = \"license\"\n";
    let (channel, own_channel) = (format!("{CHANNEL}{CHECKED}"), format!("{CHANNEL}endpoint = \"vxg_tokens\"\n"));
    let both = CAMERA.replace("license", "license or camera");
    let more = [
        (channel.as_str(), own_channel.as_str()),
        (CAMERA, &both),
        ("credential = \"keep\"", "credential = \"remove\""),
    ];
    let kitchen = Kitchen::edited("vxg.toml", &[VXG, &more].concat(), uncommented, vxg_keys);
    let [lkey, acc] = &[("LKey", KEY), ("Acc", ACC)].map(|(word, text)| format!("Authorization: {word} {text}"));
    let own = &*format!("GET /api/v2/cameras/248527/?token={INNER}");
    let others = &*format!("GET /api/v2/cameras/11/?token={INNER}");
    let list = r#""objects""#;
    kitchen.walk(&[
        ("super_admin", "company", "GET /api/v2/admin/users/", "", 200, list),
        ("super_admin", "", "GET /api/v2/admin/users/", "", 400, NO_CERTIFICATE),
        ("super_admin", "company", "GET /api/v2/admin/servers/", "", 200, OK),
        ("super_admin", "company", "GET /api/v6/servers/", lkey, 200, OK),
        ("super_admin", "company", "GET /api/v6/servers/", "", 401, WHO),
        ("public", "", "GET /api/v3/channels/", lkey, 200, list),
        ("public", "", "GET /api/v3/channels/", acc, 401, WHO),
        ("public", "", "GET /api/v3/channels/248527/", lkey, 200, r#""access_tokens""#),
        ("public", "", "GET /api/v3/channels/12/", lkey, 404, ""),
        ("public", "", "GET /api/v3/channel_groups/", lkey, 200, list),
        ("public", "", "GET /api/v2/cameras/", lkey, 200, list),
        ("public", "", "GET /api/v2/cameras/", acc, 401, WHO),
        ("public", "", own, "", 200, OK),
        ("public", "", others, "", 403, MAY_NOT),
        ("public", "", "GET /api/v2/account/", acc, 401, WHO),
    ]);
    let seen = kitchen.upstream.seen();
    assert!(seen.iter().all(|one| one.header("authorization").is_none() && !one.target.contains("token")), "{seen:?}");
}

fn securevideo_keys() -> String {
    let elsewhere = r#""addresses":["198.51.100.7"]"#;
    format!(
        r#"
{{"resource":"account","id":"clinic","addresses":["127.0.0.1"],"quota":{{"hour":6}}}}
{{"resource":"api_client","id":"{IDENTIFIER}","account":"clinic","secret":"{SECRET}"}}
{{"resource":"account","id":"ward",{elsewhere}}}
{{"resource":"api_client","id":"ward-identifier","account":"ward","secret":"secret-of-the-ward"}}
"#
    )
}

#[test]
fn securevideo_lets_in_whom_each_route_is_for() {
    let edits = [("https://api.securevideo.com", "UPSTREAM"), ("\"/client/{*rest}\"", "\"/widget/{*rest}\"")];
    let kitchen = Kitchen::new("securevideo.toml", &edits, securevideo_keys);
    let basic = &*format!("Authorization: Basic {BASIC}");
    let ward = &*format!("Authorization: Basic {}", STANDARD.encode("ward-identifier:secret-of-the-ward"));
    let wrong = &*format!("Authorization: Basic {}", STANDARD.encode("ward-identifier:wrong"));
    let text = &*format!("{basic}\r\nContent-Type: text/plain\r\nContent-Length: 0");
    let page = &*format!("GET /widget/session?APIKEY={IDENTIFIER}");
    let from_ward = "GET /Widget/session?apiKey=ward-identifier";
    let leaked = &*format!("GET /user?x={SECRET}");
    let server = &*format!("GET /user?apiKey={IDENTIFIER}");
    kitchen.walk(&[
        ("public", "", "GET /user", basic, 200, OK),
        ("public", "", "GET /USER/2112", text, 200, OK),
        ("public", "", "GET /user", "", 401, MESSAGE),
        ("public", "", "GET /user", wrong, 401, MESSAGE),
        ("public", "", "GET /user", ward, 412, "Request Must Be From a Whitelisted IP Address"),
        ("public", "", leaked, basic, 401, MESSAGE),
        ("public", "", server, "", 401, MESSAGE),
        ("public", "", "GET /broken", basic, 503, MASKED),
        ("public", "", page, "", 200, OK),
        ("public", "", from_ward, "", 200, OK),
        ("public", "", "GET /widget/session", "", 401, MESSAGE),
        ("public", "", "GET /account/usage", basic, 200, "\"quota\""),
        ("public", "", "GET /Account/Usage", "", 401, MESSAGE),
        ("public", "", "GET /recordings/1", basic, 501, MESSAGE),
        ("public", "", "GET /recordings/1", wrong, 401, MESSAGE),
    ]);
    let post =
        |kind: &str| format!("{basic}\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0");
    kitchen.walk(&[
        ("public", "", "POST /user", &post("text/plain"), 415, MESSAGE),
        ("public", "", "POST /user", &post("application/json"), 200, OK),
    ]);
    // The hour's quota of six is spent, and whoever has spent it can see that.
    kitchen.walk(&[
        ("public", "", "GET /user", basic, 200, OK),
        ("public", "", "GET /user", basic, 429, MESSAGE),
        ("public", "", "GET /account/usage", basic, 200, "\"remaining\":0"),
        ("public", "", "GET /user", ward, 412, MESSAGE),
    ]);
    assert_eq!(kitchen.upstream.seen()[0].header("authorization"), Some(&*format!("Basic {BASIC}")));
}

#[test]
fn securevideo_behind_a_proxy_that_ends_tls() {
    let edits = [
        ("https://api.securevideo.com", "UPSTREAM"),
        ("tls = { certificate = \"server.pem\", key = \"server.key\" }\n", ""),
        ("# trusted_proxies = [\"10.0.0.0/8\"]", "trusted_proxies = [\"127.0.0.1\"]"),
        ("credential = \"keep\"", "credential = \"remove\""),
    ];
    let kitchen = Kitchen::new("securevideo.toml", &edits, securevideo_keys);
    let ward = STANDARD.encode("ward-identifier:secret-of-the-ward");
    for (fields, status) in [
        ("X-Forwarded-Proto: https\r\nX-Forwarded-For: 198.51.100.7\r\n", 200),
        ("X-Forwarded-Proto: https\r\nX-Forwarded-For: 198.51.100.8\r\n", 412),
        ("X-Forwarded-Proto: http\r\nX-Forwarded-For: 198.51.100.7\r\n", 403),
        ("X-Forwarded-For: 198.51.100.7\r\n", 403),
    ] {
        let line = format!("GET /user HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {ward}\r\n{fields}\r\n");
        assert_eq!(kitchen.gateway.connect().ask(line).status, status, "{fields}");
    }
    assert_eq!(kitchen.upstream.only().header("authorization"), None);
    assert_eq!(kitchen.upstream.only().header("x-vidgate-account"), Some("ward"));
}
