//! The plan of the house, held against the code: imports point backward along the walk.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of the corridor, in walking order: each may use those before it.
const CORRIDOR: [&str; 9] =
    ["edge", "route", "scheme", "authenticate", "authorize", "limit", "forward", "reply", "envelope"];
/// Anyone may stand on these, and they stand on nothing else.
const GROUND: [&str; 15] = [
    "background",
    "clock",
    "counted",
    "deadline",
    "heartbeat",
    "invalid",
    "kept",
    "key_set",
    "once",
    "public_key",
    "record",
    "refusal",
    "scan",
    "secret",
    "units",
];
/// These compose, and know every room.
const COMPOSERS: [&str; 6] = ["cli", "run", "world", "gateway", "config/check", "fuzz"];

/// What a file outside the composers may use, besides its own room.
fn allowed(room: &str) -> BTreeSet<&'static str> {
    let mut allowed: BTreeSet<_> = GROUND.into();
    match room {
        // What a credential looks like is the business of its scheme, also when it is put on file.
        // What quotas want written down is said where they are counted.
        "store" => allowed.extend(["scheme", "limit"]),
        // A listener of its own over the store; the corridor knows nothing of it.
        "admin" => allowed.extend(["edge", "limit", "store", "telemetry"]),
        // Beside `forward`, over the store: who is served there was proven, permitted and admitted before.
        "endpoint" => allowed.extend(CORRIDOR.into_iter().take(7).chain(["store"])),
        // What is known of a request is told from every room; nothing is decided there.
        "telemetry" => allowed.extend(CORRIDOR),
        // As written: names of things, before anything is built from them.
        "config" => allowed.extend(CORRIDOR.into_iter().chain(["telemetry", "world", "store", "admin", "endpoint"])),
        _ => match CORRIDOR.iter().position(|own| *own == room) {
            Some(place) => allowed.extend(&CORRIDOR[..place]),
            None => assert!(
                GROUND.contains(&room),
                "{room} has no place in the plan: give it one here and in ARCHITECTURE.md"
            ),
        },
    }
    allowed
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder exists") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The rooms that a file names as `crate::room`, outside comments.
fn used(text: &str) -> BTreeSet<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.match_indices("crate::").map(|(at, _)| &line[at + 7..]).collect::<Vec<_>>())
        .map(|rest| rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect())
        .collect()
}

fn every_source() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let relative = |path: &PathBuf| path.strip_prefix(&root).expect("below src").to_string_lossy().replace('\\', "/");
    sources(&root).iter().map(|path| (relative(path), fs::read_to_string(path).expect("readable"))).collect()
}

#[test]
fn imports_point_backward_along_the_walk() {
    let mut wrong = Vec::new();
    for (path, text) in every_source() {
        if path == "main.rs" || path == "lib.rs" || COMPOSERS.iter().any(|composer| path.starts_with(composer)) {
            continue;
        }
        let room = path.split(['/', '.']).next().expect("a path has a first part").to_owned();
        let allowed = allowed(&room);
        for other in used(&text) {
            if other != room && !allowed.contains(other.as_str()) {
                wrong.push(format!("src/{path} uses crate::{other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rooms_that_decide_know_no_runtime_and_no_wire() {
    for (path, text) in every_source() {
        if ["scheme/", "authenticate/", "authorize/"].iter().any(|room| path.starts_with(room)) {
            for foreign in ["tokio", "hyper"] {
                let names = text.lines().any(|line| line.trim_start().starts_with(&format!("use {foreign}")))
                    || text.contains(&format!(" {foreign}::"));
                assert!(!names, "src/{path} names {foreign}");
            }
        }
    }
}

/// The files that are compiled for tests alone, by their path without an end: `store/engine/power_cut`.
fn only_for_tests(sources: &[(String, String)]) -> BTreeSet<String> {
    let declared = |(path, text): &(String, String)| {
        let folder = path.strip_suffix("mod.rs").map_or_else(|| path.replace(".rs", "/"), str::to_owned);
        let after = text.split("#[cfg(test)]\n").skip(1);
        let names = after.filter_map(|rest| rest.lines().next()?.rsplit("mod ").next()?.strip_suffix(';'));
        names.map(|name| format!("{folder}{name}")).collect::<Vec<_>>()
    };
    sources.iter().flat_map(declared).collect()
}

#[test]
fn no_file_outgrows_its_reader() {
    let sources = every_source();
    let tests = only_for_tests(&sources);
    let mut lengths = Vec::new();
    for (path, text) in sources {
        if tests.contains(path.trim_end_matches(".rs")) {
            continue;
        }
        let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
        assert!(lines <= 400, "src/{path} has {lines} lines before its tests");
        lengths.push(lines);
    }
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median <= 120, "half of the files have more than {median} lines");
}
