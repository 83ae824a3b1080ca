//! VXG: license keys on the v2 and v3 APIs, camera tokens on the v4 API.

use super::{Case, echoed};
use crate::cli::demo::curl::Curl;
use crate::cli::demo::ground::Facts;
use crate::cli::demo::vendor::Vendor::Vxg;

const WHO: &str = r#""errorType":"invalid_auth""#;
const MAY_NOT: &str = r#""errorType":"access_deny""#;

pub(super) fn cases(facts: &Facts) -> Vec<Case> {
    let mut cases = reading(facts);
    cases.extend(playing(facts));
    cases.extend(arriving(facts));
    cases.extend(bound(facts));
    cases.extend(super::operator::cases(facts));
    cases.extend(license_keys_refused(facts));
    cases.extend(tokens_refused(facts));
    cases.extend(forms_refused(facts));
    cases.extend(paths_refused(facts));
    cases
}

/// What the credentials open.
fn reading(facts: &Facts) -> Vec<Case> {
    let base = &facts.site(Vxg).http;
    let tls = &facts.site(Vxg).https;
    let vxg = &facts.credentials.vxg;
    let ask = |path: &str| Curl::new(format!("{base}{path}"));
    let (license, acc) = (format!("LKey {}", vxg.license_key), format!("Acc {}", vxg.all.access));
    vec![
        Case::accepted(Vxg, 200, "a license key lists the cameras", ask("/api/v2/cameras/").authorization(&license))
            .shows("Front door"),
        Case::accepted(Vxg, 200, "a license key lists the channels", ask("/api/v3/channels/").authorization(&license))
            .shows("Front door"),
        Case::accepted(Vxg, 200, "a camera's token opens the camera", ask("/api/v4/live/watch/").authorization(&acc))
            .shows("playlist.m3u8"),
        Case::accepted(
            Vxg,
            200,
            "the word in any case, and two spaces, as VXG's samples write it",
            ask("/api/v4/live/watch/").authorization(&format!("acc  {}", vxg.all.access)),
        )
        .shows("playlist.m3u8"),
        Case::accepted(
            Vxg,
            200,
            "a token that may only watch reads",
            ask("/api/v4/live/watch/").authorization(&format!("Acc {}", vxg.watch.access)),
        )
        .shows("playlist.m3u8"),
        Case::accepted(
            Vxg,
            200,
            "over TLS",
            Curl::new(format!("{tls}/api/v3/channels/")).file("--cacert", &facts.pki.ca).authorization(&license),
        )
        .shows("Front door"),
        Case::accepted(Vxg, 200, "the documentation is open", ask("/docs/")).shows("Anyone may read it"),
    ]
}

/// Pictures, playlists, recordings.
fn playing(facts: &Facts) -> Vec<Case> {
    let base = &facts.site(Vxg).http;
    let vxg = &facts.credentials.vxg;
    let url = |path: &str| format!("{base}{path}");
    let acc = format!("Acc {}", vxg.all.access);
    let ask = |path: &str| Curl::new(url(path)).authorization(&acc);
    let media = |path: &str| Curl::media(url(path)).authorization(&acc);
    let by_query = |path: &str| Curl::new(format!("{base}{path}?token={}", vxg.all.share));
    let accepted = |status, what, curl| Case::accepted(Vxg, status, what, curl);
    vec![
        accepted(200, "the live picture", media("/api/v4/live/image/")).shows("image/png"),
        accepted(200, "a live stream of pictures", media("/api/v4/live/stream")).shows("multipart/x-mixed-replace"),
        accepted(200, "an HLS playlist", ask("/api/v4/live/playlist.m3u8")).shows("#EXTM3U"),
        accepted(200, "one of its segments", media("/api/v4/live/segment/0.ts")).shows("video/mp2t"),
        accepted(200, "a player's ?token=, playlist", by_query("/api/v4/live/playlist.m3u8")).shows("#EXTM3U"),
        accepted(200, "a player's ?token=, records", by_query("/api/v4/storage/records/")).shows("objects"),
        accepted(206, "a range of a download", ask("/api/v4/download").with(&["-r", "0-9"]))
            .shows("bytes 0-9/65536")
            .shows("abcdefghij"),
        accepted(416, "a range past its end", ask("/api/v4/download").with(&["-r", "70000-"])).shows("bytes */65536"),
        accepted(200, "HEAD", Curl::head(url("/api/v4/live/image/")).authorization(&acc)).shows("image/png"),
    ]
}

/// What the API gets to see.
fn arriving(facts: &Facts) -> Vec<Case> {
    let base = &facts.site(Vxg).http;
    let vxg = &facts.credentials.vxg;
    let acc = format!("Acc {}", vxg.all.access);
    let ask = |path: &str| Curl::new(format!("{base}{path}"));
    let subject = echoed("x-vidgate-subject", &format!("camera:{}", vxg.all.camera));
    let accepted = |what, curl| Case::accepted(Vxg, 200, what, curl);
    vec![
        accepted(
            "the body arrives, the credential does not",
            ask("/api/v4/echo").authorization(&acc).with(&["-d", "hello=world"]),
        )
        .shows(r#""body":"hello=world""#)
        .shows(&subject)
        .hides("authorization")
        .hides(&vxg.all.share),
        accepted("a token in the query is taken out", ask(&format!("/api/v4/echo?token={}&page=2", vxg.all.share)))
            .shows(r#""query":"page=2""#)
            .shows(&subject)
            .hides(&vxg.all.share),
        accepted(
            "a forged identity is replaced",
            ask("/api/v4/echo").authorization(&acc).header("X-Vidgate-Subject: camera:1"),
        )
        .shows(&subject)
        .hides("camera:1\""),
        accepted(
            "the account of a license key is named",
            ask("/api/v2/echo/").authorization(&format!("LKey {}", vxg.license_key)),
        )
        .shows(echoed("x-vidgate-subject", "license_key:main"))
        .shows(echoed("x-vidgate-account", "acme")),
        accepted(
            "dots and slashes in a path are resolved, once",
            ask("/api/v3/..//v4/./echo").with(&["--path-as-is"]).authorization(&acc),
        )
        .shows(r#""path":"/api/v4/echo""#),
    ]
}

/// Which credential reaches which camera, and what each access value is for.
fn bound(facts: &Facts) -> Vec<Case> {
    let base = &facts.site(Vxg).http;
    let vxg = &facts.credentials.vxg;
    let ask = |path: &str, credential: &str| Curl::new(format!("{base}{path}")).authorization(credential);
    let query = |path: &str, share: &str| Curl::new(format!("{base}{path}?token={share}"));
    let (license, acc) = (format!("LKey {}", vxg.license_key), format!("Acc {}", vxg.all.access));
    let (watch, si) = (format!("Acc {}", vxg.watch.access), format!("SI {}", vxg.group.1));
    let filter = |credential: &str| ask("/api/v4/meta/filter/", credential).with(&["-d", "{}"]);
    let yes = |what, curl| Case::accepted(Vxg, 200, what, curl).shows("Front door");
    let no = |what, curl| Case::refused(Vxg, 403, what, curl).shows(MAY_NOT);
    let (own, other) = ("/api/v2/cameras/248527/", "/api/v2/cameras/248528/");
    vec![
        yes("a license key and a camera of its account", ask(own, &license)),
        no("a camera that the account does not have", ask("/api/v2/cameras/1/", &license)),
        yes("a camera's token and its camera", ask(own, &acc)),
        yes("a player's ?token= and its camera", query(own, &vxg.all.share)),
        no("a camera's token and another camera", ask(other, &acc)),
        no("a player's ?token= and another camera", query(other, &vxg.all.share)),
        yes("a group's token lists its cameras", ask("/api/v5/channels/", &si)),
        yes("a group's token and a camera of the group", ask("/api/v5/channels/248527/", &si)),
        no("a group's token and any other camera", ask("/api/v5/channels/248528/", &si)),
        Case::refused(Vxg, 401, "a group's token where a camera's belongs", ask("/api/v4/live/watch/", &si)).shows(WHO),
        Case::refused(Vxg, 401, "a group's token under a camera's word", {
            ask("/api/v5/channels/", &format!("Acc {}", vxg.group.1))
        })
        .shows(WHO),
        Case::accepted(Vxg, 200, "a token for streaming, and what is streamed", {
            query("/api/v4/live/source/", &vxg.streaming.share)
        })
        .shows("rtmp"),
        no("a token for streaming, and anything else", query("/api/v4/live/watch/", &vxg.streaming.share)),
        no("a token that may only watch, and what is streamed", ask("/api/v4/live/source/", &watch)),
        Case::accepted(Vxg, 200, "a token that may only watch searches", filter(&watch)).shows("objects"),
    ]
}

fn license_keys_refused(facts: &Facts) -> Vec<Case> {
    let base = &facts.site(Vxg).http;
    let vxg = &facts.credentials.vxg;
    let lkey = |path: &str, key: &str| Curl::new(format!("{base}{path}")).authorization(&format!("LKey {key}"));
    let refused = |what, curl| Case::refused(Vxg, 401, what, curl).shows(WHO);
    let channels = "/api/v3/channels/";
    vec![
        refused("no credential", Curl::new(format!("{base}{channels}"))),
        refused("a license key nobody has", lkey(channels, "v3.AAAAAAAAAAAAAA")),
        refused("a license key of yesterday", lkey(channels, &vxg.license_key_expired)),
        refused("a license key switched off", lkey(channels, &vxg.license_key_disabled)),
        refused("a license key on the camera's API", lkey("/api/v4/live/watch/", &vxg.license_key)),
        refused(
            "a camera's token on the account's API",
            Curl::new(format!("{base}{channels}")).authorization(&format!("Acc {}", vxg.all.access)),
        ),
        refused(
            "a good key under another word",
            Curl::new(format!("{base}{channels}")).authorization(&format!("Bearer {}", vxg.license_key)),
        ),
    ]
}

fn tokens_refused(facts: &Facts) -> Vec<Case> {
    let base = &facts.site(Vxg).http;
    let vxg = &facts.credentials.vxg;
    let watch = format!("{base}/api/v4/live/watch/");
    let acc = |token: &str| Curl::new(&watch).authorization(&format!("Acc {token}"));
    let refused = |what, curl| Case::refused(Vxg, 401, what, curl).shows(WHO);
    vec![
        refused("no credential", Curl::new(&watch)),
        refused("a token whose time is over", acc(&vxg.expired.access)),
        refused("the same in the query", Curl::new(format!("{watch}?token={}", vxg.expired.share))),
        refused("a token that was tampered with", acc(&vxg.all.forged())),
        refused("what is not base64", acc("!!!")),
        refused("base64 of what is not JSON", acc("bm90IGpzb24=")),
        Case::refused(Vxg, 403, "a token that claims more than it was given", acc(&vxg.watch.claiming("all")))
            .shows(MAY_NOT),
        Case::refused(
            Vxg,
            403,
            "a token that may only watch writes",
            Curl::new(format!("{base}/api/v4/echo"))
                .with(&["-X", "PUT", "-d", "x"])
                .authorization(&format!("Acc {}", vxg.watch.access)),
        )
        .shows(MAY_NOT),
    ]
}

fn forms_refused(facts: &Facts) -> Vec<Case> {
    let base = &facts.site(Vxg).http;
    let vxg = &facts.credentials.vxg;
    let watch = format!("{base}/api/v4/live/watch/");
    let acc = format!("Acc {}", vxg.all.access);
    vec![
        Case::refused(
            Vxg,
            401,
            "two Authorization headers: neither is chosen",
            Curl::new(&watch).authorization(&acc).authorization(&format!("LKey {}", vxg.license_key)),
        )
        .shows(WHO),
        Case::refused(
            Vxg,
            401,
            "one token in the header, another in the query",
            Curl::new(format!("{watch}?token={}", vxg.watch.share)).authorization(&acc),
        )
        .shows(WHO),
        Case::refused(
            Vxg,
            413,
            "an upload larger than the route takes",
            Curl::new(format!("{base}/api/v4/echo")).authorization(&acc).file("-T", &facts.files.large_upload),
        ),
    ]
}

fn paths_refused(facts: &Facts) -> Vec<Case> {
    let base = &facts.site(Vxg).http;
    let vxg = &facts.credentials.vxg;
    let ask = |path: &str| Curl::new(format!("{base}{path}"));
    let as_is = |path: &str| ask(path).with(&["--path-as-is"]).authorization(&format!("Acc {}", vxg.all.access));
    let license = format!("LKey {}", vxg.license_key);
    let refused = |status, what, curl| Case::refused(Vxg, status, what, curl);
    vec![
        refused(401, "a camera's token climbs out of its API", as_is("/api/v4/../v3/channels/")).shows(WHO),
        refused(401, "the same with encoded dots", as_is("/api/v4/%2e%2e/v3/channels/")).shows(WHO),
        refused(400, "an encoded slash", as_is("/api/v4%2fecho")),
        refused(400, "an encoded NUL", as_is("/api/v4/echo%00")),
        refused(404, "a license key at the super-admin's door", ask("/api/v2/admin/users/").authorization(&license)),
        refused(404, "a path without a route", ask("/api/v9/anything").authorization(&license)),
        refused(405, "a method that the route does not take", ask("/docs/").with(&["-d", "x"])).shows("GET, HEAD"),
    ]
}
