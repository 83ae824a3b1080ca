//! How a caller is told of the limits: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10).
//! Both are lists, so what an upstream says of limits of its own stands beside: the draft has intermediaries add what
//! is narrower, and take nothing out.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::limits::Limit;
use super::policy::{Measure, Policy};
use super::tally::Standing;

const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Both fields of one answer; boxed, since an admission is handed from room to room.
#[derive(Debug, Default)]
pub(super) struct Fields(Option<Box<[HeaderValue; 2]>>);

impl Fields {
    fn into_pairs(self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        self.0.into_iter().flat_map(|values| [RATELIMIT_POLICY, RATELIMIT].into_iter().zip(*values))
    }

    /// Adds them to an answer.
    pub(super) fn add_to(self, headers: &mut HeaderMap) {
        for (name, value) in self.into_pairs() {
            headers.append(name, value);
        }
    }

    /// The same for the answer that a refusal will become.
    pub(super) fn add_to_refusal(self, fields: &mut Vec<(HeaderName, HeaderValue)>) {
        fields.extend(self.into_pairs());
    }
}

/// Where a worker writes its fields, so that each of them is allocated once and as long as it is.
#[derive(Debug, Default)]
pub(super) struct Writing {
    policies: Vec<u8>,
    standings: Vec<u8>,
}

impl Writing {
    /// What to tell of these limits; nothing, where there are none that bite.
    pub(super) fn fields<'s>(&mut self, limits: impl Iterator<Item = &'s (&'s Limit, Standing)>) -> Fields {
        self.policies.clear();
        self.standings.clear();
        for (limit, standing) in limits.filter(|(limit, _)| !limit.policy.log_only) {
            if !self.policies.is_empty() {
                self.policies.extend_from_slice(b", ");
                self.standings.extend_from_slice(b", ");
            }
            match &limit.described {
                Some(described) => self.policies.extend_from_slice(described.as_bytes()),
                None => describe(&mut self.policies, &limit.policy, standing.quota, standing.window),
            }
            stand(&mut self.standings, &limit.policy, *standing);
        }
        let value = |text: &[u8]| HeaderValue::from_bytes(text).expect("names of limits and digits are visible ASCII");
        Fields((!self.policies.is_empty()).then(|| Box::new([value(&self.policies), value(&self.standings)])))
    }
}

/// The description that all callers get; `None`: a quota, of which each may have their own.
pub(super) fn described(policy: &Policy) -> Option<Arc<str>> {
    let mut text = Vec::new();
    match policy.measure {
        // Of a burst: so many may come at once, and are there again after that time.
        Measure::Rate(rate) => describe(&mut text, policy, rate.burst.get().into(), Some(rate.refill())),
        Measure::Concurrency(concurrency) => describe(&mut text, policy, concurrency.most.get().into(), None),
        Measure::Quota(_) => return None,
    }
    Some(String::from_utf8(text).expect("it is ASCII").into())
}

/// `"hourly";q=100;w=3600`. What is not counted by time has its unit instead of a window.
fn describe(field: &mut Vec<u8>, policy: &Policy, quota: u64, window: Option<u64>) {
    named(field, policy, b"q", quota);
    match window {
        Some(window) => parameter(field, b"w", window),
        None => field.extend_from_slice(b";qu=\"concurrent-requests\""),
    }
}

/// `"hourly";r=57;t=1200`.
fn stand(field: &mut Vec<u8>, policy: &Policy, standing: Standing) {
    named(field, policy, b"r", standing.remaining);
    if let Some(reset) = standing.reset {
        parameter(field, b"t", reset);
    }
}

fn named(field: &mut Vec<u8>, policy: &Policy, parameter: &[u8], value: u64) {
    field.push(b'"');
    field.extend_from_slice(policy.name.as_bytes());
    field.push(b'"');
    self::parameter(field, parameter, value);
}

fn parameter(field: &mut Vec<u8>, name: &[u8], mut value: u64) {
    field.push(b';');
    field.extend_from_slice(name);
    field.push(b'=');
    let (mut digits, mut at) = ([b'0'; 20], 20);
    while at == 20 || value > 0 {
        at -= 1;
        digits[at] = b"0123456789"[usize::try_from(value % 10).expect("a digit")];
        value /= 10;
    }
    field.extend_from_slice(&digits[at..]);
}
