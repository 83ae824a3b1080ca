//! The parsers of the house as a fuzzer calls them (`tests/fuzz/`): each takes any bytes and panics where a promise is
//! broken. What each promises stands in the `fuzz.rs` of its room. The corpora are replayed with every run of the tests.

use crate::{config, edge, forward, scheme};

/// A target: its name, which is also that of its corpus, and what is called.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 16] = [
    ("access_token", scheme::access_token::fuzz::access_token),
    ("answer", forward::fuzz::answer),
    ("basic", scheme::fuzz::basic),
    ("chunks", forward::fuzz::chunks),
    ("config", config::fuzz::config),
    ("form_multipart", edge::fuzz::form_multipart),
    ("form_url_encoded", edge::fuzz::form_url_encoded),
    ("forwarded", edge::fuzz::forwarded),
    ("frames", forward::fuzz::frames),
    ("json", scheme::fuzz::json),
    ("jwt", scheme::fuzz::jwt),
    ("path", edge::fuzz::path),
    ("proxy_header", edge::fuzz::proxy_header),
    ("query", edge::fuzz::query),
    ("share_token", scheme::fuzz::share_token),
    ("signature", scheme::fuzz::signature),
];

/// Calls the target of this name.
pub fn call(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(own, _)| *own == name).expect("a target of this name");
    target(data);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    fn corpus(target: &str) -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
        let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    /// What stands in a corpus, with a piece of it cut out or said twice, and other bytes in a place.
    fn damaged() -> impl Strategy<Value = (Target, Vec<u8>)> {
        let change = (any::<[Index; 3]>(), proptest::collection::vec(any::<u8>(), 0..4), 0..3_usize, any::<bool>());
        let target = proptest::sample::select(&TARGETS[..]);
        (target, any::<Index>(), change).prop_map(|(target, file, ([from, to, at], bytes, instead, twice))| {
            let mut data = fs::read(file.get(&corpus(target.0))).unwrap();
            let [from, to] = [from, to].map(|index| index.index(data.len() + 1));
            let piece = data[from.min(to)..from.max(to)].repeat(usize::from(twice) * 2);
            data.splice(from.min(to)..from.max(to), piece);
            let at = at.index(data.len() + 1);
            data.splice(at..(at + instead).min(data.len()), bytes);
            (target, data)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_target_holds_close_to_its_corpus(((name, target), data) in damaged()) {
            let held = std::panic::catch_unwind(|| target(&data)).is_ok();
            prop_assert!(held, "{} on {:?}", name, String::from_utf8_lossy(&data));
        }
    }

    #[test]
    fn every_target_holds_on_its_whole_corpus() {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
        let folders = fs::read_dir(home.join("corpus")).unwrap().map(|entry| entry.unwrap().file_name());
        let corpora: BTreeSet<String> = folders.map(|name| name.into_string().unwrap()).collect();
        assert_eq!(corpora, TARGETS.map(|(name, _)| name.to_owned()).into());
        let mut broken = Vec::new();
        for (name, target) in TARGETS {
            for path in corpus(name) {
                let data = fs::read(&path).unwrap();
                if std::panic::catch_unwind(|| target(&data)).is_err() {
                    broken.push(path);
                }
            }
        }
        assert!(broken.is_empty(), "{broken:#?}");
    }
}
