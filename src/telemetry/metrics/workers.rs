//! Where each worker tells what it counts and what it has: a place of its own, which it writes and whoever asks reads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::tally::{Shelf, Tallies, Total, locked};
use crate::edge::connection::ListenerId;
use crate::edge::handshake::Handshake;

/// The places of all workers, for as long as the process lives.
#[derive(Debug, Default)]
pub struct Workers(Mutex<Vec<Arc<Worker>>>);

/// The place of one worker.
#[derive(Debug, Default)]
pub struct Worker {
    shelf: Shelf,
    streams: AtomicUsize,
    tunnels: AtomicUsize,
    /// Busy and idle ones of each endpoint, in the order of the configuration.
    connections: Mutex<Vec<(usize, usize)>>,
    /// By listener, in the order of their numbers. A handshake takes a thousand times as long as this lock.
    handshakes: Mutex<Vec<[u64; Handshake::ALL.len()]>>,
}

impl Workers {
    /// The place of one more worker.
    pub fn seat(&self) -> Arc<Worker> {
        let worker = Arc::<Worker>::default();
        locked(&self.0).push(Arc::clone(&worker));
        worker
    }

    /// What all have counted of requests, by route.
    pub fn requests(&self) -> BTreeMap<Box<str>, Total> {
        let mut all = BTreeMap::new();
        locked(&self.0).iter().for_each(|worker| worker.shelf.add_to(&mut all));
        all
    }

    /// How many streams all of them have open, tunnels not among them, and how many tunnels.
    pub fn streams(&self) -> (usize, usize) {
        let all = locked(&self.0);
        let sum =
            |of: fn(&Worker) -> &AtomicUsize| all.iter().map(|own| of(own).load(Ordering::Relaxed)).sum::<usize>();
        let (streams, tunnels) = (sum(|own| &own.streams), sum(|own| &own.tunnels));
        (streams.saturating_sub(tunnels), tunnels)
    }

    /// How many connections to each endpoint are busy and how many are idle, in the order of a configuration that has so
    /// many. A worker that serves another one still is left out.
    pub fn connections(&self, endpoints: usize) -> Vec<(usize, usize)> {
        let mut sums = vec![(0, 0); endpoints];
        for worker in locked(&self.0).iter() {
            let own = locked(&worker.connections);
            if own.len() == endpoints {
                for (sum, (busy, idle)) in sums.iter_mut().zip(own.iter()) {
                    *sum = (sum.0 + busy, sum.1 + idle);
                }
            }
        }
        sums
    }

    /// How many TLS handshakes there were on a listener, and what came of them.
    pub fn handshakes(&self, listener: ListenerId) -> impl Iterator<Item = (Handshake, u64)> {
        let mut sums = [0; Handshake::ALL.len()];
        for worker in locked(&self.0).iter() {
            if let Some(counts) = locked(&worker.handshakes).get(listener.0) {
                sums.iter_mut().zip(counts).for_each(|(sum, own)| *sum += own);
            }
        }
        Handshake::ALL.into_iter().zip(sums)
    }
}

impl Worker {
    /// Where the worker counts requests of these routes, in their order.
    pub fn open<'n>(&self, routes: impl Iterator<Item = &'n str>) -> Tallies {
        self.shelf.open(routes)
    }

    /// So many streams are open, and so many of them are tunnels.
    pub fn tell_streams(&self, streams: usize, tunnels: usize) {
        self.streams.store(streams, Ordering::Relaxed);
        self.tunnels.store(tunnels, Ordering::Relaxed);
    }

    /// So many connections to each endpoint are busy, and so many idle.
    pub fn tell_connections(&self, all: impl Iterator<Item = (usize, usize)>) {
        let mut connections = locked(&self.connections);
        connections.clear();
        connections.extend(all);
    }

    /// A handshake on this listener has ended.
    pub fn shaken(&self, listener: ListenerId, handshake: Handshake) {
        let mut all = locked(&self.handshakes);
        if all.len() <= listener.0 {
            all.resize(listener.0 + 1, [0; Handshake::ALL.len()]);
        }
        all[listener.0][handshake as usize] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_workers_have_is_summed() {
        let workers = Workers::default();
        let (one, two) = (workers.seat(), workers.seat());
        one.tell_streams(3, 1);
        two.tell_streams(2, 2);
        assert_eq!(workers.streams(), (2, 3));
        one.tell_connections([(1, 0), (2, 2)].into_iter());
        two.tell_connections([(0, 4), (1, 1)].into_iter());
        assert_eq!(workers.connections(2), [(1, 4), (3, 3)]);
        assert_eq!(workers.connections(3), [(0, 0); 3], "those of another configuration");
        for worker in [&one, &two] {
            worker.shaken(ListenerId(1), Handshake::Done13);
        }
        two.shaken(ListenerId(1), Handshake::Late);
        let counts = |id| workers.handshakes(ListenerId(id)).map(|(_, count)| count).collect::<Vec<_>>();
        assert_eq!([counts(0), counts(1), counts(2)], [vec![0; 4], vec![0, 2, 0, 1], vec![0; 4]]);
    }
}
