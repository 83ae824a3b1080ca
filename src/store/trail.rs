//! The audit trail: who changed what and when, in the same transaction as the change. It only grows, and each deed is
//! chained to the one before it under a key of the store, so that none can be altered or left out unnoticed.

use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use super::audit_chain::{Chain, Link};
use super::entry::Entry;
use super::shelf::{Damaged, Desk, Shelf, corrupt};
use crate::clock::UnixTime;

/// Where the head of the chain lies: its sequence and its link.
const HEAD: &[u8] = b"trail head";

/// What somebody did in one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deed {
    /// Counted from 1, without gaps.
    pub sequence: u64,
    /// When.
    pub at: UnixTime,
    /// Who: `operator:ops`, `token:alice`, `local:0`, or the subject of a caller.
    pub actor: String,
    /// What.
    pub changes: Vec<Deal>,
    /// The link of the chain, in hex.
    pub link: String,
}

/// What was done to one entry, or to the store itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deal {
    /// What was done.
    pub action: Act,
    /// To what: a resource, `store` or `failures`.
    pub resource: String,
    /// Its id.
    pub id: String,
    /// The keys of the document that were written, for a change.
    pub fields: Vec<String>,
}

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Made.
    Create,
    /// Changed.
    Change,
    /// Given a new secret or a successor.
    Rotate,
    /// Taken away.
    Delete,
    /// The store was given a new master key.
    Rekey,
    /// The store was given a new pepper.
    AddPepper,
    /// A pepper is no longer used.
    RetirePepper,
    /// What was counted of wrong credentials was taken back.
    ClearFailures,
}

impl Deal {
    pub(super) fn of(action: Act, entry: &Entry, fields: Vec<String>) -> Self {
        Self { action, resource: entry.resource().name().to_owned(), id: entry.id.clone(), fields }
    }

    pub(super) fn of_store(action: Act, what: String) -> Self {
        Self { action, resource: "store".to_owned(), id: what, fields: Vec::new() }
    }
}

/// Writes down that wrong credentials were forgiven: those of an address, or of everybody. Of an identifier it says only
/// that there was one: what callers send in its place may be a secret.
pub(super) fn cleared(address: Option<std::net::IpAddr>, identifier: bool) -> Deal {
    let id = address.map_or_else(|| "everywhere".to_owned(), |address| address.to_string());
    let fields = if identifier { vec!["identifier".to_owned()] } else { Vec::new() };
    Deal { action: Act::ClearFailures, resource: "failures".to_owned(), id, fields }
}

/// What lies in the table, before the link.
#[derive(Serialize, Deserialize)]
struct Row {
    sequence: u64,
    at: UnixTime,
    actor: String,
    changes: Vec<Deal>,
}

/// The last deed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    sequence: u64,
    link: [u8; 32],
}

/// What a walk along the whole trail found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trail {
    /// How many deeds there are.
    pub deeds: u64,
    /// The link of the last one, in hex: written down elsewhere, it proves later that nothing was cut off.
    pub head: String,
    /// The first sequence at which the chain does not hold.
    pub broken_at: Option<u64>,
}

/// Writes a deed down. A request that changed nothing leaves none.
pub(super) fn append(desk: &mut Desk<'_>, at: UnixTime, actor: &str, changes: Vec<Deal>) -> Result<(), redb::Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let head = match desk.get(Shelf::Meta, HEAD)? {
        None => Head { sequence: 0, link: Link::ORIGIN.0 },
        Some(bytes) => {
            postcard::from_bytes(&bytes).map_err(|_| corrupt(Damaged("the head of the trail cannot be read")))?
        }
    };
    let row = Row { sequence: head.sequence + 1, at, actor: actor.to_owned(), changes };
    let mut body = postcard::to_stdvec(&row).expect("deeds are plain values");
    let link = desk.keys().chain.next(&Link(head.link), &body);
    body.extend_from_slice(&link.0);
    let head = Head { sequence: row.sequence, link: link.0 };
    desk.set(Shelf::Trail, &row.sequence.to_be_bytes(), Some(&body))?;
    desk.set(Shelf::Meta, HEAD, Some(&postcard::to_stdvec(&head).expect("a head is plain values")))
}

/// The deeds after a sequence.
pub(super) fn list(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    after: u64,
    most: usize,
) -> Result<Vec<Deed>, redb::Error> {
    let Some(first) = after.checked_add(1) else { return Ok(Vec::new()) };
    let mut deeds = Vec::new();
    for row in table.range::<&[u8]>(first.to_be_bytes().as_slice()..)?.take(most) {
        let (_, value) = row?;
        let (row, link, _) = read(value.value()).map_err(corrupt)?;
        deeds.push(Deed {
            sequence: row.sequence,
            at: row.at,
            actor: row.actor,
            changes: row.changes,
            link: data_encoding::HEXLOWER.encode(&link.0),
        });
    }
    Ok(deeds)
}

/// Walks along the whole chain.
pub(super) fn verify(
    trail: &impl ReadableTable<&'static [u8], &'static [u8]>,
    meta: &impl ReadableTable<&'static [u8], &'static [u8]>,
    chain: &Chain,
) -> Result<Trail, redb::Error> {
    let mut link = Link::ORIGIN;
    let mut deeds = 0;
    let mut broken_at = None;
    for row in trail.iter()? {
        let (key, value) = row?;
        deeds += 1;
        let next = read(value.value()).ok().and_then(|(row, stated, body)| {
            let follows = row.sequence == deeds && key.value() == deeds.to_be_bytes();
            let next = chain.next(&link, body);
            (follows && next.equals(&stated)).then_some(next)
        });
        let Some(next) = next else {
            broken_at = Some(deeds);
            break;
        };
        link = next;
    }
    let head: Option<Head> = meta.get(HEAD)?.and_then(|bytes| postcard::from_bytes(bytes.value()).ok());
    let stated = head.unwrap_or(Head { sequence: 0, link: Link::ORIGIN.0 });
    if broken_at.is_none() && (stated.sequence != deeds || !Link(stated.link).equals(&link)) {
        broken_at = Some(deeds + 1);
    }
    Ok(Trail { deeds, head: data_encoding::HEXLOWER.encode(&link.0), broken_at })
}

fn read(bytes: &[u8]) -> Result<(Row, Link, &[u8]), Damaged> {
    let (body, link) = bytes.split_last_chunk::<32>().ok_or(Damaged("a deed is too short"))?;
    let row = postcard::from_bytes(body).map_err(|_| Damaged("a deed cannot be read"))?;
    Ok((row, Link(*link), body))
}
