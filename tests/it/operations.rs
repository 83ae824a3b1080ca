//! The operation decides the permission (Voximplant): what the vendor's clients send, in the path, in the query
//! and in forms, and what callers get who may not. The tokens are those of `tests/vectors/jwt`, made with openssl.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use vidgate::clock::UnixTime;
use vidgate::store::{Actor, MasterKey, Operation, Request, Resource, Settings, Store};

use crate::house::{TestGateway, open};
use crate::upstream::{Received, Upstream};
use crate::wire::Answer;

/// When most of the tokens were issued.
const NOW: u64 = 1_700_000_000;

const FAILED: &str =
    r#"{"error":{"msg":"Authorization failed","code":100},"errors":[{"msg":"Authorization failed","code":100}]}"#;

fn folder_of_tokens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/jwt")
}

fn bearer(token: &str) -> String {
    let text = std::fs::read_to_string(folder_of_tokens().join(token)).expect("the token is there");
    format!("Authorization: Bearer {}\r\n", text.trim())
}

/// A gateway before Voximplant's API. `kid-parent` has these roles in account 1, `kid-child` Owner in 77, its child.
struct House {
    gateway: TestGateway,
    upstream: Upstream,
}

impl House {
    fn start(roles: &[&str]) -> Self {
        Self::start_with(roles, "preset = \"voximplant\"", "dialect = \"voximplant\"")
    }

    fn start_with(roles: &[&str], table: &str, manner: &str) -> Self {
        let upstream = Upstream::start();
        let roles = if roles.is_empty() { String::new() } else { format!("roles = {roles:?}") };
        let mut toml = format!(
            r#"
[listener.public]
address = "127.0.0.1:0"

[upstream.api]
endpoints = ["http://{}"]

[scheme.service.jwt]

[scheme.office.ip]
networks = ["127.0.0.1"]

[roles.vox]
{table}

[[account]]
id = "1"

[[account.service_account]]
id = "kid-parent"
public_key = "parent.pub.pem"
{roles}

[[account]]
id = "77"
parent = "1"

[[account.service_account]]
id = "kid-child"
public_key = "child.pub.pem"
roles = ["Owner"]
"#,
            upstream.address()
        );
        for (name, path, place) in [
            ("method", "/platform_api/{method}", "path = \"method\", "),
            ("slash", "/platform_api/{method}/", "path = \"method\", "),
            ("command", "/platform_api", ""),
        ] {
            let _ = write!(
                toml,
                "\n[[route]]\nname = \"{name}\"\npath = \"{path}\"\nauthenticate = \"service\"\nforward = \"api\"\n\
                 operation = {{ {place}roles = \"vox\" }}\n{manner}\n"
            );
        }
        for (name, roles) in
            [("recordings", "\"basic\""), ("logs", r#"["owner", "developer", "admin", "supervisor", "support"]"#)]
        {
            let _ = write!(
                toml,
                "\n[[route]]\nname = \"{name}\"\npath = \"/{name}/{{*rest}}\"\nauthenticate = \"service\"\nforward = \"api\"\n\
                 roles = {roles}\ndialect = \"voximplant_http\"\n"
            );
        }
        let gateway = TestGateway::start_at(UnixTime(NOW), &toml, &folder_of_tokens(), 1);
        Self { gateway, upstream }
    }

    fn ask(&self, request: &str) -> Answer {
        self.gateway.connect().ask(request)
    }

    fn get(&self, target: &str, token: &str) -> Answer {
        self.ask(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n{}\r\n", bearer(token)))
    }

    fn post(&self, target: &str, token: &str, body: &str) -> Answer {
        self.ask(&format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\n{}Content-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{body}",
            bearer(token),
            body.len()
        ))
    }

    /// What reached the upstream since it was last asked for, one at most.
    fn reached(&self, before: usize) -> Option<Received> {
        let mut reached = self.upstream.seen().split_off(before);
        assert!(reached.len() <= 1, "{reached:?}");
        reached.pop()
    }

    /// The number of the error; 0 where the upstream has answered.
    fn code(&self, what: &str, send: impl FnOnce(&Self) -> Answer) -> u64 {
        let before = self.upstream.seen().len();
        let answer = send(self);
        assert_eq!(answer.status, 200, "{what}: {answer:?}");
        if self.reached(before).is_some() {
            return 0;
        }
        assert_eq!(answer.header("content-type"), Some("application/json"), "{what}");
        let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("an error is JSON");
        assert_eq!(body["error"], body["errors"][0], "{what}");
        body["error"]["code"].as_u64().expect("an error has a number")
    }
}

#[test]
fn a_service_account_does_what_its_role_may() {
    for (role, operation, code) in [
        (&[][..], "GetAccountInfo", 0),
        (&[], "GetUsers", 100),
        (&[], "CreateKey", 100),
        (&["Scenarios"], "StartScenarios/?rule_id=1", 0),
        (&["Scenarios"], "StartScenarios", 0),
        (&["Scenarios"], "GetUsers", 100),
        (&["user_manager"], "GetUsers/?application_id=4152784", 0),
        (&["Support", "UserManager"], "AddUser", 0),
        (&["Owner"], "SetKeyRoles", 0),
        (&["Owner"], "NoSuchMethod", 103),
        (&["Owner"], "getusers", 103),
    ] {
        let house = House::start(role);
        for token in ["exact-hour.jwt", "issuer-text.jwt"] {
            let what = format!("{operation} as {role:?}");
            assert_eq!(
                house.code(&what, |house| house.get(&format!("/platform_api/{operation}"), token)),
                code,
                "{what}"
            );
        }
    }
}

#[test]
fn a_caller_who_may_not_is_answered_as_the_vendor_answers() {
    let house = House::start(&[]);
    let answer = house.get("/platform_api/GetUsers/?application_id=4152784", "exact-hour.jwt");
    assert_eq!((answer.status, answer.text()), (200, FAILED));
    let house = House::start_with(&[], "preset = \"voximplant\"", "dialect = \"voximplant_http\"");
    let answer = house.get("/platform_api/GetUsers/?application_id=4152784", "exact-hour.jwt");
    assert_eq!((answer.status, answer.text()), (403, FAILED));
    assert_eq!(house.upstream.connections(), 0);
}

#[test]
fn a_token_that_is_not_good_has_the_vendors_number() {
    let house = House::start(&["Owner"]);
    for (token, code) in [
        ("hour-and-second.jwt", 454),
        ("later.jwt", 455),
        ("over.jwt", 456),
        ("no-iat.jwt", 447),
        ("no-exp.jwt", 447),
        ("alg-none.jwt", 447),
        ("hs256-public.jwt", 447),
        ("unknown-kid.jwt", 100),
        ("other-key.jwt", 100),
        ("over-forged.jwt", 100),
        ("issuer-zero.jwt", 100),
        ("child-for-parent.jwt", 100),
        ("child-for-sibling.jwt", 100),
    ] {
        assert_eq!(house.code(token, |house| house.get("/platform_api/GetAccountInfo", token)), code, "{token}");
    }
    let nobody = house.ask("GET /platform_api/GetAccountInfo HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((nobody.status, nobody.text()), (200, FAILED));
}

#[test]
fn a_parents_key_speaks_for_a_child_with_its_own_roles() {
    for (roles, code) in [(&["Owner"][..], 0), (&["Payer"], 100)] {
        let house = House::start(roles);
        let before = house.upstream.seen().len();
        assert_eq!(house.code("a child", |house| house.get("/platform_api/GetUsers", "child-account.jwt")), code);
        let account = house.reached(before).map(|received| received.header("x-vidgate-account").map(str::to_owned));
        assert_eq!(account, (code == 0).then(|| Some("77".to_owned())));
        assert_eq!(house.code("the child itself", |house| house.get("/platform_api/GetUsers", "child-own.jwt")), 0);
    }
}

/// One way to ask.
type Ask = Box<dyn Fn(&House) -> Answer>;

#[test]
fn the_operation_is_found_wherever_a_client_puts_it() {
    for (roles, code) in [(&["Owner"][..], 0), (&["Payer"], 100)] {
        let house = House::start(roles);
        let body = "application_id=4152784&count=20&cmd=GetUsers";
        let forms: [(&str, Ask); 6] = [
            ("path", Box::new(|house| house.get("/platform_api/GetUsers", "exact-hour.jwt"))),
            ("query", Box::new(|house| house.get("/platform_api?cmd=GetUsers", "exact-hour.jwt"))),
            ("python", Box::new(|house| house.post("/platform_api", "exact-hour.jwt", body))),
            (".net", Box::new(|house| house.post("/platform_api/GetUsers", "exact-hour.jwt", body))),
            ("case", Box::new(|house| house.post("/platform_api", "exact-hour.jwt", "CMD=GetUsers"))),
            (
                "chunked",
                Box::new(|house| {
                    house.ask(&format!(
                        "POST /platform_api HTTP/1.1\r\nHost: a\r\n{}Content-Type: application/x-www-form-urlencoded\r\n\
                         Transfer-Encoding: chunked\r\n\r\n4\r\ncmd=\r\n8\r\nGetUsers\r\n0\r\n\r\n",
                        bearer("exact-hour.jwt")
                    ))
                }),
            ),
        ];
        for (what, send) in forms {
            assert_eq!(house.code(what, |house| send(house)), code, "{what}");
        }
        if code == 0 {
            let bodies: Vec<_> = house.upstream.seen().into_iter().map(|received| received.body).collect();
            let expected = ["", "", body, body, "CMD=GetUsers", "cmd=GetUsers"];
            assert_eq!(bodies, expected.map(|body| body.as_bytes().to_vec()), "byte for byte");
        }
    }
}

#[test]
fn two_operations_are_one_too_many() {
    let house = House::start(&["Owner"]);
    for (what, target, body, code) in [
        ("path and form", "/platform_api/GetAccountInfo/", "cmd=DelApplication", 101),
        ("query and form", "/platform_api?cmd=GetAccountInfo", "cmd=DelApplication", 101),
        ("twice", "/platform_api", "cmd=GetAccountInfo&cmd=DelApplication", 101),
        ("case", "/platform_api", "cmd=GetAccountInfo&CMD=DelApplication", 101),
        ("behind a semicolon", "/platform_api", "cmd=GetAccountInfo&a=b;cmd=DelApplication", 101),
        ("behind a semicolon in the query", "/platform_api/GetAccountInfo?a;cmd=DelApplication", "a=b", 101),
        ("in brackets", "/platform_api/GetAccountInfo", "cmd[]=DelApplication", 101),
        ("no operation", "/platform_api", "application_id=1", 102),
        ("an unknown operation", "/platform_api/NoSuchMethod", "a=b", 103),
        ("a password", "/platform_api/GetAccountInfo", "account_password=x", 100),
        ("a session", "/platform_api/GetAccountInfo?session_id=x", "a=b", 100),
        ("a parent", "/platform_api/AddAccount", "parent_account_id=1&parent_account_api_key=x", 100),
    ] {
        assert_eq!(house.code(what, |house| house.post(target, "exact-hour.jwt", body)), code, "{what}");
    }
    let answer = house.get("/platform_api", "exact-hour.jwt");
    assert!(answer.text().contains("Missing 'cmd' parameter"), "{answer:?}");
    assert_eq!(house.upstream.connections(), 0);
}

#[test]
fn a_key_beside_a_token_decides_nothing_and_goes_no_further() {
    let house = House::start(&[]);
    let before = house.upstream.seen().len();
    let target = "/platform_api/GetAccountInfo?account_id=77&api_key=eec36d6c-a0eb-46b5-a006-1c2b65343bac&a=b";
    assert_eq!(house.code("a key in the query", |house| house.get(target, "exact-hour.jwt")), 0);
    let received = house.reached(before).expect("it went on");
    assert_eq!(received.target, "/platform_api/GetAccountInfo?account_id=77&a=b");
    assert_eq!(received.header("x-vidgate-account"), Some("1"), "an `account_id` is an argument, and no more");
    let body = "cmd=GetUsers&account_id=1&api_key=eec36d6c-a0eb-46b5-a006-1c2b65343bac";
    assert_eq!(house.code("no role", |house| house.post("/platform_api", "exact-hour.jwt", body)), 100);
}

#[test]
fn the_operator_has_the_last_word() {
    let table = "preset = \"voximplant\"\nothers = [\"Owner\"]\nrefuse_parameters = [\"count\"]\nremove_parameters = []\n\
                 [roles.vox.operations]\nGetUsers = \"basic\"\nGetAccountInfo = [\"Owner\"]\nDelApplication = \"nobody\"";
    let manner = "dialect = \"voximplant\"";
    for (roles, target, code) in [
        (&[][..], "GetUsers", 0),
        (&[], "GetAccountInfo", 100),
        (&[], "NewMethod", 100),
        (&["Owner"], "GetAccountInfo", 0),
        (&["Owner"], "NewMethod", 0),
        (&["Owner"], "DelApplication", 100),
        (&["Owner"], "GetAccountInfo?count=1", 100),
        (&["Owner"], "GetAccountInfo?session_id=1", 0),
    ] {
        let house = House::start_with(roles, table, manner);
        let target = format!("/platform_api/{target}");
        assert_eq!(house.code(&target, |house| house.get(&target, "exact-hour.jwt")), code, "{target} as {roles:?}");
    }
}

/// A part of a form as the vendor's clients write it.
fn part(name: &str, value: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

fn multipart(house: &House, target: &str, parts: &[(&str, &str)], chunked: bool) -> Answer {
    let parts: String = parts.iter().map(|(name, value)| part(name, value)).collect();
    let body = parts + "--b--\r\n";
    let (framing, body) = if chunked {
        let (first, rest) = body.split_at(body.len() / 2);
        let chunks = format!("{:x}\r\n{first}\r\n{:x}\r\n{rest}\r\n0\r\n\r\n", first.len(), rest.len());
        ("Transfer-Encoding: chunked".to_owned(), chunks)
    } else {
        (format!("Content-Length: {}", body.len()), body)
    };
    house.ask(&format!(
        "POST {target} HTTP/1.1\r\nHost: a\r\n{}Content-Type: multipart/form-data; boundary=b\r\n{framing}\r\n\r\n{body}",
        bearer("exact-hour.jwt")
    ))
}

/// Vendors 5.1: Node sends `cmd` as the first part, in chunks; .NET in a part and in the path.
#[test]
fn the_operation_is_found_in_a_multipart_form() {
    let users: &[(&str, &str)] = &[("cmd", "GetUsers"), ("application_id", "4152784")];
    let late: &[(&str, &str)] = &[("file_content", "a&cmd=DelApplication\n;cmd=x"), ("cmd", "GetUsers")];
    let deletes: &[(&str, &str)] = &[("cmd", "DelApplication")];
    let twice: &[(&str, &str)] = &[("cmd", "GetUsers"), ("cmd", "DelApplication")];
    let spelled: &[(&str, &str)] = &[("cmd", "GetUsers"), ("CMD", "DelApplication")];
    let key: &[(&str, &str)] = &[("cmd", "GetUsers"), ("api_key", "x")];
    let session: &[(&str, &str)] = &[("cmd", "GetUsers"), ("session_id", "x")];
    for (role, allowed) in [("Developer", 0), ("Payer", 100)] {
        let house = House::start(&[role]);
        for (what, target, parts, code) in [
            ("node", "/platform_api", users, allowed),
            (".net", "/platform_api/GetUsers/", users, allowed),
            ("behind a file", "/platform_api", late, allowed),
            ("the owner's", "/platform_api", deletes, 100),
            ("path and part", "/platform_api/GetAccountInfo/", deletes, 101),
            ("two parts", "/platform_api", twice, 101),
            ("two spellings", "/platform_api", spelled, 101),
            ("a session", "/platform_api", session, 100),
        ] {
            for chunked in [false, true] {
                let ask = |house: &House| multipart(house, target, parts, chunked);
                assert_eq!(house.code(what, ask), code, "{what} as {role}, chunked: {chunked}");
            }
        }
    }
    // Nothing is taken out of such a form, and a key in it must not go on.
    let house = House::start(&["Developer"]);
    assert_eq!(house.code("a key", |house| multipart(house, "/platform_api", key, false)), 101);
}

/// Vendors 5.4 (13).
#[test]
fn a_secure_object_asks_for_a_role_and_a_recording_for_none() {
    for (roles, recording, log) in
        [(&[][..], 200, 403), (&["User-manager"], 200, 403), (&["Support"], 200, 200), (&["3"], 200, 200)]
    {
        let house = House::start(roles);
        assert_eq!(house.get("/recordings/1.mp3", "exact-hour.jwt").status, recording, "{roles:?}");
        assert_eq!(house.get("/logs/1.log", "exact-hour.jwt").status, log, "{roles:?}");
        assert_eq!(house.get("/recordings/1.mp3", "other-key.jwt").status, 401, "{roles:?}");
    }
    let house = House::start(&["Support"]);
    let ranged = format!("GET /logs/1.log HTTP/1.1\r\nHost: a\r\nRange: bytes=0-9\r\n{}\r\n", bearer("exact-hour.jwt"));
    house.ask(&ranged);
    assert_eq!(house.upstream.seen()[0].header("range"), Some("bytes=0-9"));
}

fn apply(gateway: &TestGateway, operation: Operation) {
    let request = Request { actor: Actor("local:0".to_owned()), operations: vec![operation], idempotency: None };
    gateway.store().apply(request).expect("it is done");
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { unreachable!("tests write objects") };
    object
}

/// Vendors 5.4 (12), with a token that was verified before.
#[test]
fn a_change_of_roles_holds_for_the_next_request() {
    let (folder, key, upstream) = (tempfile::tempdir().expect("a folder"), MasterKey::random(), Upstream::start());
    std::fs::write(folder.path().join("master.key"), key.to_text().expose()).expect("written");
    let settings = Settings { path: folder.path().join("vidgate.redb"), cache: 1 << 20 };
    Store::create(&settings, &key).expect("a store");
    let more = r#"operation = { path = "method", roles = "vox" }
dialect = "voximplant"

[roles.vox]
preset = "voximplant"

[scheme.service.jwt]

[store]
path = "vidgate.redb"
master_key = { file = "master.key" }
"#;
    let toml = open(&upstream, more).replace("\"open\"", "\"service\"").replace("/{*rest}", "/platform_api/{method}");
    let gateway = TestGateway::start_at(UnixTime(NOW), &toml, folder.path(), 1);
    let create = |resource, document| {
        apply(&gateway, Operation::Create { resource, document: object(document), versions: Vec::new() });
    };
    create(Resource::Account, json!({ "id": "1" }));
    let pem = std::fs::read_to_string(folder_of_tokens().join("parent.pub.pem")).expect("the key is there");
    create(Resource::ServiceAccount, json!({ "id": "kid-parent", "account": "1", "public_key": pem }));
    let (resource, id) = (Resource::ServiceAccount, "kid-parent".to_owned());
    let give = |roles: Value| {
        let patch = object(json!({ "roles": roles }));
        apply(&gateway, Operation::Change { resource, id: id.clone(), patch, revision: None });
    };
    let may = || {
        let before = upstream.seen().len();
        let head = format!("GET /platform_api/GetUsers HTTP/1.1\r\nHost: a\r\n{}\r\n", bearer("exact-hour.jwt"));
        let answer = gateway.connect().ask(head);
        let reached = upstream.seen().len() - before;
        assert!(reached == 1 || answer.text() == FAILED, "{answer:?}");
        reached == 1
    };
    assert!(!may(), "a key without a role");
    give(json!(["Developer"]));
    assert!(may() && may(), "the second time from memory");
    give(json!(["Payer"]));
    assert!(!may(), "another role");
    give(json!(["owner"]));
    assert!(may());
    give(json!([]));
    assert!(!may(), "no role again");
    give(json!(["Owner"]));
    assert!(may());
    apply(&gateway, Operation::Delete { resource, id: id.clone(), revision: None });
    assert!(!may(), "the key is gone");
}
