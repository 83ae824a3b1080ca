//! Idempotency keys: a request that is sent again with the same key gets the answer that it got, secrets among it, and
//! is not done twice. Answers are kept for a day, sealed.

use serde::{Deserialize, Serialize};

use super::keys::Keys;
use super::link::Stop;
use super::refused::Refused;
use super::seal::{Place, Sealed};
use super::shelf::{Damaged, Desk, Shelf, corrupt};
use super::{Answer, Idempotency, Outcome, Resource};
use crate::clock::UnixTime;
use crate::secret::Secret;

/// How long an answer is kept, in seconds.
const KEPT: u64 = 24 * 60 * 60;
/// How many answers are looked at in one sweep.
const SWEEP: usize = 10_000;
/// How many are sealed anew in one transaction: that of a thousand changes may be a megabyte.
const RESEALED: usize = 100;

/// An answer as it lies in the store.
#[derive(Serialize, Deserialize)]
struct Row {
    at: UnixTime,
    fingerprint: [u8; 32],
    answer: Sealed,
}

/// One outcome as it is kept. The document is JSON: its shape is nobody's business here.
#[derive(Serialize, Deserialize)]
struct Kept {
    resource: String,
    id: String,
    revision: u64,
    document: String,
    secret: Option<Vec<u8>>,
}

/// The answer that this key got before, if any.
pub(super) fn recall(desk: &Desk<'_>, actor: &str, asked: &Idempotency, now: UnixTime) -> Result<Option<Answer>, Stop> {
    let key = row_key(actor, &asked.key);
    let Some(bytes) = desk.get(Shelf::Replays, &key)? else { return Ok(None) };
    let row: Row = postcard::from_bytes(&bytes).map_err(|_| corrupt(UNREADABLE))?;
    if now.0 >= row.at.0.saturating_add(KEPT) {
        return Ok(None);
    }
    if row.fingerprint != asked.fingerprint {
        return Err(Refused::Reused.into());
    }
    let opened = desk.keys().sealer.open(place(&asked.key), &row.answer).map_err(|_| corrupt(UNREADABLE))?;
    let kept: Vec<Kept> = postcard::from_bytes(opened.expose()).map_err(|_| corrupt(UNREADABLE))?;
    let outcomes = kept.into_iter().map(Kept::outcome).collect::<Option<_>>().ok_or_else(|| corrupt(UNREADABLE))?;
    Ok(Some(Answer { outcomes, replayed: true }))
}

/// Keeps an answer.
pub(super) fn keep(
    desk: &mut Desk<'_>,
    actor: &str,
    asked: &Idempotency,
    answer: &Answer,
    now: UnixTime,
) -> Result<(), redb::Error> {
    let kept: Vec<Kept> = answer.outcomes.iter().map(Kept::of).collect();
    let plain = Secret::new(postcard::to_stdvec(&kept).expect("outcomes are plain values"));
    let answer = desk.keys().sealer.seal(place(&asked.key), plain.expose());
    let row = Row { at: now, fingerprint: asked.fingerprint, answer };
    let bytes = postcard::to_stdvec(&row).expect("a kept answer is plain values");
    desk.set(Shelf::Replays, &row_key(actor, &asked.key), Some(&bytes))
}

/// Throws away what was kept long enough, from `after` on. Returns where to go on, if there is more.
pub(super) fn sweep(desk: &mut Desk<'_>, after: &[u8], now: UnixTime) -> Result<Option<Vec<u8>>, redb::Error> {
    let rows = desk.rows_after(Shelf::Replays, after, SWEEP)?;
    let more = (rows.len() == SWEEP).then(|| rows.last().map(|(key, _)| key.clone())).flatten();
    for (key, value) in rows {
        let row: Result<Row, _> = postcard::from_bytes(&value);
        if row.is_err() || row.is_ok_and(|row| now.0 >= row.at.0.saturating_add(KEPT)) {
            desk.set(Shelf::Replays, &key, None)?;
        }
    }
    Ok(more)
}

/// Seals kept answers anew, from `after` on, and throws away those that nobody could read any more. Returns where to go
/// on, if there is more.
pub(super) fn reseal(desk: &mut Desk<'_>, after: &[u8]) -> Result<Option<Vec<u8>>, redb::Error> {
    let rows = desk.rows_after(Shelf::Replays, after, RESEALED)?;
    let more = (rows.len() == RESEALED).then(|| rows.last().map(|(key, _)| key.clone())).flatten();
    for (key, value) in rows {
        let resealed = resealed(desk.keys(), &key, &value);
        desk.set(Shelf::Replays, &key, resealed.as_deref())?;
    }
    Ok(more)
}

fn resealed(keys: &Keys, key: &[u8], value: &[u8]) -> Option<Vec<u8>> {
    let mut row: Row = postcard::from_bytes(value).ok()?;
    let zero = key.iter().position(|byte| *byte == 0)?;
    let place = place(std::str::from_utf8(&key[zero + 1..]).ok()?);
    if row.answer.key != keys.sealer.newest() {
        let plain = keys.sealer.open(place, &row.answer).ok()?;
        row.answer = keys.sealer.seal(place, plain.expose());
    }
    Some(postcard::to_stdvec(&row).expect("a kept answer is plain values"))
}

const UNREADABLE: Damaged = Damaged("a kept answer cannot be read");

impl Kept {
    fn of(outcome: &Outcome) -> Self {
        Self {
            resource: outcome.resource.name().to_owned(),
            id: outcome.id.clone(),
            revision: outcome.revision,
            document: serde_json::to_string(&outcome.document).expect("documents are plain JSON"),
            secret: outcome.secret.as_ref().map(|secret| secret.expose().to_vec()),
        }
    }

    fn outcome(self) -> Option<Outcome> {
        Some(Outcome {
            resource: Resource::of_name(&self.resource)?,
            id: self.id,
            revision: self.revision,
            document: serde_json::from_str(&self.document).ok()?,
            secret: self.secret.map(Secret::new),
        })
    }
}

fn row_key(actor: &str, key: &str) -> Vec<u8> {
    [actor.as_bytes(), &[0], key.as_bytes()].concat()
}

fn place(key: &str) -> Place<'_> {
    Place { resource: "replay", entry: key, version: 0 }
}
