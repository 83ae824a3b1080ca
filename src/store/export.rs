//! An export: every entry as people write it, one JSON object a line, in an order in which each finds what it refers
//! to. What is known of secrets goes with it only under a lock. The first line says what the file is and how it is
//! locked.

use std::io::{BufWriter, Write};

use redb::ReadOnlyTable;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::Store;
use super::document;
use super::entry::{Entry, Version};
use super::given::{Form, Given, Known};
use super::keys::Keys;
use super::link::DEEPEST;
use super::passphrase::{Altered, Lock, LockHeader};
use super::pour::Spill;
use super::refused::{Fault, Refused};
use super::resource::Resource;
use super::shelf::{Damaged, Shelf, entry_key, need_key};

/// The number of this sort of file.
const FORMAT: u32 = 1;
/// The key of a line under which its secrets are sealed.
pub const SEALED: &str = "sealed";

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    vidgate_export: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lock: Option<LockHeader>,
}

/// What is sealed with an entry.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Versions {
    versions: Vec<Form>,
}

/// Reads the first line: how the file is locked, if it is.
pub fn read_head(line: &str) -> Result<Option<LockHeader>, Fault> {
    let head: Value = serde_json::from_str(line).unwrap_or_default();
    match head.get("vidgate_export").and_then(Value::as_u64) {
        None => return Err(Fault::new("", "this is no export: its first line has no `vidgate_export`")),
        Some(format) if format != u64::from(FORMAT) => {
            return Err(Fault::new("vidgate_export", "this export was made by another version of vidgate"));
        }
        Some(_) => {}
    }
    let head: Head = serde_path_to_error::deserialize(head).map_err(|error| Fault::of_serde(&error))?;
    Ok(head.lock)
}

/// Takes what is sealed out of the line of an entry, for the `versions` of a creation. None: nothing is.
pub fn unseal(line: &mut Map<String, Value>, resource: Resource, id: &str, lock: &Lock) -> Result<Vec<Given>, Fault> {
    let sealed = match line.remove(SEALED) {
        None => return Ok(Vec::new()),
        Some(Value::String(sealed)) => sealed,
        Some(_) => return Err(Fault::new(SEALED, "what is sealed is a string")),
    };
    let plain = lock
        .open_sealed(&aad(resource, id), &sealed)
        .map_err(|altered: Altered| Fault::new(SEALED, altered.to_string()))?;
    // Nothing of what serde says: it could repeat a secret.
    let senseless = || Fault::new(SEALED, "what is sealed here makes no sense");
    let read: Versions = serde_json::from_slice(plain.expose()).map_err(|_| senseless())?;
    read.versions.into_iter().map(|form| Given::of(form).map_err(|_| senseless())).collect()
}

fn aad(resource: Resource, id: &str) -> Vec<u8> {
    [resource.name().as_bytes(), &[0], id.as_bytes()].concat()
}

impl Store {
    /// Writes every entry out as it is at this moment, and says how many there are. Changes go on meanwhile. Without a
    /// lock, no secret goes with them.
    pub fn export(&self, lock: Option<&Lock>, sink: &mut dyn Write) -> Result<u64, Refused> {
        self.pour(|look, keys| {
            let entries = look.open_table(Shelf::Entries.definition())?;
            let needs = look.open_table(Shelf::Needs.definition())?;
            let out = BufWriter::new(sink);
            let mut export = Export { entries, needs, keys, lock, out, count: 0 };
            export.line(&Head { vidgate_export: FORMAT, lock: lock.map(|lock| lock.header().clone()) })?;
            export.accounts()?;
            export.others()?;
            export.out.flush()?;
            Ok(export.count)
        })
    }
}

/// An export that is being written.
struct Export<'a, 's> {
    entries: Table,
    needs: Table,
    keys: &'a Keys,
    lock: Option<&'a Lock>,
    out: BufWriter<&'s mut dyn Write>,
    count: u64,
}

type Table = ReadOnlyTable<&'static [u8], &'static [u8]>;

impl Export<'_, '_> {
    /// Every account, each after the one above it.
    fn accounts(&mut self) -> Result<(), Spill> {
        let mut accounts = 0;
        for row in self.entries.range::<&[u8]>([Resource::Account.code()].as_slice()..)? {
            let (key, row) = row?;
            if key.value().first() != Some(&Resource::Account.code()) {
                break;
            }
            accounts += 1;
            let entry = self.keys.read_entry(key.value(), row.value())?;
            if entry.body.references().is_empty() {
                self.family(&entry, 0)?;
            }
        }
        // Whoever is their own ancestor, or whose parent is missing, would be left out.
        if self.count == accounts { Ok(()) } else { Err(Damaged("an account has lost its parent").into()) }
    }

    /// An account, and all below it.
    fn family(&mut self, entry: &Entry, depth: usize) -> Result<(), Spill> {
        if depth > DEEPEST {
            return Err(Damaged("accounts are too deep").into());
        }
        self.entry(entry)?;
        let children = need_key(&entry_key(Resource::Account, &entry.id), Some(&[Resource::Account.code()]));
        for row in self.needs.range::<&[u8]>(children.as_slice()..)? {
            let (key, _) = row?;
            // The code of the resource is the first byte of the child's own key.
            let child = key.value().strip_prefix(&children[..children.len() - 1]);
            let Some(child) = child.filter(|child| child.first() == Some(&Resource::Account.code())) else { break };
            let row = self.entries.get(child)?.ok_or(Damaged("an account is missing"))?;
            let child = self.keys.read_entry(child, row.value())?;
            self.family(&child, depth + 1)?;
        }
        Ok(())
    }

    /// Everything but accounts: the numbers of resources are in the order in which they refer to each other.
    fn others(&mut self) -> Result<(), Spill> {
        for row in self.entries.range::<&[u8]>([Resource::Account.code() + 1].as_slice()..)? {
            let (key, row) = row?;
            let entry = self.keys.read_entry(key.value(), row.value())?;
            self.entry(&entry)?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), Spill> {
        let mut line = document::writable(entry);
        line.insert("resource".to_owned(), entry.resource().name().into());
        if let Some(lock) = self.lock.filter(|_| !entry.versions.is_empty()) {
            line.insert(SEALED.to_owned(), self.sealed(entry, lock)?.into());
        }
        self.count += 1;
        self.line(&line)
    }

    fn sealed(&self, entry: &Entry, lock: &Lock) -> Result<String, Spill> {
        let given = entry.versions.iter().map(|version| self.given(entry, version)).collect::<Result<Vec<_>, _>>()?;
        let versions = Versions { versions: given.iter().map(Given::to_form).collect() };
        // At its full length from the start: growing would leave secrets behind in the old memory.
        let mut plain = Zeroizing::new(Vec::with_capacity(given.iter().map(longest).sum::<usize>() + 64));
        serde_json::to_writer(&mut *plain, &versions).map_err(|_| Damaged("a secret is no text"))?;
        Ok(lock.seal(&aad(entry.resource(), &entry.id), &plain))
    }

    /// A version as another store can take it in.
    fn given(&self, entry: &Entry, version: &Version) -> Result<Given, Damaged> {
        let known = if let Some(secret) = self.keys.open(entry, version)? {
            Known::Secret(secret)
        } else {
            let pepper = self.keys.keyring.peppers().iter().find(|own| own.number == version.digest.pepper);
            let pepper = pepper.ok_or(Damaged("a digest is under a pepper that is gone"))?.key.clone();
            Known::Digest { pepper, digest: version.digest.digest }
        };
        Ok(Given { created: Some(version.created), expires: version.expires, known })
    }

    fn line(&mut self, line: &impl Serialize) -> Result<(), Spill> {
        serde_json::to_writer(&mut self.out, line).map_err(std::io::Error::from)?;
        Ok(self.out.write_all(b"\n")?)
    }
}

/// How long a version is in JSON, at most: each byte could be written as `\u0000`.
fn longest(given: &Given) -> usize {
    let secret = match &given.known {
        Known::Secret(secret) => secret.expose().len(),
        Known::Digest { .. } => 0,
    };
    256 + 6 * secret
}

#[cfg(test)]
mod tests;
