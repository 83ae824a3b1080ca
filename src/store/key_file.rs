//! Files of master keys while a store is in use: one that an operator names, and one that waits beside the present one.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use zeroize::Zeroizing;

use super::engine::sync_folder;
use super::keyring::MasterKey;
use super::load::{next_key, replace_key};
use super::refused::Refused;

/// The longest file of a master key, in bytes.
const LONGEST: u64 = 4096;

/// The master key in a file that an operator named.
pub(super) fn read_key(file: &Path) -> Result<MasterKey, Refused> {
    let wrong = |said: String| Refused::invalid("key_file", format!("`{}` {said}", file.display()));
    let unread = |error: io::Error| wrong(format!("cannot be read: {error}"));
    // A pipe would keep all changes waiting, and some devices never end.
    if !fs::metadata(file).map_err(unread)?.is_file() {
        return Err(wrong("is not a file".to_owned()));
    }
    let mut text = Zeroizing::new(Vec::with_capacity(8192));
    fs::File::open(file).map_err(unread)?.take(LONGEST + 1).read_to_end(&mut text).map_err(unread)?;
    if text.len() as u64 > LONGEST {
        return Err(wrong("is too long to be a master key".to_owned()));
    }
    MasterKey::parse(&text).map_err(|invalid| Refused::invalid("key_file", invalid.message))
}

/// A new master key, kept beside the old one, on disk. No key is written over that the store may be sealed under.
pub(super) fn next_key_beside(file: &Path, in_use: &MasterKey) -> io::Result<MasterKey> {
    let path = next_key(file);
    let waiting = match fs::read(&path).map(Zeroizing::new) {
        Ok(text) => MasterKey::parse(&text).ok(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let key = match waiting {
        Some(key) if key.is(in_use) => {
            // The last change of the key could not be finished.
            replace_key(file)?;
            write_key(&path)?
        }
        // The disk refused a change to this one, and may have taken it all the same: it is the next one still.
        Some(key) => {
            fs::File::open(&path)?.sync_all()?;
            key
        }
        None => write_key(&path)?,
    };
    sync_folder(file)?;
    Ok(key)
}

fn write_key(path: &Path) -> io::Result<MasterKey> {
    let key = MasterKey::random();
    // What was left there is no key, and may be open to others.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut written = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    written.write_all(key.to_text().expose())?;
    written.write_all(b"\n")?;
    written.sync_all()?;
    Ok(key)
}

/// The refusal of a change for which no key could be written.
pub(super) fn not_written(error: &io::Error) -> Refused {
    Refused::Unavailable(format!("the new master key cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_new_key_is_for_its_owner_alone_whatever_lay_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let (file, next) = (folder.path().join("key"), next_key(&folder.path().join("key")));
        fs::write(&next, "half a key").unwrap();
        fs::set_permissions(&next, Permissions::from_mode(0o644)).unwrap();
        next_key_beside(&file, &MasterKey::random()).unwrap();
        assert_eq!(fs::metadata(&next).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
