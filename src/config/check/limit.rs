//! `[limit.<name>]`, as meant, and which of them hold on a route.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use super::guard::is_guard;
use super::{plain_name, position};
use crate::authenticate::Expression;
use crate::config::file::{self, File, Limit, Named, Placed, Route};
use crate::config::nearest;
use crate::config::report::Report;
use crate::config::rules;
use crate::invalid::Invalid;
use crate::limit::window::Period;
use crate::limit::{Concurrency, MOST_OF_A_ROUTE, Measure, Per, Policy, PolicyId, Quota, Rate};
use crate::units::Span;

/// The largest number that a header field can carry (RFC 9651 §3.3.1).
const LARGEST: u64 = 999_999_999_999_999;
/// The longest period of a rate. Beyond it a rate says little of what happens now.
const LONGEST: Duration = Duration::from_hours(24);

/// Every limit, by name, as far as it is right.
pub(super) fn policies(file: &File, report: &mut Report) -> Vec<Policy> {
    let mut policies: Vec<Policy> = Vec::new();
    for named in &file.limits {
        plain_name(&named.name, &[], report);
        let Some(table) = &named.table else { continue };
        let Some(policy) = policy(&named.name, table, report) else { continue };
        if let (Some(quota), None, false) = (&table.quota, &file.store, policy.log_only) {
            let invalid = Invalid::new("there is no store: with every start, this quota begins anew")
                .hint("add [store] to keep it over restarts");
            report.find(&rules::QUOTA_WITHOUT_STORE, quota.place.clone(), invalid);
        }
        policies.push(policy);
    }
    policies.sort_by(|one, next| one.name.cmp(&next.name));
    policies
}

fn policy(name: &Placed<String>, table: &Limit, report: &mut Report) -> Option<Policy> {
    let mut places = Vec::new();
    let rate = table.rate.as_ref().map(|written| {
        places.push(written.place.clone());
        rate(written, table.burst.as_ref(), report).map(Measure::Rate)
    });
    let quota = table.quota.as_ref().map(|written| {
        places.push(written.place.clone());
        quota(written, report).map(Measure::Quota)
    });
    let concurrency = table.concurrency.as_ref().map(|written| {
        places.push(written.place.clone());
        count(written, report).map(|most| Measure::Concurrency(Concurrency { most }))
    });
    places.extend(table.failures.as_ref().map(|written| written.place.clone()));
    if let (Some(burst), None) = (&table.burst, &table.rate) {
        let invalid = Invalid::new("`burst` belongs to a rate").hint("add rate = \"50/1s\", or leave it out");
        report.error(burst.place.clone(), invalid);
    }
    match &places[..] {
        [] => {
            let invalid = Invalid::new(format!("the limit `{}` counts nothing", name.value))
                .hint("write rate = \"50/1s\", quota = \"100000/hour\", concurrency = 4 or failures = 10");
            report.error(name.place.clone(), invalid);
        }
        [_] => {}
        [first, .., last] => {
            let invalid = Invalid::new("a limit counts one thing").hint("make another [limit.<name>] for this");
            report.conflict(last.clone(), invalid, first.clone(), "it counts this already");
        }
    }
    Some(Policy {
        name: name.value.as_str().into(),
        measure: rate.or(quota).or(concurrency)??,
        per: table.per.as_ref().map_or(Per::Account, |per| per.value),
        log_only: table.log_only.unwrap_or(false),
    })
}

/// `50/1s`.
fn rate(written: &Placed<String>, burst: Option<&Placed<u64>>, report: &mut Report) -> Option<Rate> {
    let burst = burst.map(|burst| count(burst, report));
    let read = || {
        let wrong = || Invalid::new(format!("`{}` is not a rate", written.value)).hint("write it as \"50/1s\"");
        let (count, period) = written.value.split_once('/').ok_or_else(wrong)?;
        if Period::ALL.iter().any(|window| window.name() == period) {
            return Err(wrong().hint(format!("write quota = \"{}\", which counts by the clock", written.value)));
        }
        let period: Span = period.parse().map_err(|_| wrong())?;
        if period.0 > LONGEST {
            return Err(Invalid::new("a rate is over a day at most").hint("for longer times, write a quota"));
        }
        let count: u64 = count.trim().parse().map_err(|_| wrong())?;
        Ok((positive(count)?, period.0))
    };
    match read() {
        Ok((count, period)) => Some(Rate { count, period, burst: burst.unwrap_or(Some(count))? }),
        Err(invalid) => {
            report.error(written.place.clone(), invalid);
            None
        }
    }
}

/// `100000/hour`.
fn quota(written: &Placed<String>, report: &mut Report) -> Option<Quota> {
    let read = || {
        let wrong = || Invalid::new(format!("`{}` is not a quota", written.value)).hint("write it as \"100000/hour\"");
        let (cap, word) = written.value.split_once('/').ok_or_else(wrong)?;
        let period = Period::ALL.into_iter().find(|period| period.name() == word).ok_or_else(|| {
            let mut invalid = Invalid::new(format!("`{word}` is no window of the clock"));
            invalid.hint = nearest::hint(word, Period::ALL.iter().map(|period| period.name()));
            invalid
        })?;
        let cap: u64 = cap.trim().parse().map_err(|_| wrong())?;
        let cap = NonZeroU64::new(cap).ok_or_else(nothing)?;
        if cap.get() > LARGEST {
            return Err(Invalid::new(format!("a quota is {LARGEST} at most")));
        }
        Ok(Quota { cap, period })
    };
    read().map_err(|invalid| report.error(written.place.clone(), invalid)).ok()
}

pub(super) fn count(written: &Placed<u64>, report: &mut Report) -> Option<NonZeroU32> {
    positive(written.value).map_err(|invalid| report.error(written.place.clone(), invalid)).ok()
}

fn positive(count: u64) -> Result<NonZeroU32, Invalid> {
    let count = u32::try_from(count).map_err(|_| Invalid::new(format!("this is {} at most", u32::MAX)))?;
    NonZeroU32::new(count).ok_or_else(nothing)
}

fn nothing() -> Invalid {
    Invalid::new("a limit of 0 would refuse everything").hint("leave the route out instead")
}

/// The limits of a route, by their places among all of them. Without the expression, nobody knows yet who is counted.
pub(super) fn of_route(
    route: &Route,
    authenticate: Option<&Expression>,
    (file, policies): (&File, &[Policy]),
    report: &mut Report,
) -> Vec<PolicyId> {
    let Some(written) = &route.limits else { return Vec::new() };
    let mut limits = Vec::new();
    for (at, name) in written.value.iter().enumerate() {
        let Some(limit) = position("limit", name, &file.limits, report) else { continue };
        if written.value[..at].iter().any(|before| before.value == name.value) {
            report.error(name.place.clone(), Invalid::new(format!("`{}` holds here already", name.value)));
            continue;
        }
        if let Some(authenticate) = authenticate.filter(|_| !is_guard(&file.limits[limit])) {
            counts_somebody(name, &file.limits[limit], authenticate, file, report);
        }
        // One whose own table is wrong has no place, and has been spoken of.
        limits.extend(policies.iter().position(|policy| *policy.name == *name.value).map(PolicyId));
    }
    limits.sort_unstable();
    if written.value.len() > MOST_OF_A_ROUTE {
        let invalid = Invalid::new(format!("a route has {MOST_OF_A_ROUTE} limits at most"));
        report.error(written.place.clone(), invalid);
    }
    limits
}

/// A limit on something that no caller of the route ever has is a mistake. Where some have it, the others are counted by
/// the next more general thing that they have.
fn counts_somebody(
    name: &Placed<String>,
    limit: &Named<Limit>,
    authenticate: &Expression,
    file: &File,
    report: &mut Report,
) {
    let Some(limit) = &limit.table else { return };
    let per = limit.per.as_ref().map_or(Per::Account, |per| per.value);
    let schemes: Vec<&Named<file::Scheme>> =
        authenticate.schemes().filter_map(|used| file.schemes.iter().find(|named| named.name.value == used)).collect();
    // What a broken scheme would prove is not known.
    let has = schemes.iter().any(|named| named.table.as_ref().is_none_or(|table| proves(table.kind.kind, per)));
    if has || matches!(per, Per::Address | Per::Route) {
        return;
    }
    let (what, instead) = match per {
        Per::Camera => ("camera", "write per = \"credential\", or name a scheme that proves one: acc"),
        Per::User => ("user", "write per = \"credential\", or name a scheme that proves one: opaque"),
        Per::Account | Per::Credential | Per::Address | Per::Route => {
            ("account or credential", "write per = \"address\" or per = \"route\"")
        }
    };
    let invalid = Invalid::new(format!("nobody who uses this route is known by {what}, which `{}` counts", name.value))
        .hint(instead);
    report.error(name.place.clone(), invalid);
}

/// Whether a scheme of this kind tells who that is.
fn proves(kind: &str, per: Per) -> bool {
    match per {
        Per::Account | Per::Credential => kind != "ip",
        Per::Camera => kind == "acc",
        Per::User => kind == "opaque",
        Per::Address | Per::Route => true,
    }
}

/// Warns of limits that hold nowhere.
pub(super) fn unused(file: &File, used: impl Fn(PolicyId) -> bool, policies: &[Policy], report: &mut Report) {
    for named in &file.limits {
        let at = policies.iter().position(|policy| *policy.name == *named.name.value);
        if at.is_some_and(|at| !used(PolicyId(at))) {
            let invalid = Invalid::new(format!("no route has the limit `{}`", named.name.value));
            report.find(&rules::UNUSED_LIMIT, named.name.place.clone(), invalid);
        }
    }
}
