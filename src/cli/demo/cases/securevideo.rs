//! SecureVideo: Basic with an API identifier and its secret, over TLS alone, from addresses on the customer's list.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Case, echoed};
use crate::cli::demo::curl::Curl;
use crate::cli::demo::ground::Facts;
use crate::cli::demo::vendor::Vendor::SecureVideo;

const SENTENCE: &str = r#""Message":"#;

pub(super) fn cases(facts: &Facts) -> Vec<Case> {
    let mut cases = accepted(facts);
    cases.extend(refused(facts));
    cases.extend(addresses(facts));
    cases.extend(terms(facts));
    cases
}

/// A secret is shown over TLS only.
fn tls(facts: &Facts, path: &str, call: impl Fn(String) -> Curl) -> Curl {
    call(format!("{}{path}", facts.site(SecureVideo).https)).file("--cacert", &facts.pki.ca)
}

fn accepted(facts: &Facts) -> Vec<Case> {
    let client = &facts.credentials.securevideo;
    let pair = format!("{}:{}", client.identifier, client.secret);
    let encoded = STANDARD.encode(&pair);
    let ask = |path: &str| tls(facts, path, Curl::new);
    let known = |path: &str| ask(path).with(&["-u", &pair]);
    let case = |status, what, curl| Case::accepted(SecureVideo, status, what, curl);
    vec![
        case(200, "identifier and secret", known("/user")).shows("SystemUserId"),
        case(200, "the word in any case", ask("/user").authorization(&format!("basic {encoded}")))
            .shows("SystemUserId"),
        case(
            200,
            "a space where MIME would break the line",
            ask("/user").authorization(&format!("Basic {} {}", &encoded[..76], &encoded[76..])),
        )
        .shows("SystemUserId"),
        case(200, "another page", known("/cameras")).shows("Consulting room"),
        case(200, "the live picture", tls(facts, "/live/image/", Curl::media).with(&["-u", &pair])).shows("image/png"),
        case(206, "a range of a download", known("/download").with(&["-r", "0-9"])).shows("bytes 0-9/65536"),
        case(200, "HEAD", tls(facts, "/user", Curl::head).with(&["-u", &pair])).shows("application/json"),
        case(
            200,
            "the body arrives, the credential does not",
            known("/echo").with(&["-H", "Content-Type: application/json", "-d", r#"{"FullName":"Ada O'Example"}"#]),
        )
        .shows("Ada O'Example")
        .shows(echoed("x-vidgate-subject", &format!("api_client:{}", client.identifier)))
        .shows(echoed("x-vidgate-account", "clinic"))
        .hides("authorization")
        .hides(&client.secret),
        case(404, "a page that the API itself does not know", known("/nowhere")).shows("no such page"),
    ]
}

fn refused(facts: &Facts) -> Vec<Case> {
    let site = facts.site(SecureVideo);
    let client = &facts.credentials.securevideo;
    let good = format!("{}:{}", client.identifier, client.secret);
    let user = || tls(facts, "/user", Curl::new);
    let pair = |identifier: &str, secret: &str| user().with(&["-u", &format!("{identifier}:{secret}")]);
    let basic = |text: &str| user().authorization(&format!("Basic {text}"));
    let case = |what, curl| Case::refused(SecureVideo, 401, what, curl).shows(SENTENCE);
    vec![
        case("no credential, and what to present", user()).shows(r#"Basic realm="SecureVideo""#),
        case("a wrong secret", pair(&client.identifier, "wrong")),
        case("an identifier nobody has", pair("nobody", &client.secret)),
        case("the word alone", user().authorization("Basic")),
        case("what is not base64", basic("!!!!")),
        case("base64 without a colon", basic(&STANDARD.encode(&client.identifier))),
        case(
            "a good pair under another word",
            user().authorization(&format!(
                "Bearer {}",
                STANDARD.encode(format!("{}:{}", client.identifier, client.secret))
            )),
        ),
        case(
            "the secret in the query, whatever else is presented",
            tls(facts, &format!("/user?apiKey={}", client.secret), Curl::new).with(&["-u", &good]),
        ),
        Case::refused(
            SecureVideo,
            403,
            "a good pair in clear",
            Curl::new(format!("{}/user", site.http)).with(&["-u", &good]),
        )
        .shows(SENTENCE),
        case(
            "two Authorization headers: neither is chosen",
            pair(&client.identifier, &client.secret).authorization("Basic bm9ib2R5Om5vdGhpbmc="),
        ),
    ]
}

/// What customers have agreed upon, what their bodies are, and what browsers may call.
fn terms(facts: &Facts) -> Vec<Case> {
    let client = &facts.credentials.securevideo;
    let pair = |(identifier, secret): (&str, &str)| format!("{identifier}:{secret}");
    let good = pair((&client.identifier, &client.secret));
    let [modest, elsewhere] = [&client.modest, &client.elsewhere].map(|own| pair((&own.0, &own.1)));
    let ask = |path: &str, who: &str| tls(facts, path, Curl::new).with(&["-u", who]);
    let page = |path: &str| tls(facts, &format!("{path}?apiKey={}", client.identifier), Curl::new);
    let typed = |kind: &str| ask("/echo", &good).header(&format!("Content-Type: {kind}")).with(&["-d", "{}"]);
    let yes = |what, curl| Case::accepted(SecureVideo, 200, what, curl);
    let no = |status, what, curl| Case::refused(SecureVideo, status, what, curl).shows(SENTENCE);
    let encoded = tls(facts, &format!("/user?q={}", STANDARD.encode(&good)), Curl::new).with(&["-u", &good]);
    vec![
        yes("the identifier alone, where browsers call", page("/client/session")).shows("Consultation"),
        yes("the same page in other letters", page("/CLIENT/session")).shows("no such page").status(404),
        no(401, "the identifier alone, anywhere else", page("/user")),
        no(401, "the secret in the query as Basic writes it", encoded),
        no(412, "a customer whose servers are elsewhere", ask("/user", &elsewhere))
            .shows("Request Must Be From a Whitelisted IP Address"),
        no(415, "a body that is not JSON", typed("text/plain")),
        yes("a body that is", typed("application/json; charset=utf-8")).shows(r#""body":"{}""#),
        no(500, "what goes wrong in the API stays there", ask("/broken", &good)).hides("SqlException"),
        no(501, "what is announced and not there yet", ask("/recordings/7", &good)),
        yes("a customer's own quota and addresses", ask("/account/usage", &good)).shows(r#""account":"clinic""#),
        no(401, "and nobody else's", tls(facts, "/account/usage", Curl::new)),
        yes("a customer with one request an hour, the first", ask("/user", &modest)).shows("SystemUserId"),
        no(429, "and the second", ask("/user", &modest)).shows("retry-after").shows("ratelimit"),
    ]
}

/// `/usage` is for callers from an address where nobody is.
fn addresses(facts: &Facts) -> Vec<Case> {
    let client = &facts.credentials.securevideo;
    let usage = |path: &str, secret: &str| {
        tls(facts, path, Curl::new).with(&["-u", &format!("{}:{secret}", client.identifier)])
    };
    let case = |status, what, curl| Case::refused(SecureVideo, status, what, curl).shows(SENTENCE);
    vec![
        case(412, "an address that is not on the list", usage("/usage", &client.secret)),
        case(
            412,
            "an address that the caller made up",
            usage("/usage", &client.secret).header("X-Forwarded-For: 192.0.2.7"),
        ),
        case(412, "the same page by a longer way", usage("/user/../usage", &client.secret).with(&["--path-as-is"])),
        case(401, "a wrong secret learns nothing of the list", usage("/usage", "wrong")),
    ]
}
