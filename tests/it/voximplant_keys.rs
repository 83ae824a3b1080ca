//! Keys of Voximplant's service accounts from the street: made and used as the vendor's clients do, each
//! answer byte for byte, and gone or changed for the next request.

use std::process::Command;

use serde_json::{Map, Value, json};
use vidgate::clock::{Clock, UnixTime};
use vidgate::store::{Actor, Master, MasterKey, Operation, Purpose, Request, Resource, Settings, Store};

use crate::house::TestGateway;
use crate::processes;
use crate::upstream::Upstream;
use crate::wire::Answer;

const ROUTES: &str = r#"
[scheme.service.jwt]

[roles.vox]
preset = "voximplant"
operations = { GetKeys = ["Owner", "Admin"], SetKeyRoles = ["Owner", "Admin"] }

[store]
path = "vidgate.redb"
master_key = { file = "master.key" }

[[route]]
name = "method"
path = "/platform_api/{method}"
authenticate = "service"
operation = { path = "method", roles = "vox" }
forward = "api"
endpoint = "voximplant_keys"
dialect = "voximplant"

[[route]]
name = "command"
path = "/platform_api"
authenticate = "service"
operation = { roles = "vox" }
forward = "api"
endpoint = "voximplant_keys"
dialect = "voximplant"

[[route]]
name = "own"
path = "/keys/{method}"
authenticate = "service"
operation = { path = "method", roles = "vox" }
endpoint = "voximplant_keys"
dialect = "voximplant"

[[account]]
id = "9"

[[account.service_account]]
id = "kid-declared"
public_key = "declared.pub.pem"
roles = ["Owner"]
"#;

/// A pair of the test's own, made with the program that callers use.
struct Pair {
    private: String,
    public: String,
}

impl Pair {
    fn new() -> Self {
        let (private, public) = vidgate::endpoint::token::generate().expect("a key is made");
        let private = String::from_utf8(private.expose().to_vec()).expect("PEM is text");
        Self { private, public: public.to_pem() }
    }

    fn credentials(&self, account: u64, id: &str) -> Value {
        json!({ "account_email": "", "account_id": account, "key_id": id, "private_key": self.private })
    }
}

/// A gateway before Voximplant's API. Account 1 has the keys `kid-owner`, `kid-admin` and `kid-none`; account 77, its child,
/// has `kid-child`; account 2 is nobody's.
struct House {
    gateway: TestGateway,
    upstream: Upstream,
    pair: Pair,
    _folder: tempfile::TempDir,
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { unreachable!("tests write objects") };
    object
}

impl House {
    fn start() -> Self {
        let (folder, master, upstream) =
            (tempfile::tempdir().expect("a folder"), MasterKey::random(), Upstream::start());
        let pair = Pair::new();
        std::fs::write(folder.path().join("master.key"), master.to_text().expose()).expect("written");
        std::fs::write(folder.path().join("declared.pub.pem"), &pair.public).expect("written");
        let settings = Settings { path: folder.path().join("vidgate.redb"), cache: 1 << 20 };
        Store::create(&settings, &master).expect("a store");
        let toml = format!(
            "[listener.public]\naddress = \"127.0.0.1:0\"\n[upstream.api]\nendpoints = [\"http://{}\"]\n{ROUTES}",
            upstream.address()
        );
        let master = Master { key: master, file: None };
        let clock = Clock::system();
        processes::settle();
        let store = Store::open(&settings, master, Clock::manual(clock.unix()), Purpose::Serve).expect("it opens");
        let create = |resource, document| {
            let create = Operation::Create { resource, document: object(document), versions: Vec::new() };
            let request = Request { actor: Actor("local:0".to_owned()), operations: vec![create], idempotency: None };
            store.apply(request).expect("it is made");
        };
        create(Resource::Account, json!({ "id": "1", "metadata": { "email": "vox@example.com" } }));
        create(Resource::Account, json!({ "id": "77", "parent": "1" }));
        create(Resource::Account, json!({ "id": "2" }));
        for (account, id, roles) in [
            ("1", "kid-owner", json!(["Owner"])),
            ("1", "kid-admin", json!(["Admin"])),
            ("1", "kid-none", json!([])),
            ("77", "kid-child", json!(["Owner"])),
        ] {
            let key = json!({ "id": id, "account": account, "public_key": pair.public, "roles": roles });
            create(Resource::ServiceAccount, key);
        }
        drop(store);
        // Ahead of the callers, whose tokens say when they were made: none is of the future, however long the test takes.
        let gateway = TestGateway::start_at(UnixTime(clock.unix().0 + 600), &toml, folder.path(), 2);
        Self { gateway, upstream, pair, _folder: folder }
    }

    /// The header field of a key of the test's.
    fn field(&self, account: u64, id: &str) -> String {
        sign(&self.pair.credentials(account, id), &[])
    }

    fn ask(&self, request: &str) -> Answer {
        self.gateway.connect().ask(request)
    }

    /// `GET`
    fn get(&self, field: &str, target: &str) -> String {
        let answer = self.ask(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n{field}\r\n"));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text().to_owned()
    }

    /// `POST`, as the vendor's client for Python.
    fn post(&self, field: &str, body: &str) -> String {
        let answer = self.ask(&format!(
            "POST /platform_api HTTP/1.1\r\nHost: a\r\n{field}Content-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        answer.text().to_owned()
    }

    /// `POST`, as the one for Node: in parts, and in chunks.
    fn parts(&self, field: &str, parts: &[(&str, &str)]) -> String {
        let part = |(name, value): &(&str, &str)| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let body = parts.iter().map(part).collect::<String>() + "--b--\r\n";
        let answer = self.ask(&format!(
            "POST /platform_api HTTP/1.1\r\nHost: a\r\n{field}Content-Type: multipart/form-data; boundary=b\r\n\
             Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        ));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text().to_owned()
    }

    /// Whether a call that needs this role reaches the upstream.
    fn may(&self, field: &str, target: &str) -> bool {
        let before = self.upstream.seen().len();
        let answer = self.get(field, target);
        let reached = self.upstream.seen().len() - before;
        assert!(reached == 1 || answer == refused(100, "Authorization failed"), "{answer}");
        reached == 1
    }

    /// Makes a key; its credentials.
    fn made(&self, field: &str, arguments: &str) -> Value {
        let answer = self.post(field, &format!("cmd=CreateKey&{arguments}"));
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert!(answer["result"].is_object(), "{answer}");
        answer["result"].clone()
    }
}

/// What `vidgate sign jwt` prints for these credentials.
fn sign(credentials: &Value, more: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vidgate"));
    let command = command.args(["sign", "jwt", "--credentials", "-"]).args(more);
    let output = processes::fed(command, &credentials.to_string());
    assert!(output.status.success(), "{output:?}");
    let line = String::from_utf8(output.stdout).expect("it is text");
    line.strip_suffix('\n').expect("one line").to_owned() + "\r\n"
}

fn refused(code: u16, said: &str) -> String {
    let one = format!("{{\"msg\":\"{said}\",\"code\":{code}}}");
    format!("{{\"error\":{one},\"errors\":[{one}]}}")
}

const DONE: &str = r#"{"result":1}"#;

/// Vendors 5.4 (12).
#[test]
fn a_key_is_made_used_and_gone_at_once() {
    let house = House::start();
    let owner = house.field(1, "kid-owner");
    let made = house.made(&owner, "description=for+CI&key_name=ci&role_name=Developer%3BUser+manager");
    let id = made["key_id"].as_str().expect("an id").to_owned();
    assert_eq!((id.len(), id.matches('-').count()), (36, 4));
    let expected = json!({ "account_email": "vox@example.com", "account_id": 1, "key_id": id, "private_key": made["private_key"] });
    assert_eq!(made, expected);
    let private = made["private_key"].as_str().expect("a key");
    assert!(private.starts_with("-----BEGIN PRIVATE KEY-----\n") && private.ends_with("-----END PRIVATE KEY-----\n"));

    let own = sign(&made, &[]);
    assert!(house.may(&own, "/platform_api/GetUsers?application_id=4152784"));
    assert!(!house.may(&own, "/platform_api/DelApplication"));
    let child = sign(&made, &["--account", "77"]);
    assert!(house.may(&child, "/platform_api/GetUsers"));
    let seen = house.upstream.seen();
    assert_eq!(seen[seen.len() - 1].header("x-vidgate-account"), Some("77"));

    assert_eq!(
        house.post(&owner, &format!("cmd=GetKeys&with_roles=true&key_id={id}")),
        format!(
            "{{\"result\":[{{\"key_id\":\"{id}\",\"key_name\":\"ci\",\"description\":\"for CI\",\"roles\":[\
             {{\"role_name\":\"Developer\",\"role_id\":4,\"gui_only\":false}},\
             {{\"role_name\":\"User manager\",\"role_id\":9,\"gui_only\":false}}]}}],\"count\":1,\"total_count\":1}}"
        )
    );
    assert_eq!(house.get(&owner, &format!("/platform_api/DeleteKey?key_id={id}")), DONE);
    assert!(!house.may(&own, "/platform_api/GetUsers"));
    assert_eq!(house.get(&owner, &format!("/platform_api/DeleteKey?key_id={id}")), refused(433, "Invalid key id."));
}

#[test]
fn roles_that_are_set_or_removed_hold_for_the_next_request() {
    let house = House::start();
    let (owner, none) = (house.field(1, "kid-owner"), house.field(1, "kid-none"));
    let users = "/platform_api/GetUsers";
    assert!(!house.may(&none, users));
    assert_eq!(house.post(&owner, "cmd=SetKeyRoles&key_id=kid-none&role_id=5%3B3"), DONE);
    assert!(house.may(&none, users) && house.may(&none, users), "the second time from memory");
    assert_eq!(
        house.post(&owner, "cmd=GetKeyRoles&key_id=kid-none&with_expanded_roles=True"),
        r#"{"result":[{"role_name":"Supervisor","role_id":5,"inherited":false,"parent_role_id":[1,2],"gui_only":false},{"role_name":"Support","role_id":3,"inherited":false,"parent_role_id":[1,2],"gui_only":false}]}"#
    );
    assert_eq!(
        house.parts(&owner, &[("cmd", "RemoveKeyRoles"), ("key_id", "kid-none"), ("role_name", "supervisor")]),
        DONE
    );
    assert!(!house.may(&none, users));
    assert_eq!(
        house.post(&owner, "cmd=GetKeyRoles&key_id=kid-none"),
        r#"{"result":[{"role_name":"Support","role_id":3,"gui_only":false}]}"#
    );
    assert_eq!(
        house.post(&owner, "cmd=SetKeyRoles&key_id=kid-none&role_name=Developer"),
        DONE,
        "in place of the others"
    );
    assert!(house.may(&none, users));
    assert_eq!(
        house.post(&owner, "cmd=GetKeyRoles&key_id=kid-none"),
        r#"{"result":[{"role_name":"Developer","role_id":4,"gui_only":false}]}"#
    );
}

#[test]
fn keys_are_listed_page_by_page_and_changed() {
    let house = House::start();
    let owner = house.field(1, "kid-owner");
    let key = |id: &str, name: &str, about: &str| {
        format!("{{\"key_id\":\"{id}\",\"key_name\":\"{name}\",\"description\":\"{about}\"}}")
    };
    let list = |keys: &[String], total: usize| {
        format!("{{\"result\":[{}],\"count\":{},\"total_count\":{total}}}", keys.join(","), keys.len())
    };
    let [admin, none, own] = ["kid-admin", "kid-none", "kid-owner"].map(|id| key(id, "", ""));
    assert_eq!(house.post(&owner, "cmd=GetKeys"), list(&[admin, none.clone(), own.clone()], 3));
    assert_eq!(house.get(&owner, "/platform_api/GetKeys?offset=1&count=1&account_id=1"), list(&[none], 3));
    assert_eq!(house.get(&owner, "/keys/GetKeys?offset=9"), list(&[], 3), "on a route of its own");
    assert_eq!(house.post(&owner, "cmd=UpdateKey&key_id=kid-none&description=a+%22b%22&key_name=caf%C3%A9"), DONE);
    let changed = key("kid-none", "café", r#"a \"b\""#);
    assert_eq!(house.post(&owner, "cmd=GetKeys&key_id=kid-none"), list(std::slice::from_ref(&changed), 1));
    assert_eq!(house.post(&owner, "cmd=UpdateKey&key_id=kid-none&description="), DONE);
    assert_eq!(house.post(&owner, "cmd=GetKeys&key_id=kid-none"), list(&[key("kid-none", "café", "")], 1));
    assert_eq!(house.upstream.connections(), 0, "none of it is the upstream's");
}

#[test]
fn roles_and_their_group_are_listed() {
    let house = House::start();
    let none = house.field(1, "kid-none");
    assert_eq!(house.post(&none, "cmd=GetRoleGroups"), r#"{"result":[{"id":1,"name":"Service accounts"}]}"#);
    assert_eq!(house.get(&none, "/platform_api/GetRoles?group_name=Others"), r#"{"result":[]}"#);
    let roles = house.get(&none, "/platform_api/GetRoles");
    assert!(
        roles.starts_with(
            r#"{"result":[{"role_name":"Owner","role_id":1,"inherited":false,"parent_role_id":[],"gui_only":false},"#
        ),
        "{roles}"
    );
    let roles: Value = serde_json::from_str(&roles).expect("JSON");
    let named = |id: u64| roles["result"].as_array().expect("a list").iter().find(|role| role["role_id"] == id);
    assert_eq!(
        named(3).map(|role| (&role["role_name"], &role["parent_role_id"])),
        Some((&json!("Support"), &json!([1, 2])))
    );
    assert_eq!(named(7).map(|role| &role["role_name"]), Some(&json!("Accountant")));
}

#[test]
fn nobody_sees_or_changes_the_keys_of_another_account() {
    let house = House::start();
    let (child, parent) = (house.field(77, "kid-child"), house.field(1, "kid-owner"));
    let for_child = house.field(77, "kid-owner");
    for (what, field) in [("the child's own key", &child), ("the parent's key for the child", &for_child)] {
        let keys: Value = serde_json::from_str(&house.post(field, "cmd=GetKeys&account_id=1")).expect("JSON");
        assert_eq!((&keys["result"][0]["key_id"], &keys["total_count"]), (&json!("kid-child"), &json!(1)), "{what}");
        for call in [
            "cmd=GetKeys&key_id=kid-owner",
            "cmd=GetKeyRoles&key_id=kid-owner",
            "cmd=UpdateKey&key_id=kid-owner&description=x",
            "cmd=SetKeyRoles&key_id=kid-none&role_id=1",
            "cmd=RemoveKeyRoles&key_id=kid-owner&role_id=1",
            "cmd=DeleteKey&key_id=kid-owner",
            "cmd=DeleteKey&key_id=kid-declared",
        ] {
            assert_eq!(house.post(field, call), refused(433, "Invalid key id."), "{what}: {call}");
        }
    }
    assert_eq!(house.post(&parent, "cmd=GetKeys&key_id=kid-child"), refused(433, "Invalid key id."));
    assert!(
        house.may(&parent, "/platform_api/GetUsers")
            && !house.may(&house.field(1, "kid-none"), "/platform_api/GetUsers")
    );
    let made = house.made(&for_child, "role_id=4");
    assert_eq!((&made["account_id"], &made["account_email"]), (&json!(77), &json!("")));
    assert!(house.may(&sign(&made, &[]), "/platform_api/GetUsers"));
    assert!(!house.may(&sign(&made, &["--account", "1"]), "/platform_api/GetUsers"));
    assert!(!house.may(&sign(&made, &["--account", "2"]), "/platform_api/GetUsers"));
    assert_eq!(house.post(&house.field(9, "kid-declared"), "cmd=GetKeys"), refused(104, "Forbidden command"));
}

#[test]
fn only_the_owner_gives_what_they_have_not() {
    let house = House::start();
    let (admin, none) = (house.field(1, "kid-admin"), house.field(1, "kid-none"));
    for call in [
        "CreateKey",
        "GetKeyRoles&key_id=kid-owner",
        "UpdateKey&key_id=kid-none&description=x",
        "DeleteKey&key_id=kid-none",
    ] {
        for field in [&admin, &none] {
            assert_eq!(house.post(field, &format!("cmd={call}")), refused(100, "Authorization failed"), "{call}");
        }
    }
    // The operator has given these to the role.
    assert_eq!(house.post(&admin, "cmd=SetKeyRoles&key_id=kid-admin&role_id=1"), refused(435, "Invalid role set."));
    assert_eq!(
        house.post(&admin, "cmd=SetKeyRoles&key_id=kid-none&role_name=Support"),
        refused(435, "Invalid role set.")
    );
    assert_eq!(house.post(&admin, "cmd=SetKeyRoles&key_id=kid-none&role_name=Admin"), DONE);
    assert!(house.may(&none, "/platform_api/GetUsers"));
}

#[test]
fn what_is_wrong_has_the_vendors_number() {
    let house = House::start();
    let owner = house.field(1, "kid-owner");
    let (long, name) = ("x".repeat(1025), "x".repeat(51));
    for (call, code, said) in [
        ("GetKeys&key_id=no", 433, "Invalid key id."),
        ("GetKeys&key_id=", 433, "Invalid key id."),
        ("DeleteKey", 433, "Invalid key id."),
        ("GetKeyRoles", 433, "Invalid key id."),
        ("SetKeyRoles&key_id=kid-none", 435, "Invalid role set."),
        ("RemoveKeyRoles&key_id=kid-none", 435, "Invalid role set."),
        ("SetKeyRoles&key_id=kid-none&role_id=99", 440, "The 'role_id' parameter is invalid."),
        ("CreateKey&role_id=any", 440, "The 'role_id' parameter is invalid."),
        ("SetKeyRoles&key_id=kid-none&role_name=King", 441, "The 'role_name' parameter is invalid."),
        ("CreateKey&role_name=Owner&role_id=1", 449, "Using 'role_id' and 'role_name' at the same_time."),
        ("CreateKey&key_name=", 101, "Invalid arguments"),
        (&format!("CreateKey&key_name={name}"), 101, "Invalid arguments"),
        (&format!("CreateKey&description={long}"), 101, "Invalid arguments"),
        ("UpdateKey&key_id=kid-none", 101, "Invalid arguments"),
        ("UpdateKey&key_id=kid-none&description=%ff", 101, "Invalid arguments"),
        ("GetKeys&key_id=kid-none&key_id=kid-owner", 101, "Invalid arguments"),
        ("GetKeys&key_id=kid-none&KEY_ID=kid-owner", 101, "Invalid arguments"),
        ("GetKeys&count=-1", 101, "Invalid arguments"),
        ("GetKeys&with_roles=perhaps", 101, "Invalid arguments"),
    ] {
        assert_eq!(house.post(&owner, &format!("cmd={call}")), refused(code, said), "{call}");
    }
    let keys: Value = serde_json::from_str(&house.post(&owner, "cmd=GetKeys")).expect("JSON");
    assert_eq!(keys["total_count"], 3, "nothing was made");
    assert_eq!(house.get(&owner, "/keys/GetUsers"), refused(103, "Unknown command"));
    let answer = house.ask(&format!("PUT /platform_api/GetKeys HTTP/1.1\r\nHost: a\r\n{owner}\r\n"));
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, POST")));
    house.gateway.connect().send(format!("HEAD /platform_api/CreateKey HTTP/1.1\r\nHost: a\r\n{owner}\r\n")).head();
    let keys: Value = serde_json::from_str(&house.post(&owner, "cmd=GetKeys")).expect("JSON");
    assert_eq!(keys["total_count"], 3, "HEAD makes nothing");
    assert_eq!(house.upstream.connections(), 0);
}

/// Vendors 5.4 (15): an address that is denied is denied with any token, also to the accounts below.
#[test]
fn a_black_list_holds_for_the_next_request() {
    let house = House::start();
    let deny = |account: &str, addresses: Value| {
        let patch = object(json!({ "addresses": ["127.0.0.0/8"], "denied_addresses": addresses }));
        let change = Operation::Change { resource: Resource::Account, id: account.to_owned(), patch, revision: None };
        let request = Request { actor: Actor("local:0".to_owned()), operations: vec![change], idempotency: None };
        house.gateway.store().apply(request).expect("it is changed");
    };
    let (owner, child, users) = (house.field(1, "kid-owner"), house.field(77, "kid-child"), "/platform_api/GetUsers");
    assert!(house.may(&owner, users) && house.may(&child, users));
    deny("77", json!(["127.0.0.1"]));
    assert!(house.may(&owner, users) && !house.may(&child, users));
    assert!(!house.may(&house.field(77, "kid-owner"), users), "nor with the parent's key");
    deny("77", json!(["127.0.0.2"]));
    assert!(house.may(&child, users));
    deny("1", json!(["127.0.0.0/24"]));
    assert!(!house.may(&owner, users) && !house.may(&child, users));
    assert_eq!(house.post(&owner, "cmd=GetKeys"), refused(100, "Authorization failed"));
    deny("1", json!([]));
    assert!(house.may(&owner, users) && house.may(&child, users));
}

#[test]
fn an_account_has_fifty_keys_and_no_more() {
    let house = House::start();
    let owner = house.field(1, "kid-owner");
    let key = |place: usize| {
        let document = json!({ "id": format!("k{place}"), "account": "1", "public_key": house.pair.public });
        Operation::Create { resource: Resource::ServiceAccount, document: object(document), versions: Vec::new() }
    };
    let operations = (3..49).map(key).collect();
    let request = Request { actor: Actor("local:0".to_owned()), operations, idempotency: None };
    house.gateway.store().apply(request).expect("they are made");
    house.made(&owner, "");
    assert_eq!(house.post(&owner, "cmd=CreateKey"), refused(437, "maximum number of keys exceeded."));
    assert!(house.made(&house.field(77, "kid-owner"), "")["key_id"].is_string(), "another account's are others");
}
