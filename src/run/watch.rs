//! Watches the configuration file. It is looked at every now and then rather than by a notice of the system: that sees a
//! swapped link, a mount and a file that another one is moved over alike.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What tells one state of the file from another without reading it: its inode, its size, and when it was written.
type Mark = (u64, u64, i64, i64);

/// The file, as it was when it was last read.
#[derive(Debug)]
pub(super) struct Watch {
    path: PathBuf,
    /// As it was seen last.
    mark: Option<Mark>,
    /// Something was different then, and may not have come to rest.
    restless: bool,
    /// What stood in it when it was last found changed.
    content: Option<u64>,
}

impl Watch {
    /// The file as it is now.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), mark: mark(path), restless: false, content: content(path) }
    }

    /// Whether something else stands in it since, and nobody has written to it since the last look: an editor may need
    /// several steps. Said once for each change.
    pub(super) fn has_changed(&mut self) -> bool {
        let now = mark(&self.path);
        if now != self.mark {
            (self.mark, self.restless) = (now, true);
            return false;
        }
        if !std::mem::take(&mut self.restless) {
            return false;
        }
        // A file that is missing is most likely about to be replaced.
        let Some(content) = content(&self.path) else { return false };
        self.content.replace(content) != Some(content)
    }
}

fn mark(path: &Path) -> Option<Mark> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
}

fn content(path: &Path) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    fs::read(path).ok()?.hash(&mut hasher);
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_change_is_told_once_and_only_when_it_has_come_to_rest() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vidgate.toml");
        fs::write(&file, "one").unwrap();
        let mut watch = Watch::new(&file);
        assert!(!watch.has_changed() && !watch.has_changed());
        fs::write(&file, "two and").unwrap();
        assert!(!watch.has_changed(), "it may be written to still");
        fs::write(&file, "two and a half").unwrap();
        assert!(!watch.has_changed());
        assert!(watch.has_changed() && !watch.has_changed());
        fs::write(&file, "two and a half").unwrap();
        assert!(!watch.has_changed() && !watch.has_changed(), "the same stands in it");
        fs::remove_file(&file).unwrap();
        assert!(!watch.has_changed() && !watch.has_changed());
        fs::write(&file, "three").unwrap();
        assert!(!watch.has_changed() && watch.has_changed());
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, text) in [("first", "one"), ("second", "two")] {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join("vidgate.toml"), text).unwrap();
        }
        // As Kubernetes shows a ConfigMap.
        symlink("first", at("data")).unwrap();
        symlink("data/vidgate.toml", at("vidgate.toml")).unwrap();
        let mut watch = Watch::new(&at("vidgate.toml"));
        symlink("second", at("data.new")).unwrap();
        fs::rename(at("data.new"), at("data")).unwrap();
        assert!(!watch.has_changed() && watch.has_changed());
    }
}
