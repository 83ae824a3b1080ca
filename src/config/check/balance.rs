//! How the endpoints of an upstream are used, as meant.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use http::HeaderValue;
use http::uri::{Authority, PathAndQuery};

use crate::config::file::{self, Host, HostWord, Placed};
use crate::config::report::Report;
use crate::forward::policy::{Ejection, Health, Policy, Queue, Retry, Room, Sign, Signs};
use crate::forward::upstream::HostPolicy;
use crate::invalid::Invalid;
use crate::units::{Percent, Span};

/// The settings; `None` if there is a mistake in them.
pub(super) fn policy(table: &file::Upstream, weights: Vec<u32>, report: &mut Report) -> Option<Policy> {
    let errors = report.errors();
    let room = room(table, report);
    let retry = table.retry.as_ref().and_then(|written| retry(written, report));
    let ejection = ejection(&table.ejection, report);
    let health = table.health.as_ref().and_then(|written| health(written, report));
    (report.errors() == errors).then(|| Policy {
        balance: table.balance,
        weights: weights.into(),
        room,
        retry,
        ejection,
        health,
        when_all_out: table.when_all_out,
        resolve: or(table.resolve, Duration::from_secs(30)),
    })
}

/// The `Host` that it gets.
pub(super) fn host(written: Option<&Placed<Host>>, report: &mut Report) -> Option<HostPolicy> {
    let Some(Placed { value, place }) = written else { return Some(HostPolicy::Preserve) };
    match value {
        Host::Word(HostWord::Preserve) => Some(HostPolicy::Preserve),
        Host::Word(HostWord::Endpoint) => Some(HostPolicy::Endpoint),
        Host::Named(named) => {
            let name = authority(&named.name);
            if name.is_none() {
                report.error(place.clone(), no_host());
            }
            name.map(HostPolicy::Named)
        }
    }
}

fn no_host() -> Invalid {
    Invalid::new("this is no host").hint("for example: api.internal, or api.internal:8443")
}

/// A `Host` field (RFC 9110 §7.2): without a user, and not empty.
fn authority(text: &str) -> Option<HeaderValue> {
    let authority: Authority = text.parse().ok()?;
    if text.contains('@') || authority.host().is_empty() || text.ends_with(':') {
        return None;
    }
    HeaderValue::from_str(text).ok()
}

fn or(written: Option<Span>, default: Duration) -> Duration {
    written.map_or(default, |span| span.0)
}

/// A number that is not 0.
fn count(written: Option<&Placed<u32>>, report: &mut Report) -> Option<NonZeroU32> {
    let written = written?;
    let count = NonZeroU32::new(written.value);
    if count.is_none() {
        report.error(written.place.clone(), Invalid::new("this is at least 1"));
    }
    count
}

fn room(table: &file::Upstream, report: &mut Report) -> Room {
    let upstream = count(table.max_in_flight.as_ref(), report);
    let endpoint = count(table.endpoint_max_in_flight.as_ref(), report);
    let queue = table.queue.as_ref().map(|Placed { value, place }| {
        if table.max_in_flight.is_none() && table.endpoint_max_in_flight.is_none() {
            let invalid = Invalid::new("nobody has to wait where any number may be under way");
            report.error(place.clone(), invalid.hint("set `max_in_flight` or `endpoint_max_in_flight`"));
        }
        if let Some(length) = value.length.as_ref().filter(|length| length.value == 0) {
            report.error(length.place.clone(), Invalid::new("this is at least 1").hint("leave `queue` out"));
        }
        let length = value.length.as_ref().map_or(100, |length| length.value);
        Queue { length, wait: or(value.wait, Duration::from_secs(1)) }
    });
    Room { upstream, endpoint, queue }
}

fn retry(written: &file::Retry, report: &mut Report) -> Option<Retry> {
    let errors = report.errors();
    if let Some(attempts) = written.attempts.as_ref().filter(|attempts| !(2..=10).contains(&attempts.value)) {
        let invalid = Invalid::new("a request is sent 2 to 10 times at most, the first time included");
        report.error(attempts.place.clone(), invalid.hint("leave `retry` out if it shall be sent once"));
    }
    if let Some(on) = written.on.as_ref().filter(|on| on.value.is_empty()) {
        let invalid = Invalid::new("nothing would be sent once more").hint("leave `retry` out");
        report.error(on.place.clone(), invalid);
    }
    let usual = [Sign::Reset, Sign::BadGateway, Sign::Unavailable, Sign::GatewayTimeout];
    (report.errors() == errors).then(|| Retry {
        budget: written.budget.unwrap_or(Percent(20)).0,
        attempts: written.attempts.as_ref().map_or(2, |attempts| attempts.value),
        on: Signs::of(written.on.as_ref().map_or(&usual[..], |on| &on.value)),
    })
}

fn ejection(written: &file::Ejection, report: &mut Report) -> Ejection {
    let usual = Ejection::default();
    let failures = count(written.failures.as_ref(), report).map_or(usual.failures, NonZeroU32::get);
    let rest = or(written.rest, usual.rest);
    if let Some(longest) = written.longest.as_ref().filter(|longest| longest.value.0 < rest) {
        report.error(longest.place.clone(), Invalid::new("`longest` is no shorter than `rest`"));
    }
    Ejection {
        failures,
        window: or(written.window, usual.window),
        rest,
        longest: written.longest.as_ref().map_or(usual.longest.max(rest), |longest| longest.value.0),
        slow_return: or(written.slow_return, usual.slow_return),
        most: written.most.map_or(usual.most, |most| most.0),
        on: written.on.as_ref().map_or(usual.on, |on| Signs::of(on)),
    }
}

fn health(written: &file::Health, report: &mut Report) -> Option<Health> {
    let errors = report.errors();
    let Placed { value: path, place } = &written.path;
    if !path.starts_with('/') || path.parse::<PathAndQuery>().is_err() || path.contains('#') {
        report.error(place.clone(), Invalid::new("this is no path").hint("for example: /healthz"));
    }
    let host = written.host.as_ref().and_then(|Placed { value, place }| {
        let host = authority(value);
        if host.is_none() {
            report.error(place.clone(), no_host());
        }
        host
    });
    let [healthy, unhealthy] = [(&written.healthy, 2), (&written.unhealthy, 3)]
        .map(|(written, default)| count(written.as_ref(), report).map_or(default, NonZeroU32::get));
    let status = match &written.status {
        None => Some(200..=299),
        Some(Placed { value, place }) => statuses(value).or_else(|| {
            let invalid = Invalid::new("these are no statuses of an answer");
            report.error(place.clone(), invalid.hint("write one, 204, or a range, 200-299"));
            None
        }),
    };
    (report.errors() == errors).then_some(())?;
    Some(Health {
        path: path.as_str().into(),
        host,
        interval: or(written.interval, Duration::from_secs(5)),
        timeout: or(written.timeout, Duration::from_secs(2)),
        healthy,
        unhealthy,
        status: status?,
    })
}

/// `204`, or `200-299`.
fn statuses(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let [first, last] = [first, last].map(|number| number.trim().parse().ok());
    let (first, last): (u16, u16) = (first?, last?);
    ((200..=599).contains(&first) && (first..=599).contains(&last)).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_one_or_a_range() {
        for (text, expected) in [("204", Some(204..=204)), ("200-299", Some(200..=299)), ("200 - 404", Some(200..=404))]
        {
            assert_eq!(statuses(text), expected, "{text}");
        }
        for text in ["", "2xx", "299-200", "100-299", "200-", "-299", "200-600", "200-250-299"] {
            assert_eq!(statuses(text), None, "{text}");
        }
    }

    #[test]
    fn a_host_is_a_name_and_perhaps_a_port() {
        for text in ["api.internal", "api.internal:8443", "10.0.0.5", "[2001:db8::1]:80"] {
            assert!(authority(text).is_some(), "{text}");
        }
        for text in ["", "user@api.internal", "api internal", "http://api.internal", "api.internal/", "a\r\nb", "api:"]
        {
            assert!(authority(text).is_none(), "{text:?}");
        }
    }
}
