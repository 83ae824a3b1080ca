//! Whether anything slows down who guesses, and whether limits refuse at all.

use super::{Scene, listed};
use crate::config::check::guard::is_guard;
use crate::config::file;
use crate::config::report::Report;
use crate::config::rules;
use crate::invalid::Invalid;
use crate::world::Destination;

/// Kinds whose secrets people choose, and whose identifiers are public.
const CHOSEN: [&str; 2] = ["basic", "account_key"];
/// Kinds whose whole credential is one key.
const KEYS: [&str; 6] = ["lkey", "apikey", "opaque", "acc", "si", "key"];

/// Routes without a guard that refuses.
pub(super) fn unguarded(scene: &Scene<'_>, report: &mut Report) {
    for (written, meant) in &scene.routes {
        if is_guarded(written, scene) {
            continue;
        }
        let name = &written.name.value;
        let of = |kinds: &[&str]| {
            let names = meant.meant.authenticate.schemes().filter(|name| kinds.contains(&scene.kind(name)));
            listed(names)
        };
        let (chosen, keys) = (of(&CHOSEN), of(&KEYS));
        let proves = matches!(meant.meant.destination, Destination::Endpoint(entry) if entry.proves);
        if proves {
            let message = "wrong log-ins are not counted here: a rate alone lets whoever has many addresses go on";
            report.find(rules::UNGUARDED_SECRET.on(name), written.name.place.clone(), Invalid::new(message));
        } else if !chosen.is_empty() {
            let invalid = Invalid::new(format!("nothing slows down who guesses secrets of {chosen} here"));
            report.find(rules::UNGUARDED_SECRET.on(name), written.authenticate.place.clone(), invalid);
        } else if !keys.is_empty() {
            let invalid = Invalid::new(format!("nothing slows down who tries keys of {keys} here"));
            report.find(rules::UNGUARDED_KEY.on(name), written.authenticate.place.clone(), invalid);
        }
    }
}

fn is_guarded(written: &file::Route, scene: &Scene<'_>) -> bool {
    let names = written.limits.as_ref().map(|limits| &limits.value[..]).unwrap_or_default();
    let refuses = |named: &file::Named<file::Limit>| {
        is_guard(named) && named.table.as_ref().is_some_and(|table| table.log_only != Some(true))
    };
    let limits = &scene.file.limits;
    names.iter().any(|name| limits.iter().any(|named| named.name.value == name.value && refuses(named)))
}

/// Limits that only look on.
pub(super) fn log_only(scene: &Scene<'_>, report: &mut Report) {
    for named in &scene.file.limits {
        if named.table.as_ref().is_some_and(|table| table.log_only == Some(true)) {
            let invalid = Invalid::new(format!("the limit `{}` refuses nothing", named.name.value));
            report.find(&rules::LOG_ONLY, named.name.place.clone(), invalid);
        }
    }
}
