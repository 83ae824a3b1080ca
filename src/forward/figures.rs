//! What was counted of upstreams and their endpoints, for whoever looks.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Forwarder;
use super::fleet::{Fleet, Member};

/// What was counted of one upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Its name.
    pub upstream: Box<str>,
    /// Requests under way, where they are counted.
    pub in_flight: u32,
    /// Requests that wait for a place.
    pub waiting: usize,
    /// Requests that were sent once more, since the start.
    pub retries: u64,
    /// Its endpoints, in the order of the configuration.
    pub endpoints: Vec<EndpointFigures>,
}

/// What was counted of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointFigures {
    /// Its URL.
    pub url: Box<str>,
    /// Requests under way, where they are counted.
    pub in_flight: u32,
    /// How often it was left alone for a while, since the start.
    pub ejections: u64,
    /// Health checks that it has passed, since the start.
    pub passed: u64,
    /// And those that it has failed.
    pub failed: u64,
}

impl Fleet {
    /// What was counted of the upstreams of the configuration in force, in its order.
    pub fn figures(&self) -> Vec<Figures> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let figures = open.iter().map(|group| Figures {
            upstream: group.upstream.clone(),
            in_flight: group.load.in_flight(),
            waiting: group.load.line.len(),
            retries: read(&group.load.retries),
            endpoints: group.members.iter().map(|member| member.figures()).collect(),
        });
        figures.collect()
    }
}

impl Forwarder {
    /// How many connections are busy and how many are idle: of each endpoint of each upstream, in the order of the
    /// configuration.
    pub fn connections(&self) -> impl Iterator<Item = (usize, usize)> {
        let pools = self.doors.iter().flat_map(|door| door.pools.iter().zip(&door.sessions));
        pools.map(|(pool, sessions)| {
            let ((busy, idle), (carrying, empty)) = (pool.connections(), sessions.connections());
            (busy + carrying, idle + empty)
        })
    }
}

impl Member {
    fn figures(&self) -> EndpointFigures {
        let Self { url, ejections, passed, failed, .. } = self;
        let [ejections, passed, failed] = [ejections, passed, failed].map(read);
        EndpointFigures { url: url.clone(), in_flight: self.in_flight(), ejections, passed, failed }
    }
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}
