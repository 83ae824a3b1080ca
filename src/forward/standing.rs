//! How the endpoints of every upstream stand, for whoever looks.

use std::sync::PoisonError;
use std::time::Duration;

use super::fleet::{Fleet, Member};
use super::policy::Ejection;
use super::trouble::Fitness;
use super::upstream::Upstream;

/// What becomes of requests that could go to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It gets its share.
    In,
    /// Health checks do not find it well.
    Unhealthy,
    /// It has failed too often, and rests for so long still.
    Resting(Duration),
    /// Its rest is over: one request decides.
    OnTrial,
    /// It is back, and its share grows.
    Returning,
}

impl Condition {
    /// The words for all of them.
    pub const NAMES: [&'static str; 5] = ["in", "unhealthy", "resting", "on_trial", "returning"];

    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Unhealthy => "unhealthy",
            Self::Resting(_) => "resting",
            Self::OnTrial => "on_trial",
            Self::Returning => "returning",
        }
    }

    /// Why it is not simply in, in a sentence without a full stop.
    pub fn why(self) -> Option<String> {
        match self {
            Self::In => None,
            Self::Unhealthy => Some("health checks do not find it well".to_owned()),
            Self::Resting(left) => {
                let seconds = left.as_millis().div_ceil(1000);
                Some(format!("requests to it have failed: it is left alone for {seconds} s more"))
            }
            Self::OnTrial => Some("requests to it have failed: the next one decides".to_owned()),
            Self::Returning => Some("it is back after failures: its share grows".to_owned()),
        }
    }
}

/// The endpoints of one upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its name.
    pub upstream: Box<str>,
    /// Each by its URL, in the order of the configuration.
    pub endpoints: Vec<(Box<str>, Condition)>,
}

impl Fleet {
    /// How the endpoints of these upstreams stand, which are those of the configuration in force.
    pub fn standings(&self, upstreams: &[Upstream]) -> Vec<Standing> {
        let now = self.clock.now();
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |upstream: &Upstream| {
            let group = open.iter().find(|group| group.upstream == upstream.name)?;
            let condition = |member: &Member| (member.url.clone(), member.condition(&upstream.policy.ejection, now));
            let endpoints = group.members.iter().map(|member| condition(member)).collect();
            Some(Standing { upstream: upstream.name.clone(), endpoints })
        };
        upstreams.iter().filter_map(of).collect()
    }
}

impl Member {
    fn condition(&self, ejection: &Ejection, now: std::time::Instant) -> Condition {
        if !self.is_well() {
            return Condition::Unhealthy;
        }
        match self.fitness(ejection, now) {
            Fitness::Share(share) if share < 1.0 => Condition::Returning,
            Fitness::Share(_) => Condition::In,
            Fitness::Trial => Condition::OnTrial,
            Fitness::Nothing => self.rest(now).map_or(Condition::OnTrial, Condition::Resting),
        }
    }
}
