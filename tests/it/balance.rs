//! Several endpoints: who gets which request, what becomes of those that fail, how many may be under way, and what is
//! remembered when another configuration comes.

use std::collections::{HashMap, HashSet};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use vidgate::clock::Clock;
use vidgate::config;
use vidgate::forward::names::{LookUp, LookingUp};
use vidgate::run::{Options, Server};
use vidgate::store::Purpose;

use crate::house::{START, TestGateway};
use crate::log::Log;
use crate::patience::{PATIENCE, until};
use crate::peer::{Peer, Played};
use crate::ports::Reserved;
use crate::processes;
use crate::time::SLACK;
use crate::upstream::Upstream;
use crate::wire::{Answer, Wire};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A gateway in front of these endpoints, with one listener for tests and one for moving time.
fn configuration(endpoints: &[String], upstream: &str) -> String {
    let endpoints = endpoints.join(", ");
    format!(
        r#"
trusted_proxies = ["127.0.0.0/8"]
[listener.public]
address = "127.0.0.1:0"
[listener.probe]
address = "127.0.0.1:0"
timeouts = {{ idle = "1ms" }}
[upstream.api]
endpoints = [{endpoints}]
{upstream}
[[route]]
name = "all"
listeners = ["public"]
path = "/{{*rest}}"
authenticate = "open"
forward = "api"
"#
    )
}

fn url(address: SocketAddr) -> String {
    format!("\"http://{address}\"")
}

fn start(endpoints: &[String], upstream: &str, workers: usize) -> TestGateway {
    TestGateway::start_in(&configuration(endpoints, upstream), Path::new("."), workers)
}

/// So many connections at once: with two workers, each has half of them.
fn connections(gateway: &TestGateway, count: usize) -> Vec<Wire> {
    let mut wires: Vec<_> = (0..count).map(|_| gateway.connect()).collect();
    for wire in &mut wires {
        assert_eq!(wire.ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").status, 204);
    }
    wires
}

/// An endpoint that answers every request at once, until it is killed with all of its connections.
struct Mortal {
    /// Nobody else's once it is dead.
    port: Reserved,
    dead: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
    served: Arc<AtomicUsize>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

impl Mortal {
    fn start() -> Self {
        let port = Reserved::new();
        let socket = port.listen();
        let (dead, connections) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let served = Arc::new(AtomicUsize::new(0));
        let accepting = {
            let (dead, connections, served) = (Arc::clone(&dead), Arc::clone(&connections), Arc::clone(&served));
            thread::spawn(move || {
                for stream in socket.incoming() {
                    if dead.load(Ordering::SeqCst) {
                        return;
                    }
                    let Ok(stream) = stream else { return };
                    let shared = stream.try_clone().expect("a socket can be shared");
                    connections.lock().expect("nobody panics").push(shared);
                    let served = Arc::clone(&served);
                    thread::spawn(move || answer_all(stream, &served));
                }
            })
        };
        Self { port, dead, connections, served, accepting: Mutex::new(Some(accepting)) }
    }

    fn kill(&self) {
        self.dead.store(true, Ordering::SeqCst);
        // The thread that has the listening socket closes it: until then the kernel would take in connections.
        let _ = TcpStream::connect(self.port.address());
        if let Some(accepting) = self.accepting.lock().expect("nobody panics").take() {
            accepting.join().expect("nobody panics");
            processes::settle();
        }
        for stream in self.connections.lock().expect("nobody panics").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn answer_all(mut stream: TcpStream, served: &AtomicUsize) {
    let (mut seen, mut space) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut space) {
        seen.extend_from_slice(&space[..read]);
        while let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
            seen.drain(..end + 4);
            served.fetch_add(1, Ordering::SeqCst);
            if stream.write_all(OK.as_bytes()).is_err() {
                return;
            }
        }
    }
}

#[test]
fn endpoints_get_requests_by_their_weight_on_every_worker() {
    let (heavy, light) = (Upstream::start(), Upstream::start());
    let endpoints = [format!("{{ url = {}, weight = 3 }}", url(heavy.address())), url(light.address())];
    let gateway = start(&endpoints, "", 2);
    for wire in &mut connections(&gateway, 2) {
        (0..8).for_each(|_| assert_eq!(wire.ask(GET).status, 200));
    }
    assert_eq!((heavy.seen().len(), light.seen().len()), (12, 4));
}

#[test]
fn the_least_busy_of_two_is_chosen_over_all_workers() {
    let (busy, free) = (Played::start(), Upstream::start());
    let gateway = start(&[url(busy.upstream.address()), url(free.address())], "balance = \"least_in_flight\"", 2);
    let mut wire = gateway.connect();
    // Where both are free, a request may be sent to either.
    let mut peer = (0..1000).find_map(|_| {
        wire.send(GET);
        until_answered_or(&mut wire, &busy)
    });
    let peer = peer.as_mut().expect("one in so many comes there");
    peer.head();
    let mut others = connections(&gateway, 2);
    for wire in &mut others {
        (0..4).for_each(|_| assert_eq!(wire.ask(GET).text(), "upstream-ok"));
    }
    assert!(busy.is_left_alone());
    peer.say(OK);
}

/// Asks on behalf of a caller with this address; which endpoint has answered.
fn by_address(wire: &mut Wire, number: usize) -> String {
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.{number}\r\n\r\n");
    let answer = wire.ask(request);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text().to_owned()
}

#[test]
fn a_caller_stays_with_their_endpoint_and_moves_only_with_it() {
    let named = |name: &'static str| {
        Upstream::answering(move |_| format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{name}").into_bytes())
    };
    let (a, b) = (named("a"), named("b"));
    let mortal = Mortal::start();
    let endpoints = [url(a.address()), url(mortal.port.address()), url(b.address())];
    let gateway = start(&endpoints, "balance = \"hash_address\"", 2);
    let mut wires = connections(&gateway, 2);
    let before: Vec<_> = (0..60).map(|number| by_address(&mut wires[number % 2], number)).collect();
    for (number, own) in before.iter().enumerate() {
        assert_eq!(by_address(&mut wires[(number + 1) % 2], number), *own, "every worker chooses alike");
    }
    assert_eq!(before.iter().collect::<HashSet<_>>().len(), 3, "each has some");
    mortal.kill();
    // One of its connections may be tried before the end of it is seen; then it is made anew, and is refused.
    let after: Vec<_> = (0..60).map(|number| by_address(&mut wires[number % 2], number)).collect();
    for (was, is) in before.iter().zip(&after) {
        assert!(was == "ok" && is != "ok" || was == is, "{was} has gone to {is}");
    }
}

#[test]
fn an_endpoint_that_was_left_alone_is_tried_with_one_request_by_one_worker() {
    let (shaky, sound) = (Played::start(), Upstream::start());
    let settings = "ejection = { failures = 2, rest = \"10s\", longest = \"30s\" }";
    let gateway = start(&[url(shaky.upstream.address()), url(sound.address())], settings, 2);
    let mut wires = connections(&gateway, 6);
    // Two failures in a row, whatever the other one answers in between.
    for (turn, expected) in [502, 200, 502].into_iter().enumerate() {
        wires[0].send(GET);
        if turn % 2 == 0 {
            drop(shaky.next_head());
        }
        assert_eq!(wires[0].answer().status, expected);
    }
    let all_are_elsewhere = |wires: &mut [Wire]| {
        for _ in 0..4 {
            for wire in &mut *wires {
                assert_eq!(wire.ask(GET).text(), "upstream-ok");
            }
        }
    };
    all_are_elsewhere(&mut wires);
    gateway.advance(Duration::from_secs(9));
    all_are_elsewhere(&mut wires);
    gateway.advance(Duration::from_secs(1));
    // Whoever's turn it is has the trial, and nobody else while that is under way.
    let trial = (0..wires.len()).find_map(|_| {
        let at = wires.len() - 1;
        wires[at].send(GET);
        let peer = until_answered_or(&mut wires[at], &shaky);
        if peer.is_none() {
            wires.rotate_right(1);
        }
        peer
    });
    let mut trial = trial.expect("one of them has it");
    let last = wires.len() - 1;
    all_are_elsewhere(&mut wires[..last]);
    assert!(shaky.is_left_alone());
    trial.head();
    // It fails: the rest is twice as long.
    drop(trial);
    assert_eq!(wires[last].answer().status, 502);
    gateway.advance(Duration::from_secs(19));
    all_are_elsewhere(&mut wires);
    assert!(shaky.is_left_alone());
}

/// The endpoint's connection, if the request has come there; `None` once it is answered.
fn until_answered_or(wire: &mut Wire, played: &Played) -> Option<Peer> {
    let (mut come, mut answered) = (None, false);
    until("the request at either endpoint", || {
        come = played.try_next();
        answered = come.is_none() && !wire.is_quiet();
        answered || come.is_some()
    });
    if answered {
        assert_eq!(wire.answer().status, 200);
    }
    come
}

#[test]
fn while_every_endpoint_is_out_requests_are_tried_or_refused_as_it_is_set() {
    for (setting, again) in [("try", None), ("refuse", Some("1"))] {
        let nobody = Reserved::new();
        let gateway = start(&[url(nobody.address())], &format!("when_all_out = \"{setting}\""), 1);
        let mut wire = gateway.connect();
        let first = wire.ask(GET);
        assert_eq!((first.status, first.header("retry-after")), (502, None));
        let second = wire.ask(GET);
        assert_eq!((second.status, second.header("retry-after")), (502, again), "{setting}");
        gateway.advance(Duration::from_secs(1));
        // The one trial, and behind it what was before.
        assert_eq!(wire.ask(GET).header("retry-after"), None);
        assert_eq!(wire.ask(GET).header("retry-after"), again, "{setting}");
    }
}

#[test]
fn an_endpoint_killed_under_load_costs_no_request_that_may_be_sent_again() {
    let mortals = [(); 3].map(|()| Mortal::start());
    let gateway = start(&mortals.each_ref().map(|mortal| url(mortal.port.address())), "retry = {}", 2);
    let (failed, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for wire in connections(&gateway, 8) {
            let (failed, done) = (&failed, &done);
            scope.spawn(move || {
                let mut wire = wire;
                for _ in 0..150 {
                    failed.fetch_add(usize::from(wire.ask(GET).status != 200), Ordering::SeqCst);
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        scope.spawn(|| {
            while done.load(Ordering::SeqCst) < 300 {
                thread::yield_now();
            }
            mortals[1].kill();
        });
    });
    assert_eq!(failed.load(Ordering::SeqCst), 0);
    let served = mortals.each_ref().map(|mortal| mortal.served.load(Ordering::SeqCst));
    assert!(served[1] >= 50 && served[1] < 500, "{served:?}");
}

#[test]
fn only_what_means_the_same_twice_is_sent_again_and_only_as_often_as_it_may() {
    let (bad, good) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let counts = Arc::new((bad, good));
    let count = Arc::clone(&counts);
    let refusing = Upstream::answering(move |_| {
        count.0.fetch_add(1, Ordering::SeqCst);
        b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy".to_vec()
    });
    let count = Arc::clone(&counts);
    let serving = Upstream::answering(move |_| {
        count.1.fetch_add(1, Ordering::SeqCst);
        OK.as_bytes().to_vec()
    });
    let endpoints = [url(refusing.address()), url(serving.address())];
    let gateway = start(&endpoints, "retry = { on = [\"503\"], budget = \"1%\" }", 1);
    let mut wire = gateway.connect();
    let body = "Content-Length: 2\r\n\r\nhi";
    let statuses = |wire: &mut Wire, request: &str| {
        [(); 2]
            .map(|()| wire.ask(request))
            .map(|answer| (answer.status, answer.header("retry-after").map(str::to_owned)))
    };
    let (fine, busy) = ((200, None), (503, Some("7".to_owned())));
    // Both endpoints in turn, whichever comes first.
    for (method, end, expected) in [
        ("GET", "\r\n", [&fine, &fine]),
        ("DELETE", "\r\n", [&fine, &fine]),
        ("OPTIONS", "\r\n", [&fine, &fine]),
        ("POST", "\r\n", [&fine, &busy]),
        ("PATCH", "\r\n", [&fine, &busy]),
        ("PUT", body, [&fine, &busy]),
    ] {
        let mut got = statuses(&mut wire, &format!("{method} / HTTP/1.1\r\nHost: a\r\n{end}"));
        got.sort();
        assert_eq!([&got[0], &got[1]], expected, "{method}");
    }
    // There were ten to begin with.
    let left = (0..60).map(|_| wire.ask(GET).status).filter(|status| *status == 503).count();
    assert!(left > 10, "the budget is used up: {left}");
    let sent = (counts.0.load(Ordering::SeqCst), counts.1.load(Ordering::SeqCst));
    assert_eq!(sent.0 + sent.1, 72 + 10, "one hundredth of them may be sent again, and ten to begin with");
}

#[test]
fn those_who_wait_for_a_place_are_served_in_order_and_no_more_of_them_than_may() {
    let played = Played::start();
    let settings = "max_in_flight = 1\nqueue = { length = 2, wait = \"5s\" }";
    let gateway = start(&[url(played.upstream.address())], settings, 1);
    let mut wires = connections(&gateway, 4);
    let ask = |wire: &mut Wire, target: &str| {
        wire.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    };
    ask(&mut wires[0], "/0");
    let (mut peer, _) = played.next_head();
    for (at, target) in [(1, "/1"), (2, "/2")] {
        ask(&mut wires[at], target);
        gateway.settle("public");
        assert!(wires[at].is_quiet());
    }
    let refused = wires[3].ask(GET);
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    // The place comes back with the end of the body, and not with its head.
    peer.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha");
    assert_eq!(wires[0].head().status, 200);
    assert!(wires[1].is_quiet() && played.is_left_alone());
    peer.say("lf");
    assert_eq!(peer.head().target, "/1");
    ask(&mut wires[3], "/3");
    peer.say(OK);
    assert_eq!(wires[1].answer().status, 200);
    assert_eq!(peer.head().target, "/2");
    // Whoever leaves does not keep the others waiting, and whoever waits too long is refused.
    gateway.settle("public");
    assert!(wires[3].is_quiet());
    gateway.pass(Duration::from_secs(5) + SLACK);
    assert_eq!(wires[3].answer().status, 503);
    peer.say(OK);
    assert_eq!(wires[2].answer().status, 200);
    ask(&mut wires[1], "/4");
    assert_eq!(peer.head().target, "/4");
    ask(&mut wires[2], "/5");
    gateway.settle("public");
    wires.remove(2).leave();
    let mut late = gateway.connect();
    ask(&mut late, "/6");
    gateway.settle("public");
    peer.say(OK);
    assert_eq!(peer.head().target, "/6");
}

/// Requests under way at all endpoints together: how many there are, and were at most.
#[derive(Default)]
struct Crowd {
    counts: Mutex<(usize, usize)>,
    changed: Condvar,
}

impl Crowd {
    /// One comes and goes. The first stays until there is a second, so that it is seen that two may; and all give others
    /// the time to come who may not.
    fn pass(&self) {
        let mut counts = self.counts.lock().expect("nobody panics");
        counts.0 += 1;
        counts.1 = counts.1.max(counts.0);
        self.changed.notify_all();
        let alone = |(_, most): &mut (usize, usize)| *most < 2;
        drop(self.changed.wait_timeout_while(counts, PATIENCE, alone).expect("nobody panics"));
        (0..5).for_each(|_| thread::yield_now());
        self.counts.lock().expect("nobody panics").0 -= 1;
    }

    fn most(&self) -> usize {
        self.counts.lock().expect("nobody panics").1
    }
}

#[test]
fn no_more_are_under_way_than_may_be_over_all_workers() {
    for settings in
        ["max_in_flight = 2", "endpoint_max_in_flight = 1", "endpoint_max_in_flight = 1\nbalance = \"hash_address\""]
    {
        let crowd = Arc::new(Crowd::default());
        let counting = || {
            let crowd = Arc::clone(&crowd);
            Upstream::answering(move |_| {
                crowd.pass();
                OK.as_bytes().to_vec()
            })
        };
        let (one, two) = (counting(), counting());
        let settings = format!("{settings}\nqueue = {{ length = 100, wait = \"1h\" }}");
        let gateway = start(&[url(one.address()), url(two.address())], &settings, 2);
        thread::scope(|scope| {
            for mut wire in connections(&gateway, 8) {
                scope.spawn(move || (0..25).for_each(|_| assert_eq!(wire.ask(GET).status, 200)));
            }
        });
        assert_eq!(crowd.most(), 2, "{settings}");
        assert_eq!(one.seen().len() + two.seen().len(), 200);
    }
}

/// Moves time step by step until this has come, which is told by `told`.
fn come_as_time_goes_by<T>(
    told: &Condvar,
    of: &Mutex<T>,
    clock: &Clock,
    step: Duration,
    has_come: impl Fn(&T) -> bool,
) {
    const GLANCE: Duration = Duration::from_millis(5);
    for _ in 0..PATIENCE.as_millis() / GLANCE.as_millis() {
        let before = of.lock().expect("nobody panics");
        let (now, _) = told.wait_timeout_while(before, GLANCE, |now| !has_come(now)).expect("nobody panics");
        if has_come(&now) {
            return;
        }
        clock.advance(step);
    }
    panic!("it does not come");
}

#[test]
fn health_checks_take_an_endpoint_out_and_bring_it_back_by_their_thresholds() {
    // The status that is given now, and how many answers had it.
    let given = Arc::new((Mutex::new((200_u16, 0_usize)), Condvar::new()));
    let giving = Arc::clone(&given);
    let sick = Upstream::answering(move |request| {
        let is_probe = request.target == "/healthz?x=1";
        assert!(!is_probe || request.header("host") == Some("health.internal"), "{request:?}");
        let mut given = giving.0.lock().expect("nobody panics");
        given.1 += usize::from(is_probe);
        giving.1.notify_all();
        let status = if is_probe { given.0 } else { 200 };
        format!("HTTP/1.1 {status} X\r\nContent-Length: 4\r\n\r\nsick").into_bytes()
    });
    let well = Upstream::start();
    let settings = "health = { path = \"/healthz?x=1\", host = \"health.internal\", interval = \"10s\", status = \"200-204\", timeout = \"1m\" }";
    let log = Log::shared();
    let gateway = start(&[url(sick.address()), url(well.address())], settings, 2);
    let mut wires = connections(&gateway, 2);
    let mut has_some = || {
        let answers: Vec<_> = wires.iter_mut().flat_map(|wire| [wire.ask(GET), wire.ask(GET)]).collect();
        assert!(answers.iter().all(|answer| answer.status == 200));
        answers.iter().filter(|answer| answer.text() == "sick").count()
    };
    let set = |to: u16| *given.0.lock().expect("nobody panics") = (to, 0);
    let so_far = || given.0.lock().expect("nobody panics").1;
    // Time goes on only until so many have come.
    let probed = |number: usize| {
        let clock = &gateway.clock;
        come_as_time_goes_by(&given.1, &given.0, clock, Duration::from_secs(1), |given| given.1 >= number);
    };
    probed(1);
    assert_eq!(has_some(), 2);
    set(205);
    probed(2);
    // Where time stands still, no third one comes.
    let some = has_some();
    assert!(some == 2 || so_far() > 2, "two bad ones are not enough");
    probed(4);
    let endpoint = format!("http://{}", sick.address());
    log.await_line(&[&endpoint, "not well", "205"]);
    assert_eq!(has_some(), 0);
    set(203);
    probed(3);
    log.await_line(&[&endpoint, "well again"]);
    assert_eq!(has_some(), 2);
}

#[test]
fn another_configuration_keeps_what_is_known_of_endpoints_and_their_connections() {
    let (sound, nobody) = (Upstream::start(), Reserved::new());
    let dead = nobody.address();
    let settings = "ejection = { rest = \"30s\" }";
    let gateway = start(&[url(sound.address()), url(dead)], settings, 1);
    let mut wire = gateway.connect();
    (0..3).for_each(|_| assert_eq!(wire.ask(GET).status, 200));
    let opened = sound.connections();
    let lines = || Log::shared().text().matches(&format!("http://{dead}")).count();
    Log::shared();
    let tries = lines();
    // The other way round, and with another weight.
    let endpoints = [url(dead), format!("{{ url = {}, weight = 2 }}", url(sound.address()))];
    gateway.adopt(&configuration(&endpoints, settings));
    (0..4).for_each(|_| assert_eq!(wire.ask(GET).status, 200));
    assert_eq!(lines(), tries, "it is left alone as before");
    assert_eq!(sound.connections(), opened, "its connections are kept");
}

#[test]
fn an_upstream_can_have_a_host_of_its_own() {
    let upstream = Upstream::start();
    let gateway = start(&[url(upstream.address())], "host = { name = \"api.internal:8443\" }", 1);
    assert_eq!(gateway.connect().ask(GET).status, 200);
    assert_eq!(upstream.only().header("host"), Some("api.internal:8443"));
}

/// A resolver that says what the test wants, for as long as that has anything to say.
#[derive(Clone, Debug, Default)]
struct Told(Arc<(Mutex<Names>, Condvar)>);

/// What it says of whom, and how often it was asked.
#[derive(Debug, Default)]
struct Names {
    known: HashMap<String, IpAddr>,
    asked: usize,
}

impl LookUp for Told {
    fn look_up(&self, host: &str) -> LookingUp {
        let mut names = self.0.0.lock().expect("nobody panics");
        names.asked += 1;
        self.0.1.notify_all();
        let found = names.known.get(host).copied();
        Box::pin(async move { found.map(|address| vec![address]).ok_or_else(|| io::Error::from(ErrorKind::NotFound)) })
    }
}

#[test]
fn names_are_looked_up_again_and_a_resolver_that_fails_stalls_nobody() {
    let played = Played::start();
    let port = played.upstream.address().port();
    let told = Told::default();
    let (names, asked) = &*told.0;
    let names_now = || names.lock().expect("nobody panics");
    let tell = |address: &str| {
        names_now().known.insert("api.example".to_owned(), address.parse().expect("an address"));
    };
    tell("127.0.0.1");
    let toml =
        configuration(&[format!("\"http://api.example:{port}\"")], "resolve = \"30s\"\ntimeouts = { idle = \"24h\" }");
    let loaded = config::load_text("test.toml", &toml, Path::new("."), Purpose::Serve);
    let mut loaded = loaded.unwrap_or_else(|report| panic!("{}", report.render(false)));
    loaded.world.upstreams[0].lookup = Arc::new(told.clone());
    let clock = Clock::manual(START);
    let server = Server::start(loaded, &Options { workers: 1, clock: clock.clone(), output: crate::log::access() })
        .expect("it starts");
    // Each has its own: time moves further than an idle connection is kept.
    let connect = || Wire::connect(server.address("public").expect("it is bound"));
    let looked_up_again = || {
        let before = names_now().asked;
        // The first hears what is told now, and has ended when there is a second.
        let step = Duration::from_secs(30);
        come_as_time_goes_by(asked, names, &clock, step, |names| names.asked >= before + 2);
    };
    let anew = || -> (Peer, Answer) {
        let mut wire = connect();
        wire.send(GET);
        let (mut peer, request) = played.next_head();
        assert_eq!(request.header("host"), Some("a"));
        peer.say(OK);
        (peer, wire.answer())
    };
    let (mut peer, answer) = anew();
    assert_eq!(answer.status, 200);
    names_now().known.clear();
    looked_up_again();
    // On the connection that there is, and on a new one.
    let mut wire = connect();
    wire.send(GET);
    peer.head();
    peer.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(wire.answer().status, 200);
    let (mut peer, answer) = anew();
    assert_eq!(answer.status, 200);
    // It has moved to where nobody listens.
    tell("127.0.0.2");
    looked_up_again();
    assert!(peer.is_closed(), "a connection to where it was is let go");
    assert_eq!(connect().ask(GET).status, 502);
    tell("127.0.0.1");
    looked_up_again();
    assert_eq!(anew().1.status, 200);
}
