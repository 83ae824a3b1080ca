//! What the writer looks after in between: when credentials were last used, answers that were kept long enough, entries
//! that are still laid down under older keys. All of it in small steps, so that no change waits long.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::index::Sighting;
use super::ledger;
use super::replay;
use super::resource::Resource;
use super::shelf::{Desk, Shelf, entry_key};
use super::trail::{self, Deal};
use super::writer::{Abort, Writer, unavailable};
use super::{Actor, Refused};
use crate::clock::Clock;
use crate::record::Kind;

/// How often last uses are written down: they are coarse.
const USES_EVERY: Duration = Duration::from_mins(5);
/// How often kept answers are swept.
const SWEEP_EVERY: Duration = Duration::from_hours(1);
/// How long a renewal rests that the disk refused.
const REST: Duration = Duration::from_secs(30);
/// The most rows of one step.
const STEP: usize = 2000;

/// What there is to look after.
pub(super) struct Upkeep {
    pub(super) sightings: Receiver<Sighting>,
    /// Last uses that are still to be written down, in minutes since 1970.
    uses: Vec<(Vec<u8>, u32)>,
    /// Uses from this minute on are new.
    uses_since: u32,
    next_uses: Instant,
    next_sweep: Instant,
    /// Where the sweep of kept answers goes on.
    sweep_at: Option<Vec<u8>>,
    /// Whether windows of quotas are to be swept.
    sweep_spent: bool,
    /// Where the renewal of entries goes on.
    pub(super) renew_at: Option<Vec<u8>>,
    rest_until: Instant,
}

impl Upkeep {
    pub(super) fn new(sightings: Receiver<Sighting>, clock: &Clock) -> Self {
        let now = clock.now();
        Self {
            sightings,
            uses: Vec::new(),
            // Those before are on file.
            uses_since: minute(clock),
            next_uses: now + USES_EVERY,
            next_sweep: now + SWEEP_EVERY,
            sweep_at: None,
            sweep_spent: false,
            // What was not finished before the last stop is found at the start.
            renew_at: Some(Vec::new()),
            rest_until: now,
        }
    }

    /// Lets the renewal rest for a while after the disk refused it.
    pub(super) fn pause(&mut self, clock: &Clock) {
        self.rest_until = clock.now() + REST;
    }

    /// Whether there is more to do at once.
    pub(super) fn is_pressing(&self, clock: &Clock) -> bool {
        self.sweep_at.is_some()
            || self.sweep_spent
            || !self.uses.is_empty()
            || (self.renew_at.is_some() && clock.now() >= self.rest_until)
    }
}

impl Writer {
    /// Takes one small step of whatever is due.
    pub(super) fn look_after(&mut self) {
        let now = self.clock.now();
        if now >= self.upkeep.next_uses {
            self.upkeep.next_uses = now + USES_EVERY;
            self.collect_uses();
        }
        if now >= self.upkeep.next_sweep {
            self.upkeep.next_sweep = now + SWEEP_EVERY;
            self.upkeep.sweep_at = Some(Vec::new());
            self.upkeep.sweep_spent = true;
        }
        self.write_uses();
        self.sweep_replays();
        self.sweep_spent();
        self.renew_sighted();
        if now >= self.upkeep.rest_until {
            self.renew_some();
        }
        self.renewing.store(self.upkeep.renew_at.is_some(), Ordering::Release);
    }

    /// Writes down what would be lost otherwise.
    pub(super) fn finish(&mut self) {
        self.collect_uses();
        while !self.upkeep.uses.is_empty() {
            self.write_uses();
        }
    }

    /// Writes down a deed that changes nothing on file.
    pub(super) fn note(&mut self, actor: &Actor, deal: Deal) -> Result<(), Refused> {
        let (keys, now) = (self.keys.load_full(), self.clock.unix());
        let written = self.engine.write(|transaction| {
            trail::append(&mut Desk::open(transaction, &keys)?, now, &actor.0, vec![deal])?;
            Ok::<_, redb::Error>(())
        });
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(unavailable(&error.into())),
            Err(failed) => Err(unavailable(&failed)),
        }
    }

    fn collect_uses(&mut self) {
        let since = self.upkeep.uses_since;
        let mut uses: HashMap<Vec<u8>, u32> = HashMap::new();
        self.index.for_each(|record| {
            let minute = record.used().map(|used| u32::try_from(used.0 / 60).unwrap_or(u32::MAX));
            if let Some(minute) = minute.filter(|minute| *minute >= since) {
                let key = entry_key(resource_of(record.kind()), record.id());
                let latest = uses.entry(key).or_default();
                *latest = minute.max(*latest);
            }
        });
        // Uses of this very minute may still come: the next round looks at it again.
        self.upkeep.uses_since = minute(&self.clock);
        self.upkeep.uses.extend(uses);
    }

    fn write_uses(&mut self) {
        if self.upkeep.uses.is_empty() {
            return;
        }
        let keys = self.keys.load_full();
        let rest = self.upkeep.uses.len().saturating_sub(STEP);
        let some = self.upkeep.uses.split_off(rest);
        let written = self.engine.write(|transaction| {
            let mut desk = Desk::open(transaction, &keys)?;
            for (key, minute) in &some {
                // A credential of the configuration has no entry, and one that is gone has none any more.
                if desk.get(Shelf::Entries, key)?.is_some() {
                    desk.set(Shelf::Used, key, Some(&minute.to_be_bytes()))?;
                }
            }
            if desk.mark() == 0 { Err(Abort::Nothing) } else { Ok(()) }
        });
        if let Err(failed) = written {
            tracing::warn!(%failed, "last uses are not written down");
            // All of them are collected again in the next round.
            self.upkeep.uses.clear();
            self.upkeep.uses_since = 0;
        }
    }

    fn sweep_replays(&mut self) {
        let Some(after) = self.upkeep.sweep_at.take() else { return };
        let (keys, now) = (self.keys.load_full(), self.clock.unix());
        let mut next = None;
        let written = self.engine.write(|transaction| {
            let mut desk = Desk::open(transaction, &keys)?;
            next = replay::sweep(&mut desk, &after, now)?;
            if desk.mark() == 0 { Err(Abort::Nothing) } else { Ok(()) }
        });
        if let Err(failed) = written {
            tracing::warn!(%failed, "kept answers are not swept");
        }
        self.upkeep.sweep_at = next;
    }

    fn sweep_spent(&mut self) {
        if !std::mem::take(&mut self.upkeep.sweep_spent) {
            return;
        }
        let (keys, now) = (self.keys.load_full(), self.clock.unix());
        let mut more = false;
        let written = self.engine.write(|transaction| {
            let mut desk = Desk::open(transaction, &keys)?;
            more = ledger::sweep(&mut desk, now)?;
            if desk.mark() == 0 { Err(Abort::Nothing) } else { Ok(()) }
        });
        if let Err(failed) = written {
            tracing::warn!(%failed, "what quotas spent in windows that are over is not swept");
            // The next hour will do.
            more = false;
        }
        self.upkeep.sweep_spent = more;
    }
}

/// This minute, counted from 1970 on.
fn minute(clock: &Clock) -> u32 {
    u32::try_from(clock.unix().0 / 60).unwrap_or(u32::MAX)
}

/// What a record is on file as.
pub(super) fn resource_of(kind: Kind) -> Resource {
    match kind {
        Kind::LicenseKey => Resource::LicenseKey,
        Kind::ApiClient => Resource::ApiClient,
        Kind::CameraToken | Kind::GroupToken => Resource::Token,
        Kind::ServiceAccountKey => Resource::ServiceAccount,
        Kind::User | Kind::UserKey => Resource::User,
        Kind::BearerToken => Resource::BearerToken,
        Kind::App => Resource::App,
        Kind::AdminCertificate => Resource::AdminCertificate,
    }
}
