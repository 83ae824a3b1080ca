//! Voximplant: a service account's RS256 token, good for an hour at most, for what the roles of its key may do. Refusals
//! have status 200 and the vendor's number, but for the secure objects.

use super::{Case, echoed};
use crate::cli::demo::curl::Curl;
use crate::cli::demo::ground::Facts;
use crate::cli::demo::vendor::Vendor::Voximplant;
use crate::cli::shell::quoted;

const FAILED: &str = r#"{"error":{"msg":"Authorization failed","code":100}"#;

pub(super) fn cases(facts: &Facts) -> Vec<Case> {
    let mut cases = tokens(facts);
    cases.extend(operations(facts));
    cases.extend(objects(facts));
    cases.extend(refused_tokens(facts));
    cases.extend(refused_operations(facts));
    cases.extend(refused_objects(facts));
    cases
}

fn accepted(status: u16, what: &'static str, curl: Curl) -> Case {
    Case::accepted(Voximplant, status, what, curl)
}

/// A refusal with the vendor's number.
fn refused(code: u16, what: &'static str, curl: Curl) -> Case {
    Case::refused(Voximplant, 200, what, curl).shows(format!(r#""code":{code}}}"#)).hides("user_name")
}

fn ask(facts: &Facts, path: &str) -> Curl {
    Curl::new(format!("{}{path}", facts.site(Voximplant).http))
}

/// Keys of accounts are taken over TLS alone.
fn over_tls(facts: &Facts, path: &str) -> Curl {
    Curl::new(format!("{}{path}", facts.site(Voximplant).https)).file("--cacert", &facts.pki.ca)
}

fn bearer(facts: &Facts, path: &str, token: &str) -> Curl {
    ask(facts, path).authorization(&format!("Bearer {token}"))
}

fn tokens(facts: &Facts) -> Vec<Case> {
    let account = &facts.credentials.voximplant;
    let tokens = &account.tokens;
    let script = format!("\"$(sh {})\"", quoted(&facts.files.token_script.to_string_lossy()));
    let users = "/platform_api/GetUsers/?application_id=1";
    let legacy = format!("{users}&account_id={}&api_key={}", account.account, account.api_key);
    vec![
        accepted(200, "a token lists the users (good for an hour from the start)", bearer(facts, users, &tokens.own))
            .shows("user_name"),
        accepted(200, "one of now, made by openssl as the vendor's token.sh does", {
            ask(facts, users).worked_out("-H", &script)
        })
        .shows("user_name"),
        accepted(200, "the word in any case", ask(facts, users).authorization(&format!("bearer {}", tokens.own)))
            .shows("user_name"),
        accepted(200, "over TLS", over_tls(facts, users).authorization(&format!("Bearer {}", tokens.own)))
            .shows("user_name"),
        accepted(200, "the parent's key speaks for the child", {
            bearer(facts, "/platform_api/GetAccountInfo/", &tokens.child)
        })
        .shows(format!(r#""account_id":{}"#, account.child)),
        accepted(200, "the deprecated key of an account", over_tls(facts, &legacy)).shows("user_name"),
    ]
}

/// The operation, wherever it stands.
fn operations(facts: &Facts) -> Vec<Case> {
    let account = &facts.credentials.voximplant;
    let tokens = &account.tokens;
    let own = |path: &str| bearer(facts, path, &tokens.own);
    let legacy = format!("account_id={}&api_key={}", account.account, account.api_key);
    vec![
        accepted(200, "a new key, answered by vidgate itself", {
            over_tls(facts, &format!("/platform_api/CreateKey/?{legacy}&description=new"))
        })
        .shows("private_key"),
        accepted(200, "in the query", own("/platform_api?cmd=GetUsers")).shows("user_name"),
        accepted(200, "in a form, as the Python client sends it", {
            own("/platform_api").with(&["-d", "application_id=1&count=20&cmd=GetUsers"])
        })
        .shows("user_name"),
        accepted(200, "in a form of parts, as the Node client sends it", {
            own("/platform_api").with(&["-F", "cmd=GetUsers", "-F", "application_id=1"])
        })
        .shows("user_name"),
        accepted(200, "in the path and in a form", own("/platform_api/GetUsers").with(&["-d", "cmd=GetUsers"]))
            .shows("user_name"),
        accepted(200, "a call begins", own("/platform_api/StartScenarios/?rule_id=1")).shows("call_session_history_id"),
        accepted(200, "a key without roles may do what needs none", {
            bearer(facts, "/platform_api/GetAccountInfo/", &tokens.bare)
        })
        .shows(format!(r#""account_id":{}"#, account.account)),
        accepted(200, "the form arrives, the token does not", own("/platform_api/echo").with(&["-d", "count=20"]))
            .shows(r#""body":"count=20""#)
            .shows(echoed("x-vidgate-subject", &format!("service_account:{}", account.key.id)))
            .shows(echoed("x-vidgate-account", &account.account))
            .hides("authorization"),
    ]
}

/// Recordings and logs.
fn objects(facts: &Facts) -> Vec<Case> {
    let tokens = &facts.credentials.voximplant.tokens;
    vec![
        accepted(206, "a range of a recording, with any key", {
            bearer(facts, "/recordings/7.mp4", &tokens.bare).with(&["-r", "0-9"])
        })
        .shows("bytes 0-9/65536")
        .shows("abcdefghij"),
        accepted(200, "a log, with a key that has a role for it", bearer(facts, "/logs/7.txt", &tokens.own))
            .shows("a call began"),
    ]
}

fn refused_tokens(facts: &Facts) -> Vec<Case> {
    let account = &facts.credentials.voximplant;
    let tokens = &account.tokens;
    let users = "/platform_api/GetUsers/";
    let with = |token: &str| bearer(facts, users, token);
    let legacy = format!("{users}?account_id={}&api_key=00000000", account.account);
    vec![
        refused(100, "no credential", ask(facts, users)),
        refused(456, "a token whose time is over", with(&tokens.expired)),
        refused(454, "a token that says it lives for a day", with(&tokens.long)),
        refused(100, "a token in the name of a stranger", with(&tokens.stranger)),
        refused(100, "a token signed by another key", with(&tokens.forged)),
        refused(447, "a token that says it needs no signature", with(&tokens.unsigned)),
        refused(447, "what only looks like a token", with("a.b.c")),
        refused(100, "what does not even look like one", with("abc")),
        refused(100, "a pair for Basic", ask(facts, users).with(&["-u", "demo:demo"])),
        refused(100, "a deprecated key that is wrong", over_tls(facts, &legacy)),
    ]
}

fn refused_operations(facts: &Facts) -> Vec<Case> {
    let tokens = &facts.credentials.voximplant.tokens;
    let own = |path: &str| bearer(facts, path, &tokens.own);
    vec![
        refused(100, "a key without the role", bearer(facts, "/platform_api/GetUsers/", &tokens.bare)).shows(FAILED),
        refused(100, "the same in a form", {
            bearer(facts, "/platform_api", &tokens.bare).with(&["-d", "cmd=GetUsers"])
        })
        .shows(FAILED),
        refused(100, "what is the owner's alone", own("/platform_api/DelApplication/?application_id=1")),
        refused(100, "a new key, for a key that is not an owner's", own("/platform_api/CreateKey/")),
        refused(101, "one operation in the path, another in the form", {
            own("/platform_api/GetAccountInfo/").with(&["-d", "cmd=DelApplication"])
        }),
        refused(102, "no operation", own("/platform_api").with(&["-d", "count=20"])),
        refused(103, "an operation that nobody knows", own("/platform_api/NoSuchMethod/")),
        refused(103, "one in other letters", own("/platform_api/getusers/")),
        refused(100, "the password of an account", own("/platform_api/GetUsers/?account_password=x")),
        Case::refused(Voximplant, 404, "a path without a route", own("/GetUsers/")),
    ]
}

fn refused_objects(facts: &Facts) -> Vec<Case> {
    let tokens = &facts.credentials.voximplant.tokens;
    let no = |status, what, curl| Case::refused(Voximplant, status, what, curl).shows(FAILED);
    vec![
        no(401, "a recording without a token", ask(facts, "/recordings/7.mp4").with(&["-r", "0-9"])),
        no(403, "a log, for a key without the role", bearer(facts, "/logs/7.txt", &tokens.bare)).hides("a call began"),
    ]
}
