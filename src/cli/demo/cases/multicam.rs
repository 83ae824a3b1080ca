//! Multicam: a name and an encrypted key for a token, keys in clear from version 10 on, and lists of addresses.

use super::{Case, echoed};
use crate::cli::demo::curl::Curl;
use crate::cli::demo::ground::Facts;
use crate::cli::demo::stock::STUDIO;
use crate::cli::demo::vendor::Vendor::Multicam;
use crate::cli::shell::quoted;

const MESSAGE: &str = r#"{"Message":"#;
const GRANT: &str = r#"{"error":"invalid_grant"}"#;
const BASE64: &str = "openssl base64 -A";
const HEX: &str = r"od -An -v -tx1 | tr -d ' \n'";
const SYSTEM: &str = "/api/application/system";

pub(super) fn cases(facts: &Facts) -> Vec<Case> {
    let mut cases = logins(facts);
    cases.extend(tokens(facts));
    cases.extend(other_modes(facts));
    cases.extend(logins_refused(facts));
    cases.extend(tokens_refused(facts));
    cases.extend(addresses_refused(facts));
    cases
}

fn accepted(status: u16, what: &'static str, curl: Curl) -> Case {
    Case::accepted(Multicam, status, what, curl)
}

fn refused(status: u16, what: &'static str, curl: Curl) -> Case {
    Case::refused(Multicam, status, what, curl)
}

fn ask(facts: &Facts, path: &str) -> Curl {
    Curl::new(format!("{}{path}", facts.site(Multicam).http))
}

fn bearer(facts: &Facts, path: &str) -> Curl {
    ask(facts, path).authorization(&format!("Bearer {}", facts.credentials.multicam.token))
}

/// `key` encrypted as `JSEncrypt` does, and then written so: the shell's words for it.
fn password(facts: &Facts, key: &str, written: &str) -> String {
    let public = quoted(&facts.files.public_key.to_string_lossy());
    format!(
        "\"password=$(printf %s {} | openssl pkeyutl -encrypt -pubin -inkey {public} -pkeyopt rsa_padding_mode:pkcs1 \
         | {written})\"",
        quoted(key)
    )
}

/// A login for this name; the password is yet to come.
fn login(facts: &Facts, path: &str, grant: &str, name: &str) -> Curl {
    ask(facts, path).with(&["-d", &format!("grant_type={grant}"), "--data-urlencode", &format!("username={name}")])
}

fn logins(facts: &Facts) -> Vec<Case> {
    let user = &facts.credentials.multicam;
    let written = |way: &str| password(facts, &user.key, way);
    let known = |path: &str| login(facts, path, "password", user.login);
    let token = |what, curl| accepted(200, what, curl).shows(r#""token_type":"bearer","expires_in":1209599}"#);
    // What one does with it in a script.
    let at_once = format!(
        "\"Authorization: Bearer $(curl -sS -d grant_type=password -d username={} --data-urlencode {} {}/Token \
         | cut -d '\"' -f 4)\"",
        user.login,
        written(BASE64),
        facts.site(Multicam).http,
    );
    let over_tls = Curl::new(format!("{}/Token", facts.site(Multicam).https)).file("--cacert", &facts.pki.ca);
    let over_tls = over_tls.with(&["-d", "grant_type=password", "-d", &format!("username={}", user.login)]);
    vec![
        token("a name, and a key that openssl encrypts", {
            known("/Token").worked_out("--data-urlencode", &written(BASE64))
        }),
        token("the same in hex, at another spelling", known("/token").worked_out("-d", &written(HEX))),
        token("over TLS", over_tls.worked_out("--data-urlencode", &written(BASE64))),
        accepted(200, "logged in and used, all in one", ask(facts, SYSTEM).worked_out("-H", &at_once))
            .shows("computerName"),
    ]
}

fn tokens(facts: &Facts) -> Vec<Case> {
    let user = &facts.credentials.multicam;
    let media = Curl::media(format!("{}/api/application/live/image/", facts.site(Multicam).http));
    vec![
        accepted(200, "a token", bearer(facts, SYSTEM)).shows("computerName"),
        accepted(200, "the word in any case", {
            ask(facts, SYSTEM).authorization(&format!("bearer   {}", user.token))
        })
        .shows("computerName"),
        accepted(200, "the live picture", media.authorization(&format!("Bearer {}", user.token))).shows("image/png"),
        accepted(206, "a range of a download", bearer(facts, "/api/application/download").with(&["-r", "0-9"]))
            .shows("bytes 0-9/65536"),
        accepted(200, "the body arrives, the token does not", {
            bearer(facts, "/api/application/echo").with(&["-d", "scene=2"])
        })
        .shows(r#""body":"scene=2""#)
        .shows(echoed("x-vidgate-subject", "user:john"))
        .shows(echoed("x-vidgate-account", STUDIO))
        .hides("authorization")
        .hides(&user.token),
    ]
}

/// A key in clear, and no credential but the address.
fn other_modes(facts: &Facts) -> Vec<Case> {
    let key = &facts.credentials.multicam.key;
    let own = |path: &str| ask(facts, path).header(&format!("x-apikey: {key}"));
    vec![
        accepted(200, "from version 10 on: the key as it is", own("/api/v2/streaming")).shows("streaming"),
        accepted(200, "the key does not arrive", own("/api/v2/echo"))
            .shows(echoed("x-vidgate-subject", "user:john"))
            .hides(key),
        accepted(200, "an address that is on the list, and nothing else", ask(facts, "/api/v1/camera")).shows("Gate"),
    ]
}

fn logins_refused(facts: &Facts) -> Vec<Case> {
    let user = &facts.credentials.multicam;
    let with = |grant: &str, name: &str, key: &str| {
        login(facts, "/Token", grant, name).worked_out("--data-urlencode", &password(facts, key, BASE64))
    };
    let no = |what, curl| refused(400, what, curl).shows(GRANT);
    let known = || login(facts, "/Token", "password", user.login);
    vec![
        no("another key", with("password", user.login, "another key")),
        no("a name that nobody has", with("password", "nobody", &user.key)),
        no("the key in clear", known().with(&["-d", &format!("password={}", user.key)])),
        no("nothing for a key", known()),
        refused(400, "what it is not for", with("client_credentials", user.login, &user.key))
            .shows(r#"{"error":"unsupported_grant_type"}"#),
    ]
}

fn tokens_refused(facts: &Facts) -> Vec<Case> {
    let user = &facts.credentials.multicam;
    let given = |credential: &str| ask(facts, SYSTEM).authorization(credential);
    let no = |what, curl| refused(401, what, curl).shows(MESSAGE).hides("computerName");
    vec![
        no("no token, and what to present", ask(facts, SYSTEM)).shows("www-authenticate: Bearer"),
        no("a token with another end", given(&format!("Bearer {}", user.altered))),
        no("a token under another word", given(&format!("Basic {}", user.token))),
        no("a token in the query", ask(facts, &format!("{SYSTEM}?access_token={}", user.token))),
        no("the key where a token belongs", ask(facts, SYSTEM).header(&format!("x-apikey: {}", user.key))),
        no("no key", ask(facts, "/api/v2/streaming")),
        no("a key that nobody has", ask(facts, "/api/v2/streaming").header("x-apikey: another")),
        no("a token where the key belongs", bearer(facts, "/api/v2/streaming")),
    ]
}

/// Nobody comes from the addresses of these routes.
fn addresses_refused(facts: &Facts) -> Vec<Case> {
    let no = |what, curl| refused(403, what, curl).shows(MESSAGE);
    vec![
        no("an address that is not on the list", ask(facts, "/api/v3/medialist")),
        no("an address that the caller made up", {
            ask(facts, "/api/v3/medialist").header("X-Forwarded-For: 192.0.2.7")
        }),
        no("a good token from a wrong address, where both are asked for", bearer(facts, "/api/studio/status")),
    ]
}
