//! CameraTag: what an app's pages publish and play is signed, comes from pages of its hosts, and shows of a wall what the
//! app says; the REST API has a key.

use super::{Case, echoed};
use crate::cli::demo::credentials::{App, KIOSK, Signed};
use crate::cli::demo::curl::Curl;
use crate::cli::demo::ground::Facts;
use crate::cli::demo::stock::{HOST, STUDIO};
use crate::cli::demo::vendor::Vendor::CameraTag;

const SENTENCE: &str = r#"{"success":false,"error":"#;
const ASSET: &str = "/api/v16/assets/v-1.json";
const VIDEO: &str = "/assets/v-1/720p.mp4";

pub(super) fn cases(facts: &Facts) -> Vec<Case> {
    let mut cases = published(facts);
    cases.extend(played(facts));
    cases.extend(walls(facts));
    cases.extend(asked(facts));
    cases.extend(unsigned(facts));
    cases.extend(elsewhere(facts));
    cases.extend(rest_refused(facts));
    cases
}

fn accepted(status: u16, what: &'static str, curl: Curl) -> Case {
    Case::accepted(CameraTag, status, what, curl)
}

fn refused(what: &'static str, curl: Curl) -> Case {
    Case::refused(CameraTag, 403, what, curl).shows(SENTENCE)
}

fn at(facts: &Facts, path: &str) -> String {
    format!("{}{path}", facts.site(CameraTag).http)
}

/// Where this app publishes.
fn publishing(facts: &Facts, app: &str) -> String {
    at(facts, &format!("/api/v16/cameras/{app}/assets/v-1/publish.json"))
}

/// A publication with a name and nothing else.
fn bare(facts: &Facts, app: &App) -> Curl {
    Curl::new(publishing(facts, app.id)).with(&["-d", "asset_name=Hello"])
}

/// A publication of the booth with this signature.
fn form(facts: &Facts, signed: &Signed) -> Curl {
    let booth = &facts.credentials.cameratag.booth;
    bare(facts, booth).with(&[
        "--data-urlencode",
        &format!("signature_json={}", signed.json),
        "-d",
        &format!("signature={}", signed.tag),
    ])
}

/// From a page.
fn from(curl: Curl, page: &str) -> Curl {
    curl.header(&format!("Referer: {page}"))
}

/// From a page of the booth's host.
fn own(curl: Curl) -> Curl {
    from(curl, &format!("https://{HOST}/booth"))
}

fn published(facts: &Facts) -> Vec<Case> {
    let tag = &facts.credentials.cameratag;
    let subject = echoed("x-vidgate-subject", &format!("app:{}", tag.booth.id));
    let text = format!("signature_json={}", tag.good.json);
    // Every tool has HMAC-SHA1: `-r` prints the digits first.
    let made = format!(
        "\"signature=$(printf %s '{}' | openssl dgst -sha1 -hmac {} -r | cut -d ' ' -f 1)\"",
        tag.good.json, tag.booth.secret
    );
    let on_the_spot = || own(bare(facts, &tag.booth)).with(&["--data-urlencode", &text]).worked_out("-d", &made);
    let https = format!("{}/api/v16/cameras/{}/assets/v-1/publish.json", facts.site(CameraTag).https, tag.booth.id);
    let over_tls = own(Curl::new(https)).file("--cacert", &facts.pki.ca).with(&["--data-urlencode", &text]);
    vec![
        accepted(200, "signed by the app (good for an hour from the start)", own(form(facts, &tag.good)))
            .shows(r#""uuid":"v-1""#),
        accepted(200, "openssl signs on the spot, with the app's private key", on_the_spot()).shows(&subject),
        accepted(200, "the form arrives, the signature does not", own(form(facts, &tag.good)))
            .shows(r#""body":"asset_name=Hello""#)
            .shows(&subject)
            .shows(echoed("x-vidgate-account", STUDIO))
            .hides(&tag.good.tag),
        accepted(200, "a page of a host below", from(form(facts, &tag.good), "https://www.example.com:8443/"))
            .shows(&subject),
        accepted(200, "the page said in the form, as the recorder does", {
            form(facts, &tag.good).with(&["--data-urlencode", &format!("referer=https://{HOST}/booth")])
        })
        .shows(&subject),
        accepted(200, "over TLS", over_tls.with(&["-d", &format!("signature={}", tag.good.tag)])).shows(&subject),
        accepted(200, "an app that asks for no signature", from(bare(facts, &tag.kiosk), "https://kiosk.example.net/"))
            .shows(echoed("x-vidgate-subject", &format!("app:{KIOSK}"))),
    ]
}

fn played(facts: &Facts) -> Vec<Case> {
    let signed = |path: &str| at(facts, &format!("{path}?{}", facts.credentials.cameratag.good.query()));
    vec![
        accepted(200, "what is there to play", Curl::new(signed(ASSET))).shows("720p.mp4"),
        accepted(206, "a range of a video", Curl::new(signed(VIDEO)).with(&["-r", "0-9"]))
            .shows("bytes 0-9/65536")
            .shows("abcdefghij"),
        accepted(200, "a picture", Curl::media(signed("/assets/v-1/thumbnail.png"))).shows("image/png"),
        accepted(200, "HEAD", Curl::head(signed(VIDEO))).shows("video/mp4"),
    ]
}

fn walls(facts: &Facts) -> Vec<Case> {
    let tag = &facts.credentials.cameratag;
    let wall = |app: &App| Curl::new(at(facts, &format!("/api/v16/cameras/{}/assets/wall.json?page=1&n=9", app.id)));
    vec![
        accepted(200, "a wall of what was approved or featured", wall(&tag.booth))
            .shows("v-approved")
            .shows("v-featured")
            .hides("v-published")
            .hides("v-processed")
            .hides("v-rejected"),
        accepted(200, "a wall of all that was not rejected", wall(&tag.kiosk))
            .shows("v-approved")
            .shows("v-featured")
            .shows("v-published")
            .shows("v-processed")
            .hides("v-rejected"),
    ]
}

/// What servers and browsers ask for.
fn asked(facts: &Facts) -> Vec<Case> {
    let tag = &facts.credentials.cameratag;
    let key = &tag.rest_key;
    let rest = |path: &str| Curl::new(at(facts, path));
    vec![
        accepted(200, "the REST API, with the key in the query", rest(&format!("/api/v16/apps.json?api_key={key}")))
            .shows("Kiosk"),
        accepted(200, "or in a header field", rest("/api/v16/apps.json").header(&format!("api_key: {key}")))
            .shows("Kiosk"),
        accepted(200, "the key does not arrive", rest(&format!("/api/v16/echo?api_key={key}&page=2")))
            .shows(r#""query":"page=2""#)
            .shows(echoed("x-vidgate-subject", "user:backend"))
            .hides(key),
        accepted(204, "a browser asks beforehand whether a page may", preflight(facts, HOST))
            .shows(format!("access-control-allow-origin: https://{HOST}")),
    ]
}

fn preflight(facts: &Facts, host: &str) -> Curl {
    let booth = &facts.credentials.cameratag.booth;
    Curl::new(publishing(facts, booth.id))
        .with(&["-X", "OPTIONS"])
        .header(&format!("Origin: https://{host}"))
        .header("Access-Control-Request-Method: POST")
}

fn unsigned(facts: &Facts) -> Vec<Case> {
    let tag = &facts.credentials.cameratag;
    let altered = Signed { json: tag.good.json.replace('}', " }"), tag: tag.good.tag.clone() };
    let play = |path: &str, signed: &Signed| Curl::new(at(facts, &format!("{path}?{}", signed.query())));
    vec![
        refused("no signature", own(bare(facts, &tag.booth))),
        refused("a signature whose time is over", own(form(facts, &tag.expired))),
        refused("another app's key in the text", own(form(facts, &tag.misnamed))),
        refused("signed by another app", own(form(facts, &tag.foreign))),
        refused("the signed text with a blank more", own(form(facts, &altered))),
        refused("a video without a signature", Curl::new(at(facts, VIDEO)).with(&["-r", "0-9"])).hides("abcdefghij"),
        refused("a video after its time", play(VIDEO, &tag.expired)).hides("abcdefghij"),
        refused("what another app has signed", play(ASSET, &tag.foreign)),
        Case::refused(CameraTag, 404, "an app that nobody knows", {
            own(Curl::new(publishing(facts, "a-ffff"))).with(&["-d", "asset_name=Hello"])
        })
        .shows(SENTENCE),
    ]
}

/// Pages of hosts that are not the app's.
fn elsewhere(facts: &Facts) -> Vec<Case> {
    let tag = &facts.credentials.cameratag;
    let page = |page: &str| from(form(facts, &tag.good), page);
    vec![
        refused("a page of another host", page("https://evil.test/")),
        refused("a host that only begins the same", page("https://example.com.evil.test/")),
        refused("a name before the host", page("https://example.com@evil.test/")),
        refused("no page at all", form(facts, &tag.good)),
        refused("a page of another host that says it is not", {
            page("https://evil.test/").with(&["--data-urlencode", &format!("referer=https://{HOST}/booth")])
        }),
        refused("a browser that asks for a page of another host", preflight(facts, "evil.test"))
            .hides("access-control-allow-origin"),
        refused("an old recorder hears of it with status 200", from(bare(facts, &tag.kiosk), "https://evil.test/"))
            .status(200),
    ]
}

fn rest_refused(facts: &Facts) -> Vec<Case> {
    let tag = &facts.credentials.cameratag;
    let apps = |query: &str| Curl::new(at(facts, &format!("/api/v16/apps.json{query}")));
    vec![
        refused("the REST API without a key", apps("")).hides("Kiosk"),
        refused("a key that nobody has", apps("").header("api_key: 00000000")).hides("Kiosk"),
        refused("the public key of an app", apps(&format!("?api_key={}", tag.booth.public))).hides("Kiosk"),
        refused("two keys", apps(&format!("?api_key={}", tag.rest_key)).header("api_key: 00000000")).hides("Kiosk"),
    ]
}
