//! New keys for old: another master key with another data key, another pepper. What can be renewed without its owner is
//! renewed in the background, step by step, and gone on with after a restart; what is known by its digest alone, when
//! it is seen.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::batch::Reply;
use super::entry::{Entry, Keyed};
use super::given::{Known, number_of};
use super::key::Key;
use super::key_file::{next_key_beside, not_written, read_key};
use super::keyring::{Keyring, MasterKey};
use super::keys::Keys;
use super::link::{self, Stop};
use super::load::{KEYRING, replace_key};
use super::refused::Refused;
use super::rules::Effect;
use super::shelf::{Damaged, Desk, Shelf, corrupt};
use super::trail::{self, Act, Deal};
use super::upkeep::resource_of;
use super::writer::{Abort, Aboves, Publication, Writer, unavailable};
use super::{Actor, Operation, Request};

/// The most entries of one step.
const STEP: usize = 500;
/// Behind the last entry: no resource has this number.
const BEHIND_ALL: [u8; 1] = [u8::MAX];

impl Writer {
    /// Another master key and another data key. From the commit on, only the new master key opens the store.
    pub(super) fn rekey(&mut self, actor: &Actor, key_file: Option<&Path>) -> Result<(), Refused> {
        let (key, file) = match (key_file, self.master.file.clone()) {
            (Some(_), Some(_)) => {
                let message = "the master key comes from a file, where a new one takes its place by itself";
                return Err(Refused::invalid("key_file", message));
            }
            (Some(given), None) => (read_key(given)?, None),
            (None, Some(file)) => {
                (next_key_beside(&file, &self.master.key).map_err(|error| not_written(&error))?, Some(file))
            }
            (None, None) => {
                let message = "the master key does not come from a file: say in which file the new one is";
                return Err(Refused::invalid("key_file", message));
            }
        };
        let mut keyring = self.keys.load().keyring.clone();
        keyring.add_data_key().map_err(|full| Refused::conflict("", full.to_string()))?;
        let deal = Deal::of_store(Act::Rekey, "master key".to_owned());
        self.save(keyring, &key, vec![(actor.clone(), deal)])?;
        self.master.key = key;
        self.renew_all();
        if let Some(file) = file {
            // Until this is done, the store opens with the waiting key and finishes it at the next start.
            replace_key(&file).map_err(|error| not_written(&error))?;
        }
        Ok(())
    }

    /// Another pepper.
    pub(super) fn add_pepper(&mut self, actor: &Actor) -> Result<u16, Refused> {
        let mut keyring = self.keys.load().keyring.clone();
        let number = keyring.add_pepper().map_err(|full| Refused::conflict("", full.to_string()))?;
        let deal = Deal::of_store(Act::AddPepper, format!("pepper {number}"));
        self.save_under_master(keyring, Some((actor, deal)))?;
        self.renew_all();
        Ok(number)
    }

    fn renew_all(&mut self) {
        self.upkeep.renew_at = Some(Vec::new());
        self.renewing.store(true, Ordering::Release);
    }

    /// One pepper less.
    pub(super) fn retire_pepper(&mut self, actor: &Actor, number: u16) -> Result<(), Refused> {
        let mut keyring = self.keys.load().keyring.clone();
        if keyring.newest_pepper() == number {
            return Err(Refused::conflict("number", "this is the newest pepper; add another one first"));
        }
        if !keyring.retire_pepper(number) {
            return Err(Refused::conflict("number", format!("there is no pepper {number}")));
        }
        if self.upkeep.renew_at.is_some() {
            return Err(Refused::conflict("number", "entries are still being renewed; try again in a while"));
        }
        let used = self.known_under(number)?;
        if used > 0 {
            let message = format!("{used} secrets are known under this pepper alone, and have not been seen since");
            return Err(Refused::conflict("number", message));
        }
        if number == self.known_from && self.has_declared() {
            let message = "credentials of the configuration are known under this pepper until they are read again";
            return Err(Refused::conflict("number", message));
        }
        let deal = Deal::of_store(Act::RetirePepper, format!("pepper {number}"));
        self.save_under_master(keyring, Some((actor, deal)))
    }

    /// How many secrets are known under a pepper.
    fn known_under(&self, number: u16) -> Result<usize, Refused> {
        let keys = self.keys.load_full();
        let count = self.engine.read(|look| {
            use redb::ReadableTable;
            let mut count = 0;
            for row in look.open_table(Shelf::Entries.definition())?.iter()? {
                let (key, row) = row?;
                let entry = keys.read_entry(key.value(), row.value()).map_err(corrupt)?;
                count += entry.versions.iter().filter(|version| version.digest.pepper == number).count();
            }
            Ok(count)
        });
        count.map_err(|failed| unavailable(&failed))
    }

    /// Takes in the peppers of another store, where digests of an export come from there. Says which those are.
    pub(super) fn adopt(&mut self, batch: &[(Request, Reply)]) -> Vec<Adopted> {
        let mut keyring = self.keys.load().keyring.clone();
        let mut adopted: Vec<Adopted> = Vec::new();
        for (request, _) in batch {
            for pepper in request.operations.iter().flat_map(foreign_peppers) {
                if number_of(&keyring, pepper).is_some() {
                    continue;
                }
                // Where there is no room, the request itself is refused.
                let Ok(number) = keyring.adopt_pepper(pepper.clone()) else { continue };
                adopted.push(Adopted { number, actor: request.actor.clone() });
            }
        }
        if adopted.is_empty() {
            return adopted;
        }
        let deeds: Vec<_> = adopted.iter().map(|adopted| adopted.deed(Act::AddPepper)).collect();
        if let Err(refused) = self.save(keyring, &self.master.key, deeds) {
            tracing::error!(%refused, "the pepper of another store is not taken in");
            adopted.clear();
        }
        adopted
    }

    /// Lets peppers of other stores go again, where everything that came with them was refused.
    pub(super) fn let_go(&mut self, adopted: Vec<Adopted>, used: &HashSet<u16>) {
        let mut keyring = self.keys.load().keyring.clone();
        let idle: Vec<_> = adopted.into_iter().filter(|adopted| !used.contains(&adopted.number)).collect();
        if idle.is_empty() {
            return;
        }
        let deeds = idle.iter().map(|idle| idle.deed(Act::RetirePepper)).collect();
        for idle in &idle {
            keyring.retire_pepper(idle.number);
        }
        if let Err(refused) = self.save(keyring, &self.master.key, deeds) {
            tracing::warn!(%refused, "the pepper of another store stays though nothing is known under it");
        }
    }

    fn save_under_master(&self, keyring: Keyring, deed: Option<(&Actor, Deal)>) -> Result<(), Refused> {
        self.save(keyring, &self.master.key, deed.into_iter().map(|(actor, deal)| (actor.clone(), deal)).collect())
    }

    /// Lays a keyring down, and uses it from then on.
    fn save(&self, keyring: Keyring, master: &MasterKey, deeds: Vec<(Actor, Deal)>) -> Result<(), Refused> {
        let (keys, now) = (self.keys.load_full(), self.clock.unix());
        let sealed = keyring.seal(master);
        let written = self.engine.write(|transaction| {
            let mut desk = Desk::open(transaction, &keys)?;
            desk.set(Shelf::Meta, KEYRING, Some(&sealed))?;
            for (actor, deal) in deeds {
                trail::append(&mut desk, now, &actor.0, vec![deal])?;
            }
            Ok::<_, Abort>(())
        });
        done(written)?;
        let keys = Keys::new(keyring);
        self.index.set_peppers(keys.peppers.clone());
        self.keys.store(Arc::new(keys));
        Ok(())
    }

    /// Renews some more entries, if there are any to renew.
    pub(super) fn renew_some(&mut self) {
        let keys = self.keys.load_full();
        let Some(after) = self.upkeep.renew_at.take() else { return };
        if keys.keyring.data_keys().len() == 1 && keys.keyring.peppers().len() == 1 {
            return;
        }
        let mut publications = Vec::new();
        let mut next = None;
        let written = self.engine.write(|transaction| {
            let mut desk = Desk::open(transaction, &keys)?;
            let rows = desk.rows_after(Shelf::Entries, &after, STEP)?;
            next = rows.last().map(|(key, _)| key.clone());
            for (key, row) in rows {
                let before = keys.read_entry(&key, &row).map_err(corrupt)?;
                let after = renewed(&keys, &before).map_err(corrupt)?;
                let stays = after == before && Keys::row_key(&row) == Some(keys.sealer.newest());
                let after = if stays { after } else { relay(&mut desk, &before, after)? };
                publications.push(publication(&desk, before, after)?);
            }
            if desk.mark() == 0 { Err(Abort::Nothing) } else { Ok(()) }
        });
        match done(written) {
            Ok(()) => {
                self.publish(publications);
                match next {
                    Some(next) => self.upkeep.renew_at = Some(next),
                    None => self.finish_renewal(),
                }
            }
            Err(refused) => {
                tracing::warn!(%refused, "entries are not renewed yet");
                self.upkeep.renew_at = Some(after);
                self.upkeep.pause(&self.clock);
            }
        }
    }

    /// Nothing is sealed under an older data key any more: lets those go, and keeps answers that wait for a repetition.
    fn finish_renewal(&mut self) {
        let keys = self.keys.load_full();
        if keys.keyring.data_keys().len() == 1 {
            return;
        }
        let mut keyring = keys.keyring.clone();
        let newest = keyring.newest_data_key();
        keyring.retire_data_keys_before(newest);
        match self.reseal_replays(&keys).and_then(|()| self.save_under_master(keyring, None)) {
            Ok(()) => tracing::info!("everything in the store is sealed under the new key"),
            Err(refused) => {
                tracing::warn!(%refused, "the older data keys are kept for now");
                self.upkeep.renew_at = Some(BEHIND_ALL.to_vec());
                self.upkeep.pause(&self.clock);
            }
        }
    }

    fn reseal_replays(&self, keys: &Keys) -> Result<(), Refused> {
        let mut after = Some(Vec::new());
        while let Some(from) = after.take() {
            let written = self.engine.write(|transaction| {
                let mut desk = Desk::open(transaction, keys)?;
                after = super::replay::reseal(&mut desk, &from)?;
                if desk.mark() == 0 { Err(Abort::Nothing) } else { Ok(()) }
            });
            done(written)?;
        }
        Ok(())
    }

    /// Digests anew what was seen under an older pepper.
    pub(super) fn renew_sighted(&mut self) {
        let sightings: Vec<_> = self.upkeep.sightings.try_iter().take(STEP).collect();
        if sightings.is_empty() {
            return;
        }
        let keys = self.keys.load_full();
        let mut publications = Vec::new();
        let written = self.engine.write(|transaction| {
            let mut desk = Desk::open(transaction, &keys)?;
            for seen in &sightings {
                // Whoever saw it may have done so before this pepper was retired.
                if keys.keyring.peppers().iter().all(|pepper| pepper.number != seen.pepper) {
                    continue;
                }
                let Some(before) = desk.entry(resource_of(seen.kind), &seen.id)? else { continue };
                let mut after = before.clone();
                let old = after.versions.iter_mut().find(|version| version.digest.digest == seen.old.0);
                let Some(version) = old else { continue };
                version.digest = Keyed { pepper: seen.pepper, digest: seen.digest.0 };
                let mark = desk.mark();
                let after = relay(&mut desk, &before, after)?;
                if after == before {
                    desk.roll_back(mark)?;
                } else {
                    publications.push(publication(&desk, before, after)?);
                }
            }
            if desk.mark() == 0 { Err(Abort::Nothing) } else { Ok(()) }
        });
        match done(written) {
            Ok(()) => self.publish(publications),
            // They are not reported again before the next start; the old digest goes on to do.
            Err(refused) => tracing::warn!(%refused, "digests are not renewed"),
        }
    }
}

/// A pepper of another store that was taken in, and for whom.
pub(super) struct Adopted {
    number: u16,
    actor: Actor,
}

impl Adopted {
    fn deed(&self, act: Act) -> (Actor, Deal) {
        (self.actor.clone(), Deal::of_store(act, format!("pepper {}", self.number)))
    }
}

/// The peppers that an operation brings along.
fn foreign_peppers(operation: &Operation) -> impl Iterator<Item = &Key> {
    let versions = match operation {
        Operation::Create { versions, .. } => versions.as_slice(),
        Operation::Add { .. }
        | Operation::Change { .. }
        | Operation::Rotate { .. }
        | Operation::Issue { .. }
        | Operation::Delete { .. } => &[],
    };
    versions.iter().filter_map(|version| match &version.known {
        Known::Digest { pepper, .. } => Some(pepper),
        Known::Secret(_) => None,
    })
}

/// The entry with everything that can be opened sealed and digested anew.
fn renewed(keys: &Keys, entry: &Entry) -> Result<Entry, Damaged> {
    let mut after = entry.clone();
    let Some(rule) = entry.resource().secret() else { return Ok(after) };
    let (newest, pepper) = (keys.sealer.newest(), keys.keyring.newest_pepper());
    for version in &mut after.versions {
        let Some(secret) = keys.open(entry, version)? else { continue };
        if version.digest.pepper != pepper {
            let inner = (rule.check)(&secret).map_err(|_| Damaged("a sealed secret has lost its form"))?;
            version.digest = keys.digest(inner.as_ref().unwrap_or(&secret).expose());
        }
        if version.sealed.as_ref().is_some_and(|sealed| sealed.key != newest) {
            version.sealed = Some(keys.seal(entry, version.number, &secret));
        }
    }
    Ok(after)
}

/// Lays an entry down again that has not changed for anyone but us: its revision stays. Where another has the same
/// secret, which a digest under the pepper of another store did not tell, the old digest stays too: nobody's place is
/// taken.
fn relay(desk: &mut Desk<'_>, before: &Entry, mut after: Entry) -> Result<Entry, redb::Error> {
    for (place, old) in before.versions.iter().enumerate() {
        let new = &after.versions[place];
        if old.digest == new.digest {
            continue;
        }
        match link::tie_version(desk, &after, new) {
            Ok(()) => link::untie_version(desk, before, old)?,
            Err(Stop::Refused(_)) => after.versions[place].digest = old.digest,
            Err(Stop::Broken(error)) => return Err(error),
        }
    }
    desk.put_entry(&after)?;
    Ok(after)
}

fn publication(desk: &Desk<'_>, before: Entry, after: Entry) -> Result<Publication, redb::Error> {
    let above = Aboves::default().of(desk, &after)?;
    Ok(Publication { effect: Effect { before: Some(before), after: Some(after) }, above })
}

fn done(written: Result<Result<(), Abort>, super::engine::Failed>) -> Result<(), Refused> {
    match written {
        Ok(Ok(()) | Err(Abort::Nothing)) => Ok(()),
        Ok(Err(Abort::Broken(error))) => Err(unavailable(&error.into())),
        Err(failed) => Err(unavailable(&failed)),
    }
}
