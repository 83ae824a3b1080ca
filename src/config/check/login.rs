//! `[endpoint.token]`, as meant, and what a route to an endpoint that proves its callers itself must have.

use std::time::Duration;

use super::guard::is_guard;
use crate::config::file::{Answered, File, Limit, Named, Placed, Route};
use crate::config::report::Report;
use crate::config::source::Source;
use crate::endpoint::Settings;
use crate::endpoint::token::{LIFETIME, Outfit, Pair, TOKENS};
use crate::invalid::Invalid;
use crate::limit::Per;
use crate::secret::SecretSource;

/// One, and another while that takes its place: each costs every login its work.
const MOST_PAIRS: usize = 2;
/// The most tokens of a user: all of them are looked at with every login.
const MOST_TOKENS: u16 = 1024;
/// The longest life of a token.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// What the endpoint `token` was told; `None` where it has no pair.
pub(super) fn login(written: Option<&Placed<Settings>>, source: &Source, report: &mut Report) -> Option<Outfit> {
    let written = written?;
    let told = &written.value.token;
    let mut wrong = |invalid| report.error(written.place.clone(), invalid);
    if told.keys.len() > MOST_PAIRS {
        wrong(Invalid::new("`token` has two keys at most").hint("the one that is in use, and the one that comes next"));
    }
    let lifetime = told.lifetime.map_or(LIFETIME, |span| span.0);
    if lifetime < Duration::from_secs(2) || lifetime > LONGEST {
        wrong(Invalid::new("the `lifetime` of a token is 2 seconds to 366 days").hint("leave it out for 14 days"));
    }
    let tokens = told.tokens.unwrap_or(TOKENS);
    if !(1..=MOST_TOKENS).contains(&tokens) {
        wrong(Invalid::new(format!("a user has 1 to {MOST_TOKENS} `tokens`")));
    }
    let mut pairs = Vec::new();
    for own in &told.keys {
        let key = Placed::new(own.key.get_ref().clone(), own.key.span());
        let read = source.secret(&key.value).map_err(|invalid| match &key.value {
            SecretSource::File(path) if !source.path(path).exists() => {
                invalid.hint(format!("vidgate multicam key new {} makes it", path.display()))
            }
            SecretSource::File(_) | SecretSource::Env(_) | SecretSource::Literal(_) => invalid,
        });
        let pem = match read {
            Ok(_) => super::secret(&key, source, report),
            Err(invalid) => {
                report.error(key.place.clone(), invalid);
                None
            }
        };
        let Some(pem) = pem else { continue };
        match Pair::read(pem.expose(), own.oaep) {
            Ok(pair) => pairs.push(pair),
            Err(invalid) => report.error(key.place, invalid),
        }
    }
    (!pairs.is_empty()).then(|| Outfit { pairs: pairs.into(), lifetime, tokens })
}

/// Whether a route to such an endpoint has a key to open with, and something that slows down who guesses.
pub(super) fn held_back(written: &Placed<Answered>, route: &Route, file: &File, report: &mut Report) {
    let Answered(entry) = written.value;
    if file.endpoint.as_ref().is_none_or(|told| told.value.token.keys.is_empty()) {
        let invalid =
            Invalid::new(format!("the endpoint `{}` has no key that it could open anything with", entry.name)).hint(
                "make one: vidgate multicam key new multicam.key; then add [endpoint.token] with keys = [{ key = \
                 { file = \"multicam.key\" } }]",
            );
        report.error(written.place.clone(), invalid);
    }
    let names = route.limits.as_ref().map(|limits| &limits.value[..]).unwrap_or_default();
    let listed = |named: &&Named<Limit>| names.iter().any(|name| name.value == named.name.value);
    if !file.limits.iter().filter(listed).any(slows_guessing) {
        let invalid = Invalid::new(format!("anyone may guess at `{}` as often as they like", entry.name)).hint(
            "list a guard in `limits`, such as [limit.guessing] with failures = 10; or a limit with rate = \"10/1m\" and \
             per = \"address\"",
        );
        report.error(written.place.clone(), invalid);
    }
}

/// Whether a limit counts wrong credentials, or what comes from one address in a short time, and refuses.
fn slows_guessing(named: &Named<Limit>) -> bool {
    // One whose own table is wrong has been spoken of.
    let Some(limit) = &named.table else { return true };
    let by_address = limit.per.as_ref().is_some_and(|per| per.value == Per::Address);
    limit.log_only != Some(true) && (is_guard(named) || limit.rate.is_some() && by_address)
}
