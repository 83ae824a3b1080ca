//! Counters that come, go and are told of.

use super::super::limits::Tallies;
use super::super::table::{SHARDS, Table, Told};
use super::*;

/// How many counters a limit has, and what came of all that it counted.
fn standing(gate: &Gate, place: usize) -> (usize, Told) {
    match &gate.limits[place].tallies {
        Tallies::Rate(_, table) => table.standing(),
        Tallies::Quota(_, table) => table.standing(),
        Tallies::Concurrency(_, table) => table.standing(),
    }
}

#[test]
fn what_does_not_matter_any_more_is_forgotten_within_a_round_of_sweeps() {
    let register = register();
    let policies =
        [concurrency("at-once", 2, Per::Account), quota("hourly", 5, Per::Account), rate("live", 5, Per::Route)];
    let scene = Scene::new(&policies, None);
    let Ok((_, occupancy)) = scene.ask(&caller(&register, "a")) else { panic!("there is room") };
    let counters = || [0, 1, 2].map(|place| standing(&scene.gate, place).0);
    let sweep = || (0..SHARDS).for_each(|_| scene.gate.sweep(scene.clock.now(), scene.clock.unix()));
    sweep();
    assert_eq!(counters(), [1, 1, 1], "all of them still matter");
    drop(occupancy);
    scene.clock.advance(Duration::from_hours(1));
    sweep();
    assert_eq!(counters(), [0, 1, 0], "the clock on the wall may come back");
    scene.clock.advance(Duration::from_mins(10));
    sweep();
    assert_eq!(counters(), [0, 0, 0]);
}

#[test]
fn whoever_is_counted_among_the_crowd_is_told_as_such_be_they_let_in_or_not() {
    let register = register();
    let mut scene = Scene::new(&[rate("live", 1, Per::Account)], None);
    let Tallies::Rate(rate, _) = scene.gate.limits[0].tallies else { panic!("a rate") };
    scene.gate.limits[0].tallies = Tallies::Rate(rate, Arc::new(Table::full()));
    assert_eq!(scene.passed(&caller(&register, "a"), 3), 1);
    let told = standing(&scene.gate, 0).1;
    assert_eq!(told, Told { admitted: 1, refused: 2, shared: 3, ..Told::default() });
}

#[test]
fn of_two_limits_without_room_the_longer_wait_is_told() {
    let register = register();
    let slow = |name: &str| {
        let (count, period) = (NonZeroU32::MIN, Duration::from_mins(1));
        Policy { measure: Measure::Rate(Rate { count, period, burst: count }), ..rate(name, 1, Per::Account) }
    };
    for policies in [[slow("a"), rate("b", 1, Per::Account)], [rate("a", 1, Per::Account), slow("b")]] {
        let scene = Scene::new(&policies, None);
        assert_eq!(scene.passed(&caller(&register, "a"), 1), 1);
        let wait = refused(scene.ask(&caller(&register, "a"))).retry_after;
        assert_eq!(wait, Some(Duration::from_mins(1)));
    }
}
