//! Another configuration while requests are in flight: each is answered by the one that it entered with.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use vidgate::record::{Directory, Kind};
use vidgate::store::{MasterKey, Settings, Store};

use crate::house::TestGateway;
use crate::patience::until;
use crate::peer::Played;
use crate::ports::Reserved;
use crate::store_kill::Caller;
use crate::upstream::Upstream;
use crate::wire::Wire;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A configuration with these listeners, the first of which stands last in the file, and one route to `upstream`.
fn world(upstream: &Upstream, listeners: &[&str]) -> String {
    let listener = |name: &&str| format!("[listener.{name}]\naddress = \"127.0.0.1:0\"\n");
    let listeners: String = listeners.iter().rev().map(listener).collect();
    let upstream = upstream.address();
    format!(
        r#"
{listeners}
[upstream.api]
endpoints = ["http://{upstream}"]
[[route]]
name = "all"
path = "/{{*rest}}"
authenticate = "open"
forward = "api"
"#
    )
}

#[test]
fn a_request_keeps_the_world_that_it_entered_with_and_its_connection_does_not() {
    let (before, after) = (Played::start(), Upstream::start());
    let gateway = TestGateway::start(&world(&before.upstream, &["public", "other"]));
    let mut wire = gateway.connect();
    wire.send(GET);
    let (mut peer, _) = before.next_head();
    // The other way round in the file: a connection's listener is known by its name.
    gateway.reload(&world(&after, &["other", "public"])).expect("it is right");
    peer.say(OK);
    assert_eq!(wire.answer().text(), "ok");
    assert_eq!(wire.ask(GET).text(), "upstream-ok");
    assert_eq!(gateway.connect().ask(GET).text(), "upstream-ok");
    assert!(before.is_left_alone());
}

#[test]
fn connections_of_a_listener_that_is_no_more_end_with_what_is_in_flight_on_them() {
    let (before, after) = (Played::start(), Upstream::start());
    let gateway = TestGateway::start(&world(&before.upstream, &["public", "other"]));
    let (mut idle, mut busy, mut other) = (gateway.connect(), gateway.connect(), gateway.connect_to("other"));
    busy.send(GET);
    let (mut peer, _) = before.next_head();
    gateway.reload(&world(&after, &["other"])).expect("it is right");
    assert!(idle.is_quiet(), "a head may be on its way");
    until("the end of a connection that asks nothing", || {
        gateway.advance(Duration::from_millis(1200));
        !idle.is_quiet()
    });
    assert!(idle.is_closed());
    peer.say(OK);
    let last = busy.answer();
    assert_eq!((last.text(), last.header("connection")), ("ok", Some("close")));
    assert!(busy.is_closed());
    assert_eq!(other.ask(GET).text(), "upstream-ok", "that one stays");
}

#[test]
fn a_connection_of_a_listener_that_is_no_more_is_cut_when_its_time_is_over() {
    let (before, after) = (Played::start(), Upstream::start());
    let gateway = TestGateway::alone(&world(&before.upstream, &["public", "other"]));
    let mut busy = gateway.connect();
    busy.send(GET);
    let (_peer, _) = before.next_head();
    gateway.reload(&format!("drain = \"20s\"\n{}", world(&after, &["other"]))).expect("it is right");
    // The connection has heard of it by then.
    gateway.settle("other");
    assert!(busy.is_quiet());
    gateway.advance(Duration::from_secs(21));
    assert!(busy.is_closed());
}

#[test]
fn a_listener_comes_and_goes_and_one_that_cannot_be_bound_changes_nothing() {
    let (before, after, port) = (Upstream::start(), Upstream::start(), Reserved::new());
    let (gateway, other) = (TestGateway::start(&world(&before, &["public"])), port.address());
    let both = world(&after, &["public", "other"]);
    let own = "[listener.other]\naddress = \"127.0.0.1:0\"";
    gateway.reload(&both.replace(own, &own.replace("127.0.0.1:0", &other.to_string()))).expect("it is right");
    assert_eq!(Wire::connect(other).ask(GET).status, 200);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = format!("[listener.taken]\naddress = \"{}\"\n", taken.local_addr().expect("bound"));
    let mistakes = gateway.reload(&(taken + &world(&before, &["public"]))).expect_err("the port is taken");
    assert!(mistakes[0].contains("listener `taken` cannot bind"), "{mistakes:?}");
    assert_eq!(Wire::connect(other).ask(GET).status, 200, "it is there still");
    assert_eq!((before.seen().len(), after.seen().len()), (0, 2));
    gateway.reload(&world(&after, &["public"])).expect("it is right");
    port.await_silence();
}

#[test]
fn a_listener_that_goes_by_another_name_keeps_its_socket() {
    let (before, after) = (Played::start(), Upstream::start());
    let address = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    let at = |upstream: &Upstream, name: &str| world(upstream, &[name]).replace("127.0.0.1:0", &address.to_string());
    let gateway = TestGateway::start(&at(&before.upstream, "public"));
    let [mut busy, mut idle] = [(); 2].map(|()| Wire::connect(address));
    busy.send(GET);
    let (mut peer, _) = before.next_head();
    idle.send("GET /idle HTTP/1.1\r\nHost: a\r\n\r\n");
    before.next_head().0.say(OK);
    assert_eq!(idle.answer().text(), "ok");
    for name in ["renamed", "public", "renamed"] {
        gateway.reload(&at(&after, name)).expect("the socket is there");
        assert_eq!(gateway.address(name), address);
        assert_eq!(Wire::connect(address).ask(GET).text(), "upstream-ok", "{name}");
    }
    // Those who came by the first name go on: they are callers of that address.
    peer.say(OK);
    assert_eq!(busy.answer().text(), "ok");
    for wire in [&mut busy, &mut idle] {
        assert_eq!(wire.ask(GET).text(), "upstream-ok");
    }
    // Another one beside it does not get it.
    let two = at(&after, "renamed") + &format!("[listener.other]\naddress = \"{address}\"\n");
    assert!(gateway.reload(&two).is_err());
    assert_eq!(Wire::connect(address).ask(GET).status, 200);
}

#[test]
fn nobody_is_turned_away_while_a_listener_changes_its_name() {
    let upstream = Upstream::start();
    let address = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    let named = |name: &str| world(&upstream, &[name]).replace("127.0.0.1:0", &address.to_string());
    let (gateway, stop) = (TestGateway::start(&named("n0")), AtomicBool::new(false));
    let answered = thread::scope(|scope| {
        let calling = scope.spawn(|| {
            let mut answered = 0;
            while !stop.load(Ordering::SeqCst) {
                assert_eq!(Wire::connect(address).ask(GET).text(), "upstream-ok");
                answered += 1;
            }
            answered
        });
        for number in 1..=20 {
            gateway.reload(&named(&format!("n{number}"))).expect("the socket is there");
        }
        stop.store(true, Ordering::SeqCst);
        calling.join().expect("nobody is turned away")
    });
    assert!(answered > 0);
}

#[test]
fn a_cap_that_changes_holds_for_those_who_are_there() {
    let upstream = Upstream::start();
    let capped = |most: usize| {
        let cap = format!("[listener.public]\nmax_connections = {most}\n");
        world(&upstream, &["public"]).replace("[listener.public]\n", &cap)
    };
    let gateway = TestGateway::start(&capped(1));
    let (mut one, mut two) = (gateway.connect(), gateway.connect());
    assert_eq!(one.ask(GET).status, 200);
    two.send(GET);
    assert!(two.is_quiet(), "the house is full");
    gateway.reload(&capped(2)).expect("it is right");
    assert_eq!(two.answer().status, 200);
    gateway.reload(&capped(1)).expect("it is right");
    drop((one, two));
    let (mut three, mut four) = (gateway.connect(), gateway.connect());
    assert_eq!(three.ask(GET).status, 200);
    four.send(GET);
    assert!(four.is_quiet(), "that place is gone");
}

#[test]
fn a_mistake_changes_nothing_and_what_cannot_change_is_said_to_need_a_restart() {
    let upstream = Upstream::start();
    let right = format!("workers = 2\n{}", world(&upstream, &["public"]));
    let gateway = TestGateway::start(&right);
    let wrong = right.replace("workers = 2", "workers = 3").replace("forward = \"api\"", "forward = \"apis\"");
    let mistakes = gateway.reload(&wrong).expect_err("it is wrong").join("\n");
    assert!(mistakes.contains("there is no upstream called `apis`"), "{mistakes}");
    assert!(mistakes.contains("test.toml:1:11: another value of `workers` needs a restart"), "{mistakes}");
    let format = format!("{right}\n[log]\nformat = \"text\"");
    assert!(gateway.reload(&format).expect_err("it is fixed")[0].contains("`log.format`"));
    assert_eq!(gateway.connect().ask(GET).status, 200);
}

/// The same with a scheme, and an account with these keys.
fn keyed(upstream: &Upstream, keys: &[(&str, &str)]) -> String {
    let key = |(id, key): &(&str, &str)| format!("{{ id = \"{id}\", key = \"{key}\" }}");
    let keys = keys.iter().map(key).collect::<Vec<_>>().join(", ");
    let world = world(upstream, &["public"]).replace("\"open\"", "\"license\"");
    format!("{world}\n[scheme.license.lkey]\n[[account]]\nid = \"acme\"\nlicense_key = [{keys}]\n")
}

fn get(key: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: LKey {key}\r\n\r\n")
}

#[test]
fn a_declared_credential_that_is_gone_is_refused_and_one_that_stays_is_the_same() {
    let upstream = Upstream::start();
    let gateway = TestGateway::start(&keyed(&upstream, &[("stays", "first-key"), ("goes", "second-key")]));
    let mut wire = gateway.connect();
    let mut statuses = move || ["first-key", "second-key", "third-key"].map(|key| wire.ask(get(key)).status);
    assert_eq!(statuses(), [200, 200, 401]);
    let found = || gateway.directory.look_up(Kind::LicenseKey, b"first-key").expect("it is there");
    let before = found();
    gateway.reload(&keyed(&upstream, &[("stays", "first-key"), ("comes", "third-key")])).expect("it is right");
    assert_eq!(statuses(), [200, 401, 200]);
    assert!(Arc::ptr_eq(&before, &found()), "what hangs on it goes on");
    assert_eq!(gateway.directory.len(), 2);
    let nobody = keyed(&upstream, &[]).replace("license_key = []", "disabled = true");
    gateway.reload(&nobody).expect("it is right");
    assert_eq!((statuses(), gateway.directory.len()), ([401, 401, 401], 0));
}

#[test]
fn a_limit_of_the_same_name_goes_on_counting() {
    let upstream = Upstream::start();
    let limited = |rate: &str| {
        let world = world(&upstream, &["public"]);
        format!("{world}\nlimits = [\"few\"]\n[limit.few]\nrate = \"{rate}\"\nper = \"address\"\n")
    };
    let gateway = TestGateway::start(&limited("2/1h"));
    let mut wire = gateway.connect();
    assert_eq!([(); 3].map(|()| wire.ask(GET).status), [200, 200, 429]);
    gateway.reload(&limited("2/1h")).expect("it is right");
    assert_eq!(wire.ask(GET).status, 429, "a reload forgives nobody");
}

/// One of several callers while the configuration changes; `seen` counts how often each World answered.
fn call(address: SocketAddr, (stop, seen): (&AtomicBool, &[AtomicUsize; 2]), keep: bool) {
    let mut wire = Wire::connect(address);
    while !stop.load(Ordering::Relaxed) {
        if !keep {
            wire = Wire::connect(address);
        }
        // Each World has a path of its own, and a wording of its own for the other one.
        let answer = wire.ask("GET /first HTTP/1.1\r\nHost: a\r\n\r\n");
        match answer.status {
            200 => assert_eq!(answer.text(), "first"),
            404 => assert_eq!(answer.header("content-type"), Some("application/problem+json")),
            status => panic!("no World answers {status}: {answer:?}"),
        }
        seen[usize::from(answer.status == 404)].fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_hundred_reloads_under_load_lose_no_request() {
    let said = |text: &'static str| {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
        Upstream::answering(move |_| answer.clone().into_bytes())
    };
    let (first, second) = (said("first"), said("second"));
    let of = |upstream: &Upstream, path: &str, more: &str| {
        world(upstream, &["public", "other"]).replace("/{*rest}", path) + more
    };
    let limited = "limits = [\"many\"]\n[limit.many]\nrate = \"1000000/1s\"\nper = \"address\"\n";
    let worlds = [of(&first, "/first", ""), of(&second, "/second", limited)];
    let broken = of(&second, "second", "");
    let gateway = TestGateway::start(&worlds[0]);
    let (address, stop, seen) = (gateway.address("public"), AtomicBool::new(false), [const { AtomicUsize::new(0) }; 2]);
    let both_were_seen = || seen.iter().all(|answered| answered.load(Ordering::Relaxed) > 0);
    thread::scope(|scope| {
        let told = (&stop, &seen);
        let callers: Vec<_> = (0..6).map(|n| scope.spawn(move || call(address, told, n % 2 == 0))).collect();
        let reloaded = panic::catch_unwind(AssertUnwindSafe(|| {
            // A hundred, and more where the machine lets no caller come in between.
            for turn in (1..100_000).take_while(|turn| *turn <= 100 || !both_were_seen()) {
                gateway.reload(&worlds[turn % 2]).expect("it is right");
                let expected = [200, 404][turn % 2];
                assert_eq!(gateway.connect().ask("GET /first HTTP/1.1\r\nHost: a\r\n\r\n").status, expected);
                if turn % 10 == 0 {
                    assert!(gateway.reload(&broken).is_err());
                }
            }
        }));
        stop.store(true, Ordering::Relaxed);
        for caller in callers {
            caller.join().expect("each of its requests was answered");
        }
        reloaded.expect("every reload was seen at once");
    });
    assert!(both_were_seen(), "{seen:?}");
    assert!(gateway.drain());
}

#[test]
fn the_admin_api_reads_the_file_anew_and_says_what_is_wrong_with_it() {
    let (folder, key, upstream) = (tempfile::tempdir().expect("a folder"), MasterKey::random(), Upstream::start());
    Store::create(&Settings { path: folder.path().join("vidgate.redb"), cache: 1 << 20 }, &key).expect("a store");
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).expect("written");
    let managed = |keys: &[(&str, &str)]| {
        let store = "[store]\npath = \"vidgate.redb\"\nmaster_key = { file = \"master.key\" }\n";
        let admin = "[admin]\naddress = \"127.0.0.1:0\"\n[admin.tokens]\ntests = { file = \"token\" }\n";
        format!("{store}{admin}{}", keyed(&upstream, keys))
    };
    write("master.key", key.to_text().expose());
    write("token", b"a-token-for-the-tests");
    write("vidgate.toml", managed(&[("one", "first-key")]).as_bytes());
    let gateway = TestGateway::start_file(&folder.path().join("vidgate.toml"));
    let mut admin = Caller::new(gateway.admin_address(), "Bearer a-token-for-the-tests");
    let mut manage = |path: &str, body: Option<&Value>| admin.ask("POST", path, body).expect("it answers");
    assert_eq!(manage("/v1/accounts", Some(&json!({ "id": "stored" }))).0, 201);
    let stored = json!({ "id": "two", "account": "stored", "key": "second-key" });
    assert_eq!(manage("/v1/license-keys", Some(&stored)).0, 201);

    write("vidgate.toml", managed(&[("one", "first-key"), ("two", "third-key")]).as_bytes());
    let (status, problem) = manage("/v1/reload", None);
    assert_eq!((status, &problem["type"]), (409, &json!("urn:vidgate:problem:configuration")), "{problem}");
    let message = problem["errors"][0]["detail"].as_str().expect("a sentence");
    assert!(message.contains("is in the store as `two`"), "{problem}");
    let statuses = || ["first-key", "second-key", "third-key"].map(|key| gateway.connect().ask(get(key)).status);
    assert_eq!(statuses(), [200, 200, 401]);

    write("vidgate.toml", managed(&[("three", "third-key")]).as_bytes());
    let (status, answer) = manage("/v1/reload", None);
    assert!(status == 200 && answer["warnings"].to_string().contains("in clear"), "{answer}");
    assert_eq!(statuses(), [401, 200, 200]);
    // What is declared now cannot be stored, and what was can.
    let key = |id: &str| json!({ "id": id, "account": "stored" });
    assert_eq!(manage("/v1/license-keys", Some(&key("three"))).0, 409);
    assert_eq!(manage("/v1/license-keys", Some(&key("one"))).0, 201);
}
