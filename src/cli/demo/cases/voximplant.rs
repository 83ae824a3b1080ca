//! Voximplant: a service account's RS256 token, good for an hour at most.

use super::{Case, PROBLEM, echoed};
use crate::cli::demo::curl::Curl;
use crate::cli::demo::ground::Facts;
use crate::cli::demo::vendor::Vendor::Voximplant;

pub(super) fn cases(facts: &Facts) -> Vec<Case> {
    let mut cases = accepted(facts);
    cases.extend(refused(facts));
    cases
}

fn accepted(facts: &Facts) -> Vec<Case> {
    let site = facts.site(Voximplant);
    let account = &facts.credentials.voximplant;
    let tokens = &account.tokens;
    let ask = |path: &str, word: &str, token: &str| {
        Curl::new(format!("{}/platform_api{path}", site.http)).authorization(&format!("{word} {token}"))
    };
    let case = |status, what, curl| Case::accepted(Voximplant, status, what, curl);
    vec![
        case(
            200,
            "a token lists the users (good for an hour from the start)",
            ask("/GetUsers/?application_id=1", "Bearer", &tokens.own),
        )
        .shows("user_name"),
        case(200, "the word in any case", ask("/GetCameras/", "bearer", &tokens.own)).shows("camera_name"),
        case(
            200,
            "over TLS",
            Curl::new(format!("{}/platform_api/GetUsers/", site.https))
                .file("--cacert", &facts.pki.ca)
                .authorization(&format!("Bearer {}", tokens.own)),
        )
        .shows("user_name"),
        case(
            200,
            "the form arrives, the token does not",
            ask("/echo", "Bearer", &tokens.own).with(&["-d", "count=20"]),
        )
        .shows(r#""body":"count=20""#)
        .shows(echoed("x-vidgate-subject", &format!("service_account:{}", account.key_id)))
        .shows(echoed("x-vidgate-account", &account.account))
        .hides("authorization"),
        case(200, "the parent's key speaks for the child", ask("/echo", "Bearer", &tokens.child))
            .shows(echoed("x-vidgate-account", &account.child)),
        case(206, "a range of a download", ask("/download", "Bearer", &tokens.own).with(&["-r", "0-9"]))
            .shows("bytes 0-9/65536"),
    ]
}

fn refused(facts: &Facts) -> Vec<Case> {
    let site = facts.site(Voximplant);
    let tokens = &facts.credentials.voximplant.tokens;
    let users = || Curl::new(format!("{}/platform_api/GetUsers/", site.http));
    let bearer = |token: &str| users().authorization(&format!("Bearer {token}"));
    let case = |what, curl| Case::refused(Voximplant, 401, what, curl).shows(PROBLEM);
    vec![
        case("no credential", users()),
        case("a token whose time is over", bearer(&tokens.expired)),
        case("a token that says it lives for a day", bearer(&tokens.long)),
        Case::refused(Voximplant, 403, "a token in the name of a stranger", bearer(&tokens.stranger)).shows(PROBLEM),
        case("a token signed by another key", bearer(&tokens.forged)),
        case("a token that says it needs no signature", bearer(&tokens.unsigned)),
        case("what is not a token", bearer("abc")),
        case("a pair for Basic", users().with(&["-u", "demo:demo"])),
        Case::refused(Voximplant, 404, "a path without a route", Curl::new(format!("{}/GetUsers/", site.http)))
            .shows(PROBLEM),
    ]
}
