//! Explanations held against what the gateway does, on everything that the demo has: each vendor's routes, with credentials
//! that are good, wrong, over, and in the wrong place.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::cases;
use super::config::{OWN, SUPER_ADMIN};
use super::ground::{Facts, Ground};
use crate::cli::explain::asked_by_curl;
use crate::clock::{Clock, UnixTime};
use crate::gateway::explain::service::{Decided, Service};
use crate::gateway::explain::{Asked, Explanation, Scenery, Verdict};
use crate::limit::Limits;
use crate::limit::failures::Guards;
use crate::world::World;

/// Every line of the demo that a shell need not work out first, with what is expected of it.
fn lines(facts: &Facts) -> Vec<(String, Asked, u16, bool)> {
    let cases = cases::all(facts).into_iter().filter(|case| case.told.is_none() && !case.curl.line().contains("$("));
    // Whether a quota is spent is said by what was asked before.
    let cases = cases.filter(|case| case.status != 429);
    let asked = |line: &str| {
        let asked = asked_by_curl(line).unwrap_or_else(|what| panic!("{line}: {what}"));
        Asked { listener: Some(listener(facts, &asked.url)), ..asked }
    };
    cases.map(|case| (case.curl.line(), asked(&case.curl.line()), case.status, case.accepted)).collect()
}

/// Where an address leads: the configuration leaves ports to the system.
fn listener(facts: &Facts, url: &str) -> String {
    let doors = facts
        .sites
        .iter()
        .flat_map(|site| [(&site.http, site.vendor.name().to_owned()), (&site.https, site.vendor.tls_listener())]);
    let own = [(&facts.super_admin, SUPER_ADMIN.to_owned()), (&facts.own, OWN.to_owned())];
    let found = doors.chain(own).find(|(base, _)| url.starts_with(&format!("{base}/")));
    found.unwrap_or_else(|| panic!("{url} leads nowhere")).1
}

/// What nobody may read in an explanation.
fn secrets(facts: &Facts) -> Vec<String> {
    let (vxg, video) = (&facts.credentials.vxg, &facts.credentials.securevideo);
    let tokens = [&vxg.all, &vxg.watch, &vxg.expired, &vxg.streaming];
    let mut secrets = vec![
        vxg.license_key.clone(),
        vxg.license_key_expired.clone(),
        vxg.license_key_disabled.clone(),
        video.secret.clone(),
        video.modest.1.clone(),
        video.elsewhere.1.clone(),
        facts.credentials.cameratag.rest_key.clone(),
        facts.credentials.cameratag.booth.secret.clone(),
        facts.credentials.admin_token.clone(),
        vxg.group.0.clone(),
        vxg.group.1.clone(),
    ];
    secrets.extend(tokens.into_iter().flat_map(|token| [token.share.clone(), token.access.clone()]));
    secrets
}

fn text(explanation: &Explanation) -> String {
    serde_json::to_string(explanation).unwrap()
}

/// Written only where something is wrong with it.
struct Told<'e>(&'e Explanation);

impl std::fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&text(self.0))
    }
}

fn step<'e>(explanation: &'e Explanation, name: &str) -> Option<&'e crate::gateway::explain::Telling> {
    explanation.steps.iter().find(|step| step.step == name)
}

#[test]
fn every_line_of_the_demo_is_explained_as_it_is_answered() {
    let (ground, facts) = Ground::start().unwrap();
    let (lines, secrets) = (lines(&facts), secrets(&facts));
    let scenery = ground.scenery();
    let (mut admitted, mut refused) = (0, 0);
    for (line, asked, status, accepted) in &lines {
        let asked = Asked { peer: Some([127, 0, 0, 1].into()), ..asked.clone() };
        let explanation = scenery.explain(&asked).unwrap_or_else(|what| panic!("{line}: {what}"));
        let told = text(&explanation);
        match explanation.decision {
            Verdict::Admitted if step(&explanation, "upstream").is_some() => {
                // An upstream's own failure is masked.
                assert!(*accepted || *status >= 500, "{line}: {told}");
                admitted += 1;
            }
            Verdict::Admitted | Verdict::Answered => {}
            Verdict::Refused => {
                assert!(!accepted, "{line}: {told}");
                assert_eq!(explanation.answer.as_ref().unwrap().status, *status, "{line}: {told}");
                refused += 1;
            }
        }
        let value: Value = serde_json::to_value(&explanation).unwrap();
        let drawn = crate::cli::explain::drawn_for_tests(&value);
        for secret in &secrets {
            assert!(!told.contains(secret.as_str()) && !drawn.contains(secret.as_str()), "{line}: {drawn}");
        }
    }
    assert!(admitted > 20 && refused > 40, "{admitted} {refused} of {}", lines.len());
    drop(scenery);
    ground.stop();
}

/// Chance that is the same every time.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most as u64).unwrap()
    }

    fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }
}

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get"];
const PEERS: [&str; 7] =
    ["127.0.0.1", "127.0.0.2", "192.0.2.7", "198.51.100.7", "203.0.113.9", "::1", "2001:db8:1:2::3"];
const TWISTS: [(&str, &str); 9] = [
    ("/api", "/./api"),
    ("/api", "//api"),
    ("/api", "/x/%2e%2e/api"),
    ("/api", "/%61pi"),
    ("/api", "/API"),
    ("/v2", "/v%32"),
    ("/", "/;a/"),
    ("/v4", "%2Fv4"),
    ("/c", "/C"),
];

/// Another request, made from those that there are.
fn twisted(seeds: &[Asked], chance: &mut Chance, now: UnixTime) -> Asked {
    let mut asked = chance.of(seeds);
    let other = chance.of(seeds);
    asked.peer = Some(chance.of(&PEERS).parse::<IpAddr>().unwrap());
    if chance.one_in(4) {
        asked.method = chance.of(&METHODS).to_owned();
    }
    if chance.one_in(4) {
        let (from, to) = chance.of(&TWISTS);
        let at = asked.url.find("://").unwrap() + 3;
        asked.url = format!("{}{}", &asked.url[..at], asked.url[at..].replacen(from, to, 1));
    }
    if chance.one_in(5)
        && let (Some(query), false) = (other.url.split_once('?').map(|(_, query)| query), asked.url.contains('?'))
    {
        asked.url = format!("{}?{query}", asked.url);
    }
    match chance.below(8) {
        0 => asked.headers = other.headers,
        1 => asked.headers.extend(other.headers),
        2 => asked.headers.clear(),
        3 => asked.headers.iter_mut().for_each(|(_, value)| value.push('x')),
        _ => {}
    }
    if chance.one_in(12) {
        asked.headers.push(("X-Forwarded-For".to_owned(), chance.of(&PEERS).to_owned()));
        asked.headers.push(("Host".to_owned(), "other.example".to_owned()));
    }
    if chance.one_in(12) {
        asked
            .headers
            .push(("Origin".to_owned(), chance.of(&["https://example.com", "https://evil.example"]).to_owned()));
        asked.headers.push(("Access-Control-Request-Method".to_owned(), chance.of(&METHODS).to_owned()));
    }
    if chance.one_in(8) {
        asked.body =
            chance.of(&[None, other.body, Some(STANDARD.encode("cmd=GetUsers&x=1")), Some(STANDARD.encode("{}"))]);
    }
    if chance.one_in(10) {
        asked.client_certificate = other.client_certificate;
    }
    if chance.one_in(6) {
        let far = chance.of(&[3600, 40_000, 90_000, 10_000_000]);
        asked.at = Some(UnixTime(if chance.one_in(2) { now.0 + far } else { now.0 - far }));
    }
    asked
}

/// The demo's configuration with limits on every route that are soon spent.
fn limited(text: &str) -> String {
    let mut table: toml::Table = text.parse().unwrap();
    let more: toml::Table = "
        [limit.hourly]\nquota = \"30/hour\"
        [limit.burst]\nrate = \"1/3s\"\nburst = 3\nper = \"address\"
        [limit.few]\nconcurrency = 1
        [limit.watching]\nrate = \"1/1s\"\nlog_only = true
        [limit.guessing]\nfailures = 6\nfirst = \"1s\"\nlongest = \"10s\"
    "
    .parse()
    .unwrap();
    table["limit"] = more["limit"].clone();
    for route in table["route"].as_array_mut().unwrap() {
        // Where nobody is known by an account, none can be counted.
        let known = !["open", "here", "elsewhere"].contains(&route["authenticate"].as_str().unwrap());
        let some = if known { &["hourly", "burst", "few", "watching", "guessing"][..] } else { &["burst", "guessing"] };
        let limits = toml::Value::try_from(some).unwrap();
        route.as_table_mut().unwrap().insert("limits".to_owned(), limits);
    }
    toml::to_string(&table).unwrap()
}

/// The same house once more, with counters of its own.
fn twin(world: &Arc<World>, clock: &Clock) -> Scenery {
    let guards = Guards::new(clock.clone());
    let opened = guards.open(&world.guards);
    Scenery {
        world: Arc::clone(world),
        limits: Limits::new(None, clock).unwrap(),
        guards: opened,
        fleet: None,
        clock: clock.clone(),
    }
}

#[test]
fn an_explanation_agrees_with_ten_thousand_decisions_and_changes_none() {
    let (ground, facts) = Ground::start().unwrap();
    let config = std::fs::read_to_string(&facts.files.config).unwrap();
    ground.reload(&limited(&config), &facts.files.config);
    let (seeds, secrets): (Vec<Asked>, _) =
        (lines(&facts).into_iter().map(|(_, asked, ..)| asked).collect(), secrets(&facts));
    let (world, now) = (Arc::clone(&ground.scenery().world), Clock::system().unix());
    // In two halves beside each other, each with counters of its own.
    let half = |seed| agreement(&world, now, (&seeds, &secrets), seed);
    let (one, other) = std::thread::scope(|scope| {
        let beside = scope.spawn(|| half(0x5eed_0fde_0002));
        (half(0x5eed_0fde_0001), beside.join().unwrap_or_else(|what| std::panic::resume_unwind(what)))
    });
    let causes = &one.causes | &other.causes;
    for cause in ["rate_exceeded", "quota_exceeded", "concurrency_exceeded", "too_many_failures", "credential_expired"]
    {
        assert!(causes.contains(cause), "{cause} is not among {causes:?}");
    }
    let counts = [0, 1, 2].map(|at| one.counts[at] + other.counts[at]);
    assert!(counts[0] > 500 && counts[1] > 10 && counts[2] > 4000, "{counts:?}");
    assert_eq!(counts.iter().sum::<u32>(), 10_000);
    ground.stop();
}

/// What came of many requests: how many were sent, answered and refused, and why.
#[derive(Default)]
struct Outcome {
    counts: [u32; 3],
    causes: BTreeSet<&'static str>,
}

/// Holds five thousand explanations against decisions.
fn agreement(world: &Arc<World>, now: UnixTime, (seeds, secrets): (&[Asked], &[String]), seed: u64) -> Outcome {
    let clock = Clock::manual(now);
    // One is only served, the other one is asked for an explanation before every request as well.
    let (plain, asked_about) = (twin(world, &clock), twin(world, &clock));
    let services = [Service::new(&plain), Service::new(&asked_about)];
    let (mut chance, mut held, mut outcome) = (Chance(seed), Vec::new(), Outcome::default());
    let Outcome { counts, causes } = &mut outcome;
    while counts.iter().sum::<u32>() < 5_000 {
        let asked = twisted(seeds, &mut chance, now);
        clock.advance(Duration::from_millis(chance.next() % 150));
        let Ok(explanation) = asked_about.explain(&asked) else { continue };
        let [(one, first), (two, second)] = Service::decide_each(&services, &asked).unwrap();
        let told = Told(&explanation);
        assert_eq!(one, two, "an explanation has changed something: {told}");
        match (&one, explanation.decision) {
            (Decided::Sent(route), verdict) => {
                // What is found only when it would be sent is told after the decision.
                let found = step(&explanation, "forward").is_some();
                assert!(verdict == Verdict::Admitted || found, "{told}");
                assert_eq!(explanation.route.as_ref(), Some(route), "{told}");
                counts[0] += 1;
            }
            (Decided::Answered, verdict) => {
                assert_eq!(verdict, Verdict::Answered, "{told}");
                counts[1] += 1;
            }
            (Decided::Refused(cause, detail, status), verdict) => {
                assert_eq!(verdict, Verdict::Refused, "{one:?} {told}");
                assert_eq!((explanation.cause, explanation.detail), (Some(*cause), Some(*detail)), "{told}");
                assert_eq!(explanation.answer.as_ref().unwrap().status, *status, "{told}");
                causes.insert(*cause);
                counts[2] += 1;
            }
        }
        if chance.one_in(8) {
            let told = text(&explanation);
            assert!(secrets.iter().all(|secret| !told.contains(secret.as_str())), "{told}");
        }
        // Some stay under way for a while.
        held.extend([first, second]);
        if chance.one_in(3) {
            held.clear();
        }
    }
    drop((held, services));
    outcome
}
