//! `[store]`, as meant. Its key is read with all else that the file names; the store itself is opened last, when nothing
//! else is wrong, and not a byte of it is written here.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::config::file::{self, Elsewhere, Placed};
use crate::config::report::Report;
use crate::config::rules;
use crate::config::source::Source;
use crate::invalid::Invalid;
use crate::store::{Master, MasterKey, Purpose, Settings, Sound, Unopened};
use crate::units::Size;

const CACHE: Size = Size::kib(32 * 1024);
const LEAST_CACHE: Size = Size::kib(1024);
const MOST_CACHE: Size = Size::kib(16 * 1024 * 1024);

/// A store that can be opened, as far as the file tells.
pub(super) struct Checked {
    settings: Settings,
    master: Master,
    path: Range<usize>,
    master_key: Range<usize>,
}

impl Checked {
    /// Where, and how it is run.
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }
}

/// A store that `vidgate store init` is to make.
#[derive(Debug)]
pub struct Unmade {
    /// Where, and how it is run.
    pub settings: Settings,
    /// Its master key; `None`: the file for it is missing.
    pub key: Option<MasterKey>,
    /// The file of the master key, unless that comes from the environment.
    pub key_file: Option<PathBuf>,
}

/// Reads the master key. `None`: the report says why.
pub(super) fn checked(written: &file::Store, source: &Source, report: &mut Report) -> Option<Checked> {
    let settings = settings(written, source, report);
    let key = master_key(&written.master_key, &settings.path, source, report)?;
    Some(Checked {
        settings,
        master: Master { key, file: key_file(&written.master_key.value, source) },
        path: written.path.place.clone(),
        master_key: written.master_key.place.clone(),
    })
}

/// Opens the store and reads it. `None`: the report says why.
pub(super) fn open(checked: Checked, purpose: Purpose, report: &mut Report) -> Option<Sound> {
    let Checked { settings, master, path, master_key } = checked;
    let unopened = match Sound::find(&settings, master, purpose) {
        Ok(sound) => return Some(sound),
        Err(unopened) => unopened,
    };
    if unopened.is_busy() && purpose == Purpose::Look {
        let invalid = Invalid::new("another vidgate has this store open, so that what is in it was not looked at");
        report.find(&rules::STORE_IN_USE, path, invalid);
        return None;
    }
    let place = if matches!(unopened, Unopened::MasterKey) { master_key } else { path };
    let mut invalid = Invalid::new(unopened.to_string());
    invalid.hint = if unopened.is_missing() {
        Some(format!("make it with: vidgate store init --config {}", report.name()).into())
    } else {
        unopened.remedy().map(Into::into)
    };
    report.error(place, invalid);
    None
}

/// The store that is to be made. `None`: the report says why.
pub(in crate::config) fn unmade(written: &file::Store, source: &Source, report: &mut Report) -> Option<Unmade> {
    let errors = report.errors();
    let settings = settings(written, source, report);
    let key_file = key_file(&written.master_key.value, source);
    let is_missing = key_file.as_ref().is_some_and(|file| !file.exists() && !file.is_symlink());
    let key = if is_missing { None } else { master_key(&written.master_key, &settings.path, source, report) };
    (report.errors() == errors).then_some(Unmade { settings, key, key_file })
}

fn settings(written: &file::Store, source: &Source, report: &mut Report) -> Settings {
    let cache = written.cache.as_ref().map_or(CACHE, |cache| cache.value);
    if let Some(cache) = written.cache.as_ref().filter(|cache| !(LEAST_CACHE..=MOST_CACHE).contains(&cache.value)) {
        report.error(cache.place.clone(), Invalid::new("the cache of a store is 1 MiB to 16 GiB"));
    }
    Settings { path: source.path(&written.path.value), cache: cache.bytes() }
}

/// Said of a master key that is not there though its store is: whoever makes another one has lost the store.
pub const PUT_BACK: &str = "put the copy of the master key back: the store that is there opens with no other";

fn master_key(written: &Placed<Elsewhere>, store: &Path, source: &Source, report: &mut Report) -> Option<MasterKey> {
    let origin = Placed::new(written.value.clone().into(), written.place.clone());
    let key = match source.secret(&origin.value) {
        Ok(text) => MasterKey::parse(text.expose()),
        Err(invalid) => Err(match &written.value {
            Elsewhere::File(path) if source.is_kept_from_us(path) => invalid,
            Elsewhere::File(_) => invalid.hint(format!("vidgate store init --config {} makes it", report.name())),
            Elsewhere::Env(_) => invalid.hint("`vidgate store key` prints a new key for it"),
        }),
    };
    // Where it is only kept from us, no other one is to take its place.
    let is_kept = matches!(&written.value, Elsewhere::File(path) if source.is_kept_from_us(path));
    let is_lost = !is_kept && (store.exists() || store.is_symlink());
    let key = key.map_err(|invalid| if is_lost { invalid.hint(PUT_BACK) } else { invalid });
    if let Elsewhere::File(path) = &written.value
        && let Some(exposed) = source.exposure(path)
    {
        report.find(&rules::READABLE_SECRET, written.place.clone(), exposed);
    }
    key.map_err(|invalid| report.error(written.place.clone(), invalid)).ok()
}

fn key_file(written: &Elsewhere, source: &Source) -> Option<PathBuf> {
    match written {
        Elsewhere::File(path) => Some(source.path(path)),
        Elsewhere::Env(_) => None,
    }
}

#[cfg(test)]
mod tests;
