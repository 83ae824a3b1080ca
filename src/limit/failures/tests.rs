use std::sync::Arc;
use std::thread;

use super::*;
use crate::clock::UnixTime;
use crate::record::Kind;

const OFFICE: &str = "203.0.113.9";
fn settings() -> Settings {
    let (first, longest) = (Duration::from_secs(1), Duration::from_mins(1));
    Settings { name: "guard".into(), failures: 3, first, longest, log_only: false }
}

struct House {
    clock: Clock,
    guard: Failures,
}

/// What came of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Proven,
    Wrong,
    /// Refused for so many milliseconds; `looked` says whether anything was verified.
    Held {
        left: u128,
        looked: bool,
    },
}

impl House {
    fn new(settings: &Settings) -> Self {
        let clock = Clock::manual(UnixTime(1_700_000_000));
        Self { guard: Failures::new(settings, clock.clone()), clock }
    }

    /// One request with credentials of these identifiers, each of which is right, or wrong for a reason; proven if one is.
    fn asks(&self, address: &str, presented: &[(Option<&str>, Result<(), Reason>)]) -> Told {
        let watch = self.guard.watch(address.parse().unwrap());
        let held = |refusal: &Refusal, looked| {
            assert_eq!(refusal.cause, Cause::TooManyFailures);
            Told::Held { left: refusal.retry_after.unwrap().as_millis(), looked }
        };
        if let Err(refusal) = watch.enter() {
            return held(&refusal, false);
        }
        let (mut proven, mut looked) = (false, false);
        for (identifier, outcome) in presented {
            let mark = match identifier {
                None => None,
                Some(text) => match watch.admits(Identifier { kind: Kind::ApiClient, text: text.as_bytes() }) {
                    None => continue,
                    mark => mark,
                },
            };
            looked = true;
            watch.saw(mark, *outcome);
            proven |= outcome.is_ok();
        }
        match watch.settle(proven) {
            Err(refusal) => held(&refusal, looked),
            Ok(()) if proven => Told::Proven,
            Ok(()) => Told::Wrong,
        }
    }

    fn guesses(&self, address: &str, identifier: &str) -> Told {
        self.asks(address, &[(Some(identifier), Err(Reason::Mismatch))])
    }

    fn proves(&self, address: &str, identifier: &str) -> Told {
        self.asks(address, &[(Some(identifier), Ok(()))])
    }

    fn wait(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }

    fn all(&self) -> Vec<Held> {
        self.guard.list(&Which::default(), 1000)
    }
}

fn held(left: u128) -> Told {
    Told::Held { left, looked: false }
}

#[test]
fn after_so_many_wrong_ones_an_address_is_refused_for_a_growing_while() {
    let house = House::new(&settings());
    for nth in 0..3 {
        assert_eq!(house.guesses(OFFICE, &format!("client {nth}")), Told::Wrong, "{nth}");
    }
    // Whoever it is, and whatever they show: nothing is looked at.
    assert_eq!(house.proves(OFFICE, "another"), held(1000));
    house.wait(999);
    assert_eq!(house.asks(OFFICE, &[]), held(1));
    for (nth, hold) in [2, 4, 8, 16, 32, 60, 60].into_iter().enumerate() {
        house.wait(if nth == 0 { 1 } else { 60_000 });
        // It is not forgotten while it goes on.
        assert_eq!(house.guesses(OFFICE, &format!("more {nth}")), Told::Wrong, "{nth}");
        assert_eq!(house.asks(OFFICE, &[]), held(hold * 1000), "{nth}");
    }
    // After a quiet time that is as long as the longest refusal, it is.
    house.wait(60_000);
    assert_eq!(house.all()[0].failures, 10);
    house.wait(60_000);
    assert_eq!(house.all(), []);
    for nth in 0..3 {
        assert_eq!(house.guesses(OFFICE, &format!("again {nth}")), Told::Wrong);
    }
    assert_eq!(house.asks(OFFICE, &[]), held(1000));
}

#[test]
fn an_identifier_is_refused_in_one_network_and_nowhere_else() {
    for (own, elsewhere) in [
        (["203.0.113.9", "203.0.113.10", "::ffff:203.0.113.11", "203.0.113.12"], "203.0.114.9"),
        (["2001:db8:1:1::1", "2001:db8:1:2::1", "2001:db8:1:3::1", "2001:db8:1:4::1"], "2001:db8:2:1::1"),
    ] {
        let house = House::new(&settings());
        for address in &own[..3] {
            assert_eq!(house.guesses(address, "8ded5a89"), Told::Wrong);
        }
        assert_eq!(house.proves(own[3], "8ded5a89"), held(1000), "its owner, in the same network");
        assert_eq!(house.proves(own[3], "another"), Told::Proven);
        assert_eq!(house.proves(elsewhere, "8ded5a89"), Told::Proven, "its owner, elsewhere");
        // Their success over there is none here.
        assert_eq!(house.proves(own[3], "8ded5a89"), held(1000));
    }
}

#[test]
fn an_ipv6_caller_is_the_same_whatever_the_interface() {
    let house = House::new(&settings());
    for nth in 1..=3 {
        assert_eq!(house.asks(&format!("2001:db8::{nth}"), &[(None, Err(Reason::Unknown))]), Told::Wrong);
    }
    assert_eq!(house.asks("2001:db8::ffff:1:2:3", &[]), held(1000));
    assert_eq!(house.asks("2001:db8:0:1::1", &[]), Told::Wrong);
}

#[test]
fn a_success_takes_back_what_was_counted_for_its_identifier_alone() {
    let house = House::new(&settings());
    house.guesses(OFFICE, "own");
    house.guesses(OFFICE, "own");
    assert_eq!(house.proves(OFFICE, "own"), Told::Proven);
    assert_eq!(house.all(), []);
    // One with an account of their own does not get rid of what they try on others with it.
    for nth in 0..2 {
        assert_eq!(house.guesses(OFFICE, "victim"), Told::Wrong, "{nth}");
        assert_eq!(house.proves(OFFICE, "own"), Told::Proven, "{nth}");
    }
    // Nor by a wrong one of their own in the same request, which would be blamed for both.
    assert_eq!(
        house.asks(OFFICE, &[(Some("own"), Err(Reason::Mismatch)), (Some("victim"), Err(Reason::Mismatch))]),
        Told::Wrong
    );
    house.wait(1000);
    assert_eq!(house.proves(OFFICE, "own"), Told::Proven);
    assert_eq!(house.guesses(OFFICE, "other"), Told::Wrong);
    assert_eq!(house.asks(OFFICE, &[]), held(2000));
}

#[test]
fn only_a_guess_counts_and_once_for_each_request() {
    let house = House::new(&settings());
    for reason in [
        Reason::Missing,
        Reason::Malformed,
        Reason::Ambiguous,
        Reason::Insecure,
        Reason::Expired,
        Reason::NotYetValid,
        Reason::LivesTooLong,
        Reason::Disabled,
        Reason::Contradicted,
    ] {
        for identifier in [None, Some("client")] {
            assert_eq!(house.asks(OFFICE, &[(identifier, Err(reason))]), Told::Wrong);
        }
    }
    assert_eq!(house.all(), []);
    // Where something else proves the caller, what was wrong beside it does not count for the address.
    assert_eq!(house.asks(OFFICE, &[(None, Err(Reason::Mismatch)), (None, Ok(()))]), Told::Proven);
    assert_eq!(house.all(), []);
    for reason in [Reason::Unknown, Reason::Mismatch, Reason::Leaked] {
        assert_eq!(house.asks(OFFICE, &[(Some("a"), Err(reason)), (None, Err(reason))]), Told::Wrong);
    }
    assert_eq!(house.all().iter().map(|held| held.failures).collect::<Vec<_>>(), [3, 3]);
}

#[test]
fn who_is_proven_by_another_credential_guesses_no_more_often_than_others() {
    let house = House::new(&settings());
    let beside = [(Some("victim"), Err(Reason::Mismatch)), (None, Ok(()))];
    for _ in 0..20 {
        assert_eq!(house.asks(OFFICE, &beside), Told::Proven);
    }
    // The identifier is held off, in this network, and was not looked at any more; the address is not.
    let counted: Vec<_> = house.all().into_iter().map(|held| (held.network, held.failures)).collect();
    assert_eq!(counted, [("203.0.113.0/24".to_owned(), 3)]);
    assert_eq!(house.asks(OFFICE, &[(Some("victim"), Ok(()))]), Told::Held { left: 1000, looked: false });
    assert_eq!(house.proves(OFFICE, "own"), Told::Proven);
    // Its own success takes back what was counted of it, and nothing else.
    house.wait(1000);
    assert_eq!(house.asks(OFFICE, &[(Some("victim"), Err(Reason::Mismatch)), (Some("own"), Ok(()))]), Told::Proven);
    assert_eq!(house.asks(OFFICE, &[(Some("victim"), Ok(()))]), Told::Held { left: 2000, looked: false });
}

#[test]
fn what_is_held_off_does_not_stop_another_credential_of_the_request() {
    let house = House::new(&settings());
    for last in 1..=3 {
        house.guesses(&format!("203.0.113.{last}"), "held");
    }
    let both = [(Some("held"), Ok(())), (None, Ok(()))];
    assert_eq!(house.asks("203.0.113.4", &both), Told::Proven);
    let both = [(Some("held"), Ok(())), (None, Err(Reason::Unknown))];
    assert_eq!(house.asks("203.0.113.4", &both), Told::Held { left: 1000, looked: true });
}

#[test]
fn more_identifiers_than_a_request_can_have_are_not_looked_at() {
    let house = House::new(&settings());
    let many: Vec<String> = (0..9).map(|nth| nth.to_string()).collect();
    let presented: Vec<_> = many.iter().map(|text| (Some(text.as_str()), Err(Reason::Mismatch))).collect();
    assert_eq!(house.asks(OFFICE, &presented), Told::Held { left: 1000, looked: true });
    assert_eq!(house.all().len(), 1 + MOST_IDENTIFIED);
}

#[test]
fn who_only_logs_refuses_nobody_and_counts_as_if() {
    let house = House::new(&Settings { log_only: true, ..settings() });
    for _ in 0..9 {
        assert_eq!(house.guesses(OFFICE, "client"), Told::Wrong);
    }
    assert_eq!(house.proves("203.0.113.10", "client"), Told::Proven);
    let all = house.all();
    assert_eq!((all.len(), all[0].failures, all[0].log_only), (1, 3, true));
    assert_eq!(all[0].until, Some(UnixTime(1_700_000_001)));
}

#[test]
fn what_is_counted_is_shown_without_the_identifier_and_taken_back() {
    let house = House::new(&settings());
    for _ in 0..2 {
        house.guesses(OFFICE, "hunter2");
    }
    house.guesses("2001:db8::1", "8ded5a89");
    let shown = house.all();
    assert_eq!(shown.len(), 4);
    assert_eq!((shown[0].network.as_str(), shown[0].failures, shown[0].until), ("203.0.113.0/24", 2, None));
    assert_eq!((shown[1].network.as_str(), &shown[1].identifier), ("203.0.113.9/32", &None));
    assert!(!format!("{shown:?} {:?}", house.guard).contains("hunter2"));
    let of = |identifier: &str| Which { address: None, identifier: Some(identifier.to_owned()) };
    let at = |address: &str| Which { address: Some(address.parse().unwrap()), identifier: None };
    let networks = |which: &Which| house.guard.list(which, 9).into_iter().map(|held| held.network).collect::<Vec<_>>();
    assert_eq!(networks(&of("8ded5a89")), ["2001:db8::/48"]);
    assert_eq!(networks(&at("203.0.113.77")), ["203.0.113.0/24"]);
    assert_eq!(networks(&at("2001:db8::7")), ["2001:db8::/48", "2001:db8::/64"]);
    assert_eq!(house.guard.clear(&at("203.0.113.77")), 1);
    assert_eq!(house.guard.clear(&of("hunter2")), 1, "at its address");
    let mut left = networks(&Which::default());
    left.sort();
    assert_eq!(left, ["2001:db8::/48", "2001:db8::/64"]);
    assert_eq!(house.guard.clear(&Which::default()), 2);
    assert_eq!(house.guard.seen.addresses.len() + house.guard.seen.identifiers.len(), 0);
}

#[test]
fn a_guess_that_is_refused_for_its_address_is_not_counted_for_its_identifier() {
    let house = House::new(&settings());
    // All are looked at before the first of them is counted.
    let watches = ["a", "a", "a", "b"].map(|text| {
        let watch = house.guard.watch(OFFICE.parse().unwrap());
        watch.enter().unwrap();
        let mark = watch.admits(Identifier { kind: Kind::ApiClient, text: text.as_bytes() });
        watch.saw(Some(mark.unwrap()), Err(Reason::Mismatch));
        watch
    });
    assert_eq!(watches.map(|watch| watch.settle(false).is_ok()), [true, true, true, false]);
    assert_eq!(house.all().iter().map(|held| held.failures).collect::<Vec<_>>(), [3, 3], "the address, and `a`");
}

#[test]
fn of_many_at_once_exactly_as_many_are_told_as_may_be() {
    let house = Arc::new(House::new(&Settings { failures: 10, ..settings() }));
    let told: Vec<Told> = thread::scope(|scope| {
        let callers: Vec<_> = (0..64).map(|_| scope.spawn(|| house.guesses(OFFICE, "8ded5a89"))).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    assert_eq!(told.iter().filter(|told| **told == Told::Wrong).count(), 10);
    assert_eq!(house.all()[0].failures, 10);
}

#[test]
fn a_flood_of_new_addresses_neither_grows_without_bound_nor_frees_who_is_refused() {
    let house = House::new(&Settings {
        longest: Duration::from_secs(100_000),
        first: Duration::from_secs(50_000),
        ..settings()
    });
    for _ in 0..3 {
        house.guesses("2001:db8::1", "8ded5a89");
    }
    for nth in 0..70_000_u32 {
        let address = format!("2001:db9:{:x}:{:x}::1", nth >> 16, nth & 0xffff);
        house.asks(&address, &[(Some(&address), Err(Reason::Unknown))]);
    }
    assert!(house.guard.seen.addresses.len() <= 65_536 && house.guard.seen.identifiers.len() <= 65_536);
    assert_eq!(house.asks("2001:db8::1", &[]), held(50_000_000));
    assert_eq!(house.asks("2001:db8:0:1::1", &[(Some("8ded5a89"), Ok(()))]), held(50_000_000));
    house.wait(200_000_000);
    for _ in 0..64 {
        house.guard.sweep();
    }
    assert_eq!(house.guard.seen.addresses.len() + house.guard.seen.identifiers.len(), 0);
}

#[test]
fn a_guard_of_the_same_name_goes_on_where_it_was() {
    let clock = Clock::manual(UnixTime(1_700_000_000));
    let guards = Guards::new(clock.clone());
    let named = |name: &str, failures| Settings { name: name.into(), failures, ..settings() };
    let before =
        House { guard: Failures::clone(&guards.open(&[named("a", 3), named("b", 3)])[1]), clock: clock.clone() };
    for _ in 0..2 {
        before.guesses(OFFICE, "client");
    }
    let after = guards.open(&[named("b", 5), named("c", 3)]);
    let after = House { guard: Failures::clone(&after[0]), clock };
    assert_eq!(after.guesses(OFFICE, "client"), Told::Wrong);
    assert_eq!(after.asks(OFFICE, &[]), Told::Wrong, "five are too many now");
    let which = Which::default();
    assert_eq!(
        guards.list(&which, 9).iter().map(|held| (&*held.limit, held.failures)).collect::<Vec<_>>(),
        [("b", 3); 2]
    );
    assert_eq!((guards.clear(&which), guards.list(&which, 9).len()), (2, 0));
}

#[test]
fn a_guard_that_is_taken_out_and_put_back_forgives_nobody() {
    let clock = Clock::manual(UnixTime(1_700_000_000));
    let guards = Guards::new(clock.clone());
    let named = |name: &str| Settings { name: name.into(), failures: 2, ..settings() };
    let open = |name: &str| House { guard: Failures::clone(&guards.open(&[named(name)])[0]), clock: clock.clone() };
    assert_eq!(open("a").guesses(OFFICE, "client"), Told::Wrong);
    open("b");
    open("b");
    let again = open("a");
    assert_eq!(again.guesses(OFFICE, "client"), Told::Wrong);
    assert!(matches!(again.asks(OFFICE, &[]), Told::Held { .. }), "the second in all");
    for other in ["1", "2", "3", "4", "5", "6", "7", "8", "9"] {
        open(other);
    }
    assert_eq!(open("a").asks(OFFICE, &[]), Told::Wrong, "so many others have come and gone");
}

#[test]
fn a_right_secret_beside_too_many_wrong_ones_is_not_told() {
    let house = House::new(&settings());
    let guard = house.guard.at_endpoint(OFFICE.parse().unwrap());
    let john = Identifier { kind: Kind::User, text: b"john" };
    // All of them are asked before the first is answered.
    for _ in 0..6 {
        assert!(guard.ask(john).is_ok());
    }
    let told = [false, false, false, false, true].map(|right| guard.tell(john, right).map_err(|refusal| refusal.cause));
    let late = Err(Cause::TooManyFailures);
    assert_eq!(told, [Ok(()), Ok(()), Ok(()), late, late]);
    // Nor is anything taken back.
    assert!(guard.ask(john).is_err());
    house.clock.advance(Duration::from_secs(1));
    assert!(guard.ask(john).is_ok() && guard.tell(john, true).is_ok());
    assert_eq!(guard.tell(john, false).map_err(|refusal| refusal.cause), Ok(()));
}

#[test]
fn how_a_guard_stands_is_told() {
    let clock = Clock::manual(UnixTime(1_700_000_000));
    let guards = Guards::new(clock.clone());
    let house = House { guard: Failures::clone(&guards.open(&[settings()])[0]), clock };
    house.guesses("203.0.113.1", "john");
    for _ in 0..4 {
        house.guesses(OFFICE, "jane");
    }
    let [standing] = &guards.standings()[..] else { panic!("there is one") };
    assert_eq!((standing.addresses, standing.identifiers), (Counted { all: 2, held: 1 }, Counted { all: 2, held: 1 }));
    assert_eq!((&*standing.limit, standing.refused), ("guard", 1));
    house.wait(1000);
    assert_eq!(guards.standings()[0].addresses, Counted { all: 2, held: 0 });
}

#[test]
fn a_glance_sees_what_a_guard_would_and_counts_nothing() {
    let house = House::new(&settings());
    assert_eq!(house.guard.name(), "guard");
    let (here, near) = (OFFICE.parse().unwrap(), "203.0.113.8");
    for counted in 0..2 {
        assert_eq!(house.guard.of_address(here), counted);
        house.guesses(OFFICE, "a");
    }
    // Nobody is held yet; while the request is talked about, others try the same identifier from the same prefix.
    let glance = house.guard.glance(here);
    glance.enter().unwrap();
    let mark = glance.admits(Identifier { kind: Kind::ApiClient, text: b"b" });
    for _ in 0..3 {
        house.guesses(near, "b");
    }
    assert!(glance.settle(false).is_ok(), "of its own identifiers none was wrong yet");
    glance.saw(mark, Err(Reason::Mismatch));
    assert_eq!(glance.settle(false).unwrap_err().cause, Cause::TooManyFailures);
    assert!(glance.settle(true).is_ok());
    assert_eq!(house.guard.of_address(here), 2, "a glance counts nothing");
    assert!(house.guard.glance(near.parse().unwrap()).enter().is_err());
}
