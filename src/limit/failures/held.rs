//! What a failure guard has counted, for those who manage it: to be seen, and to be taken back.

use std::collections::HashSet;
use std::net::IpAddr;

use super::counters::Counter;
use super::{Address, Failures, network};
use crate::clock::UnixTime;
use crate::record::Kind;
use crate::scheme::{Identifier, Mark};

/// What was counted of an address, or of an identifier from a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The name of the guard in the configuration.
    pub limit: Box<str>,
    /// The address or network: `203.0.113.9/32`, `2001:db8:1::/48`.
    pub network: String,
    /// Which identifier, by 16 hex digits that say nothing of its text and are others after a restart.
    pub identifier: Option<String>,
    /// How many credentials were wrong.
    pub failures: u32,
    /// When the last one was.
    pub last: UnixTime,
    /// Until when all of it is refused; `None` if it is not.
    pub until: Option<UnixTime>,
    /// It is not refused in fact: the guard only says what it would do.
    pub log_only: bool,
}

/// Which of it is meant: all that every part lets through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// What concerns a caller at this address.
    pub address: Option<IpAddr>,
    /// What concerns this identifier.
    pub identifier: Option<String>,
}

impl Failures {
    /// What is counted, the most failures first, at most `most`.
    pub fn list(&self, which: &Which, most: usize) -> Vec<Held> {
        let (now, unix) = (self.now(), self.seen.clock.unix());
        let at = |millis: u64| UnixTime(unix.0.saturating_sub(now.saturating_sub(millis).div_ceil(1000)));
        let later = |millis: u64| {
            let left = millis.checked_sub(now).filter(|left| *left > 0)?;
            Some(UnixTime(unix.0.saturating_add(left.div_ceil(1000))))
        };
        let held = |network: String, identifier: Option<Mark>, counter: &Counter| Held {
            limit: self.name.clone(),
            network,
            identifier: identifier.map(|Mark(mark)| format!("{mark:016x}")),
            failures: counter.count,
            last: at(counter.last),
            until: later(counter.until),
            log_only: self.log_only,
        };
        let mut all = Vec::new();
        let marks = which.marks(self);
        if marks.is_none() {
            self.seen.addresses.retain(|address, counter| {
                let own = which.address.is_none_or(|asked| Address::of(asked) == *address);
                if own && !self.policy.is_over(counter, now) {
                    all.push(held(written(address.0, 32, 64), None, counter));
                }
                true
            });
        }
        self.seen.identifiers.retain(|pair, counter| {
            let own = which.address.is_none_or(|asked| network(asked) == pair.network);
            let own = own && marks.as_ref().is_none_or(|marks| marks.contains(&pair.mark));
            if own && !self.policy.is_over(counter, now) {
                all.push(held(written(pair.network, 24, 48), Some(pair.mark), counter));
            }
            true
        });
        all.sort_by(|one, other| {
            (other.failures, &one.network, &one.identifier).cmp(&(one.failures, &other.network, &other.identifier))
        });
        all.truncate(most);
        all
    }

    /// Takes it back; how much there was of it. With an identifier, an address keeps what was tried on others.
    pub fn clear(&self, which: &Which) -> usize {
        let mut cleared = 0;
        let marks = which.marks(self);
        self.seen.addresses.retain(|address, counter| {
            if which.address.is_some_and(|asked| Address::of(asked) != *address) {
                return true;
            }
            let keep = match &marks {
                None => false,
                Some(marks) => !marks.iter().any(|mark| counter.forgive(*mark, &self.policy)),
            };
            cleared += usize::from(!keep);
            keep
        });
        self.seen.identifiers.retain(|pair, _| {
            let own = which.address.is_none_or(|asked| network(asked) == pair.network);
            let gone = own && marks.as_ref().is_none_or(|marks| marks.contains(&pair.mark));
            cleared += usize::from(gone);
            !gone
        });
        cleared
    }
}

impl Which {
    /// As what the identifier may have been counted: it is asked for without its kind.
    fn marks(&self, failures: &Failures) -> Option<HashSet<Mark>> {
        let text = self.identifier.as_ref()?.as_bytes();
        Some(Kind::ALL.iter().map(|kind| failures.mark(Identifier { kind: *kind, text })).collect())
    }
}

fn written(address: IpAddr, v4_bits: u32, v6_bits: u32) -> String {
    let bits = if address.is_ipv4() { v4_bits } else { v6_bits };
    format!("{address}/{bits}")
}
