//! Sockets are spread over the workers by how many each has. A request's id names its worker, so that the street can see it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::house::{TestGateway, open};
use crate::upstream::Upstream;
use crate::wire::Wire;

fn worker(wire: &mut Wire) -> String {
    let answer = wire.ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    let id = answer.header("x-request-id").expect("a request id");
    id.split_once('-').expect("a worker and a number").0.to_owned()
}

fn gateway(workers: usize) -> TestGateway {
    TestGateway::start_in(&open(&Upstream::start(), ""), Path::new("."), workers)
}

/// Opens connections, each seen by its worker before the next, and says how many each worker has.
fn spread(wires: &mut [Wire]) -> Vec<usize> {
    let mut counts = BTreeMap::new();
    for wire in wires {
        *counts.entry(worker(wire)).or_insert(0) += 1;
    }
    counts.into_values().collect()
}

#[test]
fn idle_connections_are_spread_evenly() {
    for (workers, connections, expected) in [(2, 4, vec![2, 2]), (3, 9, vec![3, 3, 3]), (1, 3, vec![3])] {
        let gateway = gateway(workers);
        let mut wires: Vec<_> = (0..connections).map(|_| gateway.connect()).collect();
        assert_eq!(spread(&mut wires), expected);
    }
}

#[test]
fn a_new_connection_goes_where_others_have_left() {
    let gateway = gateway(2);
    let mut wires: Vec<_> = (0..8).map(|_| gateway.connect()).collect();
    let lonely = worker(&mut wires[0]);
    let mut full: Vec<_> = wires.extract_if(.., |wire| worker(wire) != lonely).collect();
    assert_eq!((wires.len(), full.len()), (4, 4));
    let mut stays = wires.remove(0);
    for mut leaves in wires {
        leaves.finish();
        assert!(leaves.is_closed());
    }
    // A worker that answers here has let go of what ended before.
    assert_eq!(worker(&mut stays), lonely);
    let mut fresh: Vec<_> = (0..3).map(|_| gateway.connect()).collect();
    assert!(fresh.iter_mut().all(|wire| worker(wire) == lonely));
    assert!(full.iter_mut().all(|wire| worker(wire) != lonely));
}
